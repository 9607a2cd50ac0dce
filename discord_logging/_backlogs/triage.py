"""How much it matters that a record is told soon, by those that came before it."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from discord_logging._discord.pace import Urgency

if TYPE_CHECKING:
    from discord_logging._records.record import FrozenRecord

_MAX_KINDS = 500
"""How many kinds are remembered; that which was not seen the longest is forgotten first."""
_KNOWN = 3_600.0
"""Seconds after which a kind that was not seen is new again."""
_RECENT = 60.0
"""Seconds within which a record may be more severe than all before it."""
_MAX_LEVELS = 100


class Triage:
    """Tells how urgent records are, by those that came before. Not thread-safe."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}  # by the hash of the kind, whose template may be large
        # Each is above those behind it, which came later: the first is the highest.
        self._levels: deque[tuple[int, float]] = deque(maxlen=_MAX_LEVELS)

    def rate(self, record: FrozenRecord, now: float) -> Urgency:
        """Return how urgent `record` is, which came at the monotonic time `now`."""
        level = record.levelno
        is_rise = self._is_rise(level, now)
        if level >= logging.CRITICAL:
            return Urgency.ALARM
        is_new = level >= logging.ERROR and self._is_new(hash(record.kind()), now)
        return Urgency.NEWS if is_new or (is_rise and level >= logging.WARNING) else Urgency.ROUTINE

    def _is_rise(self, level: int, now: float) -> bool:
        levels = self._levels
        while levels and levels[0][1] <= now - _RECENT:
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
        is_new = seen.pop(kind, -_KNOWN) <= now - _KNOWN
        if len(seen) >= _MAX_KINDS:
            del seen[next(iter(seen))]
        seen[kind] = now
        return is_new
