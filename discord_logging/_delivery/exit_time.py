"""This module counts the time of all flushes at interpreter exit, but not of other exit hooks."""

from __future__ import annotations

import threading

_waited: float | None = None


def begin() -> None:
    """Note that the interpreter has begun to exit."""
    global _waited  # noqa: PLW0603 - a process ends once
    _waited = _waited or 0.0


def is_exiting() -> bool:
    """Tell whether the interpreter has begun to exit. Its main thread has ended before the exit hooks run."""
    return _waited is not None or not threading.main_thread().is_alive()


def waited() -> float:
    """Return for how many seconds flushes have waited since the exit began; 0.0 before the exit."""
    return _waited or 0.0


def count(seconds: float) -> None:
    """Count a wait, if the interpreter has begun to exit."""
    global _waited  # noqa: PLW0603 - as above
    if _waited is not None:
        _waited += seconds


def after_fork_in_child() -> None:
    """Reset the time: the child of an exiting process is not exiting."""
    global _waited  # noqa: PLW0603 - this is another process now
    _waited = None
