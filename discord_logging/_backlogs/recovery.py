"""This module notices that a store does not work, or is another one than before, and makes that good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._process import clock
from discord_logging._process.diagnostics import warn

if TYPE_CHECKING:
    from discord_logging._backlogs.feeder import Feeder
    from discord_logging._backlogs.store import Store
    from discord_logging._backlogs.stored import StoredBacklog

_FIRST_RETRY, _LAST_RETRY = 0.1, 5.0
"""The first and the longest wait for a store that does not work, in seconds; each wait is twice the last one."""
_GRACE = 5.0
"""The seconds after which the process that sends has stored its records again, if the store was removed."""


class Recovery:
    """The troubles of a store. The keeper's thread alone calls it.

    Args:
        backlog: The backlog.
        store: The store object of the thread.
        feeder: The feeder, which has read rows of the store.

    Attributes:
        trouble: The reason why the store does not work, or `""`.
        identity: The identity of the store that has all records of this process.
    """

    def __init__(self, backlog: StoredBacklog, store: Store, feeder: Feeder) -> None:
        self._backlog = backlog
        self._store = store
        self._feeder = feeder
        self.trouble = ""
        self.identity: object = None
        self._retry_at, self._delay = float("-inf"), _FIRST_RETRY
        self._failed_at = float("-inf")  # when the store began not to work
        self._write_off_at = float("inf")  # when to look for records that the store has lost
        self._whole_at = float("-inf")  # when the process that sends has stored its records again, if it had to

    def may_try(self) -> bool:
        """Tell whether the store may be used: it works, or has not been tried for a while."""
        return clock.monotonic() >= self._retry_at

    def note_failure(self, reason: str) -> None:
        """Note that the store does not work, which is said once."""
        if not self.trouble:
            self._failed_at = clock.monotonic()
            warn("The backlog in %s does not work (%s): records wait in memory", self._backlog.place, reason)
        self.trouble = reason
        self._retry_at, self._delay = clock.monotonic() + self._delay, min(2 * self._delay, _LAST_RETRY)

    def lasts(self) -> float:
        """Return for how many seconds the store has not worked."""
        return clock.monotonic() - self._failed_at

    def note_success(self) -> None:
        """Note that the store works."""
        self.trouble = ""
        self._delay = _FIRST_RETRY

    def restore(self, *, leads: bool) -> None:
        """Store again the rows that this process has read, if the store was removed, or replaced by its repair.

        Args:
            leads: Whether this process sends, and so has read the rows of all.
        """
        self._store.check()
        if self._store.identity == self.identity:
            return
        if self.identity is not None:
            self._feeder.store_again()
            now = clock.monotonic()
            self._write_off_at = now + _GRACE
            self._whole_at = now if leads else self._write_off_at
        self.identity = self._store.identity

    def settle(self) -> bool:
        """Remove the records from the store that could not be removed before, and return whether there were any."""
        unsettled = self._backlog.unsettled
        has_any = bool(unsettled)
        while unsettled:
            self._store.settle(*unsettled[0])
            unsettled.popleft()
        return has_any

    def is_whole(self) -> bool:
        """Tell whether the store has all records of this process, as far as any process had them."""
        return clock.monotonic() >= self._whole_at

    def write_off(self) -> None:
        """Count the records of this process as damaged that are nowhere, after the sender had time for them."""
        backlog, writer = self._backlog, self._backlog.arrivals.writer
        if clock.monotonic() < self._write_off_at:
            return
        last = backlog.accounts.numbers.taken
        is_known = bool(backlog.unsettled or len(backlog.arrivals)) or backlog.is_parked(last)
        if is_known or not self._store.is_settled(writer, last):
            self._write_off_at = clock.monotonic() + _GRACE
            return
        # The records may have come to their end a moment ago.
        backlog.note_tally(self._store.tally(writer), self._store.losses())
        backlog.write_off(last)
        self._write_off_at = float("inf")
