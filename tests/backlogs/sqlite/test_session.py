"""A connection opens itself, and is used as soon as it is ready."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from discord_logging._backlogs.sqlite.session import Session
from discord_logging._backlogs.store import StoreError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_connection_begins_anew_if_its_beginning_has_failed(tmp_path: Path) -> None:
    """Regression: after a full disk, the store never worked again, since its webhook had no row."""
    begun = list[bool]()

    def begin(_: sqlite3.Connection) -> None:
        begun.append(True)
        if len(begun) == 1:
            raise sqlite3.OperationalError("database or disk is full")

    session = Session(tmp_path / "backlog", begin)
    with pytest.raises(StoreError, match="the disk is full"):
        session.read(lambda _: None)
    assert session.read(lambda connection: connection.execute("SELECT 5").fetchone()) == (5,)
    session.read(lambda _: None)
    assert len(begun) == 2
    session.close()
