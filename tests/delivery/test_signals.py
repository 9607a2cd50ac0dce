"""`flush_on_signals`: delivery before a signal ends the process."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, flush_on_signals
from discord_logging._delivery import signals
from discord_logging._process.diagnostics import say
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signals")

PRELUDE = """
import logging, os, signal, sys, threading, time
import discord_logging
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup leaves it ignored
handler = discord_logging.DiscordHandler(flush_timeout=20)
log = logging.getLogger("app")
log.addHandler(handler)
log.propagate = False
"""
IMPATIENT = "handler._listener.flush_timeout = 1"
HELLO = """
discord_logging.flush_on_signals()
log.error("hello")
print("ready", flush=True)
time.sleep(30)
"""


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture(autouse=True)
def _restored_signals() -> Iterator[None]:
    numbers = [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD]
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def start(script: str, discord: LocalDiscord) -> subprocess.Popen[str]:
    """Start a program; return when it has printed "ready"."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
        env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], timeout: float = 20.0) -> tuple[int, str, str]:
    """Wait for the end of a program, with a hard time limit; return its exit code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


def texts(discord: LocalDiscord) -> list[str]:
    return [embed["description"].split("\n")[0] for message in discord.messages for embed in message.embeds]


def log(handler: DiscordHandler, text: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": text}))


class TestProcess:
    """A signal from outside ends a process."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_everything_is_delivered(self, discord: LocalDiscord, number: signal.Signals) -> None:
        """All records before the signal arrive, and the exit status is that of the signal."""
        process = start(
            """
            discord_logging.flush_on_signals()
            for n in range(30): log.error("%d", n)
            print("ready", flush=True)
            time.sleep(30)
            """,
            discord,
        )
        process.send_signal(number)
        assert end(process) == (-number, "", "")
        assert texts(discord) == [str(n) for n in range(30)]

    def test_stuck_network_does_not_delay_the_end(self, discord: LocalDiscord) -> None:
        """The process ends within `flush_timeout`, and reports the losses on one line."""
        discord.fail_next(Fault.stall(60), times=10)
        process = start(IMPATIENT + HELLO, discord)
        began = time.monotonic()
        process.terminate()
        code, _, err = end(process)
        assert 0.9 < time.monotonic() - began < 15
        assert code == -signal.SIGTERM
        assert re.fullmatch(r"discord_logging: 1 of 1 records were not delivered to webhook \d+ \(pending\)\n", err)

    def test_signal_that_comes_again_and_again(self, discord: LocalDiscord) -> None:
        """An impatient parent neither loses records nor moves the end."""
        discord.fail_next(Fault.stall(60), times=10)
        process = start(IMPATIENT + HELLO, discord)
        began = time.monotonic()
        while process.poll() is None:
            assert time.monotonic() < began + 15
            process.terminate()
            threading.Event().wait(0.05)
        assert end(process)[0] == -signal.SIGTERM

    def test_second_signal_costs_nothing(self, discord: LocalDiscord) -> None:
        """Records for a slow server are delivered although the signal comes twice."""
        discord.fail_next(Fault.stall(0.5, save=True))
        process = start(HELLO, discord)
        discord.wait_for()
        process.terminate()
        process.terminate()
        assert end(process) == (-signal.SIGTERM, "", "")
        assert texts(discord) == ["hello"]

    @pytest.mark.parametrize("queue_size", [50, 10_000])
    def test_signal_in_a_tight_loop_of_logging(self, discord: LocalDiscord, queue_size: int) -> None:
        """Wherever in a logging call the signal comes, the flush does not wait for the record of that call."""
        process = start(
            f"""
            handler.close()
            handler = discord_logging.DiscordHandler(queue_size={queue_size}, channel_limit=None, flush_timeout=60)
            log.handlers[:] = [handler]
            calls = []
            def ring(*_):
                calls.append(log.error("signal"))
                signal.setitimer(signal.ITIMER_REAL, 0.003)
            signal.signal(signal.SIGALRM, ring)
            discord_logging.flush_on_signals(signal.SIGALRM)
            print("ready", flush=True)
            signal.setitimer(signal.ITIMER_REAL, 0.003)
            for n in range(50_000_000):
                if len(calls) == 5: break
                log.error("%d", n)
            signal.setitimer(signal.ITIMER_REAL, 0)
            handler.flush()
            health = handler.health()
            print(len(calls), health["pending"], health["accepted"] - health["delivered"] - health["dropped"])
            """,
            discord,
        )
        code, out, err = end(process, timeout=50)
        assert (code, out) == (0, "5 0 0\n"), err

    def test_program_that_logs_for_ever_ends(self, discord: LocalDiscord) -> None:
        """The signal ends the loop."""
        process = start(
            """
            discord_logging.flush_on_signals()
            print("ready", flush=True)
            for n in range(50_000_000): log.error("%d", n)
            """,
            discord,
        )
        process.terminate()
        assert end(process)[0] == -signal.SIGTERM


class TestChain:
    """The previous signal handler runs after the flush."""

    def test_previous_handler_is_called_after_the_flush(self, discord: LocalDiscord) -> None:
        """The handler gets the usual arguments, and finds the records delivered; then the program continues."""
        calls: list[Any] = []
        signal.signal(signal.SIGTERM, lambda *args: calls.append((args[0], args[1] is not None, texts(discord))))
        flush_on_signals()
        handler = DiscordHandler(discord.webhook_url)
        log(handler, "hello")
        signal.raise_signal(signal.SIGTERM)
        assert calls == [(signal.SIGTERM, True, ["hello"])]
        log(handler, "next")
        assert handler.flush()
        assert texts(discord) == ["hello", "next"]

    def test_previous_handler_that_exits(self, discord: LocalDiscord) -> None:
        """`sys.exit` in a handler ends the program as usual."""
        process = start(f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n{HELLO}", discord)
        process.terminate()
        assert end(process) == (5, "", "")
        assert texts(discord) == ["hello"]

    def test_previous_handler_sees_a_second_signal_at_once(self, discord: LocalDiscord) -> None:
        """A handler that gives up on the second signal need not wait for the flush of the first."""
        discord.fail_next(Fault.stall(60), times=10)
        process = start(
            """
            signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
            handler._listener.flush_timeout = 60
            discord_logging.flush_on_signals()
            log.error("hello")
            def again():
                while not handler._listener._delivery.deadlines: pass
                os.kill(os.getpid(), signal.SIGTERM)
            threading.Thread(target=again, daemon=True).start()
            print("ready", flush=True)
            signal.raise_signal(signal.SIGTERM)
            """,
            discord,
        )
        assert end(process)[0] == 7

    def test_ignored_signal_stays_ignored(self) -> None:
        """Under `nohup`, a hangup starts no flush."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        flush_on_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL

    def test_handler_that_is_not_from_python_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Python code cannot call it."""
        before = signal.getsignal(signal.SIGUSR1)
        with monkeypatch.context() as patch:
            patch.setattr(signal, "getsignal", lambda _: None)
            flush_on_signals(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is before

    def test_a_second_call_changes_nothing(self) -> None:
        """The signal handler is installed once."""
        calls: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, _: calls.append(number))
        flush_on_signals(signal.SIGUSR1)
        ours = signal.getsignal(signal.SIGUSR1)
        flush_on_signals(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is ours
        signal.raise_signal(signal.SIGUSR1)
        assert calls == [signal.SIGUSR1]

    def test_only_the_signals_that_are_named(self) -> None:
        """Other signals keep their handlers."""
        before = signal.getsignal(signal.SIGTERM)
        flush_on_signals(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL

    def test_signal_that_ends_nothing(self, discord: LocalDiscord, capsys: pytest.CaptureFixture[str]) -> None:
        """After a signal without effect, the program continues."""
        handler = DiscordHandler(discord.webhook_url, flush_timeout=0.2)
        flush_on_signals(signal.SIGCHLD)
        ours = signal.getsignal(signal.SIGCHLD)
        discord.fail_next(Fault.stall(1))
        for text in ("first", "second"):
            log(handler, text)
            signal.raise_signal(signal.SIGCHLD)
            assert signal.getsignal(signal.SIGCHLD) is ours
        assert handler.flush(10)
        assert texts(discord) == ["first", "second"]
        assert "1 of 1 records were not delivered" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("number", "codes"), [(signal.SIGTERM, [143]), (signal.SIGHUP, [129]), (signal.SIGCHLD, [])]
    )
    def test_first_process_of_a_container_ends(
        self, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, codes: list[int]
    ) -> None:
        """The kernel ignores a signal's default action there. Regression: `docker stop` waited for its SIGKILL."""
        ended: list[int] = []
        flush_on_signals(number)
        handler = signal.getsignal(number)
        assert callable(handler)
        monkeypatch.setattr(signal, "raise_signal", lambda _: None)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        monkeypatch.setattr(os, "_exit", ended.append)
        handler(number, None)
        assert ended == codes

    def test_real_first_process_ends(self, discord: LocalDiscord) -> None:
        """The status is that of a shell for a command that the signal has ended."""
        namespace = ["unshare", "--pid", "--fork", "--kill-child"]
        if (
            not shutil.which("unshare")
            or subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode
        ):
            pytest.skip("this user may make no namespace of processes")
        script = (
            "discord_logging.flush_on_signals()\nlog.error('hello')\nprint(os.getpid())\nos.kill(1, signal.SIGTERM)"
        )
        done = subprocess.run(
            [*namespace, sys.executable, "-c", f"{PRELUDE}{script}\ntime.sleep(30)"],
            env={**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (143, "")
        assert texts(discord) == ["hello"]

    def test_second_signal_waits_for_the_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A signal during the flush leaves the end to the first one."""
        raised: list[int] = []

        def flush_all() -> list[Any]:
            handler = signal.getsignal(signal.SIGUSR1)
            assert callable(handler)
            handler(signal.SIGUSR1, None)
            assert raised == []
            return []

        monkeypatch.setattr(signals, "flush_all", flush_all)
        monkeypatch.setattr(signal, "raise_signal", raised.append)
        flush_on_signals(signal.SIGUSR1)
        handler = signal.getsignal(signal.SIGUSR1)
        assert callable(handler)
        handler(signal.SIGUSR1, None)
        assert raised == [signal.SIGUSR1]


class TestMisuse:
    """Wrong calls raise errors."""

    def test_other_thread_than_the_main_thread(self) -> None:
        """Python lets only the main thread set handlers."""
        errors: list[BaseException] = []

        def call() -> None:
            try:
                flush_on_signals()
            except ValueError as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert len(errors) == 1

    @pytest.mark.parametrize(("number", "error"), [(12345, ValueError), (signal.SIGKILL, OSError)])
    def test_signal_that_cannot_be_handled(self, number: int, error: type[Exception]) -> None:
        """Python's own error is raised."""
        with pytest.raises(error):
            flush_on_signals(number)


class TestReentry:
    """A signal handler runs between two steps of the main thread."""

    def test_signal_in_the_middle_of_a_taking_in(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """The flush is postponed until the interrupted call has queued its record."""
        handler = DiscordHandler(discord.webhook_url, queue_size=3, flush_timeout=30)
        assert handler._listener
        backlog: Any = handler._listener.backlog
        fold = backlog._repeats.fold
        seen: list[list[str]] = []

        def interrupted(*args: Any) -> Any:
            monkeypatch.setattr(backlog._repeats, "fold", fold)
            signal.raise_signal(signal.SIGUSR1)
            return fold(*args)

        signal.signal(signal.SIGUSR1, lambda *_: seen.append(texts(discord)))
        flush_on_signals(signal.SIGUSR1)
        monkeypatch.setattr(backlog._repeats, "fold", interrupted)
        backlog.wake_listener = lambda: True  # so that the third call, at the bound, takes in what the thread would
        began = time.monotonic()
        for number in range(3):
            log(handler, str(number))
        assert handler.flush()
        assert time.monotonic() - began < 10
        assert seen == [["0", "1", "2"]]
        assert handler.health()["pending"] == 0

    def test_flush_of_a_user_in_the_middle_of_a_taking_in(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The flush can neither wait for the interrupted call nor do without it: it returns False at once."""
        handler = DiscordHandler(discord.webhook_url, queue_size=3, flush_timeout=30)
        assert handler._listener
        backlog: Any = handler._listener.backlog
        fold = backlog._repeats.fold
        seen: list[bool] = []

        def interrupted(*args: Any) -> Any:
            monkeypatch.setattr(backlog._repeats, "fold", fold)
            seen.append(handler.flush())
            return fold(*args)

        monkeypatch.setattr(backlog._repeats, "fold", interrupted)
        backlog.wake_listener = lambda: True
        began = time.monotonic()
        for number in range(3):
            log(handler, str(number))
        assert seen == [False]
        assert handler.flush()
        assert time.monotonic() - began < 10
        assert texts(discord) == ["0", "1", "2"]

    def test_signal_in_the_middle_of_the_start_of_the_thread(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The flush would wait for a thread that the interrupted call is about to start."""
        handler = DiscordHandler(discord.webhook_url, flush_timeout=30)
        listener = handler._listener
        assert listener
        seen: list[list[str]] = []

        def interrupted() -> None:
            signal.raise_signal(signal.SIGUSR1)
            type(listener).start(listener)

        signal.signal(signal.SIGUSR1, lambda *_: seen.append(texts(discord)))
        flush_on_signals(signal.SIGUSR1)
        monkeypatch.setattr(listener, "start", interrupted)
        log(handler, "hello")
        assert seen == [["hello"]]

    def test_signal_while_a_handler_is_closed(self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
        """The records of the handler that is being closed are delivered."""
        handler = DiscordHandler(discord.webhook_url, flush_timeout=30)
        assert handler._listener
        flush = handler._listener.flush
        seen: list[list[str]] = []

        def interrupted(timeout: float, *, is_last: bool) -> bool:
            monkeypatch.setattr(handler._listener, "flush", flush)
            signal.raise_signal(signal.SIGUSR1)
            return flush(timeout, is_last=is_last)

        signal.signal(signal.SIGUSR1, lambda *_: seen.append(texts(discord)))
        flush_on_signals(signal.SIGUSR1)
        log(handler, "hello")
        monkeypatch.setattr(handler._listener, "flush", interrupted)
        handler.close()
        assert seen == [["hello"]]

    def test_handler_that_exits_in_the_middle_of_a_taking_in(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C costs the record that is being queued, which is counted, and no flush waits for it."""
        handler = DiscordHandler(discord.webhook_url, queue_size=3, flush_timeout=30)
        assert handler._listener
        backlog: Any = handler._listener.backlog
        fold = backlog._repeats.fold

        def interrupt(*_: Any) -> bool:
            monkeypatch.setattr(backlog._repeats, "fold", fold)
            raise KeyboardInterrupt

        monkeypatch.setattr(backlog._repeats, "fold", interrupt)
        backlog.wake_listener = lambda: True
        log(handler, "0")
        log(handler, "1")
        with pytest.raises(KeyboardInterrupt):
            log(handler, "2")
        began = time.monotonic()
        assert not handler.flush()
        assert time.monotonic() - began < 10
        assert texts(discord) == ["1", "2"]
        health = handler.health()
        assert (health["pending"], health["dropped_by_reason"]) == (0, {"interrupted": 1})
        handler.close()

    def test_signal_in_the_middle_of_a_write_to_stderr(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Python forbids a write inside a write: only our line is lost."""
        done: list[int] = []

        class Raw(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                if not done:
                    done.append(len(data))
                    say("on top")
                return len(data)

        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(Raw()), line_buffering=True))
        print("below", file=sys.stderr)  # noqa: T201 - it is what the program does
        assert done
