"""This module has the books of an incident: how often, when and where records of one kind were logged."""

from __future__ import annotations

import time
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTES = 60
"""The number of minutes that are told apart."""
_MINUTE = 60.0
_MAX_SOURCES = 100
"""The largest number of processes that are told apart."""
_END_OF_TIME = 1e11
"""A time that no clock shows, in seconds since the epoch."""
_RATED = 5
"""The number of minutes of which `rate` is the mean."""


class Incident(NamedTuple):
    """The records of one kind, as their card shows them.

    Attributes:
        count: The number of records.
        first: The time at which the first of them was logged, in seconds since the epoch.
        last: The time at which the last of them was logged, likewise.
        minutes: The number of records in each of the 60 minutes that end with the one of `last`, oldest first.
        sources: The ids of the processes that logged them, by host; of 100 processes at most.
        is_quiet: Whether the handler's `quiet_after` has passed since the last record.
        unsure: The number of records that may be counted twice, since it is unclear whether a message arrived.
        untold: The number of records whose texts had no room in the file.
        reason: The reason for a further message, such as `"again after 2 h"`, or `""`.
        is_continued: Whether a newer message goes on counting.
        link: The address of that message, or of the first one if this is a further one; `""` if it is unknown.
    """

    count: int  # type: ignore[assignment]  # no tuple of numbers is searched
    first: float
    last: float
    minutes: tuple[int, ...] = ()
    sources: Mapping[str, tuple[int | None, ...]] = MappingProxyType({})
    is_quiet: bool = False
    unsure: int = 0
    untold: int = 0
    reason: str = ""
    is_continued: bool = False
    link: str = ""

    @property
    def rate(self) -> float:
        """The number of records a minute, as a mean of the last five minutes, or of those since the first record."""
        since = (self.last - self.first) / _MINUTE
        return sum(self.minutes[-_RATED:]) / min(max(since, 1.0), float(_RATED))


class Books:
    """The numbers of an incident, or of those of its records that wait. Cheap, since each record is counted here."""

    __slots__ = ("count", "first", "last", "minutes", "sources", "unsure", "untold")

    def __init__(self) -> None:
        self.count = self.unsure = self.untold = 0
        self.first, self.last = float("inf"), float("-inf")
        self.minutes: Counter[int] = Counter()
        self.sources: Counter[tuple[str, int | None]] = Counter()

    def add(self, created: float, source: tuple[str, int | None], number: int = 1, *, is_repeat: bool = False) -> None:
        """Count records that one process has logged at one time."""
        if not 0 < created < _END_OF_TIME:  # a record that was made by hand may have any
            created = self.last if self.count else time.time()
        self.count += number
        if is_repeat:
            self.unsure += number
        if created < self.first:  # noqa: PLR1730 - `min` takes thrice as long
            self.first = created
        if created > self.last:  # noqa: PLR1730 - likewise
            self.last = created
        self.minutes[int(created // _MINUTE)] += number
        if len(self.minutes) > 2 * MINUTES:
            self._forget_old()
        if source in self.sources or len(self.sources) < _MAX_SOURCES:
            self.sources[source] += number

    def merge(self, other: Books) -> None:
        """Count the records of other books as well."""
        if not other.count:
            return
        self.count += other.count
        self.unsure += other.unsure
        self.untold += other.untold
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.minutes += other.minutes
        self._forget_old()
        for source, number in other.sources.items():
            if source in self.sources or len(self.sources) < _MAX_SOURCES:
                self.sources[source] += number

    def _forget_old(self) -> None:
        oldest = int(self.last // _MINUTE) - MINUTES
        self.minutes = Counter({minute: number for minute, number in self.minutes.items() if minute > oldest})

    def plus(self, other: Books) -> Books:
        """Return books with the records of both."""
        both = Books()
        both.merge(self)
        both.merge(other)
        return both

    def incident(self, **facts: Any) -> Incident:
        """Return the numbers, with further facts of an incident."""
        newest = int(self.last // _MINUTE)
        minutes = tuple(self.minutes[minute] for minute in range(newest - MINUTES + 1, newest + 1))
        hosts: dict[str, tuple[int | None, ...]] = {}
        for host, pid in self.sources:
            hosts[host] = (*hosts.get(host, ()), pid)
        return Incident(
            self.count, self.first, self.last, minutes, hosts, unsure=self.unsure, untold=self.untold, **facts
        )
