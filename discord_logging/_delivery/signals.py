"""This module delivers records before a signal ends the process."""

from __future__ import annotations

import functools
import os
import signal
import sys
from typing import Any

from discord_logging._delivery.registry import flush_all, is_busy_in_this_thread
from discord_logging._process.locks import postpone

_DEFAULT_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_HARMLESS = frozenset(
    getattr(signal, name)
    for name in ("SIGCHLD", "SIGCONT", "SIGINFO", "SIGIO", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH")
    if hasattr(signal, name)
)
"""The signals that do not end a process by default, on one platform at least."""
_flushing: set[tuple[int, int]] = set()
"""The process and the signal of each flush that is running. A forked child runs its own flush."""


def flush_on_signals(*signals: int) -> None:
    """Deliver the waiting records before a signal has its usual effect.

    Python runs no exit hooks when `SIGTERM` or `SIGHUP` ends the process
    (https://docs.python.org/3/library/atexit.html). Call this function after all other code that sets signal handlers.
    Servers such as gunicorn do not need it: their handlers let the interpreter exit normally.

    When the signal comes, the main thread blocks for at most the longest `flush_timeout` of all handlers, however often
    the signal comes meanwhile. Then the previous signal handler is called. Without one, the losses are reported on
    stderr, and the signal ends the process. The first process of a container, which no signal ends by default, exits
    with the status 128 and the number of the signal. An ignored signal stays ignored, and a signal whose handler was
    not set from Python keeps that handler. May be called twice.

    Workers of a `multiprocessing.Pool` have no such handler: the pool ends them by `SIGTERM`, and one that is about to
    wait for the pool's semaphore would never run a handler in Python, so that the pool would wait without end. Close
    and join the pool; otherwise the records that its workers have not delivered are lost, and told.

    Args:
        *signals: The signals; by default `SIGTERM` and, where it exists, `SIGHUP`.

    Raises:
        ValueError: The call came from another thread than the main thread, or a signal does not exist.
        OSError: A signal cannot be handled, such as `SIGKILL`.
    """
    import multiprocessing.util  # noqa: PLC0415 - slow, so imported on first use

    multiprocessing.util.register_after_fork(_flush_first, _restore_in_pool_worker)
    for number in signals or _DEFAULT_SIGNALS:
        previous = signal.getsignal(number)
        if not (_is_ours(previous) or previous in (signal.SIG_IGN, None) or _is_pool_worker()):
            signal.signal(number, functools.partial(_flush_first, previous))


def _is_ours(handler: Any) -> bool:
    return isinstance(handler, functools.partial) and handler.func is _flush_first


def _is_pool_worker() -> bool:
    # `multiprocessing.pool.Pool` names its processes so.
    return "PoolWorker-" in sys.modules["multiprocessing.process"].current_process().name


def _restore_in_pool_worker(_: object) -> None:
    """Restore the handlers of before in a worker that has inherited ours."""
    for number in signal.valid_signals() if _is_pool_worker() else ():
        handler = signal.getsignal(number)
        if _is_ours(handler):
            signal.signal(number, handler.args[0])  # type: ignore[union-attr]  # it is the partial function


def _flush_first(previous: Any, number: int, frame: Any) -> None:
    if is_busy_in_this_thread():
        postpone(number)
        return
    key = os.getpid(), number
    is_first = key not in _flushing
    if is_first:
        _flushing.add(key)
        try:
            listeners = flush_all()
        finally:
            _flushing.discard(key)
    if callable(previous):
        previous(number, frame)
    elif is_first:
        for listener in listeners:
            listener.say_losses()
            if number not in _HARMLESS:
                listener.release_slot()
        ours = signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        # The signal did not end the process. The kernel protects the first process of a container, which would go on
        # until its runtime kills it.
        if os.getpid() == 1 and number not in _HARMLESS:
            os._exit(128 + number)
        signal.signal(number, ours)
