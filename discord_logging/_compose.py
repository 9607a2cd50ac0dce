"""Waiting records as one message.

A pure function: no clock, no network, no state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord_logging import _limits
from discord_logging._embeds import EmbedFormatter, embed_length
from discord_logging._text import plain
from discord_logging._types import Message

_REPEAT = "may be a repeat"

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._settings import CardSettings
    from discord_logging._snapshot import FrozenRecord
    from discord_logging._types import Embed, Payload


def compose(records: Sequence[FrozenRecord], note: str = "") -> tuple[Message, int]:
    """Return the message for the first of `records`, and how many of them it carries.

    It carries as many cards, in order, as Discord takes in one message and as go to one destination.

    Args:
        records: What waits, oldest first. At least one.
        note: Words for the footer of the first card, such as why it comes late; at most 40 characters.
    """
    settings: CardSettings = records[0].settings
    embeds: list[Embed] = []
    room = _limits.EMBEDS_TOTAL
    for record in records[: _limits.EMBEDS_PER_MESSAGE]:
        embed = lay_out(record)
        _add_to_footer(embed, note if record is records[0] else "", _REPEAT if record.is_repeat else "")
        room -= embed_length(embed)
        if room < 0 or record.settings.destination != settings.destination:
            break
        embeds.append(embed)
    payload = _payload(settings)
    payload["embeds"] = embeds
    return Message(payload, settings.thread_id), len(embeds)


def compose_plain(record: FrozenRecord) -> Message:
    """Return a message of plain text for a record whose card Discord refused."""
    payload: Payload = {"allowed_mentions": {"parse": []}}
    payload["content"] = plain(f"{record.levelname} {record.name}: {record.message}", _limits.CONTENT)
    return Message(payload, record.settings.thread_id)


def lay_out(record: FrozenRecord) -> Embed:
    """Return the card for `record`; when an override of the user's fails, the standard one, which says so."""
    formatter: Any = record.settings.formatter
    if not isinstance(formatter, EmbedFormatter):
        return EmbedFormatter().embed(record)
    try:
        return formatter.embed(record)
    except Exception as error:  # noqa: BLE001 - an override may raise anything
        return _StandInFormatter(f"{type(formatter).__name__} failed: {type(error).__name__}").embed(record)


class _StandInFormatter(EmbedFormatter):
    def __init__(self, trouble: str) -> None:
        super().__init__()
        self._trouble = trouble

    def footer(self, record: FrozenRecord) -> str:
        return f"{super().footer(record)} · {self._trouble}"


def _add_to_footer(embed: Embed, *notes: str) -> None:
    text = embed["footer"]["text"] if "footer" in embed else ""
    if joined := " · ".join(part for part in (text, *notes) if part):
        embed["footer"] = {"text": joined}


def _payload(settings: CardSettings) -> Payload:
    payload: Payload = {"allowed_mentions": {"parse": []}}
    if settings.username:
        payload["username"] = settings.username
    if settings.avatar_url:
        payload["avatar_url"] = settings.avatar_url
    return payload
