"""Hostile input gets the right error, takes no memory, and does not disturb other requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from functools import partial
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discord_logging.sandbox import LocalDiscord
from discord_logging.sandbox._answers import Refusal
from discord_logging.sandbox._body import Body, parse_body
from discord_logging.sandbox._github import github_payload
from discord_logging.sandbox._models import File, Request
from discord_logging.sandbox._slack import slack_payload
from discord_logging.sandbox._state import State
from discord_logging.sandbox._validation import validate
from discord_logging.sandbox._webhooks import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging.sandbox._answers import Answer

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KINDS = st.sampled_from([1, 2, 9, 10, 11, 12, 13, 14, 17]) | _JSON
_COMPONENT = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"type": _KINDS, "content": _JSON, "spacing": _JSON, "url": _JSON, "file": _JSON}
    ),
    lambda inner: st.fixed_dictionaries(
        {"type": _KINDS},
        optional={"components": st.lists(inner, max_size=2) | _JSON, "accessory": inner | _JSON, "items": _JSON},
    ),
    max_leaves=6,
)
_KEYS = ["content", "username", "avatar_url", "tts", "allowed_mentions", "flags", "thread_name", "applied_tags"]
_MEDIA = st.fixed_dictionaries({}, optional={"text": _JSON, "emoji": _JSON})
_ANSWER = st.fixed_dictionaries({}, optional={"poll_media": _MEDIA | _JSON})
_POLL_KEYS = {"question": _MEDIA, "answers": st.lists(_ANSWER | _JSON, max_size=3), "duration": _JSON}
_PAYLOAD = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(_KEYS, _JSON),
        "flags": st.sampled_from([0, 4, 32768]) | _JSON,
        "components": st.lists(_COMPONENT, max_size=3) | _JSON,
        "poll": st.fixed_dictionaries({}, optional=_POLL_KEYS) | _JSON,
        "attachments": st.lists(st.fixed_dictionaries({}, optional={"id": _JSON, "filename": _JSON}), max_size=3)
        | _JSON,
        "embeds": _JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(
                    ("title", "url", "color", "timestamp", "footer", "author", "image", "fields"), _JSON
                ),
            ),
            max_size=3,
        ),
    },
)


@pytest.mark.once
@given(payload=_PAYLOAD, components=st.booleans())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_types_in_a_payload_are_read_or_refused(payload: Any, components: bool) -> None:
    """Whatever types a payload has, the response is one of Discord's, and never an internal error of the server."""
    try:
        form = validate(payload, [], with_components=components)
    except Refusal as refusal:
        refusal.answer.encoded()
    else:
        json.dumps([form.embeds, form.components])


@pytest.mark.once
@given(edits=st.lists(st.tuples(_PAYLOAD | _JSON, st.booleans(), st.booleans()), min_size=1, max_size=2))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_types_in_an_edit_are_read_or_refused(edits: list[tuple[Any, bool, bool]]) -> None:
    """Whatever types an edit has, with files or without, the response is one of Discord's."""
    local = LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None, invalid_limit=None)
    path = local._webhook.id, local._webhook.token
    files = [File("a.png", "image/png", b"x", "a.png", None, "0")]

    def answer(method: str, tail: str, body: Body, **query: str) -> Answer:
        url = f"/api/v10/webhooks/{'/'.join(path)}{tail}"
        return local._webhooks.respond(Call(method, url, query, "", "", body, "http://localhost:1", 0.0))

    answer("POST", "", Body({"embeds": [{"image": {"url": "attachment://a.png"}}]}, files))
    for payload, has_files, components in edits:
        body, query = Body(payload, files if has_files else []), {"with_components": "1"} if components else {}
        edited = answer("PATCH", f"/messages/{local.messages[0].id}", body, **query)
        edited.encoded()
        assert edited.status in (200, 400)


_SERVICE_KEYS = "action attachments color commits fields forced head_commit id issue ref repository text title ts url"
_SERVICE_BODY = st.recursive(
    _JSON | st.sampled_from(["opened", "refs/heads/x", "https://a.b", "#f00"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_SERVICE_KEYS.split()), inner, max_size=6)
    ),
    max_leaves=12,
)
_SENDER = {"login": "ann", "html_url": "https://a.b/ann", "avatar_url": "https://a.b/ann.png"}
_READERS = {"slack": slack_payload} | {name: partial(github_payload, name) for name in ("push", "issues", "star")}


@pytest.mark.once
@pytest.mark.parametrize("read", _READERS.values(), ids=_READERS)
@given(body=_SERVICE_BODY)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_types_in_a_message_of_a_service_are_read_or_refused(read: Callable[[Any], Any], body: Any) -> None:
    """Messages in Slack's form and events of GitHub have Discord's errors, too."""
    whole = {"sender": _SENDER, **body} if isinstance(body, dict) else body
    with contextlib.suppress(Refusal):
        validate(read(whole) or {}, [], with_components=False)


@pytest.mark.once
@given(
    data=st.binary(max_size=80)
    | st.builds(
        lambda head, body: (
            b'--b\r\nContent-Disposition: form-data; name="files[0]"; ' + head + b"\r\n\r\n" + body + b"\r\n--b--"
        ),
        st.binary(max_size=40)
        | st.from_regex(rb"filename\*?=(idna|utf-8|utf-7|x)?'?'?[%a-fA-F0-9.\"]*", fullmatch=True),
        st.binary(max_size=10),
    ),
    boundary=st.sampled_from(["b", '"b', "", "b; charset=x", "\u00e4"]),
)
@settings(max_examples=300, deadline=None)
def test_any_multipart_is_read_or_refused(data: bytes, boundary: str) -> None:
    """Broken parts, unknown encodings of names and missing boundaries do not break the server."""
    assert isinstance(parse_body(f"multipart/form-data; boundary={boundary}", data), Body)


@pytest.mark.parametrize(
    "body",
    [
        '{"a": ' * 100 + "[]" + "}" * 100,
        "[" * 101 + "]" * 101,
        '{"content": 1e999}',
        '{"content": ' + "9" * 5000 + "}",
    ],
)
def test_json_that_breaks_parsers_is_invalid(unlimited: LocalDiscord, http: requests.Session, body: str) -> None:
    """Deep nesting and numbers without limit are refused."""
    answer = http.post(unlimited.webhook_url, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, 50109)


_TEXT = 1024 * 1024
_WHOLE = 25 * _TEXT
_HEADER = b"Content-Disposition: form-data; name=a"
_NAMED = _HEADER + b";filename=x"


def _multipart(head: bytes, content: bytes = b"x", times: int = 1) -> bytes:
    return (b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n") * times + b"--b--"


def _repeated(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


_COSTLY: dict[str, tuple[str, Callable[[], bytes]]] = {
    "file name in parts": ("multipart", lambda: _multipart(_HEADER + _repeated(b";filename*0*=a", 4096), times=32)),
    "file name in a million parts": ("multipart", lambda: _multipart(_HEADER + _repeated(b";filename*0*=a", _WHOLE))),
    "quotes in headers": ("multipart", lambda: _multipart(_HEADER + _repeated(b';a="\\', 4096), times=32)),
    "parameters in all headers": (
        "multipart",
        lambda: _multipart(b"\r\n".join([_HEADER + _repeated(b";a=b", 4096)] * 4), times=32),
    ),
    "combining characters": (
        "multipart",
        lambda: _multipart(_HEADER + b';filename="%b"' % _repeated("\u0301\u0323".encode(), 4096), times=32),
    ),
    "many parts": ("multipart", lambda: _multipart(_HEADER, times=_WHOLE // 60)),
    "many headers": ("multipart", lambda: _multipart(_HEADER + _repeated(b"\r\na: b", _WHOLE))),
    "folded header": ("multipart", lambda: _multipart(_HEADER + _repeated(b"\r\n b", _WHOLE))),
    "endless header": ("multipart", lambda: _multipart(_HEADER + b"a" * _WHOLE)),
    "almost delimiters": ("multipart", lambda: _multipart(_NAMED, _repeated(b"\r\n--", _WHOLE))),
    "no delimiter": ("multipart", lambda: b"x" * _WHOLE),
    "empty lists": ("json", lambda: b"[" + _repeated(b"[],", _TEXT - 8) + b"[]]"),
    "deep lists": ("json", lambda: b"[" * 99 + _repeated(b"[],", 50_000) + b"[]" + b"]" * 99),
    "embeds": ("json", lambda: b'{"embeds":[' + _repeated(b"{},", 90_000) + b"{}]}"),
    "long numbers": ("json", lambda: b"[" + _repeated(b"1" * 4000 + b",", _TEXT - 5000) + b"1]"),
    "combining characters in a URL": (
        "json",
        lambda: b'{"avatar_url":"https://a.b' + _repeated(rb"\u0301\u0323", _TEXT - 100) + b'"}',
    ),
    "combining characters in a name": (
        "json",
        lambda: b'{"attachments":[{"id":"0","filename":"' + _repeated(rb"\u0301\u0323", _TEXT - 100) + b'"}]}',
    ),
    "fields of a form": ("form", lambda: _repeated(b"a=b&", _TEXT)),
}
"""The kinds of bodies, with functions that make them: all of them together are 200 MB."""


@pytest.mark.once
@pytest.mark.parametrize(("kind", "make"), _COSTLY.values(), ids=_COSTLY)
def test_no_body_keeps_the_server_busy(kind: str, make: Callable[[], bytes]) -> None:
    """The largest bodies cost less than 0.1 s each; a file name in parts (RFC 2231) once cost a minute."""
    types = {
        "multipart": "multipart/form-data; boundary=b",
        "json": "application/json",
        "form": "application/x-www-form-urlencoded",
    }
    data = make()

    def seconds() -> float:
        began = time.thread_time()
        body = parse_body(types[kind], data)
        with contextlib.suppress(Refusal):
            if not body.refusal:
                validate(body.payload, body.files, with_components=True)
        return time.thread_time() - began

    # The machine may be slower than those we know, but not ten times.
    assert min(seconds() for _ in range(3)) < 1.0


@pytest.mark.parametrize(
    ("path", "agent", "status", "code"),
    [
        ("/api/v10/webhooks/1/x", "test", 404, 10015),
        ("/api/v10/webhooks/{id}/x", "test", 401, 50027),
        ("/api/v10/elsewhere", "test", 404, 0),
        ("{path}", "Mozilla/5.0", 403, None),
    ],
)
def test_a_body_without_a_token_is_not_read(
    unlimited: LocalDiscord, path: str, agent: str, status: int, code: int | None
) -> None:
    """The response comes before the body, so that no web page can give the server work."""
    address, own = urlsplit(unlimited.url), urlsplit(unlimited.webhook_url).path
    target = path.format(id=own.split("/")[-2], path=own)
    head = f"POST {target} HTTP/1.1\r\nHost: {address.netloc}\r\nUser-Agent: {agent}\r\nContent-Length: 20000000\r\n"
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as client:
        client.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
        answer = HTTPResponse(client)
        answer.begin()
        body = answer.read()
    assert answer.status == status
    assert code is None or json.loads(body)["code"] == code
    (request,) = unlimited.requests
    assert (request.status, request.payload, request.size) == (status, None, 0)


def test_a_connection_is_used_again_after_a_body_that_was_not_read(
    unlimited: LocalDiscord, http: requests.Session
) -> None:
    """A client that posts to a webhook that does not exist is answered as by Discord, also the next time."""
    for _ in range(2):
        answer = http.post(f"{unlimited.url}/api/v10/webhooks/1/x", data=b"x" * 1_000_000)
        assert (answer.status_code, answer.json()["code"]) == (404, 10015)
    assert http.post(unlimited.webhook_url, json={"content": "x"}).status_code == 204


def test_names_of_parts_are_read_in_every_encoding() -> None:
    """Names may be bytes of UTF-8 or of another encoding, percent-encoded (RFC 8187), or quoted as browsers do."""
    names = {
        'filename="\u00e4.txt"'.encode(): "\u00e4.txt",
        b'filename="\xe4.txt"': "\ufffd.txt",
        b'filename="a%22b.txt"': 'a"b.txt',
        b"filename=a.txt; filename*=utf-8''%C3%A4.txt": "\u00e4.txt",
        b"filename*=''%C3%A4.txt": "\u00e4.txt",
        b"filename*=utf-8''%E4.txt": "unknown",
    }
    for header, name in names.items():
        body = parse_body("multipart/form-data; boundary=b", _multipart(_HEADER + b"; " + header))
        assert [file.title for file in body.files] == [name]


@pytest.mark.parametrize("boundary", ["a/b=c", '"a b"', "----WebKitFormBoundary", "=_'()+_,-./:=?"])
def test_any_boundary_is_understood(boundary: str) -> None:
    """A boundary may be quoted, and clients leave other characters than those of a token unquoted."""
    data = _multipart(_NAMED).replace(b"--b", b"--" + boundary.strip('"').encode())
    assert [file.data for file in parse_body(f"multipart/form-data; boundary={boundary}", data).files] == [b"x"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v{n}/webhooks/1/x", 404), ("/api/v10/webhooks/{n}/x", 400), ("/attachments/1/{n}/x", 404)],
)
def test_endless_numbers_in_an_address_are_refused(
    unlimited: LocalDiscord, http: requests.Session, path: str, status: int
) -> None:
    """Python refuses to read numbers of thousands of digits, which was an internal error."""
    for number in ("1" * 5000, "\u0661"):
        assert http.get(unlimited.url + path.format(n=number)).status_code == status


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("webhooks/hook/x", "webhook_id", "hook"),
        ("webhooks/007/x", "webhook_id", "007"),
        ("webhooks/1/x/messages/last", "message_id", "last"),
    ],
)
def test_ids_must_be_snowflakes(
    unlimited: LocalDiscord, http: requests.Session, path: str, key: str, value: str
) -> None:
    """The response to another id is a 400, and not that of an unknown webhook."""
    answer = http.get(f"{unlimited.url}/api/v10/{path}")
    leaf = {"code": "NUMBER_TYPE_COERCE", "message": f'Value "{value}" is not snowflake.'}
    assert (answer.status_code, answer.json()["errors"]) == (400, {key: {"_errors": [leaf]}})
    assert "/x" not in unlimited.requests[0].path


def test_errors_quote_values_shortened(unlimited: LocalDiscord, http: requests.Session) -> None:
    """An error quotes only the beginning of a long value."""
    answer = http.post(unlimited.webhook_url, json={"content": ["x" * 1_000_000]})
    assert (answer.status_code, len(answer.content) < 1000) == (400, True)


@pytest.mark.parametrize("encoding", [b"idna", b"utf\0-8"])
def test_a_file_name_in_an_impossible_encoding_is_unknown(encoding: bytes) -> None:
    """The file is kept, and its name becomes `unknown`. Python refuses a null character by a plain `ValueError`."""
    data = _multipart(_HEADER + b"; filename*=" + encoding + b"''%C3%A4")
    assert [file.title for file in parse_body("multipart/form-data; boundary=b", data).files] == ["unknown"]


@pytest.mark.parametrize("kind", ["json", "form", "part"])
def test_text_of_many_megabytes_is_too_large(unlimited: LocalDiscord, http: requests.Session, kind: str) -> None:
    """No message needs such a text, which would take many times its size in memory."""
    text = "[]," * 1_500_000
    bodies: dict[str, dict[str, Any]] = {
        "json": {"data": text, "headers": {"Content-Type": "application/json"}},
        "form": {"data": {"content": text}},
        "part": {"files": {"payload_json": (None, text)}},
    }
    answer = http.post(unlimited.webhook_url, **bodies[kind])
    assert (answer.status_code, answer.json()["code"]) == (413, 40005)


@pytest.mark.parametrize("announced", [True, False])
def test_no_more_than_the_limit_is_read_of_100_megabytes(unlimited: LocalDiscord, announced: bool) -> None:
    """The server answers 413 at once if the length is announced, and otherwise as soon as the limit is passed."""
    address = urlsplit(unlimited.url)
    length = "Content-Length: 100000000" if announced else "Transfer-Encoding: chunked"
    head = f"POST {urlsplit(unlimited.webhook_url).path} HTTP/1.1\r\nHost: {address.netloc}\r\n{length}\r\n"
    megabyte = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as client:
        client.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode())
        for _ in range(0 if announced else 26):
            client.sendall(megabyte)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    (request,) = unlimited.requests
    assert (request.status, request.payload, request.size) == (413, None, 0)
    assert requests.get(unlimited.webhook_url, timeout=5).ok


@pytest.mark.parametrize("header", ["Content-Length: 100", "Content-Length: 4\r\nContent-Encoding: gzip"])
def test_a_body_that_does_not_arrive_ends_the_connection(
    unlimited: LocalDiscord, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    """Regression: a client that was killed while it posted left an error with a traceback in the log."""
    address = urlsplit(unlimited.url)
    head = f"POST {urlsplit(unlimited.webhook_url).path} HTTP/1.1\r\nHost: {address.netloc}\r\n{header}\r\n"
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as client:
        client.sendall(f"{head}Content-Type: application/json\r\n\r\nhalf".encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert requests.get(unlimited.webhook_url, timeout=5).ok
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a/../../b", "..", "\x00../x"])
def test_file_names_contain_no_path(unlimited: LocalDiscord, http: requests.Session, name: str) -> None:
    """File names lose separators and leading dots, and files are served from memory."""
    answer = http.post(unlimited.webhook_url, files={"files[0]": (name, b"secret")})
    (shown,) = answer.json()["attachments"]
    assert not set("/\\\x00") & set(shown["filename"])
    assert not shown["filename"].startswith(".")
    assert http.get(shown["url"]).content == b"secret"
    assert http.get(f"{unlimited.url}/attachments/{unlimited.messages[0].id}/0/../../../etc/passwd").status_code == 404


def test_hostile_markup_is_kept_unchanged(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The server stores markup as text."""
    hostile = "<script>alert(1)</script> [x](javascript:alert(1)) " + "*_~|`>" * 300
    http.post(unlimited.webhook_url, json={"content": hostile})
    assert unlimited.messages[0].content == hostile.strip()


def test_memory_has_a_bound_in_bytes(http: requests.Session) -> None:
    """Old messages and requests are removed for new ones, the newest always stays, and errors report the removal."""
    with LocalDiscord(max_bytes=3_000_000, webhook_limit=None, channel_limit=None) as local:
        for number in range(4):
            http.post(local.webhook_url, data={"content": str(number)}, files={"files[0]": ("a", bytes(1_200_000))})
        assert [message.content for message in local.messages] == ["2", "3"]
        assert (len(local.requests), local.forgotten) == (2, 2)
        http.patch(f"{local.webhook_url}/messages/{local.messages[1].id}", files={"files[0]": ("b", bytes(5_000_000))})
        assert [len(message.files) for message in local.messages] == [2]
        with pytest.raises(TimeoutError, match="messages in the channels: 1, 3 older ones were removed"):
            local.wait_for("nothing", timeout=0.01)
        http.delete(f"{local.webhook_url}/messages/{local.messages[0].id}")
        assert local._state._message_bytes == 0


def test_threads_and_buckets_have_a_bound(http: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forum posts and guessed ids cannot fill the memory."""
    monkeypatch.setattr("discord_logging.sandbox._rate_limits._MAX_BUCKETS", 3)
    with LocalDiscord(max_messages=2) as local:
        threads = [local.add_thread() for _ in range(3)]
        assert [local._state.thread(thread) is not None for thread in threads] == [False, True, True]
        for number in range(5):
            http.post(f"{local.url}/api/v10/webhooks/{number}/x", json={})
        assert len(local._webhooks.limits._buckets) == 3


def test_deleting_a_removed_message_is_harmless() -> None:
    """The channel may be cleared while a response is made."""
    state = State(2, 100)
    state.begin(Request("GET", "/", {}, None, [], 0.0))
    with LocalDiscord(webhook_limit=None) as local:
        requests.post(local.webhook_url, json={"content": "x"}, timeout=5)
        (message,) = local.messages
        local.clear()
        local._state.delete(message)
        assert local.messages == []


@pytest.mark.once
def test_a_flood_loses_no_accepted_message() -> None:
    """Twenty connections post as fast as they can; every accepted message is counted, and the newest are kept."""

    async def post(session: aiohttp.ClientSession, url: str, sender: int) -> int:
        accepted = 0
        for number in range(100):
            async with session.post(url, json={"content": f"{sender}-{number}"}) as answer:
                accepted += answer.status == 204
        return accepted

    async def flood(url: str) -> int:
        async with aiohttp.ClientSession() as session:
            return sum(await asyncio.gather(*(post(session, url, sender) for sender in range(20))))

    settings: dict[str, Any] = dict.fromkeys(("webhook_limit", "channel_limit", "global_limit"))
    with LocalDiscord(max_messages=500, **settings) as local:
        accepted = asyncio.run(flood(local.webhook_url))
        assert accepted == 2000 == local._state.counts()["messages"]
        assert (len(local.messages), local.forgotten) == (500, 1500)
        assert {message.content for message in local.messages} >= {f"{sender}-99" for sender in range(20)}
