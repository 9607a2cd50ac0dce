"""While Redis is away, a directory of the machine keeps what waits, until it is in Redis or delivered."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._backlogs.packing import Parcel
from discord_logging._backlogs.sqlite import records
from discord_logging._backlogs.sqlite.session import Session
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import StoreError
from tests.backlogs._stores import HOOK
from tests.backlogs.conftest import Clock, Disk, Process, bounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def disk() -> Disk:
    """Return the Redis, which is away."""
    disk = Disk()
    disk.fail()
    return disk


@pytest.fixture
def start(disk: Disk, tmp_path: Path) -> Callable[..., Process]:
    """Return a function that starts a process with the directory."""
    return lambda **given: Process(disk, bounds(backlog_dir=str(tmp_path / "fallback"), **given))


def folders(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "fallback").glob("*"))


def kept(tmp_path: Path) -> list[int]:
    """Return the numbers of the records that the directory has."""
    found = []
    for folder in folders(tmp_path):
        store = SqliteStore(folder, HOOK)
        found += [row.number for row in store.read(0, 10_000)]
        store.close()
    return sorted(found)


def free_slots(process: Process) -> int:
    return len(process.backlog.arrivals._ring._free)


def die(process: Process) -> None:
    """Let the kernel free all locks of the process, which does nothing any more."""
    process.die()
    store: Any = process.backlog.fallback._store
    store.resign()


class TestOwnRecords:
    """The records of a process that lives."""

    def test_they_need_no_room_in_shared_memory(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path
    ) -> None:
        """The shared memory has room for what comes next."""
        process = start()
        process.log("the first")
        process.step()
        free = free_slots(process)
        for number in range(3_000):
            process.log(f"record {number}")
            if number % 500 == 0:
                process.step()
        process.recover()
        assert (len(kept(tmp_path)), free_slots(process)) == (3_001, free)
        assert process.backlog.health()["at_risk"] == 0
        assert process.backlog.health()["fallback"] == {
            "where": str(tmp_path / "fallback"),
            "reason": "",
            "waiting": 3_001,
        }
        disk.work()
        process.recover()
        assert len(disk.file.rows) == 3_001
        assert folders(tmp_path) == []

    def test_a_record_that_was_delivered_is_removed(self, start: Callable[..., Process], tmp_path: Path) -> None:
        """The process sends alone."""
        process = start()
        process.log("one")
        process.log("two")
        process.step()
        assert kept(tmp_path) == [1, 2]
        assert process.deliver() == ["one", "two"]
        process.log("three")
        process.step()
        assert kept(tmp_path) == [3]

    def test_it_is_removed_before_a_flush_returns(self, start: Callable[..., Process], tmp_path: Path) -> None:
        """Regression: the keeper removed it, and may hang in Redis meanwhile; after a kill, the record came again."""
        process = start()
        process.log("one")
        process.step()
        process.backlog.keeper._start = lambda: None  # type: ignore[method-assign]  # it makes no step any more
        assert process.deliver() == ["one"]
        assert kept(tmp_path) == []

    def test_a_record_that_may_have_been_delivered_is_marked(
        self, start: Callable[..., Process], tmp_path: Path
    ) -> None:
        """The process was killed after it had sent a message, or got no answer; a refusal is no reason for a mark."""
        process = start()
        process.log("one")
        process.log("two")
        process.step()
        entries = process.backlog.lease()
        process.backlog.note_flight(entries)
        assert [row.tries for row in _rows(tmp_path)] == [1, 1]
        process.backlog.requeue(entries)
        assert [row.tries for row in _rows(tmp_path)] == [0, 0]
        entries = process.backlog.lease(1)
        process.backlog.note_flight(entries)
        process.backlog.requeue(entries, maybe_saved=True)
        assert [row.tries for row in _rows(tmp_path)] == [1, 0]

    def test_records_that_wait_stay_where_they_are(self, clock: Clock, start: Callable[..., Process]) -> None:
        """Regression: all were queued anew every five seconds, so that each was as if it had just come."""
        process = start(repeat_window=60.0)
        for _ in range(3):
            process.log("again")
        process.log("other")
        process.step()
        assert process.deliver() == ["again", "other"]
        process.log("again")
        process.log("third")
        process.step()
        for _ in range(4):
            clock.now += 5
            process.step()
        assert process.backlog.oldest_age() == 20
        assert process.deliver() == ["third"]

    def test_a_record_that_was_dropped_is_removed(self, start: Callable[..., Process], tmp_path: Path) -> None:
        """The memory has no room for it, and the loss is counted."""
        process = start(queue_size=2)
        for number in range(5):
            process.log(f"record {number}")
            process.step()
        assert kept(tmp_path) == [4, 5]
        assert process.backlog.count()["dropped"] == 3

    def test_repeats_are_kept_with_their_record(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path
    ) -> None:
        """The second try finds the first three folded into one, and the fourth not kept yet."""
        process = start(repeat_window=60.0)
        for _ in range(3):
            process.log("again")
        process.step()
        process.recover()
        process.log("again")
        process.recover()
        assert sum(row.count for row in _rows(tmp_path)) == 4
        die(process)
        disk.work()
        other = start()
        other.recover()
        assert sum(row.count for row in disk.file.rows.values()) == 4

    @pytest.mark.parametrize("later", [["after"], []])
    def test_the_directory_is_made_anew_if_it_was_removed(
        self, clock: Clock, start: Callable[..., Process], tmp_path: Path, later: list[str]
    ) -> None:
        """The next look keeps all records again. Regression: only a new record let the process notice."""
        process = start()
        process.log("before")
        process.step()
        shutil.rmtree(tmp_path / "fallback")
        for text in later:
            process.log(text)
            process.recover()
        clock.now += 5
        process.recover()
        assert kept(tmp_path) == [1, 2][: 1 + len(later)]

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such names")
    def test_the_name_of_the_directory_may_be_no_utf8(self, disk: Disk, tmp_path: Path) -> None:
        """Regression: the keeper's thread ended."""
        directory = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
        process = Process(disk, bounds(backlog_dir=directory))
        process.log("one")
        process.step()
        assert process.backlog.fallback.has(1)
        process.deliver()
        process.backlog.close()
        assert os.listdir(directory) == []  # noqa: PTH208 - it is a text

    def test_no_error_of_the_directory_leaves_the_keeper(
        self, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The records wait in memory."""
        process = start()
        process.log("one")
        monkeypatch.setattr(SqliteStore, "add", lambda *_: 1 / 0)
        process.step()
        assert process.backlog.health()["fallback"]["reason"] == "ZeroDivisionError: division by zero"
        assert process.deliver() == ["one"]

    def test_a_folder_that_another_process_has_just_found_is_tried_again(
        self, clock: Clock, start: Callable[..., Process], tmp_path: Path
    ) -> None:
        """It was made a moment ago, and nobody has led it yet."""
        process = start()
        finder = SqliteStore(tmp_path / "fallback" / f"00-{process.writer.name}.1", HOOK)
        assert finder.lock()
        process.log("one")
        process.step()
        assert not process.backlog.fallback.has(1)
        finder.abandon(removes=True)
        clock.now += 5
        process.step()
        assert process.backlog.fallback.has(1)

    def test_nobody_waits_for_a_thread_that_writes_for_too_long(
        self, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The records stay in shared memory meanwhile."""
        monkeypatch.setattr("discord_logging._process.locks.PATIENCE", 0.0)
        process = start()
        process.log("one")
        guard = process.backlog.fallback._guard
        writing = threading.Thread(target=guard.acquire, args=(0,))
        writing.start()
        writing.join()
        process.step()
        assert not process.backlog.fallback.is_open
        assert process.deliver() == ["one"]

    def test_a_full_disk_keeps_nothing_that_was_delivered(
        self, start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Regression: nothing could be removed, and all came again after a kill."""
        process = start()
        process.log("one")
        process.step()
        monkeypatch.setattr(SqliteStore, "settle", _fail)
        assert process.deliver() == ["one"]
        assert folders(tmp_path) == []

    def test_a_directory_that_cannot_be_used_costs_nothing(
        self, disk: Disk, clock: Clock, start: Callable[..., Process], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The records stay in shared memory, and the reason is told once."""
        (tmp_path / "fallback").write_text("no directory")
        process = start()
        for text in ("one", "two"):
            process.log(text)
            process.recover()
        health = process.backlog.health()
        assert "Not a directory" in health["fallback"]["reason"]
        assert caplog.text.count("Records cannot be kept") == 1
        assert health["at_risk"] == 0
        (tmp_path / "fallback").unlink()
        clock.now += 5
        process.recover()
        assert kept(tmp_path) == [1, 2]
        disk.work()
        process.recover()
        assert len(disk.file.rows) == 2

    def test_a_record_that_cannot_be_stored_stays_in_memory(
        self, start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others are kept, and it is tried once."""
        tries = []

        def fail_for_one(self: Any, record: Any, numbers: Any, **given: Any) -> None:
            tries.append(record.message)
            if record.message != "odd":
                add(self, record, numbers, **given)

        add = Parcel.add
        monkeypatch.setattr(Parcel, "add", fail_for_one)
        process = start()
        for text in ("even", "odd"):
            process.log(text)
        process.step()
        process.backlog.fallback.keep(process.backlog.take_parked(), process.writer)
        assert kept(tmp_path) == [1]
        assert tries.count("odd") == 1

    def test_nothing_is_kept_without_a_directory(self, disk: Disk) -> None:
        """The shared memory has the records."""
        process = Process(disk)
        process.log("one")
        process.step()
        assert not process.backlog.fallback.is_open
        assert "fallback" not in process.backlog.health()

    def test_a_child_has_a_folder_of_its_own(self, start: Callable[..., Process], tmp_path: Path) -> None:
        """The one of its parent has the records of the parent."""
        process = start()
        process.log("of the parent")
        process.step()
        lead = process.backlog.fallback._store
        process.fork()
        process.log("of the child")
        process.step()
        assert len(folders(tmp_path)) == 2
        assert lead is not process.backlog.fallback._store


class TestEnd:
    """A process ends while Redis is away."""

    def test_the_records_stay_for_others(self, disk: Disk, start: Callable[..., Process], tmp_path: Path) -> None:
        """Also those that have come last, and no loss is counted."""
        process = start()
        process.log("one")
        process.step()
        process.log("two")
        process.backlog.close()
        assert process.backlog.count() == {"accepted": 2, "delivered": 0, "pending": 2, "dropped": 0}
        assert kept(tmp_path) == [1, 2]
        disk.work()
        other = start()
        other.recover()
        assert sorted(row.number for row in disk.file.rows.values()) == [1, 2]
        assert folders(tmp_path) == []
        assert other.backlog.health()["rescued"] == 2

    def test_no_folder_is_left_without_records(self, start: Callable[..., Process], tmp_path: Path) -> None:
        """All of them were delivered."""
        process = start()
        process.log("one")
        process.step()
        process.deliver()
        process.backlog.close()
        assert folders(tmp_path) == []

    def test_a_process_that_goes_on_finds_its_own(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path
    ) -> None:
        """Its handler was opened again."""
        process = start()
        process.log("one")
        process.step()
        process.backlog.close()
        process.backlog.reopen()
        process._start()
        process.log("two")
        process.step()
        disk.work()
        process.recover()
        assert sorted(row.number for row in disk.file.rows.values()) == [1, 2]
        assert sorted(process.deliver()) == ["one", "two"]
        process.step()
        assert process.backlog.pending == 0
        assert folders(tmp_path) == []

    def test_records_that_came_last_are_kept_if_the_keeper_hangs(
        self, start: Callable[..., Process], tmp_path: Path
    ) -> None:
        """Regression: records that had no room in shared memory were dropped as `closed`."""
        process = start()
        process.backlog.keeper._thread = None  # nothing makes its steps
        process.backlog.keeper._start = lambda: None  # type: ignore[method-assign]
        for number in range(3_000):
            process.log(f"record {number}")
        process.backlog.close()
        assert process.backlog.count()["dropped"] == 0
        assert len(kept(tmp_path)) == 3_000

    def test_a_loss_is_told_if_the_keeper_hangs_with_records_in_its_hands(self, disk: Disk) -> None:
        """Regression: nobody could find them, and nobody counted them. There is no directory."""
        process = Process(disk)
        for number in range(3_000):
            process.log(f"record {number}")
        at_risk = len(process.backlog.arrivals.at_risk)
        process.backlog.take_arrived(3_000)
        process.backlog.close()
        assert process.backlog.count()["dropped"] == at_risk > 0


class TestLostRecords:
    """Another process moves the records of one that was killed into Redis."""

    @pytest.fixture
    def killed(self, start: Callable[..., Process]) -> Process:
        """Return a process that was killed while Redis was away."""
        process = start()
        for number in range(3):
            process.log(f"record {number}")
        process.step()
        die(process)
        return process

    def test_each_is_stored_once(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path, killed: Process
    ) -> None:
        """Redis has got one of them already, but the answer was lost."""
        disk.work()
        writer, first = killed.writer, _rows(tmp_path)[0]
        disk.file.numbers[writer] = {first.number}
        other = start()
        other.recover()
        assert sorted((row.writer, row.number) for row in disk.file.rows.values()) == [(writer, 2), (writer, 3)]
        assert folders(tmp_path) == []
        assert sorted(other.deliver()) == ["record 1", "record 2"]

    @pytest.mark.usefixtures("killed")
    def test_they_stay_while_redis_is_away(self, disk: Disk, start: Callable[..., Process], tmp_path: Path) -> None:
        """They are found the next time."""
        disk.fail(after=disk.calls.count("add"))
        other = start()
        other.recover()
        assert kept(tmp_path) == [1, 2, 3]
        disk.work()
        other.recover()
        assert len(disk.file.rows) == 3

    def test_the_folder_of_a_living_process_is_left_alone(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path
    ) -> None:
        """That process has the records in its memory."""
        living, other = start(), start()
        living.log("one")
        living.step()
        disk.work()
        other.recover()
        assert not disk.file.rows
        assert kept(tmp_path) == [1]
        living.recover()
        assert len(disk.file.rows) == 1

    @pytest.mark.usefixtures("killed")
    def test_they_are_counted_for_the_command(self, start: Callable[..., Process], tmp_path: Path) -> None:
        """They stay where they are, and those of a living process are not counted."""
        living = start()
        living.log("one")
        living.step()
        assert start().backlog.fallback.count_lost() == 3
        assert kept(tmp_path) == [1, 1, 2, 3]
        assert Process(Disk()).backlog.fallback.count_lost() == 0

    @pytest.mark.usefixtures("killed")
    def test_nothing_need_be_written(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Regression: on a full disk, nobody could move them."""
        monkeypatch.setattr(Session, "write", _fail)
        disk.work()
        start().recover()
        assert len(disk.file.rows) == 3
        assert folders(tmp_path) == []

    def test_a_folder_that_cannot_be_used_concerns_no_other(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Regression: the own folder counted as useless, and the process never came to rest."""
        (tmp_path / "fallback").mkdir()
        (tmp_path / "fallback" / "00-foreign").write_text("no folder")
        disk.work()
        process = start()
        for _ in range(3):
            process.recover()
        assert process.backlog.fallback.works
        assert not process.backlog.keeper._maintain()
        assert caplog.text.count("cannot be read") == 1

    def test_losses_by_damage_are_told(
        self, disk: Disk, start: Callable[..., Process], tmp_path: Path, killed: Process
    ) -> None:
        """The file is damaged while nobody uses it."""
        killed.backlog.fallback._store.close()  # type: ignore[union-attr]  # it has one
        (folder,) = folders(tmp_path)
        (folder / "backlog-1.db").write_bytes(b"noise" * 10_000)
        disk.work()
        other = start()
        other.recover()
        assert disk.file.losses
        assert folders(tmp_path) == []

    @pytest.mark.usefixtures("killed")
    def test_records_of_a_future_format_are_left(
        self, disk: Disk, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A later version of the package finds them."""
        monkeypatch.setattr(records, "_VERSION", 0)
        disk.work()
        start().recover()
        assert not disk.file.rows
        monkeypatch.undo()
        start().recover()
        assert len(disk.file.rows) == 3


def _fail(*_: object, **__: object) -> None:
    raise StoreError("the disk is full")


def _rows(tmp_path: Path) -> list[Any]:
    store = SqliteStore(folders(tmp_path)[0], HOOK)
    found = store.read(0, 10_000)
    store.close()
    return found
