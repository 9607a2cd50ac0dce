"""Long work gives up the interpreter's lock, so that other threads can run."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from discord_logging._masking import masker as masking
from discord_logging._process import gil
from discord_logging._process.gil import yield_gil, yield_gil_between
from discord_logging._records import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


class _Clock:
    """Replaces the module `time`: work moves it on, and it remembers when somebody slept."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept_at: list[float] = []

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept_at.append(self.now)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(gil, "time", clock)
    monkeypatch.setattr(gil, "_turn", gil._Turn())
    return clock


def work(until: threading.Event) -> Iterator[float]:
    """Work in portions that are longer than the time between two pauses, until `until` is set or 20 s are over."""
    give_up_at = time.monotonic() + 20
    while not until.is_set() and time.monotonic() < give_up_at:
        done_at = time.perf_counter() + 0.0003
        while time.perf_counter() < done_at:
            pass
        yield done_at


def test_all_items_come_in_order() -> None:
    """The pauses neither drop nor reorder an item."""
    assert list(yield_gil_between(range(1_000))) == list(range(1_000))


def test_a_thread_that_comes_back_from_io_gets_its_turn() -> None:
    """The thread gets the lock back twenty times, while another thread works without end.

    Without pauses, each time takes the switch interval, after which the interpreter makes a thread give up the lock.
    With pauses of zero seconds it takes as long on Python 3.10, where the working thread takes the lock back at once.
    """
    is_over = threading.Event()
    worker = threading.Thread(target=lambda: all(yield_gil_between(work(is_over))))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(2.0)
    worker.start()
    try:
        late = []
        for _ in range(20):
            began = time.perf_counter()
            time.sleep(0.001)
            late.append(time.perf_counter() - began)
    finally:
        is_over.set()
        sys.setswitchinterval(interval)
        worker.join(30)
    assert sorted(late)[10] < 1.0


def test_nested_loops_pause_as_rarely_as_one(clock: _Clock) -> None:
    """Both loops count the time since the last pause, so that a long record pauses and a short one does not."""
    yield_gil()
    for _ in yield_gil_between(range(3)):
        for _ in yield_gil_between(range(2)):
            clock.now += 0.0001
    assert clock.slept_at == pytest.approx([100.0002, 100.0004, 100.0006], abs=2e-5)


def test_short_work_is_not_interrupted(clock: _Clock) -> None:
    """A pause is a system call, and another thread may keep the lock for long."""
    yield_gil()
    for _ in yield_gil_between(range(100)):
        clock.now += 0.000001
    assert clock.slept_at == []


@pytest.mark.parametrize(
    ("module", "work", "times"),
    [
        (masking, lambda: masking.SecretMasker().mask("pass_on(depth)\n" * 400), 50),
        (frames, lambda: frames.read_frames([part for line in range(1, 51) for part in (work.__code__, line, -1)]), 50),
    ],
    ids=["words that may name a secret", "frames"],
)
def test_a_pause_may_come_within_one_record(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, work: Callable[[], object], times: int
) -> None:
    """A single record may take long, so a pause may come between any two of its parts."""
    pauses: list[None] = []
    monkeypatch.setattr(module, "yield_gil", lambda: pauses.append(None))
    work()
    assert len(pauses) >= times


def test_pauses_are_rarer_if_others_hold_the_lock_for_long(clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses at the usual rate would leave next to no time for the work."""

    def sleep(_: float) -> None:
        clock.slept_at.append(clock.now)
        clock.now += 1

    monkeypatch.setattr(clock, "sleep", sleep)
    yield_gil()
    for _ in yield_gil_between(range(60)):
        clock.now += 0.0001
    assert clock.slept_at == pytest.approx([100.0002, 101.0053], abs=2e-4)


def test_a_thread_does_not_pause_because_another_worked(clock: _Clock) -> None:
    """Each thread counts its own time."""
    yield_gil()
    clock.now += 0.001
    other = threading.Thread(target=yield_gil)
    other.start()
    other.join(10)
    assert clock.slept_at == []


def test_work_after_a_rest_does_not_begin_with_a_pause(clock: _Clock) -> None:
    """A program that masks a short text now and then never pauses."""
    yield_gil()
    clock.now += 10
    yield_gil()
    assert clock.slept_at == []
