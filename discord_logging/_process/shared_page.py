"""A page in shared memory, which the processes of one user change by turns."""

from __future__ import annotations

import contextlib
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._process import clock
from discord_logging._process.shared_file import SharedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = struct.Struct("<QQQ")
"""The number of the latest version, and the lengths of the latest versions with an even and an odd number."""
_START = 64
"""The place of the first version."""
_ROOM = 256 * 1024 - _START
"""The longest content, in bytes."""
_PATIENCE = 0.5
"""The longest wait for another process that holds the page, in seconds."""
_STOPPED = 5.0
"""The seconds for which nobody waits for a process again that was waited for in vain: it may have been stopped."""
_POLL = 0.0005
"""The time between two tries, in seconds."""
_MAX_DIFFERENCE = 60.0
"""The largest difference between the clock of the package and that of the system, in seconds."""


class SharedPage:
    """A page that holds bytes. The lock on it ends with the process that has it, whatever that end is.

    The page has room for two versions. A process writes beside the latest one, and then says which is the latest: if it
    is killed meanwhile, the version of before is whole. Not thread-safe.

    The name of the file has the clock of the process, since a container may have a monotonic clock of its own
    (https://man7.org/linux/man-pages/man7/time_namespaces.7.html).

    Args:
        name: A name, which becomes a part of that of a file.
    """

    def __init__(self, name: str) -> None:
        self._file = SharedFile(f"{name}-{name_space('time')}")
        self._known: tuple[object, int] = None, -1
        """The file, and the version in it, that this process has read or written last."""
        self._is_full = False
        self._trouble = ""
        self._waits_from = 0.0

    @property
    def trouble(self) -> str:
        """The reason why the page was not held the last time, or why its content is an old one; `""` for none."""
        return self._trouble or ("the shared memory has no room for all limits" if self._is_full else "")

    @contextlib.contextmanager
    def hold(self, *, waits: bool = True) -> Iterator[bool]:
        """Lock the page, and yield whether it is locked.

        Args:
            waits: Whether to wait for another process that holds it, for half a second at most.
        """
        try:
            yield self._acquire(waits=waits)
        finally:
            # Ctrl-C may have come as soon as it was locked.
            self._file.unlock(0, 1)

    def _acquire(self, *, waits: bool) -> bool:
        now = clock.monotonic()
        is_stopped = now < self._waits_from
        deadline = now + (_PATIENCE if waits and not is_stopped else 0.0)
        if _has_other_clock():
            self._trouble = "the clock of this process is not that of the system"
            return False
        while True:
            if not self._file.is_current() and not self._file.open(create=True):
                self._trouble = self._file.trouble
                return False
            # Another process may have removed the file before it was locked.
            if self._file.lock(0, 1) and self._file.is_current():
                self._trouble, self._waits_from = "", 0.0
                return True
            if clock.monotonic() >= deadline:
                if waits and not is_stopped:
                    self._trouble = "another process holds the shared memory"
                    self._waits_from = clock.monotonic() + _STOPPED
                return False
            clock.sleep(_POLL)

    def read(self) -> bytes | None:
        """Return the content, or `None` if this process knows it: it has written it or called `note_as_known`.

        The page is held, here and below.
        """
        latest, *lengths = self._read_head()
        if self._known == (self._file.identity, latest):
            return None
        with contextlib.suppress(OSError):
            return self._file.read(self._place(latest), min(lengths[latest % 2], _ROOM))
        return b""

    def note_as_known(self) -> None:
        """Note that this process has understood the content."""
        self._known = self._file.identity, self._read_head()[0]

    def forget(self) -> None:
        """Let the next `read` return the content in any case."""
        self._known = None, -1

    def write(self, content: bytes) -> bool:
        """Replace the content, and return whether there is room for it."""
        latest, *lengths = self._read_head()
        latest = (latest + 1) % 2**64
        lengths[latest % 2] = len(content)
        self._is_full = True
        if len(content) > _ROOM:
            return False
        try:
            self._file.write(self._place(latest), content)
            self._file.write(0, _HEAD.pack(latest, *lengths))
        except OSError:
            return False
        self._is_full = False
        self._known = self._file.identity, latest
        return True

    def _read_head(self) -> tuple[int, ...]:
        with contextlib.suppress(OSError):
            head = self._file.read(0, _HEAD.size)
            return _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
        return 0, 0, 0

    @staticmethod
    def _place(version: int) -> int:
        return _START + version % 2 * _ROOM


def _has_other_clock() -> bool:
    """Tell whether a test has stopped or moved the clock, so that no other process could do with its times."""
    if sys.platform == "win32":
        return False
    return abs(clock.monotonic() - time.clock_gettime(time.CLOCK_MONOTONIC)) > _MAX_DIFFERENCE


def name_space(kind: str) -> str:
    """Return a name for what this process shares with others, such as `"time"` or `"pid"`; `"0"` if it is not known."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns", kind).stat().st_ino)
    return "0"
