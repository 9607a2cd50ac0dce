"""This module describes how an incident goes on, in the few lines that a live card has below its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._cards.plain_text import reader_time
from discord_logging._records.incident import MINUTES
from discord_logging._text.markdown import plain, shorten
from discord_logging._text.numbers import counted
from discord_logging._text.sanitize import on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._records.incident import Incident

ROOM = 400
"""The room for these lines, in characters."""
_BLOCKS = "▁▂▃▄▅▆▇█"
_BARS = 20
"""The number of blocks that show an hour."""
_MAX_HOSTS = 3
"""The largest number of hosts that are named."""
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


def times(number: int) -> str:
    """Return a number of records, as a title shows it."""
    return f"×{number:,}"  # noqa: RUF001 - the sign for times


def describe_progress(incident: Incident) -> str:
    """Return the lines, in small print, with at most `ROOM` characters."""
    lines = [_reference(incident)]
    if incident.count > 1 and (incident.is_quiet or not incident.is_continued):
        lines += [_state(incident), _sources(incident)]
    text = "\n".join(f"-# {line}" for line in lines if line)
    # The hosts come last, and have the longest names.
    return text if len(text) <= ROOM else text.rpartition("\n")[0]


def _reference(incident: Incident) -> str:
    if incident.is_continued:
        return f"➡️ {_link('a newer message', incident.link)} goes on counting"
    if not incident.reason:
        return ""
    first = f" · {_link('first message', incident.link)}" if incident.link else ""
    return f"**{plain(on_one_line(incident.reason), 60)}**{first}"


def _link(text: str, address: str) -> str:
    return f"[{text}]({address})" if address else text


def _state(incident: Incident) -> str:
    span = incident.last - incident.first
    if incident.is_quiet:
        return f"✅ quiet since {reader_time(incident.last, 'R')}, {times(incident.count)} in {span_text(span)}"
    parts = [
        f"since {reader_time(incident.first, 'R')}, last {reader_time(incident.last, 'R')}",
        _rate(incident),
        f"`{_bar(incident.minutes)}` last hour" if span >= 2 * _MINUTE and any(incident.minutes) else "",
        f"{incident.unsure:,} may be counted twice" if incident.unsure else "",
        f"{incident.untold:,} not in the file" if incident.untold else "",
    ]
    return " · ".join(part for part in parts if part)


def _rate(incident: Incident) -> str:
    if incident.rate >= 1:
        return f"{incident.rate:,.0f}/min"
    an_hour = sum(incident.minutes)
    return f"{an_hour:,}/h" if incident.last - incident.first >= _HOUR else ""


def _bar(minutes: Sequence[int]) -> str:
    """Return the last hour as blocks, of which the highest stands for the most records."""
    size = MINUTES // _BARS
    sums = [sum(minutes[begin : begin + size]) for begin in range(0, size * _BARS, size)]
    most = max(*sums, 1)
    return "".join(_BLOCKS[-(-number * (len(_BLOCKS) - 1) // most)] for number in sums)


def _sources(incident: Incident) -> str:
    """Return the hosts with their processes, if there is more than one process."""
    hosts = sorted(incident.sources.items(), key=lambda each: -len(each[1]))
    if sum(len(pids) for _, pids in hosts) <= 1:
        return ""
    named = [f"{_host(name)}: {len(pids)} process{'es' if len(pids) > 1 else ''}" for name, pids in hosts]
    rest = len(hosts) - _MAX_HOSTS
    return " · ".join([*named[:_MAX_HOSTS], *([f"{counted(rest, 'further host')}"] if rest > 0 else [])])


def _host(name: str) -> str:
    # A cut by `plain` would say how long the name is, in more room than the name has.
    return shorten(plain(on_one_line(name), 1_000, keep_links=False), 40)


def span_text(seconds: float) -> str:
    """Return a time such as `38 min`."""
    for unit, name, least in ((_DAY, "d", 2 * _DAY), (_HOUR, "h", 2 * _HOUR), (_MINUTE, "min", 2 * _MINUTE)):
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0.0):.0f} s"
