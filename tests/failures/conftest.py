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
handler = discord_logging.DiscordHandler(flush_timeout=20)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")
"""

PEAK = """
def peak():
    # `ru_maxrss` begins with the memory of the process that started this one, and hides smaller figures.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
"""
"""A function for programs on Linux: their peak memory, in bytes."""


@dataclass(frozen=True)
class Finished:
    """The end of a program.

    Attributes:
        code: The exit code; a negative code is the signal that ended the program.
        out: The output of the program.
        err: The text on stderr.
        seconds: The duration of the program.
    """

    code: int
    out: str
    err: str
    seconds: float


class Run(Protocol):
    """Runs a program to its end."""

    def __call__(self, script: str, *, url: str = "", timeout: float = 100.0, prelude: str = _PRELUDE) -> Finished:
        """Run `script`, in which `log` has the handler `handler`.

        Args:
            script: The program.
            url: The webhook to post to; "" stands for the local Discord.
            timeout: The seconds after which the program is killed, and the test fails.
            prelude: The code before the handler is made.
        """


@pytest.fixture
def run(discord: LocalDiscord) -> Run:
    def run_program(script: str, *, url: str = "", timeout: float = 100.0, prelude: str = _PRELUDE) -> Finished:
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
