"""The backlog: its bounds, its order and its books, under threads and signal handlers too."""

from __future__ import annotations

import itertools
import logging
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._backlog import _INTAKE, Backlog
from discord_logging._snapshot import FrozenRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LEVELS = (logging.DEBUG, logging.INFO, logging.ERROR)
SIZE = 512 + len("x")


class Item:
    """All that a backlog asks of a record."""

    def __init__(self, number: int, levelno: int = logging.INFO, size: int = 1) -> None:
        self.number = number
        self.levelno = levelno
        self.levelname = logging.getLevelName(levelno)
        self.sequence = 0
        self.own_size = size
        self.on_size: Callable[[], object] = lambda: None

    @property
    def size(self) -> int:
        """Return the size that the test wants, after what else it wants."""
        self.on_size()
        return self.own_size


def item(number: int, levelno: int = logging.INFO, size: int = 1) -> Any:
    """Return a record of which only order, level and size matter."""
    return cast("FrozenRecord", Item(number, levelno, size))


def make(max_records: int = 10_000, max_bytes: int = 64_000_000, rouse: Callable[[], bool] = lambda: True) -> Backlog:
    """Return a backlog whose listener is always awake."""
    return Backlog(max_records, max_bytes, rouse)


def filled(numbers: Iterable[int], **bounds: Any) -> Backlog:
    """Return a backlog that holds records with these numbers."""
    backlog = make(**bounds)
    for number in numbers:
        backlog.put_nowait(item(number))
    return backlog


def take(backlog: Backlog, limit: int = 10_000) -> list[int]:
    """Take records and return their numbers."""
    return [record.number for record in cast("list[Item]", backlog.take(limit))]


def in_turn(*actions: Callable[[], object]) -> Callable[[], bool]:
    """Return a function that does these things and then says yes."""

    def act() -> bool:
        for action in actions:
            action()
        return True

    return act


def check_books(backlog: Backlog) -> dict[str, int]:
    """Assert that every record is accounted for."""
    count = backlog.count()
    assert count["accepted"] == count["delivered"] + count["pending"] + count["dropped"], count
    return count


# Order and bounds


def test_records_leave_in_the_order_in_which_they_came() -> None:
    """Whatever their levels, and a few at a time."""
    backlog = make()
    for number, levelno in enumerate([20, 40, 10, 40, 20, 10]):
        backlog.put_nowait(item(number, levelno))
    assert [take(backlog, 2), take(backlog, 3), take(backlog), take(backlog)] == [[0, 1], [2, 3, 4], [5], []]
    assert check_books(backlog)["pending"] == 6


def test_records_return_to_their_places() -> None:
    """A message that failed goes out before what came meanwhile."""
    backlog = filled(range(5))
    records = backlog.take(3)
    backlog.put_nowait(item(5))
    backlog.put_back(records)
    assert take(backlog) == list(range(6))


@given(cuts=st.lists(st.integers(0, 12), min_size=1, max_size=4), levels=st.lists(st.sampled_from(LEVELS), min_size=12))
def test_parts_may_return_in_any_order(cuts: list[int], levels: list[int]) -> None:
    """What was passed over and what was tried behind it find their places, whichever comes back first."""
    backlog = make()
    for number, levelno in enumerate(levels):
        backlog.put_nowait(item(number, levelno))
    records = backlog.take(12)
    edges = [0, *sorted(cuts), 12]
    parts = [records[start:end] for start, end in itertools.pairwise(edges)]
    for part in [*parts[1::2], *parts[::2]]:
        backlog.put_back(part)
    assert take(backlog) == list(range(len(levels)))
    check_books(backlog)


def test_the_least_severe_and_oldest_leave_first() -> None:
    """An error survives a flood of debug records, and the losses are counted by level."""
    backlog = make(max_records=10)
    for number in range(5):
        backlog.put_nowait(item(number, logging.ERROR))
    for number in range(5, 1005):
        backlog.put_nowait(item(number, logging.DEBUG))
    assert take(backlog) == [0, 1, 2, 3, 4, 1000, 1001, 1002, 1003, 1004]
    assert backlog.dropped == {("queue_full", "DEBUG"): 995}
    assert check_books(backlog) == {"accepted": 1005, "delivered": 0, "pending": 10, "dropped": 995}


def test_bytes_are_bounded_too() -> None:
    """One huge record pushes out many, and one that is larger than the bound does not stay."""
    backlog = filled(range(10), max_bytes=100)
    backlog.put_nowait(item(10, logging.ERROR, size=95))
    assert take(backlog) == [5, 6, 7, 8, 9, 10]
    backlog.put_nowait(item(11, logging.ERROR, size=101))
    assert take(backlog) == []
    assert check_books(backlog)["dropped"] == 6


def test_a_real_record_counts_with_its_text() -> None:
    """The size of a record is what it holds on to."""
    backlog = make(max_bytes=10 * SIZE)
    for _ in range(12):
        backlog.put_nowait(FrozenRecord(logging.makeLogRecord({"msg": "x", "levelname": "INFO"}), None))
    assert len(backlog.take(100)) == 10


def test_what_is_in_flight_counts_against_the_bound() -> None:
    """A failed message and what came meanwhile do not exceed it together; the oldest leave."""
    backlog = filled(range(10), max_records=10)
    records = backlog.take(10)
    for number in range(10, 30):
        backlog.put_nowait(item(number))
    backlog.put_back(records[5:])
    backlog.settle(records[:5])
    assert take(backlog) == list(range(20, 30))
    assert check_books(backlog) == {"accepted": 30, "delivered": 5, "pending": 10, "dropped": 15}


operations = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(LEVELS), st.integers(1, 40)),
    st.tuples(st.just("take"), st.integers(1, 12), st.booleans()),
    st.tuples(st.sampled_from(["return", "deliver", "drop", "drop waiting", "refuse"]), st.none(), st.none()),
)


@given(max_records=st.integers(1, 12), max_bytes=st.integers(1, 150), steps=st.lists(operations, max_size=60))
def test_it_behaves_like_a_sorted_list(max_records: int, max_bytes: int, steps: list[tuple[str, Any, Any]]) -> None:
    """A list that is sorted by number, and cut by level and number, is the whole of what it does."""
    backlog = make(max_records, max_bytes)
    waiting: list[Item] = []
    flying: list[Any] = []
    lost = delivered = accepted = 0

    def evict() -> int:
        before = len(waiting)
        waiting.sort(key=lambda each: each.number)
        while waiting and (
            len(waiting) + len(flying) > max_records or sum(each.own_size for each in waiting) > max_bytes
        ):
            waiting.remove(min(waiting, key=lambda each: (each.levelno, each.number)))
        return before - len(waiting)

    for number, (what, first, second) in enumerate(steps):
        if what == "put":
            new = item(number, first, second)
            backlog.put_nowait(new)
            waiting.append(new)
            accepted += 1
        elif what == "take":
            lost += evict()
            taken: list[Any] = backlog.take(first)
            assert taken == waiting[:first]
            del waiting[:first]
            flying += taken
        elif what == "return":
            backlog.put_back(flying)
            waiting += flying
            flying.clear()
        elif what in ("deliver", "drop"):
            backlog.settle(flying, None if what == "deliver" else "rejected")
            delivered += len(flying) if what == "deliver" else 0
            lost += len(flying) if what == "drop" else 0
            flying.clear()
        elif what == "refuse":
            backlog.refuse("INFO", "unreadable")
            accepted, lost = accepted + 1, lost + 1
        else:
            backlog.drop_waiting("webhook_gone")
            lost += len(waiting)
            waiting.clear()
        check_books(backlog)
    lost += evict()
    assert take(backlog) == [each.number for each in waiting]
    assert check_books(backlog) == {
        "accepted": accepted,
        "delivered": delivered,
        "pending": len(waiting) + len(flying),
        "dropped": lost,
    }


# The caller's side


def test_put_never_waits_while_another_thread_holds_the_lock() -> None:
    """Thousands of records are accepted meanwhile, and taken in by the next who can."""
    backlog = make()
    with backlog._settled:
        calls = [partial(backlog.put_nowait, item(number)) for number in range(5_000)]
        caller = threading.Thread(target=in_turn(*calls))
        caller.start()
        caller.join(10)
        assert not caller.is_alive()
        assert backlog.pending == 5_000
    assert take(backlog) == list(range(5_000))


def test_a_flood_is_bounded_without_a_listener() -> None:
    """Callers take records in themselves, so that memory is bounded however busy the listener is."""
    backlog = filled(range(20_000), max_records=100)
    assert backlog.pending < 100 + _INTAKE


def test_the_listener_is_roused_once_per_sleep() -> None:
    """A record that comes while it is awake costs nothing; a rouse that failed is tried again with the next record."""
    roused: list[bool] = []
    answers = [False, False, True, True]
    backlog = make(rouse=lambda: in_turn(lambda: roused.append(True))() and answers[len(roused) - 1])
    for number in range(5):
        backlog.put_nowait(item(number))
    assert len(roused) == 3
    backlog.wake()
    assert take(backlog) == list(range(5))
    backlog.settle(cast("Any", [Item(number) for number in range(5)]))
    backlog.wait_for_record()
    backlog.put_nowait(item(5))
    assert len(roused) == 3


def test_a_record_that_comes_before_the_wait_is_seen() -> None:
    """Between the look and the sleep, nothing is lost, for the look comes after the word that it will sleep."""
    backlog = filled([1])
    backlog.wait_for_record()  # would not return
    assert not backlog._idle


@pytest.mark.timeout(20)
def test_no_wake_up_is_lost() -> None:
    """A listener that sleeps between two records wakes for each, whenever it comes."""
    backlog = make()
    backlog._rouse = in_turn(backlog.wake)
    rounds = 3_000
    seen = 0

    def listen() -> None:
        nonlocal seen
        while seen < rounds:
            while not backlog.pending:
                backlog.wait_for_record()
            records = backlog.take(10)
            seen += len(records)
            backlog.settle(records)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    for number in range(rounds):
        backlog.put_nowait(item(number))
        if number % 3 == 0:
            backlog.wait_until_settled(time.monotonic() + 10, lambda: False)
    listener.join(10)
    assert not listener.is_alive()
    assert seen == rounds


def test_a_record_that_is_just_taken_in_does_not_let_the_listener_sleep() -> None:
    """A flush that takes in the only record rouses nobody, so whoever wants to sleep waits for it to finish."""
    backlog = make()
    is_inside, may_go_on = threading.Event(), threading.Event()
    record = item(1)
    record.on_size = in_turn(is_inside.set, lambda: may_go_on.wait(10))
    backlog.put_nowait(record)
    flusher = threading.Thread(target=lambda: backlog.wait_until_settled(time.monotonic(), lambda: True))
    flusher.start()
    assert is_inside.wait(10)
    assert not backlog.pending
    listener = threading.Thread(target=backlog.wait_for_record, daemon=True)
    listener.start()
    may_go_on.set()
    listener.join(10)
    flusher.join(10)
    assert not listener.is_alive()
    assert take(backlog) == [1]


# Threads and signals


@pytest.mark.timeout(30)
@pytest.mark.parametrize("max_records", [200, 1_000_000])
def test_the_books_balance_under_threads(max_records: int) -> None:
    """Eight callers, one listener that takes, settles and puts back, and somebody who counts all the time."""
    backlog = make(max_records)
    each, callers = 2_000, 8
    is_over = threading.Event()
    seen: list[int] = []

    def listen() -> None:
        for turn in itertools.count():
            records: list[Any] = backlog.take(10)
            numbers = [record.number for record in records]
            if turn % 3 == 0:
                backlog.put_back(records)
            else:
                backlog.settle(records, "rejected" if turn % 7 == 0 else None)
                seen.extend(numbers)
            if not records and is_over.is_set() and not backlog.pending:
                return

    def call(start: int) -> None:
        for number in range(start, start + each):
            backlog.put_nowait(item(number, LEVELS[number % 3]))

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


def test_a_record_that_logs_while_it_is_taken_in_is_no_endless_loop() -> None:
    """What a `__del__` or a signal handler logs in the middle waits for its turn."""
    backlog = make()
    numbers = itertools.count(1_000)

    def log() -> None:
        for _ in range(2 * _INTAKE):
            backlog.put_nowait(item(next(numbers)))

    for number in range(_INTAKE - 1):
        backlog.put_nowait(item(number))
    chatty = item(_INTAKE - 1)
    chatty.on_size = log
    backlog.put_nowait(chatty)
    assert sorted(take(backlog) + take(backlog)) == [*range(_INTAKE), *range(1_000, 1_400)]
    assert check_books(backlog)["accepted"] == _INTAKE + 400


def test_a_flush_in_the_middle_of_taking_in_loses_nothing() -> None:
    """A signal handler may flush while its own thread is taking records in."""
    backlog = make()
    for number in range(_INTAKE - 1):
        backlog.put_nowait(item(number))
    last: Any = backlog._incoming[0]
    last.on_size = in_turn(
        partial(setattr, last, "on_size", lambda: None),
        partial(backlog.wait_until_settled, time.monotonic(), lambda: True),
    )
    backlog.put_nowait(item(_INTAKE - 1))
    assert sorted(take(backlog)) == list(range(_INTAKE))
    assert check_books(backlog)["accepted"] == _INTAKE


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
def test_a_signal_handler_may_log_and_count_at_any_moment() -> None:
    """Hundreds of signals interrupt a thread that logs and takes, and every record is accounted for."""
    backlog = make(max_records=300)
    signals = puts = 0

    def handle(*_: object) -> None:
        nonlocal signals
        signals += 1
        for number in range(3):
            backlog.put_nowait(item(number, logging.ERROR))
        backlog.count()

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            backlog.put_nowait(item(puts, LEVELS[puts % 3]))
            puts += 1
            if puts % 50 == 0:
                backlog.refuse("INFO", "unreadable")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert signals > 10
    assert check_books(backlog)["accepted"] == puts + puts // 50 + 3 * signals
    assert len(take(backlog)) == 300
    check_books(backlog)


# Waiting


def test_waiting_ends_when_all_is_settled() -> None:
    """Delivered or dropped, it does not matter; what comes later is not waited for."""
    backlog = filled(range(4))
    records = backlog.take(4)
    is_waiting = threading.Event()

    def look() -> bool:
        is_waiting.set()
        return False

    waiter = threading.Thread(target=lambda: backlog.wait_until_settled(time.monotonic() + 10, look))
    waiter.start()
    assert is_waiting.wait(10)
    backlog.put_nowait(item(4))
    backlog.settle(records[:2])
    assert waiter.is_alive()
    backlog.settle(records[2:], "rejected")
    waiter.join(10)
    assert not waiter.is_alive()


def test_waiting_ends_at_its_deadline() -> None:
    """Nobody settles anything."""
    start = time.monotonic()
    filled([1]).wait_until_settled(start + 0.05, lambda: False)
    assert 0.05 <= time.monotonic() - start < 5


@pytest.mark.parametrize("deadline", [float("inf"), 1e11])
def test_waiting_ends_when_it_is_of_no_use(deadline: float) -> None:
    """Whoever waits asks again whenever something is announced, however long they may wait."""
    backlog = filled([1])
    answers = iter([False, True])
    announcer = threading.Timer(0.05, backlog.announce)
    announcer.start()
    backlog.wait_until_settled(deadline, lambda: next(answers))
    announcer.join()
    assert next(answers, None) is None


def test_wait_ends_by_time_or_by_a_call() -> None:
    """A wake-up is not lost when it comes first, and counts once."""
    backlog = make()
    backlog.wake()
    backlog.wait(None)  # would not return
    start = time.monotonic()
    backlog.wait(0.05)
    assert time.monotonic() - start >= 0.04


# The end


@pytest.fixture
def closed() -> Iterator[Backlog]:
    """Yield a backlog that was closed with three records waiting and two in flight."""
    backlog = filled(range(5))
    backlog.take(2)
    backlog.close()
    yield backlog
    check_books(backlog)


def test_closing_drops_what_waits_and_whatever_comes(closed: Backlog) -> None:
    """All of it is counted."""
    assert closed.count() == {"accepted": 5, "delivered": 0, "pending": 2, "dropped": 3}
    closed.put_nowait(item(5))
    assert closed.dropped == {("closed", "INFO"): 4}
    assert take(closed) == []


def test_what_is_in_flight_at_the_end_may_arrive_or_not(closed: Backlog) -> None:
    """A message that fails after the end is not kept for ever."""
    closed.settle(cast("Any", [Item(0)]))
    closed.put_back(cast("Any", [Item(1)]))
    assert closed.count() == {"accepted": 5, "delivered": 1, "pending": 0, "dropped": 4}


def test_clearing_begins_anew() -> None:
    """In a forked child nothing of the parent's is left: no record, no count, no lock that is held, no wake-up."""
    backlog = filled(range(300), max_records=200)
    backlog.settle(backlog.take(2))
    backlog.wake()
    backlog.close()
    lock = backlog._settled
    backlog.clear()
    assert backlog._settled is not lock
    assert backlog.count() == {"accepted": 0, "delivered": 0, "pending": 0, "dropped": 0}
    backlog.wait(0)
    backlog.put_nowait(item(1))
    assert take(backlog) == [1]


def test_a_refused_record_is_accepted_and_dropped_at_once() -> None:
    """A record that could not be read is counted all the same."""
    backlog = make()
    backlog.refuse("ERROR", "unreadable")
    assert check_books(backlog) == {"accepted": 1, "delivered": 0, "pending": 0, "dropped": 1}
    assert backlog.dropped == {("unreadable", "ERROR"): 1}
