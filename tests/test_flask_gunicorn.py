"""Tests of the Flask extension under real servers: gunicorn with four workers, and Flask's own server."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault, LocalDiscord
from tests.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Gunicorn

    StartGunicorn = Callable[..., Gunicorn]

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs a platform that forks"),
]

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


def _health(server: Gunicorn) -> tuple[Counter[tuple[int, str, str]], set[int]]:
    """Return the number of workers in each state, by their health pages, and the workers."""
    answers = [(code, json.loads(text)) for code, text in server.ask_all("/health")]
    states = Counter((code, body["status"], body["discord"]["status"]) for code, body in answers)
    return states, {body["process"] for _, body in answers}


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a Discord without limits, because processes do not know each other's requests."""
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
def test_gunicorn_reports_each_exception_and_the_start_once(
    discord: LocalDiscord, gunicorn: StartGunicorn, options: tuple[str, ...]
) -> None:
    """Exceptions arrive once with their requests, the start once, and records before SIGTERM arrive."""
    server = gunicorn(_APP, *options, DISCORD_WEBHOOK_URL=discord.webhook_url)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for number in range(6):
        headers = {**form, "X-Request-ID": f"request-{number}"}
        assert server.ask("/fail", f"number={number}&password=hunter2", headers)[0] == 500
    if not options:
        # New workers of the same server are not a new start.
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("booted", 8)
        server.wait_for("gone", 4)
    pids = [int(text) for _, text in server.ask_all("/burst")]
    err = server.end()
    assert _starts(discord) == 1
    failed = [card for card in _cards(discord) if card["description"].startswith("Exception on /fail ")]
    shown = [{field["name"]: field["value"] for field in card["fields"]} for card in failed]
    reported = Counter((fields["request\\_id"], fields["endpoint"], fields["method"]) for fields in shown)
    assert reported == {(f"request-{number}", "fail", "POST"): 1 for number in range(6)}
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


def test_health_is_true_in_every_state(
    discord: LocalDiscord, gunicorn: StartGunicorn, wait_until: Callable[..., None]
) -> None:
    """The page of each worker shows a healthy state, an outage of Discord, a rate limit and a deleted webhook."""
    server = gunicorn(_APP, DISCORD_WEBHOOK_URL=discord.webhook_url)

    def wait_for(*state: object) -> None:
        wait_until(lambda: _health(server)[0] == {state: 4})

    server.ask_all("/burst")
    wait_for(200, "ok", "ok")
    discord.stop()
    server.ask_all("/burst")
    wait_for(200, "degraded", "retrying")
    discord.start()
    wait_for(200, "ok", "ok")
    discord.fail_next(Fault.rate_limited(3), times=4)
    server.ask_all("/burst")
    wait_for(200, "degraded", "limited")
    wait_for(200, "ok", "ok")
    discord.fail_next(Fault.webhook_deleted(), times=100)
    server.ask_all("/burst")
    wait_for(503, "unhealthy", "stopped")
    assert discord.webhook_url.rpartition("/")[2] not in server.ask("/health")[1]
    server.end()


def test_health_is_disabled_without_a_webhook(gunicorn: StartGunicorn) -> None:
    """All four workers are disabled and healthy."""
    server = gunicorn(_APP, "--preload", DISCORD_WEBHOOK_URL="")
    server.ask_all("/burst")
    states, workers = _health(server)
    assert (states, len(workers)) == ({(200, "ok", "disabled"): 4}, 4)
    server.end()


def _run_flask(folder: Path, url: str, *arguments: str) -> Server:
    """Run a command of Flask."""
    (folder / "shop.py").write_text(_APP)
    return Server(folder, "-m", "flask", "--app", "shop", *arguments, DISCORD_WEBHOOK_URL=url)


def test_the_reloader_posts_one_start(discord: LocalDiscord, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    """The start is reported once, although the reloader runs two processes, and a new one after each change."""
    with _run_flask(tmp_path, discord.webhook_url, "run", "--debug", "--port", "0") as server:
        wait_until(lambda: "Debugger PIN" in server.output)
        later = itertools.count(int(time.time()) + 10)

        def is_reloaded() -> bool:
            # The reloader misses a change that comes before its first scan.
            os.utime(tmp_path / "shop.py", (0, next(later)))
            return server.output.count("Debugger PIN") > 1

        wait_until(is_reloaded)
        discord.wait_for(1)
        server.interrupt()
    assert _starts(discord) == 1


def test_sigterm_ends_the_development_server_without_loss(
    discord: LocalDiscord, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    """Records arrive, and the signal ends the process as it does without the extension."""
    with _run_flask(tmp_path, discord.webhook_url, "run", "--port", "0") as server:
        wait_until(server.ports)
        assert server.ask("/burst") == (200, True)
        server.end()
        assert server.process.returncode == -signal.SIGTERM
    everything = _everything(discord)
    assert [text for text in ("shop started", *(f"burst {n} of" for n in range(50))) if text not in everything] == []


def test_another_command_is_not_a_start(discord: LocalDiscord, tmp_path: Path) -> None:
    """`flask routes` posts no start."""
    with _run_flask(tmp_path, discord.webhook_url, "routes") as server:
        assert server.process.wait(20) == 0
    assert discord.messages == []


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
def test_workers_share_a_backlog(
    discord: LocalDiscord, gunicorn: StartGunicorn, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A worker is killed with records that wait, and others take its place: all records arrive."""
    folder = tmp_path / "backlog"
    server = gunicorn(_APP, *options, DISCORD_WEBHOOK_URL=discord.webhook_url, DISCORD_BACKLOG=str(folder))
    discord.wait_for("shop started", timeout=20)
    discord.stop()
    pids = [int(text) for _, text in server.ask_all("/burst")]
    os.kill(pids[0], signal.SIGKILL)
    server.wait_for("booted", 5)
    discord.start()
    if not options:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("booted", 9)
        server.wait_for("gone", 5)
    pids += [int(text) for _, text in server.ask_all("/burst")]
    err = server.end()
    everything = _everything(discord)
    lost = [(n, pid) for n in range(50) for pid in pids if not re.search(rf"burst {n} of {pid}\b", everything)]
    assert (len(pids), lost) == (8, [])
    assert _starts(discord) == 1
    assert "discord_logging: " not in err
