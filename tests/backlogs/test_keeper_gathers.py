"""The keeper waits for a moment before it stores the first of several records, unless somebody waits for them."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler
from discord_logging._process.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no ring on this platform")
URL = "http://127.0.0.1:9/api/webhooks/1/token"


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[DiscordHandler]:
    """Return a handler with a backlog, whose threads do not run."""
    handler = DiscordHandler(URL, backlog=tmp_path / "backlog", flush_timeout=0.0)
    backlog = backlog_of(handler)
    backlog.keeper._start = lambda: None
    backlog.wake_listener = lambda: True
    yield handler
    handler.close()


def backlog_of(handler: DiscordHandler) -> Any:
    """Return the backlog of a handler."""
    listener: Any = handler._listener
    return listener.backlog


@pytest.fixture
def waits(handler: DiscordHandler, monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Return the waits of the keeper, of which none takes any time."""
    found: list[float | None] = []

    class Recorder(Wakeup):
        def wait(self, timeout: float | None) -> None:
            found.append(timeout)

    monkeypatch.setattr(backlog_of(handler).keeper, "_wakeup", Recorder())
    return found


def log(handler: DiscordHandler) -> None:
    """Log a record."""
    handler.handle(logging.makeLogRecord({"levelno": logging.ERROR, "msg": "order"}))


def test_records_that_follow_one_are_awaited(handler: DiscordHandler, waits: list[float | None]) -> None:
    """Without a record, nothing is awaited."""
    backlog_of(handler).keeper._gather()
    assert waits == []
    log(handler)
    backlog_of(handler).keeper._gather()
    assert len(waits) == 1


@pytest.mark.parametrize(
    "make_urgent",
    [
        lambda backlog: backlog.flushes.append(object()),
        lambda backlog: backlog.arrivals.at_risk.add(1),
        lambda backlog: setattr(backlog.keeper, "_is_ending", True),
    ],
    ids=["a flush waits", "not in the ring", "ending"],
)
def test_urgent_records_are_stored_at_once(
    handler: DiscordHandler, waits: list[float | None], make_urgent: Callable[[Any], object]
) -> None:
    """A kill could lose a record that is not in the ring."""
    log(handler)
    backlog = backlog_of(handler)
    make_urgent(backlog)
    backlog.keeper._gather()
    assert waits == []
    backlog.flushes.clear()
