"""This module has the finished card of a record, which a formatter of the user's own made in another process."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from discord_logging._text.markdown import note_cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_logging._discord.types import Embed
    from discord_logging._records.record import FrozenRecord


class StoredCard:
    """Stands in for the formatter that made the card.

    Args:
        embed: The card, masked, as JSON keeps it.
        mention: The mention that the record notifies, or `""`.
        is_cut: Whether the card does not show the whole record.
    """

    __slots__ = ("_embed", "_is_cut", "_mention")

    def __init__(self, embed: Embed, mention: str, *, is_cut: bool) -> None:
        self._embed = embed
        self._mention = mention
        self._is_cut = is_cut

    def embed(self, record: FrozenRecord) -> Embed:  # noqa: ARG002 - the signature is that of a formatter
        """Return a copy of the card, and count its cut."""
        if self._is_cut:
            note_cut()
        return copy.deepcopy(self._embed)

    def mention(self, record: FrozenRecord) -> str:  # noqa: ARG002 - as above
        """Return the mention that the record notifies, or `""`."""
        return self._mention

    @property
    def size(self) -> int:
        """The estimated memory of the card in bytes, one per character."""
        return len(repr(self._embed))

    def to_data(self) -> dict[str, Any]:
        """Return the card as data that JSON keeps, for `from_data`."""
        return {"embed": self._embed, "mention": self._mention, "is_cut": self._is_cut}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> StoredCard:
        """Return the card that `to_data` turned into `data`.

        Raises:
            KeyError, TypeError: `data` does not come from `to_data`.
        """
        embed, mention, is_cut = data["embed"], data["mention"], data["is_cut"]
        if not (isinstance(embed, dict) and isinstance(mention, str) and isinstance(is_cut, bool)):
            raise TypeError("a card has an embed, a mention and a flag")
        return cls(embed, mention, is_cut=is_cut)  # type: ignore[arg-type]  # its parts are checked when it is shown
