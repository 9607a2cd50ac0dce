"""This module keeps the live cards of a message: what they show, and how an edit changes them.

An edit says how a message is to look, not what is added to it, so that it may be sent again after a failure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._cards.embeds import EmbedFormatter, embed_length
from discord_logging._cards.progress import ROOM
from discord_logging._discord import lengths
from discord_logging._discord.types import File
from discord_logging._exceptions import ends_program
from discord_logging._text.markdown import ELLIPSIS, shorten
from discord_logging._text.sanitize import clean, on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._discord.types import Embed, Payload
    from discord_logging._masking.masker import SecretMasker
    from discord_logging._records.incident import Incident
    from discord_logging._records.record import FrozenRecord

_MAX_LOG = 1_000_000
"""The size from which on a file is not sent anew with further texts, in bytes: these go to another one."""
_MAX_FILES = 10
"""The largest number of files of a message."""
_INTERVAL = 5.0
"""The shortest time between two edits of a message, in seconds."""
_AGEING = 60.0
"""An edit comes this part of the age of the message after the one before."""
_BYTES_PER_SECOND = 50_000.0
"""The bytes of its file that the edits of a message send in a second, as a mean."""
_STANDARD_FORMATTER = EmbedFormatter()


@dataclass(eq=False)
class LiveMessage:
    """A message in the channel, some of whose cards are live.

    Attributes:
        id: The id of the message.
        channel_id: The id of its channel or thread.
        thread_id: The id of the thread if the message was posted into one, or `None`.
        posted_at: The monotonic time at which it was posted.
        edited_at: The monotonic time of the last edit, or of the post.
        number: How many messages had been posted before, to tell how far it is from the end of the channel.
        embeds: Its embeds, as they were sent last.
        log: The newest of our files, which an edit may replace.
        log_id: The id of that file in Discord, or `None` if there is none.
        sealed: The ids of all other files.
        not_before: The monotonic time before which Discord takes no edit of it.
        failures: How many edits in a row may have failed because of the message.
        is_gone: Whether it can be edited no more.
    """

    id: str
    channel_id: str
    thread_id: str | None
    posted_at: float
    embeds: list[Embed]
    number: int = 0
    log: bytes = b""
    log_id: str | None = None
    sealed: list[str] = field(default_factory=list)
    edited_at: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    is_gone: bool = False

    def __post_init__(self) -> None:
        self.edited_at = self.edited_at or self.posted_at

    @property
    def due_at(self) -> float:
        """The monotonic time from which on it may be edited: the older it is, the later."""
        age = self.edited_at - self.posted_at
        return self.edited_at + max(_INTERVAL, age / _AGEING, len(self.log) / _BYTES_PER_SECOND)

    @property
    def path(self) -> str:
        """The part of the address of the message behind that of the server."""
        return f"{self.channel_id}/{self.id}"

    @property
    def is_full(self) -> bool:
        """Whether it may have no room for further texts."""
        return len(self.sealed) >= _MAX_FILES - 1


@dataclass(eq=False)
class LiveCard:
    """A live card in a message.

    Attributes:
        message: The message.
        place: The place of its embed among those of the message.
        base: The embed of its newest record, without what the incident adds.
        shown: The numbers that it shows.
        formatter: The formatter of its records.
        masker: The masker of its records.
        unfiled: The text of its record if the file does not have it, or `""`.
    """

    message: LiveMessage
    place: int
    base: Embed
    shown: Incident
    formatter: EmbedFormatter
    masker: SecretMasker
    unfiled: str = ""


class CardDraft(NamedTuple):
    """A card of a message that is about to be posted, which may go on as a live one.

    Attributes:
        record: The record.
        place: The place of its embed in the message.
        base: The embed, without what its incident adds.
        unfiled: The text of the record if the file of the message does not have it, or `""`.
    """

    record: FrozenRecord
    place: int
    base: Embed
    unfiled: str


class Change(NamedTuple):
    """The change of a card.

    Attributes:
        card: The card.
        incident: The numbers to show.
        base: The embed of the newest record, or `None` if the card keeps that of an earlier one.
        texts: The texts of further records, for the file.
    """

    card: LiveCard
    incident: Incident
    base: Embed | None = None
    texts: Sequence[str] = ()


class Edit:
    """An edit of a message.

    Args:
        message: The message.
        changes: The changes of its cards.

    Attributes:
        message: The message.
        payload: The body of the request.
        files: The file that is sent along, or none.
    """

    def __init__(self, message: LiveMessage, changes: Sequence[Change]) -> None:
        self.message = message
        self._changes = changes
        self._embeds = list(message.embeds)
        self._bases = [self._place(change) for change in changes]
        self.payload: Payload = {"embeds": self._embeds, "allowed_mentions": {"parse": []}}
        self.files: tuple[File, ...] = ()
        self._log, self._sealed = b"", message.sealed
        if texts := "".join(text for change in changes for text in _new_texts(change)).encode():
            self._attach(texts)

    def _attach(self, texts: bytes) -> None:
        """Send the file with further texts anew, or begin another one."""
        message = self.message
        self._log = message.log + texts
        if message.log_id and not 0 < len(message.log) <= _MAX_LOG - len(texts):
            self._log, self._sealed = texts, [*message.sealed, message.log_id]
        self._log = cut_file(self._log)
        self.payload["attachments"] = [{"id": each} for each in self._sealed]
        self.files = (File(f"records-{len(self._sealed) + 1}.txt", self._log),)

    def _place(self, change: Change) -> Embed:
        """Put a changed card into the message, and return its base; that stays the old one if there is no room."""
        card = change.card
        room = lengths.EMBEDS_TOTAL - sum(map(embed_length, self._embeds)) + embed_length(self._embeds[card.place])
        for base in (change.base, card.base):
            if base and embed_length(embed := decorate(base, change.incident, card.formatter, card.masker)) <= room:
                self._embeds[card.place] = embed
                return base
        return card.base

    def apply(self, attachments: Sequence[str], now: float) -> None:
        """Note that Discord has taken the edit.

        Args:
            attachments: The ids of the files that the message has now.
            now: The monotonic time.
        """
        message = self.message
        message.edited_at, message.failures = now, 0
        message.embeds = self._embeds
        for change, base in zip(self._changes, self._bases, strict=True):
            change.card.base, change.card.shown = base, change.incident
            if change.texts:
                change.card.unfiled = ""
        if self.files:
            found = [each for each in attachments if each not in self._sealed]
            message.sealed, message.log = self._sealed, self._log
            message.log_id = found[-1] if found else None


def _new_texts(change: Change) -> Sequence[str]:
    # The file has all texts, or none.
    return (change.card.unfiled, *change.texts) if change.texts else ()


def cut_file(content: bytes) -> bytes:
    """Return as much of the content of a file as a message takes, and a line that says so if that is not all."""
    if len(content) <= lengths.FILE_BYTES:
        return content
    cut = f"\n{ELLIPSIS} cut: the record has {len(content):,} bytes\n".encode()
    return content[: lengths.FILE_BYTES - len(cut)].decode(errors="ignore").encode() + cut


def decorate(base: Embed, incident: Incident, formatter: EmbedFormatter, masker: SecretMasker) -> Embed:
    """Return the embed of a record with what its incident adds; that is nothing for a record that came once."""
    if incident.count <= 1 and not (incident.reason or incident.is_continued or incident.is_quiet):
        return base
    try:
        title, lines, color = _live_parts(base, incident, formatter)
    except BaseException as error:  # an override may raise or return anything
        if ends_program(error):
            raise
        title, lines, color = _live_parts(base, incident, _STANDARD_FORMATTER)
    lines = shorten(masker.mask_markdown(lines), ROOM)
    embed: Embed = {**base, "color": color}
    if title:
        embed["title"] = shorten(masker.mask_markdown(title), lengths.TITLE)
    description = "\n".join(part for part in (base.get("description", ""), lines) if part)
    if lines and len(description) <= lengths.DESCRIPTION:
        embed["description"] = description
    return embed


def _live_parts(base: Embed, incident: Incident, formatter: EmbedFormatter) -> tuple[str, str, int]:
    title = clean(on_one_line(formatter.live_title(base.get("title", ""), incident))).strip()
    color = formatter.live_color(base.get("color", 0), incident) & lengths.COLOR
    return title, clean(formatter.progress(incident)).strip(), color
