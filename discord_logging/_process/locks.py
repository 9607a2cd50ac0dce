"""A lock that application threads wait for briefly and signal handlers never."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import deque
from typing import TYPE_CHECKING

from discord_logging._process import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 0.3
"""The shortest wait for a lock that is only ever held for a moment, in seconds."""

_postponed: deque[int] = deque()
"""The signals to raise when the main thread releases a lock."""


def start_once(starting: Lock, is_running: Callable[[], bool], start: Callable[[], object]) -> bool:
    """Start a thread, unless it runs, or someone is about to start it. Never waits.

    Args:
        starting: The lock of those who start the thread.
        is_running: Tells whether the thread runs.
        start: Starts the thread.

    Returns:
        Whether the thread runs, or soon will. At interpreter exit, or without memory, none can start.
    """
    if starting.is_held_by_this_thread():
        # A signal handler has interrupted the start.
        return True
    try:
        if starting.acquire(0) and not is_running():
            start()
    except RuntimeError:  # "can't start new thread"
        return False
    finally:
        # Ctrl-C may have come right after the lock was acquired.
        if starting.is_held_by_this_thread():
            starting.release()
    return True


class Lock:
    """A lock that is held for moments.

    A signal handler may find that its own thread holds the lock, in the midst of a change. The handler must not touch
    the data that the lock protects, and can postpone its signal until the lock is released.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def is_held_by_this_thread(self) -> bool:
        """Tell whether this very thread holds the lock."""
        return self._lock._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - as Condition does

    def acquire(self, timeout: float) -> bool:
        """Take the lock within `timeout` seconds, unless this thread holds it; return whether it was taken."""
        return not self.is_held_by_this_thread() and self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))

    def release(self) -> None:
        """Release the lock, and raise the signals that were postponed until now."""
        self._lock.release()
        if _postponed and threading.current_thread() is threading.main_thread():
            # Each is raised once: its handler postpones it again if the thread holds another lock, whose release raises
            # it.
            for _ in range(len(_postponed)):
                # The handler of the first one may have released a lock, too, and so have raised all others.
                if _postponed:
                    signal.raise_signal(_postponed.popleft())

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    @contextlib.contextmanager
    def hold(self, deadline: float = 0.0) -> Iterator[bool]:
        """Hold the lock if it can be taken until `deadline`, or within a moment; yield whether it is held.

        The thread that holds the lock may never release it: the garbage collector may run on that thread and forget a
        handler, for which `logging` takes its own lock, and `dictConfig` may hold that lock while it makes, flushes and
        closes handlers.
        """
        was_held = self.is_held_by_this_thread()
        try:
            yield self.acquire(max(deadline - clock.monotonic(), PATIENCE))
        finally:
            # Ctrl-C may have come as soon as the lock was taken.
            if not was_held and self.is_held_by_this_thread():
                self.release()


def postpone(number: int) -> None:
    """Raise a signal again as soon as the main thread releases a lock."""
    _postponed.append(number)
