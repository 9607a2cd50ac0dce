"""A wake-up call ends the wait of a thread. Signal handlers may give it too."""

from __future__ import annotations

import contextlib
import threading


class Wakeup:
    """Ends the wait of a thread. A call that comes before the wait ends that wait at once; several count as one.

    This is a bare lock that is held until somebody calls `set`, and neither a `Condition` nor an `Event`: those take a
    lock of their own in `wait` and in `set`. A signal handler or `__del__` may interrupt a thread in the midst of
    either method and call `set` on the same thread, which would then wait for itself. Here, `set` takes no lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """End the wait of a thread, or else the next wait. Never blocks."""
        with contextlib.suppress(RuntimeError):  # the lock is free already
            self._lock.release()

    def wait(self, timeout: float | None) -> None:
        """Block until `set` is called, or for `timeout` seconds.

        Args:
            timeout: Seconds. A negative number counts as 0, and `None` means without end.
        """
        self._lock.acquire(timeout=-1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX))

    def is_outdated(self) -> bool:
        """Tell whether gevent has replaced the class of locks since: a wait here would stop every greenlet."""
        return type(self._lock) is not type(threading.Lock())
