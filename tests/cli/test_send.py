"""Tests of `discord-logging send`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from discord_logging._cli import send
from discord_logging._cli.main import main
from discord_logging._discord import lengths
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
REFUSED = f"http://127.0.0.1:9/api/webhooks/123456789012345678/{TOKEN}"


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDiscord]:
    with LocalDiscord() as local:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", local.webhook_url)
        yield local


def give_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_card_is_sent(discord: LocalDiscord) -> None:
    """Text, level, title, fields and user name are in their places."""
    arguments = [
        "--level",
        "warn",
        "--title",
        "Backup",
        "--field",
        "host=db1",
        "--field",
        "free=1=2",
        "--username",
        "Ops",
    ]
    assert main(["send", *arguments, "disk", "is full"]) == 0
    (message,) = discord.messages
    (embed,) = message.embeds
    assert message.username == "Ops"
    assert embed["title"] == "⚠️ Backup"
    assert embed["description"] == "disk is full"
    assert [(field["name"], field["value"]) for field in embed["fields"]] == [("host", "db1"), ("free", "1=2")]


def test_a_blank_title_is_no_title(discord: LocalDiscord) -> None:
    """The card has the title of its level."""
    assert main(["send", "--title", "\x1b[0m ", "disk is full"]) == 0
    assert discord.messages[0].embeds[0]["title"] == "ℹ️ INFO"  # noqa: RUF001 - the emoji


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_text_comes_from_standard_input(
    discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Bytes that are not UTF-8 are shown with backslashes."""
    give_input(monkeypatch, b"one\ntwo \xff\n")
    assert main(["send", *arguments]) == 0
    (embed,) = discord.messages[0].embeds
    assert embed["description"] == "one\ntwo \\\\xff"
    assert embed["title"].endswith("INFO")


def test_files_are_attached_unchanged(discord: LocalDiscord, tmp_path: Path) -> None:
    """The file names are made safe, and a text that is too long for the card is another file."""
    (tmp_path / "a b.png").write_bytes(b"\x89PNG\x00\xff")
    (tmp_path / "..x").write_bytes(b"text")
    assert main(["send", "--file", str(tmp_path / "a b.png"), "--file", str(tmp_path / "..x"), "long " * 2000]) == 0
    (message,) = discord.messages
    assert [file.filename for file in message.files][1:] == ["a_b.png", "x"]
    assert message.files[0].text.count("long") == 2000
    assert (message.files[1].data, message.files[1].content_type) == (b"\x89PNG\x00\xff", "image/png")
    assert message.files[2].content_type == "application/octet-stream"


def test_a_file_needs_no_text(discord: LocalDiscord, tmp_path: Path) -> None:
    """With a file, the command does not wait for standard input."""
    (tmp_path / "report.txt").write_text("all is well")
    assert main(["send", "--file", str(tmp_path / "report.txt")]) == 0
    assert [file.text for file in discord.messages[0].files] == ["all is well"]


def test_a_rate_limited_message_is_sent_again(discord: LocalDiscord) -> None:
    """After a 429 the command waits, and then the message arrives."""
    discord.fail_next(Fault.rate_limited(0.2))
    assert main(["send", "hello"]) == 0
    assert len(discord.messages) == 1


def test_a_deleted_webhook_is_exit_code_1(discord: LocalDiscord, capsys: pytest.CaptureFixture[str]) -> None:
    """The message on stderr has Discord's reason."""
    discord.fail_next(Fault.webhook_deleted())
    assert main(["send", "hello"]) == 1
    assert "the message was not delivered: HTTP 404 Unknown Webhook (code 10015)" in capsys.readouterr().err


def test_unreachable_discord_ends_in_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command gives up after `--wait` seconds, and does not show the token."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", REFUSED)
    assert main(["send", "--wait", "0.5", "hello"]) == 1
    error = capsys.readouterr().err
    assert "refused" in error
    assert TOKEN not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--field", "novalue", "x"], "NAME=VALUE"),
        (["--field", "=1", "x"], "NAME=VALUE"),
        ([*["--field", "a=1"] * 26, "x"], "at most 25 fields"),
        (["--file", "/nowhere/x"], "No such file"),
        (["--file", "a\0b"], "null"),
        (["--file", "x"] * 10, "at most 9 files"),
        (["--username", "discord", "x"], "username must be"),
        ([" "], "nothing to send"),
        (["\x00\x1b[0m"], "nothing to send"),
        (["--title", " \x1b[0m"], "nothing to send"),
    ],
)
def test_wrong_arguments_are_exit_code_2(
    discord: LocalDiscord, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the mistake, and nothing is sent."""
    assert main(["send", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not discord.requests


def test_too_large_files_and_texts_are_exit_code_2(
    discord: LocalDiscord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the limit, and nothing is sent."""
    path = tmp_path / "x.bin"
    path.write_bytes(b"x" * 20)
    monkeypatch.setattr(lengths, "ATTACHMENTS_BYTES", 30)
    assert main(["send", "--file", str(path), "--file", str(path)]) == 2
    assert "30 bytes in total" in capsys.readouterr().err
    monkeypatch.setattr(send, "_MAX_FILE_BYTES", 10)
    assert main(["send", "--file", str(path)]) == 2
    assert "more than the 10 bytes" in capsys.readouterr().err
    monkeypatch.setattr(send, "_MAX_TEXT_BYTES", 10)
    give_input(monkeypatch, b"x" * 11)
    assert main(["send"]) == 2
    assert "attach it with --file" in capsys.readouterr().err
    assert not discord.requests


@pytest.mark.usefixtures("discord")
def test_a_terminal_is_not_read_by_mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a text the command would seem to hang."""
    give_input(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(["send"]) == 2
    assert "give a text" in capsys.readouterr().err


def test_disabled_notifications_are_not_a_failure(
    discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 0, and the message names the environment variable."""
    monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
    assert main(["send", "hello"]) == 0
    assert "nothing sent: DISCORD_NOTIFICATIONS_ENABLED is false" in capsys.readouterr().err
    assert not discord.requests


def test_the_command_works_in_a_process(discord: LocalDiscord) -> None:
    """A process reads standard input and prints nothing on stderr."""
    command = [sys.executable, "-m", "discord_logging", "send", "--level", "error"]
    environment = {**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url}
    done = subprocess.run(command, input=b"hello", env=environment, capture_output=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert discord.messages[0].embeds[0]["description"] == "hello"
