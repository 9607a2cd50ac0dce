"""What the local Discord keeps: messages, their files, the requests that came, and its webhooks."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from ._components import text_of

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
    """An embed as it stands in a message: trimmed, and without the keys that were empty."""

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
        filename: Its name as Discord sanitises it: ASCII letters, digits, ``.``, ``_`` and ``-``.
        content_type: The Content-Type of its part, with parameters.
        data: Its bytes.
        title: The name it was uploaded under.
        description: The alternative text, or `None`.
        id: The attachment's id; for a file that is still a part of a request, its number ``n`` in ``files[n]``, or the
            name of a part that is named otherwise.
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
        size: About how many bytes of memory it takes.
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
    size: int = field(default=0, repr=False)

    @property
    def text(self) -> str:
        """All its words, in lines: the content, those of embeds and components, names and text of files."""
        lines = [self.content]
        for embed in self.embeds:
            lines += [embed.get("author", {}).get("name", ""), embed.get("title", ""), embed.get("description", "")]
            lines += [line for part in embed.get("fields", ()) for line in (part["name"], part["value"])]
            lines.append(embed.get("footer", {}).get("text", ""))
        lines += text_of(self.components)
        for file in self.files:
            lines += [file.filename, file.data.decode("utf-8", "replace")]
        return "\n".join(filter(None, lines))


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
        size: About how many bytes of memory it takes.
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


@dataclass(frozen=True)
class Webhook:
    """A webhook and what is to know of its channel."""

    id: str
    token: str = field(repr=False)
    channel_id: str
    forum: bool
    requires_tags: bool
    name: str = "Local Discord"


@dataclass(frozen=True)
class Thread:
    """A thread of a channel."""

    id: str
    channel_id: str
    locked: bool
