"""This module has the state of the rate limits, of one process or of all processes that share it as plain data.

All times are in `time.monotonic()` seconds, which all processes of a machine count from the same moment. A client is a
process that sends to a webhook; it has one request in flight at a time.
"""

from __future__ import annotations

import math
import struct
import weakref
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from discord_logging._discord.invalid_requests import InvalidRequestGuard
from discord_logging._discord.pace import Budget, Urgency

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from discord_logging._discord.rate_limit_headers import RateLimitInfo

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
_UNLIMITED = 1_000_000
"""The limit that stands for no limit."""
ASKING = 0.5
"""The seconds for which a client that asked for its budget counts as one that has something to send."""
_IDLE = 600.0
"""The seconds after which an idle webhook is forgotten."""

_T = TypeVar("_T")


def _read(kind: type[_T], data: Mapping[str, Any], **more: Any) -> _T:
    """Return a dataclass with the fields that `data` has. Another version of this package may have written others."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # it is a dataclass
    return kind(**{name: value for name, value in data.items() if name in names}, **more)


def _pack(times: Iterable[float]) -> str:
    """Return times as a text. JSON would take a hundred times as long to write and read hundreds of numbers."""
    numbers = tuple(times)
    return struct.pack(f"<{len(numbers)}d", *numbers).hex()


def _unpack(text: str) -> tuple[float, ...]:
    content = bytes.fromhex(text)
    return struct.unpack(f"<{len(content) // 8}d", content)


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
        answered_at: The time at which its response arrived, or at which it was given up; `None` before that.
        is_alone: Whether no other request to the same webhook has been in flight at the same time.
    """

    sent_at: float
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

    def to_data(self) -> str:
        """Return the times of the requests that were answered. The others belong to their webhooks."""
        answered = ((each.sent_at, each.answered_at) for each in self.requests if each.answered_at is not None)
        return _pack(chain.from_iterable(answered))

    def read(self, data: str) -> None:
        """Replace the requests."""
        times = iter(_unpack(data))
        self.requests = [Request(sent_at, answered_at) for sent_at, answered_at in zip(times, times, strict=True)]


class Channel(Window):
    """The hidden allowance of a channel, learned and unlearned. Its `id` is `None` until a response names it."""

    windows_kept = 5  # `Pace` computes from their requests how full its bucket is

    def __init__(self, limit: int | None, span: float) -> None:
        super().__init__(limit or _UNLIMITED, span)
        self.id: str | None = None
        self.ceiling = self.limit
        self.blocked_until = PAST
        self.lowered_at = PAST

    def set_limit(self, limit: int | None) -> None:
        """Replace the limit; `None` means any number."""
        self.limit = self.ceiling = limit or _UNLIMITED

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self.ceiling < _UNLIMITED

    @property
    def sent(self) -> tuple[float, ...]:
        """The times at which the requests left, in order."""
        return tuple(sorted(map(attrgetter("sent_at"), self.requests)))

    def add(self, request: Request, now: float) -> None:
        """Count a request. Without a limit, none is remembered."""
        if self.is_limited:
            super().add(request, now)

    def left(self, now: float) -> int | None:
        """Return how many requests may leave; `None` means any number."""
        return max(0, self.limit - self.count(now)) if self.is_limited else None

    def lower(self, own: int, sent_at: float, now: float) -> None:
        """Learn that others post here too: after `own` requests, one was refused that left at `sent_at`."""
        if self.is_limited and sent_at >= self.lowered_at:  # refusals of earlier requests say nothing new
            self.limit = max(1, min(self.limit, max(own, self.limit // 2)))
            self.lowered_at = now

    def recover(self, now: float) -> None:
        """Get back what is due of the lost limit."""
        while self.limit < self.ceiling and now >= self.lowered_at + _RECOVERY_WINDOWS * self.span:
            self.limit += math.ceil((self.ceiling - self.limit) / 2)
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
    """The limits of all requests to one host."""

    edge: EdgeBlock = field(default_factory=EdgeBlock)
    invalid: InvalidRequestGuard = field(default_factory=InvalidRequestGuard)

    def free_at(self, now: float) -> float:
        """Return the time at which the next request may leave."""
        return max(self.edge.free_at(now), self.invalid.free_at(now))


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

    def client(self, name: str) -> Client:
        """Return a client, which is new if it was not known."""
        return self.clients.setdefault(name, Client())

    def in_flight(self, now: float, name: str) -> list[Request]:
        """Return the requests of other clients than `name` that are in flight."""
        requests = (client.request for other, client in self.clients.items() if other != name)
        return [request for request in requests if request is not None and request.is_in_flight(now)]

    def send(self, name: str, now: float) -> Request:
        """Return a request of a client that leaves now."""
        others = self.in_flight(now, name)
        self.bucket.use(now, len(others))
        for other in others:
            other.is_alone = False
        client = self.client(name)
        self.seen_at = client.sent_at = now
        client.request = Request(now, is_alone=not others)
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
        # The first request is a probe.
        is_unknown = self.bucket.updated_at == PAST
        wait = _SOON if in_flight and is_unknown else self.bucket.wait_time(now, in_flight)
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
            ahead if others else None,
            others,
        )

    def idle_at(self) -> float:
        """Return the time from which on nothing is lost if the webhook is forgotten."""
        idle = max(_IDLE, self.channel.span)
        return max(self.seen_at + idle, self.blocked_until, self.channel.blocked_until)


class LimitSettings(NamedTuple):
    """The settings of a limiter; `None` means no limit. `channel_limits` has those that differ, by webhook."""

    channel_limit: int | None
    channel_window: float
    global_limit: int
    channel_limits: dict[str, int | None]

    def new_channel(self, webhook: str) -> Channel:
        """Return the channel of a webhook of which nothing is known."""
        return Channel(self.channel_limits.get(webhook, self.channel_limit), self.channel_window + PAD)


class LimitState:
    """All that is known of the limits."""

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings
        self.webhooks: dict[str, WebhookState] = {}
        self.channels: weakref.WeakValueDictionary[str, Channel] = weakref.WeakValueDictionary()
        self.hosts: dict[str, HostState] = {}
        self.all = Window(settings.global_limit, 1.0 + 2 * PAD)
        self.all_blocked_until = PAST
        self._clean_up_at = 64

    def find(self, webhook: str) -> WebhookState:
        """Return the state of a webhook, which is not kept if it is new."""
        return self.webhooks.get(webhook) or WebhookState(self._settings.new_channel(webhook))

    def webhook(self, webhook: str, now: float) -> WebhookState:
        """Return the state of a webhook, which is kept."""
        state = self.find(webhook)
        if webhook not in self.webhooks:
            if len(self.webhooks) >= self._clean_up_at:
                self._forget_idle(now)
                self._clean_up_at = 64 + 2 * len(self.webhooks)
            self.webhooks[webhook] = state
            state.seen_at = now
        return state

    def _forget_idle(self, now: float) -> None:
        self.webhooks = {key: old for key, old in self.webhooks.items() if old.idle_at() > now}

    def host(self, name: str) -> HostState:
        """Return the state of a host, which is kept."""
        return self.hosts.setdefault(name, HostState())

    def join(self, state: WebhookState, channel_id: str) -> None:
        """Note the channel of a webhook, unless it has one: its other messages may open threads of their own."""
        if state.channel.id is not None:
            return
        channel = self.channels.setdefault(channel_id, state.channel)
        channel.id = channel_id
        if channel is not state.channel:
            channel.absorb(state.channel)
            state.channel = channel

    def rivals(self, state: WebhookState, client: Client, now: float) -> Collection[Client]:
        """Return the other clients that have something to send to the channel of a webhook."""
        mates = (other for other in self.webhooks.values() if other.channel is state.channel)
        clients = (each for other in mates for each in other.clients.values())
        return [each for each in clients if each is not client and each.asked_at > now - ASKING]

    # As plain data

    def to_data(self, now: float) -> dict[str, Any]:
        """Return the state as lists, dicts, texts and numbers."""
        self._forget_idle(now)
        channels = {id(state.channel): state.channel for state in self.webhooks.values()}
        places = {key: place for place, key in enumerate(channels)}
        probes = {id(host.edge.probe): name for name, host in self.hosts.items() if host.edge.probe}
        return {
            "saved_at": now,
            "all": {"requests": self.all.to_data(), "blocked_until": self.all_blocked_until},
            "channels": [_channel_to_data(channel) for channel in channels.values()],
            "hosts": {name: _host_to_data(host) for name, host in self.hosts.items()},
            "webhooks": {
                webhook: {
                    **vars(state),
                    "channel": places[id(state.channel)],
                    "bucket": vars(state.bucket),
                    "clients": _clients_to_data(state, now, probes),
                }
                for webhook, state in self.webhooks.items()
            },
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], settings: LimitSettings) -> LimitState:
        """Return the state that `to_data` made into `data`.

        Raises:
            AttributeError, IndexError, KeyError, TypeError, ValueError: `data` does not come from `to_data`.
        """
        state = cls(settings)
        state.all.read(data["all"]["requests"])
        state.all_blocked_until = data["all"]["blocked_until"]
        for name, host in data["hosts"].items():
            guard = InvalidRequestGuard.from_data(_unpack(host["invalid"]))
            state.hosts[name] = HostState(_read(EdgeBlock, host["edge"]), guard)
        made: dict[int, Channel] = {}
        for name, webhook in data["webhooks"].items():
            place = webhook["channel"]
            if place not in made:
                made[place] = _read_channel(data["channels"][place], settings.new_channel(name))
            elif name in settings.channel_limits:
                made[place].set_limit(settings.channel_limits[name])
            state._read_webhook(name, webhook, made[place])
        return state

    def _read_webhook(self, name: str, data: Mapping[str, Any], channel: Channel) -> None:
        if channel.id is not None:
            self.channels[channel.id] = channel
        webhook = self.webhooks[name] = _read(
            WebhookState,
            {
                **data,
                "channel": channel,
                "bucket": _read(RateLimitBucket, data["bucket"]),
                "clients": {key: _read(Client, client) for key, client in data["clients"].items()},
            },
        )
        for key, client in webhook.clients.items():
            if isinstance(client.request, list):
                request = client.request = Request(client.request[0], is_alone=client.request[1])
                channel.requests.append(request)
                self.all.requests.append(request)
                if probed := data["clients"][key].get("probes"):
                    self.hosts[probed].edge.probe = request


def _channel_to_data(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "limit": channel.limit if channel.limit < channel.ceiling else None,
        "lowered_at": channel.lowered_at,
        "blocked_until": channel.blocked_until,
        "requests": channel.to_data(),
    }


def _read_channel(data: Mapping[str, Any], channel: Channel) -> Channel:
    channel.id = data["id"]
    channel.limit = min(data["limit"] or channel.limit, channel.limit)
    channel.lowered_at, channel.blocked_until = data["lowered_at"], data["blocked_until"]
    channel.read(data["requests"])
    return channel


def _host_to_data(host: HostState) -> dict[str, Any]:
    return {"edge": {**vars(host.edge), "probe": None}, "invalid": _pack(host.invalid.to_data())}


def _clients_to_data(state: WebhookState, now: float, probes: Mapping[int, str]) -> dict[str, Any]:
    """Return the clients that have a request in flight or have asked or sent lately. A process may never come back."""
    data = {}
    for name, client in state.clients.items():
        request = client.request
        if request is not None and request.sent_at + _PROBE_PATIENCE < now:
            request.settle(request.sent_at + _IN_FLIGHT)
            request = client.request = None
        if request is not None or max(client.sent_at, client.asked_at) + _PROBE_PATIENCE > now:
            in_flight = [request.sent_at, request.is_alone] if request else None
            data[name] = {**vars(client), "request": in_flight, "probes": probes.get(id(request))}
    return data
