"""This module keeps waiting records in memory: bounded, in order, and each of them counted.

Records move from the intake into one queue per level, so that the least severe and oldest can be dropped first when the
bounds are reached. This happens under a lock that a logging call tries to acquire, but never waits for.
"""

from __future__ import annotations

import heapq
import sys
from collections import Counter, deque
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from discord_logging._backlogs.entry import Entry
from discord_logging._backlogs.incidents import Incidents
from discord_logging._backlogs.intake import PORTION, Intake
from discord_logging._backlogs.passes import Passes
from discord_logging._backlogs.repeats import Repeats
from discord_logging._backlogs.triage import Triage
from discord_logging._discord import lengths
from discord_logging._discord.pace import Urgency, Waiting
from discord_logging._process import clock
from discord_logging._process.gil import yield_gil_between
from discord_logging._process.wakeup import Wakeup
from discord_logging._records.oversize import LEAST_LIMIT, attached_bytes, cut_snapshot
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableSequence

    from discord_logging._backlogs.base import Resumable
    from discord_logging._cards.live import LiveCard, LiveMessage
    from discord_logging._health import DropReason

_MAX_MESSAGE_CHARACTERS = 12_000_000
"""A length of text that no message exceeds, in characters."""
_MAX_SIZE = lengths.FILE_BYTES - 100_000
"""The largest record that is kept, without attachments, in bytes. The file of a message has no room for more text."""
_DETAILS_SIZE = 400
"""The number of bytes by which the size of a record exceeds its line in a file, at least."""
_PATIENCE = 10.0
"""The seconds after which an edit takes the turn of a routine message, but never two turns in a row."""
_by_sequence = attrgetter("sequence")


class MemoryBacklog(Intake):
    """The waiting records of one webhook, in the memory of this process.

    Args:
        max_records: The largest number of entries that may wait.
        max_bytes: The largest estimated size of all entries that wait, in bytes.
        repeat_window: The seconds for which repeats of a record are held.
        quiet_after: The seconds after which an incident is quiet; 0 for no live cards.
    """

    _make_record = FrozenRecord
    _repeats: Repeats
    delivery: Resumable
    place = ""

    def __init__(
        self,
        max_records: int = DeliverySettings.queue_size,
        max_bytes: int = DeliverySettings.queue_bytes,
        *,
        repeat_window: float = 0.0,
        quiet_after: float = 0.0,
    ) -> None:
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.repeat_window = repeat_window
        self.quiet_after = quiet_after
        super().__init__()

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new bounds."""
        self.max_records, self.max_bytes = settings.queue_size, settings.queue_bytes
        self.repeat_window = 0.0 if settings.repeats == "off" else settings.repeat_window
        self.quiet_after = settings.quiet_after if settings.repeats == "edit" and self.repeat_window else 0.0
        self._bound_intake()
        self._configure_repeats()

    def _configure_repeats(self) -> None:
        """Apply the settings for repeats. If they are told in another way now, those that are held leave."""
        if isinstance(self._repeats, Incidents) == bool(self.quiet_after):
            self._repeats.configure(self.repeat_window, self.quiet_after, self.max_bytes)
            return
        with self.lock.hold(float("inf")):
            self._enqueue(self._repeats.release(float("inf")))
            self._repeats = self._new_repeats()

    def _new_repeats(self) -> Repeats:
        repeats = Incidents() if self.quiet_after else Repeats()
        repeats.configure(self.repeat_window, self.quiet_after, self.max_bytes)
        return repeats

    def _bound_intake(self) -> None:
        """Set how many records, and how long ones, callers may leave in the deque, which is bounded only by number."""
        room = self.max_records - self._waiting
        self._overflow = 0 if self._closed else min(max(room, PORTION), self.max_records)
        self._max_deferred = self.max_bytes // self.max_records

    def after_fork_in_child(self) -> None:
        """Become empty and new: the parent delivers the records that it has queued."""
        super().after_fork_in_child()
        self._queues: dict[tuple[int, bool], deque[Entry]] = {}
        self._passes = Passes()
        self._repeats = self._new_repeats()
        self._has_edited = False  # whether the last message was an edit
        self._triage = Triage()
        self._urgencies: Counter[int] = Counter()
        self._waiters: list[Wakeup] = []
        self._leased: set[Entry] = set()
        self._taken_in = self._sequence = self._waiting = self._bytes = 0
        self.delivered = 0
        self._dropped: Counter[tuple[DropReason, str]] = Counter()
        self._bound_intake()

    # The delivery, on the listener's thread

    def peek(self) -> Waiting:
        """Take in the records that came, and return how many entries wait, how urgent they are, and for how long."""
        for _ in yield_gil_between(range(0, max(len(self._incoming), 1), PORTION)):
            with self.lock:
                self._take_in()
        now = clock.monotonic()
        with self.lock:
            edits, delay = self._find_edits(now)
            posts = self._waiting - self._urgencies[Urgency.EDIT]
            urgency = max((each for each in Urgency if self._urgencies[each] > 0), default=Urgency.ROUTINE)
            is_patient = urgency > Urgency.ROUTINE or self._has_edited
            if posts and (not edits or is_patient or now < edits[0].waiting_since + _PATIENCE):
                return Waiting(posts, urgency, self._age(now))
            return Waiting(len(edits), urgency, are_edits=True, delay=delay)

    def _find_edits(self, now: float) -> tuple[list[Entry], float]:
        """Return the entries that edit the message which has waited longest, or the seconds until there may be some."""
        if not self._urgencies[Urgency.EDIT]:
            return [], 0.0
        waiting = [(entry, cast("LiveMessage", entry.edits)) for entry in self._in_order(edits=True)]
        ready = next((message for _, message in waiting if message.not_before <= now), None)
        delay = 0.0 if ready else min(message.not_before for _, message in waiting) - now
        return [entry for entry, message in waiting if message is ready], delay

    def lease(
        self, limit: int = sys.maxsize, *, only: Collection[Entry] | None = None, without: Collection[Entry] = ()
    ) -> list[Entry]:
        """Lease the oldest `limit` entries that wait, if given only those in `only`, but none in `without`.

        They are no more than a message could carry, but always include one of the most urgent entries.
        """
        self.peek()
        with self.lock:
            self._has_edited = False
            return self._lease(self._choose(limit, None if only is None else set(only), set(without)))

    def lease_edits(self) -> list[Entry]:
        """Lease the entries that edit the message whose edit has waited longest."""
        with self.lock:
            self._has_edited = True
            return self._lease(self._find_edits(clock.monotonic())[0])

    def _lease(self, entries: list[Entry]) -> list[Entry]:
        now = clock.monotonic()
        self._remove(entries)
        for entry in entries:
            entry.leased_at = now
        self._leased.update(entries)
        self._repeats.leased(entries, now)
        return entries

    def _choose(self, limit: int, only: set[Entry] | None, without: set[Entry]) -> list[Entry]:
        entries: list[Entry] = []
        room = _MAX_MESSAGE_CHARACTERS
        found = (
            entry for entry in self._in_order(edits=False) if entry not in without and (only is None or entry in only)
        )
        for entry in found:
            if len(entries) >= limit:
                break
            if room <= 0:
                # An urgent record must not wait for older records that fill whole messages.
                urgent = max((entry, *found), key=attrgetter("urgency"))
                if urgent.urgency > max(each.urgency for each in entries):
                    entries.append(urgent)
                break
            entries.append(entry)
            room -= entry.size - _DETAILS_SIZE
        return entries

    def _in_order(self, *, edits: bool | None = None) -> Iterator[Entry]:
        """Yield the entries that wait; only those that edit a message, or that are posted, if so told."""
        queues = [queue for (_, is_post), queue in self._queues.items() if edits in (None, not is_post)]
        return heapq.merge(*queues, key=_by_sequence)

    def note_flight(self, entries: Collection[Entry]) -> bool:  # noqa: ARG002 - a process that is killed loses them
        """Let a message of these leased entries leave."""
        return True

    def ack(self, entries: Collection[Entry], cards: Mapping[Entry, LiveCard] = MappingProxyType({})) -> None:
        """Count leased entries as delivered by one message, in which some of them have live cards."""
        self.note_told(entries, cards)
        self.settle(entries)

    def note_told(self, entries: Collection[Entry], cards: Mapping[Entry, LiveCard]) -> None:
        """Note where the records of leased entries are told."""
        with self.lock:
            for entry in self._repeats.delivered(entries, cards, clock.monotonic()):
                self._remove([entry])
                self._repeats.aim(entry)
                entry.urgency = self._rate(entry)
                self._put_back([entry])

    def settle(self, entries: Collection[Entry]) -> None:
        """Count leased entries as delivered."""
        with self.lock:
            self._leased.difference_update(entries)
            self.delivered += sum(entry.count for entry in entries)
            self._share_pending()
            self.notify_waiters()

    def requeue(self, entries: Collection[Entry], *, maybe_saved: bool = False) -> None:
        """Return leased entries to their positions; `maybe_saved` says that they may be in the channel already."""
        with self.lock:
            self._leased.difference_update(entries)
            self._repeats.returned(entries)
            waiting = [entry for entry in entries if entry.count or entry.edits]
            for entry in waiting:
                entry.leased_at = None
                if maybe_saved:
                    entry.counts = entry.counts._replace(is_repeat=True)
                    entry.tries += 1
                if entry.urgency is Urgency.EDIT:
                    entry.urgency = self._rate(entry)
            self._put_back(waiting)
            self._evict()

    def drop(self, reason: DropReason, entries: Collection[Entry] | None = None) -> None:
        """Count leased entries as dropped; `None` stands for all leased and all waiting entries."""
        with self.lock:
            dropped = list(self._leased if entries is None else entries)
            self._leased.difference_update(dropped)
            self._count_dropped(dropped, reason)
            if entries is None:
                self._take_in(len(self._incoming))
                self._drop_waiting(reason)
            self._share_pending()

    # Any thread

    @property
    def leased(self) -> Collection[Entry]:
        """The entries that are in flight."""
        return tuple(self._leased)

    @property
    def lone_hosts(self) -> int:
        """The number of hosts that send alone: 0, since this process shares nothing with others."""
        return 0

    @property
    def pending(self) -> int:
        """The number of records that wait, are held or are in flight; never too few. Takes no lock."""
        settled = self.delivered + self.lost
        return self._accepted - settled

    @property
    def _accepted(self) -> int:
        return self._taken_in + len(self._incoming) + len(self._refused)

    def share(self, numbers: MutableSequence[int]) -> None:
        """Write into two numbers from now on how many records are pending: callers the first, the others both."""
        self._shared = numbers
        self._share_pending()

    def _share_pending(self) -> None:
        waiting = len(self._incoming)
        self._shared[0], self._shared[1] = waiting, max(self.pending - waiting, 0)

    @property
    def dropped(self) -> Counter[tuple[DropReason, str]]:
        """The number of dropped records, by reason and name of the level."""
        return self._dropped

    @property
    def losses(self) -> Counter[tuple[DropReason, str]]:
        """The same numbers, for all processes that share the backlog."""
        return self._dropped

    @property
    def lost(self) -> int:
        """The number of dropped records in all."""
        return sum(self._dropped.values()) + len(self._refused)

    @property
    def is_ready(self) -> bool:
        """Whether an entry can be leased. Takes no lock."""
        return bool(self._incoming or self._waiting or self._repeats.due_at <= clock.monotonic())

    def wait_for_record(self) -> None:
        """Block until a record waits or `wake` is called."""
        self._idle = True
        # A record that came before this line found the listener awake and did not wake it. A record that is being taken
        # in is neither in the deque nor in a queue, but then the lock is held.
        with self.lock:
            due_in = self._repeats.due_at - clock.monotonic()
            is_empty = not self.is_ready
        if is_empty:
            self.wait(due_in)
        self._idle = False

    def count(self) -> dict[str, int]:
        """Return the numbers of `accepted`, `delivered`, `pending` and `dropped` records, all at one moment."""
        with self.lock.hold() as is_held:
            if is_held:
                self._count_refused()
                if self._closed:
                    # The caller that put the last records may have found the lock taken.
                    self._take_in(len(self._incoming))
            # Each number is read once: a signal handler may log in between.
            accepted, delivered, dropped = self._accepted, self.delivered, self.lost
            return {
                "accepted": accepted,
                "delivered": delivered,
                "pending": accepted - delivered - dropped,
                "dropped": dropped,
            }

    def health(self) -> dict[str, Any]:
        """Return the kind of backlog, as plain data."""
        return {"kind": "memory"}

    def oldest_age(self) -> float:
        """Return for how many seconds the oldest record has waited or been in flight, held repeats left out.

        The result is 0.0 without such a record, or if the lock cannot be acquired.
        """
        with self.lock.hold() as is_held:
            return self._age(clock.monotonic()) if is_held else 0.0

    def _age(self, now: float) -> float:
        return max(now - min((entry.waiting_since for entry in self._oldest()), default=now), 0.0)

    def _oldest(self) -> list[Entry]:
        """Return the oldest entry of each queue, and the entries in flight."""
        return [*self._leased, *(queue[0] for queue in self._queues.values())]

    def close(self, *, if_settled: bool = False, deadline: float = 0.0) -> bool:  # noqa: ARG002 - nothing is kept
        """Drop all records that wait or still come, as `closed`, and return whether this was done."""
        with self.lock.hold() as is_held:
            self._closed = True
            self._bound_intake()
            # A record that came before these lines is pending, and one that comes later finds the backlog closed.
            if if_settled and self.pending:
                self.reopen()
                return False
            if is_held:
                self._release()
        return True

    def resume(self) -> None:
        """Do nothing: no earlier process has left anything."""

    def reopen(self) -> None:
        """Keep the records that come from now on. Never waits."""
        # In another order, a record between these lines would wake nobody.
        self._idle = True
        self._closed = False
        self._bound_intake()

    def wait_until_settled(self, deadline: float, give_up: Callable[[], bool], *, is_last: bool = False) -> bool:  # noqa: ARG002 - others leave nothing
        """Block until all records accepted so far are delivered or dropped, and return whether they are."""
        waiter, waiters, lock = Wakeup(), self._waiters, self.lock
        waiters.append(waiter)
        # The order counts, not the number: later records may be delivered earlier.
        last = float("inf")
        try:
            # A child that a signal handler has forked meanwhile has a new lock, and no records to wait for.
            while lock is self.lock and self.pending:
                with lock.hold(deadline) as is_held:
                    if not is_held:
                        return False
                    if last == float("inf"):
                        last = self._release()
                    if all(entry.sequence > last for entry in self._oldest()):
                        return True
                remaining = deadline - clock.monotonic()
                if remaining <= 0 or give_up():
                    return False
                waiter.wait(remaining)
            return True
        finally:
            waiters.remove(waiter)
            self._share_pending()

    def release(self) -> None:
        """Take in all records that came, and release the held repeats."""
        with self.lock.hold() as is_held:
            if is_held:
                self._release()

    def _release(self) -> int:
        self._take_in(len(self._incoming), float("inf"))
        # The listener may be sleeping until the held repeats are due.
        self.wake()
        return self._sequence

    def notify_waiters(self) -> None:
        """Make the threads in `wait_until_settled` check again."""
        for waiter in tuple(self._waiters):
            waiter.set()

    # The state, under the lock

    def _take_in(self, limit: int = PORTION, until: float | None = None) -> None:
        """Take in the oldest records that came, and the repeats that are due by `until`; `None` stands for now."""
        try:
            self._count_refused()
            self._enqueue(self._fold_repeats(limit))
            self._enqueue(self._repeats.release(clock.monotonic() if until is None else until))
            self._evict()
            self._share_pending()
        except BaseException:
            # Ctrl-C came, or a signal handler exits.
            self._restore_state()
            raise

    def _count_refused(self) -> None:
        while self._refused:
            self._taken_in += 1
            self._dropped[self._refused.popleft()] += 1

    def _restore_state(self) -> None:
        """Make the state consistent after an interruption: a record that is in no queue is counted as dropped."""
        known = sum(
            entry.count for entries in (*self._queues.values(), self._leased, self._repeats.held) for entry in entries
        )
        if lost := self._taken_in - self.delivered - sum(self._dropped.values()) - known:
            self._dropped["interrupted", "?"] += lost
        self._queues = {rank: queue for rank, queue in self._queues.items() if queue}
        waiting = [entry for queue in self._queues.values() for entry in queue]
        self._waiting, self._bytes = len(waiting), sum(entry.size for entry in waiting)
        self._urgencies = Counter(entry.urgency for entry in waiting)
        self.notify_waiters()

    def _fold_repeats(self, limit: int) -> Iterator[Entry]:
        """Count the oldest records that came, and yield those that are not repeats."""
        now = clock.monotonic()
        for _ in range(limit):
            if not self._incoming:
                break
            self._taken_in += 1
            frozen = self._incoming.popleft()
            if self._passes.has_passed(frozen):
                self._taken_in -= 1
                continue
            entry = self._make_entry(frozen)
            if not self._is_folded(entry, now):
                yield entry

    def _make_entry(self, frozen: tuple[Any, ...]) -> Entry:
        """Return an entry for a record, which is cut if it is too large."""
        entry = Entry(self._make_record(frozen))
        if entry.size <= max(min(self.max_bytes, _MAX_SIZE), LEAST_LIMIT):
            return entry
        # Half of the room is left for other records.
        room = self.max_bytes // 2
        if entry.size <= min(room, _MAX_SIZE + attached_bytes(frozen)):
            return entry
        limit = max(min(room, _MAX_SIZE), LEAST_LIMIT)
        return Entry(self._make_record(cut_snapshot(frozen, entry.size, limit)))

    def _is_folded(self, entry: Entry, now: float) -> bool:
        try:
            return self._repeats.fold(entry, now)
        except Exception:  # noqa: BLE001 - odd attributes have odd hashes, and the stack may be full
            return False

    def _enqueue(self, entries: Iterable[Entry]) -> None:
        now = clock.monotonic()
        for entry in entries:
            self._sequence += 1
            entry.sequence = self._sequence
            entry.waiting_since = now
            entry.urgency = self._rate(entry)
            self._append(entry)

    def _rate(self, entry: Entry) -> Urgency:
        if entry.edits:
            return Urgency.EDIT
        try:
            return self._triage.rate(entry.record, entry.waiting_since)
        except Exception:  # noqa: BLE001 - an attribute may be missing or have any value
            return Urgency.ROUTINE

    def _append(self, entry: Entry) -> None:
        self._queues.setdefault(_rank(entry), deque()).append(entry)
        self._urgencies[entry.urgency] += 1
        self._waiting += 1
        self._bytes += entry.size

    def _put_back(self, entries: Collection[Entry]) -> None:
        """Return entries to their positions."""
        for entry in entries:
            self._append(entry)
        for rank in {_rank(entry) for entry in entries}:
            self._queues[rank] = deque(sorted(self._queues[rank], key=_by_sequence))

    def _remove(self, entries: Collection[Entry]) -> None:
        """Remove entries from their queues."""
        removed = set(entries)
        for rank in {_rank(entry) for entry in entries}:
            if kept := deque(entry for entry in self._queues[rank] if entry not in removed):
                self._queues[rank] = kept
            else:
                del self._queues[rank]
        self._urgencies.subtract(entry.urgency for entry in entries)
        self._waiting -= len(entries)
        self._bytes -= sum(entry.size for entry in entries)

    def _evict(self) -> None:
        """Drop the least severe and oldest entries until the rest, or a single entry, is within the bounds."""
        if self._closed:
            self._drop_waiting("closed")
        # In-flight records do not count against the bounds until they are requeued, so that we never evict an ERROR for
        # records that are about to be delivered.
        while self._waiting > self.max_records or (self._bytes > self.max_bytes and self._waiting > 1):
            least = min(self._queues)
            entry = self._queues[least].popleft()
            if not self._queues[least]:
                del self._queues[least]
            self._urgencies[entry.urgency] -= 1
            self._waiting -= 1
            self._bytes -= entry.size
            self._count_dropped([entry], "queue_full")
        self._bound_intake()

    def _drop_waiting(self, reason: DropReason) -> None:
        self._enqueue(self._repeats.release(float("inf")))
        # An entry leaves its queue before it is counted: after an interruption it is counted once.
        queues, self._queues = self._queues, {}
        self._urgencies.clear()
        self._waiting = self._bytes = 0
        for queue in queues.values():
            self._count_dropped(queue, reason)

    def _count_dropped(self, entries: Iterable[Entry], reason: DropReason) -> None:
        for entry in entries:
            self._repeats.dropped([entry])
            if entry.count:
                self._dropped[reason, entry.record.levelname] += entry.count
            # No repeat may be counted on the entry any more.
            entry.leased_at = float("-inf")
        self.notify_waiters()


def _rank(entry: Entry) -> tuple[int, bool]:
    """Return the rank of the queue of an entry; those of the lowest are dropped first."""
    return entry.record.levelno, entry.urgency > Urgency.EDIT
