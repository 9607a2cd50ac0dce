"""The file of a durable backlog is opened, made and, if it is damaged, set aside here.

All of that happens under one lock of the folder. A connection is closed only as long as its file is in place: SQLite
removes the log of the last connection by its name, and that may be the log of a new file. A connection that belongs to
a parent or to a replaced file is left alone, and so stays open for ever.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from discord_logging._backlogs.sqlite import files, salvage
from discord_logging._backlogs.sqlite.driver import sqlite3
from discord_logging._backlogs.store import StoreError
from discord_logging._process import clock

if TYPE_CHECKING:
    from pathlib import Path

NAME = "backlog-1.db"
_BROKEN = "backlog-1.db.repairing"
"""A damaged file whose records are not yet in a new one."""
_NEW = "backlog-1.db.new"
_PARTS = ("", "-wal", "-shm")
_KEPT = 2
"""How many damaged files are kept."""
_PAUSE_BETWEEN_REPAIRS = 60.0
"""A disk that damages each new file must not keep the program busy."""
_PAUSE = 0.005
_APPLICATION = 0x444C4231
"""DLB1."""
_SCHEMA = """
CREATE TABLE hooks (
    id INTEGER PRIMARY KEY, name TEXT, waiting INTEGER DEFAULT 0, bytes INTEGER DEFAULT 0, state BLOB,
    host TEXT, pid INTEGER, wish REAL);
CREATE TABLE writers (
    id INTEGER PRIMARY KEY, hook INTEGER, name TEXT, host TEXT, pid INTEGER, last INTEGER, gaps TEXT, beat REAL,
    version TEXT DEFAULT '', delivered INTEGER DEFAULT 0);
CREATE TABLE losses (
    id INTEGER PRIMARY KEY, hook INTEGER, writer INTEGER, reason TEXT, levelname TEXT, count INTEGER,
    UNIQUE (hook, writer, reason, levelname));
CREATE TABLE settings (id INTEGER PRIMARY KEY, digest TEXT UNIQUE, body BLOB, used REAL);
CREATE TABLE records (
    position INTEGER PRIMARY KEY AUTOINCREMENT, hook INTEGER, writer INTEGER, number INTEGER, v INTEGER DEFAULT 1,
    levelno INTEGER, levelname TEXT, created REAL, size INTEGER, count INTEGER, tries INTEGER DEFAULT 0,
    settings TEXT, body BLOB);
CREATE INDEX by_age ON records (hook, created);
CREATE INDEX by_level ON records (hook, levelno, position, levelname, writer, count, size);
CREATE UNIQUE INDEX by_number ON records (writer, number);
"""
_repaired_at: dict[Path, float] = {}


def open_database(folder: Path) -> tuple[sqlite3.Connection, tuple[int, int]]:
    """Open the database of a folder, made or repaired if need be; return the connection and the file's identity.

    Raises:
        StoreError: Records cannot be kept there.
        OSError, sqlite3.Error: They cannot be kept there at the moment.
    """
    if not sqlite3:  # type: ignore[truthy-bool]  # see there
        raise StoreError("Python was built without SQLite")
    files.prepare_folder(folder)
    with files.alone(folder):
        try:
            return _open(folder)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if not is_damage(error):
                raise
        _set_aside(folder)
        return _open(folder)


def set_aside(folder: Path, identity: tuple[int, int]) -> None:
    """Set a damaged file aside, unless another process has done so.

    Raises:
        StoreError: Another process does so right now, or this one has done so a moment ago.
        OSError: The file cannot be renamed.
    """
    with files.alone(folder):
        if files.identify(folder / NAME) == identity:
            _set_aside(folder)


def close(folder: Path, connection: sqlite3.Connection, identity: tuple[int, int]) -> None:
    """Close a connection, if its file is still in place."""
    with contextlib.suppress(StoreError, OSError, sqlite3.Error):
        if files.identify(folder / NAME) == identity:
            with files.alone(folder):
                if files.identify(folder / NAME) == identity:
                    connection.close()


def is_damage(error: Exception, *, is_read: bool = False) -> bool:
    """Tell whether an error says that the file is damaged, rather than busy, full or out of reach.

    Args:
        error: The error.
        is_read: Whether there was nothing to write, so that a log that was cut is the reason of an I/O error.
    """
    words = ("Could not decode", "no such table", "no such column", "malformed", *(("disk I/O",) if is_read else ()))
    return (
        type(error) in (sqlite3.DatabaseError, sqlite3.IntegrityError, sqlite3.InternalError)
        # The message of the error has damaged text in it.
        or isinstance(error, UnicodeDecodeError)
        or (isinstance(error, sqlite3.OperationalError) and str(error).startswith(words))
        # Up to Python 3.10, an error has no name, and the next attempt to read finds the damage.
        or getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_SHORT_READ"
    )


def _open(folder: Path) -> tuple[sqlite3.Connection, tuple[int, int]]:
    path = folder / NAME
    if files.identify(path) is None:
        _make(folder)
    elif files.identify(folder / _BROKEN):
        # The process that made the file has ended before it could do this.
        _keep(folder)
    # A file that somebody put there may have other rights. SQLite gives those of the database to its other files.
    if path.is_symlink():
        raise StoreError(f"{path} is a symbolic link")
    path.chmod(0o600)
    connection = _connect(path)
    try:
        _set_up(connection)
    except BaseException:
        connection.close()
        raise
    identity = files.identify(path)
    if identity is None:
        raise StoreError(f"{path} was removed")
    # The database keeps the function and the function the connection, so that nothing but `close` ever closes it, not
    # even the end of the interpreter: closing an inherited connection waits for a thread that the child does not have.
    connection.create_function("itself", 0, lambda: id(connection))
    return connection, identity


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """Connect to a file that exists, for any one thread at a time."""
    address = f"file:{quote(os.fsencode(path))}?mode={mode}"
    return sqlite3.connect(
        address, uri=True, timeout=files.PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=64
    )


def _set_up(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at the same moment.

    Raises:
        sqlite3.DatabaseError: The file is damaged, or none of ours.
    """
    deadline = clock.monotonic() + files.PATIENCE
    # The timeout of SQLite does not cover this.
    while not _switch_to_wal(connection, is_last=clock.monotonic() > deadline):
        clock.sleep(_PAUSE)
    for pragma in ("synchronous = NORMAL", "mmap_size = 0", "journal_size_limit = 4194304"):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA application_id").fetchone() != (_APPLICATION,):
        raise sqlite3.DatabaseError("the file is no backlog")
    connection.execute("SELECT name FROM hooks").fetchall()


def _switch_to_wal(connection: sqlite3.Connection, *, is_last: bool) -> bool:
    try:
        connection.execute("PRAGMA journal_mode = wal")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) or is_last:
            raise
        return False
    return True


def _make(folder: Path) -> None:
    """Make a new file, with the records of a damaged one, and put it in place when it is complete."""
    new, broken = folder / _NEW, folder / _BROKEN
    if files.identify(broken):
        _move_logs(folder)
    _remove_new(folder)
    fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(fd, 0o600)
    finally:
        # No connection of this process has opened the file yet, whose locks this would end.
        os.close(fd)
    try:
        _fill(new, broken)
    except BaseException:
        # The disk may be full.
        _remove_new(folder)
        raise
    # A log without its file, left behind, would be taken for that of the new file.
    for suffix in _PARTS[1:]:
        (folder / f"{NAME}{suffix}").unlink(missing_ok=True)
    new.rename(folder / NAME)
    if files.identify(broken):
        _keep(folder)


def _remove_new(folder: Path) -> None:
    """Remove a new file that is not complete."""
    for suffix in (*_PARTS, "-journal"):
        (folder / f"{_NEW}{suffix}").unlink(missing_ok=True)


def _fill(new: Path, broken: Path) -> None:
    with contextlib.closing(_connect(new)) as connection:
        if not files.identify(broken):
            # There is nothing yet that a power cut could take.
            connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("BEGIN")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        # Positions rise also over a file that was removed with all its records.
        connection.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (time.time_ns() // 1_000,))
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        if files.identify(broken):
            # A connection that only reads leaves the damaged file as it is.
            with contextlib.closing(_connect(broken, "ro")) as source:
                salvage.copy(source, connection)
        connection.execute("COMMIT")


def _set_aside(folder: Path) -> None:
    now = clock.monotonic()
    if now - _repaired_at.get(folder, -_PAUSE_BETWEEN_REPAIRS) < _PAUSE_BETWEEN_REPAIRS:
        raise StoreError(f"{folder / NAME} was damaged again")
    _repaired_at[folder] = now
    if files.identify(folder / _BROKEN):
        _keep(folder)
    # The database comes first. Without it, nobody uses its logs.
    (folder / NAME).replace(folder / _BROKEN)
    _move_logs(folder)


def _move_logs(folder: Path) -> None:
    """Give a damaged file its logs, also if the process that set it aside has ended before it could do this."""
    for suffix in _PARTS[1:]:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{NAME}{suffix}").replace(folder / f"{_BROKEN}{suffix}")


def _keep(folder: Path) -> None:
    """Keep the damaged file for who wants to look at it, and remove the oldest of such files."""
    names = [path.name.rpartition("-")[2] for path in folder.glob(f"{NAME}.damaged-*")]
    numbers = sorted(int(name) for name in names if name.isdigit())
    for old in numbers[: max(len(numbers) - _KEPT + 1, 0)]:
        for suffix in _PARTS:
            (folder / f"{NAME}.damaged-{old}{suffix}").unlink(missing_ok=True)
    number = max(numbers, default=0) + 1
    for suffix in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{_BROKEN}{suffix}").replace(folder / f"{NAME}.damaged-{number}{suffix}")
