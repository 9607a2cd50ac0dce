"""Tests of `discord-logging incidents`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from discord_logging._cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once
PROGRAM = """
import logging, sys

from discord_logging import DiscordHandler

handler = DiscordHandler(sys.argv[1], repeats=sys.argv[3], backlog=sys.argv[2], flush_timeout=30, quiet_after=1)
log = logging.getLogger("shop")
log.addHandler(handler)
log.propagate = False
for order in range(3):
    log.error("Order %d failed", order)
"""


def run(discord: LocalDiscord, folder: Path, repeats: str = "edit") -> None:
    """Let a program with a backlog fail."""
    subprocess.run([sys.executable, "-c", PROGRAM, discord.webhook_url, str(folder), repeats], check=True, timeout=120)


def test_each_incident_has_a_line(discord: LocalDiscord, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the kind, the numbers and the message."""
    run(discord, tmp_path)
    assert main(["incidents", str(tmp_path)]) == 0
    [message] = discord.messages
    line = capsys.readouterr().out
    assert re.match(r"❌ ERROR · shop: 3 in 0 s, last \d+ s ago, message \d+/", line)
    assert f"/{message.id} of webhook " in line


def test_programs_read_them_as_json(discord: LocalDiscord, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The times are seconds since the epoch."""
    run(discord, tmp_path)
    assert main(["incidents", str(tmp_path), "--json"]) == 0
    [incident] = json.loads(capsys.readouterr().out)
    assert (incident["count"], incident["is_quiet"]) == (3, False)
    assert 1.7e9 < incident["first"] <= incident["last"]


def test_without_live_cards_there_is_none(
    discord: LocalDiscord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says so."""
    run(discord, tmp_path, "post")
    assert main(["incidents", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No incident is known.\n"


def test_a_directory_without_a_backlog_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name may be misspelt."""
    assert main(["incidents", str(tmp_path / "elsewhere")]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_no_directory_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The environment may name one."""
    monkeypatch.delenv("DISCORD_BACKLOG", raising=False)
    assert main(["incidents"]) == 2
    assert "DISCORD_BACKLOG" in capsys.readouterr().err
