"""This module searches for a record that Discord cannot accept, while the other records are delivered.

Two kinds of failure need the search. A message that Discord *refuses* (a 400) has a bad record. A message that was
maybe saved (a 500, a time-out) has a bad record too, or Discord is down; it must not be repeated often, since webhooks
have no idempotency key. Four phases lead from one message to the next:

======== ============================ ====================== ====================== ============================
phase    the next message carries     if it passes           if refused             if maybe saved
======== ============================ ====================== ====================== ============================
CLEAR    all waiting records          CLEAR                  HALVING these records  SUSPECT these records
SUSPECT  the suspects, for two        CLEAR                  HALVING                SUSPECT; after three tries
         further tries                                                              PROBING
PROBING  one record, to learn         the suspects are bad:  HALVING this record    Discord is down: the next
         whether Discord is up        HALVING them                                  record, and so on
HALVING  half of the suspects; the    HALVING the others,    HALVING this half; a   SUSPECT; HALVING this half
         last one alone, then         if any, else CLEAR     plain text is dropped  if the suspects came from
         without its files, then as                                                 PROBING
         plain text
======== ============================ ====================== ====================== ============================

A failure after which the message was certainly not saved changes no phase. A probe is a record behind the suspects, if
there is one: it is the least likely to be bad itself, and a single record is the least to repeat. A record that is more
urgent than the suspects does not wait for the end of HALVING.
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
"""The number of times that a message which may have been saved is sent before the first probe."""


class Phase(Enum):
    """The phase of the search."""

    CLEAR = "clear"
    SUSPECT = "suspect"
    PROBING = "probing"
    HALVING = "halving"


class Quarantine:
    """Holds the suspects, which are entries that may be bad, and chooses the entries of the next message.

    Attributes:
        phase: The phase of the search.
        is_down: Whether Discord is believed to accept no message at all.
        plain: The entry whose card was refused and which is posted as plain text next, or `None`.
        fileless: The entries whose files were refused with their cards, which are posted without the files.
    """

    def __init__(self) -> None:
        self.end()

    def end(self) -> None:
        """End the search."""
        self._may_overtake = True  # whether no message that overtook the suspects has failed
        self.fileless: set[Entry] = set()
        self._forget()

    def _forget(self) -> None:
        self.phase = Phase.CLEAR
        self.is_down = False
        self.plain: Entry | None = None
        self._suspects: Sequence[Entry] = ()
        self._probed: set[Entry] = set()  # the entries whose probes failed
        self._is_unsaved_refused = False  # whether a response such as 500 counts as a refusal

    def holds(self, entry: Entry) -> bool:
        """Tell whether an entry is one of the suspects."""
        return entry in self._suspects

    def lease(self, backlog: Backlog, waiting: Waiting) -> Sequence[Entry]:
        """Lease the entries for the next message; the result is empty if no entry waits any more."""
        if self.phase is Phase.PROBING:
            return self._lease_probe(backlog)
        is_halving = self.phase is Phase.HALVING
        if is_halving and self._may_overtake and waiting.urgency > max(entry.urgency for entry in self._suspects):
            # If this message fails too, no other one overtakes before the end of the search, or it would never end.
            self._may_overtake = False
            return backlog.lease(without=self._suspects)
        while self._suspects:
            part = self._suspects[: max(len(self._suspects) // 2, 1)] if is_halving else self._suspects
            if entries := backlog.lease(only=part):
                return entries
            # All of them were dropped meanwhile, since the queue was full.
            self._suspects = _without(self._suspects, part)
        self.end()
        return backlog.lease()

    def _lease_probe(self, backlog: Backlog) -> Sequence[Entry]:
        self._probed = {entry for entry in self._probed if entry.leased_at is None}  # the others were dropped
        probe = backlog.lease(1, without={*self._probed, *self._suspects}) or backlog.lease(1, without=self._probed)
        if not probe:
            # Every record has been a probe.
            self._probed = set()
            probe = backlog.lease(1)
        return probe

    def passed(self, entries: Sequence[Entry]) -> None:
        """Note that a message of these entries was delivered."""
        rest = _without(self._suspects, entries)
        if self.phase is Phase.PROBING and rest:
            # Discord accepts messages, so the others are bad, unless there was an outage that has ended. A suspect that
            # passes speaks rather for an outage.
            is_certain = not (self.is_down or self.holds(entries[0])) or rest[0] is self.plain
            self._halve(rest, plain=is_certain, is_unsaved_refused=True)
        elif self.phase is Phase.HALVING and rest:
            self._may_overtake = self._may_overtake or len(rest) == len(self._suspects)
            self._suspects = rest
        else:
            self.end()

    def takes_for_refusal(self, entries: Sequence[Entry]) -> bool:
        """Tell whether a response after which these entries may be saved counts as a refusal of them."""
        return self._is_unsaved_refused and self.holds(entries[0])

    def refused(self, entries: Sequence[Entry]) -> None:
        """Note that a message of these entries was refused."""
        has_files = len(entries) == 1 and entries[0] not in self.fileless and bool(entries[0].record.attachments)
        if has_files:
            self.fileless.add(entries[0])
        self._halve(entries, plain=not has_files, is_unsaved_refused=self.takes_for_refusal(entries))

    def isolate(self, entries: Sequence[Entry], *, plain: bool) -> None:
        """Search for a bad record among entries in whose flight processes have ended."""
        self._halve(entries, plain=plain, is_unsaved_refused=False)

    def _halve(self, entries: Sequence[Entry], *, plain: bool, is_unsaved_refused: bool) -> None:
        self._forget()
        self.phase = Phase.HALVING
        self.plain = entries[0] if plain and len(entries) == 1 else None
        self._suspects = entries
        self._is_unsaved_refused = is_unsaved_refused

    def failed(self, entries: Sequence[Entry], *, maybe_saved: bool) -> None:
        """Note that a message of these entries, which wait again, failed without a refusal."""
        if self.phase is Phase.PROBING:
            self.is_down = True
            if maybe_saved:
                self._probed.update(entries)
        elif maybe_saved:
            self._suspects = entries
            self._probed = set()
            self._is_unsaved_refused = False
            if self.plain not in entries:
                self.plain = None
            is_tried_enough = min(entry.tries for entry in entries) >= _MAX_TRIES
            self.phase = Phase.PROBING if is_tried_enough else Phase.SUSPECT


def _without(entries: Sequence[Entry], others: Sequence[Entry]) -> list[Entry]:
    left_out = set(others)
    return [entry for entry in entries if entry not in left_out]
