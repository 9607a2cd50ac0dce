"""Real programs whose tracebacks reach the handler as text: one card, with the traceback in its block."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import queue
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler

if TYPE_CHECKING:
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord


def only_description(discord: LocalDiscord) -> str:
    """Return the text of the only card."""
    (card,) = (card for message in discord.messages for card in message.embeds)
    return card["description"]


def blocks(text: str) -> list[str]:
    """Return the contents of the code blocks."""
    return re.findall(r"```py\n(.*?)\n```", text, re.DOTALL)


def fail() -> None:
    """Fail because of another error."""
    try:
        int("seventeen")
    except ValueError as error:
        raise LookupError("no order") from error


def test_a_queue_in_front_of_the_handler(discord: LocalDiscord) -> None:
    """The `QueueHandler` of the library appends the traceback to the message, and a formatter of its own may, too."""
    handler = DiscordHandler(discord.webhook_url)
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    front = logging.handlers.QueueHandler(waiting)
    listener = logging.handlers.QueueListener(waiting, handler)
    logger = logging.getLogger("shop")
    logger.addHandler(front)
    listener.start()
    try:
        fail()
    except LookupError:
        logger.exception("Order %d failed", 17)
    finally:
        listener.stop()
        logger.removeHandler(front)
    assert handler.flush()
    description = only_description(discord)
    (block,) = blocks(description)
    assert description.startswith("Order 17 failed\n```py\nTraceback")
    assert "ValueError: invalid literal" in block
    assert block.endswith("\nLookupError: no order")
    assert description.count("Traceback (most recent call last):") == 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="dictConfig makes no queues")
def test_a_queue_that_dictconfig_makes(discord: LocalDiscord) -> None:
    """From Python 3.12 on, `dictConfig` puts a queue and a listener in front of a handler."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "discord": {"class": "discord_logging.DiscordHandler", "webhook_url": discord.webhook_url},
                "queue": {"class": "logging.handlers.QueueHandler", "handlers": ["discord"]},
            },
            "loggers": {"shop": {"handlers": ["queue"]}},
        }
    )
    logger = logging.getLogger("shop")
    (front,) = logger.handlers
    listener: Any = front.listener  # type: ignore[attr-defined]  # new in Python 3.12
    listener.start()
    try:
        fail()
    except LookupError:
        logger.exception("Order failed")
    finally:
        listener.stop()
        logger.removeHandler(front)
    (handler,) = listener.handlers
    assert handler.flush()
    (block,) = blocks(only_description(discord))
    assert block.endswith("\nLookupError: no order")


POOL = """
    import logging, sys
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import Pool, get_context
    from discord_logging import DiscordHandler

    def price(order):
        return order["price"]

    if __name__ == "__main__":
        handler = DiscordHandler(sys.argv[1])
        logging.getLogger("shop").addHandler(handler)
        context = get_context("spawn")
        try:
            if sys.argv[2] == "executor":
                with ProcessPoolExecutor(1, context) as pool:
                    pool.submit(price, {}).result()
            else:
                with context.Pool(1) as pool:
                    pool.map(price, [{}])
        except KeyError:
            logging.getLogger("shop").exception("Cannot price the order")
        assert handler.flush()
"""


@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_an_exception_in_a_process_of_a_pool(kind: str, discord: LocalDiscord, tmp_path: Path) -> None:
    """The traceback of the other process is a text within the exception. Its frames are folded as all others."""
    program = tmp_path / "shop.py"
    program.write_text(textwrap.dedent(POOL))
    subprocess.run([sys.executable, str(program), discord.webhook_url, kind], check=True, timeout=100, cwd=tmp_path)
    description = only_description(discord)
    (block,) = blocks(description)
    remote, _, here = block.partition("The above exception was the direct cause of the following exception:")
    assert 'return order["price"]' in remote
    assert re.search(r"… \d frames? in (concurrent|multiprocessing) …", remote)
    assert remote.rstrip().endswith("\nKeyError: 'price'")
    assert here.endswith("\nKeyError: 'price'")
    assert '"""' not in description
    assert "RemoteTraceback" not in description
