"""The documentation names all public names, and only files, tests and headings that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import discord_logging
from discord_logging import FrozenException, FrozenRecord, sandbox

if TYPE_CHECKING:
    from types import ModuleType

TOP = Path(__file__).parent.parent
NAMES = {
    name for doc in (TOP / "docs").glob("*.md") for name in re.findall(r"`([^`\n]+)`", doc.read_text(encoding="utf-8"))
}

PAGE = (TOP / "docs" / "tasks.md").read_text(encoding="utf-8")
TASKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
API = (TOP / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(name for name in NAMES if re.fullmatch(r"[\w/.]+(\.py|/)", name)))
def test_a_file_that_is_named_exists(name: str) -> None:
    """Its path begins at the top of the repository, in the package, or in the package's folder for delivery."""
    package = Path(discord_logging.__file__).parent
    assert any((base / name).exists() for base in (TOP, package.parent, package, package / "_delivery"))


@pytest.mark.parametrize("name", sorted(name for name in NAMES if re.fullmatch(r"[Tt]est\w+", name)))
def test_a_test_that_is_named_exists(name: str) -> None:
    """A renamed test is renamed in the documentation too."""
    pattern = re.compile(rf"^ *(def|class) {name}\b", re.MULTILINE)
    assert any(pattern.search(path.read_text(encoding="utf-8")) for path in (TOP / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("module", [discord_logging, sandbox], ids=lambda module: module.__name__)
def test_every_public_name_is_listed(module: ModuleType) -> None:
    """Each name has a row in a table of its module in docs/api.md, and each row has a public name."""
    tables = re.findall(rf"^\| `{module.__name__}` .*\n((?:\|.*\n)+)", API, re.MULTILINE)
    cells = re.findall(r"^\| ([^|]*) \|", "".join(tables), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", ",".join(cells)), key=module.__all__.index) == module.__all__


@pytest.mark.parametrize("owner", [FrozenRecord, FrozenException])
def test_every_listed_attribute_exists(owner: type) -> None:
    """The table of attributes in docs/api.md names attributes that the class has."""
    table = API.partition(f"Attributes of a `{owner.__name__}`")[2].partition("| --- |")[2].partition("\n\n")[0]
    names = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])]
    assert names
    assert [name for name in names if not hasattr(owner, name)] == []


@pytest.mark.parametrize("page", ["asgi.md"])
def test_the_code_of_a_page_runs(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks run one after the other, as printed."""
    monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", "false")
    blocks = re.findall(
        r"^```python\n(.*?)^```", (TOP / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)  # noqa: S102 - the code is ours


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"README\.md#([\w-]+)", API))))
def test_a_linked_heading_exists(anchor: str) -> None:
    """A link from docs/api.md leads to a heading of the README."""
    headings = re.findall(r"^#+ (.*)", (TOP / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


@pytest.mark.once
@pytest.mark.parametrize("code", TASKS)
def test_the_code_for_task_queues_runs(code: str) -> None:
    """Airflow is not installed with the tests."""
    expected = "discord_logging.airflow needs Airflow" if "airflow" in code else ""
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert expected in process.stderr
    assert process.returncode == bool(expected), process.stderr
