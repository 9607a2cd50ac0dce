"""This module leaves the moment of logging out of a text that is compared, so that repeats are recognised.

Texts that were formatted before they were logged often say when that was. A time that is left out is

- the moment of logging itself, to a second or two, in UTC or in the zone of this process, anywhere in the text;
- the same moment in any other zone, at the beginning of a message, or in a message that is an object, as JSON or as a
  `repr`, behind the name `timestamp`, `time`, `ts` or `asctime`;
- at the beginning of a message, a time with a fraction of a second and without a date;
- a number that is named `uptime` or likewise.

All other times say what a record is about, and stay.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIMIT = 4_000
"""The length of the part of a text that is searched, in characters."""
_LEEWAY = 2.0
"""The longest time from the moment in the text to the making of the record, in seconds."""
_DAY = 86_400
_ZONE_STEP = 900
"""The seconds by whose multiples zones differ."""
_LAST_ZONE = 14 * 3_600
"""The largest difference of a zone from UTC, in seconds."""
_COLONS = 2
"""The number of colons in a time of day."""
_BEGINS_TIME = "{[(0123456789"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = re.compile(
    r"(?:(?<![\w.:/+-])|(?<=[\d\[]m))"  # a colour may end before it
    r"(?:(?P<date>\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/. ](?:\d\d?|[A-Z][a-z]{2})[-/. ]\d{2,4}|[A-Z][a-z]{2} {1,2}\d\d?)"
    r"(?:T|[^\w\n]{1,4}))?"
    r"(?P<hour>\d\d?):(?P<minute>[0-5]\d):(?P<second>[0-6]\d)(?P<fraction>[.,]\d{1,9})?(?P<half> ?[AP]M)?"
    r"(?![\dA-Ya-z_]|:\d|\.\w|-(?!\d\d:?\d\d\b))"
)
_BEGIN = re.compile(r"(?:\x1b\[[\d;]*m|[ \[(<])*(?:\d+ days?, )?")
"""Colours, brackets and days of uptime, which may come before the time at the beginning of a message."""
_CLOCK = re.compile(r"\d:[0-5]\d:[0-6]\d")
_EPOCH = re.compile(r"\d{10}(?:\d{3}){0,3}(?:\.\d+)?(?![\w.])")
"""A number of seconds, milliseconds, microseconds or nanoseconds since 1970."""
_TIME_NAME = "@?_?(?:timestamp|time|ts|asctime)"
_UPTIME_NAME = r"(?:\w+[_.])?uptime(?:_\w+)?|relativeCreated"
_NAMED = re.compile(
    rf"""(?<![\w"'.@-])(?P<quote>["']?)(?:(?P<time>{_TIME_NAME})|(?P<uptime>{_UPTIME_NAME}))(?P=quote)\s?[:=]\s?["']?"""
    r"(?=\d)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:\d+ days?, )?\d+(?:[.:]\d+)*")
_LOGURU_OBJECT = re.compile(r'"(?:elapsed|time)": \{"repr": "[^"]*", "(?:seconds|timestamp)": [\d.]+\}')
_is_time_name = re.compile(_TIME_NAME, re.IGNORECASE).fullmatch
_is_uptime_name = re.compile(_UPTIME_NAME, re.IGNORECASE).fullmatch


def may_have_moment(message: str) -> bool:
    """Tell, quickly, whether `without_moment` has to search a message."""
    has_clock = ":" in message and message.count(":") >= _COLONS
    return has_clock or "=" in message or message[:1] in _BEGINS_TIME


def without_moment(message: str, created: float) -> str:
    """Return the message of a record that was made at `created`, without the time that says when it was logged."""
    is_object = message.startswith("{")
    head, rest = message[:_LIMIT], message[_LIMIT:]
    if is_object:
        head = _LOGURU_OBJECT.sub("", head)
    if is_object or "=" in head:
        head = _cut(head, _named_times(head, created, is_object=is_object))
    begin = _BEGIN.match(head)
    return _cut(head, _times(head, created, begin.end() if begin else None)) + rest


def value_without_moment(name: str, text: str, created: float) -> str:
    """Return an `extra` value, as text, without the time that says when its record was logged."""
    if text[:1].isdecimal():
        if _is_uptime_name(name) and _NUMBER.fullmatch(text):
            return ""
        if _is_time_name(name) and _EPOCH.fullmatch(text):
            return "" if _is_near(float(text), created) else text
    if text.count(":", 0, _LIMIT) < _COLONS:
        return text
    head = text[:_LIMIT]
    head = _cut(head, _named_times(head, created, is_object=False))
    return _cut(head, _times(head, created, None)) + text[_LIMIT:]


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> str:
    kept, end = [], 0
    for start, stop in spans:
        kept.append(text[end:start])
        end = stop
    # A character that no text has keeps the place of what is left out.
    return "\0".join((*kept, text[end:])) if kept else text


def _named_times(text: str, created: float, *, is_object: bool) -> Iterable[tuple[int, int]]:
    for name in _NAMED.finditer(text):
        found = None
        if name["uptime"]:
            found = _NUMBER.match(text, name.end())
        elif epoch := _EPOCH.match(text, name.end()):
            found = epoch if _is_near(float(epoch[0]), created) else None
        elif is_object and (point := _TIME.match(text, name.end())) and _is_stamp(point, created):
            found = point
        if found:
            yield found.span()


def _times(text: str, created: float, start: int | None) -> Iterable[tuple[int, int]]:
    """Yield the spans of the times that say when a record was logged; one at `start` need not be so exact."""
    if (
        start is not None
        and (epoch := _EPOCH.match(text, start))
        and "." in epoch[0]
        and _is_near(float(epoch[0]), created)
    ):
        yield epoch.span()
    for point in _TIME.finditer(text) if _CLOCK.search(text) else ():
        if _is_moment(point, created) or (point.start() == start and _is_stamp(point, created)):
            yield point.span()


def _is_near(number: float, created: float) -> bool:
    """Return whether `number`, in any unit from seconds to nanoseconds, is the time `created`."""
    while number >= 1e11:  # noqa: PLR2004 - the year 5138 in seconds
        number /= 1_000
    return abs(created - number) <= _LEEWAY


def _is_moment(point: re.Match[str], created: float) -> bool:
    try:
        offsets = {0, time.localtime(created).tm_gmtoff}
        return any(_is_at(point, created + offset) for offset in offsets)
    except (OverflowError, OSError, TypeError, ValueError):
        return False  # a record that was made by hand may have any time


def _is_stamp(point: re.Match[str], created: float) -> bool:
    """Return whether a time where records have theirs is the time `created` in any zone, or the time since a start."""
    if not point["date"]:
        return len(point["fraction"] or "") > len(".12")
    try:
        turn, seconds = _time_of_day(point)
        zone = round((seconds - created) % turn / _ZONE_STEP) * _ZONE_STEP
        # Programs speak of whole hours as such, so that these are no sign of a zone.
        return seconds % _ZONE_STEP != 0 and any(
            _is_at(point, created + offset) for offset in range(zone - _DAY, _DAY, turn) if abs(offset) <= _LAST_ZONE
        )
    except (OverflowError, OSError, TypeError, ValueError):
        return False  # as below


def _time_of_day(point: re.Match[str]) -> tuple[int, int]:
    """Return after how many seconds a clock shows the same time again, and for how many it has run by then."""
    seconds = int(point["hour"]) * 3_600 + int(point["minute"]) * 60 + int(point["second"])
    return _DAY // 2 if point["half"] else _DAY, seconds


def _is_at(point: re.Match[str], moment: float) -> bool:
    turn, seconds = _time_of_day(point)
    before = (moment - seconds + _LEEWAY) % turn - _LEEWAY
    if before > _LEEWAY:
        return False
    if not point["date"]:
        return True
    day = time.gmtime(moment - before)
    parts = {
        int(part) if part.isdecimal() else _MONTHS.index(part) + 1
        for part in re.findall(r"\d+|[A-Z]\w+", point["date"])
    }
    return {day.tm_mon, day.tm_mday} <= parts <= {day.tm_year, day.tm_year % 100, day.tm_mon, day.tm_mday}
