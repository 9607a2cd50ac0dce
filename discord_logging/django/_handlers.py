"""This module finds the handlers of a project, and keeps those of tests from a real channel."""

from __future__ import annotations

import logging
import os

from django.core import mail

from discord_logging._discord import local_only
from discord_logging._handler import DiscordHandler, discord_handlers

REQUEST_LOGGER = "django.request"


def find_handlers() -> list[DiscordHandler]:
    """Return the handlers of unhandled exceptions: those of `django.request`, or those of the root logger."""
    return list(discord_handlers(logging.getLogger(REQUEST_LOGGER))) or list(discord_handlers(logging.getLogger()))


def bind_tests() -> None:
    """Let this process, and those that it starts, post to webhooks on this machine alone, since tests run."""
    os.environ.setdefault(local_only.VARIABLE, "the tests of Django")


def is_under_test() -> bool:
    """Tell whether Django keeps mail in an outbox, as all its runners of tests do."""
    return "outbox" in vars(mail)
