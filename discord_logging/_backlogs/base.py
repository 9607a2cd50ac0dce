"""The contract of a backlog: all that handlers, the listener and the delivery know of the place where records wait.

Each accepted record is delivered, pending or dropped, at every moment. Records that say the same may be folded into one
entry, which counts for all of them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Collection

    from discord_logging._backlogs.entry import Entry
    from discord_logging._discord.pace import Waiting
    from discord_logging._health import DropReason


class Backlog(Protocol):
    """The records of one webhook that wait to be delivered.

    Attributes:
        wake_listener: Called on a caller's thread when a record comes while the listener sleeps, or before it was
            started. Returns whether the listener is awake now. The listener sets it.
        dropped: How many records were dropped, by reason and name of the level.
        leased: The entries that are in flight.
        lost: How many records were dropped in all.
        pending: How many records wait or are in flight: never too few. Takes no lock.
        is_ready: Whether `peek` would find something. Takes no lock.
    """

    wake_listener: Callable[[], bool]
    dropped: Counter[tuple[DropReason, str]]

    @property
    def leased(self) -> Collection[Entry]: ...

    @property
    def lost(self) -> int: ...

    @property
    def pending(self) -> int: ...

    @property
    def is_ready(self) -> bool: ...

    # Callers of `logging`, on any thread, in signal handlers and in `__del__`

    def put(self, frozen: tuple[Any, ...]) -> None:
        """Accept a record as `freeze` returned it. Waits for nobody."""

    def refuse(self, levelname: str, reason: DropReason) -> None:
        """Count a record that could not be accepted. Waits for nobody."""

    # The delivery, on the listener's thread

    def peek(self) -> Waiting:
        """Take in the records that came, and return how many entries wait, how urgent they are, and for how long."""

    def lease(
        self, limit: int = sys.maxsize, *, only: Collection[Entry] | None = None, without: Collection[Entry] = ()
    ) -> list[Entry]:
        """Return the oldest entries, which are in flight from here on, until they come back by one of the next three.

        There are no more of them than a message could carry, but in any case one of the most urgent.

        Args:
            limit: The largest number of entries.
            only: The entries to choose from, if they still wait; `None` is all.
            without: Entries to leave where they are.
        """

    def ack(self, entries: Collection[Entry], message_id: str | None = None) -> None:
        """Count leased entries as delivered, by the message with that id."""

    def requeue(self, entries: Collection[Entry], *, maybe_saved: bool = False) -> None:
        """Return leased entries to their positions; `maybe_saved` is whether they may stand in the channel already."""

    def drop(self, reason: DropReason, entries: Collection[Entry] | None = None) -> None:
        """Count leased entries as dropped; `None` is all that are leased, and all that wait."""

    # The listener and those who flush

    def wait_for_record(self) -> None:
        """Block until a record waits or `wake` is called."""

    def wait(self, timeout: float | None) -> None:
        """Block until `wake` is called, or for `timeout` seconds; `None` is without end."""

    def wake(self) -> None:
        """End the listener's wait."""

    def wait_until_settled(self, deadline: float, give_up: Callable[[], bool]) -> bool:
        """Block until all that was accepted so far is delivered or dropped, and hold no repeat back any longer.

        Args:
            deadline: When to give up, on the monotonic clock.
            give_up: Asked after each change whether waiting is of no use.

        Returns:
            Whether all of it is delivered or dropped.
        """

    def notify_waiters(self) -> None:
        """Make those who wait until all is settled look again."""

    def release(self) -> None:
        """Take in all that came, and hold no repeat back any longer."""

    def count(self) -> dict[str, int]:
        """Return how many records were `accepted` and `delivered`, are `pending`, and were `dropped`, in one moment."""

    def oldest_age(self) -> float:
        """Return for how many seconds the oldest record waits or is in flight, those held back left out.

        0.0 if no record does, or if the lock cannot be had.
        """

    def is_busy_in_this_thread(self) -> bool:
        """Tell whether this very thread, below a signal handler, is in the midst of a change of the books."""

    # Its life

    def configure(self, max_records: int, max_bytes: int, repeat_window: float) -> None:
        """Take over new bounds.

        Args:
            max_records: How many entries may wait.
            max_bytes: How many bytes, estimated, may wait.
            repeat_window: Seconds for which repeats of a record are held back; 0 folds nothing.
        """

    def renew_locks(self) -> None:
        """Make new locks if gevent has replaced their classes: a wait for the old ones would stop every greenlet."""

    def close(self) -> None:
        """Drop what waits and whatever still comes, as `closed`."""

    def after_fork_in_child(self) -> None:
        """Become empty and new: what the parent queued stays the parent's."""
