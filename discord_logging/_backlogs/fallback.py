"""This module keeps records in a directory of this machine while Redis cannot take them.

Each process has a folder of its own there, with a store of SQLite that it leads for as long as it lives. Whoever finds
a folder that nobody leads moves its records into Redis, under their numbers, so that each is stored once.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._backlogs.packing import LAST, Parcel
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import Batch, NewRecord, StoreError, Writer
from discord_logging._backlogs.stored_queues import slots_of
from discord_logging._process import clock
from discord_logging._process.diagnostics import warn
from discord_logging._process.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Sequence

    from discord_logging._backlogs.arrivals import Slot
    from discord_logging._backlogs.entry import Entry
    from discord_logging._backlogs.store import Row, Store

_PORTION = 500
"""The largest number of records that are read at a time."""
_INTERVAL = 5.0
"""The seconds after which all records are looked at again: the directory may have been full, or was removed."""


class Fallback:
    """The directory, for the records of one process. One thread at a time uses the folder of the process.

    Args:
        ring_place: The name that the rings and the folders of all processes share.
        hook: The name of the webhook.

    Attributes:
        directory: The path of the directory, or `""` if there is none.
        trouble: The reason why records cannot be kept, or `""`.
    """

    def __init__(self, ring_place: str, hook: str) -> None:
        self._prefix = f"{ring_place}-"
        self._hook = hook
        self._store: SqliteStore | None = None
        self.directory = ""
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Have no folder: the one of the parent stays the parent's."""
        if self._store:
            self._store.after_fork_in_child()
        self._store = None
        self._folder, self._opened = Path(), 0
        self._guard = Lock()
        self._released: deque[int] = deque()
        self._refused: set[str] = set()  # the folders of others that cannot be used
        self.trouble = ""
        self._look_at = float("-inf")
        self._forget()

    def _forget(self) -> None:
        self._identity: object = None
        self._position = 0  # of the last row that was read
        self._rows: dict[int, Row | None] = {}  # by number; others were folded into one of them
        self._unfit: set[int] = set()  # the numbers of records that cannot be stored
        self._gone: list[Row] = []  # the rows that are still to be removed
        self._flying: list[Row] = []  # those of the message that is under way

    # The records of this process

    @property
    def is_open(self) -> bool:
        """Whether this process has a folder."""
        return self._store is not None

    @property
    def works(self) -> bool:
        """Whether records can be kept, as far as it is known."""
        return bool(self.directory) and not self.trouble

    def has(self, number: int) -> bool:
        """Tell whether the record with this number is kept."""
        return number in self._rows

    def is_due(self) -> bool:
        """Tell whether to give `keep` all records that wait, and not only those that came."""
        return bool(self.directory) and clock.monotonic() >= self._look_at

    def keep(self, entries: Iterable[Entry], writer: Writer) -> dict[Entry, list[Slot]]:
        """Keep the records of entries. Never raises an `Exception`.

        Returns:
            The slots of the ring that are not needed any more, by the entry that has them.
        """
        found = [entry for entry in entries if slots_of([entry])]
        if not self.directory or not found:
            return {}
        with self._guard.hold() as is_held:
            if not is_held:
                return {}
            try:
                fresh = self._keep(found, writer)
                self.trouble = ""
            except Exception as error:  # noqa: BLE001 - a fault of this package must not cost records
                self._note_trouble(error)
                return {}
            return {entry: slots for entry, slots in fresh.items() if all(slot.number in self._rows for slot in slots)}

    def _keep(self, entries: Sequence[Entry], writer: Writer) -> dict[Entry, list[Slot]]:
        is_due = self.is_due()
        if is_due:
            self._look_at = clock.monotonic() + _INTERVAL
        store = self._open(writer)
        fresh = {entry: slots for entry in entries if (slots := self._find_fresh(entry))}
        if fresh:
            self._add(store, writer, fresh)
        if is_due:
            # The records outlive a power cut from now on.
            store.checkpoint()
        return fresh

    def _find_fresh(self, entry: Entry) -> list[Slot]:
        slots = slots_of([entry])
        return [slot for slot in slots if slot.number not in self._rows and slot.number not in self._unfit]

    def _open(self, writer: Writer) -> SqliteStore:
        """Return the store in the folder of this process, which nobody else leads."""
        if not self._store:
            self._forget()
            self._opened += 1
            self._folder = Path(self.directory, f"{self._prefix}{writer.name}.{self._opened}")
            self._store = SqliteStore(self._folder, self._hook)
        if not self._store.try_to_lead(writer):
            raise StoreError(f"{self.directory} is being searched by another process")
        if self._store.identity != self._identity:
            # The folder is new, or somebody has removed it.
            self._forget()
            self._identity = self._store.identity
        return self._store

    def _add(self, store: SqliteStore, writer: Writer, fresh: dict[Entry, list[Slot]]) -> None:
        parcel, now = Parcel({}), time.time()
        numbers = [sorted(slot.number for slot in slots) for slots in fresh.values()]
        for entry, own in zip(fresh, numbers, strict=True):
            parcel.add(entry.record, own, since=now, is_repeat=entry.counts.is_repeat)
        # Redis is to count what cannot be stored.
        store.add(writer, parcel.batch(max(map(max, numbers)))._replace(dropped={}))
        while rows := store.read(self._position, _PORTION):
            self._position = rows[-1].position
            self._rows.update((row.number, row._replace(body=b"")) for row in rows)
        for first, *others in numbers:
            if first in self._rows:
                self._rows.update(dict.fromkeys(others))
            else:
                self._unfit.update((first, *others))

    def release(self, numbers: Iterable[int]) -> None:
        """Note that records need not be kept any more. Never waits; `settle` removes them."""
        if self._store:
            self._released.extend(numbers)

    def settle(self, *, closes: bool = False) -> None:
        """Remove the records that were released, and if told so, a folder that has no others.

        Any thread may call it, and waits a moment for another one.
        """
        if not self._store:
            self._released.clear()
            return
        with self._guard.hold() as is_held:
            if is_held:
                self._settle(closes=closes)

    def _settle(self, *, closes: bool) -> None:
        released = [self._released.popleft() for _ in range(len(self._released))]
        self._gone += [row for number in released if (row := self._rows.pop(number, None))]
        try:
            if closes and not self._rows:
                self._leave()
            elif self._store and self._gone:
                self._store.settle(self._gone)
                self._gone = []
        except StoreError as error:
            if not self._rows:
                # A full disk has room for this.
                self._leave()
            self._note_trouble(error)

    def note_flight(self, numbers: Iterable[int], *, is_alone: bool) -> None:
        """Note that a message of these records is about to leave: they come again marked if the process is killed."""
        if not self.is_open:
            return
        with self._guard.hold() as is_held:
            self._flying = [row for number in numbers if (row := self._rows.get(number))] if is_held else []
            if self._store and self._flying:
                with contextlib.suppress(StoreError):
                    self._store.note_flight(self._flying, b"", is_alone=is_alone)

    def note_landing(self, *, is_alone: bool, maybe_saved: bool) -> None:
        """Note that the records of that message wait again, and whether they may be in the channel."""
        if not self._flying:
            return
        with self._guard.hold() as is_held:
            landed, self._flying = self._flying, []
            if self._store and is_held:
                with contextlib.suppress(StoreError):
                    self._store.note_landing(landed, b"", is_alone=is_alone, maybe_saved=maybe_saved)

    def close(self) -> None:
        """Leave the folder to the processes that look for lost ones, or remove it if it has no records."""
        self.settle()
        with self._guard.hold() as is_held:
            if is_held:
                self._leave()

    def _leave(self) -> None:
        store, self._store = self._store, None
        if store:
            store.abandon(removes=not self._rows)

    def _note_trouble(self, error: Exception) -> None:
        reason = error.reason if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
        if not self.trouble:
            warn("Records cannot be kept while Redis is away: %s", reason)
        self.trouble = reason

    def health(self) -> dict[str, object]:
        """Return the state of the directory, as plain data."""
        return {"where": self.directory, "reason": self.trouble, "waiting": len(self._rows) if self._store else 0}

    # The records of processes that have ended

    def move_lost(self, store: Store) -> Iterator[int]:
        """Move the records of all processes that have ended into Redis, and yield their number for each process.

        Raises:
            StoreError: Redis does not work. The records are where they were.
        """
        for folder in self._find_folders():
            number = 0
            with contextlib.closing(self._take(folder)) as batches:
                for owner, batch in batches:
                    store.add(owner, batch)
                    number += sum(record.count for record in batch.records)
            yield number

    def count_lost(self) -> int:
        """Return how many records of processes that have ended wait in the directory."""
        number = 0
        for folder in self._find_folders():
            lost = SqliteStore(folder, self._hook)
            with contextlib.suppress(StoreError):
                number += lost.summary().waiting if lost.may_exist() and lost.lock() else 0
            lost.abandon(removes=False)
        return number

    def _find_folders(self) -> list[Path]:
        """Return the folders that share the name of the rings, but for the one that this process has now."""
        if not self.directory:
            return []
        with contextlib.suppress(OSError):
            found = Path(self.directory).glob(f"{self._prefix}*")
            return [folder for folder in found if not (self._store and folder == self._folder)]
        return []

    def _take(self, folder: Path) -> Generator[tuple[Writer, Batch]]:
        """Yield the records of a folder whose process has ended, and remove it if all of them were used.

        As far as possible, nothing is written, since the disk may be full.
        """
        lost, is_empty = SqliteStore(folder, self._hook), False
        taken: list[Row] = []
        try:
            if not lost.may_exist() or not lost.lock():
                return
            # The file may be damaged, but its folder has the name by which Redis knows the numbers.
            name = folder.name.removeprefix(self._prefix).partition(".")[0]
            while rows := lost.read(taken[-1].position if taken else 0, _PORTION):
                yield rows[0].writer._replace(name=name), _pack(rows, lost)
                taken += [row._replace(body=b"") for row in rows]
            if damaged := lost.losses():
                yield Writer(name, "?", 0), Batch((), LAST, dropped=damaged)
            is_empty = lost.summary().waiting <= sum(row.count for row in taken)
            if not is_empty:
                # Records of a future format are left to a process that can read them.
                lost.settle(taken)
        except StoreError as error:
            # Its process, or another one, may have removed the folder.
            if lost.may_exist() and folder.name not in self._refused:
                self._refused.add(folder.name)
                warn("The records of an ended process cannot be read: %s", error.reason)
        finally:
            lost.abandon(removes=is_empty)


def _pack(rows: Collection[Row], store: SqliteStore) -> Batch:
    """Return rows of a store as records for another one."""
    records = [NewRecord._make(row[2:]) for row in rows]
    settings = {digest: data for digest in {row.settings for row in rows} if (data := store.find_settings(digest))}
    return Batch(records, max(row.number for row in rows), settings)
