"""What waits to be delivered: bounded, ordered, and counted to the record.

A caller's `put_nowait` appends to a deque and takes no lock. The records are taken in from there, under a lock that
a caller only ever tries, into one lane per level, so that the least severe and oldest can leave first when the bounds
are reached. Every record that was accepted is delivered, pending or dropped, at every moment.

`queue.Queue` would not do: a signal handler or `__del__` that logs while the same thread is inside `put` waits for
its lock for ever. Nor would `SimpleQueue`: up to Python 3.10, `get` with a short timeout may wait for ever.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, deque
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from discord_logging._backlogs.repeats import Repeats
from discord_logging._backlogs.triage import Triage
from discord_logging._discord.pace import Urgency
from discord_logging._process import clock
from discord_logging._process.gil import yield_gil_between
from discord_logging._process.locks import Lock
from discord_logging._records.freeze import FrozenRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from discord_logging._health import DropReason
    from discord_logging._records.freeze import Snapshot

_MAX_MESSAGE_CHARACTERS = 12_000_000
"""More text than any message carries, in characters."""
_BESIDE_TEXT = 400
"""The least by which a record's size exceeds its line in a file."""
_INTAKE = 20
"""How many records are taken in at a time."""


class Backlog:
    """The waiting records of one webhook.

    Args:
        max_records: How many may wait.
        max_bytes: How many bytes, estimated, may wait.
        repeat_window: Seconds for which repeats of a record are held back.
        rouse: Called by a caller's thread when a record comes while the listener sleeps, or before it was started.
            Returns whether the listener is awake now.
    """

    _thaw = FrozenRecord
    """Makes of what was put in a record that can be counted on."""

    def __init__(
        self, max_records: int, max_bytes: int, rouse: Callable[[], bool], *, repeat_window: float = 0.0
    ) -> None:
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.repeat_window = repeat_window
        self._rouse = rouse
        self.clear()

    def configure(self, max_records: int, max_bytes: int, repeat_window: float) -> None:
        """Take over new bounds."""
        self.max_records, self.max_bytes = max_records, max_bytes
        self.repeat_window = self._repeats.window = repeat_window
        self._bound_intake()

    def _bound_intake(self) -> None:
        """Set how much callers leave in the deque, where records count by number alone."""
        room = self.max_records - self._waiting
        self._overflow = 0 if self._closed else min(max(room, _INTAKE), self.max_records)
        self._large = self.max_bytes // self.max_records

    def clear(self) -> None:
        """Become empty and new, as a forked child needs it: what the parent queued stays the parent's."""
        self._incoming: deque[Snapshot] = deque()
        self._lanes: dict[int, deque[FrozenRecord]] = {}
        self._repeats = Repeats(self.repeat_window)
        self._triage = Triage()
        self._urgent: Counter[int] = Counter()
        self._asleep = _locked()
        self.lock = Lock()
        self._waiters: list[threading.Lock] = []
        self._idle = True
        self._closed = False
        self._in_flight: list[FrozenRecord] = []
        self._taken_in = self._sequence = self._waiting = self._bytes = 0
        self.delivered = 0
        self.dropped: Counter[tuple[DropReason, str]] = Counter()
        self._refused: deque[tuple[DropReason, str]] = deque()
        self._bound_intake()

    # The caller's side

    def put_nowait(self, snapshot: Snapshot) -> None:
        """Accept a record. Waits for nobody; gives others a turn when more come than are taken in."""
        incoming = self._incoming
        incoming.append(snapshot)
        if self._idle:
            self._rouse_listener()
        if len(incoming) >= self._overflow or len(snapshot[0]) > self._large:
            self._relieve()

    def _rouse_listener(self) -> None:
        self._idle = False
        is_awake = False
        try:
            is_awake = self._rouse()
        finally:
            # Ctrl-C may have interrupted it. A listener that is awake may be asleep again already, and has said so.
            if not is_awake:
                self._idle = True

    def _relieve(self) -> None:
        if self._closed:
            self._rouse()
        lock = self.lock
        if lock.is_held_by_this_thread():
            # We interrupted our own bookkeeping (signal handler or `__del__`). Do not sleep: other threads would keep
            # making garbage, and on Python 3.12 the collection would not end.
            return
        try:
            if lock.acquire(0):
                self._take_in()
            else:
                # Somebody takes records in. Without the interpreter's lock they could not keep up with many threads.
                clock.sleep(1e-6)
        finally:
            # A signal handler may have raised as soon as it was had. Or forked: then it is not `self.lock` any more.
            if lock.is_held_by_this_thread():
                lock.release()

    def refuse(self, levelname: str, reason: DropReason) -> None:
        """Count a record that could not be accepted. Waits for nobody."""
        self._refused.append((reason, levelname))

    # The listener's side

    def wait(self, timeout: float | None) -> None:
        """Block until `wake` is called, or for `timeout` seconds; `None` is without end."""
        self._asleep.acquire(timeout=-1 if timeout is None else max(timeout, 0.0))

    def wait_for_record(self) -> None:
        """Block until a record waits or `wake` is called."""
        self._idle = True
        # A record that came before this line found the listener awake and roused nobody. One that is just taken in
        # is in neither place, but then the lock is held.
        with self.lock:
            due_in = self._repeats.due_at - clock.monotonic()
            is_empty = not self.is_ready
        if is_empty:
            self.wait(None if due_in > threading.TIMEOUT_MAX else due_in)
        self._idle = False

    def wake(self) -> None:
        """End the listener's wait."""
        _unlock(self._asleep)

    def renew_locks(self) -> None:
        """Make new ones if gevent has replaced their classes: a wait for the old ones would stop every greenlet."""
        if type(self._asleep) is not type(threading.Lock()):
            self._asleep = _locked()
            self.lock = Lock()

    def take_in(self) -> bool:
        """Take in what came, and what is held back no longer; return whether there is something to take."""
        for _ in yield_gil_between(range(0, max(len(self._incoming), 1), _INTAKE)):
            with self.lock:
                self._take_in()
        return self._waiting > 0

    @property
    def waiting(self) -> int:
        """How many records may be taken."""
        return self._waiting

    @property
    def urgency(self) -> Urgency:
        """Of the most urgent record that may be taken."""
        return max((each for each in Urgency if self._urgent[each] > 0), default=Urgency.ROUTINE)

    def take(self, limit: int) -> list[FrozenRecord]:
        """Return the oldest `limit` records, which are in flight from here on.

        No more than a message could carry, but in any case one of the most urgent.
        """
        self.take_in()
        now = clock.monotonic()
        with self.lock:
            records: list[FrozenRecord] = []
            room = _MAX_MESSAGE_CHARACTERS
            while self._waiting and len(records) < limit and room > 0:
                records.append(self._pop(min(self._lanes.values(), key=_order_of_first)))
                room -= records[-1].size - _BESIDE_TEXT
            if room <= 0 and self.urgency > max(record.urgency for record in records):
                # An urgent record does not wait for what others before it would fill whole messages with.
                records.append(self._pop_urgent(self.urgency))
            for record in records:
                record.taken_at = now
                record.in_flight = True
            self._in_flight += records
            return records

    def _pop_urgent(self, urgency: Urgency) -> FrozenRecord:
        """Return the oldest record of an urgency that waits."""
        found = (record for lane in self._lanes.values() for record in lane if record.urgency == urgency)
        record = min(found, key=_order)
        lane = self._lanes[record.levelno]
        lane.remove(record)
        lane.appendleft(record)
        return self._pop(lane)

    def put_back(self, records: Sequence[FrozenRecord], *, first: bool = False) -> None:
        """Return records that were taken to their places, or, if `first`, before all others."""
        with self.lock:
            self._land(records)
            for record in records:
                record.taken_at = None
                record.is_first = record.is_first or first
                self._append(record, record.size)
            for levelno in {record.levelno for record in records}:
                # Records before or behind them may have been put back already.
                self._lanes[levelno] = deque(sorted(self._lanes[levelno], key=_order))
            self._evict()

    def settle(self, records: Sequence[FrozenRecord], dropped: DropReason | None = None) -> None:
        """Count records that were taken as delivered, or as dropped for the reason `dropped`."""
        with self.lock:
            self._land(records)
            self._count(records, dropped)

    def _land(self, records: Iterable[FrozenRecord]) -> None:
        for record in records:
            record.in_flight = False
        self._in_flight = [record for record in self._in_flight if record.in_flight]

    def drop_all(self, reason: DropReason) -> None:
        """Drop all that waits or is in flight, and count it under `reason`."""
        with self.lock:
            self.drop_in_flight(reason)
            self.drop_waiting(reason)

    def drop_in_flight(self, reason: DropReason) -> None:
        """Drop all that is in flight, and count it under `reason`."""
        with self.lock:
            self.settle(self._in_flight, reason)

    def drop_waiting(self, reason: DropReason) -> None:
        """Drop all that waits, and count it under `reason`."""
        with self.lock:
            self._take_in(len(self._incoming))
            self._drop_lanes(reason)

    # Everybody's side

    @property
    def pending(self) -> int:
        """How many records wait, are held back, or are in flight. Takes no lock; never too few."""
        settled = self.delivered + self.lost
        return self._accepted - settled

    @property
    def _accepted(self) -> int:
        return self._taken_in + len(self._incoming) + len(self._refused)

    @property
    def lost(self) -> int:
        """How many records were dropped."""
        return sum(self.dropped.values()) + len(self._refused)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take."""
        return bool(self._incoming or self._waiting or self._repeats.due_at <= clock.monotonic())

    def count(self) -> dict[str, int]:
        """Return how many records were accepted and delivered, are pending, and were dropped, in one moment."""
        with self.lock.hold() as is_held:
            if is_held:
                self._count_refused()
                if self._closed:
                    # The caller that put the last of them may have found the lock taken.
                    self._take_in(len(self._incoming))
            # Once each: a signal handler may log in between.
            accepted, delivered, dropped = self._accepted, self.delivered, self.lost
            return {
                "accepted": accepted,
                "delivered": delivered,
                "pending": accepted - delivered - dropped,
                "dropped": dropped,
            }

    def oldest_age(self) -> float:
        """Return for how many seconds the oldest record waits or is in flight, those held back left out.

        0.0 if no record does, or if the lock cannot be had.
        """
        with self.lock.hold() as is_held:
            since = [record.waiting_since for record in self._oldest_of_each()] if is_held else []
        return max(clock.monotonic() - min(since), 0.0) if since else 0.0

    def close(self) -> None:
        """Drop what waits and whatever still comes, as `closed`."""
        self._closed = True
        self._bound_intake()
        self.release()

    def wait_until_settled(self, deadline: float, give_up: Callable[[], bool]) -> bool:
        """Block until all that was accepted so far is delivered or dropped. Nothing is held back any longer.

        Args:
            deadline: When to give up, on the monotonic clock.
            give_up: Asked after each change whether waiting is of no use.

        Returns:
            Whether it is.
        """
        waiter, waiters, lock = _locked(), self._waiters, self.lock
        waiters.append(waiter)
        # By their order, not by their number: what comes later may be delivered before.
        last = float("inf")
        try:
            # A child that a signal handler forked meanwhile has nothing to wait for.
            while lock is self.lock and self.pending:
                with lock.hold(deadline) as is_held:
                    if not is_held:
                        return False
                    if last == float("inf"):
                        last = self._release()
                    if self._oldest() > last:
                        return True
                remaining = deadline - clock.monotonic()
                if remaining <= 0 or give_up():
                    return False
                waiter.acquire(timeout=min(remaining, threading.TIMEOUT_MAX))
            return True
        finally:
            waiters.remove(waiter)

    def release(self) -> None:
        """Take in all that came, and hold nothing back any longer."""
        with self.lock.hold() as is_held:
            if is_held:
                self._release()

    def _release(self) -> int:
        self._take_in(len(self._incoming), float("inf"))
        # The listener may sleep until what was held back is due.
        self.wake()
        return self._sequence

    def _oldest(self) -> float:
        return min((record.sequence for record in self._oldest_of_each()), default=float("inf"))

    def _oldest_of_each(self) -> list[FrozenRecord]:
        """Return the oldest record of each lane, those in flight, and those that go before all others."""
        found = list(self._in_flight)
        for lane in self._lanes.values():
            found += takewhile(lambda record: record.is_first, lane)
            found += islice((record for record in lane if not record.is_first), 1)
        return found

    def announce(self) -> None:
        """Make those who wait until all is settled look again."""
        for waiter in tuple(self._waiters):
            _unlock(waiter)

    def _take_in(self, limit: int = _INTAKE, until: float | None = None) -> None:
        """Take in the oldest that came, and what was held back until `until`; `None` is now."""
        try:
            self._count_refused()
            self._enter(self._sort(limit))
            self._enter(self._repeats.release(clock.monotonic() if until is None else until))
            self._evict()
        except BaseException:
            # Ctrl-C, or a signal handler that exits.
            self._mend()
            raise

    def _count_refused(self) -> None:
        while self._refused:
            self._taken_in += 1
            self.dropped[self._refused.popleft()] += 1

    def _count_in_hand(self) -> int:
        places = (*self._lanes.values(), self._in_flight, self._repeats.held)
        known = sum(record.count for records in places for record in records)
        return self._taken_in + len(self._refused) - self.delivered - self.lost - known

    def _mend(self) -> None:
        """Put the books in order after a taking in that goes on no more."""
        if lost := self._count_in_hand():
            self.dropped["interrupted", "?"] += lost
        self._lanes = {levelno: lane for levelno, lane in self._lanes.items() if lane}
        waiting = [record for lane in self._lanes.values() for record in lane]
        self._waiting, self._bytes = len(waiting), sum(record.size for record in waiting)
        self._urgent = Counter(record.urgency for record in waiting)
        self.announce()

    def _sort(self, limit: int) -> Iterator[FrozenRecord]:
        """Count the oldest that came in, and yield those that are no repeats."""
        now = clock.monotonic()
        for _ in range(limit):
            if not self._incoming:
                break
            self._taken_in += 1
            record = self._thaw(self._incoming.popleft())
            if not self._is_folded(record, now):
                yield record

    def _is_folded(self, record: FrozenRecord, now: float) -> bool:
        try:
            return self._repeats.fold(record, now)
        except Exception:  # noqa: BLE001 - odd attributes have odd hashes, and the stack may be full
            return False

    def _enter(self, records: Iterable[FrozenRecord]) -> None:
        for record in records:
            size = record.size
            if size > self.max_bytes:
                self._count([record], "too_large")
                continue
            self._sequence += 1
            record.sequence = self._sequence
            record.waiting_since = clock.monotonic()
            record.urgency = self._rate(record)
            self._append(record, size)

    def _rate(self, record: FrozenRecord) -> Urgency:
        try:
            return self._triage.rate(record, record.waiting_since)
        except Exception:  # noqa: BLE001 - an attribute may be anything, or missing
            return Urgency.ROUTINE

    def _append(self, record: FrozenRecord, size: int) -> None:
        self._lanes.setdefault(record.levelno, deque()).append(record)
        self._urgent[record.urgency] += 1
        self._waiting += 1
        self._bytes += size

    def _drop_lanes(self, reason: DropReason) -> None:
        self._enter(self._repeats.release(float("inf")))
        for lane in self._lanes.values():
            self._count(lane, reason)
        self._lanes.clear()
        self._urgent.clear()
        self._waiting = self._bytes = 0

    def _evict(self) -> None:
        if self._closed:
            self._drop_lanes("closed")
        # In-flight records do not count against the bounds until they are put back, so that we never evict an ERROR
        # for records that are about to be delivered.
        while self._waiting > self.max_records or self._bytes > self.max_bytes:
            self._count([self._pop(self._lanes[min(self._lanes)])], "queue_full")
        self._bound_intake()

    def _pop(self, lane: deque[FrozenRecord]) -> FrozenRecord:
        record = lane.popleft()
        if not lane:
            del self._lanes[record.levelno]
        self._urgent[record.urgency] -= 1
        self._waiting -= 1
        self._bytes -= record.size
        return record

    def _count(self, records: Iterable[FrozenRecord], dropped: DropReason | None) -> None:
        for record in records:
            if dropped is None:
                self.delivered += record.count
            else:
                self.dropped[dropped, str(record.levelname)] += record.count
                # Nothing may be counted on it any more.
                record.taken_at = float("-inf")
        self.announce()


def _order(record: FrozenRecord) -> tuple[bool, int]:
    return not record.is_first, record.sequence


def _order_of_first(lane: deque[FrozenRecord]) -> tuple[bool, int]:
    return _order(lane[0])


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _unlock(lock: threading.Lock) -> None:
    with contextlib.suppress(RuntimeError):  # it is unlocked already
        lock.release()
