"""Tests of the APScheduler extension, with schedulers in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import apscheduler.executors.asyncio
import apscheduler.executors.base
import apscheduler.executors.debug
import apscheduler.executors.pool
import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

from discord_logging import DiscordHandler
from discord_logging.apscheduler import DiscordLogging
from tests.conftest import cards

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging.sandbox import LocalDiscord


@pytest.fixture(autouse=True)
def _restored_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the functions that run jobs."""
    executors = apscheduler.executors
    for module in (executors.base, executors.pool, executors.debug, executors.asyncio):
        for name in ("run_job", "run_coroutine_job"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(module, name))


def run(scheduler: Any, *jobs: Callable[..., Any], **options: Any) -> None:
    """Run each job once."""
    done = threading.Semaphore(0)
    scheduler.add_listener(lambda _: done.release(), EVENT_JOB_ERROR | EVENT_JOB_EXECUTED)
    for job in jobs:
        scheduler.add_job(job, misfire_grace_time=None, **options)
    scheduler.start()
    try:
        for _ in jobs:
            assert done.acquire(timeout=30)
    finally:
        scheduler.shutdown()


@pytest.fixture
def scheduler(discord: LocalDiscord) -> BackgroundScheduler:
    """Return a scheduler with the extension."""
    made = BackgroundScheduler()
    DiscordLogging(made, webhook_url=discord.webhook_url)
    return made


def pay(order: int, token: str) -> None:
    raise ValueError(f"no money for {order}, {token}")


def note() -> None:
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        logging.getLogger("shop").exception("The job has logged it")
        raise


def speak() -> None:
    logging.getLogger("shop").error("from the job")


async def wait() -> None:
    await asyncio.sleep(0)
    raise KeyError("from a coroutine")


def test_a_failed_job_is_one_card(discord: LocalDiscord, scheduler: BackgroundScheduler) -> None:
    """The card has the arguments by name, and APScheduler's own record makes none."""
    run(scheduler, pay, args=[7, "kQ7zT2"], id="nightly", name="Pay the bills")
    ((text, fields),) = cards(discord)
    assert text == "Job Pay the bills failed"
    assert fields.pop("trigger").startswith("date[")
    assert fields == {"job": "Pay the bills", "job_id": "nightly", "arguments": "{'order': 7, 'token': '***'}"}


def test_records_of_a_job_show_it(discord: LocalDiscord, scheduler: BackgroundScheduler) -> None:
    """An exception that the job logs and raises is one card."""
    run(scheduler, note, speak)
    assert sorted((text, sorted(fields)) for text, fields in cards(discord)) == [
        ("The job has logged it", ["job", "job_id", "trigger"]),
        ("from the job", ["job", "job_id"]),
    ]


def test_a_job_of_another_process_is_one_card(discord: LocalDiscord, scheduler: BackgroundScheduler) -> None:
    """The exception has no traceback any more, but APScheduler tells it as text."""
    scheduler.add_executor("processpool", "processes", max_workers=1)
    # Another process finds a function of the standard library, wherever the tests lie.
    run(scheduler, json.loads, args=["no money"], id="nightly", executor="processes")
    ((text, fields),) = cards(discord)
    assert text == "A job failed"
    assert fields == {"job_id": "nightly"}
    card = discord.messages[0].embeds[0]
    assert "Expecting value: line 1 column 1" in card["title"]
    assert "in raw" in card["description"]


def test_coroutines_are_watched(discord: LocalDiscord) -> None:
    """An asyncio scheduler runs coroutines in its loop and functions in threads."""

    async def main() -> None:
        scheduler = AsyncIOScheduler()
        ended = asyncio.Queue[None]()
        scheduler.add_listener(lambda _: ended.put_nowait(None), EVENT_JOB_ERROR)
        scheduler.add_job(wait, misfire_grace_time=None)
        scheduler.add_job(pay, args=[7, "x"], misfire_grace_time=None)
        scheduler.start()
        # A scheduler that runs already is set up at once.
        DiscordLogging(scheduler, webhook_url=discord.webhook_url)
        for _ in range(2):
            await asyncio.wait_for(ended.get(), 20)
        scheduler.shutdown()

    asyncio.run(main())
    assert sorted(text for text, _ in cards(discord)) == ["Job pay failed", "Job wait failed"]


def test_a_configured_handler_is_used(discord: LocalDiscord) -> None:
    """The extension adds no second one, and a second scheduler reports no failure twice."""
    handler = DiscordHandler(discord.webhook_url, logging.ERROR)
    logging.root.addHandler(handler)
    with contextlib.ExitStack() as stack:
        other = BackgroundScheduler()
        DiscordLogging(other)
        other.start()
        stack.callback(other.shutdown)
        scheduler = BackgroundScheduler()
        DiscordLogging(scheduler)
        run(scheduler, speak, note)
    assert [each for each in logging.root.handlers if isinstance(each, DiscordHandler)] == [handler]
    assert sorted(text for text, _ in cards(discord)) == ["The job has logged it", "from the job"]
