"""A record in a backlog, and what is counted on it on its way to the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._discord.pace import Urgency

if TYPE_CHECKING:
    from discord_logging._records.record import FrozenRecord


class Entry:
    """A record that waits, is leased, or was delivered or dropped. Its backlog alone changes it.

    Attributes:
        count: How many records it stands for: itself, and those that said the same.
        last_created: When the last of them was logged.
        is_repeat: Whether it may stand in the channel already, for Discord did not say whether it was saved.
        tries: How often a message with it was posted that may have been saved.
        sequence: Its position in the order of the backlog, from 1; 0 until it has one.
        urgency: How much it matters that the channel gets it soon.
        waiting_since: When the backlog took it in, on the monotonic clock.
        leased_at: When it left the queue to be delivered, on the monotonic clock: `None` while it waits, and minus
            infinity when it was dropped, so that nothing is counted on it any more.
        in_flight: Whether it is leased, and neither delivered nor dropped yet.
        message_id: The id of the message that delivered it, or `None`.
    """

    __slots__ = (
        "_record",
        "count",
        "in_flight",
        "is_repeat",
        "last_created",
        "leased_at",
        "message_id",
        "sequence",
        "tries",
        "urgency",
        "waiting_since",
    )

    def __init__(self, record: FrozenRecord) -> None:
        self._record = record
        self.count = record.count
        self.last_created = record.last_created
        self.is_repeat = record.is_repeat
        self.tries = 0
        self.sequence = 0
        self.urgency = Urgency.ROUTINE
        self.waiting_since = 0.0
        self.leased_at: float | None = None
        self.in_flight = False
        self.message_id: str | None = None

    @property
    def record(self) -> FrozenRecord:
        """The record, with the counts as they are now."""
        counts = self.count, self.last_created, self.is_repeat
        if counts != (self._record.count, self._record.last_created, self._record.is_repeat):
            self._record = self._record.counted(self.count, self.last_created, is_repeat=self.is_repeat)
        return self._record

    def fold(self, repeat: Entry) -> None:
        """Count a record that says the same."""
        self.count += repeat.count
        self.last_created = repeat.last_created
