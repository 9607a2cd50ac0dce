"""Processes that share a durable backlog lose nothing and send nothing twice, in whatever order things happen."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging._backlogs import rescue
from discord_logging._backlogs.ring_layout import RECORD, SLOT_BYTES
from discord_logging._backlogs.store import Row
from discord_logging._backlogs.stored import Flush
from discord_logging._backlogs.stored_queues import slots_of
from discord_logging._records.settings import DeliverySettings
from tests.backlogs.conftest import Disk, Process, frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._backlogs.entry import Entry
    from discord_logging._backlogs.store import Writer

_places = itertools.count(1)
LEVELS = (10, 20, 40)


class Worker(Process):
    """A process, its message in flight, and what it has to expect."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.flying: list[Entry] = []
        self.is_closed = self.is_refused = False
        self.flushes: list[Flush] = []


class Machine:
    """Some processes on one store."""

    MAY_LOSE_STORE = False

    def __init__(self, size: int, window: float) -> None:
        self.now = 1_000.0
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("discord_logging._process.clock.monotonic", lambda: self.now)
        self.patch.setattr("discord_logging._process.clock.sleep", lambda _: None)
        self.place = f"{next(_places):x}"
        self.disk = self.new_disk()
        self.texts = itertools.count()
        self.delivered: Counter[tuple[Writer, int]] = Counter()
        self.records: Counter[Writer] = Counter()
        self.may_repeat: set[tuple[Writer, int]] = set()
        self.ended: list[tuple[Writer, int, Counter[Any]]] = []
        self.last: tuple[Any, ...] = ()

        self.settings = DeliverySettings(queue_size=size, repeat_window=window, backlog_age=1e12)
        self.workers = [self._worker() for _ in range(3)]
        self.gone: list[Worker] = []

    def new_disk(self) -> Disk:
        """Return the place of the store."""
        return Disk()

    def _worker(self) -> Worker:
        return Worker(self.disk, self.settings, self.place)

    def play(self, steps: Sequence[tuple[str, int, int]]) -> None:
        """Take some steps, and then the last ones, and check after each that all is right."""
        try:
            for name, which, number in steps:
                getattr(self, name)(which, number)
                self.check()
            self.finish()
        finally:
            self.end()

    def end(self) -> None:
        """Leave no ring behind."""
        for worker in [*self.workers, *self.gone]:
            worker.die()
        for ring in rescue.rescue(self.place):
            ring.remove()
        self.patch.undo()

    # Callers

    def put(self, which: int, number: int) -> None:
        """Log some records."""
        for _ in range(number):
            self._put(which, f"number {next(self.texts)}")

    def _put(self, which: int, text: str) -> None:
        self.last = frozen(text, LEVELS[len(self.last) % 3])
        self.workers[which].backlog.put(self.last)

    def repeat(self, which: int, number: int) -> None:
        """Log a record that others say, too."""
        self._put(which, "abc"[number % 3])

    def pass_again(self, which: int, _: int) -> None:
        """Log a record a second time."""
        if self.last:
            self.workers[which].backlog.put(self.last)

    def refuse(self, which: int, _: int) -> None:
        """Count a record that cannot be accepted."""
        self.workers[which].backlog.refuse("INFO", "unreadable")

    def flush(self, which: int, _: int = 0) -> None:
        """Wait for all records."""
        worker = self.workers[which]
        flush = Flush(worker.backlog.accounts.numbers.taken, self.now + 5)
        worker.backlog.flushes.append(flush)
        worker.flushes.append(flush)

    # Keepers and time

    def step(self, which: int, _: int = 0) -> None:
        """Run a keeper once."""
        self._run(self.workers[which])

    def _run(self, worker: Worker) -> None:
        thread = worker.backlog.keeper._thread
        if not worker.is_closed:
            worker.step()
        elif thread:
            thread.join(0)
        for flush in [each for each in worker.flushes if each.is_settled]:
            worker.flushes.remove(flush)
            worker.backlog.flushes.remove(flush)
            waiting = [*worker.backlog._in_order(), *worker.backlog._repeats.held, *worker.backlog.leased]
            numbers = [slot.number for slot in slots_of(waiting)]
            numbers += [number for number, _, _ in worker.backlog.arrivals._deque]
            numbers += [row.number for row in self.disk.file.rows.values() if row.writer == worker.writer]
            assert not numbers or min(numbers) > flush.number

    def let_pass(self, _: int, number: int) -> None:
        """Let time pass."""
        self.now += (0.3, 1.0, 6.0, 60.0)[number % 4]

    # Listeners

    def send(self, which: int, carried: int) -> None:
        """Lease the records of a message, and begin to send it."""
        worker = self.workers[which]
        if worker.is_refused:
            worker.backlog.drop("webhook_gone")
        elif worker.backlog.is_ready and not worker.flying:
            entries = worker.backlog.lease(7)
            assert [entry.count for entry in entries] == [
                sum(each.count if isinstance(each, Row) else 1 for each in entry.kept) for entry in entries
            ]
            worker.backlog.requeue(entries[carried:])
            if worker.backlog.note_flight(entries[:carried]):
                worker.flying = entries[:carried]
            else:
                worker.backlog.requeue(entries[:carried])

    def ack(self, which: int, _: int = 0) -> None:
        """Let the message arrive."""
        worker = self.workers[which]
        for each in itertools.chain.from_iterable(entry.kept for entry in worker.flying):
            writer = each.writer if isinstance(each, Row) else worker.writer
            self.delivered[writer, each.number] += 1
            self.records[writer] += each.count if isinstance(each, Row) else 1
        if worker.flying:
            worker.backlog.ack(worker.flying)
        worker.flying = []

    def requeue(self, which: int, number: int) -> None:
        """Let the message fail."""
        worker = self.workers[which]
        worker.backlog.requeue(worker.flying, maybe_saved=number % 2 > 0)
        worker.flying = []

    def reject(self, which: int, _: int = 0) -> None:
        """Let Discord refuse the records."""
        worker = self.workers[which]
        worker.backlog.drop("rejected", worker.flying)
        worker.flying = []

    def drop_all(self, which: int, _: int = 0) -> None:
        """Drop all, as after a fault."""
        worker = self.workers[which]
        worker.backlog.drop("internal_error")
        worker.flying = []

    def lose_webhook(self, which: int, _: int = 0) -> None:
        """Let Discord refuse all messages of a process."""
        worker = self.workers[which]
        if worker.flying:
            worker.is_refused = True
            worker.flying = []
            worker.backlog.drop("webhook_gone")

    # Trouble

    def break_store(self, _: int, number: int) -> None:
        """Let the store fail after some calls."""
        self.disk.fail(number)

    def mend_store(self, *_: int) -> None:
        """Let the store work."""
        self.disk.work()

    def replace_store(self, *_: int) -> None:
        """Put a copy in place of the store."""
        self.disk.replace(keeps_content=True)

    def lose_store(self, *_: int) -> None:
        """Put an empty store in its place."""
        self.disk.replace(keeps_content=not self.MAY_LOSE_STORE)

    def close(self, which: int, _: int = 0) -> None:
        """Close a backlog."""
        worker = self.workers[which]
        if not worker.is_closed:
            worker.is_closed = True
            worker.backlog.close()
            self._note_repeats(worker)

    def reopen(self, which: int, _: int = 0) -> None:
        """Open a backlog again."""
        worker = self.workers[which]
        if worker.is_closed:
            worker.is_closed = False
            worker.backlog.reopen()

    def die(self, which: int, _: int = 0) -> None:
        """Kill a process, and start another one."""
        worker = self.workers[which]
        self._bury(worker)
        worker.die()
        self.gone.append(worker)
        self.workers[which] = self._worker()

    def fork(self, which: int, _: int = 0) -> None:
        """Fork a process, and kill the parent."""
        worker = self.workers[which]
        self._bury(worker)
        worker.fork()
        worker.flying, worker.flushes = [], []
        worker.is_closed = worker.is_refused = False

    def _bury(self, worker: Worker) -> None:
        backlog = worker.backlog
        self._note_repeats(worker)
        lost: Counter[str] = Counter(reason for (reason, _), number in backlog._dropped.items() for _ in range(number))
        lost["refused"] += len(backlog._refused)
        lost["at_risk"] += len(backlog.arrivals.at_risk)
        here = backlog.accounts.delivered_here
        self.ended.append((worker.writer, backlog.count()["accepted"] - here, lost))
        self.records[worker.writer] -= here

    def _note_repeats(self, worker: Worker) -> None:
        # The store could not be told that these are delivered, and others send them again.
        for rows, reason in worker.backlog.unsettled:
            if reason is None:
                self.may_repeat.update((row.writer, row.number) for row in rows)

    # What always holds

    def check(self) -> None:
        """Check what holds at every moment."""
        self._check_books()
        self._check_flights()
        assert {key for key, number in self.delivered.items() if number > 1} <= self.may_repeat

    def _check_books(self) -> None:
        for worker in self.workers:
            counts = worker.backlog.count()
            assert min(counts.values()) >= 0, counts
            assert counts["accepted"] == counts["delivered"] + counts["pending"] + counts["dropped"]
            assert worker.backlog.pending == counts["pending"]
            assert (
                worker.backlog.lost
                == counts["dropped"]
                == worker.backlog.dropped.total() + len(worker.backlog._refused)
            )

    def _check_flights(self) -> None:
        flying = [
            (row.writer, row.number)
            for worker in self.workers
            for entry in worker.flying
            for row in entry.kept
            if isinstance(row, Row)
        ]
        assert len(flying) == len(set(flying))

    def finish(self) -> None:
        """Let everything work until nothing waits any more."""
        self.disk.work()
        for which in range(3):
            self.ack(which)
            self.reopen(which)
        self.workers.append(self._worker())
        for round_ in range(30):
            if round_ > 3 and not any(worker.backlog.pending for worker in self.workers) and not self.disk.file.rows:
                break
            self.now += 61
            for which, worker in enumerate(self.workers):
                self._run(worker)
                self.send(which, 7)
                self.ack(which)
                self._run(worker)
            self.check()
        self.check_end()

    def check_end(self) -> None:
        """Check that all is delivered or dropped, and told."""
        assert not self.disk.file.rows
        assert not list(rescue.rescue(self.place))
        for worker in self.workers:
            counts = worker.backlog.count()
            assert counts["pending"] == 0, counts
            assert not worker.backlog.arrivals.at_risk
            memory = worker.backlog.arrivals._ring._memory
            assert memory is None or RECORD not in memory[::SLOT_BYTES]
            if not self.may_repeat and not self.MAY_LOSE_STORE:
                assert counts["delivered"] == self.records[worker.writer]
        if not self.MAY_LOSE_STORE and not self.may_repeat:
            file = self.disk.file
            for writer, accepted, lost in self.ended:
                dropped = file.dropped.get(writer, Counter[Any]()).total()
                assert accepted == self.records[writer] + dropped + lost.total(), (accepted, dropped, lost)
            assert self.workers[0].backlog.losses == file.losses


class LosingMachine(Machine):
    """The same, with a store that loses all."""

    MAY_LOSE_STORE = True


ACTIONS = {
    "put": 6,
    "repeat": 4,
    "pass_again": 1,
    "refuse": 1,
    "flush": 1,
    "step": 12,
    "let_pass": 3,
    "send": 6,
    "ack": 4,
    "requeue": 2,
    "reject": 1,
    "drop_all": 1,
    "lose_webhook": 1,
    "break_store": 2,
    "mend_store": 3,
    "replace_store": 1,
    "lose_store": 1,
    "close": 1,
    "reopen": 2,
    "die": 1,
    "fork": 1,
}
NAMES = [name for name, weight in ACTIONS.items() for _ in range(weight)]
steps = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 2), st.integers(0, 8)), max_size=70)


@pytest.mark.once
@pytest.mark.parametrize("machine", [Machine, LosingMachine])
@settings(max_examples=100)
@given(size=st.sampled_from([3, 6, 1_000]), window=st.sampled_from([0.0, 60.0]), steps=steps)
def test_every_record_is_delivered_or_dropped_once(
    machine: type[Machine], size: int, window: float, steps: list[tuple[str, int, int]]
) -> None:
    """The processes log, store, send, end, fork and close; the store fails, works again, and is replaced."""
    machine(size, window).play(steps)
