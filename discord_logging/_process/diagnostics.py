"""The package speaks about itself in warnings to its own logger, and in last lines to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

from discord_logging._process.own_threads import is_own_thread, own_handlers

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER_NAME = "discord_logging"

# This logger is not registered: `dictConfig` switches off every registered logger that exists when it runs.
_unregistered = logging.Logger(LOGGER_NAME)  # noqa: LOG001 - the line above has the reason
_unregistered.parent = logging.root


def warn(text: str, *args: object, exc_info: bool = False) -> None:
    """Log a warning to the logger `discord_logging`. Never raises an `Exception`.

    The function calls neither `getLogger` nor `isEnabledFor`, because they take the lock of `logging`, which
    `dictConfig` holds while it waits for our flush.
    """
    registered = logging.root.manager.loggerDict.get(LOGGER_NAME)
    logger = registered if isinstance(registered, logging.Logger) else _unregistered
    # A user's handlers and filters may raise anything, and this may be the only thread that delivers.
    with contextlib.suppress(Exception):
        if logging.root.manager.disable < logging.WARNING >= logger.getEffectiveLevel():
            error = sys.exc_info() if exc_info else None
            record = logger.makeRecord(LOGGER_NAME, logging.WARNING, __file__, 0, text, args, error)
            logger.handle(record)
            if is_own_thread.get() and _is_deaf(logger) and logger.filter(record) and logging.lastResort:
                logging.lastResort.handle(record)


def _is_deaf(logger: logging.Logger) -> bool:
    """Tell whether all handlers are ours, which ignore this thread, so that `logging` does not write to stderr."""
    handlers = list(_handlers_of(logger))
    return bool(handlers) and not logger.disabled and own_handlers.issuperset(handlers)


def _handlers_of(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    while logger:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def say(text: str) -> None:
    """Write one line to stderr, if there is one."""
    # pythonw has no stderr; elsewhere it may be closed or a broken pipe, or we may be in a signal handler that has
    # interrupted another write (https://docs.python.org/3/library/io.html#reentrancy).
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
        sys.stderr.write(f"discord_logging: {text}\n")
