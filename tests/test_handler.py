"""`DiscordHandler` as users configure it, against the local Discord over a real socket."""

from __future__ import annotations

import ast
import configparser
import copy
import io
import json
import logging
import logging.config
import os
import re
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest

from discord_logging import (
    DiscordHandler,
    EmbedFormatter,
    FrozenRecord,
    InvalidSettingError,
    InvalidWebhookURLError,
)
from discord_logging import _handler as handler_module
from discord_logging._delivery import registry
from discord_logging._health import DropReason, Status
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging._backlogs.memory import MemoryBacklog
    from discord_logging._records.record import Snapshot

TOKEN = "kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"


@pytest.fixture
def handler(discord: LocalDiscord) -> Iterator[DiscordHandler]:
    handler = DiscordHandler(discord.webhook_url)
    yield handler
    handler.close()


@pytest.fixture
def logger(handler: DiscordHandler) -> logging.Logger:
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    return logger


def cards(discord: LocalDiscord) -> list[dict[str, Any]]:
    return [dict(embed) for message in discord.messages for embed in message.embeds]


def one_card(discord: LocalDiscord, handler: DiscordHandler) -> dict[str, Any]:
    assert handler.flush(30)
    (card,) = cards(discord)
    return card


class TestConfiguration:
    """All settings can be given as plain strings, numbers, lists and dicts."""

    @pytest.mark.parametrize("factory", ["class", "()"])
    def test_dict_config_takes_every_setting(self, discord: LocalDiscord, factory: str) -> None:
        """Both forms of dictConfig build the handler from plain values."""
        logging.config.dictConfig(
            {
                "version": 1,
                "handlers": {
                    "discord": {
                        factory: "discord_logging.DiscordHandler",
                        "level": "WARNING",
                        "webhook_url": discord.webhook_url,
                        "username": "Shop",
                        "avatar_url": "https://example.org/shop.png",
                        "context": {"service": "shop"},
                        "colors": {"ERROR": "#123456"},
                        "emojis": {"ERROR": "🔥"},
                        "queue_size": 50,
                        "queue_bytes": 1_000_000,
                        "flush_timeout": 3,
                        "timeout": 2.5,
                        "retry_delays": [1, 2],
                        "max_retry_delay": 30,
                        "enabled": "true",
                    }
                },
                "root": {"handlers": ["discord"], "level": "DEBUG"},
            }
        )
        logging.getLogger("app").info("not for Discord")
        logging.getLogger("app").error("for Discord")
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, DiscordHandler)
        card = one_card(discord, handler)
        (message,) = discord.messages
        assert (card["title"], card["color"]) == ("🔥 ERROR · app", 0x123456)
        assert card["fields"] == [{"name": "service", "value": "shop", "inline": True}]
        assert (message.username, message.avatar_url) == ("Shop", "https://example.org/shop.png")

    def test_file_config(self, discord: LocalDiscord) -> None:
        """FileConfig, with its positional arguments, builds the handler as well."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_file(
            io.StringIO(
                textwrap.dedent(
                    f"""
                    [loggers]
                    keys=root
                    [handlers]
                    keys=discord
                    [formatters]
                    keys=card
                    [logger_root]
                    level=INFO
                    handlers=discord
                    [handler_discord]
                    class=discord_logging.DiscordHandler
                    level=INFO
                    formatter=card
                    args=('{discord.webhook_url}',)
                    kwargs={{'username': 'Shop'}}
                    [formatter_card]
                    class=discord_logging.EmbedFormatter
                    """
                )
            )
        )
        logging.config.fileConfig(parser)
        logging.getLogger().info("configured by a file")
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, DiscordHandler)
        assert one_card(discord, handler)["description"].startswith("configured by a file")

    def test_url_comes_from_the_environment(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a URL the handler takes DISCORD_WEBHOOK_URL."""
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
        handler = DiscordHandler()
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert one_card(discord, handler)
        handler.close()

    @pytest.mark.parametrize("settings", [{}, {"webhook_url": ""}, {"webhook_url": URL, "enabled": False}])
    def test_disabled_handler_accepts_records_and_is_reported_once(
        self, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Without a URL, or switched off, the handler does nothing, and reports the reason once."""
        handlers = [DiscordHandler(**settings) for _ in range(2)]
        handlers[0].handle(logging.makeLogRecord({"msg": "hello"}))
        assert [record.getMessage() for record in caplog.records if "disabled" in record.getMessage()] == [
            f"DiscordHandler is disabled: {handlers[0].health()['reason']}"
        ]
        health = handlers[0].health()
        assert (health["status"], health["accepted"], health["rate_limit"]["buckets"]) == ("disabled", 0, {})
        assert "disabled" in repr(handlers[0])
        assert handlers[0].flush()
        handlers[0].setFormatter(None)
        handlers[0].reset_rate_limits()
        handlers[0].close()

    @pytest.mark.parametrize("value", ["false", "0", "off", "No"])
    def test_environment_switches_the_handler_off(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """DISCORD_NOTIFICATIONS_ENABLED switches off every handler without its own `enabled`."""
        monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", value)
        assert DiscordHandler(URL).health()["status"] == "disabled"
        assert DiscordHandler(URL, enabled=True).health()["status"] == "ok"

    def test_malformed_url_is_an_error_without_the_token(self) -> None:
        """The error shows an example of a right URL, and no part of the wrong one."""
        with pytest.raises(InvalidWebhookURLError, match=r"discord\.com/api/webhooks/<id>/<token>") as caught:
            DiscordHandler(f"https://discord.com/webhooks/123456789012345678/{TOKEN}")
        assert TOKEN not in str(caught.value)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"user_name": "Shop"}, "user_name.*Did you mean 'username'"),
            ({"xyz": 1}, "xyz.*settings are .*queue_size"),
            ({"username": "My Discord"}, "username must be"),
            ({"username": 7}, "username must be"),
            ({"avatar_url": "localhost/a.png"}, "avatar_url must be"),
            ({"thread_id": "general"}, "thread_id must be"),
            ({"context": "shop"}, "context must be"),
            ({"colors": {"ERROR": "red"}}, "colors must be"),
            ({"emojis": ["x"]}, "emojis must be"),
            ({"queue_size": 0}, "queue_size must be"),
            ({"queue_bytes": 1.5}, "queue_bytes must be"),
            ({"flush_timeout": "soon"}, "flush_timeout must be"),
            ({"timeout": float("nan")}, "timeout must be"),
            ({"retry_delays": []}, "retry_delays must be"),
            ({"max_retry_delay": True}, "max_retry_delay must be"),
            ({"enabled": "perhaps"}, "enabled must be"),
            ({"username": {"ERROR": "My Discord"}}, "username must be"),
            ({"avatar_url": {"LOUD": "https://example.org/a.png"}}, "avatar_url must have levels"),
            ({"thread_name": "x" * 101}, "thread_name must be"),
            ({"thread_name": "Errors", "thread_id": 5}, "thread_name opens a new post"),
            ({"applied_tags": "bug"}, "applied_tags must be"),
            ({"fields": "order_id"}, "fields must be"),
            ({"mentions": "<@5>"}, "mentions must be a mapping"),
            ({"mentions": {"ERROR": "@ops"}}, "mentions must be '<@&ID>'"),
            ({"mention_interval": "never"}, "mention_interval must be"),
            ({"silent_below": "loud"}, "silent_below must be a level"),
            ({"source_url": "https://git.example/{file}"}, "source_url must be"),
            ({"source_url": URL}, "source_url must be"),
            ({"own_packages": "acme"}, "own_packages must be"),
            ({"show_locals": URL}, "show_locals must be"),
            ({"mention": {}}, "mention.*Did you mean 'mentions'"),
            ({"username": URL}, "username must be"),
        ],
    )
    def test_wrong_setting_is_named(self, settings: dict[str, Any], words: str) -> None:
        """The error for an unknown or wrong setting names it and a right value, without the token."""
        with pytest.raises(InvalidSettingError, match=words) as caught:
            DiscordHandler(URL, **settings)
        assert TOKEN not in str(caught.value)

    def test_unknown_setting_in_dict_config_is_named(self) -> None:
        """DictConfig shows the error behind its own."""
        with pytest.raises(ValueError, match="discord") as caught:
            logging.config.dictConfig(
                {"version": 1, "handlers": {"discord": {"class": "discord_logging.DiscordHandler", "usernme": "x"}}}
            )
        assert "'username'" in str(caught.value.__cause__)

    def test_every_setting_is_documented(self) -> None:
        """The docstring describes every parameter."""
        documentation = DiscordHandler.__doc__ or ""
        names = set(DiscordHandler.__init__.__kwdefaults__ or {}) | {"webhook_url", "level"}
        assert {name for name in names if f"{name}:" not in documentation} == set()

    def test_repr_hides_the_token(self) -> None:
        """The repr shows the webhook and the level, but not the token."""
        assert repr(DiscordHandler(URL, logging.ERROR)) == (
            "<DiscordHandler https://discord.com/api/v10/webhooks/123456789012345678/*** (ERROR)>"
        )

    def test_attributes_hide_the_token(self, handler: DiscordHandler, discord: LocalDiscord) -> None:
        """Neither the handler nor what it is made of shows the token, also after a message was posted."""
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert handler.flush()
        listener = handler._listener
        assert listener
        parts = [
            handler,
            handler._queue_handler,
            listener,
            listener._delivery,
            listener._sender,
            registry.rate_limiter,
        ]
        token = discord.webhook_url.rpartition("/")[2]
        assert token not in repr([vars(part) for part in parts] + [registry._listeners])

    @pytest.mark.parametrize(
        "handler", [object.__new__(DiscordHandler), object.__new__(type("Own", (DiscordHandler,), {}))]
    )
    def test_half_built_handler_has_a_repr(self, handler: DiscordHandler) -> None:
        """Tools that report an error of a constructor show its `self`, and Python 3.10 fails if the repr does."""
        assert repr(handler) == f"<{type(handler).__name__} disabled (NOTSET)>"

    @pytest.mark.parametrize(
        "settings",
        [
            {"webhook_url": URL.replace("webhooks", "hooks")},
            {"webhook_url": URL, "timeout": -1},
            {"webhook_url": URL, "level": "LOUD"},
            {"url": URL},
        ],
    )
    def test_frames_of_a_wrong_setting_hide_the_token(
        self, settings: dict[str, Any], shown_locals: Callable[[BaseException], str]
    ) -> None:
        """Tools that report errors show the locals of frames, also those of the arguments."""
        with pytest.raises(ValueError, match=r"[Uu]RL|timeout|level|setting") as caught:
            DiscordHandler(**settings)
        assert "'***'" in shown_locals(caught.value)
        assert TOKEN[:8] not in shown_locals(caught.value)

    def test_frames_of_a_wrong_url_in_the_environment_hide_the_token(
        self, monkeypatch: pytest.MonkeyPatch, shown_locals: Callable[[BaseException], str]
    ) -> None:
        """The URL is a local there as well."""
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", URL.replace("webhooks", "hooks"))
        with pytest.raises(InvalidWebhookURLError) as caught:
            DiscordHandler()
        assert TOKEN[:8] not in shown_locals(caught.value)

    def test_constructor_starts_no_thread_and_opens_no_connection(self, discord: LocalDiscord) -> None:
        """Both wait for the first record."""
        threads = threading.active_count()
        DiscordHandler(discord.webhook_url)
        assert (threading.active_count(), discord.requests) == (threads, [])

    def test_half_built_handler_is_unknown_to_shutdown(self) -> None:
        """A handler with wrong settings is not flushed at exit."""
        before = len(logging._handlerList)  # type: ignore[attr-defined]  # a list of weak references
        with pytest.raises(InvalidSettingError) as caught:
            DiscordHandler(URL, timeout=-1)
        assert caught.value.__traceback__
        assert len(logging._handlerList) == before  # type: ignore[attr-defined]  # as above


class TestRecords:
    """Every record becomes a card."""

    def test_plain_record(self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger) -> None:
        """A short record is a short card."""
        logger.warning("Stock of %s is low", "tea")
        card = one_card(discord, handler)
        assert card["title"] == "⚠️ WARNING · shop.orders"
        assert card["description"].splitlines()[0] == "Stock of tea is low"
        assert "fields" not in card
        assert card["timestamp"].endswith("+00:00")

    def test_exception_with_stack_info_and_extra(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """An exception is a Python code block; extra values are fields."""
        try:
            ast.literal_eval("[")
        except SyntaxError:
            logger.exception("cannot read", extra={"user_id": 42}, stack_info=True)
        card = one_card(discord, handler)
        assert card["description"].count("```py\n") == 2
        assert "SyntaxError: " in card["description"]
        assert 'logger.exception("cannot read"' in card["description"]
        assert [(field["name"], field["value"]) for field in card["fields"]] == [("user\\_id", "42")]

    def test_logger_adapter_filter_and_custom_level(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """Adapters, filters on the handler and custom levels work as with any handler."""

        class AddRequest(logging.Filter):
            def filter(self, record: logging.LogRecord) -> bool:
                record.request_id = "r-1"
                return "secret" not in record.getMessage()

        handler.addFilter(AddRequest())
        logging.addLevelName(35, "NOTICE")
        adapter = logging.LoggerAdapter(logger, {"user": "ada"})
        adapter.log(35, "a secret")
        adapter.log(35, "no harm")
        card = one_card(discord, handler)
        assert card["title"] == "⚠️ NOTICE · shop.orders"
        assert {field["name"]: field["value"] for field in card["fields"]} == {"request\\_id": "r-1", "user": "ada"}

    def test_filter_may_return_another_record(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """From Python 3.12 on a filter may replace the record."""

        def replace(record: logging.LogRecord) -> Any:
            other = copy.copy(record)
            other.msg = "replaced"
            return other

        handler.addFilter(replace)
        logger.error("original")
        expected = "replaced" if sys.version_info >= (3, 12) else "original"
        assert one_card(discord, handler)["description"].startswith(expected)

    def test_an_override_of_filter_may_return_another_record(self, discord: LocalDiscord) -> None:
        """This works in every Python."""

        class Replacing(DiscordHandler):
            def filter(self, record: logging.LogRecord) -> Any:
                return logging.makeLogRecord({"msg": f"not {record.msg}"})

        handler = Replacing(discord.webhook_url)
        handler.handle(logging.makeLogRecord({"msg": "original"}))
        assert one_card(discord, handler)["description"] == "not original"

    @pytest.mark.parametrize("is_disabled", [False, True])
    def test_failing_filter_costs_the_record_alone(
        self,
        discord: LocalDiscord,
        *,
        is_disabled: bool,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The record goes to handleError and is counted; the caller notices nothing."""
        monkeypatch.setattr(logging, "raiseExceptions", True)
        handler = DiscordHandler(None if is_disabled else discord.webhook_url)
        handler.addFilter(lambda record: record.no_such_attribute)  # type: ignore[attr-defined]  # that is the point
        assert handler.handle(logging.makeLogRecord({"msg": "hello"})) is False
        assert handler.health()["dropped_by_reason"] == ({} if is_disabled else {"unreadable": 1})
        assert "no_such_attribute" in capsys.readouterr().err

    def test_plain_formatter_gives_the_body(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """The text of any other formatter becomes the body; the traceback stays in its block."""
        handler.setFormatter(logging.Formatter("<<%(levelname)s %(message)s>>"))
        record = logger.makeRecord("shop", 40, __file__, 1, "no %s", ("tea",), None)
        try:
            os.environ["NO TEA"]
        except KeyError:
            record.exc_info = sys.exc_info()
        before = dict(record.__dict__)
        handler.handle(record)
        description = one_card(discord, handler)["description"]
        assert description.startswith("<<ERROR no tea>>\n```py\nTraceback")
        assert record.__dict__ == before

    def test_failing_formatter_costs_no_record(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """The card reports a formatter that raises."""
        handler.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
        logger.error("hello")
        description = one_card(discord, handler)["description"]
        assert description.startswith("hello\n(Formatter failed: ")

    def test_subclass_of_embed_formatter_lays_out(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """One overridden method changes one part of the card, and the handler's settings still hold."""

        class Shouting(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:
                return super().title(record).upper()

        handler.setFormatter(Shouting())
        logger.error("hello")
        assert one_card(discord, handler)["title"] == "❌ ERROR · SHOP.ORDERS"

    @pytest.mark.parametrize(
        ("message", "args"),
        [
            ("%d items", ("many",)),
            ("too many", (1, 2)),
            ("lone \ud800 surrogate", ()),
            ("NUL \x00 and bell \x07", ()),
            ("x" * 5_000_000, ()),
            ("", ()),
            ("   \n ", ()),
            ("```", ()),
        ],
        ids=["mismatch", "left over", "surrogate", "control", "huge", "empty", "blank", "fence"],
    )
    def test_hostile_message_becomes_a_card(
        self,
        discord: LocalDiscord,
        handler: DiscordHandler,
        message: str,
        args: tuple[object, ...],
    ) -> None:
        """Whatever the message contains, Discord accepts the card at the first try."""
        handler.handle(logging.makeLogRecord({"name": "app", "msg": message, "args": args}))
        assert one_card(discord, handler)
        assert [request.status for request in discord.requests] == [200]

    def test_hostile_str_becomes_a_card(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """An object whose `__str__` raises costs only its own text."""

        class Hostile:
            def __str__(self) -> str:
                raise RuntimeError("no words")

            __repr__ = __str__

        handler.handle(logging.makeLogRecord({"msg": "got %s", "args": (Hostile(),), "thing": Hostile()}))
        card = one_card(discord, handler)
        assert "no words" in card["description"]
        assert "cannot be shown" in card["fields"][0]["value"]

    def test_emit_may_be_overridden(self, discord: LocalDiscord) -> None:
        """As in every handler, the override gets records that passed the filters, and may call ours."""

        class Handler(DiscordHandler):
            def emit(self, record: logging.LogRecord) -> None:
                record.msg = f"shop: {record.msg}"
                super().emit(record)

        handler = Handler(discord.webhook_url)
        handler.addFilter(lambda record: record.msg != "no")
        for message in ("no", "yes"):
            handler.handle(logging.makeLogRecord({"msg": message}))
        assert "shop: yes" in one_card(discord, handler)["description"]
        handler.close()

    @pytest.mark.parametrize("target", ["instance", "class"])
    def test_emit_may_be_patched(
        self, target: str, discord: LocalDiscord, handler: DiscordHandler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Tests that must not post do so, before or after the handler is made."""
        emitted: list[str] = []
        if target == "instance":
            monkeypatch.setattr(handler, "emit", lambda record: emitted.append(record.getMessage()))
        else:
            monkeypatch.setattr(DiscordHandler, "emit", lambda _, record: emitted.append(record.getMessage()))
        handler.addFilter(lambda record: record.msg != "no")
        for message in ("no", "yes"):
            assert handler.handle(logging.makeLogRecord({"msg": message})) is (message == "yes")
        assert emitted == ["yes"]
        monkeypatch.undo()
        handler.handle(logging.makeLogRecord({"msg": "again"}))
        assert "again" in one_card(discord, handler)["description"]

    @pytest.mark.parametrize("target", ["instance", "class", "subclass"])
    def test_filter_may_be_patched_and_overridden(
        self, target: str, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The handler calls the present method when a record comes."""

        class Handler(DiscordHandler):
            if target == "subclass":

                def filter(self, record: logging.LogRecord) -> bool:
                    return record.msg != "no"

        handler = Handler(discord.webhook_url)
        if target == "instance":
            monkeypatch.setattr(handler, "filter", lambda record: record.msg != "no")
        elif target == "class":
            monkeypatch.setattr(DiscordHandler, "filter", lambda _, record: record.msg != "no")
        for message in ("no", "yes"):
            assert handler.handle(logging.makeLogRecord({"msg": message})) is (message == "yes")
        assert "yes" in one_card(discord, handler)["description"]
        handler.close()

    def test_emit_takes_nothing_on_the_listeners_thread(self, discord: LocalDiscord) -> None:
        """A handler that calls the other's `emit`, and not its `handle`, does not make a POST log the next one."""

        class Front(logging.Handler):
            def __init__(self, inner: logging.Handler) -> None:
                super().__init__()
                self.inner = inner

            def emit(self, record: logging.LogRecord) -> None:
                self.inner.emit(record)

        handler = DiscordHandler(discord.webhook_url)
        root = logging.getLogger()
        root.addHandler(Front(handler))
        root.setLevel("DEBUG")
        root.error("once")
        assert handler.flush()
        assert handler.flush()
        assert (handler.health()["accepted"], len(discord.requests)) == (1, 1)
        handler.close()

    def test_another_formatter_for_a_copy_leaves_the_original_alone(
        self, discord: LocalDiscord, handler: DiscordHandler
    ) -> None:
        """The copy shares the webhook, but not the look."""
        copy.copy(handler).setFormatter(logging.Formatter("copy: %(message)s"))
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert one_card(discord, handler)["description"].startswith("hello")

    def test_an_error_of_an_override_of_emit_reaches_the_caller(self, discord: LocalDiscord) -> None:
        """The standard library's handlers do not suppress it either."""

        class Handler(DiscordHandler):
            def emit(self, record: logging.LogRecord) -> None:
                raise LookupError(record.msg)

        handler = Handler(discord.webhook_url)
        with pytest.raises(LookupError, match="hello"):
            handler.handle(logging.makeLogRecord({"msg": "hello"}))
        handler.close()

    def test_emit_asks_no_filter(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """A program that calls it has decided already, as with every handler."""
        handler.addFilter(lambda _: False)
        handler.emit(logging.makeLogRecord({"msg": "hello"}))
        assert "hello" in one_card(discord, handler)["description"]

    def test_a_disabled_handler_emits_nothing(self) -> None:
        """Its records are filtered nevertheless."""
        handler = DiscordHandler(enabled=False)
        handler.addFilter(lambda record: record.msg != "no")
        assert [handler.handle(logging.makeLogRecord({"msg": message})) for message in ("no", "yes")] == [False, True]
        assert handler.health()["accepted"] == 0

    def test_unreadable_record_is_counted(
        self, handler: DiscordHandler, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A record that cannot be frozen goes to handleError and is counted."""
        monkeypatch.setattr(logging, "raiseExceptions", True)
        record = logging.makeLogRecord({"msg": "hello"})
        del record.msg
        handler.handle(record)
        assert handler.health()["dropped_by_reason"] == {"unreadable": 1}
        assert "AttributeError" in capsys.readouterr().err

    @pytest.mark.parametrize("is_reported", [True, False])
    def test_report_of_an_unreadable_record_hides_the_token(
        self,
        handler: DiscordHandler,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        *,
        is_reported: bool,
    ) -> None:
        """The report has the form of `logging`, which would print the token of our webhook in error and arguments."""
        monkeypatch.setattr(logging, "raiseExceptions", is_reported)
        DiscordHandler(URL).close()

        def refuse(_: logging.LogRecord) -> bool:
            raise ValueError(f"no {TOKEN}")

        handler.addFilter(refuse)
        handler.handle(logging.makeLogRecord({"msg": f"at {URL} %s", "args": (TOKEN,)}))
        err = capsys.readouterr().err
        assert TOKEN[:8] not in err
        for text in ("--- Logging error ---", "ValueError: no ***", "Call stack:", "Message: 'at https://", "('***',)"):
            assert (text in err) is is_reported

    def test_record_that_is_queued_already_is_counted_once(
        self, handler: DiscordHandler, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An error after a record was accepted goes to handleError, and changes no count."""
        assert handler._queue_handler
        enqueue = handler._queue_handler.enqueue

        def fail_late(snapshot: Snapshot) -> None:
            enqueue(snapshot)
            raise RecursionError

        monkeypatch.setattr(logging, "raiseExceptions", True)
        monkeypatch.setattr(handler._queue_handler, "enqueue", fail_late)
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert handler.flush()
        assert (handler.health()["accepted"], handler.health()["delivered"]) == (1, 1)
        assert "RecursionError" in capsys.readouterr().err

    def test_posts_into_the_thread_of_the_url_or_setting(self, discord: LocalDiscord) -> None:
        """The query of the URL may name a thread, and the setting wins."""
        first, second = discord.add_thread(), discord.add_thread()
        for settings, expected in (({}, first), ({"thread_id": int(second)}, second)):
            handler = DiscordHandler(f"{discord.webhook_url}?thread_id={first}", **settings)  # type: ignore[arg-type]
            handler.handle(logging.makeLogRecord({"msg": "hello"}))
            assert handler.flush()
            assert discord.messages[-1].channel_id == expected
            handler.close()

    def test_a_title_goes_before_the_thread_of_the_url(self, discord: LocalDiscord) -> None:
        """People paste the URL of a thread; Discord refuses both together."""
        url = discord.add_webhook(forum=True)
        thread = discord.add_thread(url)
        handler = DiscordHandler(f"{url}?thread_id={thread}", thread_name="Errors")
        for text in ("one", "two"):
            handler.handle(logging.makeLogRecord({"msg": text}))
            assert handler.flush()
        first, second = discord.messages
        assert first.payload["thread_name"] == "Errors"
        assert first.channel_id == second.channel_id != thread


@pytest.fixture
def forum(discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> DiscordHandler:
    """Configure a handler for a forum with only plain strings, numbers, lists and dicts, from JSON."""
    monkeypatch.syspath_prepend("/srv/app")
    text = """
    {
      "version": 1,
      "disable_existing_loggers": false,
      "handlers": {
        "discord": {
          "class": "discord_logging.DiscordHandler",
          "webhook_url": "URL",
          "username": {"NOTSET": "Shop", "ERROR": "Alarm"},
          "avatar_url": {"40": "https://example.org/alarm.png"},
          "thread_name": "Shop errors",
          "applied_tags": ["111111111111111111", 222222222222222222],
          "context": {"service": "shop"},
          "fields": ["order_id", "amount"],
          "mentions": {"ERROR": "<@&333333333333333333>", "50": "@here"},
          "mention_interval": 3600,
          "silent_below": "WARNING",
          "source_url": "https://git.example/acme/{path}#L{line}",
          "own_packages": ["acme"],
          "show_locals": "own"
        }
      },
      "loggers": {"shop": {"handlers": ["discord"], "level": "DEBUG", "propagate": false}}
    }
    """
    logging.config.dictConfig(json.loads(text.replace("URL", discord.add_webhook(forum=True))))
    [handler] = logging.getLogger("shop").handlers
    assert isinstance(handler, DiscordHandler)
    return handler


class TestForum:
    """All settings of looks and destinations at once, against the local Discord."""

    def log(self, handler: DiscordHandler, *levels: int) -> None:
        """Log a hostile record of each level, all for one message, and wait until they are delivered."""
        assert handler._listener
        # However slow this thread is, nothing is taken in between.
        with cast("MemoryBacklog", handler._listener.backlog).lock:
            for levelno in levels:
                record = logging.LogRecord(
                    "shop", levelno, "/srv/app/shop/orders.py", 42, "@everyone <@5>", (), None, "buy"
                )
                record.__dict__.update({"amount": 5, "levelname": "@everyone", "order_id": levelno, "user": "ada"})
                logging.getLogger("shop").handle(record)
        assert handler.flush()

    def test_the_first_message_opens_the_post_and_the_next_go_there(
        self, discord: LocalDiscord, forum: DiscordHandler
    ) -> None:
        """The post has the tags, and no later message names it again."""
        for levelno in (logging.INFO, logging.ERROR, logging.INFO):
            self.log(forum, levelno)
        first, *others = discord.messages
        assert len(others) == 2
        assert first.payload["thread_name"] == "Shop errors"
        assert first.payload["applied_tags"] == ["111111111111111111", "222222222222222222"]
        assert {message.channel_id for message in others} == {first.channel_id}
        assert not {"thread_name", "applied_tags"} & {key for message in others for key in message.payload}
        assert forum.health()["status"] == "ok"

    def test_looks_sound_and_mentions_are_those_of_the_worst_record(
        self, discord: LocalDiscord, forum: DiscordHandler
    ) -> None:
        """Nobody else is notified, and nobody twice."""
        for levels in ([20, 10], [20, 30], [20, 40], [40], [50, 40, 10]):
            self.log(forum, *levels)
        quiet, loud, severe, again, worst = discord.messages
        assert [message.flags for message in discord.messages] == [4096, 0, 0, 0, 0]
        assert [message.username for message in discord.messages] == ["Shop", "Shop", "Alarm", "Alarm", "Alarm"]
        assert [bool(message.avatar_url) for message in discord.messages] == [False, False, True, True, True]
        assert [message.pings for message in (quiet, loud, again)] == [[], [], []]
        assert (severe.pings, worst.pings) == (["<@&333333333333333333>"], ["@here"])
        assert (severe.content, worst.content) == ("<@&333333333333333333>", "@here")

    def test_the_card_has_the_chosen_values_and_a_link(self, discord: LocalDiscord, forum: DiscordHandler) -> None:
        """The card has the context too."""
        self.log(forum, logging.ERROR)
        card = one_card(discord, forum)
        assert [field["name"] for field in card["fields"]] == ["order\\_id", "amount", "service"]
        link = "[orders.py:42](https://git.example/acme/shop/orders.py#L42)"
        assert card["description"].endswith(f"\n-# {link} in buy")

    def test_losses_with_a_mention_notify_nobody_else(self, discord: LocalDiscord, forum: DiscordHandler) -> None:
        """The name of a level may be log text too."""
        assert forum._listener
        forum._listener.backlog.refuse("@everyone", "unreadable")
        assert not forum.flush()
        self.log(forum, logging.CRITICAL)
        [message] = discord.messages
        assert "1 record was dropped" in message.content
        assert message.pings == ["@here"]

    def test_in_a_text_channel_the_records_arrive(self, discord: LocalDiscord) -> None:
        """The title is left out."""
        handler = DiscordHandler(discord.webhook_url, thread_name="Errors", applied_tags=[5])
        self.log_to(handler, "one", "two")
        assert [message.channel_id == discord.messages[0].channel_id for message in discord.messages] == [True, True]
        assert [request.status for request in discord.requests] == [400, 200, 200]
        assert handler.health()["dropped"] == 0

    def test_a_post_that_was_deleted_is_opened_anew(self, discord: LocalDiscord) -> None:
        """The records go into a new post."""
        handler = DiscordHandler(discord.add_webhook(forum=True), thread_name="Errors")
        self.log_to(handler, "one", "two")
        discord.fail_next(Fault(status=404, body={"message": "Unknown Channel", "code": 10003}))
        self.log_to(handler, "three", "four")
        one, two, three, four = (message.channel_id for message in discord.messages)
        assert one == two != three == four
        assert handler.health()["delivered"] == 4

    def log_to(self, handler: DiscordHandler, *texts: str) -> None:
        """Log these texts, each in a message of its own."""
        for text in texts:
            handler.handle(logging.makeLogRecord({"msg": text}))
            assert handler.flush()


@pytest.mark.parametrize("word", [*get_args(Status), *get_args(DropReason)])
def test_health_documents_statuses_and_reasons(word: str) -> None:
    """A new status or reason needs documentation."""
    assert f"`{word}`" in (DiscordHandler.health.__doc__ or "")


class TestLifecycle:
    """Handlers are made and closed, and every record is accounted for."""

    def test_burst_goes_out_in_few_messages(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """Ten records that wait together are one message, in order, and no limit is hit."""
        for number in range(40):
            logger.info("record %d", number)
        assert handler.flush(30)
        assert [card["description"].split("\n")[0] for card in cards(discord)] == [f"record {n}" for n in range(40)]
        assert [len(message.embeds) for message in discord.messages] == [10, 10, 10, 10]
        health = handler.health()
        assert (health["accepted"], health["delivered"], health["requests"], health["rate_limited"]) == (40, 40, 4, {})

    def test_handlers_of_one_webhook_share_a_listener(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """Two handlers of one webhook never post at the same time: they share one thread."""
        other = DiscordHandler(discord.webhook_url.replace("/v10", ""), username="Other")
        for each in (handler, other, handler):
            each.handle(logging.makeLogRecord({"msg": "hello"}))
        assert other.flush()
        assert [message.username for message in discord.messages] != [None, None, None]
        webhook_id = discord.webhook_url.split("/")[-2]
        assert len([each for each in threading.enumerate() if webhook_id in each.name]) == 1
        other.close()
        handler.handle(logging.makeLogRecord({"msg": "still open"}))
        assert handler.flush()
        assert other.health()["status"] == "closed"

    def test_health_is_plain_data_without_the_token(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """Health can be put into JSON, and the rate limit is in it."""
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert handler.flush()
        health = handler.health()
        text = json.dumps(health)
        assert discord.webhook_url.rpartition("/")[2] not in text
        assert health["status"] == "ok"
        (bucket,) = handler.get_rate_limit_info()["buckets"].values()
        assert (bucket["limit"], bucket["remaining"]) == (5, 4)

    def test_reset_rate_limits_tries_at_once(self, discord: LocalDiscord, handler: DiscordHandler) -> None:
        """A wait that was learned is forgotten."""
        discord.fail_next(Fault.rate_limited(60.0))
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert not handler.flush(2)
        assert handler.health()["status"] == "limited"
        handler.reset_rate_limits()
        assert discord.wait_for(1)

    def test_flush_does_not_begin_a_wait_that_ends_too_late(
        self, discord: LocalDiscord, handler: DiscordHandler
    ) -> None:
        """Flush returns at once when the rate limit ends after its deadline."""
        discord.fail_next(Fault.rate_limited(60.0))
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert handler.flush(20) is False

    def test_flush_tells_of_records_that_were_dropped_before_the_call(
        self, discord: LocalDiscord, handler: DiscordHandler
    ) -> None:
        """Each loss is told once to each handler. Regression: only a loss during the flush counted."""
        other = DiscordHandler(discord.webhook_url, queue_size=2)
        assert handler._listener
        backlog = handler._listener.backlog
        backlog.wake_listener = lambda: True  # no thread starts, so that the records wait
        for number in range(3):
            handler.handle(logging.makeLogRecord({"msg": f"number {number}"}))
        backlog.peek()
        assert handler.health()["dropped"] == 1
        later = DiscordHandler(discord.webhook_url, queue_size=2)
        assert [each.flush(20) for each in (handler, handler, other, other, later)] == [False, True, False, True, True]
        assert handler.health()["delivered"] == 2

    def test_flush_tells_of_records_that_could_not_be_read(
        self, handler: DiscordHandler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They were accepted, too."""
        monkeypatch.setattr(logging, "raiseExceptions", False)
        handler.addFilter(lambda record: bool(record.__dict__["no such attribute"]))
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert not handler.flush()
        assert handler.flush()

    def test_flush_of_a_closed_handler_tells_of_the_dropped_records(self, discord: LocalDiscord) -> None:
        """They were dropped when it was closed."""
        discord.fail_next(Fault(status=503), times=100)
        handler = DiscordHandler(discord.webhook_url)
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        handler.close(0)
        assert not handler.flush(0)

    def test_a_filter_of_any_kind_may_return_true(self, discord: LocalDiscord) -> None:
        """Up to Python 3.11 no filter returned a record."""

        class Own(DiscordHandler):
            def filter(self, record: logging.LogRecord) -> bool:
                return record.getMessage() != "no"

        handler = Own(discord.webhook_url)
        assert [handler.handle(logging.makeLogRecord({"msg": text})) for text in ("yes", "no")] == [True, False]
        assert handler.flush()
        assert handler.health()["delivered"] == 1
        handler.close()

    def test_close_reports_the_losses(
        self, discord: LocalDiscord, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`close` drops and counts waiting records, and reports them on stderr, once; so are late ones at exit."""
        discord.fail_next(Fault(status=503), times=100)
        handler = DiscordHandler(discord.webhook_url, retry_delays=[60])
        for _ in range(3):
            handler.handle(logging.makeLogRecord({"msg": "hello"}))
        handler.close(2)
        handler.close()
        monkeypatch.setattr("discord_logging._delivery.exit_time._waited", 0.0)
        for _ in range(2):
            handler.handle(logging.makeLogRecord({"msg": "too late"}))
        health = handler.health()
        assert (health["dropped_by_reason"], health["status"]) == ({"closed": 5}, "closed")
        assert [handler.flush(), handler.flush()] == [False, True]
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("discord_logging:")]
        assert len(lines) == 2
        assert "3 of 3 records were not delivered" in lines[0]
        assert "a record came after the last handler for webhook" in lines[1]
        assert "HTTP 503" in lines[0]
        assert discord.webhook_url.rpartition("/")[2] not in "".join(lines)

    def test_a_record_reopens_a_closed_handler(self, discord: LocalDiscord) -> None:
        """As with `FileHandler`. The counters go on, and the thread ends with each closing.

        Regression: `logging.config` closes all handlers, and those that stay in use delivered nothing any more.
        """
        handler = DiscordHandler(discord.webhook_url)
        listener = handler._listener
        assert listener
        for number in range(3):
            handler.handle(logging.makeLogRecord({"msg": str(number)}))
            assert handler.health()["status"] == "ok"
            thread = listener._thread
            assert thread
            handler.close()
            assert (handler.closed, handler.health()["status"]) == (True, "closed")
            thread.join(20)
            assert not thread.is_alive()
        assert [card["description"].split("\n")[0] for card in cards(discord)] == ["0", "1", "2"]
        health = handler.health()
        assert [health[name] for name in ("accepted", "delivered", "pending", "dropped")] == [3, 3, 0, 0]

    def test_losses_are_reported_once_although_the_handler_is_reopened(
        self, discord: LocalDiscord, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each report has the records since the last one."""
        handler = DiscordHandler(discord.webhook_url)
        assert handler._listener
        handler._listener.backlog.wake_listener = lambda: True  # no thread starts, so that the records wait
        for number in (3, 2):
            for _ in range(number):
                handler.handle(logging.makeLogRecord({"msg": "hello"}))
            handler.close(0)
        handler.close()
        assert re.findall(r"\d of \d records", capsys.readouterr().err) == ["3 of 3 records", "2 of 2 records"]

    def test_one_of_two_handlers_of_a_webhook_is_closed_and_reopened(self, discord: LocalDiscord) -> None:
        """The other one stays open, and they share one thread all the time."""
        first, second = DiscordHandler(discord.webhook_url), DiscordHandler(discord.webhook_url, username="Second")
        handlers = [first, second]
        for number, closing in enumerate((first, second, first)):
            closing.close()
            assert [each.closed for each in handlers] == [each is closing for each in handlers]
            for each in handlers:
                each.handle(logging.makeLogRecord({"msg": f"{number} {each is first}"}))
        assert first.flush(20)
        assert [each.closed for each in handlers] == [False, False]
        assert first._listener is second._listener
        assert len(cards(discord)) == 6

    def test_a_handler_made_after_a_closing_shares_the_listener_of_the_closed_one(self, discord: LocalDiscord) -> None:
        """The closed handler may be reopened, and two threads must not post to one webhook."""
        closed = DiscordHandler(discord.webhook_url)
        closed.close()
        made = DiscordHandler(discord.webhook_url)
        for each in (made, closed):
            each.handle(logging.makeLogRecord({"msg": "hello"}))
        assert made._listener is closed._listener
        assert made.flush()

    def test_a_handler_is_closed_again_and_again_while_threads_log(self, discord: LocalDiscord) -> None:
        """No record is lost, as `dictConfig` may close a handler at any moment."""
        handler = DiscordHandler(discord.webhook_url, channel_limit=None)
        threads = [
            threading.Thread(target=lambda: [handler.handle(logging.makeLogRecord({"msg": "x"})) for _ in range(2_000)])
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            handler.close(30)
        assert handler.flush(30)
        health = handler.health()
        assert [health[name] for name in ("accepted", "delivered", "dropped")] == [6_000, 6_000, 0]

    def test_a_reopened_handler_is_closed_by_logging_again(self, discord: LocalDiscord) -> None:
        """`dictConfig` makes logging forget all handlers, so that `logging.shutdown` would not flush this one."""
        handler = DiscordHandler(discord.webhook_url)
        before = logging._handlerList[:]  # type: ignore[attr-defined]
        try:
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
            assert handler.closed
            for _ in range(2):
                handler.handle(logging.makeLogRecord({"msg": "hello"}))
            assert [each() for each in logging._handlerList].count(handler) == 1  # type: ignore[attr-defined]
            logging.shutdown()
            assert handler.closed
        finally:
            logging._handlerList[:] = before  # type: ignore[attr-defined]
        assert handler.health()["delivered"] == 2
        assert cards(discord)

    def test_close_after_a_flush_in_vain_does_not_wait_again(self, discord: LocalDiscord) -> None:
        """`logging.shutdown` calls flush and then close: they share one wait."""
        discord.fail_next(Fault.stall(60))
        handler = DiscordHandler(discord.webhook_url, flush_timeout=0.2)
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        listener = handler._listener
        assert listener
        assert not handler.flush()
        waits: list[float] = []
        listener.flush = waits.append  # type: ignore[assignment,method-assign]
        handler.close()
        assert waits == []

    def test_records_of_the_listeners_thread_do_not_come_back(
        self, discord: LocalDiscord, handler: DiscordHandler
    ) -> None:
        """With the handler on a DEBUG root, urllib3's own lines cause no further record."""
        root = logging.getLogger()
        root.setLevel(logging.DEBUG)
        root.addHandler(handler)
        logging.getLogger("app").error("one")
        assert handler.flush()
        assert (len(cards(discord)), handler.health()["accepted"]) == (1, 1)

    def test_settings_of_delivery_are_shared_and_the_latest_hold(
        self, handler: DiscordHandler, discord: LocalDiscord
    ) -> None:
        """A second handler for the webhook reconfigures its delivery."""
        DiscordHandler(discord.webhook_url, queue_size=7)
        assert handler._listener
        assert cast("MemoryBacklog", handler._listener.backlog).max_records == 7

    def test_flush_on_the_listeners_thread_returns_at_once(
        self, discord: LocalDiscord, handler: DiscordHandler, logger: logging.Logger
    ) -> None:
        """An override that flushes cannot wait for itself."""
        answers: list[bool] = []

        class Flushing(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:
                answers.append(handler.flush())
                return super().title(record)

        handler.setFormatter(Flushing())
        logger.error("hello")
        assert one_card(discord, handler)
        assert answers == [False]


def test_known_statuses_are_documented() -> None:
    """The docstring of health names every status."""
    for status in ("ok", "limited", "retrying", "blocked", "stopped", "disabled", "closed"):
        assert f"`{status}`" in (handler_module.DiscordHandler.health.__doc__ or "")
