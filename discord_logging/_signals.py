"""Delivery before a signal ends the process."""

from __future__ import annotations

import functools
import signal
from typing import Any

from discord_logging._listener import finish, flush_all

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def flush_on_signals(*signals: int) -> None:
    """Deliver what waits before a signal does what it would have done anyway.

    Python runs no exit hooks when `SIGTERM` or `SIGHUP` ends the process
    (https://docs.python.org/3/library/atexit.html). Call this after whatever else sets handlers for signals. Servers
    such as gunicorn need no help: theirs let the interpreter exit in order.

    When the signal comes, the main thread blocks for the longest `flush_timeout` of all handlers at the most. Then the
    handler that was there before is called; if there was none, the signal ends the process, and what could not be
    delivered is said on stderr. A signal that is ignored stays ignored, and one whose handler was not set from Python
    stays with it. May be called twice.

    Args:
        *signals: Which signals; none is `SIGTERM` and, where there is one, `SIGHUP`.

    Raises:
        ValueError: Called from another thread than the main thread, or no such signal.
    """
    for number in signals or _ENDING:
        previous = signal.getsignal(number)
        is_ours = isinstance(previous, functools.partial) and previous.func is _flush_first
        if not is_ours and previous not in (signal.SIG_IGN, None):
            signal.signal(number, functools.partial(_flush_first, previous))


def _flush_first(previous: Any, number: int, frame: Any) -> None:
    if callable(previous):
        flush_all()
        previous(number, frame)
    else:
        finish()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
