"""Tests of `discord-logging check`."""

from __future__ import annotations

import io
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses

from discord_logging._cli.main import main
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/v10/webhooks/123456789012345678/{TOKEN}"
WEBHOOK = {"id": "123456789012345678", "channel_id": "42", "guild_id": "7", "name": "Ops", "type": 1, "token": TOKEN}
VIA = {"Via": "1.1 google"}


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDiscord]:
    with LocalDiscord() as local:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", local.webhook_url)
        yield local


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[responses.RequestsMock]:
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", URL)
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command and returns its exit code and output."""

    def run(*arguments: str) -> tuple[int, str]:
        code = main(["check", *arguments])
        output = "".join(capsys.readouterr())
        assert TOKEN not in output
        return code, output

    return run


def test_a_working_webhook_is_described(discord: LocalDiscord, check: Any) -> None:
    """The output names the webhook, its channel and its server, and nothing is posted."""
    code, output = check()
    assert code == 0
    assert output.startswith("ok: webhook 'Local Discord' (")
    assert "in channel" in output
    assert "an incoming webhook." in output
    assert not discord.messages


def test_a_test_card_is_posted_with_the_option(discord: LocalDiscord, check: Any) -> None:
    """A test card that cannot be posted is reported."""
    code, output = check("--post")
    assert (code, len(discord.messages)) == (0, 1)
    assert "ok: a test card was posted." in output
    discord.fail_next(Fault.webhook_deleted())
    code, output = check("--post")
    assert code == 1
    assert "WRONG: a test card could not be posted: HTTP 404" in output


@pytest.mark.parametrize(
    ("status", "body", "headers", "explanation"),
    [
        (404, {"message": "Unknown Webhook", "code": 10015}, VIA, "gone: the webhook does not exist"),
        (401, {"message": "Invalid Webhook Token", "code": 50027}, VIA, "wrong token"),
        (429, "<html>error code: 1015</html>", {"Server": "cloudflare"}, "blocked: Cloudflare, in front of Discord"),
        (403, "error code: 1010", {"Server": "cloudflare"}, "blocked: Cloudflare, in front of Discord"),
        (429, {"message": "x", "retry_after": 200.0, "global": False}, VIA, "rate limited (scope"),
        (403, {"message": "Missing", "code": 50013}, VIA, "forbidden"),
        (407, "", {}, "the proxy needs a user name"),
        (503, "", {}, "Discord has a server error"),
        (302, "", {"Location": "https://login.example/"}, "login page of the network"),
        (200, "<html>Welcome to the hotel</html>", {}, "login page of the network"),
        (200, {**WEBHOOK, "type": 2}, VIA, "which accepts no messages"),
    ],
)
def test_each_bad_response_is_explained(
    http: responses.RequestsMock, check: Any, *, status: int, body: Any, headers: dict[str, str], explanation: str
) -> None:
    """The output explains what each status and body means."""
    content: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"body": body}
    http.get(URL, status=status, headers=headers, **content)
    code, output = check()
    assert code == 1
    assert "WRONG: " in output
    assert explanation in output


def test_the_application_that_owns_the_webhook_is_named(http: responses.RequestsMock, check: Any) -> None:
    """The output holds the application's id, and no terminal sequence from the webhook's name."""
    http.get(URL, json={**WEBHOOK, "type": 3, "application_id": "99", "name": "\x1b[31mOps"}, headers=VIA)
    code, output = check()
    assert code == 0
    assert output == (
        "ok: webhook 'Ops' (123456789012345678) in channel 42 of server 7: a webhook of an application, "
        "owned by application 99.\n"
    )


@pytest.mark.parametrize(
    ("ahead", "note"), [(3600, "60 min slow"), (-90_000 * 3, "3 d fast"), (-125, "2 min fast"), (0, ""), (None, "")]
)
def test_a_wrong_clock_is_noted(http: responses.RequestsMock, check: Any, ahead: int | None, note: str) -> None:
    """This machine's clock is compared with the date of the response."""
    date = "nonsense" if ahead is None else formatdate(time.time() + ahead, usegmt=True)
    http.get(URL, json=WEBHOOK, headers={**VIA, "Date": date})
    code, output = check()
    assert code == 0
    assert note in output
    assert ("clock is" in output) == bool(note)


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "certificate is bad"
    return error


@pytest.mark.parametrize(
    ("error", "explanation"),
    [
        (
            requests.exceptions.ConnectionError(socket.gaierror(-2, "Name or service not known")),
            "DNS: the name discord",
        ),
        (requests.exceptions.ConnectionError(ConnectionRefusedError(111, "Connection refused")), "nothing listens at"),
        (requests.exceptions.ProxyError("cannot"), "the proxy http://proxy.example:3128 cannot be used"),
        (requests.exceptions.ProxyError(OSError("Tunnel connection failed: 407 Auth")), "the proxy needs a user name"),
        (requests.exceptions.SSLError(ssl.SSLError(1, "wrong version number")), "TLS: the handshake failed"),
        (requests.exceptions.SSLError(certificate_error(20)), "REQUESTS_CA_BUNDLE"),
        (requests.exceptions.SSLError(certificate_error(9)), "Check this machine's clock, which shows 20"),
        (OSError("Could not find a suitable TLS CA certificate bundle, invalid path: x"), "names a file that does not"),
        (requests.exceptions.ConnectTimeout(TimeoutError("timed out")), "in time: the network is down"),
        (requests.exceptions.ConnectionError("aborted"), "the connection to discord.com failed"),
    ],
)
def test_each_failure_is_explained(
    http: responses.RequestsMock, check: Any, error: Exception, explanation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output distinguishes DNS, proxy, TLS and a silent network, and shows no password of a proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    http.get(URL, body=error)
    code, output = check()
    assert code == 1
    assert explanation in output
    assert "through the proxy http://proxy.example:3128." in output
    assert "secret" not in output


def test_a_closed_port_and_a_silent_server_are_explained(
    monkeypatch: pytest.MonkeyPatch, check: Any, discord: LocalDiscord
) -> None:
    """Over real sockets, a refused connection and a missing response are recognised within the time-out."""
    discord.stop()
    assert "nothing listens" in check()[1]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", f"http://127.0.0.1:{port}/api/webhooks/1/{TOKEN}")
        began = time.monotonic()
        code, output = check("--timeout", "0.3")
    assert code == 1
    assert "in time" in output
    assert time.monotonic() - began < 5


def test_a_silent_name_server_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, check: Any, discord: LocalDiscord
) -> None:
    """The command ends although Python cannot interrupt the resolver."""
    ended = threading.Event()
    monkeypatch.setattr("discord_logging._cli.check._GRACE", 0.1)

    def resolve(*_: object, **__: object) -> Any:
        ended.wait(20)
        raise socket.gaierror(-3, "Temporary failure")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        code, output = check("--timeout", "0.2")
        ended.set()
        for thread in threading.enumerate():
            if thread.name == "discord-logging-check":
                thread.join(10)
    assert code == 1
    assert "name server" in output
    assert not discord.requests


@pytest.mark.usefixtures("discord")
def test_switched_off_is_noted(monkeypatch: pytest.MonkeyPatch, check: Any) -> None:
    """The output says that handlers post nothing, although the webhook works."""
    monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "no")
    code, output = check()
    assert code == 0
    assert "note: DISCORD_NOTIFICATIONS_ENABLED" in output


@pytest.mark.measured
def test_the_command_works_in_a_process(discord: LocalDiscord) -> None:
    """A process prints the result on stdout, and nothing on stderr."""
    environment = {**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url}
    command = [sys.executable, "-m", "discord_logging", "check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok: ")


@pytest.mark.parametrize(("type_", "shown"), [(3, "of an application"), (99, "unknown type"), ([], "unknown type")])
def test_a_webhook_of_another_type_is_described(
    http: responses.RequestsMock, check: Any, type_: object, shown: str
) -> None:
    """A type that is new, or no number at all, is no error."""
    http.get(URL, json={**WEBHOOK, "type": type_}, headers=VIA)
    code, output = check()
    assert (code, shown in output) == (0, True)


def test_a_name_that_the_terminal_cannot_show_is_escaped(
    http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command failed with an error of the encoding, and did not say that the webhook works."""
    http.get(URL, json={**WEBHOOK, "name": "B\u00fcro"}, headers=VIA)
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["check"]) == 0
    output.seek(0)
    assert "'B\\xfcro'" in output.read()
