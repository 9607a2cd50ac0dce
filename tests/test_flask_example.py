"""Tests of the example of a Flask application, through HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once

EXAMPLE = Path(__file__).parent.parent / "examples" / "flask_newsletter" / "newsletter"


class _Site:
    """The running application."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.url = self.wait_for(r"Running on (http://\S+)")

    def _read(self) -> None:
        assert self._process.stdout
        self._lines.extend(iter(self._process.stdout.readline, ""))

    def wait_for(self, pattern: str) -> str:
        deadline = time.monotonic() + 20
        while not (match := re.search(pattern, "".join(self._lines))):
            assert time.monotonic() < deadline, self._lines
            time.sleep(0.01)
        return match[1]

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", body, timeout=20) as answer:  # noqa: S310 - loopback
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._reader.join()
        assert self._process.stdout
        self._process.stdout.close()


@contextlib.contextmanager
def serve(discord: LocalDiscord, **environment: str) -> Iterator[_Site]:
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", str(EXAMPLE), "run", "--port", "0"],
        env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        site = _Site(process)
        yield site
        site.end()
    finally:
        process.kill()
        process.wait()


def card_texts(discord: LocalDiscord) -> list[tuple[str, str]]:
    return [
        (card["title"].partition(" ")[2], card["description"].split("\n")[0].replace("\\", ""))
        for message in discord.messages
        for card in message.embeds
    ]


def test_subscriptions_are_reported(discord: LocalDiscord) -> None:
    """The channel shows the start, a subscriber, the confirmation, the rate limit and an error, but no full address."""
    with serve(discord) as site:
        assert site.ask("/statistics")[0] == 500
        assert site.ask("/subscribe", b"email=ann@example.com")[0] == 202
        link = site.wait_for(r"newsletter: http://[^/]+(/confirm/\S+)")
        assert [site.ask(link)[0] for _ in range(2)] == [200, 404]
        codes = [site.ask("/subscribe", b"email=bob")[0] for _ in range(3)]
        assert codes == [400, 400, 429]
        code, health = site.ask("/health")
        assert (code, health["application"], health["discord"]["status"]) == (200, "newsletter", "ok")
        # The messages are sent one after the other, as the limits of a real channel require.
        discord.wait_for(1)
    assert card_texts(discord) == [
        ("INFO · newsletter", "newsletter started"),
        ("ZeroDivisionError: division by zero · ERROR · newsletter", "Exception on /statistics [GET]"),
        ("INFO · newsletter", "New subscriber"),
        ("INFO · newsletter", "Subscription confirmed"),
        ("WARNING · newsletter", "Too many subscriptions from one address"),
    ]
    assert "ann@example.com" not in str([message.payload for message in discord.messages])


def test_a_mail_failure_is_reported(discord: LocalDiscord) -> None:
    """A mail that cannot be sent is an error with its traceback, and the subscriber gets an answer."""
    with serve(discord, MAIL_HOST="127.0.0.1:1") as site:
        assert site.ask("/subscribe", b"email=ann@example.com")[0] == 503
    titles = {text: title for title, text in card_texts(discord)}
    title = titles["The confirmation could not be mailed"]
    assert title.startswith("ConnectionRefusedError: ")
    assert title.endswith(" · ERROR · newsletter")
    assert "ConnectionRefusedError" in str([message.payload for message in discord.messages])
