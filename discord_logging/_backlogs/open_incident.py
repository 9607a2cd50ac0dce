"""This module has an incident, and the part of its records that an entry stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._records.incident import Books

if TYPE_CHECKING:
    from collections.abc import Hashable

    from discord_logging._backlogs.entry import Entry
    from discord_logging._cards.live import LiveCard
    from discord_logging._records.incident import Incident
    from discord_logging._records.record import FrozenRecord

FIRST_STEP = 100
"""The number of records at which an incident speaks up first; then at each tenfold."""
AT_ONCE = float("-inf")
"""A time that has always passed."""


class Part:
    """The part of an incident's records that an entry stands for.

    Attributes:
        incident: The incident.
        books: The numbers of these records.
        others: The records whose texts differ from that of the entry, and from all that were told before.
        size: The size of these, in bytes.
        newest: The newest of the most severe records.
        is_new: Whether the text of the entry was not told before.
        card: The card that the entry edits, or `None` if it posts one.
        reason: The reason for a further card, or `""`.
        is_quiet: Whether the entry says only that the incident is over.
        continued: The path of the message that goes on counting, if the entry says only that; else `""`.
    """

    __slots__ = ("books", "card", "continued", "incident", "is_new", "is_quiet", "newest", "others", "reason", "size")

    def __init__(self, incident: OpenIncident, record: FrozenRecord) -> None:
        self.incident = incident
        self.books = Books()
        self.others: list[FrozenRecord] = []
        self.size = 0
        self.newest = record
        self.is_new = True
        self.card: LiveCard | None = None
        self.reason = ""
        self.is_quiet = False
        self.continued = ""

    def told(self, first: FrozenRecord) -> tuple[FrozenRecord, tuple[FrozenRecord, ...]]:
        """Return the record that the card shows, and those whose texts go to the file.

        A further card shows the newest record, as an edit would.

        Args:
            first: The record of the entry.
        """
        if not self.reason or self.newest is first:
            return first, tuple(self.others)
        others = [first, *self.others] if self.is_new else self.others
        return self.newest, tuple(each for each in others if each is not self.newest)

    def facts(self, guild_id: str | None) -> Incident:
        """Return the numbers of the incident, as they are when these records are told.

        Args:
            guild_id: The id of the server, without which no message has an address.
        """
        if self.card and not self.books.count:
            shown = self.card.shown._replace(is_quiet=self.is_quiet or self.card.shown.is_quiet)
            if not self.continued:
                return shown
            return shown._replace(is_continued=True, link=_link(guild_id, self.continued))
        books = self.incident.books.plus(self.books)
        if self.card:
            return books.incident(reason=self.card.shown.reason, link=self.card.shown.link)
        return books.incident(reason=self.reason, link=_link(guild_id, self.incident.first) if self.reason else "")


def _link(guild_id: str | None, path: str) -> str:
    return f"https://discord.com/channels/{guild_id}/{path}" if guild_id and path else ""


class OpenIncident:
    """An incident, and where it stands.

    Attributes:
        levelno: The highest level of its records.
        entry: The entry on which records were counted last, or `None`.
        in_flight: The number of its entries that are in flight.
        left_at: The monotonic time at which its last entry left.
        last_card: Its newest card in the channel, or `None`.
        is_over: Whether that card belongs to records before it was quiet.
        books: The numbers of the records that were told.
        step: The number of records at which it speaks up next.
        seen_at: The monotonic time of its last record.
        first: The path of its first message, or `""`.
        is_known: Whether its next records are counted on it.
        place: The table that it is in, and its key there.
    """

    def __init__(self) -> None:
        self.levelno = 0
        self.entry: Entry | None = None
        self.in_flight = 0
        self.left_at = AT_ONCE
        self.last_card: LiveCard | None = None
        self.is_over = False
        self.books = Books()
        self.step = FIRST_STEP
        self.seen_at = AT_ONCE
        self.first = ""
        self.is_known = True
        self.place: tuple[dict[Hashable, OpenIncident], Hashable] = ({}, None)

    @property
    def waiting(self) -> Entry | None:
        """The entry on which records are counted that come now, or `None`."""
        return self.entry if self.entry and self.entry.leased_at is None else None

    @property
    def card(self) -> LiveCard | None:
        """The card that may count further records, or `None`."""
        card = self.last_card
        return None if card is None or self.is_over or card.message.is_gone else card

    def touch(self) -> None:
        """Become the last of its table."""
        table, key = self.place
        table[key] = table.pop(key)

    def pass_steps(self, count: int) -> int:
        """Return the highest step that is reached for the first time, or 0."""
        reached = 0
        while count >= self.step:
            reached, self.step = self.step, self.step * 10
        return reached

    def begin_again(self, levelno: int) -> None:
        """Count from the beginning, on a new card."""
        self.books, self.step, self.levelno, self.is_over = Books(), FIRST_STEP, levelno, True
