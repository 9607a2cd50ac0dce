"""Cards with a custom layout: each part of the card is one short method of `EmbedFormatter`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from discord_logging import DiscordHandler, EmbedFormatter

if TYPE_CHECKING:
    from discord_logging import EmbedField, FrozenRecord


class ShopCards(EmbedFormatter):
    """Cards for people who know the shop, not the code."""

    def title(self, record: FrozenRecord) -> str:
        """Return the part of the shop, and the level."""
        return f"{record.name.rpartition('.')[2].capitalize()}: {record.levelname.lower()}"

    def description(self, record: FrozenRecord) -> str:
        """Return the standard body with advice below it."""
        return super().description(record) + "\n> See the runbook before you restart anything."

    def fields(self, record: FrozenRecord) -> list[EmbedField]:
        """Return the order alone, in bold."""
        order = (record.extra or {}).get("order")
        return [{"name": "Order", "value": f"**{order}**", "inline": False}] if order else []

    def footer(self, record: FrozenRecord) -> str:
        """Return the process id."""
        return f"pid {record.process}"

    def color(self, record: FrozenRecord) -> int:
        """Return gold for payments, else the colour of the level."""
        return 0xD4AF37 if record.name.startswith("shop.payment") else super().color(record)


handler = DiscordHandler()
handler.setFormatter(ShopCards())
logging.getLogger("shop").addHandler(handler)

try:
    int("12 €")
except ValueError:
    logging.getLogger("shop.payment").exception("No price for %s", "ann", extra={"order": 4711})
