"""Long work in small portions, so that the program's own threads get their turn."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")
_PORTION = 0.00015
"""The least time between two pauses, in seconds."""
_MAX_PORTION = 0.005
"""After so many seconds the interpreter makes a thread give up its lock."""


class _Turn(threading.local):
    ends_at = 0.0


_turn = _Turn()


def yield_gil() -> None:
    """Give up the interpreter's lock for a moment if this thread has not done so for a while.

    A thread that comes back from I/O would wait 5 ms for it
    (https://docs.python.org/3/library/sys.html#sys.setswitchinterval).
    """
    now = time.perf_counter()
    if now > _turn.ends_at + _MAX_PORTION:
        # The thread had nothing to do meanwhile, or gave the lock up by itself.
        _turn.ends_at = now + _PORTION
    elif now > _turn.ends_at:
        # With 0 a thread that waits for the lock would starve, up to Python 3.10.
        time.sleep(1e-6)
        resumed = time.perf_counter()
        # Where others hold the lock for long, so many pauses would leave next to no time for the work.
        _turn.ends_at = resumed + min(max(resumed - now, _PORTION), _MAX_PORTION)


def yield_gil_between(items: Iterable[_T]) -> Iterator[_T]:
    """Yield `items`, with a pause now and then between two of them."""
    for item in items:
        yield item
        yield_gil()
