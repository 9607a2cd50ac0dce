"""The records of a damaged database are copied row by row, as far as they can be read, and the others are counted."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.sqlite.driver import sqlite3
from discord_logging._backlogs.sqlite.numbers import Numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

_INT, _TEXT, _REAL, _BLOB = (int,), (str,), (int, float), (bytes,)
_OPTIONAL = type(None)
_HOOKS = {
    "id": _INT,
    "name": _TEXT,
    "waiting": _INT,
    "state": (bytes, _OPTIONAL),
    "host": (str, _OPTIONAL),
    "pid": (int, _OPTIONAL),
    "wish": (int, float, _OPTIONAL),
}
_LOSSES: dict[str, tuple[type, ...]] = {
    "id": _INT,
    "hook": _INT,
    "writer": _INT,
    "reason": _TEXT,
    "levelname": _TEXT,
    "count": _INT,
}
_SETTINGS = {"id": _INT, "digest": _TEXT, "body": _BLOB, "used": _REAL}
_WRITERS = {
    "id": _INT,
    "hook": _INT,
    "name": _TEXT,
    "host": _TEXT,
    "pid": _INT,
    "last": _INT,
    "gaps": _TEXT,
    "beat": _REAL,
    "version": _TEXT,
    "delivered": _INT,
}
_RECORDS = {
    "position": _INT,
    "hook": _INT,
    "writer": _INT,
    "number": _INT,
    "v": _INT,
    "levelno": _INT,
    "levelname": _TEXT,
    "created": _REAL,
    "size": _INT,
    "count": _INT,
    "tries": _INT,
    "settings": _TEXT,
    "body": _BLOB,
}
_TABLES: dict[str, dict[str, tuple[type, ...]]] = {
    "hooks": _HOOKS,
    "losses": _LOSSES,
    "settings": _SETTINGS,
    "writers": _WRITERS,
    "records": _RECORDS,
}
"""The columns to copy, and their types. The first one is the key."""
_SMALL_STEPS = 1_000
"""How many keys are tried one by one behind a row that cannot be read, before the steps grow."""
_MAX_KEY = 2**63 - 1
_MAX_ROWS = 5_000_000
"""A damaged tree may have circles."""


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy what can be read into an empty database, and count what cannot, as far as that is known.

    Raises:
        sqlite3.Error: The new database cannot be written.
    """
    source.text_factory = lambda text: text.decode("utf-8", "replace")
    # Otherwise, SQLite reads nothing of a file that was cut.
    with contextlib.suppress(sqlite3.Error):
        source.execute("PRAGMA writable_schema = ON")
    for table, columns in _TABLES.items():
        marks = ", ".join("?" * len(columns))
        target.executemany(
            f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 - our own names
            _read(source, table),
        )
    _count_lost(target)
    _remember_numbers(target)


def _read(source: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that can be read and have the right types, in the order of their keys."""
    types = list(_TABLES[table].values())
    key, *_ = columns = list(_TABLES[table])
    query = f"SELECT {', '.join(columns)} FROM {table} WHERE {key} > ? ORDER BY {key}"  # noqa: S608 - our own names
    after, tries, rows = -_MAX_KEY, 0, itertools.count()
    while after < _MAX_KEY and next(rows) < _MAX_ROWS:
        try:
            cursor = source.execute(query, (after,))
            for row in cursor:
                if not isinstance(row[0], int) or row[0] <= after or next(rows) > _MAX_ROWS:
                    break
                after, tries = row[0], 0
                if all(isinstance(value, kinds) for value, kinds in zip(row, types, strict=True)):
                    yield row
            else:
                return
        except (sqlite3.Error, UnicodeDecodeError, MemoryError):
            # The message of an error may contain damaged text.
            pass
        after += 1 if tries < _SMALL_STEPS else 2 ** (tries - _SMALL_STEPS)
        tries += 1


def _count_lost(target: sqlite3.Connection) -> None:
    """Set the totals of each webhook right, and count the records that are missing."""
    found = {
        hook: (waiting, size)
        for hook, waiting, size in target.execute("SELECT hook, sum(count), sum(size) FROM records GROUP BY hook")
    }
    known = dict(target.execute("SELECT id, waiting FROM hooks").fetchall())
    lost = {hook: waiting - found.get(hook, (0, 0))[0] for hook, waiting in known.items()}
    # Of a file without any readable row, nothing is known: one loss says that there may be more.
    for hook, count in (lost or {0: 1}).items():
        if count > 0:
            add_loss(target, hook, 0, ("damaged", "?"), count)
    for hook in {*known, *found}:
        target.execute("INSERT OR IGNORE INTO hooks (id) VALUES (?)", (hook,))
        target.execute("UPDATE hooks SET waiting = ?, bytes = ? WHERE id = ?", (*found.get(hook, (0, 0)), hook))


def _remember_numbers(target: sqlite3.Connection) -> None:
    """Make sure that each record has a writer, and that no recovered record is stored a second time."""
    numbers: dict[int, Numbers] = {}
    for writer, hook, number in target.execute("SELECT writer, hook, number FROM records ORDER BY position").fetchall():
        if writer not in numbers:
            found = target.execute("SELECT last, gaps FROM writers WHERE id = ?", (writer,)).fetchone()
            if not found:
                target.execute(
                    "INSERT INTO writers (id, hook, name, host, pid, beat) VALUES (?, ?, ?, '?', 0, 0.0)",
                    (writer, hook, f"lost {writer}"),
                )
            numbers[writer] = Numbers(*found) if found else Numbers()
        numbers[writer].add(number)
    for writer, each in numbers.items():
        target.execute("UPDATE writers SET last = ?, gaps = ? WHERE id = ?", (each.last, each.to_text(), writer))


def add_loss(connection: sqlite3.Connection, hook: int, writer: int, kind: tuple[str, str], count: int) -> None:
    """Count records that were lost, by reason and name of the level. The writer 0 stands for the webhook."""
    connection.execute(
        "INSERT INTO losses (hook, writer, reason, levelname, count) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (hook, writer, reason, levelname) DO UPDATE SET count = count + excluded.count",
        (hook, writer, *kind, count),
    )
