"""The rate limits in a response are believed only where they make sense."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._discord.rate_limit_headers import RateLimitInfo, parse_number, read_rate_limit_info
from discord_logging._text.sanitize import register_token

DATE = "Thu, 06 Aug 2026 11:31:01 GMT"
EPOCH = 1786015861
API = {"message": "You are being rate limited.", "retry_after": 64.57, "global": False}


def test_the_example_of_the_documentation_is_read() -> None:
    """Every value of the example is found."""
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


def test_a_bucket_that_repeats_the_token_is_masked() -> None:
    """A server may put the address of the request anywhere, and the name of the bucket is shown."""
    token = "aB3xK9-qLmN7_pQrStUvWxYz" * 3
    register_token(token)
    info = read_rate_limit_info(200, {"X-RateLimit-Bucket": f"POST:{token}"}, {"channel_id": token})
    assert info == RateLimitInfo(bucket="POST:***", channel_id="***")


def test_a_response_without_rate_limits_yields_no_values() -> None:
    """The response has neither headers nor a body."""
    assert read_rate_limit_info(204, {}, None) == RateLimitInfo()


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_names_of_headers_come_in_any_case(spell: Any) -> None:
    """HTTP/2 writes the names in lower case, and other servers write them in any case."""
    headers = {spell(name): value for name, value in {"X-RateLimit-Remaining": "3", "X-RateLimit-Limit": "5"}.items()}
    info = read_rate_limit_info(200, headers, None)
    assert (info.limit, info.remaining) == (5, 3)


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
    """Other values are not numbers, even where Python would read them."""
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
    """A limit of 0 or of a million is not believed, and a bucket with a negative remainder is empty."""
    info = read_rate_limit_info(200, {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining}, None)
    assert (info.limit, info.remaining) == expected


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
def test_the_reset_is_relative_or_read_off_the_date_of_the_response(
    reset_after: Any, reset: Any, date: Any, expected: Any
) -> None:
    """No clock of ours counts, and neither an instant nor milliseconds count as a time to wait."""
    headers = {"X-RateLimit-Reset-After": reset_after, "X-RateLimit-Reset": reset, "Date": date}
    info = read_rate_limit_info(200, {name: value for name, value in headers.items() if value is not None}, None)
    assert info.reset_after == (None if expected is None else pytest.approx(expected))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs tzset")
def test_dates_do_not_depend_on_the_local_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date without a known zone is read as UTC, not as local time."""
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
def test_a_429_has_a_scope(headers: Any, body: Any, scope: Any) -> None:
    """A 429 of the API has a numeric retry_after in its JSON, or the API's headers; `Via` proves nothing."""
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
def test_other_responses_have_the_scope_of_the_edge_or_no_scope(status: Any, body: Any, scope: Any) -> None:
    """A 403 that is not from the API, and the code 40333, come from the edge."""
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
def test_retry_after_is_the_larger_believable_value(headers: Any, body: Any, expected: Any) -> None:
    """A header that is merely rounded up is not larger; the reset counts only if the bucket is empty."""
    assert read_rate_limit_info(429, headers, {**API, "retry_after": body}).retry_after == expected


def test_the_channel_is_read_only_off_a_saved_message() -> None:
    """An error names no channel, and a channel that is not a text is not believed."""
    assert read_rate_limit_info(200, {}, {"channel_id": "7"}).channel_id == "7"
    assert read_rate_limit_info(400, {}, {"channel_id": "7"}).channel_id is None
    assert read_rate_limit_info(200, {}, {"channel_id": 7}).channel_id is None
    assert read_rate_limit_info(200, {}, {"channel_id": " "}).channel_id is None


@given(value=st.text(), status=st.integers(0, 999))
def test_no_text_in_a_header_raises_an_error(value: str, status: int) -> None:
    """Every header holds the same arbitrary text."""
    names = ["Date", "Retry-After", *(f"X-RateLimit-{end}" for end in ("Limit", "Remaining", "Reset", "Reset-After"))]
    info = read_rate_limit_info(status, dict.fromkeys(names, value), {"retry_after": value, "code": value})
    assert info.retry_after is None or 0 < info.retry_after <= 30 * 86_400
