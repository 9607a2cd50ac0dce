"""Each package imports only what lies below it, so that a record's way can be read in one direction."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import discord_logging

TOP = Path(discord_logging.__file__).parent
LAYERS = [
    ["_version"],
    ["_process"],
    ["_text"],
    ["_exceptions", "_health"],
    ["_masking"],
    ["_discord"],
    ["_records"],
    ["_cards"],
    ["_backlogs"],
    ["_delivery"],
    ["_handler"],
    ["_capture", "_notice"],
    ["_flush_after", "_notifier"],
    ["__init__"],
    ["_integrations", "sandbox"],
    [
        *("aiohttp", "airflow", "apscheduler", "asgi", "celery", "django", "dramatiq", "flask", "litestar", "loguru"),
        *("pytest_plugin", "rq", "structlog"),
    ],
    ["fastapi", "quart", "starlette"],
    ["_cli"],
    ["__main__"],
]
"""From the bottom to the top; what stands side by side does not import each other."""
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}


def imported(path: Path) -> set[str]:
    """Return the packages and modules of ours that a file imports, also for types alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("discord_logging"):
            names = [alias.name for alias in node.names] if node.module == "discord_logging" else [str(node.module)]
            found |= {name.removeprefix("discord_logging.").split(".")[0] for name in names}
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("discord_logging")]
            found |= {name.partition(".")[2].split(".")[0] or "__init__" for name in names}
    return {name if name in LEVELS else "__init__" for name in found}


@pytest.mark.parametrize("name", LEVELS)
def test_a_package_imports_only_what_lies_below_it(name: str) -> None:
    """An import upwards, also for types alone, makes two packages one."""
    files = sorted((TOP / name).rglob("*.py")) or [TOP / f"{name}.py"]
    upwards = {
        f"{path.relative_to(TOP)} imports {other}"
        for path in files
        for other in imported(path) - {name}
        if LEVELS[other] >= LEVELS[name]
    }
    assert upwards == set()


def test_every_module_has_its_layer() -> None:
    """A new package is given its place here."""
    names = {path.stem for path in TOP.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert names == set(LEVELS)


def test_the_local_discord_stands_alone() -> None:
    """Nothing of ours that it answers can be wrong in the same way."""
    assert set().union(*(imported(path) for path in (TOP / "sandbox").rglob("*.py"))) <= {"sandbox"}


@pytest.mark.parametrize("name", [name for name in LEVELS if (TOP / name).is_dir()])
def test_a_package_says_what_it_is_for(name: str) -> None:
    """And who may import it, which the order of the layers holds."""
    text = ast.get_docstring(ast.parse((TOP / name / "__init__.py").read_text(encoding="utf-8")))
    assert text
    assert name == "sandbox" or "import" in text
