"""The stores that keep records for several processes, and the processes of a test that use them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from discord_logging._backlogs.redis_store import RedisStore
from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._backlogs.store import Batch, NewRecord, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._backlogs.store import Store

HOOK = "discord.com/123456"
NOW = 1_750_000_000.0
WRITER = Writer("first", "elsewhere", 1)
OTHER = Writer("second", "elsewhere", 2)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
opened: list[Store] = []


def record(
    number: int, levelname: str = "ERROR", *, created: float = NOW, size: int = 100, count: int = 1
) -> NewRecord:
    levelno = {"DEBUG": 10, "WARNING": 30, "ERROR": 40}.get(levelname, 0)
    return NewRecord(number, levelno, levelname, created, size, "digest", f"body {number}".encode(), count)


def batch(*numbers: int) -> Batch:
    return Batch([record(number) for number in numbers], max(numbers))


def another(store: Store, hook: str = HOOK) -> Store:
    """Return another object for the same store, which the fixture closes."""
    if isinstance(store, SqliteStore):
        opened.append(SqliteStore(store._folder, hook))
    else:
        assert isinstance(store, RedisStore)
        opened.append(RedisStore(store._address, hook))
    return opened[-1]


def numbers(store: Store) -> list[int]:
    return [row.number for row in store.read(0, 10_000)]


def start(child: Callable[[], object]) -> int:
    """Run a function in a forked process, whose exit status is 0 if it raises nothing; return its id."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            child()
            status = 0
        finally:
            os._exit(status)
    return pid


def run(child: Callable[[], object]) -> int:
    """Run a function in a forked process, and return its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(start(child), 0)[1])


def exit_if(condition: object) -> None:
    if condition:
        os._exit(3)
