"""This module freezes an exception, and all exceptions that are linked to it, on the caller's thread.

A traceback is kept as code, line and offset of the last instruction, without frames or locals. Its source is read on
the listener's thread.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import linecache
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

from discord_logging._records.frames import read_frames
from discord_logging._records.values import cut_text, read_only, to_text
from discord_logging._records.variables import VariableTaker

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from types import CodeType, TracebackType

    from discord_logging._records.frames import Frame
    from discord_logging._records.settings import CardSettings
    from discord_logging._records.variables import FrameVariables

    _Freeze = Callable[[BaseException, "TracebackType | None"], "FrozenException"]
    _Members = tuple["FrozenException", ...]
    _Links = tuple["FrozenException | None", "FrozenException | None", _Members]

HEAD = "Traceback (most recent call last):"
CAUSE = "The above exception was the direct cause of the following exception:"
CONTEXT = "During handling of the above exception, another exception occurred:"
_MAX_EXCEPTIONS = 500
"""The largest number of exceptions of one chain or group that are frozen."""
_MORE = "and more exceptions"
"""The text in place of the exceptions beyond this number."""


class FrozenException:
    """An exception as text. It cannot be changed.

    Attributes:
        type_name: The qualified name of the class.
        text: The last line of the traceback, such as `ValueError: no`; for a `SyntaxError` several lines.
        notes: The notes (https://docs.python.org/3/library/exceptions.html#BaseException.add_note).
        stack: The frames of the traceback, outermost first; empty without a traceback. Reads source files.
        cause: The exception that this one was raised from, or `None`.
        context: The exception that was being handled when this one was raised, or `None`.
        members: The exceptions of a group.
        variables: The local variables of frames, unmasked, or `None`.
    """

    __slots__ = ("_frames", "_links", "_locations", "_notes", "_own_packages", "_text", "_type_name", "_variables")

    def __init__(
        self,
        type_name: str,
        text: str,
        notes: tuple[str, ...] = (),
        *,
        locations: Sequence[Any] = (),
        frames: Sequence[Frame] | None = None,
        own_packages: tuple[str, ...] = (),
        variables: FrameVariables | None = None,
    ) -> None:
        self._type_name = type_name
        self._text = text
        self._notes = notes
        # The list is flat: a tuple per frame would take twice the memory, and work of the garbage collector.
        self._locations = locations
        self._frames = frames
        self._own_packages = own_packages
        self._variables = variables
        self._links: _Links = (None, None, ())

    type_name: str = read_only("_type_name")
    text: str = read_only("_text")
    notes: tuple[str, ...] = read_only("_notes")
    variables: FrameVariables | None = read_only("_variables")

    @property
    def cause(self) -> FrozenException | None:
        return self._links[0]

    @property
    def context(self) -> FrozenException | None:
        return self._links[1]

    @property
    def members(self) -> tuple[FrozenException, ...]:
        return self._links[2]

    def link(self, cause: FrozenException | None, context: FrozenException | None, members: _Members) -> None:
        """Set the linked exceptions.

        Raises:
            AttributeError: They are set already.
        """
        if any(self._links):
            raise AttributeError("a FrozenException cannot be changed")
        self._links = cause, context, members

    @property
    def stack(self) -> Sequence[Frame]:
        if self._frames is not None:
            return self._frames
        frames = read_frames(self._locations, self._own_packages)
        for index, variables in self._variables.shown.items() if self._variables else ():
            if frames[index].library is None:
                frames[index] = frames[index]._replace(variables=variables)
        return frames

    def place(self) -> Frame | None:
        """Return the last frame of the program in this exception, or in a linked one, or the last frame of all.

        Reads source files. The result is `None` without any frame.
        """
        own = (frame for each in self.linked() for frame in reversed(each.stack) if frame.library is None)
        return next(own, None) or next(reversed(self.stack), None)

    def fingerprint(self) -> Hashable:
        """Return a value that is equal for exceptions with the same texts and locations. Reads no source."""
        return tuple((each.text, each.notes, *each.way()) for each in self.linked())

    def way(self) -> Sequence[Hashable]:
        """Return the lines and files of this traceback alone, without those of linked exceptions."""
        return [*self.lines, *(file for file, _ in self.places())]

    @property
    def codes(self) -> Sequence[CodeType]:
        """The code of each frame of this traceback alone, outermost first; empty if it was made of frames."""
        return self._locations[::3]

    @property
    def lines(self) -> Sequence[int | None]:
        """The line of each frame of this traceback alone, outermost first."""
        return self._locations[1::3] if self._frames is None else [frame.lineno for frame in self._frames]

    def places(self) -> list[tuple[str, str]]:
        """Return the file and function of each frame of this traceback alone, outermost first. Reads no source."""
        if self._frames is None:
            return [(code.co_filename, code.co_name) for code in self.codes]
        return [(frame.filename, frame.name) for frame in self._frames]

    def linked(self) -> list[FrozenException]:
        """Return this exception and all exceptions that are linked to it, each once."""
        found = [self]
        for each in found:
            found += [linked for linked in (each.cause, each.context, *each.members) if linked]
        return found

    @property
    def size(self) -> int:
        """The estimated memory of this exception and the linked ones, in bytes."""
        return sum(each.own_size() for each in self.linked()) if any(self._links) else self.own_size()

    def own_size(self) -> int:
        """Return the estimated memory of this exception alone, in bytes."""
        size = 256 + len(self._text) + sum(map(len, self._notes)) + 20 * len(self._locations)
        for frame in self._frames or ():
            size += sum(map(len, frame.lines)) + sum(map(len, itertools.chain.from_iterable(frame.variables)))
        return size + self._variables.size if self._variables else size

    def cut(self, limit: int) -> FrozenException:
        """Return a copy in which the texts and notes, also of linked exceptions, have `limit` characters at most."""
        return self.copy(lambda each: each.cut_alone(limit))

    def copy(self, change: Callable[[FrozenException], FrozenException]) -> FrozenException:
        """Return a copy with the same links. Each of its exceptions is the one that `change` returns."""
        linked = self.linked()
        copies = {each: change(each) for each in linked}
        for each in linked:
            cause, context = (found and copies[found] for found in (each.cause, each.context))
            if cause or context or each.members:
                copies[each].link(cause, context, tuple(copies[member] for member in each.members))
        return copies[self]

    def cut_alone(self, limit: int = sys.maxsize) -> FrozenException:
        """Return such a copy of this exception alone, without linked exceptions."""
        text, notes = cut_text(self._text, limit), tuple(cut_text(note, limit) for note in self._notes)
        return FrozenException(
            self._type_name,
            text,
            notes,
            locations=self._locations,
            frames=self._frames,
            own_packages=self._own_packages,
            variables=self._variables,
        )


def freeze_exc_info(exc_info: Any, settings: CardSettings | None = None) -> FrozenException | None:
    """Return the exception of `exc_info`, in any form that a record may have, or `None` without an exception."""
    exception = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) == 3 else exc_info  # noqa: PLR2004
    if not isinstance(exception, BaseException):
        return None
    return _freeze_chain(exception, exc_info[2] if exception is not exc_info else exception.__traceback__, settings)


def _freeze_chain(exception: BaseException, tb: TracebackType | None, settings: CardSettings | None) -> FrozenException:
    """Freeze `exception` and all linked exceptions, without recursion: a chain may be longer than the stack is deep."""
    taker = VariableTaker(settings) if settings and settings.show_locals else None
    freeze = partial(_freeze, settings, taker)
    first = freeze(exception, tb)
    found = [(first, exception)]
    seen = {id(exception)}
    for frozen, original in found:
        cause, context, members = original.__cause__, original.__context__, members_of(original)
        if cause is None and context is None and not members:
            continue
        frozen_cause, frozen_context = _freeze_linked(cause, freeze, found, seen), None
        if frozen_cause is None and not original.__suppress_context__:
            frozen_context = _freeze_linked(context, freeze, found, seen)
        frozen.link(frozen_cause, frozen_context, tuple(_freeze_members(members, freeze, found, seen)))
    return first


def _freeze_members(
    members: Iterable[Any],
    freeze: _Freeze,
    found: list[tuple[FrozenException, BaseException]],
    seen: set[int],
) -> Iterator[FrozenException]:
    # The user's class may have a property that yields members without end.
    for member in itertools.islice(members, _MAX_EXCEPTIONS):
        if frozen := _freeze_linked(member, freeze, found, seen):
            yield frozen
            if frozen.text == _MORE:
                return


def _freeze_linked(
    linked: Any,
    freeze: _Freeze,
    found: list[tuple[FrozenException, BaseException]],
    seen: set[int],
) -> FrozenException | None:
    if not isinstance(linked, BaseException) or id(linked) in seen:
        return None
    if len(seen) >= _MAX_EXCEPTIONS:
        return FrozenException("", _MORE)
    seen.add(id(linked))
    frozen = freeze(linked, linked.__traceback__)
    found.append((frozen, linked))
    return frozen


def _freeze(
    settings: CardSettings | None, taker: VariableTaker | None, exception: BaseException, tb: TracebackType | None
) -> FrozenException:
    type_name, notes = _type_name(type(exception)), _notes(exception)
    text = _text(exception, type_name, notes)
    locations = _locations(tb)
    variables = taker.take(tb, len(locations) // 3) if taker else None
    own_packages = settings.own_packages if settings else ()
    return FrozenException(type_name, text, notes, locations=locations, own_packages=own_packages, variables=variables)


def _locations(tb: TracebackType | None) -> list[Any]:
    locations: list[Any] = []
    known = linecache.cache
    while tb is not None:
        code = tb.tb_frame.f_code
        locations += code, tb.tb_lineno, tb.tb_lasti
        # Only the loader, in the globals of the frame, has the source of modules in a zip file.
        if code.co_filename not in known:
            linecache.lazycache(code.co_filename, tb.tb_frame.f_globals)
        tb = tb.tb_next
    # As in `traceback`, the first frames are kept, and a negative limit keeps none.
    limit = vars(sys).get("tracebacklimit")  # getattr() takes a microsecond for an attribute that is missing
    if isinstance(limit, int):
        del locations[max(3 * limit, 0) :]
    return locations


def _type_name(cls: type) -> str:
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", "__main__") else f"{module}.{cls.__qualname__}"


def _text(exception: BaseException, type_name: str, notes: tuple[str, ...]) -> str:
    if isinstance(exception, SyntaxError):
        with contextlib.suppress(Exception):
            text = "".join(traceback.format_exception_only(type(exception), exception))
            # From Python 3.11 on, this text contains the notes.
            return text.removesuffix("".join(f"{note}\n" for note in notes)).rstrip("\n")
    text = to_text(exception)
    return f"{type_name}: {text}" if text else type_name


def _notes(exception: BaseException) -> tuple[str, ...]:
    try:
        notes = getattr(exception, "__notes__", None)
    except Exception:  # noqa: BLE001 - the user's __getattr__ may raise anything
        return ()
    return tuple(map(to_text, notes)) if isinstance(notes, (list, tuple)) else ()


def members_of(exception: BaseException) -> Sequence[BaseException]:
    """Return the exceptions in `exception`, if it is a group."""
    if sys.version_info < (3, 11):  # the backport's class has the same name and attribute
        is_group = any(cls.__name__ == "BaseExceptionGroup" for cls in type(exception).__mro__)
    else:
        is_group = isinstance(exception, builtins.BaseExceptionGroup)
    return getattr(exception, "exceptions", ()) if is_group else ()


def origin(tb: TracebackType | None) -> tuple[str, int, str]:
    """Return where an exception was raised: file, line, function."""
    found = "", 0, ""
    for frame, line in traceback.walk_tb(tb):
        found = frame.f_code.co_filename, line, frame.f_code.co_name
    return found
