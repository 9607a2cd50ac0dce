"""A page in shared memory, which the processes of one user change by turns."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from discord_logging._process import clock
from discord_logging._process.shared_file import SharedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 64
"""The bytes of the head: the number of the latest version, and the lengths of the two latest ones."""
_ROOM = 128 * 1024 - _HEAD
"""The longest content, in bytes."""
_PATIENCE = 0.5
"""The longest wait for another process that holds the page, in seconds: it may have been stopped."""
_POLL = 0.0005
"""The time between two tries, in seconds."""


class SharedPage:
    """A page that holds bytes. The lock on it ends with its owner, whatever that end is.

    The page has room for two versions. A process writes beside the latest one, and then says which is the latest: if it
    is killed meanwhile, the version of before is whole. Not thread-safe.

    Args:
        name: The name, which becomes that of a file.
    """

    def __init__(self, name: str) -> None:
        self._file = SharedFile(name, _HEAD + 2 * _ROOM)
        self._known = -1
        self._is_full = False
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """The reason why the page was not held the last time, or why its content is an old one; `""` for none."""
        return self._trouble or ("the shared memory has no room for all limits" if self._is_full else "")

    @contextlib.contextmanager
    def hold(self) -> Iterator[bool]:
        """Lock the page, and yield whether it is locked. Blocks for half a second at most."""
        is_held = self._acquire()
        try:
            yield is_held
        finally:
            if is_held:
                self._file.unlock(0, 1)

    def _acquire(self) -> bool:
        deadline = clock.monotonic() + _PATIENCE
        while True:
            if not self._file.is_current() and not self._open():
                self._trouble = self._file.trouble
                return False
            # Another process may have removed the file before it was locked.
            if self._file.lock(0, 1) and self._file.is_current():
                self._trouble = ""
                return True
            if clock.monotonic() > deadline:
                self._trouble = "another process holds the shared memory"
                return False
            clock.sleep(_POLL)

    def _open(self) -> bool:
        if not self._file.open(create=True):
            return False
        self._numbers = memoryview(self._file.memory)[:_HEAD].cast("Q")
        self._known = -1
        return True

    def read(self) -> bytes | None:
        """Return the content, or `None` if this process has read or written it last. The page is held."""
        latest = self._numbers[0]
        if latest == self._known:
            return None
        self._known = latest
        start = self._start(latest)
        return bytes(self._file.memory[start : start + min(self._numbers[1 + latest % 2], _ROOM)])

    def write(self, content: bytes) -> bool:
        """Replace the content, and return whether there is room for it. The page is held."""
        self._is_full = len(content) > _ROOM
        if self._is_full:
            return False
        latest = (self._numbers[0] + 1) % 2**64
        start = self._start(latest)
        self._file.memory[start : start + len(content)] = content
        self._numbers[1 + latest % 2] = len(content)
        self._numbers[0] = self._known = latest
        return True

    @staticmethod
    def _start(version: int) -> int:
        return _HEAD + version % 2 * _ROOM
