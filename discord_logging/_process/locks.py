"""A lock that application threads wait for briefly and signal handlers never."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import deque
from typing import TYPE_CHECKING

from discord_logging._process import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 0.3
"""Seconds that a lock which is only ever held for a moment is waited for at the least."""

_postponed: deque[int] = deque()


class Lock:
    """A lock that is held for moments.

    A signal handler may find that its own thread has it, in the midst of a change. It must leave alone what the lock
    protects, and can be postponed until the lock is released.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def is_held_by_this_thread(self) -> bool:
        """Tell whether this very thread has it."""
        return self._lock._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - Condition asks it too

    def acquire(self, timeout: float) -> bool:
        """Return whether it could be had within `timeout` seconds, if this thread does not have it already."""
        return not self.is_held_by_this_thread() and self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))

    def release(self) -> None:
        """Give it up."""
        self._lock.release()
        while _postponed and threading.current_thread() is threading.main_thread():
            signal.raise_signal(_postponed.popleft())

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    @contextlib.contextmanager
    def hold(self, deadline: float = 0.0) -> Iterator[bool]:
        """Hold it if it can be had until `deadline`, or within a moment; tell whether it is held.

        Who has it may never give it up: the garbage collector may run on that thread and forget a handler, for which
        `logging` takes its own lock, and `dictConfig` has that one while it makes, flushes and closes handlers.
        """
        was_held = self.is_held_by_this_thread()
        try:
            yield self.acquire(max(deadline - clock.monotonic(), PATIENCE))
        finally:
            # Ctrl-C may have come as soon as it was had.
            if not was_held and self.is_held_by_this_thread():
                self.release()


def postpone(number: int) -> None:
    """Raise a signal again as soon as the lock that the main thread has is released."""
    _postponed.append(number)
