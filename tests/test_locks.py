"""Locks that are waited for, but not without end."""

from __future__ import annotations

import threading
import time

from discord_logging._locks import PATIENCE, free, hold


def _held_elsewhere(lock: threading.RLock) -> bool:
    found = []

    def look() -> None:
        with hold(lock) as is_held:
            found.append(is_held)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(10)
    return not found[0]


def test_a_lock_is_held_and_given_back() -> None:
    """It is held within the block, and free behind it."""
    lock = threading.RLock()
    with hold(lock) as is_held:
        assert is_held
        assert _held_elsewhere(lock)
    assert not _held_elsewhere(lock)


def test_who_cannot_have_it_goes_on_without_it() -> None:
    """After a moment, or at the deadline if that is later."""
    lock = threading.RLock()
    waits = []

    def ask() -> None:
        for deadline in (0.0, time.monotonic() + 3 * PATIENCE):
            began = time.monotonic()
            with hold(lock, deadline) as is_held:
                waits.append((is_held, time.monotonic() - began))

    with lock:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(20)
    assert [is_held for is_held, _ in waits] == [False, False]
    assert PATIENCE * 0.9 <= waits[0][1] < waits[1][1] + PATIENCE


def test_a_lock_is_given_up_as_often_as_this_thread_has_it() -> None:
    """And taken back as often."""
    lock = threading.RLock()
    with lock, lock:
        with free(lock):
            assert not _held_elsewhere(lock)
        assert _held_elsewhere(lock)
    assert not _held_elsewhere(lock)


def test_a_lock_of_another_thread_stays_its_own() -> None:
    """Giving it up is for its owner."""
    lock = threading.RLock()
    with free(lock):
        assert not _held_elsewhere(lock)
    assert not _held_elsewhere(lock)
