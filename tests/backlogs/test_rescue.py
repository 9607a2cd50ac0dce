"""The records of a process that has ended are found once, and those of a living one never."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._backlogs import rescue as rescue_module
from discord_logging._backlogs.rescue import LostRing, rescue
from discord_logging._backlogs.ring import Ring
from discord_logging._backlogs.ring_layout import RING_BYTES
from discord_logging._process.shared_file import SharedFile

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


def folder(memory: Path) -> Path:
    """Return the folder of this user in the memory."""
    path = memory / f"discord-logging-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    return path


def fork(child: Callable[[], object]) -> int:
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            child()
            os._exit(0)
        os._exit(1)
    return pid


def run(child: Callable[[], object]) -> None:
    """Run a function in a forked process that ends without a word."""
    assert os.waitpid(fork(child), 0)[1] == 0


@contextlib.contextmanager
def living(child: Callable[[], object]) -> Iterator[int]:
    """Keep a forked process alive, after a function; kill it at the end."""
    reader, writer = os.pipe()

    def live() -> None:
        child()
        os.write(writer, b"x")
        signal.pause()

    pid = fork(live)
    assert os.read(reader, 1) == b"x"
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


def log(writer: str, *numbers: int, place: str = "ab12") -> Ring:
    """Open a ring and keep records in it."""
    ring = Ring(place, writer)
    assert ring.open({"writer": writer})
    assert ring.describe(9, b"settings")
    assert None not in [ring.put(number, b"%d" % number * 300) for number in numbers]
    return ring


def take(place: str = "ab12") -> list[tuple[str, list[int]]]:
    """Rescue and remove all rings."""
    found = []
    for lost in rescue(place):
        found.append((lost.writer, [number for number, _ in lost.records]))
        lost.remove()
    return sorted(found)


def test_a_process_that_ended_is_found_with_all_it_had(tmp_path: Path) -> None:
    """Its file is gone afterwards."""
    run(lambda: log("a", 3, 1, 2))
    for lost in rescue("ab12"):
        assert lost.records == [(number, b"%d" % number * 300) for number in (1, 2, 3)]
        assert (lost.writer, lost.head, lost.settings, lost.damaged) == ("a", {"writer": "a"}, {9: b"settings"}, 0)
        lost.remove()
    assert list(tmp_path.glob("*/*")) == []
    assert take() == []


def test_a_ring_that_is_not_removed_is_found_the_next_time() -> None:
    """The store may not work now."""
    run(lambda: log("a", 1))
    assert [lost.writer for lost in rescue("ab12")] == ["a"]
    for lost in rescue("ab12"):
        assert lost.records
        break
    (last,) = rescue("ab12")
    last.remove()  # this comes too late: others may have the ring now
    assert take() == [("a", [1])]


def test_a_living_process_is_not_found() -> None:
    """Its ring is found as soon as it has ended, also while its parent has not waited for it."""
    with living(lambda: log("a", 1)) as pid:
        assert take() == []
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert take() == [("a", [1])]


def test_a_parent_is_found_while_its_child_lives_on() -> None:
    """The child has inherited the file and the memory, and not the lock."""
    reader, writer = os.pipe()

    def be_a_parent() -> None:
        ring = log("parent", 1)
        if not os.fork():
            ring.after_fork_in_child()
            os.write(writer, str(os.getpid()).encode())
            signal.pause()

    pid = fork(be_a_parent)
    child = int(os.read(reader, 20))
    try:
        os.waitpid(pid, 0)
        assert take() == [("parent", [1])]
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reader)
        os.close(writer)


def test_a_child_rescues_its_parent() -> None:
    """The parent's rings are no longer this process's own."""
    (reader, writer), (gone_reader, gone_writer) = os.pipe(), os.pipe()

    def be_a_parent() -> None:
        ring = log("parent", 1)
        if not os.fork():
            os.close(gone_writer)
            ring.after_fork_in_child()
            before = take()
            os.write(writer, b"ready")
            os.read(gone_reader, 1)  # the parent's end closes when it has died
            os.write(writer, repr((before, take())).encode())
            os._exit(0)
        os.read(reader, 5)

    pid = fork(be_a_parent)
    os.close(gone_writer)
    os.waitpid(pid, 0)
    assert os.read(reader, 100) == b"([], [('parent', [1])])"
    for fd in (reader, writer, gone_reader):
        os.close(fd)


def test_a_process_that_becomes_another_program_is_found() -> None:
    """`exec` keeps the process id, and the records are lost all the same."""

    def become_another() -> None:
        log("a", 1)
        os.execv("/bin/sleep", ["sleep", "60"])  # noqa: S606 - it is what is tested

    pid = fork(become_another)
    try:
        deadline = time.monotonic() + 60
        while not (found := take()):
            assert time.monotonic() < deadline
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert found == [("a", [1])]


def test_the_rings_of_this_process_stay_locked() -> None:
    """A process loses its lock on a file that it opens and closes a second time."""
    rings = [log("a", 1), log("b", 2)]
    assert take() == []

    def look() -> None:
        for ring in rings:
            ring.after_fork_in_child()
        assert take() == []

    run(look)
    assert all(ring.is_kept() for ring in rings)
    with living(lambda: log("c", 3)) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert take() == [("c", [3])]
    for ring in rings:
        assert ring.is_kept()
        ring.close()


def test_other_places_have_other_rings() -> None:
    """Each belongs to one folder of a backlog."""
    run(lambda: log("a", 1, place="ab"))
    assert (take("ab1"), take("a"), take("ab")) == ([], [], [("a", [1])])


def test_a_ring_that_is_not_locked_yet_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process looks between each of the steps in which it is made."""
    steps = []
    lock, rename = SharedFile.lock, SharedFile.rename

    def look(step: str) -> None:
        steps.append(step)
        with monkeypatch.context() as patch:
            patch.setattr(SharedFile, "lock", lock)
            run(lambda: take() and os._exit(1))

    def look_and_lock(file: SharedFile, start: int, count: int) -> bool:
        look("before the lock")
        return lock(file, start, count)

    def look_and_rename(file: SharedFile, name: str) -> None:
        look("before the name")
        rename(file, name)
        look("after the name")

    monkeypatch.setattr(SharedFile, "lock", look_and_lock)
    monkeypatch.setattr(SharedFile, "rename", look_and_rename)
    ring = Ring("ab12", "a")
    assert ring.open({})
    assert steps == ["before the lock", "before the name", "after the name"]
    monkeypatch.undo()
    assert list(rescue("ab12")) == []
    ring.close()


def test_what_was_left_unfinished_is_removed_after_a_while(tmp_path: Path) -> None:
    """A process that is being made may be slow, and one that has locked its file is alive."""
    unfinished = folder(tmp_path) / "new-ring-1-ab12-a.1"
    unfinished.write_bytes(b"")
    assert take() == []
    assert unfinished.exists()
    old = time.time() - 2 * rescue_module._MAX_AGE
    os.utime(unfinished, (old, old))
    file = SharedFile(unfinished.name)

    def lock() -> None:
        assert file.open(create=False)
        assert file.lock(0, 1)

    with living(lock):
        assert take() == []
        assert unfinished.exists()
    assert take() == []
    assert not unfinished.exists()


def test_a_process_that_was_stopped_while_its_ring_was_removed_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ring says so, and may be opened again."""
    monkeypatch.setattr(rescue_module, "_MAX_AGE", -60.0)
    lock = SharedFile.lock

    def be_slow(file: SharedFile, start: int, count: int) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(SharedFile, "lock", lock)
            run(take)
        return lock(file, start, count)

    ring = Ring("ab12", "a")
    with monkeypatch.context() as patch:
        patch.setattr(SharedFile, "lock", be_slow)
        assert not ring.open({})
    assert ring.trouble == "No such file or directory"
    assert ring.open({})
    ring.close()


def test_each_ring_is_found_by_one_of_many() -> None:
    """Four processes, each with two threads' worth of searches side by side, find each of ten rings once."""
    for index in range(10):
        run(lambda index=index: log(f"w{index}", index))  # type: ignore[misc]  # the default is a number
    reader, writer = os.pipe()

    def search() -> None:
        first, second = rescue("ab12"), rescue("ab12")
        while found := [lost for lost in (next(first, None), next(second, None)) if lost]:
            for lost in found:
                os.write(writer, f"{lost.writer} ".encode())
                lost.remove()

    for pid in [fork(search) for _ in range(4)]:
        assert os.waitpid(pid, 0)[1] == 0
    os.close(writer)
    assert sorted(os.read(reader, 1_000).decode().split()) == [f"w{index}" for index in range(10)]
    os.close(reader)


def test_a_child_does_not_remove_what_its_parent_rescues() -> None:
    """The lock is the parent's."""
    run(lambda: log("a", 1))
    for lost in rescue("ab12"):
        run(lost.remove)
    assert take() == [("a", [1])]


@pytest.mark.parametrize("junk", [b"", b"\1", b"\xff" * 600, bytes(range(256)) * 5_000, b"\1" * (RING_BYTES + 5_000)])
def test_junk_is_counted_and_removed(tmp_path: Path, junk: bytes) -> None:
    """No error comes of it, and the others are found."""
    run(lambda: log("a", 1))
    (folder(tmp_path) / "ring-1-ab12-junk.1").write_bytes(junk)
    found = {lost.writer: (lost.records, lost.head, lost.settings) for lost in rescue("ab12")}
    assert found.pop("junk") == ([], {}, {})
    assert found.keys() == {"a"}
    assert take() == [("a", [1]), ("junk", [])]
    assert list(folder(tmp_path).iterdir()) == []


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    """Examples are a directory, a link, a pipe and a name of others."""
    here = folder(tmp_path)
    (tmp_path / "target").write_bytes(b"\1" * RING_BYTES)
    (here / "ring-1-ab12-directory").mkdir()
    (here / "ring-1-ab12-link").symlink_to(tmp_path / "target")
    os.mkfifo(here / "ring-1-ab12-pipe")
    (here / "ring-2-ab12-later").write_bytes(b"")
    (here / "1-webhook").write_bytes(b"")
    before = sorted(here.iterdir())
    assert take() == []
    assert sorted(here.iterdir()) == before


def test_the_files_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may have put them there."""
    run(lambda: log("a", 1))
    fstat = os.fstat

    def pretend(fd: int) -> os.stat_result:
        status = fstat(fd)
        return os.stat_result((*status[:4], os.geteuid() + 1, *status[5:]))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", pretend)
        assert take() == []
    assert take() == [("a", [1])]


def test_a_file_that_is_gone_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has removed it meanwhile."""
    names = ["ring-1-ab12-gone.1", "new-ring-1-ab12-gone.1"]
    monkeypatch.setattr(rescue_module, "list_names", lambda _: names)
    assert take() == []


def test_a_file_that_cannot_be_read_has_no_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no error, and the next time may be better."""
    run(lambda: log("a", 1))

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        assert [lost.records for lost in rescue("ab12")] == [[]]
    assert take() == [("a", [1])]


@pytest.mark.parametrize("memory", ["", "missing"])
def test_without_such_memory_nothing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str) -> None:
    """There is no error."""
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", memory and str(tmp_path / memory))
    assert take() == []


def snapshot() -> tuple[bytes, dict[int, bytes]]:
    """Return the content of a ring, and its records."""
    ring = Ring("ab12", "own")
    assert ring.open({"pid": 1})
    ring.describe(9, b"settings")
    records = {number: bytes([number]) * (number * 70) for number in range(1, 30)}
    tokens = [ring.put(number, data) for number, data in records.items()]
    assert None not in tokens
    assert ring._memory
    content = ring._memory[: 128 * 512]
    ring.free([token for token in tokens if token is not None])
    ring.close()
    return content, records


@given(st.lists(st.tuples(st.integers(0, 128 * 512 - 1), st.integers(0, 255)), min_size=1, max_size=30))
def test_damage_costs_only_what_it_hits(damage: list[tuple[int, int]]) -> None:
    """A record that is found is as it was; each of the others was counted, unless its slot says that there is none."""
    content, records = snapshot()
    damaged = bytearray(content)
    for place, value in damage:
        damaged[place] = value
    lost = LostRing("own", bytes(damaged), SharedFile(""))
    assert dict(lost.records).items() <= records.items()
    cleared = sum(place % 512 == 0 and value == 0 for place, value in damage)
    assert len(lost.records) + lost.damaged + cleared + 2 >= len(records)
    assert len(lost.records) >= len(records) - len(damage)


def test_a_record_whose_bytes_were_changed_is_counted() -> None:
    """Its checksum tells, before anybody reads it."""
    content, records = snapshot()
    damaged = bytearray(content)
    damaged[content.index(bytes([5]) * 100) + 50] ^= 1
    lost = LostRing("own", bytes(damaged), SharedFile(""))
    assert (lost.damaged, records.keys() - dict(lost.records).keys()) == (1, {5})
    assert (lost.head, lost.settings) == ({"pid": 1}, {9: b"settings"})
