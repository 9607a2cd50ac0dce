"""Tests of the progress on stderr."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from discord_logging._cli.progress import Progress

if TYPE_CHECKING:
    import pytest

HEALTH: dict[str, Any] = {
    "status": "ok", "accepted": 1200, "delivered": 1000, "pending": 200, "dropped": 0, "requests": 3,
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        """Return True, as a terminal does."""
        return True


def test_one_line_changes_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line replaces the one before, and the last line is ended."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr("discord_logging._cli.progress._INTERVAL", 0)
    progress = Progress(is_shown=None)
    assert progress.is_due()
    progress.show(1300, HEALTH)
    progress.show(1300, {**HEALTH, "status": "limited", "dropped": 7}, is_last=True)
    assert terminal.getvalue() == (
        "\r\x1b[K1,300 lines read, 1,000 of 1,200 records delivered, 3 requests"
        "\r\x1b[K1,300 lines read, 1,000 of 1,200 records delivered, 3 requests, 7 lost, limited\n"
    )


def test_nothing_is_shown_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """With `is_shown` the progress is written in whole lines, at longer intervals."""
    progress = Progress(is_shown=None)
    progress.show(1, HEALTH, is_last=True)
    assert not progress.is_due()
    assert capsys.readouterr().err == ""
    progress = Progress(is_shown=True)
    progress.show(1, HEALTH)
    assert not progress.is_due()
    assert capsys.readouterr().err == "1 lines read, 1,000 of 1,200 records delivered, 3 requests\n"


def test_missing_stderr_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without a console has no stderr."""
    monkeypatch.setattr(sys, "stderr", None)
    Progress(is_shown=None).show(1, HEALTH)
