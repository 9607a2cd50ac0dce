"""The search for the record that Discord cannot take: which entries the next message is made of, phase by phase."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._delivery.quarantine import Quarantine
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from discord_logging._backlogs.entry import Entry

SETTINGS = CardSettings(None)


class Channel:
    """Sends what the quarantine chooses to a Discord that a function stands for."""

    def __init__(self, numbers: Iterable[int], levelno: int = logging.INFO, max_records: int = 10_000) -> None:
        self.backlog = MemoryBacklog(max_records)
        self.quarantine = Quarantine()
        self.arrived: list[int] = []
        self.log(numbers, levelno)

    def log(self, numbers: Iterable[int], levelno: int = logging.INFO) -> None:
        """Log records with these numbers."""
        for number in numbers:
            record = {"msg": "%d", "args": (number,), "levelno": levelno, "levelname": str(levelno)}
            self.backlog.put(freeze(logging.makeLogRecord(record), SETTINGS))

    def lease(self) -> Sequence[Entry]:
        """Lease the entries for the next message."""
        return self.quarantine.lease(self.backlog, self.backlog.peek())

    def next(self, answer: str | Callable[[list[int]], str]) -> list[int]:
        """Return the numbers of the next message, which is answered by `passed`, `refused`, `maybe` or `unsaved`."""
        entries = self.lease()
        numbers = [int(entry.record.message) for entry in entries]
        if not isinstance(answer, str):
            answer = answer(numbers)
        is_unsaved = answer in ("maybe", "unsaved")
        if answer == "passed":
            self.arrived += numbers
            self.quarantine.passed(entries)
            self.backlog.ack(entries)
        elif is_unsaved and not (answer == "maybe" and self.quarantine.takes_for_refusal(entries)):
            self.backlog.requeue(entries, maybe_saved=answer == "maybe")
            self.quarantine.failed(entries, maybe_saved=answer == "maybe")
        elif entries[0] is self.quarantine.plain:
            self.quarantine.end()
            self.backlog.drop("rejected", entries)
        else:
            self.backlog.requeue(entries, maybe_saved=is_unsaved)
            self.quarantine.refused(entries)
        return numbers

    @property
    def phase(self) -> str:
        """Return the name of the phase."""
        return self.quarantine.phase.value


def test_without_trouble_all_records_are_one_message() -> None:
    """A failure that is certainly not saved changes nothing."""
    channel = Channel(range(3))
    assert channel.next("unsaved") == [0, 1, 2]
    assert channel.phase == "clear"
    assert channel.next("passed") == [0, 1, 2]
    assert channel.lease() == []


def test_a_message_that_may_be_saved_is_tried_three_times_before_another_record() -> None:
    """The others wait meanwhile; when one of them passes, the suspects are halved."""
    channel = Channel(range(2))
    assert channel.next("maybe") == [0, 1]
    channel.log(range(2, 5))
    assert channel.phase == "suspect"
    assert [channel.next("maybe"), channel.next("maybe")] == [[0, 1], [0, 1]]
    assert channel.phase == "probing"
    assert channel.next("passed") == [2]
    assert channel.phase == "halving"
    assert [channel.next("passed"), channel.next("maybe")] == [[0], [1]]
    assert channel.quarantine.plain
    assert channel.next("maybe") == [1]
    assert channel.backlog.dropped == {("rejected", "20"): 1}
    assert channel.next("passed") == [3, 4]


def test_a_second_try_that_passes_ends_the_search() -> None:
    """A time-out now and then is not a bad record."""
    channel = Channel(range(2))
    channel.next("maybe")
    channel.next("passed")
    assert channel.phase == "clear"


def test_probes_that_fail_mean_that_discord_is_down() -> None:
    """Each probe is another record; the suspects come after all others, and then all of them again."""
    channel = Channel(range(2))
    channel.next("maybe")
    channel.log([2, 3])
    channel.next("maybe")
    channel.next("maybe")
    assert [channel.next(answer) for answer in ("maybe", "unsaved", "maybe", "maybe", "maybe", "maybe")] == [
        *([2], [3], [3], [0], [1], [0])
    ]
    assert channel.quarantine.is_down
    assert channel.next("passed") == [2]
    # The outage may have ended by itself, so no card is given up.
    assert (channel.phase, channel.quarantine.plain) == ("halving", None)
    assert [channel.next("passed"), channel.next("passed"), channel.next("passed")] == [[0], [1], [3]]


def test_a_refused_message_is_halved_while_its_neighbours_pass() -> None:
    """Until the bad record stands alone, as a card and then as plain text."""
    channel = Channel(range(8))
    channel.next("refused")
    assert [channel.next(answer) for answer in ("passed", "refused", "refused")] == [[0, 1, 2, 3], [4, 5], [4]]
    assert channel.next("refused") == [4]
    assert channel.phase == "clear"
    assert channel.next("passed") == [5, 6, 7]


def test_an_urgent_record_does_not_wait_for_the_halves() -> None:
    """When it is refused too, it is found first, and the search ends all the same."""
    channel = Channel(range(4))
    channel.next("refused")
    channel.log([9], logging.CRITICAL)
    assert channel.next("refused") == [9]
    assert channel.next("refused") == [9]
    assert channel.backlog.dropped == {("rejected", "50"): 1}
    assert channel.next("passed") == [0, 1, 2, 3]


def test_suspects_that_were_dropped_meanwhile_end_the_search() -> None:
    """A full queue may have no place for them."""
    channel = Channel(range(2), max_records=3)
    channel.next("refused")
    channel.log(range(5, 8), logging.ERROR)
    assert channel.next("passed") == [5, 6, 7]
    assert channel.lease() == []
    assert channel.phase == "clear"


@pytest.mark.once
@pytest.mark.parametrize("answer", ["refused", "maybe"])
@settings(max_examples=60, deadline=None)
@given(
    bad=st.sets(st.integers(0, 29)),
    levels=st.lists(st.sampled_from([20, 30, 40, 50]), min_size=30, max_size=30),
    is_taken_plain=st.booleans(),
)
def test_all_good_records_arrive_whatever_is_bad(
    answer: str, bad: set[int], levels: list[int], is_taken_plain: bool
) -> None:
    """Their levels differ, so that some overtake others; the number of messages is bounded for each bad record."""
    channel = Channel([])
    for number, levelno in enumerate(levels):
        channel.log([number], levelno)
    judge = answering(channel, bad, answer, is_taken_plain=is_taken_plain)
    for _ in range(15 * (len(bad) + 1)):
        if channel.backlog.pending:
            channel.next(judge)
    assert {*range(30)} - bad <= set(channel.arrived)
    assert len(set(channel.arrived)) == len(channel.arrived)
    # Where no other record is left to pass, nothing proves that it is not an outage.
    assert channel.backlog.pending == 0 or (answer == "maybe" and channel.backlog.pending <= len(bad))


def answering(channel: Channel, bad: set[int], answer: str, *, is_taken_plain: bool) -> Callable[[list[int]], str]:
    """Return a function that answers messages with bad records by `answer`, and all others by `passed`."""

    def judge(numbers: list[int]) -> str:
        plain = channel.quarantine.plain
        is_plain = plain is not None and numbers == [int(plain.record.message)]
        return answer if bad & set(numbers) and not (is_plain and is_taken_plain) else "passed"

    return judge


def test_records_with_which_processes_ended_leave_first_and_in_halves() -> None:
    """A durable backlog knows them from its store. The last suspect is sent as plain text if its card is to blame."""
    channel = Channel(range(5))
    entries = channel.backlog.lease()
    channel.backlog.requeue(entries)
    channel.quarantine.isolate(entries[1:4], plain=False)
    assert channel.phase == "halving"
    assert [channel.next("passed") for _ in range(4)] == [[1], [2], [3], [0, 4]]
    channel.log([5, 6])
    entries = channel.backlog.lease()
    channel.backlog.requeue(entries)
    channel.quarantine.isolate(entries[1:], plain=True)
    assert channel.quarantine.plain is entries[1]
    assert [channel.next("passed") for _ in range(2)] == [[6], [5]]
    assert channel.phase == "clear"
