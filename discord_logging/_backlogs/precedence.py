"""This module lets processes with a newer version of this package lead, as long as a deploy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._backlogs.workers import VERSION
from discord_logging._process import clock

if TYPE_CHECKING:
    from discord_logging._backlogs.store import Summary

_PATIENCE = 5.0
"""The seconds without a process that leads, after which one with an older version leads all the same."""
_TERM = 60.0
"""The seconds for which it does. The newer one may have ended: other hosts cannot see that."""


class Precedence:
    """Tells when a process leaves the lead to others, which may read records that it cannot read."""

    def __init__(self) -> None:
        self._led_at = clock.monotonic()  # when another process led, as far as this one has seen
        self._term_ends_at = float("-inf")

    def is_due_to_others(self, summary: Summary, *, leads: bool) -> bool:
        """Tell whether this process may not lead.

        Args:
            summary: The present state of the store.
            leads: Whether this process leads.
        """
        if summary.newest <= VERSION:
            return False
        now = clock.monotonic()
        if leads:
            return now >= self._term_ends_at
        if summary.sender:
            self._led_at = now
        self._term_ends_at = now + _TERM
        return now < self._led_at + _PATIENCE
