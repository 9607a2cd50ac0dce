"""This module decides how urgent a record is, by comparison with the records before it."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from discord_logging._discord.pace import Urgency

if TYPE_CHECKING:
    from discord_logging._records.record import FrozenRecord

_MAX_KINDS = 500
"""The largest number of remembered kinds. The kind that was not seen for the longest time is forgotten first."""
_KIND_MEMORY = 3_600.0
"""The time after which a kind that was not seen is new again, in seconds."""
_LEVEL_MEMORY = 60.0
"""The time for which the level of a record is remembered, in seconds."""
_MAX_LEVELS = 100
"""The largest number of remembered levels."""


class Triage:
    """Decides how urgent records are. Not thread-safe."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}  # by the hash of the kind, since its template may be large
        # The levels fall from the first to the last, and the times rise.
        self._levels: deque[tuple[int, float]] = deque(maxlen=_MAX_LEVELS)

    def rate(self, record: FrozenRecord, now: float) -> Urgency:
        """Return the urgency of `record`, which came at the monotonic time `now`."""
        level = record.levelno
        is_rise = self._is_rise(level, now)
        if level >= logging.CRITICAL:
            return Urgency.ALARM
        is_new = level >= logging.ERROR and self._is_new(hash(record.kind()), now)
        return Urgency.NEWS if is_new or (is_rise and level >= logging.WARNING) else Urgency.ROUTINE

    def _is_rise(self, level: int, now: float) -> bool:
        levels = self._levels
        while levels and levels[0][1] <= now - _LEVEL_MEMORY:
            levels.popleft()
        while levels and levels[-1][0] < level:
            levels.pop()
        is_rise = not levels
        if levels and levels[-1][0] == level:
            levels.pop()
        levels.append((level, now))
        return is_rise

    def _is_new(self, kind: int, now: float) -> bool:
        seen = self._seen
        is_new = seen.pop(kind, -_KIND_MEMORY) <= now - _KIND_MEMORY
        if len(seen) >= _MAX_KINDS:
            del seen[next(iter(seen))]
        seen[kind] = now
        return is_new
