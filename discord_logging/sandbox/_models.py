"""What the local Discord keeps: messages, their files, the requests that came, and its webhooks."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ._faults import Fault

_DISCORD_EPOCH = 1_420_070_400_000
_increments = itertools.count()


def snowflake() -> str:
    """Return a new id; a later one is greater (https://discord.com/developers/docs/reference#snowflakes)."""
    milliseconds = int(time.time() * 1000) - _DISCORD_EPOCH
    return str(milliseconds << 22 | next(_increments) & 0x3FFFFF)


@dataclass(frozen=True)
class File:
    """A file of a message.

    Attributes:
        filename: Its name as Discord sanitises it: ASCII letters, digits, ``.``, ``_`` and ``-``.
        content_type: The Content-Type of its part, with parameters.
        data: Its bytes.
        title: The name it was uploaded under.
        description: The alternative text, or `None`.
        id: The attachment's id; for a file that is still a part of a request, its number ``n`` in ``files[n]``.
    """

    filename: str
    content_type: str
    data: bytes
    title: str
    description: str | None
    id: str

    @property
    def text(self) -> str:
        """The bytes read as UTF-8."""
        return self.data.decode("utf-8")


@dataclass(frozen=True)
class Message:
    """A message that stands in a channel.

    Attributes:
        id: The message's id.
        channel_id: The channel it stands in; for a message in a thread, the thread.
        webhook_id: The webhook that posted it.
        content: Its text, trimmed.
        username: The name it is shown under.
        avatar_url: The picture asked for, or `None`.
        embeds: Its embeds, trimmed, in Discord's form; none with the flag ``SUPPRESS_EMBEDS``.
        components: Its components; none unless ``with_components`` was asked for.
        files: Its files.
        flags: Discord's message flags.
        timestamp: When it was posted (UTC).
        edited: When it was last edited (UTC), or `None`.
        pings: The mentions that notify somebody: ``@everyone``, ``@here``, ``<@user id>``, ``<@&role id>``.
        payload: The JSON that posted it; after an edit, the JSON of the edit.
    """

    id: str
    channel_id: str
    webhook_id: str
    content: str
    username: str
    avatar_url: str | None
    embeds: list[dict[str, Any]]
    components: list[dict[str, Any]]
    files: list[File]
    flags: int
    timestamp: datetime
    edited: datetime | None
    pings: list[str]
    payload: dict[str, Any]


@dataclass
class Request:
    """A request to the webhook API, whatever became of it.

    Attributes:
        method: The HTTP method.
        path: Path and query, the token masked.
        headers: The request's headers; names in any case.
        payload: The JSON or form that came, `None` where it cannot be read.
        files: The files that came with it.
        time: When it arrived, by `time.monotonic`, in seconds.
        fault: The injected fault it met, or `None`.
        finished: When its answer was given, by `time.monotonic`; `None` while it waits.
        status: The HTTP status answered; `None` while it waits and where no answer was given.
        answer: The body answered.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    payload: Any
    files: list[File]
    time: float
    fault: Fault | None = None
    finished: float | None = None
    status: int | None = None
    answer: bytes = b""


@dataclass(frozen=True)
class Webhook:
    """A webhook and what is to know of its channel."""

    id: str
    token: str = field(repr=False)
    channel_id: str
    forum: bool
    requires_tags: bool
