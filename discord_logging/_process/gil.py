"""Long work gives up the interpreter's lock (the GIL) now and then, so that the program's own threads can run."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")
_PORTION = 0.00015
"""The shortest time between two pauses, in seconds."""
_MAX_PORTION = 0.005
"""The seconds after which the interpreter itself makes a thread give up the lock."""


class _Turn(threading.local):
    ends_at = 0.0


_turn = _Turn()


def yield_gil() -> None:
    """Give up the interpreter's lock for a moment if this thread has not done so for a while.

    Otherwise a thread that comes back from I/O would wait 5 ms for the lock
    (https://docs.python.org/3/library/sys.html#sys.setswitchinterval).
    """
    now = time.perf_counter()
    if now > _turn.ends_at + _MAX_PORTION:
        # The thread has been idle meanwhile, or has given up the lock already.
        _turn.ends_at = now + _PORTION
    elif now > _turn.ends_at:
        # With 0 seconds, a thread that waits for the lock would starve, up to Python 3.10.
        time.sleep(1e-6)
        resumed = time.perf_counter()
        # If others hold the lock for long, pauses in short order would leave next to no time for the work.
        _turn.ends_at = resumed + min(max(resumed - now, _PORTION), _MAX_PORTION)


def yield_gil_between(items: Iterable[_T]) -> Iterator[_T]:
    """Yield `items`, and pause now and then between two of them."""
    for item in items:
        yield item
        yield_gil()
