"""The keeper, step by step: it stores, leads, rescues and maintains, and does what can be done without a store."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._backlogs.rescue import rescue
from discord_logging._backlogs.store import StoreError
from discord_logging._backlogs.stored import Flush
from tests.backlogs.conftest import Clock, Disk, Process, bounds

if TYPE_CHECKING:
    from collections.abc import Callable


class TestTrouble:
    """As long as the store does not work, the process sends its records itself."""

    def test_losses_that_cannot_be_stored_count_once(self) -> None:
        """Regression: each try counted as one more accepted record, which was pending for ever."""
        disk = Disk()
        process = Process(disk)
        process.backlog.refuse("INFO", "unreadable")
        for calls in (3, 4, 4):
            disk.fail(after=calls)
            process.recover()
            assert disk.calls[-1] == "add"
        assert process.backlog.count() == {"accepted": 1, "delivered": 0, "pending": 0, "dropped": 1}
        disk.work()
        process.recover()
        assert process.backlog.count() == {"accepted": 1, "delivered": 0, "pending": 0, "dropped": 1}
        assert disk.file.losses == {("unreadable", "INFO"): 1}

    @pytest.mark.parametrize("is_unclear", [True, False])
    def test_a_record_that_the_store_may_have_is_marked_when_it_is_sent_alone(
        self, monkeypatch: pytest.MonkeyPatch, is_unclear: bool
    ) -> None:
        """Regression: the store had it, its answer was lost, and another process sent it once more."""
        disk = Disk()
        process = Process(disk)

        def add_unheard(*given: Any) -> None:
            if is_unclear:
                add(*given)
            raise StoreError("no answer", is_unclear=is_unclear)

        add = process.backlog.keeper._store.add
        monkeypatch.setattr(process.backlog.keeper._store, "add", add_unheard)
        process.log("once")
        process.step()
        (entry,) = process.backlog.lease()
        assert entry.counts.is_repeat is is_unclear
        process.backlog.ack([entry])
        assert not process.backlog.unclear


class TestLead:
    """One process sends."""

    def test_what_was_sent_is_settled_before_the_keeper_ends(self) -> None:
        """Regression: the next process sent it once more."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        sender.log("once")
        sender.step()
        entries = sender.backlog.lease()
        disk.fail()
        sender.backlog.ack(entries)
        disk.work()
        sender.backlog.close()
        assert not disk.file.rows
        other.step()
        assert other.deliver() == []

    def test_no_record_is_read_again_while_it_is_in_flight(self) -> None:
        """Regression: after a fault of the keeper, the rows in flight came twice into the queue."""
        disk = Disk()
        sender = Process(disk)
        sender.log("once")
        sender.step()
        entries = sender.backlog.lease()
        sender.backlog.keeper._leads = False  # as a fault leaves it
        sender.step()
        assert not sender.backlog.is_ready
        sender.backlog.ack(entries)
        sender.step()
        assert disk.leader is sender
        assert sender.deliver() == []

    def test_what_could_not_be_settled_is_not_read_again(self) -> None:
        """Regression: after a fault of the keeper, the rows that were sent came into the queue again."""
        disk = Disk()
        sender = Process(disk)
        sender.log("once")
        sender.step()
        entries = sender.backlog.lease()
        disk.fail()
        sender.backlog.ack(entries)
        disk.work()
        sender.backlog.keeper._leads = False
        sender.step()
        assert sender.deliver() == []
        assert sender.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}

    def test_a_rejected_record_counts_as_dropped_at_once(self) -> None:
        """Regression: it was pending until another record came."""
        process = Process(Disk())
        process.log("bad")
        process.step()
        process.backlog.drop("rejected", process.backlog.lease())
        process.step()
        assert process.backlog.count() == {"accepted": 1, "delivered": 0, "pending": 0, "dropped": 1}
        assert process.backlog.dropped == process.backlog.losses == {("rejected", "ERROR"): 1}


class TestReplaced:
    """The store may be removed or replaced while processes use it."""

    def test_what_the_sender_has_read_is_stored_again(self, clock: Clock) -> None:
        """A record that is only in the store is counted as damaged, and told, as soon as no other one waits.

        Regression: it was pending for ever if another record was waiting at the first look.
        """
        disk = Disk()
        sender, other = Process(disk, bounds(queue_size=1)), Process(disk)
        sender.step()
        other.log("read")
        other.log("lost")
        other.step()
        sender.step()
        disk.replace(keeps_content=False)
        for _ in range(3):
            clock.now += 6
            sender.step()
            other.step()
        assert other.backlog.count() == {"accepted": 2, "delivered": 0, "pending": 2, "dropped": 0}
        assert sender.deliver() == ["read"]
        for _ in range(2):
            clock.now += 6
            other.step()
        assert other.backlog.count() == {"accepted": 2, "delivered": 1, "pending": 0, "dropped": 1}
        sender.step()
        sender.step()
        assert sender.backlog.losses == disk.file.losses == {("damaged", "?"): 1}

    def test_a_record_that_was_given_up_too_early(self, clock: Clock) -> None:
        """Regression: a record that was stored again later left less than no pending record."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        sender.step()
        other.log("late")
        other.step()
        sender.step()
        disk.replace(keeps_content=False)
        for _ in range(3):
            clock.now += 6
            other.step()
        assert other.backlog.count() == {"accepted": 1, "delivered": 0, "pending": 0, "dropped": 1}
        sender.step()
        assert sender.deliver() == ["late"]
        other.step()
        assert other.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}

    def test_a_store_with_the_same_records(self, clock: Clock) -> None:
        """A repaired store has them under the same positions, and none is sent twice."""
        disk = Disk()
        sender = Process(disk)
        sender.log("first")
        sender.log("second")
        sender.step()
        disk.replace(keeps_content=True)
        clock.now += 6
        sender.step()
        assert sender.deliver() == ["first", "second"]
        clock.now += 6
        sender.step()
        assert sender.deliver() == []
        assert sender.backlog.count() == {"accepted": 2, "delivered": 2, "pending": 0, "dropped": 0}


class TestThread:
    """The thread of the keeper, which the first record starts."""

    @staticmethod
    def make(disk: Disk) -> Process:
        """Return a process whose keeper has a thread of its own."""
        process = Process(disk)
        keeper = process.backlog.keeper
        keeper._thread = None
        del keeper._start
        return process

    def test_a_record_starts_it_and_the_end_waits_for_it(self, wait_until: Callable[..., None]) -> None:
        """A record that comes after the end starts it again."""
        disk = Disk()
        process = self.make(disk)
        keeper = process.backlog.keeper
        assert not keeper.is_running()
        process.log("one")
        assert keeper.is_running()
        keeper.wake()
        process.backlog.close(deadline=time.monotonic() + 60)
        assert not keeper.is_running()
        assert len(disk.file.rows) == 1
        assert disk.leader is None
        process.backlog.reopen()
        process.log("two")
        wait_until(lambda: len(disk.file.rows) == 2)
        process.backlog.close(deadline=time.monotonic() + 60)
        assert not keeper.is_running()

    def test_an_interrupted_start_starts_no_second_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Regression: two threads used one connection at a time."""
        process = self.make(Disk())
        start, started = threading.Thread.start, []

        def interrupt(thread: threading.Thread) -> None:
            started.append(thread)
            start(thread)
            raise KeyboardInterrupt

        monkeypatch.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            process.log("one")
        assert process.backlog.keeper.wake()
        assert len(started) == 1
        process.backlog.close(deadline=time.monotonic() + 60)
        assert not process.backlog.keeper.is_running()

    def test_it_ends_after_the_message_in_flight(self, wait_until: Callable[..., None]) -> None:
        """The process sends until then."""
        disk = Disk()
        process = self.make(disk)
        process.log("one")
        wait_until(lambda: process.backlog.is_ready)
        entries = process.backlog.lease()
        process.backlog.close()
        assert process.backlog.keeper.is_running()
        assert disk.leader is process
        process.backlog.ack(entries)
        wait_until(lambda: not process.backlog.keeper.is_running())
        assert disk.leader is None

    def test_no_thread_can_be_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The record waits in the deque."""

        def fail(_: object) -> None:
            raise RuntimeError("can't start new thread")

        process = self.make(Disk())
        monkeypatch.setattr("threading.Thread.start", fail)
        process.log("one")
        keeper = process.backlog.keeper
        assert not keeper.wake()
        assert keeper.is_idle
        assert process.backlog.pending == 1
        keeper.finish(0.0)

    def test_a_call_that_interrupts_the_start(self) -> None:
        """A signal handler may log in the midst of it."""
        process = self.make(Disk())
        with process.backlog.keeper._starting:
            process.log("one")
        assert not process.backlog.keeper.is_running()
        assert not process.backlog.keeper._starting.is_held_by_this_thread()

    def test_a_record_that_comes_at_the_very_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its caller has taken the thread for a running one."""
        process = Process(Disk())
        keeper = process.backlog.keeper
        process.step()
        keeper._is_ending = True
        monkeypatch.setattr(keeper._store, "close", lambda: process.log("last"))
        wakes: list[None] = []
        monkeypatch.setattr(keeper, "wake", lambda: wakes.append(None))
        assert keeper._may_end()
        assert wakes

    def test_it_looks_less_often_if_nothing_happens(self, clock: Clock) -> None:
        """A flush and the end are waited for."""
        process = Process(Disk())
        keeper = process.backlog.keeper
        process.log("one")
        process.step()
        busy = keeper._poll()
        clock.now += 60
        idle = keeper._poll()
        assert busy < idle
        process.backlog.flushes.append(Flush(1, clock.now + 1))
        assert keeper._poll() == busy


class TestIdling:
    """Without anything to do, a step costs as little as it can."""

    def test_it_looks_for_changes_alone(self) -> None:
        """The process that sends looks for changes of the store, and the others whether it has ended as well."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        for process in (sender, other):
            process.log("one")
            process.step()
        for process in (sender, other, sender, other):
            process.deliver()
            process.step()
        for process in (sender, other):
            disk.calls.clear()
            process.step()
            assert disk.calls == ["has_changed"]

    def test_the_process_that_sends_is_followed_at_once(self) -> None:
        """The next one looks for its ring, too."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        for process in (sender, other, sender, other):
            process.step()
        sender.log("left")
        sender.die()
        other.step()
        assert other.deliver() == ["left"]

    def test_refused_records_and_wishes_are_noticed(self, clock: Clock) -> None:
        """Neither of them changes the store."""
        process = Process(Disk())
        for _ in range(3):
            process.step()
        process.backlog.refuse("ERROR", "unreadable")
        process.step()
        assert process.disk.file.losses == {("unreadable", "ERROR"): 1}
        process.disk.file.wish = time.time() + 5
        process.disk.file.changes[0] += 1
        process.step()
        assert len(process.delivery.deadlines) == 1
        process.disk.file.wish = time.time() - 1
        clock.now += 0.1
        process.step()
        assert process.delivery.deadlines == []


class TestMaintenance:
    """About once a second, the keeper looks for what others have left."""

    def test_rings_of_the_dead_are_stored(self) -> None:
        """The records are sent, and are counted once."""
        disk = Disk()
        dead, sender = Process(disk), Process(disk)
        dead.log("left")
        dead.die()
        sender.step()
        assert sender.deliver() == ["left"]
        assert sender.backlog.health()["rescued"] == 1
        assert not list(rescue("00"))

    def test_a_ring_stays_if_its_records_cannot_be_stored(self) -> None:
        """They are found the next time, too."""
        disk = Disk()
        dead, sender = Process(disk), Process(disk)
        dead.log("left")
        dead.die()
        disk.fail(1)
        sender.step()
        assert disk.calls[-1] == "add"
        disk.work()
        sender.recover()
        assert sender.deliver() == ["left"]

    def test_old_and_many_records_are_dropped(self) -> None:
        """They leave the queue as well."""
        disk = Disk()
        sender = Process(disk, bounds(backlog_bytes=1_100))
        for text in ("one", "two", "three"):
            sender.log(text)
        sender.step()
        sender.recover()
        sender.recover()
        assert "checkpoint" in disk.calls
        assert sender.deliver() == ["two", "three"]
        sender.step()
        assert sender.backlog.losses == sender.backlog.dropped == {("queue_full", "ERROR"): 1}
        sender.backlog.store_age = -1.0
        sender.log("old")
        sender.step()
        sender.recover()
        assert sender.deliver() == []


class TestFault:
    """A fault of the package ends nothing."""

    def test_it_is_told_and_tried_again(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Meanwhile, records wait in memory, and are sent from there."""
        process = Process(Disk())
        process.step()
        with monkeypatch.context() as patch:
            patch.setattr(process.backlog.keeper._store, "add", None)
            process.log("one")
            process.step()
            process.log("two")
            process.step()
        assert process.backlog.keeper.trouble.startswith("TypeError: ")
        assert caplog.text.count("does not work") == 1
        assert process.deliver() == ["one", "two"]
        process.log("three")
        process.recover()
        assert process.backlog.keeper.trouble == ""
        assert process.deliver() == ["three"]

    def test_tries_become_rare(self, clock: Clock) -> None:
        """The wait is twice the last one, up to a bound, and short again after a success."""
        disk = Disk()
        process = Process(disk)
        disk.fail()
        waits = []
        for _ in range(8):
            process.step()
            waits.append(process.backlog.keeper._recovery._retry_at - clock.now)
            clock.now = process.backlog.keeper._recovery._retry_at
        assert [round(wait, 1) for wait in waits] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
        disk.work()
        process.step()
        assert process.backlog.keeper._recovery._delay == 0.1


def test_a_record_in_flight_is_not_dropped_for_its_age() -> None:
    """Regression: it counted as dropped, and arrived."""
    disk = Disk()
    sender = Process(disk, bounds(backlog_age=0.1))
    sender.log("old")
    sender.step()
    entries = sender.backlog.lease()
    sender.backlog.store_age = -1.0
    sender.recover()
    sender.backlog.ack(entries)
    sender.step()
    assert sender.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}


def test_a_row_that_comes_back_is_sent_again() -> None:
    """A damaged log may take back what was settled, and nothing waits in the queues that would tell."""
    disk = Disk()
    process = Process(disk)
    process.log("one")
    process.step()
    before = disk.file.rows.copy()
    assert process.deliver() == ["one"]
    process.step()
    disk.file.rows.update(before)
    process.recover()
    process.recover()
    assert "verify" in disk.calls
    assert process.deliver() == ["one"]
