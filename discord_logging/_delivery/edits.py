"""This module makes live cards of messages that were posted, and finds out how an edit changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._cards.compose import call_formatter, formatter_of
from discord_logging._cards.live import Change, LiveCard, LiveMessage
from discord_logging._cards.plain_text import full_text
from discord_logging._records.record import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_logging._backlogs.entry import Entry
    from discord_logging._cards.live import CardDraft
    from discord_logging._discord.sender import Response
    from discord_logging._discord.types import Message


def live_cards(
    message: Message, drafts: Mapping[Entry, CardDraft], response: Response, now: float
) -> dict[Entry, LiveCard]:
    """Return the live cards of a message that was posted, by their entries; none if Discord has not said where it is.

    Args:
        message: The message.
        drafts: The drafts of the cards.
        response: The response to the message.
        now: The monotonic time.
    """
    if response.message_id is None or response.channel_id is None:
        return {}
    # Without its thread, Discord does not find a message (10008).
    is_in_thread = message.thread_id or "thread_name" in message.payload
    live = LiveMessage(
        response.message_id,
        response.channel_id,
        response.channel_id if is_in_thread else None,
        now,
        message.payload["embeds"],
    )
    if message.files:
        # A file whose id is unknown is sent again with the next text.
        live.log, live.log_id = message.files[0].content, next(iter(response.attachment_ids), None)
    return {
        entry: LiveCard(live, place, base, record.incident, formatter_of(record), record.settings.masker, unfiled)
        for entry, (record, place, base, unfiled) in drafts.items()
        if record.incident
    }


def change_of(entry: Entry, guild_id: str | None) -> Change:
    """Return how an edit changes the card of an entry.

    Args:
        entry: The entry.
        guild_id: The id of the server, without which no message has an address.
    """
    part = entry.part
    if part is None or part.card is None:
        raise ValueError("the entry edits no card")
    incident = part.facts(guild_id)
    if not entry.count:
        return Change(part.card, incident)
    base, _ = call_formatter(part.newest.counted(Counts(incident=incident)))
    new = [entry.record, *part.others] if part.is_new else part.others
    return Change(part.card, incident, base, [full_text(each) for each in new])
