"""The processes of one user write into shared memory how many records each of them has not delivered.

So whoever is left can tell of a process that ended without a word: by SIGKILL, `os._exit`, `exec`, or as a worker of a
pool. The memory is a file of Linux's `/dev/shm` with one slot for each process. It holds numbers, and no text. A
process locks its slot, and the kernel unlocks it at the end of the process, whatever that end is. On other systems, and
where there is no such memory, no process has a slot.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import stat
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._process.locks import Lock

if sys.platform == "linux":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import MutableSequence

_MEMORY = Path("/dev/shm")  # noqa: S108 - `_folder` checks the owner
_SLOTS, _NUMBERS, _BYTES = 128, 8, 64
"""How many slots a file has, how many numbers a slot, and how many bytes that is. A slot begins with the process id and
two numbers whose sum is that of the pending records; the others are reserved."""
_MAX_TRIES = 3
"""How often a file is opened that another process removes at the same moment."""


class Slots:
    """The slots of all processes that share a name.

    The locks are not inherited by a fork, do not keep threads of the same process out, and end when the process closes
    the file, even if it has opened it twice (https://man7.org/linux/man-pages/man2/fcntl_locking.2.html).

    Args:
        name: The name, which becomes that of the file.
    """

    def __init__(self, name: str) -> None:
        self._name = f"1-{name}"
        self._fd = -1
        self._identity = 0, 0
        self._close = weakref.finalize(self, int)
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Have no slot: the lock is the parent's."""
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
            if not (self._is_open() and self._is_at_its_path()) and not self._open(os.O_CREAT):
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
        if any(self._read(index)) or not self._is_at_its_path():
            self._unlock(index)
            return False
        self._write(index, os.getpid())
        return True

    def _find_ended(self) -> list[tuple[int, int]]:
        if not self._is_open() and not self._open(0):
            return []
        found = [self._free_if_ended(index) for index, pid in enumerate(self._numbers[::_NUMBERS]) if pid]
        return [(pid, first + second) for pid, first, second in found if first + second]

    def _release(self) -> None:
        own, self._own = self._own, None
        if not self._is_open():
            return
        if own is not None:
            self._write(own, 0, 0, 0)
            self._unlock(own)
        if self._lock(0, _SLOTS):
            if not any(self._numbers) and self._is_at_its_path():
                with contextlib.suppress(OSError):
                    self._path.unlink()
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

    # The file

    @property
    def _path(self) -> Path:
        return _folder() / self._name

    def _open(self, flags: int) -> bool:
        """Open the file, and return whether it is open."""
        if sys.platform != "linux":
            return False
        self._close()
        own, identity = self._own, self._identity
        self._fd, self._own = -1, None
        with contextlib.suppress(OSError):
            _check_folder(create=bool(flags))
            fd = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
            self._fd, self._identity = fd, _identify(os.fstat(fd))
            self._close = weakref.finalize(self, functools.partial(_close, fd, self._identity))
            self._close.atexit = False
            # If the memory were full, a write into a file with holes would end this process.
            os.posix_fallocate(fd, 0, _SLOTS * _BYTES)
            self._numbers = memoryview(mmap.mmap(fd, _SLOTS * _BYTES)).cast("Q")
            # The program closed the file, and so unlocked the slot.
            if own is not None and self._identity == identity and self._lock(own):
                self._own = own
            return True
        self._close()
        return False

    def _is_open(self) -> bool:
        return _is_file(self._fd, self._identity)

    def _is_at_its_path(self) -> bool:
        with contextlib.suppress(OSError):
            return _identify(self._path.stat()) == self._identity
        return False

    def _lock(self, index: int, count: int = 1) -> bool:
        """Lock slots, and return whether no other process has one of them."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, count * _BYTES, index * _BYTES)
            return True
        return False

    def _unlock(self, index: int, count: int = 1) -> None:
        with contextlib.suppress(OSError):
            fcntl.lockf(self._fd, fcntl.LOCK_UN, count * _BYTES, index * _BYTES)


def _is_file(fd: int, identity: tuple[int, int]) -> bool:
    """Tell whether a file is still open. Daemons close all files, and their numbers are used for others."""
    with contextlib.suppress(OSError):
        return fd >= 0 and _identify(os.fstat(fd)) == identity
    return False


def _close(fd: int, identity: tuple[int, int]) -> None:
    if _is_file(fd, identity):
        os.close(fd)


def _identify(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _folder() -> Path:
    return _MEMORY / f"discord-logging-{os.geteuid()}"


def _check_folder(*, create: bool) -> None:
    """Make the folder of this user.

    Raises:
        OSError: There is no such memory, or another user may have made the folder or write into it.
    """
    folder = _folder()
    if create:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder of this user alone")
