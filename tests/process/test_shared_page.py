"""Processes change a page by turns, and a process that is killed leaves it whole."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from discord_logging._process import shared_page
from discord_logging._process.shared_file import SharedFile
from discord_logging._process.shared_page import SharedPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is no such memory on this platform"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path))


def fork(child: Callable[[], object]) -> int:
    pid = os.fork()
    if not pid:
        try:
            child()
        finally:
            os._exit(0)
    return pid


@contextlib.contextmanager
def held_elsewhere() -> Iterator[int]:
    """Hold the page in another process, whose id is yielded."""
    reader, writer = os.pipe()

    def hold() -> None:
        with SharedPage("page").hold():
            os.write(writer, b"x")
            signal.pause()

    pid = fork(hold)
    os.read(reader, 1)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


def write(content: bytes, page: SharedPage | None = None) -> bool:
    page = page or SharedPage("page")
    with page.hold() as is_held:
        return is_held and page.write(content)


def read(page: SharedPage) -> bytes | None:
    with page.hold() as is_held:
        assert is_held
        content = page.read()
        page.note_as_known()
        return content


def test_a_process_reads_what_another_one_wrote() -> None:
    """And it is told once, until the other one writes again."""
    page = SharedPage("page")
    assert read(page) == b""
    for content in (b"one", b"another", b""):
        os.waitpid(fork(lambda content=content: write(content)), 0)  # type: ignore[misc]  # the default is a bytes
        assert [read(page), read(page)] == [content, None]


def test_a_process_is_not_told_what_it_wrote_itself() -> None:
    """It knows that already."""
    page = SharedPage("page")
    assert write(b"own", page)
    assert read(page) is None
    assert read(SharedPage("page")) == b"own"


def test_the_content_outlives_all_processes(tmp_path: Path) -> None:
    """The next process goes on where the last one ended. No other user may read it."""
    write(b"kept")
    (file,) = tmp_path.glob("*/*")
    assert (read(SharedPage("page")), file.stat().st_mode & 0o777) == (b"kept", 0o600)


def test_a_writer_that_is_killed_leaves_the_content_of_before() -> None:
    """It dies after it has written the new content, and before it says so."""
    page = SharedPage("page")
    write(b"whole", page)
    os.waitpid(fork(lambda: write_half(page)), 0)
    assert read(SharedPage("page")) == b"whole"
    assert write(b"next", page)


def write_half(page: SharedPage) -> None:
    """Write all but the number of the new version, and end."""
    write_bytes = SharedFile.write

    def die_at_the_head(file: SharedFile, start: int, content: bytes) -> None:
        if not start:
            os._exit(9)
        write_bytes(file, start, content)

    with page.hold(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedFile, "write", die_at_the_head)
        page.write(b"x" * 100)


def test_what_a_process_did_not_understand_is_read_again() -> None:
    """Ctrl-C may come between the two."""
    page = SharedPage("page")
    write(b"content")
    with page.hold():
        assert [page.read(), page.read()] == [b"content", b"content"]


def test_what_is_forgotten_is_read_again() -> None:
    """A process that could not write needs the content that it wrote before."""
    page = SharedPage("page")
    write(b"own", page)
    page.forget()
    assert read(page) == b"own"


def test_a_page_is_held_by_one_process() -> None:
    """Another one waits until it is free, which it is as soon as the owner has died."""
    page = SharedPage("page")
    with held_elsewhere() as pid:
        os.kill(pid, signal.SIGKILL)
        assert write(b"mine", page)
    assert page.trouble == ""


def test_nobody_waits_for_a_stopped_process_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller goes on without the page, which says why, until it is free again."""
    monkeypatch.setattr(shared_page, "_PATIENCE", 0.01)
    page = SharedPage("page")
    with held_elsewhere():
        assert not write(b"mine", page)
        assert page.trouble == "another process holds the shared memory"
    assert write(b"mine", page)
    assert page.trouble == ""


def test_a_page_that_is_full_keeps_its_content() -> None:
    """The reason tells why the new content is not there."""
    page = SharedPage("page")
    assert write(b"x" * shared_page._ROOM, page)
    assert not write(b"x" * (shared_page._ROOM + 1), page)
    assert page.trouble == "the shared memory has no room for all limits"
    assert read(SharedPage("page")) == b"x" * shared_page._ROOM


def test_a_page_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    """At the end of a user's session, systemd removes what the user has in the memory."""
    page = SharedPage("page")
    write(b"old", page)
    (file,) = tmp_path.glob("*/*")
    file.unlink()
    assert read(page) == b""
    assert write(b"new", page)
    assert read(SharedPage("page")) == b"new"


@pytest.mark.parametrize("damage", [b"", b"\xff", b"\xff" * 24, b"\xff" * 500])
def test_a_damaged_file_harms_nobody(tmp_path: Path, damage: bytes) -> None:
    """Somebody may have made it shorter, or have written anything."""
    page = SharedPage("page")
    write(b"x", page)
    (file,) = tmp_path.glob("*/*")
    file.write_bytes(damage)
    assert len(read(SharedPage("page")) or b"") <= shared_page._ROOM
    assert write(b"mine", page)
    assert read(SharedPage("page")) == b"mine"


def test_a_full_memory_leaves_the_content_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that its content is an old one."""
    page = SharedPage("page")
    write(b"old", page)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        assert not write(b"new", page)
    assert page.trouble
    assert read(SharedPage("page")) == b"old"


@pytest.mark.parametrize("memory", ["", "missing"])
def test_without_shared_memory_no_page_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str) -> None:
    """The page says why."""
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", memory and str(tmp_path / memory))
    page = SharedPage("page")
    assert not write(b"x", page)
    assert page.trouble == ("No such file or directory" if memory else "there is no shared memory")


def test_two_hundred_changes_of_four_processes_are_all_there() -> None:
    """Each reads a number and writes the next one: without the lock, some would be lost."""

    def count() -> None:
        page, number = SharedPage("page"), 0
        for _ in range(50):
            with page.hold() as is_held:
                assert is_held
                content = page.read()
                page.note_as_known()
                number = number if content is None else int(content or b"0")
                number += 1
                page.write(str(number).encode())

    for pid in [fork(count) for _ in range(4)]:
        assert os.waitpid(pid, 0)[1] == 0
    assert read(SharedPage("page")) == b"200"
