"""The sender makes requests, reads the responses to them, and never shows the token."""

from __future__ import annotations

import json
import logging
import re
import traceback
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock
import responses
import urllib3

from discord_logging._discord import sender as sender_module
from discord_logging._discord.deadline_http import DeadlineAdapter
from discord_logging._discord.sender import Response, WebhookSender
from discord_logging._discord.types import File, Message
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._exceptions import InvalidWebhookURLError, TransportError
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = WebhookURL.parse(f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}")
HELLO = Message({"content": "hello"})


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    """Yield a stand-in for the network."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def sender() -> Iterator[WebhookSender]:
    """Yield a sender."""
    sender = WebhookSender(URL)
    yield sender
    sender.close()


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a local Discord."""
    with LocalDiscord() as local:
        yield local


@pytest.fixture
def local_sender(discord: LocalDiscord) -> Iterator[WebhookSender]:
    """Yield a sender to the local Discord."""
    sender = WebhookSender(WebhookURL.parse(discord.webhook_url), timeout=20.0)
    yield sender
    sender.close()


# The request


@pytest.mark.parametrize("thread_id", [None, "123456789012345678"])
def test_a_request_has_the_form_that_discord_asks_for(
    http: responses.RequestsMock, sender: WebhookSender, thread_id: str | None
) -> None:
    """The request has `wait=true`, so that an unsaved message is an error, Discord's form of agent, and JSON."""
    http.post(URL.execute_url, status=204)
    payload: Any = {"content": "héllo 🚨 \ud800", "embeds": [{"title": "x"}]}
    assert sender.post(Message(payload, thread_id)).status == 204
    request = http.calls[0].request
    assert getattr(request, "params", None) == {"wait": "true"} | ({"thread_id": thread_id} if thread_id else {})
    assert json.loads(request.body or "") == payload
    assert re.fullmatch(r"DiscordBot \(https://\S+, \S+\)", request.headers["User-Agent"])
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in request.headers


def test_a_netrc_adds_no_password(
    http: responses.RequestsMock, sender: WebhookSender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` would send a password for the host, and Discord would treat us as a bot."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine discord.com login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    http.post(URL.execute_url)
    sender.post(HELLO)
    assert "Authorization" not in http.calls[0].request.headers


def test_a_redirect_is_not_followed(http: responses.RequestsMock, sender: WebhookSender) -> None:
    """`requests` would follow it with a GET, and nothing would be posted."""
    http.post(URL.execute_url, status=301, headers={"Location": "https://elsewhere.example/"})
    assert sender.post(HELLO).status == 301
    assert len(http.calls) == 1


@pytest.mark.parametrize("payload", [{"content": object()}, {"embeds": [{(1,): 2}]}, {"content": {1}}])
def test_a_payload_that_is_not_json_is_not_a_transport_error(sender: WebhookSender, payload: Any) -> None:
    """The message would fail again each time, so its error does not ask for another try."""
    with pytest.raises(TypeError):
        sender.post(Message(payload))


# The response


@pytest.mark.parametrize(
    ("body", "code", "errors", "reason"),
    [
        ({"message": "Unknown Webhook", "code": 10015}, 10015, {}, "HTTP 400 Unknown Webhook (code 10015)"),
        ({"message": "a\nb\r\tc", "code": 0}, 0, {}, "HTTP 400 a b c"),
        ({"code": "10015", "errors": []}, None, {}, "HTTP 400"),
        (
            {"code": True, "errors": {"embeds": {}, "username": {}}},
            None,
            {"embeds": {}, "username": {}},
            "HTTP 400 in embeds, username",
        ),
        ({"message": {"deep": [1]}, "code": 1.5}, None, {}, "HTTP 400"),
        (["x"], None, {}, "HTTP 400"),
        (None, None, {}, "HTTP 400"),
        ({"message": f"POST /api/webhooks/1/{TOKEN} failed"}, None, {}, "HTTP 400 POST /api/webhooks/1/*** failed"),
    ],
)
def test_the_reason_is_the_response_in_words(
    body: Any, code: int | None, errors: dict[str, object], reason: str
) -> None:
    """The reason is one line for any body, and does not hold the token."""
    response = Response(400, {}, body)
    assert (response.code, response.errors, response.reason) == (code, errors, reason)


@pytest.mark.parametrize(
    ("body", "channel_id"),
    [
        ({"id": "1", "channel_id": "123456789012345678"}, "123456789012345678"),
        *[({"channel_id": each}, None) for each in (None, "", 5, 5.0, True, ["5"], {"id": "5"}, "-5", "5/../6", "x")],
        *[({"channel_id": each}, None) for each in ("\u0665", "\uff15", "5\n", "1" * 21)],
        ({"id": "5", "Channel_ID": "5"}, None),
        *[([], None), (None, None), ("5", None), (5, None)],
    ],
)
def test_a_response_says_where_the_message_stands(body: Any, channel_id: str | None) -> None:
    """Only an id is accepted, because it becomes part of the next request's address."""
    assert Response(200, {}, body).channel_id == channel_id


@pytest.mark.usefixtures("sender")
@pytest.mark.parametrize("spell", [str, lambda text: text.replace("_", r"\_"), lambda text: text.replace("-", "%2D")])
def test_a_response_that_repeats_the_token_hides_it(spell: Callable[[str], str]) -> None:
    """A server may repeat the token anywhere, without the address. Error reports show the response by its repr."""
    body = {"message": f"no {spell(TOKEN)}", "errors": {spell(TOKEN): {}}}
    response = Response(400, {"Location": URL.execute_url}, body)
    assert response.reason == "HTTP 400 no *** in ***"
    assert repr(response) == "<Response HTTP 400 no *** in ***>"


def test_long_words_are_cut() -> None:
    """Nobody wants a page of HTML in a log line."""
    assert len(Response(400, {}, {"message": "x" * 10_000}).reason) == 300
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert Response(400, {}, {"message": deep}).reason == "HTTP 400"


@pytest.mark.parametrize("text", ["NaN", "Infinity", '{"retry_after": NaN}', "[1]", '"x"', "{}"])
def test_json_of_any_shape_is_read(http: responses.RequestsMock, sender: WebhookSender, text: str) -> None:
    """The sender does not judge the meaning of a body."""
    http.post(URL.execute_url, body=text, status=429, headers={"X-RateLimit-Scope": "shared"})
    response = sender.post(HELLO)
    assert str(response.body) == str(json.loads(text))
    assert response.headers["x-ratelimit-scope"] == "shared"


# Failures


EXCEPTIONS = [
    each
    for each in vars(requests.exceptions).values()
    if isinstance(each, type) and issubclass(each, Exception) and not issubclass(each, Warning)
]
OTHERS = [urllib3.exceptions.HTTPError, OSError, ValueError, UnicodeError, RuntimeError, RecursionError, MemoryError]


@pytest.mark.parametrize("kind", [*EXCEPTIONS, *OTHERS], ids=lambda kind: kind.__name__)
def test_every_exception_of_the_network_is_translated(
    kind: type[Exception], http: responses.RequestsMock, sender: WebhookSender
) -> None:
    """The error's text is ours and holds no part of the URL, for every exception that `requests` lets through."""
    make: Any = kind
    error = (
        make(f"no {URL.execute_url}", "x", 0)
        if issubclass(kind, json.JSONDecodeError)
        else make(f"no {URL.execute_url}")
    )
    error.__context__ = OSError(111, "Connection refused", URL.execute_url)
    http.post(URL.execute_url, body=error)
    with pytest.raises(TransportError) as caught:
        sender.post(HELLO)
    assert not caught.value.maybe_saved
    assert kind.__name__ in str(caught.value)
    assert_secret(caught.value)


def assert_secret(error: BaseException) -> None:
    """Assert that no text of `error` holds the token."""
    shown = [str(error), repr(error), repr(error.args), repr(error.__cause__), *traceback.format_exception(error)]
    assert TOKEN not in "".join(shown)
    assert error.__suppress_context__


def test_the_frames_of_an_error_hide_the_token(
    sender: WebhookSender, shown_locals: Callable[[BaseException], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error keeps its causes, but not their frames, which hold the address of the request."""
    monkeypatch.setattr(urllib3.connectionpool.HTTPSConnectionPool, "_new_conn", raise_error(OSError(113, "No route")))
    with pytest.raises(TransportError, match="No route") as caught:
        sender.post(HELLO)
    assert isinstance(caught.value.__context__, OSError)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert TOKEN not in "".join(report.format())
    assert TOKEN not in shown_locals(caught.value)
    assert "urllib3" not in "".join(traceback.format_tb(caught.value.__context__.__traceback__))


def test_the_frames_of_ctrl_c_hide_the_token(
    sender: WebhookSender, shown_locals: Callable[[BaseException], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a flush on the main thread ends the program, and its frames are reported."""
    monkeypatch.setattr(
        urllib3.connectionpool.HTTPSConnectionPool, "_new_conn", raise_error(KeyboardInterrupt("pressed"))
    )
    with pytest.raises(KeyboardInterrupt, match="pressed") as caught:
        sender.post(HELLO)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "_exchange" in shown_locals(caught.value)
    assert TOKEN not in "".join(report.format())


def raise_error(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_the_innermost_cause_is_the_reason(http: responses.RequestsMock, sender: WebhookSender) -> None:
    """The walk ends even if a chain of causes is a circle or never ends."""

    class Endless(requests.ConnectionError):
        @property
        def reason(self) -> Exception:
            return Endless()

    inner = OSError(113, "No route to host")
    outer = requests.ConnectionError(urllib3.exceptions.ProtocolError(f"at {URL.execute_url}", inner))
    inner.__context__ = outer
    http.post(URL.execute_url, body=outer)
    http.post(URL.execute_url, body=Endless())
    with pytest.raises(TransportError, match=r"^ConnectionError: No route to host$"):
        sender.post(HELLO)
    with pytest.raises(TransportError, match=r"^Endless$"):
        sender.post(HELLO)


def test_ctrl_c_is_let_through(sender: WebhookSender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender translates only errors, and leaves Ctrl-C to the program."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(requests.Session, "send", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sender.post(HELLO)


def test_the_repr_hides_the_token(sender: WebhookSender) -> None:
    """A program may print its sender."""
    assert repr(sender) == "<WebhookSender https://discord.com/api/v10/webhooks/123456789012345678/***>"
    assert TOKEN not in repr(vars(sender))
    assert repr(object.__new__(WebhookSender)) == "<WebhookSender without a URL>"


def test_a_sender_accepts_the_text_of_a_url(shown_locals: Callable[[BaseException], str]) -> None:
    """The text is parsed, and never shown."""
    sender = WebhookSender(f"https://discordapp.com/api/webhooks/123456789012345678/{TOKEN}")
    assert repr(sender) == "<WebhookSender https://discord.com/api/v10/webhooks/123456789012345678/***>"
    with pytest.raises(InvalidWebhookURLError) as caught:
        WebhookSender(f"https://discord.com/webhooks/123456789012345678/{TOKEN}")
    assert TOKEN not in str(caught.value)
    assert TOKEN not in shown_locals(caught.value)


# Against the local Discord


def test_a_message_arrives(discord: LocalDiscord, local_sender: WebhookSender) -> None:
    """With `wait=true` the response holds the message."""
    response = local_sender.post(HELLO)
    assert (response.status, response.body["content"]) == (200, "hello")
    assert [message.content for message in discord.messages] == ["hello"]
    assert response.headers["X-RateLimit-Limit"] == "5"


@pytest.mark.parametrize("is_monotonic", [True, False])
def test_a_connection_that_was_idle_for_long_is_not_used_again(
    local_sender: WebhookSender, monkeypatch: pytest.MonkeyPatch, *, is_monotonic: bool
) -> None:
    """A network may have forgotten it, and the post would have no response.

    While a platform froze the process, one of the clocks may have stood still.
    """
    opened = []
    open_connection = DeadlineAdapter.open

    def count_and_open(*args: Any) -> Any:
        opened.append(args)
        return open_connection(*args)

    monkeypatch.setattr(DeadlineAdapter, "open", count_and_open)
    began = sender_module._now()
    for seconds, connections in [(0, 1), (50, 1), (100, 1), (170, 2)]:
        now = (began[0] + seconds * is_monotonic, began[1] + seconds * (not is_monotonic))
        monkeypatch.setattr(sender_module, "_now", lambda now=now: now)
        assert local_sender.post(HELLO).status == 200
        assert len(opened) == connections


@pytest.mark.parametrize(
    ("fault", "is_error"),
    [
        (Fault.dropped(), True),
        (Fault.dropped(reset=True, save=True), True),
        (Fault.malformed(), True),
        (Fault.stall(9.0), True),
        (Fault.dripping(0.3), True),
        (Fault.rate_limited(3.5), False),
        (Fault.edge_block(), False),
        (Fault.webhook_deleted(), False),
        (Fault(status=502, body="<html>"), False),
    ],
    ids=lambda each: repr(each)[:60],
)
def test_a_fault_of_discord_is_an_error_only_without_a_response(
    discord: LocalDiscord, local_sender: WebhookSender, fault: Fault, is_error: bool
) -> None:
    """A message whose response is lost may have been saved, and the next post works after every fault."""
    # A slow machine takes its time for a response that does come.
    local_sender.timeout = 2.0 if is_error else 20.0
    discord.fail_next(fault)
    if is_error:
        with pytest.raises(TransportError) as caught:
            local_sender.post(HELLO)
        assert caught.value.maybe_saved
        assert_secret(caught.value)
    else:
        assert local_sender.post(HELLO).status == fault.status
    local_sender.timeout = 20.0
    assert local_sender.post(HELLO).status == 200


def test_no_log_of_urllib3_shows_the_token(
    discord: LocalDiscord, local_sender: WebhookSender, caplog: pytest.LogCaptureFixture
) -> None:
    """`urllib3` logs the path of each request, and the whole URL if headers are odd."""
    caplog.set_level(logging.DEBUG)
    token = WebhookURL.parse(discord.webhook_url).token
    local_sender.post(HELLO)
    discord.fail_next(Fault(raw=b"HTTP/1.1 200 OK\r\nodd header\r\nContent-Length: 0\r\n\r\n"))
    local_sender.post(HELLO)
    discord.fail_next(Fault.dropped())
    with pytest.raises(TransportError):
        local_sender.post(HELLO)
    logging.getLogger("urllib3.connectionpool").debug("a mapping %(a)s", {"a": 1})
    assert "/***" in caplog.text
    assert "Failed to parse headers" in caplog.text
    assert "a mapping 1" in caplog.text
    assert token not in caplog.text


def test_a_traceback_of_urllib3_is_logged_as_text(
    discord: LocalDiscord, local_sender: WebhookSender, caplog: pytest.LogCaptureFixture
) -> None:
    """`urllib3` logs an error with its traceback if headers are odd, and its frames hold the address of the request."""
    token = WebhookURL.parse(discord.webhook_url).token
    discord.fail_next(Fault(raw=b"HTTP/1.1 200 OK\r\nodd " + token.encode() + b"\r\nContent-Length: 0\r\n\r\n"))
    local_sender.post(HELLO)
    (record,) = [record for record in caplog.records if "Failed to parse headers" in record.msg]
    assert record.exc_info is None
    assert "HeaderParsingError" in str(record.exc_text)
    assert token not in caplog.text


@pytest.mark.usefixtures("sender")
def test_a_traceback_of_another_request_stays(caplog: pytest.LogCaptureFixture) -> None:
    """The records of the program's own requests stay as they are."""
    error = urllib3.exceptions.HTTPError("odd")
    logging.getLogger("urllib3.connection").warning("odd: %s %s", 1, error, exc_info=error)
    (record,) = caplog.records
    assert (record.args, record.exc_info) == ((1, error), (type(error), error, None))


def test_no_output_of_http_client_shows_the_token(
    discord: LocalDiscord,
    local_sender: WebhookSender,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a debug level, `http.client` prints each request, but not ours."""
    monkeypatch.setattr(HTTPConnection, "debuglevel", 1)
    local_sender.post(HELLO)
    assert (len(discord.messages), capsys.readouterr().out) == (1, "")
    requests.get(discord.url, timeout=20)
    assert "send: b'GET" in capsys.readouterr().out


def test_requests_mock_sees_a_request(sender: WebhookSender) -> None:
    """Programs fake Discord in their tests; the other tests here do that with `responses`."""
    with requests_mock.Mocker() as mock:
        mock.post(URL.execute_url, status_code=429, json={"retry_after": 1.5}, headers={"Retry-After": "2"})
        response = sender.post(HELLO)
    assert (response.status, response.body, response.retry_after) == (429, {"retry_after": 1.5}, 2.0)
    assert [request.json() for request in mock.request_history] == [HELLO.payload]


@pytest.mark.parametrize("form", ["{}", "https%3A%2F%2Fdiscord.com%2Fapi%2Fwebhooks%2F1%2F{}", "token={};"])
def test_a_sender_masks_its_own_token_in_messages(
    http: responses.RequestsMock, sender: WebhookSender, form: str
) -> None:
    """The token is masked even if it stands alone or in an encoded address, and other bytes of a file stay."""
    http.post(URL.execute_url, status=204)
    text = form.format(TOKEN)
    assert sender.post(Message({"content": text}, files=(File("a.txt", text.encode()),))).status == 204
    body = http.calls[0].request.body
    assert isinstance(body, bytes)
    assert TOKEN.encode() not in body
    assert body.count(form.format("***").encode()) == 2


def test_a_short_token_may_be_a_word_of_the_message(http: responses.RequestsMock) -> None:
    """A server other than Discord may give any text for a token, so a short one is not masked."""
    url = WebhookURL.parse("https://chat.example/api/webhooks/1/content")
    http.post(url.execute_url, status=204)
    assert WebhookSender(url).post(HELLO).status == 204
    assert json.loads(http.calls[0].request.body or "") == HELLO.payload


def test_get_asks_for_the_webhook(local_sender: WebhookSender, discord: LocalDiscord) -> None:
    """The request posts no message."""
    response = local_sender.get()
    assert (response.status, response.body["name"]) == (200, "Local Discord")
    assert not discord.messages


def test_a_get_without_a_response_raises_an_error(sender: WebhookSender, http: responses.RequestsMock) -> None:
    """The error holds no part of the URL."""
    http.get(URL.execute_url, body=requests.exceptions.ConnectionError("refused"))
    with pytest.raises(TransportError) as caught:
        sender.get()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.txt", "text/plain; charset=utf-8"), ("a.png", "image/png"), ("a", "application/octet-stream")],
)
def test_the_name_of_a_file_decides_its_type(
    local_sender: WebhookSender, discord: LocalDiscord, name: str, kind: str
) -> None:
    """Text is UTF-8, and a file of an unknown type is bytes."""
    local_sender.post(Message({"content": "hello"}, files=(File(name, b"\xff"),)))
    assert [file.content_type for file in discord.messages[0].files] == [kind]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "Sat, 28 Nov 2026 10:01:00 GMT", "Date": "Sat, 28 Nov 2026 10:00:00 GMT"}, 60.0),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_a_response_says_when_to_come_back(headers: dict[str, str], expected: float | None) -> None:
    """The header is read by RFC 9110, and a value that is not a time to wait is not believed."""
    assert Response(503, headers, None).retry_after == expected


# Edits


def test_an_edit_names_the_message_and_its_thread(http: responses.RequestsMock, sender: WebhookSender) -> None:
    """The method and the path are those of Discord's Edit Webhook Message, which knows no `wait`."""
    http.patch(f"{URL.execute_url}/messages/42", json={"id": "42"})
    response = sender.edit("42", Message({"embeds": [{"title": "x"}]}, "7"))
    [call] = http.calls
    assert (response.message_id, call.request.url) == ("42", f"{URL.execute_url}/messages/42?thread_id=7")
    assert json.loads(call.request.body or b"") == {"embeds": [{"title": "x"}]}


def test_an_edit_keeps_files_beside_new_ones(local_sender: WebhookSender, discord: LocalDiscord) -> None:
    """Files that `attachments` does not name are removed."""
    first = local_sender.post(Message({"content": "x"}, files=(File("a.txt", b"a"), File("b.txt", b"b"))))
    kept, _ = first.attachment_ids
    edited = local_sender.edit(
        str(first.message_id), Message({"attachments": [{"id": kept}]}, files=(File("c.txt", b"c"),))
    )
    [message] = discord.messages
    assert [file.data for file in message.files] == [b"a", b"c"]
    assert edited.attachment_ids == [file.id for file in message.files]


@pytest.mark.parametrize("files", [None, 5, "no", {}, [None, 5, {}, {"id": 5}, {"id": "x"}, {"id": []}]])
def test_a_response_may_name_no_files(files: object) -> None:
    """A proxy may have answered."""
    response = Response(200, {}, {"attachments": files, "guild_id": files})
    assert (response.attachment_ids, response.guild_id) == ([], None)


def test_a_response_names_the_files_in_their_order() -> None:
    """Whatever is no id is left out, since it becomes a part of the next request. Other scripts have digits as well."""
    odd = [{"id": each} for each in ("\u0665", "\uff15", "", "-1", "1" * 21, True, 5.0, None)]
    files: list[Any] = [{"id": "9", "filename": "b"}, *odd, None, {"ID": "4"}, [], {"id": "2" * 20}]
    assert Response(200, {}, {"attachments": files}).attachment_ids == ["9", "2" * 20]


@pytest.mark.parametrize("body", [None, [], "77", 5, {"guild_id": 77}, {"guild_id": "77/../1"}, {"guild": "77"}])
def test_a_webhook_may_name_no_server(body: object) -> None:
    """Without it, no message has an address."""
    assert Response(200, {}, body).guild_id is None
    assert Response(200, {}, {"guild_id": "77"}).guild_id == "77"


def test_an_edit_with_a_file_names_those_that_stay_first(http: responses.RequestsMock, sender: WebhookSender) -> None:
    """The new file refers to its part of the body by a number, which no kept file has as its id."""
    http.patch(f"{URL.execute_url}/messages/42", json={"id": "42"})
    kept: Any = {"embeds": [{"title": "x"}], "attachments": [{"id": "900"}, {"id": "901"}]}
    sender.edit("42", Message(kept, None, (File("records-3.txt", b"text\n"),)))
    [call] = http.calls
    assert (call.request.method, call.request.url) == ("PATCH", f"{URL.execute_url}/messages/42")
    body = call.request.body
    assert isinstance(body, bytes)
    [payload] = re.findall(rb'name="payload_json"\r\nContent-Type: application/json\r\n\r\n(.*?)\r\n--', body)
    assert json.loads(payload)["attachments"] == [
        *({"id": "900"}, {"id": "901"}),
        {"id": 0, "filename": "records-3.txt"},
    ]
    assert b'name="files[0]"; filename="records-3.txt"' in body
    assert kept["attachments"] == [{"id": "900"}, {"id": "901"}]


@pytest.mark.parametrize("in_file", [True, False])
def test_an_edit_shows_no_token(http: responses.RequestsMock, sender: WebhookSender, in_file: bool) -> None:
    """The new text of a message is masked as the first one is, and so is its file."""
    http.patch(f"{URL.execute_url}/messages/42", json={"id": "42"})
    payload: Any = {"embeds": [{"description": "" if in_file else TOKEN}]}
    sender.edit("42", Message(payload, None, (File("a.txt", TOKEN.encode()),) if in_file else ()))
    assert TOKEN not in str(http.calls[0].request.body)


def test_an_edit_without_a_response_is_an_error(http: responses.RequestsMock, sender: WebhookSender) -> None:
    """Its text does not hold the token, which the address of the request does."""
    http.patch(f"{URL.execute_url}/messages/42", body=requests.ReadTimeout(f"no {URL.execute_url}"))
    with pytest.raises(TransportError) as caught:
        sender.edit("42", HELLO)
    assert_secret(caught.value)
