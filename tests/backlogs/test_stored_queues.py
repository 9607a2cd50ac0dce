"""The queues of a durable backlog: records with rows of the store, and records that have none."""

from __future__ import annotations

from functools import partial

import pytest

from discord_logging._backlogs.stored_queues import rows_of, slots_of
from tests.backlogs.conftest import Disk, Process, bounds, frozen


class TestParked:
    """Records that were queued because they could not be stored are stored as soon as that is possible."""

    def test_a_caller_that_is_faster_than_the_keeper(self) -> None:
        """Regression: such records stayed in the queue of a process that does not send for ever."""
        disk = Disk()
        Process(disk).step()
        other = Process(disk, bounds(queue_size=3))
        for number in range(4):
            other.log(str(number))
        assert other.backlog.has_parked
        other.step()
        assert [row.number for row in disk.file.rows.values()] == [1, 2, 3, 4]
        assert not other.backlog.has_parked

    def test_a_record_in_flight_when_the_store_works_again(self) -> None:
        """Regression: if its message failed, another process never sent it."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        sender.step()
        disk.fail()
        other.log("flying")
        other.step()
        entries = other.backlog.lease()
        disk.work()
        other.recover()
        other.backlog.requeue(entries)
        other.step()
        assert not other.backlog.may_send
        sender.step()
        assert sender.deliver() == ["flying"]

    def test_held_repeats_are_stored_too(self) -> None:
        """The repeats of records of the store are held on."""
        disk = Disk()
        process = Process(disk, bounds(repeat_window=60.0))
        process.log("same")
        process.step()
        process.deliver()
        process.log("same")
        process.step()
        disk.fail()
        process.log("other")
        process.step()
        assert process.deliver() == ["other"]
        process.log("other")
        process.step()
        assert process.backlog._repeats.held
        disk.work()
        process.recover()
        assert [row.number for row in disk.file.rows.values()] == [2, 4]
        assert process.deliver() == ["other"]
        process.backlog.release()
        assert process.deliver() == ["same"]


class TestInterruption:
    """Ctrl-C may come while records are taken in."""

    def test_losses_that_the_store_knows_are_not_counted_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Regression: the number of losses became negative."""
        process = Process(Disk())
        process.log("bad")
        process.step()
        process.backlog.drop("rejected", process.backlog.lease())
        process.step()
        with monkeypatch.context() as patch:
            patch.setattr(process.backlog, "_evict", partial(next, iter(())))
            with pytest.raises(StopIteration):
                process.backlog.peek()
        assert process.backlog.dropped == {("rejected", "ERROR"): 1}


class TestRows:
    """Entries may stand for rows of the store, for records that are not there, and for both."""

    def test_records_of_the_store_are_forgotten_when_another_process_sends(self) -> None:
        """A repeat that could not be stored, and was counted on one of them, stays."""
        disk = Disk()
        process = Process(disk, bounds(repeat_window=60.0))
        process.log("same")
        process.log("other")
        process.step()
        disk.fail()
        process.log("same")
        process.step()
        process.backlog.forget_rows()
        (entry,) = process.backlog._in_order()
        assert ([slot.number for slot in slots_of([entry])], rows_of([entry]), entry.count) == ([3], [], 1)
        assert process.backlog.count()["pending"] == 3
        assert process.backlog.is_parked(3)
        assert not process.backlog.is_parked(2)

    def test_rows_that_the_store_has_dropped_leave_their_entry(self) -> None:
        """The entry stands for the others."""
        disk = Disk()
        process = Process(disk, bounds(repeat_window=60.0))
        for _ in range(3):
            process.log("same")
            process.step()
        first, *_ = disk.file.rows
        process.backlog.forget_rows({first})
        (entry,) = process.backlog._in_order()
        assert ([row.number for row in rows_of([entry])], entry.count) == ([2, 3], 2)
        assert [row.number for row in process.backlog.rows()] == [2, 3]

    def test_a_dropped_entry_is_counted_where_each_record_is(self) -> None:
        """The store counts its rows, and the process the others."""
        disk = Disk()
        process = Process(disk, bounds(repeat_window=60.0))
        process.log("same")
        process.step()
        disk.fail()
        process.log("same")
        process.step()
        process.backlog.drop("rejected", process.backlog.lease())
        assert process.backlog.dropped == {("rejected", "ERROR"): 1}
        disk.work()
        process.recover()
        assert process.backlog.dropped == disk.file.losses == {("rejected", "ERROR"): 2}
        assert process.backlog.count() == {"accepted": 2, "delivered": 0, "pending": 0, "dropped": 2}

    def test_an_event_that_came_twice_is_one_record(self) -> None:
        """The second one is no record, and leaves the ring."""
        disk = Disk()
        process = Process(disk)
        event = frozen("once")
        process.backlog.put(event)
        process.backlog.put(event)
        process.step()
        assert process.deliver() == ["once"]
        process.step()
        assert process.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}
