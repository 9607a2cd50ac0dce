"""This module turns a frozen record into text: the whole record for a file, or one line for a block of lines."""

from __future__ import annotations

import ntpath
import re
import time
from typing import TYPE_CHECKING, Any

from discord_logging._cards.traceback_text import format_exception
from discord_logging._records.values import to_text, value_line
from discord_logging._text.markdown import break_fences, shorten
from discord_logging._text.sanitize import clean, on_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_logging._records.record import FrozenRecord

_RESET = "\x1b[0m"
_ANSI_COLORS = ((50, "\x1b[1;31m"), (40, "\x1b[31m"), (30, "\x1b[33m"), (20, "\x1b[34m"))
_LINE_BREAK = "\n         "
_LOOKS_LIKE_RECORD = re.compile(r"\n(?=[^\w\n]*(?:\d{4}-\d\d-\d\d|--:--:--))")
_NO_TIME = "--:--:--"


def clock_time(created: float, utc_offset: int | None = None, form: str = "%H:%M:%S") -> str:
    """Return a time in the zone that is `utc_offset` seconds ahead of UTC; `None` stands for the local zone."""
    try:
        local = time.localtime(created) if utc_offset is None else time.gmtime(created + utc_offset)
        return time.strftime(form, local)
    except (OverflowError, OSError, TypeError, ValueError):
        return _NO_TIME


def first_time(record: FrozenRecord) -> str:
    """Return the time at which the record was logged, in the zone of the process that logged it."""
    return clock_time(record.created, record.utc_offset)


def last_time(record: FrozenRecord) -> str:
    """Return the time at which the last repeat of the record was logged, in the same zone."""
    return clock_time(record.last_created, record.utc_offset)


def describe_repeats(record: FrozenRecord) -> str:
    """Return the number and the times of the repeats, or `""` for a record that came once."""
    if record.count == 1:
        return ""
    return f"×{record.count:,}, first {first_time(record)}, last {last_time(record)}"  # noqa: RUF001 - the sign for times


def has_traceback(record: FrozenRecord) -> bool:
    """Tell whether the record has an exception or a stack besides its message."""
    return bool(record.exception or record.exc_text or record.stack_info)


def traceback_text(record: FrozenRecord) -> str:
    """Return the text of the record's exception, or `""`."""
    return record.mask(format_exception(record.exception)) if record.exception else record.exc_text or ""


def full_text(record: FrozenRecord, *, with_context: bool = False) -> str:
    """Return the whole record: a line that begins with time, level and logger, then all other parts.

    Lines of a text that begin as a record does are indented.

    Args:
        record: The record.
        with_context: Whether to add the handler's context, which is the same for all its records.
    """
    head = [_exact_time(record), _one_word(record.levelname), _one_word(record.name)]
    # A line that another program wrote has neither a thread nor a line number.
    if record.threadName:
        head.append(f"[{_one_word(record.threadName)}]")
    place = record.place
    if place.lineno:
        head.append(f"{ntpath.basename(_one_word(place.filename))}:{place.lineno}:")
    head.append(record.message)
    if repeats := describe_repeats(record):
        head.append(f"({repeats})")
    context = _pairs(record.settings.context) if with_context else ""
    parts = [" ".join(head), extra_text(record), context, traceback_text(record), record.stack_info]
    return _LOOKS_LIKE_RECORD.sub("\n    ", clean("\n".join(part for part in parts if part))) + "\n"


def extra_text(record: FrozenRecord) -> str:
    """Return the record's `extra` values as `name=value`, or `""`."""
    return _pairs(record.extra or {})


def ansi_line(record: FrozenRecord) -> str:
    """Return the record as a line for an ANSI code block: time, level in its colour, logger, message, `extra`.

    The line sets only one colour, so that it stays readable in clients that show the codes as they are.
    """
    color = next((code for level, code in _ANSI_COLORS if record.levelno >= level), "")
    level = f"{color}{_one_word(record.levelname)}{_RESET if color else ''}"
    parts = (f"{_one_word(record.name)}:", record.message.strip(), extra_text(record), describe_repeats(record))
    text = f"{first_time(record)} {level} {clean(' '.join(part for part in parts if part))}"
    return break_fences(text).replace("\n", _LINE_BREAK)


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value_line(value)}" for name, value in values.items())


def _exact_time(record: FrozenRecord) -> str:
    seconds = clock_time(record.created, record.utc_offset, "%Y-%m-%d %H:%M:%S")
    return f"{seconds}.{int(record.created % 1 * 1000):03}" if seconds != _NO_TIME else seconds


def _one_word(value: object) -> str:
    """Return `value` as clean text on one line."""
    return clean(on_one_line(to_text(value)))


def one_line(text: str, limit: int) -> str:
    """Return the first line of `text`, cleaned and cut."""
    return shorten(clean(text[: limit * 2]).strip().partition("\n")[0], limit)
