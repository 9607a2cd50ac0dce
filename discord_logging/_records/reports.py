"""This module notes on an exception which handlers have a record of it, so that one failure is told once.

`log_exceptions` logs an exception that passes on its way to a framework, which logs the same object again. Within a
request, a task or a command, the program may log the exception as well. A note holds while the object is on its way: an
object that is raised again is another event, even if it is the same object. Notes consist of builtins alone, since
exceptions are pickled with their attributes.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

from discord_logging._records.libraries import is_surely_library
from discord_logging._records.work import current_work

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

_NOTES = "_discord_logging_reported_to"
"""The attribute of an exception with the notes, by the id of the handler: when, at which level, whether by
`log_exceptions`, the thread, the work, and the places of the records about it since."""
tick = itertools.count(1).__next__
"""Returns a number that is higher than all before it."""
_NO_NOTE: tuple[Any, ...] = (0, 0.0, False, 0, None, {})
guarded: set[int] = set()
"""The ticks at which the calls began that `log_exceptions` watches now."""


def note(exception: Any, handlers: Iterable[int], level: float, *, is_automatic: bool = False) -> None:
    """Note that `handlers`, by their `id`, have a record of `exception`, which may be from `log_exceptions`.

    Raises:
        Exception: The exception accepts no attribute.
    """
    notes = exception.__dict__.setdefault(_NOTES, {})
    work = current_work()
    for handler in handlers:
        notes[handler] = tick(), level, is_automatic, threading.get_ident(), work and work.key, {}


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


def is_told_in_work(exception: Any, handler: int, level: int) -> bool:
    """Tell whether `handler` has a record of `exception` from the present work, at that level or above."""
    work, told = current_work(), _notes(exception).get(handler)
    return work is not None and told is not None and told[4] == work.key and level <= told[1]


def is_retold(record: logging.LogRecord, handler: int) -> bool:
    """Tell whether `handler` has a record of the same failure already. Never raises an `Exception`.

    Within a request, a task or a command this holds for every record of the exception, whoever logs it, unless it is
    more severe. Right after it, this holds for every record on the same thread. Elsewhere it holds for the record of a
    framework, if the other one is from `log_exceptions`: the program's own record has something to say. A framework is
    code of a library. A record that is logged again at the same line is another failure: the same object was raised
    again.
    """
    try:
        exc_info: Any = record.exc_info
        exception = exc_info[1] if isinstance(exc_info, tuple) else exc_info
        notes = exception.__dict__.get(_NOTES, {})
        work, place, moment = current_work(), (record.pathname, record.lineno), record.relativeCreated
        _, level, is_told, thread, told_in, places = notes.get(handler) or _NO_NOTE
        is_same_work = work is not None and told_in == work.key
        # The program may answer outside of the work an exception that has left it, as handlers of Starlette do.
        is_after = work is None and told_in is not None
        is_here = is_told and thread == threading.get_ident()
        is_framework = is_here and (is_after or is_surely_library(record.pathname))
        is_known = handler in notes and record.levelno <= level and (is_same_work or is_framework)
        if is_known and places.setdefault(place, moment) is moment:
            return True
        if is_known and not is_same_work:
            del notes[handler]
        elif work is not None or (guarded and handler not in notes):
            note(exception, [handler], record.levelno)
            _notes(exception)[handler][-1][place] = moment
    except Exception:  # noqa: BLE001 - the record, and the class of the exception, may be any
        return False
    return False


def _notes(exception: Any) -> dict[int, tuple[Any, ...]]:
    try:
        notes: dict[int, Any] = exception.__dict__.get(_NOTES, {})
    except Exception:  # noqa: BLE001 - the class of the exception may be any
        return {}
    return notes
