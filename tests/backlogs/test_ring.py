"""Records lie in memory that outlives the process, until they are stored."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import struct
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._backlogs import ring as ring_module
from discord_logging._backlogs.rescue import LostRing, rescue
from discord_logging._backlogs.ring import Ring
from discord_logging._backlogs.ring_layout import (
    FIRST_ROOM,
    MAX_BYTES,
    NEXT_ROOM,
    RECORD,
    RING_BYTES,
    SLOTS,
    checksum_of,
)
from discord_logging._process.shared_file import SharedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is no such memory on this platform"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path))


@pytest.fixture
def ring() -> Iterator[Ring]:
    """Yield an open ring."""
    ring = Ring("ab12", "own")
    assert ring.open({"pid": 1})
    yield ring
    ring.free(range(ring._first_token, ring._first_token + SLOTS))
    ring.close()


def content(ring: Ring) -> LostRing:
    """Return what others would find in the ring."""
    assert ring._memory
    return LostRing(ring.writer, ring._memory[:], ring._file)


def numbers(ring: Ring) -> list[int]:
    return [number for number, _ in content(ring).records]


def run(child: Callable[[], object]) -> int:
    """Run a function in a forked process that ends without a word; return its exit status, 0 unless it raised."""
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            child()
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1]


def test_records_come_back_in_order_until_they_are_freed(ring: Ring) -> None:
    """The slot that was freed last is used next, since it is still in the processor's cache."""
    tokens = [ring.put(number, b"%d" % number) for number in (1, 3, 2)]
    assert content(ring).records == [(1, b"1"), (2, b"2"), (3, b"3")]
    ring.free([token for token in tokens if token is not None][:1])
    assert numbers(ring) == [2, 3]
    assert ring.put(4, b"4") == tokens[0]
    assert content(ring).damaged == 0


SIZES = [0, 1, FIRST_ROOM, FIRST_ROOM + 1, FIRST_ROOM + NEXT_ROOM, FIRST_ROOM + NEXT_ROOM + 1, 5_000, MAX_BYTES]


@pytest.mark.parametrize("size", SIZES)
def test_a_record_may_be_longer_than_a_slot(ring: Ring, size: int) -> None:
    """Its slots are all free afterwards."""
    before, data = len(ring._free), os.urandom(size)
    token = ring.put(7, data)
    assert token is not None
    assert content(ring).records == [(7, data)]
    ring.free([token])
    assert (len(ring._free), numbers(ring)) == (before, [])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3_000)), max_size=60))
def test_any_order_of_records_is_kept(steps: list[tuple[int, int]]) -> None:
    """The slots of a record may lie anywhere, also at the beginning."""
    ring = Ring("ab12", "own")
    assert ring.open({})
    kept: dict[int, tuple[int, bytes]] = {}
    for number, (place, size) in enumerate(steps):
        if place and len(kept) >= place:
            token, _ = kept.pop(list(kept)[place - 1])
            ring.free([token])
        else:
            token = ring.put(number, bytes([number]) * size) or 0
            kept[number] = token, bytes([number]) * size
    assert content(ring).records == [(number, data) for number, (_, data) in kept.items()]
    ring.free([token for token, _ in kept.values()])
    assert sorted(ring._free) == list(range(1, SLOTS))
    ring.close()


def test_a_full_ring_keeps_what_it_has(ring: Ring) -> None:
    """There is room again as soon as one is freed; a long record that does not fit takes nothing."""
    tokens = [ring.put(number, b"x") for number in range(SLOTS - 1)]
    assert None not in tokens
    assert ring.put(SLOTS, b"x") is None
    ring.free([token for token in tokens[:3] if token is not None])
    assert ring.put(SLOTS, bytes(5_000)) is None
    assert [ring.put(SLOTS + number, b"x") is None for number in range(4)] == [False, False, False, True]
    assert len(numbers(ring)) == SLOTS - 1


def test_a_record_that_is_too_large_is_refused(ring: Ring) -> None:
    """The caller may cut it."""
    assert ring.put(1, bytes(MAX_BYTES + 1)) is None
    assert len(ring._free) == SLOTS - 1


def test_a_ring_tells_when_it_is_half_full(ring: Ring) -> None:
    """Callers let the keeper run then."""
    for number in range(SLOTS // 2 - 1):
        ring.put(number, b"x")
    assert not ring.is_half_full
    ring.put(SLOTS, b"x")
    assert ring.is_half_full
    assert not Ring("ab12", "other").is_half_full


@contextlib.contextmanager
def interrupted(at: int, handler: Callable[[], object]) -> Iterator[None]:
    """Call a function in the midst of `put` or `free`, after so many instructions of the interpreter, as a signal."""
    left, before = at, sys.gettrace()
    names = {Ring.put.__code__, Ring._write.__code__, Ring.free.__code__}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code not in names:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                sys.settrace(None)
                handler()
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.fixture(autouse=True)
def _traced() -> None:
    """Trace a first call, of which Python 3.12 reports no instruction."""
    with interrupted(1_000_000, int):
        Ring("00", "w").put(1, b"")


@pytest.mark.parametrize("size", [10, 1_500])
def test_a_signal_handler_logs_in_the_midst_of_a_record(ring: Ring, size: int) -> None:
    """Both records are kept, whatever the moment is."""
    tokens: list[int | None] = []
    for moment in range(1, 400):
        tokens.clear()
        with interrupted(moment, lambda: tokens.append(ring.put(2, b"inner" * (size // 5)))):
            tokens.append(ring.put(1, b"outer" * (size // 5)))
        found = {number: data[:5] for number, data in content(ring).records}
        assert found == ({1: b"outer", 2: b"inner"} if len(tokens) == 2 else {1: b"outer"})
        ring.free([token for token in tokens if token is not None])
        if len(tokens) == 1:
            break
    assert moment > 30
    assert sorted(ring._free) == list(range(1, SLOTS))


@pytest.mark.parametrize("size", [10, 1_500])
def test_a_signal_handler_that_raises_takes_no_slot_twice(ring: Ring, size: int) -> None:
    """The record may be kept or not. A few moments, at the edges of `put`, cost its slots."""

    def stop() -> None:
        raise KeyboardInterrupt

    for moment in range(1, 400):
        before, token = len(ring._free), None
        with contextlib.suppress(KeyboardInterrupt), interrupted(moment, stop):
            token = ring.put(1, bytes(size))
        if token is not None:
            ring.free([token])
            break
        assert before - 4 <= len(ring._free) <= before
    assert moment > 30
    assert len(set(ring._free)) == len(ring._free)
    assert len(ring._free) > SLOTS - 60
    assert content(ring).damaged == 0


@pytest.mark.parametrize("name", ["zlib", "checksum_of"])
def test_a_record_that_was_interrupted_is_not_kept(ring: Ring, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """All its slots are free again."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = sorted(ring._free)
    monkeypatch.setattr(ring_module, name, SimpleNamespace(crc32=stop) if name == "zlib" else stop)
    with pytest.raises(KeyboardInterrupt):
        ring.put(1, bytes(10 if name == "zlib" else 5_000))
    assert (sorted(ring._free), numbers(ring)) == (before, [])
    free = ring._free
    monkeypatch.setattr(ring, "_free", SimpleNamespace(pop=stop))
    with pytest.raises(KeyboardInterrupt):
        ring.put(1, b"")
    monkeypatch.setattr(ring, "_free", free)


class Talkative:
    def __init__(self, ring: Ring, number: int) -> None:
        self.ring, self.number, self.itself = ring, number, self

    def __del__(self) -> None:  # noqa: D105 - see the test
        self.ring.put(self.number, b"last words")


def test_objects_that_log_when_they_are_collected(ring: Ring) -> None:
    """The garbage collector may run in the midst of a record."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1)
    try:
        for number in range(200):
            Talkative(ring, number)
            ring.put(1_000 + number, bytes(700))
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert numbers(ring) == [*range(200), *range(1_000, 1_200)]


def test_settings_are_kept_before_and_after_the_ring_is_opened() -> None:
    """A ring that is opened anew has them again."""
    ring = Ring("ab12", "own")
    assert ring.describe(1, b"first")
    assert ring.open({"pid": 5, "host": "web-1"})
    assert ring.describe(2, b"second" * 500)
    assert ring.describe(2, b"ignored")
    found = content(ring)
    assert (found.settings, found.head) == ({1: b"first", 2: b"second" * 500}, {"pid": 5, "host": "web-1"})
    ring.close()
    assert ring.open({})
    assert content(ring).settings == found.settings
    ring.close()


def test_settings_have_a_bounded_room(ring: Ring) -> None:
    """Settings are never freed, and records need most of the ring."""
    full = Ring("ab12", "full")
    assert full.open({})
    while full.put(1, b"x") is not None:
        pass
    assert not full.describe(1, b"")
    full.close()
    kept = [ring.describe(number, bytes(1_000)) for number in range(200)]
    assert (kept.count(True), kept[0], kept[-1]) == (128, True, False)
    assert not ring.describe(1_000, bytes(MAX_BYTES + 1))


def test_settings_that_come_while_the_ring_is_opened_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may bring them."""
    ring, rename = Ring("ab12", "own"), SharedFile.rename

    def describe_first(file: SharedFile, name: str) -> None:
        assert ring.describe(5, b"settings")
        assert ring.put(1, b"too early") is None
        rename(file, name)

    monkeypatch.setattr(SharedFile, "rename", describe_first)
    assert ring.open({})
    assert content(ring).settings == {5: b"settings"}
    ring.close()


def test_the_tokens_of_a_closed_ring_free_nothing(ring: Ring) -> None:
    """A keeper may still have some."""
    old = [ring.put(number, b"old") or 0 for number in range(3)]
    ring.close()
    assert ring.put(1, b"x") is None
    ring.free(old)
    assert ring.open({})
    ring.put(5, b"new")
    ring.free(old)
    assert numbers(ring) == [5]


def test_a_ring_without_records_leaves_no_file(tmp_path: Path, ring: Ring) -> None:
    """One with records is found by others, and by this process, too."""
    ring.describe(1, b"settings")
    token = ring.put(1, b"x")
    (file,) = tmp_path.glob("*/*")
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (RING_BYTES, 0o600)
    ring.close()
    assert file.exists()
    (lost,) = rescue("ab12")
    assert lost.records == [(1, b"x")]
    assert ring.open({})
    assert token is not None
    ring.close()
    ring.close()
    assert list(tmp_path.glob("*/*")) == [file]


@pytest.mark.parametrize("trouble", ["no memory", "missing", "full", "other folder", "locked", "name"])
def test_without_such_memory_there_is_no_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    """The ring says why, keeps nothing and leaves no file."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if trouble == "full":
        monkeypatch.setattr(os, "posix_fallocate", fail)
    elif trouble == "other folder":
        (tmp_path / f"discord-logging-{os.geteuid()}").mkdir(mode=0o777)
        (tmp_path / f"discord-logging-{os.geteuid()}").chmod(0o777)
    elif trouble == "locked":
        monkeypatch.setattr(SharedFile, "lock", lambda *_: False)
    elif trouble == "name":
        monkeypatch.setattr(SharedFile, "rename", fail)
    else:
        monkeypatch.setenv("DISCORD_SHARED_MEMORY", "" if trouble == "no memory" else str(tmp_path / "missing"))
    ring = Ring("ab12", "own")
    assert not ring.open({})
    assert ring.trouble
    assert (ring.put(1, b"x"), ring.is_kept(), ring.is_half_full) == (None, False, False)
    assert ring.describe(1, b"settings")
    assert list(rescue("ab12")) == []
    ring.close()
    assert list(tmp_path.glob("*/*")) == []
    monkeypatch.undo()
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path / "new"))
    (tmp_path / "new").mkdir()
    assert ring.open({})
    assert (ring.trouble, content(ring).settings) == ("", {1: b"settings"})
    ring.close()


def test_a_small_memory_ends_no_process(tmp_path: Path) -> None:
    """A write into memory that is not there would end it by SIGBUS. The limit stands in for a small tmpfs."""

    def try_it() -> None:
        import resource  # noqa: PLC0415 - Windows has none

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
        ring = Ring("ab12", "own")
        assert not ring.open({})
        assert ring.trouble == "File too large"
        assert ring.put(1, b"x") is None

    assert run(try_it) == 0
    assert list(tmp_path.glob("*/*")) == []


def close_all(ring: Ring) -> None:
    """Close the file as a daemon does, and give its number to another file."""
    assert os.dup2(os.open(os.devnull, os.O_RDONLY), ring._file._fd)


@pytest.mark.parametrize("loss", ["closed", "removed"])
def test_a_lost_ring_is_opened_anew_with_its_content(tmp_path: Path, ring: Ring, loss: str) -> None:
    """Tokens stay valid, and nothing is left of the old file."""
    token = ring.put(1, bytes(1_000))
    ring.put(2, b"second")
    ring.describe(4, b"settings")
    assert ring.is_kept()
    if loss == "closed":
        close_all(ring)
    else:
        ring._file.path.unlink()
    assert not ring.is_kept()
    assert ring.put(3, b"third") is not None
    assert ring.open({"pid": 2})
    assert ring.is_kept()
    found = content(ring)
    assert ([number for number, _ in found.records], found.settings, found.head) == (
        [1, 2, 3],
        {4: b"settings"},
        {"pid": 1},
    )
    assert token is not None
    ring.free([token])
    assert numbers(ring) == [2, 3]
    assert len(list(tmp_path.glob("*/*"))) == 1


def test_a_lost_ring_that_cannot_be_opened_anew_goes_on(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may take the records meanwhile; the next try may be better."""
    ring.put(1, b"x")
    close_all(ring)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", fail)
        assert not ring.open({})
        assert ring.trouble == "No space left on device"
    assert ring.put(2, b"x") is not None
    assert ring.open({})
    assert numbers(ring) == [1, 2]


@pytest.mark.parametrize("size", [10, 600])
def test_a_record_that_comes_while_the_ring_is_opened_anew_is_in_the_new_one(ring: Ring, size: int) -> None:
    """A thread may be in the midst of it."""
    opened: list[bool] = []

    def lose_and_open() -> None:
        ring._file.path.unlink()
        opened.append(ring.open({}))

    for moment in range(1, 400, 3):
        opened.clear()
        with interrupted(moment, lose_and_open):
            token = ring.put(moment, bytes(size))
            assert token is not None
            kept = content(ring).records
            ring.free([token])
        assert kept == [(moment, bytes(size))]
        assert (numbers(ring), content(ring).damaged) == ([], 0)
        if not opened:
            break
    assert moment > 30


def test_a_record_is_written_again_if_the_ring_is_another_one(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """This happens when a thread opens it anew meanwhile."""

    def lose_and_open(*arguments: Any) -> int:
        ring._file.path.unlink()
        assert ring.open({})
        return checksum_of(*arguments)

    monkeypatch.setattr(ring_module, "checksum_of", lose_and_open)
    ring.put(1, b"x" * 2_000)
    monkeypatch.setattr(ring_module, "zlib", SimpleNamespace(crc32=lambda data, _: lose_and_open(RECORD, 2, data)))
    ring.put(2, b"x")
    assert content(ring).records == [(1, b"x" * 2_000), (2, b"x")]


def test_a_slot_is_freed_in_the_ring_that_was_opened_anew(ring: Ring) -> None:
    """Otherwise it would be found as that of a record."""
    token, new = ring.put(1, b"x"), ring._memory
    assert token is not None

    class Old(bytearray):
        def __setitem__(self, place: Any, value: Any) -> None:
            super().__setitem__(place, value)
            ring._memory = new

    ring._memory = Old(RING_BYTES)  # type: ignore[assignment]  # it has what is used of one
    ring.free([token])
    assert numbers(ring) == []


def test_one_of_two_threads_opens_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one goes on without it; so does a signal handler in the midst of it."""
    ring, rename = Ring("ab12", "own"), SharedFile.rename
    opened = []

    def open_meanwhile(file: SharedFile, name: str) -> None:
        thread = threading.Thread(target=lambda: opened.append(ring.open({})))
        thread.start()
        thread.join()
        opened.append(ring.open({}))
        ring.close()
        rename(file, name)

    monkeypatch.setattr(SharedFile, "rename", open_meanwhile)
    assert ring.open({})
    assert opened == [False, False]
    assert ring.open({})
    assert (ring._opened, ring.is_kept()) == (1, True)
    ring.close()


def test_a_ring_that_was_interrupted_while_it_was_made_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try is a new one."""
    ring = Ring("ab12", "own")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SharedFile, "rename", stop)
        with pytest.raises(KeyboardInterrupt):
            ring.open({})
    assert (list(tmp_path.glob("*/*")), ring_module.held) == ([], {})
    assert ring.open({})
    ring.close()


def test_a_ring_that_is_closed_in_the_midst_of_a_record_harms_nothing() -> None:
    """Its token is void."""
    closed: list[object] = []
    for moment in range(1, 400, 3):
        closed.clear()
        ring = Ring("ab12", f"own{moment}")
        assert ring.open({})
        with interrupted(moment, lambda ring=ring: closed.append(ring.close())):  # type: ignore[misc]
            token = ring.put(1, b"x")
        if not closed:
            ring.free([token or 0])
            ring.close()
            break
        assert ring.open({})
        ring.free([token or 0])
        assert sorted(ring._free) == list(range(1, SLOTS))
        ring.close()


def test_a_forked_child_has_no_ring(ring: Ring) -> None:
    """The parent's stays locked, and the child opens one of its own, with the same settings."""
    ring.describe(1, b"settings")
    ring.put(1, b"parent's")

    def be_a_child() -> None:
        ring.after_fork_in_child()
        assert (ring.put(2, b"x"), ring.is_kept(), list(rescue("ab12"))) == (None, False, [])
        ring.writer = "child"
        assert ring.open({"pid": 2})
        assert ring.put(1, b"child's") is not None
        assert (content(ring).settings, numbers(ring)) == ({1: b"settings"}, [1])
        gc.collect()

    assert run(be_a_child) == 0
    assert ring.is_kept()
    assert content(ring).records == [(1, b"parent's")]
    (lost,) = rescue("ab12")
    assert (lost.writer, lost.records, lost.head) == ("child", [(1, b"child's")], {"pid": 2})


def test_a_ring_that_is_dropped_for_a_child_keeps_nothing() -> None:
    """The same as above, without a fork. The rings of the parent are no longer this process's."""
    ring = Ring("ab12", "own")
    assert ring.open({})
    ring_module.held[0, "parent's"] = object()
    ring.after_fork_in_child()
    assert [pid for pid, _ in ring_module.held] == [os.getpid()]
    ring.close()
    assert (ring.put(1, b"x"), ring.is_kept(), ring.trouble) == (None, False, "")
    ring_module.held.clear()


def test_a_child_never_replaces_the_ring_of_its_parent(ring: Ring) -> None:
    """Even if it forgets to take another name."""
    ring._opened = 0

    def be_a_child() -> None:
        ring.after_fork_in_child()
        assert not ring.open({})
        assert ring.trouble == "File exists"

    assert run(be_a_child) == 0
    assert ring.is_kept()


def test_no_accepted_record_is_lost_when_the_process_is_killed() -> None:
    """Neither a short nor a long one, at any moment."""
    for seed in range(5):
        assert lose(seed) == []


COUNTS = struct.Struct("<QQ")


def lose(seed: int) -> list[int]:
    """Kill a process that logs as fast as it can, and return the numbers of the records that are lost."""
    shared = mmap.mmap(-1, COUNTS.size)
    pid = os.fork()
    if not pid:
        try:
            log_fast(shared)
        finally:
            os._exit(1)
    while COUNTS.unpack(shared[:])[1] < 100 + 997 * seed:
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    freed, accepted = COUNTS.unpack(shared[:])
    shared.close()
    found: dict[int, bytes] = {}
    for lost in rescue("ab12"):
        assert lost.damaged == 0
        found.update(lost.records)
        lost.remove()
    assert all(data == text(number) for number, data in found.items())
    return sorted({*range(freed + 1, accepted + 1)} - found.keys())


def text(number: int) -> bytes:
    return b"%d" % number * (400 if number % 7 == 0 else 20)


def log_fast(shared: mmap.mmap) -> None:
    ring, waiting = Ring("ab12", "child"), list[int]()
    assert ring.open({})
    freed = 0
    # The end, for a test that does not kill the process.
    for number in range(1, 2_000_000):
        token = ring.put(number, text(number))
        if token is None:
            return
        waiting.append(token)
        shared[8:16] = number.to_bytes(8, "little")
        if len(waiting) > 100:
            freed += 60
            shared[0:8] = freed.to_bytes(8, "little")
            ring.free(waiting[:60])
            del waiting[:60]


def test_the_registry_of_rings_is_empty_at_the_end() -> None:
    """A ring that is gone must not be held for ever."""
    ring = Ring("ab12", "own")
    assert ring.open({})
    assert len(ring_module.held) == 1
    ring.close()
    assert ring_module.held == {}
