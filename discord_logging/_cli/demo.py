"""`discord-logging demo` runs a small program that works and fails, and shows which of its records have arrived."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

from discord_logging._records.attachment import Attachment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from discord_logging._handler import DiscordHandler
    from discord_logging.sandbox import LocalDiscord

_LOGGER = "shop"
_BURST = 300
_MAX_LINES_SHOWN = 24
_DEADLINE = 180.0
_PATIENCE = 5.0
_TIME = re.compile(r"<t:(\d+):([dT])>")
_HOPELESS_STATUSES = ("retrying", "stopped", "blocked")


class OrderError(Exception):
    """An order is malformed."""


def run_demo(webhook_url: str, discord: LocalDiscord | None = None) -> int:
    """Run the program with a handler for `webhook_url`, print the delivered records, and return 1 if one is missing.

    Args:
        webhook_url: The URL of the webhook.
        discord: The local Discord of the webhook, whose channel is printed; `None` stands for the real Discord.
    """
    _configure(webhook_url)
    logger = logging.getLogger(_LOGGER)
    handler: Any = logger.handlers[0]
    logged = _Collector()
    logger.addHandler(logged)
    try:
        _run_shop(logger)
        _wait(handler)
    finally:
        handler.close(timeout=0)
        logger.handlers.clear()
    health = handler.health()
    missing = _print_channel(discord, logged.texts) if discord is not None else []
    _print_summary(health)
    return 0 if health["delivered"] == health["accepted"] and not missing else 1


class _Collector(logging.Handler):
    """Collects the logged messages, so that they can be looked up in the channel."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _configure(webhook_url: str) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "discord": {
                    "class": "discord_logging.DiscordHandler",
                    "webhook_url": webhook_url,
                    "username": "Shop",
                    "context": {"service": "shop", "environment": "demo"},
                }
            },
            "loggers": {_LOGGER: {"handlers": ["discord"], "level": "DEBUG", "propagate": False}},
        }
    )


def _run_shop(logger: logging.Logger) -> None:
    logger.debug("Reading orders from %s", "orders.jsonl")
    total = sum(_read_order('{"item": "tea", "price": "3.50", "count": 2}').values())
    logger.info("1 order read, %.2f in total", total)
    logger.warning("Stock of %s is low", "tea", extra={"item": "tea", "left": 3, "warehouse": "Hamburg"})
    line = '{"item": "coffee", "price": "4,20", "count": 1}'
    try:
        _read_order(line)
    except OrderError:
        logger.exception(
            "An order was left out", extra={"order_id": 4711, "input": Attachment(line.encode(), "order-4711.json")}
        )
    worker = threading.Thread(target=_pack, args=(logger.getChild("packing"),), name="packer")
    worker.start()
    worker.join()
    for number in range(_BURST):
        logger.info("Label %d of %d printed", number + 1, _BURST)
    logger.critical("Out of labels: nothing can be sent any more")


def _read_order(line: str) -> dict[str, float]:
    order = json.loads(line)
    try:
        return {order["item"]: float(order["price"]) * order["count"]}
    except ValueError as error:
        raise OrderError(f"order for {order['item']!r} has no readable price") from error


def _pack(logger: logging.Logger) -> None:
    boxes: list[str] = []
    try:
        boxes.pop()
    except IndexError:
        logger.critical("The packer gives up", exc_info=True)


def _wait(handler: DiscordHandler) -> None:
    """Wait while rate limits delay the records, but not while Discord cannot be reached."""
    deadline = time.monotonic() + _DEADLINE
    while not handler.flush(_PATIENCE) and time.monotonic() < deadline:
        health = handler.health()
        if not health["pending"] or health["status"] in _HOPELESS_STATUSES:
            break
        sys.stdout.write(f"  {health['delivered']} of {health['accepted']} records delivered ...\n")
        time.sleep(_PATIENCE)


def _print_channel(discord: LocalDiscord, logged: Sequence[str]) -> Sequence[str]:
    """Print the messages of the channel, and return the texts of `logged` that are in none of them."""
    shown, number = "", 0
    for number, message in enumerate(discord.messages, 1):
        sys.stdout.write(f"Message {number}: {len(message.embeds)} embeds, {len(message.files)} files\n")
        for text in [*map(_card_text, message.embeds), *(file.text for file in message.files)]:
            sys.stdout.write(textwrap.indent(_shorten(text), "  | ") + "\n\n")
            shown += text
    missing = [text for text in logged if text not in shown]
    sys.stdout.write(f"{len(logged) - len(missing)} of {len(logged)} records found in {number} messages.\n")
    return missing


def _card_text(embed: Mapping[str, Any]) -> str:
    lines = [embed.get("title", ""), embed.get("description", "")]
    lines += [f"{field['name']}: {field['value']}" for field in embed.get("fields", ())]
    lines.append(embed.get("footer", {}).get("text", ""))
    text = _TIME.sub(_show_time, "\n".join(line for line in lines if line))
    return re.sub(r"\x1b\[[0-9;]*m|\\(?=_)", "", text)


def _show_time(match: re.Match[str]) -> str:
    """Return a time as Discord would show it to a reader at this machine."""
    return time.strftime("%Y-%m-%d" if match[2] == "d" else "%H:%M:%S", time.localtime(int(match[1])))


def _shorten(text: str) -> str:
    lines = text.splitlines()
    omitted = len(lines) - _MAX_LINES_SHOWN + 1
    if omitted <= 1:
        return text
    return "\n".join([*lines[: _MAX_LINES_SHOWN - 3], f"... {omitted} more lines ...", *lines[-2:]])


def _print_summary(health: dict[str, Any]) -> None:
    sys.stdout.write(
        f"{health['delivered']} of {health['accepted']} records delivered with {health['requests']} requests, "
        f"{sum(health['rate_limited'].values())} of which got a 429.\n"
    )
    if health["dropped"]:
        sys.stdout.write(f"{health['dropped']} records could not be delivered.\n")
