"""The contenders, each set up as its own documentation says.

This module runs in the environment of the contender, which may have only the standard library.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import logging.handlers
import queue
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def _ours(module: Any, url: str, *, limits: str = "discord", **settings: Any) -> Any:
    registry: Any = importlib.import_module("discord_logging._delivery.registry")
    if limits == "scaled":
        registry.rate_limiter = module.DiscordRateLimiter(channel_window=6.0)
    elif limits == "none":
        registry.rate_limiter = module.DiscordRateLimiter(channel_limit=None, global_limit=1_000_000)
        settings["channel_limit"] = None
    return module.DiscordHandler(url, **settings)


def _stdlib(module: Any, url: str) -> Any:
    requests: Any = importlib.import_module("requests")

    class WebhookHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                requests.post(url, json={"content": self.format(record)[:2000]}, timeout=30).raise_for_status()
            except requests.RequestException:
                self.handleError(record)

    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = module.QueueListener(records, WebhookHandler())
    listener.start()
    atexit.register(listener.stop)
    return module.QueueHandler(records)


def _dislog(module: Any, url: str) -> Any:
    # The package accepts only Discord's own address.
    route = importlib.import_module("discord.http").Route
    route.BASE, _, path = url.partition("/webhooks/")
    return module.DiscordWebhookHandler(f"https://discord.com/api/webhooks/{path}")


@dataclass(frozen=True)
class Contender:
    """A package that is measured.

    Attributes:
        requirement: The requirement for pip; "" if nothing is to be installed.
        module: The module that a program imports.
        make: A function that returns the handler, given the module and the webhook URL.
        posts_in_the_call: Whether a logging call is a request, which a slow server would block.
    """

    requirement: str
    module: str
    make: Callable[..., Any]
    posts_in_the_call: bool = False


CONTENDERS = {
    "ours": Contender("", "discord_logging", _ours),
    "stdlib": Contender("", "logging.handlers", _stdlib),
    "logcord": Contender("logcord", "logcord", lambda module, url: module.DiscordWebhookHandler(url)),
    "discord-lumberjack": Contender(
        "discord-lumberjack", "discord_lumberjack.handlers", lambda module, url: module.DiscordWebhookHandler(url)
    ),
    "dislog": Contender("dislog[discordpy,sync]", "dislog", _dislog),
    "python-logging-discord-handler": Contender(
        "python-logging-discord-handler",
        "discord_logging.handler",
        lambda module, url: module.DiscordHandler("shop", url),
        posts_in_the_call=True,
    ),
    "loguru-discord": Contender(
        "loguru-discord",
        "loguru_discord",
        lambda module, url: module.DiscordSink(url, rich=True),
        posts_in_the_call=True,
    ),
}
PEERS = [name for name, contender in CONTENDERS.items() if contender.requirement]
MASKERS = {"ours": "", "detect-secrets": "detect-secrets>=1.5", "sentry-sdk": "sentry-sdk>=2.20"}
"""The contenders of the group `secrets`, with their requirements for pip."""


class Logger:
    """A logger with one handler."""

    def __init__(self, handler: Any, name: str = "") -> None:
        self.handler = handler
        self._logger: Any = logging.getLogger(f"shop.orders.{name or type(handler).__name__}")
        self._logger.setLevel(logging.DEBUG)
        self._logger.propagate = False
        self._logger.addHandler(handler)

    def call(self, exception: Exception | None = None) -> Callable[[], None]:
        """Return a logging call, with all that it needs at hand."""
        return partial(self._logger.error, "Order %d of %s could not be shipped", 4711, "ACME", exc_info=exception)

    def say(self, level: str, template: str, number: int, exception: Exception | None = None) -> None:
        """Log one record."""
        self._logger.log(getattr(logging, level), template, number, exc_info=exception)


class LoguruLogger(Logger):
    """The logger of loguru with one sink."""

    def __init__(self, sink: Any) -> None:
        self._logger = importlib.import_module("loguru").logger
        self._logger.remove()
        self._logger.add(sink)

    def call(self, exception: Exception | None = None) -> Callable[[], None]:
        """Return a logging call, with all that it needs at hand."""
        logger = self._logger.opt(exception=exception) if exception else self._logger
        return partial(logger.error, "Order {} of {} could not be shipped", 4711, "ACME")

    def say(self, level: str, template: str, number: int, exception: Exception | None = None) -> None:
        """Log one record."""
        self._logger.opt(exception=exception).log(level, template.replace("%06d", "{:06d}"), number)


class _NullHandler(logging.Handler):
    def handle(self, _: logging.LogRecord) -> bool:
        return True


def floor() -> Logger:
    """Return a logger whose handler does nothing, to measure the time of `logging` itself."""
    return Logger(_NullHandler())


def yardstick() -> Logger:
    """Return a logger with the standard library's queue, which nobody reads."""
    return Logger(logging.handlers.QueueHandler(queue.SimpleQueue()))


def make(contender: str, url: str, *, name: str = "", **settings: Any) -> Logger:
    """Return a logger that posts to `url`, perhaps with a name; only this package has `settings`."""
    chosen = CONTENDERS[contender]
    handler = chosen.make(importlib.import_module(chosen.module), url, **settings)
    return LoguruLogger(handler) if contender == "loguru-discord" else Logger(handler, name)
