"""This module summarises a large backlog: the kinds of records, their counts, times and loggers."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._cards.plain_text import first_time, last_time, one_line
from discord_logging._discord import lengths
from discord_logging._records.settings import nearest_level
from discord_logging._records.values import to_text
from discord_logging._text.markdown import plain, shorten
from discord_logging._text.sanitize import clean, on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from discord_logging._discord.types import Embed
    from discord_logging._records.record import FrozenRecord

_MAX_NAMED = 5
"""The largest number of kinds, and of loggers, that the summary names."""
_MAX_LEVELS = 8
"""The largest number of levels that the summary names."""


class Kind(NamedTuple):
    """The key of records about the same thing, which may differ in their arguments."""

    levelno: int
    name: str
    template: str
    exception: str


class _Tally:
    """The number of records of one kind, with the first and the last."""

    __slots__ = ("count", "first", "last")

    def __init__(self, first: FrozenRecord) -> None:
        self.first = first
        self.last = first
        self.count = 0

    def add(self, record: FrozenRecord) -> None:
        self.count += record.count
        if record.last_created >= self.last.last_created:
            self.last = record


class Summary:
    """The counts of a backlog, taken in one pass."""

    def __init__(self, records: Iterable[FrozenRecord]) -> None:
        self.count = 0
        self.levels: Counter[tuple[int, str]] = Counter()
        self.loggers: Counter[str] = Counter()
        self._kinds: dict[Kind, _Tally] = {}
        for record in records:
            self.count += record.count
            self.levels[record.levelno, record.levelname] += record.count
            self.loggers[to_text(record.name)] += record.count
            kind = kind_of(record)
            if kind not in self._kinds:
                self._kinds[kind] = _Tally(record)
            self._kinds[kind].add(record)

    def worst(self) -> list[FrozenRecord]:
        """Return the first record of each severe kind, or else of each kind of the highest level, the worst first."""
        least = min(max(kind.levelno for kind in self._kinds), logging.ERROR)
        return [tally.first for kind, tally in self._ranked() if kind.levelno >= least]

    def _ranked(self) -> list[tuple[Kind, _Tally]]:
        return sorted(self._kinds.items(), key=lambda item: (-item[0].levelno, -item[1].count))

    def embed(self, first: FrozenRecord, last: FrozenRecord) -> Embed:
        """Return the summary card for a backlog that began with `first` and ended with `last`."""
        settings = first.settings
        levels = sorted(self.levels.items(), reverse=True)
        (top, _), _ = levels[0]
        lines = [" · ".join(f"**{number:,}** {_name(name)}" for (_, name), number in levels[:_MAX_LEVELS])]
        ranked = self._ranked()
        lines += [self._kind_line(kind, tally, settings.emojis) for kind, tally in ranked[:_MAX_NAMED]]
        if len(ranked) > _MAX_NAMED:
            lines.append(f"-# and {len(ranked) - _MAX_NAMED:,} other kinds; every record is in the attached file")
        else:
            lines.append("-# every record is in the attached file")
        span = _span(max(last.last_created - first.created, 0.0))
        loggers = [f"{number:,} {_name(name)}" for name, number in self.loggers.most_common(_MAX_NAMED)]
        return {
            "title": shorten(
                clean(f"{nearest_level(settings.emojis, top)} {self.count:,} records{span}").strip(), lengths.TITLE
            ),
            "description": shorten(clean("\n".join(lines)), lengths.DESCRIPTION // 2),
            "color": int(nearest_level(settings.colors, top)),
            "fields": [
                {"name": "From", "value": first_time(first), "inline": True},
                {"name": "To", "value": last_time(last), "inline": True},
                {"name": "Loggers", "value": shorten("\n".join(loggers), 400), "inline": True},
            ],
        }

    def _kind_line(self, kind: Kind, tally: _Tally, emojis: Mapping[int, str]) -> str:
        emoji = nearest_level(emojis, kind.levelno)
        text = plain(one_line(kind.template, 120), 160)
        if kind.exception:
            text += f" — {_name(kind.exception)}"
        first, last = first_time(tally.first), last_time(tally.last)
        times = first if first == last else f"{first}–{last}"  # noqa: RUF001 - a range
        # The colon is part of what is escaped: it makes an emoji of a logger named :fire.
        return f"{emoji} **×{tally.count:,}** {_name(kind.name, ':')} {text} ({times})".strip()  # noqa: RUF001 - the sign for times


def kind_of(record: FrozenRecord) -> Kind:
    """Return the kind of `record`."""
    exception = record.exception.type_name if record.exception else ""
    return Kind(record.levelno, to_text(record.name), record.template or record.message[:200], exception)


def _name(text: str, end: str = "") -> str:
    return plain(one_line(on_one_line(text[:120]), 60) + end, 80)


def _span(seconds: float) -> str:
    if not seconds < 1e9:  # noqa: PLR2004 - thirty years: a record that was made by hand may have any time, or NaN
        return ""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f" in {seconds:.0f} s"
    minutes = seconds / 60
    return f" in {minutes:.0f} min" if minutes < 120 else f" in {minutes / 60:.1f} h"  # noqa: PLR2004 - two hours
