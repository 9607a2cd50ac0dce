"""Tests of the Flask extension with Flask's test client and a local Discord."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import logging
import logging.config
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import click
import flask
import pytest
import responses
from flask.cli import ScriptInfo
from werkzeug.exceptions import HTTPException

import discord_logging.flask
from discord_logging import (
    DiscordHandler,
    InvalidSettingError,
    InvalidWebhookURLError,
    capture_exceptions,
    log_exceptions,
)
from discord_logging._integrations import handlers
from discord_logging.flask import DiscordLogging
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Console = Callable[[], str]

pytestmark = pytest.mark.usefixtures("burst_until_flush")

URL = "https://discord.com/api/v10/webhooks/123456789012345678/" + "Zx9-k_Tq" * 8 + "abcd"
TOKEN = URL.rpartition("/")[2]
QUIET = {"DISCORD_STARTUP_NOTICE": False}


@pytest.fixture(autouse=True)
def _restored_signal() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, previous)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Console:
    """Return a function that reads stderr, and make Flask log there, as it does without the handlers of pytest."""

    def read() -> str:
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        return capsys.readouterr().err

    return read


def make_app(config: Mapping[str, Any], name: str = "shop", **settings: Any) -> flask.Flask:
    app = flask.Flask(name)
    app.config.update(QUIET, **config)
    DiscordLogging(app, **settings)

    @app.route("/fail/<int:number>", methods=["GET", "POST"])
    def fail(number: int) -> str:
        if flask.request.args.get("read"):
            # Some versions answer 413 to a body that is not a form.
            with contextlib.suppress(HTTPException):
                flask.request.form.get("x")
        raise ValueError(f"no {number}")

    return app


def handler_of(app: flask.Flask) -> DiscordHandler:
    extension: DiscordLogging = app.extensions["discord_logging"]
    return extension.handler(app)


def cards(discord: LocalDiscord, *apps: flask.Flask) -> list[Any]:
    for app in apps:
        assert handler_of(app).flush(10)
    return [embed for message in discord.messages for embed in message.embeds]


def first_lines(found: list[Any]) -> list[str]:
    return [card["description"].split("\n")[0].replace("\\", "") for card in found]


def fields_of(card: Any) -> dict[str, str]:
    return {field["name"].replace("\\", ""): field["value"].replace("\\", "") for field in card["fields"]}


def test_exception_is_one_card_with_its_request(discord: LocalDiscord, console: Console) -> None:
    """An exception in a view makes one card with the request and no secrets, and the console shows it too."""
    console()
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    answer = app.test_client().post(
        "/fail/7?read=1&token=s3cr3t&tag=a&tag=b",
        data={"name": "Ann", "password": "hunter2"},
        headers={"X-Request-ID": "abc-1", "User-Agent": "Mozilla"},
    )
    (card,) = cards(discord, app)
    assert answer.status_code == 500
    assert card["title"] == "❌ ValueError: no 7 · ERROR · shop"
    assert first_lines([card]) == ["Exception on /fail/7 [POST]"]
    assert "ValueError: no 7" in card["description"]
    fields = fields_of(card)
    query, form = fields.pop("query"), fields.pop("form")
    assert fields == {
        "method": "POST",
        "path": "/fail/7",
        "endpoint": "fail",
        "status": "500",
        "request_id": "abc-1",
        "user_agent": "Mozilla",
    }
    assert "'tag': ['a', 'b']" in query
    assert "'name': 'Ann'" in form
    assert "s3cr3t" not in str(card)
    assert "hunter2" not in str(card)
    assert console().count("ERROR in app: Exception on /fail/7 [POST]") == 1


def test_view_under_log_exceptions_is_one_card(discord: LocalDiscord) -> None:
    """The exception made a second card, from the decorator; one object that each request raises is told each time."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "DISCORD_REPEAT_WINDOW": 0})
    error = ValueError("the only one")

    @app.route("/decorated")
    @log_exceptions("shop", message="Exception in decorated")
    def decorated() -> str:
        raise error

    @app.route("/plain")
    def plain() -> str:
        raise error

    for path in ("/decorated", "/decorated", "/plain", "/plain"):
        assert app.test_client().get(path).status_code == 500
    texts = first_lines(cards(discord, app))
    assert texts[:2] == ["Exception in decorated"] * 2
    assert [text for text in texts if "/plain" in text] == texts[2:]


def test_client_address_is_shown_on_request(discord: LocalDiscord) -> None:
    """`DISCORD_CLIENT_ADDRESS` shows the client's address."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "DISCORD_CLIENT_ADDRESS": True})
    app.test_client().get("/fail/1")
    (card,) = cards(discord, app)
    assert fields_of(card)["client_address"] == "127.0.0.1"


def test_secret_in_the_path_is_masked(discord: LocalDiscord) -> None:
    """The value of an argument of the path is masked if its name is that of a secret."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    app.add_url_rule("/reset/<int:user>/<token>", "reset", lambda user, token: str(1 // 0))  # noqa: ARG005 - its names
    app.test_client().get("/reset/7/Zx9kTq")
    (card,) = cards(discord, app)
    assert first_lines([card]) == ["Exception on /reset/7/*** [GET]"]
    assert "Zx9kTq" not in str(card)


def test_secret_that_a_converter_changed_is_masked(discord: LocalDiscord) -> None:
    """The converter for UUIDs makes letters lower case, so the argument differs from the path."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    app.add_url_rule("/reset/<uuid:token>", "reset", lambda token: str(1 // 0))  # noqa: ARG005 - its name
    app.test_client().get("/reset/C9BF9E57-1685-4C89-BAFB-FF5AF830BE8A")
    (card,) = cards(discord, app)
    assert first_lines([card]) == ["Exception on /reset/*** [GET]"]
    assert "BAFB" not in str(card)


class Body:
    """The body of a response, which fails while it is sent."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[str]:
        """Yield once, and then fail."""
        yield f"about {flask.has_request_context()}"
        raise ValueError("no more")

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


@pytest.mark.parametrize("wrap", [iter, functools.partial(map, str), flask.stream_with_context])
def test_exception_in_a_streaming_body_is_one_card(discord: LocalDiscord, wrap: Callable[[Body], Any]) -> None:
    """Flask does not log such an exception, and the server still gets it."""
    body = Body()
    make_app({"DISCORD_WEBHOOK_URL": discord.add_webhook()})
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    app.add_url_rule("/stream", "stream", lambda: flask.Response(wrap(body)))
    answer = app.test_client().get("/stream?token=s3cr3t&tag=a")
    with pytest.raises(ValueError, match="no more"):
        _ = answer.data
    answer.close()
    (card,) = cards(discord, app)
    assert first_lines([card]) == ["Exception on /stream [GET]"]
    assert "'tag': 'a'" in fields_of(card)["query"]
    assert "s3cr3t" not in str(card)


def test_streaming_body_is_closed_once(discord: LocalDiscord) -> None:
    """The body is also closed if the client disconnects; complete bodies and files for the server are not wrapped."""
    body = Body()
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    app.add_url_rule("/stream", "stream", lambda: flask.Response(body))
    app.add_url_rule("/file", "file", lambda: flask.send_file(__file__))
    answer = app.test_client().get("/stream")
    answer.close()
    assert body.closed == 1
    with app.test_client().get("/file") as file:
        assert file.data
    assert cards(discord, app) == []


def test_body_that_was_not_read_stays_unread(discord: LocalDiscord) -> None:
    """An error handler can still read a form that the view did not read."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    app.register_error_handler(500, lambda _: (flask.request.get_data(), 500))
    answer = app.test_client().post("/fail/1", data={"name": "Ann"})
    (card,) = cards(discord, app)
    assert answer.data == b"name=Ann"
    assert "form" not in fields_of(card)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"name=\xff\xfe%ff&%zz", "application/x-www-form-urlencoded"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"\x00" * 1000, "multipart/form-data"),
        (b"a=" + b"x" * 400_000, "application/x-www-form-urlencoded"),
        (b"--x\r\nContent-Disposition: form-data; name=file; filename=f\r\n\r\n" + b"y" * 10_000_000 + b"\r\n--x--\r\n",
         "multipart/form-data; boundary=x"),
        (b"&".join(b"n%d=v" % n for n in range(10_000)), "application/x-www-form-urlencoded"),
    ],
    ids=["bytes", "cut off", "no boundary", "long", "10 MB", "many"],
)  # fmt: skip
def test_hostile_request_is_one_card(discord: LocalDiscord, data: bytes, content_type: str) -> None:
    """Any body, query and headers make one card."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    headers = {"User-Agent": "@everyone ```" + "\xff" * 60_000, "X-Request-ID": "\x1b[31m" * 9_000}
    query = "read=1&q=%ff%00%F0%9F&" + "&".join(f"k{n}={n}" for n in range(2_000))
    app.test_client().post(
        f"/fail/1?{query}", input_stream=io.BytesIO(data), content_length=len(data), content_type=content_type,
        headers=headers,
    )  # fmt: skip
    assert len(cards(discord, app)) == 1
    assert {request.status for request in discord.requests} <= {200, 204}


def test_10_mb_form_is_one_card(discord: LocalDiscord) -> None:
    """The card shows the beginning of a large form, if the application allows one."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "MAX_FORM_MEMORY_SIZE": None})
    app.test_client().post("/fail/1?read=1", data={"text": "x" * 10_000_000, "password": "hunter2" * 1_000_000})
    (card,) = cards(discord, app)
    assert "xxx" in fields_of(card)["form"]
    assert "hunter2" not in str(card)


@pytest.mark.parametrize("config", [{"TESTING": True}, {"DEBUG": True}, {"PROPAGATE_EXCEPTIONS": True}], ids=str)
def test_exception_that_propagates_is_one_card(discord: LocalDiscord, config: dict[str, bool]) -> None:
    """An exception that Flask passes on without logging it makes one card too."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, **config})
    with pytest.raises(ValueError, match="no 1"):
        app.test_client().get("/fail/1")
    assert len(cards(discord, app)) == 1


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("teardown_request", "Exception on /none \\[GET]"),
        ("teardown_appcontext", "Exception in the teardown of the application context"),
    ],
)
def test_exception_in_a_teardown_function_is_one_card(discord: LocalDiscord, place: str, text: str) -> None:
    """Flask passes the exception on to the server without logging it."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})

    def close(_: object) -> None:
        raise OSError("no connection")

    getattr(app, place)(close)
    with pytest.raises(OSError, match="no connection"):
        app.test_client().get("/none")
    (card,) = cards(discord, app)
    assert card["description"].startswith(text)


def test_exception_that_a_teardown_function_raises_again_is_one_card(discord: LocalDiscord) -> None:
    """The exception is that of the view."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "DEBUG": True})

    @app.teardown_request
    def close(error: BaseException | None) -> None:
        if error:
            raise error

    with pytest.raises(ValueError, match="no 1"):
        app.test_client().get("/fail/1")
    assert len(cards(discord, app)) == 1


def test_exception_that_ends_the_program_later_is_one_card(discord: LocalDiscord) -> None:
    """`capture_exceptions` does not repeat an exception that was reported with its request."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "DEBUG": True})
    with pytest.raises(ValueError, match="no 1"), capture_exceptions(app.logger):
        app.test_client().get("/fail/1")
    (card,) = cards(discord, app)
    assert card["description"].startswith("Exception on /fail/1")


def test_handled_exceptions_make_no_card(discord: LocalDiscord) -> None:
    """`abort` and an error handler for the exception are answers on purpose."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    app.add_url_rule("/abort", "abort", lambda: flask.abort(500))
    app.register_error_handler(ValueError, lambda error: (str(error), 418))
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/abort", "/none", "/fail/1")] == [500, 404, 418]
    assert cards(discord, app) == []


def test_records_of_an_error_handler_arrive(discord: LocalDiscord) -> None:
    """An exception is told once, also if the application logs it too; its other records arrive."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})

    @app.errorhandler(500)
    def sorry(error: Any) -> tuple[str, int]:
        app.logger.error("Payment failed", exc_info=error.original_exception)
        app.logger.error("Told the customer")
        return "sorry", 500

    app.test_client().get("/fail/1")
    texts = first_lines(cards(discord, app))
    assert texts == ["Exception on /fail/1 [GET]", "Told the customer"]


def test_records_of_a_request_show_it(discord: LocalDiscord) -> None:
    """Records of all loggers have method, path and id of the request, and repeats with other ids are one card."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})

    @app.route("/orders/<number>", methods=["POST"])
    def order(number: str) -> str:
        logging.getLogger("warehouse").error("No room")
        return number

    for request_id in ("r1", "r2"):
        app.test_client().post("/orders/7?colour=red", headers={"X-Request-ID": request_id})
    logging.getLogger("warehouse").error("Outside")
    first, second = cards(discord, app)
    assert "No room" in first["description"]
    assert "2" in first["description"]
    assert fields_of(first) == {"method": "POST", "path": "/orders/7", "request_id": "r1"}
    assert "fields" not in second


@pytest.mark.parametrize("before", [True, False])
def test_an_exception_that_a_view_logs_is_told_once(discord: LocalDiscord, *, before: bool) -> None:
    """The card of the view's own record has the whole request, and Flask's card does not follow."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})

    @app.route("/pay", methods=["POST"])
    def pay() -> str:
        try:
            with log_exceptions(app.logger) if before else contextlib.nullcontext():
                return str(1 // 0)
        except ZeroDivisionError:
            app.logger.exception("Payment failed")
            raise

    assert app.test_client().post("/pay?colour=red").status_code == 500
    (card,) = cards(discord, app)
    assert fields_of(card)["query"] == "{'colour': 'red'}"


def test_logging_may_be_configured_again(discord: LocalDiscord) -> None:
    """Logging takes the handler from the root logger and closes it. No record arrived from then on."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})

    @app.route("/log")
    def log() -> str:
        app.logger.error("by the view")
        return "ok"

    root = {"handlers": ["console"], "level": "INFO"}
    handlers = {"console": {"class": "logging.NullHandler"}}
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "handlers": handlers, "root": root})
    for path in ("/fail/1", "/log"):
        app.test_client().get(path)
    assert first_lines(cards(discord, app)) == ["Exception on /fail/1 [GET]", "by the view"]


def test_only_an_unhandled_exception_has_a_status(discord: LocalDiscord) -> None:
    """The card of an exception that a view handles said that the client got a 500."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})

    @app.route("/handled")
    def handled() -> str:
        try:
            return str(1 // 0)
        except ZeroDivisionError:
            app.logger.exception("handled")
            return "ok"

    for path in ("/handled", "/fail/1"):
        app.test_client().get(path)
    assert [fields_of(card).get("status") for card in cards(discord, app)] == [None, "500"]


def test_async_views_of_blueprints_are_reported(discord: LocalDiscord) -> None:
    """An exception in an asynchronous view of a blueprint makes one card, which names the endpoint."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    mail = flask.Blueprint("mail", __name__)

    @mail.route("/send")
    async def send() -> str:
        raise RuntimeError("no connection")

    app.register_blueprint(mail, url_prefix="/mail")
    app.test_client().get("/mail/send")
    (card,) = cards(discord, app)
    assert fields_of(card)["endpoint"] == "mail.send"
    assert "RuntimeError: no connection" in card["description"]


def test_request_fields_can_be_overridden(discord: LocalDiscord) -> None:
    """An override may add fields with any name; an override that fails loses only the fields."""

    class Own(DiscordLogging):
        def request_fields(self, request: flask.Request) -> Mapping[str, object]:
            if "fail" in request.args:
                raise KeyError("customer")
            return {**super().request_fields(request), "name": "Ann"}

    app = flask.Flask("shop")
    app.config.update(QUIET, DISCORD_WEBHOOK_URL=discord.webhook_url)
    Own(app)
    app.add_url_rule("/", "zero", lambda: str(1 // 0))
    for path in ("/", "/?fail=1"):
        app.test_client().get(path)
        cards(discord, app)
    first, second = (fields_of(card) for card in cards(discord, app))
    assert first["name"] == "Ann"
    assert second == {"method": "GET", "path": "/", "details": "cannot be shown: KeyError"}


def test_report_never_raises(monkeypatch: pytest.MonkeyPatch, discord: LocalDiscord) -> None:
    """If the report of an exception fails, the application's response does not change, and Flask's record arrives."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
    monkeypatch.setattr(handlers, "origin", None)
    assert app.test_client().get("/fail/1").status_code == 500
    assert len(cards(discord, app)) == 1


@pytest.mark.parametrize("silence", ["level", "disable"])
def test_disabled_levels_are_not_reported(discord: LocalDiscord, silence: str) -> None:
    """A handler above `ERROR` and `logging.disable` suppress the report."""
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "DISCORD_LEVEL": "CRITICAL"})
    if silence == "disable":
        handler_of(app).setLevel("ERROR")
        logging.disable(logging.CRITICAL)
    app.test_client().get("/fail/1")
    assert cards(discord, app) == []


def test_records_arrive_once(discord: LocalDiscord, console: Console) -> None:
    """Records of all loggers arrive once from the level on, and stay on the console."""
    console()
    app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "DISCORD_LEVEL": "WARNING"})
    app.logger.warning("one")
    logging.getLogger("shop.mail").error("two")
    logging.getLogger("elsewhere").error("three")
    assert first_lines(cards(discord, app)) == ["one", "two", "three"]
    err = console()
    assert [err.count(text) for text in (": one\n", ": two\n", "three\n")] == [1, 1, 1]


@pytest.mark.parametrize("place", ["root", "shop"])
def test_handler_from_dict_config_is_used(discord: LocalDiscord, place: str) -> None:
    """If `logging` already has a handler, no handler is added, and each record arrives once."""
    at = {"handlers": ["discord"], "level": "INFO"}
    logging.config.dictConfig(
        {
            "version": 1,
            "handlers": {"discord": {"class": "discord_logging.DiscordHandler", "webhook_url": discord.webhook_url}},
            **({"root": at} if place == "root" else {"loggers": {place: at}}),
        }
    )
    app = make_app({"DISCORD_WEBHOOK_URL": URL})
    app.logger.info("hello")
    app.test_client().get("/fail/1")
    texts = first_lines(cards(discord, app))
    assert texts == ["hello", "Exception on /fail/1 [GET]"]
    assert handler_of(app) in logging.getLogger(place if place == "shop" else None).handlers


def test_dict_config_again_changes_the_handler(discord: LocalDiscord) -> None:
    """After a second `dictConfig` the report goes to the new handler, and the health page shows it."""
    config = {
        "version": 1,
        "handlers": {"discord": {"class": "discord_logging.DiscordHandler", "webhook_url": discord.webhook_url}},
        "root": {"handlers": ["discord"]},
        "disable_existing_loggers": False,
    }
    logging.config.dictConfig(config)
    app = make_app({})
    first = handler_of(app)
    logging.config.dictConfig(config)
    client = app.test_client()
    client.get("/fail/1")
    (card,) = cards(discord, app)
    assert fields_of(card)["path"] == "/fail/1"
    assert client.get("/health").status_code == 200
    assert handler_of(app) is not first


def test_ignored_settings_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """The warning names the settings in `app.config` that an existing handler ignores."""
    handler = DiscordHandler(URL)
    logging.getLogger().addHandler(handler)
    app = make_app({"DISCORD_QUEUE_SIZE": 5}, username="Shop")
    assert handler_of(app) is handler
    assert "DISCORD_QUEUE_SIZE, DISCORD_USERNAME is ignored" in caplog.text


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"DISCORD_QUEUE_SIZ": 1}, ["DISCORD_QUEUE_SIZ'", "Did you mean 'DISCORD_QUEUE_SIZE'?"]),
        ({"DISCORD_XYZZY": 1}, ["DISCORD_XYZZY", "The keys are DISCORD_HEALTH_PATH"]),
        ({"DISCORD_QUEUE_SIZE": "many"}, ["DISCORD_QUEUE_SIZE", "'many'"]),
        ({"DISCORD_LEVEL": "LOUD"}, ["DISCORD_LEVEL", "'LOUD'"]),
        ({"DISCORD_RETRY_DELAYS": [-1]}, ["DISCORD_RETRY_DELAYS", "at least 0"]),
        ({"DISCORD_STARTUP_NOTICE": "perhaps"}, ["DISCORD_STARTUP_NOTICE", "true or false"]),
        ({"DISCORD_HEALTH_PATH": "health"}, ["DISCORD_HEALTH_PATH", "'/health'"]),
        ({"DISCORD_HEALTH_PATH": "/static/<path:filename>"}, ["DISCORD_HEALTH_PATH"]),
        ({"DISCORD_NOTIFICATIONS_ENABLED": "perhaps"}, ["DISCORD_ENABLED", "true or false"]),
    ],
    ids=str,
)
def test_wrong_configuration_names_the_key(config: dict[str, object], parts: list[str]) -> None:
    """The error names an unknown key or a key with a wrong value, and says what is right."""
    with pytest.raises(InvalidSettingError) as caught:
        make_app(config)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_wrong_url_names_the_key_and_no_token() -> None:
    """The error for a malformed URL names the key and does not show the URL."""
    with pytest.raises(InvalidWebhookURLError, match="DISCORD_WEBHOOK_URL: ") as caught:
        make_app({"DISCORD_WEBHOOK_URL": URL.replace("webhooks", "hooks")})
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"DISCORD_WEBHOOK_URL": URL.replace("webhooks", "hooks")},
        {"DISCORD_WEBHOOK_URL": URL, "DISCORD_TIMEOUT": -1},
        {"DISCORD_WEBHOOK_URL": URL, "DISCORD_WEBHOOK": URL},
        {"DISCORD_WEBHOOK_URL": URL, "DISCORD_HEALTH_PATH": "no path"},
    ],
)
def test_frames_of_a_wrong_setting_hide_the_token(
    config: dict[str, Any], shown_locals: Callable[[BaseException], str]
) -> None:
    """Tools that report errors show the locals of frames: the settings, and the configuration of the application."""
    with pytest.raises(ValueError, match="DISCORD_") as caught:
        make_app(config)
    assert TOKEN[:8] not in shown_locals(caught.value)


def test_attributes_hide_the_token() -> None:
    """The extension and its handler keep the settings."""
    app = flask.Flask("shop")
    extension = DiscordLogging(app, webhook_url=URL, startup_notice=False)
    assert TOKEN[:8] not in repr([vars(extension), *map(vars, app.logger.handlers)])


def test_wrong_argument_is_named_without_a_key() -> None:
    """The error for an argument has the name of the argument."""
    with pytest.raises(InvalidSettingError, match=r"^queue_size must be"):
        make_app({}, queue_size=0)


def test_keys_of_other_extensions_are_ignored() -> None:
    """The keys of Flask-Discord and similar extensions are not unknown settings."""
    make_app({"DISCORD_CLIENT_ID": 1, "DISCORD_BOT_TOKEN": "x", "DISCORD_OAUTH_CLIENT_SECRET": "y", "OTHER": 1})


def test_second_registration_is_refused() -> None:
    """An application has at most one extension of this kind."""
    app = make_app({})
    with pytest.raises(RuntimeError, match="already"):
        DiscordLogging(app)


def test_health_path_that_is_taken_is_refused() -> None:
    """The health page does not replace a page of the application."""
    app = flask.Flask("shop")
    app.add_url_rule("/health", "health", lambda: "fine")
    with pytest.raises(InvalidSettingError, match="DISCORD_HEALTH_PATH"):
        DiscordLogging(app)
    DiscordLogging(app, health_path=None)
    assert app.test_client().get("/health").text == "fine"


class TestSeveralApps:
    def test_apps_with_two_names_are_separate(self, discord: LocalDiscord) -> None:
        """Each of two applications with one extension posts to its own webhook."""
        extension, second_url = DiscordLogging(startup_notice=False), discord.add_webhook()
        apps = []
        for name, url in (("shop", discord.webhook_url), ("admin", second_url)):
            app = flask.Flask(name)
            app.config["DISCORD_WEBHOOK_URL"] = url
            extension.init_app(app)
            app.add_url_rule("/", "zero", lambda: str(1 // 0))
            apps.append(app)
        for app in apps:
            app.logger.error("outside")
            app.test_client().get("/")
        cards(discord, *apps)
        found = {message.channel_id: [card["title"] for card in message.embeds] for message in discord.messages}
        error = "ZeroDivisionError: integer division or modulo by zero"
        assert sorted(found.values()) == [
            [f"❌ ERROR · {name}", f"❌ {error} · ERROR · {name}"] for name in ("admin", "shop")
        ]

    def test_apps_with_one_name_are_separate(self, discord: LocalDiscord) -> None:
        """Two applications share a logger, and the records of each go to its own webhook."""
        urls = discord.webhook_url, discord.add_webhook()
        first, second = (make_app({"DISCORD_WEBHOOK_URL": url}) for url in urls)
        for number, app in enumerate((first, second)):
            with app.app_context():
                app.logger.error("in %d", number)
            app.test_client().get(f"/fail/{number}")
        first.logger.error("outside")
        cards(discord, first, second)
        found: dict[str, list[str]] = {}
        for message in discord.messages:
            found.setdefault(message.channel_id, []).extend(first_lines(list(message.embeds)))
        assert sorted(found.values()) == [
            ["in 0", "Exception on /fail/0 [GET]", "outside"],
            ["in 1", "Exception on /fail/1 [GET]"],
        ]

    def test_factory_called_again_adds_no_handler(self) -> None:
        """An application with the same settings as an earlier one shares its handler."""
        first, second = make_app({"DISCORD_WEBHOOK_URL": URL}), make_app({"DISCORD_WEBHOOK_URL": URL})
        assert handler_of(first) is handler_of(second)
        assert sum(isinstance(each, DiscordHandler) for each in logging.root.handlers) == 1

    def test_handler_of_a_deleted_application_is_removed(self) -> None:
        """Factories that are called for each test leave no handlers behind."""
        first = make_app({"DISCORD_WEBHOOK_URL": URL})
        handler = handler_of(first)
        del first
        gc.collect()
        second = make_app({"DISCORD_WEBHOOK_URL": URL, "DISCORD_LEVEL": "INFO"})
        assert handler is not handler_of(second)
        assert handler not in logging.root.handlers
        assert handler.health()["status"] == "closed"


class TestStartupNotice:
    def test_notice_describes_the_start(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """The notice has the application, the host, the process and the versions, whatever the handler's level is."""
        monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/22.0.0")
        app = flask.Flask("shop")
        DiscordLogging(app, webhook_url=discord.webhook_url)
        (card,) = cards(discord, app)
        assert card["description"] == "shop started"
        fields = fields_of(card)
        assert {"host", "python", "flask"} < set(fields)
        assert (fields["server"], fields["pid"]) == ("gunicorn/22.0.0", str(os.getpid()))

    @pytest.mark.parametrize("config", [{"TESTING": True}, {"DISCORD_STARTUP_NOTICE": "no"}], ids=str)
    def test_no_notice_under_test_or_if_disabled(self, discord: LocalDiscord, config: dict[str, object]) -> None:
        """Tests are not a start, and a setting disables the notice."""
        app = flask.Flask("shop")
        app.config.update(config)
        DiscordLogging(app, webhook_url=discord.webhook_url)
        assert cards(discord, app) == []

    def test_reloaders_child_is_not_a_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The development server's reloader starts a child for each change, and the parent has posted the notice."""
        assert DiscordLogging().is_start()
        monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
        assert not DiscordLogging().is_start()

    @pytest.mark.parametrize(("name", "expected"), [("run", True), ("routes", False), (None, True)])
    def test_commands_are_not_a_start(self, name: str | None, *, expected: bool) -> None:
        """Of Flask's commands only `run` starts the application; commands of other programs may start it."""
        context = click.Context(click.Command(name or "serve"), info_name=name or "serve")
        context.obj = ScriptInfo() if name else None
        with context:
            assert DiscordLogging().is_start() is expected

    @pytest.mark.parametrize(("number", "expected"), [(0, True), (1, True), (2, False)])
    def test_only_a_servers_first_worker_is_a_start(
        self, number: int, monkeypatch: pytest.MonkeyPatch, *, expected: bool
    ) -> None:
        """Later workers post no notice, even if earlier ones have ended."""
        monkeypatch.setattr(discord_logging.flask, "worker_number", lambda: number)
        assert DiscordLogging().is_start() is expected


class TestHealth:
    def _ask(self, app: flask.Flask, path: str = "/health") -> tuple[int, Any]:
        answer = app.test_client().get(path)
        assert TOKEN not in answer.text
        return answer.status_code, answer.json

    def test_disabled_handler_is_healthy(self) -> None:
        """An application without a webhook is healthy."""
        code, body = self._ask(make_app({}))
        assert (code, body["status"], body["discord"]["status"]) == (200, "ok", "disabled")

    def test_page_shows_counters_and_limits(self, discord: LocalDiscord) -> None:
        """The page has no part of the URL."""
        app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url})
        app.logger.error("hello")
        cards(discord, app)
        answer = app.test_client().get("/health")
        body = answer.json
        assert body is not None
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert (body["status"], body["application"], body["process"]) == ("ok", "shop", os.getpid())
        assert (body["discord"]["delivered"], body["discord"]["pending"]) == (1, 0)
        assert body["discord"]["rate_limit"]["buckets"]
        assert discord.webhook_url.rpartition("/")[2] not in answer.text

    @responses.activate
    def test_deleted_webhook_is_unhealthy(self) -> None:
        """The status is 503, because alarms do not arrive any more; an override can change that."""

        class Kept(DiscordLogging):
            def is_healthy(self, health: Mapping[str, Any]) -> bool:
                return bool(health)

        responses.post(URL, status=404, json={"message": "Unknown Webhook", "code": 10015})
        app, other = make_app({"DISCORD_WEBHOOK_URL": URL}), flask.Flask("other")
        Kept(other, webhook_url=URL, startup_notice=False)
        app.logger.error("hello")
        assert not handler_of(app).flush(10)
        code, body = self._ask(app)
        assert (code, body["status"], body["discord"]["status"]) == (503, "unhealthy", "stopped")
        assert self._ask(other)[0] == 200

    @pytest.mark.parametrize(
        ("fault", "status"),
        [(Fault.rate_limited(60), "limited"), (Fault(status=502), "retrying"), (Fault.edge_block(), "blocked")],
        ids=["limited", "retrying", "blocked"],
    )
    def test_temporary_problem_is_degraded(self, discord: LocalDiscord, fault: Fault, status: str) -> None:
        """The page shows the delay, and the status stays 200."""
        app = make_app({"DISCORD_WEBHOOK_URL": discord.webhook_url, "DISCORD_RETRY_DELAYS": [60]})
        discord.fail_next(fault, times=5)
        app.logger.error("hello")
        assert not handler_of(app).flush(5)
        code, body = self._ask(app)
        assert (code, body["status"], body["discord"]["status"]) == (200, "degraded", status)
        assert body["discord"]["pending"] == 1

    def test_closed_handler_is_healthy(self) -> None:
        """The next record opens the handler again. Regression: a server that configures its own logs closes it."""
        app = make_app({"DISCORD_WEBHOOK_URL": URL})
        handler_of(app).close()
        code, body = self._ask(app)
        assert (code, body["status"], body["discord"]["status"]) == (200, "ok", "closed")

    def test_path_can_be_chosen(self) -> None:
        """The page has the given path, or there is no page."""
        app = make_app({"DISCORD_HEALTH_PATH": "/up"})
        assert (self._ask(app, "/up")[0], self._ask(app)[0]) == (200, 404)
        assert self._ask(make_app({"DISCORD_HEALTH_PATH": ""}))[0] == 404


class TestSigterm:
    def test_unhandled_signal_delivers_first(self) -> None:
        """If `SIGTERM` would end the process, the extension delivers first."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        make_app({})
        assert isinstance(signal.getsignal(signal.SIGTERM), functools.partial)

    def test_handler_of_a_server_is_kept(self) -> None:
        """A server that handles `SIGTERM` exits in order, and exit hooks deliver."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        make_app({})
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler

    def test_another_thread_sets_no_signal(self) -> None:
        """An application may be made on any thread."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        thread = threading.Thread(target=make_app, args=({},))
        thread.start()
        thread.join()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.measured
def test_missing_flask_names_the_extra() -> None:
    """Without Flask the import fails with a text that says what to install."""
    script = "import sys; sys.modules['flask'] = None\nimport discord_logging.flask"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert "ImportError: discord_logging.flask needs Flask: pip install 'discord-log-handler[flask]'" in done.stderr
