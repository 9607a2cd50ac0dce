"""Tests of the Quart extension, whose application answers a request with an exception itself."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
import quart

from discord_logging.quart import DiscordLogging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.asgi.conftest import Answer, Card

    Cards = Callable[[], list[Card]]
    Ask = Callable[..., Answer]


def make_app(**config: Any) -> quart.Quart:
    app = quart.Quart("shop")
    app.config.update(config)
    DiscordLogging(app)

    @app.get("/orders/<int:number>")
    async def order(number: int) -> str:
        raise ValueError(f"no order {number}")

    @app.get("/refuse")
    async def refuse() -> str:
        quart.abort(500)

    @app.get("/log/<token>")
    def log(token: str) -> str:
        logging.getLogger("shop.orders").error("%d characters", len(token))
        return ""

    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise ValueError("no more")

        return body()

    @app.websocket("/talk")
    async def talk() -> None:
        raise ValueError(await quart.websocket.receive())

    return app


@pytest.mark.parametrize("propagates", [False, True])
def test_an_exception_is_one_card_with_its_request(propagates: bool, ask: Ask, cards: Cards) -> None:
    """Quart logs it as well, or raises it for the server, alone or in a group."""
    ask(make_app(PROPAGATE_EXCEPTIONS=propagates), "/orders/7", headers=[(b"x-request-id", b"r-1")])
    (card,) = cards()
    assert card.title == f"❌ ValueError: no order 7 · ERROR · {__name__}"
    assert card.text.startswith("Exception on /orders/7 [GET]")
    route = {"path": "/orders/7", "route": "/orders/<int:number>"}
    assert card.fields == {"method": "GET", **route, "request_id": "r-1", "status": "500"}


def test_errors_on_purpose_make_no_card(ask: Ask, cards: Cards) -> None:
    """`abort(500)` is an answer."""
    app = make_app()
    assert [ask(app, path).status for path in ("/refuse", "/nowhere")] == [500, 404]
    assert cards() == []


def test_streams_and_websockets_are_watched(ask: Ask, connect: Ask, cards: Cards) -> None:
    """Quart tells of each in its own way."""
    app = make_app()
    ask(app, "/stream")
    connect(app, "/talk")
    shown = [(card.fields["path"], card.fields.get("status")) for card in cards()]
    assert shown == [("/stream", "200"), ("/talk", None)]


def test_records_show_their_request(ask: Ask, cards: Cards) -> None:
    """Secrets in the path are masked, also in the thread of a function that is not asynchronous."""
    assert ask(make_app(), "/log/kQ7zT2").status == 200
    (card,) = cards()
    assert card.fields == {"method": "GET", "path": "/log/***"}


def test_a_request_of_the_test_client_works(cards: Cards) -> None:
    """It does not pass the middleware; Quart's own record makes the card."""

    async def run() -> int:
        return (await make_app(PROPAGATE_EXCEPTIONS=False).test_client().get("/orders/7")).status_code

    assert asyncio.run(run()) == 500
    assert len(cards()) == 1


@pytest.mark.usefixtures("as_server")
def test_the_start_is_posted(live: Ask, cards: Cards) -> None:
    """The notice has the name of the application."""
    live(make_app())
    (card,) = cards()
    assert (card.text, "quart" in card.fields) == ("shop started", True)
