"""The JSON that Discord expects, and the message that one request carries.

Discord documents these objects at https://docs.discord.com/developers/resources/webhook#execute-webhook and
https://docs.discord.com/developers/resources/message#embed-object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired


class EmbedField(TypedDict):
    """A name with its value; fields that are `inline` stand in columns."""

    name: str
    value: str
    inline: NotRequired[bool]


class EmbedFooter(TypedDict):
    """The small line at the bottom of an embed."""

    text: str
    icon_url: NotRequired[str]


class EmbedAuthor(TypedDict):
    """The small line above the title of an embed."""

    name: str
    url: NotRequired[str]
    icon_url: NotRequired[str]


class EmbedImage(TypedDict):
    """A picture in an embed."""

    url: str


class Embed(TypedDict, total=False):
    """A card in a Discord message."""

    title: str
    description: str
    color: int
    timestamp: str
    fields: list[EmbedField]
    footer: EmbedFooter
    url: str
    author: EmbedAuthor
    image: EmbedImage
    thumbnail: EmbedImage


class AllowedMentions(TypedDict):
    """The people whom a message may notify; `parse: []` alone means nobody."""

    parse: list[str]
    roles: NotRequired[list[str]]
    users: NotRequired[list[str]]


class Attachment(TypedDict):
    """A file that an edited message keeps."""

    id: str


class Payload(TypedDict, total=False):
    """The body of a request that posts a message, or edits one."""

    content: str
    username: str
    avatar_url: str
    embeds: list[Embed]
    thread_name: str
    applied_tags: list[str]
    flags: int
    allowed_mentions: AllowedMentions
    attachments: list[Attachment]


class File(NamedTuple):
    """A file that is attached to a message. A file whose name ends in `.txt` holds UTF-8 text."""

    filename: str
    content: bytes


class Message(NamedTuple):
    """The message that one request carries.

    Attributes:
        payload: The body.
        thread_id: The thread of the webhook's channel to post into; `None` means the channel itself.
        files: The attached files.
        mentions: The mentions that its records ask for, those of the most severe records first, unless they were made a
            short while ago.
    """

    payload: Payload
    thread_id: str | None = None
    files: tuple[File, ...] = ()
    mentions: tuple[str, ...] = ()
