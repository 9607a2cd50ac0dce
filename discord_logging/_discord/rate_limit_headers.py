"""What an HTTP answer says about rate limits, read as if an enemy had written it.

Proxies, an edge network and other implementations of the API may have spoken instead of Discord, so every header is
optional and every value may be nonsense. What cannot be what its name says is treated as missing: never as 0, never as
an error. The forms are those of https://docs.discord.com/developers/topics/rate-limits#header-format.
"""

from __future__ import annotations

import math
import re
from datetime import timezone
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# float() alone takes "1_000", "nan", "infinity" and the digits of every script.
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MAX_SECONDS = 30 * 86_400.0
_MAX_COUNT = 1_000_000
_BLOCKED_BY_EDGE = 40333
_API_HEADERS = ("x-ratelimit-scope", "x-ratelimit-global", "x-ratelimit-bucket", "x-ratelimit-remaining")


class RateLimitInfo(NamedTuple):
    """One answer's word on rate limits; None is "not said, or not believable".

    Attributes:
        bucket: The hash of the bucket, `X-RateLimit-Bucket`.
        limit: Requests that a full bucket allows, at least 1.
        remaining: Requests left in the bucket, at least 0; a negative number counts as 0.
        reset_after: Seconds until the bucket is full again, more than 0.
        scope: None when the request was not refused for its rate, else "user", "shared" or "global", or "edge" when it
            was not the API that refused.
        retry_after: Seconds that a refusal asks to wait, more than 0 and at most 30 days.
        channel_id: The channel that the message of a 2xx answer went to.
    """

    bucket: str | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_after: float | None = None
    scope: str | None = None
    retry_after: float | None = None
    channel_id: str | None = None


def read_rate_limit_info(status: int, headers: Mapping[str, str], body: object) -> RateLimitInfo:
    """Read an answer.

    Args:
        status: The HTTP status.
        headers: The headers, their names in any case.
        body: The parsed JSON, or anything else when the body was none.

    Returns:
        What could be believed of it.
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
    """Read a JSON or header value as a finite number, or None if it is anything else."""
    if isinstance(value, str):
        # float() takes fewer characters for space than strip().
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
    told = data.get("retry_after")
    numeric = parse_number(told) is not None or (isinstance(told, (int, float)) and not isinstance(told, bool))
    if not numeric and not any(name in head for name in _API_HEADERS):
        return "edge"
    scope = str(head.get("x-ratelimit-scope")).strip().lower()
    if scope == "global" or data.get("global") is True or _is_true(head.get("x-ratelimit-global")):
        return "global"
    return "shared" if scope == "shared" else "user"


def _retry_after(head: Mapping[str, object], data: Mapping[object, object]) -> float | None:
    """Return the larger of body and header, for each has been seen too small, but without the header's rounding."""
    told = _duration(parse_number(data.get("retry_after")))
    value = head.get("retry-after")
    header = _duration(parse_number(value)) or _duration(_between(head.get("date"), _epoch(value)))
    if told is None or header is None:
        return told or header
    in_milliseconds = abs(header - told * 1000) < 1
    return told if header <= math.ceil(told) or in_milliseconds else header


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the header `Retry-After` asks to wait, or None if it says nothing believable.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    return _retry_after({str(name).lower(): value for name, value in headers.items()}, {})


def _remaining(head: Mapping[str, object]) -> int | None:
    number = parse_number(head.get("x-ratelimit-remaining"))
    return None if number is None else _count(max(number, 0.0), least=0)


def _reset_after(head: Mapping[str, object]) -> float | None:
    """Return the relative time; else the absolute one against the answer's own date, never against a clock of ours."""
    told = _duration(parse_number(head.get("x-ratelimit-reset-after")))
    return told or _duration(_between(head.get("date"), parse_number(head.get("x-ratelimit-reset"))))


def _between(date: object, epoch: float | None) -> float | None:
    start = _epoch(date)
    return None if start is None or epoch is None else epoch - start


def _duration(seconds: float | None) -> float | None:
    """Drop what is no time to wait: nothing, 0, the past, and instants or milliseconds that pose as seconds."""
    return seconds if seconds is not None and 0 < seconds <= _MAX_SECONDS else None


def _epoch(value: object) -> float | None:
    """Read an HTTP date as seconds since the epoch."""
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
    return value.strip() or None if isinstance(value, str) else None


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")
