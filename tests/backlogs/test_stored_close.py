"""A closed backlog of a process that sends leaves the records of all processes in the store."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler
from discord_logging._backlogs.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:9/api/webhooks/1/token"


@pytest.mark.parametrize("comes_late", [False, True], ids=["before", "after"])
def test_no_record_is_dropped(tmp_path: Path, comes_late: bool) -> None:
    """The records of others, and its own, wait for the next process, also if they came after it was closed."""
    handler = DiscordHandler(URL, backlog=tmp_path / "backlog", flush_timeout=0.0)
    listener: Any = handler._listener
    backlog = listener.backlog
    backlog.keeper._start = lambda: None  # the test makes its steps
    backlog.wake_listener = lambda: True
    steps = [partial(handler.handle, logging.makeLogRecord({"levelno": logging.ERROR, "msg": "order"})), backlog.close]
    backlog.keeper.step()
    for step in reversed(steps) if comes_late else steps:
        step()
        backlog.keeper.step()
    backlog.park(())  # takes in what came
    backlog.keeper.step()
    store = SqliteStore(tmp_path / "backlog", listener.url.key)
    assert store.counts().waiting == 1
    store.close()
    handler.close()
