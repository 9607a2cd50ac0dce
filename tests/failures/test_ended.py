"""A process ends while its records wait, and without a moment to deliver them: whoever is left tells how many."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.failures.conftest import Finished, Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the memory for it")

_APP = """
import logging, os, sys, time
import discord_logging
handler = discord_logging.DiscordHandler(flush_timeout=20)
log = logging.getLogger("app")
log.addHandler(handler)

def work(number):
    log.error("job %d failed", number)

def work_and(ending):
    work(1)
    work(2)
    ending()
"""

_PRELUDE = """
import concurrent.futures, multiprocessing, os, signal, subprocess, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
sys.path.insert(0, {folder!r})
os.environ["PYTHONPATH"] = {folder!r}
from app import handler, log, work, work_and

def fork(child):
    pid = os.fork()
    if not pid:
        try:
            child()
        finally:
            os._exit(0)
    return pid
"""


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture
def prelude(tmp_path: Path) -> str:
    """Return the beginning of a program that imports the module with the handler, as its children do."""
    (tmp_path / "app.py").write_text(_APP)
    return _PRELUDE.format(folder=str(tmp_path))


def told(done: Finished) -> list[tuple[int, int]]:
    """Return the process ids and numbers of records that a program told of."""
    found = re.findall(
        r"^discord_logging: process (\d+) ended before it delivered (\d+) records?", done.err, re.MULTILINE
    )
    return [(int(pid), int(number)) for pid, number in found]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_pool_are_terminated(discord: LocalDiscord, run: Run, prelude: str, method: str) -> None:
    """At the end of the block, the parent terminates its workers with SIGTERM.

    Without the numbers in shared memory, the records were lost in silence.
    """
    discord.fail_next(Fault.stall(60), times=20)
    done = run(
        f"""
        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(2) as pool: pool.map(work, range(10))
        """,
        prelude=prelude,
    )
    assert done.code == 0
    assert sum(number for _, number in told(done)) == 10
    assert "10 of 10 records were not delivered" in done.err
    assert "(10 process_ended)" in done.err


@pytest.mark.parametrize("options", ["", ", initializer=discord_logging.flush_on_signals"])
def test_workers_of_a_pool_have_no_handler_of_signals(run: Run, prelude: str, options: str) -> None:
    """A worker that was about to wait for the semaphore never ran the handler, and the parent waited for ever."""
    done = run(
        f"""
        import discord_logging

        def find(_): return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if __name__ == "__main__":
            discord_logging.flush_on_signals()
            with multiprocessing.get_context("fork").Pool(1{options}) as pool: print(pool.map(find, [1]))
            print(find(1))
        """,
        prelude=prelude,
    )
    assert done.out == "[True]\nFalse\n"


@pytest.mark.parametrize(
    "ending",
    [
        "os._exit(0)",
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", marks=pytest.mark.once),
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.execv(sys.executable, [sys.executable, '-c', ''])",
        pytest.param("os.abort()", marks=pytest.mark.once),
    ],
)
def test_a_child_ends_without_a_word(discord: LocalDiscord, run: Run, prelude: str, ending: str) -> None:
    """A work horse that ends with `os._exit`, the out-of-memory killer, a crash: the parent tells at its next flush."""
    discord.fail_next(Fault.stall(60), times=1)
    done = run(
        f"""
        pid = fork(lambda: work_and(lambda: {ending}))
        os.waitpid(pid, 0)
        print(pid, handler.flush(), handler.health()["dropped_by_reason"])
        """,
        prelude=prelude,
    )
    pid = int(done.out.split()[0])
    assert done.out == f"{pid} True {{'process_ended': 2}}\n"
    assert told(done) == [(pid, 2)]


@pytest.mark.parametrize(
    "ending",
    ["child.terminate()", pytest.param("child.kill()", marks=pytest.mark.once), "None"],
    ids=["terminate", "kill", "daemon"],
)
def test_a_process_of_multiprocessing_is_ended(discord: LocalDiscord, run: Run, prelude: str, ending: str) -> None:
    """A daemon process is terminated at the exit of its parent, which tells of it then."""
    discord.fail_next(Fault.stall(60), times=1)
    done = run(
        f"""
        context = multiprocessing.get_context("fork")
        is_ready = context.Event()
        child = context.Process(target=work_and, args=(lambda: (is_ready.set(), time.sleep(60)),), daemon=True)
        child.start()
        is_ready.wait()
        print(child.pid)
        {ending}
        """,
        prelude=prelude,
    )
    assert (told(done), done.code) == ([(int(done.out), 2)], 0)


def test_a_worker_of_an_executor_is_killed(discord: LocalDiscord, run: Run, prelude: str) -> None:
    """The executor is broken then, and its parent goes on."""
    discord.fail_next(Fault.stall(60), times=1)
    done = run(
        """
        def die(): work_and(lambda: os.kill(os.getpid(), signal.SIGKILL))
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            print(type(pool.submit(die).exception()).__name__)
        """,
        prelude=prelude,
    )
    assert done.out == "BrokenProcessPool\n"
    assert [number for _, number in told(done)] == [2]


def test_the_next_message_of_another_process_tells_the_channel(
    discord: LocalDiscord, run: Run, prelude: str, texts: Any
) -> None:
    """The program was killed as a whole, and its next start tells, without a word of the records or the token."""
    discord.fail_next(Fault.stall(60), times=1)
    killed = run("work(1); work(2); print(os.getpid(), flush=True); os.kill(os.getpid(), 9)", prelude=prelude)
    done = run("log.error('started again')", prelude=prelude)
    assert told(done) == [(int(killed.out), 2)]
    (message,) = discord.messages
    assert re.match(
        rf"⚠️ 2 records were dropped since <t:\d+:T>: 2 of process {killed.out.strip()} \(process ended\)",
        message.content or "",
    )
    assert texts() == ["started again"]
    assert "job" not in done.err
    assert discord.webhook_url.rpartition("/")[2] not in done.err


@pytest.mark.parametrize(
    ("script", "records"),
    [
        ("multiprocessing.get_context('fork').Process(target=work, args=(1,)).start()", 1),
        ("os.waitpid(fork(lambda: work_and(lambda: (handler.flush(), os._exit(0)))), 0)", 2),
        ("work(1); os.waitpid(fork(lambda: os._exit(0)), 0)", 1),
        ("work(1); subprocess.run([sys.executable, '-c', 'import app'])", 1),
        ("work(1); handler.close(); os.waitpid(fork(lambda: work_and(handler.close)), 0); work(3)", 4),
        ("signal.signal(signal.SIGTERM, lambda *_: None); work(1); os.kill(os.getpid(), signal.SIGTERM)", 1),
    ],
    ids=["ended well", "flushed", "never logged", "another program", "closed", "signal"],
)
def test_nothing_is_told_of_a_process_that_lost_nothing(
    discord: LocalDiscord, run: Run, prelude: str, script: str, records: int
) -> None:
    """All records arrive, and nothing is on stderr."""
    done = run(script, prelude=prelude)
    assert (done.code, done.err, done.out) == (0, "", "")
    assert sum(len(message.embeds) for message in discord.messages) == records


def test_nothing_is_told_of_a_process_that_is_alive(discord: LocalDiscord, run: Run, prelude: str) -> None:
    """A worker that waits for Discord, or is stopped, may still deliver."""
    discord.fail_next(Fault.stall(60), times=1)
    done = run(
        """
        import app
        reader, writer = os.pipe()
        pid = fork(lambda: work_and(lambda: (os.write(writer, b"x"), time.sleep(60))))
        os.read(reader, 1)
        os.kill(pid, signal.SIGSTOP)
        handler.flush()
        print(handler.health()["dropped"], flush=True)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        print(handler.flush(), handler.health()["dropped"])
        """,
        prelude=prelude,
    )
    assert done.out == "0\nTrue 2\n"


def test_a_process_that_tells_of_its_own_losses_is_told_of_once(discord: LocalDiscord, run: Run, prelude: str) -> None:
    """At exit and before a signal ends it, a process says itself what is lost."""
    discord.fail_next(Fault.stall(60), times=2)
    first = run("work(1); handler.close(0)", prelude=prelude)
    second = run(
        "import discord_logging; discord_logging.flush_on_signals(); handler._listener.flush_timeout = 0.1\n"
        "work(1); os.kill(os.getpid(), signal.SIGTERM)",
        prelude=prelude,
    )
    third = run("handler.flush()", prelude=prelude)
    assert [each.err.count("1 of 1 records were not delivered") for each in (first, second)] == [1, 1]
    assert third.err == ""
