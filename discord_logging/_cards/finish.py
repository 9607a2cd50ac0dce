"""This module makes the card of a record whose formatter exists in this process alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from discord_logging._cards.attachments import safe_name
from discord_logging._cards.compose import call_formatter, failed_card, mention_of
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._exceptions import ends_program
from discord_logging._records.stored_card import StoredCard

if TYPE_CHECKING:
    from discord_logging._records.record import FrozenRecord


def finish(record: FrozenRecord) -> FrozenRecord:
    """Return `record` with its finished card if it has a formatter of the user's own, so that any process can post it.

    The formatter runs on this thread. If it fails, the card is the standard one, whose footer says so. Files are not
    read, so that the card shows their names alone.
    """
    formatter = record.settings.formatter
    if record.card or type(formatter) is EmbedFormatter or not isinstance(formatter, EmbedFormatter):
        return record
    masker = record.settings.masker
    shown = record.describing(lambda each: safe_name(each.name, masker)) if record.attachments else record
    embed, is_cut = call_formatter(shown)
    try:
        # An override may return values that JSON has no form for.
        embed = json.loads(json.dumps(embed, allow_nan=False))
    except BaseException as error:  # the values are the user's objects, which may raise anything
        if ends_program(error):
            raise
        embed, is_cut = failed_card(shown, error)
    return record.carrying(StoredCard(embed, mention_of(record), is_cut=is_cut))
