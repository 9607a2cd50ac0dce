"""This module tells whether a process that shares a store lives, as far as it is known."""

from __future__ import annotations

import os
import socket

from discord_logging._process.pids import has_ended

HEARD_OF = 60.0
"""For how many seconds a process on another host counts as alive after it was heard of."""


def is_alive(host: str, pid: int, silence: float) -> bool:
    """Tell whether a process is alive: another host's if it was heard of lately.

    Args:
        host: The host of the process.
        pid: The id of the process.
        silence: The seconds since it was heard of.
    """
    if host != socket.gethostname() or os.name == "nt":
        return silence < HEARD_OF
    return pid > 0 and not has_ended(pid)
