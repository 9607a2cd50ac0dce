"""This module is the front of a backlog: callers append records to a deque without a lock, and wake the listener.

`queue.Queue` is not suitable: a signal handler or `__del__` that logs while the same thread is inside `put` waits for
its lock for ever. Nor is `SimpleQueue`: up to Python 3.10, its `get` with a short timeout may wait for ever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from discord_logging._process import clock
from discord_logging._process.locks import Lock
from discord_logging._process.wakeup import Wakeup
from discord_logging._records.record import NO_DETAILS, details_size

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

    from discord_logging._health import DropReason

PORTION = 20
"""The number of records that are taken in at a time."""


class Intake(ABC):
    """The deque that callers append to, the lock of the queues behind it, and the listener's sleep."""

    def __init__(self) -> None:
        self.wake_listener: Callable[[], bool] = lambda: True
        """A function that returns whether the listener is awake now. The listener sets it."""
        self.on_start: Callable[[], None] = lambda: None
        """A function to call at the first record, if no listener may be started for it. The listener sets it."""
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Become empty and new: the parent delivers the records that it has queued."""
        self.lock = Lock()
        self._incoming: deque[tuple[Any, ...]] = deque()
        self._refused: deque[tuple[DropReason, str]] = deque()
        self._wakeup = Wakeup()
        self._idle = True
        self._closed = False
        self._shared: MutableSequence[int] = [0, 0]
        """The numbers of records in the deque and of other pending records, which other processes may read."""
        self._overflow = PORTION
        """The number of records in the deque from which on callers take them in themselves."""
        self._max_deferred = 0
        """The longest message, and the largest details, that may wait in the deque, which is bounded only by number. A
        caller takes in a record with longer or larger ones at once."""

    def put(self, frozen: tuple[Any, ...]) -> None:
        """Accept a record. Never waits, but lets other threads run if records come too fast."""
        incoming = self._incoming
        incoming.append(frozen)
        if self._idle:
            self._wake_listener()
        self._shared[0] = waiting = len(incoming)
        # The details are the part at 15. The number is written out, since this happens for every record.
        if (
            waiting >= self._overflow
            or len(frozen[0]) > self._max_deferred
            or (frozen[15] is not NO_DETAILS and details_size(frozen[15]) > self._max_deferred)
        ):
            self._relieve()

    def _wake_listener(self) -> None:
        self._idle = False
        is_awake = False
        try:
            is_awake = self.wake_listener()
        finally:
            # Ctrl-C may have interrupted the call. A listener that was awake may be asleep again, and has then set the
            # flag itself.
            if not is_awake:
                self._idle = True

    def _relieve(self) -> None:
        if self._closed:
            self.wake_listener()
        lock = self.lock
        if lock.is_held_by_this_thread():
            # We interrupted our own bookkeeping (signal handler or `__del__`). Do not sleep: other threads would keep
            # making garbage, and on Python 3.12 the collection would not end.
            return
        try:
            if lock.acquire(0):
                self._take_in()
            else:
                # Another thread is taking records in. It keeps up with many callers only if they release the GIL.
                clock.sleep(1e-6)
        finally:
            # A signal handler may have raised right after the lock was acquired. Or it has forked: then `self.lock` is
            # another lock by now.
            if lock.is_held_by_this_thread():
                lock.release()

    @abstractmethod
    def _take_in(self) -> None:
        """Take in a portion of the records that came. The caller has the lock."""

    def refuse(self, levelname: str, reason: DropReason, number: int = 1) -> None:
        """Count records that could not be accepted. Never waits."""
        self._refused.extend([(reason, levelname)] * number)

    def wait(self, timeout: float | None) -> None:
        """Block until `wake` is called, or for `timeout` seconds; `None` waits without end."""
        self._wakeup.wait(timeout)

    def wake(self) -> None:
        """End the listener's wait."""
        self._wakeup.set()

    def renew_locks(self) -> None:
        """Make new locks if gevent has replaced their classes: a wait for the old ones would stop every greenlet."""
        if self._wakeup.is_outdated():
            self._wakeup = Wakeup()
            self.lock = Lock()

    def is_busy_in_this_thread(self) -> bool:
        """Tell whether this thread, interrupted by a signal handler, is changing the state of the backlog."""
        return self.lock.is_held_by_this_thread()
