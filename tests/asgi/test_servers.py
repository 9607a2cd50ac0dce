"""Tests of applications under the servers that their users run."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord
    from tests.asgi.conftest import Card

    Cards = Callable[[], list[Card]]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="some servers need a platform that forks")

_APP = """
import logging, os, signal
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from discord_logging.starlette import DiscordLogging

async def fail(request):
    raise ValueError("no stock")

async def stream(request):
    async def body():
        yield b"begun"
        raise ValueError("no more")
    return StreamingResponse(body())

def burst(request):
    for number in range(50):
        logging.getLogger("shop").error("burst %d", number)
    return PlainTextResponse("done")

def die(request):
    burst(request)
    os.kill(os.getpid(), signal.SIGKILL)

@asynccontextmanager
async def lifespan(app):
    yield
    if os.environ.get("FAIL_AT_SHUTDOWN"):
        raise ValueError("no end")

paths = {"/fail/{number}": fail, "/stream": stream, "/burst": burst, "/die": die}
app = Starlette(routes=[Route(*each) for each in paths.items()], lifespan=lifespan)
app.add_middleware(DiscordLogging, repeat_window=0, flush_timeout=10)

async def bare(scope, receive, send):
    await app(scope, receive, send) if scope["type"] == "http" else 1 / 0

if __name__ == "__main__":
    import sys, uvicorn
    uvicorn.run(DiscordLogging(app, flush_timeout=10), port=int(sys.argv[1]))
"""
_LOG_CONFIG = """
version: 1
disable_existing_loggers: true
handlers:
  discord: {class: discord_logging.DiscordHandler, level: ERROR, repeat_window: 0, flush_timeout: 10}
  console: {class: logging.StreamHandler}
loggers:
  uvicorn: {handlers: [console, discord], propagate: false, level: INFO}
root: {handlers: [console, discord]}
"""
SERVERS = {
    "uvicorn": "-m uvicorn shop:app --port {port}",
    "uvicorn with a configuration": "-m uvicorn shop:app --port {port} --log-config logging.yaml",
    "uvicorn, 4 workers": "-m uvicorn shop:app --port {port} --workers 4",
    "uvicorn without lifespan": "-m uvicorn shop:app --port {port} --lifespan off",
    "uvicorn with an application without lifespan": "-m uvicorn shop:bare --port {port}",
    "uvicorn in a program": "shop.py {port}",
    "hypercorn": "-m hypercorn shop:app -b 127.0.0.1:{port} -w 2",
    "granian": "-m granian --interface asgi --port {port} --workers 2 shop:app",
    "gunicorn": "-m gunicorn -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{port} -w 2 shop:app",
}
_EACH_VERSION = ("uvicorn with a configuration", "uvicorn, 4 workers")


@pytest.fixture
def serve(tmp_path: Path, discord: LocalDiscord, wait_until: Callable[..., None]) -> Iterator[Callable[..., Server]]:
    """Start a server, and wait until it answers."""
    (tmp_path / "shop.py").write_text(_APP)
    (tmp_path / "logging.yaml").write_text(_LOG_CONFIG)
    with contextlib.ExitStack() as stack:

        def start(command: str, **environment: str) -> Server:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            environment["DISCORD_WEBHOOK_URL"] = discord.webhook_url
            server = stack.enter_context(Server(tmp_path, *command.format(port=port).split(), port=port, **environment))
            wait_until(lambda: server.ask("/nowhere")[0] or server.process.poll() is not None)
            return server

        yield start


def everything(discord: LocalDiscord) -> str:
    files = [file.data.decode() for message in discord.messages for file in message.files]
    return str([message.payload for message in discord.messages]) + "".join(files)


def missing(posted: str) -> list[int]:
    """Return the numbers of the records of a burst that were not posted."""
    return [number for number in range(50) if not re.search(rf"burst {number}\b", posted)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _EACH_VERSION else pytest.mark.once) for name in SERVERS]
)
def test_each_exception_and_the_start_are_one_card(
    name: str,
    serve: Callable[..., Server],
    discord: LocalDiscord,
    cards: Cards,
    wait_until: Callable[..., None],
) -> None:
    """The server answers and logs as ever, and what was logged before SIGTERM arrives."""
    server = serve(SERVERS[name])
    paths = ["/fail/1", "/fail/2", "/stream"]
    assert [server.ask(path)[0] for path in paths] == [500, 500, 200]
    wait_until(lambda: len(cards()) >= 4)
    assert server.ask("/burst") == (200, True)
    output = server.end()
    lines = Counter(card.text.split("\n")[0] for card in cards())
    told = {line: count for line, count in lines.items() if not line.startswith("burst")}
    exceptions = {f"Exception on {path} [GET]": 1 for path in paths}
    assert {"ASGI application started": 1, **exceptions}.items() <= told.items()
    posted = everything(discord)
    assert missing(posted) == []
    assert "Exception in ASGI application" not in posted
    assert "/fail/{number}" in posted.replace("\\", "")
    assert posted.count("application started") == 1
    assert output.count("ValueError: no stock") == 2
    assert "discord_logging:" not in output


@pytest.mark.once
@pytest.mark.parametrize(
    "command", [SERVERS["uvicorn with a configuration"], SERVERS["hypercorn"].replace("-w 2", "-w 1")]
)
def test_a_failure_at_shutdown_is_one_card(command: str, serve: Callable[..., Server], cards: Cards) -> None:
    """It is delivered before the signal ends the process."""
    server = serve(command, FAIL_AT_SHUTDOWN="1")
    assert "ValueError: no end" in server.end()
    titles = [card.text.split("\n")[0] for card in cards() if "no end" in card.title]
    assert titles == ["Exception at shutdown"]


@pytest.mark.once
def test_a_killed_worker_loses_no_record_of_a_backlog(
    serve: Callable[..., Server], discord: LocalDiscord, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    """The other workers, and the one in its place, share the backlog."""
    server = serve(SERVERS["uvicorn, 4 workers"], DISCORD_BACKLOG=str(tmp_path / "backlog"))
    assert server.ask("/die")[0] != 200
    # A worker that still starts when the server ends would deliver nothing.
    wait_until(lambda: missing(everything(discord)) == [])
    output = server.end()
    assert everything(discord).count("application started") == 1
    assert "discord_logging:" not in output


@pytest.mark.once
def test_the_reloader_posts_one_start(
    serve: Callable[..., Server], tmp_path: Path, discord: LocalDiscord, wait_until: Callable[..., None]
) -> None:
    """A reload is a new process, but no new start."""
    server = serve(SERVERS["uvicorn"] + " --reload")
    (tmp_path / "shop.py").write_text(_APP.replace("/burst", "/changed"))
    wait_until(lambda: server.ask("/changed")[0] == 200)
    server.end()
    assert everything(discord).count("application started") == 1
