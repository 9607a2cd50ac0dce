"""The store of a durable backlog does not work, or its processes, clocks, files and records are odd.

Whatever happens, no logging call raises or waits, no record is lost in silence, and none comes twice without a word.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from discord_logging.sandbox import Fault, LocalDiscord
from tests.conftest import wait_until
from tests.failures.conftest import PEAK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.failures.conftest import Run

    Start = Callable[..., "Program"]

pytestmark = [
    pytest.mark.once,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the memory for it"),
]

PRELUDE = """
import atexit, json, logging, os, pathlib, resource, signal, sys, threading, time
{before}
import discord_logging
handler = discord_logging.DiscordHandler(flush_timeout=5, retry_delays=(0.1,), max_retry_delay=1)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")
slowest = 0.0

def say(text, *args, level=logging.ERROR, **options):
    global slowest
    began = time.monotonic()
    log.log(level, text, *args, **options)
    slowest = max(slowest, time.monotonic() - began)

def say_jobs(first, end):
    for number in range(first, end): say("job-%d-", number)

def state(): return handler.health()["backlog"]

def wait_for(condition):
    deadline, pause = time.monotonic() + 90, 0.01
    while not condition():
        if time.monotonic() > deadline:
            print("waited in vain", handler.health(), file=sys.stderr)
            os._exit(98)
        time.sleep(pause)
        pause = min(1.2 * pause, 0.2)

def kill(): os.kill(os.getpid(), signal.SIGKILL)

# No call waited for a disk, another process or the network.
atexit.register(lambda: slowest < 1.5 or os._exit(99))
"""
DELIVER = "print(handler.flush(60), state()['ok'])"
DELIVERED = "True True\n"


def prelude(before: str = "") -> str:
    """Return the beginning of a program, with some lines before the package is imported."""
    return PRELUDE.format(before=before)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the place of the backlog of all programs."""
    with tempfile.TemporaryDirectory() as parent:
        # Other users may look for files here.
        Path(parent).chmod(0o755)
        monkeypatch.setenv("DISCORD_BACKLOG", f"{parent}/backlog")
        yield Path(parent, "backlog")


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


class Program:
    """A program that runs beside others."""

    def __init__(self, discord: LocalDiscord, script: str, before: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", prelude(before) + textwrap.dedent(script)],
            env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, word: str) -> None:
        """Wait until the program prints a line."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line == f"{word}\n", self.process.communicate()

    def tell(self) -> None:
        """Let the program go on that reads a line."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return the code and the output."""
        out, err = self.process.communicate(timeout=150)
        return self.process.returncode, out, err


@pytest.fixture
def start(discord: LocalDiscord) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def start_program(script: str, before: str = "") -> Program:
            program = Program(discord, script, before)
            stack.enter_context(program.process)
            stack.callback(program.process.kill)
            return program

        yield start_program


def jobs(discord: LocalDiscord) -> Counter[int]:
    """Return in how many messages each of the numbered records is."""
    return Counter(
        number for message in discord.messages for number in {int(n) for n in re.findall(r"job-(\d+)-", message.text)}
    )


def count_rows(database: Path) -> int:
    """Return how many records are in a database; 0 without one."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as found,
    ):
        return int(found.execute("SELECT count(*) FROM records").fetchone()[0])
    return 0


def once(*numbers: int) -> Counter[int]:
    """Return the result of `jobs` if each record came once."""
    return Counter(numbers)


def test_all_processes_are_killed_and_start_an_hour_later(discord: LocalDiscord, run: Run) -> None:
    """All records are there, and the card says that they are late."""
    discord.stop()
    long_ago = "real = time.time, time.time_ns\ntime.time = lambda: real[0]() - 3600\n"
    long_ago += "time.time_ns = lambda: real[1]() - 3600 * 10**9"
    killed = [run(f"say_jobs({first}, {first + 20}); kill()", prelude=prelude(long_ago)) for first in (0, 20)]
    discord.start()
    done = run("say_jobs(40, 41)\n" + DELIVER, prelude=prelude())
    assert [each.code for each in killed] == [-9, -9]
    assert (done.out, jobs(discord)) == (DELIVERED, once(*range(41)))
    assert re.search(r"delayed 3[6-9]\d\d s", discord.messages[0].text)


def test_the_shared_memory_ends_with_its_container(
    discord: LocalDiscord, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next container has the folder alone, in which is what was stored."""
    (tmp_path / "memory").mkdir()
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(tmp_path / "memory"))
    discord.stop()
    run("say_jobs(0, 5)\nwait_for(lambda: state()['waiting'] == 5)\nkill()", prelude=prelude())
    shutil.rmtree(tmp_path / "memory")
    (tmp_path / "memory").mkdir()
    discord.start()
    done = run("say_jobs(5, 6)\n" + DELIVER, prelude=prelude())
    assert (done.out, jobs(discord)) == (DELIVERED, once(*range(6)))


def test_records_are_older_than_the_backlog_may_keep_them(discord: LocalDiscord, run: Run) -> None:
    """They are dropped before anything is sent, and the first message tells of them."""
    discord.stop()
    run("say_jobs(0, 3)\nkill()", prelude=prelude())
    discord.start()
    later = "real = time.time\ntime.time = lambda: real() + 8 * 86_400\n"
    done = run("say_jobs(3, 4)\n" + DELIVER, prelude=prelude(later))
    assert (done.out, jobs(discord)) == (DELIVERED, once(3))
    assert "3 records were dropped" in discord.messages[0].text
    assert "3 ERROR (too old)" in discord.messages[0].text


def test_a_process_is_killed_between_store_and_ring(discord: LocalDiscord, run: Run) -> None:
    """Its records are in both, and are stored once."""
    killed = run(
        """
        from discord_logging._backlogs.arrivals import Arrivals
        logged = threading.Event()
        Arrivals.free = lambda *_: logged.wait(60) and kill()
        say_jobs(0, 5)
        logged.set()
        time.sleep(60)
        """,
        prelude=prelude(),
    )
    done = run("say_jobs(5, 6)\n" + DELIVER, prelude=prelude())
    assert (killed.code, done.out, jobs(discord)) == (-9, DELIVERED, once(*range(6)))


def test_records_are_larger_than_the_slots_of_the_ring(discord: LocalDiscord, run: Run) -> None:
    """A kill cuts the largest, and loses those alone that have no room there, which `health` counts before."""
    killed = run(
        """
        from discord_logging._backlogs.keeper import Keeper
        Keeper.step = lambda _: None
        say("job-0-" + "x" * 511)
        say("job-1-" + "y" * 25_000 + "end")
        say("job-2-" + "z" * 5_000_000)
        assert state()["at_risk"] == 0, state()
        say_jobs(10, 3_000)
        print(state()["at_risk"], flush=True)
        kill()
        """,
        prelude=prelude(),
    )
    done = run("say_jobs(3_000, 3_001)\n" + DELIVER, prelude=prelude())
    assert not killed.err
    at_risk = int(killed.out)
    assert 0 < at_risk < 1_500
    found = jobs(discord)
    assert done.out == DELIVERED
    assert set(found.values()) == {1}
    assert len(found) == 3 + 2_990 - at_risk + 1
    assert {0, 1, 2, 3_000} < set(found)
    assert any("x" * 511 in message.text for message in discord.messages)


def test_records_are_larger_than_the_ring(discord: LocalDiscord, run: Run) -> None:
    """They go into the store, are whole as far as a message has room, and nothing is at risk then."""
    done = run(
        """
        say("job-0-" + "z" * 5_000_000 + "end")
        print(handler.flush(30), state()["at_risk"])
        """,
        prelude=prelude(),
    )
    assert (done.out, jobs(discord)) == ("True 0\n", once(0))
    assert any(message.text.count("z") > 1_000_000 for message in discord.messages)


@pytest.mark.parametrize("memory", ["", "/missing", "full"])
def test_there_is_no_shared_memory(
    discord: LocalDiscord, run: Run, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    """Records go into the store as fast, and `health` says why they are at risk until then."""
    before = ""
    if memory == "full":
        before = "def full(*_): raise OSError(28, 'No space left on device')\nos.posix_fallocate = full"
    else:
        monkeypatch.setenv("DISCORD_SHARED_MEMORY", memory)
    discord.stop()
    killed = run(
        """
        say_jobs(0, 3)
        wait_for(lambda: state()["waiting"] == 3 and not state()["at_risk"])
        print(state()["ring"], flush=True)
        kill()
        """,
        prelude=prelude(before),
    )
    discord.start()
    done = run("say_jobs(3, 4)\n" + DELIVER, prelude=prelude(before))
    words = {
        "": "there is no shared memory",
        "/missing": "No such file or directory",
        "full": "No space left on device",
    }
    assert killed.out == f"{words[memory]}\n"
    assert (done.out, jobs(discord)) == (DELIVERED, once(*range(4)))


@pytest.fixture(params=["limit", "disk"])
def small_disk(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Yield the lines of a program that fill its disk, as `fill()` and `free()`: a mounted one, or a pretended one."""
    if request.param == "limit":
        yield """
infinite = resource.RLIM_INFINITY
def fill(): resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, infinite))
def free(): resource.setrlimit(resource.RLIMIT_FSIZE, (infinite, infinite))
"""
        return
    command = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder.parent)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield f"""
ballast = pathlib.Path({str(folder.parent)!r}, "ballast")
def fill():
    with open(ballast, "wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)): pass
            except OSError: pass
def free(): ballast.unlink()
"""
    subprocess.run([shutil.which("umount") or "umount", "--lazy", str(folder.parent)], check=True)


@pytest.mark.parametrize("is_up", [True, False], ids=["Discord up", "Discord down"])
def test_the_disk_is_full_and_freed_later(discord: LocalDiscord, run: Run, small_disk: str, is_up: bool) -> None:
    """Records wait in memory, which is said once, and go into the store as soon as there is room."""
    if not is_up:
        discord.stop()
    first = run(
        f"""
        say_jobs(0, 10)
        wait_for(lambda: state()["ok"] and not state()["at_risk"])
        fill()
        # The last free pages are used up.
        say_jobs(10, 200)
        wait_for(lambda: not state()["ok"])
        say_jobs(200, 210)
        print(state()["reason"], handler.health()["dropped"], flush=True)
        free()
        freed_at = time.monotonic()
        wait_for(lambda: state()["ok"])
        assert time.monotonic() - freed_at < 8
        if not {is_up}: kill()
        {DELIVER}
        """,
        prelude=prelude(small_disk),
    )
    assert re.fullmatch(rf".*/backlog: the disk is full.* 0\n{DELIVERED * is_up}", first.out)
    assert first.err.count("does not work") == 1
    if not is_up:
        discord.start()
    done = run("say_jobs(210, 211)\n" + DELIVER, prelude=prelude())
    assert (done.out, jobs(discord)) == (DELIVERED, once(*range(211)))


MANY = """
from discord_logging._backlogs.sqlite_store import SqliteStore
folder = {folder!r}
urls = json.loads({urls!r})
handlers = [
    discord_logging.DiscordHandler(url, backlog=f"{{folder}}/{{number}}", retry_delays=(0.1,), max_retry_delay=1)
    for number, url in enumerate(urls)
]
for number, each in enumerate(handlers): logging.getLogger(f"app{{number}}").addHandler(each)

def say_all(first, end):
    for number in range(len(urls)):
        for job in range(first, end): logging.getLogger(f"app{{number}}").error("job-%d-", 1_000 * number + job)

def states(): return [each.health()["backlog"] for each in handlers]
"""
DAMAGES = [(kind, is_log) for is_log in (False, True) for kind in ("noise", "cut", "zeros")]
"""Ways to damage a database and its log, or only the log."""


def damage(path: Path, kind: str) -> None:
    """Damage a file in place."""
    chance = random.Random(kind)  # noqa: S311 - nothing secret
    size = path.stat().st_size
    with path.open("r+b") as file:
        if kind == "cut":
            file.truncate(size // 2)
        elif kind == "bytes":
            for _ in range(50):
                file.seek(chance.randrange(size))
                file.write(chance.randbytes(1))
        else:
            file.seek(0)
            file.write(chance.randbytes(size) if kind == "noise" else bytes(size))


STORE_ALL = """
say_all(0, 20)
wait_for(lambda: all(each["waiting"] == 20 and not each["at_risk"] for each in states()))
# The records of the first folders leave the log.
for number, each in enumerate(handlers[:3]):
    SqliteStore(pathlib.Path(folder, str(number)), each._listener.url.key).checkpoint()
print("stored", flush=True)
"""
DELIVER_ALL = """
say_all(20, 40)
print([(each.flush(60), each.health()["backlog"]["ok"]) for each in handlers])
"""


@pytest.mark.parametrize("moment", ["start", "use"])
def test_the_files_are_damaged(discord: LocalDiscord, start: Start, folder: Path, moment: str) -> None:
    """The readable records arrive, the channel is told of the others, and the store works again."""
    folder.mkdir(0o700)
    urls = [discord.add_webhook() for _ in DAMAGES]
    many = MANY.format(urls=json.dumps(urls), folder=str(folder))
    discord.stop()
    first = second = start(many + STORE_ALL + "input()\n" + DELIVER_ALL)
    first.wait_for("stored")
    if moment == "start":
        first.process.kill()
        first.process.wait()
    for number, (kind, is_log) in enumerate(DAMAGES):
        for name in ("backlog-1.db-wal",) if is_log else ("backlog-1.db", "backlog-1.db-wal"):
            damage(folder / str(number) / name, kind)
    discord.start()
    if moment == "start":
        second = start(many + DELIVER_ALL)
    else:
        first.tell()
    code, out, err = second.end()
    assert (code, out) == (0, f"{[(True, True)] * len(DAMAGES)}\n"), err
    found, told = jobs(discord), Counter[str]()
    for message in discord.messages:
        for number in re.findall(r"([\d,]+) records? w(?:as|ere) dropped", message.text):
            told[message.webhook_id] += int(number.replace(",", ""))
    assert set(found.values()) == {1}
    assert "Traceback" not in err
    for number, (_, is_log) in enumerate(DAMAGES):
        missing = [job for job in range(40) if not found[1_000 * number + job]]
        # SQLite takes a damaged log for one whose end was not written before a power cut.
        may_be_silent = is_log and moment == "start"
        lost = told[urls[number].split("/")[-2]]
        assert may_be_silent or len(missing) <= lost or lost == 1, (number, missing, told)
        assert not [job for job in missing if job >= 20]


def test_the_store_is_damaged_right_before_a_flush(discord: LocalDiscord, start: Start, folder: Path) -> None:
    """The queued records are nowhere else, and the flush waits until they are delivered."""
    discord.stop()
    worker = start(
        """
        say_jobs(0, 20)
        wait_for(lambda: state()["waiting"] == 20)
        print("stored", flush=True)
        input()
        say_jobs(20, 40)
        print(handler.flush(30), handler.health()["pending"])
        """
    )
    worker.wait_for("stored")
    for name in ("backlog-1.db", "backlog-1.db-wal"):
        os.truncate(folder / name, 4_096)
    discord.start()
    worker.tell()
    code, out, err = worker.end()
    assert (code, out) == (0, "True 0\n"), err
    assert "records wait in /" not in err
    assert jobs(discord) == once(*range(40))


@pytest.mark.parametrize("trouble", ["removed", "emptied"])
def test_the_files_are_taken_away_from_running_workers(
    discord: LocalDiscord, start: Start, folder: Path, trouble: str
) -> None:
    """They notice, and keep in a new file what waits. Another process may find that before the one that sends."""
    discord.stop()
    workers = []
    for first in (0, 100):
        worker = start(
            f"""
            say_jobs({first}, {first} + 20)
            wait_for(lambda: state()["sender"] and not state()["at_risk"])
            print("stored", flush=True)
            if state()["is_sender"]:
                wait_for(lambda: len(handler._listener.backlog.rows()) == 40)
                print("read", flush=True)
            input()
            say_jobs({first} + 20, {first} + 40)
            print(handler.flush(30), handler.health()["pending"], handler.health()["dropped"])
            """
        )
        worker.wait_for("stored")
        workers.append(worker)
    workers[0].wait_for("read")
    database = folder / "backlog-1.db"
    if trouble == "removed":
        shutil.rmtree(folder)
    else:
        for path in folder.glob("backlog-1.db*"):
            path.unlink()
    wait_until(lambda: count_rows(database) == 40)
    discord.start()
    for worker in workers:
        worker.tell()
    ends = [worker.end() for worker in workers]
    assert jobs(discord) == once(*range(40), *range(100, 140)), ends
    assert [(code, out) for code, out, _ in ends] == [(0, "True 0 0\n")] * 2, ends


@pytest.mark.parametrize("trouble", ["foreign", "group-writable", "link", "file"])
def test_the_folder_is_not_ours_alone(discord: LocalDiscord, run: Run, folder: Path, trouble: str) -> None:
    """It is refused with words, and records are delivered from memory."""
    if trouble == "link":
        (folder.parent / "real").mkdir(mode=0o700)
        folder.symlink_to(folder.parent / "real")
    elif trouble == "file":
        folder.write_text("")
    else:
        folder.mkdir(0o700)
    if trouble == "foreign":
        if os.geteuid():
            pytest.skip("needs the right to give a folder away")
        os.chown(folder, 65_534, 65_534)
    elif trouble == "group-writable":
        folder.chmod(0o770)
    done = run("say_jobs(0, 3)\nprint(handler.flush(30), state()['reason'])", prelude=prelude())
    words = {
        "foreign": "belongs to another user",
        "group-writable": "can be written by other users: its mode is 770",
        "link": "is a symbolic link",
        "file": "is not a directory",
    }
    assert done.out == f"True {folder} {words[trouble]}\n"
    assert (jobs(discord), done.code) == (once(0, 1, 2), 0)
    assert done.err.count("does not work") == 1


def test_a_program_gives_up_its_rights(discord: LocalDiscord, run: Run, folder: Path) -> None:
    """It may not see the folder any more, and delivers from memory."""
    if os.geteuid():
        pytest.skip("needs two users")
    first = run("say_jobs(0, 3)\n" + DELIVER, prelude=prelude())
    second = run(
        """
        # While the keeper opens the files, any of them may be the first that it may not open.
        wait_for(lambda: state()["is_sender"])
        os.seteuid(65_534)
        say_jobs(3, 6)
        print(handler.flush(30), state()["reason"])
        """,
        prelude=prelude(),
    )
    assert (first.out, jobs(discord)) == (DELIVERED, once(*range(6)))
    assert second.out == f"True {folder}: Permission denied\n"


def test_files_are_private_and_hold_no_secret(
    discord: LocalDiscord, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever the umask is. The shared memory alone has the text as it was logged."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", str(memory))
    discord.stop()
    killed = run(
        """
        os.umask(0)
        try: raise ValueError("password=hunter2")
        except ValueError: say("connected with password=hunter2", exc_info=True, extra={"url": "ftp://me:hunter2@host"})
        wait_for(lambda: state()["waiting"] == 1 and not state()["at_risk"] and "last_error" in handler.health())
        kill()
        """,
        prelude=prelude(),
    )
    assert killed.code == -9
    token = discord.webhook_url.rpartition("/")[2].encode()
    files = [path for place in (folder, memory) for path in place.rglob("*") if path.is_file()]
    folders = [folder, *(path for path in memory.iterdir() if path.is_dir())]
    assert {path.stat().st_mode & 0o7777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o7777 for path in folders} == {0o700}
    assert len(files) >= 4
    assert not [path for path in files if token in path.read_bytes()]
    assert not [path for path in folder.iterdir() if b"hunter2" in path.read_bytes()]


def test_python_has_no_sqlite(discord: LocalDiscord, run: Run, folder: Path) -> None:
    """Records are delivered from memory, and the reason is told."""
    done = run(
        "say_jobs(0, 3)\nprint(handler.flush(30), state()['reason'])",
        prelude=prelude("sys.modules['_sqlite3'] = None"),
    )
    assert (done.out, jobs(discord)) == ("True Python was built without SQLite\n", once(0, 1, 2))
    assert not folder.exists()


def test_a_row_is_of_a_future_format(discord: LocalDiscord, run: Run, folder: Path) -> None:
    """It stays for a newer version, and the others arrive."""
    discord.stop()
    run("say_jobs(0, 3)\nwait_for(lambda: state()['waiting'] == 3)\nkill()", prelude=prelude())
    with contextlib.closing(sqlite3.connect(folder / "backlog-1.db", isolation_level=None)) as database:
        assert database.execute("UPDATE records SET v = 99 WHERE number = 1").rowcount == 1
    discord.start()
    done = run("say_jobs(3, 4)\n" + DELIVER, prelude=prelude())
    assert (done.out, jobs(discord), count_rows(folder / "backlog-1.db")) == (DELIVERED, once(1, 2, 3), 1)


def test_the_webhook_is_deleted(discord: LocalDiscord, run: Run, folder: Path) -> None:
    """The store keeps the records, for a process that has a valid URL of the webhook."""
    discord.fail_next(Fault.webhook_deleted(), times=1)
    first = run(
        """
        say_jobs(0, 3)
        print(handler.flush(30), handler.health()["status"])
        """,
        prelude=prelude(),
    )
    assert first.out == "False stopped\n"
    assert "cannot be posted to any more" in first.err
    assert count_rows(folder / "backlog-1.db") == 3
    second = run("say_jobs(3, 4)\n" + DELIVER, prelude=prelude())
    assert (second.out, jobs(discord)) == (DELIVERED, once(*range(4)))


def test_the_sender_is_stopped_for_a_while(discord: LocalDiscord, start: Start) -> None:
    """The others wait, since it lives, and all records come once."""
    sender = start("say_jobs(0, 1)\nhandler.flush(30)\nprint('leads', flush=True)\ninput()\n" + DELIVER)
    sender.wait_for("leads")
    sender.process.send_signal(signal.SIGSTOP)
    other = start(
        "say_jobs(1, 4)\nprint(handler.flush(1), flush=True)\ninput()\nsay_jobs(4, 5)\n" + DELIVER,
    )
    other.wait_for("False")
    assert jobs(discord) == once(0)
    sender.process.send_signal(signal.SIGCONT)
    other.tell()
    assert other.end()[:2] == (0, DELIVERED)
    sender.tell()
    assert sender.end()[:2] == (0, DELIVERED)
    assert jobs(discord) == once(*range(5))


@pytest.mark.parametrize("shift", [-3_600, 3_600])
def test_the_clock_is_set_by_an_hour(discord: LocalDiscord, run: Run, shift: int) -> None:
    """While records wait. Nothing depends on it."""
    done = run(
        f"""
        say_jobs(0, 3)
        handler.flush(30)
        clock = time.time
        time.time = lambda: clock() + {shift}
        say_jobs(3, 6)
        {DELIVER}
        """,
        prelude=prelude(),
    )
    assert (done.out, jobs(discord)) == (DELIVERED, once(*range(6)))


def test_all_workers_end_while_discord_is_down(discord: LocalDiscord, start: Start, run: Run, folder: Path) -> None:
    """They end within their time, keep their records, say so once, and the next process delivers."""
    discord.stop()
    workers = [
        start(
            f"""
            discord_logging.flush_on_signals()
            handler._listener.flush_timeout = 1
            say_jobs({first}, {first} + 5)
            wait_for(lambda: not state()["at_risk"])
            print("ready", flush=True)
            time.sleep(60)
            """
        )
        for first in (0, 10, 20, 30)
    ]
    for worker in workers:
        worker.wait_for("ready")
    for worker in workers:
        worker.process.terminate()
    ends = [worker.end() for worker in workers]
    assert [code for code, _, _ in ends] == [-signal.SIGTERM] * 4
    assert [err.count(f"5 records wait in {folder} ") for _, _, err in ends] == [1] * 4, ends
    discord.start()
    done = run("say_jobs(40, 41)\n" + DELIVER, prelude=prelude())
    assert (done.out, len(jobs(discord)), set(jobs(discord).values())) == (DELIVERED, 21, {1})


def test_the_folder_is_changed_by_a_new_configuration(discord: LocalDiscord, run: Run, folder: Path) -> None:
    """The records in the old folder arrive, and none comes twice."""
    done = run(
        f"""
        import logging.config
        def configure(place):
            handlers = {{"discord": {{"class": "discord_logging.DiscordHandler", "backlog": place}}}}
            others = {{"version": 1, "disable_existing_loggers": False, "root": {{"handlers": ["discord"]}}}}
            logging.config.dictConfig({{**others, "handlers": handlers}})
        log.handlers.clear()
        for number, place in enumerate(("a", "b", None)):
            configure(place and {str(folder)!r} + place)
            say_jobs(3 * number, 3 * number + 3)
        logging.root.handlers[0].flush(30)
        """,
        prelude=prelude(),
    )
    assert (done.code, jobs(discord)) == (0, once(*range(9))), done.err


def test_a_record_kills_each_process_that_sends_it(discord: LocalDiscord, run: Run) -> None:
    """After some deaths it is left out, which the channel is told, and the others arrive."""
    poisoned = """
from discord_logging._discord.sender import WebhookSender
post = WebhookSender.post
def post_or_die(self, message):
    if "poison" in str(message): os.kill(os.getpid(), signal.SIGKILL)
    return post(self, message)
WebhookSender.post = post_or_die
"""
    deaths, done = 0, run("say_jobs(0, 2)\nsay('poison')\nsay_jobs(2, 4)\nhandler.flush(30)", prelude=prelude(poisoned))
    while done.code == -signal.SIGKILL and deaths < 12:
        deaths += 1
        done = run(f"say_jobs({3 + deaths}, {4 + deaths})\n{DELIVER}", prelude=prelude(poisoned))
    assert (done.code, set(jobs(discord))) == (0, set(range(4 + deaths)))
    assert 3 <= deaths < 12
    last = run("say_jobs(100, 101)\n" + DELIVER, prelude=prelude())
    assert (last.out, jobs(discord)) == (DELIVERED, once(*range(4 + deaths), 100))
    assert "1 ERROR (crashed sender)" in "".join(message.content for message in discord.messages)


def test_a_rate_limit_holds_for_the_successor(discord: LocalDiscord, run: Run) -> None:
    """Discord refuses the first message, and the process is killed: the next one waits as long."""
    discord.fail_next(Fault.rate_limited(3), times=1)
    killed = run("say_jobs(0, 1)\nwait_for(lambda: handler.health()['status'] == 'limited')\nkill()", prelude=prelude())
    done = run("say_jobs(1, 2)\n" + DELIVER, prelude=prelude())
    first, second, *_ = discord.requests
    assert (killed.code, done.out, jobs(discord)) == (-9, DELIVERED, once(0, 1))
    assert [request.status for request in discord.requests].count(429) == 1
    assert second.time - first.time >= 3


@pytest.mark.once
def test_a_hundred_thousand_records_wait(discord: LocalDiscord, run: Run, folder: Path) -> None:
    """They are delivered in digests, by a process that starts as fast and needs no more memory than it is allowed."""
    discord.stop()
    run("say_jobs(0, 1)\nwait_for(lambda: state()['waiting'] == 1)\nkill()", prelude=prelude())
    with contextlib.closing(sqlite3.connect(folder / "backlog-1.db")) as database, database:
        (body,) = database.execute("SELECT body FROM records").fetchone()
        database.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 99999)
            INSERT INTO records (hook, writer, number, levelno, levelname, created, size, count, settings, body)
            SELECT hook, writer, number + n, levelno, levelname, created, size, count, settings,
                CAST(replace(CAST(body AS TEXT), 'job-0-', 'job-' || n || '-') AS BLOB) FROM records, numbers
            """
        )
        database.execute("UPDATE hooks SET waiting = waiting * 100000, bytes = bytes * 100000")
    assert b"job-0-" in body
    discord.start()
    done = run(
        """
        began = time.monotonic()
        wait_for(lambda: state()["waiting"] > 50_000)
        print(time.monotonic() - began, flush=True)
        wait_for(lambda: state()["waiting"] == 0)
        print(peak() / 1_000_000)
        """,
        prelude=prelude() + PEAK,
    )
    assert done.code == 0, done.err
    seconds, megabytes = map(float, done.out.split())
    assert (seconds < 10, megabytes < 600) == (True, True), done.out
    assert len(discord.requests) < 200


def test_extra_values_are_odd(discord: LocalDiscord, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card is the same as from memory."""
    script = """
        odd = {"surrogate": "\\udcff", "nan": float("nan"), "tuple": (1, (2, 3)), "int": 10 ** 5_000}
        odd |= {"inf": -float("inf"), "bytes": b"\\xff", "set": {1}, "none": None, "nul": "a\\0b", "big": 2**70}
        odd |= {"keys": {1: 2, None: 3, (4, 5): 6}}
        say("job-0-", extra={**odd, "": 1, "odd key\\n": 2})
        print(handler.flush(30))
        """
    stored = run(script, prelude=prelude())
    monkeypatch.delenv("DISCORD_BACKLOG")
    remembered = run(script, prelude=prelude())
    assert (stored.out, remembered.out) == ("True\n", "True\n"), stored.err + remembered.err
    first, second = ({**message.embeds[0], "footer": "", "timestamp": ""} for message in discord.messages)
    assert first == second
