"""A connection opens itself, and is used as soon as it is ready."""

from __future__ import annotations

import os
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


def test_a_file_that_may_not_be_seen_was_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: a program that gave up its rights was told that its store was removed."""
    session = Session(tmp_path / "backlog", lambda _: None)
    session.read(lambda _: None)

    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", refuse)
        for _ in range(2):
            with pytest.raises(StoreError, match=f"^{tmp_path / 'backlog'}: Permission denied$"):
                session.read(lambda _: None)
    session.read(lambda _: None)
    session.close()
