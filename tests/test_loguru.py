"""The sink for loguru, and a plain handler as a sink: a card shows what the record of loguru holds."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from loguru import logger

from discord_logging import DiscordHandler, InvalidWebhookURLError
from discord_logging.loguru import DiscordSink
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging.sandbox import Embed

    Add = Callable[..., int]

SECRET = "zebra" + "4711"
"""A value of a variable that no name marks as a secret."""
AUDIT = logger.level("AUDIT", no=33)
SINKS = {"sink": DiscordSink, "handler": DiscordHandler}


@pytest.fixture(autouse=True)
def _no_other_sinks() -> Iterator[None]:
    logger.remove()
    yield
    logger.remove()
    logger.configure(extra={})


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a local Discord without limits."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture(params=SINKS)
def add(request: pytest.FixtureRequest, discord: LocalDiscord) -> Add:
    """Return a function that adds a sink, made by ourselves or by loguru, with arguments of `logger.add`."""
    return lambda **options: logger.add(SINKS[request.param](discord.webhook_url), **options)


def plain(text: str) -> str:
    """Return a text as Discord shows it."""
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


def cards(discord: LocalDiscord) -> list[Embed]:
    """Return all cards after the last sink was removed, which delivers them."""
    logger.remove()
    return [card for message in discord.messages for card in message.embeds]


def fields(card: Embed) -> dict[str, str]:
    return {plain(field["name"]): plain(field["value"]) for field in card.get("fields", ())}


def message(card: Embed) -> str:
    """Return the description without code blocks and place."""
    return plain(re.sub(r"```.*?```", "", card["description"], flags=re.DOTALL).partition("-# ")[0]).strip()


def check(order: dict[str, int], pin: str) -> int:
    return order["price"] + len(pin)


def pay(pin: str) -> int:
    try:
        return check({}, pin)
    except KeyError as error:
        raise ValueError("no price") from error


class HoldingError(Exception):
    """An error that holds an object of this process."""

    def __init__(self, found: str) -> None:
        super().__init__("no order")
        self.found, self.lock = found, threading.Lock()


def hold(pin: str) -> None:
    raise HoldingError(pin)


class TestEverySink:
    def test_a_record_is_told_once(self, add: Add, discord: LocalDiscord) -> None:
        """The standard format repeated level, time and place in the message."""
        add()
        logger.warning("Stock of {} is low", "tea")
        (card,) = cards(discord)
        assert message(card) == "Stock of tea is low"
        assert plain(card["title"]) == f"⚠️ WARNING · {__name__}"
        assert "in test_a_record_is_told_once" in plain(card["description"])
        assert not card.get("fields")

    @pytest.mark.parametrize("options", [{}, {"serialize": True}, {"enqueue": True}])
    def test_values_are_fields(self, add: Add, discord: LocalDiscord, options: dict[str, Any]) -> None:
        """All values stood in one field named `extra`."""
        logger.configure(extra={"service": "shop"})
        add(**options)
        with logger.contextualize(request="r-1"):
            bound = logger.bind(order=17).bind(password=SECRET)
            bound.patch(lambda record: record["extra"].update(patched=True)).error("failed with {code}", code=5)
        logger.error("alone")
        first, second = cards(discord)
        assert fields(first) == {
            "service": "shop",
            "request": "r-1",
            "order": "17",
            "password": "***",
            "code": "5",
            "patched": "True",
        }
        assert fields(second) == {"service": "shop"}
        assert [message(first), message(second)] == ["failed with 5", "alone"]

    def test_a_value_may_have_the_name_of_an_attribute(self, add: Add, discord: LocalDiscord) -> None:
        """None of them replaces the attribute of a `LogRecord`, and none is left out."""
        values = {"name": "ann", "args": "17", "message": "hello", "levelname": "gold", "extra": "5", "exc_text": "x"}
        add()
        logger.bind(**values).error("failed")
        (card,) = cards(discord)
        assert fields(card) == values
        assert plain(card["title"]) == f"❌ ERROR · {__name__}"

    @pytest.mark.parametrize("options", [{}, {"serialize": True}, {"enqueue": True}, {"backtrace": False}])
    def test_a_traceback_stands_there_once_without_values(
        self, add: Add, discord: LocalDiscord, options: dict[str, Any]
    ) -> None:
        """Loguru's own text has the values of variables by default, and stood on the card as well."""
        add(**options)
        try:
            pay(SECRET)
        except ValueError:
            logger.bind(order=17).exception("Order failed")
        (card,) = cards(discord)
        assert message(card) == "Order failed"
        (block,) = re.findall(r"```py\n(.*?)```", card["description"], re.DOTALL)
        assert block.count("Traceback (most recent call last):") == 2
        assert block.count('return order["price"] + len(pin)') == 1
        assert block.rstrip().endswith("ValueError: no price")
        assert "KeyError: 'price'" in block
        assert SECRET not in "\n".join(each.text for each in discord.messages)
        assert not re.search("[│└]|->", block)
        assert fields(card) == {"order": "17"}

    def test_a_level_of_the_program(self, add: Add, discord: LocalDiscord) -> None:
        """Its name is shown, and its colour is that of the nearest level below."""
        add(level=AUDIT.no)
        logger.warning("not this")
        logger.log(AUDIT.name, "checked")
        (card,) = cards(discord)
        assert plain(card["title"]) == f"⚠️ AUDIT · {__name__}"

    def test_catch_tells_of_the_exception(self, add: Add, discord: LocalDiscord) -> None:
        """The place is where the function was called."""
        add()
        logger.catch(message="Payment failed")(pay)(SECRET)
        (card,) = cards(discord)
        assert message(card) == "Payment failed"
        assert plain(card["title"]).startswith("❌ ValueError: no price · ERROR")
        assert SECRET not in card["description"]

    def test_an_exception_that_was_never_raised(self, add: Add, discord: LocalDiscord) -> None:
        """It has no traceback, and the message may have one of another exception."""
        add()
        logger.opt(exception=OSError("disk is full")).error("")
        (card,) = cards(discord)
        assert plain(card["title"]).startswith("❌ OSError: disk is full · ERROR")
        assert card["description"].count("disk is full") == 1


class TestSink:
    def test_the_setup_of_the_documentation(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """At most five lines, which take the URL from the environment."""
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
        text = (Path(__file__).parent.parent / "docs" / "loguru.md").read_text(encoding="utf-8")
        (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        assert len([line for line in block.splitlines() if line]) <= 5
        exec(block, {})  # noqa: S102 - it is ours
        logger.warning("too low")
        logger.error("failed")
        assert [message(card) for card in cards(discord)] == ["failed"]

    @pytest.mark.parametrize("options", [{}, {"enqueue": True}])
    def test_process_thread_and_time_are_those_of_the_call(
        self, discord: LocalDiscord, options: dict[str, Any]
    ) -> None:
        """The queue of loguru is read by another thread."""
        found: list[Any] = []
        logger.add(DiscordSink(discord.webhook_url), **options)
        logger.add(lambda text: found.append(text.record), level="ERROR")
        thread = threading.Thread(target=logger.error, args=["failed"], name="worker-7")
        thread.start()
        thread.join()
        (card,) = cards(discord)
        assert card["footer"]["text"].endswith(f"pid {found[0]['process'].id} · worker-7")
        assert card["timestamp"].startswith(found[0]["time"].astimezone().isoformat()[:10])

    def test_an_exception_that_no_queue_takes(self, discord: LocalDiscord) -> None:
        """Loguru leaves an exception out that cannot be pickled; its text still tells all."""
        logger.add(DiscordSink(discord.webhook_url), enqueue=True)
        logger.catch(message="failed")(hold)(SECRET)
        (card,) = cards(discord)
        assert message(card) == "failed"
        assert "HoldingError: no order" in plain(card["title"])
        assert card["description"].count("raise HoldingError(pin)") == 1
        assert SECRET not in card["description"]

    def test_the_locals_are_a_setting(self, discord: LocalDiscord) -> None:
        """They are not those of loguru, so they are masked by name, and bounded."""
        logger.add(DiscordSink(discord.webhook_url, show_locals="own"))
        try:
            pay("1234567")
        except ValueError:
            logger.exception("failed")
        assert "pin = " in cards(discord)[0]["description"]

    def test_a_handler_of_others_stays_open(self, discord: LocalDiscord) -> None:
        """The removal delivers what waits. The handler's level and filters hold."""
        handler = DiscordHandler(discord.webhook_url, level="ERROR")
        handler.addFilter(lambda record: "secret" not in record.getMessage())
        logger.add(DiscordSink(handler))
        for text in ("failed", "a secret"):
            logger.warning(text)
            logger.error(text)
        assert [message(card) for card in cards(discord)] == ["failed"]
        assert not handler.closed
        assert handler.health()["delivered"] == 1

    def test_its_own_handler_is_closed(self, discord: LocalDiscord) -> None:
        """Nobody else has it."""
        sink = DiscordSink(discord.webhook_url)
        logger.remove(logger.add(sink))
        assert sink.handler.closed

    def test_settings_belong_to_its_own_handler(self, discord: LocalDiscord) -> None:
        """A handler has its own."""
        assert DiscordSink(webhook_url=discord.webhook_url, level="ERROR").handler.level == logging.ERROR
        with pytest.raises(TypeError, match="either a handler or"):
            DiscordSink(DiscordHandler(discord.webhook_url), level="ERROR")

    def test_a_wrong_url_is_not_shown(self, shown_locals: Callable[[BaseException], str]) -> None:
        """Reports of errors show the locals of frames."""
        token = "Zx9-k_Tq" * 8 + "abcd"
        with pytest.raises(InvalidWebhookURLError) as raised:
            DiscordSink(f"https://example.com/webhooks/1/{token}")
        assert token not in shown_locals(raised.value)


@pytest.mark.measured
def test_without_loguru_the_extra_is_named() -> None:
    """The module is imported by those who want it."""
    code = "import sys; sys.modules['loguru'] = None; import discord_logging.loguru"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert "ImportError: discord_logging.loguru needs loguru: pip install 'discord-log-handler[loguru]'" in run.stderr
