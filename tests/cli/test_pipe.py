"""Tests of `discord-logging pipe`."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler
from discord_logging._cli.main import main
from discord_logging._cli.pipe import _Signals
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.once

TOKEN = "kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
REFUSED = f"http://127.0.0.1:9/api/webhooks/123456789012345678/{TOKEN}"


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", local.webhook_url)
        yield local


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Return a function that runs the command with the given input."""

    def run(content: bytes, *arguments: str) -> int:
        path = tmp_path / "input"
        path.write_bytes(content)
        with path.open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            return main(["pipe", *arguments])

    return run


def wait_for(condition: Callable[[], Any], timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def texts(discord: LocalDiscord) -> str:
    """Return all text in the channel."""
    parts = []
    for message in discord.messages:
        parts += [f"{embed.get('title', '')}\n{embed.get('description', '')}" for embed in message.embeds]
        parts += [file.text for file in message.files]
    return "\n".join(parts)


@contextlib.contextmanager
def running(url: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "discord_logging", "pipe", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "DISCORD_WEBHOOK_URL": url},
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_lines_become_cards(discord: LocalDiscord, pipe: Callable[..., int]) -> None:
    """The cards have the level and the logger of the line, and not the id of this process."""
    assert pipe(b"ERROR:shop:lost\n  more\r\nplain \xff\nlast", "--name", "nightly", "--username", "Ops") == 0
    embeds = [embed for message in discord.messages for embed in message.embeds]
    assert [embed["title"] for embed in embeds] == ["❌ ERROR · shop", "ℹ️ INFO · nightly", "ℹ️ INFO · nightly"]  # noqa: RUF001 - the emoji
    assert [embed["description"] for embed in embeds] == ["lost\n  more", "plain \\\\xff", "last"]
    assert discord.messages[0].username == "Ops"
    assert "pid" not in embeds[0]["footer"]["text"]


def test_blank_lines_first(discord: LocalDiscord, pipe: Callable[..., int]) -> None:
    """The command died of a blank first line, and delivered nothing."""
    assert pipe(b"\n \r\n\x1b[0m\nhello\n") == 0
    assert [message.embeds[0]["description"] for message in discord.messages] == ["hello"]


def test_blank_input_is_no_message(discord: LocalDiscord, pipe: Callable[..., int]) -> None:
    """An empty input and one of blank lines alone are delivered as soon as they are read."""
    assert pipe(b"") == pipe(b"\n\t\r\n\n") == 0
    assert not discord.requests


def test_lines_below_the_level_are_not_sent(discord: LocalDiscord, pipe: Callable[..., int]) -> None:
    """A line without a level has the default level."""
    assert pipe(b"INFO no\nyes\nDEBUG no\nERROR yes\n", "--level", "warning", "--default-level", "warn") == 0
    assert "no" not in texts(discord)
    assert texts(discord).count("yes") == 2


def test_tee_copies_standard_input(
    discord: LocalDiscord, pipe: Callable[..., int], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Standard output is equal to standard input, byte by byte."""
    content = b"one\r\n\xff\x00\ntwo"
    assert pipe(content, "--tee") == 0
    assert capfdbinary.readouterr().out == content
    assert "two" in texts(discord)


def test_long_lines_are_several_records(
    discord: LocalDiscord, pipe: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A very long line does not fill the memory, and all of it is delivered."""
    monkeypatch.setattr("discord_logging._cli.pipe._MAX_LINE_BYTES", 1000)
    monkeypatch.setattr("discord_logging._cli.pipe._CHUNK_BYTES", 700)
    assert pipe(b"a" * 1000 + b"b" * 1000 + b"c" * 500 + b"\nnext\n") == 0
    embeds = [embed["description"] for message in discord.messages for embed in message.embeds]
    assert embeds == ["a" * 1000, "b" * 1000, "c" * 500, "next"]


def test_reading_pauses_while_the_queue_is_full(
    discord: LocalDiscord, pipe: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All records are delivered, although they do not fit in the queue at once."""
    monkeypatch.setattr("discord_logging._cli.pipe._MAX_WAITING_RECORDS", 100)
    monkeypatch.setattr("discord_logging._cli.pipe._MAX_HELD_RECORDS", 70)
    assert pipe(b"".join(b"line %d.\n" % number for number in range(1000))) == 0
    text = texts(discord)
    assert all(f"line {number}." in text for number in range(1000))


def test_progress_is_shown(
    discord: LocalDiscord, pipe: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The progress is shown during the wait and at the end."""
    monkeypatch.setattr("discord_logging._cli.progress._INTERVAL", 0)
    monkeypatch.setattr("discord_logging._cli.progress._SLOW_INTERVAL", 0)
    discord.fail_next(Fault.stall(0.3))
    assert pipe(b"one\ntwo\n", "--progress") == 0
    lines = capsys.readouterr().err.splitlines()
    assert any("0 of 2 records delivered" in line for line in lines)
    assert lines[-1].startswith("2 lines read, 2 of 2 records delivered")


def test_unreachable_discord_is_exit_code_1(
    pipe: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command gives up once after `--wait` seconds, and reports the loss."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", REFUSED)
    monkeypatch.setattr("discord_logging._cli.pipe._MAX_WAITING_RECORDS", 2)
    began = time.monotonic()
    assert pipe(b"one\ntwo\nthree\nfour\nfive\nsix\n", "--wait", "0.3") == 1
    assert time.monotonic() - began < 10
    error = capsys.readouterr().err
    assert "records were not delivered to webhook" in error
    assert TOKEN not in error


def test_a_deleted_webhook_is_exit_code_1(discord: LocalDiscord, pipe: Callable[..., int]) -> None:
    """The command ends at once, because a deleted webhook never accepts a message."""
    discord.fail_next(Fault.webhook_deleted())
    assert pipe(b"one\n") == 1


def test_disabled_notifications_still_copy_lines(
    discord: LocalDiscord,
    pipe: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """A pipeline does not fail because notifications are disabled."""
    monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
    assert pipe(b"one\n", "--tee") == 0
    assert capfdbinary.readouterr().out == b"one\n"
    assert not discord.requests


def test_unreadable_input_is_exit_code_1(
    discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory cannot be read."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(sys, "stdin", type("Stdin", (io.StringIO,), {"fileno": lambda _: descriptor})())
    assert main(["pipe"]) == 1
    assert "standard input cannot be read: Is a directory" in capsys.readouterr().err
    os.close(descriptor)
    assert not discord.requests


def test_lines_arrive_while_input_stays_open(discord: LocalDiscord) -> None:
    """With the output of `tail -f`, the last record does not wait for another, and reading goes on after a pause."""
    with running(discord.webhook_url) as process:
        assert process.stdin
        process.stdin.write(b"ERROR first\n")
        process.stdin.flush()
        wait_for(lambda: "first" in texts(discord))
        process.stdin.write(b"ERROR second\n")
        process.stdin.close()
        assert process.wait(20) == 0
    assert "second" in texts(discord)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_reading_and_read_lines_are_delivered(discord: LocalDiscord, number: signal.Signals) -> None:
    """The exit code is that of the signal, and stderr stays empty."""
    with running(discord.webhook_url, "--tee") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"one\n"
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert process.stderr
        assert process.stderr.read() == b""
    assert "two" in texts(discord)


def test_a_second_signal_ends_the_command_at_once() -> None:
    """The user need not wait for a Discord that cannot be reached."""
    with running(REFUSED, "--tee") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"one\n")
        process.stdin.close()
        assert process.stdout.readline() == b"one\n"
        assert b"retrying" in process.stderr.readline()
        deadline = time.monotonic() + 20
        while process.poll() is None:
            # Two signals that come at once are one.
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            assert time.monotonic() < deadline
        assert process.returncode == -signal.SIGTERM


def test_a_signal_that_is_ignored_stays_ignored(discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP stays ignored under nohup, and the previous signal handlers are restored at the end."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _Signals() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.number == 0
            signal.raise_signal(signal.SIGTERM)
            assert signals.number == signal.SIGTERM
            default: list[int] = []
            monkeypatch.setattr(signal, "raise_signal", default.append)
            signals._note(signal.SIGTERM, None)
            assert default == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert not discord.requests


def test_a_signal_during_the_wait_is_exit_code_128_plus_its_number(
    pipe: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command waits only a short time for records that cannot be delivered."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", REFUSED)
    monkeypatch.setattr("discord_logging._cli.pipe._TIME_AFTER_SIGNAL", 0.2)
    health = DiscordHandler.health

    def interrupted(handler: DiscordHandler) -> dict[str, Any]:
        monkeypatch.setattr(DiscordHandler, "health", health)
        signal.raise_signal(signal.SIGTERM)
        return health(handler)

    monkeypatch.setattr(DiscordHandler, "health", interrupted)
    assert pipe(b"one\n") == 128 + signal.SIGTERM


def test_a_closed_reader_of_tee_ends_the_command(discord: LocalDiscord) -> None:
    """The command ends as other filters do, delivers the lines it has read, and prints nothing on stderr."""
    with running(discord.webhook_url, "--tee") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.wait(20) == 141
        assert process.stderr.read() == b""
    assert "one" in texts(discord)


def test_a_broken_pipe_without_a_descriptor_ends_the_command(
    discord: LocalDiscord, pipe: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standard output without a descriptor cannot be replaced by devnull."""

    class Closed(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _: object) -> int:
            raise BrokenPipeError

    stdout = SimpleNamespace(buffer=Closed(), isatty=lambda: True, fileno=Closed().fileno)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert pipe(b"one\n", "--tee") == 141
    assert "one" in texts(discord)


def test_a_full_disk_is_reported_once(
    discord: LocalDiscord,
    pipe: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Lines that cannot be copied to standard output are still delivered."""

    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("discord_logging._cli.pipe._CHUNK_BYTES", 4)
    stdout = SimpleNamespace(buffer=Full(), isatty=lambda: False, fileno=Full().fileno)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert pipe(b"one\ntwo\n", "--tee") == 1
    assert "two" in texts(discord)
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_large_input_is_delivered_whole(discord: LocalDiscord) -> None:
    """All of forty thousand lines are delivered, in a few messages and a few seconds."""
    content = b"".join(b"2026-01-01 12:00:00,123 INFO app: request %d.\n" % number for number in range(40_000))
    with running(discord.webhook_url) as process:
        _, error = process.communicate(content, timeout=100)
    assert (process.returncode, error) == (0, b"")
    found = set(map(int, re.findall(r"request (\d+)\.", texts(discord))))
    assert len(found) == 40_000
    assert len(discord.messages) < 30
