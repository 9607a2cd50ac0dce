"""Delivery before a signal ends the process."""

from __future__ import annotations

import functools
import os
import signal
from typing import Any

from discord_logging._delivery.registry import flush_all, is_busy_in_this_thread
from discord_logging._process.locks import postpone

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_under_way: set[tuple[int, int]] = set()  # process and signal: a forked child has a flush of its own


def flush_on_signals(*signals: int) -> None:
    """Deliver what waits before a signal does what it would have done anyway.

    Python runs no exit hooks when `SIGTERM` or `SIGHUP` ends the process
    (https://docs.python.org/3/library/atexit.html). Call this after whatever else sets handlers for signals. Servers
    such as gunicorn need no help: theirs let the interpreter exit in order.

    When the signal comes, the main thread blocks for the longest `flush_timeout` of all handlers at the most, however
    often it comes meanwhile. Then the handler that was there before is called; if there was none, what could not be
    delivered is said on stderr, and the signal ends the process. A signal that is ignored stays ignored, and one whose
    handler was not set from Python stays with it. May be called twice.

    Args:
        *signals: Which signals; none is `SIGTERM` and, where there is one, `SIGHUP`.

    Raises:
        ValueError: Called from another thread than the main thread, or no such signal.
        OSError: The signal cannot be handled, such as `SIGKILL`.
    """
    for number in signals or _ENDING:
        previous = signal.getsignal(number)
        is_ours = isinstance(previous, functools.partial) and previous.func is _flush_first
        if not is_ours and previous not in (signal.SIG_IGN, None):
            signal.signal(number, functools.partial(_flush_first, previous))


def _flush_first(previous: Any, number: int, frame: Any) -> None:
    if is_busy_in_this_thread():
        postpone(number)
        return
    key = os.getpid(), number
    is_first = key not in _under_way
    if is_first:
        _under_way.add(key)
        try:
            listeners = flush_all()
        finally:
            _under_way.discard(key)
    if callable(previous):
        previous(number, frame)
    elif is_first:
        for listener in listeners:
            listener.say_losses()
        ours = signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        # The signal ended nothing, such as SIGCHLD, or SIGTERM for the first process of a container.
        signal.signal(number, ours)
