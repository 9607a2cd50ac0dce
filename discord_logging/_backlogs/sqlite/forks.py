"""A fork waits for a moment until no thread is inside SQLite, whose locks would stay locked in the child for ever."""

from __future__ import annotations

import os
import threading

from discord_logging._process import clock

_PATIENCE = 1.0
"""For how long a fork waits, in seconds. A thread that waits for the disk longer than that has none of those locks."""
_PAUSE = 0.0002
_inside: set[int] = set()
"""The threads that are inside SQLite."""
_is_open = threading.Event()
"""Whether no fork is ahead."""
_is_open.set()


def enter() -> None:
    """Enter SQLite: other threads fork when this one leaves."""
    thread = threading.get_ident()
    _inside.add(thread)
    if not _is_open.is_set():
        _inside.discard(thread)
        _is_open.wait(_PATIENCE)
        _inside.add(thread)


def leave() -> None:
    """Leave SQLite."""
    _inside.discard(threading.get_ident())


def _before_fork() -> None:
    _is_open.clear()
    deadline = clock.monotonic() + _PATIENCE
    # A signal handler that forks may have interrupted this very thread.
    while _inside - {threading.get_ident()} and clock.monotonic() < deadline:
        clock.sleep(_PAUSE)


def _after_fork_in_parent() -> None:
    _is_open.set()


def _after_fork_in_child() -> None:
    global _is_open  # noqa: PLW0603 - a thread of the parent may have held the lock in it
    _is_open = threading.Event()
    _is_open.set()
    _inside.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
