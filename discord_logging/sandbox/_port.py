"""The TCP port that a server listens on, and the process that has it already."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from pathlib import Path

_PAUSE = 0.05
"""The time between two tries to take a port, in seconds."""
_LISTEN = "0A"
"""The state of a listening socket in ``/proc/net/tcp`` (https://man7.org/linux/man-pages/man5/proc_pid_net.5.html)."""


def listen(host: str, port: int, patience: float) -> socket.socket:
    """Return a socket that listens on a port.

    Args:
        host: The IP address.
        port: The port; 0 takes a free one.
        patience: The longest wait for a port that is in use, in seconds.

    Raises:
        OSError: The port cannot be opened. If it is in use, the text says by which process.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + patience
    while True:
        try:
            return socket.create_server((host, port), family=family)
        except OSError as error:
            # A client that connects again and again to a closed port may be given that port, and connect to itself.
            if error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() >= deadline:
                raise OSError(error.errno, f"Port {port} of {host} is in use by {_owner(port)}") from error
        time.sleep(_PAUSE)


def _owner(port: int) -> str:
    """Return which process listens on a port, in words. The number is known on Linux, of processes of the same user."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process is gone, or somebody else's
            if any(_target(link) in sockets for link in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text('utf-8').strip()})"
    return "another process"


def _target(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:  # the file is closed by now
        return None


def _listening(port: int) -> list[str]:
    """Return the inodes of the sockets that listen on a port."""
    inodes = []
    for table in Path("/proc/net/tcp"), Path("/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in table.read_text("ascii").splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                    inodes.append(inode)
    return inodes
