"""The durable backlog as its handlers, the listener and the delivery see it."""

from __future__ import annotations

import logging
import time

import pytest

from discord_logging._backlogs.rescue import rescue
from discord_logging._backlogs.store import ALONE
from discord_logging._backlogs.stored import Flush
from tests.backlogs.conftest import Disk, Process, bounds


class TestClose:
    """A closed backlog keeps what waits, and lets another process send it."""

    def test_records_of_the_store_stay_there(self) -> None:
        """Regression: the process that sends dropped all that it had read as soon as it was opened again."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        sender.log("kept")
        sender.step()
        assert sender.backlog.close()
        assert not sender.backlog.unsettled
        assert sender.backlog.count() == {"accepted": 1, "delivered": 0, "pending": 1, "dropped": 0}
        other.step()
        assert other.deliver() == ["kept"]
        sender.backlog.reopen()
        sender.step()
        assert sender.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}

    def test_records_of_the_ring_stay_there(self) -> None:
        """Regression: a process that was opened again sent them, and so did another one that had found the ring."""
        disk = Disk()
        process, other = Process(disk), Process(disk)
        disk.fail()
        process.log("parked")
        process.step()
        process.log("came")
        process.backlog.close()
        assert process.backlog.count() == {"accepted": 2, "delivered": 0, "pending": 2, "dropped": 0}
        process.backlog.reopen()
        process.recover()
        assert process.deliver() == []
        disk.work()
        other.step()
        assert other.deliver() == ["parked", "came"]
        process.recover()
        assert process.backlog.count() == {"accepted": 2, "delivered": 2, "pending": 0, "dropped": 0}

    def test_the_process_finds_its_own_ring(self) -> None:
        """A flush does not end before that."""
        disk = Disk()
        process = Process(disk)
        process.step()
        disk.fail()
        process.log("kept")
        process.step()
        process.backlog.close()
        disk.work()
        process.backlog.reopen()
        process.backlog.keeper._recovery._retry_at = float("-inf")
        flush = Flush(1, float("inf"))
        process.backlog.flushes.append(flush)
        process.step()
        assert not flush.is_settled
        assert process.deliver() == ["kept"]
        process.step()
        assert flush.is_settled

    def test_records_without_a_ring_are_dropped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody would find them. The records that came last and their repeats are counted, too."""
        monkeypatch.setenv("DISCORD_SHARED_MEMORY", "")
        disk = Disk()
        process = Process(disk, bounds(repeat_window=60.0))
        disk.fail()
        for text in ("same", "same", "other"):
            process.log(text)
            process.step()
        process.log("last", logging.INFO)
        process.backlog.close()
        assert process.backlog.count() == {"accepted": 4, "delivered": 0, "pending": 0, "dropped": 4}
        assert process.backlog.dropped == {("closed", "ERROR"): 3, ("closed", "INFO"): 1}
        assert process.backlog.health()["at_risk"] == 0

    def test_only_the_repeats_that_are_not_in_the_ring_are_dropped(self) -> None:
        """An entry may stand for records in the ring, and for others."""
        disk = Disk()
        process = Process(disk, bounds(repeat_window=60.0))
        disk.fail()
        process.log("same")
        process.backlog.arrivals._ring.close()
        process.log("same")
        process.step()
        process.backlog.close()
        assert process.backlog.count() == {"accepted": 2, "delivered": 0, "pending": 1, "dropped": 1}

    def test_a_message_in_flight_keeps_the_ring(self) -> None:
        """The message may still arrive. If it does not, the record stays in the ring."""
        disk = Disk()
        process = Process(disk)
        disk.fail()
        process.log("flying")
        process.log("waiting")
        process.step()
        entries = process.backlog.lease(1)
        process.backlog.close()
        assert process.backlog.count()["pending"] == 2
        process.backlog.ack(entries)
        assert process.backlog.count() == {"accepted": 2, "delivered": 1, "pending": 1, "dropped": 0}
        process.backlog.close()
        assert [number for ring in rescue("00") for number, _ in ring.records] == [2]


class TestGone:
    """A process whose webhook is gone lets another one send, which may have a valid URL."""

    def test_the_records_in_flight_count_as_never_sent(self) -> None:
        """Regression: they counted as sent by a process that has ended, and might be repeats."""
        disk = Disk()
        process, other = Process(disk), Process(disk)
        process.log("kept")
        process.step()
        process.backlog.note_flight(process.backlog.lease())
        process.backlog.drop("webhook_gone")
        assert [row.tries for row in disk.file.rows.values()] == [0]
        process.step()
        other.step()
        (entry,) = other.backlog.lease()
        assert not entry.counts.is_repeat
        other.backlog.ack([entry])
        process.step()
        assert process.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}

    def test_records_that_cannot_be_stored_are_dropped(self) -> None:
        """Nobody else can send them."""
        disk = Disk()
        process = Process(disk)
        disk.fail()
        process.log("parked")
        process.step()
        process.backlog.drop("webhook_gone")
        assert process.backlog.dropped == {("webhook_gone", "ERROR"): 1}


class TestFlush:
    """A flush waits for the records of its process, wherever they are."""

    def test_it_ends_as_soon_as_all_are_settled(self) -> None:
        """A process that does not send asks the one that does to hurry."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        sender.step()
        other.log("here")
        backlog = other.backlog

        def work() -> bool:
            other.step()
            sender.step()
            assert disk.file.wish
            assert len(sender.delivery.deadlines) == 1
            sender.deliver()
            other.step()
            return False

        assert backlog.wait_until_settled(time.monotonic() + 60, work)
        assert (backlog.flushes, backlog._waiters) == ([], [])
        assert backlog.count()["delivered"] == 1
        assert backlog.wait_until_settled(0.0, lambda: False)

    @pytest.mark.parametrize(("workers", "is_kept"), [(1, False), (2, True)])
    def test_the_last_one_leaves_the_records_of_others_to_a_process_that_lives(
        self, *, workers: int, is_kept: bool
    ) -> None:
        """Regression: a worker that ended sent for all with its deadline, and used up the limits of the channel."""
        disk = Disk()
        killed, sender = Process(disk), Process(disk)
        killed.log("of another one")
        killed.step()
        killed.die()
        disk.workers = workers
        sender.log("own")
        sender.step()
        own = sender.backlog.lease(
            1, only=[each for each in sender.backlog._in_order() if each.record.message == "own"]
        )
        sender.backlog.ack(own)
        sender.backlog.flushes.append(flush := Flush(1, float("inf"), is_last=True))
        sender.step()
        sender.step()
        assert flush.is_settled == is_kept

    @pytest.mark.parametrize("ends", ["deadline", "give up", "refused"])
    def test_it_gives_up(self, ends: str) -> None:
        """The records are kept."""
        process = Process(Disk())
        process.log("kept")
        process.backlog.keeper.is_refused = ends == "refused"
        deadline = time.monotonic() + (0 if ends == "deadline" else 60)
        assert not process.backlog.wait_until_settled(deadline, lambda: ends == "give up")
        assert process.backlog.pending == 1
        assert process.backlog.flushes == []

    def test_a_record_that_is_sent_without_the_store(self) -> None:
        """The flush waits for it, too."""
        disk = Disk()
        process = Process(disk)
        disk.fail()
        process.log("parked")
        process.step()
        entries = process.backlog.lease()
        disk.work()
        flush = Flush(1, float("inf"))
        process.backlog.flushes.append(flush)
        process.recover()
        assert not flush.is_settled
        process.backlog.ack(entries)
        process.step()
        assert flush.is_settled

    @pytest.mark.parametrize("fails_first", [False, True])
    def test_the_last_one_waits_for_no_store_that_does_not_work(
        self, monkeypatch: pytest.MonkeyPatch, *, fails_first: bool
    ) -> None:
        """Regression: a process without records ended at its deadline alone."""
        disk = Disk()
        process = Process(disk)
        process.step()
        disk.fail()
        if fails_first:
            process.step()
        monkeypatch.setattr(process.backlog.keeper, "is_running", lambda: True)

        def work() -> bool:
            assert not fails_first
            process.step()
            return False

        assert process.backlog.wait_until_settled(time.monotonic() + 60, work, is_last=True)
        assert (process.backlog.flushes, process.backlog._waiters) == ([], [])


class TestFlight:
    """The store knows which records are under way."""

    def test_a_message_is_noted_before_and_after(self) -> None:
        """A record that came back counts as it did before, or as perhaps saved."""
        disk = Disk()
        process = Process(disk)
        process.log("one")
        process.log("two")
        process.step()

        def tries() -> list[int]:
            return [row.tries for row in disk.file.rows.values()]

        backlog = process.backlog
        for maybe_saved in (False, True):
            entries = backlog.lease()
            backlog.note_flight(entries)
            assert tries() == [1, 1]
            assert disk.file.state == b'{"reported": []}'
            backlog.requeue(entries, maybe_saved=maybe_saved)
            assert tries() == [int(maybe_saved)] * 2
        (entry,) = backlog.lease(1)
        backlog.note_flight([entry])
        assert tries() == [ALONE + 1, 1]
        backlog.requeue([entry])
        assert tries() == [1, 1]

    def test_records_that_did_not_fly_do_not_land(self) -> None:
        """A message may have had no room for them."""
        disk = Disk()
        process = Process(disk)
        process.log("one")
        process.step()
        process.backlog.requeue(process.backlog.lease())
        assert "note_landing" not in disk.calls

    def test_trouble_of_the_store_stops_no_message(self) -> None:
        """The records are settled as soon as the store works."""
        disk = Disk()
        process = Process(disk)
        process.log("one")
        process.step()
        disk.fail()
        entries = process.backlog.lease()
        process.backlog.note_flight(entries)
        process.backlog.requeue(entries)
        assert process.deliver() == ["one"]
        assert len(process.backlog.unsettled) == 1
        disk.work()
        process.step()
        assert process.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}


class TestCallers:
    """Callers wait for nothing."""

    def test_the_keeper_is_woken_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not idle any more after the first record."""
        process = Process(Disk())
        wakes: list[None] = []
        monkeypatch.setattr(process.backlog.keeper._wakeup, "set", lambda: wakes.append(None))
        process.backlog.keeper.is_idle = True
        process.log("one")
        process.log("two")
        assert len(wakes) == 1

    def test_a_record_after_the_end_wakes_the_listener(self) -> None:
        """The listener may open the backlog again."""
        process = Process(Disk())
        process.log("one")
        assert process.wakes == 0
        process.backlog.close()
        process.log("two")
        assert process.wakes == 1

    def test_a_crowded_ring_slows_callers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the bound of the memory, they take records in themselves."""
        slept: list[float] = []
        monkeypatch.setattr("discord_logging._process.clock.sleep", slept.append)
        process = Process(Disk())
        for _ in range(1_100):
            process.log("text")
        assert slept
        assert set(slept) == {1e-6}

    def test_the_number_at_risk_is_shared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other processes tell of these records if this one is killed."""
        monkeypatch.setenv("DISCORD_SHARED_MEMORY", "")
        process = Process(Disk())
        numbers = [9, 9]
        process.backlog.share(numbers)
        process.log("one")
        assert numbers[0] == 1
        process.step()
        assert numbers[0] == 0


class TestState:
    """The state of the backlog is known at any time."""

    def test_health(self) -> None:
        """It has the trouble of the store."""
        disk = Disk()
        process = Process(disk)
        process.log("one")
        process.step()
        process.backlog.keeper._maintain_at = float("-inf")
        process.step()
        health = process.backlog.health()
        assert health.pop("oldest") >= 0
        expected = {"kind": "sqlite", "where": "/backlog", "ok": True, "reason": "", "waiting": 1, "is_sender": True}
        assert health.items() >= {**expected, "workers": 1, "rescued": 0, "at_risk": 0}.items()
        assert health["sender"] == {"host": "web-1", "pid": 1}
        assert process.backlog.keeper.oldest_age() > 0
        assert process.backlog.oldest_age() > 0
        disk.fail()
        process.step()
        assert process.backlog.health().items() >= {"ok": False, "reason": "the disk is full"}.items()

    def test_health_has_the_numbers_of_all_processes(self) -> None:
        """They are those of the store, whoever has logged, sent or lost a record."""
        disk = Disk()
        sender, other = Process(disk), Process(disk)
        for process in (sender, other):
            process.log("one")
            process.log("two")
            process.step()
        sender.step()
        sender.deliver()
        other.log("three")
        other.step()
        disk.file.lose(other.writer, ("damaged", "?"), 1)
        for process in (sender, other):
            process.backlog.keeper._maintain_at = float("-inf")
            process.backlog.flushes.append(Flush(0, float("inf")))
            process.step()
            health = process.backlog.health()
            assert health["damaged"] == 1
            assert health["all"] == {"accepted": 6, "delivered": 4, "pending": 1, "dropped": 1}

    def test_a_process_that_does_not_send_has_nothing_to_send(self) -> None:
        """Its listener sleeps."""
        disk = Disk()
        Process(disk).step()
        process = Process(disk)
        process.log("one")
        process.step()
        assert not process.backlog.is_ready
        assert process.backlog.peek().records == 0
        assert process.wakes == 0

    def test_settings_have_bounds_of_the_store(self) -> None:
        """Those of the memory are set, too."""
        process = Process(Disk(), bounds(queue_size=7, backlog_bytes=8, backlog_age=9.0))
        backlog = process.backlog
        assert (backlog.max_records, backlog.store_bytes, backlog.store_age) == (7, 8, 9.0)

    def test_what_others_have_left_is_looked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a store, there is nothing."""
        process = Process(Disk())
        process.disk.may_exist = False
        wakes: list[None] = []
        monkeypatch.setattr(process.backlog.keeper, "wake", lambda: wakes.append(None))
        process.backlog.resume()
        assert not wakes
        process.disk.may_exist = True
        process.backlog.resume()
        assert wakes

    def test_a_flush_without_threads_moves_the_records(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At interpreter exit, no thread can be started."""
        process = Process(Disk())
        process.log("one")
        monkeypatch.setattr(process.backlog.keeper, "wake", lambda: False)
        process.backlog.release()
        assert process.deliver() == ["one"]


def test_a_call_that_was_interrupted_has_accepted_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: its number was taken, and so a record that came nowhere was pending for ever."""
    process = Process(Disk())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("discord_logging._backlogs.arrivals.dump", interrupt)
        with pytest.raises(KeyboardInterrupt):
            process.log("interrupted")
    process.log("one")
    process.step()
    assert process.deliver() == ["one"]
    process.step()
    assert process.backlog.count() == {"accepted": 1, "delivered": 1, "pending": 0, "dropped": 0}
