"""The books of an incident: how often, when and where its records were logged."""

from __future__ import annotations

import logging
import math

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import FrozenRecord
from discord_logging._records.freeze import freeze
from discord_logging._records.incident import MINUTES, Books, Incident
from discord_logging._records.settings import CardSettings

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
    both = first.plus(second)
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


@pytest.mark.parametrize("created", [math.nan, math.inf, -5.0, 0.0, 1.7e12])
def test_an_odd_time_of_the_first_record_is_now(created: float) -> None:
    """A card said that an incident went on since 1970. A time in milliseconds is as odd."""
    with freeze_time("2026-11-30 12:00:00"):
        made = books(created)
    assert made.first == made.last == 1_796_040_000.0


@pytest.mark.parametrize("process", [[1], {}, object(), "4711", 4711.0, True])
def test_an_odd_process_is_an_unknown_one(process: object) -> None:
    """A record that was made by hand has any object, and one without a hash was no key of the sources."""
    record = FrozenRecord(freeze(logging.makeLogRecord({"process": process}), CardSettings(None)))
    assert record.source[1] is None
    made = Books()
    made.add(NOW, record.source)
    assert set(made.incident().sources.values()) == {(None,)}


def test_a_host_has_all_of_its_processes() -> None:
    """Several processes of one host stand beside each other."""
    made = books(NOW, source=("a", 1))
    made.merge(books(NOW, NOW, source=("b", 2)))
    made.merge(books(NOW, source=("a", 3)))
    assert made.incident().sources == {"a": (1, 3), "b": (2,)}


def test_an_older_record_changes_the_beginning_only() -> None:
    """Processes deliver their records in any order."""
    made = books(NOW, NOW - 600, NOW - 90_000)
    incident = made.incident()
    assert (incident.first, incident.last, sum(incident.minutes)) == (NOW - 90_000, NOW, 2)


def test_facts_are_added_to_the_numbers() -> None:
    """The books know nothing of messages."""
    incident = books(NOW).incident(reason="again after 2 h", link="https://x.example/1")
    assert (incident.reason, incident.link, incident.is_quiet) == ("again after 2 h", "https://x.example/1", False)


def test_a_program_may_make_an_incident_of_few_numbers() -> None:
    """It tests its own formatter so."""
    assert Incident(5, NOW - 60, NOW).rate == 0.0


def test_empty_books_change_nothing() -> None:
    """They have no time, which was none of a minute."""
    empty = Books()
    empty.merge(Books())
    assert empty.plus(Books()).count == 0
    made = books(NOW)
    made.merge(empty)
    assert made.incident() == books(NOW).incident() == empty.plus(made).incident()


hands = st.tuples(st.floats() | st.floats(1e9, 1.001e9), st.integers(1, 200), st.integers(1, 9), st.booleans())


@given(st.lists(hands, min_size=1), st.integers(1, 100))
def test_any_records_give_sound_numbers(records: list[tuple[float, int, int, bool]], split: int) -> None:
    """They do so in one account and in two, and never need more room."""
    one, parts = Books(), (Books(), Books())
    for place, (created, pid, number, is_repeat) in enumerate(records):
        for made in (one, parts[place >= split]):
            made.add(created, ("web", pid), number, is_repeat=is_repeat)
    for made in (one, parts[0].plus(parts[1])):
        incident = made.incident()
        assert incident.count == sum(number for _, _, number, _ in records)
        assert incident.unsure == sum(number for _, _, number, is_repeat in records if is_repeat)
        assert 0 < incident.first <= incident.last < 1e11
        assert len(incident.minutes) == MINUTES
        assert min(incident.minutes) >= 0 < incident.minutes[-1]
        assert sum(incident.minutes) <= incident.count
        assert 0 < incident.rate <= incident.count
        assert len(made.minutes) <= 2 * MINUTES
        assert len(made.sources) <= 100
