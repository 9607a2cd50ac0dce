"""The folder of a durable backlog, and the locks on its files that end with the process.

A folder is ours alone, on a disk of this machine: SQLite and the locks do not work over a network.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._backlogs.store import StoreError
from discord_logging._process import clock

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterator

PATIENCE = 2.0
"""How long to wait for another process, in seconds."""
_PAUSE = 0.005
_FIRST_FD = 3
"""The first number of a file that is none of the standard streams."""
_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(rb"\\([0-7]{3})")
_NETWORKS = ("nfs", "smb", "cifs", "gpfs", "lustre", "fuse.sshfs")
_locks: dict[tuple[int, Path], FileLock] = {}
"""All locks of this process, and of those that it was forked from."""


class FileLock:
    """A lock of this process on a whole file, which is made if need be and never removed.

    A fork does not inherit the lock (https://man7.org/linux/man-pages/man2/fcntl_locking.2.html). It ends when the
    process closes the file, even if it has opened it twice: `lock_of` opens each file once.

    Attributes:
        is_held: Whether this process has the lock, as far as it knows without asking.
        guard: A lock for the threads of this process, which all have the lock together.
        owner: The object of this process that asked for the lock, if only one of them may have it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._identity: tuple[int, int] | None = None
        self.guard = threading.Lock()
        self.is_held = False
        self.owner: weakref.ref[object] | None = None

    def acquire(self) -> bool:
        """Take the lock, and return whether this process has it. Does not wait.

        Raises:
            OSError: The file cannot be opened.
        """
        if not self._is_current():
            self.is_held = False
            self.close()
            self._open()
        # The program may have opened and closed the file, which ends the lock, and another process may have it now.
        # If another process has removed the file before it was locked, the next try opens a new one.
        self.is_held = _lock(self._fd) and self._is_current()
        return self.is_held

    def release(self) -> None:
        """Give the lock back."""
        if self.is_held and self._is_open():
            _unlock(self._fd)
        self.is_held = False

    def close(self) -> None:
        """Close the file, unless the program has done so and its number is used for another one."""
        if self._is_open():
            os.close(self._fd)
        self._identity = None

    def _open(self) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        if sys.platform != "win32":
            if fd < _FIRST_FD:
                low, fd = fd, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
                os.close(low)
            os.fchmod(fd, 0o600)
        self._fd, self._identity = fd, _identify(os.fstat(fd))

    def _is_open(self) -> bool:
        with contextlib.suppress(OSError):
            return self._identity is not None and _identify(os.fstat(self._fd)) == self._identity
        return False

    def _is_current(self) -> bool:
        with contextlib.suppress(OSError):
            return self._is_open() and identify(self._path) == self._identity
        return False


def lock_of(path: Path) -> FileLock:
    """Return the one lock of this process on a file."""
    own = os.getpid(), path
    if own not in _locks:
        for inherited in [key for key in list(_locks) if key[0] != own[0] and key[1] == path]:
            if lock := _locks.pop(inherited, None):
                lock.close()
    return _locks.setdefault(own, FileLock(path))


def forget_lock(path: Path) -> None:
    """Close the file of a lock that was given back, or that this process did not get."""
    lock = lock_of(path)
    if lock.guard.acquire(blocking=False):
        try:
            if not lock.is_held:
                _locks.pop((os.getpid(), path), None)
                lock.close()
        finally:
            lock.guard.release()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Open, make, repair or close the database of a folder while no other thread and no other process does so.

    Raises:
        StoreError: Another one does so for too long.
    """
    lock, deadline = lock_of(folder / ".repair"), clock.monotonic() + PATIENCE
    busy = StoreError(f"{folder} is being repaired by another process")
    if not lock.guard.acquire(timeout=PATIENCE):
        raise busy
    try:
        while not lock.acquire():
            if clock.monotonic() > deadline:
                raise busy
            clock.sleep(_PAUSE)
        yield
    finally:
        lock.release()
        lock.guard.release()


def identify(path: Path) -> tuple[int, int] | None:
    """Return the identity of a file, which no other file has as long as this one is open, or `None` without file.

    Raises:
        OSError: The process may not see whether there is one.
    """
    try:
        return _identify(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def prepare_folder(folder: Path) -> None:
    """Make a folder, and check that nobody else can write into it.

    Raises:
        StoreError: Records cannot be kept there.
        OSError: The folder cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(0o700)
        # The umask may take rights away, also from this user.
        folder.chmod(0o700)
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise StoreError(f"{folder} is a symbolic link")
    if not stat.S_ISDIR(status.st_mode):
        raise StoreError(f"{folder} is not a directory")
    if sys.platform != "win32":
        if status.st_uid != os.geteuid():
            raise StoreError(f"{folder} belongs to another user")
        if status.st_mode & 0o022:
            raise StoreError(f"{folder} can be written by other users: its mode is {status.st_mode & 0o777:o}")
    kind = _find_file_system(folder)
    if kind.startswith(_NETWORKS):
        raise StoreError(f"{folder} is on a network file system ({kind})")


def _find_file_system(folder: Path) -> str:
    """Return the type of the file system of a folder, or `""` if nothing tells it."""
    kind, longest = "", -1
    with contextlib.suppress(OSError, ValueError):
        for line in _MOUNTS.read_bytes().splitlines():
            left, _, right = line.partition(b" - ")
            mount = Path(os.fsdecode(_OCTAL.sub(lambda digits: bytes([int(digits[1], 8)]), left.split()[4])))
            if folder.is_relative_to(mount) and len(mount.parts) >= longest:
                kind, longest = right.split()[0].decode(), len(mount.parts)
    return kind


def _identify(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


if sys.platform == "win32":

    def _lock(fd: int) -> bool:
        with contextlib.suppress(OSError):
            os.lseek(fd, 0, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            return True
        return False

    def _unlock(fd: int) -> None:
        with contextlib.suppress(OSError):
            os.lseek(fd, 0, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:

    def _lock(fd: int) -> bool:
        with contextlib.suppress(OSError):
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _unlock(fd: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.lockf(fd, fcntl.LOCK_UN)
