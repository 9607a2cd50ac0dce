"""This module notes on an exception which handlers have a record of it, so that one failure is told once.

`log_exceptions` logs an exception that passes on its way to a framework, which logs the same object again. A note holds
while the object is on its way: an object that is raised again is another event, even if it is the same object. Notes
consist of builtins alone, since exceptions are pickled with their attributes.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

from discord_logging._records.libraries import is_surely_library

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

_NOTES = "_discord_logging_reported_to"
"""The attribute of an exception with the notes, by the id of the handler: when, at which level, whether by
`log_exceptions`, the thread, and the records that were left out since."""
tick = itertools.count(1).__next__
"""Returns a number that is higher than all before it."""
guarded: set[int] = set()
"""The ticks at which the calls began that `log_exceptions` watches now."""


def note(exception: Any, handlers: Iterable[int], level: float, *, is_automatic: bool = False) -> None:
    """Note that `handlers`, by their `id`, have a record of `exception`, which may be from `log_exceptions`.

    Raises:
        Exception: The exception accepts no attribute.
    """
    notes = exception.__dict__.setdefault(_NOTES, {})
    for handler in handlers:
        notes[handler] = tick(), level, is_automatic, threading.get_ident(), {}


def forget(exception: Any, handlers: Iterable[int]) -> None:
    """Remove the notes of `handlers`: the exception is another event now."""
    for handler in handlers:
        _notes(exception).pop(handler, None)


def has_all(exception: Any, handlers: Iterable[int], level: int, since: int = 0) -> bool:
    """Tell whether all `handlers` got `exception` after the tick `since`, automatically or at that level."""
    notes = _notes(exception)
    return bool(notes) and all(
        each in notes and notes[each][0] > since and (notes[each][2] or level <= notes[each][1]) for each in handlers
    )


def is_noted(exception: Any) -> bool:
    """Tell whether any handler has a record of `exception`."""
    return bool(_notes(exception))


def is_retold(record: logging.LogRecord, handler: int, *, is_automatic: bool = False) -> bool:
    """Tell whether a framework logs an exception that `handler` has from `log_exceptions` already. Never raises.

    A framework is code of a library, or `is_automatic`. The program's own record has something to say. So has one that
    is logged again at the same line: the same object was raised again.
    """
    try:
        exc_info: Any = record.exc_info
        exception = exc_info[1] if isinstance(exc_info, tuple) else exc_info
        notes = exception.__dict__.get(_NOTES, {})
        if handler not in notes:
            if guarded:
                note(exception, [handler], record.levelno)
            return False
        _, level, is_told, thread, retold = notes[handler]
        if not is_told or record.levelno > level or thread != threading.get_ident():
            return False
        if not (is_automatic or is_surely_library(record.pathname)):
            return False
        place, moment = (record.pathname, record.lineno), record.relativeCreated
        if retold.setdefault(place, moment) is not moment:
            del notes[handler]
            return False
    except Exception:  # noqa: BLE001 - the record, and the class of the exception, may be any
        return False
    return True


def _notes(exception: Any) -> dict[int, tuple[int, float, bool, int, dict[Any, Any]]]:
    try:
        notes: dict[int, Any] = exception.__dict__.get(_NOTES, {})
    except Exception:  # noqa: BLE001 - the class of the exception may be any
        return {}
    return notes
