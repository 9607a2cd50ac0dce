"""This module lays a frozen record out as an embed, the card in the channel."""

from __future__ import annotations

import logging
import ntpath
from datetime import timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from discord_logging._cards.extra_values import repeats_exception, shown_values
from discord_logging._cards.plain_text import exception_line, to_datetime, traceback_text
from discord_logging._cards.progress import ROOM as PROGRESS_ROOM
from discord_logging._cards.progress import describe_progress, times
from discord_logging._cards.tables import split_tables
from discord_logging._cards.traceback_card import format_card
from discord_logging._discord import lengths
from discord_logging._masking.harmless import MARKDOWN_MASK
from discord_logging._records.freeze import freeze
from discord_logging._records.parse import fill_source_url
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings, nearest_level
from discord_logging._records.values import show_value, to_text
from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.markdown import ELLIPSIS, code_block, note_cut, plain, shorten
from discord_logging._text.sanitize import clean, on_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_logging._discord.types import Embed, EmbedField
    from discord_logging._masking.masker import SecretMasker
    from discord_logging._records.frames import Frame
    from discord_logging._records.incident import Incident

_MIN_BLOCK = 750
"""The room that the message leaves to each block, in characters."""
_FENCES = len("```py\n\n```")
_MAX_LINK = 500
"""The longest address of a line of source, in characters."""
_DRIVE = lazy_pattern(r"[A-Za-z]:/")
_REST_ROOM = 200
"""The room for the field that names the fields left out, in characters."""
_NOTE_ROOM = 150
"""The room in the footer for notes of the delivery, in characters."""
_MIN_SHARED_CONTEXT = 3
"""The smallest number of short values of the context that share a line."""
_MAX_CONTEXT_LINE = 200
"""The longest such line, in characters."""
_MIN_PART = 100
"""The least room for a part of a message, in characters."""
_REPEATS_ROOM = 80
"""The room for the line with the repeats, in characters."""
_QUIET_COLOR = 0x95A5A6
INLINE_VALUE = 40
"""The longest value that shares its row with others, in characters."""


class EmbedFormatter(logging.Formatter):
    """Lays a record out as a Discord embed.

    To change a part, subclass this class and override `title`, `description`, `fields`, `footer`, `color` or
    `mention`. Each method gets the record as it was when it was logged, with most attributes of `logging.LogRecord`,
    `message` (str), `extra` (dict or `None`) and `exception`; `FrozenRecord` lists them. The methods run on the
    listener's thread. Their results are cleaned and cut to Discord's limits afterwards.

    With `repeats="edit"`, `live_title`, `live_color` and `progress` say how the card of an `Incident` changes as it
    goes on. With a `backlog`, the process that edits the message has only the standard ones.

    An embed that consists of a description of up to 2,000 characters is posted as plain text if possible, which is
    above the cards of its message.
    """

    def embed(self, record: FrozenRecord) -> Embed:
        """Return the card for `record`, within Discord's limits and without empty parts."""
        embed = self._frame(record)
        if title := _fit(on_one_line(self.title(record)), lengths.TITLE):
            embed["title"] = title
        if description := _fit(self.description(record), _body_room(record)):
            embed["description"] = description
        room = lengths.EMBEDS_TOTAL - embed_length(embed) - _REST_ROOM - _NOTE_ROOM
        room -= PROGRESS_ROOM if record.incident else 0
        if footer := _fit(self.footer(record), min(lengths.FOOTER - _NOTE_ROOM, room)):
            embed["footer"] = {"text": footer}
        if fields := _fit_fields(self.fields(record), room - len(footer), _context_fields(record)):
            embed["fields"] = fields
        if not (embed_length(embed) or embed.keys() & {"image", "thumbnail"}):
            # Discord refuses an empty message (50006).
            embed["title"] = _fit(_name(record.levelname, 60), lengths.TITLE) or "LOG"
        return embed

    def _frame(self, record: FrozenRecord) -> Embed:
        """Return the embed without its texts: the colour and the time."""
        embed: Embed = {"color": self.color(record) & lengths.COLOR}
        stamp(embed, record.created)
        return embed

    def title(self, record: FrozenRecord) -> str:
        """Return the title: emoji, level and logger, and before these the exception, if there is one."""
        emoji = nearest_level(record.settings.emojis, record.levelno)
        parts = [_name(record.levelname, 60), _name(record.name, 160)]
        if record.exception:
            # The traceback has the whole text, so its cut is none that needs a file.
            parts.insert(0, _name(exception_line(record), lengths.TITLE))
        return f"{emoji} {' · '.join(parts)}".strip()

    def description(self, record: FrozenRecord) -> str:
        """Return the body: the message, the traceback in a code block, and the location."""
        location = self.location(record)
        room = _body_room(record) - len(location) - 2
        stack_info = record.stack_info
        count = bool(record.exception or record.exc_text) + bool(stack_info)
        message = "" if repeats_exception(record) else _show_message(record.message, room - count * _MIN_BLOCK)
        room = (room - len(message)) // max(count, 1) - 1
        blocks = (self.traceback(record, room - _FENCES), stack_info)
        fenced = [code_block(block, room, language="py", keep_end=True) if block else "" for block in blocks]
        if not (message or fenced[0]):
            # An override may have left the traceback out.
            message = _show_message(record.message, room)
        return "\n".join(part for part in (message, *fenced, location) if part)

    def traceback(self, record: FrozenRecord, limit: int) -> str | None:
        """Return the text of the record's exception, which has room for `limit` characters, or `None`."""
        return record.mask(format_card(record.exception, limit)) if record.exception else record.exc_text

    def location(self, record: FrozenRecord) -> str:
        """Return the line in small print with the place of the record, a link if `source_url` is set.

        The place is that of the logging call or, if a library logged an exception, the program's line that led to it.
        """
        place = record.place
        if not place.lineno:
            return ""
        line = to_text(place.lineno)
        # The path may be that of Windows.
        location = _name(f"{ntpath.basename(to_text(place.filename))}:{line}", 150)
        url = _source_url(record.settings.source_url, place, line)
        # The text of a link cannot contain brackets, not even escaped ones.
        if url and not {"[", "]"} & set(location):
            location = f"[{location}]({url})"
        return f"-# {location} in {_name(place.name, 100)}"

    def fields(self, record: FrozenRecord) -> list[EmbedField]:
        """Return the record's `extra` values and the handler's context as fields.

        Values that frameworks attach for themselves, and values that repeat the text of the card, are left out unless
        the setting `fields` names them.
        """
        own = {name: show_value(value, lengths.EMBEDS_TOTAL) for name, value in _own_values(record).items()}
        return [*(as_field(name, value) for name, value in own.items()), *_context_fields(record)]

    def footer(self, record: FrozenRecord) -> str:
        """Return the host, process, thread and asyncio task, as far as they are known."""
        given = (record.process, record.processName, record.threadName, record.taskName)
        # A record that was made by hand may have any object as a name, even one without a truth value.
        pid, process, thread, task = ("" if value is None else on_one_line(to_text(value)) for value in given)
        pid = f"pid {pid}" if pid not in ("", "0") else ""
        if process in ("", "MainProcess"):
            process = pid
        elif pid:
            process = f"{process} ({pid})"
        return " · ".join(part for part in (record.origin.host, process, thread, task) if part)

    def color(self, record: FrozenRecord) -> int:
        """Return the colour of the record's level, as 0xRRGGBB; a level without one takes that of the nearest below."""
        return int(nearest_level(record.settings.colors, record.levelno))

    def mention(self, record: FrozenRecord) -> str:
        """Return the mention that the record notifies, such as `<@&ID>` for a role, or `""` for nobody.

        By default, the handler's `mentions` say which mention belongs to the level. Nobody is notified more than once
        in `mention_interval`.
        """
        mentions = record.settings.mentions
        return nearest_level(mentions, record.levelno) if mentions else ""

    def live_title(self, title: str, incident: Incident) -> str:
        """Return the title of a card that counts the records of an incident: their number, and the title of the newest.

        Args:
            title: The title of the newest record, or `""`.
            incident: The numbers of the incident.
        """
        return f"{times(incident.count)} {title}".strip() if incident.count > 1 else title

    def live_color(self, color: int, incident: Incident) -> int:
        """Return the colour of a card that counts the records of an incident: a calm grey when it is quiet.

        Args:
            color: The colour of the newest record, as 0xRRGGBB.
            incident: The numbers of the incident.
        """
        return _QUIET_COLOR if incident.is_quiet else color

    def progress(self, incident: Incident) -> str:
        """Return the lines below the text of a card that counts the records of an incident.

        By default, they have the times of the first and the last record, how many come in a minute, the last hour as a
        row of blocks, and the hosts if there are several processes.
        """
        return describe_progress(incident)

    def format(self, record: logging.LogRecord) -> str:
        """Return the message and the traceback of the card as plain text, for handlers that are not ours."""
        frozen = FrozenRecord(freeze(record, CardSettings(self)))
        return "\n".join(
            part for part in (f"{frozen.levelname} {frozen.name}: {frozen.message}", traceback_text(frozen)) if part
        )


def masked(embed: Embed, masker: SecretMasker) -> Embed:
    """Return a copy of a card without secrets: an override of the formatter may have added its own."""
    card: Any = {**embed}
    for name in {"title", "description"} & card.keys():
        card[name] = masker.mask_markdown(card[name])
    for name in {"footer", "author", "image", "thumbnail"} & card.keys():
        card[name] = {key: masker.mask(text) for key, text in card[name].items()}
    if "url" in card:
        card["url"] = masker.mask(card["url"])
    if "fields" in card:
        card["fields"] = [_masked_field(field, masker) for field in card["fields"]]
    return card  # type: ignore[no-any-return]  # its keys are those of an embed


def _masked_field(field: EmbedField, masker: SecretMasker) -> EmbedField:
    name, value = field["name"], field["value"]
    text = MARKDOWN_MASK if masker.is_secret_value(name, value) else masker.mask_markdown(value)
    return {**field, "name": masker.mask_markdown(name), "value": text}


def embed_length(embed: Embed) -> int:
    """Return how many of the 6,000 characters of a message `embed` takes."""
    footer = embed["footer"]["text"] if "footer" in embed else ""
    fields = sum(len(field["name"]) + len(field["value"]) for field in embed.get("fields", ()))
    author = embed["author"]["name"] if "author" in embed else ""
    return len(embed.get("title", "")) + len(embed.get("description", "")) + len(footer) + len(author) + fields


def _source_url(template: str | None, place: Frame, line: str) -> str | None:
    """Return the address of the line of source at `place`, or `None` if it is unknown."""
    if not template:
        return None
    path = clean(place.path).replace("\\", "/")
    # Library code, paths outside the project and pseudo-files such as <stdin> have no page in the repository.
    if place.library or path.startswith(("/", "<")) or _DRIVE.match(path):
        return None
    url = fill_source_url(template, quote(path), quote(clean(line)))
    return url if len(url) <= _MAX_LINK else None


def _body_room(record: FrozenRecord) -> int:
    if record.incident:
        return lengths.DESCRIPTION - PROGRESS_ROOM - 1
    return lengths.DESCRIPTION - (_REPEATS_ROOM if record.count > 1 else 0)


def _fit(text: str, limit: int) -> str:
    return shorten(clean(text).strip(), limit)


def _name(value: object, limit: int) -> str:
    """Return `value` for a title or the name of a field, where Discord may make no link of an address.

    The signs of an address that is no link would be marks.
    """
    return plain(on_one_line(to_text(value)), limit, keep_links=False)


def as_field(name: str, value: str) -> EmbedField:
    """Return a field without Markdown; a short value shares its row with others, and another has a code block."""
    if len(value) <= INLINE_VALUE and "\n" not in value:
        return {"name": name, "value": plain(value, lengths.FIELD_VALUE), "inline": True}
    return {"name": name, "value": code_block(value, lengths.FIELD_VALUE), "inline": False}


def _own_values(record: FrozenRecord) -> Mapping[str, Any]:
    chosen = record.settings.fields
    if chosen is None:
        return shown_values(record)
    extra = record.extra or {}
    return {name: extra[name] for name in chosen if name in extra}


def _context_fields(record: FrozenRecord) -> list[EmbedField]:
    """Return the handler's context as fields. Three or more short values share a line."""
    if not record.settings.context:
        return []
    own = _own_values(record)
    context = {name: value for name, value in record.settings.context.items() if name not in own}
    fields = {name: as_field(name, show_value(value, lengths.EMBEDS_TOTAL)) for name, value in context.items()}
    short = [
        name for name, field in fields.items() if field["inline"] and clean(name).strip() and field["value"].strip()
    ]
    line = " · ".join(on_one_line(f"{name}: {context[name]}") for name in short)
    if len(short) < _MIN_SHARED_CONTEXT or len(line) > _MAX_CONTEXT_LINE:
        return list(fields.values())
    shared: EmbedField = {"name": "Context", "value": plain(line, lengths.FIELD_VALUE), "inline": False}
    return [shared, *(field for name, field in fields.items() if name not in short)]


def _show_message(message: str, limit: int) -> str:
    """Return `message` as Markdown of at most `limit` characters, with its tables in code blocks."""
    parts = split_tables(clean(message[: limit + 1])) if "\n" in message else []
    if not any(is_table for is_table, _ in parts):
        return plain(message, limit).strip()
    note = f"*({len(message):,} characters in all)*" if len(message) > limit else ""
    room, shown = limit - len(note) - 1, list[str]()
    for is_table, part in parts:
        if room < _MIN_PART:
            note = note or ELLIPSIS
            break
        # A table in a code block keeps the blanks at its beginning.
        shown.append(code_block(part, room) if is_table else plain(part, room).strip())
        room -= len(shown[-1]) + 1
    if note:
        note_cut()
    return "\n".join(part for part in (*shown, note) if part)


def _fit_fields(fields: list[EmbedField], room: int, context: list[EmbedField]) -> list[EmbedField]:
    """Cut each field to its limit. A field names those for which there is no room, which are none of the context."""
    fitted: list[tuple[bool, EmbedField]] = []
    for field in fields:
        name = _name(field["name"], lengths.FIELD_NAME).strip()
        value = _fit(field["value"], lengths.FIELD_VALUE)
        if not name and value:
            note_cut()
        if not (name and value):
            continue
        fitted.append((field in context, {"name": name, "value": value, "inline": field.get("inline", False)}))
    places = sorted(range(len(fitted)), key=lambda place: not fitted[place][0])
    room_for = lengths.FIELDS if len(fitted) <= lengths.FIELDS else lengths.FIELDS - 1
    count = 0
    for place in places[:room_for]:
        room -= len(fitted[place][1]["name"]) + len(fitted[place][1]["value"])
        if room < 0:
            break
        count += 1
    shown, hidden = sorted(places[:count]), sorted(places[count:])
    cards = [fitted[place][1] for place in shown]
    if hidden:
        note_cut()
        names = ", ".join(fitted[place][1]["name"] for place in hidden[: lengths.FIELDS])
        rest: EmbedField = {"name": f"{ELLIPSIS} and {len(hidden)} more", "value": shorten(names, 150), "inline": False}
        cards.insert(sum(place < hidden[0] for place in shown), rest)
    return cards


def stamp(embed: Embed, created: float) -> None:
    """Put a time into the embed, which Discord shows in the reader's zone; nothing if `created` is not a valid time."""
    if moment := to_datetime(created, timezone.utc):
        embed["timestamp"] = moment.isoformat(timespec="milliseconds")
