"""This module has what the next process that sends to a webhook must know of its limits, also on another machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from discord_logging._discord.rate_limit_state import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._discord.rate_limit_state import LimitState

_MAX_AHEAD = 86_400.0
"""The longest time from now that is believed, in seconds."""
_MAX_SENT = 1_000
"""The largest number of requests that are believed."""


def export_limits(state: LimitState, webhook: str, now: float, boot: float) -> dict[str, Any]:
    """Return the limits of a webhook as data that JSON keeps, whose times begin at `boot`, in seconds."""
    known = state.find(webhook)
    channel, bucket = known.channel, known.bucket
    sent = [request.counted_at(now) for request in channel.requests if request.counted_at(now) + channel.span > now]
    return {
        "sent": sorted(at + boot for at in sent)[-_MAX_SENT:],
        "blocked_until": _if_ahead(known.blocked_until, now, boot),
        "channel_blocked_until": _if_ahead(channel.blocked_until, now, boot),
        "bucket": [bucket.limit, bucket.remaining, bucket.reset_at + boot, bucket.window]
        if bucket.limit is not None and bucket.reset_at > now
        else None,
    }


def _if_ahead(at: float, now: float, boot: float) -> float | None:
    return at + boot if at > now else None


def restore_limits(state: LimitState, webhook: str, data: Any, now: float, boot: float) -> None:
    """Add what another process knew of the limits of a webhook. What is malformed is left out."""
    known = state.webhook(webhook, now)
    channel, bucket = known.channel, known.bucket

    def time(value: Any) -> float:
        at = float(value) - boot
        if not now - _MAX_AHEAD <= at <= now + _MAX_AHEAD:
            raise ValueError("a time is out of bounds")
        return at

    def read_sent() -> None:
        # A process of this machine has them already.
        missing = len(data["sent"]) - channel.count(now)
        times = [min(time(at), now) for at in data["sent"][-_MAX_SENT:]]
        channel.requests += [Request(at, answered_at=at) for at in times[len(times) - missing :] if missing > 0]

    def read_blocks() -> None:
        known.blocked_until = max(known.blocked_until, time(data["blocked_until"]))

    def read_channel_block() -> None:
        channel.blocked_until = max(channel.blocked_until, time(data["channel_blocked_until"]))

    def read_bucket() -> None:
        limit, remaining, reset_at, window = data["bucket"]
        reset_at, left = time(reset_at), bucket.left(now)
        if reset_at > now and math.isfinite(window):
            bucket.limit = bucket.limit or int(limit)
            bucket.remaining = max(min(int(remaining), int(limit) if left is None else left), 0)
            bucket.reset_at, bucket.window = max(bucket.reset_at, reset_at), max(bucket.window, float(window))

    for read in (read_sent, read_blocks, read_channel_block, read_bucket):
        _try(read)


def _try(read: Callable[[], None]) -> None:
    try:
        read()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return
