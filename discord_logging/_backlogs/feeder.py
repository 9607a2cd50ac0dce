"""This module reads the records of all processes out of the store, in the one process that sends them."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.packing import read_settings, unpack
from discord_logging._backlogs.store import StoreError
from discord_logging._process import clock
from discord_logging._process.diagnostics import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._backlogs.store import Row, Store
    from discord_logging._backlogs.stored import Flush, StoredBacklog
    from discord_logging._records.record import FrozenRecord
    from discord_logging._records.settings import CardSettings

_PORTION = 500
"""The largest number of records that are read at a time."""
_GATHERING_TIME = 0.25
"""The seconds from a flush until held repeats leave: others may flush at the same moment."""
_MAX_SETTINGS = 200
"""The largest number of settings that are remembered."""


class Feeder:
    """Feeds the queues of a backlog from its store. The keeper's thread alone calls it.

    Args:
        backlog: The backlog.
        store: The store object of the thread.

    Attributes:
        is_behind: Whether the store may have rows that were not read.
    """

    def __init__(self, backlog: StoredBacklog, store: Store) -> None:
        self._backlog = backlog
        self._store = store
        self.is_behind = True
        self._position = 0  # of the last row that was read
        self._wish: float | None = None  # until when other processes flush, on the wall clock
        self._hurried_until = float("-inf")  # the same, on the monotonic clock
        self._release_at = float("inf")  # when held repeats leave, since somebody flushes
        self._settings: dict[str, tuple[CardSettings, bytes]] = {}

    @property
    def has_duties(self) -> bool:
        """Whether there is something to do although the store has not changed."""
        return self.is_behind or self._wish is not None or self._release_at < float("inf")

    def take_over(self) -> None:
        """Go on where the last process stopped, and read what it has left before anything is sent."""
        self._start_over()
        self._backlog.restore(self._load_state())
        self._read()
        self._backlog.isolate_crashing()

    def _load_state(self) -> dict[str, Any]:
        """Return the state of the delivery, in which what waits for long is late, also if no message has failed."""
        state: Any = None
        with contextlib.suppress(ValueError):
            state = json.loads(self._store.load_state() or b"{}")
        state = state if isinstance(state, dict) else {}
        late = [state.get("delayed_since"), self._store.summary().oldest]
        return {**state, "delayed_since": min((since for since in late if isinstance(since, float)), default=None)}

    def _start_over(self) -> None:
        self._backlog.forget_rows()
        self.read_again()

    def read_again(self) -> None:
        """Read all rows of the store, none of which is queued."""
        self._position, self.is_behind = 0, True

    def tidy(self) -> bool:
        """Drop the records that are too old or too many, and return whether there were any."""
        backlog = self._backlog
        gone = self._store.tidy(backlog.store_bytes, backlog.store_age, time.time())
        if gone:
            backlog.forget_rows(set(gone))
        return bool(gone)

    def feed(self, flushes: Sequence[Flush]) -> None:
        """Queue the next records, and let held repeats leave if this or another process flushes."""
        has_read = self._read()
        self._plan_release(flushes, has_read=has_read)
        if clock.monotonic() >= self._release_at:
            self._release_at = float("inf")
            self._backlog.release_repeats()
        self._backlog.wake_delivery()

    def _read(self) -> bool:
        backlog, has_read = self._backlog, False
        while self.is_behind:
            count, size = backlog.room()
            if count <= 0 or size <= 0:
                break
            rows = self._store.read(self._position, min(count, _PORTION))
            self.is_behind = bool(rows)
            if not rows:
                break
            has_read = True
            backlog.admit_rows(self._take(rows, size))
            if self._position < rows[-1].position:
                # There is no room for the others.
                break
        return has_read

    def _take(self, rows: Sequence[Row], room: int) -> list[tuple[Row, FrozenRecord]]:
        """Return the first rows with their records, as many as have room, and one at least if nothing else waits."""
        found: list[tuple[Row, FrozenRecord]] = []
        is_empty = room >= self._backlog.max_bytes
        for row in rows:
            try:
                record = unpack(row, lambda digest: self._find_settings(digest)[0])
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - damage may look like anything, and must not stop the others
                warn("A record of the backlog is damaged (%s), and is dropped", type(error).__name__)
                self._backlog.unsettled.append(([row], "damaged"))
            else:
                room -= record.size
                if room < 0 and (found or not is_empty):
                    break
                found.append((row, record))
            self._position = row.position
        return found

    def _find_settings(self, digest: str) -> tuple[CardSettings, bytes]:
        if digest not in self._settings:
            data = self._store.find_settings(digest)
            if data is None:
                raise KeyError(digest)
            if len(self._settings) >= _MAX_SETTINGS:
                self._settings.clear()
            self._settings[digest] = read_settings(data), data
        return self._settings[digest]

    def _plan_release(self, flushes: Sequence[Flush], *, has_read: bool) -> None:
        now = time.time() + self._store.ahead
        wish, known = self._store.wishes(now), self._wish
        self._wish = wish
        deadlines = self._backlog.delivery.deadlines
        if wish != known:
            with contextlib.suppress(ValueError):
                deadlines.remove(self._hurried_until)
            if wish is not None:
                self._hurried_until = clock.monotonic() + wish - now
                deadlines.append(self._hurried_until)
        is_new = wish != known or any(not flush.is_known for flush in flushes)
        if (wish is not None or flushes) and (is_new or has_read):
            self._release_at = min(self._release_at, clock.monotonic() + _GATHERING_TIME)

    def store_again(self) -> None:
        """Store all rows of this process again where they were, since the store was damaged or removed."""
        settings = {digest: data for digest, (_, data) in self._settings.items()}
        self._store.restore(self._backlog.rows(), settings)
        self.is_behind = True
