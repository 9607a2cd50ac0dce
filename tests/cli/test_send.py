"""`discord-logging send`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from discord_logging._cli import send
from discord_logging._cli.main import main
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


def test_sends_a_card(discord: LocalDiscord) -> None:
    """Text, level, title, fields and name are where they belong."""
    words = ["--level", "warn", "--title", "Backup", "--field", "host=db1", "--field", "free=1=2", "--username", "Ops"]
    assert main(["send", *words, "disk", "is full"]) == 0
    (message,) = discord.messages
    (embed,) = message.embeds
    assert message.username == "Ops"
    assert embed["title"] == "⚠️ Backup"
    assert embed["description"] == "disk is full"
    assert [(field["name"], field["value"]) for field in embed["fields"]] == [("host", "db1"), ("free", "1=2")]


@pytest.mark.parametrize("words", [[], ["-"]])
def test_text_comes_from_standard_input(
    discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """Bytes that are no UTF-8 are shown as such."""
    give_input(monkeypatch, b"one\ntwo \xff\n")
    assert main(["send", *words]) == 0
    (embed,) = discord.messages[0].embeds
    assert embed["description"] == "one\ntwo \\\\xff"
    assert embed["title"].endswith("INFO")


def test_files_are_attached_as_they_are(discord: LocalDiscord, tmp_path: Path) -> None:
    """Their names are made safe, and a text that is too long for the card is one more."""
    (tmp_path / "a b.png").write_bytes(b"\x89PNG\x00\xff")
    (tmp_path / "..x").write_bytes(b"text")
    assert main(["send", "--file", str(tmp_path / "a b.png"), "--file", str(tmp_path / "..x"), "long " * 2000]) == 0
    (message,) = discord.messages
    assert [file.filename for file in message.files][1:] == ["a_b.png", "x"]
    assert message.files[0].text.count("long") == 2000
    assert (message.files[1].data, message.files[1].content_type) == (b"\x89PNG\x00\xff", "image/png")
    assert message.files[2].content_type == "application/octet-stream"


def test_a_file_needs_no_text(discord: LocalDiscord, tmp_path: Path) -> None:
    """And standard input is not waited for."""
    (tmp_path / "report.txt").write_text("all is well")
    assert main(["send", "--file", str(tmp_path / "report.txt")]) == 0
    assert [file.text for file in discord.messages[0].files] == ["all is well"]


def test_what_is_limited_is_sent_again(discord: LocalDiscord) -> None:
    """A 429 is waited out."""
    discord.fail_next(Fault.rate_limited(0.2))
    assert main(["send", "hello"]) == 0
    assert len(discord.messages) == 1


def test_a_deleted_webhook_is_exit_code_1(discord: LocalDiscord, capsys: pytest.CaptureFixture[str]) -> None:
    """It says why."""
    discord.fail_next(Fault.webhook_deleted())
    assert main(["send", "hello"]) == 1
    assert "the message was not delivered: HTTP 404 Unknown Webhook (code 10015)" in capsys.readouterr().err


def test_trouble_ends_in_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A Discord that cannot be reached is given up on, and the token is not shown."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", REFUSED)
    assert main(["send", "--wait", "0.5", "hello"]) == 1
    error = capsys.readouterr().err
    assert "refused" in error
    assert TOKEN not in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--field", "novalue", "x"], "NAME=VALUE"),
        (["--field", "=1", "x"], "NAME=VALUE"),
        ([*["--field", "a=1"] * 26, "x"], "25 fields at the most"),
        (["--file", "/nowhere/x"], "No such file"),
        (["--file", "a\0b"], "null"),
        (["--file", "x"] * 10, "9 files at the most"),
        (["--username", "discord", "x"], "username must be"),
        ([" "], "nothing to send"),
    ],
)
def test_wrong_words_are_exit_code_2(
    discord: LocalDiscord, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one line names what is wrong, and nothing is sent."""
    assert main(["send", *words]) == 2
    assert said in capsys.readouterr().err
    assert not discord.requests


def test_too_large_files_and_texts_are_exit_code_2(
    discord: LocalDiscord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limits are said before anything is sent."""
    path = tmp_path / "x.bin"
    path.write_bytes(b"x" * 20)
    monkeypatch.setattr(send, "_MAX_BYTES_IN_ALL", 30)
    assert main(["send", "--file", str(path), "--file", str(path)]) == 2
    assert "30 bytes in all" in capsys.readouterr().err
    monkeypatch.setattr(send, "_MAX_BYTES", 10)
    assert main(["send", "--file", str(path)]) == 2
    assert "more than the 10 bytes" in capsys.readouterr().err
    monkeypatch.setattr(send, "_MAX_TEXT_BYTES", 10)
    give_input(monkeypatch, b"x" * 11)
    assert main(["send"]) == 2
    assert "attach it with --file" in capsys.readouterr().err
    assert not discord.requests


@pytest.mark.usefixtures("discord")
def test_a_terminal_is_not_read_by_mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a text it would seem to hang."""
    give_input(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(["send"]) == 2
    assert "give a text" in capsys.readouterr().err


def test_switched_off_is_no_failure(
    discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment says so, and it is said."""
    monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
    assert main(["send", "hello"]) == 0
    assert "nothing sent: DISCORD_NOTIFICATIONS_ENABLED is false" in capsys.readouterr().err
    assert not discord.requests


def test_a_process_sends(discord: LocalDiscord) -> None:
    """From the shell."""
    command = [sys.executable, "-m", "discord_logging", "send", "--level", "error"]
    environment = {**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url}
    done = subprocess.run(command, input=b"hello", env=environment, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert discord.messages[0].embeds[0]["description"] == "hello"
