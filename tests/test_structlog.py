"""Events of structlog, which reach a handler through `logging` or through our processor: one card for each."""

from __future__ import annotations

import asyncio
import copy
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.processors import (
    CallsiteParameter,
    CallsiteParameterAdder,
    JSONRenderer,
    StackInfoRenderer,
    TimeStamper,
    dict_tracebacks,
    format_exc_info,
)
from structlog.stdlib import PositionalArgumentsFormatter, ProcessorFormatter, add_log_level, add_logger_name

from discord_logging import DiscordHandler
from discord_logging.sandbox import LocalDiscord
from discord_logging.structlog import DiscordProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging.sandbox import Embed

    Log = Callable[[], Any]

BEGIN: list[Any] = [
    structlog.contextvars.merge_contextvars,
    add_log_level,
    add_logger_name,
    TimeStamper(fmt="iso"),
    StackInfoRenderer(),
]
WAYS: dict[str, list[Any]] = {
    "dict": [ProcessorFormatter.wrap_for_formatter],
    "dict with a text": [format_exc_info, ProcessorFormatter.wrap_for_formatter],
    "dict with dicts": [dict_tracebacks, ProcessorFormatter.wrap_for_formatter],
    "kwargs": [structlog.stdlib.render_to_log_kwargs],
    "kwargs with dicts": [dict_tracebacks, structlog.stdlib.render_to_log_kwargs],
    "JSON": [format_exc_info, JSONRenderer()],
    "JSON with dicts": [dict_tracebacks, JSONRenderer()],
    "ProcessorFormatter": [ProcessorFormatter.wrap_for_formatter],
    "processor": [],
    "processor behind a text": [],
}
"""The last processors, by the way that events take."""


@pytest.fixture(autouse=True)
def _restored_structlog() -> Iterator[None]:
    logger_class = logging.getLoggerClass()
    yield
    logging.setLoggerClass(logger_class)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a local Discord without limits."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture
def handler(discord: LocalDiscord) -> DiscordHandler:
    """Return a handler, which no logger has."""
    return DiscordHandler(discord.webhook_url)


@pytest.fixture(params=WAYS)
def log(request: pytest.FixtureRequest, handler: DiscordHandler) -> Any:
    """Return a logger whose events reach the handler."""
    way = request.param
    processors = [*BEGIN, *WAYS[way]]
    if way.startswith("processor"):
        processor = [DiscordProcessor(handler)]
        text = [format_exc_info] if way != "processor" else []
        chain = [*BEGIN, *text, *processor, JSONRenderer()]
        return structlog.wrap_logger(logging.getLogger("elsewhere"), processors=chain)
    if way == "ProcessorFormatter":
        handler.setFormatter(ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, JSONRenderer()]))
    logger = structlog.stdlib.LoggerFactory()("elsewhere")
    logger.propagate = False
    logger.addHandler(handler)
    return structlog.wrap_logger(logger, processors=processors, wrapper_class=structlog.stdlib.BoundLogger)


def plain(text: str) -> str:
    """Return a text as Discord shows it."""
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


def only_card(discord: LocalDiscord, handler: DiscordHandler) -> Embed:
    assert handler.flush()
    (card,) = (card for message in discord.messages for card in message.embeds)
    return card


def fields(card: Embed) -> dict[str, str]:
    return {plain(field["name"]): plain(field["value"]) for field in card.get("fields", ())}


def message(card: Embed) -> str:
    """Return the description without code blocks and place."""
    return plain(re.sub(r"```.*?```", "", card["description"], flags=re.DOTALL).partition("-# ")[0]).strip()


def pay(order: dict[str, int]) -> int:
    try:
        return order["price"]
    except KeyError as error:
        raise ValueError("no price") from error


class TestEveryWay:
    def test_the_event_is_the_message(self, log: Any, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """The dict stood there as text, with level and time in it."""
        structlog.contextvars.bind_contextvars(request="r-1")
        log.bind(order=17).warning("Stock is low", password="hunter" + "2")
        card = only_card(discord, handler)
        assert message(card) == "Stock is low"
        assert plain(card["title"]) == "⚠️ WARNING · elsewhere"
        assert "in test_the_event_is_the_message" in plain(card["description"])
        assert fields(card) == {"request": "r-1", "order": "17", "password": "***"}

    def test_a_traceback_stands_there_once(self, log: Any, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """It comes as an exception, as text, or as dicts."""
        pin = "zebra" + "4711"
        try:
            pay({"id": len(pin)})
        except ValueError:
            log.exception("Order failed", order=17)
        card = only_card(discord, handler)
        assert message(card) == "Order failed"
        assert plain(card["title"]) == "❌ ValueError: no price · ERROR · elsewhere"
        (block,) = re.findall(r"```py\n(.*?)```", card["description"], re.DOTALL)
        assert block.count("Traceback (most recent call last):") == 2
        assert block.count("in pay\n") == 2
        assert "direct cause" in block
        assert block.rstrip().endswith("ValueError: no price")
        assert pin not in block
        assert fields(card) == {"order": "17"}

    def test_a_stack_stands_there_once(self, log: Any, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """`StackInfoRenderer` puts it in a value."""
        log.error("Order failed", stack_info=True)
        card = only_card(discord, handler)
        (block,) = re.findall(r"```py\n(.*?)```", card["description"], re.DOTALL)
        assert block.rstrip().endswith('log.error("Order failed", stack_info=True)')
        assert not fields(card)


class TestDict:
    """A message that is a dict."""

    @pytest.fixture
    def wrap(self, handler: DiscordHandler) -> Callable[..., Any]:
        """Return a function that makes a logger with these processors."""
        logger = structlog.stdlib.LoggerFactory()("elsewhere")
        logger.addHandler(handler)
        return lambda *processors: structlog.wrap_logger(
            logger,
            processors=[*processors, ProcessorFormatter.wrap_for_formatter],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    @pytest.mark.parametrize("before", [[], [PositionalArgumentsFormatter()]])
    def test_positional_arguments_are_merged(
        self, wrap: Any, before: list[Any], discord: LocalDiscord, handler: DiscordHandler
    ) -> None:
        """They are a value of the event, if no processor has merged them."""
        wrap(*before).error("Order %d of %s failed", 17, "ann")
        card = only_card(discord, handler)
        assert message(card) == "Order 17 of ann failed"
        assert not fields(card)

    def test_an_exception_may_be_an_object(self, wrap: Any, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """It may also be told outside of the block that handles it."""
        wrap().error("failed", exc_info=OSError("disk is full"))
        assert plain(only_card(discord, handler)["title"]).startswith("❌ OSError: disk is full")

    def test_the_place_of_the_call_is_no_field(self, wrap: Any, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """A number that says something else is one."""
        names = CallsiteParameter
        wrap(
            CallsiteParameterAdder(
                {names.PATHNAME, names.FILENAME, names.MODULE, names.FUNC_NAME, names.LINENO, names.THREAD_NAME}
                | {names.THREAD, names.PROCESS}
            )
        ).error("failed", line=1)
        assert fields(only_card(discord, handler)) == {"line": "1"}

    def test_the_handlers_beside_it_get_the_same_record(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """The dict is not changed, and its values may have names of attributes."""
        event = {"event": "failed", "name": "ann", "args": 5, "exc_info": False}
        record = logging.LogRecord("shop", logging.ERROR, "a.py", 1, copy.copy(event), (), None)
        handler.handle(record)
        assert record.msg == event
        card = only_card(discord, handler)
        assert plain(card["title"]) == "❌ ERROR · shop"
        assert fields(card) == {"name": "ann", "args": "5"}

    def test_an_event_without_a_text(self, wrap: Any, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """The values are shown all the same."""
        wrap().error(None, order=17)
        assert fields(only_card(discord, handler)) == {"order": "17"}

    def test_another_dict_is_a_message(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """A program may log any object."""
        handler.handle(logging.LogRecord("shop", logging.ERROR, "a.py", 1, {"order": 17}, (), None))
        assert message(only_card(discord, handler)) == "{'order': 17}"


class TestProcessor:
    def test_the_setup_of_the_documentation(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """At most five lines, which take the URL from the environment."""
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
        text = (Path(__file__).parent.parent / "docs" / "structlog.md").read_text(encoding="utf-8")
        (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        assert len([line for line in block.splitlines() if line]) <= 5
        exec(block, {})  # noqa: S102 - it is ours
        (processor,) = (each for each in structlog.get_config()["processors"] if isinstance(each, DiscordProcessor))
        logger = structlog.get_logger()
        logger.warning("too low")
        logger.error("failed", order=17)
        card = only_card(discord, processor.handler)
        assert message(card) == "failed"
        assert plain(card["title"]) == "❌ ERROR · test_structlog"
        assert fields(card) == {"order": "17"}

    def test_it_passes_the_event_on(self, handler: DiscordHandler) -> None:
        """The same object, unchanged."""
        event = {"event": "failed", "exc_info": True, "stack_info": True}
        before = dict(event)
        assert DiscordProcessor(handler)(None, "error", event) is event
        assert event == before

    @pytest.mark.parametrize(
        ("method", "level"),
        [("fatal", "CRITICAL"), ("exception", "ERROR"), ("warn", "WARNING"), ("debug", "DEBUG"), ("msg", "INFO")],
    )
    def test_the_method_is_the_level(
        self, discord: LocalDiscord, handler: DiscordHandler, method: str, level: str
    ) -> None:
        """A method of an unknown name informs."""
        DiscordProcessor(handler)(None, method, {"event": "hello", "logger": "shop"})
        assert plain(only_card(discord, handler)["title"]).endswith(f" {level} · shop")

    def test_filters_see_the_exception(self, discord: LocalDiscord) -> None:
        """It lay in the message, where the setting `ignore` did not find it, nor what told of it before."""
        handler = DiscordHandler(discord.webhook_url, ignore=[ValueError])
        for error in (ValueError("no price"), KeyError("no order")):
            DiscordProcessor(handler)(None, "error", {"event": "failed", "exc_info": error})
        assert "no order" in plain(only_card(discord, handler)["title"])

    def test_a_logger_without_a_text_costs_nothing(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """The call of the program never fails for it."""

        class Hostile:
            def __str__(self) -> str:
                raise RuntimeError("no text")

        DiscordProcessor(handler)(None, "error", {"event": "failed", "logger": Hostile()})
        assert message(only_card(discord, handler)) == "failed"

    def test_an_asynchronous_call(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """Its processors run in another thread; the place is that of the call."""
        log = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[structlog.contextvars.merge_contextvars, DiscordProcessor(handler), JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )

        async def fail() -> None:
            try:
                pay({})
            except ValueError:
                await log.aexception("failed")

        asyncio.run(fail())
        card = only_card(discord, handler)
        assert "in fail" in plain(card["description"])
        assert "ValueError: no price" in plain(card["title"])


@pytest.mark.measured
def test_without_structlog_the_extra_is_named() -> None:
    """The module is imported by those who want it."""
    code = "import sys; sys.modules['structlog'] = None; import discord_logging.structlog"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert "needs structlog: pip install 'discord-log-handler[structlog]'" in run.stderr
