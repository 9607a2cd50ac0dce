"""What a log record says, frozen on the caller's thread.

This is the only code of ours that a caller waits for. All that may change or die after the call (the merged message,
`extra` values, the exception's own text) becomes text at once. A traceback is kept as (code, line, last instruction)
triples: no frames, no locals and no source lines, which are read later on the listener's thread.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import linecache
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, TypeVar

from discord_logging._records.masking import MASK
from discord_logging._records.values import freeze_value, to_text, value_line, value_size

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from types import CodeType, TracebackType

    from discord_logging._records.settings import CardSettings
    from discord_logging._records.values import Frozen

    FrameLocation = tuple[CodeType, int | None, int]
    """A place in a traceback: code, line, and the offset of the last instruction, which tells the column."""

    Snapshot = tuple[Any, ...]
    """What `freeze` keeps of a record. The first seven, and the last, tell its kind."""

    _Text = TypeVar("_Text", str, "str | None")

    _Beside = tuple[dict[str, Any] | None, "FrozenException | None", str | None, str | None]

_STANDARD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_ATTRIBUTE_COUNT = len(logging.makeLogRecord({}).__dict__)
_get_message: Any = logging.LogRecord.getMessage
if getattr(_get_message, "__globals__", None) is not vars(logging):
    # Patched before: no record has None, so that all are asked.
    _get_message = None
_HAS_TASK_NAME = sys.version_info >= (3, 12)
_NOTHING: _Beside = (None, None, None, None)
"""What most records have beside their message."""
_MAX_EXCEPTIONS = 500
"""How many exceptions of one chain or group are frozen."""


class FrozenException:
    """An exception as text, its traceback as places.

    Attributes:
        type_name: The qualified name of its class.
        text: The last line (for a `SyntaxError` lines) of its traceback, such as `ValueError: no`.
        notes: Its notes (https://docs.python.org/3/library/exceptions.html#BaseException.add_note).
        places: Where it came from, as in `stack`, but flat.
        cause: The exception that it was raised from, or `None`.
        context: The exception that was being handled when it was raised, or `None`.
        members: The exceptions of a group.
    """

    __slots__ = ("cause", "context", "members", "notes", "places", "text", "type_name")

    def __init__(self, exception: BaseException, tb: TracebackType | None) -> None:
        self.type_name: str = _type_name(type(exception))
        self.notes: tuple[str, ...] = _notes(exception)
        self.text: str = _exception_text(exception, self.type_name, self.notes)
        # Flat, for a tuple for each frame would be twice the memory, and work for the garbage collector.
        self.places: list[Any] = _freeze_stack(tb)
        self.cause: FrozenException | None = None
        self.context: FrozenException | None = None
        self.members: tuple[FrozenException, ...] = ()

    @property
    def stack(self) -> list[FrameLocation]:
        """Where it came from, outermost first: code, line, and the offset of the last instruction."""
        places = iter(self.places)
        return list(zip(places, places, places, strict=True))

    def fingerprint(self) -> Hashable:
        """Return what is the same for exceptions that came the same way. Formats nothing."""
        return tuple(
            (each.text, each.notes, *each.places[1::3], *(code.co_filename for code in each.places[::3]))
            for each in self._linked()
        )

    def _linked(self) -> list[FrozenException]:
        found = [self]
        for each in found:
            found += [linked for linked in (each.cause, each.context, *each.members) if linked]
        return found

    @property
    def size(self) -> int:
        """About how many bytes it holds on to."""
        return sum(256 + len(each.text) + sum(map(len, each.notes)) + 20 * len(each.places) for each in self._linked())


def freeze(record: logging.LogRecord, settings: Any, message: str | None = None) -> Snapshot:
    """Return what `record` says, for a `FrozenRecord`.

    A tuple, and no object of a class, for that is what costs the caller the least.

    Args:
        record: The record. It stays as it is.
        settings: The settings of the handler that takes it.
        message: What to show instead of the merged message, or `None`.
    """
    template = record.msg
    try:
        if type(template) is not str:
            template = None
        if message is None:
            # Inlined LogRecord.getMessage(), whose call is a tenth of our share. Subclasses and patches are called.
            if template is not None and type(record).getMessage is _get_message:
                args = record.args
                try:
                    message = template % args if args else template
                except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                    message = _describe_unmerged(record, error, settings)
            else:
                message = merge(record, settings)
        return (
            message if type(message) is str else to_text(message),
            record.levelno,
            record.name,
            record.pathname,
            record.lineno,
            record.threadName,
            settings,
            record.created,
            record.levelname,
            record.funcName,
            record.process,
            record.processName,
            record.taskName if _HAS_TASK_NAME else None,  # type: ignore[attr-defined]
            template,
            # Last: once CPython has made the __dict__ that is asked for, attributes are read more slowly.
            _freeze_beside(record)
            if record.exc_info or record.stack_info or record.exc_text or len(record.__dict__) != _ATTRIBUTE_COUNT
            else _NOTHING,
        )
    except AttributeError:
        complete = logging.LogRecord("root", logging.NOTSET, "", 0, "", (), None)
        if record.__dict__.keys() >= complete.__dict__.keys():
            raise
        # The record was made by hand, without some attribute.
        complete.__dict__.update(record.__dict__)
        return freeze(complete, settings, message)


def merge(record: logging.LogRecord, settings: Any) -> str:
    """Return the message of `record`, its arguments merged in, or words about why they cannot be."""
    try:
        return to_text(record.getMessage())
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        return _describe_unmerged(record, error, settings)


def _part(index: int) -> Any:
    return property(lambda self: self._snapshot[index])


def _part_beside(index: int) -> Any:
    return property(lambda self: self._snapshot[-1][index])


class FrozenRecord:
    """A log record as it was when it was logged.

    Of the attributes of `logging.LogRecord` it has `name`, `levelno`, `levelname`, `pathname`, `lineno`, `funcName`,
    `created`, `process`, `processName`, `threadName`, `taskName` and `stack_info`, besides those below.

    Secrets in its texts and values are masked, but for those in `exception`, whose text `mask` is for.

    Attributes:
        message: The merged message.
        template: The message before its arguments were merged in, or `None` when it was no text.
        extra: What `extra=` and filters added: scalars as they are, dicts, lists and tuples as copies of bounded depth
            and size, all else as text. `None` when there is nothing.
        exception: The exception, or `None`.
        exc_text: The text of an exception that came ready-made with the record, or `None`.
        settings: The settings of the handler that took the record.
        count: How many records it stands for: itself, and those that said the same.
        last_created: When the last of them was logged.
        in_flight: Whether it is under way to the channel.
        is_repeat: Whether it may stand in the channel already, for Discord did not say whether it was saved.
        size: About how many bytes it holds on to, given that a character is one.
        sequence: Its place in the order of the backlog, from 1; 0 until it has one.
        is_first: Whether it goes before all that are not, for it is tried again.
        taken_at: When it left the backlog to be delivered, on the monotonic clock; `None` while it waits.
        urgency: How much it matters that it is told soon, an `Urgency`; `ROUTINE`, 0, until the backlog has rated it.
        waiting_since: When the backlog took it in, on the monotonic clock.
    """

    __slots__ = (
        "_message",
        "_snapshot",
        "count",
        "in_flight",
        "is_first",
        "is_repeat",
        "last_created",
        "sequence",
        "taken_at",
        "urgency",
        "waiting_since",
    )

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._message: str | None = None
        self.count: int = 1
        self.in_flight: bool = False
        self.is_first: bool = False
        self.is_repeat: bool = False
        self.last_created: float = self.created
        self.sequence: int = 0
        self.taken_at: float | None = None
        self.urgency: int = 0
        self.waiting_since: float = 0.0

    # The types are those of `logging.LogRecord`. A record that was made by hand may hold anything.
    name: str = _part(2)
    pathname: str = _part(3)
    lineno: int = _part(4)
    threadName: str | None = _part(5)  # noqa: N815 - logging's name, as those below
    settings: CardSettings = _part(6)
    funcName: str | None = _part(9)  # noqa: N815
    process: int | None = _part(10)
    processName: str | None = _part(11)  # noqa: N815
    taskName: str | None = _part(12)  # noqa: N815
    template: str | None = _part(13)
    exception: FrozenException | None = _part_beside(1)

    @property
    def message(self) -> str:
        if self._message is None:
            self._message = self.mask(self._snapshot[0])
        return self._message

    @property
    def extra(self) -> Mapping[str, Frozen] | None:
        extra = self._snapshot[-1][0]
        mask = self.settings.masker.mask_value
        return {name: mask(name, value) for name, value in extra.items()} if extra else None

    @property
    def exc_text(self) -> str | None:
        text: str | None = self._snapshot[-1][2]
        return self.mask(text)

    @property
    def stack_info(self) -> str | None:
        text: str | None = self._snapshot[-1][3]
        return self.mask(text)

    def mask(self, text: _Text) -> _Text:
        """Return `text` without the secrets in it, as the handler's `redact` has them."""
        return self.settings.masker.mask(text) if text else text

    @property
    def levelno(self) -> int:
        levelno = self._snapshot[1]
        if type(levelno) is int:
            return levelno
        # A record that was made from a dict without a level has None, which has no place in an order.
        return int.__int__(levelno) if isinstance(levelno, int) else 0

    @property
    def levelname(self) -> str:
        return to_text(self._snapshot[8])

    @property
    def created(self) -> float:
        created = self._snapshot[7]
        return created if type(created) is float else _to_seconds(created)

    @property
    def size(self) -> int:
        message, beside = self._snapshot[0], self._snapshot[-1]
        return 512 + len(message) + (0 if beside is _NOTHING else _size_beside(*beside))

    def fingerprint(self) -> Hashable:
        """Return what is the same for records that say the same, from the same place and thread."""
        beside = self._snapshot[-1]
        if beside is _NOTHING:
            return self._snapshot[:7]
        extra, exception, *texts = beside
        values = ((name, value if type(value) is str else value_line(value)) for name, value in (extra or {}).items())
        return self._snapshot[:7], exception and exception.fingerprint(), tuple(values), *texts

    def kind(self) -> Hashable:
        """Return what is the same for records that tell of the same thing, which may differ in their arguments.

        Cheap however long the text is: nothing is masked, so it is for comparing alone.
        """
        name = self._snapshot[2]
        template = self.template or self._snapshot[0][:200]
        exception = self.exception and self.exception.type_name
        return self.levelno, name if type(name) is str else None, template, exception


def _freeze_beside(record: logging.LogRecord) -> _Beside:
    attributes = record.__dict__
    get = attributes.get
    try:
        exception = _freeze_exc_info(get("exc_info"))
        exc_text = get("exc_text") if exception is None else None
    except Exception as error:  # noqa: BLE001 - `__cause__`, `exceptions` and others may be properties of the user's
        exception, exc_text = None, f"<exception that cannot be shown: {type(error).__name__}>"
    stack_info = get("stack_info")
    return (
        _freeze_extra(attributes),
        exception,
        to_text(exc_text) if exc_text else None,
        to_text(stack_info) if stack_info else None,
    )


def _size_beside(
    extra: Mapping[str, Any] | None, exception: FrozenException | None, exc_text: str | None, stack_info: str | None
) -> int:
    values = sum(map(value_size, extra.values())) if extra else 0
    return values + (exception.size if exception else 0) + len(exc_text or "") + len(stack_info or "")


def _to_seconds(created: Any) -> float:
    """Return the time of a record that was made by hand as a number; NaN if it is not one."""
    try:
        return float(created)
    except Exception:  # noqa: BLE001 - it may be an object of the user's
        return float("nan")


def _describe_unmerged(record: logging.LogRecord, error: Exception, settings: Any) -> str:
    template = to_text(record.msg)
    # A secret's name stands in the template, and any of the arguments may be its value.
    args = MASK if MASK in settings.masker.mask(template) else to_text(record.args, repr)
    return f"{template}\nargs: {args} (could not be merged: {type(error).__name__}: {to_text(error)})"


def _freeze_extra(attributes: Mapping[str, Any]) -> dict[str, Frozen] | None:
    # Another handler's formatter may have added `message` and `asctime`.
    if len(attributes) == _ATTRIBUTE_COUNT or not attributes.keys() - _STANDARD_ATTRIBUTES:
        return None
    return {
        to_text(name): freeze_value(value) for name, value in attributes.items() if name not in _STANDARD_ATTRIBUTES
    }


def _freeze_exc_info(exc_info: Any) -> FrozenException | None:
    exception = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) == 3 else exc_info  # noqa: PLR2004
    if not isinstance(exception, BaseException):
        return None
    return _freeze_chain(exception, exc_info[2] if exception is not exc_info else exception.__traceback__)


def _freeze_chain(exception: BaseException, tb: TracebackType | None) -> FrozenException:
    """Freeze `exception` and all that is linked to it. Not recursive: a chain may be longer than the stack is deep."""
    first = FrozenException(exception, tb)
    found = [(first, exception)]
    seen = {id(exception)}
    for frozen, original in found:
        cause, context, members = original.__cause__, original.__context__, _members(original)
        if cause is None and context is None and not members:
            continue
        frozen.cause = _freeze_linked(cause, found, seen)
        if frozen.cause is None and not original.__suppress_context__:
            frozen.context = _freeze_linked(context, found, seen)
        # As a property of the user's they may be without end.
        first_members = itertools.islice(members, _MAX_EXCEPTIONS)
        frozen.members = tuple(filter(None, (_freeze_linked(member, found, seen) for member in first_members)))
    return first


def _freeze_linked(
    linked: Any, found: list[tuple[FrozenException, BaseException]], seen: set[int]
) -> FrozenException | None:
    if not isinstance(linked, BaseException) or id(linked) in seen or len(seen) >= _MAX_EXCEPTIONS:
        return None
    seen.add(id(linked))
    frozen = FrozenException(linked, linked.__traceback__)
    found.append((frozen, linked))
    return frozen


def _freeze_stack(tb: TracebackType | None) -> list[Any]:
    places: list[Any] = []
    known = linecache.cache
    while tb is not None:
        code = tb.tb_frame.f_code
        places += code, tb.tb_lineno, tb.tb_lasti
        # Modules in a zip file have their source from their loader, which only the frame's globals know.
        if code.co_filename not in known:
            linecache.lazycache(code.co_filename, tb.tb_frame.f_globals)
        tb = tb.tb_next
    return places


def _type_name(cls: type) -> str:
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", "__main__") else f"{module}.{cls.__qualname__}"


def _exception_text(exception: BaseException, type_name: str, notes: tuple[str, ...]) -> str:
    if isinstance(exception, SyntaxError):
        with contextlib.suppress(Exception):
            text = "".join(traceback.format_exception_only(type(exception), exception))
            # From Python 3.11 on the notes are in it.
            return text.removesuffix("".join(f"{note}\n" for note in notes)).rstrip("\n")
    text = to_text(exception)
    return f"{type_name}: {text}" if text else type_name


def _notes(exception: BaseException) -> tuple[str, ...]:
    try:
        notes = getattr(exception, "__notes__", None)
    except Exception:  # noqa: BLE001 - a __getattr__ of the user's may raise anything
        return ()
    return tuple(map(to_text, notes)) if isinstance(notes, (list, tuple)) else ()


def _members(exception: BaseException) -> Sequence[BaseException]:
    if sys.version_info < (3, 11):  # the backport's class has the same name and attribute
        is_group = any(cls.__name__ == "BaseExceptionGroup" for cls in type(exception).__mro__)
    else:
        is_group = isinstance(exception, builtins.BaseExceptionGroup)
    return getattr(exception, "exceptions", ()) if is_group else ()


def origin(tb: TracebackType | None) -> tuple[str, int, str]:
    """Return where an exception was raised: file, line, function."""
    place = "", 0, ""
    for frame, line in traceback.walk_tb(tb):
        place = frame.f_code.co_filename, line, frame.f_code.co_name
    return place
