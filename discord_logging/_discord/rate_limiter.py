"""The limiter says when the next request may leave. It obeys Discord's rate limits for webhooks before they are hit.

Theory
======

Several limits stack, and a request may leave when no limit forbids it
(https://docs.discord.com/developers/topics/rate-limits).

========== ========================== ============================= ================================================
Limit      Reach                      Source of our knowledge       How we obey it
========== ========================== ============================= ================================================
bucket     one webhook                `X-RateLimit-*` headers       we count down; at 0 we wait for `Reset-After`
channel    all webhooks of a channel  a `shared` 429, and only that a sliding window: 30 in 60 s unless set otherwise
global     this process               a `global` 429                a sliding window: 50 a second
edge block this process and one host  a 429 or 403 not of the API   we wait, ever longer; then one request probes
invalid    this process and one host  nothing, until the ban        see `invalid_requests`
========== ========================== ============================= ================================================

*Buckets.* Nothing is known of a webhook before its first response, so its first request is a probe; no second request
of that webhook is in flight meanwhile. The key is the webhook and never the hash alone, because different webhooks show
the same hash. The newest response wins. After a response without headers (a gateway error) or a lost connection, our
own count goes on. `Reset-After` means "full again", with fixed windows and with sliding ones, so waiting for it is
always enough.

*Windows.* The server counts a request when it arrives, which is some time between our sending it and our reading the
response. So that the server never counts one too many, we count a request from its response on, and until then as if it
arrived now.

*Refusals.* A 429 says when the next request passes, and knows better than all our counting: we wait for exactly that
time, and then one request may leave. Its scope says who waits: `user` the webhook, `shared` every webhook known to post
to the channel, `global` the process. A `shared` refusal although we had sent less than the limit means that others post
there too: the limit falls to what we had sent, by half at most; every five windows half of the loss comes back.

*Pace.* A program need not spend at once what a limit allows: `pace` decides that from what `budget` returns.

*Time.* The caller gives all times, in `time.monotonic()` seconds; the limiter reads no clock. Every wait gets 25 ms on
top.
"""

from __future__ import annotations

import math
import os
import weakref
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._discord.invalid_requests import STOP_AT, WINDOW, InvalidRequestGuard
from discord_logging._discord.pace import Budget, Pace, Urgency
from discord_logging._discord.rate_limit_headers import RateLimitInfo, read_rate_limit_info
from discord_logging._process.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HOST = "discord.com"
_PAST = -math.inf
_PAD = 0.025
"""The seconds that are added to every wait, because clocks drift and timers fire early."""
_INSTANT = 1e-6
"""The longest wait that is a mere rounding error, in seconds."""
_DEFAULT_RESET = 1.0
"""The seconds until a bucket is full again, if no response has named a time."""
_MAX_RESET = 120.0
"""The longest time to a reset that is believed, in seconds. A longer one is likely nonsense, because no request was
refused yet; if it is right after all, a single 429 corrects us."""
_MAX_RETRY = 3_600.0
"""The longest wait after a refusal by the API, or after an edge block that names no time, in seconds."""
_MAX_DEFAULT_RETRY = 300.0
"""The longest wait after a refusal by the API that names no time, in seconds."""
_EDGE_RETRY = 60.0
"""The first wait after an edge block that names no time, in seconds."""
_MAX_EDGE_RETRY = 86_400.0
"""The longest wait that an edge block may ask for, in seconds."""
_PROBE_PATIENCE = 120.0
"""The seconds after which we give up a probe that nobody reports on."""
_IN_FLIGHT = 10.0
"""The seconds after which an unanswered request counts as answered, so that hung requests do not hold up all others."""
_RECOVERY_WINDOWS = 5
"""The number of windows after which a channel gets back half of its lost limit."""
_UNLIMITED = 1_000_000
"""The limit that stands for no limit."""
_ASKING = 0.5
"""The seconds for which a webhook that asked for its budget counts as one that has something to send."""
_IDLE = 600.0
"""The seconds after which an idle webhook is forgotten."""

lock = Lock()
"""The lock that all limiters of the process share."""


def _after_fork_in_child() -> None:
    global lock  # noqa: PLW0603 (the thread that held the old lock does not exist in a forked child)
    lock = Lock()


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows does not fork)
    os.register_at_fork(after_in_child=_after_fork_in_child)


class RateLimitHit(NamedTuple):
    """The meaning of a refusal.

    Attributes:
        scope: "user", "shared", "global", or "edge" when it was not the API that refused.
        retry_after: Seconds to wait from the response on, within sane bounds.
    """

    scope: str
    retry_after: float


@dataclass
class RateLimitBucket:
    """The bucket of one webhook, as its responses and the requests since then describe it.

    Attributes:
        id: The hash that Discord gives the bucket, or None while unknown.
        limit: Requests that a full bucket allows, or None while unknown: then nothing holds a request back.
        remaining: Requests left until `reset_at`.
        reset_at: The monotonic time at which the bucket is full again.
        window: The longest time to a reset that a response named, in seconds. It stands in where a response names
            no time.
        updated_at: The monotonic time of the newest response.
    """

    id: str | None = None
    limit: int | None = None
    remaining: int = 0
    reset_at: float = _PAST
    window: float = 0.0
    updated_at: float = _PAST

    def left(self, now: float) -> int | None:
        """Return how many requests are left at `now`, or None while unknown."""
        return self.limit if self._full(now) else self.remaining

    def wait_time(self, now: float) -> float:
        """Return the seconds until a request may leave, or 0.0 if it may leave at once."""
        return self.reset_at + _PAD - now if self.left(now) == 0 else 0.0

    def use(self, now: float) -> None:
        """Count a request that leaves at `now`."""
        self.remaining = max(0, (self.left(now) or 0) - 1)
        if self._full(now):
            self.reset_at = now + self.window

    def update(self, info: RateLimitInfo, now: float) -> None:
        """Learn from a response that arrived at `now`, unless a newer one has arrived already."""
        if now < self.updated_at:
            return
        self.updated_at = now
        if info.bucket is not None and info.bucket != self.id:
            self.id, self.window = info.bucket, 0.0
        was_unknown = self.limit is None
        self.limit = info.limit or self.limit or (None if info.remaining is None else info.remaining + 1)
        if self.limit is None:
            return
        counted = self.limit - 1 if was_unknown else self.remaining
        self.remaining = min(self.limit, counted if info.remaining is None else info.remaining)
        if info.reset_after is not None:
            reset_after = min(info.reset_after, _MAX_RESET)
            self.window = max(self.window, reset_after)
            self.reset_at = now + reset_after
        else:  # even a sliding window is full again when it has passed once more
            self.reset_at = max(self.reset_at, now + (self.window or _DEFAULT_RESET))

    def refused(self, until: float) -> None:
        """Note that a refusal lets the next request pass at `until`."""
        if self.remaining == 0:
            self.reset_at = until - _PAD

    def _full(self, now: float) -> bool:
        return self.limit is None or now >= self.reset_at + _PAD


@dataclass(eq=False)
class _Request:
    sent_at: float
    answered_at: float | None = None

    def counted_at(self, now: float) -> float:
        """Return from when on the request counts: from its response, or, until that arrives, from `now`."""
        return min(now, self.sent_at + _IN_FLIGHT) if self.answered_at is None else self.answered_at


class _Window:
    """Allows at most `limit` requests in any `span` seconds, in whichever way the server counts."""

    windows_kept = 1

    def __init__(self, limit: int, span: float) -> None:
        self.limit = limit
        self.span = span
        self.requests: list[_Request] = []

    def add(self, request: _Request, now: float) -> None:
        kept = self.windows_kept * self.span
        self.requests = [old for old in self.requests if old.counted_at(now) + kept > now]
        self.requests.append(request)

    def count(self, now: float) -> int:
        return len(self._counted(now))

    def _counted(self, now: float) -> list[_Request]:
        return [request for request in self.requests if request.counted_at(now) + self.span > now]

    def free_at(self, now: float) -> float:
        if len(self.requests) < self.limit:
            return _PAST
        return sorted(request.counted_at(now) for request in self.requests)[-self.limit] + self.span

    def make_room(self, until: float) -> None:
        """Forget the oldest requests, so that one more may leave at `until`."""
        while self.free_at(until) > until:
            self.requests.remove(min(self._counted(until), key=lambda request: request.counted_at(until)))


class _Channel(_Window):
    """The hidden allowance of a channel, learned and unlearned."""

    windows_kept = 5  # `Pace` computes from their requests how full its bucket is

    def __init__(self, limit: int, span: float) -> None:
        super().__init__(limit, span)
        self.ceiling = limit
        self.blocked_until = _PAST
        self.lowered_at = _PAST

    @property
    def is_limited(self) -> bool:
        return self.ceiling < _UNLIMITED

    @property
    def sent(self) -> tuple[float, ...]:
        return tuple(sorted(map(attrgetter("sent_at"), self.requests)))

    def add(self, request: _Request, now: float) -> None:
        if self.is_limited:
            super().add(request, now)

    def left(self, now: float) -> int | None:
        return max(0, self.limit - self.count(now)) if self.is_limited else None

    def lower(self, own: int, sent_at: float, now: float) -> None:
        """Learn that others post here too: after `own` requests, one was refused that left at `sent_at`."""
        if self.is_limited and sent_at >= self.lowered_at:  # refusals of earlier requests say nothing new
            self.limit = max(1, min(self.limit, max(own, self.limit // 2)))
            self.lowered_at = now

    def recover(self, now: float) -> None:
        while self.limit < self.ceiling and now >= self.lowered_at + _RECOVERY_WINDOWS * self.span:
            self.limit += math.ceil((self.ceiling - self.limit) / 2)
            self.lowered_at += _RECOVERY_WINDOWS * self.span

    def absorb(self, other: _Channel) -> None:
        self.requests += other.requests
        self.blocked_until = max(self.blocked_until, other.blocked_until)


@dataclass
class _EdgeBlock:
    """A block of our address by the network in front of a host. After a wait, one request at a time probes it."""

    strikes: int = 0
    until: float = _PAST
    interval: float = 0.0
    probe: _Request | None = None

    def free_at(self, now: float) -> float:
        if self.probe is None:
            return self.until
        return max(self.until, min(now + 1.0, self.probe.sent_at + _PROBE_PATIENCE))

    def sent(self, request: _Request) -> None:
        if self.strikes:
            self.probe = request

    def refused(self, retry_after: float | None, request: _Request | None, now: float) -> float:
        """Start or prolong the block; only a new one and a refused probe make it grow."""
        if not self.strikes or (request is not None and request is self.probe):
            self.strikes += 1
            self.probe = None
        if retry_after is None:
            self.interval = min(_EDGE_RETRY * 2.0 ** min(self.strikes - 1, 20), _MAX_RETRY)
        else:  # we obey it to the letter, unless a short time comes again and again
            least = min(2.0 ** min(self.strikes - 4, 20), _MAX_RETRY)
            self.interval = min(max(retry_after, least), _MAX_EDGE_RETRY)
        self.until = max(self.until, now + self.interval + _PAD)
        return self.interval

    def answered(self, request: _Request | None, now: float, *, passed: bool) -> None:
        if request is None or request is not self.probe:
            return
        self.probe = None
        if passed:
            self.strikes, self.until = 0, _PAST
        else:
            self.until = now + min(self.interval, _EDGE_RETRY) + _PAD


@dataclass
class _HostState:
    edge: _EdgeBlock = field(default_factory=_EdgeBlock)
    invalid: InvalidRequestGuard = field(default_factory=InvalidRequestGuard)

    def free_at(self, now: float) -> float:
        return max(self.edge.free_at(now), self.invalid.free_at(now))


@dataclass
class _WebhookState:
    channel: _Channel
    bucket: RateLimitBucket = field(default_factory=RateLimitBucket)
    channel_known: bool = False
    request: _Request | None = None
    blocked_until: float = _PAST
    refusals: int = 0
    seen_at: float = _PAST
    sent_at: float = _PAST
    asked_at: float = _PAST

    def settle(self, now: float) -> _Request | None:
        """End the request in flight, if any."""
        request, self.request = self.request, None
        if request is not None:
            request.answered_at = now
        self.seen_at = now
        return request

    def refused(self, retry_after: float | None, request: _Request | None) -> float:
        """Return how long to wait after a refusal by the API."""
        if request is not None or not self.refusals:  # a response that is reported twice is one refusal
            self.refusals += 1
        if retry_after is None:
            return min(2.0 ** min(self.refusals - 1, 20), _MAX_DEFAULT_RETRY)
        least = min(0.01 * 2.0 ** min(self.refusals, 20), 0.25)
        return min(max(retry_after, least), _MAX_RETRY)

    def budget(self, now: float, behind: int | None = None) -> Budget:
        channel = self.channel
        channel.recover(now)
        return Budget(
            replace(self.bucket),
            channel.limit if channel.is_limited else None,
            channel.left(now),
            channel.span,
            channel.sent,
            behind,
        )

    def idle_at(self) -> float:
        idle = max(_IDLE, self.channel.span)
        return max(self.seen_at + idle, self.blocked_until, self.channel.blocked_until)


class DiscordRateLimiter:
    """Knows when a request may leave. One limiter serves all webhooks and threads of a process; it never waits itself.

    In all methods `webhook` is a string that stands for the webhook (not its token), `now` is `time.monotonic()`, and
    `host` is the host that the request goes to.

    Args:
        channel_limit: Requests that a channel takes within `channel_window` from all its webhooks, which no header
            says. The default is 30, the least 1; None means that there is no such limit.
        channel_window: Seconds. The default is 60.
        global_limit: Requests per second of the whole process. The default is 50, the least 1.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(self, *, channel_limit: int | None = 30, channel_window: float = 60.0, global_limit: int = 50) -> None:
        if (channel_limit is not None and channel_limit < 1) or global_limit < 1:
            raise ValueError("a limit must be at least 1; a channel_limit of None means no limit")
        if not 0 < channel_window < math.inf:
            raise ValueError("channel_window must be a positive number of seconds")
        self._channel_limit = channel_limit
        self._channel_window = channel_window
        self._global_limit = global_limit
        self._channel_limits: dict[str, int | None] = {}
        self._forget()

    def set_channel_limit(self, webhook: str, limit: int | None) -> None:
        """Set how many requests the channel of a webhook takes within `channel_window`; None means any number.

        Raises:
            ValueError: The limit is less than 1.
        """
        if limit is not None and limit < 1:
            raise ValueError("a limit must be at least 1; None means no limit")
        with lock.hold():
            self._channel_limits[webhook] = limit
            if webhook in self._webhooks:
                channel = self._webhooks[webhook].channel
                channel.limit = channel.ceiling = limit or _UNLIMITED

    def acquire(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> float:
        """Ask whether a request may leave, and count it if it may.

        Returns:
            0.0 if the request may leave now: it has been counted, and `update` or `failed` must follow.
            Else the seconds after which to ask again; nothing has been counted.
        """
        with lock:
            state = self._get_state(webhook, now)
            if state.request is not None:
                self._unanswered(state, host, now)
            wait = self._wait(state, host, now)
            if not wait:
                self._count(state, host, now)
            return wait

    def wait_time(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> float:
        """Return what `acquire` would, without counting anything."""
        with lock:
            return self._wait(self._webhooks.get(webhook) or self._new_state(webhook), host, now)

    def update(
        self,
        webhook: str,
        status: int,
        headers: Mapping[str, str],
        body: object,
        now: float,
        *,
        host: str = DEFAULT_HOST,
    ) -> RateLimitHit | None:
        """Learn from a response, whatever it is.

        Args:
            webhook: The webhook that was asked.
            status: The HTTP status.
            headers: The headers, their names in any case.
            body: The parsed JSON, or anything else if the body was not JSON.
            now: When the response arrived.
            host: The host that was asked.

        Returns:
            The refusal, if the response refused the request for its rate or blocked our address, else None.
        """
        info = read_rate_limit_info(status, headers, body)
        with lock:
            state = self._get_state(webhook, now)
            request = state.settle(now)
            state.bucket.update(info, now)
            if info.channel_id is not None and not state.channel_known:
                self._join(state, info.channel_id)
            host_state = self._get_host_state(host)
            if status in {401, 403, 429} and info.scope != "shared":
                host_state.invalid.add(now)
            if info.scope != "edge":
                host_state.edge.answered(request, now, passed=status < 500)  # noqa: PLR2004 (5xx may be the edge's)
            if info.scope is None:
                state.refusals = 0
                return None
            return self._refused(state, host_state, info, request, now)

    def failed(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> None:
        """Note that the request got no response; it may have arrived, so it stays counted."""
        with lock:
            self._unanswered(self._get_state(webhook, now), host, now)

    def budget(self, webhook: str, now: float) -> Budget:
        """Return the allowance of a webhook and the times of its channel's messages, and count nothing.

        A webhook that asks has something to send, and the other webhooks of the channel know that for half a second.
        """
        with lock:
            state = self._get_state(webhook, now)
            state.asked_at = now
            others = [
                other.sent_at
                for other in self._webhooks.values()
                if other.channel is state.channel and other is not state and other.asked_at > now - _ASKING
            ]
            return state.budget(now, sum(sent_at < state.sent_at for sent_at in others) if others else None)

    def info(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> dict[str, Any]:
        """Return the known limits of a webhook as plain data, ready for JSON; times are seconds from `now`."""
        with lock:
            state = self._webhooks.get(webhook) or self._new_state(webhook)
            host_state = self._hosts.get(host) or _HostState()
            bucket, channel = state.bucket, state.channel
            budget = state.budget(now)
            buckets = {}
            if bucket.limit is not None:
                buckets[bucket.id or "unknown"] = {
                    "limit": bucket.limit,
                    "remaining": bucket.left(now),
                    "reset_after": max(0.0, bucket.reset_at - now),
                    "wait_time": max(bucket.wait_time(now), state.blocked_until - now),
                }
            pace = Pace.of(budget)
            return {
                "global_rate_limit": _until(self._global_until, now),
                "buckets": buckets,
                "channel": {
                    "limit": budget.channel_limit,
                    "window": self._channel_window,
                    "remaining": budget.channel_left,
                    "wait_time": max(0.0, channel.blocked_until - now, channel.free_at(now) - now),
                },
                "pace": {
                    "interval": pace.interval if pace else None,
                    "wait_time": max(0.0, pace.free_at(Urgency.ROUTINE) - now) if pace else 0.0,
                },
                "edge_block": {**_until(host_state.edge.free_at(now), now), "active": host_state.edge.strikes > 0},
                "invalid_requests": {
                    "count": host_state.invalid.count(now),
                    "window": WINDOW,
                    "limit": STOP_AT,
                    "wait_time": max(0.0, host_state.invalid.free_at(now) - now),
                },
            }

    def reset(self, webhook: str | None = None) -> None:
        """Forget all about a webhook, or, if it is None, about all webhooks, the hosts and the global limit."""
        with lock:
            if webhook is None:
                self._forget()
            else:
                self._webhooks.pop(webhook, None)

    def _forget(self) -> None:
        self._webhooks: dict[str, _WebhookState] = {}
        self._channels: weakref.WeakValueDictionary[str, _Channel] = weakref.WeakValueDictionary()
        self._hosts: dict[str, _HostState] = {}
        self._global = _Window(self._global_limit, 1.0 + 2 * _PAD)
        self._global_until = _PAST
        self._clean_up_at = 64

    def _get_state(self, webhook: str, now: float) -> _WebhookState:
        state = self._webhooks.get(webhook)
        if state is None:
            if len(self._webhooks) >= self._clean_up_at:
                self._webhooks = {key: old for key, old in self._webhooks.items() if old.idle_at() > now}
                self._clean_up_at = 64 + 2 * len(self._webhooks)
            state = self._webhooks[webhook] = self._new_state(webhook)
            state.seen_at = now
        return state

    def _get_host_state(self, host: str) -> _HostState:
        if host not in self._hosts:
            self._hosts[host] = _HostState()
        return self._hosts[host]

    def _new_state(self, webhook: str) -> _WebhookState:
        limit = self._channel_limits.get(webhook, self._channel_limit)
        return _WebhookState(_Channel(limit or _UNLIMITED, self._channel_window + _PAD))

    def _wait(self, state: _WebhookState, host: str, now: float) -> float:
        state.channel.recover(now)
        host_state = self._hosts.get(host)
        wait = max(
            state.blocked_until - now,
            state.bucket.wait_time(now),
            state.channel.blocked_until - now,
            state.channel.free_at(now) - now,
            self._global_until - now,
            self._global.free_at(now) - now,
            host_state.free_at(now) - now if host_state else 0.0,
        )
        return wait if wait > _INSTANT else 0.0

    def _count(self, state: _WebhookState, host: str, now: float) -> None:
        request = state.request = _Request(now)
        state.seen_at = state.sent_at = now
        state.bucket.use(now)
        state.channel.add(request, now)
        self._global.add(request, now)
        host_state = self._get_host_state(host)
        host_state.edge.sent(request)
        host_state.invalid.sent(now)

    def _unanswered(self, state: _WebhookState, host: str, now: float) -> None:
        request = state.settle(now)
        state.bucket.update(RateLimitInfo(), now)
        self._get_host_state(host).edge.answered(request, now, passed=False)

    def _join(self, state: _WebhookState, channel_id: str) -> None:
        # A webhook joins only one channel: in a forum every message may open a thread of its own, and a new window for
        # each would limit nothing.
        state.channel_known = True
        channel = self._channels.setdefault(channel_id, state.channel)
        if channel is not state.channel:
            channel.absorb(state.channel)
            state.channel = channel

    def _refused(
        self, state: _WebhookState, host_state: _HostState, info: RateLimitInfo, request: _Request | None, now: float
    ) -> RateLimitHit:
        scope, channel = info.scope or "user", state.channel
        if scope == "edge":
            wait = host_state.edge.refused(info.retry_after, request, now)
        else:
            wait = state.refused(info.retry_after, request)
        until = now + wait + _PAD
        # A refused request posted nothing.
        channel.requests = [other for other in channel.requests if other is not request]
        if request is not None and (scope == "shared" or (scope == "user" and info.remaining)):
            channel.lower(channel.count(now), request.sent_at, now)
        if scope == "global":
            self._global_until = max(self._global_until, until)
        elif scope == "shared":
            channel.blocked_until = max(channel.blocked_until, until)
        elif scope == "user":
            state.blocked_until = max(state.blocked_until, until)
        state.bucket.refused(until)
        channel.make_room(until)
        return RateLimitHit(scope, wait)


def _until(deadline: float, now: float) -> dict[str, Any]:
    return {"active": deadline > now, "wait_time": max(0.0, deadline - now)}
