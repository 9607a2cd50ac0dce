"""Several processes keep their records in one directory, and one of them posts for all, whoever ends meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._backlogs.sqlite_store import SqliteStore
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.failures.conftest import Run

    Start = Callable[..., "Worker"]

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the memory for it"),
]

_PRELUDE = """
import concurrent.futures, logging, multiprocessing, os, signal, subprocess, sys, threading, time, warnings
import discord_logging
from discord_logging import DiscordHandler
warnings.simplefilter("ignore", DeprecationWarning)
handler = DiscordHandler(flush_timeout=20)
log = logging.getLogger("app")
log.addHandler(handler)
log.propagate = False
log.setLevel("DEBUG")

def fork(child):
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        try:
            child()
        finally:
            os._exit(0)
    return pid

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def log_all(*texts):
    for text in texts:
        log.error(text)

def health(name):
    return handler.health()["backlog"][name]

def until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""
OLDER = """
from discord_logging._backlogs import precedence
from discord_logging._backlogs.redis import entries
from discord_logging._backlogs.sqlite import records
precedence.VERSION = (0, 0, 1)
entries.__version__ = records.__version__ = "0.0.1"
"""
"""The program takes itself for one with an older version of the package."""
_LOOP = """
print("ready", flush=True)
for line in sys.stdin:
    print(repr(eval(line)), flush=True)
"""


class Worker:
    """A program that evaluates expressions, one at a time.

    Args:
        url: The webhook to post to.
        prelude: The beginning of the program.
    """

    def __init__(self, url: str, prelude: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", prelude + _LOOP],
            env={**os.environ, "DISCORD_WEBHOOK_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def _read(self) -> str:
        assert self._process.stdout
        assert select.select([self._process.stdout], [], [], 60)[0]
        return self._process.stdout.readline().strip()

    def ask(self, expression: str) -> str:
        """Return the value of an expression, as `repr` shows it."""
        self.tell(expression)
        return self._read()

    def tell(self, expression: str) -> None:
        """Let the program evaluate an expression, and do not wait for the value."""
        assert self._process.stdin
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End the program by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def end(self) -> tuple[int, str]:
        """End the program in order; return its exit code and its text on stderr."""
        _, err = self._process.communicate(timeout=60)
        return self._process.returncode, err

    def close(self) -> None:
        """Kill the program if it runs, and close its files."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.communicate()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the records of all programs in one directory, and return it."""
    place = tmp_path / "backlog"
    monkeypatch.setenv("DISCORD_BACKLOG", str(place))
    return place


@pytest.fixture
def start(discord: LocalDiscord) -> Iterator[Start]:
    """Return a function that starts a worker, whose handler has no other settings than those given."""
    with contextlib.ExitStack() as stack:

        def start_one(settings: str = "flush_timeout=20", *, url: str = "", code: str = "") -> Worker:
            prelude = _PRELUDE.replace("flush_timeout=20", settings) + textwrap.dedent(code)
            worker = Worker(url or discord.webhook_url, prelude)
            stack.callback(worker.close)
            return worker

        yield start_one


@pytest.fixture
def stored(discord: LocalDiscord, folder: Path, wait_until: Callable[..., None]) -> Callable[[int], None]:
    """Return a function that waits until a number of records is in the store."""
    key = WebhookURL.parse(discord.webhook_url).key

    def wait_for(number: int) -> None:
        wait_until(folder.exists)
        store = SqliteStore(folder, key)
        try:
            wait_until(lambda: store.counts().waiting == number)
        finally:
            store.close()

    return wait_for


def posted(discord: LocalDiscord) -> list[str]:
    """Return the first line of each record in the channel, also in files, in order."""
    found: list[str] = []
    for message in discord.messages:
        if message.files:
            found += re.findall(r"\] \S+:\d+: (.*)$", message.files[0].text, re.MULTILINE)
            continue
        for embed in message.embeds:
            lines = embed["description"].replace("\\", "").split("\n")
            is_list = lines[0].startswith("-# ")
            found += re.findall(r"^\S+ \S+ app: (.*)$", "\n".join(lines), re.MULTILINE) if is_list else lines[:1]
    return found


def refused(discord: LocalDiscord) -> int:
    """Return how many requests met a limit."""
    return sum(request.status == 429 for request in discord.requests)


def deploy(start: Start) -> tuple[Worker, Worker]:
    """Start a worker with an older version, and then one with the newest, which sends from then on; return both."""
    older = start(code=OLDER)
    assert older.ask("(log.error('before'), handler.flush(20), health('is_sender'))") == "(None, True, True)"
    newer = start()
    newer.ask("log.error('deployed')")
    assert newer.ask("(until(lambda: health('is_sender')), handler.flush(20))") == "(None, True)"
    assert older.ask("(log.error('together'), handler.flush(20), health('is_sender'))") == "(None, True, False)"
    return older, newer


class TestKill:
    """A process is killed by SIGKILL, and its records are posted by another one."""

    def test_the_next_process_posts_all(self, discord: LocalDiscord, run: Run) -> None:
        """A thousand records are logged right before the kill, most of which the keeper has not seen."""
        discord.stop()
        killed = run("for number in range(1000): log.error('record %04d', number)\nkill()", prelude=_PRELUDE)
        assert killed.code == -signal.SIGKILL
        discord.start()
        done = run("log.error('the next one')\nprint(handler.flush(30))", prelude=_PRELUDE)
        assert (done.out, done.err, done.code) == ("True\n", "", 0)
        assert posted(discord) == [*(f"record {number:04}" for number in range(1000)), "the next one"]
        assert refused(discord) == 0

    def test_another_living_process_takes_over(self, discord: LocalDiscord, start: Start) -> None:
        """The one that waited for it notices by itself."""
        sender = start()
        sender.ask("(log.error('from the sender'), handler.flush(20))")
        other = start()
        other.ask("(log.error('from the other'), handler.flush(20))")
        assert (sender.ask("health('is_sender')"), other.ask("health('is_sender')")) == ("True", "False")
        discord.stop()
        sender.ask("log_all('the last', 'words')")
        sender.kill()
        discord.start()
        discord.wait_for("the last", timeout=20)
        discord.wait_for("words", timeout=20)
        other.ask("log.error('goes on')")
        assert other.ask("handler.flush(20)") == "True"
        assert other.ask("health('is_sender')") == "True"
        code, err = other.end()
        # The other process may have found Discord away.
        assert (code, "were not delivered" in err) == (0, False)

    @pytest.mark.parametrize("is_saved", [True, False])
    def test_the_message_in_flight_is_marked(
        self, discord: LocalDiscord, start: Start, texts: Any, is_saved: bool, wait_until: Callable[..., None]
    ) -> None:
        """Nobody can know whether Discord has saved it."""
        sender = start()
        sender.ask("(log.error('before'), handler.flush(20))")
        requests = len(discord.requests)
        discord.fail_next(Fault.stall(60, save=is_saved))
        sender.ask("log.error('in flight')")
        wait_until(lambda: len(discord.requests) > requests)
        if is_saved:
            discord.wait_for("in flight")
        sender.kill()
        other = start()
        assert other.ask("(log.error('behind'), handler.flush(20))") == "(None, True)"
        assert sorted(texts()) == sorted(["before", "behind", "in flight", *["in flight"] * is_saved])
        marked = [
            embed["description"]
            for message in discord.messages
            for embed in message.embeds
            if "may be a repeat" in str(embed)
        ]
        assert [text.split("\n")[0] for text in marked] == ["in flight"]

    @pytest.mark.once
    def test_the_next_start_meets_no_limit(self, start: Start) -> None:
        """The webhook has taken all that it takes when the process is killed."""
        with LocalDiscord(webhook_limit=(5, 6.0)) as discord:
            sender = start(url=discord.webhook_url)
            for number in range(5):
                assert sender.ask(f"(log.critical('before {number}'), handler.flush(40))") == "(None, True)"
            sender.kill()
            other = start(url=discord.webhook_url)
            assert other.ask("(log.critical('started'), handler.flush(40))") == "(None, True)"
            assert refused(discord) == 0


@pytest.mark.once
class TestOneVoice:
    """What one sender does, it does for the records of all processes."""

    def test_the_same_record_is_one_card(self, discord: LocalDiscord, start: Start) -> None:
        """The card counts those of all workers, which flush at the same moment."""
        workers = [start() for _ in range(4)]
        workers[0].ask("(log.error('the first'), handler.flush(20))")
        for worker in workers:
            worker.ask("[log.error('the disk is full') for _ in range(5)]")
        for worker in workers:
            worker.tell("handler.flush(20)")
        assert [worker._read() for worker in workers] == ["True"] * 4
        cards = [embed for message in discord.messages for embed in message.embeds if "disk" in str(embed)]
        counts = [int(found[1]) if (found := re.search(r"×(\d+)", str(card))) else 1 for card in cards]  # noqa: RUF001 - the sign
        assert sum(counts) == 20
        # The first one leaves at once.
        assert len(cards) <= 2
        for worker in workers:
            assert worker.end() == (0, "")

    def test_the_order_is_that_of_all(
        self, discord: LocalDiscord, start: Start, stored: Callable[[int], None], texts: Any
    ) -> None:
        """Two workers log in turn while Discord is down."""
        workers = [start(), start()]
        discord.stop()
        for number in range(6):
            workers[number % 2].ask(f"log.error('record {number}')")
            stored(number + 1)
        discord.start()
        assert [worker.ask("handler.flush(30)") for worker in workers] == ["True", "True"]
        assert texts() == [f"record {number}" for number in range(6)]

    def test_the_alarm_of_one_overtakes_the_flood_of_another(
        self, discord: LocalDiscord, start: Start, stored: Callable[[int], None], wait_until: Callable[..., None]
    ) -> None:
        """It has its card in the first message, but for one that was being made when it came."""
        flooding, alarming = start("flush_timeout=20, repeat_window=0"), start()
        discord.stop()
        flooding.ask("[log.error('flood %d %s', number, 'x' * 3000) for number in range(2000)] and None")
        stored(2000)
        alarming.ask("log.critical('the pump is on fire')")
        stored(2001)
        # The process that sends has it, too.
        read = "len(handler._listener.backlog.rows())"
        wait_until(lambda: "2001" in (flooding.ask(read), alarming.ask(read)))
        discord.start()
        assert alarming.ask("handler.flush(30)") == "True"
        assert "the pump is on fire" in str([message.embeds for message in discord.messages[:2]])

    def test_the_newest_version_sends(self, discord: LocalDiscord, start: Start) -> None:
        """Deploys replace the workers one after another, and may be taken back."""
        older, newer = deploy(start)
        newer.kill()
        older.ask("log.error('after')")
        assert older.ask("(until(lambda: health('is_sender')), handler.flush(20))") == "(None, True)"
        assert posted(discord) == ["before", "deployed", "together", "after"]

    def test_a_take_over_notifies_nobody_again(self, discord: LocalDiscord, start: Start) -> None:
        """The interval counts for all workers."""
        settings = "flush_timeout=20, mentions={'CRITICAL': '@everyone'}"
        workers = [start(settings), start(settings)]
        for number, worker in enumerate(workers):
            worker.ask(f"(log.critical('alarm {number}'), handler.flush(20))")
        workers[0].kill()
        workers[1].ask("(log.critical('alarm 2'), handler.flush(20))")
        assert [message.pings for message in discord.messages] == [["@everyone"], [], []]

    def test_a_forum_has_one_post(self, discord: LocalDiscord, start: Start) -> None:
        """All workers post into it, also after the one that has opened it is gone."""
        url = discord.add_webhook(forum=True)
        workers = [start("flush_timeout=20, thread_name='Shop'", url=url) for _ in range(2)]
        for number, worker in enumerate(workers):
            worker.ask(f"(log.critical('alarm {number}'), handler.flush(20))")
        workers[0].kill()
        workers[1].ask("(log.critical('alarm 2'), handler.flush(20))")
        assert len(discord.messages) == 3
        assert len({message.channel_id for message in discord.messages}) == 1

    def test_each_formatter_lays_out_its_own_records(self, discord: LocalDiscord, start: Start) -> None:
        """One worker has a formatter that no other has, and only another one sends."""
        code = """
        class Loud(discord_logging.EmbedFormatter):
            def title(self, record):
                return record.message.upper()
        handler.setFormatter(Loud())
        """
        plain, loud = start(), start(code=code)
        for worker in (plain, loud, plain):
            assert worker.ask("(log.error('quiet words'), handler.flush(20))") == "(None, True)"
        plain.kill()
        assert loud.ask("(log.error('more words'), handler.flush(20))") == "(None, True)"
        titles = [embed.get("title", "") for message in discord.messages for embed in message.embeds]
        assert [title for title in titles if title.isupper()] == ["QUIET WORDS", "MORE WORDS"]


class TestFlush:
    """`flush` waits for the records of its own process, whoever sends them."""

    def test_a_worker_that_does_not_send(self, start: Start) -> None:
        """Held repeats leave, too."""
        sender, other = start("flush_timeout=20, repeat_window=600"), start("flush_timeout=20, repeat_window=600")
        assert sender.ask("(log.error('first'), handler.flush(20))") == "(None, True)"
        other.ask("log_all('same', 'same', 'same')")
        assert other.ask("handler.flush(20)") == "True"
        assert other.ask("health('is_sender')") == "False"
        counts = "{name: handler.health()[name] for name in ('accepted', 'delivered', 'pending', 'dropped')}"
        assert other.ask(counts) == "{'accepted': 3, 'delivered': 3, 'pending': 0, 'dropped': 0}"
        assert sender.ask(counts) == "{'accepted': 1, 'delivered': 1, 'pending': 0, 'dropped': 0}"

    def test_discord_is_down(self, discord: LocalDiscord, start: Start) -> None:
        """It gives up in time, and nothing is dropped."""
        workers = [start(), start()]
        discord.stop()
        for worker in workers:
            worker.ask("log.error('waits')")
            began = time.monotonic()
            assert worker.ask("handler.flush(0.5)") == "False"
            assert time.monotonic() - began < 10
            assert worker.ask("(handler.health()['pending'], handler.health()['dropped'])") == "(1, 0)"


class TestEnd:
    """A process ends in order while Discord is down: its records stay."""

    @pytest.mark.parametrize(
        ("ending", "code"),
        [
            ("", 0),
            ("sys.exit(3)", 3),
            ("handler.close()", 0),
            ("logging.shutdown()", 0),
            ("discord_logging.flush_on_signals(); signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
        ],
        ids=["end", "sys.exit", "close", "shutdown", "signal"],
    )
    def test_records_are_kept(  # noqa: PLR0917 - they are fixtures
        self, discord: LocalDiscord, run: Run, start: Start, texts: Any, folder: Path, ending: str, code: int
    ) -> None:
        """This is said once, and the next process posts them, although it logs nothing."""
        discord.stop()
        prelude = _PRELUDE.replace("flush_timeout=20", "flush_timeout=0.5")
        done = run(f"log_all('one', 'two', 'three')\n{ending}", prelude=prelude)
        assert done.code == code
        webhook = WebhookURL.parse(discord.webhook_url).id
        told = [line for line in done.err.splitlines() if line.startswith("discord_logging: 3 ")]
        assert told == [
            f"discord_logging: 3 records wait in {folder} for the next process that posts to webhook {webhook}"
        ]
        assert "not delivered" not in done.err
        assert done.seconds < 30
        discord.start()
        worker = start()
        discord.wait_for("three", timeout=20)
        assert worker.end() == (0, "")
        assert texts() == ["one", "two", "three"]

    def test_the_exit_after_a_close_waits_no_more(self, discord: LocalDiscord, run: Run) -> None:
        """The exit waited for `flush_timeout`, although nothing was to be posted any more."""
        discord.stop()
        done = run(
            """
            log.error("kept")
            handler.close(0.5)
            began = time.monotonic()
            logging.shutdown()
            print(time.monotonic() - began < 15)
            """,
            prelude=_PRELUDE.replace("flush_timeout=20", "flush_timeout=60"),
        )
        assert (done.code, done.out) == (0, "True\n")
        assert done.err.count("1 record waits in") == 1

    def test_a_short_program(self, run: Run, texts: Any) -> None:
        """From Python 3.12 on, no thread can start at its end, and the keeper may just have begun."""
        for number in range(3):
            done = run(f"log.error('job %d', {number})")
            assert (done.code, done.err) == (0, "")
        assert texts() == ["job 0", "job 1", "job 2"]

    def test_a_record_of_an_object_that_the_interpreter_clears(self, run: Run, texts: Any) -> None:
        """No thread may start then: the program hung."""
        done = run(
            """
            class Last:
                def __del__(self, log=log):
                    log.error("from the object")
            last = Last()
            log.error("in time")
            """,
            prelude=_PRELUDE,
        )
        assert done.code == 0
        assert "a record came after the last handler" in done.err
        done = run("log.error('next')", prelude=_PRELUDE)
        assert (done.code, done.err) == (0, "")
        assert texts() == ["in time", "from the object", "next"]

    def test_records_after_a_close(self, run: Run, texts: Any) -> None:
        """The handler opens itself again, as often as it is closed."""
        done = run(
            """
            import logging.config
            log.error("first")
            handler.close()
            log.error("second")
            handler.close(0)
            log.error("third")
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
            log.error("fourth")
            """,
            prelude=_PRELUDE,
        )
        # `close(0)` may have to leave the second one for a moment.
        lines = [line for line in done.err.splitlines() if "1 record waits in" not in line]
        assert (done.code, lines) == (0, [])
        assert sorted(texts()) == sorted(["first", "second", "third", "fourth"])

    @pytest.mark.once
    def test_a_sender_that_closes_drops_nothing_of_others(self, run: Run, texts: Any) -> None:
        """Its keeper reads what another process stores at that very moment: the record was dropped as `closed`."""
        done = run(
            """
            log.error("first")
            handler.flush()
            keeper = handler._listener.backlog.keeper
            finish, position = keeper.finish, keeper._feeder._position
            def finish_later(deadline):
                subprocess.run([sys.executable, "-c", other], check=True)
                until(lambda: keeper._feeder._position > position)
                finish(deadline)
            keeper.finish = finish_later
            handler.close()
            """,
            prelude=_PRELUDE + f"other = {_PRELUDE!r} + 'log.error(1); handler.close(0)'",
        )
        assert done.code == 0
        assert "closed" not in done.err
        assert run("log.error('next')", prelude=_PRELUDE).err == ""
        assert texts() == ["first", "1", "next"]

    def test_logging_is_configured_twice(self, run: Run, texts: Any) -> None:
        """Both times with the same backlog, and records come between."""
        done = run(
            """
            import logging.config
            log.removeHandler(handler)
            def configure():
                handlers = {"discord": {"class": "discord_logging.DiscordHandler", "flush_timeout": 20}}
                loggers = {"app": {"handlers": ["discord"]}}
                logging.config.dictConfig({"version": 1, "handlers": handlers, "loggers": loggers})
            for number in range(3):
                configure()
                for count in range(3): log.error("%d %d", number, count)
            print([thread.name for thread in threading.enumerate() if thread.name.endswith("keeper")])
            """,
            prelude=_PRELUDE,
        )
        assert (done.code, done.out, done.err) == (0, "['discord-logging-keeper']\n", "")
        assert texts() == [f"{number} {count}" for number in range(3) for count in range(3)]


_APP = """
import logging, os, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import discord_logging
handler = discord_logging.DiscordHandler(flush_timeout=20)
log = logging.getLogger("app")
log.addHandler(handler)
log.propagate = False

def work(number):
    log.error("job %d failed", number)
    return number
"""


@pytest.fixture
def app(tmp_path: Path) -> str:
    """Return the beginning of a program that imports the module with the handler, as its children do."""
    (tmp_path / "app.py").write_text(_APP)
    return f"""
import concurrent.futures, multiprocessing, os, signal, subprocess, sys, threading, time
sys.path.insert(0, {str(tmp_path)!r})
os.environ["PYTHONPATH"] = os.pathsep.join([{str(tmp_path)!r}, os.environ.get("PYTHONPATH", "")])
from app import handler, log, work
"""


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
class TestChildren:
    """Processes that fork: each record arrives once, and nobody tells of a loss."""

    def test_a_child_ends_without_a_word(self, discord: LocalDiscord, run: Run) -> None:
        """Its parent posts what the child has logged right before `os._exit`."""
        done = run(
            """
            log.error("parent")
            for number in range(3):
                texts = [f"child {number}, {count}" for count in range(20)]
                os.waitpid(fork(lambda: log_all(*texts)), 0)
            log.error("parent again")
            print(handler.flush(20), handler.health()["dropped"])
            """,
            prelude=_PRELUDE,
        )
        assert (done.code, done.out, done.err) == (0, "True 0\n", "")
        expected = [
            "parent",
            "parent again",
            *(f"child {number}, {count}" for number in range(3) for count in range(20)),
        ]
        assert sorted(posted(discord)) == sorted(expected)

    def test_a_child_outlives_its_parent(self, discord: LocalDiscord, run: Run) -> None:
        """The parent is killed while it sends for both, and holds the lock that the child must get then."""
        done = run(
            """
            log.error("parent")
            handler.flush(20)
            reader, writer = os.pipe()
            def live():
                os.read(reader, 1)
                log.error("child")
                print(handler.flush(20), health("is_sender"), flush=True)
                # Its flush waits for its own records alone.
                until(lambda: health("all")["delivered"] == 3)
            fork(live)
            log.error("last words of the parent")
            os.write(writer, b"x")
            kill()
            """,
            prelude=_PRELUDE,
        )
        # The output ends with the child.
        assert (done.out, done.err, done.code) == ("True True\n", "", -signal.SIGKILL)
        assert sorted(posted(discord)) == ["child", "last words of the parent", "parent"]

    def test_forks_under_load(self, discord: LocalDiscord, run: Run) -> None:
        """Children are forked while the keeper commits, and each of them stores, closes and ends in its own way."""
        done = run(
            """
            is_over = False
            def load():
                count = 0
                while not is_over:
                    log.error("load %d", count)
                    count += 1
                    time.sleep(0.002)
            thread = threading.Thread(target=load)
            thread.start()
            endings = [lambda: None, handler.close, handler.flush, kill, logging.shutdown, lambda: os.closerange(3, 99)]
            pids = []
            for number in range(36):
                time.sleep(0.01)
                ending = endings[number % len(endings)]
                pids.append(fork(lambda: (log.error("child %d", number), ending())))
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
            is_over = True
            thread.join()
            print(handler.flush(30), handler.health()["dropped"], {code for code in codes} - {0, -9})
            """,
            prelude=_PRELUDE,
        )
        # On a busy machine, a commit may wait for too long, which is told and made good.
        errors = [line for line in done.err.splitlines() if "does not work" not in line]
        assert (done.code, done.out, errors) == (0, "True 0 set()\n", [])
        texts = posted(discord)
        assert sorted(text for text in texts if "child" in text) == sorted(f"child {number}" for number in range(36))
        assert len(texts) == len(set(texts))

    @pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.once)])
    def test_a_pool_is_terminated(self, discord: LocalDiscord, run: Run, app: str, method: str) -> None:
        """At the end of the block, the parent terminates its workers with SIGTERM."""
        discord.stop()
        done = run(
            f"""
            if __name__ == "__main__":
                with multiprocessing.get_context({method!r}).Pool(3) as pool: pool.map(work, range(30))
                print("ready", flush=True)
                handler.close(0.5)
            """,
            prelude=app,
        )
        assert (done.code, done.out) == (0, "ready\n")
        assert "not delivered" not in done.err
        assert "ended before" not in done.err
        discord.start()
        done = run("log.error('next')\nprint(handler.flush(20))", prelude=app)
        assert (done.code, done.out, done.err) == (0, "True\n", "")
        assert sorted(posted(discord)) == sorted(["next", *(f"job {number} failed" for number in range(30))])

    @pytest.mark.parametrize("method", ["fork", pytest.param("forkserver", marks=pytest.mark.once)])
    def test_an_executor_of_processes(self, discord: LocalDiscord, run: Run, app: str, method: str) -> None:
        """The parent has logged before, and one of its workers is killed."""
        done = run(
            f"""
            if __name__ == "__main__":
                work(100)
                context = multiprocessing.get_context({method!r})
                with concurrent.futures.ProcessPoolExecutor(3, context) as pool:
                    print(sorted(pool.map(work, range(12))))
                    pool.submit(os._exit, 1).exception()
                work(101)
            """,
            prelude=app,
        )
        assert (done.code, done.out, done.err) == (0, f"{list(range(12))}\n", "")
        assert sorted(posted(discord)) == sorted(f"job {number} failed" for number in (*range(12), 100, 101))

    @pytest.mark.parametrize("method", ["fork", pytest.param("forkserver", marks=pytest.mark.once)])
    def test_processes_of_multiprocessing(self, discord: LocalDiscord, run: Run, app: str, method: str) -> None:
        """A child that does not send waits at its end until its records are posted."""
        done = run(
            f"""
            if __name__ == "__main__":
                work(100)
                handler.flush()
                context = multiprocessing.get_context({method!r})
                children = [context.Process(target=work, args=(number,)) for number in range(3)]
                for child in children: child.start()
                for child in children: child.join()
                os.kill(os.getpid(), signal.SIGKILL)
            """,
            prelude=app,
        )
        assert (done.code, done.err) == (-signal.SIGKILL, "")
        assert sorted(posted(discord)) == sorted(f"job {number} failed" for number in (*range(3), 100))

    def test_another_program(self, discord: LocalDiscord, run: Run, app: str) -> None:
        """A program that `subprocess` runs is killed, and the one that has started it posts its records."""
        done = run(
            """
            work(1)
            code = "import app, os; app.work(2); app.work(3); os.kill(os.getpid(), 9)"
            print(subprocess.run([sys.executable, "-c", code]).returncode, flush=True)
            work(4)
            """,
            prelude=app,
        )
        assert (done.code, done.out, done.err) == (0, "-9\n", "")
        assert sorted(posted(discord)) == [f"job {number} failed" for number in (1, 2, 3, 4)]

    def test_threads(self, discord: LocalDiscord, run: Run, app: str) -> None:
        """They log and flush at the same time."""
        done = run(
            """
            def job(number):
                work(number)
                return handler.flush(20)
            with concurrent.futures.ThreadPoolExecutor(8) as pool: print(set(pool.map(job, range(40))))
            """,
            prelude=app,
        )
        assert (done.code, done.out, done.err) == (0, "{True}\n", "")
        assert sorted(posted(discord)) == sorted(f"job {number} failed" for number in range(40))
