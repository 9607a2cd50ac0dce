"""Who has a TCP port of this machine."""

from __future__ import annotations

import contextlib
from pathlib import Path

_LISTEN = "0A"
"""The state of a listening socket in ``/proc/net/tcp`` (https://man7.org/linux/man-pages/man5/proc_pid_net.5.html)."""


def owner(port: int) -> str:
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
