"""What waits to be delivered: bounded, ordered, and counted to the record.

A caller's `put_nowait` appends to a deque and takes no lock. The records are taken in from there, under a lock that
a caller only ever tries, into one lane per level, so that the least severe and oldest can leave first when the
bounds are reached. Every record that was accepted is delivered, pending or dropped, at every moment.

`queue.Queue` would not do: a signal handler or `__del__` that logs while the same thread is inside `put` waits for
its lock for ever. `SimpleQueue` is made for that (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put),
and carries the wake-ups.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from discord_logging._snapshot import FrozenRecord

_INTAKE = 100
"""How many records callers leave in the deque before one of them takes them in."""


class Backlog:
    """The waiting records of one webhook.

    Args:
        max_records: How many may wait.
        max_bytes: How many bytes, estimated, may wait.
        rouse: Called by a caller's thread when a record comes while the listener sleeps, or before it was started.
            Returns whether the listener is awake now.
    """

    def __init__(self, max_records: int, max_bytes: int, rouse: Callable[[], bool]) -> None:
        self.max_records = max_records
        self.max_bytes = max_bytes
        self._rouse = rouse
        self.clear()

    def clear(self) -> None:
        """Become empty and new, as a forked child needs it: what the parent queued stays the parent's."""
        self._incoming: deque[FrozenRecord] = deque()
        self._lanes: dict[int, deque[FrozenRecord]] = {}
        self._signals: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Re-entrant, for a signal handler may flush while its thread is taking records in.
        self._settled = threading.Condition(threading.RLock())
        self._idle = True
        self._closed = self._is_taking_in = False
        self._taken_in = self._waiting = self._in_flight = self._bytes = 0
        self.delivered = 0
        self.dropped: Counter[tuple[str, str]] = Counter()

    # The caller's side

    def put_nowait(self, record: FrozenRecord) -> None:
        """Accept `record`. Never waits."""
        self._incoming.append(record)
        if self._idle:
            self._idle = False
            if not self._rouse():
                self._idle = True
        is_due = len(self._incoming) >= _INTAKE or self._closed
        # Whoever holds the lock is taking records in already. It may be this very thread, below a signal handler.
        if is_due and not self._is_taking_in and self._settled.acquire(blocking=False):
            try:
                self._take_in()
            finally:
                self._settled.release()

    def refuse(self, levelname: str, reason: str) -> None:
        """Count a record that could not be accepted."""
        with self._settled:
            self._taken_in += 1
            self.dropped[reason, levelname] += 1

    # The listener's side

    def wait(self, timeout: float | None) -> None:
        """Block until `wake` is called, or for `timeout` seconds; `None` is without end."""
        with contextlib.suppress(queue.Empty):
            self._signals.get(timeout=timeout)

    def wait_for_record(self) -> None:
        """Block until a record waits or `wake` is called."""
        self._idle = True
        # A record that came before this line found the listener awake and roused nobody. One that is just taken in
        # is in neither place, but then the lock is held.
        with self._settled:
            is_empty = not self.pending
        if is_empty:
            self.wait(None)
        self._idle = False

    def wake(self) -> None:
        """End the listener's wait."""
        self._signals.put(None)

    def take(self, limit: int) -> list[FrozenRecord]:
        """Return the oldest `limit` records, which are in flight from here on."""
        with self._settled:
            self._take_in()
            records: list[FrozenRecord] = []
            while self._waiting and len(records) < limit:
                lane = min(self._lanes.values(), key=lambda lane: lane[0].sequence)
                records.append(self._pop(lane))
            self._in_flight += len(records)
            return records

    def put_back(self, records: Sequence[FrozenRecord]) -> None:
        """Return records that were taken to their places."""
        with self._settled:
            self._in_flight -= len(records)
            for record in reversed(records):
                lane = self._lanes.setdefault(record.levelno, deque())
                # Those before them may have been put back already.
                place = next((i for i, other in enumerate(lane) if other.sequence > record.sequence), len(lane))
                lane.insert(place, record)
                self._waiting += 1
                self._bytes += record.size
            self._evict()

    def settle(self, records: Sequence[FrozenRecord], dropped: str | None = None) -> None:
        """Count records that were taken as delivered, or as dropped for the reason `dropped`."""
        with self._settled:
            self._in_flight -= len(records)
            self._count(records, dropped)

    def drop_waiting(self, reason: str) -> None:
        """Drop all that waits, and count it under `reason`."""
        with self._settled:
            self._take_in()
            self._drop_lanes(reason)

    # Everybody's side

    @property
    def pending(self) -> int:
        """How many records wait or are in flight."""
        return len(self._incoming) + self._waiting + self._in_flight

    def count(self) -> dict[str, int]:
        """Return how many records were accepted and delivered, are pending, and were dropped, in one moment."""
        with self._settled:
            incoming = len(self._incoming)
            return {
                "accepted": self._taken_in + incoming,
                "delivered": self.delivered,
                "pending": incoming + self._waiting + self._in_flight,
                "dropped": sum(self.dropped.values()),
            }

    def close(self) -> None:
        """Drop what waits and whatever still comes, as `closed`."""
        with self._settled:
            self._closed = True
            self._take_in()

    def wait_until_settled(self, deadline: float, give_up: Callable[[], bool]) -> None:
        """Block until all that was accepted so far is delivered or dropped.

        Args:
            deadline: When to give up, on the monotonic clock.
            give_up: Asked after each change whether waiting is of no use.
        """
        with self._settled:
            self._take_in()
            target = self._taken_in
            while self.delivered + sum(self.dropped.values()) < target and not give_up():
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._settled.wait(min(remaining, threading.TIMEOUT_MAX))

    def announce(self) -> None:
        """Make those who wait until all is settled look again."""
        with self._settled:
            self._settled.notify_all()

    def _take_in(self) -> None:
        self._is_taking_in = True
        try:
            self._sort_in()
            self._evict()
        finally:
            self._is_taking_in = False

    def _sort_in(self) -> None:
        for _ in range(len(self._incoming)):
            if not self._incoming:  # a signal handler in our thread has flushed meanwhile
                break
            record = self._incoming.popleft()
            size = record.size
            self._taken_in += 1
            record.sequence = self._taken_in
            self._lanes.setdefault(record.levelno, deque()).append(record)
            self._waiting += 1
            self._bytes += size

    def _drop_lanes(self, reason: str) -> None:
        for lane in self._lanes.values():
            self._count(lane, reason)
        self._lanes.clear()
        self._waiting = self._bytes = 0

    def _evict(self) -> None:
        if self._closed:
            self._drop_lanes("closed")
        while self._waiting and (self._waiting + self._in_flight > self.max_records or self._bytes > self.max_bytes):
            self._count([self._pop(self._lanes[min(self._lanes)])], "queue_full")

    def _pop(self, lane: deque[FrozenRecord]) -> FrozenRecord:
        record = lane.popleft()
        if not lane:
            del self._lanes[record.levelno]
        self._waiting -= 1
        self._bytes -= record.size
        return record

    def _count(self, records: Iterable[FrozenRecord], dropped: str | None) -> None:
        for record in records:
            if dropped is None:
                self.delivered += 1
            else:
                self.dropped[dropped, str(record.levelname)] += 1
        self._settled.notify_all()
