"""Discord's rate limits, as pure functions of ``now``.

A request passes, in this order, the global limit, the bucket of its webhook, and the hidden limits of the channel. One
bucket counts all requests for messages: to post, read, edit and delete them. Requests for the webhook itself have none.
The headers of every response show the bucket alone. A 429 shows the channel's limits, together with headers of a bucket
that has requests left. All webhooks show the same bucket hash, although each has its own bucket. Every request counts
in the bucket, whatever its response is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from . import _answers

if TYPE_CHECKING:
    from ._answers import Answer

Limit = tuple[int, float]

_BAN_SECONDS = 3600.0
_BUCKET_HASH = "b9f2a5d07a6b3c9f51d4b8e0c7a16e42"
_OLD_EDITS: Limit = (3, 6.0)
"""The edits that a channel takes for messages that are older than an hour; Discord does not document the number."""
_MAX_BUCKETS = 10_000
_MAX_LEVELS = 8


@dataclass(frozen=True)
class Take:
    """The result of taking one request from a bucket; times are in seconds from then."""

    allowed: bool
    limit: int
    remaining: int
    reset_after: float
    retry_after: float


@dataclass(frozen=True)
class Level:
    """How much of a limit is used; `reset_after` is the time in seconds until all of it is free."""

    name: str
    limit: int
    used: int
    reset_after: float


class Bucket(Protocol):
    """A limit from which requests are taken."""

    def level(self, name: str, now: float) -> Level:
        """Return how much is used at the time `now`; nothing is taken."""

    def take(self, now: float) -> Take:
        """Take one request at the time `now`."""


class Window:
    """A fixed window, which begins with a request, lets `limit` requests pass, and ends `seconds` later."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._used = 0
        self._end = -math.inf

    def take(self, now: float) -> Take:
        """Take one request at the time `now`."""
        if now >= self._end:
            self._end, self._used = now + self._seconds, 0
        allowed = self._used < self._limit
        self._used += allowed
        left = self._end - now
        return Take(allowed, self._limit, self._limit - self._used, left, 0.0 if allowed else left)

    def level(self, name: str, now: float) -> Level:
        """Return how much is used at the time `now`; nothing is taken."""
        open_now = now < self._end
        return Level(name, self._limit, self._used if open_now else 0, self._end - now if open_now else 0.0)


class LeakyBucket:
    """A sliding limit: one slot becomes free every `seconds` / `limit`; the reset is when all slots are free."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._slot = seconds / limit
        self._empty_at = -math.inf

    def take(self, now: float) -> Take:
        """Take one request at the time `now`."""
        empty_at = max(self._empty_at, now) + self._slot
        # A rounding error must not refuse a client that has waited exactly for `retry_after`.
        retry_after = empty_at - now - self._limit * self._slot
        allowed = retry_after <= self._slot * 1e-6
        if allowed:
            self._empty_at = empty_at
        left = self._empty_at - now
        remaining = max(0, math.floor(self._limit - left / self._slot + 1e-6))
        return Take(allowed, self._limit, remaining, left, 0.0 if allowed else retry_after)

    def level(self, name: str, now: float) -> Level:
        """Return how much is used at the time `now`; nothing is taken."""
        left = max(0.0, self._empty_at - now)
        return Level(name, self._limit, math.ceil(left / self._slot - 1e-6), left)


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass; `scope` is the scope of the limit that it hit, or `None`."""

    scope: str | None
    retry_after: float
    bucket: Take | None

    def answer(self) -> Answer | None:
        """Return the response with status 429, or `None` for a request that may pass."""
        return None if self.scope is None else _answers.rate_limited(_milliseconds(self.retry_after), self.scope)

    def headers(self, wall: float) -> dict[str, str]:
        """Return the headers of the bucket at the wall time `wall`, in seconds since the epoch."""
        if self.bucket is None:
            return {}
        return {
            "X-RateLimit-Limit": str(self.bucket.limit),
            "X-RateLimit-Remaining": str(self.bucket.remaining),
            "X-RateLimit-Reset": f"{wall + self.bucket.reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{_milliseconds(self.bucket.reset_after):.3f}",
            "X-RateLimit-Bucket": _BUCKET_HASH,
        }


class RateLimits:
    """All limits together; each is (requests, seconds), or `None` for no limit."""

    def __init__(
        self,
        *,
        webhook: Limit | None,
        channel: Limit | None,
        everybody: Limit | None,
        invalid: Limit | None,
        sliding: bool,
    ) -> None:
        self._webhook = webhook
        self._channel = channel
        self._everybody = Window(*everybody) if everybody else None
        self._invalid = Window(*invalid) if invalid else None
        self._kind = LeakyBucket if sliding else Window
        self._buckets: dict[str, Bucket] = {}
        self._channels: dict[str, Bucket] = {}
        self._old_edits: dict[str, Bucket] = {}
        self._banned_until = -math.inf

    def take(self, webhook_id: str | None, channel_id: str | None, now: float) -> Verdict:
        """Take a request.

        Args:
            webhook_id: The webhook whose bucket counts the request; `None` for requests that no bucket counts.
            channel_id: The channel whose limit counts the request; `None` for requests that it does not count.
            now: A monotonic time in seconds.
        """
        if self._everybody and not (everybody := self._everybody.take(now)).allowed:
            return Verdict("global", everybody.retry_after, None)
        take = None
        if self._webhook and webhook_id is not None:
            bucket = self._buckets.setdefault(webhook_id, self._kind(*self._webhook))
            if len(self._buckets) > _MAX_BUCKETS:  # guessed ids must not fill the memory
                del self._buckets[next(iter(self._buckets))]
            take = bucket.take(now)
            if not take.allowed:
                return Verdict("user", take.retry_after, take)
        if self._channel and channel_id is not None:
            channel = self._channels.setdefault(channel_id, Window(*self._channel)).take(now)
            if not channel.allowed:
                return Verdict("shared", channel.retry_after, take)
        return Verdict(None, 0.0, take)

    def take_old_edit(self, channel_id: str, now: float) -> Answer | None:
        """Take an edit of a message that is older than an hour; return the 429 for one too many."""
        take = self._old_edits.setdefault(channel_id, Window(*_OLD_EDITS)).take(now)
        return None if take.allowed else _answers.too_many_old_edits(_milliseconds(take.retry_after))

    def levels(self, now: float) -> list[Level]:
        """Return how much of every limit is used at the time `now`, with the buckets of webhooks first."""
        buckets: dict[str, Bucket] = {}
        for kind, existing in (("webhook", self._buckets), ("channel", self._channels)):
            for key, bucket in list(existing.items())[-_MAX_LEVELS:]:
                buckets[f"{kind} …{key[-4:]}"] = bucket
        named = {**buckets, "global": self._everybody, "invalid requests": self._invalid}
        return [bucket.level(name, now) for name, bucket in named.items() if bucket]

    def count_invalid(self, now: float) -> None:
        """Count an invalid request; the last allowed one bans the address."""
        if self._invalid and not self._invalid.take(now).remaining:
            self._banned_until = now + _BAN_SECONDS

    def banned(self, now: float) -> bool:
        """Return whether the address is banned."""
        return now < self._banned_until


def _milliseconds(seconds: float) -> float:
    return math.ceil(seconds * 1000) / 1000
