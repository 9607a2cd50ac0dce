"""Tests of the ASGI middleware, alone and in applications of Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.config
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import discord_logging.asgi
import discord_logging.fastapi
import discord_logging.starlette
from discord_logging import DiscordHandler, InvalidSettingError, InvalidWebhookURLError
from discord_logging.asgi import DiscordLogging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from discord_logging.sandbox import LocalDiscord
    from tests.asgi.conftest import Answer, Card

    Cards = Callable[[], list[Card]]
    Ask = Callable[..., Answer]

FORM = (b"content-type", b"application/x-www-form-urlencoded")
JSON = (b"content-type", b"application/json; charset=utf-8")


async def fail(*_: Any) -> None:
    raise ValueError("no stock")


async def read_and_fail(_: Any, receive: Any, __: Any) -> None:
    while (await receive())["more_body"]:
        pass
    raise ValueError("no stock")


def make_starlette(*routes: Any, **settings: Any) -> Starlette:
    app = Starlette(routes=[*routes, Route("/fail/{number}", fail)], **settings)
    app.add_middleware(DiscordLogging)
    return app


def test_the_names_of_frameworks_are_the_same_middleware() -> None:
    """Users look for the name of their framework."""
    assert discord_logging.fastapi.DiscordLogging is discord_logging.starlette.DiscordLogging is DiscordLogging


def test_an_exception_is_one_card_with_its_request(ask: Ask, cards: Cards) -> None:
    """The card has what a reader needs, and no secrets; the exception goes on to the server."""
    headers = [(b"x-request-id", b"abc-1"), (b"user-agent", b"Mozilla")]
    answer = ask(DiscordLogging(fail), "/pay", headers=headers, query_string=b"token=s3cr3t&tag=a&tag=b", method="POST")
    (card,) = cards()
    assert isinstance(answer.error, ValueError)
    assert card.title == "❌ ValueError: no stock · ERROR · asgi"
    assert card.text.startswith("Exception on /pay [POST]")
    assert card.fields == {
        "method": "POST",
        "path": "/pay",
        "request_id": "abc-1",
        "status": "500",
        "user_agent": "Mozilla",
        "query": "{'token': '***', 'tag': ['a', 'b']}",
    }


def test_the_client_address_is_shown_if_asked_for(ask: Ask, cards: Cards) -> None:
    """An address is personal data. A server on a Unix socket knows none."""
    app = DiscordLogging(fail, client_address="yes", repeat_window=0)
    ask(app, "/pay")
    ask(app, "/other", client=None)
    assert [card.fields.get("client_address") for card in cards()] == ["192.0.2.7", None]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: app.add_middleware(DiscordLogging) or app,
        DiscordLogging,
        lambda app: DiscordLogging(app=app),
        lambda app: app.add_middleware(DiscordLogging) or DiscordLogging(app),
        lambda app: app.add_middleware(BaseHTTPMiddleware, pass_on) or app.add_middleware(DiscordLogging) or app,
        lambda app: app.add_middleware(DiscordLogging) or app.add_middleware(BaseHTTPMiddleware, pass_on) or app,
    ],
    ids=["added", "around", "around by name", "both", "outside of another", "inside of another"],
)
def test_each_place_of_the_middleware_gives_one_card(wrap: Callable[[Starlette], Any], ask: Ask, cards: Cards) -> None:
    """Starlette answers the request, and raises the exception again for the server."""
    answer = ask(wrap(Starlette(routes=[Route("/fail/{number}", fail)])), "/fail/7")
    assert (answer.status, answer.body, type(answer.error)) == (500, b"Internal Server Error", ValueError)
    (card,) = cards()
    assert (card.fields["route"], card.fields["status"]) == ("/fail/{number}", "500")
    assert card.title == f"❌ ValueError: no stock · ERROR · {__name__}"


async def pass_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


def test_the_route_is_whole_in_mounted_applications_and_routers(ask: Ask, cards: Cards) -> None:
    """The innermost route knows only the last part, and each application may have the middleware."""
    router, inner, app = APIRouter(prefix="/v1"), FastAPI(), FastAPI()
    for each in (router, inner):
        each.get("/orders/{number}")(lambda number: 1 / 0)  # noqa: ARG005 - FastAPI passes it
    app.include_router(router, prefix="/api")
    app.mount("/shop", inner)
    app.mount("/raw", fail)
    for each in (inner, app):
        each.add_middleware(DiscordLogging)
    for path in ("/api/v1/orders/7", "/shop/orders/7", "/raw/7"):
        assert ask(app, path).error
    assert [card.fields.get("route") for card in cards()] == [
        "/api/v1/orders/{number}",
        "/shop/orders/{number}",
        "fail",
    ]


def test_a_secret_in_the_path_is_masked(ask: Ask, cards: Cards) -> None:
    """Its name is in the template of the route."""
    ask(make_starlette(Route("/reset/{token}", fail)), "/reset/kQ7zT2")
    (card,) = cards()
    assert (card.fields["path"], card.text.split("\n")[0]) == ("/reset/***", "Exception on /reset/*** [GET]")


@pytest.mark.parametrize("path", ["/stream", "/background"])
def test_exceptions_after_the_start_of_the_response_show_its_status(path: str, ask: Ask, cards: Cards) -> None:
    """The client got another status than 500."""

    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        await fail()

    responses = {
        "/stream": lambda _: StreamingResponse(body(), 202),
        "/background": lambda _: PlainTextResponse("begun", 202, background=BackgroundTask(fail)),
    }
    answer = ask(make_starlette(Route(path, responses[path])), path)
    assert (answer.body, type(answer.error)) == (b"begun", ValueError)
    (card,) = cards()
    assert card.fields["status"] == "202"


def test_an_exception_of_a_websocket_is_a_card(connect: Ask, cards: Cards) -> None:
    """It has no method and no status."""

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ValueError(await websocket.receive_text())

    assert isinstance(connect(make_starlette(WebSocketRoute("/talk", talk)), "/talk").error, ValueError)
    (card,) = cards()
    assert card.text.startswith("Exception on /talk [WEBSOCKET]")
    assert card.fields == {"method": "WEBSOCKET", "path": "/talk"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are builtins from 3.11 on")
def test_an_exception_group_is_one_card(ask: Ask, cards: Cards) -> None:
    """A group without failures is no failure."""

    async def app(scope: Any, _: Any, __: Any) -> None:
        errors = [WebSocketDisconnect(1001), *([ValueError("no stock")] if scope["path"] == "/fail" else [])]
        raise ExceptionGroup("two tasks", errors)  # noqa: F821 - the test runs from 3.11 on

    for path in ("/fail", "/gone"):
        ask(DiscordLogging(app), path)
    (card,) = cards()
    assert "no stock" in card.text


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ClientDisconnect(), WebSocketDisconnect(1001)])
def test_a_client_that_has_gone_is_no_failure(error: BaseException, ask: Ask, cards: Cards) -> None:
    """The exception goes on its way."""

    async def app(*_: Any) -> None:
        raise error

    assert ask(DiscordLogging(app), "/").error is error
    assert cards() == []


def test_exceptions_that_the_application_answers_make_no_card(ask: Ask, cards: Cards) -> None:
    """It knows them, also if the status is 500; a handler for all exceptions is for those that it does not know."""

    async def refuse(_: Any) -> None:
        raise HTTPException(500)

    def answer(*_: Any) -> PlainTextResponse:
        return PlainTextResponse("sorry", 418)

    app = make_starlette(Route("/refuse", refuse), exception_handlers={ValueError: answer})
    assert [ask(app, path).status for path in ("/refuse", "/fail/1", "/nowhere")] == [500, 418, 404]
    assert cards() == []
    app = make_starlette(exception_handlers={Exception: answer})
    assert ask(app, "/fail/1").status == 418
    assert len(cards()) == 1


def test_a_handler_of_all_exceptions_that_logs_makes_no_second_card(ask: Ask, cards: Cards) -> None:
    """Starlette calls it outside of all middlewares, so that its record showed no request."""

    async def answer(_: Any, error: Exception) -> PlainTextResponse:
        logging.getLogger("shop").error("Told the customer", exc_info=error)
        return PlainTextResponse("sorry", 418)

    app = make_starlette(exception_handlers={Exception: answer})
    assert ask(app, "/fail/1").status == 418
    (card,) = cards()
    assert card.fields["method"] == "GET"


def test_records_show_their_request(ask: Ask, cards: Cards) -> None:
    """This holds in threads of the framework, in tasks that outlive the request, and for every logger."""
    logger = logging.getLogger("shop")
    app = FastAPI()

    @app.get("/sync")
    def in_thread(tasks: BackgroundTasks) -> None:
        logger.error("in a thread")
        tasks.add_task(logger.error, "in the background")

    @app.get("/task")
    async def in_task() -> None:
        async def work() -> None:
            logger.error("in a task")

        await asyncio.create_task(work())

    app.add_middleware(BaseHTTPMiddleware, pass_on)
    app.add_middleware(DiscordLogging)
    for path in ("/sync", "/task"):
        assert ask(app, path, headers=[(b"x-request-id", b"r-1")]).status == 200
    logger.error("outside")
    common = {"method": "GET", "request_id": "r-1"}
    assert [(card.text.split("\n")[0], card.fields) for card in cards()] == [
        ("in a thread", {**common, "path": "/sync"}),
        ("in the background", {**common, "path": "/sync"}),
        ("in a task", {**common, "path": "/task"}),
        ("outside", {}),
    ]


def test_an_exception_that_the_application_logs_as_well_is_told_once(ask: Ask, cards: Cards) -> None:
    """Its own record comes first, and says more."""

    async def app(*_: Any) -> None:
        try:
            await fail()
        except ValueError:
            logging.getLogger("shop").exception("Payment failed")
            raise

    ask(DiscordLogging(app), "/pay", query_string=b"order=7")
    (card,) = cards()
    assert card.text.startswith("Payment failed")
    assert card.fields == {"method": "GET", "path": "/pay", "query": "{'order': '7'}"}


def test_the_console_shows_nothing_more(ask: Ask, cards: Cards, capfd: pytest.CaptureFixture[str]) -> None:
    """The server writes the exception itself, and records without another handler are written as ever."""

    async def app(*_: Any) -> None:
        logging.getLogger("shop").warning("low")
        await fail()

    logging.getLogger().handlers.clear()
    ask(DiscordLogging(app), "/")
    assert len(cards()) == 1
    assert capfd.readouterr() == ("", "low\n")


class TestBody:
    def test_it_is_not_read_unless_asked_for(self, ask: Ask, cards: Cards) -> None:
        """It may be large, and is personal data."""
        ask(DiscordLogging(read_and_fail), "/", b"a=1", headers=[FORM])
        (card,) = cards()
        assert card.fields == {"method": "GET", "path": "/", "status": "500"}

    @pytest.mark.parametrize(
        ("header", "parts", "expected"),
        [
            (FORM, [b"name=Ann&pass", b"word=hunter2&tag=a&tag=b"], {"form": "name: Ann\npassword: ***\ntag: a, b"}),
            (JSON, [b'{"order": {"id": 7, "password": "hun', b'ter2"}}'], {"json": "{'order': {'id': 7, 'password'"}),
            (JSON, [b"{"], {"body": "cannot be read: JSONDecodeError"}),
            (JSON, [b"[" * 16_000], {"body": "cannot be read: RecursionError"}),
            (JSON, [b"\xff\xfe\xff"], {"body": "cannot be read: "}),
            (FORM, [b"a=" + b"x" * 10_000] * 1_000, {"body": "not shown: 10,002,000 bytes were received"}),
            ((b"content-type", b"multipart/form-data; boundary=x"), [b"--x"], {}),
            ((b"content-type", b"\xff\x00"), [b"a=1"], {}),
            (FORM, [], {}),
        ],
        ids=["form", "JSON", "no JSON", "deep", "no text", "large", "multipart", "hostile header", "empty"],
    )
    def test_it_is_shown_if_asked_for(
        self, header: Any, parts: list[bytes], expected: dict[str, str], ask: Ask, cards: Cards
    ) -> None:
        """Bodies that cannot be read cost neither the card nor the request."""
        assert isinstance(
            ask(DiscordLogging(read_and_fail, request_body=True), "/", *parts, headers=[header]).error, ValueError
        )
        (card,) = cards()
        assert "hunter2" not in str(card)
        shown = {name: card.fields[name] for name in ("form", "json", "body") if name in card.fields}
        assert shown.keys() == expected.keys()

    def test_only_what_the_application_has_received_is_shown(self, ask: Ask, cards: Cards) -> None:
        """The middleware never waits for the rest, which the client may still be sending."""

        async def app(_: Any, receive: Any, __: Any) -> None:
            await receive()
            await fail()

        ask(DiscordLogging(app, request_body=True), "/", b"a=1&", b"b=2", headers=[FORM])
        (card,) = cards()
        assert card.fields["body"] == "not shown: 4 bytes were received"


def test_the_application_and_the_server_see_the_same_messages(ask: Ask) -> None:
    """The middleware changes nothing on the way."""
    received: list[Any] = []
    answers = [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": b"x"},
    ]

    async def app(_: Any, receive: Any, send: Any) -> None:
        while not received or received[-1]["more_body"]:
            received.append(await receive())
        for answer in answers:
            await send(answer)

    assert ask(DiscordLogging(app, request_body=True), "/", b"a", b"b").sent == answers
    assert [message["body"] for message in received] == [b"a", b"b", b""]


def test_a_hostile_request_is_one_card(ask: Ask, cards: Cards) -> None:
    """Whatever the headers and the query hold, the framework's exception is raised."""
    headers = [(b"x-request-id", b"\xff\xfe" * 10_000), (b"user-agent", b"\x00\x1b[31m@everyone")] * 50
    answer = ask(
        DiscordLogging(fail),
        "/\ud800/\x00" + "x" * 5_000,
        headers=headers,
        raw_path=b"",
        query_string=b"&\xff=%ff;" * 9_999,
    )
    assert isinstance(answer.error, ValueError)
    assert len(cards()) == 1


def test_fields_may_be_added(ask: Ask, cards: Cards) -> None:
    """An override that fails costs no card."""

    class Shop(DiscordLogging):
        def request_fields(self, scope: Any) -> Any:
            return {**super().request_fields(scope), "tenant": scope["state"]["tenant"]}

    app = Shop(fail, repeat_window=0)
    ask(app, "/", state={"tenant": "acme"})
    ask(app, "/")
    first, second = cards()
    assert first.fields["tenant"] == "acme"
    assert second.fields == {"method": "GET", "path": "/", "details": "cannot be shown: KeyError"}


class TestLifespan:
    @pytest.mark.parametrize("phase", ["startup", "shutdown"])
    def test_an_exception_is_one_card(self, phase: str, live: Ask, cards: Cards) -> None:
        """It is delivered before the server knows, and the text that the server logs is not told again."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            if phase == "startup":
                await fail()
            yield
            await fail()

        answer = live(make_starlette(lifespan=lifespan))
        logging.getLogger("uvicorn.error").error(answer.sent[-1]["message"])
        (card,) = cards()
        assert (answer.sent[-1]["type"], type(answer.error)) == (f"lifespan.{phase}.failed", ValueError)
        assert card.text.startswith(f"Exception at {phase}")

    def test_an_application_may_raise_without_a_message(self, live: Ask, cards: Cards) -> None:
        """Only Starlette and its relatives tell the server first."""

        async def app(_: Any, receive: Any, __: Any) -> None:
            await receive()
            await fail()

        assert isinstance(live(DiscordLogging(app)).error, ValueError)
        (card,) = cards()
        assert card.text.startswith("Exception at startup")

    def test_an_application_without_lifespan_is_no_failure(self, live: Ask, cards: Cards) -> None:
        """It raises at once, which tells the server that it does not know the protocol."""
        assert isinstance(live(DiscordLogging(fail)).error, ValueError)
        assert cards() == []

    def test_a_failure_that_is_told_without_an_exception_makes_no_card(self, live: Ask, cards: Cards) -> None:
        """The server logs the application's words."""

        async def app(_: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        assert live(DiscordLogging(app)).error is None
        assert cards() == []

    def test_what_waits_is_delivered_at_shutdown(self, live: Ask, discord: LocalDiscord) -> None:
        """Uvicorn ends the process by the signal afterwards."""

        async def app(_: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            logging.getLogger("shop").error("last words")
            await send({"type": "lifespan.shutdown.complete"})
            assert len(discord.messages) == 1

        assert live(DiscordLogging(app)).error is None


class TestStart:
    @pytest.mark.usefixtures("as_server")
    def test_one_notice_is_posted(self, live: Ask, ask: Ask, cards: Cards) -> None:
        """It has the name of the application."""
        app = FastAPI(title="Shop")
        app.add_middleware(DiscordLogging)
        live(app)
        ask(app, "/")
        (card,) = cards()
        assert (card.title, card.text) == ("ℹ️ INFO · Shop", "Shop started")  # noqa: RUF001 - the emoji
        assert set(card.fields) == {"host", "pid", "python", "fastapi"}

    @pytest.mark.usefixtures("as_server")
    def test_the_first_request_is_the_start_without_lifespan(self, ask: Ask, cards: Cards) -> None:
        """The server may be told to leave it out."""
        app = DiscordLogging(fail)
        for _ in range(2):
            ask(app, "/")
        assert [card.text.split("\n")[0] for card in cards()][:1] == ["ASGI application started"]

    def test_tests_post_no_notice(self, live: Ask, cards: Cards) -> None:
        """They are no start."""
        live(make_starlette())
        assert cards() == []

    @pytest.mark.usefixtures("as_server")
    def test_it_can_be_switched_off(self, live: Ask, cards: Cards) -> None:
        """As in Flask."""
        live(DiscordLogging(make_starlette(), startup_notice="no"))
        assert cards() == []


class TestHandlers:
    def test_a_configured_handler_is_used(
        self, ask: Ask, discord: LocalDiscord, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The middleware adds none, and says that its settings are of no use."""
        handler = DiscordHandler(discord.webhook_url, username="Shop")
        logging.getLogger().addHandler(handler)
        ask(DiscordLogging(fail, username="Other"), "/")
        assert handler.flush(10)
        assert [message.payload["username"] for message in discord.messages] == ["Shop"]
        assert "username is ignored" in caplog.text

    def test_a_handler_that_the_server_closes_is_made_anew(self, ask: Ask, cards: Cards) -> None:
        """`uvicorn.run(app)` configures logging after the application was made, which closes all handlers."""
        app = DiscordLogging(fail)
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        ask(app, "/")
        assert len(cards()) == 1

    def test_wrong_settings_are_told_at_once(self) -> None:
        """A misspelt setting names the right one."""
        with pytest.raises(InvalidSettingError, match="username"):
            DiscordLogging(fail, user_name="x")
        with pytest.raises(InvalidSettingError, match="request_body"):
            DiscordLogging(fail, request_body="perhaps")
        with pytest.raises(InvalidWebhookURLError):
            DiscordLogging(fail, webhook_url="https://discord.com/nothing")


@pytest.mark.measured
@pytest.mark.parametrize(("module", "name"), [("aiohttp", "aiohttp"), ("litestar", "Litestar"), ("quart", "Quart")])
def test_a_missing_framework_names_its_extra(module: str, name: str) -> None:
    """The import fails with a text that says what to install."""
    script = f"import sys; sys.modules['{module}'] = None\nimport discord_logging.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    text = f"ImportError: discord_logging.{module} needs {name}: pip install 'discord-log-handler[{module}]'"
    assert text in done.stderr


def test_other_scopes_are_passed_on(ask: Ask, cards: Cards) -> None:
    """The middleware knows nothing of them."""
    assert isinstance(ask(DiscordLogging(fail), "/", type="rsgi").error, ValueError)
    assert cards() == []
