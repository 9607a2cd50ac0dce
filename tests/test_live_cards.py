"""Live cards, from the logging call to the channel of the local Discord, with its limits."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from discord_logging import DiscordHandler, EmbedFormatter, Incident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord


@pytest.fixture(params=["memory", "backlog"])
def handler(discord: LocalDiscord, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DiscordHandler]:
    """Yield a handler at the logger `shop`, which passes nothing on."""
    backlog = str(tmp_path / "backlog") if request.param == "backlog" else None
    handler = DiscordHandler(discord.webhook_url, repeats="edit", backlog=backlog)
    logger = logging.getLogger("shop")
    logger.propagate = False
    logger.addHandler(handler)
    yield handler
    handler.close()


def fail(order: int) -> None:
    """Log an error with a traceback."""
    stock: dict[int, str] = {}
    try:
        stock[order]
    except KeyError:
        logging.getLogger("shop").exception("Order %d failed", order)


def wait(is_so: Callable[[], object]) -> None:
    """Wait until something is so, for half a minute at most."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_card_counts_up_in_place(discord: LocalDiscord, handler: DiscordHandler) -> None:
    """One message tells of fifty failures, shows the newest, and has each in its file."""
    fail(0)
    wait(lambda: discord.messages)
    for order in range(1, 50):
        fail(order)
    assert handler.flush(30)
    [message] = discord.messages
    [card] = message.embeds
    assert card["title"].startswith("×50 ")  # noqa: RUF001 - the sign for times
    assert "Order 49 failed" in card["description"]
    [file] = message.files
    assert re.findall(r"Order \d+ failed", file.data.decode()) == [f"Order {order} failed" for order in range(50)]
    assert message.edits >= 1
    assert handler.health()["delivered"] == handler.health()["accepted"] == 50
    assert "may be a repeat" not in str(message.embeds)


def test_a_deleted_message_is_replaced(discord: LocalDiscord, handler: DiscordHandler) -> None:
    """Nothing is lost, and the new card counts all."""
    fail(1)
    wait(lambda: discord.messages and not handler.health()["pending"])
    discord.clear()
    fail(2)
    assert handler.flush(30)
    [message] = discord.messages
    assert message.embeds[0]["title"].startswith("×2 ")  # noqa: RUF001 - the sign for times
    assert handler.health()["dropped"] == 0


def test_an_own_formatter_changes_the_live_parts(discord: LocalDiscord) -> None:
    """They are methods as the others are."""

    class Calm(EmbedFormatter):
        def live_title(self, title: str, incident: Incident) -> str:
            return f"{title} ({incident.count} times)"

        def live_color(self, color: int, incident: Incident) -> int:
            return color // incident.count

        def progress(self, incident: Incident) -> str:
            return f"{len(incident.minutes)} minutes"

    handler = DiscordHandler(discord.webhook_url, repeats="edit", colors={"WARNING": 8})
    handler.setFormatter(Calm())
    log = logging.getLogger("shop.own")
    log.propagate = False
    log.addHandler(handler)
    for _ in range(2):
        log.warning("low on stock")
    assert handler.flush(30)
    handler.close()
    [card] = discord.messages[0].embeds
    assert card["title"].endswith("shop.own (2 times)")
    assert card["description"].endswith("60 minutes")
    assert card["color"] == 4


_PROGRAM = """
import logging, os, sys

from discord_logging import DiscordHandler

handler = DiscordHandler(sys.argv[1], repeats="edit", backlog=sys.argv[2], flush_timeout=30)
log = logging.getLogger("shop")
log.addHandler(handler)
log.propagate = False
for order in range(3):
    log.error("Order %d failed", order)
    assert handler.flush(30)
if sys.argv[3] == "killed":
    log.error("Order %d failed", 3)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("end", ["exit", "killed"])
@pytest.mark.parametrize("kind", ["directory", "redis"])
def test_the_next_process_goes_on_with_the_card(
    discord: LocalDiscord, request: pytest.FixtureRequest, tmp_path: Path, kind: str, end: str
) -> None:
    """Only the process that sends knew the card, so that each restart posted another one."""
    backlog = request.getfixturevalue("redis_url") if kind == "redis" else str(tmp_path / "backlog")
    for each in (end, "exit"):
        subprocess.run(
            [sys.executable, "-c", _PROGRAM, discord.webhook_url, backlog, each], timeout=120, check=each == "exit"
        )
    [message] = discord.messages
    count = 7 if end == "killed" else 6
    assert message.embeds[0]["title"].startswith(f"×{count} ")  # noqa: RUF001 - the sign for times
