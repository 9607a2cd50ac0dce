"""The books of an incident: how often, when and where its records were logged."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._records.incident import MINUTES, Books

NOW = 1_700_000_040.0
HERE = ("web-1", 4711)


def books(*times: float, source: tuple[str, int] = HERE) -> Books:
    """Return books with a record at each of these times."""
    made = Books()
    for each in times:
        made.add(each, source)
    return made


def test_each_record_counts_in_its_minute() -> None:
    """The last of the minutes is that of the last record."""
    incident = books(NOW - 120, NOW - 60, NOW, NOW).incident()
    assert (incident.count, incident.first, incident.last) == (4, NOW - 120, NOW)
    assert incident.minutes[-4:] == (0, 1, 1, 2)
    assert len(incident.minutes) == MINUTES


def test_the_rate_is_that_of_the_last_minutes() -> None:
    """At most five, and one at least."""
    assert books(NOW, NOW, NOW).incident().rate == 3
    assert books(*(NOW - 120 + 10 * number for number in range(13))).incident().rate == pytest.approx(6.5)
    assert books(NOW - 7_200, *[NOW] * 10).incident().rate == 2


@pytest.mark.parametrize("created", [math.nan, math.inf, -math.inf, -5.0, 1e300])
def test_an_odd_time_is_the_last_one(created: float) -> None:
    """A record that was made by hand may have any."""
    assert books(NOW, created).incident().last == NOW
    assert books(created).incident().count == 1


def test_the_minutes_are_bounded() -> None:
    """Those before the last hour are forgotten, while the count stays."""
    made = books(*(NOW + 60 * number for number in range(1_000)))
    assert len(made.minutes) <= 2 * MINUTES
    assert made.incident().count == 1_000
    assert sum(made.incident().minutes) == MINUTES


def test_the_sources_are_bounded() -> None:
    """The records of further processes count all the same."""
    made = Books()
    for pid in range(150):
        made.merge(books(NOW, source=("web", pid)))
        made.add(NOW, ("job", pid))
    assert (made.count, len(made.sources)) == (300, 100)


@given(st.lists(st.floats(1e9, 2e9)), st.lists(st.floats(1e9, 2e9)), st.booleans())
def test_books_add_up(ours: list[float], theirs: list[float], is_repeat: bool) -> None:
    """The sum says the same as one account of all."""
    first, second = books(*ours), books(*theirs, source=("web-2", 7))
    second.unsure, second.untold = int(is_repeat), 3
    both = first.plus(second).plus(None)
    assert both.count == len(ours) + len(theirs)
    if both.count:
        assert (both.first, both.last) == (min(ours + theirs), max(ours + theirs))
        assert set(both.incident().sources) == {"web-1" for _ in ours} | {"web-2" for _ in theirs}
    assert (both.unsure, both.untold) == ((second.unsure, 3) if theirs else (0, 0))


def test_records_that_may_be_counted_twice_are_told() -> None:
    """Discord did not say whether their message was saved."""
    made = Books()
    made.add(NOW, HERE, 5, is_repeat=True)
    made.add(NOW, HERE)
    assert (made.incident().count, made.incident().unsure) == (6, 5)
