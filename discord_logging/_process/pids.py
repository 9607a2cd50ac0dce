"""This module tells whether another process has ended."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


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
    with contextlib.suppress(OSError):
        # The state follows the name of the program, which may have any signs.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].startswith(b"Z")
    return False
