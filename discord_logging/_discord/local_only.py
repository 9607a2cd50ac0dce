"""Tests must not post to a channel that people read: the environment can bound a program to webhooks on its machine.

The switch is a variable of the environment, so that the processes which a test starts have it too. A tool that runs
tests sets it before it loads the program:

    os.environ.setdefault(local_only.VARIABLE, "the name of the tool")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from discord_logging._discord.webhook_url import is_loopback

if TYPE_CHECKING:
    from discord_logging._discord.webhook_url import WebhookURL

VARIABLE = "DISCORD_LOCAL_ONLY"
"""The variable. Any text but an empty one or a word for no switches the bound on."""
_NO = frozenset({"", "false", "no", "off", "0", "n", "f"})


def is_set() -> bool:
    """Tell whether only webhooks on this machine may be posted to."""
    return os.environ.get(VARIABLE, "").strip().lower() not in _NO


def refusal(url: WebhookURL) -> str:
    """Return why nothing is posted to `url`, or ""."""
    if not is_set() or is_loopback(urlsplit(url.base).hostname or ""):
        return ""
    value = os.environ.get(VARIABLE, "")
    return f"{VARIABLE} is {value!r}, so only webhooks on this machine are posted to; set it to false to post to others"
