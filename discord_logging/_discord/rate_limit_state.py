"""This module has the state of the rate limits, of one process or of all processes that share it.

All times are in `time.monotonic()` seconds, which all processes of a machine count from the same moment. A client is a
process that sends to a webhook; it has one request in flight at a time.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from discord_logging._discord.invalid_requests import InvalidRequestGuard
from discord_logging._discord.pace import Budget, Urgency
from discord_logging._discord.rate_limit_headers import RateLimitInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PAST = -math.inf
PAD = 0.025
"""The seconds that are added to every wait, because clocks drift and timers fire early."""
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
"""The seconds after which we give up a probe, or any request, that nobody reports on."""
_IN_FLIGHT = 10.0
"""The seconds after which an unanswered request counts as answered, so that hung requests do not hold up all others."""
_SOON = 0.05
"""The wait for the response to a request of another client, in seconds."""
_RECOVERY_WINDOWS = 5
"""The number of windows after which a channel gets back half of its lost limit."""
UNLIMITED = 1_000_000
"""The limit that stands for no limit."""
_MAX_UNLIMITED = 100
"""The largest number of requests that are remembered of a channel without a limit."""
ASKING = 0.5
"""The seconds for which a client that asked for its budget counts as one that has something to send."""
_INSTANT = 1e-6
"""The longest wait that is a mere rounding error, in seconds."""
_IDLE = 600.0
"""The seconds after which an idle webhook is forgotten."""


@dataclass
class RateLimitBucket:
    """The bucket of one webhook, as its responses and the requests since then describe it.

    In all methods, `in_flight` is the number of requests by others that are not answered yet. A request that was sent
    before the bucket was full again may arrive after that, and so count again.

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
    reset_at: float = PAST
    window: float = 0.0
    updated_at: float = PAST

    def left(self, now: float, in_flight: int = 0) -> int | None:
        """Return how many requests are left at `now`, or None while unknown."""
        if self.limit is None:
            return None
        return max(self.limit - in_flight, 0) if self._full(now) else self.remaining

    def wait_time(self, now: float, in_flight: int = 0) -> float:
        """Return the seconds until a request may leave, or 0.0 if it may leave at once."""
        if self.left(now, in_flight) != 0:
            return 0.0
        return _SOON if self._full(now) else self.reset_at + PAD - now

    def use(self, now: float, in_flight: int = 0) -> None:
        """Count a request that leaves at `now`."""
        self.remaining = max(0, (self.left(now, in_flight) or 0) - 1)
        if self._full(now):
            self.reset_at = now + self.window

    def update(self, info: RateLimitInfo, now: float, *, is_alone: bool = True, in_flight: int = 0) -> None:
        """Learn from a response that arrived at `now`; `is_alone` says that no other request was in flight meanwhile.

        Otherwise nobody knows which of them the server has counted already, and whether an earlier response was to an
        earlier request: then our own count is better, unless the response shows less.
        """
        if info.bucket is not None and info.bucket != self.id:
            self.id, self.window = info.bucket, 0.0
            is_alone = True
        was_unknown = self.limit is None
        is_newest = is_alone and now >= self.updated_at
        is_counted = not (is_newest or was_unknown or self._full(now))
        self.updated_at = max(self.updated_at, now)
        self.limit = info.limit or self.limit or (None if info.remaining is None else info.remaining + 1)
        if self.limit is None:
            return
        counted = self.limit - 1 if was_unknown else self.remaining
        remaining = counted if info.remaining is None else max(info.remaining - (0 if is_counted else in_flight), 0)
        self.remaining = min(self.limit, remaining, counted if is_counted else remaining)
        if info.reset_after is not None:
            reset_after = min(info.reset_after, _MAX_RESET)
            self.window = max(self.window, reset_after)
            self.reset_at = max(self.reset_at, now + reset_after) if is_counted else now + reset_after
        else:  # even a sliding window is full again when it has passed once more
            self.reset_at = max(self.reset_at, now + (self.window or _DEFAULT_RESET))

    def refused(self, until: float) -> None:
        """Note that a refusal lets the next request pass at `until`."""
        if self.remaining == 0:
            self.reset_at = until - PAD

    def _full(self, now: float) -> bool:
        return self.limit is None or now >= self.reset_at + PAD


@dataclass(eq=False)
class Request:
    """A request. It counts from its response, or, until that arrives, from the time that is asked for.

    Attributes:
        sent_at: The time at which it left.
        host: The host that it went to.
        answered_at: The time at which its response arrived, or at which it was given up; `None` before that.
        is_alone: Whether no other request to the same webhook has been in flight at the same time.
    """

    sent_at: float
    host: str = ""
    answered_at: float | None = None
    is_alone: bool = True

    def counted_at(self, now: float) -> float:
        """Return from when on the request counts."""
        return min(now, self.sent_at + _IN_FLIGHT) if self.answered_at is None else self.answered_at

    def settle(self, now: float) -> None:
        """Note that the response has arrived, or that none will arrive."""
        self.answered_at = now

    def is_in_flight(self, now: float) -> bool:
        """Tell whether the request may still arrive at the server."""
        return self.answered_at is None and now < self.sent_at + _IN_FLIGHT


class Window:
    """Allows at most `limit` requests in any `span` seconds, in whichever way the server counts."""

    windows_kept = 1

    def __init__(self, limit: int, span: float) -> None:
        self.limit = limit
        self.span = span
        self.requests: list[Request] = []

    def add(self, request: Request, now: float) -> None:
        """Count a request."""
        kept = self.windows_kept * self.span
        self.requests = [old for old in self.requests if old.counted_at(now) + kept > now]
        self.requests.append(request)

    def count(self, now: float) -> int:
        """Return how many requests count at `now`."""
        return len(self._counted(now))

    def _counted(self, now: float) -> list[Request]:
        return [request for request in self.requests if request.counted_at(now) + self.span > now]

    def free_at(self, now: float) -> float:
        """Return the time at which one more request may leave."""
        if len(self.requests) < self.limit:
            return PAST
        return sorted(request.counted_at(now) for request in self.requests)[-self.limit] + self.span

    def make_room(self, until: float) -> None:
        """Forget the oldest requests, so that one more may leave at `until`."""
        while self.free_at(until) > until:
            self.requests.remove(min(self._counted(until), key=lambda request: request.counted_at(until)))


class Channel(Window):
    """The hidden allowance of a channel, learned and unlearned.

    Attributes:
        id: The id of the channel, or `None` until a response names it.
        ceiling: The limit that is set.
        learned: The limit that refusals taught, and that rises again; infinity if there was none.
        lowered_at: The time at which it fell, or last rose.
        blocked_until: The time at which a refusal for the whole channel ends.
    """

    windows_kept = 5  # `Pace` computes from their requests how full its bucket is

    def __init__(self, span: float) -> None:
        super().__init__(UNLIMITED, span)
        self.id: str | None = None
        self.ceiling = UNLIMITED
        self.learned = math.inf
        self.lowered_at = PAST
        self.blocked_until = PAST

    @property
    def limit(self) -> int:
        """The number of requests that the channel takes within `span`."""
        return int(min(self.learned, self.ceiling))

    @limit.setter
    def limit(self, limit: int) -> None:
        self.ceiling = limit

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self.ceiling < UNLIMITED

    @property
    def sent(self) -> tuple[float, ...]:
        """The times at which the requests left, in order; none without a limit."""
        return tuple(sorted(map(attrgetter("sent_at"), self.requests))) if self.is_limited else ()

    def add(self, request: Request, now: float) -> None:
        """Count a request. Without a limit, only the latest ones are remembered, for processes that have one."""
        super().add(request, now)
        if not self.is_limited:
            del self.requests[:-_MAX_UNLIMITED]

    def free_at(self, now: float) -> float:
        """Return the time at which one more request may leave."""
        return super().free_at(now) if self.is_limited else PAST

    def left(self, now: float) -> int | None:
        """Return how many requests may leave; `None` means any number."""
        return max(0, self.limit - self.count(now)) if self.is_limited else None

    def lower(self, own: int, sent_at: float, now: float) -> None:
        """Learn that others post here too: after `own` requests, one was refused that left at `sent_at`."""
        if self.is_limited and sent_at >= self.lowered_at:  # refusals of earlier requests say nothing new
            self.learned = max(1, min(self.limit, max(own, self.limit // 2)))
            self.lowered_at = now

    def recover(self, now: float) -> None:
        """Get back what is due of the lost limit."""
        while self.learned < self.ceiling and now >= self.lowered_at + _RECOVERY_WINDOWS * self.span:
            self.learned += math.ceil((self.ceiling - self.learned) / 2)
            self.lowered_at += _RECOVERY_WINDOWS * self.span

    def absorb(self, other: Channel) -> None:
        """Take over what is known of the same channel under another webhook."""
        self.requests += other.requests
        self.blocked_until = max(self.blocked_until, other.blocked_until)


@dataclass
class EdgeBlock:
    """A block of our address by the network in front of a host. After a wait, one request at a time probes it."""

    strikes: int = 0
    until: float = PAST
    interval: float = 0.0
    probe: Request | None = None

    def free_at(self, now: float) -> float:
        """Return the time at which the next request may leave."""
        if self.probe is None:
            return self.until
        return max(self.until, min(now + 1.0, self.probe.sent_at + _PROBE_PATIENCE))

    def sent(self, request: Request) -> None:
        """Note a request, which is the probe of a block."""
        if self.strikes:
            self.probe = request

    def refused(self, retry_after: float | None, request: Request | None, now: float) -> float:
        """Start or prolong the block; only a new one and a refused probe make it grow."""
        if not self.strikes or (request is not None and request is self.probe):
            self.strikes += 1
            self.probe = None
        if retry_after is None:
            self.interval = min(_EDGE_RETRY * 2.0 ** min(self.strikes - 1, 20), _MAX_RETRY)
        else:  # we obey it to the letter, unless a short time comes again and again
            least = min(2.0 ** min(self.strikes - 4, 20), _MAX_RETRY)
            self.interval = min(max(retry_after, least), _MAX_EDGE_RETRY)
        self.until = max(self.until, now + self.interval + PAD)
        return self.interval

    def answered(self, request: Request | None, now: float, *, passed: bool) -> None:
        """Note the result of a request, which lifts the block or prolongs it if the request was the probe."""
        if request is None or request is not self.probe:
            return
        self.probe = None
        if passed:
            self.strikes, self.until = 0, PAST
        else:
            self.until = now + min(self.interval, _EDGE_RETRY) + PAD


@dataclass
class HostState:
    """The limits of all requests to one host, by all webhooks together."""

    window: Window
    edge: EdgeBlock = field(default_factory=EdgeBlock)
    invalid: InvalidRequestGuard = field(default_factory=InvalidRequestGuard)
    blocked_until: float = PAST

    def free_at(self, now: float) -> float:
        """Return the time at which the next request may leave."""
        return max(self.blocked_until, self.window.free_at(now), self.edge.free_at(now), self.invalid.free_at(now))

    def is_idle(self, now: float) -> bool:
        """Tell whether nothing is lost if the host is forgotten."""
        is_blocked = self.edge.strikes or self.blocked_until > now
        return not is_blocked and not self.invalid.count(now) and not self.window.count(now)


@dataclass
class Client:
    """A process that sends to a webhook.

    Attributes:
        request: The request in flight, or `None`.
        sent_at: The time at which its last request left.
        asked_at: The time at which it had something to send.
        urgency: The urgency of that.
    """

    request: Request | None = None
    sent_at: float = PAST
    asked_at: float = PAST
    urgency: int = Urgency.ROUTINE

    def give_up(self, now: float) -> None:
        """End a request that nobody reports on."""
        if self.request is not None and self.request.sent_at + _PROBE_PATIENCE < now:
            self.request.settle(self.request.sent_at + _IN_FLIGHT)
            self.request = None

    def is_idle(self, now: float) -> bool:
        """Tell whether nothing is lost if the client is forgotten."""
        return self.request is None and max(self.sent_at, self.asked_at) + _PROBE_PATIENCE < now

    def comes_before(self, other: Client) -> bool:
        """Tell whether it goes first, if both have something to send."""
        return (-self.urgency, self.sent_at) < (-other.urgency, other.sent_at)


@dataclass
class WebhookState:
    """The limits of one webhook."""

    channel: Channel
    bucket: RateLimitBucket = field(default_factory=RateLimitBucket)
    clients: dict[str, Client] = field(default_factory=dict)
    blocked_until: float = PAST
    refusals: int = 0
    seen_at: float = PAST
    is_answered: bool = False

    def client(self, name: str) -> Client:
        """Return a client, which is new if it was not known."""
        return self.clients.setdefault(name, Client())

    def in_flight(self, now: float, name: str) -> list[Request]:
        """Return the requests of other clients than `name` that are in flight."""
        requests = (client.request for other, client in self.clients.items() if other != name)
        return [request for request in requests if request is not None and request.is_in_flight(now)]

    def send(self, name: str, host: str, now: float) -> Request:
        """Return a request of a client to a host that leaves now."""
        others = self.in_flight(now, name)
        self.bucket.use(now, len(others))
        for other in others:
            other.is_alone = False
        client = self.client(name)
        self.seen_at = client.sent_at = now
        client.request = Request(now, host, is_alone=not others)
        return client.request

    def settle(self, name: str, now: float) -> Request | None:
        """End the request of a client that is in flight, if any."""
        client = self.client(name)
        request, client.request = client.request, None
        if request is not None:
            request.settle(now)
        self.seen_at = now
        return request

    def wait_time(self, now: float, name: str) -> float:
        """Return the seconds until the bucket, or a refusal, lets a client send."""
        in_flight = len(self.in_flight(now, name))
        # The first request is a probe, as long as none is answered.
        wait = _SOON if in_flight and not self.is_answered else self.bucket.wait_time(now, in_flight)
        return max(wait, self.blocked_until - now)

    def refused(self, retry_after: float | None, request: Request | None) -> float:
        """Return how long to wait after a refusal by the API."""
        if request is not None or not self.refusals:  # a response that is reported twice is one refusal
            self.refusals += 1
        if retry_after is None:
            return min(2.0 ** min(self.refusals - 1, 20), _MAX_DEFAULT_RETRY)
        least = min(0.01 * 2.0 ** min(self.refusals, 20), 0.25)
        return min(max(retry_after, least), _MAX_RETRY)

    def budget(self, now: float, ahead: int = 0, others: int = 0) -> Budget:
        """Return the allowance, of which `others` want a part, and `ahead` of them go first."""
        channel = self.channel
        channel.recover(now)
        return Budget(
            replace(self.bucket),
            channel.limit if channel.is_limited else None,
            channel.left(now),
            channel.span,
            channel.sent,
            others,
            ahead,
        )

    def idle_at(self) -> float:
        """Return the time from which on nothing is lost if the webhook is forgotten."""
        idle = max(_IDLE, self.channel.span)
        return max(self.seen_at + idle, self.blocked_until, self.channel.blocked_until)


class LimitState:
    """All that is known of the limits.

    Args:
        channel_limit: The requests that a channel takes within `channel_window`, unless `channel_limits` has others for
            a webhook; `None` means any number.
        channel_window: Seconds.
        global_limit: The requests of all webhooks in a second.
        channel_limits: The limits that differ, by webhook. They may be changed at any time.
    """

    def __init__(
        self,
        channel_limit: int | None,
        channel_window: float,
        global_limit: int,
        channel_limits: Mapping[str, int | None],
    ) -> None:
        self.channel_window = channel_window
        self._channel_limit = channel_limit
        self._channel_limits = channel_limits
        self.webhooks: dict[str, WebhookState] = {}
        self.channels: weakref.WeakValueDictionary[str, Channel] = weakref.WeakValueDictionary()
        self.hosts: dict[str, HostState] = {}
        self._global_limit = global_limit
        self._clean_up_at = 64

    def new_channel(self) -> Channel:
        """Return a channel of which nothing is known."""
        return Channel(self.channel_window + PAD)

    def find(self, webhook: str) -> WebhookState:
        """Return the state of a webhook, which is not kept if it is new."""
        state = self.webhooks.get(webhook) or WebhookState(self.new_channel())
        state.channel.ceiling = self._channel_limits.get(webhook, self._channel_limit) or UNLIMITED
        return state

    def webhook(self, webhook: str, now: float) -> WebhookState:
        """Return the state of a webhook, which is kept."""
        state = self.find(webhook)
        if webhook not in self.webhooks:
            if len(self.webhooks) >= self._clean_up_at:
                self.tidy(now)
                self._clean_up_at = 64 + 2 * len(self.webhooks)
            self.webhooks[webhook] = state
            state.seen_at = now
        return state

    def new_host(self) -> HostState:
        """Return a host of which nothing is known."""
        return HostState(Window(self._global_limit, 1.0 + 2 * PAD))

    def host(self, name: str) -> HostState:
        """Return the state of a host, which is kept."""
        if name not in self.hosts:
            self.hosts[name] = self.new_host()
        return self.hosts[name]

    def tidy(self, now: float) -> None:
        """Forget webhooks, clients and hosts that are idle: a process may never come back."""
        self.webhooks = {key: old for key, old in self.webhooks.items() if old.idle_at() > now}
        self.hosts = {name: host for name, host in self.hosts.items() if not host.is_idle(now)}
        for state in self.webhooks.values():
            for client in state.clients.values():
                client.give_up(now)
            state.clients = {name: client for name, client in state.clients.items() if not client.is_idle(now)}

    def forget(self, webhook: str | None, host: str | None) -> None:
        """Forget all about a webhook and the pauses of a host, or, if the webhook is `None`, about everything."""
        if webhook is None:
            self.webhooks.clear()
            self.hosts.clear()
            return
        self.webhooks.pop(webhook, None)
        if host in self.hosts:
            self.hosts[host].edge, self.hosts[host].blocked_until = EdgeBlock(), PAST

    def clients_in_flight(self, now: float) -> set[str]:
        """Return the names of the clients with requests in flight."""
        clients = [each for state in self.webhooks.values() for each in state.clients.items()]
        return {name for name, client in clients if client.request and client.request.is_in_flight(now)}

    def bury(self, name: str, now: float) -> None:
        """End the requests of a client that has died. Another one may probe a block at once."""
        for state in self.webhooks.values():
            if name in state.clients:
                request = state.settle(name, now)
                for host in self.hosts.values():
                    if host.edge.probe is request:
                        host.edge.probe = None

    def settle_others(self, name: str, now: float) -> None:
        """End the requests of all clients but one."""
        for state in self.webhooks.values():
            for other in state.clients.keys() - {name}:
                state.settle(other, now)

    def join(self, state: WebhookState, channel_id: str) -> None:
        """Note the channel of a webhook, unless it has one: its other messages may open threads of their own."""
        if state.channel.id is not None:
            return
        channel = self.channels.setdefault(channel_id, state.channel)
        channel.id = channel_id
        if channel is not state.channel:
            channel.absorb(state.channel)
            channel.ceiling = state.channel.ceiling
            state.channel = channel

    def rivals(self, state: WebhookState, client: Client, now: float) -> Collection[Client]:
        """Return the other clients that have something to send to the channel of a webhook."""
        mates = (other for other in self.webhooks.values() if other.channel is state.channel)
        clients = (each for other in mates for each in other.clients.values())
        return [each for each in clients if each is not client and each.asked_at > now - ASKING]

    def wait_time(self, webhook: str, host: str, name: str, now: float) -> float:
        """Return the seconds until a client may send, or 0.0 if it may send now."""
        state = self.find(webhook)
        state.channel.recover(now)
        host_state = self.hosts.get(host)
        wait = max(
            state.wait_time(now, name),
            state.channel.blocked_until - now,
            state.channel.free_at(now) - now,
            host_state.free_at(now) - now if host_state else 0.0,
        )
        return wait if wait > _INSTANT else 0.0

    def count(self, webhook: str, host: str, name: str, now: float) -> None:
        """Count a request of a client that leaves now."""
        state = self.webhook(webhook, now)
        request = state.send(name, host, now)
        state.channel.add(request, now)
        host_state = self.host(host)
        host_state.window.add(request, now)
        host_state.edge.sent(request)
        host_state.invalid.sent(now)

    def assume(self, webhook: str, now: float, number: int) -> None:
        """Count requests that others have probably sent to the channel."""
        channel = self.webhook(webhook, now).channel
        for _ in range(number):
            channel.add(Request(now, answered_at=now), now)

    def answered(
        self, webhook: str, host: str, name: str, now: float, *, status: int, info: RateLimitInfo
    ) -> tuple[str, float] | None:
        """Learn from a response; return the scope and the wait in seconds if it was a refusal."""
        state = self.webhook(webhook, now)
        request = self._settle(state, name, info, now)
        is_from_api = status < 500  # noqa: PLR2004 (5xx may be the edge's)
        state.is_answered = state.is_answered or is_from_api
        if info.channel_id is not None:
            self.join(state, info.channel_id)
        host_state = self.host(host)
        if status in {401, 403, 429} and info.scope != "shared":
            host_state.invalid.add(now)
        if info.scope != "edge":
            host_state.edge.answered(request, now, passed=is_from_api)
        if info.scope is None:
            state.refusals = 0
            return None
        return info.scope, self._refused(state, host_state, info, request, now)

    def unanswered(self, webhook: str, host: str, name: str, now: float) -> None:
        """Note that the request of a client got no response; it may have arrived, so it stays counted."""
        request = self._settle(self.webhook(webhook, now), name, RateLimitInfo(), now)
        self.host(host).edge.answered(request, now, passed=False)

    def _settle(self, state: WebhookState, name: str, info: RateLimitInfo, now: float) -> Request | None:
        request = state.settle(name, now)
        in_flight = len(state.in_flight(now, name))
        state.bucket.update(info, now, is_alone=request is None or request.is_alone, in_flight=in_flight)
        return request

    def _refused(
        self, state: WebhookState, host_state: HostState, info: RateLimitInfo, request: Request | None, now: float
    ) -> float:
        scope, channel = info.scope, state.channel
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
            host_state.blocked_until = max(host_state.blocked_until, until)
        elif scope == "shared":
            channel.blocked_until = max(channel.blocked_until, until)
        elif scope == "user":
            state.blocked_until = max(state.blocked_until, until)
        state.bucket.refused(until)
        channel.make_room(until)
        return wait
