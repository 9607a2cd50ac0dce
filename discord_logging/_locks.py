"""Locks that threads of users' wait for, though not without end."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from discord_logging import _clock as time

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 0.3
"""Seconds that a lock which is only ever held for a moment is waited for at the least."""


@contextlib.contextmanager
def hold(lock: threading.RLock, deadline: float = 0.0) -> Iterator[bool]:
    """Hold `lock` if it can be had until `deadline`, or within a moment; tell whether it is held.

    Who has it may never give it up: the garbage collector may run on that thread and forget a handler, for which
    `logging` takes its own lock, and `dictConfig` has that one while it makes, flushes and closes handlers.
    """
    timeout = min(max(deadline - time.monotonic(), PATIENCE), threading.TIMEOUT_MAX)
    is_held = lock.acquire(timeout=timeout)
    try:
        yield is_held
    finally:
        if is_held:
            lock.release()


@contextlib.contextmanager
def free(lock: Any) -> Iterator[None]:
    """Give up `lock` if this very thread has it, as it may below a signal handler, and take it back in the end.

    It is what `threading.Condition.wait` does, which would take any lock back without an end to its wait.
    """
    state = lock._release_save() if lock._is_owned() else None  # noqa: SLF001 - every RLock has it for Condition
    try:
        yield
    finally:
        if state is not None:
            lock._acquire_restore(state)  # noqa: SLF001
