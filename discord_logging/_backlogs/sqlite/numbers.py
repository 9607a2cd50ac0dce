"""The numbers of a writer's records that the store has been given, so that none is stored twice."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json

_MAX_GAPS = 1_000
"""How many gaps are remembered; the numbers of older ones count as given."""


class Numbers:
    """A set of whole numbers from 1, almost all up to the last one.

    Threads that log at the same moment may bring a lower number after a higher one, so the gaps are remembered.

    Args:
        last: The highest number of the set.
        gaps: The ranges of lower numbers that are not in the set, as `to_text` returned them.

    Attributes:
        last: The highest number of the set.
    """

    def __init__(self, last: int = 0, gaps: str = "[]") -> None:
        self.last = last
        self._gaps: list[list[int]] = []
        # A damaged file may have other text there.
        with contextlib.suppress(TypeError, ValueError):
            self._gaps = [[int(first), int(end)] for first, end in json.loads(gaps)]

    def __contains__(self, number: int) -> bool:
        return number <= self.last and self._find(number) is None

    def add(self, number: int) -> bool:
        """Add a number, and return whether it is new."""
        if number > self.last:
            if number > self.last + 1:
                self._gaps.append([self.last + 1, number - 1])
            self.last = number
            return True
        index = self._find(number)
        if index is None:
            return False
        first, end = self._gaps[index]
        parts = [first, number - 1], [number + 1, end]
        self._gaps[index : index + 1] = [part for part in parts if part[0] <= part[1]]
        return True

    def to_text(self) -> str:
        """Return the gaps as JSON."""
        return json.dumps(list(itertools.islice(self._gaps, max(len(self._gaps) - _MAX_GAPS, 0), None)))

    def _find(self, number: int) -> int | None:
        """Return the index of the gap in which a number is."""
        index = bisect.bisect_right(self._gaps, [number, self.last]) - 1
        return index if index >= 0 and number <= self._gaps[index][1] else None
