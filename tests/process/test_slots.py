"""Processes tell each other how many records they have not delivered, and find the numbers of those that ended."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from discord_logging._process import slots
from discord_logging._process.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no such memory on this platform")


@pytest.fixture(autouse=True)
def _memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path))


def file_of(memory: Path) -> Path:
    (file,) = memory.glob("*/*")
    return file


def run(child: Callable[[], object]) -> int:
    """Run a function in a forked process that ends without a word; return the id of the process."""
    pid = os.fork()
    if not pid:
        try:
            child()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return pid


@contextlib.contextmanager
def living(child: Callable[[], object]) -> Iterator[int]:
    """Keep a forked process alive, after a function; kill it at the end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        child()
        os.write(writer, b"x")
        signal.pause()
    os.read(reader, 1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


def claim_and_write(own: Slots, first: int, second: int) -> None:
    numbers = own.claim()
    assert numbers
    numbers[0], numbers[1] = first, second


def test_the_numbers_of_a_process_that_ended_are_found_once() -> None:
    """They are found by a process without a slot, too."""
    ours = Slots("webhook")
    pid = run(lambda: claim_and_write(Slots("webhook"), 3, 4))
    assert [ours.find_ended(), ours.find_ended()] == [[(pid, 7)], []]


def test_a_process_that_settled_all_its_records_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its slot is free for others."""
    monkeypatch.setattr(slots, "_SLOTS", 2)
    ours = Slots("webhook")
    for _ in range(slots._SLOTS + 1):
        run(lambda: claim_and_write(Slots("webhook"), 0, 0))
        assert ours.find_ended() == []


def test_a_process_that_is_alive_is_not_found() -> None:
    """It is found as soon as it has ended, also while its parent has not waited for it."""
    ours = Slots("webhook")
    other = Slots("webhook")
    with living(lambda: claim_and_write(other, 1, 0)) as pid:
        assert ours.find_ended() == []
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ours.find_ended() == [(pid, 1)]


def test_a_process_that_becomes_another_program_is_found() -> None:
    """`exec` keeps the process id, and the records are lost all the same."""
    ours = Slots("webhook")

    def become_another() -> None:
        claim_and_write(Slots("webhook"), 2, 0)
        os.execv(sys.executable, [sys.executable, "-c", ""])  # noqa: S606 - it is what is tested

    pid = run(become_another)
    assert ours.find_ended() == [(pid, 2)]


def test_a_parent_with_pending_records_is_not_found_by_its_children() -> None:
    """A child inherits the memory and not the slot, and gets one of its own."""
    ours = Slots("webhook")
    claim_and_write(ours, 5, 0)

    def be_a_child() -> None:
        ours.after_fork_in_child()
        assert ours.find_ended() == []
        claim_and_write(ours, 1, 0)

    pid = run(be_a_child)
    assert ours.find_ended() == [(pid, 1)]
    assert list(ours.claim() or []) == [5, 0]


def test_a_child_gets_a_slot_though_another_thread_was_opening_the_file() -> None:
    """The child has the file that the thread opened, and not the memory that it was about to map."""
    ours = Slots("webhook")
    assert ours._file.open(create=True)

    def be_a_child() -> None:
        ours.after_fork_in_child()
        assert ours.find_ended() == []
        claim_and_write(ours, 1, 0)

    pid = run(be_a_child)
    assert Slots("webhook").find_ended() == [(pid, 1)]


def test_names_are_separate() -> None:
    """A webhook is not told of the records of another one."""
    run(lambda: claim_and_write(Slots("webhook"), 1, 0))
    assert Slots("other").find_ended() == []


def test_the_last_process_removes_the_file(tmp_path: Path) -> None:
    """Otherwise each webhook that was ever used would leave one behind."""
    ours = Slots("webhook")
    claim_and_write(ours, 1, 1)
    other = Slots("webhook")
    with living(lambda: claim_and_write(other, 0, 0)):
        ours.release()
        assert file_of(tmp_path).exists()
    ours.find_ended()
    ours.release()
    assert list(tmp_path.glob("*/*")) == []
    claim_and_write(ours, 1, 0)
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    """Somebody may clear the memory, or another process may have been the last one."""
    ours = Slots("webhook")
    claim_and_write(ours, 1, 0)
    file_of(tmp_path).unlink()
    claim_and_write(ours, 1, 0)
    assert file_of(tmp_path).exists()


def test_no_slot_is_free() -> None:
    """Such a process is not told of."""
    all_slots = [Slots("webhook")]
    claim_and_write(all_slots[0], 1, 0)
    all_slots[0]._numbers[:] = memoryview(bytearray(b"\1" * slots._SLOTS * slots._BYTES)).cast("Q")
    all_slots[0]._own = None
    assert all_slots[0].claim() is None


def test_a_daemon_has_closed_all_files(tmp_path: Path) -> None:
    """The number of the file may be that of another one by now, which stays open and unlocked."""
    ours = Slots("webhook")
    claim_and_write(ours, 1, 0)
    with (tmp_path / "other").open("w") as other:
        number = os.dup2(other.fileno(), ours._file._fd)
        claim_and_write(ours, 2, 0)
        assert ours.find_ended() == []
        ours.release()
        assert os.path.sameopenfile(number, other.fileno())
        os.close(number)


@pytest.mark.parametrize("trouble", ["no memory", "shared folder", "link", "full"])
def test_without_such_memory_there_is_no_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    """Another user may neither read nor replace the file. A file with holes would end the process at a write."""
    folder = tmp_path / f"discord-logging-{os.geteuid()}"
    if trouble == "no memory":
        monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path / "missing"))
    elif trouble == "shared folder":
        folder.mkdir()
        folder.chmod(0o777)
    elif trouble == "link":
        folder.symlink_to(tmp_path)
    else:

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", fail)
    ours = Slots("webhook")
    assert (ours.claim(), ours.find_ended()) == (None, [])
    ours.release()


def test_a_thread_looks_while_another_one_opens_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close took a file that was half open for an open one, and raised an AttributeError."""
    ours, found = Slots("webhook"), list[object]()
    open_memory = mmap.mmap

    def look_meanwhile(*args: int, **options: bool) -> mmap.mmap:
        thread = threading.Thread(target=lambda: found.append(ours.find_ended()))
        thread.start()
        thread.join(20)
        return open_memory(*args, **options)

    monkeypatch.setattr(mmap, "mmap", look_meanwhile)
    assert ours.claim() is not None
    assert found == [[]]
    ours.release()
