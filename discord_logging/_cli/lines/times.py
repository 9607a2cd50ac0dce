"""The common formats of times in logs."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TIME = (
    r"(?:(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]"
    rf"|(?P<month_name>{'|'.join(_MONTHS)}) {{1,2}}(?P<month_day>\d{{1,2}}) )?"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?P<fraction>[.,]\d{1,9})?"
    r"(?: ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d))?(?!\w|:\d)"
)
"""A pattern for a time with or without a date; `read_time` takes the match."""
_WHOLE = re.compile(TIME, re.ASCII)
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Pairs of the smallest number that counts in a unit below seconds, and the number of such units in a second."""
_TOMORROW = timedelta(days=1)


def read_time(match: re.Match[str]) -> float | None:
    """Return the time that `TIME` matched, in seconds since the epoch, or `None` if the time does not exist.

    A time without a zone is in this machine's zone. A date without a year is the latest such date that is not in the
    future, and a time without a date is a time of today.
    """
    found = match.groupdict()
    now = datetime.now()  # noqa: DTZ005 - a log without a zone has this machine's
    try:
        if found["year"]:
            day = int(found["year"]), int(found["month"]), int(found["day"])
        elif found["month_name"]:
            day = now.year, _MONTHS.index(found["month_name"]) + 1, int(found["month_day"])
        else:
            day = now.year, now.month, now.day
        moment = datetime(*day, int(found["hour"]), int(found["minute"]), int(found["second"]))  # noqa: DTZ001 - as above
        if found["month_name"] and moment > now + _TOMORROW:
            moment = moment.replace(year=now.year - 1)
        fraction = float("0" + found["fraction"].replace(",", ".")) if found["fraction"] else 0.0
        return moment.replace(tzinfo=_read_zone(found["zone"])).timestamp() + fraction
    except (OSError, OverflowError, ValueError):
        return None


def read_any_time(value: object) -> float | None:
    """Return the time that a text or a number of seconds, milli-, micro- or nanoseconds stands for, or `None`."""
    if isinstance(value, str):
        match = _WHOLE.fullmatch(value.strip())
        return read_time(match) if match else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e20:  # noqa: PLR2004 - far beyond any year
        return None
    seconds = next((value / unit for least, unit in _UNITS if value >= least), float(value))
    return seconds if math.isfinite(seconds) else None


def _read_zone(zone: str | None) -> timezone | None:
    if zone is None:
        return None
    if zone in ("Z", "UTC"):
        return timezone.utc
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return timezone(-offset if zone[0] == "-" else offset)
