"""The objects that the local Discord keeps: messages, files, requests, webhooks and threads."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypedDict

from ._components import text_of
from ._polls import texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ._faults import Fault
    from ._polls import Poll

_DISCORD_EPOCH = 1_420_070_400_000
_increments = itertools.count()


def snowflake() -> str:
    """Return a new id; a later one is greater (https://discord.com/developers/docs/reference#snowflakes)."""
    milliseconds = int(time.time() * 1000) - _DISCORD_EPOCH
    return str(milliseconds << 22 | next(_increments) & 0x3FFFFF)


class EmbedField(TypedDict):
    """A field of an embed."""

    name: str
    value: str
    inline: bool


class EmbedFooter(TypedDict, total=False):
    """The footer of an embed; it has a text."""

    text: str
    icon_url: str


class EmbedAuthor(TypedDict, total=False):
    """The author of an embed; it has a name."""

    name: str
    url: str
    icon_url: str


class EmbedImage(TypedDict, total=False):
    """The image or the thumbnail of an embed; it has a URL."""

    url: str
    description: str


class Embed(TypedDict, total=False):
    """An embed of a message: trimmed, and without empty keys."""

    type: str
    title: str
    description: str
    url: str
    timestamp: str
    color: int
    footer: EmbedFooter
    author: EmbedAuthor
    image: EmbedImage
    thumbnail: EmbedImage
    fields: list[EmbedField]


@dataclass(frozen=True)
class File:
    """A file of a message.

    Attributes:
        filename: The name as Discord sanitises it: ASCII letters, digits, ``.``, ``_`` and ``-``.
        content_type: The Content-Type of the part, with parameters.
        data: The content, in bytes.
        title: The name under which the file was uploaded.
        description: The alternative text, or `None`.
        id: The attachment's id. The id of a file in a request is the number ``n`` in ``files[n]``, or the name of its
            part if that has another form.
        spoiler: Whether the file is blurred until somebody clicks on it.
    """

    filename: str
    content_type: str
    data: bytes
    title: str
    description: str | None
    id: str
    spoiler: bool = False

    @property
    def text(self) -> str:
        """The content, decoded as UTF-8."""
        return self.data.decode("utf-8")


@dataclass(frozen=True)
class Message:
    """A message in a channel.

    Attributes:
        id: The message's id.
        channel_id: The id of the channel, or of the thread for a message in a thread.
        webhook_id: The id of the webhook that posted the message.
        content: The text, trimmed.
        username: The name of the author.
        avatar_url: The address of the author's picture, or `None`.
        embeds: The embeds, trimmed, in Discord's form; empty with the flag ``SUPPRESS_EMBEDS``.
        components: The components; empty unless the request has ``with_components``.
        files: The files.
        flags: Discord's message flags.
        timestamp: The time of posting (UTC).
        edited: The time of the last edit (UTC), or `None`.
        pings: The mentions that notified somebody when the message was posted: ``@everyone``, ``@here``,
            ``<@user id>``, ``<@&role id>``. An edit notifies nobody.
        payload: The JSON of the request that posted the message, or of the request that edited it last.
        poll: The poll in Discord's form, with `question`, `answers` and `expiry`; `None` for a message without a poll.
        suppressed_embeds: The embeds that the flag ``SUPPRESS_EMBEDS`` hides; an edit that unsets it shows them again.
        size: The approximate memory of the message without its files and versions, in bytes.
        tts: Whether the message is read aloud.
        mentions: The mentions that highlight the message for somebody, in the form of `pings`: those that the last
            request allows.
        edits: The number of edits.
        versions: The message as it was before each edit, the oldest first. The first version and the latest 20 are
            kept, or fewer if they are large. Discord does not show them.
    """

    id: str
    channel_id: str
    webhook_id: str
    content: str
    username: str
    avatar_url: str | None
    embeds: list[Embed]
    components: list[dict[str, Any]]
    files: list[File]
    flags: int
    timestamp: datetime
    edited: datetime | None
    pings: list[str]
    payload: dict[str, Any]
    poll: Poll | None = None
    suppressed_embeds: list[Embed] = field(default_factory=list, repr=False)
    size: int = field(default=0, repr=False)
    tts: bool = False
    mentions: list[str] = field(default_factory=list)
    edits: int = 0
    versions: list[Message] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        """All text of the message, in lines: the content, embeds, components, poll, and the names and text of files."""
        lines = [self.content]
        for embed in self.embeds:
            lines += [embed.get("author", {}).get("name", ""), embed.get("title", ""), embed.get("description", "")]
            lines += [line for part in embed.get("fields", ()) for line in (part["name"], part["value"])]
            lines.append(embed.get("footer", {}).get("text", ""))
        lines += text_of(self.components)
        lines += texts(self.poll) if self.poll else []
        for file in self.files:
            lines += [file.filename, file.data.decode("utf-8", "replace")]
        return "\n".join(filter(None, lines))


@dataclass
class Request:
    """A request to the webhook API, accepted or refused.

    Attributes:
        method: The HTTP method.
        path: The path with the query; the token is masked.
        headers: The headers of the request; their names are case-insensitive.
        payload: The JSON or form of the request; `None` if it is unreadable, or was not read because the request has no
            webhook's token.
        files: The files of the request.
        time: The time of arrival, by `time.monotonic`, in seconds.
        fault: The fault that was injected into the request, or `None`.
        finished: The time of the response, by `time.monotonic`; `None` until then.
        status: The HTTP status of the response; `None` until then, and for a request without a response.
        answer: The body of the response.
        size: The approximate memory of the request, in bytes.
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
    size: int = 0


def is_refused(request: Request) -> bool:
    """Return whether the response to a finished request is an error, or was not sent."""
    return request.status is None or request.status >= HTTPStatus.BAD_REQUEST


@dataclass(frozen=True)
class Webhook:
    """A webhook, with the properties of its channel."""

    id: str
    token: str = field(repr=False)
    channel_id: str
    forum: bool
    requires_tags: bool
    name: str = "Local Discord"


@dataclass(frozen=True)
class Thread:
    """A thread of a channel; the name is `None` if nobody gave one."""

    id: str
    channel_id: str
    locked: bool
    name: str | None = None
