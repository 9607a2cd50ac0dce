"""Integrations find the program's `DiscordHandler`, or make one, and report exceptions to it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import platform
import socket
from typing import TYPE_CHECKING, Any

from discord_logging._handler import DiscordHandler, discord_handlers
from discord_logging._integrations.request_fields import given
from discord_logging._process.diagnostics import warn
from discord_logging._records.exceptions import origin
from discord_logging._records.reports import is_told_in_work, note
from discord_logging._records.settings import without_blanks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class IntegrationHandler(DiscordHandler):
    """The handler that an integration makes for a program that has configured none."""


class LastResort(logging.Handler):
    """Writes to stderr what `logging` would write there without the handlers of integrations.

    A logger without any handler writes warnings to stderr (`logging.lastResort`), and goes on to do so.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record` to stderr, if no other handler has it."""
        handlers = list(_all_handlers(logging.getLogger(record.name)))
        is_alone = all(isinstance(each, (IntegrationHandler, LastResort)) for each in handlers)
        is_first = [each for each in handlers if isinstance(each, LastResort)][:1] == [self]
        last = logging.lastResort
        if is_alone and is_first and last and record.levelno >= last.level:
            last.handle(record)


def add_handler(logger: logging.Logger, handler: IntegrationHandler) -> None:
    """Add `handler`, so that the output on stderr stays the same."""
    logger.addHandler(handler)
    if not any(isinstance(each, LastResort) for each in logger.handlers):
        logger.addHandler(LastResort())


def ensure_handler(logger: logging.Logger, **settings: Any) -> list[DiscordHandler]:
    """Return our handlers that get the records of `logger`; if there are none, make one with `settings` and add it.

    Args:
        logger: The logger.
        settings: Settings of `DiscordHandler`. `level` is `ERROR` by default.

    Raises:
        InvalidSettingError: A setting is wrong.
        InvalidWebhookURLError: The webhook URL is malformed.
    """
    settings = without_blanks(settings)
    if found := list(discord_handlers(logger)):
        if settings:
            names = ", ".join(sorted(settings))
            warn("%s is ignored: logging already has a DiscordHandler with its own settings", names)
        return found
    handler = IntegrationHandler(**{"level": "ERROR", **settings})
    add_handler(logger, handler)
    return [handler]


def report(
    handlers: Iterable[DiscordHandler], name: str, exception: BaseException, message: str, *args: object
) -> None:
    """Give `handlers` a record of an unhandled exception, unless they have one from the same request or task.

    What a framework logs about the exception later is left out. Never raises an `Exception`, which would replace the
    program's own; never waits.

    Args:
        handlers: Our handlers.
        name: The name of the logger that the record names.
        exception: The exception.
        message: The message of the record, with its `args`.
        *args: The arguments of the message.
    """
    try:
        if logging.root.manager.disable >= logging.ERROR:
            return
        path, line, function = origin(exception.__traceback__)
        exc_info = type(exception), exception, exception.__traceback__
        record = logging.LogRecord(name, logging.ERROR, path, line, message, args, exc_info, function)
        # A filter may leave the record out, and the server's own be wanted.
        takers = [
            each
            for each in handlers
            if each.level <= logging.ERROR
            and (is_told_in_work(exception, id(each), logging.ERROR) or each.handle(record))
        ]
        mark_told(takers, exception)
    except Exception:  # noqa: BLE001 - the request must be answered after any error
        warn("an exception could not be reported with its request", exc_info=True)


def mark_told(handlers: Iterable[DiscordHandler], exception: BaseException) -> None:
    """Let `handlers` leave out what a framework logs about `exception`."""
    with contextlib.suppress(Exception):  # the exception may accept no attribute
        note(exception, map(id, handlers), math.inf, is_automatic=True)


def post_start(handlers: Iterable[DiscordHandler], name: str, subject: str, fields: Mapping[str, object]) -> None:
    """Post a notice of a start, whatever the levels and filters of `handlers` are.

    Args:
        handlers: Our handlers.
        name: The name of the logger that the notice names.
        subject: The application or worker that has started.
        fields: Names and values to show beside the host, the process and the version of Python.
    """
    here = {"host": socket.gethostname(), "pid": os.getpid(), "python": platform.python_version()}
    record = logging.LogRecord(name, logging.INFO, "", 0, "%s started", (subject,), None)
    for handler in handlers:
        handler.notify(record, fields=given({**here, **fields}))


def find_handler(handler: DiscordHandler | str | None, settings: Mapping[str, Any]) -> DiscordHandler:
    """Return the handler that is given, or one with these settings for a webhook URL or `None`.

    Raises:
        TypeError: There is a handler, and settings as well.
    """
    if isinstance(handler, DiscordHandler):
        if settings:
            raise TypeError("Give either a handler or the settings of one: a handler has its own settings.")
        return handler
    return DiscordHandler(**settings) if handler is None else DiscordHandler(handler, **settings)


def _all_handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """Yield the handlers that get the records of `logger`."""
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None
