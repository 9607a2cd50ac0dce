"""Programs that fail in one way each, in a process of their own with a hard time limit."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from discord_logging.sandbox import LocalDiscord


_PRELUDE = """
import logging, os, sys, threading, time
import discord_logging
handler = discord_logging.DiscordHandler(flush_timeout=2)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")
"""


@dataclass(frozen=True)
class Finished:
    """How a program ended.

    Attributes:
        code: Its exit code; negative is the signal that ended it.
        out: What it printed.
        err: What it wrote to stderr.
        seconds: How long it ran.
    """

    code: int
    out: str
    err: str
    seconds: float


class Run(Protocol):
    """Runs a program to its end."""

    def __call__(self, script: str, *, url: str = "", timeout: float = 40.0, prelude: str = _PRELUDE) -> Finished:
        """Run `script`, in which `log` has the handler `handler`.

        Args:
            script: The program.
            url: Where it posts to; "" is the local Discord.
            timeout: Seconds after which it hangs: it is killed, and the test fails.
            prelude: What it begins with.
        """


@pytest.fixture
def run(discord: LocalDiscord) -> Run:
    def run_program(script: str, *, url: str = "", timeout: float = 40.0, prelude: str = _PRELUDE) -> Finished:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", prelude + textwrap.dedent(script)],
            env={**os.environ, "DISCORD_WEBHOOK_URL": url or discord.webhook_url},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    return run_program


@pytest.fixture
def texts(discord: LocalDiscord) -> Any:
    """Return a function that gives the first line of each card in the channel, in order."""

    def read() -> list[str]:
        return [embed["description"].split("\n")[0] for message in discord.messages for embed in message.embeds]

    return read
