"""The transactions on the records of one webhook, which a connection carries out one statement after another.

Webhooks and writers have numbers that come from their names, so that a record keeps both if another table is damaged.
"""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from discord_logging._backlogs.sqlite.driver import sqlite3
from discord_logging._backlogs.sqlite.numbers import Numbers
from discord_logging._backlogs.sqlite.salvage import add_loss
from discord_logging._backlogs.store import ALONE, Counts, Row, Summary, Writer
from discord_logging._backlogs.workers import is_alive, read_version
from discord_logging._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping, Sequence

    from discord_logging._backlogs.store import Batch, NewRecord

_VERSION = 1
"""The highest version of a row that this code can read."""
_HEARD = 3_600.0
"""For how many seconds a process counts as a worker after it has stored a record, if it lives."""
_DAY = 86_400.0
_PORTION = 1_000
"""How many records are dropped in one transaction, so that others can write in between."""
_UNUSED_PAGES = 2_500
"""How many pages of the file may be unused: 10 MB."""
_MAX_INTEGER = 2**53 - 1
"""The largest number of a record. Sums of them are numbers for SQLite, too."""

_READ = """
    SELECT position, writer, number, levelno, levelname, created, size, settings, body, count, tries FROM records
    WHERE +hook = ? AND position > ? AND v <= ? ORDER BY position LIMIT ?"""
"""The sign keeps SQLite from an index: the order of the table is right."""
_TYPES = (int, int, int, int, str, float, int, str, bytes, int, int)
_INSERT = """
    INSERT INTO records (hook, writer, number, levelno, levelname, created, size, count, tries, settings, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_RESTORE = """
    INSERT OR IGNORE INTO records
    (position, hook, writer, number, levelno, levelname, created, size, count, tries, settings, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_FIND_DAMAGED = "UPDATE losses SET count = max(count - ?, 0) WHERE hook = ? AND writer = 0 AND reason = 'damaged'"
_INSERT_WRITER = """
    INSERT INTO writers (name, host, pid, last, gaps, beat, version, hook, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_UPDATE_WRITER = """
    UPDATE writers SET name = ?, host = ?, pid = ?, last = ?, gaps = ?, beat = ?, version = ?
    WHERE hook = ? AND id = ?"""
_SAVE_SETTINGS = """
    INSERT INTO settings (digest, body, used) VALUES (?, ?, ?)
    ON CONFLICT (digest) DO UPDATE SET body = excluded.body, used = excluded.used"""
_CHANGE_TOTALS = """
    UPDATE hooks SET waiting = waiting + ?, bytes = bytes + ?, state = coalesce(?, state) WHERE id = ?"""
_BOUNDS = "SELECT bytes, (SELECT min(created) FROM records WHERE hook = ?) FROM hooks WHERE id = ?"
_OLD = """
    SELECT position, writer, levelname, count, size FROM records
    WHERE hook = ? AND created < ? ORDER BY created LIMIT ?"""
_LEAST = """
    SELECT position, writer, levelname, count, size FROM records
    WHERE hook = ? ORDER BY levelno, position LIMIT ?"""
_COUNT = "SELECT writer, levelname, sum(count) FROM records WHERE hook = ? GROUP BY writer, levelname"


@functools.lru_cache(maxsize=1_024)
def key_of(*names: str) -> int:
    """Return a number for names, the same in all processes."""
    digest = hashlib.blake2b("\0".join(names).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def add(
    connection: sqlite3.Connection, hook: int, writer: Writer, batch: Batch, settings_at: MutableMapping[str, float]
) -> None:
    """Store the records whose numbers are new. See `Store.add`.

    Args:
        connection: The connection.
        hook: The number of the webhook.
        writer: The writer.
        batch: The records.
        settings_at: When settings were stored, by digest; those of less than a day ago are not stored again.
    """
    now, key = time.time(), key_of(str(hook), writer.name)
    known = connection.execute("SELECT last, gaps FROM writers WHERE id = ?", (key,)).fetchone()
    numbers = Numbers(*known) if known else Numbers()
    counts_losses = batch.last not in numbers
    fresh = [record for record in batch.records if numbers.add(record.number)]
    for number in (*batch.covers, batch.last):
        numbers.add(number)
    connection.executemany(
        _INSERT,
        [
            (hook, key, number, levelno, levelname, created, size, count, tries, settings, body)
            for number, levelno, levelname, created, size, settings, body, count, tries in fresh
        ],
    )
    values = (writer.name, writer.host, writer.pid, numbers.last, numbers.to_text(), now, __version__)
    connection.execute(_UPDATE_WRITER if known else _INSERT_WRITER, (*values, hook, key))
    for digest, body in batch.settings.items():
        if now - settings_at.get(digest, 0.0) > _DAY:
            connection.execute(_SAVE_SETTINGS, (digest, body, now))
            settings_at[digest] = now
    if counts_losses:
        for kind, count in batch.dropped.items():
            _lose(connection, hook, key, kind, count)
    if fresh:
        change_totals(connection, hook, sum(each.count for each in fresh), sum(each.size for each in fresh))


def restore(connection: sqlite3.Connection, hook: int, rows: Sequence[Row], settings: Mapping[str, bytes]) -> None:
    """Store rows again where they were. See `Store.restore`."""
    now, execute = time.time(), connection.execute
    restored = []
    for row in rows:
        values = (row.levelno, row.levelname, row.created, row.size, row.count, row.tries, row.settings, row.body)
        key = key_of(str(hook), row.writer.name)
        if execute(_RESTORE, (row.position, hook, key, row.number, *values)).rowcount > 0:
            restored.append(row)
    for writer in {row.writer for row in restored}:
        key = key_of(str(hook), writer.name)
        known = execute("SELECT last, gaps FROM writers WHERE id = ?", (key,)).fetchone()
        numbers = Numbers(*known) if known else Numbers()
        for row in restored:
            if row.writer == writer:
                numbers.add(row.number)
        facts = (writer.name, writer.host, writer.pid, numbers.last, numbers.to_text(), now, "", hook, key)
        execute(_UPDATE_WRITER if known else _INSERT_WRITER, facts)
    connection.executemany(_SAVE_SETTINGS, [(digest, body, now) for digest, body in settings.items()])
    count = sum(row.count for row in restored)
    change_totals(connection, hook, count, sum(row.size for row in restored))
    # The repair may have counted them as lost.
    execute(_FIND_DAMAGED, (count, hook))


def settle(
    connection: sqlite3.Connection, hook: int, rows: Sequence[Row], reason: str | None, state: bytes | None
) -> None:
    """Remove records that are still there. See `Store.settle`."""
    delete, execute = "DELETE FROM records WHERE position = ? AND number = ?", connection.execute
    gone = [row for row in rows if execute(delete, (row.position, row.number)).rowcount]
    ended = ((key_of(str(hook), row.writer.name), row.levelname, row.count) for row in gone)
    _count_ended(connection, hook, ended, reason)
    change_totals(connection, hook, -sum(row.count for row in gone), -sum(row.size for row in gone), state)


def note_flight(
    connection: sqlite3.Connection, hook: int, rows: Sequence[Row], state: bytes, *, is_alone: bool
) -> None:
    """Note that the records of a message are about to be sent. See `Store.note_flight`."""
    update = "UPDATE records SET tries = tries + ? WHERE position = ? AND number = ?"
    connection.executemany(update, [(ALONE if is_alone else 1, row.position, row.number) for row in rows])
    change_totals(connection, hook, 0, 0, state)


def note_landing(
    connection: sqlite3.Connection, hook: int, rows: Sequence[Row], state: bytes, *, is_alone: bool, maybe_saved: bool
) -> None:
    """Note that the same records wait again. See `Store.note_landing`."""
    update = "UPDATE records SET tries = max(?, min(tries - ?, 1)) WHERE position = ? AND number = ?"
    step = ALONE if is_alone else 1
    connection.executemany(update, [(int(maybe_saved), step, row.position, row.number) for row in rows])
    change_totals(connection, hook, 0, 0, state)


def find_bounds(connection: sqlite3.Connection, hook: int) -> tuple[int, float | None]:
    """Return the bytes that wait, and when the oldest record was created."""
    size, oldest = connection.execute(_BOUNDS, (hook, hook)).fetchone()
    return size, oldest


def drop_old(connection: sqlite3.Connection, hook: int, before: float) -> list[int]:
    """Drop a portion of the records that were created before a time, and return their positions."""
    return _drop(connection, hook, "too_old", connection.execute(_OLD, (hook, before, _PORTION)).fetchall())


def drop_least(connection: sqlite3.Connection, hook: int, max_bytes: int) -> list[int]:
    """Drop a portion of the least severe and oldest records that are too many, and return their positions."""
    excess, found = find_bounds(connection, hook)[0] - max_bytes, []
    for row in connection.execute(_LEAST, (hook, _PORTION)):
        if excess <= 0:
            break
        found.append(row)
        excess -= row[4]
    return _drop(connection, hook, "queue_full", found)


def _drop(
    connection: sqlite3.Connection, hook: int, reason: str, found: Sequence[tuple[int, int, str, int, int]]
) -> list[int]:
    connection.executemany("DELETE FROM records WHERE position = ?", [(row[0],) for row in found])
    _count_ended(connection, hook, ((writer, level, count) for _, writer, level, count, _ in found), reason)
    change_totals(connection, hook, -sum(row[3] for row in found), -sum(row[4] for row in found))
    return [row[0] for row in found]


def read(
    connection: sqlite3.Connection, hook: int, after: int, limit: int, writers: MutableMapping[int, Writer]
) -> list[Row]:
    """Return the first records behind a position. See `Store.read`.

    Args:
        connection: The connection.
        hook: The number of the webhook.
        after: The position.
        limit: The largest number of records.
        writers: The writers that are known, by their number.
    """
    found = connection.execute(_READ, (hook, after, _VERSION, limit)).fetchall()
    if any(tuple(map(type, row)) != _TYPES for row in found):
        raise sqlite3.DatabaseError("a record has columns of wrong types")
    for key in {row[1] for row in found} - writers.keys():
        writer = connection.execute("SELECT name, host, pid FROM writers WHERE id = ?", (key,)).fetchone()
        writers[key] = Writer(*(writer or (f"lost {key}", "?", 0)))
    return [Row(position, writers[key], *rest) for position, key, *rest in found]


def _count_ended(
    connection: sqlite3.Connection, hook: int, ended: Iterable[tuple[int, str, int]], reason: str | None
) -> None:
    """Count records, given as writer, level and number, as delivered, or as dropped for a reason."""
    totals: Counter[tuple[int, str]] = Counter()
    for writer, levelname, count in ended:
        totals[writer, levelname if reason else ""] += count
    for (writer, levelname), count in totals.items():
        if reason:
            _lose(connection, hook, writer, (reason, levelname), count)
        else:
            connection.execute("UPDATE writers SET delivered = delivered + ? WHERE id = ?", (count, writer))


def _lose(connection: sqlite3.Connection, hook: int, writer: int, kind: tuple[str, str], count: int) -> None:
    reason, levelname = map(_to_plain, kind)
    for each in (writer, 0):
        add_loss(connection, hook, each, (reason, levelname), count)


def change_totals(
    connection: sqlite3.Connection, hook: int, waiting: int, size: int, state: bytes | None = None
) -> None:
    """Change the totals of a webhook, and its state."""
    connection.execute(_CHANGE_TOTALS, (waiting, size, state, hook))


def sweep(connection: sqlite3.Connection, before: float) -> None:
    """Remove what no record needs any more. The losses of a writer stay in those of the webhook."""
    silent = connection.execute("SELECT id, host, pid FROM writers WHERE beat < ?", (before,)).fetchall()
    dead = [(key,) for key, host, pid in silent if not is_alive(host, pid, math.inf)]
    connection.executemany("DELETE FROM losses WHERE writer = ?", dead)
    connection.executemany("DELETE FROM writers WHERE id = ?", dead)
    connection.execute("DELETE FROM settings WHERE used < ?", (before,))


def shrink(connection: sqlite3.Connection) -> bool:
    """Give unused pages back to the disk, outside of a transaction, and return whether there are more."""
    (before,) = connection.execute("PRAGMA freelist_count").fetchone()
    if before <= _UNUSED_PAGES:
        return False
    # `execute` would end after the first page.
    connection.executescript(f"PRAGMA incremental_vacuum({_PORTION})")
    (after,) = connection.execute("PRAGMA freelist_count").fetchone()
    return bool(_UNUSED_PAGES < after < before)


def verify(connection: sqlite3.Connection) -> None:
    """Raise an error if a table and its index contradict each other, as after damage that no reader has met.

    Raises:
        sqlite3.DatabaseError: They do.
    """
    (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(f"malformed: {result}")


def summarize(connection: sqlite3.Connection, hook: int) -> Summary:
    """Return what is cheap to know. See `Store.summary`."""
    waiting, host, pid = connection.execute("SELECT waiting, host, pid FROM hooks WHERE id = ?", (hook,)).fetchone()
    now = time.time()
    heard = "SELECT host, pid, beat, version FROM writers WHERE hook = ? AND beat > ?"
    writers = connection.execute(heard, (hook, now - _HEARD)).fetchall()
    workers = {(host, pid): version for host, pid, beat, version in writers if is_alive(host, pid, now - beat)}
    return Summary(
        waiting,
        find_bounds(connection, hook)[1],
        len(workers),
        (host, pid) if host is not None and is_alive(host, pid, 0.0) else None,
        connection.execute("SELECT coalesce(sum(delivered), 0) FROM writers WHERE hook = ?", (hook,)).fetchone()[0],
        max(map(read_version, workers.values()), default=()),
    )


def count_all(connection: sqlite3.Connection, hook: int) -> Counts:
    """Count the records that wait. See `Store.counts`."""
    writers = connection.execute("SELECT id, host, pid FROM writers WHERE hook = ?", (hook,)).fetchall()
    names = {key: f"{host} ({pid})" for key, host, pid in writers}
    by_level, by_writer = Counter[str](), Counter[str]()
    for writer, levelname, count in connection.execute(_COUNT, (hook,)):
        by_level[levelname] += count
        by_writer[names.get(writer, "? (0)")] += count
    size, _ = find_bounds(connection, hook)
    return Counts(by_level.total(), size, dict(by_level), dict(by_writer))


def make_plain(record: NewRecord) -> NewRecord:
    """Return a record with numbers and texts that SQLite can keep."""
    numbers = {
        name: max(-_MAX_INTEGER, min(getattr(record, name), _MAX_INTEGER)) for name in ("levelno", "size", "count")
    }
    return record._replace(levelname=_to_plain(record.levelname), settings=_to_plain(record.settings), **numbers)


def _to_plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def find_losses(connection: sqlite3.Connection, hooks: Sequence[int], writer: int) -> dict[tuple[str, str], int]:
    """Return how many records were lost, by reason and name of the level. The writer 0 stands for all."""
    marks = ", ".join("?" * len(hooks))
    query = f"SELECT reason, levelname, sum(count) FROM losses WHERE hook IN ({marks}) AND writer = ? GROUP BY 1, 2"  # noqa: S608
    return {(reason, name): count for reason, name, count in connection.execute(query, (*hooks, writer))}
