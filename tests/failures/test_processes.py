"""Several processes post to one webhook: Discord counts their messages together, and so do they."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from tests.failures.conftest import Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the memory for it")

_WORKERS = """
import os, sys
def work(number):
    for count in range(2):
        log.critical("worker %d, alarm %d", number, count)
        handler.flush(30)
workers = []
for number in range(6):
    workers.append(os.fork())
    if not workers[-1]:
        work(number)
        os._exit(0)
for pid in workers: os.waitpid(pid, 0)
"""


def refused(discord: LocalDiscord) -> int:
    return sum(request.status == 429 for request in discord.requests)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_workers_that_start_at_once_meet_no_limit(discord: LocalDiscord, run: Run, texts: Any) -> None:
    """Six workers have twelve alarms, of which the webhook accepts five in two seconds.

    Each worker alone would send its first one at once.
    """
    done = run(_WORKERS, timeout=60)
    assert (done.code, done.err) == (0, "")
    assert sorted(texts()) == [f"worker {number}, alarm {count}" for number in range(6) for count in range(2)]
    assert refused(discord) == 0


@pytest.mark.once
def test_the_next_start_knows_what_the_last_one_sent(run: Run) -> None:
    """A restart alone caused a 429: the five messages that the webhook accepts had left before it."""
    with LocalDiscord(webhook_limit=(5, 10.0)) as discord:
        script = "for number in range(5): log.critical('before %d', number); handler.flush(40)"
        assert run(script, url=discord.webhook_url).err == ""
        assert run("log.critical('started'); handler.flush(40)", url=discord.webhook_url).err == ""
        assert len(discord.messages) == 6
        assert refused(discord) == 0
