"""What the package says about itself: warnings to its own logger, last words to stderr."""

from __future__ import annotations

import logging
import sys

LOGGER_NAME = "discord_logging"


def warn(text: str, *args: object) -> None:
    """Log a warning. Our own handlers leave out what their threads log."""
    # Looked up late: `dictConfig` switches off every logger that exists when it runs, as one made at import would.
    logging.getLogger(LOGGER_NAME).warning(text, *args)


def say(text: str) -> None:
    """Write one line to stderr, if there is one."""
    try:
        sys.stderr.write(f"discord_logging: {text}\n")
    except (AttributeError, OSError, ValueError):  # no stderr (pythonw), a broken pipe, or a closed one
        return
