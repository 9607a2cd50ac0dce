"""A wake-up call ends the wait of a thread, also when a signal handler on that thread makes it."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._process.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

_LONG = 20.0


def _time(wait: Callable[[], None]) -> float:
    """Return how many seconds `wait` takes."""
    began = time.monotonic()
    wait()
    return time.monotonic() - began


@pytest.mark.parametrize("timeout", [None, _LONG, math.inf, threading.TIMEOUT_MAX * 2])
def test_a_wait_ends_when_it_is_set(timeout: float | None) -> None:
    """A time-out that is longer than the interpreter can wait is cut to what it can."""
    wakeup = Wakeup()
    timer = threading.Timer(0.05, wakeup.set)

    def wait() -> None:
        # A busy machine may stop this thread between the two calls.
        timer.start()
        wakeup.wait(timeout)

    assert 0.03 < _time(wait) < _LONG / 2
    timer.join()


@pytest.mark.parametrize("timeout", [0.05, 0.0, -1, -0.5, -math.inf])
def test_a_wait_ends_at_its_timeout(timeout: float) -> None:
    """A negative time-out counts as 0, although -1 means without end to a lock."""
    wakeup = Wakeup()
    assert max(timeout, 0.0) * 0.9 <= _time(lambda: wakeup.wait(timeout)) < _LONG / 2


def test_a_call_before_the_wait_ends_it_at_once() -> None:
    """Several calls count as one: the next wait but one lasts for its whole time-out."""
    wakeup = Wakeup()
    wakeup.set()
    wakeup.set()
    assert _time(lambda: wakeup.wait(_LONG)) < _LONG / 2
    assert _time(lambda: wakeup.wait(0.05)) >= 0.04


def test_a_signal_handler_may_set_it_in_the_midst_of_a_wait() -> None:
    """The handler runs on the very thread that waits, and returns at once."""
    wakeup = Wakeup()
    previous = signal.signal(signal.SIGTERM, lambda *_: wakeup.set())
    timer = threading.Timer(0.05, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM))
    timer.start()
    try:
        assert _time(lambda: wakeup.wait(_LONG)) < _LONG / 2
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, previous)


def test_it_is_outdated_when_the_class_of_locks_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, gevent puts its own class in the place of `threading.Lock`."""

    class CooperativeLock:
        def acquire(self, *_: Any) -> None: ...

    wakeup = Wakeup()
    assert not wakeup.is_outdated()
    monkeypatch.setattr(threading, "Lock", CooperativeLock)
    assert wakeup.is_outdated()
    assert not Wakeup().is_outdated()
