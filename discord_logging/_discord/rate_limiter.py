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

import contextlib
import json
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._discord.invalid_requests import STOP_AT, WINDOW
from discord_logging._discord.pace import Budget, Pace, Urgency
from discord_logging._discord.rate_limit_headers import RateLimitInfo, read_rate_limit_info
from discord_logging._discord.rate_limit_state import (
    ASKING,
    PAD,
    HostState,
    LimitSettings,
    LimitState,
    RateLimitBucket,
    Request,
    WebhookState,
)
from discord_logging._process import clock
from discord_logging._process.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from discord_logging._process.shared_page import SharedPage

__all__ = ["DEFAULT_HOST", "DiscordRateLimiter", "RateLimitBucket", "RateLimitHit", "lock"]

DEFAULT_HOST = "discord.com"
_INSTANT = 1e-6
"""The longest wait that is a mere rounding error, in seconds."""
_FUTURE = 1.0
"""The seconds by which the clock of another process may be ahead. One that is further ahead is another clock."""

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


class DiscordRateLimiter:
    """Knows when a request may leave. One limiter serves all webhooks and threads of a process; it never waits itself.

    In all methods `webhook` is a string that stands for the webhook (not its token), `now` is `time.monotonic()`, and
    `host` is the host that the request goes to.

    Args:
        channel_limit: Requests that a channel takes within `channel_window` from all its webhooks, which no header
            says. The default is 30, the least 1; None means that there is no such limit.
        channel_window: Seconds. The default is 60.
        global_limit: Requests per second of all webhooks. The default is 50, the least 1.
        page: Shared memory, in which all processes with such a page keep their limits together; a method then blocks
            for half a second at most. `None` means that the limits are those of this limiter alone.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        channel_limit: int | None = 30,
        channel_window: float = 60.0,
        global_limit: int = 50,
        page: SharedPage | None = None,
    ) -> None:
        if (channel_limit is not None and channel_limit < 1) or global_limit < 1:
            raise ValueError("a limit must be at least 1; a channel_limit of None means no limit")
        if not 0 < channel_window < math.inf:
            raise ValueError("channel_window must be a positive number of seconds")
        self._settings = LimitSettings(channel_limit, channel_window, global_limit, {})
        self._state = LimitState(self._settings)
        self._page = page
        self._token = os.urandom(4).hex()

    @property
    def _client(self) -> str:
        """The name of this process among those that share the limits."""
        return f"{os.getpid()}-{self._token}"

    @contextlib.contextmanager
    def _lock(self, now: float, *, changes: bool = True) -> Iterator[None]:
        """Lock the limits, also for other processes, and learn what these have written.

        Args:
            now: The time.
            changes: Whether the state changes meanwhile, unless `_changes` is set to false.
        """
        with lock:
            self._changes = changes
            if self._page is None:
                self._settle_others(now)
                yield
                return
            with self._page.hold() as is_held:
                if is_held:
                    self._read(self._page, now)
                else:
                    self._settle_others(now)
                yield
                if is_held and self._changes:
                    self._page.write(json.dumps(self._state.to_data(now)).encode())

    def _read(self, page: SharedPage, now: float) -> None:
        content = page.read()
        if not content:
            return
        # Another version of this package may have written anything.
        with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError, ValueError):
            data = json.loads(content)
            if data["saved_at"] <= now + _FUTURE:
                self._state = LimitState.from_data(data, self._settings)

    def _settle_others(self, now: float) -> None:
        """End the requests of the process that this one was forked from: nobody tells of the responses."""
        client = self._client
        for state in self._state.webhooks.values():
            for other in state.clients.keys() - {client}:
                state.settle(other, now)

    def set_channel_limit(self, webhook: str, limit: int | None) -> None:
        """Set how many requests the channel of a webhook takes within `channel_window`; None means any number.

        Raises:
            ValueError: The limit is less than 1.
        """
        if limit is not None and limit < 1:
            raise ValueError("a limit must be at least 1; None means no limit")
        with lock.hold():
            self._settings.channel_limits[webhook] = limit
            if webhook in self._state.webhooks:
                self._state.webhooks[webhook].channel.set_limit(limit)

    def acquire(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> float:
        """Ask whether a request may leave, and count it if it may.

        Returns:
            0.0 if the request may leave now: it has been counted, and `update` or `failed` must follow.
            Else the seconds after which to ask again; nothing has been counted.
        """
        with self._lock(now):
            state = self._state.webhook(webhook, now)
            if state.client(self._client).request is not None:
                self._unanswered(state, host, now)
            wait = self._wait(state, host, now)
            if not wait:
                self._count(state, host, now)
            return wait

    def wait_time(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> float:
        """Return what `acquire` would, without counting anything."""
        with self._lock(now, changes=False):
            return self._wait(self._state.find(webhook), host, now)

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
        with self._lock(now):
            state = self._state.webhook(webhook, now)
            request = self._settle(state, info, now)
            if info.channel_id is not None:
                self._state.join(state, info.channel_id)
            host_state = self._state.host(host)
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
        with self._lock(now):
            self._unanswered(self._state.webhook(webhook, now), host, now)

    def budget(self, webhook: str, now: float, urgency: Urgency = Urgency.ROUTINE) -> Budget:
        """Return the allowance of a webhook and the times of its channel's messages, and count nothing.

        Who asks has something to send, and the other webhooks and processes of the channel know that for half a second.

        Args:
            webhook: The webhook.
            now: The time.
            urgency: The urgency of what is to be sent: the more urgent goes first.
        """
        with self._lock(now):
            state = self._state.webhook(webhook, now)
            client = state.client(self._client)
            # Nobody would notice a difference of less than that.
            self._changes = urgency != client.urgency or now > client.asked_at + ASKING / 2
            if self._changes:
                client.asked_at, client.urgency = now, urgency
            others = self._state.rivals(state, client, now)
            return state.budget(now, sum(other.comes_before(client) for other in others), len(others))

    def info(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> dict[str, Any]:
        """Return the known limits of a webhook as plain data, ready for JSON; times are seconds from `now`."""
        with self._lock(now, changes=False):
            state = self._state.find(webhook)
            host_state = self._state.hosts.get(host) or HostState()
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
                "global_rate_limit": _until(self._state.all_blocked_until, now),
                "buckets": buckets,
                "channel": {
                    "limit": budget.channel_limit,
                    "window": self._settings.channel_window,
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
                "shared": self._describe_sharing(),
            }

    def _describe_sharing(self) -> dict[str, Any]:
        trouble = "the limits are not to be shared" if self._page is None else self._page.trouble
        return {"active": not trouble, "reason": trouble}

    def reset(self, webhook: str | None = None) -> None:
        """Forget all about a webhook, or, if it is None, about all webhooks, the hosts and the global limit."""
        with self._lock(clock.monotonic()):
            if webhook is None:
                self._state = LimitState(self._settings)
            else:
                self._state.webhooks.pop(webhook, None)

    def _wait(self, state: WebhookState, host: str, now: float) -> float:
        state.channel.recover(now)
        host_state = self._state.hosts.get(host)
        wait = max(
            state.wait_time(now, self._client),
            state.channel.blocked_until - now,
            state.channel.free_at(now) - now,
            self._state.all_blocked_until - now,
            self._state.all.free_at(now) - now,
            host_state.free_at(now) - now if host_state else 0.0,
        )
        return wait if wait > _INSTANT else 0.0

    def _count(self, state: WebhookState, host: str, now: float) -> None:
        request = state.send(self._client, now)
        state.channel.add(request, now)
        self._state.all.add(request, now)
        host_state = self._state.host(host)
        host_state.edge.sent(request)
        host_state.invalid.sent(now)

    def _settle(self, state: WebhookState, info: RateLimitInfo, now: float) -> Request | None:
        """End the request of this process, and return it."""
        request = state.settle(self._client, now)
        in_flight = len(state.in_flight(now, self._client))
        state.bucket.update(info, now, is_alone=request is None or request.is_alone, in_flight=in_flight)
        return request

    def _unanswered(self, state: WebhookState, host: str, now: float) -> None:
        request = self._settle(state, RateLimitInfo(), now)
        self._state.host(host).edge.answered(request, now, passed=False)

    def _refused(
        self, state: WebhookState, host_state: HostState, info: RateLimitInfo, request: Request | None, now: float
    ) -> RateLimitHit:
        scope, channel = info.scope or "user", state.channel
        if scope == "edge":
            wait = host_state.edge.refused(info.retry_after, request, now)
        else:
            wait = state.refused(info.retry_after, request)
        until = now + wait + PAD
        # A refused request posted nothing.
        channel.requests = [other for other in channel.requests if other is not request]
        if request is not None and (scope == "shared" or (scope == "user" and info.remaining)):
            channel.lower(channel.count(now), request.sent_at, now)
        if scope == "global":
            self._state.all_blocked_until = max(self._state.all_blocked_until, until)
        elif scope == "shared":
            channel.blocked_until = max(channel.blocked_until, until)
        elif scope == "user":
            state.blocked_until = max(state.blocked_until, until)
        state.bucket.refused(until)
        channel.make_room(until)
        return RateLimitHit(scope, wait)


def _until(deadline: float, now: float) -> dict[str, Any]:
    return {"active": deadline > now, "wait_time": max(0.0, deadline - now)}
