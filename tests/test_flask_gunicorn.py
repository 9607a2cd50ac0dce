"""The Flask extension under real servers: gunicorn with four workers, and Flask's own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs a platform that forks")

_APP = """
import os, pathlib, time
import flask
from discord_logging.flask import DiscordLogging

FOLDER = pathlib.Path(__file__).parent
app = flask.Flask("shop")
app.config.update(DISCORD_RETRY_DELAYS=[0.5], DISCORD_REPEAT_WINDOW=0, DISCORD_FLUSH_TIMEOUT=10)
DiscordLogging(app)

@app.before_request
def wait_for_the_others():
    # A worker serves one request at a time, so four that wait for each other are in four workers.
    if tag := flask.request.args.get("together"):
        FOLDER.joinpath(f"{tag}-{os.getpid()}").touch()
        deadline = time.monotonic() + 10
        while len(list(FOLDER.glob(f"{tag}-*"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)

@app.post("/fail")
def fail():
    raise ValueError(f"no {flask.request.form['number']}")

@app.get("/burst")
def burst():
    for number in range(50):
        app.logger.error("burst %d of %d", number, os.getpid())
    return str(os.getpid())
"""
_CONFIG = """
import pathlib
bind = "127.0.0.1:0"
workers = 4

def note(word, number):
    with pathlib.Path(__file__).with_name("notes").open("a") as notes:
        print(word, number, file=notes)

def when_ready(server):
    note("port", server.LISTENERS[0].sock.getsockname()[1])

def post_worker_init(worker):
    note("booted", worker.pid)

def child_exit(server, worker):
    note("gone", worker.pid)
"""


class _Gunicorn:
    """A gunicorn with four workers, in a process of its own."""

    def __init__(self, folder: Path, url: str, *options: str) -> None:
        self._folder = folder
        (folder / "shop.py").write_text(_APP)
        (folder / "gunicorn.conf.py").write_text(_CONFIG)
        (folder / "notes").touch()
        self._tags = itertools.count()
        # gunicorn puts a socket into its home.
        environment = {**os.environ, "DISCORD_WEBHOOK_URL": url, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "shop:app"],
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        self.wait_for("booted", 4)
        return self

    def __exit__(self, *_: object) -> None:
        # Its workers notice when it is gone.
        self.process.kill()
        self.process.communicate()

    def wait_for(self, word: str, count: int) -> list[int]:
        def read() -> list[int]:
            lines = (self._folder / "notes").read_text().splitlines()
            return [int(line.split()[1]) for line in lines if line.startswith(word)]

        _wait_until(lambda: len(read()) >= count or self.process.poll() is not None, 20)
        return read()

    def ask(self, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
        (port,) = self.wait_for("port", 1)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("POST" if body else "GET", path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def ask_all(self, path: str) -> list[tuple[int, str]]:
        """Send a request to each worker."""
        query = f"{path}?together={next(self._tags)}"
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.ask(query), range(4)))

    def health(self) -> tuple[Counter[tuple[int, str, str]], set[int]]:
        """Return how many workers are in which state by their health pages, and the workers."""
        answers = [(code, json.loads(text)) for code, text in self.ask_all("/health")]
        states = Counter((code, body["status"], body["discord"]["status"]) for code, body in answers)
        return states, {body["process"] for _, body in answers}

    def wait_for_health(self, code: int, status: str, discord: str) -> None:
        _wait_until(lambda: self.health()[0] == {(code, status, discord): 4}, 20)

    def end(self) -> str:
        """End it in order; return what it wrote to stderr."""
        self.process.terminate()
        _, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0
        return err


def _wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a Discord without limits: processes know nothing of each other's requests."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


def _cards(discord: LocalDiscord) -> list[Any]:
    return [embed for message in discord.messages for embed in message.embeds]


def _everything(discord: LocalDiscord) -> str:
    files = [file.data.decode() for message in discord.messages for file in message.files]
    return str([message.payload for message in discord.messages]) + "".join(files)


def _starts(discord: LocalDiscord) -> int:
    return sum(card["description"] == "shop started" for card in _cards(discord))


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
def test_gunicorn(discord: LocalDiscord, tmp_path: Path, options: tuple[str, ...]) -> None:
    """500s arrive once with their requests, the start once, and what is logged before SIGTERM arrives."""
    with _Gunicorn(tmp_path, discord.webhook_url, *options) as gunicorn:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for number in range(6):
            headers = {**form, "X-Request-ID": f"request-{number}"}
            assert gunicorn.ask("/fail", f"number={number}&password=hunter2", headers)[0] == 500
        if not options:
            # New workers of the same server are no new start.
            gunicorn.process.send_signal(signal.SIGHUP)
            gunicorn.wait_for("booted", 8)
            gunicorn.wait_for("gone", 4)
        pids = [int(text) for _, text in gunicorn.ask_all("/burst")]
        err = gunicorn.end()
    assert _starts(discord) == 1
    failed = [card for card in _cards(discord) if card["description"].startswith("Exception on /fail ")]
    shown = [{field["name"]: field["value"] for field in card["fields"]} for card in failed]
    told = Counter((fields["request\\_id"], fields["endpoint"], fields["method"]) for fields in shown)
    assert told == {(f"request-{number}", "fail", "POST"): 1 for number in range(6)}
    assert all(f"ValueError: no {number}" in str(failed) for number in range(6))
    assert "hunter2" not in str(failed)
    everything = _everything(discord)
    lost = [
        (n, pid) for n in range(50) for pid in pids if not re.search(rf"burst {n} of {pid}\b", everything)
    ]  # fmt: skip
    assert (len(pids), lost) == (4, [])
    # Flask's own output is still there.
    assert err.count("ERROR in app: Exception on /fail [POST]") == 6
    assert "discord_logging" not in err


def test_health_is_true_in_every_state(discord: LocalDiscord, tmp_path: Path) -> None:
    """The page of each worker tells what there is to tell: healthy, Discord down, limited, and the webhook deleted."""
    with _Gunicorn(tmp_path, discord.webhook_url) as gunicorn:
        gunicorn.ask_all("/burst")
        gunicorn.wait_for_health(200, "ok", "ok")
        discord.stop()
        gunicorn.ask_all("/burst")
        gunicorn.wait_for_health(200, "degraded", "retrying")
        discord.start()
        gunicorn.wait_for_health(200, "ok", "ok")
        discord.fail_next(Fault.rate_limited(3), times=4)
        gunicorn.ask_all("/burst")
        gunicorn.wait_for_health(200, "degraded", "limited")
        gunicorn.wait_for_health(200, "ok", "ok")
        discord.fail_next(Fault.webhook_deleted(), times=100)
        gunicorn.ask_all("/burst")
        gunicorn.wait_for_health(503, "unhealthy", "stopped")
        assert discord.webhook_url.rpartition("/")[2] not in gunicorn.ask("/health")[1]
        gunicorn.end()


def test_health_is_true_where_it_is_disabled(tmp_path: Path) -> None:
    """Without a webhook all four workers say so, and are well."""
    with _Gunicorn(tmp_path, "", "--preload") as gunicorn:
        gunicorn.ask_all("/burst")
        gunicorn.wait_for_health(200, "ok", "disabled")
        states, workers = gunicorn.health()
        assert (len(states), len(workers)) == (1, 4)
        gunicorn.end()


class _FlaskServer:
    """The development server with its reloader, in a process of its own."""

    def __init__(self, folder: Path, url: str, *arguments: str) -> None:
        (folder / "shop.py").write_text(_APP)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "shop", *arguments],
            cwd=folder,
            env={**os.environ, "DISCORD_WEBHOOK_URL": url, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stderr
        self.process.stderr.close()


def test_reloader_of_the_development_server(discord: LocalDiscord, tmp_path: Path) -> None:
    """The start is told once, although the reloader runs two processes, and more with each change."""
    with _FlaskServer(tmp_path, discord.webhook_url, "run", "--debug", "--port", "0") as server:
        _wait_until(lambda: "Debugger PIN" in "".join(server.lines), 20)
        later = itertools.count(int(time.time()) + 10)

        def is_reloaded() -> bool:
            # It sees no change that comes before its first look.
            os.utime(tmp_path / "shop.py", (0, next(later)))
            return "".join(server.lines).count("Debugger PIN") > 1

        _wait_until(is_reloaded, 20)
        discord.wait_for(1)
        os.killpg(server.process.pid, signal.SIGINT)
        server.process.wait(20)
    assert _starts(discord) == 1


def test_sigterm_ends_the_development_server_without_loss(discord: LocalDiscord, tmp_path: Path) -> None:
    """What was logged arrives, and the signal ends the process as it does without the extension."""
    with _FlaskServer(tmp_path, discord.webhook_url, "run", "--port", "0") as server:
        _wait_until(lambda: "Running on" in "".join(server.lines), 20)
        port = int(re.findall(r"Running on http://127\.0\.0\.1:(\d+)", "".join(server.lines))[0])
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("GET", "/burst")
            assert connection.getresponse().read()
        server.process.terminate()
        assert server.process.wait(20) == -signal.SIGTERM
    everything = _everything(discord)
    assert [text for text in ("shop started", *(f"burst {n} of" for n in range(50))) if text not in everything] == []


def test_another_command_is_no_start(discord: LocalDiscord, tmp_path: Path) -> None:
    """`flask routes` tells of no start."""
    with _FlaskServer(tmp_path, discord.webhook_url, "routes") as server:
        assert server.process.wait(20) == 0
    assert discord.messages == []
