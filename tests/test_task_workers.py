"""Tests of the integrations of Celery and RQ with the commands that users run, and a real Redis."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import celery
import pytest
import redis
import rq

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Self

pytestmark = [
    pytest.mark.measured,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers need a platform that forks"),
]

_SHOP = """
import logging, os, pathlib, signal, sys, threading, time
import celery
from celery.exceptions import Ignore, Reject
from celery.utils.log import get_task_logger
from discord_logging.celery import DiscordLogging

FOLDER = pathlib.Path(__file__).parent
app = celery.Celery("shop", broker=os.environ["REDIS_URL"])
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger="KEEP_ROOT" not in os.environ)
DiscordLogging(app, repeat_window=600, flush_timeout=10)
log = get_task_logger(__name__)

class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__("it has a lock")
        self.lock = threading.Lock()

@app.task
def pay(order, token):
    raise ValueError("no money")

@app.task
def hide(order):
    raise ValueError("hidden arguments")

@app.task
def lock():
    raise Unpicklable(1, 2)

@app.task
def note():
    try:
        raise ZeroDivisionError("told by the task")
    except ZeroDivisionError:
        log.exception("The task has logged it")
        raise

@app.task
def speak():
    log.error("from the logger of the task")
    logging.getLogger("shop.stock").error("from a logger of the shop")
    print("printed")

@app.task(bind=True, max_retries=1)
def retry(self):
    try:
        raise KeyError("retried")
    except KeyError as error:
        raise self.retry(exc=error, countdown=0)

@app.task(autoretry_for=(OSError,), max_retries=1, default_retry_delay=0)
def autoretry():
    raise OSError("retried automatically")

@app.task
def ignore():
    raise Ignore()

@app.task
def reject():
    raise Reject("rejected", requeue=False)

@app.task(throws=(LookupError,))
def expect():
    raise LookupError("expected")

@app.task
def leave():
    raise SystemExit(3)

@app.task
def die():
    os.kill(os.getpid(), signal.SIGKILL)

@app.task
def log_and_die():
    log.error("the last words of the process")
    os.kill(os.getpid(), signal.SIGKILL)

@app.task(soft_time_limit=0.5)
def hurry():
    time.sleep(20)

@app.task(time_limit=1)
def hang():
    time.sleep(20)

@app.task
def finish():
    deadline = time.monotonic() + 20
    FOLDER.joinpath("finishing").touch()
    while not FOLDER.joinpath("ending").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    log.error("last words")
"""


@pytest.fixture
def clean_redis(redis_url: str) -> str:
    """Return the URL of a Redis without keys."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a Discord without limits, because processes do not know each other's requests."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


class Cards:
    """The cards in a channel."""

    def __init__(self, discord: LocalDiscord) -> None:
        self.all: list[Any] = [embed for message in discord.messages for embed in message.embeds]

    def counts(self) -> Counter[str]:
        """Return how many cards have each first line. A repeat in another process makes a card of its own."""
        return Counter(_plain(card["description"].split("\n")[0]) for card in self.all)

    def fields(self, text: str) -> dict[str, str]:
        """Return the fields of the first card whose text begins with `text`."""
        card = next(card for card in self.all if _plain(card["description"]).startswith(text))
        return {_plain(field["name"]): _plain(field["value"]) for field in card["fields"]}

    def number(self, text: str) -> int:
        """Return how many records the cards whose text begins with `text` stand for."""
        found = [str(card) for card in self.all if _plain(card["description"]).startswith(text)]
        return sum(int(count[1]) if (count := re.search(r"×(\d+), first", card)) else 1 for card in found)  # noqa: RUF001 - the sign

    def place(self, text: str) -> Any:
        """Return the file and the function that raised, on the first card whose text begins with `text`."""
        card = next(card for card in self.all if _plain(card["description"]).startswith(text))
        return re.findall(r"-# (\S+):\d+ in (\w+)", _plain(card["description"]))[0]


def _plain(text: str) -> str:
    return text.replace("\\", "")


@contextlib.contextmanager
def _running(folder: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program in `folder`; kill it after the block if it has not ended."""
    with folder.joinpath("output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class CeleryWorker:
    """A worker of the shop.

    Args:
        folder: The working directory.
        discord: Where its records are posted.
        url: The address of the broker.
        options: Further options of the command line.
        environment: Variables for the worker.
    """

    def __init__(self, folder: Path, discord: LocalDiscord, url: str, *options: str, **environment: str) -> None:
        folder.joinpath("shop.py").write_text(_SHOP)
        self._folder, self._discord = folder, discord
        self._client = celery.Celery("client", broker=url, set_as_current=False)
        environment |= {"DISCORD_WEBHOOK_URL": discord.webhook_url, "REDIS_URL": url}
        self._running = _running(folder, "-m", "celery", "-A", "shop", "worker", *options, **environment)

    def __enter__(self) -> Self:
        """Start the worker and wait until it is ready."""
        self._process = self._running.__enter__()
        self.wait_for("shop worker started")
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the worker if it has not ended."""
        self._client.close()
        self._running.__exit__(None, None, None)

    def send(self, name: str, *args: Any, **options: Any) -> None:
        """Send a task to the worker."""
        self._client.send_task(f"shop.{name}", args, **options)

    def wait_for(self, *texts: str) -> None:
        """Wait until messages with `texts` have arrived."""
        for text in texts:
            self._discord.wait_for(text, timeout=30)

    def end(self) -> Cards:
        """End the worker in order while its last task runs, and return the cards that have arrived."""
        self.send("finish")
        deadline = time.monotonic() + 30
        while not self._folder.joinpath("finishing").exists():
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.01)
        self._process.terminate()
        # The process of the task ends a second after it.
        self._discord.fail_next(Fault.stall(1.5))
        self._folder.joinpath("ending").touch()
        # A process of the pool waits for 30 s at its end if billiard has lost count of its results, since others died.
        assert self._process.wait(90) == 0, self.output()
        return Cards(self._discord)

    def output(self) -> str:
        """Return what the worker has written to the console."""
        return self._folder.joinpath("output").read_text()


def test_each_failed_task_of_a_prefork_worker_is_one_card(
    discord: LocalDiscord, tmp_path: Path, clean_redis: str
) -> None:
    """The card has the arguments by name; retries make none but the last, and records before the end arrive."""
    with CeleryWorker(tmp_path, discord, clean_redis, "--concurrency", "2") as worker:
        worker.send("pay", 7, kwargs={"token": "kQ7zT2"})
        worker.send("pay", 8, "kQ7zT2")
        worker.send("hide", 7, argsrepr="(hidden)")
        # JSON makes other values of these, whose text is not that of the arguments.
        worker.send("pay", {1: (2,)}, "kQ7zT2")
        for name in ("lock", "note", "speak", "retry", "autoretry", "ignore", "reject", "expect", "hurry"):
            worker.send(name)
        worker.wait_for("no money", "hidden arguments", "it has a lock", "The task has logged it", "of the shop")
        worker.wait_for("KeyError", "retried automatically", "SoftTimeLimitExceeded")
        # These end a process of the pool, with all that it has not delivered yet.
        for name, text in (("die", "SIGKILL"), ("hang", "❌ TimeLimitExceeded"), ("leave", "exitcode 3")):
            worker.send(name)
            worker.wait_for(text)
        cards = worker.end()
        output = worker.output()
    counts = cards.counts()
    assert counts.pop("Task shop.pay failed") == 3
    assert counts == dict.fromkeys(
        [
            "shop worker started",
            *(f"Task shop.{name} failed" for name in ("hide", "lock", "retry", "autoretry", "hurry", "hang")),
            *(f"Task shop.{name} failed" for name in ("die", "leave")),
            "The task has logged it",
            "from the logger of the task",
            "from a logger of the shop",
            "last words",
        ],
        1,
    )
    pay = cards.fields("Task shop.pay failed")
    assert {**pay, "task_id": "an id", "arguments": ""} == {
        "task": "shop.pay",
        "task_id": "an id",
        "arguments": "",
        "queue": "celery",
        "worker": pay["worker"],
    }
    assert pay["arguments"] in ("{'order': 7, 'token': '***'}", "{'order': 8, 'token': '***'}")
    assert cards.place("Task shop.pay failed") == ("shop.py", "pay")
    assert cards.fields("Task shop.hide failed")["args"] == "(hidden)"
    assert "kwargs" not in cards.fields("Task shop.hide failed")
    assert cards.fields("Task shop.retry failed")["retries"] == "1"
    assert cards.fields("from a logger of the shop").keys() == {"task", "task_id"}
    assert cards.fields("Task shop.die failed").keys() >= {"task", "task_id"}
    assert "kQ7zT2" not in str(cards.all)
    # Celery's own output is still there.
    assert "raised unexpected: ValueError('no money')" in output
    assert "discord_logging" not in output


@pytest.mark.once
@pytest.mark.parametrize(
    ("pool", "environment"),
    [("threads", {}), ("solo", {}), ("solo", {"KEEP_ROOT": "1"})],
    ids=["threads", "solo", "root"],
)
def test_other_pools_report_failed_tasks_too(
    discord: LocalDiscord, tmp_path: Path, clean_redis: str, pool: str, environment: dict[str, str]
) -> None:
    """Failures that differ in the id alone are one card with their number; the console shows what it showed before."""
    with CeleryWorker(tmp_path, discord, clean_redis, "--pool", pool, "--concurrency", "2", **environment) as worker:
        for _ in range(5):
            worker.send("pay", 7, "kQ7zT2")
        for name in ("lock", "note", "speak"):
            worker.send(name)
        worker.wait_for("it has a lock", "The task has logged it", "from a logger of the shop")
        cards = worker.end()
        output = worker.output()
    assert cards.counts().keys() == {
        "shop worker started",
        "Task shop.pay failed",
        "Task shop.lock failed",
        "The task has logged it",
        "from the logger of the task",
        "from a logger of the shop",
        "last words",
    }
    assert cards.counts()["Task shop.pay failed"] <= 2
    assert cards.number("Task shop.pay failed") == 5
    assert cards.fields("Task shop.pay failed")["arguments"] == "{'order': 7, 'token': '***'}"
    assert cards.fields("last words")["task"] == "shop.finish"
    assert "raised unexpected: ValueError('no money')" in output


@pytest.mark.once
def test_a_task_that_kills_its_process_loses_no_record_of_a_backlog(
    discord: LocalDiscord, tmp_path: Path, clean_redis: str
) -> None:
    """The processes of the pool share the backlog, and the others deliver."""
    backlog = str(tmp_path / "backlog")
    with CeleryWorker(tmp_path, discord, clean_redis, "--concurrency", "2", DISCORD_BACKLOG=backlog) as worker:
        for _ in range(3):
            worker.send("log_and_die")
        worker.send("speak")
        worker.wait_for("of the shop", "the last words of the process")
        cards = worker.end()
        assert "discord_logging" not in worker.output()
    assert cards.number("the last words of the process") == 3
    assert cards.number("Task shop.log_and_die failed") == 3
    assert cards.counts()["from a logger of the shop"] == 1


@pytest.mark.once
def test_beat_posts_its_start(discord: LocalDiscord, tmp_path: Path, clean_redis: str) -> None:
    """The notice is the one of beat."""
    tmp_path.joinpath("shop.py").write_text(_SHOP)
    environment = {"DISCORD_WEBHOOK_URL": discord.webhook_url, "REDIS_URL": clean_redis}
    with _running(tmp_path, "-m", "celery", "-A", "shop", "beat", **environment) as process:
        discord.wait_for("shop beat started", timeout=30)
        process.terminate()
        assert process.wait(20) == 0


_JOBS = """
import logging, os, signal

log = logging.getLogger("shop.jobs")

def pay(order, token):
    raise ValueError("no money")

def speak():
    log.error("from a job")

def note():
    try:
        raise ZeroDivisionError("told by the job")
    except ZeroDivisionError:
        log.exception("The job has logged it")
        raise

def retry():
    raise KeyError("retried")

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def log_and_die():
    log.error("the last words of the process")
    die()
"""


@pytest.mark.parametrize(
    "name", ["Worker", *(pytest.param(name, marks=pytest.mark.once) for name in ("SimpleWorker", "SpawnWorker"))]
)
def test_each_failed_job_of_rq_is_one_card(discord: LocalDiscord, tmp_path: Path, clean_redis: str, name: str) -> None:
    """RQ ends the process of a job with `os._exit`; before that, the records of the job are delivered."""
    tmp_path.joinpath("jobs.py").write_text(_JOBS)
    with redis.Redis.from_url(clean_redis) as client:
        queue = rq.Queue("shop", connection=client)
        queue.enqueue("jobs.pay", 7, "kQ7zT2")
        queue.enqueue("jobs.speak")
        queue.enqueue("jobs.note")
        queue.enqueue("jobs.retry", retry=rq.Retry(max=1))
        queue.enqueue("jobs.missing", 7)
        if name == "Worker":
            queue.enqueue("jobs.die")
    discord.fail_next(Fault.stall(0.5), times=3)
    command = ["-m", "rq.cli", "worker", "shop", "--url", clean_redis, "--burst"]
    environment = {"DISCORD_WEBHOOK_URL": discord.webhook_url}
    with _running(tmp_path, *command, "--worker-class", f"discord_logging.rq.{name}", **environment) as process:
        assert process.wait(60) == 0
        output = tmp_path.joinpath("output").read_text()
    cards = Cards(discord)
    died = ["Job jobs.die failed: its process ended unexpectedly with the exit code -9"] if name == "Worker" else []
    assert cards.counts() == dict.fromkeys(
        [
            *(f"Job jobs.{job} failed" for job in ("pay", "retry", "missing")),
            *died,
            "from a job",
            "The job has logged it",
        ],
        1,
    )
    pay = cards.fields("Job jobs.pay failed")
    assert pay.keys() == {"job", "job_id", "arguments", "queue", "worker"}
    assert pay["arguments"] == "{'order': 7, 'token': '***'}"
    assert cards.place("Job jobs.pay failed") == ("jobs.py", "pay")
    assert cards.fields("from a job").keys() == {"job", "job_id"}
    assert cards.fields("Job jobs.missing failed")["args"] == "(7,)"
    assert "kQ7zT2" not in str(cards.all)
    # RQ's own output is still there.
    assert "exception raised while executing (jobs.pay)" in output
    assert "not delivered" not in output


@pytest.mark.once
def test_a_job_that_kills_its_process_loses_no_record_of_a_backlog(
    discord: LocalDiscord, tmp_path: Path, clean_redis: str
) -> None:
    """The worker delivers what the process of the job has left."""
    tmp_path.joinpath("jobs.py").write_text(_JOBS)
    with redis.Redis.from_url(clean_redis) as client:
        for _ in range(3):
            rq.Queue("shop", connection=client).enqueue("jobs.log_and_die")
    command = ["-m", "rq.cli", "worker", "shop", "--url", clean_redis, "--burst"]
    environment = {"DISCORD_WEBHOOK_URL": discord.webhook_url, "DISCORD_BACKLOG": str(tmp_path / "backlog")}
    with _running(tmp_path, *command, "--worker-class", "discord_logging.rq.Worker", **environment) as process:
        assert process.wait(60) == 0
    assert Cards(discord).number("the last words of the process") == 3


@pytest.mark.once
def test_an_rq_worker_posts_its_start(discord: LocalDiscord, tmp_path: Path, clean_redis: str) -> None:
    """A worker that waits for jobs is a service, and one with `--burst` is not."""
    command = ["-m", "rq.cli", "worker", "shop", "--url", clean_redis, "--worker-class", "discord_logging.rq.Worker"]
    with _running(tmp_path, *command, DISCORD_WEBHOOK_URL=discord.webhook_url) as process:
        discord.wait_for("RQ worker started", timeout=30)
        process.terminate()
        assert process.wait(20) == 0
    assert Cards(discord).fields("RQ worker started")["queues"] == "shop"
