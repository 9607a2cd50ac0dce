"""Tests of the plugin for Litestar, whose application answers a request with an exception itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from litestar import Litestar, Request, Response, get, post, websocket
from litestar.connection import WebSocket  # noqa: TC002 - Litestar reads the annotations
from litestar.exceptions import HTTPException, InternalServerException
from litestar.response import Stream

from discord_logging.litestar import DiscordLogging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.asgi.conftest import Answer, Card

    Cards = Callable[[], list[Card]]
    Ask = Callable[..., Answer]

AnyRequest: TypeAlias = Request[Any, Any, Any]


@get("/orders/{number:int}")
async def order(request: AnyRequest) -> str:
    raise ValueError(f"no order {request.path_params['number']}")


@post("/pay")
async def pay(request: AnyRequest) -> str:
    raise ValueError(f"{len(await request.json())} values")


@get("/refuse")
async def refuse() -> str:
    raise HTTPException("no", status_code=503)


@get("/broken")
async def broken() -> str:
    raise InternalServerException("a dependency is wrong")


@get("/log/{token:str}", sync_to_thread=True)
def log(request: AnyRequest) -> str:
    logging.getLogger("shop").error("%d characters", len(request.path_params["token"]))
    return ""


@get("/stream")
async def stream() -> Stream:
    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("no more")

    return Stream(body())


@websocket("/talk")
async def talk(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    raise ValueError(await socket.receive_text())


def make_app(**settings: Any) -> Litestar:
    # Litestar configures logging, which closes the handlers that exist.
    handlers = [order, pay, refuse, broken, log, stream, talk]
    return Litestar(handlers, plugins=[DiscordLogging(request_body=True)], **settings)


def test_an_exception_is_one_card_with_its_request(ask: Ask, cards: Cards) -> None:
    """Litestar answers as ever."""
    assert ask(make_app(), "/orders/7", headers=[(b"x-request-id", b"r-1")]).status == 500
    (card,) = cards()
    assert card.title == f"❌ ValueError: no order 7 · ERROR · {__name__}"
    assert card.text.startswith("Exception on /orders/7 [GET]")
    route = {"path": "/orders/7", "route": "/orders/{number}"}
    assert card.fields == {"method": "GET", **route, "request_id": "r-1", "status": "500"}


def test_the_body_is_shown_if_asked_for(ask: Ask, cards: Cards) -> None:
    """Secrets are masked."""
    body = b'{"amount": "7", "password": "hunter2"}'
    answer = ask(make_app(), "/pay", body, method="POST", headers=[(b"content-type", b"application/json")])
    assert answer.status == 500
    (card,) = cards()
    assert card.fields["json"] == "{'amount': '7', 'password': '***'}"


def test_exceptions_that_the_application_answers_make_no_card(ask: Ask, cards: Cards) -> None:
    """Errors of Litestar itself and handlers for all exceptions do not count as an answer."""

    def answer(*_: Any) -> Response[str]:
        return Response("sorry", status_code=418)

    app = make_app(exception_handlers={ValueError: answer})
    assert [ask(app, path).status for path in ("/refuse", "/orders/7")] == [503, 418]
    assert ask(make_app(), "/nowhere").status == 404
    assert cards() == []
    assert ask(app, "/broken").status == 500
    assert ask(make_app(exception_handlers={Exception: answer}), "/orders/7").status == 418
    assert [card.fields["path"] for card in cards()] == ["/broken", "/orders/7"]


def test_an_exception_that_another_middleware_raises_is_one_card(ask: Ask, cards: Cards) -> None:
    """It passes the middleware and the hook."""

    def refusing(app: Any) -> Any:  # noqa: ARG001 - Litestar passes it
        async def refused(*_: Any) -> None:
            raise ValueError("no entry")

        return refused

    assert ask(make_app(middleware=[refusing]), "/refuse").status == 500
    assert len(cards()) == 1


def test_streams_and_websockets_are_watched(ask: Ask, connect: Ask, cards: Cards) -> None:
    """An exception in a stream goes on to the server."""
    app = make_app()
    ask(app, "/stream")
    connect(app, "/talk")
    assert [(card.fields["path"], card.fields.get("status")) for card in cards()] == [
        ("/stream", "200"),
        ("/talk", None),
    ]


def test_records_show_their_request(ask: Ask, cards: Cards) -> None:
    """Secrets in the path are masked."""
    assert ask(make_app(), "/log/kQ7zT2").status == 200
    (card,) = cards()
    assert card.fields == {"method": "GET", "path": "/log/***"}


@pytest.mark.usefixtures("as_server")
@pytest.mark.parametrize("phase", ["startup", "shutdown"])
def test_start_and_failures_of_the_application(phase: str, live: Ask, cards: Cards) -> None:
    """What waits is delivered at shutdown."""

    async def fail() -> None:
        raise ValueError("no database")

    class Failing:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *_: object) -> None:
            raise ValueError("no database")

    settings: dict[str, Any] = {"on_startup": [fail]} if phase == "startup" else {"lifespan": [lambda _: Failing()]}
    live(make_app(**settings))
    texts = [card.text.split("\n")[0] for card in cards()]
    assert texts == [*(["Litestar API started"] if phase == "shutdown" else []), f"Exception at {phase}"]
