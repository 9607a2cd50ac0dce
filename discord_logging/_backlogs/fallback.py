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

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from discord_logging._backlogs.arrivals import Arrivals, Slot
    from discord_logging._backlogs.entry import Entry
    from discord_logging._backlogs.store import Row, Store

_PORTION = 500
"""The largest number of records that are read at a time."""
_RETRY = 5.0
"""The seconds after which all records are looked at again: the directory may have been full, or was removed."""


class Fallback:
    """The directory, for the records of one process. The keeper alone calls what does not say otherwise.

    Args:
        ring_place: The name that the rings and the folders of all processes share.
        hook: The name of the webhook.

    Attributes:
        directory: The path of the directory, or `""` if there is none.
        trouble: The reason why the directory cannot be used, or `""`.
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
        self.trouble = ""
        self._retry_at = float("-inf")
        self._forget()

    def _forget(self) -> None:
        self._identity: object = None
        self._position = 0  # of the last row that was read
        self._rows: dict[int, Row | None] = {}  # by number; others were folded into one of them
        self._unfit: set[int] = set()  # the numbers of records that cannot be stored
        self._settled: deque[int] = deque()
        self._gone: list[Row] = []  # the rows that are still to be removed

    # Any thread

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

    def release(self, numbers: Iterable[int]) -> None:
        """Note that records need not be kept any more. `settle` removes them."""
        self._settled.extend(number for number in numbers if number in self._rows)

    def health(self) -> dict[str, object]:
        """Return the state of the directory, as plain data."""
        return {"where": self.directory, "reason": self.trouble, "waiting": len(self._rows)}

    # The records of this process

    def is_due(self) -> bool:
        """Tell whether to give `keep` all records that wait, and not only those that came."""
        return bool(self.directory) and clock.monotonic() >= self._retry_at

    def keep(self, entries: Iterable[Entry], arrivals: Arrivals) -> None:
        """Keep records that nobody else has now, and free their slots of the ring. Never raises an `Exception`."""
        fresh = {entry: slots for entry in entries if (slots := self._find_fresh(entry))}
        if self.is_due():
            self._retry_at = clock.monotonic() + _RETRY
        if not self.directory or not fresh:
            return
        try:
            self._add(arrivals.writer, fresh)
        except StoreError as error:
            self._note_trouble(error)
            return
        self.trouble = ""
        for entry, slots in fresh.items():
            if all(slot.number in self._rows for slot in slots):
                arrivals.free(slots)
                entry.kept = tuple(slot._replace(token=None) for slot in slots_of([entry]))

    def _find_fresh(self, entry: Entry) -> list[Slot]:
        slots = slots_of([entry])
        return [slot for slot in slots if slot.number not in self._rows and slot.number not in self._unfit]

    def _add(self, writer: Writer, fresh: Mapping[Entry, Sequence[Slot]]) -> None:
        store, now = self._open(writer), time.time()
        parcel, numbers = Parcel({}), [sorted(slot.number for slot in slots) for slots in fresh.values()]
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

    def _open(self, writer: Writer) -> SqliteStore:
        """Return the store in the folder of this process, which nobody else leads."""
        if not self._store:
            self._forget()
            self._store = SqliteStore(Path(self.directory, self._prefix + writer.name), self._hook)
        if not self._store.try_to_lead(writer):
            raise StoreError(f"{self.directory} is being searched by another process")
        if self._store.identity != self._identity:
            # The folder is new, or somebody has removed it.
            self._forget()
            self._identity = self._store.identity
        return self._store

    def settle(self) -> None:
        """Remove the records that were released."""
        while self._settled:
            if row := self._rows.pop(self._settled.popleft(), None):
                self._gone.append(row)
        if self._store and self._gone:
            try:
                self._store.settle(self._gone)
                self._gone = []
            except StoreError as error:
                self._note_trouble(error)

    def clear(self) -> None:
        """Remove the records that were released, and the folder if it has no others."""
        self.settle()
        if self._store and not (self._rows or self._gone):
            self.close()

    def close(self) -> None:
        """Leave the folder to the processes that look for lost ones, or remove it if it has no records."""
        self.settle()
        store, self._store = self._store, None
        if store:
            store.abandon(removes=not (self._rows or self._gone))

    # The records of processes that have ended

    def move_lost(self, store: Store, writer: Writer) -> Iterator[int]:
        """Move the records of all processes that have ended into Redis, and yield their number for each process.

        Raises:
            StoreError: Redis does not work. The records are where they were.
        """
        for folder in self._find_folders(writer):
            number = 0
            with contextlib.closing(self._take(folder, writer)) as batches:
                for owner, batch in batches:
                    store.add(owner, batch)
                    number += sum(record.count for record in batch.records)
            yield number

    def _find_folders(self, writer: Writer) -> list[Path]:
        """Return the folders of other processes that share the name of the rings."""
        if not self.directory:
            return []
        with contextlib.suppress(OSError):
            found = Path(self.directory).glob(f"{self._prefix}*")
            return [folder for folder in found if folder.name != self._prefix + writer.name]
        return []

    def _take(self, folder: Path, writer: Writer) -> Generator[tuple[Writer, Batch]]:
        """Yield the records of a folder whose process has ended, and remove them as soon as they are used."""
        lost, is_empty = SqliteStore(folder, self._hook), False
        try:
            if not lost.may_exist() or not lost.try_to_lead(writer):
                return
            while rows := lost.read(0, _PORTION):
                yield rows[0].writer, _pack(rows, lost)
                lost.settle(rows)
            if damaged := lost.losses():
                owner = folder.name.removeprefix(self._prefix)
                yield Writer(owner, writer.host, 0), Batch((), LAST, dropped=damaged)
            # Records of a future format are left to a process that can read them.
            is_empty = not lost.summary().waiting
        except StoreError as error:
            self._note_trouble(error)
        finally:
            lost.abandon(removes=is_empty)

    def _note_trouble(self, error: StoreError) -> None:
        if not self.trouble:
            warn("Records cannot be kept while Redis is away: %s", error.reason)
        self.trouble = error.reason


def _pack(rows: Sequence[Row], store: SqliteStore) -> Batch:
    """Return rows of a store as records for another one."""
    records = [NewRecord._make(row[2:]) for row in rows]
    settings = {digest: data for digest in {row.settings for row in rows} if (data := store.find_settings(digest))}
    return Batch(records, max(row.number for row in rows), settings)
