"""This module has the entry of a backlog: a record, and its counters on the way to the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._discord.pace import Urgency

if TYPE_CHECKING:
    from discord_logging._records.record import FrozenRecord


class Entry:
    """A record that waits, is leased, or was delivered or dropped. Only its backlog changes it.

    Attributes:
        record: The record, as it was logged.
        size: The bytes that the record holds on to, estimated.
        count: The number of records that the entry stands for: its record, and the repeats.
        last_created: The time at which the last of them was logged.
        is_repeat: Whether the record may be in the channel already, since Discord did not say whether it was saved.
        tries: The number of messages with this entry that may have been saved.
        sequence: The position in the order of the backlog, from 1; 0 until the entry has one.
        urgency: The urgency of the record.
        waiting_since: The time at which the backlog took the entry in, on the monotonic clock.
        leased_at: The time at which the entry left the queue to be delivered, on the monotonic clock: `None` while it
            waits, and minus infinity after it was dropped, so that no repeat is counted on it any more.
        message_id: The id of the message that delivered the entry, or `None`.
    """

    __slots__ = (
        "count",
        "is_repeat",
        "last_created",
        "leased_at",
        "message_id",
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
        self.count = record.count
        self.last_created = record.last_created
        self.is_repeat = record.is_repeat
        self.tries = 0
        self.sequence = 0
        self.urgency = Urgency.ROUTINE
        self.waiting_since = 0.0
        self.leased_at: float | None = None
        self.message_id: str | None = None

    def counted(self) -> FrozenRecord:
        """Return the record with its present counts."""
        if self.count == self.record.count and self.is_repeat == self.record.is_repeat:
            return self.record
        return self.record.counted(self.count, self.last_created, is_repeat=self.is_repeat)

    def fold(self, repeat: Entry) -> None:
        """Count a repeat of the record."""
        self.count += repeat.count
        self.last_created = repeat.last_created
