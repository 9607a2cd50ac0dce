"""This module keeps waiting records in a store on disk, which outlives the process and which all processes share.

========= ================================ =======================
thread    moves records                    in
========= ================================ =======================
caller    into the ring and the deque      each process
keeper    from the deque into the store    each process
keeper    from the store into the queues   the process that sends
listener  from the queues to Discord       the process that sends
========= ================================ =======================

As long as the store does not work, the keeper parks the records in the queues, and each process sends its own.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.fallback import Fallback
from discord_logging._backlogs.keeper import Keeper
from discord_logging._backlogs.store import NotLeadingError, StoreError
from discord_logging._backlogs.stored_queues import StoredQueues, rows_of, slots_of
from discord_logging._discord.pace import Urgency, Waiting
from discord_logging._process import clock
from discord_logging._process.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from discord_logging._backlogs.entry import Entry
    from discord_logging._backlogs.store import Row, Store
    from discord_logging._cards.live import LiveCard
    from discord_logging._health import DropReason
    from discord_logging._records.settings import DeliverySettings


class Flush:
    """The wait of a thread for all records of this process up to a number. The keeper ends it.

    If it is the last one of this process, and the process sends, and no other one lives, the records that others have
    left are waited for, too.
    """

    def __init__(self, number: int, deadline: float, *, is_last: bool = False) -> None:
        self.number = number
        self.is_last = is_last
        self.deadline = deadline
        self.is_known = self.is_settled = False
        self.wakeup = Wakeup()


class StoredBacklog(StoredQueues):
    """The waiting records of one webhook, in a store that all processes of the machine share.

    Args:
        open_store: Returns an object for the store, which one thread uses at a time.
        place: The folder or the address of the store, as it may be shown.
        ring_place: The name that the rings of all processes share.
        hook: The name of the webhook.

    Attributes:
        may_send: Whether the records in the queues may be leased: this process sends for all, or the store is down.
        flushes: The threads that wait until records are settled.
    """

    def __init__(self, open_store: Callable[[], Store], place: str, ring_place: str, hook: str) -> None:
        self.place = place
        self._store = open_store()
        self.fallback = Fallback(ring_place, hook)
        self.keeper = Keeper(self, open_store(), ring_place)
        self.wake_keeper = self.keeper.wake
        super().__init__(ring_place)

    def after_fork_in_child(self) -> None:
        """Become empty and new: the parent delivers the records that it has queued."""
        self._flight: frozenset[int] = frozenset()  # the positions of the rows that are noted as under way
        self.flushes: list[Flush] = []
        self.may_send = self._has_records = False
        super().after_fork_in_child()
        self._store.after_fork_in_child()
        self.fallback.after_fork_in_child()
        self.keeper.after_fork_in_child()

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new bounds, also those of the store."""
        super().configure(settings)
        self.store_bytes, self.store_age = settings.backlog_bytes, settings.backlog_age
        self._store.configure(settings)
        self.fallback.directory = settings.backlog_dir or ""
        self.keeper.configure(settings)

    # Callers of `logging`

    def put(self, frozen: tuple[Any, ...]) -> None:
        """Accept a record. Never waits, but lets other threads run if records come too fast."""
        arrivals = self.arrivals
        arrivals.put(frozen)
        if not self._has_records:
            self._has_records = True
            self.on_start()
        if arrivals.at_risk:
            self._share_pending()
        if self._closed:
            self.wake_listener()
            if self._closed:
                # The interpreter exits, and no thread may start: another process finds the record in the ring.
                return
        if self.keeper.is_idle:
            self.keeper.wake()
        if arrivals.is_crowded or len(arrivals) > self.max_records:
            self._relieve()

    def _relieve(self) -> None:
        if len(self.arrivals) > self.max_records:
            super()._relieve()
        elif not self.lock.is_held_by_this_thread():
            clock.sleep(1e-6)

    def refuse(self, levelname: str, reason: DropReason, number: int = 1) -> None:
        """Count records that could not be accepted. Never waits."""
        for _ in range(number):
            self.accounts.refusals.take()
        super().refuse(levelname, reason, number)
        self.keeper.wake()

    # The delivery, on the listener's thread

    @property
    def is_ready(self) -> bool:
        """Whether an entry can be leased. Takes no lock."""
        return self.may_send and not self._closed and super().is_ready

    def peek(self) -> Waiting:
        """Return how many entries wait, how urgent they are, and for how long; none if another process sends."""
        return super().peek() if self.may_send and not self._closed else Waiting(0, Urgency.ROUTINE, 0.0)

    def lease(
        self, limit: int = sys.maxsize, *, only: Collection[Entry] | None = None, without: Collection[Entry] = ()
    ) -> list[Entry]:
        """Lease the oldest entries, marked if the store may have them, too; none if another process sends."""
        with self.lock:
            may_send = self.may_send and not self._closed
            return super().lease(limit, only=only, without=without) if may_send else []

    def lease_edits(self) -> list[Entry]:
        """Lease the entries of an edit, likewise."""
        with self.lock:
            return super().lease_edits() if self.may_send and not self._closed else []

    def _lease(self, entries: list[Entry]) -> list[Entry]:
        for entry in entries:
            if any(slot.number in self.unclear for slot in slots_of([entry])):
                entry.counts = entry.counts._replace(is_repeat=True)
        return super()._lease(entries)

    def stop_sending(self) -> bool:
        """Let no entry be leased from now on, and return whether none is in flight."""
        with self.lock:
            self.may_send = False
            return not self._leased

    def wake_delivery(self) -> None:
        """Wake the listener if an entry can be leased."""
        if self._idle and self.is_ready:
            self._wake_listener()

    def note_flight(self, entries: Collection[Entry]) -> bool:
        """Note in the store that a message of these entries is about to leave, and return whether it may leave."""
        self.fallback.note_flight((slot.number for slot in slots_of(entries)), is_alone=len(entries) == 1)
        if rows := rows_of(entries):
            self._flight = frozenset(row.position for row in rows)
            try:
                self._store.note_flight(rows, self._state(), is_alone=len(entries) == 1)
            except NotLeadingError:
                self._flight = frozenset()
                self.keeper.wake()
                return False
            except StoreError:
                pass
        return True

    def _state(self) -> bytes:
        ahead = self._store.ahead
        incidents = self._repeats.export(_boot(ahead))
        return json.dumps({**self.delivery.export(ahead), **({"incidents": incidents} if incidents else {})}).encode()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another process stopped sending, by its state."""
        self.delivery.restore(state, self._store.ahead)
        with self.lock:
            self._repeats.restore(state.get("incidents"), _boot(self._store.ahead))

    def ack(self, entries: Collection[Entry], cards: Mapping[Entry, LiveCard] = MappingProxyType({})) -> None:
        """Count leased entries as delivered, and remove them from the store."""
        rows, slots = rows_of(entries), slots_of(entries)
        self.note_told(entries, cards)
        if rows and not self._settle(rows):
            self.unsettled.append((rows, None))
        self.accounts.delivered_here += len(slots)
        self._free(slots)
        self.fallback.settle()
        self.settle(entries)
        self.keeper.wake()

    def _settle(self, rows: Sequence[Row]) -> bool:
        """Remove delivered rows, and return whether the store had them."""
        with contextlib.suppress(StoreError):
            self._store.settle(rows, None, self._state())
            # Another store than the keeper knows gets the rows first, in the keeper's next step.
            return self._store.identity == self.keeper.identity
        return False

    def requeue(self, entries: Collection[Entry], *, maybe_saved: bool = False) -> None:
        """Return leased entries to their positions; `maybe_saved` says that they may be in the channel already."""
        is_alone = len(entries) == 1
        if landed := [row for row in rows_of(entries) if row.position in self._flight]:
            self._flight = frozenset()
            with contextlib.suppress(StoreError):
                self._store.note_landing(landed, self._state(), is_alone=is_alone, maybe_saved=maybe_saved)
        self.fallback.note_landing(is_alone=is_alone, maybe_saved=maybe_saved)
        super().requeue(entries, maybe_saved=maybe_saved)

    def drop(self, reason: DropReason, entries: Collection[Entry] | None = None) -> None:
        """Count leased entries as dropped; `None` stands for all leased and all waiting entries.

        If the webhook is gone, rows stay in the store: a process with a valid URL may come. After a fault, those that
        wait stay, too.
        """
        if reason == "internal_error" and entries is None:
            entries = self.leased
        if reason == "webhook_gone":
            self.keeper.is_refused = True
            self.requeue(self.leased)
            self.forget_rows()
        super().drop(reason, entries)

    # Any thread

    @property
    def dropped(self) -> Counter[tuple[DropReason, str]]:
        """The number of dropped records of this process, by reason and name of the level."""
        return self.accounts.dropped + Counter(self._dropped)

    @property
    def losses(self) -> Counter[tuple[DropReason, str]]:
        """The number of dropped records of all processes."""
        return self.accounts.totals + Counter(self._dropped)

    @property
    def lone_hosts(self) -> int:
        """The number of hosts whose processes send what they have, if the store does not work; else 0."""
        return self.keeper.lone_hosts

    @property
    def pending(self) -> int:
        """The number of records of this process that wait or are in flight, also in others. Takes no lock."""
        return max(self._balance, 0)

    def count(self) -> dict[str, int]:
        """Return the numbers of `accepted`, `delivered`, `pending` and `dropped` records of this process."""
        with self.lock.hold():
            # Each number is read once: a signal handler may log in between.
            accepted, delivered, dropped = self._accepted, self.accounts.delivered, self.lost
        # After damage of the store, records may have come twice.
        accepted = max(accepted, delivered + dropped)
        pending = accepted - delivered - dropped
        return {"accepted": accepted, "delivered": delivered, "pending": pending, "dropped": dropped}

    def wait_until_settled(self, deadline: float, give_up: Callable[[], bool], *, is_last: bool = False) -> bool:
        """Block until all records of this process are delivered or dropped, wherever they are."""
        is_last = is_last and self.keeper.is_running()
        flush = Flush(self.accounts.numbers.taken, deadline, is_last=is_last)
        flushes, waiters, lock = self.flushes, self._waiters, self.lock
        flushes.append(flush)
        waiters.append(flush.wakeup)
        try:
            # A child that a signal handler has forked meanwhile has no records to wait for.
            while lock is self.lock and not flush.is_settled and (self.pending or (is_last and self._may_have_more())):
                # After `close`, the records stay where they are, but for those in flight.
                if self.keeper.is_refused or (self._closed and not self._leased):
                    break
                self.keeper.wake()
                remaining = deadline - clock.monotonic()
                if remaining <= 0 or give_up():
                    break
                flush.wakeup.wait(remaining)
            return flush.is_settled or not self.pending
        finally:
            flushes.remove(flush)
            waiters.remove(flush.wakeup)

    def _may_have_more(self) -> bool:
        """Tell whether others may have left records for this process, or the store has still to learn something."""
        return bool(self.unsettled or not self.keeper.trouble)

    def resume(self) -> None:
        """Deliver what earlier processes have left."""
        if self._store.may_exist():
            self.keeper.wake()

    def release(self) -> None:
        """Take in all records that came, and release the held repeats."""
        if not self.keeper.wake():
            self.keeper.step()
        self.release_repeats()

    def reopen(self) -> None:
        """Keep the records that come from now on. Never waits."""
        super().reopen()
        self.keeper.reopen()
        if len(self.arrivals):
            self.keeper.wake()

    def close(self, *, if_settled: bool = False, deadline: float = 0.0) -> bool:  # noqa: ARG002 - nothing is dropped
        """Keep all records that wait, let the message in flight arrive until `deadline`, and let others send."""
        self._closed = True
        self.keeper.finish(deadline)
        self.give_up_parked()
        if not self._leased:
            # Others may find the records in the ring now, and so may this process if it is opened again.
            self.take_parked()
            self.arrivals.close()
            self.fallback.close()
            with contextlib.suppress(StoreError):
                self._store.close()
        return True

    def oldest_age(self) -> float:
        """Return for how many seconds the oldest record has waited, of any process if one of this process waits."""
        return max(super().oldest_age(), self.keeper.oldest_age() if self.pending else 0.0)

    def health(self) -> dict[str, Any]:
        """Return the state of the store, as plain data."""
        arrivals = self.arrivals
        risk = {"at_risk": len(arrivals.at_risk), "ring": arrivals.trouble}
        fallback = {"fallback": self.fallback.health()} if self.fallback.directory else {}
        return {"kind": self._store.kind, "where": self.place, **self.keeper.health(), **risk, **fallback}


def _boot(ahead: float) -> float:
    """Return when the monotonic clock began, on the wall clock that all processes share."""
    return time.time() + ahead - clock.monotonic()
