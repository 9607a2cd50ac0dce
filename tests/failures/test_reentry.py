"""Reconfiguration, feedback, re-entry, and user code that raises on the listener's thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from tests.failures.conftest import Run

_REFUSED = (
    "http://127.0.0.1:9/api/webhooks/123456789012345678/kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvW"
)

_BARE = """
import gc, itertools, json, logging, logging.config, logging.handlers, os, signal, sys, threading, time
import discord_logging
log = logging.getLogger("app")
log.setLevel("DEBUG")

def until(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)
"""

_PRELUDE = f"""{_BARE}
handler = discord_logging.DiscordHandler(flush_timeout=20)
log.addHandler(handler)

def show(**more):
    health = handler.health()
    names = ("accepted", "delivered", "pending", "dropped", "dropped_by_reason", "requests", "retries")
    print(json.dumps({{**{{name: health[name] for name in names}}, **more}}), flush=True)

def is_settled():
    return not handler.health()["pending"]
"""


class TestReconfiguration:
    """Handlers are made and closed while records wait, under any lock."""

    @pytest.mark.parametrize("disable", [True, False])
    def test_dict_config_while_records_wait(self, run: Run, texts: Any, disable: bool) -> None:
        """`dictConfig` before the first POST returns soon, and the waiting records are delivered.

        Without the warmed level caches the POST waits for the lock that `dictConfig` holds until its flush gives up.
        """
        done = run(
            f"""
            logging.getLogger().setLevel("DEBUG")
            for number in range(3): log.error("%d", number)
            began = time.monotonic()
            logging.config.dictConfig({{"version": 1, "disable_existing_loggers": {disable}}})
            print(time.monotonic() - began)
            """,
            prelude=_PRELUDE,
        )
        assert texts() == ["0", "1", "2"]
        assert float(done.out) < 10
        assert (done.code, done.err) == (0, "")

    @pytest.mark.parametrize("disable", [True, False])
    def test_dict_config_twice(self, discord: LocalDiscord, run: Run, texts: Any, disable: bool) -> None:
        """The second configuration with the same webhook takes over: each record arrives once, by one thread.

        Without a flush when the first is taken away, what waited is lost.
        """
        done = run(
            f"""
            config = {{
                "version": 1,
                "disable_existing_loggers": {disable},
                "handlers": {{"discord": {{"class": "discord_logging.DiscordHandler"}}}},
                "root": {{"handlers": ["discord"]}},
            }}
            for number in range(3):
                logging.config.dictConfig(config)
                logging.getLogger().error("%d", number)
            until(lambda: sum(thread.name.startswith("discord") for thread in threading.enumerate()) == 1)
            """,
            prelude=_BARE,
        )
        assert texts() == ["0", "1", "2"]
        assert (done.code, done.err) == (0, "")
        assert len(discord.requests) <= 3

    @pytest.mark.parametrize("ending", ["", "del handler; gc.collect()"])
    def test_handler_is_removed(self, run: Run, texts: Any, ending: str) -> None:
        """If a handler is removed, and collected, its waiting records are delivered at exit.

        Without the exit hook for listeners whose handlers are gone, the records of a collected one are lost.
        """
        done = run(
            f"""
            for number in range(3): log.error("%d", number)
            log.removeHandler(handler)
            {ending}
            """,
            prelude=_PRELUDE,
        )
        assert texts() == ["0", "1", "2"]
        assert (done.code, done.err) == (0, "")

    def test_close_twice(self, discord: LocalDiscord, run: Run) -> None:
        """The second `close` does nothing, and the losses are reported once.

        Without a note that it has left, a handler waits for its deadline twice.
        """
        discord.fail_next(Fault.stall(30))
        done = run(
            """
            log.error("hello")
            for _ in range(2):
                began = time.monotonic()
                handler.close(4)
                print(time.monotonic() - began)
            """,
            prelude=_PRELUDE.replace("flush_timeout=20", "flush_timeout=2"),
        )
        first, second = map(float, done.out.split())
        assert first > 3.9
        assert second < 3
        assert done.err.count("1 of 1 records were not delivered") == 1

    def test_close_before_the_first_record(self, run: Run, texts: Any) -> None:
        """No thread has to end and no message has to leave. The first record starts the thread."""
        done = run(
            """
            before = threading.active_count()
            handler.close()
            started = threading.active_count() - before
            for number in range(3): log.error("%d", number)
            show(started=[started, threading.active_count() - before])
            """,
            prelude=_PRELUDE,
        )
        assert json.loads(done.out)["started"] == [0, 1]
        assert (texts(), done.code, done.err) == (["0", "1", "2"], 0, "")

    def test_close_on_the_listeners_thread(self, run: Run, texts: Any) -> None:
        """The record whose layout closes the handler is delivered, and no thread waits for itself.

        Without a look at whose thread it is, `close` waits there for itself until its time is up.
        """
        done = run(
            """
            class Closing(discord_logging.EmbedFormatter):
                def title(self, record):
                    began = time.monotonic()
                    handler.close(20)
                    took.append(time.monotonic() - began)
                    return "closed"
            took = []
            handler.setFormatter(Closing())
            log.error("last")
            until(is_settled)
            until(lambda: not handler._listener.is_running())
            show(took=max(took))
            """,
            prelude=_PRELUDE,
        )
        health = json.loads(done.out)
        assert texts() == ["last"]
        assert (health["accepted"], health["delivered"]) == (1, 1)
        assert health["took"] < 10
        assert done.code == 0


class TestFeedback:
    """Feedback: records of the delivery itself are not delivered."""

    def test_feedback_loop(self, discord: LocalDiscord, run: Run, texts: Any) -> None:
        """One record on a DEBUG root is one POST, although urllib3 logs lines about it.

        Without the guard the lines about the POST are records, and need another POST.
        """
        done = run(_FEEDBACK + "handler.flush(5)\nshow(heard=len(heard))", prelude=_PRELUDE)
        health = json.loads(done.out)
        assert (health["accepted"], health["requests"], texts()) == (1, 1, ["hello"])
        assert health["heard"] >= 1
        assert len(discord.requests) == 1

    def test_feedback_loop_while_discord_answers_503(self, discord: LocalDiscord, run: Run, texts: Any) -> None:
        """Four POSTs are one record and three retries, without urllib3's lines and our warnings.

        Without the guard they arrive as records of their own.
        """
        discord.fail_next(Fault(status=503), times=3)
        done = run(_FEEDBACK + "handler.flush(10)\nshow(heard=len(heard))", prelude=_PRELUDE)
        health = json.loads(done.out)
        assert (health["accepted"], health["requests"], health["retries"], texts()) == (1, 4, 3, ["hello"])
        assert health["heard"] >= 5
        assert len(discord.requests) == 4

    def test_feedback_loop_while_discord_is_down(self, run: Run) -> None:
        """With refused connections there is one record, tried no more often than the delays allow.

        Without the guard every try makes records of its own.
        """
        done = run(
            _FEEDBACK + "until(lambda: handler.health()['retries'] >= 3)\nhandler.close(0)\nuntil(is_settled)\n"
            "show(heard=len(heard))",
            url=_REFUSED,
            prelude=_PRELUDE,
        )
        health = json.loads(done.out)
        assert (health["accepted"], health["dropped_by_reason"]) == (1, {"closed": 1})
        assert health["requests"] == 1 + health["retries"]
        assert health["heard"] >= 4


_FEEDBACK = """
log.removeHandler(handler)
handler = discord_logging.DiscordHandler(flush_timeout=1, retry_delays=[0.1] * 20, max_retry_delay=1)
heard = []
class Ear(logging.Handler):
    def emit(self, record):
        if record.name.startswith(("urllib3", "discord_logging")):
            heard.append(record.getMessage())
root = logging.getLogger()
root.addHandler(handler)
root.addHandler(Ear())
root.setLevel("DEBUG")
log.info("hello")
"""


class TestReentry:
    """Re-entry: a call begins while the same thread is inside another one."""

    @pytest.mark.parametrize(
        "work", ["log.warning('main %d', next(made))", "handler.flush(0.001)", "show()"], ids=["log", "flush", "ask"]
    )
    def test_signal_handler_logs(self, discord: LocalDiscord, run: Run, work: str) -> None:
        """Signals log every half millisecond, while their thread logs, flushes or asks: every record is counted.

        With `queue.Queue`, a QueueHandler of the standard library waits for itself within three seconds; so does this
        one when its callers wait for a lock.
        """
        del discord
        done = run(
            f"""
            log.removeHandler(handler)
            handler = discord_logging.DiscordHandler(flush_timeout=10, queue_size=200)
            log.addHandler(handler)
            made = itertools.count()
            signals = []
            def on_alarm(*_):
                signals.append(None)
                log.warning("signal %d", len(signals))
            signal.signal(signal.SIGALRM, on_alarm)
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            deadline = time.monotonic() + 2
            while len(signals) < 50 or (len(signals) < 4000 and time.monotonic() < deadline):
                {work}
            signal.setitimer(signal.ITIMER_REAL, 0)
            until(lambda: not signal.sigpending())
            show()
            handler.close()
            show(made=next(made), signals=len(signals))
            """,
            prelude=_PRELUDE,
        )
        *before, last = map(json.loads, done.out.splitlines())
        assert last["accepted"] == last["made"] + last["signals"]
        assert last["pending"] == 0
        for health in (*before, last):
            assert health["accepted"] == health["delivered"] + health["dropped"] + health["pending"]
        assert done.code == 0

    def test_del_logs(self, run: Run) -> None:
        """Objects log when the garbage collector finds them, wherever it runs: every record is counted.

        A handler that formats under a plain lock waits for itself, on Python 3.11.
        """
        done = run(
            """
            log.removeHandler(handler)
            handler = discord_logging.DiscordHandler(flush_timeout=10, queue_size=200)
            log.addHandler(handler)
            gone = []
            class Noisy:
                def __init__(self):
                    self.me = self
                def __del__(self):
                    # The handler does not take records that are logged on the listener's own thread.
                    if not threading.current_thread().name.startswith("discord-logging"):
                        gone.append(None)
                        log.warning("gone %d", len(gone))
            class Litter:
                def __str__(self):
                    Noisy()
                    return f"main {next(made)}"
            def litter():
                while not is_over:
                    Noisy()
                    # While a collection of the other thread is interrupted, there is no end to the litter.
                    time.sleep(1e-5)
            is_over = False
            gc.set_threshold(1)
            thread = threading.Thread(target=litter)
            thread.start()
            made = itertools.count()
            deadline = time.monotonic() + 1
            # A slow machine takes longer for as many.
            while len(gone) <= 500 or time.monotonic() < deadline:
                log.warning("%s", Litter())
            is_over = True
            thread.join()
            gc.collect()
            gc.set_threshold(700)
            show()
            handler.close()
            show(gone=len(gone), made=next(made))
            """,
            prelude=_PRELUDE,
        )
        before, last = map(json.loads, done.out.splitlines())
        assert last["gone"] > 500
        assert last["accepted"] == last["made"] + last["gone"]
        for health in (before, last):
            assert health["accepted"] == health["delivered"] + health["dropped"] + health["pending"]
        assert (last["pending"], done.code) == (0, 0)

    def test_str_logs(self, run: Run, texts: Any) -> None:
        """An argument logs while it is merged in: both records arrive, the inner one first.

        A handler that formats under a plain lock waits for itself.
        """
        done = run(
            """
            class Chatty:
                def __str__(self):
                    log.error("inner")
                    return "outer"
            log.error("%s", Chatty())
            """,
            prelude=_PRELUDE,
        )
        assert (texts(), done.code, done.err) == (["inner", "outer"], 0, "")

    @pytest.mark.parametrize(
        ("setup", "expected"),
        [
            ("handler.addFilter(lambda record: record.name != 'app' or not inner.error('inner'))", ["inner", "outer"]),
            ("handler.setFormatter(Plain())", ["inner", "outer"]),
            ("handler.setFormatter(Card())", ["outer"]),
        ],
        ids=["filter", "formatter", "embed"],
    )
    def test_filter_or_formatter_logs(self, run: Run, texts: Any, setup: str, expected: list[str]) -> None:
        """Records from the caller's thread arrive; those of a card, from the listener's thread, do not come back.

        Without the guard a card that logs while it is laid out brings on the next one, without end.
        """
        done = run(
            f"""
            inner = logging.getLogger("inner")
            inner.addHandler(handler)
            class Plain(logging.Formatter):
                def format(self, record):
                    record.name != "app" or inner.error("inner")
                    return super().format(record)
            class Card(discord_logging.EmbedFormatter):
                def title(self, record):
                    inner.error("inner")
                    return super().title(record)
            {setup}
            log.error("outer")
            handler.flush(5)
            show()
            """,
            prelude=_PRELUDE,
        )
        assert (texts(), done.code, done.err) == (expected, 0, "")
        assert json.loads(done.out)["delivered"] == len(expected)


_ONCE = [pytest.param(error, marks=pytest.mark.once) for error in ("RecursionError()", "MemoryError()")]
_ERRORS = ("ValueError()", *_ONCE)


class TestUserCodeThatRaises:
    """The listener's thread survives errors of user code, and the next record arrives."""

    @pytest.mark.parametrize(
        "error", [*_ERRORS, "SystemExit(3)", pytest.param("KeyboardInterrupt()", marks=pytest.mark.once), "endless"]
    )
    def test_card_raises(self, discord: LocalDiscord, run: Run, texts: Any, error: str) -> None:
        """A record whose card fails gets the standard card, which says so, and the next record arrives.

        With a guard against `Exception` alone, an exit raised there ends the thread; without one, the records are lost.
        """
        done = run(
            f"""
            def fail():
                raise fail() if {error!r} == "endless" else {error.replace("endless", "ValueError()")}
            class Faulty(discord_logging.EmbedFormatter):
                def title(self, record):
                    return fail() if record.message == "title" else super().title(record)
                def description(self, record):
                    return fail() if record.message == "description" else super().description(record)
                def embed(self, record):
                    return fail() if record.message == "embed" else super().embed(record)
            handler.setFormatter(Faulty())
            for message in ("title", "description", "embed"):
                log.error(message)
                until(is_settled)
            log.error("next")
            until(is_settled)
            show()
            """,
            prelude=_PRELUDE,
        )
        assert texts() == ["title", "description", "embed", "next"]
        footers = [embed["footer"]["text"] for message in discord.messages for embed in message.embeds]
        name = error.partition("(")[0].replace("endless", "RecursionError")
        assert [f"Faulty failed: {name}" in footer for footer in footers] == [True, True, True, False]
        assert (json.loads(done.out)["delivered"], done.code, done.err) == (4, 0, "")

    @pytest.mark.parametrize("error", _ERRORS)
    def test_formatter_raises(self, run: Run, texts: Any, error: str) -> None:
        """A record that a plain formatter cannot format arrives with a note, and so does the next one.

        Without the guard around the formatter the record is lost.
        """
        done = run(
            f"""
            class Faulty(logging.Formatter):
                def format(self, record):
                    if record.msg == "bad":
                        raise {error}
                    return super().format(record)
            handler.setFormatter(Faulty())
            for message in ("bad", "next"):
                log.error(message)
                until(is_settled)
            """,
            prelude=_PRELUDE,
        )
        assert (texts(), done.code, done.err) == (["bad", "next"], 0, "")

    @pytest.mark.parametrize("error", _ERRORS)
    def test_filter_raises(self, run: Run, texts: Any, error: str) -> None:
        """A record whose filter fails is counted, the caller notices nothing, and the next record arrives.

        Without the guard around the filter the program ends with an error of its logging.
        """
        done = run(
            f"""
            def choke(record):
                if record.msg == "bad":
                    raise {error}
                return True
            disabled = discord_logging.DiscordHandler(enabled=False)
            log.addHandler(disabled)
            for each in (handler, disabled):
                each.addFilter(choke)
            for message in ("bad", "next"):
                log.error(message)
                until(is_settled)
            show()
            """,
            prelude=_PRELUDE,
        )
        assert (texts(), done.code) == (["next"], 0)
        health = json.loads(done.out)
        assert (health["accepted"], health["delivered"], health["dropped_by_reason"]) == (2, 1, {"unreadable": 1})
        assert done.err.count("--- Logging error ---") == 2

    def test_interrupt_of_a_flush_on_the_main_thread(self, run: Run) -> None:
        """Ctrl-C during a delivery on the main thread, without a listener's thread, is not a fault.

        Without a look at the thread the program goes on as if nothing had been pressed.
        """
        done = run(
            """
            def refuse(_):
                raise RuntimeError("can't start new thread")
            threading.Thread.start = refuse
            class Interrupted(discord_logging.EmbedFormatter):
                def title(self, record):
                    raise KeyboardInterrupt
            handler.setFormatter(Interrupted())
            log.error("hello")
            try:
                handler.flush()
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            os._exit(0)
            """,
            prelude=_PRELUDE,
        )
        assert done.out == "interrupted\n"

    def test_a_step_that_raises_does_not_end_the_thread(self, run: Run, texts: Any) -> None:
        """Whatever ends a step costs the waiting records, but not the thread.

        With a guard against `Exception` alone the thread is gone, and the next record waits in vain.
        """
        done = run(
            """
            delivery = handler._listener._delivery
            take, delivery.take = delivery.take, sys.exit
            log.error("bad")
            until(is_settled)
            delivery.take = take
            log.error("next")
            until(is_settled)
            show()
            """,
            prelude=_PRELUDE,
        )
        assert (texts(), done.code) == (["next"], 0)
        assert json.loads(done.out)["dropped_by_reason"] == {"internal_error": 1}
