"""Tests of the Celery extension in this process: tasks that are called eagerly, and the logging of a worker."""

from __future__ import annotations

import logging
import logging.config
from typing import TYPE_CHECKING, Any

import celery.app.log
import celery.app.trace
import pytest
from celery import signals
from celery.exceptions import Ignore, Reject, Retry

from discord_logging import DiscordHandler, InvalidSettingError
from discord_logging import celery as extension
from discord_logging._integrations.handlers import ensure_handler
from discord_logging.celery import DiscordLogging
from tests.conftest import cards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging.sandbox import LocalDiscord

_SIGNALS = [value for value in vars(signals).values() if isinstance(value, signals.Signal)]
_LOGGERS = ("celery", "celery.task", "celery.redirected")


@pytest.fixture(autouse=True)
def _restored_celery(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the signals and the loggers of Celery."""
    monkeypatch.setattr(celery.app.log.Logging, "_setup", False)
    monkeypatch.setattr(extension, "_settings", {})
    for name in (
        "CELERY_LOG_LEVEL",
        "CELERY_LOG_FILE",
        "_MP_FORK_LOGLEVEL_",
        "_MP_FORK_LOGFILE_",
        "_MP_FORK_LOGFORMAT_",
    ):
        monkeypatch.setenv(name, "")
    receivers = [each.receivers[:] for each in _SIGNALS]
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(each.handlers[:], each.propagate, each.level) for each in loggers]
    yield
    for signal, kept in zip(_SIGNALS, receivers, strict=True):
        signal.receivers[:] = kept
        signal.sender_receivers_cache.clear()
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate, logger.level = handlers, propagate, level


@pytest.fixture
def app() -> Iterator[celery.Celery]:
    """Yield an application whose tasks are called eagerly."""
    made = celery.Celery("shop", set_as_current=False)
    made.conf.task_always_eager = True
    yield made
    made.close()


class Hostile:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError


class TestEagerTasks:
    def test_a_failed_task_is_one_card(self, discord: LocalDiscord, app: celery.Celery) -> None:
        """The caller gets the result, as without the extension."""
        DiscordLogging(app, webhook_url=discord.webhook_url)

        @app.task(name="shop.pay")  # type: ignore[untyped-decorator]  # Celery has no types
        def pay(order: object, token: str, **more: object) -> None:
            raise ValueError(order and token and more and "no money")

        result = pay.apply((Hostile(), "kQ7zT2"), {"password": "hunter2", "text": "x" * 5_000})
        assert isinstance(result.result, ValueError)
        ((text, fields),) = cards(discord)
        assert text == "Task shop.pay failed"
        assert fields["task"] == "shop.pay"
        assert "'token': '***'" in fields["arguments"]
        assert "'password': '***'" in fields["arguments"]
        assert "Hostile" in fields["arguments"]
        assert len(fields["arguments"]) < 1_000

    def test_a_task_within_a_task_has_its_own_fields(self, discord: LocalDiscord, app: celery.Celery) -> None:
        """After it, records show the outer task again."""
        DiscordLogging(app, webhook_url=discord.webhook_url)

        @app.task(name="shop.inner")  # type: ignore[untyped-decorator]  # Celery has no types
        def inner() -> None:
            logging.getLogger("shop").error("inside")

        @app.task(name="shop.outer")  # type: ignore[untyped-decorator]  # Celery has no types
        def outer() -> None:
            inner.delay()
            logging.getLogger("shop").error("outside")

        outer.delay()
        logging.getLogger("shop").error("after")
        assert [(text, fields.get("task")) for text, fields in cards(discord)] == [
            ("inside", "shop.inner"),
            ("outside", "shop.outer"),
            ("after", None),
        ]

    def test_an_exception_that_propagates_is_the_callers(self, discord: LocalDiscord, app: celery.Celery) -> None:
        """With `task_eager_propagates` the caller handles it, and nothing has failed."""
        app.conf.task_eager_propagates = True
        DiscordLogging(app, webhook_url=discord.webhook_url)

        @app.task  # type: ignore[untyped-decorator]  # Celery has no types
        def fail() -> None:
            raise ValueError("no money")

        with pytest.raises(ValueError, match="no money"):
            fail.delay()
        assert cards(discord) == []

    @pytest.mark.parametrize("error", [Ignore(), Reject("no"), Retry("later"), LookupError("expected")], ids=repr)
    def test_an_outcome_that_is_no_failure_makes_no_card(
        self, discord: LocalDiscord, app: celery.Celery, error: Exception
    ) -> None:
        """The task says so by its exception, or its `throws` does."""
        DiscordLogging(app, webhook_url=discord.webhook_url)

        @app.task(throws=(LookupError,))  # type: ignore[untyped-decorator]  # Celery has no types
        def leave() -> None:
            raise error

        leave.delay()
        assert cards(discord) == []

    def test_a_message_that_is_no_task_is_one_card(self, discord: LocalDiscord, app: celery.Celery) -> None:
        """The worker fails before it calls the task, and sends another signal."""
        DiscordLogging(app, webhook_url=discord.webhook_url)

        @app.task(name="shop.pay")  # type: ignore[untyped-decorator]  # Celery has no types
        def pay() -> None:
            """Succeed."""

        ensure_handler(logging.root, webhook_url=discord.webhook_url)
        with pytest.warns(RuntimeWarning, match="outside body"):
            celery.app.trace.build_tracer("shop.pay", pay, app=app)("4711", (), None, {})
        assert cards(discord) == [("Task shop.pay failed", {"task": "shop.pay", "task_id": "4711"})]


class TestLoggingOfAWorker:
    def test_a_program_that_only_sends_tasks_gets_no_handler(self, app: celery.Celery) -> None:
        """A handler of the root logger would keep `logging.basicConfig` from its work."""
        before = logging.root.handlers[:]
        DiscordLogging(app)
        assert logging.root.handlers == before

    @pytest.mark.parametrize("hijacks", [True, False])
    def test_a_handler_is_made_beside_the_console(
        self, discord: LocalDiscord, app: celery.Celery, monkeypatch: pytest.MonkeyPatch, hijacks: bool
    ) -> None:
        """The records of all loggers arrive once, also those of tasks, which do not propagate."""
        monkeypatch.setattr(logging.root, "handlers", [])
        app.conf.worker_hijack_root_logger = hijacks
        DiscordLogging(app, webhook_url=discord.webhook_url)
        app.log.setup(logging.INFO)
        assert [type(each).__name__ for each in logging.root.handlers] == [
            "StreamHandler",
            "IntegrationHandler",
            "LastResort",
        ]
        for name in ("shop", "celery.worker", "celery.task.shop"):
            logging.getLogger(name).error("from %s", name)
        assert [text for text, _ in cards(discord)] == ["from shop", "from celery.worker", "from celery.task.shop"]

    def test_configured_handlers_are_kept(self, discord: LocalDiscord, app: celery.Celery) -> None:
        """A worker removes all handlers of the root logger; Discord got nothing, and nothing said so."""
        handler, other = DiscordHandler(discord.webhook_url, logging.ERROR), DiscordHandler(discord.add_webhook())
        logging.root.addHandler(handler)
        logging.getLogger("celery").addHandler(other)
        DiscordLogging(app)
        app.log.setup(logging.INFO)
        assert [each for each in logging.root.handlers if isinstance(each, DiscordHandler)] == [handler]
        assert other in logging.getLogger("celery").handlers
        assert handler in logging.getLogger("celery.task").handlers

    def test_a_program_may_set_logging_up_itself(self, discord: LocalDiscord, app: celery.Celery) -> None:
        """Its receiver of `setup_logging` replaces the handlers; those that it makes are used."""
        made: list[DiscordHandler] = []

        def configure(**_: Any) -> None:
            logging.root.handlers[:] = made[:] = [DiscordHandler(discord.webhook_url, logging.ERROR)]

        signals.setup_logging.connect(configure)
        logging.root.addHandler(DiscordHandler(discord.add_webhook()))
        DiscordLogging(app)
        app.log.setup(logging.INFO)
        assert logging.root.handlers == made

    def test_another_class_of_logging_is_kept(self, discord: LocalDiscord) -> None:
        """`Celery(log=...)` names one."""

        class Own(celery.app.log.Logging):  # type: ignore[misc]  # Celery has no types
            """A class of the program."""

        app = celery.Celery("shop", log=Own, set_as_current=False)
        assert isinstance(app.log, Own)
        DiscordLogging(app, webhook_url=discord.webhook_url)
        DiscordLogging(app, webhook_url=discord.webhook_url)
        app.log.setup(logging.INFO)
        assert isinstance(app.log, Own)
        assert any(isinstance(each, DiscordHandler) for each in logging.root.handlers)

    def test_a_wrong_setting_is_refused(self, app: celery.Celery) -> None:
        """The error names the setting."""
        DiscordLogging(app, usrname="Shop")
        with pytest.raises(InvalidSettingError, match="usrname"):
            app.log.setup(logging.INFO)
        with pytest.raises(InvalidSettingError, match="startup_notice"):
            DiscordLogging(app, startup_notice="perhaps")
