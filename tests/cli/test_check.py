"""`discord-logging check`."""

from __future__ import annotations

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
    """Return a function that runs the command and gives its exit code and output."""

    def run(*words: str) -> tuple[int, str]:
        code = main(["check", *words])
        output = "".join(capsys.readouterr())
        assert TOKEN not in output
        return code, output

    return run


def test_all_is_well(discord: LocalDiscord, check: Any) -> None:
    """It names webhook, channel and server, and posts nothing."""
    code, output = check()
    assert code == 0
    assert output.startswith("ok: webhook 'Local Discord' (")
    assert "in channel" in output
    assert "an incoming webhook." in output
    assert not discord.messages


def test_a_test_card_is_posted_if_asked_for(discord: LocalDiscord, check: Any) -> None:
    """And its failure is told."""
    code, output = check("--post")
    assert (code, len(discord.messages)) == (0, 1)
    assert "ok: a test card was posted." in output
    discord.fail_next(Fault.webhook_deleted())
    code, output = check("--post")
    assert code == 1
    assert "WRONG: a test card could not be posted: HTTP 404" in output


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (404, {"message": "Unknown Webhook", "code": 10015}, VIA, "gone: there is no such webhook"),
        (401, {"message": "Invalid Webhook Token", "code": 50027}, VIA, "wrong token"),
        (429, "<html>error code: 1015</html>", {"Server": "cloudflare"}, "blocked: the network in front of Discord"),
        (403, "error code: 1010", {"Server": "cloudflare"}, "blocked: the network in front of Discord"),
        (429, {"message": "x", "retry_after": 200.0, "global": False}, VIA, "rate limited (scope"),
        (403, {"message": "Missing", "code": 50013}, VIA, "forbidden"),
        (407, "", {}, "the proxy wants a user name"),
        (503, "", {}, "Discord is in trouble"),
        (302, "", {"Location": "https://login.example/"}, "login page of the network"),
        (200, "<html>Welcome to the hotel</html>", {}, "login page of the network"),
        (200, {**WEBHOOK, "type": 2}, VIA, "nothing can be posted to"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    http: responses.RequestsMock, check: Any, *, status: int, body: Any, headers: dict[str, str], said: str
) -> None:
    """Each answer has a meaning."""
    content: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"body": body}
    http.get(URL, status=status, headers=headers, **content)
    code, output = check()
    assert code == 1
    assert "WRONG: " in output
    assert said in output


def test_who_owns_it_is_said(http: responses.RequestsMock, check: Any) -> None:
    """An application's webhook tells which, and a name cannot play with the terminal."""
    http.get(URL, json={**WEBHOOK, "type": 3, "application_id": "99", "name": "\x1b[31mOps"}, headers=VIA)
    code, output = check()
    assert code == 0
    assert output == (
        "ok: webhook 'Ops' (123456789012345678) in channel 42 of server 7: an application's, owned by application 99.\n"
    )


@pytest.mark.parametrize(
    ("ahead", "said"), [(3600, "60 min slow"), (-90_000 * 3, "3 d fast"), (-125, "2 min fast"), (0, ""), (None, "")]
)
def test_a_wrong_clock_is_noted(http: responses.RequestsMock, check: Any, ahead: int | None, said: str) -> None:
    """It is compared with that of the answer."""
    date = "nonsense" if ahead is None else formatdate(time.time() + ahead, usegmt=True)
    http.get(URL, json=WEBHOOK, headers={**VIA, "Date": date})
    code, output = check()
    assert code == 0
    assert said in output
    assert ("clock is" in output) == bool(said)


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "certificate is bad"
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            requests.exceptions.ConnectionError(socket.gaierror(-2, "Name or service not known")),
            "DNS: the name discord",
        ),
        (requests.exceptions.ConnectionError(ConnectionRefusedError(111, "Connection refused")), "nothing listens at"),
        (requests.exceptions.ProxyError("cannot"), "the proxy http://proxy.example:3128 cannot be used"),
        (requests.exceptions.ProxyError(OSError("Tunnel connection failed: 407 Auth")), "the proxy wants a user name"),
        (requests.exceptions.SSLError(ssl.SSLError(1, "wrong version number")), "TLS: the connection cannot be made"),
        (requests.exceptions.SSLError(certificate_error(20)), "REQUESTS_CA_BUNDLE"),
        (requests.exceptions.SSLError(certificate_error(9)), "Is this machine's clock right? It says 20"),
        (OSError("Could not find a suitable TLS CA certificate bundle, invalid path: x"), "names a file that is not"),
        (requests.exceptions.ConnectTimeout(TimeoutError("timed out")), "in time: no network"),
        (requests.exceptions.ConnectionError("aborted"), "the connection to discord.com fails"),
    ],
)
def test_failures_are_said_in_words(
    http: responses.RequestsMock, check: Any, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS, proxy, TLS and a silent network are told apart, and no password of a proxy is shown."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    http.get(URL, body=error)
    code, output = check()
    assert code == 1
    assert said in output
    assert "through the proxy http://proxy.example:3128." in output
    assert "secret" not in output


def test_a_real_refusal_and_a_real_deadline(monkeypatch: pytest.MonkeyPatch, check: Any, discord: LocalDiscord) -> None:
    """Nothing listens, and nobody answers, over real sockets."""
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
    """Python cannot interrupt the resolver."""
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
    """The webhook may be well and nothing posted all the same."""
    monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "no")
    code, output = check()
    assert code == 0
    assert "note: DISCORD_NOTIFICATIONS_ENABLED" in output


def test_a_process_checks(discord: LocalDiscord) -> None:
    """From the shell."""
    environment = {**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url}
    command = [sys.executable, "-m", "discord_logging", "check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok: ")
