"""Clients that call an application as a server does, and the cards of a channel without limits."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler
from discord_logging._integrations import web
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _restored_signal() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, previous)


@pytest.fixture
def as_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make integrations post the start-up notice, which they do not under test."""
    monkeypatch.setattr(web, "_TESTS", ())


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDiscord]:
    """Yield a Discord without limits, whose URL is in the environment."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", local.webhook_url)
        yield local


@dataclass
class Card:
    """A card as a reader sees it."""

    title: str
    text: str
    fields: dict[str, str]


def _plain(text: str) -> str:
    return text.replace("\\", "")


@pytest.fixture
def cards(discord: LocalDiscord) -> Callable[[], list[Card]]:
    """Return a function that returns all cards of the channel, after a flush."""

    def read() -> list[Card]:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, DiscordHandler):
                assert handler.flush(10)
        embeds: list[Any] = [embed for message in discord.messages for embed in message.embeds]
        return [
            Card(
                _plain(embed.get("title", "")),
                _plain(embed["description"]),
                {_plain(each["name"]): _plain(each["value"]) for each in embed.get("fields", [])},
            )
            for embed in embeds
        ]

    return read


@dataclass
class Answer:
    """The response of an application, and the exception that it raised."""

    sent: list[Any] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def status(self) -> int | None:
        """The status of the response, if there is one."""
        return next((message["status"] for message in self.sent if "status" in message), None)

    @property
    def body(self) -> bytes:
        """The body of the response."""
        return b"".join(message.get("body", b"") for message in self.sent)


def call(app: Any, *received: dict[str, Any], **scope: Any) -> Answer:
    """Call an application with a scope and the messages that it receives, as a server does."""
    answer, messages, is_complete = Answer(), list(received), asyncio.Event()

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await asyncio.wait_for(is_complete.wait(), 30)
        return {"type": f"{scope['type']}.disconnect"}

    async def send(message: Any) -> None:
        answer.sent.append(message)
        is_last_part = message["type"] == "http.response.body" and not message.get("more_body")
        if is_last_part or message["type"] == "websocket.close":
            is_complete.set()

    async def run() -> None:
        try:
            await app(scope, receive, send)
        except BaseException as error:  # noqa: BLE001 - a server catches all
            answer.error = error

    asyncio.run(run())
    return answer


def _ask(app: Any, path: str, *parts: bytes, **scope: Any) -> Answer:
    bodies = [{"type": "http.request", "body": part, "more_body": True} for part in (*parts, b"")]
    bodies[-1]["more_body"] = False
    # In this order the keys of `scope` take precedence.
    base = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "query_string": b"",
        "headers": [],
    }
    place = {"root_path": "", "raw_path": b"/", "server": ("127.0.0.1", 80), "client": ("192.0.2.7", 1234)}
    return call(app, *bodies, **{**base, **place, "path": path, "asgi": {"version": "3.0"}, **scope})


@pytest.fixture
def ask() -> Callable[..., Answer]:
    """Return a function that sends a request with parts of a body."""
    return _ask


@pytest.fixture
def connect() -> Callable[..., Answer]:
    """Return a function that opens a websocket and sends a text."""

    def run(app: Any, path: str) -> Answer:
        messages = {"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}
        base = {"query_string": b"", "headers": [], "root_path": "", "subprotocols": [], "scheme": "ws"}
        place = {"server": ("127.0.0.1", 80), "client": ("192.0.2.7", 1234), "asgi": {"version": "3.0"}}
        return call(app, *messages, **base, **place, type="websocket", path=path, raw_path=path.encode())

    return run


@pytest.fixture
def live() -> Callable[..., Answer]:
    """Return a function that starts and stops an application."""

    def run(app: Any) -> Answer:
        messages = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
        return call(app, *messages, type="lifespan", asgi={"version": "3.0"}, state={})

    return run
