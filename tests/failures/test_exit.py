"""The process ends while records wait."""

from __future__ import annotations

import re
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.failures.conftest import Finished, Run

# The first hook of all runs last.
TIMED = """
import atexit, time
began = time.monotonic()
atexit.register(lambda: print(f"ended after {time.monotonic() - began:.3f}"))
import logging, os, signal, socket, sys, threading
import discord_logging
handler = discord_logging.DiscordHandler(flush_timeout=30)
log = logging.getLogger("app")
log.addHandler(handler)
"""
HASTY = TIMED.replace("flush_timeout=30", "flush_timeout=1")


def seconds(done: Finished) -> list[float]:
    """Return the times that a program printed."""
    return [float(found) for found in re.findall(r"ended after ([\d.]+)", done.out)]


def losses(done: Finished) -> list[str]:
    """Return the beginnings of the lines on stderr about losses."""
    return re.findall(r"^discord_logging: (\d+ of \d+ records were not delivered)", done.err, re.MULTILINE)


@pytest.fixture
def blackhole() -> Iterator[str]:
    """Yield the address of a port that answers no SYN: its queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        fillers: list[socket.socket] = []
        try:
            while True:
                filler = socket.socket()
                fillers.append(filler)
                filler.settimeout(0.2)
                filler.connect(server.getsockname())
        except TimeoutError:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/api/webhooks/123456789012345678/{'k' * 68}"
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize(
    ("ending", "code"),
    [("", 0), ("sys.exit(3)", 3), ("1/0", 1), ("logging.shutdown()", 0), ("del handler; log.handlers.clear()", 0)],
    ids=["end", "sys.exit", "uncaught", "shutdown", "collected"],
)
def test_exit_right_after_logging(run: Run, ending: str, code: int) -> None:
    """A hundred records that are logged right before the end arrive, although the server is slow.

    With a flush that returns at once the daemon thread dies with them: none of the hundred arrived.
    """
    with LocalDiscord(latency=0.01) as slow:
        script = f"for n in range(100): log.error('record %03d', n)\n{ending}"
        done = run(script, prelude=TIMED, url=slow.webhook_url)
        shown = str([(message.embeds, [file.text for file in message.files]) for message in slow.messages])
    assert [n for n in range(100) if f"record {n:03}" not in shown] == []
    assert (done.code, losses(done)) == (code, [])
    assert ("Traceback" in done.err) == (ending == "1/0")


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(
            "connect", marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what does not fit")
        ),
        "silence",
        "drip",
        "resolver",
    ],
)
def test_exit_while_the_network_is_stuck(
    run: Run, discord: LocalDiscord, request: pytest.FixtureRequest, shape: str
) -> None:
    """`close(1)` returns after a second, and so does the exit, and each reports the loss.

    A `close` that joins the thread hung, with a server that is silent as with a resolver that is stuck.
    """
    faults = {"silence": Fault.stall(60), "drip": Fault.dripping(0.4)}
    discord.fail_next(faults.get(shape, Fault()), times=10)
    done = run(
        f"""
        if {shape == "resolver"}:
            socket.getaddrinfo = lambda *args, **kwargs: time.sleep(60)
        for n in range(3): log.error("%d", n)
        began = time.monotonic()
        handler.close(1)
        print(f"ended after {{time.monotonic() - began:.3f}}", flush=True)
        log.addHandler(discord_logging.DiscordHandler(flush_timeout=1))
        for n in range(4): log.error("%d", n)
        began = time.monotonic()
        """,
        prelude=HASTY.replace("log.addHandler(handler)", "log.addHandler(handler); log.propagate = False"),
        url=request.getfixturevalue("blackhole") if shape == "connect" else "",
    )
    assert all(0.95 < each < 15 for each in seconds(done))
    assert len(seconds(done)) == 2
    # The records that are in flight at the first report are still pending at the second one.
    assert losses(done)[1:] == ["7 of 7 records were not delivered"]
    assert losses(done)[0].startswith("3 of ")
    assert done.code == 0


@pytest.mark.parametrize("fault", [Fault(), Fault.stall(60)], ids=["idle", "posting"])
def test_exit_without_close(run: Run, discord: LocalDiscord, fault: Fault) -> None:
    """A handler that nobody ever closes does not keep the process alive: its thread is a daemon.

    With `daemon=False` the interpreter joins the thread before any exit hook could end it: it hangs.
    """
    discord.fail_next(fault)
    done = run(
        """
        atexit.unregister(logging.shutdown)
        log.error("hello")
        while not handler.health()["requests"]: pass
        print([thread.daemon for thread in threading.enumerate() if thread.name.startswith("discord-logging")])
        began = time.monotonic()
        """,
        prelude=HASTY,
    )
    assert (done.code, done.out.split("\n")[0]) == (0, "[True]")
    assert seconds(done)[0] < 15


HOOK = "atexit.register(lambda: log.error('from a hook'))\n"


def test_logging_from_a_hook_after_shutdown(run: Run, texts: Callable[[], list[str]]) -> None:
    """A hook from before `import logging` runs too late: its record is dropped, which is reported once.

    Without the state "closed" in the backlog it stays pending for ever; without that of the listener nothing is said.
    """
    late = HOOK.replace("log.error('from a hook')", "(log.error('a'), log.error('b'), print(handler.health()))")
    done = run("log.error('in time')", prelude="import atexit\n" + late + TIMED)
    assert (texts(), done.code) == (["in time"], 0)
    assert re.fullmatch(
        r"discord_logging: a record came after the last handler for webhook \d+ was closed.*\n", done.err
    )
    assert "'accepted': 3, 'delivered': 1, 'pending': 0, 'dropped': 2" in done.out


@pytest.mark.parametrize("place", ["before the handler", "after the handler"])
def test_logging_from_a_hook_before_shutdown(run: Run, texts: Callable[[], list[str]], place: str) -> None:
    """A record of a hook arrives, even if it is the first record, for which Python 3.12 starts no thread.

    Without a delivery on the flushing thread it is lost on Python 3.12, and on 3.11 it arrives.
    """
    early, late = (HOOK, "") if place == "before the handler" else ("", HOOK)
    done = run(late, prelude=TIMED.replace("import discord_logging\n", f"{early}import discord_logging\n"))
    assert (texts(), done.code, losses(done)) == (["from a hook"], 0, [])


def test_logging_from_a_hook_that_takes_its_time(run: Run, texts: Callable[[], list[str]]) -> None:
    """A record at the end of a hook arrives, although the hook alone took longer than `flush_timeout`.

    When the exit has one deadline that counts what other hooks take, the second record is lost.
    """
    hook = "atexit.register(lambda: (log.error('first'), time.sleep(5.1), log.error('second')))\n"
    prelude = TIMED.replace("flush_timeout=30", "flush_timeout=5")
    done = run("", prelude=prelude.replace("import discord_logging\n", f"{hook}import discord_logging\n"))
    assert (texts(), losses(done)) == (["first", "second"], [])


@pytest.mark.parametrize(
    "owner",
    ["last = Last()", "last = [Last()]; last.append(last)", "import builtins; builtins.last = Last()"],
    ids=["global", "cycle", "builtins"],
)
def test_logging_from_del_at_exit(run: Run, texts: Callable[[], list[str]], owner: str) -> None:
    """An object that logs when the interpreter clears the modules raises nothing and hangs nothing.

    A listener that starts its thread although it was closed hangs in an interpreter that is going down.
    """
    done = run(
        f"""
        class Last:
            def __del__(self, log=log):
                log.error("from __del__")
        {owner}
        log.propagate = False
        log.error("in time")
        """,
        prelude=TIMED,
    )
    assert (texts()[:1], done.code) == (["in time"], 0)
    assert "Error" not in done.err


def test_logging_after_close(run: Run, texts: Callable[[], list[str]]) -> None:
    """A record after a `close`, after `dictConfig` and after `logging.shutdown` is delivered at exit.

    Without a registration of the reopened handler, `logging.shutdown` does not know it, and the last record is lost.
    """
    done = run(
        """
        import logging.config
        log.error("first")
        handler.close()
        log.error("second")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        log.error("third")
        logging.shutdown()
        log.error("fourth")
        """,
        prelude=TIMED,
    )
    assert (texts(), done.code, losses(done)) == (["first", "second", "third", "fourth"], 0, [])


def test_logging_while_dict_config_closes_the_handler(run: Run, texts: Callable[[], list[str]]) -> None:
    """The handler that a thread reopens at this moment is forgotten by logging, and delivers at exit all the same.

    Without a look at all handlers at exit, logging closes those that it knows, and the record is lost.
    """
    done = run(
        """
        import logging.config
        class Late(logging.Handler):
            def close(self):
                # logging closes the handler that was made last first.
                thread = threading.Thread(target=handler.handle, args=[logging.makeLogRecord({"msg": "meanwhile"})])
                thread.start()
                thread.join()
                super().close()
        handlers = logging._handlerList
        late = Late()
        handlers.insert(0, handlers.pop())
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        print(handlers, handler.closed)
        """,
        prelude=TIMED,
    )
    assert (texts(), done.out.splitlines()[0], done.code, losses(done)) == (["meanwhile"], "[] False", 0, [])


NO_THREAD = """
def refuse(thread): raise RuntimeError("can't create new thread at interpreter shutdown")
threading.Thread.start = refuse
"""


def test_no_thread_can_be_started(run: Run, texts: Callable[[], list[str]]) -> None:
    """The records wait, logging raises no exception, and the exit delivers.

    Without a delivery on the flushing thread all three are lost.
    """
    done = run(NO_THREAD + "for n in range(3): log.error('%d', n)", prelude=TIMED)
    assert (texts(), done.code, losses(done)) == (["0", "1", "2"], 0, [])


def test_no_thread_can_be_started_and_the_network_is_stuck(run: Run, discord: LocalDiscord) -> None:
    """A flush on the caller's thread obeys its deadline.

    With the ordinary time-out of a request `close(1)` takes as long as that.
    """
    discord.fail_next(Fault.stall(60), times=10)
    done = run(NO_THREAD + "log.error('hello')\nbegan = time.monotonic()\nhandler.close(1)", prelude=TIMED)
    assert 0.95 < seconds(done)[0] < 8
    assert losses(done) == ["1 of 1 records were not delivered"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_ended_by_a_signal(run: Run, texts: Callable[[], list[str]], name: str) -> None:
    """With `flush_on_signals` all records are delivered, and the process ends by the signal.

    Without it Python runs no exit hook, and nothing arrives.
    """
    done = run(
        f"""
        signal.signal(signal.{name}, signal.SIG_DFL)  # nohup leaves SIGHUP ignored
        discord_logging.flush_on_signals()
        for n in range(30): log.error("%d", n)
        signal.raise_signal(signal.{name})
        print("still alive")
        """,
        prelude=TIMED,
    )
    assert texts() == [str(n) for n in range(30)]
    assert (-done.code, done.out, losses(done)) == (getattr(signal, name), "", [])


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("os._exit(7)", 7),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGKILL)",
            -9,
            marks=pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signals"),
        ),
    ],
    ids=["_exit", "SIGKILL"],
)
def test_killed_right_after_a_flush(
    run: Run, discord: LocalDiscord, texts: Callable[[], list[str]], ending: str, code: int
) -> None:
    """After a `flush` that returned True, the records are in the channel, even if the process is killed.

    A flush that waits until the queue is empty, and not for the answers, returned before the last message was posted.
    """
    discord.fail_next(Fault.stall(0.1), times=3)
    done = run(
        f"""
        for n in range(30):
            log.error("%d", n)
            if n % 10 == 9:
                os.write(1, repr(handler.flush(10)).encode())
        log.error("lost, for all that anybody knows")
        {ending}
        """,
        prelude=TIMED,
    )
    assert (done.code, done.out) == (code, "TrueTrueTrue")
    assert texts()[:30] == [str(n) for n in range(30)]
