"""The store in a file of SQLite. What every store does is tested in `test_store`."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sqlite3
import sys
import time
from typing import TYPE_CHECKING

import pytest

from discord_logging._backlogs.sqlite import database, files, session
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import Batch, Store, StoreError, Tally, Writer
from tests.backlogs._stores import HOOK, NOW, OTHER, WRITER, batch, exit_if, forks, numbers, opened, record, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    opened.append(SqliteStore(store._folder, hook))
    return opened[-1]  # type: ignore[return-value]  # the line above has put it there


class TestRecords:
    def test_a_record_of_a_future_format_is_left_alone(self, store: SqliteStore, folder: Path) -> None:
        """A newer version reads it."""
        store.add(WRITER, batch(1, 2))
        with sqlite3.connect(folder / database.NAME) as connection:
            connection.execute("UPDATE records SET v = 2 WHERE number = 1")
        connection.close()
        assert numbers(store) == [2]
        assert store.counts().waiting == 2


class TestBounds:
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
        assert store.losses() == {("rejected", "INFO"): 1}


class TestLead:
    def test_the_leader_is_named_in_a_new_file(self, store: SqliteStore, folder: Path) -> None:
        """The old one may be removed while it leads."""
        writer = Writer("we", socket.gethostname(), os.getpid())
        store.try_to_lead(writer)
        (folder / database.NAME).unlink()
        store.check()
        assert store.try_to_lead(writer)
        assert store.summary().sender == (writer.host, writer.pid)

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
