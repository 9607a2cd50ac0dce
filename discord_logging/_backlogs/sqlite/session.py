"""The connection of one thread to the database of a folder, opened when it is needed, and anew when the file changes.

A process that changes a file which another one replaces at that moment changes the new file, too: each change can be
made twice. So nothing is lost when a damaged file is set aside or the folder removed.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, TypeVar

from discord_logging._backlogs.sqlite import database, files, forks
from discord_logging._backlogs.sqlite.driver import sqlite3
from discord_logging._backlogs.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_MAX_TRIES = 3
"""How often some work is done anew because the file was replaced or repaired meanwhile."""
_WORDS = {
    "disk is full": "the disk is full",
    "disk I/O error": "the disk is full or broken",
    "locked": "another process holds the database for too long",
    "unable to open": "the database cannot be opened",
    "readonly": "the database cannot be written",
}
"""Our words for errors of SQLite."""


class Session:
    """A connection that opens itself.

    Args:
        folder: The folder of the database.
        begin: A function that is called first with each new connection.
    """

    def __init__(self, folder: Path, begin: Callable[[sqlite3.Connection], object]) -> None:
        self._folder = folder
        self._path = folder / database.NAME
        self._begin = begin
        self.forget()

    def forget(self) -> None:
        """Have no connection. One that is open stays open: see `database`."""
        self._connection: sqlite3.Connection | None = None
        self._identity = 0, 0
        self._pid, self._has_begun = 0, False

    def close(self) -> None:
        """Close the connection."""
        connection, identity, pid = self._connection, self._identity, self._pid
        self.forget()
        if connection is not None and pid == os.getpid():
            forks.enter()
            try:
                database.close(self._folder, connection, identity)
            finally:
                forks.leave()

    @property
    def identity(self) -> tuple[int, int] | None:
        """The identity of the file that is open, or `None`."""
        return None if self._connection is None else self._identity

    def glance(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something outside of a transaction with the file that is open, also if it was replaced."""
        return self._transact(work, None, is_checked=False)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read something by one statement."""
        return self._transact(work, None)

    def read_at_once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read something by several statements, as it is at one moment."""
        return self._transact(work, "BEGIN")

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Change something in one transaction. The work may be done more than once."""
        return self._transact(work, "BEGIN IMMEDIATE")

    def _transact(self, work: Callable[[sqlite3.Connection], T], begin: str | None, *, is_checked: bool = True) -> T:
        """Do some work.

        Raises:
            StoreError: It cannot be done.
        """
        if not sqlite3:  # type: ignore[truthy-bool]  # see there
            raise StoreError("Python was built without SQLite")
        forks.enter()
        try:
            for tries in range(_MAX_TRIES):
                is_read = is_checked and begin != "BEGIN IMMEDIATE"
                result = self._try_or_repair(work, begin, may_repair=tries == 0, is_read=is_read)
                if result and (not is_checked or files.identify(self._path) == self._identity):
                    return result[0]
                self.forget()
        except OSError as error:
            raise StoreError(f"{self._folder}: {error.strerror or error}") from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            words = next((words for part, words in _WORDS.items() if part in str(error)), f"SQLite says: {error}")
            raise StoreError(f"{self._folder}: {words}") from error
        finally:
            forks.leave()
        raise StoreError(f"{self._path} is replaced again and again")

    def _try_or_repair(
        self, work: Callable[[sqlite3.Connection], T], begin: str | None, *, may_repair: bool, is_read: bool
    ) -> tuple[T] | None:
        """Return the result, or `None` if the file was damaged, and is repaired when it is opened again."""
        try:
            return (self._try(work, begin),)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if not may_repair or not database.is_damage(error, is_read=is_read):
                raise
            if self._connection is not None:
                database.set_aside(self._folder, self._identity)
            return None

    def _try(self, work: Callable[[sqlite3.Connection], T], begin: str | None) -> T:
        connection = self._connection
        if connection is None or self._pid != os.getpid():
            connection = self._open()
        if not self._has_begun:
            self._begin(connection)
            self._has_begun = True
        if begin is None:
            return work(connection)
        connection.execute(begin)
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return result

    def _open(self) -> sqlite3.Connection:
        self.forget()
        connection, self._identity = database.open_database(self._folder)
        self._connection, self._pid, self._has_begun = connection, os.getpid(), False
        return connection
