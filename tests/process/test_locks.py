"""Threads wait for a lock, but not for ever, and signals wait for its release."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from discord_logging._process.locks import PATIENCE, Lock, postpone

if TYPE_CHECKING:
    from collections.abc import Iterator


def _can_be_taken_elsewhere(lock: Lock) -> bool:
    found = []

    def look() -> None:
        with lock.hold() as is_held:
            found.append(is_held)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(10)
    return found[0]


def test_a_lock_is_held_and_released() -> None:
    """The lock is held within the block, and free behind it."""
    lock = Lock()
    with lock.hold() as is_held:
        assert is_held
        assert lock.is_held_by_this_thread()
        assert not _can_be_taken_elsewhere(lock)
    assert not lock.is_held_by_this_thread()
    assert _can_be_taken_elsewhere(lock)


def test_a_thread_that_cannot_get_the_lock_goes_on_without_it() -> None:
    """The wait ends after a moment, or at the deadline if that is later."""
    lock = Lock()
    waits = []

    def ask() -> None:
        for seconds in (0.0, 2 * PATIENCE):
            began = time.monotonic()
            with lock.hold(began + seconds) as is_held:
                waits.append((is_held, time.monotonic() - began))

    with lock:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert [is_held for is_held, _ in waits] == [False, False]
    assert waits[0][1] >= PATIENCE * 0.9
    assert waits[1][1] >= PATIENCE * 1.9


def test_ctrl_c_right_after_the_acquisition_leaves_the_lock_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the lock stayed held, every later flush would wait in vain."""
    lock = Lock()
    acquire = lock.acquire

    def interrupt(timeout: float) -> bool:
        acquire(timeout)
        raise KeyboardInterrupt

    monkeypatch.setattr(lock, "acquire", interrupt)
    with pytest.raises(KeyboardInterrupt), lock.hold():
        pass
    assert not lock.is_held_by_this_thread()


def test_a_thread_that_holds_the_lock_neither_gets_it_again_nor_waits() -> None:
    """A signal handler would wait for the very frame that it interrupts, or see the data in the midst of a change."""
    lock = Lock()
    with lock:
        began = time.monotonic()
        with lock.hold(began + 60) as is_held:
            assert not is_held
        assert not lock.acquire(60)
        assert time.monotonic() < began + 30
        assert lock.is_held_by_this_thread()


@pytest.fixture
def calls() -> Iterator[list[int]]:
    """Return the list of the signals that came."""
    came: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    yield came
    signal.signal(signal.SIGTERM, previous)


def test_a_signal_is_postponed_until_the_lock_is_released(calls: list[int]) -> None:
    """The signal comes once, when the main thread has released its lock."""
    lock = Lock()
    with lock:
        postpone(signal.SIGTERM)
        assert _can_be_taken_elsewhere(Lock())
        assert calls == []
    assert calls == [signal.SIGTERM]
    with lock:
        pass
    assert calls == [signal.SIGTERM]


def test_a_signal_is_postponed_until_the_last_lock_is_released() -> None:
    """The inner release raised the signal again and again, since its handler postponed it for the outer lock."""
    outer, inner = Lock(), Lock()
    came: list[bool] = []

    def handle(number: int, _: object) -> None:
        came.append(outer.is_held_by_this_thread())
        if len(came) > 10:
            pytest.fail("the signal is raised without end")
        if outer.is_held_by_this_thread():
            postpone(number)

    previous = signal.signal(signal.SIGTERM, handle)
    try:
        with outer:
            postpone(signal.SIGTERM)
            for _ in range(2):
                with inner:
                    pass
            assert came == [True, True]
        assert came == [True, True, False]
        with inner:
            pass
        assert came == [True, True, False]
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_handlers_of_postponed_signals_take_locks_themselves(calls: list[int]) -> None:
    """The release in the first handler raises the second signal, so that the outer release has no signal left."""
    lock = Lock()

    def flush(number: int, _: object) -> None:
        with lock:
            calls.append(number)

    previous = signal.signal(signal.SIGINT, flush)
    try:
        with lock:
            postpone(signal.SIGINT)
            postpone(signal.SIGTERM)
        assert calls == [signal.SIGINT, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGINT, previous)
