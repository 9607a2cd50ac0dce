"""The store in a file of SQLite, which all processes of a machine share."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._backlogs.sqlite import database, files, records
from discord_logging._backlogs.sqlite.session import Session
from discord_logging._backlogs.store import Counts, Row, StoreError, Summary, Tally, Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from discord_logging._backlogs.store import Batch
    from discord_logging._records.settings import DeliverySettings

_HOUR, _DAY = 3_600.0, 86_400.0
_KEPT = 30 * _DAY
"""For how long a writer that is silent and unused settings are kept, in seconds. A ring may be rescued late."""


class SqliteStore:
    """The records of one webhook in a file of SQLite. See `Store`.

    An object is to be closed by the one who made it: no garbage collector closes its connection, see `database`.

    Args:
        folder: The folder, which is made if need be.
        hook: The name of the webhook.
    """

    kind = "sqlite"
    has_hosts = False
    hosts = 1
    ahead = 0.0

    def __init__(self, folder: Path, hook: str) -> None:
        # A file has one lock in the process, however its path is written. The folder itself may be no link.
        self._folder = Path(os.path.realpath(folder.parent)) / folder.name
        self._hook, self._hook_name = records.key_of(hook), hook
        self._sender_file = self._folder / (re.sub(r"[^A-Za-z0-9.-]+", "_", hook) + ".sender")
        self._session = Session(self._folder, self._begin)
        self._data_version: object = None
        self._swept_at = 0.0
        self._noted_sender: Writer | None = None
        self._writers: dict[int, Writer] = {}
        self._settings_at: dict[str, float] = {}

    @property
    def leads(self) -> bool:
        """Whether this object sends the records of the webhook."""
        lock = files.lock_of(self._sender_file)
        return lock.is_held and lock.owner is not None and lock.owner() is self

    @property
    def identity(self) -> object:
        """An object that another store in the same place has not; `None` if none is open."""
        return self._session.identity

    def add(self, writer: Writer, batch: Batch) -> None:
        """Store the records whose numbers are new, count the losses, and note that the writer lives."""

        def work(connection: sqlite3.Connection) -> None:
            records.add(connection, self._hook, writer, batch, self._settings_at)

        try:
            self._session.write(work)
        except (OverflowError, UnicodeEncodeError):
            self._settings_at.clear()
            batch = batch._replace(records=[records.make_plain(record) for record in batch.records])
            self._session.write(work)
        except BaseException:
            self._settings_at.clear()
            raise

    def restore(self, rows: Sequence[Row], settings: Mapping[str, bytes]) -> None:
        """Store rows again where they were, after the store was damaged or removed."""
        self._session.write(lambda connection: records.restore(connection, self._hook, rows, settings))

    def is_settled(self, writer: Writer, number: int) -> bool:
        """Tell whether no record of the writer up to this number is left."""
        query = "SELECT 1 FROM records WHERE writer = ? AND number <= ? LIMIT 1"
        values = self._key_of(writer), number
        return self._session.read(lambda connection: connection.execute(query, values).fetchone()) is None

    def tally(self, writer: Writer) -> Tally:
        """Return how the records of the writer ended."""
        query, key = "SELECT delivered FROM writers WHERE id = ?", self._key_of(writer)

        def work(connection: sqlite3.Connection) -> Tally:
            (delivered,) = connection.execute(query, (key,)).fetchone() or (0,)
            return Tally(delivered, records.find_losses(connection, [self._hook], key))

        return self._session.read_at_once(work)

    def wish(self, writer: Writer, deadline: float) -> None:
        """Ask the sender to hurry until `deadline`, on the wall clock."""
        wish = "UPDATE hooks SET wish = max(coalesce(wish, 0), ?) WHERE id = ?"
        beat = "UPDATE writers SET beat = ? WHERE id = ?"

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(wish, (deadline, self._hook))
            connection.execute(beat, (time.time(), self._key_of(writer)))

        self._session.write(work)

    def checkpoint(self) -> None:
        """Make what was stored outlive a power cut. May wait for the disk."""
        self._session.glance(lambda connection: connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())

    def check(self) -> None:
        """Open the store anew if it was removed or replaced. Cheap."""
        self._session.read(lambda _: None)

    def lock(self) -> bool:
        """Take the lock of the process that sends, and return whether this object has it. Writes nothing."""
        lock = files.lock_of(self._sender_file)
        with lock.guard:
            owner = lock.owner and lock.owner()
            # Another handler of this process may have the same folder, with another token of the webhook.
            if lock.is_held and owner not in (None, self):
                return False
            try:
                is_held = lock.acquire()
            except OSError:
                # There may be no folder yet, or no longer; otherwise, this says what is wrong.
                self.check()
                is_held = self._acquire_or_explain(lock)
            lock.owner = weakref.ref(self) if is_held else None
        return is_held

    def try_to_lead(self, writer: Writer) -> bool:
        """Become the one process that sends, if there is none, and return whether this process is it. Cheap."""
        was_held, is_held = files.lock_of(self._sender_file).is_held, self.lock()
        if is_held and self._noted_sender != writer:
            try:
                self._note_sender(writer.host, writer.pid)
            except StoreError:
                # A sender that cannot read has nothing to send. Another store of this process may be able to.
                if not was_held:
                    files.lock_of(self._sender_file).release()
                raise
            self._noted_sender = writer
        return is_held

    def resign(self) -> None:
        """Leave the sending to another process."""
        if self.leads:
            with contextlib.suppress(StoreError):
                self._note_sender(None, None)
            self._noted_sender = None
            files.lock_of(self._sender_file).release()

    def has_changed(self) -> bool:
        """Tell whether another object or process has changed the store since the last call. Cheap."""
        found = self._session.glance(lambda connection: connection.execute("PRAGMA data_version").fetchone())
        has_changed = bool(found != self._data_version)
        self._data_version = found
        return has_changed

    def read(self, after: int, limit: int) -> list[Row]:
        """Return the first records behind a position, in order. Records of a future format are left out."""
        return self._session.read(lambda connection: records.read(connection, self._hook, after, limit, self._writers))

    def find_settings(self, digest: str) -> bytes | None:
        """Return settings by their digest."""
        query = "SELECT body FROM settings WHERE digest = ?"
        found = self._session.read(lambda connection: connection.execute(query, (digest,)).fetchone())
        return bytes(found[0]) if found else None

    def note_flight(self, rows: Sequence[Row], state: bytes, *, is_alone: bool) -> None:
        """Note that the records of a message are about to be sent, perhaps one record alone, and save the state."""
        self._session.write(
            lambda connection: records.note_flight(connection, self._hook, rows, state, is_alone=is_alone)
        )

    def note_landing(self, rows: Sequence[Row], state: bytes, *, is_alone: bool, maybe_saved: bool) -> None:
        """Note that the same records wait again, and whether they may be in the channel, and save the state."""

        def work(connection: sqlite3.Connection) -> None:
            records.note_landing(connection, self._hook, rows, state, is_alone=is_alone, maybe_saved=maybe_saved)

        self._session.write(work)

    def settle(self, rows: Sequence[Row], reason: str | None = None, state: bytes | None = None) -> None:
        """Remove records that are still there, count them as delivered, or as dropped for a reason; save the state."""
        if rows or state is not None:
            self._session.write(lambda connection: records.settle(connection, self._hook, rows, reason, state))

    def tidy(self, max_bytes: int, max_age: float, now: float) -> list[int]:
        """Drop the records that are too old, then the least severe and oldest of too many; return their positions."""
        session, hook = self._session, self._hook
        if now - self._swept_at > _HOUR:
            session.write(lambda connection: records.sweep(connection, now - max(_KEPT, max_age + _DAY)))
            while session.glance(records.shrink):
                pass
            self._swept_at = now
        dropped: list[int] = []
        while True:
            size, oldest = session.read(lambda connection: records.find_bounds(connection, hook))
            if oldest is not None and oldest < now - max_age:
                portion = session.write(lambda connection: records.drop_old(connection, hook, now - max_age))
            elif size > max_bytes:
                portion = session.write(lambda connection: records.drop_least(connection, hook, max_bytes))
            else:
                return dropped
            if not portion:
                # The totals are wrong: the file was damaged.
                return dropped
            dropped += portion

    def load_state(self) -> bytes | None:
        """Return the state that was saved last."""
        query = "SELECT state FROM hooks WHERE id = ?"
        (state,) = self._session.read(lambda connection: connection.execute(query, (self._hook,)).fetchone())
        return state if state is None else bytes(state)

    def wishes(self, now: float) -> float | None:
        """Return the latest deadline that another process wishes for, on the wall clock, unless it is over."""
        query = "SELECT wish FROM hooks WHERE id = ? AND wish > ?"
        found = self._session.read(lambda connection: connection.execute(query, (self._hook, now)).fetchone())
        return float(found[0]) if found else None

    def verify(self) -> None:
        """Repair the store if its parts contradict each other. Reads all of it."""
        self._session.read(records.verify)

    def configure(self, settings: DeliverySettings) -> None:
        """Do nothing: no setting concerns this store."""

    def may_exist(self) -> bool:
        """Tell whether earlier processes may have left records. Opens nothing."""
        return os.path.lexists(self._folder)

    def may_send_alone(self, seconds: float) -> bool:  # noqa: ARG002 - the processes of a machine share the limits
        """Tell that this process may send what it has."""
        return True

    def summary(self) -> Summary:
        """Return how many records wait, and for whom. Cheap."""
        return self._session.read_at_once(lambda connection: records.summarize(connection, self._hook))

    def losses(self) -> dict[tuple[str, str], int]:
        """Return all losses of the webhook ever, by reason and name of the level. Cheap."""
        return self._session.read(lambda connection: records.find_losses(connection, (self._hook, 0), 0))

    def counts(self) -> Counts:
        """Count what is in the store."""
        return self._session.read_at_once(lambda connection: records.count_all(connection, self._hook))

    def close(self) -> None:
        """Close the store. It opens itself again at the next use; the process goes on leading."""
        self._session.close()

    def abandon(self, *, removes: bool) -> None:
        """Leave a store that no other object of this process uses, and perhaps remove its folder."""
        self.close()
        if removes:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self.leads:
            files.lock_of(self._sender_file).release()
        for path in (self._sender_file, self._folder / ".repair"):
            files.forget_lock(path)

    def after_fork_in_child(self) -> None:
        """Forget what is open, for it belongs to the parent. Opens and closes nothing."""
        self._session.forget()

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin with a new connection, perhaps to a new file."""
        self._data_version = self._noted_sender = None
        self._writers.clear()
        self._settings_at.clear()
        if not connection.execute("SELECT 1 FROM hooks WHERE id = ?", (self._hook,)).fetchone():
            insert = "INSERT OR IGNORE INTO hooks (id, name) VALUES (?, ?)"
            connection.execute(insert, (self._hook, self._hook_name))

    def _acquire_or_explain(self, lock: files.FileLock) -> bool:
        try:
            return lock.acquire()
        except OSError as error:
            raise StoreError(f"{self._sender_file}: {error.strerror or error}") from error

    def _key_of(self, writer: Writer) -> int:
        return records.key_of(str(self._hook), writer.name)

    def _note_sender(self, host: str | None, pid: int | None) -> None:
        update = "UPDATE hooks SET host = ?, pid = ? WHERE id = ?"
        self._session.write(lambda connection: connection.execute(update, (host, pid, self._hook)))


def find_hooks(folder: Path) -> list[str]:
    """Return the names of all webhooks whose records a folder keeps. Makes neither a folder nor a file.

    Raises:
        StoreError: There is no store in the folder, or it cannot be read.
    """
    path = folder / database.NAME
    try:
        path.lstat()
    except OSError as error:
        is_missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        raise StoreError(f"there is no backlog in {folder}" if is_missing else f"{path}: {error.strerror}") from error
    session = Session(Path(os.path.realpath(folder.parent), folder.name), lambda _: None)
    try:
        rows = session.read(lambda connection: connection.execute("SELECT name FROM hooks ORDER BY name").fetchall())
    finally:
        session.close()
    return [str(name) for (name,) in rows if name]
