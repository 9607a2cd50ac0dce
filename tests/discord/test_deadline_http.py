"""Every exchange over real sockets ends in time and says how far it came, whatever a server or a proxy does."""

from __future__ import annotations

import contextlib
import io
import queue
import socket
import ssl
import struct
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3
from urllib3.connectionpool import HTTPConnectionPool

from discord_logging._discord.deadline_http import BoundedSession, DeadlineAdapter, _ConnectionStack
from discord_logging._discord.sender import Response, WebhookSender
from discord_logging._discord.types import Message
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._exceptions import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
HELLO = Message({"content": "hello"})
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Server:
    """A server on loopback that handles one connection after the other as the test says."""

    def __init__(self, *behaviours: Callable[[socket.socket], object]) -> None:
        self.behaviours = list(behaviours)
        self.received: list[bytes] = []
        self.connections = self.finished = 0
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving, and leave no thread behind."""
        self._is_over.set()
        self._thread.join(10)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self.connections += 1
                behave = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    behave(connection)
                self.finished += 1

    def read(self, connection: socket.socket) -> bytes:
        """Return one request, or nothing if the client has left."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (part := connection.recv(65_536)):
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65_536)
        self.received.append(head + b"\r\n\r\n" + body)
        return self.received[-1]

    def answer(self, *parts: bytes, pause: float = 0.0, times: int = 1) -> Callable[[socket.socket], None]:
        """Return a behaviour that reads a request, sends the parts `times` times with pauses, and closes."""

        def behave(connection: socket.socket) -> None:
            self.read(connection)
            for _ in range(times):
                for part in parts:
                    if self._is_over.is_set():
                        return
                    connection.sendall(part)
                    self._is_over.wait(pause)

        return behave

    def keep_alive(self, *answers: bytes) -> Callable[[socket.socket], None]:
        """Return a behaviour that answers one request after the other."""

        def behave(connection: socket.socket) -> None:
            for answer in answers:
                if not self.read(connection):
                    return
                connection.sendall(answer)

        return behave

    def hang(self, connection: socket.socket) -> None:
        """Send nothing for as long as the client stays."""
        connection.settimeout(0.02)
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(65_536):
                    return


def serve(*parts: bytes, pause: float = 0.0, times: int = 1) -> Server:
    """Return a server with one answer."""
    server = Server()
    server.behaviours = [server.answer(*parts, pause=pause, times=times)]
    return server


def send_bad_request(connection: socket.socket) -> None:
    """Answer any bytes in plain text."""
    connection.recv(10)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def reset(server: Server, connection: socket.socket) -> None:
    """Read a request, and reset the connection."""
    server.read(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextlib.contextmanager
def sender_to(
    port: int, *, scheme: str = "http", host: str = "127.0.0.1", timeout: float = 5.0
) -> Iterator[WebhookSender]:
    """Yield a sender to a port on this machine."""
    url = WebhookURL.parse(f"{scheme}://{host}:{port}/api/webhooks/1/{TOKEN}", allow_http=True)
    sender = WebhookSender(url, timeout=timeout)
    try:
        yield sender
    finally:
        sender.close()


def post(server: Server, timeout: float = 5.0) -> Response:
    """Post one message to `server`."""
    with server, sender_to(server.port, timeout=timeout) as sender:
        return sender.post(HELLO)


def fail(server: Server, timeout: float = 5.0) -> TransportError:
    """Post one message to `server` in vain."""
    with pytest.raises(TransportError) as caught:
        post(server, timeout)
    return caught.value


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Assert that the block ends within `seconds` and a reserve for a busy machine. Without a deadline it takes 20."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds + 8


@pytest.fixture
def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# Connections


def test_a_connection_is_used_again() -> None:
    """Several posts use one connection, whether their responses have no body, a whole one, or one in chunks."""
    server = Server()
    answers = [
        NO_CONTENT,
        b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n',
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        NO_CONTENT,
    ]
    server.behaviours = [server.keep_alive(*answers)]
    with server, sender_to(server.port) as sender:
        got = [sender.post(HELLO) for _ in answers]
    assert [response.status for response in got] == [204, 200, 200, 429, 204]
    assert [response.body for response in got] == [None, {"a": 1}, {"a": 1}, None, None]
    assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_opened_anew() -> None:
    """A server may end an idle connection, but that does not make the next post fail."""
    server = serve(NO_CONTENT)
    with server, sender_to(server.port) as sender:
        assert sender.post(HELLO).status == 204
        while not server.finished:
            time.sleep(0.001)
        assert sender.post(HELLO).status == 204
    assert server.connections == 2


def test_a_closed_sender_opens_a_new_connection() -> None:
    """A sender can be used after `close`."""
    server = Server()
    server.behaviours = [server.keep_alive(NO_CONTENT, NO_CONTENT)]
    with server, sender_to(server.port) as sender:
        sender.post(HELLO)
        sender.close()
        sender.close()
        sender.post(HELLO)
    assert server.connections == 2


def test_after_a_fork_the_connection_is_left_to_the_parent() -> None:
    """The child opens its own connection, and the parent's goes on working."""
    server = Server()
    server.behaviours = [server.keep_alive(NO_CONTENT)]
    with server, sender_to(server.port) as sender:
        sender.post(HELLO)
        session = sender._session
        assert session is not None
        sender.after_fork_in_child()
        assert sender._session is None
        session.close()
        assert sender.post(HELLO).status == 204
    assert server.connections == 2


# Failures: may the message have been saved?


def test_over_a_refused_connection_nothing_was_sent(free_port: int) -> None:
    """The error names the reason in words."""
    with (
        sender_to(free_port) as sender,
        pytest.raises(TransportError, match=r"^ConnectionError: Connection refused$") as caught,
    ):
        sender.post(HELLO)
    assert not caught.value.maybe_saved


def test_a_message_whose_connection_was_lost_may_have_been_saved() -> None:
    """The connection is closed or reset before the response begins."""
    server = Server()
    server.behaviours = [partial(reset, server)]
    assert fail(server).maybe_saved
    server = Server()
    server.behaviours = [server.read]
    assert fail(server).maybe_saved


@pytest.mark.parametrize(
    "garbage", [b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 20", b"x" * 99_999]
)
def test_a_message_whose_response_is_not_http_may_have_been_saved(garbage: bytes) -> None:
    """Without a status, nobody knows whether the message was saved."""
    assert fail(serve(garbage)).maybe_saved


def test_a_plain_server_at_an_https_url_gets_no_request() -> None:
    """The handshake comes before the request, and fails."""
    server = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    server.behaviours = [send_bad_request]
    with (
        server,
        sender_to(server.port, scheme="https") as sender,
        pytest.raises(TransportError, match=r"^SSLError") as caught,
    ):
        sender.post(HELLO)
    assert not caught.value.maybe_saved


def test_a_silent_server_at_an_https_url_is_left_in_time() -> None:
    """The deadline holds for the handshake as well."""
    server = Server()
    server.behaviours = [server.hang]
    with (
        server,
        sender_to(server.port, scheme="https", timeout=0.3) as sender,
        in_time(0.3),
        pytest.raises(TransportError) as caught,
    ):
        sender.post(HELLO)
    assert not caught.value.maybe_saved


def test_a_host_without_an_address_gets_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the resolver's reason."""

    def resolve(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with (
        sender_to(1, host="nowhere.example") as sender,
        pytest.raises(TransportError, match=r"Name or service not known") as caught,
    ):
        sender.post(HELLO)
    assert not caught.value.maybe_saved
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with sender_to(1, host="nowhere.example") as sender, pytest.raises(TransportError) as caught:
        sender.post(HELLO)
    assert not caught.value.maybe_saved


# Time


def test_nothing_is_sent_after_the_deadline_when_the_resolver_was_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can interrupt the resolver, but the message is not sent when nobody waits for it any more."""
    resolve = socket.getaddrinfo

    def dawdle(*args: Any, **more: Any) -> Any:
        time.sleep(0.3)
        return resolve(*args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", dawdle)
    server = serve(NO_CONTENT)
    error = fail(server, timeout=0.2)
    assert not error.maybe_saved
    assert server.received == []


def test_the_addresses_of_a_host_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead addresses neither exceed the whole time nor keep the living address from its turn."""
    server = serve(NO_CONTENT)
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    clogs = [socket.socket() for _ in range(4)]
    for clog in clogs:
        clog.setblocking(False)
        clog.connect_ex(full.getsockname())
    dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", full.getsockname())
    alive = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    try:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, dead, alive])
        with in_time(3):
            assert post(server, timeout=3).status == 204
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead] * 5)
        with (
            in_time(0.4),
            sender_to(1, timeout=0.4) as sender,
            pytest.raises(TransportError, match="Timeout") as caught,
        ):
            sender.post(HELLO)
    finally:
        for each in (full, *clogs):
            each.close()
    assert not caught.value.maybe_saved


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    """A silent server may have saved the message."""
    server = Server()
    server.behaviours = [server.hang]
    with in_time(0.3):
        error = fail(server, timeout=0.3)
    assert error.maybe_saved
    assert str(error) == "ReadTimeout" or str(error).startswith("ReadTimeout: ")


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_server_that_drips_the_first_line_is_left_in_time(part: bytes) -> None:
    """Bytes that keep coming do not extend the deadline."""
    with in_time(0.3):
        assert fail(serve(part, pause=0.05, times=400), timeout=0.3).maybe_saved


@pytest.mark.parametrize("status", [200, 204, 400, 429, 502])
@pytest.mark.parametrize("rest", [b"X-A: 1\r\n", b"X-A: " + b"1" * 70_000, b"\x00\xff"], ids=["drip", "long", "none"])
def test_bad_headers_do_not_hide_the_status(status: int, rest: bytes) -> None:
    """The status decides the outcome, so that a saved message is not sent again."""
    with in_time(1):
        response = post(serve(b"HTTP/1.1 %d Word\r\n" % status, *[rest] * 2_000, pause=0.01), timeout=1)
    assert (response.status, response.body) == (status, None)


@pytest.mark.parametrize("head", [b"Content-Length: 9999\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_a_server_that_drips_the_body_is_left_in_time(head: bytes) -> None:
    """The response keeps its status."""
    part = b"1\r\n \r\n" if b"chunked" in head else b" "
    with in_time(1):
        response = post(serve(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", *[part] * 1_000, pause=0.02), timeout=1)
    assert (response.status, response.body) == (200, None)


# Bodies


@pytest.mark.parametrize("status", [200, 301, 308, 502])
def test_an_endless_body_is_not_read_to_its_end(status: int) -> None:
    """`requests` would read the whole body of a redirect, and follow it; the sender does neither."""
    head = b"HTTP/1.1 %d Word\r\nLocation: /elsewhere\r\n\r\n" % status
    server = serve(head, *[b"x" * 65_536] * 400)
    with in_time(1):
        response = post(server)
    assert (response.status, response.body) == (status, None)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>error code: 1015</html>",
        b"[" * 60_000,
        b'{"a": ' * 10_000,
        b"\xff\xfe\x00",
        b'{"a": 1',
        b"1" * 9_999,
    ],
)
def test_a_body_that_is_not_json_is_dropped(body: bytes) -> None:
    """The response keeps its status, whatever the body is."""
    response = post(serve(b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n" % len(body), body))
    assert (response.status, response.body) == (500, None)
    assert response.reason == "HTTP 500"


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"nonsense"])
def test_a_body_in_garbled_compression_keeps_the_status(encoding: bytes) -> None:
    """The sender asked for no compression, but the server may compress all the same."""
    response = post(serve(b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: 9\r\n\r\nnot gzip!" % encoding))
    assert response.status == 200


def test_a_body_that_is_cut_short_keeps_the_status() -> None:
    """A 2xx is final even without its body."""
    response = post(serve(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a": 1}'))
    assert response.status == 200


# Proxies and pools


@pytest.mark.parametrize("is_excepted", [False, True])
def test_a_proxy_from_the_environment_is_used(is_excepted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy gets the requests, unless NO_PROXY names the host."""
    proxy, server = Server(), Server()
    proxy.behaviours = [proxy.keep_alive(*[b"HTTP/1.1 201 Proxy\r\nContent-Length: 0\r\n\r\n"] * 2)]
    server.behaviours = [server.keep_alive(NO_CONTENT, NO_CONTENT)]
    with proxy, server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1" if is_excepted else "")
        monkeypatch.setenv("no_proxy", "127.0.0.1" if is_excepted else "")
        with sender_to(server.port) as sender:
            assert [sender.post(HELLO).status for _ in range(2)] == [204 if is_excepted else 201] * 2
    assert bool(server.received) is is_excepted
    assert all(request.startswith(b"POST http://127.0.0.1:") for request in proxy.received)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 407 Who are you\r\n\r\n", b"", b"H"])
def test_nothing_is_sent_before_the_tunnel_of_a_proxy_stands(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status of the proxy is not Discord's, and the message has not left."""
    with serve(answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with sender_to(443, scheme="https", host="discord.example") as sender, pytest.raises(TransportError) as caught:
            sender.post(HELLO)
    assert not caught.value.maybe_saved
    assert proxy.received[0].startswith(b"CONNECT discord.example:443 ")
    assert TOKEN.encode() not in b"".join(proxy.received)


def test_a_dripping_proxy_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline holds for the response to CONNECT as well."""
    with serve(b"HTTP/1.1 200 OK\r\n", *[b"X-A: 1\r\n"] * 400, pause=0.05) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with (
            sender_to(443, scheme="https", host="discord.example", timeout=0.3) as sender,
            in_time(0.3),
            pytest.raises(TransportError) as caught,
        ):
            sender.post(HELLO)
    assert not caught.value.maybe_saved


def test_a_socks_proxy_keeps_its_own_way_to_connect() -> None:
    """A connection class with its own way to connect keeps that way."""

    class Detour(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> socket.socket:
            raise OSError("by the detour")

    class Pool(HTTPConnectionPool):
        ConnectionCls = Detour

    with pytest.raises(OSError, match="by the detour"):
        DeadlineAdapter()._bound_pool(Pool)("127.0.0.1", 1)._new_conn()._new_conn()


def test_a_session_ignores_redirects() -> None:
    """`requests` finds no target, so it neither follows a redirect nor reads its body."""
    response = requests.Response()
    response.status_code, response.headers["Location"] = 301, "http://127.0.0.1/"
    with BoundedSession() as session:
        target: object = requests.Session.get_redirect_target(session, response)
        assert target
        find: Any = session.get_redirect_target
        assert find(response) is None


def test_the_stack_of_idle_connections_is_bounded() -> None:
    """The stack raises the errors that a pool expects, when it is full and when it is empty."""
    stack = _ConnectionStack(1)
    stack.put("idle")
    with pytest.raises(queue.Full):
        stack.put("another")
    assert stack.get() == "idle"
    with pytest.raises(queue.Empty):
        stack.get()


def test_a_reader_closes_what_it_reads() -> None:
    """No socket is left open behind a response."""
    from discord_logging._discord.deadline_http import _DeadlineReader  # noqa: PLC0415 - private, and for this test alone

    raw = io.BytesIO(b"x")
    reader = _DeadlineReader(raw, None, DeadlineAdapter())
    assert reader.readable()
    reader.close()
    assert raw.closed


def test_tls_checks_certificates() -> None:
    """The deadline does not change the verification of certificates."""
    adapter = DeadlineAdapter()
    pool = adapter.poolmanager.connection_from_url("https://discord.example")
    assert pool.cert_reqs in (None, "CERT_REQUIRED", ssl.CERT_REQUIRED)
    adapter.close()
