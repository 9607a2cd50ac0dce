"""Tests of the life of a LocalDiscord, and of its records of messages and requests."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import socket
import subprocess
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

from discord_logging import sandbox
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from pathlib import Path


def test_exports_equal_all() -> None:
    """The package exports the names in `__all__` and no others."""
    assert {name for name in vars(sandbox) if name[0].isupper()} == set(sandbox.__all__)


@pytest.mark.measured
@pytest.mark.parametrize("name", ["aiohttp", "imagesize", "multipart"])
def test_without_a_library_the_error_names_it_and_the_extra(name: str) -> None:
    """The import fails with a text that has the right command."""
    code = f"import sys; sys.modules[{name!r}] = None; import discord_logging.sandbox"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"discord_logging.sandbox needs {name}: pip install 'discord-log-handler[sandbox]'" in done.stderr


def test_the_webhook_url_looks_real(discord: LocalDiscord) -> None:
    """The id and the token have realistic lengths, and each instance has its own."""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api/v10/webhooks/\d{18}/[A-Za-z0-9_-]{68}", discord.webhook_url)
    with LocalDiscord() as other:
        assert urlsplit(other.webhook_url).path != urlsplit(discord.webhook_url).path


def test_the_repr_keeps_the_token_secret(discord: LocalDiscord, http: requests.Session) -> None:
    """Neither the server nor the recorded requests show the token."""
    http.post(discord.webhook_url, json={"content": "x"})
    token = discord.webhook_url.rpartition("/")[2]
    assert token not in repr(discord) + repr(discord.requests) + repr(discord.messages)
    assert discord.requests[0].path.endswith("/***")


def test_a_stopped_server_starts_again_at_the_same_address(http: requests.Session) -> None:
    """Start and stop may be repeated, and the port, the webhook and the messages survive a stop."""
    local = LocalDiscord()
    local.stop()
    local.start().start()
    url = local.webhook_url
    http.post(url, json={"content": "before"})
    local.stop()
    local.stop()
    with pytest.raises(requests.ConnectionError):
        http.post(url, json={"content": "lost"})
    with local:
        http.post(url, json={"content": "after"})
        assert [message.content for message in local.messages] == ["before", "after"]


def test_a_server_that_starts_again_waits_for_its_port(http: requests.Session) -> None:
    """A client that tried again and again to connect may have been given the port, and have met itself."""
    with LocalDiscord() as local:
        address = urlsplit(local.url)
        local.stop()
        with socket.create_server((address.hostname, address.port)):
            restart = threading.Thread(target=local.start)
            restart.start()
            restart.join(0.2)
            assert restart.is_alive()
        restart.join(20)
        assert http.post(local.webhook_url, json={"content": "after"}).ok
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        LocalDiscord(port=taken.getsockname()[1]).start()


def test_there_is_no_url_before_the_port_is_known() -> None:
    """The error says what to do."""
    with pytest.raises(RuntimeError, match="start it first"):
        _ = LocalDiscord().url


def test_a_port_may_be_chosen_and_may_be_taken() -> None:
    """A given port is used at once; if it is taken, the error says by whom, and the server stays stopped."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        local = LocalDiscord(port=port)
        assert local.url == f"http://127.0.0.1:{port}"
        has_it = rf"process {os.getpid()} \(.+\)" if sys.platform == "linux" else "another process"
        with pytest.raises(OSError, match=f"Port {port} of 127.0.0.1 is in use by {has_it}"):
            local.start()
    with local:
        assert requests.get(local.webhook_url, timeout=5).ok


def test_the_owner_of_a_port_may_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another user, or on another system, has no name."""
    with LocalDiscord() as first:
        monkeypatch.setattr("discord_logging.sandbox._port._target", lambda _: None)
        with pytest.raises(OSError, match="is in use by another process"):
            LocalDiscord(port=urlsplit(first.url).port or 0).start()


@pytest.mark.parametrize(
    "place", ["socket.create_server", "asyncio.run", "aiohttp.web.AppRunner.setup", "threading.Thread.start"]
)
@pytest.mark.parametrize("error", [RuntimeError("a test tried to use a socket"), SystemExit(3)])
def test_whatever_fails_at_the_start_is_raised_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, error: BaseException
) -> None:
    """Regression: under a plugin that forbids sockets by an error of its own, the start waited for ever."""

    def fail(*_: object, **__: object) -> None:
        raise error

    local = LocalDiscord(keep=tmp_path / "kept")
    with monkeypatch.context() as patch:
        patch.setattr(place, fail)
        with pytest.raises(type(error)):
            local.start()
    # Nothing stays open.
    with LocalDiscord(keep=tmp_path / "kept") as other:
        assert requests.get(other.url, timeout=10).ok
    with local:
        assert requests.get(local.url, timeout=10).ok


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_whose_thread_has_failed_can_be_stopped(discord: LocalDiscord) -> None:
    """The thread has shown its error."""
    discord._loop.call_soon_threadsafe(discord._loop.stop)
    assert discord._thread
    discord._thread.join(10)
    discord.stop()
    with discord:
        assert requests.get(discord.url, timeout=10).ok


def test_ipv6_loopback_is_supported() -> None:
    """The URL has brackets around the address."""
    with LocalDiscord(host="::1") as local:
        assert local.url.startswith("http://[::1]:")
        assert requests.get(local.webhook_url, timeout=5).ok


def test_other_addresses_than_loopback_are_refused() -> None:
    """The constructor raises the error."""
    with pytest.raises(ValueError, match="not a loopback address"):
        LocalDiscord(host="0.0.0.0")  # noqa: S104  # the point of the test


def test_public_allows_any_address() -> None:
    """With `public` the server listens on any address, with a warning."""
    with pytest.warns(UserWarning, match=r"0\.0\.0\.0: anybody who can reach it sees the channel and can post to it"):
        local = LocalDiscord(host="0.0.0.0", public=True)  # noqa: S104  # the point of the test
    with local:
        assert requests.get(local.webhook_url, timeout=5).ok


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("192.0.2.7:8065", 200),
        ("[2001:db8::7]:8065", 200),
        ("localhost", 200),
        ("sandbox:8065", 200),
        ("box.local", 200),
        ("BOX.corp.example:8065", 200),
        ("evil.example:8065", 403),
        ("box.corp.example.evil.example", 403),
        ("box.local.evil.example", 403),
        ("192.0.2.7.evil.example", 403),
        ("", 403),
    ],
)
def test_a_public_server_answers_to_names_nearby(monkeypatch: pytest.MonkeyPatch, host: str, status: int) -> None:
    """Another web page cannot reach it by DNS rebinding, for which it needs a name in the public DNS."""
    with pytest.warns(UserWarning, match="anybody who can reach it"):
        local = LocalDiscord(host="0.0.0.0", public=True)  # noqa: S104  # the point of the test
    monkeypatch.setattr(socket, "gethostname", lambda: "box.corp.example")
    with local:
        assert requests.get(local.webhook_url, headers={"Host": host}, timeout=5).status_code == status


@pytest.mark.parametrize("path", ["/", "/messages", "/api/v10/webhooks/1/x"])
def test_foreign_host_names_are_refused(discord: LocalDiscord, path: str) -> None:
    """Another web page cannot reach the server by DNS rebinding."""
    answer = requests.get(discord.url + path, headers={"Host": "evil.example:80"}, timeout=5)
    assert answer.status_code == 403


def test_wait_for_wakes_with_the_message(discord: LocalDiscord) -> None:
    """Another thread posts while this one waits."""
    post = threading.Thread(target=requests.post, args=(discord.webhook_url,), kwargs={"json": {"content": "x"}})
    post.start()
    assert [message.content for message in discord.wait_for()] == ["x"]
    post.join()


def test_wait_for_reports_how_many_messages_arrived(discord: LocalDiscord) -> None:
    """The error has both numbers."""
    with pytest.raises(TimeoutError, match=re.escape("0 of 2 messages have arrived after 0.01 s")):
        discord.wait_for(2, timeout=0.01)


def test_wait_for_lists_the_newest_messages(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The error lists five messages, and shortens a long text."""
    for number in range(7):
        http.post(unlimited.webhook_url, json={"content": f"message {number}" + "x" * 400})
    with pytest.raises(TimeoutError) as raised:
        unlimited.wait_for("missing", timeout=0.01)
    assert re.findall(r"message (\d)", str(raised.value)) == ["2", "3", "4", "5", "6"]
    assert max(map(len, str(raised.value).splitlines())) < 350


def test_wait_for_refuses_other_types_at_once(unlimited: LocalDiscord) -> None:
    """The error comes at once, so that a test does not wait in vain."""
    with pytest.raises(TypeError, match="wanted must be a number, a text or a function of a message, not None"):
        unlimited.wait_for(None)  # type: ignore[call-overload]


def test_wait_for_finds_a_message_by_its_text(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The text may be in the content, embeds, components, files and file names."""
    embed = {
        "author": {"name": "Ann"},
        "title": "Title",
        "description": "words",
        "fields": [{"name": "left", "value": "right"}],
        "footer": {"text": "foot"},
    }
    http.post(unlimited.webhook_url, json={"content": "first", "embeds": [embed]})
    http.post(unlimited.webhook_url, data={"content": "second"}, files={"files[0]": ("a.bin", b"in the \xff file")})
    layout = {"flags": 32768, "components": [{"type": 10, "content": "third"}]}
    http.post(unlimited.webhook_url, params={"with_components": "1"}, json=layout)
    first, second, third = unlimited.messages
    assert first.text.splitlines() == ["first", "Ann", "Title", "words", "left", "right", "foot"]
    assert unlimited.wait_for("in the") == unlimited.wait_for("a.bin") == second
    assert unlimited.wait_for("third") == third
    assert unlimited.wait_for(lambda message: message.embeds) == first


def test_wait_for_sees_edits(unlimited: LocalDiscord, http: requests.Session) -> None:
    """`wait_for` wakes up after every change, and not only after new messages."""
    http.post(unlimited.webhook_url, json={"content": "before"})
    url = f"{unlimited.webhook_url}/messages/{unlimited.messages[0].id}"
    edit = threading.Timer(0.05, requests.patch, (url,), {"json": {"content": "after"}})
    edit.start()
    assert unlimited.wait_for("after").edited is not None
    edit.join()


def test_requests_hold_the_request_and_the_response(discord: LocalDiscord, http: requests.Session) -> None:
    """Accepted and refused requests are recorded in the same way."""
    before = time.monotonic()
    http.post(discord.webhook_url, params={"wait": "true"}, json={"content": ""}, headers={"X-Mine": "1"})
    (request,) = discord.requests
    assert (request.method, request.payload, request.files) == ("POST", {"content": ""}, [])
    assert request.path.endswith("/***?wait=true")
    assert request.headers["x-mine"] == "1"
    assert request.status == 400
    assert b"50006" in request.answer
    assert request.finished is not None
    assert before <= request.time <= request.finished <= time.monotonic()


def test_the_number_of_kept_messages_and_requests_is_limited(http: requests.Session) -> None:
    """The oldest are removed first, and the counts continue."""
    with LocalDiscord(max_messages=2) as local:
        for text in "abc":
            http.post(local.webhook_url, json={"content": text})
        assert [message.content for message in local.wait_for(3)] == ["b", "c"]
        assert len(local.requests) == 2


def test_clear_removes_all_but_the_webhooks(http: requests.Session) -> None:
    """Messages, requests and queued faults are removed, and the limits are reset."""
    with LocalDiscord(webhook_limit=(1, 60.0)) as local:
        http.post(local.webhook_url, json={"content": "x"})
        local.fail_next(Fault(status=500))
        local.clear()
        assert (local.messages, local.requests) == ([], [])
        assert http.post(local.webhook_url, json={"content": "y"}).status_code == 204


def test_latency_delays_the_answer(http: requests.Session) -> None:
    """The message is stored before the response is sent."""
    with LocalDiscord(latency=0.05) as local:
        http.post(local.webhook_url, json={"content": "x"})
        (request,) = local.requests
        assert request.finished is not None
        assert request.finished - request.time >= 0.05


def test_stop_ends_waiting_requests_at_once(discord: LocalDiscord) -> None:
    """A client that waits for a stalled response loses its connection."""
    discord.fail_next(Fault.stall(60, save=True))
    failed = threading.Event()

    def post() -> None:
        try:
            requests.post(discord.webhook_url, json={"content": "x"}, timeout=30)
        except requests.ConnectionError:
            failed.set()

    client = threading.Thread(target=post)
    client.start()
    discord.wait_for()
    discord.stop()
    client.join(5)
    assert failed.is_set()
    assert discord.requests[0].status is None


def test_every_method_is_thread_safe(unlimited: LocalDiscord) -> None:
    """Posts from many threads all arrive once."""

    def post(number: int) -> None:
        for index in range(10):
            requests.post(unlimited.webhook_url, json={"content": f"{number}-{index}"}, timeout=10)
            assert unlimited.messages

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    messages = unlimited.wait_for(80, timeout=30)
    for thread in threads:
        thread.join()
    assert len({message.content for message in messages}) == 80
    ids = [int(message.id) for message in messages]
    assert len(set(ids)) == 80


def test_stopping_closes_a_connection_that_is_being_accepted() -> None:
    """Asyncio forgets a connection that it accepts while its server is closed (`Server._attach`)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(20):
            local = LocalDiscord().start()
            address = urlsplit(local.url)
            with contextlib.ExitStack() as stack:
                for _ in range(20):
                    stack.enter_context(socket.create_connection((address.hostname, address.port)))
                local.stop()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
