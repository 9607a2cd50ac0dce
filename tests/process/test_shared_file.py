"""A file in shared memory is this user's alone, and closes no file of the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from discord_logging._process.shared_file import SharedFile, list_names

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no such memory on this platform")


@pytest.fixture(autouse=True)
def _memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path))


_DAEMON = """
import os
from discord_logging._process.shared_file import SharedFile, list_names
file = SharedFile("name")
assert file.open(create=True)
memory = file.map(4096)
os.closerange(3, 64)
theirs = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
del memory
assert file.open(create=True)
del file
paths = [f"/proc/self/fd/{number}" for number in theirs]
print([path for path in paths if not os.path.exists(path) or os.readlink(path) != os.devnull])
"""


def test_the_files_of_a_daemon_stay_open() -> None:
    """A daemon closes all files. The mapped memory then closed the number of its own, which was that of another one."""
    done = subprocess.run([sys.executable, "-c", _DAEMON], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


_WITHOUT_STREAMS = """
import os
os.closerange(0, 3)
from discord_logging._process.shared_file import SharedFile, list_names
file = SharedFile("name")
os._exit(0 if file.open(create=True) and file._fd > 2 and file.lock(0, 1) else 1)
"""


def test_the_file_is_no_standard_stream() -> None:
    """A program that was started without any would print into it."""
    assert subprocess.run([sys.executable, "-c", _WITHOUT_STREAMS], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_umask_changes_nothing(tmp_path: Path, umask: int) -> None:
    """Otherwise other users could read the file, or this one could not."""
    before = os.umask(umask)
    try:
        assert SharedFile("name").open(create=True)
    finally:
        os.umask(before)
    folder = tmp_path / f"discord-logging-{os.geteuid()}"
    assert (folder.stat().st_mode & 0o777, (folder / "name").stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_folder_is_private_from_its_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that came a moment later found the folder of the first one open to others, and refused it."""
    modes: list[int] = []
    chmod = Path.chmod

    def note(path: Path, mode: int) -> None:
        modes.append(path.stat().st_mode & 0o777)
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", note)
    before = os.umask(0)
    try:
        assert SharedFile("name").open(create=True)
    finally:
        os.umask(before)
    assert modes == [0o700]


def test_a_relative_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process may have another working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", ".")
    file = SharedFile("name")
    assert not file.open(create=True)
    assert file.trouble == "DISCORD_SHARED_MEMORY is no absolute path"


def test_a_file_gets_another_name_that_is_free(tmp_path: Path) -> None:
    """The file stays open and locked. The name of another file is not taken."""
    files = [SharedFile("first"), SharedFile("second")]
    assert all(file.open(create=True) and file.lock(0, 1) for file in files)
    with pytest.raises(FileExistsError):
        files[0].rename("second")
    files[0].rename("third")
    assert files[0].is_current()
    assert sorted(list_names(("th", "se"))) == ["second", "third"]
    files[0].remove()
    files[0].remove()
    assert (files[0].is_open(), files[0].is_current()) == (True, False)
    files[1].close()
    files[1].close()
    assert not files[1].is_open()
    assert [path.name for path in tmp_path.glob("*/*")] == ["second"]


def test_what_is_no_file_of_this_user_is_not_opened(tmp_path: Path) -> None:
    """No number of it stays open."""
    assert SharedFile("name").open(create=True)
    os.mkfifo(next(tmp_path.glob("*")) / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    file = SharedFile("pipe")
    assert not file.open(create=False)
    assert "is not a file of this user" in file.trouble
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_others_could_read_is_theirs_no_more(tmp_path: Path) -> None:
    """Its mode is set whenever it is opened."""
    assert SharedFile("name").open(create=True)
    (path,) = tmp_path.glob("*/*")
    path.chmod(0o644)
    assert SharedFile("name").open(create=False)
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_memory_no_names_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no error."""
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", "")
    assert list_names(("",)) == []
