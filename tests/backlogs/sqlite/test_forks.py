"""A program may fork at any moment, also while its other threads use SQLite."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from discord_logging._backlogs.sqlite import forks
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import Batch, NewRecord, StoreError, Writer
from discord_logging._process import clock
from tests.backlogs._stores import start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def add(store: SqliteStore, name: str, number: int) -> None:
    record = NewRecord(number, 40, "ERROR", 0.0, 100, "digest", b"x" * 300)
    store.add(Writer(name, "here", os.getpid()), Batch([record], number))


def try_on(work: Callable[[], object]) -> None:
    """Do some work, again if another process holds the database for too long: the machine may be slow."""
    while True:
        with contextlib.suppress(StoreError):
            work()
            return


def end_within(seconds: float, child: Callable[[], object]) -> int:
    """Run a function in a forked process, and return its exit status; kill it if it hangs."""
    pid = start(child)
    deadline = clock.monotonic() + seconds
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if clock.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            found = os.waitpid(pid, 0)
            break
        clock.sleep(0.001)
    return os.waitstatus_to_exitcode(found[1])


@pytest.mark.timeout(300)
def test_children_store_their_records_while_the_parent_stores_its_own(tmp_path: Path) -> None:
    """No child hangs, and every record is there once."""
    keeper, sender = SqliteStore(tmp_path / "backlog", "hook"), SqliteStore(tmp_path / "backlog", "hook")
    has_ended = threading.Event()
    stored: list[int] = []

    def keep() -> None:
        while not has_ended.wait(0.001):
            try_on(lambda: add(keeper, "parent", len(stored) + 1))
            stored.append(1)

    def send() -> None:
        while not has_ended.wait(0.001):
            try_on(lambda: sender.note_flight(sender.read(0, 100), b"state", is_alone=False))

    def be_a_child() -> None:
        # A thread of a process that forks may not reach the hook of its own: stores notice it themselves.
        try_on(lambda: add(keeper, f"child {os.getpid()}", 1))
        sender.after_fork_in_child()
        try_on(lambda: sender.read(0, 1))
        sender.close()

    threads = [threading.Thread(target=target) for target in (keep, send)]
    for thread in threads:
        thread.start()
    try:
        statuses = {end_within(120, be_a_child) for _ in range(20)}
    finally:
        has_ended.set()
        for thread in threads:
            thread.join()
    rows = keeper.read(0, 1_000_000)
    parents = [row for row in rows if row.writer.name == "parent"]
    assert (statuses, len(rows) - len(parents), len(parents)) == ({0}, 20, len(stored))
    keeper.close()
    sender.close()


def test_a_child_that_ends_as_usual_does_not_close_what_it_inherited(tmp_path: Path) -> None:
    """SQLite would wait there for threads that the child does not have, and remove the log of the parent."""
    store = SqliteStore(tmp_path / "backlog", "hook")
    add(store, "parent", 1)
    pid = os.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-c", CHILD, str(tmp_path / "other")])  # noqa: S606
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "other" / "backlog-1.db-wal").stat().st_size > 0
    store.close()


CHILD = """
import os, sys, gc
from pathlib import Path
from discord_logging._backlogs.sqlite_store import SqliteStore
store = SqliteStore(Path(sys.argv[1]), "hook")
store.check()
if not os.fork():
    store.after_fork_in_child()
    gc.collect()
    sys.exit(0)
os.wait()
# The parent's own connection stays open to the very end, too, and so does its log.
"""


def test_a_fork_waits_only_for_other_threads_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler may fork while its thread is inside SQLite, and a disk may be slow."""
    monkeypatch.setattr(forks, "_PATIENCE", 0.01)
    forks.enter()
    try:
        assert end_within(120, forks.enter) == 0
    finally:
        forks.leave()
    is_inside, may_leave = threading.Event(), threading.Event()

    def stay() -> None:
        forks.enter()
        is_inside.set()
        may_leave.wait()
        forks.leave()

    thread = threading.Thread(target=stay)
    thread.start()
    is_inside.wait()
    try:
        assert end_within(120, forks.enter) == 0
    finally:
        may_leave.set()
        thread.join()
    assert not forks._inside


def test_a_thread_enters_after_the_fork() -> None:
    """A fork would never find a moment otherwise."""
    forks._before_fork()
    thread = threading.Thread(target=forks.enter)
    thread.start()
    assert not forks._inside
    forks._after_fork_in_parent()
    thread.join()
    assert len(forks._inside) == 1
    forks._inside.clear()
