"""This module turns the tracebacks that a record has as text into its exception.

A `QueueHandler` in front of ours, `traceback.format_exc()` in a message, loguru, structlog, Celery and process pools
make such texts. They are in the message, in `exc_text`, in a value of `extra`, or in an exception of another process.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from discord_logging._records.exceptions import HEAD, FrozenException
from discord_logging._records.libraries import library_of
from discord_logging._records.traceback_parser import find_tracebacks, may_have_traceback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from discord_logging._records.frames import Frame
    from discord_logging._records.traceback_parser import Tracebacks
    from discord_logging._records.values import Frozen

_MAX_REMEMBERED = 16_384
"""The longest text whose tracebacks are remembered, in characters."""
_MAX_COMPARED = 20
"""The largest number of exceptions among which the same one is searched for."""
_MAX_NAMES = 3
"""The largest number of types that several tracebacks are named by."""
_REMOTE = "RemoteTraceback"
_VALUE = re.compile(r"    [ |│]*(?:└|->) .*|    [ |│]*[|│] *")
"""A line below a line of source with the value of a variable, or with the stems that lead to it."""
_CAUGHT = ">"
"""The beginning of the frame that has caught the exception, in a text of loguru."""
_GONE = object()


def read_exceptions(
    message: str, template: str | None, details: tuple[Any, ...], *, is_direct: bool, own_packages: tuple[str, ...] = ()
) -> tuple[str, str | None, tuple[Any, ...]] | None:
    """Return the parts of a record in which each traceback that is text has become its exception.

    Args:
        message: The merged message.
        template: The message before the arguments were merged in.
        details: The fields of `Details`.
        is_direct: Whether it is known that nobody but who logged the record has made the message.
        own_packages: The packages whose frames are the program's own, wherever they lie.

    Returns:
        The same three parts, or `None` if they have no traceback as text.
    """
    extra, exception, exc_text, stack_info, body = details
    # Most records have none, and this happens for each of them.
    if not (exception or any(map(_may_have_traceback, (message, body, exc_text, extra)))):
        return None
    reading = _Reading(stack_info, own_packages)
    if exception:
        reading.add([_with_remote(exception, own_packages)])
        reading.has_own = True
    exc_text = reading.read(exc_text or "") or None
    rest = read = reading.read(message, is_terminated=is_direct)
    body = body and reading.read(body, is_terminated=is_direct)
    extra = reading.read_values(extra)
    if not reading.is_changed and reading.exceptions == [exception] * bool(exception):
        return None
    if exc_text and reading.exceptions:
        # Cards show an exception in its place.
        rest = f"{rest}\n{exc_text}".strip("\n")
        body = body and f"{body}\n{exc_text}"
        exc_text = None
    if template:
        # The template of a record that came through a queue is its message.
        template = read if template == message else _rest(template)
    return rest, template, (extra, _join(reading.exceptions), exc_text, reading.stack_info, body)


def without_additions(exception: FrozenException) -> FrozenException:
    """Return an exception without what loguru adds: values of variables, and the callers of who has caught it."""

    def strip(each: FrozenException) -> FrozenException:
        stack = each.stack
        caught = next((index for index, frame in enumerate(stack) if frame.lines[0].startswith(_CAUGHT)), 0)
        frames = [frame._replace(lines=tuple(_plain_lines(frame))) for frame in stack[caught:]]
        return FrozenException(each.type_name, each.text, each.notes, frames=frames)

    return exception.copy(strip)


def _plain_lines(frame: Frame) -> Iterator[str]:
    location, *source = frame.lines
    yield f" {location[1:]}" if location.startswith(_CAUGHT) else location
    yield from (line for line in source if not _VALUE.fullmatch(line))


class _Reading:
    """Collects the exceptions of a record.

    Attributes:
        exceptions: The exceptions so far, each once.
        stack_info: The stack of the logging call, or `None`.
        has_own: Whether the first exception is that of the record, and no text.
        is_changed: Whether a text had a traceback.
    """

    def __init__(self, stack_info: str | None, own_packages: tuple[str, ...]) -> None:
        self._own_packages = own_packages
        self.exceptions: list[FrozenException] = []
        self.stack_info = stack_info
        self.has_own = False
        self.is_changed = False

    def read(self, text: str, *, is_terminated: bool = False) -> str:
        """Return a text without its tracebacks, which are added."""
        if not text or not may_have_traceback(text) or not (found := _find(text, is_terminated)):
            return text
        if found.stack_info and self.stack_info and found.stack_info != self.stack_info:
            # The record has room for one stack.
            if not found.exceptions:
                return text
            found = found._replace(rest="\n".join(part for part in (found.rest, found.stack_info) if part))
        elif found.stack_info:
            self.stack_info = found.stack_info
        read = [_judge(each, self._own_packages) for each in found.exceptions]
        self.add([without_additions(each) for each in read] if self.has_own else read)
        self.is_changed = True
        return found.rest

    def read_values(self, extra: Mapping[str, Frozen] | None) -> Mapping[str, Frozen] | None:
        """Return the values of `extra` without tracebacks; a value that was nothing else is left out."""
        read = self._read_value(extra) if extra else None
        return None if read is _GONE else read

    def _read_value(self, value: Any) -> Any:
        """Return a value without tracebacks, or `_GONE` if nothing is left."""
        if not _may_have_traceback(value):
            return value
        if type(value) is str:
            return self.read(value) or _GONE
        if type(value) is dict:
            read = {name: self._read_value(each) for name, each in value.items()}
            kept: Any = {name: each for name, each in read.items() if each is not _GONE}
        else:
            kept = type(value)(each for each in map(self._read_value, value) if each is not _GONE)
        return kept or _GONE

    def add(self, exceptions: Sequence[FrozenException]) -> None:
        """Add the exceptions of one text. An exception that another part of the record also tells is added once."""
        known = self.exceptions[:_MAX_COMPARED]
        for exception in exceptions:
            for index, other in enumerate(known):
                if fuller := _fuller(other, exception, is_own=self.has_own and not index):
                    self.exceptions[index] = known[index] = fuller
                    break
            else:
                self.exceptions.append(exception)


def _may_have_traceback(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return may_have_traceback(value)
    if kind is dict:
        return any(map(_may_have_traceback, value.values()))
    return kind in (list, tuple) and any(map(_may_have_traceback, value))


def _find(text: str, is_terminated: bool) -> Tracebacks | None:
    find = _find_again if len(text) <= _MAX_REMEMBERED else find_tracebacks
    return find(text, is_terminated=is_terminated)


# A record is read when it is compared with others, and again for its card.
_find_again = functools.lru_cache(maxsize=64)(find_tracebacks)


def _rest(text: str) -> str:
    found = find_tracebacks(text)
    return found.rest if found else text


def _fuller(first: FrozenException, second: FrozenException, *, is_own: bool) -> FrozenException | None:
    """Return the one of two exceptions that tells all that the other tells, or `None` if neither does.

    If `is_own`, the first is the exception of the record, whose text needs no more frames. It lost its traceback and
    its links if it was pickled on its way, as in the queue of loguru.
    """
    first_parts, second_parts = _told(first), _told(second)
    if is_own and first_parts == second_parts:
        return first
    is_pickled = is_own and not _frame_count(first) and _said(first) == _said(second)
    if is_pickled or (first_parts <= second_parts and _frame_count(first) <= _frame_count(second)):
        return second
    return first if second_parts <= first_parts else None


def _told(exception: FrozenException) -> set[tuple[Any, ...]]:
    """Return a text and a location for each exception of a chain. They are equal whether it came as text or not."""
    told = set()
    for each in exception.linked():
        way = each.way()
        told.add((*_said(each), *way[len(way) // 2 - 1 :: max(len(way) // 2, 1)]))
    return told


def _said(exception: FrozenException) -> tuple[str, str]:
    # Loguru writes the line of source behind an AssertionError without a text.
    text = "" if exception.type_name == "AssertionError" else "\n".join((exception.text, *exception.notes)).rstrip("\n")
    return exception.type_name, text


def _frame_count(exception: FrozenException) -> int:
    return sum(len(each.way()) for each in exception.linked())


def _join(exceptions: Sequence[FrozenException]) -> FrozenException | None:
    """Return an exception that has all of `exceptions` as members, or the only one."""
    if len(exceptions) <= 1:
        return exceptions[0] if exceptions else None
    names = list(dict.fromkeys(each.type_name for each in exceptions))
    title = ", ".join(names[:_MAX_NAMES]) + (" and others" if len(names) > _MAX_NAMES else "")
    joined = FrozenException(title, f"{len(exceptions):,} tracebacks: {title}")
    joined.link(None, None, tuple(exceptions))
    return joined


def _judge(exception: FrozenException, own_packages: tuple[str, ...]) -> FrozenException:
    """Return an exception that was read from a text, in which the frames of `own_packages` are the program's own."""

    def judge(each: FrozenException) -> FrozenException:
        frames = [frame._replace(library=library_of(frame.filename, own_packages)) for frame in each.stack]
        return FrozenException(each.type_name, each.text, each.notes, frames=frames)

    return exception.copy(judge) if own_packages else exception


def _with_remote(exception: FrozenException, own_packages: tuple[str, ...]) -> FrozenException:
    """Return the exception with those of other processes, whose tracebacks are texts of exceptions, as its causes."""
    remote: dict[FrozenException, FrozenException] = {}
    for each in exception.linked():
        if each.type_name.endswith(_REMOTE) and HEAD in each.text and not (each.cause or each.context or each.members):
            found = find_tracebacks(each.text)
            if found and len(found.exceptions) == 1 and not found.rest:
                remote[each] = _judge(found.exceptions[0], own_packages)
    return exception.copy(lambda each: remote.get(each) or each.cut_alone()) if remote else exception
