"""What the package says about itself: warnings to its own logger, last words to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys

LOGGER_NAME = "discord_logging"

# Not registered with logging: `dictConfig` switches off every logger that exists when it runs.
_unregistered = logging.Logger(LOGGER_NAME)  # noqa: LOG001 - for that reason
_unregistered.parent = logging.root


def warn(text: str, *args: object, exc_info: bool = False) -> None:
    """Log a warning to the logger `discord_logging`. Never raises an `Exception`.

    Takes no lock of `logging`'s, which `dictConfig` holds while it waits for our flush: neither `getLogger` nor
    `isEnabledFor` is called.
    """
    registered = logging.root.manager.loggerDict.get(LOGGER_NAME)
    logger = registered if isinstance(registered, logging.Logger) else _unregistered
    # Handlers and filters of the user's may raise anything, and this may be the only thread that delivers.
    with contextlib.suppress(Exception):
        if logging.root.manager.disable < logging.WARNING >= logger.getEffectiveLevel():
            trouble = sys.exc_info() if exc_info else None
            logger.handle(logger.makeRecord(LOGGER_NAME, logging.WARNING, __file__, 0, text, args, trouble))


def say(text: str) -> None:
    """Write one line to stderr, if there is one."""
    # There is none under pythonw; it may be closed, or a broken pipe; a signal handler may be on top of another write
    # (https://docs.python.org/3/library/io.html#reentrancy).
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
        sys.stderr.write(f"discord_logging: {text}\n")
