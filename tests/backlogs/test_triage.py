"""The triage rates records by the records before them."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from discord_logging._backlogs.triage import Triage
from discord_logging._discord.pace import Urgency
from discord_logging._records.freeze import freeze
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings

_EDIT, ROUTINE, NEWS, ALARM = Urgency
DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
SETTINGS = CardSettings(None)


def record(levelno: int = ERROR, msg: object = "order %d failed", *args: object, **attributes: Any) -> FrozenRecord:
    """Return a frozen record."""
    made = logging.LogRecord("shop", levelno, "orders.py", 42, msg, args, None)
    made.__dict__.update(attributes)
    return FrozenRecord(freeze(made, SETTINGS))


def rate(*levels: int, triage: Triage | None = None, gap: float = 1.0) -> list[Urgency]:
    """Return the urgencies of records with these levels, one after the other; all errors are of one kind."""
    triage = triage or Triage()
    return [triage.rate(record(level), 1_000.0 + number * gap) for number, level in enumerate(levels)]


def test_a_critical_record_is_always_an_alarm() -> None:
    """Neither a second one nor a higher level changes that."""
    assert rate(CRITICAL, CRITICAL, 60) == [ALARM, ALARM, ALARM]


def test_the_first_error_of_its_kind_is_news() -> None:
    """A repeat is routine, with other arguments or not."""
    triage = Triage()
    rated = [
        triage.rate(each, 1_000.0)
        for each in (
            record(ERROR, "order %d failed", 1),
            record(ERROR, "order %d failed", 2),
            record(ERROR, "payment %d failed", 1),
            record(ERROR, "order %d failed", 3, name="shop.orders"),
            record(45, "order %d failed", 4),
            record(ERROR, "order %d failed", 5, exc_info=(ValueError, ValueError(), None)),
            record(ERROR, "order %d failed", 6, exc_info=(ValueError, ValueError("other"), None)),
            record(ERROR, "order 7 failed"),
            record(ERROR, "order 8 failed"),
            record(ERROR, "order 9 failed", lineno=43),
        )
    ]
    assert rated == [NEWS, ROUTINE, NEWS, NEWS, NEWS, NEWS, ROUTINE, NEWS, ROUTINE, NEWS]


def test_an_error_that_was_not_seen_for_an_hour_is_news_again() -> None:
    """The hour begins with the last one, not with the first."""
    triage, rated = Triage(), []
    for at in (0.0, 3_000.0, 6_000.0, 9_600.0):
        triage.rate(record(CRITICAL), at)  # so that none of the errors is a rise
        rated.append(triage.rate(record(ERROR), at))
    assert rated == [NEWS, ROUTINE, ROUTINE, NEWS]


def test_alarms_take_no_place_of_an_error() -> None:
    """The kinds of alarms are not remembered, since an alarm is always an alarm."""
    triage = Triage()
    triage.rate(record(ERROR, "often"), 0.0)
    for number in range(1_000):
        triage.rate(record(CRITICAL, f"kind {number}"), 0.0)
    assert triage.rate(record(ERROR, "often"), 0.0) is ROUTINE


def test_five_hundred_kinds_are_remembered() -> None:
    """Memory is bounded: the kind that was not seen for the longest time is forgotten first."""
    triage = Triage()
    triage.rate(record(ERROR, "often"), 0.0)
    for number in range(2_000):
        assert triage.rate(record(ERROR, f"kind {number}", lineno=100 + number), 0.0) is NEWS
        assert triage.rate(record(ERROR, "often"), 0.0) is ROUTINE
    assert len(triage._seen) == 500
    assert triage.rate(record(ERROR, "kind 1999", lineno=2099), 0.0) is ROUTINE
    assert triage.rate(record(ERROR, "kind 1400", lineno=1500), 0.0) is NEWS


def test_a_remembered_kind_keeps_no_text() -> None:
    """A template may be megabytes long."""
    template = "x" * 1_000_000
    made = record(ERROR, template)
    count = sys.getrefcount(template)
    Triage().rate(made, 0.0)
    triage = Triage()
    triage.rate(made, 0.0)
    assert sys.getrefcount(template) == count


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([INFO, WARNING, WARNING], [ROUTINE, NEWS, ROUTINE]),
        ([WARNING, INFO, WARNING], [NEWS, ROUTINE, ROUTINE]),
        ([DEBUG, INFO, 25], [ROUTINE, ROUTINE, ROUTINE]),
        ([CRITICAL, WARNING], [ALARM, ROUTINE]),
        ([INFO, 35, 34, 36], [ROUTINE, NEWS, ROUTINE, NEWS]),
    ],
)
def test_a_rise_in_severity_is_news(levels: list[int], expected: list[Urgency]) -> None:
    """This holds from WARNING on, for a record above all of the last minute."""
    assert rate(*levels) == expected


def test_a_rise_is_compared_with_the_last_minute() -> None:
    """Older records do not count, and the order within the minute does not matter."""
    assert rate(ERROR, WARNING, WARNING, gap=59.0) == [NEWS, ROUTINE, ROUTINE]
    assert rate(ERROR, WARNING, 35, gap=31.0) == [NEWS, ROUTINE, NEWS]
    assert rate(WARNING, WARNING, gap=60.0) == [NEWS, NEWS]


def test_levels_without_end_cost_no_memory() -> None:
    """Each level is below the one before, so that all of them would be remembered."""
    triage = Triage()
    rate(*range(10_000, 0, -1), triage=triage, gap=0.0)
    assert len(triage._levels) == 100


def test_rating_masks_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masking takes long for a large text, and a caller may be waiting."""
    monkeypatch.setattr(FrozenRecord, "mask", lambda *_: pytest.fail("masked"))
    triage = Triage()
    assert [triage.rate(record(ERROR, ValueError("x" * 300)), 0.0) for _ in range(2)] == [NEWS, ROUTINE]


def test_a_name_that_is_not_a_str_is_not_converted() -> None:
    """The conversion would call the user's code."""

    class Name:
        def __hash__(self) -> int:
            raise AssertionError

    triage = Triage()
    assert [triage.rate(record(ERROR, name=Name()), 0.0) for _ in range(2)] == [NEWS, ROUTINE]
