"""What is believed of an answer."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._discord.rate_limit_headers import RateLimitInfo, parse_number, read_rate_limit_info

DATE = "Thu, 06 Aug 2026 11:31:01 GMT"
EPOCH = 1786015861
API = {"message": "You are being rate limited.", "retry_after": 64.57, "global": False}


def test_reads_discords_own_example() -> None:
    """The answer of the documentation, whole."""
    headers = {
        "Retry-After": "65",
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1470173023.123",
        "X-RateLimit-Reset-After": "64.57",
        "X-RateLimit-Bucket": "abcd1234",
        "X-RateLimit-Scope": "user",
    }
    assert read_rate_limit_info(429, headers, API) == RateLimitInfo(
        bucket="abcd1234", limit=10, remaining=0, reset_after=64.57, scope="user", retry_after=64.57
    )


def test_an_answer_without_any_word_says_nothing() -> None:
    """Neither headers nor a body."""
    assert read_rate_limit_info(204, {}, None) == RateLimitInfo()


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_names_of_headers_come_in_any_case(spell: Any) -> None:
    """HTTP/2 has them in lower case, others as they like."""
    headers = {spell(name): value for name, value in {"X-RateLimit-Remaining": "3", "X-RateLimit-Limit": "5"}.items()}
    answer = read_rate_limit_info(200, headers, None)
    assert (answer.limit, answer.remaining) == (5, 3)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("64.57", 64.57),
        (" 5 ", 5.0),
        ("+1.", 1.0),
        (".5", 0.5),
        ("2\x1f", 2.0),
        ("5e-05", 5e-05),
        (5, 5.0),
        (0.25, 0.25),
        ("-3", -3.0),
        ("1_000", None),
        ("٣", None),
        ("0x10", None),
        ("nan", None),
        ("Infinity", None),
        ("1e999", None),
        ("9" * 5_000, None),
        ("2, 2", None),
        ("", None),
        (math.nan, None),
        (-math.inf, None),
        (10**400, None),
        (True, None),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
        (b"1", None),
    ],
)
def test_a_number_is_a_finite_decimal_number(value: Any, number: Any) -> None:
    """And nothing else, however willing Python is to read it."""
    assert parse_number(value) == number


@pytest.mark.parametrize(
    ("limit", "remaining", "expected"),
    [
        ("5", "4", (5, 4)),
        ("5.0", "4.9", (5, 4)),
        ("0", "-1", (None, 0)),
        ("5", "-2.5", (5, 0)),
        ("-5", "1e300", (None, None)),
        ("five", "", (None, None)),
    ],
)
def test_counts_are_whole_and_sane(limit: Any, remaining: Any, expected: Any) -> None:
    """A bucket that allows nothing, or a million, is none; one that has less than nothing left is empty."""
    answer = read_rate_limit_info(200, {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining}, None)
    assert (answer.limit, answer.remaining) == expected


@pytest.mark.parametrize(
    ("reset_after", "reset", "date", "expected"),
    [
        ("2.5", str(EPOCH + 9), DATE, 2.5),
        (None, f"{EPOCH + 2}.250", DATE, 2.25),
        ("junk", f"{EPOCH + 2}", DATE, 2.0),
        ("0", f"{EPOCH + 2}", DATE, 2.0),
        ("-1", None, DATE, None),
        (None, f"{EPOCH + 2}", None, None),
        (None, f"{EPOCH + 2}", "junk", None),
        (None, f"{EPOCH + 2}", "Thu, 06 Aug 2026 11:31:01 -0000", 2.0),
        (None, f"{EPOCH + 2}", "Thu, 06 Aug 0000 11:31:01 GMT", None),
        (None, f"{EPOCH - 2}", DATE, None),
        (None, f"{EPOCH + 2}000", DATE, None),
        (str(EPOCH), None, None, None),
    ],
)
def test_the_reset_is_relative_and_else_read_off_the_answers_date(
    reset_after: Any, reset: Any, date: Any, expected: Any
) -> None:
    """No clock of ours; and no instant or millisecond passes for a time to wait."""
    headers = {"X-RateLimit-Reset-After": reset_after, "X-RateLimit-Reset": reset, "Date": date}
    answer = read_rate_limit_info(200, {name: value for name, value in headers.items() if value is not None}, None)
    assert answer.reset_after == (None if expected is None else pytest.approx(expected))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs tzset")
def test_dates_do_not_depend_on_where_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date whose zone is unknown is read as UTC, not as local time."""
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "Asia/Tokyo")
            time.tzset()
            headers = {"Date": "Thu, 06 Aug 2026 11:31:01 -0000", "X-RateLimit-Reset": f"{EPOCH + 2}"}
            assert read_rate_limit_info(200, headers, None).reset_after == 2.0
    finally:
        time.tzset()


@pytest.mark.parametrize(
    ("headers", "body", "scope"),
    [
        ({}, API, "user"),
        ({"X-RateLimit-Scope": "user"}, API, "user"),
        ({"X-RateLimit-Scope": " Shared "}, API, "shared"),
        ({"X-RateLimit-Scope": "galaxy"}, API, "user"),
        ({"X-RateLimit-Scope": "global"}, API, "global"),
        ({"X-RateLimit-Global": "true"}, API, "global"),
        ({"X-RateLimit-Global": "false"}, API, "user"),
        ({}, {**API, "global": True}, "global"),
        ({}, {**API, "retry_after": "64.57"}, "user"),
        ({}, {**API, "retry_after": math.nan}, "user"),
        ({"X-RateLimit-Scope": "shared"}, None, "shared"),
        ({"X-RateLimit-Bucket": "abc"}, "<html>", "user"),
        ({"Via": "1.1 google"}, {**API, "retry_after": None}, "edge"),
        ({"Via": "1.1 google"}, {"message": "no time"}, "edge"),
        ({}, [API], "edge"),
        ({}, "error code: 1015", "edge"),
    ],
)
def test_scope_of_a_429(headers: Any, body: Any, scope: Any) -> None:
    """The API's is a JSON object with a numeric retry_after or carries its headers; `Via` proves nothing."""
    assert read_rate_limit_info(429, headers, body).scope == scope


@pytest.mark.parametrize(
    ("status", "body", "scope"),
    [
        (403, {"code": 50013}, None),
        (403, {"code": 0, "message": "403: Forbidden"}, None),
        (403, {"code": 40333}, "edge"),
        (403, {"code": True}, "edge"),
        (403, "error code: 1010", "edge"),
        (500, {"code": 40333}, "edge"),
        (200, {"code": 40333}, None),
        (404, "<html>", None),
        (502, "<html>", None),
    ],
)
def test_scope_of_other_answers(status: Any, body: Any, scope: Any) -> None:
    """A 403 that is not the API's, and code 40333, come from the edge."""
    assert read_rate_limit_info(status, {}, body).scope == scope


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Retry-After": "65"}, 64.57, 64.57),
        ({"Retry-After": "1"}, 1163.097, 1163.097),
        ({"Retry-After": "1337"}, 64.57, 1337.0),
        ({"Retry-After": "64570"}, 64.57, 64.57),
        ({"Retry-After": "soon"}, 2, 2.0),
        ({"Retry-After": "3"}, 0, 3.0),
        ({"Retry-After": "-3"}, -1, None),
        ({"Retry-After": "Thu, 06 Aug 2026 11:31:31 GMT", "Date": DATE}, math.nan, 30.0),
        ({"Retry-After": "Thu, 06 Aug 2026 11:31:31 GMT"}, math.nan, None),
        ({"Retry-After": "Thu, 06 Aug 2026 11:00:00 GMT", "Date": DATE}, math.nan, None),
        ({}, float(EPOCH), None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "7"}, 0, 7.0),
        ({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset-After": "7"}, 0, None),
    ],
)
def test_retry_after_is_the_larger_of_what_can_be_believed(headers: Any, body: Any, expected: Any) -> None:
    """Without the header's rounding; the reset stands in only for a bucket that is empty."""
    assert read_rate_limit_info(429, headers, {**API, "retry_after": body}).retry_after == expected


def test_the_channel_is_read_off_a_saved_message_only() -> None:
    """Not off an error, and only if it is a text."""
    assert read_rate_limit_info(200, {}, {"channel_id": "7"}).channel_id == "7"
    assert read_rate_limit_info(400, {}, {"channel_id": "7"}).channel_id is None
    assert read_rate_limit_info(200, {}, {"channel_id": 7}).channel_id is None
    assert read_rate_limit_info(200, {}, {"channel_id": " "}).channel_id is None


@given(value=st.text(), status=st.integers(0, 999))
def test_no_text_in_any_header_is_an_error(value: str, status: int) -> None:
    """Every header holds the same arbitrary text."""
    names = ["Date", "Retry-After", *(f"X-RateLimit-{end}" for end in ("Limit", "Remaining", "Reset", "Reset-After"))]
    answer = read_rate_limit_info(status, dict.fromkeys(names, value), {"retry_after": value, "code": value})
    assert answer.retry_after is None or 0 < answer.retry_after <= 30 * 86_400
