"""Alembic configures logging with `fileConfig`, which closes every handler that there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once

_REVISION = """
import logging

revision, down_revision = "1", None

def upgrade():
    logging.getLogger("shop.migrations").error("No orders to move")
"""
_HANDLER = """
[handler_discord]
class = discord_logging.DiscordHandler
args = ()
level = ERROR
"""
_PROGRAM = """
import logging
from alembic import command, config
from discord_logging import DiscordHandler

log = logging.getLogger("shop")
log.addHandler(DiscordHandler())
log.error("Before the upgrade")
command.upgrade(config.Config("alembic.ini"), "head")
log.error("After the upgrade")
"""


@pytest.fixture
def project(tmp_path: Path, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project with one migration."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", discord.webhook_url)
    _run(tmp_path, "-m", "alembic", "init", "migrations")
    _edit(tmp_path / "alembic.ini", r"^sqlalchemy.url = .*", "sqlalchemy.url = sqlite:///shop.db")
    (tmp_path / "migrations" / "versions" / "1_orders.py").write_text(_REVISION)
    return tmp_path


def _run(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "DISCORD_LOCAL_ONLY": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _edit(path: Path, pattern: str, text: str) -> None:
    edited, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
    assert count
    path.write_text(edited)


def _texts(discord: LocalDiscord) -> list[str]:
    cards = (card for message in discord.messages for card in message.embeds)
    return [card["description"].partition("\n")[0] for card in cards]


def test_a_handler_in_the_file_of_alembic_posts(project: Path, discord: LocalDiscord) -> None:
    """The handler is one section of the file, and its name at the root logger."""
    ini = project / "alembic.ini"
    _edit(ini, r"^keys = console$", "keys = console, discord")
    _edit(ini, r"(?<=\[logger_root\]\n)(.*\n)handlers = console$", r"\1handlers = console, discord")
    ini.write_text(ini.read_text() + _HANDLER)
    _run(project, "-m", "alembic", "upgrade", "head")
    assert _texts(discord) == ["No orders to move"]


def test_a_handler_works_after_an_upgrade(project: Path, discord: LocalDiscord) -> None:
    """The upgrade closes the handler, which stays at its logger. Nothing was posted from then on."""
    keep = "fileConfig(config.config_file_name, disable_existing_loggers=False)"
    _edit(project / "migrations" / "env.py", r"fileConfig\(config.config_file_name\)", keep)
    (project / "program.py").write_text(_PROGRAM)
    _run(project, "program.py")
    assert _texts(discord) == ["Before the upgrade", "No orders to move", "After the upgrade"]
