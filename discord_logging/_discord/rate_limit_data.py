"""This module turns the state of the rate limits into plain data, and back, for other processes."""

from __future__ import annotations

import binascii
import struct
from dataclasses import fields
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from discord_logging._discord.invalid_requests import InvalidRequestGuard
from discord_logging._discord.rate_limit_state import (
    Client,
    EdgeBlock,
    HostState,
    LimitState,
    RateLimitBucket,
    Request,
    WebhookState,
)
from discord_logging._process import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from discord_logging._discord.rate_limit_state import Channel, Window

DATA_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error)
"""The errors that `read_data` raises if its data do not come from `to_data`."""
_T = TypeVar("_T")
_MAX_AHEAD = 100_000.0
"""The longest time from now that is believed, in seconds: an edge block lasts for a day at most."""


def _time(value: Any) -> float:
    """Return a time, or the length of a time.

    Raises:
        ValueError: No limit can have such a time.
    """
    if not float(value) <= clock.monotonic() + _MAX_AHEAD:
        raise ValueError("a time is too far ahead")
    return float(value)


_TYPES: dict[Any, Callable[[Any], Any]] = {
    "bool": bool,
    "float": _time,
    "int": int,
    "int | None": lambda value: None if value is None else int(value),
    "str | None": lambda value: None if value is None else str(value),
}


def to_data(state: LimitState) -> dict[str, Any]:
    """Return a state as lists, dicts, texts and numbers."""
    channels = {id(webhook.channel): webhook.channel for webhook in state.webhooks.values()}
    places = {key: place for place, key in enumerate(channels)}
    probes = {id(host.edge.probe) for host in state.hosts.values()}
    return {
        "channels": [_channel_to_data(channel) for channel in channels.values()],
        "hosts": {
            name: {
                **_plain(host),
                "edge": _plain(host.edge),
                "invalid": _pack(host.invalid.to_data()),
                "requests": _requests_to_data(host.window),
            }
            for name, host in state.hosts.items()
        },
        "webhooks": {
            name: {
                **_plain(webhook),
                "channel": places[id(webhook.channel)],
                "bucket": _plain(webhook.bucket),
                "clients": {key: _client_to_data(each, probes) for key, each in webhook.clients.items()},
            }
            for name, webhook in state.webhooks.items()
        },
    }


def read_data(data: Mapping[str, Any], state: LimitState) -> None:
    """Fill a new state with what `to_data` returned.

    Raises:
        Exception: One of `DATA_ERRORS`: `data` does not come from `to_data`.
    """
    for name, host in data["hosts"].items():
        window = state.new_host().window
        window.requests = _read_requests(host["requests"])
        guard = InvalidRequestGuard.from_data(_unpack(host["invalid"]))
        state.hosts[name] = _read(HostState, host, window=window, edge=_read(EdgeBlock, host["edge"]), invalid=guard)
    channels = [_read_channel(channel, state.new_channel()) for channel in data["channels"]]
    for channel in channels:
        if channel.id is not None:
            state.channels[channel.id] = channel
    for name, webhook in data["webhooks"].items():
        channel = channels[webhook["channel"]]
        clients = {key: _read(Client, client) for key, client in webhook["clients"].items()}
        bucket = _read(RateLimitBucket, webhook["bucket"])
        state.webhooks[name] = _read(WebhookState, webhook, channel=channel, bucket=bucket, clients=clients)
        for key, client in webhook["clients"].items():
            if client["request"]:
                host, sent_at, is_alone, is_probe = client["request"]
                request = clients[key].request = Request(_time(sent_at), str(host), is_alone=bool(is_alone))
                channel.requests.append(request)
                state.host(host).window.requests.append(request)
                if is_probe:
                    state.host(host).edge.probe = request


def _plain(item: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that are numbers, texts or `None`."""
    return {each.name: getattr(item, each.name) for each in fields(item) if each.type in _TYPES}


def _read(kind: type[_T], data: Mapping[str, Any], **others: Any) -> _T:
    """Return a dataclass with the fields that `_plain` returned."""
    types = {each.name: _TYPES[each.type] for each in fields(kind) if each.type in _TYPES}  # type: ignore[arg-type]  # it is a dataclass
    return kind(**{name: read(data[name]) for name, read in types.items()}, **others)


def _client_to_data(client: Client, probes: Collection[int]) -> dict[str, Any]:
    request = client.request
    in_flight = [request.host, request.sent_at, request.is_alone, id(request) in probes] if request else None
    return {**_plain(client), "request": in_flight}


def _channel_to_data(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "learned": channel.learned,
        "lowered_at": channel.lowered_at,
        "blocked_until": channel.blocked_until,
        "requests": _requests_to_data(channel),
    }


def _read_channel(data: Mapping[str, Any], channel: Channel) -> Channel:
    channel.id = None if data["id"] is None else str(data["id"])
    channel.learned = float(data["learned"])
    channel.lowered_at, channel.blocked_until = _time(data["lowered_at"]), _time(data["blocked_until"])
    channel.requests = _read_requests(data["requests"])
    return channel


def _requests_to_data(window: Window) -> str:
    """Return the times of the requests that were answered. The others belong to their clients."""
    answered = ((each.sent_at, each.answered_at) for each in window.requests if each.answered_at is not None)
    return _pack(chain.from_iterable(answered))


def _read_requests(data: str) -> list[Request]:
    times = map(_time, _unpack(data))
    return [Request(sent_at, answered_at=answered_at) for sent_at, answered_at in zip(times, times, strict=True)]


def _pack(numbers: Iterable[float]) -> str:
    """Return numbers as a text, which is shorter than they are in JSON, and sooner written and read."""
    packed = tuple(numbers)
    return binascii.b2a_base64(struct.pack(f"<{len(packed)}d", *packed), newline=False).decode()


def _unpack(text: str) -> tuple[float, ...]:
    content = binascii.a2b_base64(text)
    return struct.unpack(f"<{len(content) // 8}d", content)
