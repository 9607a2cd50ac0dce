"""The search for the record that Discord cannot take, while the others go on.

Two kinds of trouble need it. A message that Discord *refuses* (a 400) has a bad record in it. A message whose answer
leaves open whether it was saved (a 500, a time-out) has one too, or Discord is down; and since webhooks know no
idempotency key, it is not to be repeated often. Four phases lead from one message to the next:

======== ============================ ====================== ====================== ============================
phase    the next message is made of  if it passes           if refused             if maybe saved
======== ============================ ====================== ====================== ============================
CLEAR    all that wait                CLEAR                  HALVING these records  SUSPECT these records
SUSPECT  the suspects, for two        CLEAR                  HALVING                SUSPECT; after three tries
         further tries                                                              PROBING
PROBING  one record: is Discord       the suspects are bad:  HALVING this record    Discord is down: the next
         there?                       HALVING them                                  record, and so on
HALVING  half of the suspects; the    HALVING the others,    HALVING this half; a   SUSPECT; HALVING this half
         last one alone, then as      if any, else CLEAR     plain text is dropped  if the suspects came from
         plain text                                                                 PROBING
======== ============================ ====================== ====================== ============================

A failure after which the message was surely not saved changes no phase. A record to probe with is one behind the
suspects, as long as there is one: it is the least likely to be bad itself, and one record is the least to repeat. A
record that is more urgent than the suspects does not wait for the end of HALVING.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._backlogs.base import Backlog
    from discord_logging._backlogs.entry import Entry
    from discord_logging._discord.pace import Waiting

_MAX_TRIES = 3
"""The number of times that a message which may have been saved is sent before another one has its turn."""


class Phase(Enum):
    """What is known of the trouble."""

    CLEAR = "clear"
    SUSPECT = "suspect"
    PROBING = "probing"
    HALVING = "halving"


class Quarantine:
    """Knows which entries are in trouble, and which ones the next message is made of.

    Attributes:
        phase: The phase.
        is_down: Whether Discord takes no message at all, as far as is known.
        plain: The entry whose card was refused, so that it is posted as plain text; or `None`.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """End the search."""
        self.phase = Phase.CLEAR
        self.is_down = False
        self.plain: Entry | None = None
        self._suspects: Sequence[Entry] = ()
        self._probed: set[Entry] = set()  # a message of each of these alone did not pass
        self._is_unsaved_refused = False  # whether an answer like 500 counts as a refusal

    def holds(self, entry: Entry) -> bool:
        """Tell whether an entry is one of the suspects."""
        return entry in self._suspects

    def lease(self, backlog: Backlog, waiting: Waiting) -> Sequence[Entry]:
        """Lease the entries for the next message; none if nothing waits any more."""
        if self.phase is Phase.PROBING:
            return self._lease_probe(backlog)
        if self.phase is Phase.HALVING and waiting.urgency > _urgency(self._suspects):
            return backlog.lease(without=self._suspects)
        while self._suspects:
            part = self._half() if self.phase is Phase.HALVING else self._suspects
            if entries := backlog.lease(only=part):
                return entries
            # All of them were dropped meanwhile, as the queue was full.
            self._suspects = _without(self._suspects, part)
        self.clear()
        return backlog.lease()

    def _half(self) -> Sequence[Entry]:
        """Return the half of the suspects that has the most urgent one: no other message overtakes it."""
        size = max(len(self._suspects) // 2, 1)
        first, second = self._suspects[:size], self._suspects[size:]
        return second if second and _urgency(second) > _urgency(first) else first

    def _lease_probe(self, backlog: Backlog) -> Sequence[Entry]:
        probe = backlog.lease(1, without={*self._probed, *self._suspects}) or backlog.lease(1, without=self._probed)
        if not probe:
            # Each record had its turn.
            self._probed = set()
            probe = backlog.lease(1)
        return probe

    def passed(self, entries: Sequence[Entry]) -> None:
        """Learn that a message of these entries was delivered."""
        rest = _without(self._suspects, entries)
        if self.phase is Phase.PROBING and rest:
            # Discord takes messages, so the others are bad: unless it was an outage, which may have ended by itself.
            is_certain = not self.is_down or rest[0] is self.plain
            self._halve(rest, plain=is_certain, is_unsaved_refused=True)
        elif self.phase is Phase.HALVING and rest:
            self._suspects = rest
        else:
            self.clear()

    def is_refusal(self, entries: Sequence[Entry], *, maybe_saved: bool) -> bool:
        """Tell whether an answer to these entries that leaves open whether they were saved is a refusal of them."""
        return maybe_saved and self._is_unsaved_refused and self.holds(entries[0])

    def refused(self, entries: Sequence[Entry]) -> None:
        """Learn that a message of these entries was refused."""
        self._halve(entries, plain=True, is_unsaved_refused=self._is_unsaved_refused and self.holds(entries[0]))

    def _halve(self, entries: Sequence[Entry], *, plain: bool, is_unsaved_refused: bool) -> None:
        self.clear()
        self.phase = Phase.HALVING
        self.plain = entries[0] if plain and len(entries) == 1 else None
        self._suspects = entries
        self._is_unsaved_refused = is_unsaved_refused

    def failed(self, entries: Sequence[Entry], *, maybe_saved: bool) -> None:
        """Learn that a message of these entries, which wait again, was not answered, or by an error of the server."""
        if self.phase is Phase.PROBING:
            self.is_down = True
            if maybe_saved:
                self._probed.update(entries)
        elif maybe_saved:
            self._suspects = entries
            self._probed = set()
            self._is_unsaved_refused = False
            is_tried_enough = min(entry.tries for entry in entries) >= _MAX_TRIES
            self.phase = Phase.PROBING if is_tried_enough else Phase.SUSPECT


def _urgency(entries: Sequence[Entry]) -> int:
    return max(entry.urgency for entry in entries)


def _without(entries: Sequence[Entry], others: Sequence[Entry]) -> list[Entry]:
    left_out = set(others)
    return [entry for entry in entries if entry not in left_out]
