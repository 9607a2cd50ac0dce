"""Records that say the same, folded into one.

The first of its kind goes out at once. What repeats it while it still waits is counted on it. What repeats it later is
held back, as one record that counts, and told when `window` seconds have passed since the first went out. However many
there are, one record of a kind is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from discord_logging._records.freeze import FrozenRecord

_KINDS = 500
"""How many kinds are remembered; that which was not seen the longest is forgotten first."""
_LARGE = 16_384
"""From how many bytes on a record is not worth remembering."""


class Repeats:
    """Remembers which record stands for its kind. Not thread-safe.

    Args:
        window: Seconds for which repeats are held back; 0 folds nothing.
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self._standing: dict[Hashable, FrozenRecord] = {}
        self._held: dict[int, tuple[float, FrozenRecord]] = {}  # by the record's id

    def fold(self, record: FrozenRecord, now: float) -> bool:
        """Return whether `record` was counted on another or is held back; else it is to go its way."""
        if not self.window or record.size > _LARGE:
            return False
        kind = record.fingerprint()
        standing = self._standing.pop(kind, None)
        is_repeat = False
        if standing is not None:
            taken_at = standing.taken_at
            is_repeat = taken_at is None or now < taken_at + self.window
            if taken_at is None:
                standing.count += record.count
                standing.last_created = record.last_created
                record = standing
            elif is_repeat:
                self._held[id(record)] = taken_at + self.window, record
        self._forget_oldest()
        self._standing[kind] = record
        return is_repeat

    def _forget_oldest(self) -> None:
        while len(self._standing) >= _KINDS:
            forgotten = self._standing.pop(next(iter(self._standing)))
            if id(forgotten) in self._held:
                # Held back any longer, there would be more of them than kinds.
                self._held[id(forgotten)] = float("-inf"), forgotten

    @property
    def held(self) -> list[FrozenRecord]:
        """Those that are held back."""
        return [record for _, record in self._held.values()]

    @property
    def due_at(self) -> float:
        """When the next of those held back is due, on the monotonic clock."""
        # Read by the listener without a lock, and others may fold meanwhile.
        return min((due_at for due_at, _ in list(self._held.values())), default=float("inf"))

    def release(self, now: float) -> Iterator[FrozenRecord]:
        """Yield those that are due; they are not held back any more."""
        for due_at, record in list(self._held.values()):
            # A signal handler may have flushed between two of them.
            if due_at <= now and self._held.pop(id(record), None) is not None:
                yield record
