"""This module has the entry of a backlog: a record, and its counters on the way to the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord_logging._discord.pace import Urgency
from discord_logging._records.record import ONCE, Counts

if TYPE_CHECKING:
    from discord_logging._backlogs.open_incident import Part
    from discord_logging._cards.live import LiveMessage
    from discord_logging._records.record import FrozenRecord


class Entry:
    """A record that waits, is leased, or was delivered or dropped. Only its backlog changes it.

    Attributes:
        record: The record, as it was logged.
        size: The bytes that the record holds on to, estimated.
        kept: The places that hold the records of the entry if the process is killed: rows of a store, or slots of a
            ring. They are empty in a backlog that keeps records in memory alone.
        counts: The number of records that the entry stands for, when the last of them was logged, and whether they may
            be in the channel already.
        tries: The number of messages with this entry that may have been saved.
        sequence: The position in the order of the backlog, from 1; 0 until the entry has one.
        urgency: The urgency of the record.
        waiting_since: The time at which the backlog took the entry in, on the monotonic clock.
        leased_at: The time at which the entry left the queue to be delivered, on the monotonic clock: `None` while it
            waits, and minus infinity after it was dropped, so that no repeat is counted on it any more.
        part: The part of an incident that the entry stands for, or `None` if its records are counted on no live card.
    """

    __slots__ = (
        "counts",
        "kept",
        "leased_at",
        "part",
        "record",
        "sequence",
        "size",
        "tries",
        "urgency",
        "waiting_since",
    )

    def __init__(self, record: FrozenRecord) -> None:
        self.record = record
        self.size = record.size
        self.counts = ONCE
        self.kept: tuple[Any, ...] = ()
        self.tries = 0
        self.sequence = 0
        self.urgency = Urgency.ROUTINE
        self.waiting_since = 0.0
        self.leased_at: float | None = None
        self.part: Part | None = None

    @property
    def count(self) -> int:
        """The number of records that the entry stands for: its record, and the repeats."""
        return self.counts.records

    @property
    def edits(self) -> LiveMessage | None:
        """The message that the entry edits, or `None` if it is posted."""
        return self.part.card.message if self.part and self.part.card else None

    def counted(self, guild_id: str | None = None) -> FrozenRecord:
        """Return the record with its present counts; the id of the server makes links to other messages."""
        if self.part is None:
            return self.record.counted(self.counts)
        record, others = self.part.told(self.record)
        return record.counted(self.counts._replace(incident=self.part.facts(guild_id), others=others))

    def fold(self, repeat: Entry) -> None:
        """Count a repeat of the record."""
        is_repeat = self.counts.is_repeat or repeat.counts.is_repeat
        self.counts = Counts(self.count + repeat.count, repeat.record.created, is_repeat)
        self.kept += repeat.kept
