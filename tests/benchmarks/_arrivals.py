"""The records that arrived in a channel, found by their tokens in cards, lines and files."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from _server import count_repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from discord_logging.sandbox import LocalDiscord, Message

_TOKEN = re.compile(r"rec\d{9}(?!\d)")
_MARK = "may be a repeat"


@dataclass(frozen=True)
class Tally:
    """What became of accepted records. The sum of two is that of all of their records.

    Attributes:
        accepted: The records whose logging calls have returned.
        delivered: Those that are in the channel.
        doubled: Those that are in more than one message.
        marked: Those of them of which a later message says that it may be a repeat.
        requests: All requests.
        rate_limited: The requests that were answered with 429.
        messages: The messages in the channel.
        repeats: The number of records with the same text for which the messages stand.
    """

    accepted: int = 0
    delivered: int = 0
    doubled: int = 0
    marked: int = 0
    requests: int = 0
    rate_limited: int = 0
    messages: int = 0
    repeats: int = 0

    @property
    def lost(self) -> int:
        """The accepted records that are not in the channel."""
        return self.accepted - self.delivered

    def __add__(self, other: Tally) -> Tally:
        return Tally(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def find_tokens(messages: Iterable[Message]) -> dict[str, list[Message]]:
    """Return the messages of each token, in order; a token that a message has several times counts once."""
    found: dict[str, list[Message]] = {}
    for message in messages:
        for name in set(_TOKEN.findall(message.text)):
            found.setdefault(name, []).append(message)
    return found


def count(discord: LocalDiscord, accepted: Iterable[str]) -> Tally:
    """Count what became of the accepted records with these tokens."""
    messages = discord.messages
    found = find_tokens(messages)
    tokens = set(accepted)
    doubled = [found[name] for name in tokens if len(found.get(name, ())) > 1]
    return Tally(
        accepted=len(tokens),
        delivered=len(tokens & set(found)),
        doubled=len(doubled),
        marked=sum(any(_MARK in message.text for message in later) for _, *later in doubled),
        requests=len(discord.requests),
        rate_limited=count_rate_limited(discord),
        messages=len(messages),
        repeats=sum(count_repeats(message.text) for message in messages),
    )


def count_rate_limited(discord: LocalDiscord, since: float = 0.0) -> int:
    """Return the number of 429s to requests that came after a monotonic time."""
    return sum(request.status == 429 and request.time > since for request in discord.requests)


def last_arrival(messages: Sequence[Message], accepted: Mapping[str, float]) -> float | None:
    """Return the time at which the last of the accepted records arrived that did; `None` if none did."""
    found = find_tokens(messages)
    return max([found[name][0].timestamp.timestamp() for name in accepted if name in found], default=None)
