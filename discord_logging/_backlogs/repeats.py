"""Records that say the same, folded into one entry.

The first of its kind goes out at once. A repeat that comes while it still waits is counted on it. A repeat that comes
later is held back, as one entry that counts, and released when `window` seconds have passed since the first went out.
However many there are, one entry of a kind is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from discord_logging._backlogs.entry import Entry

_MAX_KINDS = 500
"""The number of kinds that are remembered; the one that was not seen for the longest time is forgotten first."""
_LARGE = 16_384
"""The size from which on a record is not worth remembering, in bytes."""


class Repeats:
    """Remembers which entry stands for its kind. Not thread-safe.

    Args:
        window: Seconds for which repeats are held back; 0 folds nothing.
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self._standing: dict[Hashable, Entry] = {}
        self._held: dict[Entry, float] = {}  # with the time at which it is due

    def fold(self, entry: Entry, now: float) -> bool:
        """Return whether `entry` was counted on another or is held back; else it is to go its way."""
        if not self.window or entry.record.size > _LARGE:
            return False
        kind = entry.record.fingerprint()
        standing = self._standing.pop(kind, None)
        is_repeat = False
        if standing is not None:
            leased_at = standing.leased_at
            is_repeat = leased_at is None or now < leased_at + self.window
            if leased_at is None:
                standing.fold(entry)
                entry = standing
            elif is_repeat:
                self._held[entry] = leased_at + self.window
        self._forget_oldest()
        self._standing[kind] = entry
        return is_repeat

    def _forget_oldest(self) -> None:
        while len(self._standing) >= _MAX_KINDS:
            forgotten = self._standing.pop(next(iter(self._standing)))
            if forgotten in self._held:
                # Held back any longer, there would be more of them than kinds.
                self._held[forgotten] = float("-inf")

    @property
    def held(self) -> list[Entry]:
        """The entries that are held back."""
        return list(self._held)

    @property
    def due_at(self) -> float:
        """When the next entry that is held back is due, on the monotonic clock; infinity if there is none."""
        # Read by the listener without a lock, and others may fold meanwhile.
        return min(list(self._held.values()), default=float("inf"))

    def release(self, now: float) -> Iterator[Entry]:
        """Yield the entries that are due; they are not held back any more."""
        for entry, due_at in list(self._held.items()):
            # A signal handler may have flushed between two of them.
            if due_at <= now and self._held.pop(entry, None) is not None:
                yield entry
