"""The feeder reads the store into the queues of the process that sends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from discord_logging._backlogs.store import StoreError
from discord_logging._backlogs.stored import Flush
from tests.backlogs.conftest import Disk, FakeStore, Process, bounds

if TYPE_CHECKING:
    import pytest

    from tests.backlogs.conftest import Clock

SIZE = 512 + len("0")


class TestBounds:
    """The process that sends reads no more than its memory may hold, and the others stay in the store."""

    def test_many_records(self) -> None:
        """The rest follows as soon as there is room."""
        disk = Disk()
        process = Process(disk, bounds(queue_size=2))
        for number in range(2):
            process.log(str(number))
            process.log(str(number))
            process.step()
        assert (len(disk.file.rows), process.backlog._waiting) == (4, 2)
        assert process.deliver() == ["0", "0"]
        process.step()
        assert process.deliver() == ["1", "1"]

    def test_large_records(self) -> None:
        """Regression: records of the store were dropped, since more were read than have room."""
        disk = Disk()
        process = Process(disk, bounds(queue_bytes=2 * SIZE))
        for number in range(5):
            process.log(str(number))
        process.step()
        assert process.deliver() == ["0", "1"]
        process.step()
        assert process.deliver() == ["2", "3"]
        process.step()
        assert process.deliver() == ["4"]
        assert process.backlog.lost == 0

    def test_records_in_flight_need_room_too(self) -> None:
        """Regression: records were dropped if a message failed while others were read."""
        disk = Disk()
        process = Process(disk, bounds(queue_bytes=2 * SIZE))
        for number in range(5):
            process.log(str(number))
        process.step()
        entries = process.backlog.lease()
        process.step()
        process.backlog.requeue(entries)
        process.step()
        assert process.deliver() == ["0", "1"]
        assert process.backlog.lost == 0

    def test_a_record_that_is_larger_than_the_bound(self) -> None:
        """It leaves alone."""
        disk = Disk()
        Process(disk, bounds(queue_bytes=3 * SIZE)).step()
        small, large = Process(disk, bounds(queue_bytes=SIZE)), Process(disk)
        disk.leader = None
        large.log("0")
        large.log("x" * SIZE)
        large.log("1")
        large.backlog.keeper.is_refused = True
        large.step()
        sent = []
        for _ in range(3):
            small.step()
            sent.append([text[:1] for text in small.deliver()])
        assert sent == [["0"], ["x"], ["1"]]


class TestDamage:
    """A row that cannot be read is counted as damaged, and keeps nothing else from being sent."""

    def test_rows_and_settings(self) -> None:
        """Any body may come, and settings may be missing."""
        disk = Disk()
        process = Process(disk)
        process.backlog.keeper.is_refused = True
        for number in range(5):
            process.log(str(number))
        process.step()
        rows = disk.file.rows
        first, second, third, fourth, _ = rows
        rows[first] = rows[first]._replace(body=b"[" * 100_000)
        rows[second] = rows[second]._replace(body=b"\xff")
        rows[third] = rows[third]._replace(body=b"[]")
        rows[fourth] = rows[fourth]._replace(settings="unknown")
        process.backlog.keeper.is_refused = False
        process.step()
        assert process.deliver() == ["4"]
        process.step()
        assert process.backlog.count() == {"accepted": 5, "delivered": 1, "pending": 0, "dropped": 4}
        assert process.backlog.losses == {("damaged", "ERROR"): 4}


class TestTakeOver:
    """The next process goes on where the last one stopped."""

    def test_the_state_of_the_delivery_is_handed_over(self) -> None:
        """A state that cannot be read is none."""
        disk = Disk()
        for state, restored in ((None, 0), (b'{"reported": []}', 1), (b"{", 0)):
            disk.file.state = state
            process = Process(disk)
            process.step()
            assert len(process.delivery.restored) >= restored
            if restored:
                assert process.delivery.restored[-1]["reported"] == []
            process.die()

    def test_records_in_flight_may_be_repeats(self) -> None:
        """The last process may have been killed after Discord had saved them."""
        disk = Disk()
        process = Process(disk)
        for text in ("flying", "waiting"):
            process.log(text)
        process.step()
        process.backlog.note_flight(process.backlog.lease(1))
        process.die()
        successor = Process(disk)
        successor.step()
        assert [entry.counts.is_repeat for entry in successor.backlog.lease()] == [True, False]
        assert successor.delivery.isolated == []

    def test_records_that_process_after_process_died_with(self) -> None:
        """They are set apart, then sent as plain text, and dropped in the end, while others are sent."""
        disk = Disk()
        process = Process(disk)
        process.backlog.keeper.is_refused = True
        for text in ("deadly", "near", "other"):
            process.log(text)
        process.step()
        for _ in range(3):
            process = Process(disk)
            process.step()
            process.backlog.note_flight(process.backlog.lease(2))
            process.die()
        found: list[tuple[list[str], bool]] = []
        for _ in range(2):
            process = Process(disk)
            process.step()
            ((suspects, plain),) = process.delivery.isolated
            found.append(([entry.record.message for entry in suspects], plain))
            process.backlog.note_flight(process.backlog.lease(1))
            process.die()
        assert found == [(["deadly", "near"], False), (["deadly"], True)]
        process = Process(disk)
        process.step()
        process.step()
        assert process.backlog.losses == {("crashed_sender", "ERROR"): 1}
        assert process.deliver() == ["near", "other"]


class TestFlushes:
    """Whoever flushes, held repeats leave a moment later: others may flush at the same time."""

    @staticmethod
    def held(disk: Disk) -> Process:
        """Return a process that sends, and holds a repeat."""
        process = Process(disk, bounds(repeat_window=60.0))
        for _ in range(2):
            process.log("same")
            process.step()
            process.deliver()
        assert process.backlog._repeats.held
        return process

    def test_a_flush_of_the_process_that_sends(self, clock: Clock) -> None:
        """The repeat leaves once."""
        process = self.held(Disk())
        process.backlog.flushes.append(Flush(2, clock.now + 9))
        process.step()
        assert process.deliver() == []
        clock.now += 0.3
        process.step()
        assert process.deliver() == ["same"]

    def test_a_flush_of_another_process(self, clock: Clock) -> None:
        """The delivery knows its deadline, until it is over."""
        disk = Disk()
        process, other = self.held(disk), Process(disk)
        other.log("other")
        other.backlog.flushes.append(Flush(1, clock.now + 9))
        other.step()
        process.step()
        (deadline,) = process.delivery.deadlines
        assert clock.now + 8 < deadline < clock.now + 10
        clock.now += 0.3
        process.step()
        assert sorted(process.deliver()) == ["other", "same"]
        disk.file.wish = time.time() - 1
        process.step()
        assert process.delivery.deadlines == []


class TestSettings:
    """Settings are read once, and few are remembered."""

    def test_settings_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Too many are forgotten, and read again."""
        disk = Disk()
        process = Process(disk)
        for text in ("one", "two"):
            process.log(text)
        process.step()
        assert disk.calls.count("find_settings") == 1
        monkeypatch.setattr("discord_logging._backlogs.feeder._MAX_SETTINGS", 1)
        disk.file.settings["other"] = next(iter(disk.file.settings.values()))
        process.backlog.keeper._feeder._find_settings("other")
        process.log("three")
        process.step()
        assert disk.calls.count("find_settings") == 3

    def test_a_store_that_fails_damages_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The rows are read again when it works."""

        def fail(_: FakeStore, digest: str) -> bytes | None:
            raise StoreError(digest)

        process = Process(Disk())
        process.log("one")
        with monkeypatch.context() as patch:
            patch.setattr(FakeStore, "find_settings", fail)
            process.step()
        assert process.deliver() == []
        process.recover()
        assert process.deliver() == ["one"]
        assert process.backlog.losses == {}
