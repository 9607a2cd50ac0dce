"""A damaged file is set aside, and what can be read of it is kept."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from typing import TYPE_CHECKING

import pytest

from discord_logging._backlogs.sqlite import database
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import Batch, NewRecord, Row, StoreError, Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITER = Writer("first", "elsewhere", 1)


@pytest.fixture(autouse=True)
def _repairs_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PAUSE_BETWEEN_REPAIRS", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backlog"


def batch(first: int, end: int) -> Batch:
    records = [NewRecord(number, 40, "ERROR", 1.0, 100, "digest", b"x" * 300) for number in range(first, end)]
    return Batch(records, end - 1, {"digest": b"settings"})


def make(folder: Path) -> None:
    """Leave a file with 200 records, without a log."""
    store = SqliteStore(folder, "hook")
    store.add(WRITER, batch(1, 201))
    store.settle([], state=b"state")
    store.close()


def change(path: Path, change: Callable[[bytearray], object]) -> None:
    """Change the bytes of a file in place."""
    content = bytearray(path.read_bytes())
    change(content)
    with path.open("r+b") as file:
        file.write(content)
        file.truncate(len(content))


def overwrite_a_page(content: bytearray) -> None:
    """Overwrite the last page with records."""
    start = content.rindex(b"x" * 300) // 4096 * 4096
    content[start : start + 4096] = b"\xaa" * 4096


def cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


def read_all(store: SqliteStore) -> list[Row]:
    return store.read(0, 10_000)


@pytest.mark.parametrize("damage", [overwrite_a_page, cut])
@pytest.mark.parametrize("is_open", [True, False])
def test_what_can_be_read_is_kept_and_the_rest_is_counted(
    folder: Path, damage: Callable[[bytearray], None], is_open: bool
) -> None:
    """Whether the file is damaged while it is in use or before it is opened."""
    make(folder)
    store = SqliteStore(folder, "hook")
    if is_open:
        store.check()
    change(folder / database.NAME, damage)
    rows = read_all(store)
    lost = store.losses()["damaged", "?"]
    assert 0 < lost < 200
    assert len(rows) + lost == 200
    assert {row.writer for row in rows} == {WRITER}
    assert (store.load_state(), store.find_settings("digest")) == (b"state", b"settings")
    store.add(WRITER, batch(1, 211))
    assert {*range(201, 211)} < {row.number for row in read_all(store)}
    assert len(read_all(store)) + lost == 210
    store.close()


def test_a_damaged_file_is_kept_as_it_is(folder: Path) -> None:
    """Two of them at most, and nobody else may read them."""
    for _ in range(3):
        make(folder)
        change(folder / database.NAME, cut)
        content = (folder / database.NAME).read_bytes()
        store = SqliteStore(folder, "hook")
        store.check()
        store.close()
    kept = sorted(path for path in folder.iterdir() if "damaged" in path.name and path.suffix[-1].isdigit())
    assert [path.name for path in kept] == ["backlog-1.db.damaged-2", "backlog-1.db.damaged-3"]
    assert kept[-1].read_bytes() == content
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "content",
    [b"no database at all" * 1_000, bytes(20_000), hashlib.sha512(b"noise").digest()],
    ids=["text", "zeros", "noise"],
)
def test_a_file_that_is_no_database_is_set_aside(folder: Path, content: bytes) -> None:
    """Nothing is known of its records: one loss says that there may be some."""
    folder.mkdir(mode=0o700)
    (folder / database.NAME).write_bytes(content)
    store = SqliteStore(folder, "hook")
    store.add(WRITER, batch(1, 2))
    assert len(read_all(store)) == 1
    assert store.losses() == {("damaged", "?"): 1}
    store.close()


@pytest.mark.parametrize("table", ["hooks", "writers", "records", "settings", "losses"])
def test_a_missing_table_costs_its_rows_alone(folder: Path, table: str) -> None:
    """A record says itself to which webhook and writer it belongs."""
    make(folder)
    with sqlite3.connect(folder / database.NAME) as connection:
        connection.execute(f"DROP TABLE {table}")
    connection.close()
    store = SqliteStore(folder, "hook")
    store.add(WRITER, batch(1, 201))
    assert len(read_all(store)) == (0 if table == "records" else 200)
    assert (store.load_state() is None) is (table == "hooks")
    store.close()


def test_a_row_with_values_of_wrong_types_is_left_out(folder: Path) -> None:
    """A damaged byte may change the type of a value, and text may be no text."""
    make(folder)
    with sqlite3.connect(folder / database.NAME) as connection:
        connection.execute("UPDATE records SET levelno = 'forty' WHERE number = 1")
        connection.execute("UPDATE records SET levelname = CAST(x'ff' AS TEXT) WHERE number = 2")
    connection.close()
    store = SqliteStore(folder, "hook")
    assert [row.number for row in read_all(store)] == list(range(2, 201))
    assert store.losses() == {("damaged", "?"): 1}
    store.close()


def test_a_writer_goes_on_in_the_new_file(folder: Path) -> None:
    """A process that had the old file open stores its records in the new one."""
    make(folder)
    store, other = SqliteStore(folder, "hook"), SqliteStore(folder, "hook")
    store.check()
    other.check()
    change(folder / database.NAME, overwrite_a_page)
    kept = len(read_all(store))
    other.add(WRITER, batch(201, 202))
    assert len(read_all(store)) == kept + 1
    assert len(list(folder.glob("*.damaged-?"))) == 1
    store.close()
    other.close()


def test_a_file_that_is_damaged_at_once_again_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken disk must not keep the program busy."""
    monkeypatch.setattr(database, "_PAUSE_BETWEEN_REPAIRS", 60.0)
    make(folder)
    store = SqliteStore(folder, "hook")
    change(folder / database.NAME, overwrite_a_page)
    read_all(store)
    store.close()
    change(folder / database.NAME, cut)
    for _ in range(2):
        with pytest.raises(StoreError, match="was damaged again"):
            read_all(store)
    assert len(list(folder.glob("*.damaged-?"))) == 1


@pytest.mark.parametrize("ends_at", ["_move_logs", "_make", "_keep"])
def test_a_repair_that_was_interrupted_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch, ends_at: str) -> None:
    """The process may be killed in the midst of it."""
    make(folder)
    change(folder / database.NAME, overwrite_a_page)

    def be_killed(*_: object) -> None:
        raise OSError(0, "killed")

    with monkeypatch.context() as patch:
        patch.setattr(database, ends_at, be_killed)
        with pytest.raises(StoreError, match="killed"):
            read_all(SqliteStore(folder, "hook"))
    store = SqliteStore(folder, "hook")
    assert len(read_all(store)) + store.losses()["damaged", "?"] == 200
    assert sorted(path.name for path in folder.glob("*damaged-?")) == ["backlog-1.db.damaged-1"]
    assert not list(folder.glob("*.repairing*"))
    store.close()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_random_damage_costs_records_and_nothing_else(folder: Path, seed: int, suffix: str) -> None:
    """New records are stored after at most one error, however the file or its log was changed."""
    make(folder)
    store, other = SqliteStore(folder, "hook"), SqliteStore(folder, "hook")
    other.add(WRITER, batch(201, 301))
    if not suffix:
        other._session.read(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    chance = random.Random(seed)  # noqa: S311 - it is no secret

    def damage(content: bytearray) -> None:
        start, count = chance.randrange(len(content)), chance.choice([1, 100, 4096, len(content)])
        end = min(start + count, len(content))
        content[start:end] = chance.choice([bytes(end - start), chance.randbytes(end - start), b""])

    change(folder / f"{database.NAME}{suffix}", damage)
    for _ in range(2):
        try:
            read_all(store)
            store.add(WRITER, batch(301, 401))
            break
        except StoreError:
            continue
    assert {*range(301, 401)} <= {row.number for row in read_all(store)}
    store.close()
    other.close()
