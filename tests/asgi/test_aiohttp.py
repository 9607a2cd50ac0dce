"""Tests of the integration with aiohttp's own server."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from discord_logging.aiohttp import DiscordLogging

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.asgi.conftest import Card

    Cards = Callable[[], list[Card]]


async def fail(_: web.Request) -> web.Response:
    raise ValueError("no stock")


async def refuse(_: web.Request) -> web.Response:
    raise web.HTTPInternalServerError


async def log(request: web.Request) -> web.Response:
    logging.getLogger("shop").error("%d characters", len(request.match_info["token"]))
    return web.Response()


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=202)
    await response.prepare(request)
    raise ValueError("no more")


async def vanish(_: web.Request) -> web.Response:
    raise aiohttp.ClientConnectionResetError


def ask(*paths: str, **settings: Any) -> list[int]:
    """Send requests to a server, and return the statuses."""

    async def run() -> list[int]:
        app, inner = web.Application(), web.Application()
        DiscordLogging(app, **settings)
        inner.router.add_get("/orders/{number}", fail)
        app.add_subapp("/shop", inner)
        for path, handler in {"/refuse": refuse, "/log/{token}": log, "/stream": stream, "/vanish": vanish}.items():
            app.router.add_get(path, handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
        assert site._server
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers={"X-Request-ID": "r-1"}) as client:
            statuses = []
            for path in paths:
                async with client.get(path) as response:
                    statuses.append(response.status)
        await runner.cleanup()
        return statuses

    return asyncio.run(run())


def test_an_exception_is_one_card_with_its_request(cards: Cards) -> None:
    """The server logs it as well, and answers as ever."""
    assert ask("/shop/orders/7?a=1&a=2&token=s3cr3t", client_address=True) == [500]
    (card,) = cards()
    assert card.title == f"❌ ValueError: no stock · ERROR · {__name__}"
    assert card.text.startswith("Exception on /shop/orders/7 [GET]")
    assert card.fields.pop("user_agent").startswith("Python")
    assert card.fields == {
        "method": "GET",
        "path": "/shop/orders/7",
        "request_id": "r-1",
        "route": "/shop/orders/{number}",
        "status": "500",
        "query": "{'a': ['1', '2'], 'token': '***'}",
        "client_address": "127.0.0.1",
    }


def test_answers_and_clients_that_have_gone_make_no_card(cards: Cards) -> None:
    """A response may be raised. The server logs what it does not know, which is a record like others."""
    assert ask("/refuse", "/nowhere", "/vanish") == [500, 404, 500]
    assert [card.text.split("\n")[0] for card in cards()] == ["Error handling request from 127.0.0.1"]


def test_the_status_of_a_begun_response_is_shown(cards: Cards) -> None:
    """The client has got it."""
    assert ask("/stream") == [202]
    (card,) = cards()
    assert card.fields["status"] == "202"


def test_records_show_their_request(cards: Cards) -> None:
    """Secrets in the path are masked."""
    assert ask("/log/kQ7zT2") == [200]
    (card,) = cards()
    assert card.fields == {"method": "GET", "path": "/log/***", "request_id": "r-1"}


@pytest.mark.usefixtures("as_server")
def test_the_start_is_posted(cards: Cards) -> None:
    """The notice comes before the first request."""
    ask()
    (card,) = cards()
    assert card.text == "aiohttp application started"
