"""The backlog: its bounds, its order and its books, under threads and signal handlers too."""

from __future__ import annotations

import itertools
import logging
import signal
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging._backlogs import memory
from discord_logging._backlogs.intake import PORTION
from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._discord.pace import Urgency
from discord_logging._records.freeze import freeze
from discord_logging._records.record import NO_DETAILS
from discord_logging._records.settings import CardSettings, DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from discord_logging._backlogs.entry import Entry
    from discord_logging._records.record import FrozenRecord

    Closed = tuple[MemoryBacklog, list[Entry]]

LEVELS = (logging.DEBUG, logging.INFO, logging.ERROR)
SIZE = 512 + len("x")


class Item:
    """The attributes of a record that a backlog uses, and its state in a model."""

    def __init__(self, number: int, levelno: int = logging.INFO, size: int = 1, text: str | None = None) -> None:
        self.number = number
        self.levelno = levelno
        self.levelname = logging.getLevelName(levelno)
        self.message = text or f"number {number}"
        self.created = float(number)
        self.own_size = size
        self.on_size: Callable[[], object] = lambda: None

    @property
    def size(self) -> int:
        """Return the size that the test sets, after its optional side effect."""
        self.on_size()
        return self.own_size

    def counted(self, *_: object, **__: object) -> Item:
        """Return the same record, since no test looks at its counts."""
        return self

    def fingerprint(self) -> str:
        """Return a value that repeats share."""
        return self.message

    def __getitem__(self, index: int) -> object:
        """Return the message, which is the first part of a snapshot, or the last part, which has no details."""
        return NO_DETAILS if index else self.message


def item(number: int, levelno: int = logging.INFO, size: int = 1, text: str | None = None) -> Any:
    """Return a record with only an order, a level, a size and a text."""
    return cast("FrozenRecord", Item(number, levelno, size, text))


def make(
    max_records: int = 10_000, max_bytes: int = 64_000_000, wake_listener: Callable[[], bool] = lambda: True
) -> MemoryBacklog:
    """Return a backlog of such records, whose listener is always awake."""
    backlog = MemoryBacklog(max_records, max_bytes)
    backlog.wake_listener = wake_listener
    backlog._make_record = lambda item: cast("FrozenRecord", item)  # type: ignore[assignment,misc]
    return backlog


def bounded(max_records: int, max_bytes: int, window: float) -> DeliverySettings:
    """Return settings with these bounds."""
    return DeliverySettings(queue_size=max_records, queue_bytes=max_bytes, repeat_window=window)


def filled(numbers: Iterable[int], **bounds: Any) -> MemoryBacklog:
    """Return a backlog that holds records with these numbers."""
    backlog = make(**bounds)
    for number in numbers:
        backlog.put(item(number))
    return backlog


def lease(backlog: MemoryBacklog, limit: int = 10_000) -> list[int]:
    """Lease records and return their numbers."""
    return numbers(backlog.lease(limit))


def numbers(entries: Iterable[Entry]) -> list[int]:
    """Return the numbers of entries."""
    return [cast("Any", entry.record).number for entry in entries]


def in_turn(*actions: Callable[[], object]) -> Callable[[], bool]:
    """Return a function that runs these functions in turn and returns True."""

    def act() -> bool:
        for action in actions:
            action()
        return True

    return act


def check_books(backlog: MemoryBacklog) -> dict[str, int]:
    """Assert that every record is accounted for."""
    count = backlog.count()
    assert count["accepted"] == count["delivered"] + count["pending"] + count["dropped"], count
    return count


# Order and bounds


def test_records_leave_in_the_order_in_which_they_came() -> None:
    """The order does not depend on the levels or on the number that is leased at once."""
    backlog = make()
    for number, levelno in enumerate([20, 40, 10, 40, 20, 10]):
        backlog.put(item(number, levelno))
    assert [lease(backlog, 2), lease(backlog, 3), lease(backlog), lease(backlog)] == [[0, 1], [2, 3, 4], [5], []]
    assert check_books(backlog)["pending"] == 6


def test_requeued_records_return_to_their_positions() -> None:
    """A message that failed leaves before the records that came meanwhile."""
    backlog = filled(range(5))
    records = backlog.lease(3)
    backlog.put(item(5))
    backlog.requeue(records)
    assert lease(backlog) == list(range(6))


def test_peek_returns_the_number_and_the_urgency_of_waiting_records() -> None:
    """Leased records do not wait; requeued ones do again."""
    backlog = MemoryBacklog(10, 64_000_000)

    def state() -> tuple[int, Urgency]:
        waiting = backlog.peek()
        return waiting.records, waiting.urgency

    assert state() == (0, Urgency.ROUTINE)
    for levelno in (logging.INFO, logging.ERROR, logging.CRITICAL):
        made = logging.makeLogRecord({"name": "shop", "msg": "text", "levelno": levelno})
        backlog.put(freeze(made, CardSettings(None)))
    assert state() == (3, Urgency.ALARM)
    records = backlog.lease(10)
    assert [record.urgency for record in records] == [Urgency.ROUTINE, Urgency.NEWS, Urgency.ALARM]
    assert state() == (0, Urgency.ROUTINE)
    backlog.requeue(records[:2])
    assert state() == (2, Urgency.NEWS)
    backlog.requeue(records[2:])
    backlog.lease(1)
    assert state() == (2, Urgency.ALARM)
    backlog.drop("closed")
    assert state() == (0, Urgency.ROUTINE)


def test_peek_returns_for_how_long_the_oldest_record_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leased and requeued records count with their whole time, and the wall clock does not matter."""
    now = 1_000.0
    monkeypatch.setattr("discord_logging._process.clock.monotonic", lambda: now)
    backlog = make()
    assert backlog.oldest_age() == 0.0
    for number in range(3):
        backlog.put(item(number, levelno=LEVELS[number]))
        backlog.peek()
        now += 1
    assert backlog.oldest_age() == 3.0
    records = backlog.lease(1)
    assert backlog.oldest_age() == 3.0
    backlog.requeue(records)
    backlog.ack(backlog.lease(2))
    assert backlog.oldest_age() == 1.0


@pytest.mark.once
def test_an_alarm_is_taken_however_much_text_is_before_it() -> None:
    """An alarm does not wait until older text, more than a message carries, has left."""
    backlog = MemoryBacklog(100, 64_000_000)
    for levelno, text in ((20, "x" * 5_000_000), (50, "alarm"), (50, "another"), (20, "routine")):
        for _ in range(4 if levelno == 20 else 1):
            made = logging.makeLogRecord({"name": "shop", "msg": text, "levelno": levelno})
            backlog.put(freeze(made, CardSettings(None)))
    records = backlog.lease(100)
    assert [len(entry.record.message) for entry in records] == [5_000_000] * 3 + [5]
    assert [len(entry.record.message) for entry in backlog.lease(100)] == [5_000_000, 7, 7, 7, 7, 7]
    backlog.requeue(records)
    assert [len(entry.record.message) for entry in backlog.lease(2)] == [5_000_000, 5_000_000]
    assert backlog.count()["pending"] == 10


def test_some_entries_may_be_leased_alone_or_left_out() -> None:
    """A message is tried again with its own records, and dropped records never come back."""
    backlog = filled(range(6), max_records=6)
    entries = backlog.lease()
    backlog.requeue(entries)
    assert numbers(backlog.lease(without=entries[:4])) == [4, 5]
    assert numbers(backlog.lease(2, only=[entries[3], entries[1], entries[0]])) == [0, 1]
    backlog.requeue(entries[:2])
    for number in (6, 7, 8, 9):
        backlog.put(item(number, logging.ERROR))
    backlog.requeue(entries[4:])
    assert numbers(backlog.lease(only=entries)) == [4, 5]
    assert backlog.lease(only=entries) == []
    assert check_books(backlog) == {"accepted": 10, "delivered": 0, "pending": 6, "dropped": 4}


def test_an_entry_has_its_tries() -> None:
    """An entry also says whether its record may be in the channel already."""
    backlog = filled([1, 2])
    entries = backlog.lease()
    assert set(backlog.leased) == set(entries)
    backlog.requeue(entries)
    assert backlog.leased == ()
    assert [(entry.tries, entry.counts.is_repeat) for entry in entries] == [(0, False)] * 2
    backlog.requeue(backlog.lease(1), maybe_saved=True)
    assert [(entry.tries, entry.counts.is_repeat) for entry in entries] == [(1, True), (0, False)]
    backlog.ack(backlog.lease())
    assert backlog.leased == ()


def test_a_record_without_a_readable_kind_is_routine() -> None:
    """The attributes of a record may have any value, but the record is kept."""
    backlog = make()
    backlog.put(item(1, logging.ERROR))  # without a name
    assert backlog.peek()[:2] == (1, Urgency.ROUTINE)


@pytest.mark.once
@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 12), min_size=1, max_size=4), levels=st.lists(st.sampled_from(LEVELS), min_size=12))
def test_parts_may_return_in_any_order(cuts: list[int], levels: list[int]) -> None:
    """Suspects and probes return to their positions, whichever comes back first."""
    backlog = make()
    for number, levelno in enumerate(levels):
        backlog.put(item(number, levelno))
    records = backlog.lease(12)
    edges = [0, *sorted(cuts), 12]
    parts = [records[start:end] for start, end in itertools.pairwise(edges)]
    for part in [*parts[1::2], *parts[::2]]:
        backlog.requeue(part)
    assert lease(backlog) == list(range(len(levels)))
    check_books(backlog)


def test_the_least_severe_and_oldest_are_dropped_first() -> None:
    """An error survives a flood of debug records, and the losses are counted by level."""
    backlog = make(max_records=10)
    for number in range(5):
        backlog.put(item(number, logging.ERROR))
    for number in range(5, 1005):
        backlog.put(item(number, logging.DEBUG))
    assert lease(backlog) == [0, 1, 2, 3, 4, 1000, 1001, 1002, 1003, 1004]
    assert backlog.dropped == {("queue_full", "DEBUG"): 995}
    assert check_books(backlog) == {"accepted": 1005, "delivered": 0, "pending": 10, "dropped": 995}


def test_bytes_are_bounded_too() -> None:
    """A huge record evicts many others, but a single record always has room."""
    backlog = filled(range(10), max_bytes=100)
    backlog.put(item(10, logging.ERROR, size=95))
    assert lease(backlog) == [5, 6, 7, 8, 9, 10]
    for number in (11, 12):
        backlog.put(item(number, logging.ERROR, size=101))
    assert lease(backlog) == [12]
    assert check_books(backlog)["dropped"] == 6


@pytest.mark.parametrize("attributes", [{"msg": "x" * 10**6}, {"own": "x" * 10**6}, {"exc_text": "x\n" * 10**6}])
def test_a_record_that_is_larger_than_the_bound_is_cut(attributes: dict[str, str]) -> None:
    """Regression: such a record was dropped. Neither the deque nor a queue keeps the whole."""
    backlog = MemoryBacklog(10_000, 200_000)
    backlog.put(freeze(logging.makeLogRecord({"levelname": "ERROR", **attributes}), CardSettings(None)))
    assert not backlog._incoming
    (entry,) = backlog.lease()
    assert 90_000 < entry.size <= 100_000
    backlog.ack([entry])
    assert check_books(backlog) == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}


@pytest.mark.once
def test_a_record_with_more_text_than_a_message_carries_is_cut() -> None:
    """The caller does not copy the rest. Regression: the hash of a long template held up the caller, too."""
    backlog = MemoryBacklog(10_000, 1_000_000_000)
    text = "x" * 20_000_000
    backlog.put(freeze(logging.makeLogRecord({"msg": text, "levelno": logging.ERROR}), CardSettings(None)))
    (entry,) = backlog.lease()
    assert len(entry.record.message) < 8_000_000
    assert entry.record.message.startswith("(12,100,576 of 20,000,000 characters are left out) xxx")


def test_a_real_record_counts_with_its_text() -> None:
    """The size of a record includes its text."""
    backlog = MemoryBacklog(10_000, 10 * SIZE)
    for _ in range(12):
        backlog.put(freeze(logging.makeLogRecord({"msg": "x", "levelname": "INFO"}), CardSettings(logging.Formatter())))
    assert len(backlog.lease(100)) == 10


def test_requeued_records_count_against_the_bound() -> None:
    """A failed message and newer records together do not exceed the bound; the oldest are dropped."""
    backlog = filled(range(10), max_records=10)
    records = backlog.lease(10)
    for number in range(10, 30):
        backlog.put(item(number))
    backlog.requeue(records[5:])
    backlog.ack(records[:5])
    assert lease(backlog) == list(range(20, 30))
    assert check_books(backlog) == {"accepted": 30, "delivered": 5, "pending": 10, "dropped": 15}


def test_nothing_outlives_the_process() -> None:
    """The memory is no place to find records in, and other processes have no part in it."""
    backlog = filled([1])
    backlog.resume()
    entries = backlog.lease()
    backlog.note_flight(entries)
    assert (backlog.place, backlog.health()) == ("", {"kind": "memory"})
    backlog.drop("rejected", entries)
    assert backlog.losses == backlog.dropped == {("rejected", "INFO"): 1}
    assert backlog.close(deadline=0.0)


def test_new_bounds_hold_from_the_next_record_on() -> None:
    """Repeats are held for the new time, too."""
    backlog = filled(range(5))
    backlog.configure(bounded(2, 10_000, 60.0))
    for _ in range(2):
        backlog.put(item(5, logging.ERROR))
    assert lease(backlog) == [4, 5]
    assert backlog.dropped == {("queue_full", "INFO"): 4}


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """Return the time that the test sets."""
        return self.now

    def sleep(self, _: float) -> None:
        """Return at once."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(memory, "clock", clock)
    return clock


WINDOW = 60.0


class Model:
    """The behaviour of a backlog, written with lists that are sorted by number."""

    def __init__(self, max_records: int, max_bytes: int, window: float) -> None:
        self.max_records, self.max_bytes, self.window = max_records, max_bytes, window
        self.now = 1_000.0
        self.incoming: list[Item] = []
        self.waiting: list[Item] = []
        self.flying: list[Item] = []
        self.held: list[tuple[float, Item]] = []
        self.standing: dict[str, Item] = {}
        self.counts: dict[int, int] = {}
        self.taken: dict[int, float | None] = {}
        self.entered: list[int] = []
        self.is_closed = False
        self.accepted = self.delivered = self.lost = 0

    def put(self, new: Item) -> None:
        """Accept a record."""
        self.incoming.append(new)
        self.accepted += 1
        is_large = len(new.message) > self.max_bytes // self.max_records
        if self.is_closed or is_large or len(self.incoming) >= self.max_records:
            self.take_in(flush=self.is_closed)

    def take_in(self, *, flush: bool = False) -> None:
        """Take in the records that came, and release the repeats that are due, or all."""
        for new in self.incoming:
            self._sort(new)
        self.incoming.clear()
        due = [each for each in self.held if flush or each[0] <= self.now]
        self.held = [each for each in self.held if each not in due]
        for _, each in due:
            self._enter(each)
        self.evict()

    def _sort(self, new: Item) -> None:
        self.counts[new.number], self.taken[new.number] = 1, None
        standing = self.standing.get(new.message) if self.window else None
        if standing is not None:
            taken_at = self.taken[standing.number]
            if taken_at is None:
                self.counts[standing.number] += 1
                return
            if self.now < taken_at + self.window:
                self.held.append((taken_at + self.window, new))
                self.standing[new.message] = new
                return
        self.standing[new.message] = new
        self._enter(new)

    def _enter(self, new: Item) -> None:
        self.entered.append(new.number)
        self.waiting.append(new)

    def evict(self) -> None:
        """Drop the least severe and oldest until the rest is within the bounds."""
        self.waiting.sort(key=lambda each: self.entered.index(each.number))
        while self.waiting and (
            self.is_closed
            or len(self.waiting) > self.max_records
            or (len(self.waiting) > 1 and sum(each.own_size for each in self.waiting) > self.max_bytes)
        ):
            lowest = min(each.levelno for each in self.waiting)
            first = next(each for each in self.waiting if each.levelno == lowest)
            self.waiting.remove(first)
            self.lose([first])

    def lease(self, limit: int) -> list[Item]:
        """Return the first records."""
        self.take_in()
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.taken.update((each.number, self.now) for each in taken)
        self.flying += taken
        return taken

    def requeue(self) -> None:
        """Return all leased records."""
        self.waiting += self.flying
        self.taken.update((each.number, None) for each in self.flying)
        self.flying = []
        self.evict()

    def settle(self, *, is_delivered: bool) -> None:
        """Settle all leased records."""
        if is_delivered:
            self.delivered += sum(self.counts[each.number] for each in self.flying)
        else:
            self.lose(self.flying)
        self.flying = []

    def drop_waiting(self) -> None:
        """Drop all waiting records."""
        self.take_in(flush=True)
        self.lose(self.waiting)
        self.waiting = []

    def lose(self, records: list[Item]) -> None:
        """Count losses."""
        self.lost += sum(self.counts[each.number] for each in records)
        self.taken.update((each.number, float("-inf")) for each in records)

    def count(self) -> dict[str, int]:
        """Return the numbers of records."""
        pending = self.accepted - self.delivered - self.lost
        parts = [*self.waiting, *self.flying, *(each for _, each in self.held)]
        assert pending == len(self.incoming) + sum(self.counts[each.number] for each in parts)
        return {"accepted": self.accepted, "delivered": self.delivered, "pending": pending, "dropped": self.lost}


class Both:
    """Does the same to a backlog and to its model, and compares the results."""

    def __init__(self, max_records: int, max_bytes: int, window: float) -> None:
        self.clock = Clock()
        self.backlog = make(max_records, max_bytes)
        self.backlog.configure(bounded(max_records, max_bytes, window))
        self.model = Model(max_records, max_bytes, window)
        self.numbers = itertools.count()
        self.flying: list[Entry] = []

    def do(self, what: str, *details: Any) -> None:
        """Run the action with this name, and check the numbers of records."""
        getattr(self, f"_{what}")(*details)
        assert check_books(self.backlog) == self.model.count()
        assert self.backlog.pending == self.model.count()["pending"]

    def _put(self, levelno: int, size: int, text: str | None) -> None:
        new = item(next(self.numbers), levelno, size, text and f"{levelno} {text}")
        self.backlog.put(new)
        self.model.put(new)

    def _lease(self, limit: int) -> None:
        leased = self.backlog.lease(limit)
        expected = [each.number for each in self.model.lease(limit)]
        assert numbers(leased) == expected
        assert [entry.count for entry in leased] == [self.model.counts[number] for number in expected]
        self.flying += leased

    def _requeue(self) -> None:
        self.backlog.requeue(self.flying)
        self.model.requeue()
        self.flying.clear()

    def _ack(self) -> None:
        self.backlog.ack(self.flying)
        self.model.settle(is_delivered=True)
        self.flying.clear()

    def _drop(self) -> None:
        self.backlog.drop("rejected", self.flying)
        self.model.settle(is_delivered=False)
        self.flying.clear()

    def _drop_all(self) -> None:
        self.backlog.drop("internal_error")
        self.model.settle(is_delivered=False)
        self.model.drop_waiting()
        self.flying.clear()

    def _refuse(self) -> None:
        self.backlog.refuse("INFO", "unreadable")
        self.model.accepted, self.model.lost = self.model.accepted + 1, self.model.lost + 1

    def _flush(self) -> None:
        is_settled = self.backlog.wait_until_settled(0.0, lambda: False)
        self.model.take_in(flush=True)
        assert is_settled == (not self.model.count()["pending"])

    def _close(self) -> None:
        self.backlog.close()
        self.model.is_closed = True
        self.model.take_in(flush=True)

    def _let_pass(self, seconds: float) -> None:
        self.clock.now += seconds
        self.model.now += seconds


operations = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(LEVELS), st.integers(1, 40), st.sampled_from([None, *"abc"])),
    st.tuples(st.just("lease"), st.integers(1, 12)),
    st.tuples(st.just("let_pass"), st.sampled_from([1.0, 59.0, 60.0, 200.0])),
    st.tuples(st.sampled_from(["requeue", "ack", "drop", "drop_all", "refuse", "flush", "close"])),
)


@pytest.mark.once
@settings(max_examples=200, deadline=None)
@given(
    max_records=st.integers(1, 12),
    max_bytes=st.integers(1, 150),
    window=st.sampled_from([0.0, WINDOW, WINDOW]),
    steps=st.lists(operations, max_size=60),
)
def test_a_backlog_behaves_like_a_sorted_list(
    max_records: int, max_bytes: int, window: float, steps: list[tuple[Any, ...]]
) -> None:
    """The model describes the whole behaviour, including repeats."""
    both = Both(max_records, max_bytes, window)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(memory, "clock", both.clock)
        for step in [*steps, ("lease", 10_000)]:
            both.do(*step)


# Repeats


def repeat(number: int, levelno: int = logging.INFO, text: str = "same") -> Any:
    return item(number, levelno, text=text)


def folding(*numbers: int, **bounds: Any) -> MemoryBacklog:
    """Return a backlog that folds and holds records with these numbers, which all say the same."""
    backlog = make(**bounds)
    backlog.configure(bounded(backlog.max_records, backlog.max_bytes, WINDOW))
    for number in numbers:
        backlog.put(repeat(number))
    return backlog


def deliver(backlog: MemoryBacklog) -> list[tuple[int, int]]:
    """Deliver all records that can be leased; return numbers and counts."""
    entries = backlog.lease()
    backlog.ack(entries)
    check_books(backlog)
    return [(number, entry.count) for number, entry in zip(numbers(entries), entries, strict=True)]


def test_repeats_that_wait_are_counted_on_the_first(clock: Clock) -> None:
    """They need no room in the queue, and all are delivered with the first."""
    backlog = folding(*range(50), max_records=3)
    assert deliver(backlog) == [(0, 50)]
    assert backlog.count() == {"accepted": 50, "delivered": 50, "pending": 0, "dropped": 0}
    assert clock.now == 1_000


def test_later_repeats_are_pending_until_their_window_ends(clock: Clock) -> None:
    """The first leaves at once, the others together when they are due, and later ones another window later."""
    backlog = folding(0)
    assert deliver(backlog) == [(0, 1)]
    for number in range(1, 4):
        backlog.put(repeat(number))
    assert deliver(backlog) == []
    assert not backlog.is_ready
    assert backlog.count() == {"accepted": 4, "delivered": 1, "pending": 3, "dropped": 0}
    clock.now += WINDOW
    assert backlog.is_ready
    backlog.put(repeat(4))
    assert deliver(backlog) == [(1, 4)]
    clock.now += WINDOW - 1
    backlog.put(repeat(5))
    assert deliver(backlog) == []
    clock.now += 1
    assert deliver(backlog) == [(5, 1)]


def test_no_repeat_is_counted_on_a_settled_record(clock: Clock) -> None:
    """A repeat of a dropped record leaves at once, since the channel has no record of its kind."""
    backlog = folding(0)
    backlog.drop("rejected", backlog.lease(1))
    backlog.put(repeat(1))
    backlog.drop("webhook_gone")
    backlog.put(repeat(2))
    assert deliver(backlog) == [(2, 1)]
    backlog.put(repeat(3))
    assert deliver(backlog) == []
    assert backlog.dropped == {("rejected", "INFO"): 1, ("webhook_gone", "INFO"): 1}
    clock.now += WINDOW
    assert deliver(backlog) == [(3, 1)]


def test_repeats_are_counted_on_a_requeued_record(clock: Clock) -> None:
    """Repeats are held while the record is in flight; after the requeue they are counted on it."""
    backlog = folding(0)
    records = backlog.lease(1)
    backlog.put(repeat(1))
    assert backlog.lease(1) == []
    backlog.requeue(records)
    backlog.put(repeat(2))
    assert deliver(backlog) == [(0, 1)]
    clock.now += WINDOW
    assert deliver(backlog) == [(1, 2)]


def test_a_record_that_stands_for_many_is_dropped_with_all_of_them() -> None:
    """An evicted entry counts with all of its repeats."""
    backlog = folding(*range(7), max_records=2)
    for number, levelno in enumerate((logging.ERROR, logging.ERROR, logging.DEBUG), 7):
        backlog.put(item(number, levelno))
    assert lease(backlog) == [7, 8]
    assert backlog.dropped == {("queue_full", "INFO"): 7, ("queue_full", "DEBUG"): 1}
    check_books(backlog)


@pytest.mark.usefixtures("clock")
def test_released_repeats_count_against_the_bound() -> None:
    """A flush does not let more records wait than allowed."""
    backlog = folding(max_records=3)
    for round_ in range(2):
        for number in range(3):
            backlog.put(repeat(number + 3 * round_, text=str(number)))
        if not round_:
            backlog.ack(backlog.lease(3))
    for number in (7, 8):
        backlog.put(item(number, logging.ERROR))
    assert not backlog.wait_until_settled(0.0, lambda: True)
    assert lease(backlog) == [7, 8, 5]
    assert backlog.dropped == {("queue_full", "INFO"): 2}


@pytest.mark.usefixtures("clock")
def test_a_flush_releases_held_repeats() -> None:
    """A flush waits for the repeats too, and they leave at once."""
    backlog = folding(0)
    deliver(backlog)
    backlog.put(repeat(1))
    backlog.put(repeat(2))
    assert deliver(backlog) == []
    assert not backlog.wait_until_settled(0.0, lambda: False)
    assert deliver(backlog) == [(1, 2)]
    assert backlog.wait_until_settled(0.0, lambda: False)


@pytest.mark.usefixtures("clock")
def test_closing_drops_held_repeats() -> None:
    """They are counted, and so are later repeats."""
    backlog = folding(0)
    deliver(backlog)
    backlog.put(repeat(1))
    assert deliver(backlog) == []
    backlog.close()
    assert backlog.dropped == {("closed", "INFO"): 1}
    for number in range(2, 5):
        backlog.put(repeat(number))
    assert backlog.count() == {"accepted": 5, "delivered": 1, "pending": 0, "dropped": 4}


@pytest.mark.parametrize(("window", "wait"), [(WINDOW, WINDOW), (1e12, 1e12)])
def test_the_listener_sleeps_until_the_next_is_due(
    window: float, wait: float, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The time may be too long for a lock; `Wakeup` bounds it."""
    backlog = folding(0)
    backlog.configure(bounded(10, 10_000, window))
    deliver(backlog)
    backlog.put(repeat(1))
    deliver(backlog)
    waits: list[float | None] = []
    monkeypatch.setattr(backlog, "wait", waits.append)
    backlog.wait_for_record()
    assert waits == [wait]
    clock.now += window
    backlog.wait_for_record()
    assert waits == [wait]
    assert deliver(backlog) == [(1, 1)]


def test_the_listener_wakes_when_a_repeat_is_due() -> None:
    """No thread wakes the listener."""
    backlog = folding(0)
    backlog.configure(bounded(10, 10_000, 0.05))
    deliver(backlog)
    backlog.put(repeat(1))
    backlog.peek()
    while not backlog.is_ready:
        backlog.wait_for_record()
    assert deliver(backlog) == [(1, 1)]


def test_a_flush_wakes_a_listener_that_sleeps_on_repeats() -> None:
    """The listener may have checked before the repeats were released."""
    backlog = folding(0)
    deliver(backlog)
    backlog.put(repeat(1))
    backlog.peek()
    is_asleep = threading.Event()

    def listen() -> None:
        while not backlog.is_ready:
            is_asleep.set()
            backlog.wait_for_record()
        deliver(backlog)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert is_asleep.wait(10)
    assert backlog.wait_until_settled(time.monotonic() + 10, lambda: False)
    listener.join(10)
    assert not listener.is_alive()


def test_a_signal_handler_may_flush_while_repeats_are_released(clock: Clock) -> None:
    """Each repeat is released once."""
    backlog = folding()
    for number in range(6):
        record = repeat(number, text=str(number % 3))
        backlog.put(record)
        if number == 2:
            deliver(backlog)
        if number == 3:
            chatty = record
    assert deliver(backlog) == []
    chatty.on_size = in_turn(
        partial(setattr, chatty, "on_size", lambda: None),
        partial(backlog.wait_until_settled, 0.0, lambda: True),
    )
    clock.now += WINDOW
    assert sorted(deliver(backlog)) == [(3, 1), (4, 1), (5, 1)]


@pytest.mark.timeout(20)
def test_the_listener_may_check_while_other_threads_fold() -> None:
    """The check takes no lock, and no repeat that is held meanwhile disturbs it."""
    backlog = folding()
    is_over = threading.Event()
    troubles: list[Exception] = []

    def look() -> None:
        try:
            while not is_over.is_set():
                assert backlog.pending >= 0
                backlog.is_ready  # noqa: B018 - reading it is all
        except Exception as error:  # noqa: BLE001 - whatever it is
            troubles.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    listener = threading.Thread(target=look)
    listener.start()
    try:
        for turn in range(30):
            for number in range(40):
                backlog.put(repeat(number, text=str(number)))
            deliver(backlog)
            if turn % 2:
                backlog.wait_until_settled(0.0, lambda: True)
    finally:
        is_over.set()
        listener.join(10)
        sys.setswitchinterval(interval)
    assert troubles == []


def test_a_record_without_a_fingerprint_is_not_folded() -> None:
    """An attribute without a hash costs only the folding, not the record."""
    backlog = MemoryBacklog(10, 10_000, repeat_window=WINDOW)
    for _ in range(2):
        odd = logging.makeLogRecord({"msg": "x", "pathname": ["no", "path"], "levelname": "INFO"})
        backlog.put(freeze(odd, None))
    assert [record.count for record in backlog.lease(10)] == [1, 1]
    assert check_books(backlog)["pending"] == 2


# The caller's side


def test_put_never_waits_while_another_thread_holds_the_lock() -> None:
    """Thousands of records are accepted meanwhile, and the next thread with the lock takes them in."""
    backlog = make()
    with backlog.lock:
        calls = [partial(backlog.put, item(number)) for number in range(5_000)]
        caller = threading.Thread(target=in_turn(*calls))
        caller.start()
        caller.join(10)
        assert not caller.is_alive()
        assert backlog.pending == 5_000
    assert lease(backlog) == list(range(5_000))


def test_a_flood_is_bounded_without_a_listener() -> None:
    """Callers take records in themselves, so that memory is bounded however busy the listener is."""
    backlog = filled(range(20_000), max_records=100)
    assert backlog.pending < 100 + PORTION


def test_the_listener_is_woken_once_per_sleep() -> None:
    """A record wakes no listener that is awake, and a wake-up that failed is tried again with the next record."""
    roused: list[bool] = []
    answers = [False, False, True, True]
    backlog = make(wake_listener=lambda: in_turn(lambda: roused.append(True))() and answers[len(roused) - 1])
    for number in range(5):
        backlog.put(item(number))
    assert len(roused) == 3
    backlog.wake()
    records = backlog.lease(5)
    assert len(records) == 5
    backlog.ack(records)
    backlog.wait_for_record()
    backlog.put(item(5))
    assert len(roused) == 3


def test_a_record_that_comes_before_the_wait_is_seen() -> None:
    """A record put between the check and the wait is not missed, because the idle flag is set before the check."""
    backlog = filled([1])
    backlog.wait_for_record()  # would not return
    assert not backlog._idle


@pytest.mark.timeout(20)
def test_no_wake_up_is_lost() -> None:
    """A listener that sleeps between two records wakes for each, whenever it comes."""
    backlog = make()
    backlog.wake_listener = in_turn(backlog.wake)
    rounds = 3_000
    seen = 0

    def listen() -> None:
        nonlocal seen
        while seen < rounds:
            while not backlog.pending:
                backlog.wait_for_record()
            records = backlog.lease(10)
            seen += len(records)
            backlog.ack(records)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    for number in range(rounds):
        backlog.put(item(number))
        if number % 3 == 0:
            backlog.wait_until_settled(time.monotonic() + 10, lambda: False)
    listener.join(10)
    assert not listener.is_alive()
    assert seen == rounds


def test_a_record_that_is_just_taken_in_does_not_let_the_listener_sleep() -> None:
    """A flush that takes in the only record does not wake the listener, which waits for the lock before it sleeps."""
    backlog = make()
    is_inside, may_go_on = threading.Event(), threading.Event()
    record = item(1)
    record.on_size = in_turn(is_inside.set, lambda: may_go_on.wait(10))
    backlog.put(record)
    flusher = threading.Thread(target=lambda: backlog.wait_until_settled(time.monotonic(), lambda: True))
    flusher.start()
    assert is_inside.wait(10)
    assert not backlog.is_ready
    assert backlog.pending == 1
    listener = threading.Thread(target=backlog.wait_for_record, daemon=True)
    listener.start()
    may_go_on.set()
    listener.join(10)
    flusher.join(10)
    assert not listener.is_alive()
    assert lease(backlog) == [1]


# Threads and signals


@pytest.mark.timeout(30)
@pytest.mark.parametrize("max_records", [200, 1_000_000])
def test_every_record_is_accounted_for_under_threads(max_records: int) -> None:
    """Eight callers log, a listener leases, settles and requeues, and another thread counts all the time."""
    backlog = make(max_records)
    each, callers = 500, 8
    is_over = threading.Event()
    seen: list[int] = []

    def listen() -> None:
        for turn in itertools.count():
            entries = backlog.lease(10)
            if turn % 3 == 0:
                backlog.requeue(entries)
                continue
            settle = partial(backlog.drop, "rejected") if turn % 7 == 0 else backlog.ack
            settle(entries)
            seen.extend(numbers(entries))
            if not entries and is_over.is_set() and not backlog.pending:
                return

    def call(start: int) -> None:
        for number in range(start, start + each):
            backlog.put(item(number, LEVELS[number % 3]))

    listener = threading.Thread(target=listen)
    threads = [threading.Thread(target=call, args=(index * each,)) for index in range(callers)]
    for thread in (listener, *threads):
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert check_books(backlog)["pending"] <= each * callers
    is_over.set()
    listener.join(20)
    assert not listener.is_alive()
    count = check_books(backlog)
    assert (count["accepted"], count["pending"]) == (each * callers, 0)
    assert len(set(seen)) == len(seen)
    evicted = sum(number for (reason, _), number in backlog.dropped.items() if reason == "queue_full")
    assert len(seen) + evicted == each * callers
    for start in range(0, each * callers, each):
        own = [number for number in seen if start <= number < start + each]
        assert own == sorted(own)


def test_a_record_that_logs_while_it_is_taken_in_causes_no_endless_loop() -> None:
    """The record of a `__del__` or a signal handler waits until the next time."""
    backlog = make()
    numbers = itertools.count(1_000)

    def log() -> None:
        for _ in range(2 * PORTION):
            backlog.put(item(next(numbers)))

    for number in range(PORTION - 1):
        backlog.put(item(number))
    chatty = item(PORTION - 1)
    chatty.on_size = log
    backlog.put(chatty)
    assert sorted(lease(backlog) + lease(backlog)) == [*range(PORTION), *range(1_000, 1_000 + 2 * PORTION)]
    assert check_books(backlog)["accepted"] == 3 * PORTION


def test_a_flush_in_the_middle_of_taking_in_loses_nothing() -> None:
    """A signal handler may flush while its own thread is taking records in."""
    backlog = make()
    for number in range(PORTION - 1):
        backlog.put(item(number))
    last: Any = backlog._incoming[0]
    last.on_size = in_turn(
        partial(setattr, last, "on_size", lambda: None),
        partial(backlog.wait_until_settled, time.monotonic(), lambda: True),
    )
    backlog.put(item(PORTION - 1))
    assert sorted(lease(backlog)) == list(range(PORTION))
    assert check_books(backlog)["accepted"] == PORTION


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
def test_a_signal_handler_may_log_and_count_at_any_moment() -> None:
    """A hundred signals interrupt a thread that logs and takes in, and every record is accounted for."""
    backlog = make(max_records=300)
    signals = puts = 0

    def handle(*_: object) -> None:
        nonlocal signals
        signals += 1
        for number in range(3):
            backlog.put(item(number, logging.ERROR))
        backlog.count()

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while signals < 100:
            backlog.put(item(puts, LEVELS[puts % 3]))
            puts += 1
            if puts % 50 == 0:
                backlog.refuse("INFO", "unreadable")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert check_books(backlog)["accepted"] == puts + puts // 50 + 3 * signals
    assert len(lease(backlog)) == 300
    check_books(backlog)


# Waiting


def test_waiting_ends_when_all_is_settled() -> None:
    """Delivered and dropped records count alike, and later records are not waited for."""
    backlog = filled(range(4))
    records = backlog.lease(4)
    is_waiting = threading.Event()

    def look() -> bool:
        is_waiting.set()
        return False

    waiter = threading.Thread(target=lambda: backlog.wait_until_settled(time.monotonic() + 10, look))
    waiter.start()
    assert is_waiting.wait(10)
    backlog.put(item(4))
    backlog.ack(records[:2])
    assert waiter.is_alive()
    backlog.drop("rejected", records[2:])
    waiter.join(10)
    assert not waiter.is_alive()


def test_waiting_ends_at_its_deadline() -> None:
    """No thread settles the record."""
    start = time.monotonic()
    filled([1]).wait_until_settled(start + 0.05, lambda: False)
    assert 0.05 <= time.monotonic() - start < 5


@pytest.mark.parametrize("deadline", [float("inf"), 1e11])
def test_waiting_ends_when_the_caller_gives_up(deadline: float) -> None:
    """`give_up` is called after each notification, however long the deadline is."""
    backlog = filled([1])
    announcer = threading.Timer(0.05, backlog.notify_waiters)
    calls = itertools.count(1)

    def give_up() -> bool:
        call = next(calls)
        if call == 1:
            # Nobody would hear a notification before the wait.
            announcer.start()
        return call == 2

    backlog.wait_until_settled(deadline, give_up)
    announcer.join()
    assert next(calls) == 3


def test_wait_ends_by_time_or_by_a_call() -> None:
    """A wake-up before the wait is not lost, and it counts once."""
    backlog = make()
    backlog.wake()
    backlog.wait(None)  # would not return
    start = time.monotonic()
    backlog.wait(0.05)
    assert time.monotonic() - start >= 0.04


# The end


@pytest.fixture
def is_closed() -> Iterator[Closed]:
    """Yield a backlog that was closed with three records waiting, and the two that are in flight."""
    backlog = filled(range(5))
    records = backlog.lease(2)
    backlog.close()
    yield backlog, records
    check_books(backlog)


def test_closing_drops_waiting_and_later_records(is_closed: Closed) -> None:
    """All of them are counted."""
    closed, _ = is_closed
    assert closed.count() == {"accepted": 5, "delivered": 0, "pending": 2, "dropped": 3}
    closed.put(item(5))
    assert closed.dropped == {("closed", "INFO"): 4}
    assert lease(closed) == []


def test_a_record_after_the_end_is_counted_although_the_lock_is_taken(is_closed: Closed) -> None:
    """Its caller does not wait, and if it is the last one, `count` takes the record in."""
    closed, _ = is_closed
    with closed.lock:
        other = threading.Thread(target=closed.put, args=(item(5),))
        other.start()
        other.join(10)
    assert closed.count() == {"accepted": 6, "delivered": 0, "pending": 2, "dropped": 4}


def test_an_exception_of_a_signal_handler_leaves_no_lock_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come right after the lock was acquired."""
    backlog = filled(range(200), max_records=200)
    acquire = backlog.lock.acquire

    def interrupt(timeout: float) -> bool:
        acquire(timeout)
        raise KeyboardInterrupt

    monkeypatch.setattr(backlog.lock, "acquire", interrupt)
    with pytest.raises(KeyboardInterrupt):
        backlog.put(item(200))
    monkeypatch.undo()
    assert not backlog.lock.is_held_by_this_thread()
    check_books(backlog)


def test_records_in_flight_at_the_end_are_delivered_or_dropped(is_closed: Closed) -> None:
    """A message that fails after the end is not kept."""
    closed, records = is_closed
    closed.ack(records[:1])
    closed.requeue(records[1:])
    assert closed.count() == {"accepted": 5, "delivered": 1, "pending": 0, "dropped": 4}


def test_a_forked_child_begins_with_an_empty_backlog() -> None:
    """The child has none of the parent's records, counts, held locks and wake-ups."""
    backlog = filled(range(300), max_records=200)
    backlog.ack(backlog.lease(2))
    backlog.wake()
    backlog.close()
    lock = backlog.lock
    backlog.after_fork_in_child()
    assert backlog.lock is not lock
    assert backlog.count() == {"accepted": 0, "delivered": 0, "pending": 0, "dropped": 0}
    backlog.wait(0)
    backlog.put(item(1))
    assert lease(backlog) == [1]


def test_a_refused_record_is_accepted_and_dropped_at_once() -> None:
    """A record that could not be read is counted too."""
    backlog = make()
    backlog.refuse("ERROR", "unreadable")
    assert check_books(backlog) == {"accepted": 1, "delivered": 0, "pending": 0, "dropped": 1}
    assert backlog.dropped == {("unreadable", "ERROR"): 1}


def test_a_flush_waits_for_its_own_records() -> None:
    """A later record that is delivered before them does not end the flush."""
    backlog = filled([0, 1])

    def deliver_others() -> None:
        backlog.put(item(2))
        first, second, third = backlog.lease(3)
        backlog.ack([first, third])
        backlog.requeue([second])

    look = in_turn(deliver_others, lambda: None)
    assert not backlog.wait_until_settled(time.monotonic() + 0.1, look)


def test_no_thread_waits_without_end_for_a_lock_that_is_never_released() -> None:
    """The holder may itself wait for the thread: a flush gives up, and `count` does without the lock."""
    backlog = filled([0, 1])
    is_held, may_end = threading.Event(), threading.Event()

    def collect_garbage() -> None:
        with backlog.lock:
            is_held.set()
            may_end.wait(20)

    collector = threading.Thread(target=collect_garbage)
    collector.start()
    assert is_held.wait(10)
    assert not backlog.wait_until_settled(time.monotonic() + 0.5, lambda: False)
    assert backlog.count()["pending"] == 2
    backlog.refuse("INFO", "unreadable")
    backlog.close()
    may_end.set()
    collector.join(10)
    backlog.put(item(2))
    assert check_books(backlog) == {"accepted": 4, "delivered": 0, "pending": 0, "dropped": 4}


def test_a_listener_that_is_asleep_again_is_woken_again() -> None:
    """The listener may have delivered and fallen asleep before the caller that woke it continues."""
    roused: list[bool] = []

    def rouse() -> bool:
        roused.append(True)
        backlog._idle = True
        return True

    backlog = make(wake_listener=rouse)
    for number in range(2):
        backlog.put(item(number))
    assert len(roused) == 2


def test_restoring_a_consistent_state_changes_nothing() -> None:
    """Ctrl-C may come when every record is in a queue."""
    backlog = filled([0, 1])
    backlog.peek()
    with backlog.lock:
        backlog._restore_state()
    assert backlog.dropped == {}
    assert lease(backlog) == [0, 1]


def test_a_wait_that_is_over_at_once_ends() -> None:
    """`SimpleQueue.get` of Python 3.10 waits for ever if it is woken before and its time-out ends meanwhile."""
    backlog = make()
    for _ in range(200):
        waiting = threading.Thread(target=backlog.wait, args=(1,))
        waiting.start()
        backlog.wake()
        waiting.join()
        backlog.wait(0.0)
        backlog.wait(1e-6)
