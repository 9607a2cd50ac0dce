"""This contract is all that handlers, the listener and the delivery know of a backlog, in which records wait.

At every moment, each accepted record is delivered, pending or dropped. Records that say the same may be folded into one
entry, which counts for all of them.
"""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Collection, Mapping, MutableSequence, Sequence

    from discord_logging._backlogs.entry import Entry
    from discord_logging._cards.live import LiveCard
    from discord_logging._discord.pace import Waiting
    from discord_logging._health import DropReason
    from discord_logging._records.settings import DeliverySettings


class Resumable(Protocol):
    """The delivery, as a backlog knows it that another process may go on with.

    Attributes:
        deadlines: The times at which flushes give up, on the monotonic clock.
    """

    deadlines: list[float]

    def export(self, ahead: float = 0.0) -> dict[str, Any]:
        """Return the state as data that JSON keeps, with the times of a clock that is ahead by some seconds."""

    def restore(self, data: Any, ahead: float = 0.0) -> None:
        """Go on from a state, or from what can be read of it."""

    def isolate(self, entries: Sequence[Entry], *, plain: bool) -> None:
        """Send these entries before all others, and in halves; a single one as plain text, if so told."""


class Backlog(Protocol):
    """The records of one webhook that wait to be delivered.

    Attributes:
        delivery: The delivery, which the listener sets.
        place: Where the pending records stay when the process ends; "" if nowhere.
        wake_listener: A function to call on a caller's thread when a record comes while the listener sleeps or is not
            started. It returns whether the listener is awake now. The listener sets it.
        on_start: A function to call at the first record of a process that may start no listener. The listener sets it.
        dropped: The number of dropped records of this process, by reason and name of the level.
        losses: The number of dropped records of all processes that share the backlog, likewise.
        leased: The entries that are in flight.
        lost: The number of dropped records in all.
        pending: The number of records that wait or are in flight; never too few. Takes no lock.
        lone_hosts: The number of hosts whose processes send what they have, each process its own, since what they share
            does not work; 0 as long as it works.
        is_ready: Whether records have come, wait or are due; if not, `peek` finds no entry. Takes no lock.
    """

    wake_listener: Callable[[], bool]
    on_start: Callable[[], None]
    delivery: Resumable
    place: str

    @property
    def dropped(self) -> Counter[tuple[DropReason, str]]: ...

    @property
    def losses(self) -> Counter[tuple[DropReason, str]]: ...

    @property
    def leased(self) -> Collection[Entry]: ...

    @property
    def lost(self) -> int: ...

    @property
    def pending(self) -> int: ...

    @property
    def lone_hosts(self) -> int: ...

    @property
    def is_ready(self) -> bool: ...

    # Callers of `logging`, on any thread, in signal handlers and in `__del__`

    def put(self, frozen: tuple[Any, ...]) -> None:
        """Accept a record as `freeze` returned it. Never waits."""

    def refuse(self, levelname: str, reason: DropReason, number: int = 1) -> None:
        """Count records that could not be accepted. Never waits."""

    # The delivery, on the listener's thread

    def peek(self) -> Waiting:
        """Take in the records that came, and return how many entries wait, how urgent they are, and for how long."""

    def lease(
        self, limit: int = sys.maxsize, *, only: Collection[Entry] | None = None, without: Collection[Entry] = ()
    ) -> list[Entry]:
        """Return the oldest entries, which are in flight until they come back by `ack`, `requeue` or `drop`.

        They are no more than a message could carry, but always include one of the most urgent entries, and none that
        edits a message.

        Args:
            limit: The largest number of entries.
            only: The entries to choose from, if they still wait; `None` stands for all.
            without: The entries to leave in the queue.
        """

    def lease_edits(self) -> list[Entry]:
        """Return the entries that edit the message whose edit has waited longest, likewise."""

    def note_flight(self, entries: Collection[Entry]) -> bool:
        """Note that a message of these leased entries is about to leave, and return whether it may leave."""

    def ack(self, entries: Collection[Entry], cards: Mapping[Entry, LiveCard] = MappingProxyType({})) -> None:
        """Count leased entries as delivered by one message, in which some of them have live cards."""

    def requeue(self, entries: Collection[Entry], *, maybe_saved: bool = False) -> None:
        """Return leased entries to their positions; `maybe_saved` says that they may be in the channel already.

        Entries that edit a message which is gone will be posted.
        """

    def drop(self, reason: DropReason, entries: Collection[Entry] | None = None) -> None:
        """Count leased entries as dropped; `None` stands for all leased and all waiting entries."""

    # The listener and the threads that flush

    def wait_for_record(self) -> None:
        """Block until a record waits or `wake` is called."""

    def wait(self, timeout: float | None) -> None:
        """Block until `wake` is called, or for `timeout` seconds; `None` waits without end."""

    def wake(self) -> None:
        """End the listener's wait."""

    def wait_until_settled(self, deadline: float, give_up: Callable[[], bool], *, is_last: bool = False) -> bool:
        """Release the held repeats, and block until all records accepted so far are delivered or dropped.

        Args:
            deadline: The time at which to give up, on the monotonic clock.
            give_up: A function that says after each change whether to give up.
            is_last: Whether this process ends, which delivers what other processes have left until then.

        Returns:
            Whether all of them are delivered or dropped.
        """

    def notify_waiters(self) -> None:
        """Make the threads in `wait_until_settled` check again."""

    def release(self) -> None:
        """Take in all records that came, and release the held repeats."""

    def count(self) -> dict[str, int]:
        """Return the numbers of `accepted`, `delivered`, `pending` and `dropped` records, all at one moment."""

    def oldest_age(self) -> float:
        """Return for how many seconds the oldest record has waited or been in flight, held repeats left out.

        The result is 0.0 without such a record, or if the lock cannot be acquired.
        """

    def health(self) -> dict[str, Any]:
        """Return the `kind` of the backlog, and the state of its place if there is one, as plain data."""

    def is_busy_in_this_thread(self) -> bool:
        """Tell whether this thread, interrupted by a signal handler, is changing the state of the backlog."""

    # Setup, fork and end

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new bounds: how many entries, and bytes, may wait, and for how long repeats are held."""

    def renew_locks(self) -> None:
        """Make new locks if gevent has replaced their classes: a wait for the old ones would stop every greenlet."""

    def close(self, *, if_settled: bool = False, deadline: float = 0.0) -> bool:
        """Drop all records that wait or still come, as `closed`, until `reopen` is called. Without a place, that is.

        Args:
            if_settled: Whether to do nothing if a record waits or is in flight.
            deadline: The time until which a message in flight may arrive, on the monotonic clock.

        Returns:
            Whether the backlog was closed.
        """

    def resume(self) -> None:
        """Deliver what earlier processes have left, if they could leave anything."""

    def reopen(self) -> None:
        """Keep the records that come from now on. Never waits."""

    def share(self, numbers: MutableSequence[int]) -> None:
        """Write into two numbers from now on how many records are pending: callers the first, the others both."""

    def after_fork_in_child(self) -> None:
        """Become empty and new: the parent delivers the records that it has queued."""
