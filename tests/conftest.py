"""Every test begins with the logging of before, and without settings from the environment."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import http.client
import itertools
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests  # noqa: F401 - the loggers it makes are to stay: `_restored_logging` removes those that a test has made
from hypothesis import settings

import discord_logging
from discord_logging import DiscordHandler, _handler
from discord_logging._delivery import registry
from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._text import sanitize
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self


# The same examples at each run, so that none fails by chance; `--hypothesis-profile=search` looks for new ones.
settings.register_profile("settled", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1_000)
settings.load_profile("settled")


def pytest_configure() -> None:
    """Make the programs of tests start in the same state wherever the tests run.

    SIGINT and SIGHUP end them, even if a shell or nohup ignores these signals, and only `COVERAGE_PROCESS_CONFIG`
    decides whether their coverage is measured, which tests with the mark `measured` leave.
    """
    os.environ.pop("COVERAGE_PROCESS_START", None)
    for name, default in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


@pytest.fixture(autouse=True)
def _clean_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("measured") is None:
        # A program takes half as long without coverage, and hundreds of them cover what other tests cover.
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    variables = ("WEBHOOK_URL", "NOTIFICATIONS_ENABLED", "BACKLOG", "BACKLOG_DIR", "ALLOW_HTTP")
    for name in (f"DISCORD_{variable}" for variable in variables):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    # Tests post to Discord's host with responses and adapters that stand in for the network.
    monkeypatch.setenv("DISCORD_LOCAL_ONLY", "false")


@pytest.fixture(scope="session")
def _shared_memory() -> Iterator[Path]:
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is new
    with tempfile.TemporaryDirectory(dir=memory if memory.exists() else None, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _own_shared_memory(_shared_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs of a test share their limits with each other, and with no other test."""
    # The folder of the test before is removed here: at its end, its patches were still in place.
    for old in _shared_memory.iterdir():
        shutil.rmtree(old, ignore_errors=True)
    monkeypatch.setenv("DISCORD_SHARED_MEMORY", tempfile.mkdtemp(dir=_shared_memory))


@pytest.fixture(autouse=True)
def _restored_signals() -> Iterator[None]:
    """Restore the signal handlers: integrations set one for SIGTERM in this process."""
    numbers = signal.SIGTERM, signal.SIGINT
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore loggers, handlers and levels, and begin with a limiter and a mask that have learned nothing."""
    monkeypatch.setattr(sanitize, "_own_tokens", {})
    monkeypatch.setattr(registry, "rate_limiter", DiscordRateLimiter())
    monkeypatch.setattr(_handler, "_reported", set())
    earlier = set(threading.enumerate())
    root = logging.getLogger()
    handlers, level, disabled_level = root.handlers[:], root.level, root.manager.disable
    loggers = {name: getattr(logger, "disabled", False) for name, logger in root.manager.loggerDict.items()}
    yield
    for listener in registry._known_listeners():
        for handler in list(listener.attached):
            handler.close(timeout=0)  # type: ignore[call-arg]  # they are DiscordHandlers
        # Its handlers may have been collected.
        listener.stop()
    registry._listeners.clear()
    registry._known.clear()
    deadline = time.monotonic() + 0.2
    for thread in threading.enumerate():
        if thread not in earlier and thread.name.startswith("discord-logging-"):
            # Its last words would be in the log of the next test. A thread in a stalled request says nothing.
            thread.join(max(deadline - time.monotonic(), 0.0))
    root.handlers[:], root.level = handlers, level
    logging.disable(disabled_level)
    for name in set(root.manager.loggerDict) - set(loggers):
        del root.manager.loggerDict[name]
    for name, disabled in loggers.items():
        logger = root.manager.loggerDict[name]
        if isinstance(logger, logging.Logger):
            logger.disabled = disabled


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a local Discord with Discord's own limits."""
    with LocalDiscord() as local:
        yield local


@pytest.fixture
def burst_until_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let records share a message until they are flushed: no pause between them makes the first one leave alone."""
    monkeypatch.setattr("discord_logging._delivery.listener._GATHERING_TIME", 60.0)


_GUNICORN = """
import pathlib, threading
bind = "127.0.0.1:0"
workers = 4

def note(word, number):
    with pathlib.Path(__file__).with_name("notes").open("a") as notes:
        print(word, number, file=notes)

def when_ready(server):
    note("port", server.LISTENERS[0].sock.getsockname()[1])

def post_worker_init(worker):
    note("booted", worker.pid)

def child_exit(server, worker):
    note("gone", worker.pid)

def on_exit(server):
    note("threads", sum(thread.name.startswith("discord-logging") for thread in threading.enumerate()))
"""


class Server:
    """A Python program that serves HTTP, in a process group of its own that is killed after the block.

    Args:
        folder: The working directory.
        arguments: The program and its arguments, as Python's command line takes them.
        port: The port that the arguments name; a server that chooses one itself says which.
        environment: Variables for the program.
    """

    def __init__(self, folder: Path, *arguments: str, port: int = 0, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "HOME": str(folder),
                "XDG_RUNTIME_DIR": str(folder),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._port = port
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self._lines.extend(iter(self.process.stdout.readline, ""))

    def __enter__(self) -> Self:
        """Return the server, which runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the processes of the server that have not ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout
        self.process.stdout.close()

    @property
    def output(self) -> str:
        """The text that the server has written so far."""
        return "".join(self._lines)

    def ports(self) -> list[int]:
        """Return the port that each process of the server has told."""
        return [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", self.output)]

    def ask(self, path: str) -> tuple[int, bool]:
        """Send a request; return the status, which is 0 without a connection, and whether the response is whole."""
        port, status = self._port or self.ports()[-1], 0
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", path, headers={"X-Request-ID": "r-1"})
                answer = connection.getresponse()
                status = answer.status
                answer.read()
        except (http.client.IncompleteRead, ConnectionError):
            return status, False
        return status, True

    def end(self) -> str:
        """End the server in order; return its output."""
        self.process.terminate()
        self.process.wait(60)
        # A process that the server leaves behind may hold its output.
        self._reader.join(60)
        return self.output

    def interrupt(self) -> None:
        """End all processes of the server, as Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)


class Gunicorn:
    """A gunicorn with four workers, in a process of its own, which notes their events.

    Args:
        folder: The working directory.
        app: The text of the module that has the application as `app`.
        options: Further options of the command line.
        environment: Variables for the application.
    """

    def __init__(self, folder: Path, app: str, *options: str, **environment: str) -> None:
        self._notes = folder / "notes"
        self._notes.touch()
        (folder / "served.py").write_text(app)
        (folder / "gunicorn.conf.py").write_text(_GUNICORN)
        self._tags = itertools.count()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "served:app"],
            cwd=folder,
            # Gunicorn puts a socket into its home.
            env={**os.environ, **environment, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        """End gunicorn at once. The workers notice that later."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        """End gunicorn in order; return its text on stderr."""
        self.process.terminate()
        _, err = self.process.communicate(timeout=100)
        assert self.process.returncode == 0
        return err

    def notes(self, word: str) -> list[int]:
        """Return the numbers noted with `word`."""
        lines = self._notes.read_text().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith(word)]

    def wait_for(self, word: str, count: int) -> list[int]:
        """Wait until this number of notes with `word` exists."""
        wait_until(lambda: len(self.notes(word)) >= count or self.process.poll() is not None)
        return self.notes(word)

    def ask(self, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Send a request; return the status and the text of the response."""
        (port,) = self.wait_for("port", 1)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("POST" if body else "GET", path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def ask_all(self, path: str) -> list[tuple[int, str]]:
        """Send a request to each worker, if the application holds requests with the same query until all have come."""
        query = f"{path}?together={next(self._tags)}"
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.ask(query), range(4)))


def cards(discord: LocalDiscord) -> list[tuple[str, dict[str, str]]]:
    """Return the first line and the fields of each card."""
    for handler in logging.root.handlers:
        if isinstance(handler, DiscordHandler):
            assert handler.flush(10)
    return [
        (
            card["description"].split("\n")[0].replace("\\", ""),
            {field["name"].replace("\\", ""): field["value"].replace("\\", "") for field in card.get("fields", [])},
        )
        for message in discord.messages
        for card in message.embeds
    ]


def catch(function: Callable[..., object], *args: object) -> BaseException:
    """Return the exception that a function raises."""
    try:
        function(*args)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    return pytest.fail("nothing was raised")


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a condition holds; fail after a number of seconds."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(pause)
        # Conditions that take long to hold take long to ask for, too.
        pause = min(1.2 * pause, 0.2)


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Callable[..., Gunicorn]]:
    """Start a gunicorn and wait until four workers have booted; stop it after the test."""
    with contextlib.ExitStack() as stack:

        def start(app: str, *options: str, **environment: str) -> Gunicorn:
            started = Gunicorn(tmp_path, app, *options, **environment)
            stack.callback(started.kill)
            started.wait_for("booted", 4)
            return started

        yield start


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., None]:
    """Return `wait_until`."""
    return wait_until


@contextlib.contextmanager
def _redis(program: str, folder: Path) -> Iterator[int]:
    """Run a Redis that writes only its log; yield its port, or 0 if another process has taken the port meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / f"{port}.log"
    log.touch()
    options = {"bind": "127.0.0.1", "port": port, "save": "", "appendonly": "no", "dir": folder, "logfile": log}
    command = [program, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: b"Ready to accept" in log.read_bytes() or process.poll() is not None)
            yield port if process.poll() is None else 0
        finally:
            process.kill()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Redis on loopback for the tests of this process, and end it after the last of them."""
    program = shutil.which("redis-server")
    if not program:
        if os.environ.get("REQUIRE_REDIS"):
            pytest.fail("REQUIRE_REDIS is set, but redis-server is not installed")
        pytest.skip("needs redis-server (Debian: apt install redis-server)")
    for _ in range(5):
        with _redis(program, tmp_path_factory.mktemp("redis")) as port:
            if port:
                yield f"redis://127.0.0.1:{port}/0"
                return
    pytest.fail("redis-server does not start")


@pytest.fixture
def shown_locals() -> Callable[[BaseException], str]:
    """Return a function that reads the locals of our frames in a traceback and in its causes, as error reports do."""
    ours = str(Path(discord_logging.__file__).parent)

    def read(error: BaseException) -> str:
        report: traceback.TracebackException | None = traceback.TracebackException.from_exception(
            error, capture_locals=True
        )
        frames: list[traceback.FrameSummary] = []
        while report is not None:
            frames += [frame for frame in report.stack if frame.filename.startswith(ours)]
            report = report.__context__
        assert frames
        return "\n".join(f"{frame.name}: {frame.locals}" for frame in frames)

    return read


@pytest.fixture
def takes_linear_time() -> Callable[[Callable[[str], object], str, str], bool]:
    """Return a function that says whether a text four times as long takes less than quadratic time."""

    def seconds(function: Callable[[str], object], text: str) -> float:
        began = time.thread_time()
        function(text)
        return time.thread_time() - began

    def is_linear(function: Callable[[str], object], short: str, long: str) -> bool:
        # The tracer of coverage costs more than most calls, and not for each text the same.
        tracer = sys.gettrace()
        sys.settrace(None)
        gc.disable()
        try:
            # A neighbour on the same processor makes one try slow, but hardly five; what is quadratic is always slow.
            return any(seconds(function, long) < 10 * seconds(function, short) + 0.02 for _ in range(5))
        finally:
            gc.enable()
            sys.settrace(tracer)

    return is_linear
