"""A process is known to have ended as soon as it has."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from discord_logging._process.pids import has_ended, start_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_process_that_lives_has_not_ended() -> None:
    """This one lives, and so does the first one, which may belong to another user."""
    assert not has_ended(os.getpid())
    assert not has_ended(1)


def test_a_process_has_ended_before_and_after_its_parent_takes_note() -> None:
    """Until then, the system knows its id."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 60
    while not has_ended(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.returncode is None
    assert has_ended(child.pid)
    child.wait()
    assert has_ended(child.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_the_start_of_a_process_is_known_as_long_as_it_lives() -> None:
    """Another process that gets its id later has another start."""
    assert start_of(os.getpid()) == start_of(os.getpid()) != ""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert start_of(child.pid) != ""
    child.communicate()
    assert start_of(child.pid) == ""


@pytest.mark.parametrize("pid", [2**70, -(2**70)])
def test_the_id_of_no_process_is_unknown(pid: int) -> None:
    """Damaged data may have such a number."""
    assert not has_ended(pid)


def test_nothing_is_known_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, the signal 0 would end the process."""
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    assert not has_ended(1)


def test_the_system_may_have_no_list_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Then a signal is all that tells."""
    monkeypatch.setattr("discord_logging._process.pids.Path", lambda _: tmp_path / "stat")
    assert not has_ended(os.getpid())
