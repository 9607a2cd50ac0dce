"""This module folds records that say the same into one entry.

The first record of a kind may leave at once. A repeat that comes while the first still waits is counted on it. Later
repeats are held as one entry, which counts them, until `window` seconds have passed since the first left the queue.
However many repeats come, one entry per kind is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

    from discord_logging._backlogs.entry import Entry
    from discord_logging._cards.live import LiveCard

_MAX_KINDS = 500
"""The largest number of remembered kinds. The kind that was not seen for the longest time is forgotten first."""
_MAX_SIZE = 16_384
"""The largest size of a record that is remembered, in bytes."""


class Repeats:
    """Remembers the entry that stands for each kind. Not thread-safe.

    Args:
        window: The seconds for which repeats are held; 0 folds nothing.
    """

    def __init__(self, window: float = 0.0) -> None:
        self.window = window
        self._standing: dict[Hashable, Entry] = {}
        self._held: dict[Entry, float] = {}  # each with the time at which it is due

    def configure(self, window: float, quiet_after: float, max_bytes: int) -> None:  # noqa: ARG002 - for live cards
        """Apply new settings.

        Args:
            window: The seconds for which repeats of a record without a live card are held.
            quiet_after: The seconds without a record after which an incident is quiet.
            max_bytes: The largest size of all records that wait, in bytes. The texts that wait have a part of it.
        """
        self.window = window

    def fold(self, entry: Entry, now: float) -> bool:
        """Return whether `entry` was counted on another entry or is held. If not, the caller enqueues it."""
        if not self.window or entry.size > _MAX_SIZE:
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
                # The entry is due now, so that no more entries are held than kinds are remembered.
                self._held[forgotten] = float("-inf")

    @property
    def held(self) -> list[Entry]:
        """The held entries."""
        return list(self._held)

    def remove(self, entries: Iterable[Entry]) -> None:
        """Hold entries no longer."""
        for entry in entries:
            self._held.pop(entry, None)

    @property
    def due_at(self) -> float:
        """The time at which the next held entry is due, on the monotonic clock; infinity without one."""
        # The listener reads this without a lock, and other threads may fold meanwhile.
        return min(map(self._due_at, list(self._held)), default=float("inf"))

    def _due_at(self, entry: Entry) -> float:
        return self._held.get(entry, float("inf"))

    def release(self, now: float) -> Iterator[Entry]:
        """Yield the entries that are due, and hold them no longer."""
        for entry in list(self._held):
            # A signal handler may have flushed between two entries.
            if self._due_at(entry) <= now and self._held.pop(entry, None) is not None:
                self.aim(entry)
                yield entry

    # Without live cards, nobody need know more of the entries

    def aim(self, entry: Entry) -> None:
        """Decide whether an entry edits a live card, or posts another one."""

    def leased(self, entries: Iterable[Entry], now: float) -> None:
        """Note that entries are in flight."""

    def returned(self, entries: Iterable[Entry]) -> None:
        """Note that entries which were in flight wait again."""

    def dropped(self, entries: Iterable[Entry]) -> None:
        """Note that entries are dropped, of which some were in flight."""

    def delivered(self, entries: Collection[Entry], cards: Mapping[Entry, LiveCard], now: float) -> list[Entry]:  # noqa: ARG002 - as said
        """Note that entries are delivered by one message, and return those that wait and are to edit it.

        Args:
            entries: The entries.
            cards: The live cards of those that have one.
            now: The monotonic time.
        """
        return []

    def export(self, boot: float) -> list[dict[str, Any]]:  # noqa: ARG002 - as said
        """Return the most recent incidents as data that JSON keeps.

        Args:
            boot: When the monotonic clock began, on the wall clock.
        """
        return []

    def restore(self, data: Any, boot: float) -> None:
        """Go on with the incidents of an earlier process, in place of those of this one."""
