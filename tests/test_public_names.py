"""What a user may import, and what that costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import metadata

import pytest

import discord_logging


def test_exported_names_are_those_of_all() -> None:
    """Nothing leaks, and nothing vanishes by accident."""
    public = {
        name
        for name, value in vars(discord_logging).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert public == set(discord_logging.__all__)
    assert len(public) == len(discord_logging.__all__)


@pytest.mark.parametrize("name", discord_logging.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """`help` has words for it."""
    assert inspect.getdoc(getattr(discord_logging, name))


def test_the_version_is_that_of_the_package() -> None:
    """It stands in one place."""
    assert discord_logging.__version__ == metadata.version("discord-log-handler")


@pytest.mark.parametrize(
    "module",
    [
        *("requests", "urllib3", "asyncio", "aiohttp", "flask", "celery", "django", "discord_logging.sandbox"),
        *("platform", "uuid"),
    ],
)
def test_importing_it_does_not_import(module: str) -> None:
    """A program that logs nothing pays for nothing."""
    code = f"import sys, discord_logging; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=100).returncode == 0
