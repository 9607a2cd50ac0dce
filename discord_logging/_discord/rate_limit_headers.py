"""This module reads what an HTTP response says about rate limits, as if an enemy had written it.

A proxy, an edge network or another implementation of the API may have responded instead of Discord, so every header is
optional and every value may be nonsense. A value that cannot be true counts as missing: never as 0, never as an error.
The forms are those of https://docs.discord.com/developers/topics/rate-limits#header-format.
"""

from __future__ import annotations

import math
from datetime import timezone
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.sanitize import mask_token

if TYPE_CHECKING:
    from collections.abc import Mapping

# float() alone accepts "1_000", "nan", "infinity" and the digits of every script.
_NUMBER = lazy_pattern(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MAX_SECONDS = 30 * 86_400.0
"""The longest time that is believed, in seconds."""
_MAX_COUNT = 1_000_000
"""The number of requests from which on a count is not believed."""
_BLOCKED_BY_EDGE = 40333
"""The error code of a block by the edge network."""
_API_HEADERS = ("x-ratelimit-scope", "x-ratelimit-global", "x-ratelimit-bucket", "x-ratelimit-remaining")


class RateLimitInfo(NamedTuple):
    """The rate limits that one response names; None means "not named, or not to be believed".

    Attributes:
        bucket: The hash of the bucket, `X-RateLimit-Bucket`.
        limit: Requests that a full bucket allows, at least 1.
        remaining: Requests left in the bucket, at least 0; a negative number counts as 0.
        reset_after: Seconds until the bucket is full again, more than 0.
        scope: None if the request was not refused for its rate; else "user", "shared" or "global", or "edge" if it was
            not the API that refused.
        retry_after: Seconds that a refusal asks to wait, more than 0 and at most 30 days.
        channel_id: The channel that the message of a 2xx response went to.
    """

    bucket: str | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_after: float | None = None
    scope: str | None = None
    retry_after: float | None = None
    channel_id: str | None = None


def read_rate_limit_info(status: int, headers: Mapping[str, str], body: object) -> RateLimitInfo:
    """Read the rate limits off a response.

    Args:
        status: The HTTP status.
        headers: The headers, their names in any case.
        body: The parsed JSON, or anything else if the body was not JSON.

    Returns:
        The values that can be believed.
    """
    head: dict[str, object] = {str(name).lower(): value for name, value in headers.items()}
    data: dict[object, object] = body if isinstance(body, dict) else {}
    remaining = _remaining(head)
    reset_after = _reset_after(head)
    scope = _scope(status, head, data)
    retry_after = _retry_after(head, data) if scope else None
    if retry_after is None and scope not in {None, "edge"} and not remaining:
        retry_after = reset_after
    return RateLimitInfo(
        bucket=_text(head.get("x-ratelimit-bucket")),
        limit=_count(head.get("x-ratelimit-limit"), least=1),
        remaining=remaining,
        reset_after=reset_after,
        scope=scope,
        retry_after=retry_after,
        channel_id=_text(data.get("channel_id")) if 200 <= status < 300 else None,  # noqa: PLR2004 (2xx)
    )


def parse_number(value: object) -> float | None:
    """Return a JSON or header value as a finite number, or None if it is anything else."""
    if isinstance(value, str):
        # float() strips fewer kinds of white space than strip().
        value = value.strip()
        if _NUMBER.fullmatch(value) is None:
            return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _scope(status: int, head: Mapping[str, object], data: Mapping[object, object]) -> str | None:
    code = parse_number(data.get("code"))
    if status >= 400 and code == _BLOCKED_BY_EDGE:  # noqa: PLR2004 (4xx, 5xx)
        return "edge"
    if status == 403:  # noqa: PLR2004 (forbidden)
        return "edge" if code is None else None
    if status != 429:  # noqa: PLR2004 (too many requests)
        return None
    retry_after = data.get("retry_after")
    is_number = isinstance(retry_after, (int, float)) and not isinstance(retry_after, bool)
    if not is_number and parse_number(retry_after) is None and not any(name in head for name in _API_HEADERS):
        return "edge"
    scope = str(head.get("x-ratelimit-scope")).strip().lower()
    if scope == "global" or data.get("global") is True or _is_true(head.get("x-ratelimit-global")):
        return "global"
    return "shared" if scope == "shared" else "user"


def _retry_after(head: Mapping[str, object], data: Mapping[object, object]) -> float | None:
    """Return the larger of body and header, because either may be too small, but not a header that is rounded up."""
    in_body = _duration(parse_number(data.get("retry_after")))
    value = head.get("retry-after")
    in_header = _duration(parse_number(value)) or _duration(_between(head.get("date"), _epoch(value)))
    if in_body is None or in_header is None:
        return in_body or in_header
    is_in_milliseconds = abs(in_header - in_body * 1000) < 1
    return in_body if in_header <= math.ceil(in_body) or is_in_milliseconds else in_header


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the header `Retry-After` asks to wait, or None if it cannot be believed.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    return _retry_after({str(name).lower(): value for name, value in headers.items()}, {})


def _remaining(head: Mapping[str, object]) -> int | None:
    number = parse_number(head.get("x-ratelimit-remaining"))
    return None if number is None else _count(max(number, 0.0), least=0)


def _reset_after(head: Mapping[str, object]) -> float | None:
    """Return the relative time, or else the absolute one minus the date of the response; no clock of ours counts."""
    relative = _duration(parse_number(head.get("x-ratelimit-reset-after")))
    return relative or _duration(_between(head.get("date"), parse_number(head.get("x-ratelimit-reset"))))


def _between(date: object, epoch: float | None) -> float | None:
    start = _epoch(date)
    return None if start is None or epoch is None else epoch - start


def _duration(seconds: float | None) -> float | None:
    """Return `seconds` if it may be a time to wait, and not 0, the past, an instant or a number of milliseconds."""
    return seconds if seconds is not None and 0 < seconds <= _MAX_SECONDS else None


def _epoch(value: object) -> float | None:
    """Return an HTTP date as seconds since the epoch, or None if `value` is not a date."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - http.client has imported it by then

    if not isinstance(value, str):
        return None
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _count(value: object, *, least: int) -> int | None:
    number = parse_number(value)
    return int(number) if number is not None and least <= number < _MAX_COUNT else None


def _text(value: object) -> str | None:
    # The server may repeat the address of the request.
    return mask_token(value.strip()) or None if isinstance(value, str) else None


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")
