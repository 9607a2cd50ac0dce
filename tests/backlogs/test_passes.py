"""An event that reaches a webhook more than once is told once, and no other record is taken for it."""

from __future__ import annotations

import copy
import logging
import sys
from typing import Any

import pytest

from discord_logging import EmbedFormatter
from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._backlogs.passes import _MAX_EVENTS, Passes
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings

SETTINGS = CardSettings(EmbedFormatter())


def log(msg: object = "down", *args: object) -> logging.LogRecord:
    """Return a record as a logger makes it."""
    return logging.LogRecord("shop", logging.ERROR, "orders.py", 42, msg, args, None)


def passed(*records: logging.LogRecord, settings: Any = SETTINGS) -> list[bool]:
    """Return for each of the records whether it has passed before."""
    passes = Passes()
    return [passes.has_passed(freeze(record, settings)) for record in records]


def test_the_second_pass_of_a_record_is_recognised() -> None:
    """Also that of a copy, as a queue handler makes it, and with other records in between."""
    record = log("order %d", 17)
    merged = copy.copy(record)
    merged.msg, merged.args = record.getMessage(), None
    assert passed(record, log(), record, merged) == [False, False, True, True]


def test_a_handler_in_between_may_colour_the_message() -> None:
    """Many do so in place."""
    record = log()
    coloured = copy.copy(record)
    coloured.msg = f"\x1b[31m{record.msg}\x1b[0m"
    assert passed(record, coloured) == [False, True]


def test_records_that_are_equal_are_no_passes() -> None:
    """Each call of a logger is an event, also within one tick of the clock."""
    records = [log() for _ in range(50)]
    for record in records:
        record.created = records[0].created
    assert not any(passed(*records))


def test_a_copy_with_another_message_is_another_event() -> None:
    """A program may split a long record into several."""
    record = log("first line\nsecond line")
    parts = []
    for line in record.getMessage().split("\n"):
        parts.append(copy.copy(record))
        parts[-1].msg = line
    assert passed(*parts) == [False, False]


def test_a_record_of_another_level_is_another_event() -> None:
    """A filter of the second handler raised the level, and the card of the raised level was missing."""
    record = log()
    raised = copy.copy(record)
    raised.levelno, raised.levelname = logging.CRITICAL, "CRITICAL"
    assert passed(record, raised, raised) == [False, False, True]


@pytest.mark.parametrize("name", ["created", "relativeCreated"])
def test_records_that_share_one_time_are_no_passes(name: str) -> None:
    """Records that were made from dicts with a constant, or while `time.time` was one, vanished without a count."""
    moment = 1_800_000_000.5
    assert not any(passed(*(logging.makeLogRecord({"msg": "down", "levelno": 40, name: moment}) for _ in range(3))))


@pytest.mark.parametrize("moment", [None, 0, 12, "12"])
def test_a_record_that_was_made_by_hand_is_never_recognised(moment: object) -> None:
    """Small numbers are one object in all records."""
    record = log()
    record.__dict__["relativeCreated"] = moment
    assert passed(record, record) == [False, False]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({}, {}, True),
        ({"formatter": logging.Formatter("%(message)s")}, {"formatter": logging.Formatter("%(message)s")}, True),
        ({"formatter": logging.Formatter("%(message)s")}, {"formatter": logging.Formatter("%(name)s")}, False),
        ({"formatter": logging.Formatter("%(message)s")}, {}, False),
        ({"thread_id": "1"}, {"thread_id": "2"}, False),
        ({"mentions": {40: "<@1>"}}, {}, False),
        ({"context": {"service": "shop"}}, {"context": {"service": "shop"}}, True),
    ],
)
def test_a_card_that_looks_different_is_told(one: dict[str, Any], other: dict[str, Any], *, alike: bool) -> None:
    """Each handler with other settings gets the record."""
    record, passes = log(), Passes()
    for settings in (one, other):
        found = passes.has_passed(freeze(record, CardSettings(**{"formatter": EmbedFormatter(), **settings})))
    assert found is alike


def test_events_are_forgotten_and_records_are_not_kept() -> None:
    """Memory is bounded, and the record and its texts die when the program is done with them."""
    record, passes = log("x" * 1_000), Passes()
    before = sys.getrefcount(record), sys.getrefcount(record.msg)
    passes.has_passed(freeze(record, SETTINGS))
    assert (sys.getrefcount(record), sys.getrefcount(record.msg)) == before
    for _ in range(_MAX_EVENTS - 1):
        passes.has_passed(freeze(log(), SETTINGS))
    assert passes.has_passed(freeze(record, SETTINGS))
    for _ in range(2 * _MAX_EVENTS):
        passes.has_passed(freeze(log(), SETTINGS))
    assert len(passes._latest) + len(passes._older) <= 2 * _MAX_EVENTS
    assert not passes.has_passed(freeze(record, SETTINGS))


@pytest.mark.parametrize("is_delivered", [False, True], ids=["waits", "was delivered"])
def test_an_event_is_counted_once(*, is_delivered: bool) -> None:
    """The sum of the counters holds, whether the first pass waits or has been delivered."""
    backlog = MemoryBacklog(10, 100_000, repeat_window=60.0)
    record = log()
    for _ in range(3):
        backlog.put(freeze(record, SETTINGS))
        if is_delivered:
            backlog.ack(backlog.lease(1))
    backlog.put(freeze(log(), SETTINGS))
    backlog.release()
    entries = backlog.lease(10)
    assert sum(entry.count for entry in entries) == (1 if is_delivered else 2)
    backlog.ack(entries)
    assert backlog.count() == {"accepted": 2, "delivered": 2, "pending": 0, "dropped": 0}
    assert backlog.wait_until_settled(0.0, lambda: True)


def test_a_formatter_that_cannot_be_compared_costs_no_record() -> None:
    """The record is told again then."""

    class Odd(logging.Formatter):
        def __init__(self) -> None:
            super().__init__()
            self.odd = self

        def __eq__(self, other: object) -> bool:
            raise ValueError

        __hash__ = None  # type: ignore[assignment]

    backlog = MemoryBacklog(10, 100_000)
    record = log()
    for _ in range(2):
        backlog.put(freeze(record, CardSettings(Odd())))
    assert len(backlog.lease(10)) == 2
