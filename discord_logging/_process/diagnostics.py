"""The package speaks about itself in warnings to its own logger, and in last lines to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys

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
            logger.handle(logger.makeRecord(LOGGER_NAME, logging.WARNING, __file__, 0, text, args, error))


def say(text: str) -> None:
    """Write one line to stderr, if there is one."""
    # pythonw has no stderr; elsewhere it may be closed or a broken pipe, or we may be in a signal handler that has
    # interrupted another write (https://docs.python.org/3/library/io.html#reentrancy).
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
        sys.stderr.write(f"discord_logging: {text}\n")
