"""All processes of a machine keep the records of a webhook in one file, and lose none and double none."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import os
import signal
import socket
import sqlite3
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._backlogs.sqlite import database, files, session
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import ALONE, Batch, NewRecord, Store, StoreError, Tally, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOOK = "discord.com/123456"
NOW = 1_750_000_000.0
WRITER = Writer("first", "elsewhere", 1)
OTHER = Writer("second", "elsewhere", 2)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")


def record(
    number: int, levelname: str = "ERROR", *, created: float = NOW, size: int = 100, count: int = 1
) -> NewRecord:
    levelno = {"DEBUG": 10, "WARNING": 30, "ERROR": 40}.get(levelname, 0)
    return NewRecord(number, levelno, levelname, created, size, "digest", f"body {number}".encode(), count)


def batch(*numbers: int) -> Batch:
    return Batch([record(number) for number in numbers], max(numbers))


_opened: list[SqliteStore] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "parent" / "backlog"


@pytest.fixture
def store(folder: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(folder, HOOK)
    yield store
    store.close()


def as_contract(store: SqliteStore) -> Store:
    """Let mypy compare the two."""
    return store


def another(store: SqliteStore, hook: str = HOOK) -> SqliteStore:
    _opened.append(SqliteStore(store._folder, hook))
    return _opened[-1]


def numbers(store: SqliteStore) -> list[int]:
    return [row.number for row in store.read(0, 10_000)]


def start(child: Callable[[], object]) -> int:
    """Run a function in a forked process, whose exit status is 0 if it raises nothing; return its id."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            child()
            status = 0
        finally:
            os._exit(status)
    return pid


def run(child: Callable[[], object]) -> int:
    """Run a function in a forked process, and return its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(start(child), 0)[1])


class TestRecords:
    def test_a_record_is_read_as_it_was_added(self, store: SqliteStore) -> None:
        """It comes with its writer and its position."""
        store.add(WRITER, Batch([record(1, count=3)], 1, {"digest": b"settings"}))
        (row,) = another(store).read(0, 10)
        assert row._replace(position=0) == (0, WRITER, 1, 40, "ERROR", NOW, 100, "digest", b"body 1", 3, 0)
        assert another(store).find_settings("digest") == b"settings"
        assert another(store).find_settings("unknown") is None

    def test_records_are_read_in_portions_in_the_order_of_their_positions(self, store: SqliteStore) -> None:
        """A reader goes on behind the last position."""
        store.add(WRITER, batch(1, 2, 3))
        first = store.read(0, 2)
        assert [row.number for row in first] == [1, 2]
        assert [row.number for row in store.read(first[-1].position, 2)] == [3]

    def test_a_webhook_has_its_own_records(self, store: SqliteStore) -> None:
        """The webhooks share the file, and a process may number its records for each."""
        other = another(store, "discord.com/7")
        store.add(WRITER, batch(1))
        other.add(WRITER, batch(1, 2))
        other.settle([], state=b"theirs")
        assert (numbers(store), numbers(other), store.load_state()) == ([1], [1, 2], None)
        assert store.counts().waiting == 1

    def test_a_record_of_a_future_format_is_left_alone(self, store: SqliteStore, folder: Path) -> None:
        """A newer version reads it."""
        store.add(WRITER, batch(1, 2))
        with sqlite3.connect(folder / database.NAME) as connection:
            connection.execute("UPDATE records SET v = 2 WHERE number = 1")
        connection.close()
        assert numbers(store) == [2]
        assert store.counts().waiting == 2

    def test_any_number_and_text_is_kept(self, store: SqliteStore) -> None:
        """Levels may have strange names and numbers, and the clock may be wrong."""
        odd = NewRecord(1, 2**70, "\ud800", -1e300, 2**70, "digest", b"", 1)
        store.add(WRITER, Batch([odd, record(2)], 2, {}, {("rejected", "\ud800"): 1}))
        assert numbers(store) == [1, 2]
        assert store.counts().dropped == {("rejected", "?"): 1}


class TestNumbers:
    def test_a_record_is_stored_once(self, store: SqliteStore) -> None:
        """A keeper repeats a batch of which it does not know whether it was stored."""
        store.add(WRITER, batch(1, 2))
        store.add(WRITER, batch(1, 2, 3))
        assert numbers(store) == [1, 2, 3]

    def test_a_delivered_record_does_not_come_back(self, store: SqliteStore) -> None:
        """A ring may still have it after its process was killed."""
        store.add(WRITER, batch(1, 2))
        store.settle(store.read(0, 10))
        store.add(WRITER, batch(1, 2))
        assert numbers(store) == []

    def test_a_lower_number_may_come_later(self, store: SqliteStore) -> None:
        """Threads that log at the same moment may be overtaken."""
        store.add(WRITER, batch(1, 3))
        store.add(WRITER, batch(2))
        assert numbers(store) == [1, 3, 2]

    def test_a_covered_number_does_not_come_later(self, store: SqliteStore) -> None:
        """Its record was folded into another one, or dropped."""
        store.add(WRITER, Batch([record(3, count=2)], 3, covers=[1]))
        store.add(WRITER, batch(1, 2, 3))
        assert numbers(store) == [3, 2]

    def test_writers_have_their_own_numbers(self, store: SqliteStore) -> None:
        """Each process begins with 1."""
        store.add(WRITER, batch(1))
        store.add(OTHER, batch(1))
        assert [row.writer for row in store.read(0, 10)] == [WRITER, OTHER]

    def test_losses_are_counted_once(self, store: SqliteStore) -> None:
        """They are the writer's and the webhook's, and use up a number."""
        losses = Batch([], 1, {}, {("queue_full", "INFO"): 4})
        store.add(WRITER, losses)
        store.add(WRITER, losses)
        store.add(WRITER, losses._replace(last=2))
        assert store.tally(WRITER) == Tally(0, {("queue_full", "INFO"): 8})
        assert store.counts().dropped == {("queue_full", "INFO"): 8}


class TestEnd:
    def test_settled_records_are_gone_and_counted_at_their_writers(self, store: SqliteStore) -> None:
        """Each counts for all that were folded into it."""
        store.add(WRITER, Batch([record(1, count=5), record(2)], 2))
        store.add(OTHER, batch(1))
        store.settle(store.read(0, 2))
        store.settle(store.read(0, 2), "rejected")
        assert store.tally(WRITER) == Tally(6, {})
        assert store.tally(OTHER) == Tally(0, {("rejected", "ERROR"): 1})
        assert store.counts().dropped == {("rejected", "ERROR"): 1}
        assert (store.counts().waiting, store.counts().bytes) == (0, 0)

    def test_records_are_settled_once(self, store: SqliteStore) -> None:
        """A sender repeats it if it does not know whether it was done."""
        store.add(WRITER, batch(1, 2))
        rows = store.read(0, 10)
        store.settle(rows[:1])
        store.settle(rows, "rejected")
        assert store.tally(WRITER) == Tally(1, {("rejected", "ERROR"): 1})
        assert store.counts().bytes == 0

    def test_a_writer_is_settled_when_none_of_its_first_records_is_left(self, store: SqliteStore) -> None:
        """A flush waits for the records that came before it."""
        store.add(WRITER, batch(1, 2))
        store.add(OTHER, batch(1))
        store.settle(store.read(0, 1))
        assert [store.is_settled(WRITER, 1), store.is_settled(WRITER, 2), store.is_settled(OTHER, 0)] == [
            *(True, False, True)
        ]

    def test_a_flight_is_noted_with_its_state(self, store: SqliteStore) -> None:
        """A successor reads both."""
        store.add(WRITER, batch(1, 2))
        rows = store.read(0, 10)
        store.note_flight(rows, b"state", is_alone=False)
        store.note_flight(rows[:1], b"alone", is_alone=True)
        assert [row.tries for row in another(store).read(0, 10)] == [1 + ALONE, 1]
        assert another(store).load_state() == b"alone"
        store.settle(rows, state=b"later")
        assert another(store).load_state() == b"later"

    @pytest.mark.parametrize("is_alone", [False, True])
    @pytest.mark.parametrize("maybe_saved", [False, True])
    def test_a_flight_that_ended_leaves_only_the_doubt(
        self, store: SqliteStore, is_alone: bool, maybe_saved: bool
    ) -> None:
        """A process that goes on has not crashed, but the record may be in the channel, also by an earlier flight."""
        store.add(WRITER, batch(1))
        rows = store.read(0, 10)
        flight = functools.partial(store.note_flight, rows, b"out", is_alone=is_alone)
        landing = functools.partial(store.note_landing, rows, b"back", is_alone=is_alone)
        flight()
        landing(maybe_saved=maybe_saved)
        assert [row.tries for row in store.read(0, 10)] == [int(maybe_saved)]
        assert store.load_state() == b"back"
        flight()
        flight()
        landing(maybe_saved=False)
        assert [row.tries for row in store.read(0, 10)] == [1]

    def test_the_summary_is_that_of_this_webhook(self, store: SqliteStore) -> None:
        """It has what is cheap to know, and the losses have a number for each reason and level."""
        assert store.summary() == (0, None, 0, None)
        store.add(WRITER, batch(1, 2))
        store.try_to_lead(WRITER)
        waiting, oldest, workers, sender = store.summary()
        assert (waiting, oldest, sender) == (2, store.counts().oldest, (WRITER.host, WRITER.pid))
        assert workers == 1
        store.settle(store.read(0, 1), "too_old")
        assert store.losses() == store.counts().dropped
        assert list(store.losses().values()) == [1]

    def test_a_wish_is_seen_until_its_deadline(self, store: SqliteStore) -> None:
        """The latest one counts."""
        assert store.wishes(NOW) is None
        store.wish(WRITER, NOW + 5)
        another(store).wish(OTHER, NOW + 3)
        assert [store.wishes(NOW), store.wishes(NOW + 5)] == [NOW + 5, None]


class TestBounds:
    def test_old_records_are_dropped(self, store: SqliteStore) -> None:
        """They are counted."""
        store.add(WRITER, Batch([record(1, created=NOW - 101), record(2, created=NOW - 99)], 2))
        (first, _) = store.read(0, 10)
        assert store.tidy(1_000, 100, NOW) == [first.position]
        assert (numbers(store), store.tally(WRITER).dropped) == ([2], {("too_old", "ERROR"): 1})

    def test_the_least_severe_and_oldest_of_too_many_records_are_dropped(self, store: SqliteStore) -> None:
        """As many as need be."""
        levels = ["ERROR", "DEBUG", "WARNING", "DEBUG", "WARNING"]
        store.add(WRITER, Batch([record(number, level) for number, level in enumerate(levels, 1)], 5))
        assert len(store.tidy(250, 100, NOW)) == 3
        assert numbers(store) == [1, 5]
        assert store.counts().dropped == {("queue_full", "DEBUG"): 2, ("queue_full", "WARNING"): 1}
        assert store.tidy(250, 100, NOW) == []

    def test_many_records_are_dropped_in_portions(self, store: SqliteStore) -> None:
        """Other processes write in between."""
        store.add(WRITER, batch(*range(1, 2_502)))
        assert len(store.tidy(100, 100, NOW)) == 2_500
        assert (numbers(store), store.counts().bytes) == ([2_501], 100)

    def test_wrong_totals_do_not_keep_the_sender_busy(self, store: SqliteStore, folder: Path) -> None:
        """They are wrong if the file was damaged without a trace."""
        store.add(WRITER, batch(1))
        with sqlite3.connect(folder / database.NAME) as connection:
            connection.execute("UPDATE hooks SET bytes = 5000")
        connection.close()
        assert len(store.tidy(250, 100, NOW)) == 1
        assert store.tidy(250, 100, NOW) == []

    def test_the_file_shrinks(self, store: SqliteStore, folder: Path) -> None:
        """Otherwise it would be as large for ever as it was on the worst day."""
        large = [record(number)._replace(body=bytes(100_000)) for number in range(1, 201)]
        store.add(WRITER, Batch(large, 200))
        store.settle(store.read(0, 200))
        store.checkpoint()
        size = (folder / database.NAME).stat().st_size
        store.tidy(100, 100, NOW)
        store.checkpoint()
        assert (folder / database.NAME).stat().st_size < size * 0.7

    def test_silent_writers_and_unused_settings_are_forgotten(self, store: SqliteStore) -> None:
        """Their losses stay those of the webhook. A process of this machine may be silent as long as it lives."""
        store.add(WRITER, Batch([], 1, {"digest": b"settings"}, {("rejected", "INFO"): 1}))
        alive = Writer("we", socket.gethostname(), os.getpid())
        store.add(alive, batch(1))
        store.settle(store.read(0, 1))
        store.tidy(100, 100, time.time())
        assert store.find_settings("digest") == b"settings"
        store.tidy(100, 100, time.time() + 31 * 86_400)
        assert (store.find_settings("digest"), store.tally(WRITER)) == (None, Tally(0, {}))
        assert store.tally(alive) == Tally(1, {})
        assert store.counts().dropped == {("rejected", "INFO"): 1}


class TestCounts:
    def test_an_empty_store_is_counted(self, store: SqliteStore) -> None:
        """Nothing waits, and nobody sends."""
        assert store.counts() == (0, 0, None, {}, {}, 0, None, {})

    def test_all_that_waits_is_counted(self, store: SqliteStore) -> None:
        """Records that stand for several count as such."""
        store.add(WRITER, Batch([record(1, "DEBUG", count=4), record(2, created=NOW - 9)], 2))
        store.add(OTHER, batch(1))
        counts = store.counts()
        assert (counts.waiting, counts.bytes, counts.oldest, counts.workers) == (6, 300, NOW - 9, 2)
        assert counts.by_level == {"DEBUG": 4, "ERROR": 2}
        assert counts.by_writer == {"elsewhere (1)": 5, "elsewhere (2)": 1}

    @forks
    def test_a_process_of_this_machine_counts_as_long_as_it_lives(self, store: SqliteStore) -> None:
        """The others count for a while after they were heard of."""
        host = socket.gethostname()
        store.add(Writer("we", host, os.getpid()), batch(1))
        assert run(lambda: store.add(Writer("child", host, os.getpid()), batch(1))) == 0
        assert store.counts().workers == 1


class TestChanges:
    def test_a_change_of_others_is_noticed(self, store: SqliteStore) -> None:
        """The first look is a change, too. One's own changes are known."""
        other = another(store)
        assert [store.has_changed(), store.has_changed()] == [True, False]
        other.add(WRITER, batch(1))
        assert [store.has_changed(), store.has_changed()] == [True, False]
        store.add(WRITER, batch(2))
        assert store.has_changed() is False


class TestLead:
    @forks
    def test_one_process_leads(self, store: SqliteStore) -> None:
        """One of its stores leads, as handlers may share a folder. Another process leads when this one resigns."""
        other = another(store)
        assert store.try_to_lead(WRITER)
        assert store.try_to_lead(WRITER)
        assert (other.leads, other.try_to_lead(WRITER), another(store, "discord.com/7").leads) == (False, False, False)
        assert run(lambda: exit_if(another(store).try_to_lead(OTHER))) == 0
        other.resign()
        assert store.leads
        store.resign()
        assert (store.leads, other.try_to_lead(WRITER)) == (False, True)
        other.resign()
        assert run(lambda: exit_if(not another(store).try_to_lead(OTHER))) == 0

    @forks
    def test_a_child_does_not_lead(self, store: SqliteStore) -> None:
        """The lock stays the parent's, also when the child forgets it or ends."""
        assert store.try_to_lead(WRITER)

        def be_a_child() -> None:
            exit_if(store.leads)
            store.after_fork_in_child()
            store.resign()
            exit_if(store.try_to_lead(OTHER))

        assert run(be_a_child) == 0
        assert run(lambda: exit_if(another(store).try_to_lead(OTHER))) == 0

    @forks
    def test_the_end_of_a_process_ends_its_lead(self, store: SqliteStore) -> None:
        """The kernel sees to it, also when a child of that process lives on."""
        reader, writer = os.pipe()

        def lead_and_leave_a_child() -> None:
            assert another(store).try_to_lead(OTHER)
            if not os.fork():
                os.read(reader, 1)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)

        assert run(lead_and_leave_a_child) == -signal.SIGKILL
        assert store.try_to_lead(WRITER)
        os.write(writer, b"x")
        os.close(reader)
        os.close(writer)

    def test_the_leader_is_named(self, store: SqliteStore) -> None:
        """Until it resigns or is dead."""
        store.try_to_lead(Writer("we", socket.gethostname(), os.getpid()))
        assert another(store).counts().sender == (socket.gethostname(), os.getpid())
        store.resign()
        assert another(store).counts().sender is None

    def test_the_leader_is_named_in_a_new_file(self, store: SqliteStore, folder: Path) -> None:
        """The old one may be removed while it leads."""
        writer = Writer("we", socket.gethostname(), os.getpid())
        store.try_to_lead(writer)
        (folder / database.NAME).unlink()
        store.check()
        assert store.try_to_lead(writer)
        assert store.counts().sender == (writer.host, writer.pid)

    def test_a_lock_that_was_removed_is_taken_anew(self, store: SqliteStore, folder: Path) -> None:
        """Otherwise another process would lead as well."""
        assert store.try_to_lead(WRITER)
        (lock,) = folder.glob("*.sender")
        lock.unlink()
        assert store.try_to_lead(WRITER)
        assert lock.stat().st_mode & 0o777 == 0o600

    def test_nobody_leads_a_store_that_does_not_work(self, store: SqliteStore, folder: Path) -> None:
        """There would be nothing to read."""
        folder.mkdir(parents=True)
        (folder / database.NAME).mkdir()
        with pytest.raises(StoreError):
            store.try_to_lead(WRITER)
        assert not store.leads
        (folder / database.NAME).rmdir()
        (folder / "discord.com_123456.sender").unlink()
        (folder / "discord.com_123456.sender").mkdir()
        with pytest.raises(StoreError, match="directory"):
            store.try_to_lead(WRITER)
        store.resign()
        assert not store.leads

    def test_a_lock_that_the_program_has_ended_is_taken_again(self, store: SqliteStore, folder: Path) -> None:
        """A process that closes the file anywhere, as one that copies the folder, has no lock on it any more."""
        assert store.try_to_lead(WRITER)
        (folder / "discord.com_123456.sender").read_bytes()
        assert store.try_to_lead(WRITER)
        assert run(lambda: exit_if(another(store).try_to_lead(OTHER))) == 0

    def test_a_store_that_was_forgotten_leads_no_more(self, store: SqliteStore, folder: Path) -> None:
        """Another one of the process takes its place."""
        forgotten = SqliteStore(folder, HOOK)
        assert forgotten.try_to_lead(WRITER)
        forgotten.close()
        del forgotten
        gc.collect()
        assert store.try_to_lead(WRITER)


def exit_if(condition: object) -> None:
    if condition:
        os._exit(3)


class TestFolder:
    @forks
    def test_everything_is_private(self, store: SqliteStore, folder: Path) -> None:
        """Whatever the umask is."""
        previous = os.umask(0)
        try:
            store.add(WRITER, batch(1))
            store.try_to_lead(WRITER)
        finally:
            os.umask(previous)
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {"backlog-1.db", "backlog-1.db-wal", "backlog-1.db-shm", "discord.com_123456.sender"} <= modes.keys()
        assert set(modes.values()) == {0o600}

    @forks
    def test_a_strict_umask_does_no_harm(self, store: SqliteStore) -> None:
        """It would take rights from this user."""
        previous = os.umask(0o777)
        try:
            store._folder.parent.mkdir(mode=0o700)
            store._folder.parent.chmod(0o700)
            store.add(WRITER, batch(1))
        finally:
            os.umask(previous)
        assert numbers(another(store)) == [1]

    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
    def test_a_folder_that_others_can_write_into_is_refused(self, store: SqliteStore, folder: Path, mode: int) -> None:
        """They could replace the file."""
        folder.mkdir(parents=True)
        folder.chmod(mode)
        with pytest.raises(StoreError, match="can be written by other users"):
            store.add(WRITER, batch(1))
        assert list(folder.iterdir()) == []

    def test_a_folder_of_another_user_is_refused(
        self, store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That user could read the records."""
        folder.mkdir(parents=True)
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        with pytest.raises(StoreError, match="belongs to another user"):
            store.check()

    def test_a_link_is_refused(self, store: SqliteStore, folder: Path, tmp_path: Path) -> None:
        """Of the folder and of the file."""
        folder.parent.mkdir()
        folder.symlink_to(tmp_path)
        with pytest.raises(StoreError, match="is a symbolic link"):
            store.check()
        folder.unlink()
        folder.mkdir()
        (folder / database.NAME).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StoreError, match="is a symbolic link"):
            store.check()

    def test_a_file_in_place_of_the_folder_is_refused(self, store: SqliteStore, folder: Path) -> None:
        """So is one in place of its parent."""
        folder.parent.mkdir()
        folder.touch()
        with pytest.raises(StoreError, match="is not a directory"):
            store.check()
        with pytest.raises(StoreError, match="Not a directory"):
            SqliteStore(folder / "backlog", HOOK).check()

    @pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "fuse.sshfs", "lustre"])
    def test_a_network_file_system_is_refused(
        self, store: SqliteStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        """Locks and shared memory do not work there."""
        mounts = tmp_path / "mountinfo"
        place = str(folder).replace("/parent/", "/par\\040ent/")
        mounts.write_text(f"1 2 0:1 / / rw - ext4 /dev/sda rw\n3 1 0:2 / {place} rw shared:1 - {kind} server:/a rw\n")
        monkeypatch.setattr(files, "_MOUNTS", mounts)
        store.check()
        with pytest.raises(StoreError, match=f"network file system .{kind}."):
            SqliteStore(folder.parent.with_name("par ent") / "backlog", HOOK).check()

    def test_a_python_without_sqlite_is_told(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """It can be built without."""
        monkeypatch.setattr(database, "sqlite3", None)
        with pytest.raises(StoreError, match="Python was built without SQLite"):
            store.check()


class TestReplacedFile:
    @pytest.mark.parametrize("with_folder", [True, False])
    def test_a_removed_file_is_made_anew(self, store: SqliteStore, folder: Path, with_folder: bool) -> None:
        """Its log, if it was left, is not taken for that of the new file. Positions rise."""
        store.add(WRITER, batch(1))
        (row,) = store.read(0, 10)
        if with_folder:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        else:
            (folder / database.NAME).unlink()
        store.check()
        assert numbers(store) == []
        store.add(WRITER, batch(2))
        assert [row.number for row in store.read(row.position, 10)] == [2]

    def test_a_record_goes_into_the_new_file(
        self, store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if the old one is replaced right before the commit."""
        store.add(WRITER, batch(1))
        add = session.Session._try
        replaced: list[Path] = []

        def replace_and_try(*args: object) -> object:
            if not replaced:
                replaced.append((folder / database.NAME).rename(folder / "old"))
            return add(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(session.Session, "_try", replace_and_try)
        store.add(WRITER, batch(2))
        assert numbers(another(store)) == [2]

    def test_a_file_that_is_replaced_again_and_again_is_an_error(
        self, store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The store does not try for ever."""
        store.check()
        connection = sqlite3.connect(folder / database.NAME)
        monkeypatch.setattr(database, "open_database", lambda _: (connection, (0, 0)))
        with pytest.raises(StoreError, match="is replaced again and again"):
            another(store).read(0, 1)
        connection.close()

    def test_closing_does_not_remove_the_log_of_a_new_file(self, store: SqliteStore, folder: Path) -> None:
        """SQLite removes a log by its name."""
        store.add(WRITER, batch(1))
        (folder / database.NAME).rename(folder / "old")
        other = another(store)
        other.add(WRITER, batch(2))
        store.close()
        assert numbers(another(store)) == [2]
        assert (folder / f"{database.NAME}-wal").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is set as on Linux")
class TestFullDisk:
    def test_a_full_disk_is_an_error_until_there_is_room(self, store: SqliteStore) -> None:
        """What is there can be read all the while."""
        store.add(WRITER, batch(1))

        def fill() -> None:
            import resource  # noqa: PLC0415 - Windows has none

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            own = another(store)
            assert numbers(own) == [1]
            large = Batch([record(number)._replace(body=b"x" * 100_000) for number in range(2, 40)], 39)
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
            with pytest.raises(StoreError, match="disk is full"):
                own.add(WRITER, large)
            assert numbers(own) == [1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            own.add(WRITER, large)
            assert len(numbers(own)) == 39

        assert run(fill) == 0

    def test_a_database_that_is_held_for_too_long_is_an_error(
        self, store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another program may hold it."""
        monkeypatch.setattr(files, "PATIENCE", 0.01)
        store.check()
        other = sqlite3.connect(folder / database.NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process holds the database"):
            store.add(WRITER, batch(1))
        other.close()
        store.add(WRITER, batch(1))


@forks
class TestProcesses:
    def test_two_processes_add_while_one_settles(self, store: SqliteStore, folder: Path) -> None:
        """Nothing is lost, and nothing is there twice."""
        reader, writer = os.pipe()
        adding = [start(functools.partial(add_all, SqliteStore(folder, HOOK), name)) for name in ("a", "b")]
        os.close(writer)
        os.set_blocking(reader, False)
        found: list[tuple[str, int]] = []
        has_ended = False
        while not has_ended:
            # The pipe has an end when both processes have ended, and what they added is read after that.
            with contextlib.suppress(BlockingIOError):
                has_ended = not os.read(reader, 1)
            while rows := store.read(0, 100):
                store.note_flight(rows, b"state", is_alone=False)
                store.settle(rows, state=b"state")
                found += [(row.writer.name, row.number) for row in rows]
        os.close(reader)
        assert [os.waitpid(pid, 0)[1] for pid in adding] == [0, 0]
        assert sorted(found) == [(name, number) for name in ("a", "b") for number in range(1, 1_001)]
        assert [store.tally(Writer(name, "here", 1)).delivered for name in ("a", "b")] == [1_000, 1_000]

    def test_a_killed_process_loses_nothing_that_was_added(self, store: SqliteStore, folder: Path) -> None:
        """And leaves no lock behind."""
        for round_ in range(5):
            reader, writer = os.pipe()
            pid = start(functools.partial(add_for_ever, SqliteStore(folder, HOOK), f"killed {round_}", writer))
            os.close(writer)
            added = b""
            while len(added) < 20 * (round_ + 1):
                added += os.read(reader, 1)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            added += os.read(reader, 100_000)
            os.close(reader)
            stored = [row.number for row in store.read(0, 100_000) if row.writer.name == f"killed {round_}"]
            # The last one may have been added right before it could be said.
            assert stored in (list(range(1, len(added) + 1)), list(range(1, len(added) + 2)))


def add_all(store: SqliteStore, name: str) -> None:
    for first in range(1, 1_001, 5):
        store.add(Writer(name, "here", 1), batch(*range(first, first + 5)))


def add_for_ever(store: SqliteStore, name: str, pipe: int) -> None:
    for number in itertools.count(1):
        store.add(Writer(name, "here", 1), batch(number))
        os.write(pipe, b"x")


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 1), st.lists(st.integers(1, 12), min_size=1, max_size=5, unique=True)),
    st.tuples(st.just("settle"), st.sampled_from([None, "rejected"]), st.integers(1, 4)),
    st.tuples(st.just("tidy"), st.integers(0, 1_000), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
)


@given(actions=st.lists(ACTIONS, max_size=20))
def test_each_record_waits_is_delivered_or_is_dropped_once(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, Any, Any]]
) -> None:
    """After any actions, in any order."""
    store = SqliteStore(tmp_path_factory.mktemp("store") / "backlog", HOOK)
    added: set[tuple[Writer, int]] = set()
    for name, first, second in actions:
        if name == "add":
            writer = (WRITER, OTHER)[first]
            store.add(writer, batch(*second))
            added |= {(writer, number) for number in second}
        elif name == "settle":
            store.settle(store.read(0, second), first)
        elif name == "tidy":
            store.tidy(first, 1e9, NOW)
        else:
            store.close()
    tallies = [store.tally(WRITER), store.tally(OTHER)]
    waiting = store.read(0, 100)
    assert len({(row.writer, row.number) for row in waiting}) == len(waiting)
    ended = sum(tally.delivered + sum(tally.dropped.values()) for tally in tallies)
    assert len(waiting) + ended == len(added)
    assert (store.counts().waiting, store.counts().bytes) == (len(waiting), 100 * len(waiting))
    store.close()


def test_a_store_that_contradicts_itself_is_repaired(store: SqliteStore, folder: Path) -> None:
    """A row may be gone of which an index still tells, and so would wait for ever."""
    store.add(WRITER, batch(1, 2))
    (first, _) = store.read(0, 10)
    store.verify()
    with sqlite3.connect(folder / database.NAME) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'by_age'").fetchone()
        connection.execute("DELETE FROM sqlite_master WHERE name = 'by_age'")
    connection.close()
    with sqlite3.connect(folder / database.NAME) as connection:
        connection.execute("DELETE FROM records WHERE position = ?", (first.position,))
        connection.execute("PRAGMA writable_schema = ON")
        sql = "CREATE INDEX by_age ON records (hook, created)"
        connection.execute("INSERT INTO sqlite_master VALUES ('index', 'by_age', 'records', ?, ?)", (root, sql))
    connection.close()
    another(store).verify()
    assert numbers(another(store)) == [2]
    assert list(folder.glob("backlog-1.db.damaged-*"))
