"""Tests of the formats of times."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from freezegun import freeze_time

from discord_logging._cli.lines.times import read_any_time

NEW_YEAR = 1767225600.0  # 2026-01-01 00:00:00 UTC


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01 00:00:00 UTC", NEW_YEAR),
        ("2026/01/01 01:00:00.5+01:00", NEW_YEAR + 0.5),
        ("2025-12-31 19:00:00,250 -0500", NEW_YEAR + 0.25),
        (NEW_YEAR, NEW_YEAR),
        (int(NEW_YEAR), NEW_YEAR),
        (NEW_YEAR * 1e3, NEW_YEAR),
        (NEW_YEAR * 1e6, NEW_YEAR),
        (NEW_YEAR * 1e9, NEW_YEAR),
    ],
)
def test_a_time_with_a_zone_is_read(value: object, seconds: float) -> None:
    """Texts in the common formats, and numbers in any unit, are read."""
    assert read_any_time(value) == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize(
    "value", ["", "yesterday", "2026-99-01 00:00:00", "0000-01-01 00:00:00", True, None, -1, 1e30, []]
)
def test_a_value_that_is_not_a_time_gives_none(value: object) -> None:
    """Words, impossible dates and other types are not times."""
    assert read_any_time(value) is None


def test_a_time_without_a_zone_is_in_the_local_zone() -> None:
    """`logging` writes times without a zone."""
    assert read_any_time("2026-07-01 12:30:00") == time.mktime((2026, 7, 1, 12, 30, 0, 0, 0, -1))


def test_a_time_without_a_day_is_today() -> None:
    """Tools that run for a short time write no date."""
    today = datetime.now().astimezone()
    seconds = read_any_time("12:30:00")
    assert seconds is not None
    assert abs(datetime.fromtimestamp(seconds).astimezone() - today) < timedelta(days=2)


@freeze_time("2026-01-10 12:00:00")
def test_a_time_without_a_year_is_the_latest_past_one() -> None:
    """Syslog writes no year, and no log line is from the future."""
    assert read_any_time("Dec 15 00:00:00") == time.mktime((2025, 12, 15, 0, 0, 0, 0, 0, -1))
    assert read_any_time("Jan  5 00:00:00") == time.mktime((2026, 1, 5, 0, 0, 0, 0, 0, -1))
