"""The Dramatiq middleware: each failed message becomes one card with its actor, id and arguments.

The module needs the extra `dramatiq`: `pip install 'discord-log-handler[dramatiq]'`.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import threading
from importlib import metadata
from typing import TYPE_CHECKING, Any

from discord_logging._discord.webhook_url import hide_urls
from discord_logging._handler import discord_handlers
from discord_logging._integrations.handlers import ensure_handler, post_start, report
from discord_logging._integrations.request_fields import given, unique
from discord_logging._integrations.task_queues import leave_out, name_arguments
from discord_logging._records.parse import parse_switch
from discord_logging._records.work import Work, enter_work

try:
    from dramatiq.middleware import Middleware, Retries
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.dramatiq needs Dramatiq: pip install 'discord-log-handler[dramatiq]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from dramatiq import Broker, Worker
    from dramatiq.broker import MessageProxy

    from discord_logging._handler import DiscordHandler

__all__ = ["DiscordLogging"]

_LOGGER = "dramatiq.worker.WorkerThread"


class DiscordLogging(Middleware):
    """Posts the errors of actors to a Discord channel: `broker.add_middleware(DiscordLogging())`.

    The middleware does this in workers:

    - A failed message becomes one card: actor, message id, arguments, retries and queue, with secrets masked, and the
      place where the exception was raised. A failure after which the message is tried again makes no card, nor do
      exceptions in the `throws` of the actor.
    - Records of all loggers are posted as well, from the level of the handler on. Those that are logged in an actor
      show its name and the id of the message. Each exception of a message is told once, whoever logs it.
    - One notice is posted when a worker starts.

    If the root logger already has a `DiscordHandler`, the middleware uses it. Otherwise it makes a handler with
    `settings` when a worker starts. Without a URL there or in the environment, nothing is posted. Dramatiq logs errors
    in the settings, and works on.

    Args:
        startup_notice: Whether a notice is posted at the start.
        **settings: Settings of `DiscordHandler`. `level` is `ERROR` by default.
    """

    def __init__(self, *, startup_notice: bool | str | None = True, **settings: Any) -> None:
        self._has_notice = parse_switch("startup_notice", startup_notice, default=True)
        self._settings = hide_urls(settings)
        self._thread = threading.local()

    def before_worker_boot(self, *_: Any) -> None:
        """Find or make the handler."""
        ensure_handler(logging.getLogger(), **self._settings)
        leave_out(_handlers(), _LOGGER, "with unhandled exception")

    def after_worker_boot(self, _: Broker, worker: Worker) -> None:
        """Post the notice."""
        # The command runs several processes, which Dramatiq numbers.
        if self._has_notice and _is_first():
            fields = {"threads": worker.worker_threads, "dramatiq": metadata.version("dramatiq")}
            post_start(_handlers(), "dramatiq", "Dramatiq worker", fields)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Let records that are logged in the actor show it."""
        self._leave()
        self._thread.stack = stack = contextlib.ExitStack()
        stack.enter_context(enter_work(_make_work(broker, message)))

    def after_process_message(self, *_: Any, exception: BaseException | None = None, **__: Any) -> None:
        """Keep the exception until all middleware has decided whether the message is tried again."""
        self._thread.exception = exception

    def before_nack(self, broker: Broker, message: MessageProxy) -> None:
        """Report a message that has failed."""
        self._report(broker, message)
        self._leave()

    def before_ack(self, broker: Broker, message: MessageProxy) -> None:
        """Report a message that has failed, if the broker tries none again."""
        if not any(isinstance(each, Retries) for each in broker.middleware):
            self._report(broker, message)
        self._leave()

    def _report(self, broker: Broker, message: MessageProxy) -> None:
        # A message for an unknown actor fails on another thread, and Dramatiq's record tells of it.
        if exception := getattr(self._thread, "exception", None):
            throws = message.options.get("throws") or broker.get_actor(message.actor_name).options.get("throws")
            if not (throws and isinstance(exception, throws)):
                report(_handlers(), _LOGGER, exception, "Actor %s failed", message.actor_name)

    def _leave(self) -> None:
        if stack := getattr(self._thread, "stack", None):
            stack.close()
        self._thread.stack = self._thread.exception = None


def _make_work(broker: Broker, message: MessageProxy) -> Work:
    labels = given({"actor": message.actor_name, "message_id": unique(message.message_id)})
    # Dramatiq counts the failure before the card is made.
    fields = given({"retries": message.options.get("retries"), "queue": message.queue_name})

    def details() -> dict[str, object]:
        function = broker.get_actor(message.actor_name).fn
        return {**name_arguments(function, message.args, message.kwargs), **fields}

    return Work(lambda: labels, details)


def _handlers() -> list[DiscordHandler]:
    return list(discord_handlers(logging.getLogger(_LOGGER)))


def _is_first() -> bool:
    """Tell whether this is the only worker process, or the first of those that `dramatiq` has started."""
    return multiprocessing.current_process().name in ("MainProcess", "Process-1")
