"""A file in shared memory, in which the processes of one user write numbers and short data for each other.

The memory is a tmpfs: Linux's `/dev/shm`, or the folder that the environment variable `DISCORD_SHARED_MEMORY` names. If
the variable is empty, and on other systems, there is no such memory. A file on a disk would make a writer wait for it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import mmap
import os
import stat
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform == "linux":
    import fcntl

_FIRST_FD = 3
"""The first number of a file that is none of the standard streams."""
_MODE = 0o600
_never_freed: list[mmap.mmap] = []
"""Mapped memory whose files the program has closed. Up to Python 3.12, it would close a number of another file."""


class SharedFile:
    """A file in shared memory, whose bytes can be locked, read, written and mapped.

    The locks are not inherited by a fork, do not keep threads of the same process out, and end when the process ends or
    closes the file, even if it has opened it twice (https://man7.org/linux/man-pages/man2/fcntl_locking.2.html). No
    method waits. Not thread-safe.

    Attributes:
        trouble: The reason why the file could not be opened or mapped, or `""`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._fd = -1
        self._identity = 0, 0
        self._close: Callable[[], object] = int
        self._mapped: list[mmap.mmap] = []
        self.trouble = ""

    @property
    def path(self) -> Path:
        """The path of the file.

        Raises:
            OSError: There is no shared memory.
        """
        return _folder() / self._name

    @property
    def identity(self) -> tuple[int, int]:
        """The identity of the file, which no other file has."""
        return self._identity

    def open(self, *, create: bool) -> bool:
        """Open the file anew, and return whether it is open."""
        self._close()
        self._fd = -1
        try:
            _check_folder(create=create)
            fd, self._identity = _open(self.path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0))
        except OSError as error:
            self.trouble = error.strerror or str(error)
            return False
        self._mapped = []
        self._close = close = weakref.finalize(self, _close, fd, self._identity, self._mapped)
        close.atexit = False
        self.trouble = ""
        # This comes last: the file is open from now on.
        self._fd = fd
        return True

    def map(self, size: int) -> mmap.mmap | None:
        """Return the first bytes of the file as memory, or `None` if there is no room for them."""
        try:
            # If the memory were full, a write into a file with holes would end this process.
            os.posix_fallocate(self._fd, 0, size)
            if sys.version_info >= (3, 13):
                memory = mmap.mmap(self._fd, size, trackfd=False)
            else:
                memory = mmap.mmap(self._fd, size)
        except (OSError, ValueError) as error:
            # A ValueError says that another process has made the file shorter meanwhile.
            self._close()
            self._fd = -1
            self.trouble = getattr(error, "strerror", None) or str(error)
            return None
        self._mapped.append(memory)
        return memory

    def read(self, start: int, count: int) -> bytes:
        """Return bytes of the file, fewer at its end.

        Raises:
            OSError: The program has closed the file.
        """
        return os.pread(self._fd, count, start)

    def write(self, start: int, content: bytes) -> None:
        """Write bytes into the file.

        Raises:
            OSError: The memory is full.
        """
        if os.pwrite(self._fd, content, start) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def rename(self, name: str) -> None:
        """Give the file another name, which no other file may have.

        Raises:
            OSError: There is such a file, or this one was removed.
        """
        target = self.path.with_name(name)
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        self.path.rename(target)
        self._name = name

    def remove(self) -> None:
        """Remove the file from the memory, if it is still there. The file stays open and locked."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Close the file, so that its locks end."""
        self._close()
        self._fd = -1

    def is_open(self) -> bool:
        """Tell whether the file is still open. Daemons close all files."""
        return _is_file(self._fd, self._identity)

    def is_current(self) -> bool:
        """Tell whether the file is open and still at its path: others may have removed it, and made another one."""
        if not self.is_open():
            return False
        with contextlib.suppress(OSError):
            return _identify(self.path.stat()) == self._identity
        return False

    def lock(self, start: int, count: int) -> bool:
        """Lock bytes, and return whether no other process has locked one of them."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, count, start)
        except (OSError, ValueError):
            # The number of a file that is not open is negative, as in a child that was forked in the midst of the call.
            return False
        return True

    def unlock(self, start: int, count: int) -> None:
        """Unlock bytes."""
        with contextlib.suppress(OSError):
            if self.is_open():
                fcntl.lockf(self._fd, fcntl.LOCK_UN, count, start)


def list_names(start: tuple[str, ...]) -> list[str]:
    """Return the names of the files in the memory of this user that start with one of these texts."""
    with contextlib.suppress(OSError):
        return [name for name in os.listdir(_folder()) if name.startswith(start)]  # noqa: PTH208 - names are enough
    return []


def _is_file(fd: int, identity: tuple[int, int]) -> bool:
    """Tell whether a file is still open. If it was closed, its number is used for others."""
    with contextlib.suppress(OSError):
        return fd >= 0 and _identify(os.fstat(fd)) == identity
    return False


def _open(path: Path, flags: int) -> tuple[int, tuple[int, int]]:
    """Return the number of a file that only this user can read, none of the standard streams', and its identity.

    Raises:
        OSError: There is no such file, or it is that of another user.
    """
    fd = os.open(path, flags, _MODE)
    is_kept = False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(0, f"{path} is not a file of this user")
        if stat.S_IMODE(status.st_mode) != _MODE:
            os.fchmod(fd, _MODE)
        is_kept = fd >= _FIRST_FD
        return fd if is_kept else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD), _identify(status)
    finally:
        if not is_kept:
            os.close(fd)


def _close(fd: int, identity: tuple[int, int], mapped: list[mmap.mmap]) -> None:
    if _is_file(fd, identity):
        os.close(fd)
    else:
        _never_freed.extend(mapped)
    mapped.clear()


def _identify(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _folder() -> Path:
    memory = os.environ.get("DISCORD_SHARED_MEMORY", "/dev/shm")  # noqa: S108 - `_check_folder` checks the owner
    if not memory or sys.platform != "linux":
        raise FileNotFoundError(0, "there is no shared memory")
    return _folder_in(memory, os.geteuid())


@functools.lru_cache(maxsize=8)
def _folder_in(memory: str, user: int) -> Path:
    if not Path(memory).is_absolute():
        raise FileNotFoundError(0, "DISCORD_SHARED_MEMORY is no absolute path")
    return Path(memory) / f"discord-logging-{user}"


def _check_folder(*, create: bool) -> None:
    """Make the folder of this user.

    Raises:
        OSError: There is no such memory, or another user may have made the folder or write into it.
    """
    folder = _folder()
    if create:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
            # The umask may take rights away, also from this user.
            folder.chmod(0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(0, f"{folder} is not a folder of this user alone")
