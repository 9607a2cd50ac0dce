"""This module tells of another process whether it has ended, and when it has started."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_DEAD = [b"Z"], [b"X"]
"""The states of a process that has no thread any more."""


def has_ended(pid: int) -> bool:
    """Tell whether the process with this id has ended, also if its parent has not taken note of that.

    The result is false if that cannot be known, as on Windows.
    """
    if os.name == "nt":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return _read_stat(pid)[:1] in _DEAD


def start_of(pid: int) -> str:
    """Return when a process has started, in a form that no other process with its id has; `""` if there is none."""
    found = _read_stat(pid)
    return found[19].decode() if len(found) > 19 and found[:1] not in _DEAD else ""  # noqa: PLR2004 - see proc_pid_stat(5)


def _read_stat(pid: int) -> list[bytes]:
    """Return what Linux tells of a process, from its state on; nothing if it tells nothing."""
    with contextlib.suppress(OSError):
        # The name of the program comes before, in parentheses, and may have any characters.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return []
