"""This module tells which processes that share a store live, as far as it is known, and what version they have."""

from __future__ import annotations

import os
import re
import socket

from discord_logging._process.pids import has_ended
from discord_logging._version import __version__

HEARD_OF = 60.0
"""For how many seconds a process on another host counts as alive after it was heard of."""


def read_version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, which compare as versions do. A text without any is the lowest version."""
    return tuple(int(digits) for digits in re.findall(r"\d{1,9}", text))


VERSION = read_version(__version__)
"""The version of this process. The highest one leads, since it alone may know what its workers have stored."""


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
