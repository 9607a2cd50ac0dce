"""This module has the queues of a durable backlog: records from the store, and records that cannot be stored.

The keeper moves records into and out of them, the callers do so if the keeper does not keep up, and the listener leases
them. Their entries have rows of the store, which stay there until they are settled, or slots of the ring.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.accounts import Accounts
from discord_logging._backlogs.arrivals import Arrivals, Slot
from discord_logging._backlogs.crashes import Crashes
from discord_logging._backlogs.entry import Entry
from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._backlogs.store import Row
from discord_logging._process import clock
from discord_logging._records.record import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from discord_logging._backlogs.fallback import Fallback
    from discord_logging._backlogs.store import Tally
    from discord_logging._health import DropReason
    from discord_logging._records.record import FrozenRecord


class StoredQueues(MemoryBacklog):
    """The queues, and the accounts of this process.

    Args:
        ring_place: The name that the rings of all processes share.

    Attributes:
        arrivals: The records of this process that are neither in a queue nor in the store.
        accounts: How the records of this process ended.
        covered: The numbers that stand for no record, of which the store is to be told.
        unsettled: Rows that are delivered or dropped, and that the store has still to remove, each with the reason.
        withheld: The rows of records that were queued, and that another host may send.
        unclear: The numbers of records that the store may have got, although it has not said so.
        has_parked: Whether records of the queues may be neither in the store nor in flight.
        fallback: The directory that keeps records while Redis cannot take them. The backlog sets it.
        wake_keeper: A function that wakes the keeper. The backlog sets it.
    """

    fallback: Fallback
    wake_keeper: Callable[[], object]

    def __init__(self, ring_place: str) -> None:
        self.arrivals = Arrivals(ring_place)
        super().__init__()

    def after_fork_in_child(self) -> None:
        """Become empty and new: the parent delivers the records that it has queued."""
        self.accounts = Accounts()
        self.arrivals.after_fork_in_child(self.accounts.numbers)
        self.unsettled: deque[tuple[Sequence[Row], DropReason | None]] = deque()
        self.covered: list[int] = []
        self.withheld: list[Row] = []
        self.unclear: set[int] = set()
        self.has_parked = False
        super().after_fork_in_child()

    def take_arrived(self, limit: int) -> list[Entry]:
        """Return the oldest records that came, which are to be stored or parked."""
        found: list[Entry] = []
        with self.lock:
            while len(found) < limit and (entry := self._pop_arrived()):
                found.append(entry)
        return found

    def _pop_arrived(self) -> Entry | None:
        while len(self.arrivals):
            slot, frozen = self.arrivals.first()
            entry = None
            has_passed = self._passes.has_passed(frozen)
            if not has_passed:
                # This comes first: a record counts twice for a moment, rather than not at all.
                self.accounts.taken += 1
                entry = self._make_entry_or_drop(frozen)
            self.arrivals.pop()
            if entry:
                entry.kept = (slot,)
                return entry
            # The store is told that the number stands for no record.
            self.covered.append(slot.number)
            self._free([slot])
        return None

    def _make_entry_or_drop(self, frozen: tuple[Any, ...]) -> Entry | None:
        try:
            return self._make_entry(frozen)
        except Exception:  # noqa: BLE001 - the memory or the stack may be full
            self._taken_in += 1
            self._dropped["unreadable", "?"] += 1
            return None

    def _take_in(self, limit: int = 0, until: float | None = None) -> None:
        # Beyond the bound, the keeper does not keep up.
        while len(self.arrivals) > self.max_records and (entry := self._pop_arrived()):
            self._admit(entry)
        super()._take_in(limit, until)

    def _admit(self, entry: Entry) -> None:
        self._taken_in += entry.count
        if slots_of([entry]):
            self.has_parked = True
        if not self._is_folded(entry, clock.monotonic()):
            # The entry may have been in a queue before.
            entry.leased_at = None
            self._enqueue([entry])

    def park(self, entries: Iterable[Entry]) -> None:
        """Queue records that cannot be stored."""
        with self.lock:
            for entry in entries:
                self._admit(entry)
            self._take_in()

    def note_unclear(self, entries: Iterable[Entry]) -> None:
        """Note that the store may have these records, so that another process may send them, too."""
        self.unclear.update(slot.number for slot in slots_of(entries))

    def take_parked(self) -> list[Entry]:
        """Take the parked records out of their queues, and return them, to be stored."""
        with self.lock:
            self.has_parked = False
            self._take_in()
            parked = [entry for entry in self._in_order() if not rows_of([entry])]
            self._withdraw(parked)
            held = [entry for entry in self._repeats.held if not rows_of([entry])]
            self._repeats.remove(held)
            self._forget(held)
            return parked + held

    def keep_waiting(self) -> None:
        """Keep in the fallback what waits in the queues."""
        with self.lock:
            waiting = [*self._in_order(), *self._repeats.held]
        kept = self.fallback.keep(waiting, self.arrivals.writer)
        with self.lock:
            # Others were delivered, are in flight or were folded meanwhile, and free their slots by themselves.
            still = {*self._in_order(), *self._repeats.held}
            self.note_kept({entry: slots for entry, slots in kept.items() if entry in still})

    def note_kept(self, kept: Mapping[Entry, Collection[Slot]]) -> None:
        """Free slots of the ring whose records the fallback keeps. Nobody else may use the entries."""
        for entry, slots in kept.items():
            self.arrivals.free(slots)
            entry.kept = tuple(each._replace(token=None) if each in slots else each for each in entry.kept)

    def give_up_parked(self) -> None:
        """Drop the records, as `closed`, that are neither in a store nor in the ring: nobody would find them."""
        with self.lock:
            parked = self.take_parked() + self.take_arrived(len(self.arrivals))
            self.note_kept(self.fallback.keep(parked, self.arrivals.writer))
            for entry in parked:
                slots = slots_of([entry])
                kept = tuple(slot for slot in slots if slot.token is not None or self.fallback.has(slot.number))
                lost = [slot for slot in slots if slot not in kept]
                self._dropped["closed", entry.record.levelname] += len(lost)
                self._taken_in += len(lost)
                self._free(lost)
                if kept:
                    self._admit(_make_rest(entry, kept))
            # The keeper may have taken others, and hang.
            in_hand = self.arrivals.at_risk - {slot.number for slot in slots_of(self._leased)}
            self._dropped["closed", "?"] += len(in_hand)
            self._taken_in += len(in_hand)
            self.arrivals.at_risk -= in_hand
            self.notify_waiters()

    def requeue(self, entries: Collection[Entry], *, maybe_saved: bool = False) -> None:
        """Return leased entries to their positions; `maybe_saved` says that they may be in the channel already."""
        super().requeue(entries, maybe_saved=maybe_saved)
        if slots_of(entries):
            self.has_parked = True

    def admit_rows(self, found: Iterable[tuple[Row, FrozenRecord]]) -> None:
        """Queue records from the store."""
        with self.lock:
            for row, record in found:
                entry = Entry(record)
                entry.counts = Counts(row.count, None, is_repeat=row.tries > 0)
                entry.kept = (row,)
                self._admit(entry)
            self._take_in()

    def isolate_crashing(self) -> None:
        """Let the records leave first and apart in whose flight process after process has ended."""
        with self.lock:
            tries = {entry: max((row.tries for row in rows_of([entry])), default=0) for entry in self._in_order()}
            lost = {entry for entry, number in tries.items() if Crashes.read(number).blame_record()}
            self._remove(lost)
            self._count_dropped(lost, "crashed_sender")
            most = max((number for entry, number in tries.items() if entry not in lost), default=0)
        crashes = Crashes.read(most)
        if crashes.are_suspicious():
            suspects = [entry for entry, number in tries.items() if number == most]
            self.delivery.isolate(suspects, plain=crashes.blame_card())

    def is_empty(self) -> bool:
        """Tell whether no record is in a queue, held or in flight."""
        with self.lock:
            return not (self._waiting or self._repeats.held or self._leased)

    def rows(self) -> list[Row]:
        """Return the rows of all records that are queued, held or in flight, or are still to be removed."""
        with self.lock:
            queued = rows_of((*self._in_order(), *self._repeats.held, *self._leased))
        return queued + self.withheld + [row for rows, _ in list(self.unsettled) for row in rows]

    def withhold_rows(self) -> None:
        """Take all rows out of the queues, and remember them until they are forgotten."""
        with self.lock:
            self._take_in(until=float("inf"))
            withheld = rows_of(self._in_order()) + self.withheld
            self.forget_rows()
            self.withheld = withheld

    def forget_rows(self, positions: Collection[int] | None = None) -> None:
        """Take records that another process sends, or that are no more in the store, out of the queues.

        Args:
            positions: The positions of the rows; `None` stands for all.
        """
        with self.lock:
            self.withheld = [row for row in self.withheld if positions is not None and row.position not in positions]
            self._take_in(until=float("inf"))
            concerned = {entry: _without(entry, positions) for entry in self._in_order()}
            concerned = {entry: kept for entry, kept in concerned.items() if len(kept) < len(entry.kept)}
            self._withdraw(concerned)
            for entry, kept in concerned.items():
                if kept:
                    # Others that stay were counted on it.
                    self._admit(_make_rest(entry, kept))

    def _withdraw(self, entries: Collection[Entry]) -> None:
        self._remove(entries)
        self._forget(entries)

    def _forget(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._taken_in -= entry.count
            # No repeat may be counted on the entry any more.
            entry.leased_at = float("-inf")

    def note_stored(self, entries: Iterable[Entry], losses: Counter[Any]) -> None:
        """Note that the store has these records and knows these losses."""
        self._free(slots_of(entries))
        if losses:
            with self.lock:
                self._dropped -= losses
                self._taken_in -= losses.total()

    def _free(self, slots: Collection[Slot]) -> None:
        self.arrivals.free(slots)
        numbers = [slot.number for slot in slots]
        self.fallback.release(numbers)
        self.unclear.difference_update(numbers)
        self._share_pending()

    def release_repeats(self) -> None:
        """Take in what came, and release the held repeats."""
        super().release()

    def find_losses(self) -> Counter[tuple[DropReason, str]]:
        """Return the losses that the store does not know."""
        with self.lock:
            self._count_refused()
            return +self._dropped

    @property
    def lost(self) -> int:
        """The number of dropped records of this process in all."""
        return self.accounts.dropped.total() + super().lost

    @property
    def _accepted(self) -> int:
        # In this order, a record that is taken meanwhile counts twice, rather than not at all.
        return len(self.arrivals) + self.accounts.accepted

    @property
    def _balance(self) -> int:
        """The number of pending records, or less than 0 if records have come to two ends, after damage of the store."""
        return self._accepted - self.accounts.delivered - self.lost

    def note_tally(self, tally: Tally, totals: Mapping[Any, int]) -> None:
        """Note how the records of this process, and the losses of all, stand in the store."""
        with self.lock:
            self.accounts.update(tally, totals)
            # The process that sends had them, but has stored them again too late.
            self.accounts.found_again += max(-self._balance, 0)

    def write_off(self, last: int) -> None:
        """Count the records up to a number as damaged that are nowhere, after the store was damaged or removed."""
        with self.lock:
            lost = max(self.pending - (self.accounts.numbers.taken - last), 0)
            self._dropped["damaged", "?"] += lost
            self._taken_in += lost

    def room(self) -> tuple[int, int]:
        """Return how many records, and how many bytes of them, may be read from the store."""
        leased = self.leased
        room = self.max_bytes - self._bytes - sum(entry.size for entry in leased)
        return self.max_records - self._waiting - len(leased), room

    def is_parked(self, number: int) -> bool:
        """Tell whether a record of this process up to this number waits, or is in flight, outside of the store."""
        with self.lock:
            waiting = (*self._in_order(), *self._repeats.held, *self._leased)
            return any(slot.number <= number for slot in slots_of(waiting))

    def _drop_waiting(self, reason: DropReason) -> None:
        # Of a closed backlog, `close` drops what is neither in the store nor in the ring.
        if reason != "closed":
            super()._drop_waiting(reason)

    def _count_dropped(self, entries: Iterable[Entry], reason: DropReason) -> None:
        for entry in entries:
            self._repeats.dropped([entry])
            rows, slots = rows_of([entry]), slots_of([entry])
            if rows:
                self.unsettled.append((rows, reason))
            self._taken_in -= sum(row.count for row in rows)
            if slots:
                self._dropped[reason, entry.record.levelname] += len(slots)
                self._free(slots)
            entry.leased_at = float("-inf")
        self.notify_waiters()
        self.wake_keeper()

    def _share_pending(self) -> None:
        # Other processes find all other records in the store or in the ring.
        self._shared[0] = len(self.arrivals.at_risk)


def _without(entry: Entry, positions: Collection[int] | None) -> tuple[Row | Slot, ...]:
    """Return the places of an entry without the rows at these positions; `None` stands for all rows."""
    return tuple(
        each
        for each in entry.kept
        if not isinstance(each, Row) or (positions is not None and each.position not in positions)
    )


def _make_rest(entry: Entry, kept: tuple[Row | Slot, ...]) -> Entry:
    """Return an entry for those records of another one that are in these places."""
    rest = Entry(entry.record)
    records = sum(each.count if isinstance(each, Row) else 1 for each in kept)
    rest.kept, rest.counts = kept, entry.counts._replace(records=records)
    return rest


def rows_of(entries: Iterable[Entry]) -> list[Row]:
    """Return the rows of entries, in order."""
    return [each for entry in entries for each in entry.kept if isinstance(each, Row)]


def slots_of(entries: Iterable[Entry]) -> list[Slot]:
    """Return the slots of entries, in order."""
    return [each for entry in entries for each in entry.kept if isinstance(each, Slot)]
