"""This module composes one message from waiting records: cards, lines or a digest.

It uses no network and keeps no state; it reads the clock only to let other threads run now and then. It chooses the
plainest form that clears the backlog with the allowed number of requests. Without load, that is one card per record.
"""

from __future__ import annotations

import heapq
import io
import logging
import re
from datetime import timezone
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._cards.attachments import LEFT_OUT, Reader
from discord_logging._cards.digest import Summary
from discord_logging._cards.embeds import EmbedFormatter, embed_length, masked, stamp
from discord_logging._cards.live import CardDraft, cut_file, decorate
from discord_logging._cards.plain_text import (
    ansi_line,
    clock_time,
    describe_repeats,
    exact_time,
    full_text,
    has_traceback,
    reader_time,
)
from discord_logging._cards.progress import ROOM as PROGRESS_ROOM
from discord_logging._discord import lengths
from discord_logging._discord.types import File, Message
from discord_logging._exceptions import ends_program
from discord_logging._process.gil import yield_gil_between
from discord_logging._records.parse import MENTION
from discord_logging._records.record import ONCE
from discord_logging._records.settings import at_level, nearest_level
from discord_logging._records.stored_card import StoredCard
from discord_logging._text.markdown import cuts_made, plain
from discord_logging._text.numbers import counted
from discord_logging._text.sanitize import on_one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from discord_logging._cards.attachments import Attached
    from discord_logging._discord.types import Embed, EmbedField, EmbedFooter, Payload
    from discord_logging._records.record import FrozenRecord
    from discord_logging._records.settings import CardSettings

FOOTER_SEPARATOR = " · "
"""The separator of the parts of a footer."""
_REPEAT = "may be a repeat"
_FENCES = len("```ansi\n\n```")
_MAX_LINE = 500
"""The longest line, in characters. A record with a longer one gets a card."""
_MAX_SEVERE_CARDS = 3
"""The largest number of severe records that stand out as cards among lines."""
_LIVE_MESSAGES = 6
"""The number of messages that may show incidents as cards before they become lines."""
_MAX_DIGEST_CARDS = 3
"""The largest number of cards after a digest."""
_MAX_MENTIONS = 10
"""The largest number of mentions in one message."""
_STANDARD_FORMATTER = EmbedFormatter()
_MAX_NOTED_CARD = lengths.EMBEDS_TOTAL - 150
"""The longest card with a field about files that are left out, in characters. The rest is for other notes."""
_FOOTER_ROOM = 150
"""The room for the footer of the lines or of the digest, in characters."""
_HEADING_ROOM = 120
"""The room for the line above the block of lines, in characters."""
_PREVIEW_ROOM = 10_000
"""The room at the beginning of the file for the lines about its worst records, in bytes."""
_ABOVE_ROOM = 700
"""The room above a text for mentions and losses, which the delivery adds, in characters."""


class Composed(NamedTuple):
    """A message, the records that it carries, in their order, and the cards of those that belong to incidents."""

    message: Message
    records: Sequence[FrozenRecord]
    drafts: Sequence[CardDraft] = ()


def compose(
    records: Sequence[FrozenRecord],
    *,
    head: FrozenRecord | None = None,
    allowance: int = 1,
    note: str = "",
    without_files: Collection[FrozenRecord] = (),
) -> Composed:
    """Return a message for `head`, for the records before it, and for others that fit.

    Only records that go to the same destination share a message.

    Args:
        records: The waiting records, oldest first; at least one.
        head: The record that the message carries in any case; `None` stands for the first.
        allowance: The number of requests that may clear the backlog, including this one.
        note: A text for the footer of the first card, such as the delay; at most 40 characters.
        without_files: The records whose attachments are left out, since Discord has refused them.
    """
    head = head or records[0]
    reader = Reader(without_files)
    destination = head.settings.destination
    mine = [record for record in records if record.settings.destination == destination]
    if all(record.incident and record.levelno >= logging.WARNING for record in mine):
        # The records that follow are counted on their cards, so that the load does not last.
        allowance = max(allowance, _LIVE_MESSAGES)
    draft = _cards(mine[: lengths.EMBEDS_PER_MESSAGE], note, reader)
    for form in (_lines, _digest):
        if len(draft.records) * allowance >= len(mine) and head in draft.records:
            break
        # A large record among the first may leave less room in a denser form.
        draft = max(draft, form(mine, note, reader), key=lambda each: len(each.records))
    if head not in draft.records:
        draft = _cards([head], note, reader)
    return draft.message()


def compose_plain(record: FrozenRecord) -> Message:
    """Return a message of plain text for a record whose card Discord refused."""
    payload: Payload = {"allowed_mentions": {"parse": []}}
    repeats = describe_repeats(record)
    name = on_one_line(f"{record.levelname} {record.name}")
    left_out = _describe_left_out(len(record.attachments))
    before = "".join(f"{part} " for part in (repeats, left_out and f"({left_out})") if part)
    error = record.mask(record.exception.text) if record.exception else ""
    # Discord would add a card for a link.
    text = plain(f"{name}: {record.message or error}", lengths.CONTENT - len(before), keep_links=False)
    payload["content"] = before + text
    return _address(payload, [record])


def put_above(payload: Payload, text: str, *, notifies_all: bool = False) -> None:
    """Put `text` above the text of the message, which becomes an embed if there is no room for both.

    It also becomes an embed if `text` notifies everyone and the text of the message contains `@everyone` or `@here`,
    which must notify nobody.
    """
    own = payload.get("content", "")
    content = _joined(text, own)
    if len(content) > lengths.CONTENT or (notifies_all and ("@everyone" in own or "@here" in own)):
        payload["embeds"] = [{"description": own}, *payload.get("embeds", ())]
        content = text
    payload["content"] = content


def _joined(first: str, second: str) -> str:
    return f"{first}\n{second}" if first and second else first or second


def _address(payload: Payload, records: Sequence[FrozenRecord], files: tuple[File, ...] = ()) -> Message:
    """Return the message with the settings of its destination, and silent if all of its records are silent."""
    settings: CardSettings = records[0].settings
    if settings.thread_name:
        payload["thread_name"] = settings.masker.mask(settings.thread_name)
        if settings.applied_tags:
            payload["applied_tags"] = list(settings.applied_tags)
    if all(record.levelno < record.settings.silent_below for record in records):
        payload["flags"] = lengths.SUPPRESS_NOTIFICATIONS
    return Message(payload, settings.thread_id, files)


def _mentions(records: Sequence[FrozenRecord]) -> tuple[str, ...]:
    """Return the mentions of the records, each once, those of the most severe records first."""
    found: dict[str, int] = {}
    for record in yield_gil_between(records):
        if mention := mention_of(record):
            found[mention] = max(found.get(mention, record.levelno), record.levelno)
    return tuple(sorted(found, key=found.__getitem__, reverse=True)[:_MAX_MENTIONS])


def mention_of(record: FrozenRecord) -> str:
    """Return the mention that the record's formatter wants, or `""`, also if the user's override fails."""
    try:
        mention = _formatter(record).mention(record)
        match = MENTION.fullmatch(mention) if mention else None
    except BaseException as error:  # an override may raise or return anything; the record is posted anyway
        if ends_program(error):
            raise
        return ""
    return match[0] if match else ""


class _Draft:
    """A message under construction: its records, text and embeds, and the room for more, in characters."""

    def __init__(self, first: FrozenRecord, note: str, reader: Reader) -> None:
        self.settings = first.settings
        self.zone = first.zone
        self.reader = reader
        self.files: list[File] = []
        self.note = note
        self.records: list[FrozenRecord] = []
        self.drafts: list[CardDraft] = []
        self.embeds: list[Embed] = []
        self.content = ""
        self.room = lengths.EMBEDS_TOTAL - (len(note) + len(FOOTER_SEPARATOR) if note else 0)
        self.text = io.BytesIO()

    def has_room(self, embed: Embed, reserve: int = 0) -> bool:
        """Tell whether `embed` may be added; behind others, with a reserve of characters by which it may grow."""
        room = self.room - (reserve if self.embeds else 0)
        if embed_length(embed) > room or self.count >= lengths.EMBEDS_PER_MESSAGE:
            return False
        # Of embeds with the same address, Discord shows only the first
        # (https://docs.discord.com/developers/resources/message#embed-object).
        return "url" not in embed or all(embed["url"] != each.get("url") for each in self.embeds)

    @property
    def count(self) -> int:
        """The number of embeds, including the embed that the text may become."""
        return len(self.embeds) + bool(self.content)

    def add(self, embed: Embed) -> None:
        """Add an embed."""
        self.room -= embed_length(embed)
        self.embeds.append(embed)

    def add_card(self, record: FrozenRecord) -> bool:
        """Add the card and the files of a record if there is room; the text of a card that is cut goes to our file.

        So do the texts of repeats that say something else.
        """
        attached = self.reader.attach(record, self.files)
        if attached.lacks_room and self.files:
            return False
        record = attached.record
        base, is_cut = call_formatter(record)
        embed = _add_counts(base, record)
        _show_files(embed, attached)
        text = embed["description"] if embed.keys() == {"description"} else ""
        is_text = 0 < len(text) <= lengths.CONTENT and not (self.embeds or self.note)
        content = _joined(self.content, text)
        if is_text and len(content) > lengths.CONTENT:
            return False
        reserve = PROGRESS_ROOM if record.incident else 0
        is_filed = is_cut or bool(record.others)
        if not self.has_room(embed, reserve) or (
            is_filed and not self.attach(_whole_text(record, self.zone, for_card=True))
        ):
            return False
        if is_text:
            self.room -= len(text) + 1 + (0 if self.content else _ABOVE_ROOM)
            self.content = content
        else:
            if record.incident:
                self.drafts.append(CardDraft(record, len(self.embeds), base, "" if is_filed else full_text(record)))
                self.room -= reserve
            self.add(embed)
        self.files += attached.files
        return True

    def attach(self, text: str) -> bool:
        """Put `text` into the file if there is room. There is always room for the first one."""
        content = text.encode()
        size = self.text.tell()
        if size and size + len(content) > lengths.FILE_BYTES - _PREVIEW_ROOM:
            return False
        self.text.write(content)
        return True

    def begin_file(self, text: str) -> None:
        """Put `text`, for which there is room, at the beginning of the file."""
        content = text.encode() + self.text.getvalue()
        self.text = io.BytesIO()
        self.text.write(content)

    def message(self) -> Composed:
        """Return the finished message, with the note in the footer of its first embed."""
        payload: Payload = {"allowed_mentions": {"parse": []}}
        if self.content:
            payload["content"] = self.content
        if self.embeds:
            _add_to_footer(self.embeds[0], self.note)
            payload["embeds"] = self.embeds
        worst = max(record.levelno for record in self.records)
        if username := at_level(self.settings.username, worst):
            payload["username"] = self.settings.masker.mask(username)
        if avatar_url := at_level(self.settings.avatar_url, worst):
            payload["avatar_url"] = avatar_url
        files = (_file(self.text.getvalue(), self.records[0]),) if self.text.tell() else ()
        message = _address(payload, self.records, (*files, *self.files))
        # Pictures and other files of a program would be lost in an edit.
        drafts = () if self.files else self.drafts
        return Composed(message._replace(mentions=_mentions(self.records)), self.records, drafts)


def _cards(records: Sequence[FrozenRecord], note: str, reader: Reader) -> _Draft:
    """Draft one embed per record."""
    draft = _Draft(records[0], note, reader)
    for record in yield_gil_between(records):
        if not draft.add_card(record):
            break
        draft.records.append(record)
    return draft


def _lines(records: Sequence[FrozenRecord], note: str, reader: Reader) -> _Draft:
    """Draft cards for a few of the most severe records and for those that fit on no line, and lines for all others."""
    draft = _Draft(records[0], note, reader)
    severe = _severe_level(records)
    lines: list[str] = []
    lined: list[FrozenRecord] = []
    room = lengths.DESCRIPTION - _FENCES - _HEADING_ROOM
    draft.room -= _FENCES + _HEADING_ROOM + _FOOTER_ROOM
    for record in yield_gil_between(records):
        line = ansi_line(record, draft.zone)
        needs_card = has_traceback(record) or record.attachments or record.others
        if record.levelno >= severe or needs_card or len(line) > _MAX_LINE:
            # One embed is reserved for the block of lines.
            if draft.count == lengths.EMBEDS_PER_MESSAGE - 1 or not draft.add_card(record):
                break
        else:
            room -= len(line) + 1
            draft.room -= len(line) + 1
            if min(room, draft.room) < 0:
                break
            lines.append(line)
            lined.append(record)
        draft.records.append(record)
    if lines:
        draft.embeds.append(_lines_embed(lines, lined, draft.zone))
    return draft


def _digest(records: Sequence[FrozenRecord], note: str, reader: Reader) -> _Draft:
    """Draft a summary, the first card of each of the worst kinds, and a file with the whole text of every record.

    The attachments of the most severe records come along as far as there is room.
    """
    draft = _Draft(records[0], note, reader)
    for record in yield_gil_between(records):
        if not draft.attach(_whole_text(record, draft.zone, for_card=False)):
            break
        draft.records.append(record)
    summary = Summary(yield_gil_between(draft.records))
    draft.begin_file(summary.preview())
    draft.room -= _FOOTER_ROOM
    first = min(draft.records, key=attrgetter("created"))
    embed = summary.embed(first, max(draft.records, key=attrgetter("last_created")))
    stamp(embed, first.created)
    draft.add(embed)
    shown = summary.worst()[:_MAX_DIGEST_CARDS]
    for record in shown:
        attached = reader.attach(record, draft.files)
        card = lay_out(attached.record)
        _show_files(card, attached)
        if draft.has_room(card):
            draft.add(card)
        draft.files += attached.files
    left_out = _attach_others([each for each in draft.records if each not in shown], draft)
    repeats = _REPEAT if any(record.is_repeat for record in draft.records) else ""
    _add_to_footer(embed, repeats, _describe_left_out(left_out))
    return draft


def _attach_others(records: Sequence[FrozenRecord], draft: _Draft) -> int:
    """Attach the files of records that have no card, the most severe first, and return how many are left out."""
    left_out = 0
    is_full = False
    with_files = [record for record in yield_gil_between(records) if record.attachments]
    for record in sorted(with_files, key=attrgetter("levelno"), reverse=True):
        if is_full:
            left_out += len(record.attachments)
            continue
        attached = draft.reader.attach(record, draft.files)
        draft.files += attached.files
        left_out += len(attached.left_out)
        is_full = attached.lacks_room
    return left_out


def _describe_left_out(count: int) -> str:
    return f"{counted(count, 'attachment')} left out" if count else ""


def _show_files(embed: Embed, attached: Attached) -> None:
    """Show the first picture in a card, and say which files are left out."""
    # An embed of a description alone becomes the text of the message, which has no picture.
    if attached.picture and "image" not in embed and embed.keys() != {"description"}:
        embed["image"] = {"url": f"attachment://{attached.picture}"}
    if not attached.left_out:
        return
    _add_to_footer(embed, _describe_left_out(len(attached.left_out)))
    fields = embed.get("fields", [])
    # An override, or the setting `fields`, may not show the values.
    if any(LEFT_OUT in field["value"] for field in fields):
        return
    field: EmbedField = {"name": "Attachments", "value": plain("\n".join(attached.left_out), 400), "inline": False}
    if len(fields) < lengths.FIELDS and embed_length({**embed, "fields": [*fields, field]}) <= _MAX_NOTED_CARD:
        embed["fields"] = [*fields, field]


def _lines_embed(lines: Sequence[str], records: Sequence[FrozenRecord], zone: timezone) -> Embed:
    settings: CardSettings = records[0].settings
    count = sum(record.count for record in records)
    first = min(records, key=attrgetter("created"))
    last = max(records, key=attrgetter("last_created"))
    # Discord shows no times of the reader's zone in a code block.
    times = f"{reader_time(first.created)} to {reader_time(last.last_created)} · times below are in {zone}"
    embed: Embed = {
        "description": f"-# {count:,} records, {times}\n```ansi\n" + "\n".join(lines) + "\n```",
        "color": int(nearest_level(settings.colors, max(record.levelno for record in records))),
    }
    stamp(embed, first.created)
    _add_to_footer(embed, _REPEAT if any(record.is_repeat for record in records) else "")
    return embed


def _severe_level(records: Sequence[FrozenRecord]) -> float:
    """Return the lowest level from `ERROR` on of which, with all above, so few records wait that they get cards."""
    levels = (record.levelno for record in records if record.levelno >= logging.ERROR)
    severe = heapq.nlargest(_MAX_SEVERE_CARDS + 1, levels)
    if len(severe) > _MAX_SEVERE_CARDS:
        # The records of the lowest of these levels are too common to stand out.
        severe = [level for level in severe if level > severe[-1]]
    return min(severe, default=float("inf"))


def lay_out(record: FrozenRecord) -> Embed:
    """Return the card for `record`. If the user's override fails, return the standard card, whose footer says so."""
    return _add_counts(call_formatter(record)[0], record)


def _add_counts(embed: Embed, record: FrozenRecord) -> Embed:
    """Return the card with the facts that change while the record waits."""
    if record.incident:
        embed = decorate(embed, record.incident, formatter_of(record), record.settings.masker)
    else:
        _add_repeats(embed, record)
    _add_to_footer(embed, _REPEAT if record.is_repeat else "")
    return embed


def call_formatter(record: FrozenRecord) -> tuple[Embed, bool]:
    """Return the card that the record's formatter makes, masked, and whether the card is cut."""
    cuts = cuts_made()
    try:
        # An override may have added secrets. The result is a copy, since it may also return the same embed twice.
        embed = masked(_formatter(record).embed(record), record.settings.masker)
        embed_length(embed)
    except BaseException as error:  # an override may raise or return anything
        if ends_program(error):
            raise
        return failed_card(record, error)
    return embed, cuts_made() > cuts


def failed_card(record: FrozenRecord, error: BaseException) -> tuple[Embed, bool]:
    """Return the standard card, whose footer says that the record's formatter failed, and whether the card is cut."""
    cuts = cuts_made()
    failure = f"{type(_formatter(record)).__name__} failed: {type(error).__name__}"
    return _StandInFormatter(failure).embed(record), cuts_made() > cuts


def formatter_of(record: FrozenRecord) -> EmbedFormatter:
    """Return the formatter of the live card of a record, which is a standard one if the card was made elsewhere."""
    formatter = _formatter(record)
    return formatter if isinstance(formatter, EmbedFormatter) else _STANDARD_FORMATTER


def _formatter(record: FrozenRecord) -> EmbedFormatter | StoredCard:
    """Return the formatter that lays the record out. Another kind of formatter has made its message already."""
    formatter = record.card or record.settings.formatter
    return formatter if isinstance(formatter, (EmbedFormatter, StoredCard)) else _STANDARD_FORMATTER


class _StandInFormatter(EmbedFormatter):
    def __init__(self, failure: str) -> None:
        super().__init__()
        self._failure = failure

    def footer(self, record: FrozenRecord) -> str:
        return f"{super().footer(record)}{FOOTER_SEPARATOR}{self._failure}"


def _add_repeats(embed: Embed, record: FrozenRecord) -> None:
    """Put the repeats of the record below its text; into the footer if an override has left no room."""
    repeats = describe_repeats(record)
    if not repeats:
        return
    text = _joined(embed.get("description", ""), f"-# {repeats}")
    if len(text) <= lengths.DESCRIPTION:
        embed["description"] = text
    else:
        zone = record.zone
        _add_to_footer(embed, f"{describe_repeats(record, lambda seconds: clock_time(seconds, zone))} {zone}")


def _add_to_footer(embed: Embed, *notes: str) -> None:
    text = embed["footer"]["text"] if "footer" in embed else ""
    if joined := FOOTER_SEPARATOR.join(part for part in (text, *notes) if part):
        footer: EmbedFooter = {"text": joined}
        if icon_url := embed.get("footer", {}).get("icon_url"):
            footer["icon_url"] = icon_url
        embed["footer"] = footer


def _whole_text(record: FrozenRecord, zone: timezone, *, for_card: bool) -> str:
    """Return the texts of a record and of its repeats that say something else."""
    # The repeats are no repeats of its text then.
    alone = record.counted(ONCE) if record.others else record
    return full_text(alone, zone, for_card=for_card) + "".join(full_text(each, zone) for each in record.others)


def _file(content: bytes, first: FrozenRecord) -> File:
    content = cut_file(content)
    created = re.sub(r"[-:]|\..*", "", exact_time(first.created, timezone.utc))
    return File(f"records-{created}Z.txt" if created else "records.txt", content)
