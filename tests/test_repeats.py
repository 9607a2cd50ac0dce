"""Repeats, from the logging call to the channel: what was logged counts, not its time, thread or formatter."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from loguru import logger as loguru

from discord_logging import DiscordHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging.sandbox import LocalDiscord

_COUNT = re.compile(r"×([\d,]+), first")  # noqa: RUF001 - the sign for times


@pytest.fixture
def handler(discord: LocalDiscord) -> Iterator[DiscordHandler]:
    """Yield a handler at the logger `shop`, which passes nothing on."""
    handler = DiscordHandler(discord.webhook_url)
    logger = logging.getLogger("shop")
    logger.propagate = False
    logger.addHandler(handler)
    yield handler
    handler.close()


def counts(discord: LocalDiscord, handler: DiscordHandler) -> list[int]:
    """Return the number of records that each card stands for."""
    assert handler.flush(30)
    footers = [embed.get("footer", {}).get("text", "") for message in discord.messages for embed in message.embeds]
    found = [_COUNT.search(footer) for footer in footers]
    return [int(match[1]) if match else 1 for match in found]


def told_once(discord: LocalDiscord, handler: DiscordHandler, number: int) -> bool:
    """Tell whether one card, and one more for the repeats that came after it, stand for `number` records."""
    cards = counts(discord, handler)
    return len(cards) <= 2 and sum(cards) == number == handler.health()["delivered"]


class _JSON(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"timestamp": record.created, "thread": record.threadName, "message": record.getMessage()})


@pytest.mark.parametrize(
    "formatter",
    [
        logging.Formatter("%(asctime)s %(levelname)s [%(name)s] %(message)s"),
        logging.Formatter("[{asctime}] [{levelname:<8}] {name}: {message}", "%Y-%m-%d %H:%M:%S", style="{"),
        logging.Formatter("up %(relativeCreated)d ms, %(threadName)s: %(message)s"),
        _JSON(),
    ],
    ids=["asctime", "discord.py", "uptime", "JSON"],
)
def test_a_formatter_makes_no_record_another_one(
    discord: LocalDiscord, handler: DiscordHandler, formatter: logging.Formatter
) -> None:
    """The body had the time in it, so that 30 equal errors were 30 cards. The first body is shown."""
    handler.setFormatter(formatter)
    log = logging.getLogger("shop")
    began = time.time()
    for number in range(30):
        record = log.makeRecord("shop", logging.ERROR, "orders.py", 42, "Order %d failed", (17,), None)
        record.created, record.relativeCreated = began + number, 1000.0 * number
        record.threadName = f"worker-{number % 3}"
        log.handle(record)
    assert told_once(discord, handler, 30)
    first = discord.messages[0].embeds[0]
    assert re.search(r"Order 17 failed", first["description"])


def test_arguments_and_threads(discord: LocalDiscord, handler: DiscordHandler) -> None:
    """Other arguments make another record, and another thread does not."""
    log = logging.getLogger("shop")

    def fail(order: int) -> None:
        log.error("Order %d failed", order)

    for order in (17, 17, 18):
        thread = threading.Thread(target=fail, args=(order,))
        thread.start()
        thread.join()
    assert sorted(counts(discord, handler)) in ([1, 1, 1], [1, 2])
    said = "\n".join(embed["description"] for message in discord.messages for embed in message.embeds)
    assert said.count("Order 18 failed") == 1
    assert handler.health()["delivered"] == 3


@pytest.fixture
def stamped_queue(handler: DiscordHandler) -> Iterator[logging.Logger]:
    """Yield a logger whose queue handler formats the records, time included, before ours gets them."""
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    front = logging.handlers.QueueHandler(waiting)
    front.setFormatter(logging.Formatter("%(levelname)s %(asctime)s %(message)s"))
    listener = logging.handlers.QueueListener(waiting, handler)
    log = logging.getLogger("shop.queued")
    log.propagate = False
    log.addHandler(front)
    listener.start()
    yield log
    if getattr(listener, "_thread", None):
        listener.stop()


def test_a_queue_handler_that_formats(
    discord: LocalDiscord, handler: DiscordHandler, stamped_queue: logging.Logger
) -> None:
    """The text with the time is the message of the record then."""
    for number in range(30):
        record = stamped_queue.makeRecord("shop.queued", logging.ERROR, "a.py", 42, "Database is down", (), None)
        record.created += number
        stamped_queue.handle(record)
    deadline = time.monotonic() + 30
    while handler.health()["accepted"] < 30 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told_once(discord, handler, 30)


def test_loguru(discord: LocalDiscord, handler: DiscordHandler) -> None:
    """The standard format of loguru begins with the time, and is the message of the record."""
    number = loguru.add(handler, level="ERROR")
    try:
        for _ in range(30):
            loguru.error("Database is down")
        assert told_once(discord, handler, 30)
    finally:
        loguru.remove(number)


@pytest.mark.parametrize(
    "renderer",
    [
        structlog.processors.JSONRenderer(),
        structlog.processors.KeyValueRenderer(),
        structlog.dev.ConsoleRenderer(colors=True),
        structlog.dev.ConsoleRenderer(colors=False),
        structlog.stdlib.render_to_log_kwargs,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    ids=["JSON", "logfmt", "colours", "console", "extra", "dict"],
)
def test_structlog(discord: LocalDiscord, handler: DiscordHandler, renderer: Any) -> None:
    """Its timestamp is in the message, in a value or in a dict, depending on the last processor."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    log = structlog.wrap_logger(
        logging.getLogger("shop"),
        processors=[structlog.stdlib.add_log_level, stamp, renderer],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    for _ in range(30):
        log.error("Order failed", order=17)
    log.error("Order failed", order=18)
    cards = counts(discord, handler)
    assert len(cards) <= 3
    assert sum(cards) == 31 == handler.health()["delivered"]
