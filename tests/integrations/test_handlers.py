"""Integrations find the program's handler or make one, and report exceptions to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from discord_logging import DiscordHandler
from discord_logging._handler import discord_handlers
from discord_logging._integrations.handlers import IntegrationHandler, add_handler, ensure_handler, post_start, report
from discord_logging._records.work import Work, enter_work

if TYPE_CHECKING:
    from discord_logging.sandbox import LocalDiscord


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    logger = logging.Logger("shop")  # noqa: LOG001 - pytest adds handlers of its own to every registered logger
    monkeypatch.setitem(logging.root.manager.loggerDict, "shop", logger)
    return logger


def titles(discord: LocalDiscord, *handlers: DiscordHandler) -> list[str]:
    for handler in handlers:
        handler.flush()
    return [card["title"] for message in discord.messages for card in message.embeds]


def fail() -> Exception:
    try:
        return ValueError(1 // 0)
    except ZeroDivisionError as error:
        return error


class TestEnsureHandler:
    def test_a_handler_is_made_once(self, shop: logging.Logger, discord: LocalDiscord) -> None:
        """The second integration, or a second start, finds the handler of the first."""
        (first,) = ensure_handler(shop, webhook_url=discord.webhook_url)
        assert ensure_handler(shop) == [first]
        assert first.level == logging.ERROR
        assert list(discord_handlers(shop)) == [first]

    def test_the_programs_own_handler_is_used(self, shop: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
        """Its own settings hold, and settings of the integration are reported as ignored."""
        own = DiscordHandler(enabled=False)
        shop.addHandler(own)
        assert ensure_handler(shop, level="INFO") == [own]
        assert "level is ignored" in caplog.text

    @pytest.mark.parametrize("level", ["INFO", "ERROR"])
    @pytest.mark.parametrize("is_alone", [True, False])
    def test_warnings_stay_on_stderr(
        self,
        shop: logging.Logger,
        discord: LocalDiscord,
        capsys: pytest.CaptureFixture[str],
        *,
        is_alone: bool,
        level: str,
    ) -> None:
        """Without any handler, `logging.lastResort` writes them; another handler does it in its own way.

        A handler with the level ERROR, the default, kept warnings from stderr.
        """
        ensure_handler(shop, webhook_url=discord.webhook_url, level=level)
        if not is_alone:
            shop.addHandler(logging.NullHandler())
        shop.warning("low stock")
        shop.info("sold")
        assert capsys.readouterr().err == ("low stock\n" if is_alone else "")

    def test_handlers_at_two_loggers_write_once(self, shop: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
        """Two integrations, or two applications of one, may each have made a handler."""
        inner = logging.Logger("shop.orders")  # noqa: LOG001 - as above
        inner.parent = shop
        shop.manager.loggerDict["shop.orders"] = inner
        for logger in (inner, shop, shop):
            add_handler(logger, IntegrationHandler(enabled=False))
        inner.warning("low stock")
        assert capsys.readouterr().err == "low stock\n"


class TestReport:
    def test_each_handler_has_one_record(
        self, shop: logging.Logger, discord: LocalDiscord, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A handler that the program has told already gets no second one, and stderr is the server's."""
        (handler,) = ensure_handler(shop, webhook_url=discord.webhook_url)
        told = DiscordHandler(discord.webhook_url, username="other")
        with enter_work(Work(lambda: {"path": "/pay"})):
            error = fail()
            told.handle(
                logging.LogRecord("shop", logging.ERROR, "a.py", 1, "No price", None, (type(error), error, None))
            )
            for _ in range(2):
                report([handler, told], "web", error, "Exception on %s", "/pay")
        told.close()
        assert titles(discord, handler) == [
            "❌ ZeroDivisionError: integer division or modulo by zero · ERROR · shop",
            "❌ ZeroDivisionError: integer division or modulo by zero · ERROR · web",
        ]
        assert "ZeroDivisionError" not in capsys.readouterr().err

    def test_a_record_that_a_filter_leaves_out_tells_nothing(self, shop: logging.Logger, discord: LocalDiscord) -> None:
        """The server's own record is wanted then."""
        (handler,) = ensure_handler(shop, webhook_url=discord.webhook_url, loggers=["-web"])
        error = fail()
        report([handler], "web", error, "Exception")
        exc_info = type(error), error, error.__traceback__
        handler.handle(logging.LogRecord("server", logging.ERROR, logging.__file__, 1, "Exception", None, exc_info))
        assert titles(discord, handler) == ["❌ ZeroDivisionError: integer division or modulo by zero · ERROR · server"]

    def test_levels_apply(self, shop: logging.Logger, discord: LocalDiscord) -> None:
        """The program may have silenced the handler, or all of logging."""
        (handler,) = ensure_handler(shop, webhook_url=discord.webhook_url, level="CRITICAL")
        report([handler], "web", fail(), "Exception")
        handler.setLevel(logging.ERROR)
        logging.disable(logging.ERROR)
        try:
            report([handler], "web", fail(), "Exception")
        finally:
            logging.disable(logging.NOTSET)
        assert titles(discord, handler) == []


def test_the_notice_of_a_start_ignores_levels_and_filters(discord: LocalDiscord) -> None:
    """It has the host, the process and the version of Python, and leaves out what has no value."""
    handler = DiscordHandler(discord.webhook_url, logging.CRITICAL, loggers=["shop"], fields=[])
    post_start([handler], "queue", "Queue worker", {"queues": "a, b", "pool": ""})
    assert handler.flush(10)
    (card,) = discord.messages[0].embeds
    assert card["description"] == "Queue worker started"
    assert [field["name"] for field in card["fields"]] == ["host", "pid", "python", "queues"]


def test_blank_settings_are_not_given(shop: logging.Logger) -> None:
    """They come from the environment, where a variable may be unset."""
    (handler,) = ensure_handler(shop, level=None, username=" ", enabled=False)
    assert handler.level == logging.ERROR
