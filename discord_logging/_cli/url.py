"""The commands for a webhook take its URL from a file or the environment, for it is a password."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._exceptions import InvalidWebhookURLError

if TYPE_CHECKING:
    import argparse

URL_HELP = """\
The webhook URL is a password, and `ps` shows arguments to everybody. The command therefore reads the URL from
--url-file or, without that option, from the environment variable DISCORD_WEBHOOK_URL.
"""
_MAX_URL_CHARACTERS = 8192


def find_url(options: argparse.Namespace) -> WebhookURL:
    """Return the webhook URL.

    Raises:
        InvalidWebhookURLError: The URL is missing or malformed.
    """
    return WebhookURL.parse(find_url_text(options), allow_http=options.allow_http)


def find_url_text(options: argparse.Namespace) -> str:
    """Return the webhook URL as it is written.

    Raises:
        InvalidWebhookURLError: The URL is missing or malformed.
    """
    url = _read_url(options.url_file) if options.url_file else os.environ.get("DISCORD_WEBHOOK_URL", "").strip()
    if not url:
        where = f"The file {options.url_file} is empty" if options.url_file else "No webhook URL is set"
        raise InvalidWebhookURLError(
            f"{where}: set DISCORD_WEBHOOK_URL, or name a file that holds the URL with --url-file. Discord shows the "
            "URL in the channel's settings, under Integrations, Webhooks."
        )
    WebhookURL.parse(url, allow_http=options.allow_http)
    return url


def _read_url(path: str) -> str:
    with Path(path).open(encoding="utf-8-sig", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and stat.S_ISREG(mode) and mode & stat.S_IROTH:
            sys.stderr.write(f"discord-logging: everybody on this machine can read {path}: chmod 600 {path}\n")
        return file.readline(_MAX_URL_CHARACTERS).strip()
