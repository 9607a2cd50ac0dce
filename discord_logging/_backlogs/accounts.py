"""This module has the accounts of a process whose records are in a store: where its records came to an end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.store import Tally
from discord_logging._backlogs.tickets import Tickets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_logging._health import DropReason

Losses = Counter[tuple["DropReason", str]]
"""Numbers of dropped records, by reason and name of the level."""


class Accounts:
    """The accounts. One thread changes them at a time, but for the tickets.

    Attributes:
        numbers: The numbers of the records, and of batches that have only losses.
        refusals: A ticket for each record that could not be accepted.
        taken: How many of the records that came were taken out of the arrivals.
        delivered_here: How many records were delivered that the store never had.
        found_again: How many records counted as damaged, and came to another end later.
        totals: The losses of all processes, as the store knows them.
    """

    def __init__(self) -> None:
        self.numbers, self.refusals = Tickets(), Tickets()
        self.taken = self.delivered_here = self.found_again = 0
        self.totals: Losses = Counter()
        self._tally = Tally(0, {})
        self._forgotten_delivered = 0
        self._forgotten: Losses = Counter()  # the losses that the store does not know any more

    @property
    def accepted(self) -> int:
        """The number of records of this process."""
        return self.taken + self.refusals.taken

    @property
    def delivered(self) -> int:
        """The number of its delivered records."""
        return self._tally.delivered + self._forgotten_delivered + self.delivered_here

    @property
    def dropped(self) -> Losses:
        """The number of its dropped records which the store knows, or has known."""
        found = Counter[Any]({("damaged", "?"): self.found_again})
        return Counter[Any](self._tally.dropped) + self._forgotten - found

    def update(self, tally: Tally, totals: Mapping[Any, int]) -> None:
        """Note the numbers of the store. A store that was removed begins again with 0."""
        before = self._tally
        self._forgotten_delivered += max(before.delivered - tally.delivered, 0)
        # Other threads may read the old one.
        self._forgotten = self._forgotten + (Counter[Any](before.dropped) - Counter[Any](tally.dropped))
        self._tally, self.totals = tally, Counter(totals)
