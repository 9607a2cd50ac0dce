"""This module summarises a large backlog: the kinds of records, their counts, times and loggers."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from discord_logging._cards.extra_values import repeats_exception
from discord_logging._cards.plain_text import PREVIEW_LINES, exception_line, one_line, place_text, reader_time
from discord_logging._discord import lengths
from discord_logging._records.settings import nearest_level
from discord_logging._records.values import to_text
from discord_logging._text.markdown import plain, shorten
from discord_logging._text.sanitize import clean, on_one_line

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from discord_logging._discord.types import Embed
    from discord_logging._records.record import FrozenRecord

_MAX_NAMED = 5
"""The largest number of kinds, and of loggers, that the summary names."""
_MAX_LEVELS = 8
"""The largest number of levels that the summary names."""


class _Tally:
    """The number of records of one kind, with the first and the last."""

    __slots__ = ("count", "first", "has_one_text", "last", "text")

    def __init__(self, first: FrozenRecord) -> None:
        self.first = first
        self.last = first
        self.count = 0
        self.text = _text(first)
        self.has_one_text = True

    def add(self, record: FrozenRecord) -> None:
        self.count += record.count
        self.has_one_text = self.has_one_text and _text(record) == self.text and not record.others
        if record.last_created >= self.last.last_created:
            self.last = record


class Summary:
    """The counts of a backlog, taken in one pass."""

    def __init__(self, records: Iterable[FrozenRecord]) -> None:
        self.count = 0
        self.levels: Counter[tuple[int, str]] = Counter()
        self.loggers: Counter[str] = Counter()
        self._kinds: dict[Hashable, _Tally] = {}
        for record in records:
            self.count += record.count
            self.levels[record.levelno, record.levelname] += record.count
            self.loggers[to_text(record.name)] += record.count
            kind = record.kind()
            if kind not in self._kinds:
                self._kinds[kind] = _Tally(record)
            self._kinds[kind].add(record)

    def worst(self) -> list[FrozenRecord]:
        """Return the first record of each severe kind, or else of each kind of the highest level, the worst first."""
        first = [tally.first for tally in self._ranked()]
        least = min(first[0].levelno, logging.ERROR)
        return [record for record in first if record.levelno >= least]

    def _ranked(self) -> list[_Tally]:
        return sorted(self._kinds.values(), key=lambda tally: (-tally.first.levelno, -tally.count))

    def embed(self, first: FrozenRecord, last: FrozenRecord) -> Embed:
        """Return the summary card for a backlog that began with `first` and ended with `last`."""
        settings = first.settings
        levels = sorted(self.levels.items(), reverse=True)
        (top, _), _ = levels[0]
        lines = [" · ".join(f"**{number:,}** {_name(name)}" for (_, name), number in levels[:_MAX_LEVELS])]
        ranked = self._ranked()
        lines += [_kind_line(tally, settings.emojis) for tally in ranked[:_MAX_NAMED]]
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
                {"name": "From", "value": _date_and_time(first.created), "inline": True},
                {"name": "To", "value": _date_and_time(last.last_created), "inline": True},
                {"name": "Loggers", "value": shorten("\n".join(loggers), 400), "inline": True},
            ],
        }

    def preview(self) -> str:
        """Return the lines of the worst kinds as plain text, and a blank line, for the beginning of the file.

        Discord shows the beginning of a text file above the cards. The records themselves follow in their order.
        """
        lines = [_preview_line(tally) for tally in self._ranked()[: PREVIEW_LINES - 1]]
        return "".join(f"{line}\n" for line in (*lines, ""))


def _preview_line(tally: _Tally) -> str:
    record = tally.first
    names = map(_short, (record.levelname, to_text(record.name), place_text(record)))
    head = " ".join((f"×{tally.count:,}", *filter(None, names)))  # noqa: RUF001 - the sign for times
    text = "" if repeats_exception(record) else _shown_text(tally)
    details = " — ".join(filter(None, (text, clean(exception_line(record)))))
    return ": ".join(filter(None, (head, details)))


def _shown_text(tally: _Tally) -> str:
    return ("" if tally.has_one_text else "e.g. ") + one_line(tally.text, 120)


def _kind_line(tally: _Tally, emojis: Mapping[int, str]) -> str:
    record = tally.first
    emoji = nearest_level(emojis, record.levelno)
    text = plain(_shown_text(tally), 165)
    if record.exception:
        text += f" — {_name(record.exception.type_name)}"
    first, last = reader_time(record.created), reader_time(tally.last.last_created)
    times = first if first == last else f"{first}–{last}"  # noqa: RUF001 - a range
    # The colon is part of what is escaped: it makes an emoji of a logger named :fire.
    return f"{emoji} **×{tally.count:,}** {_name(to_text(record.name), ':')} {text} ({times})".strip()  # noqa: RUF001 - the sign for times


def _text(record: FrozenRecord) -> str:
    return record.template or record.logged[:200]


def _name(text: str, end: str = "") -> str:
    return plain(_short(text) + end, 80)


def _short(text: str) -> str:
    return one_line(on_one_line(text[:120]), 60)


def _date_and_time(seconds: float) -> str:
    return " ".join(dict.fromkeys(reader_time(seconds, style) for style in "dT"))


def _span(seconds: float) -> str:
    if not seconds < 1e9:  # noqa: PLR2004 - thirty years: a record that was made by hand may have any time, or NaN
        return ""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f" in {seconds:.0f} s"
    minutes = seconds / 60
    return f" in {minutes:.0f} min" if minutes < 120 else f" in {minutes / 60:.1f} h"  # noqa: PLR2004 - two hours
