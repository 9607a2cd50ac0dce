"""Tests must not post to a channel that people read: the environment can bound a program to webhooks on its machine.

The switch is a variable of the environment, so that the processes which a test starts have it too. A tool that runs
tests sets it:

    os.environ.setdefault(local_only.VARIABLE, "the name of the tool")

The bound applies where a request would leave, below the places that tests replace to fake the network.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from discord_logging._discord.webhook_url import is_loopback
from discord_logging._exceptions import TransportError
from discord_logging._process.environment import NO

VARIABLE = "DISCORD_LOCAL_ONLY"
"""The variable. Any text but an empty one or a word for no switches the bound on."""


class LocalOnlyError(TransportError):
    """A request would leave this machine."""


def is_set() -> bool:
    """Tell whether only webhooks on this machine may be posted to."""
    return os.environ.get(VARIABLE, "").strip().lower() not in {"", *NO}


def refuses(url: str) -> bool:
    """Tell whether the switch is on, and the host of `url` is not this machine."""
    return is_set() and not is_loopback(urlsplit(url).hostname or "")


def check(url: str) -> None:
    """Raise an error if a request for `url` must not leave.

    Raises:
        LocalOnlyError: The switch is on, and the host of `url` is not this machine.
    """
    if refuses(url):
        value = os.environ.get(VARIABLE, "")
        reason = f"{VARIABLE} is {value!r}, so only webhooks on this machine are posted to"
        raise LocalOnlyError(f"{reason}; set it to false to post to others", maybe_saved=False)
