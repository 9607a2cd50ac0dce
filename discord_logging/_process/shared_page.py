"""A page in shared memory, which the processes of one user change by turns."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discord_logging._process import clock
from discord_logging._process.shared_file import SharedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 64
"""The bytes of the head: the number of the latest version, and the lengths of the two latest ones."""
_ROOM = 256 * 1024 - _HEAD
"""The longest content, in bytes."""
_PATIENCE = 0.5
"""The longest wait for another process that holds the page, in seconds."""
_STOPPED = 5.0
"""The seconds for which nobody waits for a process again that was waited for in vain: it may have been stopped."""
_POLL = 0.0005
"""The time between two tries, in seconds."""


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
        self._file = SharedFile(f"{name}-{_name_clock()}", _HEAD + 2 * _ROOM)
        self._known: tuple[Any, int] = None, -1
        """The memory, and the version in it, that this process has read or written last."""
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
        latest = self._numbers[0]
        if self._known == (self._file.memory, latest):
            return None
        start = self._start(latest)
        return bytes(self._file.memory[start : start + min(self._numbers[1 + latest % 2], _ROOM)])

    def note_as_known(self) -> None:
        """Note that this process has understood the content."""
        self._known = self._file.memory, self._numbers[0]

    def forget(self) -> None:
        """Let the next `read` return the content in any case."""
        self._known = None, -1

    def write(self, content: bytes) -> bool:
        """Replace the content, and return whether there is room for it."""
        self._is_full = len(content) > _ROOM
        if self._is_full:
            return False
        numbers = self._numbers
        latest = (numbers[0] + 1) % 2**64
        start = self._start(latest)
        self._file.memory[start : start + len(content)] = content
        numbers[1 + latest % 2] = len(content)
        numbers[0] = latest
        self.note_as_known()
        return True

    @property
    def _numbers(self) -> memoryview:
        return memoryview(self._file.memory)[:_HEAD].cast("Q")

    @staticmethod
    def _start(version: int) -> int:
        return _HEAD + version % 2 * _ROOM


def _name_clock() -> str:
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/time").stat().st_ino)
    return "0"
