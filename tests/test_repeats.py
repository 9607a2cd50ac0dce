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
    found = [_COUNT.search(embed.get("description", "")) for message in discord.messages for embed in message.embeds]
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


class TestOneEvent:
    """One call of a logger is one card, and is counted once."""

    def test_the_handler_is_at_a_logger_and_at_the_root(self, discord: LocalDiscord) -> None:
        """A record that propagates passed it twice, and the card said so."""
        handler = DiscordHandler(discord.webhook_url)
        for name in (None, "shop", "shop.orders"):
            logging.getLogger(name).addHandler(handler)
        for number in range(3):
            logging.getLogger("shop.orders").error("Order %d failed", number)
        assert counts(discord, handler) == [1, 1, 1]
        assert handler.health()["accepted"] == 3

    def test_equal_handlers_for_one_webhook(self, discord: LocalDiscord) -> None:
        """A cell of a notebook is run twice, with a handler at another level in between."""
        handlers = [DiscordHandler(discord.webhook_url, level, context={"service": "shop"}) for level in (40, 30, 40)]
        for handler in handlers:
            handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
            logging.getLogger("shop").addHandler(handler)
        logging.getLogger("shop").error("Order failed")
        logging.getLogger("shop").warning("Stock is low")
        assert counts(discord, handlers[0]) == [1, 1]
        assert handlers[0].health()["accepted"] == 2

    def test_handlers_with_other_settings_each_get_the_record(self, discord: LocalDiscord) -> None:
        """Another name, another formatter and another webhook are other cards."""
        handlers = [
            DiscordHandler(discord.webhook_url),
            DiscordHandler(discord.webhook_url, username="Alarm"),
            DiscordHandler(discord.webhook_url),
            DiscordHandler(discord.add_webhook()),
        ]
        handlers[2].setFormatter(logging.Formatter("%(message)s"))
        for handler in handlers:
            logging.getLogger("shop").addHandler(handler)
        logging.getLogger("shop").error("Order failed")
        assert all(handler.flush(30) for handler in handlers)
        assert sum(len(message.embeds) for message in discord.messages) == 4

    def test_calls_in_a_loop_are_counted(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """They are repeats, also with the handler at two loggers."""
        logging.getLogger("shop.orders").addHandler(handler)
        error = ValueError("no")
        for _ in range(20):
            logging.getLogger("shop.orders").error("Try failed", exc_info=error)
        assert told_once(discord, handler, 20)
