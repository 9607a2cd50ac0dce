"""This module decides which records are to blame if one process after another ends while it sends them."""

from __future__ import annotations

from typing import NamedTuple

from discord_logging._backlogs.store import ALONE

_MAX_CRASHES = 3
"""The number of processes in a row that may end while they send a record, before the record is suspected."""


class Crashes(NamedTuple):
    """How many processes in a row have ended while they sent a record, alone or together with others."""

    alone: int
    together: int

    @classmethod
    def read(cls, tries: int) -> Crashes:
        """Return the crashes that a row of the store tells of."""
        return cls(*divmod(tries, ALONE))

    def are_suspicious(self) -> bool:
        """Tell whether the record may be the reason."""
        return self.alone + self.together >= _MAX_CRASHES

    def blame_card(self) -> bool:
        """Tell whether the record is to leave as plain text."""
        return self.alone >= (1 if self.together >= _MAX_CRASHES else _MAX_CRASHES)

    def blame_record(self) -> bool:
        """Tell whether the record is the reason, as a card and as plain text."""
        return self.alone > (1 if self.together >= _MAX_CRASHES else _MAX_CRASHES)
