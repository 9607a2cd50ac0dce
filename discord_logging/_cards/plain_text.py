"""This module turns a frozen record into text: the whole record for a file, or one line for a block of lines."""

from __future__ import annotations

import math
import ntpath
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from discord_logging._cards.extra_values import repeats_exception, shown_values
from discord_logging._cards.traceback_text import format_exception, headline
from discord_logging._process.gil import yield_gil_between
from discord_logging._records.values import to_text, value_line
from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.markdown import ELLIPSIS, break_fences, shorten
from discord_logging._text.sanitize import clean, on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from discord_logging._records.record import FrozenRecord

_RESET = "\x1b[0m"
_ANSI_COLORS = ((50, "\x1b[1;31m"), (40, "\x1b[31m"), (30, "\x1b[33m"))
_LINE_BREAK = "\n         "
_LOOKS_LIKE_RECORD = lazy_pattern(r"\n(?=[^\w\n]{0,40}(?:\d{4}-\d\d-\d\d|--:--:--))")
_MAX_HEADLINE = 120
"""The longest exception on one line, in characters."""
PREVIEW_LINES = 6
"""The number of lines of a file that a message shows above its cards."""
_PORTION = 10_000
"""The number of characters that are searched at once, so that other threads get their turn."""
_NO_TIME = "--:--:--"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def to_datetime(created: float, zone: timezone) -> datetime | None:
    """Return the time `created` in `zone`, or `None` if it is not a valid time."""
    try:
        # `datetime.fromtimestamp` refuses times before 1970 on Windows.
        return (_EPOCH + timedelta(seconds=created)).astimezone(zone)
    except (OverflowError, TypeError, ValueError):
        return None


def reader_time(created: float, style: str = "T") -> str:
    """Return a time that Discord shows in the reader's zone; not for titles, footers and code blocks.

    The styles are at https://docs.discord.com/developers/reference#message-formatting-timestamp-styles.
    """
    return f"<t:{math.floor(created)}:{style}>" if to_datetime(created, timezone.utc) else _NO_TIME


def clock_time(created: float, zone: timezone) -> str:
    """Return the time of day in `zone`, for a text that names the zone."""
    moment = to_datetime(created, zone)
    return moment.strftime("%H:%M:%S") if moment else _NO_TIME


def exact_time(created: float, zone: timezone) -> str:
    """Return date, time and offset from UTC as in ISO 8601."""
    moment = to_datetime(created, zone)
    return moment.isoformat(timespec="milliseconds") if moment else _NO_TIME


def describe_repeats(record: FrozenRecord, show_time: Callable[[float], str] = reader_time) -> str:
    """Return the number and the times of the repeats, or `""` for a record that came once."""
    if record.count == 1:
        return ""
    first, last = show_time(record.created), show_time(record.last_created)
    return f"×{record.count:,}, first {first}, last {last}"  # noqa: RUF001 - the sign for times


def has_traceback(record: FrozenRecord) -> bool:
    """Tell whether the record has an exception or a stack besides its message."""
    return bool(record.exception or record.exc_text or record.stack_info)


def traceback_text(record: FrozenRecord) -> str:
    """Return the text of the record's exception, or `""`."""
    return record.mask(format_exception(record.exception)) if record.exception else record.exc_text or ""


def exception_line(record: FrozenRecord) -> str:
    """Return type and text of the record's exception on one line, or `""`; the end of a long text is left out."""
    if not record.exception:
        return ""
    # A secret may be recognised by the line above it, so the text is masked before it becomes one line.
    text = " ".join(record.mask(headline(record.exception)).split())
    return text if len(text) <= _MAX_HEADLINE else text[: _MAX_HEADLINE - 1] + ELLIPSIS


def place_text(record: FrozenRecord) -> str:
    """Return the file and the line of the record's place, or `""` for a line that another program wrote."""
    place = record.place
    return f"{ntpath.basename(_one_word(place.filename))}:{place.lineno}" if place.lineno else ""


def full_text(record: FrozenRecord, zone: timezone | None = None, *, for_card: bool = False) -> str:
    """Return the whole record: a line that begins with time, level and logger, then all other parts.

    Lines of a text that begin as a record does are indented.

    Args:
        record: The record.
        zone: The zone of its times; `None` stands for that of its process.
        for_card: Whether the text is that of a card. It has the handler's context then, which is the same for all its
            records, and names an exception above its traceback if that ends below the preview of the file.
    """
    shown_in = zone or record.zone
    head = [exact_time(record.created, shown_in), _one_word(record.levelname), _one_word(record.name)]
    # A line that another program wrote has neither a thread nor a line number.
    if record.threadName:
        head.append(f"[{_one_word(record.threadName)}]")
    if place := place_text(record):
        head.append(f"{place}:")
    head.append(record.message)
    if repeats := describe_repeats(record, lambda seconds: exact_time(seconds, shown_in)):
        head.append(f"({repeats})")
    context = _pairs(record.settings.context) if for_card else ""
    traceback = traceback_text(record)
    is_far = for_card and traceback.count("\n") >= PREVIEW_LINES - 1 and not repeats_exception(record)
    error = exception_line(record) if is_far else ""
    parts = [" ".join(head), error, extra_text(record), context, traceback, record.stack_info]
    portions = yield_gil_between(_portions(clean("\n".join(part for part in parts if part))))
    return "".join(_LOOKS_LIKE_RECORD.sub("\n    ", portion) for portion in portions) + "\n"


def _portions(text: str) -> Iterator[str]:
    """Yield a text in portions, each of which ends before a line feed."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PORTION)
        end = end if end >= 0 else len(text)
        yield text[start:end]
        start = end


def extra_text(record: FrozenRecord) -> str:
    """Return the record's `extra` values as `name=value`, or `""`."""
    return _pairs(record.extra or {})


def ansi_line(record: FrozenRecord, zone: timezone) -> str:
    """Return the record as a line for an ANSI code block: time, level in its colour, logger, message, `extra`.

    The times are in `zone`, which the line does not name.

    Phones show the codes as they are, so the level is a word, has the only colour, and has none below `WARNING`.
    """
    color = next((code for level, code in _ANSI_COLORS if record.levelno >= level), "")
    level = f"{color}{_one_word(record.levelname)}{_RESET if color else ''}"
    repeats = describe_repeats(record, lambda seconds: clock_time(seconds, zone))
    parts = (f"{_one_word(record.name)}:", record.message.strip(), _pairs(shown_values(record)), repeats)
    text = f"{clock_time(record.created, zone)} {level} {clean(' '.join(part for part in parts if part))}"
    return break_fences(text).replace("\n", _LINE_BREAK)


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value_line(value)}" for name, value in values.items())


def _one_word(value: object) -> str:
    """Return `value` as clean text on one line."""
    return clean(on_one_line(to_text(value)))


def one_line(text: str, limit: int) -> str:
    """Return the first line of `text`, cleaned and cut."""
    return shorten(clean(text[: limit * 2]).strip().partition("\n")[0], limit)
