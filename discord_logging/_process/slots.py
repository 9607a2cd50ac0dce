"""The processes of one user write into shared memory how many records each of them has not delivered.

So whoever is left can tell of a process that ended without a word: by SIGKILL, `os._exit`, `exec`, or as a worker of a
pool. A file in the memory has one slot for each process. It holds numbers, and no text. A process locks its slot, and
the kernel unlocks it at the end of the process, whatever that end is. Without such memory, no process has a slot.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from discord_logging._process.locks import Lock
from discord_logging._process.shared_file import SharedFile

if TYPE_CHECKING:
    from collections.abc import MutableSequence

_SLOTS, _NUMBERS, _BYTES = 128, 8, 64
"""How many slots a file has, how many numbers a slot, and how many bytes that is. A slot begins with the process id and
two numbers whose sum is that of the pending records; the others are reserved."""
_MAX_TRIES = 3
"""How often a file is opened that another process removes at the same moment."""


class Slots:
    """The slots of all processes that share a name.

    Args:
        name: The name, which becomes that of the file.
    """

    def __init__(self, name: str) -> None:
        self._name = f"1-{name}"
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Have no slot: the lock is the parent's."""
        # Another thread of the parent may be in the midst of opening the file.
        self._file = SharedFile(self._name)
        self._own: int | None = None
        self.guard = Lock()
        """The lock that a thread holds while it opens the file, or takes, looks at or gives back slots."""

    def claim(self) -> MutableSequence[int] | None:
        """Take a slot for this process, and return its two numbers, or `None` if there is no slot."""
        with self.guard.hold() as is_held:
            return self._claim() if is_held else None

    def find_ended(self) -> list[tuple[int, int]]:
        """Return the id of each process that ended with pending records, with their number. Each is returned once."""
        with self.guard.hold() as is_held:
            return self._find_ended() if is_held else []

    def release(self) -> None:
        """Give the slot of this process back, and remove the file if no process has a slot any more."""
        with self.guard.hold() as is_held:
            if is_held:
                self._release()

    def _claim(self) -> MutableSequence[int] | None:
        for _ in range(_MAX_TRIES):
            if not self._file.is_current() and not self._open(create=True):
                return None
            if self._own is None:
                self._own = next((index for index in range(_SLOTS) if self._take(index)), None)
            if self._own is not None:
                start = self._own * _NUMBERS
                return self._numbers[start + 1 : start + 3]  # type: ignore[return-value]  # it has what is used of one
        return None

    def _take(self, index: int) -> bool:
        """Take a slot, if it is free."""
        if self._numbers[index * _NUMBERS] or not self._lock(index):
            return False
        # Another process may have taken the slot and ended, or may have removed the file, before the lock.
        if any(self._read(index)) or not self._file.is_current():
            self._unlock(index)
            return False
        self._write(index, os.getpid())
        return True

    def _find_ended(self) -> list[tuple[int, int]]:
        if not self._file.is_open() and not self._open(create=False):
            return []
        found = [self._free_if_ended(index) for index, pid in enumerate(self._numbers[::_NUMBERS]) if pid]
        return [(pid, first + second) for pid, first, second in found if first + second]

    def _release(self) -> None:
        own, self._own = self._own, None
        if not self._file.is_open():
            return
        if own is not None:
            self._write(own, 0, 0, 0)
            self._unlock(own)
        if self._lock(0, _SLOTS):
            if not any(self._numbers) and self._file.is_current():
                with contextlib.suppress(OSError):
                    self._file.path.unlink()
            self._unlock(0, _SLOTS)

    def _free_if_ended(self, index: int) -> tuple[int, int, int]:
        """Return the numbers of a slot, and clear it, if its process has ended; otherwise return zeros."""
        if index == self._own or not self._lock(index):
            return 0, 0, 0
        numbers = self._read(index)
        self._write(index, 0, 0, 0)
        self._unlock(index)
        return numbers

    def _read(self, index: int) -> tuple[int, int, int]:
        pid, first, second = self._numbers[index * _NUMBERS : index * _NUMBERS + 3]
        return pid, first, second

    def _write(self, index: int, *numbers: int) -> None:
        for place, number in enumerate(numbers, index * _NUMBERS):
            self._numbers[place] = number

    def _open(self, *, create: bool) -> bool:
        own, self._own = self._own, None
        memory = self._file.map(_SLOTS * _BYTES) if self._file.open(create=create) else None
        if memory is None:
            return False
        self._numbers = memoryview(memory).cast("Q")
        # If the program closed the file, the slot was unlocked. Of another file, it is free, and is not taken here.
        if own is not None and self._numbers[own * _NUMBERS] == os.getpid() and self._lock(own):
            self._own = own
        return True

    def _lock(self, index: int, count: int = 1) -> bool:
        """Lock slots, and return whether no other process has one of them."""
        return self._file.lock(index * _BYTES, count * _BYTES)

    def _unlock(self, index: int, count: int = 1) -> None:
        self._file.unlock(index * _BYTES, count * _BYTES)
