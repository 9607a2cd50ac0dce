"""The files and tests that the documentation names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import discord_logging

TOP = Path(__file__).parent.parent
NAMES = {
    name for doc in (TOP / "docs").glob("*.md") for name in re.findall(r"`([^`\n]+)`", doc.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", sorted(name for name in NAMES if re.fullmatch(r"[\w/.]+(\.py|/)", name)))
def test_a_file_that_is_named_exists(name: str) -> None:
    """Its path begins at the top, in the package, or in the folder for delivery."""
    package = Path(discord_logging.__file__).parent
    assert any((base / name).exists() for base in (TOP, package.parent, package, package / "_delivery"))


@pytest.mark.parametrize("name", sorted(name for name in NAMES if re.fullmatch(r"[Tt]est\w+", name)))
def test_a_test_that_is_named_exists(name: str) -> None:
    """A renamed test is renamed in the documentation too."""
    pattern = re.compile(rf"^ *(def|class) {name}\b", re.MULTILINE)
    assert any(pattern.search(path.read_text(encoding="utf-8")) for path in (TOP / "tests").rglob("test_*.py"))
