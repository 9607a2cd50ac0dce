"""In IPython and in a notebook, each record and each exception of a cell makes one card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord

_SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.loads(sys.argv[1]):
    shell.run_cell(cell)
"""

_KERNEL = """
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(startup_timeout=60)
try:
    for cell in json.loads(sys.argv[1]):
        client.execute_interactive(cell, timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""

_SET_UP = """
import logging
import discord_logging
handler = discord_logging.DiscordHandler()
logging.getLogger().addHandler(handler)
capture = discord_logging.capture_exceptions()
"""

_FLUSH = "assert handler.flush(20)"


@pytest.fixture
def cards(local_discord: LocalDiscord, tmp_path: Path) -> Any:
    """Return a function that runs cells, and gives the cards that come of them and the text that the user sees."""

    def run(*cells: str, program: str = _SHELL) -> tuple[list[dict[str, Any]], str]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, json.dumps([*cells, _FLUSH])],
            # IPython and Jupyter write into their folders.
            env={
                **os.environ,
                "IPYTHONDIR": str(tmp_path),
                "HOME": str(tmp_path),
                "JUPYTER_RUNTIME_DIR": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=110,
            check=True,
        )
        found = [embed for message in local_discord.messages for embed in message.embeds]
        return found, done.stdout + done.stderr  # type: ignore[return-value]  # an embed is a dict

    return run


@pytest.mark.measured
@pytest.mark.parametrize("program", [_SHELL, _KERNEL], ids=["IPython", "ipykernel"])
def test_a_notebook_tells_each_event_once(cards: Any, program: str) -> None:
    """The cell that sets logging up has run twice. The traceback has the line of the cell, and stays on the screen."""
    [error, record], seen = cards(_SET_UP, _SET_UP, "total = 0\n1 / total", "logging.error('down')", program=program)
    assert error["title"].startswith("❌ ZeroDivisionError: division by zero · ERROR")
    assert "1 / total" in error["description"]
    assert "interactiveshell.py" not in error["description"]
    assert record["description"].startswith("down")
    assert "ZeroDivisionError" in seen


def test_magics_do_not_hide_an_exception(cards: Any, tmp_path: Path) -> None:
    """`%%time` and `%run` show tracebacks themselves, so that the cell itself does not fail."""
    (tmp_path / "script.py").write_text("{}['price']\n")
    found, _ = cards(_SET_UP, "%%time\n1 / 0", f"%run {tmp_path / 'script.py'}")
    assert [each["title"].split(":")[0] for each in found] == ["❌ ZeroDivisionError", "❌ KeyError"]


@pytest.mark.parametrize(
    "cell",
    [
        "1 +",
        "raise KeyboardInterrupt",
        *(pytest.param(cell, marks=pytest.mark.once) for cell in ("%no_such_magic", "raise SystemExit", "%tb")),
    ],
)
def test_what_the_user_did_is_no_event(cards: Any, cell: str) -> None:
    """A typing error, an interrupt and a request for the last traceback are for the user alone."""
    found, _ = cards(_SET_UP, "1 / 0", cell)
    assert len(found) == 1


def test_uninstalling_restores_the_shell(cards: Any) -> None:
    """The exception is still shown."""
    before = "shows = get_ipython().showtraceback.__func__"
    after = "assert get_ipython().showtraceback.__func__ is shows"
    found, seen = cards(before, _SET_UP, "capture.uninstall()", after, "1 / 0")
    assert found == []
    assert "ZeroDivisionError" in seen
    assert "AssertionError" not in seen


@pytest.mark.once
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("level='INFO'", "level='ERROR'"),
        ("level='ERROR'", "level='INFO'"),
        ("max_level='ERROR'", "ignore=['KeyError']"),
        ("flush_timeout=1", "max_lag=0"),
    ],
)
def test_a_cell_that_was_edited_doubles_no_card(cards: Any, first: str, second: str) -> None:
    """The handler of its first run is still at the logger, with another level or other settings of delivery."""
    cells = [_SET_UP.replace("DiscordHandler()", f"DiscordHandler({options})") for options in (first, second)]
    found, _ = cards(*cells, "logging.error('down')")
    assert len(found) == 1


@pytest.mark.once
def test_a_formatter_of_the_notebook_doubles_no_card(cards: Any) -> None:
    """Its class is another one after each run of its cell."""
    own = "class Cards(discord_logging.EmbedFormatter):\n    pass\nhandler.setFormatter(Cards())"
    found, _ = cards(_SET_UP + own, _SET_UP + own, "logging.error('down')")
    assert len(found) == 1
