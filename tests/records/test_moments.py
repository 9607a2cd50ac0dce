"""A time that says when a record was logged is left out of its identity, and nothing else is."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from discord_logging._records.freeze import freeze
from discord_logging._records.moments import value_without_moment, without_moment
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

SETTINGS = CardSettings(None)
FIRST = datetime(2026, 11, 29, 23, 59, 58, 250_000, timezone.utc)


@pytest.fixture(autouse=True, params=["UTC", "Asia/Kathmandu", "America/St_Johns"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run each test in several zones."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


def fingerprint(msg: object, moment: datetime, **attributes: Any) -> Hashable:
    """Return the identity of a record that was made a moment after it was formatted."""
    record = logging.makeLogRecord({"msg": msg, "created": moment.timestamp() + 0.004, **attributes})
    return FrozenRecord(freeze(record, SETTINGS)).fingerprint()


WRITERS: dict[str, Callable[[datetime], object]] = {
    "logging": lambda at: f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03} ERROR [shop] Database is down",
    "brackets": lambda at: f"[{at}] [ERROR] Database is down",
    "the level first": lambda at: f"ERROR {at:%Y-%m-%d %H:%M:%S} Database is down",
    "colours": lambda at: f"\x1b[30;1m{at:%Y-%m-%d %H:%M:%S}\x1b[0m Database is down",
    "time of day": lambda at: f"{at:%H:%M:%S} | Database is down",
    "twelve hours": lambda at: f"{at:%m/%d/%Y %I:%M:%S %p} Database is down",
    "syslog": lambda at: f"{at:%b %d %H:%M:%S} web-1 Database is down",
    "access log": lambda at: f'10.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S %z}] "GET / HTTP/1.1" 500 -',
    "in a sentence": lambda at: f"Database is down since {at.isoformat()}!",
    "JSON": lambda at: json.dumps({"level": "error", "timestamp": at.isoformat(), "event": "Database is down"}),
    "JSON with a number": lambda at: json.dumps({"ts": at.timestamp(), "event": "Database is down"}),
    "JSON with milliseconds": lambda at: json.dumps({"time": int(at.timestamp() * 1000), "msg": "Database is down"}),
    "repr of a dict": lambda at: {"event": "Database is down", "timestamp": at.isoformat()},
    "logfmt": lambda at: f"ts={at:%Y-%m-%dT%H:%M:%S.%fZ} level=error event='Database is down'",
    "uptime": lambda at: json.dumps({"uptime": at.timestamp() - 1e9, "event": "Database is down"}),
    "uptime in logfmt": lambda at: f"uptime_seconds={at.timestamp() - 1e9:.1f} event=down",
    "elapsed": lambda at: f"{timedelta(seconds=at.timestamp() - 1.79e9)} | Database is down",
    "epoch": lambda at: f"{at.timestamp():.3f} Database is down",
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("zone", [timezone.utc, None], ids=["UTC", "local"])
def test_the_moment_of_logging_makes_no_record_another_one(
    write: Callable[[datetime], object], zone: timezone | None
) -> None:
    """Not even across midnight. The text is in the message already, as that of loguru and structlog."""
    first, second = FIRST, FIRST + timedelta(seconds=65.3)
    assert fingerprint(write(first.astimezone(zone)), first) == fingerprint(write(second.astimezone(zone)), second)


@pytest.mark.parametrize(
    "write", [WRITERS[name] for name in ("logging", "brackets", "colours", "twelve hours", "JSON")]
)
@pytest.mark.parametrize("hours", [-12, -3.5, 5.75, 14])
def test_a_time_where_records_have_theirs_may_be_of_any_zone(write: Callable[[datetime], object], hours: float) -> None:
    """A program may write the time of its users."""
    zone = timezone(timedelta(hours=hours))
    first, second = FIRST, FIRST + timedelta(hours=7, seconds=65.3)
    assert fingerprint(write(first.astimezone(zone)), first) == fingerprint(write(second.astimezone(zone)), second)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_what_stands_beside_the_moment_counts(write: Callable[[datetime], object]) -> None:
    """Another word, with the same times."""
    texts = [str(write(FIRST)), str(write(FIRST)).replace("a", "e").replace("o", "u")]
    assert texts[0] != texts[1]
    assert fingerprint(texts[0], FIRST) != fingerprint(texts[1], FIRST)


@pytest.mark.parametrize(
    "extra",
    [
        lambda at: {"timestamp": at.isoformat()},
        lambda at: {"timestamp": at.timestamp()},
        lambda at: {"logged": f"{at:%H:%M:%S}"},
        lambda at: {"uptime": at.timestamp() - 1e9},
        lambda at: {"extra": {"ts": at.timestamp(), "uptime": at.timestamp() - 1e9}},
    ],
)
def test_the_moment_may_be_a_value(extra: Callable[[datetime], dict[str, Any]]) -> None:
    """A logger of structlog passes its timestamp as `extra`."""
    second = FIRST + timedelta(seconds=65.3)
    assert fingerprint("down", FIRST, **extra(FIRST)) == fingerprint("down", second, **extra(second))
    assert fingerprint("down", FIRST, **extra(FIRST)) != fingerprint("down", FIRST)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Slot 2026-12-01 12:00:00 is taken", "Slot 2026-12-01 13:00:00 is taken"),
        ("Report for 2026-11-28 23:59:58 is missing", "Report for 2026-11-27 23:59:58 is missing"),
        ("2026-11-28 backup is missing", "2026-11-29 backup is missing"),
        ("12:00:05 is no time for that", "13:00:05 is no time for that"),
        ("job-2026-11-29T23:59:58.tar failed", "job-2026-11-29T23:59:57.tar failed"),
        ("No data for 23:55:00", "No data for 23:56:00"),
        ("ff:23:59:58:01:02 is not paired", "ff:23:59:57:01:02 is not paired"),
        ('{"time": 12.5, "event": "slow"}', '{"time": 13.5, "event": "slow"}'),
        ('{"lifetime": 1795996798, "a": 1}', '{"lifetime": 1795996799, "a": 1}'),
        ("2026-12-24 18:00:00 is free again", "2026-12-25 18:00:00 is free again"),
        ("[2026-12-24 18:07:01] is free again", "[2026-12-24 18:07:02] is free again"),
        ("2026-11-30 02:00:00 is free again", "2026-11-30 03:00:00 is free again"),
        ('{"time": "2026-12-24T18:00:00Z", "event": "free"}', '{"time": "2026-12-25T18:00:00Z", "event": "free"}'),
        ('{"timestamp": 1797000000, "event": "free"}', '{"timestamp": 1797003600, "event": "free"}'),
        ("took 0:00:12.345678", "took 0:00:13.345678"),
        ("1795996798 is not an order", "1795996797 is not an order"),
        ("uptime of 7 days", "uptime of 8 days"),
        ("1:2:3", "1:2:4"),
    ],
)
def test_a_time_that_says_what_the_record_is_about_stays(one: str, other: str) -> None:
    """Folding would hide it. A date counted for nothing at the beginning, or behind a name such as `time`."""
    assert fingerprint(one, FIRST) != fingerprint(other, FIRST)


@pytest.mark.parametrize("name", ["deadline", "time", "timestamp", "time_left"])
@pytest.mark.parametrize("value", ["2026-12-24 18:00:00", 1_800_000_000, 12.5, "12:00:00"])
def test_a_value_of_another_time_stays(name: str, value: object) -> None:
    """Whatever its name is."""
    assert value_without_moment(name, str(value), FIRST.timestamp()) == str(value)


EVENTS = st.text(st.characters(), max_size=20) | st.sampled_from(["a:b:c", "{'", "a=1", "[", "0:0:0", "uptime=x", "1"])
FORMS: list[Callable[[datetime, str], str]] = [
    lambda at, event: f"{at:%Y-%m-%d %H:%M:%S},250 {event}",
    lambda at, event: f"{event} {at.isoformat()}",
    lambda at, event: f"[{at:%H:%M:%S}] {event}",
    lambda at, event: json.dumps({"timestamp": at.isoformat(), "event": event}),
    lambda at, event: json.dumps({"event": event, "uptime": at.timestamp() - 1.7e9}),
]


@given(st.sampled_from(FORMS), EVENTS, EVENTS, st.integers(0, 10**6))
def test_records_that_differ_in_anything_but_the_time_stay_apart(
    form: Callable[[datetime, str], str], one: str, other: str, seconds: int
) -> None:
    """Whatever else their texts contain."""
    assume(one != other)
    second = FIRST + timedelta(seconds=seconds)
    assert fingerprint(form(FIRST, one), FIRST) != fingerprint(form(second, other), second)


@given(st.text(st.characters()) | st.from_regex(r"(\d{1,4}[-/:., TZ{=\"'u]){1,8}"), st.floats())
def test_any_text_of_any_time_can_be_read(text: str, created: float) -> None:
    """A record that was made by hand may have been created at any time."""
    assert isinstance(without_moment(text, created), str)
    assert isinstance(value_without_moment(text, text, created), str)
