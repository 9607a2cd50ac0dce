"""These processes and servers fork."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from tests.conftest import Gunicorn
    from tests.failures.conftest import Run

    StartGunicorn = Callable[..., Gunicorn]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")

_PRELUDE = """
import atexit, logging, os, signal, sys, threading, time, warnings
import discord_logging
from discord_logging._discord import rate_limiter
# From Python 3.12 on every fork beside a thread warns.
warnings.simplefilter("ignore", DeprecationWarning)
handler = discord_logging.DiscordHandler(flush_timeout=10, channel_limit=None)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")

def until(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)

def fork(child):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    signal.alarm(10)
    try:
        child()
        atexit._run_exitfuncs()
        code = 0
    finally:
        os._exit(code)

def join(*pids):
    print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids), flush=True)
"""
"""A child that hangs is ended by its alarm, and `join` prints -14."""


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a Discord without limits: some tests post from hundreds of processes."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


class TestForkWithRecordsQueued:
    """Fork with records queued: only the parent delivers the records that it has queued."""

    def test_fork_with_records_queued(self, discord: LocalDiscord, run: Run, texts: Any) -> None:
        """The parent's ten records arrive once, and so does the child's one.

        Without the hook after a fork, or with one that leaves the backlog as it is, the child delivers the ten again.
        """
        discord.fail_next(Fault.stall(0.3))
        done = run(
            """
            log.error("parent 0")
            until(lambda: handler.health()["requests"])  # it has no answer yet
            for n in range(1, 10): log.error("parent %d", n)
            print(handler.health()["pending"], flush=True)
            def child():
                log.error("child")
                print(handler.health()["accepted"], flush=True)
            join(fork(child))
            """,
            prelude=_PRELUDE,
        )
        assert sorted(texts()) == ["child", *(f"parent {n}" for n in range(10))]
        assert (done.code, done.out, done.err) == (0, "10\n1\n0\n", "")

    def test_fork_before_the_thread_has_begun(self, run: Run, texts: Any) -> None:
        """Three children that are forked right after ten records deliver one record each.

        Without the hook after a fork the ten arrive four times.
        """
        done = run(
            """
            for n in range(10): log.error("parent %d", n)
            join(*(fork(lambda: log.error("child %d", n)) for n in range(3)))
            """,
            prelude=_PRELUDE,
        )
        expected = [f"child {n}" for n in range(3)] + [f"parent {n}" for n in range(10)]
        assert sorted(texts()) == expected
        assert (done.code, done.out, done.err) == (0, "0 0 0\n", "")

    def test_children_fork_again(self, discord: LocalDiscord, run: Run, texts: Any) -> None:
        """Each of four generations forks the next one with records queued, and logs after the fork too.

        Without the hook after a fork 18 records arrive more than once.
        """
        discord.fail_next(Fault.stall(0.1), times=100)
        done = run(
            """
            def live(generation):
                for n in range(3): log.error("%d %d", generation, n)
                child = fork(lambda: live(generation + 1)) if generation < 3 else None
                log.error("%d 3", generation)
                if child: join(child)
            live(0)
            """,
            prelude=_PRELUDE,
        )
        assert sorted(texts()) == [f"{generation} {n}" for generation in range(4) for n in range(4)]
        assert (done.code, done.out, done.err) == (0, "0\n0\n0\n", "")

    def test_each_process_has_a_connection_of_its_own(self, run: Run) -> None:
        """A child does not write into the connection of its parent, which is open and idle at the fork.

        With a hook after a fork that keeps the session, the child posts on the parent's connection.
        """
        with _Connections() as server:
            done = run(
                """
                log.error("parent")
                handler.flush()
                join(fork(lambda: log.error("child")))
                log.error("parent again")
                handler.flush()
                """,
                url=server.url,
                prelude=_PRELUDE,
            )
        assert (done.code, done.out, done.err) == (0, "0\n", "")
        assert sorted(server.received.values()) == [["child"], ["parent", "parent again"]]


_LOCKS = [
    "handler.lock",
    "handler._listener._starting",
    "handler._listener.backlog.lock",
    "next(iter(handler._listener._sender._adapter.poolmanager.pools._container.values())).pool.mutex",
    "rate_limiter.lock",
]

_AT_EACH_LINE = """
import itertools, linecache
numbers = itertools.count()
blocked, end = threading.Event(), threading.Event()

def block():
    with rate_limiter.lock:
        blocked.set()
        end.wait(30)

def at_each_line(call, react):
    folder = os.path.dirname(discord_logging.__file__)
    seen = set()
    def trace(frame, event, _):
        code, line = frame.f_code, frame.f_lineno
        if not code.co_filename.startswith(folder):
            return None
        if event == "line" and (code, line) not in seen:
            seen.add((code, line))
            react()
            if ".wait(" in linecache.getline(code.co_filename, line):
                end.set()
        return trace
    # Nothing is delivered before the call waits for it.
    threading.Thread(target=block).start()
    blocked.wait()
    sys.settrace(trace)
    call()
    sys.settrace(None)
    end.set()
"""


_INTERRUPTED = {
    "log": """at_each_line(lambda: log.error("parent"), react)""",
    "flush": """log.error("parent"); at_each_line(lambda: handler.flush(4), react)""",
}
"""The calls during which `react`, which stands for a signal handler, runs at each line of ours."""


class TestForkWhileALockIsHeld:
    """Fork while a lock is held: the child, which has no thread that would release it, does not wait for it."""

    def test_fork_while_a_lock_is_held(self, run: Run, texts: Any) -> None:
        """A child logs, flushes and ends although another thread of its parent holds a lock.

        Without new ones after a fork the alarm ends those that meet a lock of ours; the limiter's stops the very hook.
        That of the handler is renewed by logging; that of the idle connections is met by urllib3 at exit.
        """
        done = run(
            f"""
            def fork_while_held(number, name):
                held, end = threading.Event(), threading.Event()
                def hold():
                    with eval(name):
                        held.set()
                        end.wait(20)
                thread = threading.Thread(target=hold)
                thread.start()
                held.wait()
                print(name, end=" ", flush=True)
                join(fork(lambda: log.error("child %d", number)))
                end.set()
                thread.join()
            log.error("parent")
            handler.flush()
            for number, name in enumerate({_LOCKS}): fork_while_held(number, name)
            """,
            prelude=_PRELUDE,
            timeout=100,
        )
        assert (done.code, done.out.splitlines(), done.err) == (0, [f"{name} 0" for name in _LOCKS], "")
        assert texts() == ["parent", *(f"child {number}" for number in range(len(_LOCKS)))]

    def test_fork_while_the_lock_of_logging_is_held(self, run: Run, texts: Any) -> None:
        """A fork waits for the thread with that lock, such as `dictConfig`; the child is free of it."""
        done = run(
            """
            held, end = threading.Event(), threading.Event()
            def hold():
                with logging._lock:
                    held.set()
                    end.wait(0.2)
            thread = threading.Thread(target=hold)
            thread.start()
            held.wait()
            join(fork(lambda: log.error("child")))
            """,
            prelude=_PRELUDE,
        )
        assert (done.code, done.out, done.err) == (0, "0\n", "")
        assert texts() == ["child"]

    def test_nothing_logs_or_starts_in_the_hook_after_a_fork(self, discord: LocalDiscord, run: Run, texts: Any) -> None:
        """Other handlers may not be ready then, and their work would happen in every child.

        With a warning about what the child forgets, in that hook, the two records of the parent's outage are three.
        """
        discord.fail_next(Fault(status=502), times=2)
        done = run(
            """
            class Witness(logging.Handler):
                def emit(self, record):
                    seen.append(record.getMessage())
            logging.getLogger().addHandler(Witness())
            logging.getLogger().setLevel("DEBUG")
            os.register_at_fork(after_in_child=lambda: at_end.append((len(seen), threading.active_count())))
            seen, at_end = [], []
            hasty = discord_logging.DiscordHandler(channel_limit=None, flush_timeout=10, retry_delays=[0.1])
            log.error("parent")
            until(lambda: handler.health()["status"] == "retrying")
            before = len(seen)
            join(fork(lambda: print(at_end == [(before, 1)], flush=True)))
            """,
            prelude=_PRELUDE,
        )
        assert (done.code, done.out) == (0, "True\n0\n")
        assert texts() == ["parent"]

    def test_first_post_imports_nothing(self, run: Run) -> None:
        """A child that is forked while its parent imports a module would wait for ever for the same import.

        When the first POST looked up the version of the package, that imported two modules on Python 3.13.
        """
        done = run(
            """
            before = set(sys.modules)
            log.error("hello", extra={"number": 1})
            handler.flush()
            print(sorted(set(sys.modules) - before))
            """,
            prelude=_PRELUDE,
        )
        assert (done.code, done.out, done.err) == (0, "[]\n", "")

    def test_fork_from_a_thread(self, run: Run, texts: Any) -> None:
        """A child whose only thread is not the parent's main thread logs and delivers."""
        done = run(
            """
            log.error("parent")
            thread = threading.Thread(target=lambda: join(fork(lambda: log.error("child"))))
            thread.start()
            thread.join()
            """,
            prelude=_PRELUDE,
        )
        assert (done.code, done.out, done.err) == (0, "0\n", "")
        assert sorted(texts()) == ["child", "parent"]

    @pytest.mark.parametrize("interrupted", _INTERRUPTED)
    def test_fork_in_a_signal_handler(self, run: Run, texts: Any, interrupted: str) -> None:
        """Whichever line of ours a signal interrupts, the child that the handler forks logs and delivers.

        Without the hook after a fork some of them wait for the lock that the interrupted line holds.
        """
        done = run(
            f"""
            def react():
                number = next(numbers)
                join(fork(lambda: log.error("child %d", number)))
            {_INTERRUPTED[interrupted]}
            """,
            prelude=_PRELUDE + _AT_EACH_LINE,
        )
        codes = done.out.split()
        assert (done.code, set(codes), done.err) == (0, {"0"}, "")
        children = {text: count for text, count in Counter(texts()).items() if text.startswith("child")}
        assert children == {f"child {number}": 1 for number in range(len(codes))}
        assert len(codes) > 20

    @pytest.mark.parametrize("interrupted", _INTERRUPTED)
    def test_child_goes_on_behind_a_signal_handler(self, run: Run, texts: Any, interrupted: str) -> None:
        """The child may also return into the interrupted call, which then meets other locks than it took.

        When the call reads the lock anew, it releases, or waits for, one that it does not hold: a `RuntimeError`.
        """
        done = run(
            f"""
            def react():
                number = next(numbers)
                if pid := os.fork():
                    join(pid)
                else:
                    signal.alarm(10)
                    sys.settrace(None)
                    births.append(number)
            births = []
            code = 1
            try:
                {_INTERRUPTED[interrupted]}
                if births: log.error("child %d", *births)
                logging.shutdown()
                code = 0
            finally:
                if births: os._exit(code)
            """,
            prelude=_PRELUDE + _AT_EACH_LINE,
        )
        codes = done.out.split()
        assert (done.code, set(codes)) == (0, {"0"})
        assert "RuntimeError" not in done.err
        children = {text: count for text, count in Counter(texts()).items() if text.startswith("child")}
        assert children == {f"child {number}": 1 for number in range(len(codes))}


_APP = """
import logging.config, os, time
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"discord": {"class": "discord_logging.DiscordHandler", "flush_timeout": 10, "channel_limit": None}},
    "root": {"handlers": ["discord"]},
})
log = logging.getLogger("app")

def work(name):
    for n in range(3):
        log.error("%s %d", name, n)
    return name

def work_over_time(name):
    work(name)
    (handler,) = logging.getLogger().handlers
    deadline = time.monotonic() + 10
    while handler.health()["pending"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    log.error("%s 3", name)
"""
"""A module that configures logging, as that of an application does."""


@pytest.fixture
def prelude(tmp_path: Path) -> str:
    """Return the beginning of a program that imports such a module, in the children too if necessary."""
    (tmp_path / "app.py").write_text(_APP)
    (tmp_path / "noisy.py").write_text("import app; app.work('server')")
    return f"""
import concurrent.futures, logging, multiprocessing, os, signal, sys, time, warnings
os.environ["PYTHONPATH"] = {str(tmp_path)!r}
sys.path.insert(0, {str(tmp_path)!r})
warnings.simplefilter("ignore", DeprecationWarning)
import app
"""


def _by(*names: str, each: int = 3) -> list[str]:
    return sorted(f"{name} {n}" for name in names for n in range(each))


class TestMultiprocessing:
    """Children of multiprocessing and of similar libraries deliver before they end."""

    @pytest.mark.measured
    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_child_of_multiprocessing_ends(self, run: Run, texts: Any, prelude: str, method: str) -> None:
        """The last records of the children arrive, whatever their start method.

        Without the finalizer up to Python 3.12 nothing arrives of children that were forked.
        """
        done = run(
            f"""
            context = multiprocessing.get_context({method!r})
            app.work("before")
            children = [context.Process(target=app.work, args=(f"child {{n}}",)) for n in range(3)]
            for child in children: child.start()
            app.work("behind")
            for child in children: child.join()
            print(*(child.exitcode for child in children))
            """,
            prelude=prelude,
        )
        assert (done.code, done.out, done.err) == (0, "0 0 0\n", "")
        assert sorted(texts()) == _by("before", "behind", "child 0", "child 1", "child 2")

    def test_fork_server_that_has_logged(
        self, run: Run, texts: Any, prelude: str, wait_until: Callable[..., None]
    ) -> None:
        """Children of a server with queued records deliver only their own records.

        Without the finalizer up to Python 3.12 nothing arrives of the children.
        """
        done = run(
            """
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["noisy"])
            children = [context.Process(target=app.work, args=(f"child {n}",)) for n in range(3)]
            for child in children: child.start()
            for child in children: child.join()
            """,
            prelude=prelude,
        )
        assert (done.code, done.err) == (0, "")
        expected = _by("child 0", "child 1", "child 2", "server")
        wait_until(lambda: len(texts()) >= len(expected))
        assert sorted(texts()) == expected

    @pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.once)])
    @pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
    def test_pool_of_processes(self, run: Run, texts: Any, prelude: str, kind: str, method: str) -> None:
        """The records of the last tasks of a pool arrive when the pool is closed.

        Without the finalizer up to Python 3.12 nothing arrives of workers that were forked.
        """
        pool = {
            "Pool": "context.Pool(3)",
            "ProcessPoolExecutor": "concurrent.futures.ProcessPoolExecutor(3, mp_context=context)",
        }[kind]
        done = run(
            f"""
            context = multiprocessing.get_context({method!r})
            app.work("before")
            pool = {pool}
            print(sorted(pool.map(app.work, "abcdef")))
            getattr(pool, "close", getattr(pool, "shutdown", None))()
            getattr(pool, "join", int)()
            app.work("behind")
            """,
            prelude=prelude,
        )
        assert (done.code, done.err) == (0, "")
        assert sorted(texts()) == _by("before", "behind", *"abcdef")

    @pytest.mark.parametrize("ending", ["wait()", "logging.shutdown()"])
    def test_prefork_workers(self, run: Run, texts: Any, prelude: str, ending: str) -> None:
        """Workers in the manner of Celery, which end with `os._exit`, deliver their records.

        The workers of its pool give their thread a second before that (`Worker._do_exit` of billiard) and do not flush;
        here they wait until nothing is pending.

        Without the hook after a fork no record of the workers is ever settled, until their alarm ends them.
        """
        done = run(
            f"""
            def wait():
                handler = logging.getLogger().handlers[0]
                while handler.health()["pending"]: time.sleep(0.01)
            app.work("master")
            workers = []
            for number in range(4):
                pid = os.fork()
                if not pid:
                    signal.alarm(10)
                    app.work_over_time(f"worker {{number}}")
                    {ending}
                    os._exit(0)
                workers.append(pid)
            app.log.error("master 3")
            print(*(os.waitpid(pid, 0)[1] for pid in workers))
            """,
            prelude=prelude,
        )
        assert (done.code, done.out, done.err) == (0, "0 0 0 0\n", "")
        assert sorted(texts()) == _by("master", *(f"worker {n}" for n in range(4)), each=4)


_WSGI = """
import logging.config, os, pathlib, threading, time
FOLDER = pathlib.Path(__file__).parent
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"discord": {"class": "discord_logging.DiscordHandler", "flush_timeout": 10, "channel_limit": None}},
    "root": {"handlers": ["discord"], "level": "INFO"},
})
log = logging.getLogger("app")
if os.environ["LOGS_AT_IMPORT"]:
    log.info("imported by %d", os.getpid())

def count_threads():
    return sum(thread.name.startswith("discord-logging") for thread in threading.enumerate())

def app(environ, start_response):
    # A worker serves one request at a time, so four that wait for each other are in four workers.
    pattern = environ["QUERY_STRING"] + "-{}"
    FOLDER.joinpath(pattern.format(os.getpid())).touch()
    deadline = time.monotonic() + 10
    while len(list(FOLDER.glob(pattern.format("*")))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    before = count_threads()
    for n in range(5):
        log.info("%d %d", os.getpid(), n)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {before} {count_threads()}".encode()]
"""


class TestGunicorn:
    """Servers that fork: a real gunicorn."""

    @pytest.mark.parametrize(
        ("preload", "logs_at_import"),
        [
            pytest.param(False, True, marks=pytest.mark.once),
            pytest.param(True, False, marks=pytest.mark.once),
            (True, True),
        ],
        ids=["", "preload", "preload-log"],
    )
    def test_gunicorn(
        self, discord: LocalDiscord, texts: Any, gunicorn: StartGunicorn, *, preload: bool, logs_at_import: bool
    ) -> None:
        """Each of four workers delivers its records once, on one thread that the first record starts.

        Without the hook after a fork what a preloaded application logged comes from the workers again.
        """
        server = gunicorn(
            _WSGI,
            *["--preload"] * preload,
            DISCORD_WEBHOOK_URL=discord.webhook_url,
            LOGS_AT_IMPORT="yes" * logs_at_import,
        )
        pids = server.notes("booted")
        threads = [tuple(map(int, answer.split())) for _, answer in server.ask_all("/")]
        err = server.end()
        importers = [server.process.pid] if preload else pids
        expected = _by(*map(str, pids), each=5) + [f"imported by {pid}" for pid in importers if logs_at_import]
        assert sorted(texts()) == sorted(expected)
        assert sorted(threads) == sorted((pid, int(logs_at_import and not preload), 1) for pid in pids)
        assert server.notes("threads") == [int(logs_at_import and preload)]
        assert "discord_logging" not in err
        assert "Traceback" not in err

    @pytest.mark.parametrize("preload", [pytest.param(False, marks=pytest.mark.once), True], ids=["", "preload"])
    def test_gunicorn_reloads(
        self, discord: LocalDiscord, texts: Any, gunicorn: StartGunicorn, *, preload: bool
    ) -> None:
        """At SIGHUP the old workers deliver their records, and the new ones log as well.

        Without the hook after a fork the workers of a preloaded application do not end in time, or send too much.
        """
        server = gunicorn(
            _WSGI, *["--preload"] * preload, DISCORD_WEBHOOK_URL=discord.webhook_url, LOGS_AT_IMPORT="yes"
        )
        server.ask_all("/")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("gone", 4)
        pids = server.wait_for("booted", 8)
        server.ask_all("/")
        err = server.end()
        importers = [server.process.pid] if preload else pids
        expected = _by(*map(str, pids), each=5) + [f"imported by {pid}" for pid in importers]
        assert sorted(texts()) == sorted(expected)
        assert "discord_logging" not in err
        assert "Traceback" not in err


class _Connections(http.server.ThreadingHTTPServer):
    """A webhook that notes which requests come on which connection."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.received: dict[int, list[str]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}/api/webhooks/123456789012345678/{'t' * 68}"
        self._thread = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Connections

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        here = self.server.received.setdefault(self.client_address[1], [])
        here += [embed["description"].split("\n")[0] for embed in payload["embeds"]]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""
