"""The listener's thread in a real process: exit, fork, reconfiguration, faults of our own."""

from __future__ import annotations

import io
import logging
import logging.config
import multiprocessing
import os
import queue
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, EmbedFormatter
from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._delivery import exit_time, registry
from discord_logging._delivery.listener import WebhookListener
from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._discord.sender import WebhookSender
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._process.own_threads import is_own_thread
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings, DeliverySettings
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.measured

TOKEN = "kQ7zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
REFUSED = f"http://127.0.0.1:9/api/webhooks/123456789012345678/{TOKEN}"


def run(
    script: str, url: str, *, timeout: float = 40.0, flush_timeout: float = 20.0
) -> subprocess.CompletedProcess[str]:
    """Run a program that logs to `url` in a process of its own, with a hard time limit."""
    prelude = f"""
        import logging, os, sys, threading, time
        import discord_logging
        handler = discord_logging.DiscordHandler(flush_timeout={flush_timeout})
        log = logging.getLogger("app")
        log.addHandler(handler)
        log.setLevel("DEBUG")
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(script)],
        env={**os.environ, "DISCORD_WEBHOOK_URL": url},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def make(url: WebhookURL | None = None, settings: DeliverySettings | None = None) -> WebhookListener:
    return connect(WebhookListener, url or WebhookURL.parse(REFUSED), settings)


def connect(
    listener_class: type[WebhookListener], url: WebhookURL, settings: DeliverySettings | None = None
) -> WebhookListener:
    """Return a listener that delivers from memory to a webhook."""
    return listener_class(
        url,
        settings or DeliverySettings(),
        backlog=MemoryBacklog(),
        sender=WebhookSender(url),
        limiter=DiscordRateLimiter(),
        on_start=lambda: None,
    )


def freeze_into(listener: WebhookListener, text: str) -> None:
    """Log a record without a thread that delivers it."""
    listener.backlog.wake_listener = lambda: True
    listener.backlog.put(freeze(logging.makeLogRecord({"msg": text}), CardSettings(EmbedFormatter())))


def texts(discord: LocalDiscord) -> list[str]:
    return [embed["description"].split("\n")[0] for message in discord.messages for embed in message.embeds]


class TestExit:
    """The exit of a script delivers its records."""

    @pytest.mark.parametrize("ending", ["", "sys.exit(0)", "logging.shutdown()", "raise SystemExit"])
    def test_everything_is_delivered(self, discord: LocalDiscord, ending: str) -> None:
        """A script that logs and ends at once loses nothing."""
        done = run(f"for n in range(30): log.error('%d', n)\n{ending}", discord.webhook_url)
        assert texts(discord) == [str(n) for n in range(30)]
        assert (done.returncode, done.stderr) == (0, "")

    def test_uncaught_exception_ends_the_process_as_ever(self, discord: LocalDiscord) -> None:
        """The records before the crash arrive, and the traceback is on stderr."""
        done = run("log.error('before')\n1/0", discord.webhook_url)
        assert (texts(discord), done.returncode) == (["before"], 1)
        assert "ZeroDivisionError" in done.stderr

    def test_unreachable_discord_is_reported_and_not_waited_for(self) -> None:
        """The process ends within `flush_timeout`, reports how many records were lost, and shows no token."""
        done = run(
            """
            import time, atexit
            for n in range(30): log.error('%d', n)
            began = time.monotonic()
            logging.shutdown()
            print(time.monotonic() - began)
            """,
            REFUSED,
            flush_timeout=2,
        )
        assert float(done.stdout) < 15
        assert "30 of 30 records were not delivered to webhook 123456789012345678 (30 closed;" in done.stderr
        assert TOKEN not in done.stdout + done.stderr

    def test_several_stuck_handlers_share_one_deadline_at_exit(self, discord: LocalDiscord) -> None:
        """Ten webhooks without a response delay the exit by two seconds, not by twenty."""
        discord.fail_next(Fault.stall(60), times=20)
        done = run(
            f"""
            others = {[discord.add_webhook() for _ in range(9)]!r}
            for number, url in enumerate(others):
                extra = discord_logging.DiscordHandler(url, flush_timeout=2)
                log.addHandler(extra)
            log.error("hello")
            print(time.time())
            """,
            discord.webhook_url,
            flush_timeout=2,
        )
        assert 1.5 < time.time() - float(done.stdout) < 15
        assert done.stderr.count("1 of 1 records were not delivered") == 10

    def test_record_logged_after_shutdown_is_harmless(self, discord: LocalDiscord) -> None:
        """A hook that logs after all handlers were closed neither hangs nor raises."""
        done = run(
            """
            import atexit
            atexit.unregister(logging.shutdown)
            atexit.register(lambda: log.error("too late"))
            atexit.register(logging.shutdown)
            log.error("in time")
            """,
            discord.webhook_url,
        )
        assert (texts(discord), done.returncode) == (["in time"], 0)

    def test_first_record_of_all_logged_at_exit(self, discord: LocalDiscord) -> None:
        """If no thread can be started any more, as on Python 3.12, the flush delivers."""
        done = run(
            """
            import atexit
            atexit.unregister(logging.shutdown)
            atexit.register(lambda: (log.error("at exit"), logging.shutdown()))
            """,
            discord.webhook_url,
        )
        assert (texts(discord), done.returncode, done.stderr) == (["at exit"], 0, "")

    def test_handler_that_is_gone_before_the_end_loses_nothing(self, discord: LocalDiscord) -> None:
        """The records of a handler that was removed and collected are delivered."""
        done = run(
            f"""
            import gc
            other = discord_logging.DiscordHandler({discord.add_webhook()!r})
            log.addHandler(other)
            log.error("hello")
            log.removeHandler(other)
            del other
            gc.collect()
            """,
            discord.webhook_url,
        )
        assert (texts(discord), done.returncode, done.stderr) == (["hello", "hello"], 0, "")

    def test_records_logged_during_the_flush_have_their_time_too(self, discord: LocalDiscord) -> None:
        """Records that come during the exit flush are flushed by `close`."""
        discord.fail_next(Fault.stall(1.0))
        done = run(
            """
            def log_meanwhile():
                while not handler.health()["requests"]:
                    pass
                log.error("second")
            log.error("first")
            threading.Thread(target=log_meanwhile, daemon=True).start()
            """,
            discord.webhook_url,
        )
        assert (texts(discord), done.stderr) == (["first", "second"], "")

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_child_of_multiprocessing_delivers(self, discord: LocalDiscord, method: str) -> None:
        """Up to Python 3.12, such a child ends without atexit hooks, but delivers."""
        if method not in multiprocessing.get_all_start_methods():
            return
        script = textwrap.dedent(
            f"""
            import logging, multiprocessing, os
            import discord_logging
            log = logging.getLogger("app")
            log.addHandler(discord_logging.DiscordHandler(flush_timeout=20))
            def work(number):
                log.error("child %d", number)
            if __name__ == "__main__":
                import warnings
                warnings.simplefilter("ignore", DeprecationWarning)
                context = multiprocessing.get_context({method!r})
                children = [context.Process(target=work, args=(number,)) for number in range(2)]
                for child in children: child.start()
                log.error("parent")
                for child in children: child.join()
            """
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "children.py")
            path.write_text(script)
            environment = {**os.environ, "DISCORD_WEBHOOK_URL": discord.webhook_url}
            subprocess.run([sys.executable, path], env=environment, timeout=40, check=True)
        assert sorted(texts(discord)) == ["child 0", "child 1", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
class TestFork:
    """Parent and child deliver their own records, once."""

    def test_each_record_arrives_once(self, discord: LocalDiscord) -> None:
        """The parent delivers the records that it has queued; the child starts its own thread."""
        done = run(
            """
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            for n in range(5): log.error("parent %d", n)
            child = os.fork()
            log.error("child" if child == 0 else "parent 5")
            if child == 0:
                print(threading.active_count(), handler.health()["accepted"], flush=True)
                logging.shutdown()
                os._exit(0)
            os.waitpid(child, 0)
            """,
            discord.webhook_url,
        )
        assert sorted(texts(discord)) == ["child", *(f"parent {n}" for n in range(6))]
        assert done.stdout == "2 1\n"

    def test_fork_while_locks_are_held(self, discord: LocalDiscord) -> None:
        """A child that is forked while another thread holds all of our locks does not hang."""
        done = run(
            """
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            log.error("parent")
            handler.flush()
            ready, release = threading.Event(), threading.Event()
            def hold():
                with handler._listener.backlog.lock, handler._listener._starting:
                    ready.set()
                    release.wait(10)
            thread = threading.Thread(target=hold)
            thread.start()
            ready.wait()
            child = os.fork()
            if child == 0:
                log.error("child")
                logging.shutdown()
                os._exit(0)
            os.waitpid(child, 0)
            release.set()
            thread.join()
            """,
            discord.webhook_url,
        )
        assert sorted(texts(discord)) == ["child", "parent"]
        assert done.returncode == 0


class TestReconfiguration:
    """`dictConfig` holds the lock of logging while it closes handlers."""

    def test_dict_config_right_after_the_first_record_delivers_it(self, discord: LocalDiscord) -> None:
        """The first POST, made while dictConfig waits, needs no lock that dictConfig holds."""
        done = run(
            """
            import logging.config
            logging.getLogger().setLevel("DEBUG")
            for n in range(3): log.error("%d", n)
            began = time.monotonic()
            logging.config.dictConfig({"version": 1})
            print(time.monotonic() - began)
            """,
            discord.webhook_url,
        )
        assert texts(discord) == ["0", "1", "2"]
        assert float(done.stdout) < 10

    @pytest.mark.parametrize("fault", [Fault.rate_limited(0.3), Fault(status=502)])
    def test_dict_config_while_a_warning_is_logged(self, discord: LocalDiscord, fault: Fault) -> None:
        """The warning about a 429 or an outage needs no lock that dictConfig holds either."""
        discord.fail_next(fault)
        done = run(
            """
            import logging.config
            handler.close()
            handler = discord_logging.DiscordHandler(retry_delays=[0.2], flush_timeout=18)
            log.addHandler(handler)
            log.error("hello")
            began = time.monotonic()
            logging.config.dictConfig({"version": 1})
            print(time.monotonic() - began)
            """,
            discord.webhook_url,
        )
        assert texts(discord) == ["hello"]
        assert float(done.stdout) < 10

    def test_handlers_are_made_while_dict_config_runs(self, discord: LocalDiscord) -> None:
        """A thread with a lock of logging never waits for a lock of ours whose holder waits for logging.

        The garbage collector does: it takes logging's lock for each handler, and comes at any moment.
        """
        done = run(
            """
            import gc, logging.config
            gc.set_threshold(3)
            def make():
                for number in range(50):
                    discord_logging.DiscordHandler().close(timeout=0)
            def configure():
                for number in range(50):
                    logging.config.dictConfig({
                        "version": 1, "handlers": {"discord": {"class": "discord_logging.DiscordHandler"}},
                    })
            threads = [threading.Thread(target=each, daemon=True) for each in (make, configure)]
            for thread in threads: thread.start()
            for thread in threads: thread.join(10)
            print(any(thread.is_alive() for thread in threads))
            """,
            discord.webhook_url,
        )
        assert done.stdout == "False\n"

    @pytest.mark.parametrize("place", ["backlog", "limiter"])
    def test_dict_config_while_garbage_is_collected_under_a_lock(self, discord: LocalDiscord, place: str) -> None:
        """A thread with our lock waits for logging's lock, which dictConfig has: dictConfig does not wait for it."""
        done = run(
            f"""
            import logging.config
            from discord_logging._discord import rate_limiter
            lock = {{"backlog": handler._listener.backlog.lock, "limiter": rate_limiter.lock}}[{place!r}]
            is_held = threading.Event()
            def collect():
                with lock:
                    is_held.set()
                    logging.getLogger("another")
            thread = threading.Thread(target=collect, daemon=True)
            class Last(logging.Handler):
                def flush(self):
                    if not is_held.is_set():
                        thread.start()
                        is_held.wait()
            last = Last()
            logging.config.dictConfig({{
                "version": 1,
                "handlers": {{"discord": {{"class": "discord_logging.DiscordHandler"}}}},
                "root": {{"handlers": ["discord"]}},
            }})
            thread.join(10)
            logging.error("hello")
            print(thread.is_alive(), logging.root.handlers[0].flush())
            """,
            discord.webhook_url,
        )
        assert done.stdout == "False True\n"
        assert texts(discord) == ["hello"]

    def test_handler_may_be_closed_by_the_garbage_collector(self, discord: LocalDiscord) -> None:
        """`__del__` that closes a handler while its thread makes another does not wait for itself."""
        handler = DiscordHandler(discord.webhook_url)
        with registry._registry_lock():
            handler.close(timeout=0)
        assert handler.health()["status"] == "closed"

    def test_dict_config_twice_with_the_same_webhook(self, discord: LocalDiscord) -> None:
        """The second configuration takes over; nothing is lost or sent twice."""
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"discord": {"class": "discord_logging.DiscordHandler", "webhook_url": discord.webhook_url}},
            "root": {"handlers": ["discord"]},
        }
        for number in range(2):
            logging.config.dictConfig(config)
            logging.getLogger("app").error("%d", number)
        for handler in logging.getLogger().handlers:
            assert isinstance(handler, DiscordHandler)
            assert handler.flush()
        assert texts(discord) == ["0", "1"]


class TestThread:
    """The thread starts late, survives faults, and ends."""

    def test_thread_ends_with_the_last_handler(self, discord: LocalDiscord) -> None:
        """Closing leaves no thread behind."""
        handler = DiscordHandler(discord.webhook_url)
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        handler.flush()
        assert handler._listener
        (thread,) = [each for each in threading.enumerate() if handler._listener.url.id in each.name]
        handler.close()
        thread.join(5)
        assert not thread.is_alive()

    @pytest.mark.parametrize("step", ["take", "deliver"])
    def test_fault_of_our_own_costs_the_records_and_not_the_thread(
        self, step: str, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An error of a step is counted and logged, and the next record arrives."""
        handler = DiscordHandler(discord.webhook_url)
        assert handler._listener
        delivery = handler._listener._delivery

        def fail(*_: object) -> None:
            monkeypatch.undo()
            raise MemoryError

        monkeypatch.setattr(delivery, step, fail)
        handler.handle(logging.makeLogRecord({"msg": "lost"}))
        handler.flush()
        handler.handle(logging.makeLogRecord({"msg": "next"}))
        assert handler.flush()
        assert texts(discord) == ["next"]
        assert handler.health()["dropped_by_reason"] == {"internal_error": 1}
        assert "The listener failed" in caplog.text
        handler.close()

    def test_thread_that_cannot_start_is_tried_again(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a thread the record waits, and the next record tries again."""
        handler = DiscordHandler(discord.webhook_url)

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            handler.handle(logging.makeLogRecord({"msg": "first"}))
        assert handler.health()["pending"] == 1
        handler.handle(logging.makeLogRecord({"msg": "second"}))
        assert handler.flush()
        assert texts(discord) == ["first", "second"]
        handler.close()

    def test_flush_delivers_when_no_thread_can_be_started(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The flush posts on its own thread, and waits for short limits."""
        discord.fail_next(Fault.rate_limited(0.2))
        handler = DiscordHandler(discord.webhook_url)

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            handler.handle(logging.makeLogRecord({"msg": "hello"}))
            assert handler.flush()
            # Held back, for it says the same; nobody else would release it.
            handler.handle(logging.makeLogRecord({"msg": "hello"}))
            assert handler.flush()
        assert texts(discord) == ["hello", "hello"]
        assert not is_own_thread.get()
        handler.close()

    def test_a_flush_without_a_thread_sleeps_until_its_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The flush does not poll while it waits."""
        listener = make()
        listener.backlog.put(freeze(logging.makeLogRecord({"msg": "hello"}), CardSettings(None)))
        delays, waits = [0.1, 0.07, 0.0], list[float | None]()

        def step() -> float:
            if len(delays) == 1:
                listener.backlog.ack(listener.backlog.lease(1))
            return delays.pop(0)

        monkeypatch.setattr(listener._delivery, "step", step)
        monkeypatch.setattr(listener.backlog, "wait", waits.append)
        listener._deliver_in_this_thread(time.monotonic() + 60)
        assert waits == [0.0, 0.1, 0.07]

    def test_a_flush_leaves_no_deadline_behind(self) -> None:
        """The deadlines of other flushes stay."""
        listener = make()
        listener._delivery.deadlines.append(50.0)
        listener.flush(0.0, is_last=True)
        assert (listener._delivery.deadlines, listener._delivery.is_last) == ([50.0], False)

    def test_a_flush_in_the_middle_leaves_the_last_one_the_last(self) -> None:
        """The last flush, on another thread, may still be running."""
        listener = make()
        listener._delivery.is_last = True
        listener.flush(0.0)
        assert listener._delivery.is_last

    @pytest.mark.parametrize("is_exiting", [True, False])
    def test_at_exit_every_flush_is_the_last(self, monkeypatch: pytest.MonkeyPatch, is_exiting: bool) -> None:
        """The flush of `stop` is the last, too: no message waits for a turn."""
        monkeypatch.setattr(exit_time, "_waited", 0.0 if is_exiting else None)
        listener = make()
        found = list[bool]()

        def wait(*_: object, **__: object) -> bool:
            found.append(listener._delivery.is_last)
            return True

        monkeypatch.setattr(listener.backlog, "wait_until_settled", wait)
        listener.flush(1.0)
        listener.flush(1.0, is_last=True)
        listener.stop(1.0)
        assert found == [is_exiting, True, True]

    def test_another_limit_of_the_channel_ends_the_wait_for_the_old_one(self) -> None:
        """The limiter names the wait that is still necessary."""
        listener = make()
        listener._delivery.not_before = 1e9
        listener.configure(DeliverySettings())
        assert listener._delivery.not_before == 1e9
        listener.configure(DeliverySettings(channel_limit=40))
        assert listener._delivery.not_before < 0

    def test_stopping_twice_is_stopping_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The losses are reported once."""
        listener = make()
        listener.backlog.refuse("INFO", "unreadable")
        for _ in range(2):
            listener.stop()
        assert capsys.readouterr().err.count("1 of 1 records were not delivered") == 1

    def test_ctrl_c_while_the_main_thread_delivers_ends_the_program(self) -> None:
        """On another thread it would only end that thread."""
        listener = make()

        def interrupt() -> float:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            listener._attempt(interrupt)

    def test_listener_that_another_thread_made_meanwhile_is_shared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A webhook has one listener, however many handlers are made at a time."""
        url, settings = WebhookURL.parse(REFUSED), DeliverySettings()
        made = make(url, settings)

        def make_another(*_: object, **__: object) -> object:
            registry._known[made.key] = made
            return object()

        monkeypatch.setattr(registry, "WebhookListener", make_another)
        user = logging.NullHandler()
        assert registry.attach(user, url, settings) is made
        registry.detach(user, made)

    def test_interrupted_start_of_the_thread_is_tried_again(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C in the call that starts the thread does not end the delivery for ever."""
        handler = DiscordHandler(discord.webhook_url)

        def interrupt(_: threading.Thread) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", interrupt)
            with pytest.raises(KeyboardInterrupt):
                handler.handle(logging.makeLogRecord({"msg": "first"}))
        handler.handle(logging.makeLogRecord({"msg": "second"}))
        assert handler.flush()
        assert texts(discord) == ["first", "second"]
        handler.close()

    def test_raising_filter_of_the_users_costs_nothing(self, discord: LocalDiscord) -> None:
        """A filter that fails on our thread, such as one that needs Flask's request, gets our own warning."""

        def only_main_thread(_: logging.LogRecord) -> bool:
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("working outside of request context")
            return True

        stream = logging.StreamHandler(io.StringIO())
        stream.addFilter(only_main_thread)
        logging.getLogger().addHandler(stream)
        discord.fail_next(Fault(status=502))
        handler = DiscordHandler(discord.webhook_url, retry_delays=[0.1])
        for number in range(3):
            handler.handle(logging.makeLogRecord({"msg": str(number)}))
        assert handler.flush()
        assert texts(discord) == ["0", "1", "2"]
        handler.close()

    def test_child_forgets_its_parent(self, discord: LocalDiscord) -> None:
        """After the hook, the child has no queued record, no thread and zero counts, and works again."""
        handler = DiscordHandler(discord.webhook_url)
        handler.handle(logging.makeLogRecord({"msg": "parent"}))
        assert handler.flush()
        registry._after_fork_in_child()
        assert (handler.health()["accepted"], is_own_thread.get()) == (0, False)
        handler.handle(logging.makeLogRecord({"msg": "child"}))
        assert handler.flush()
        assert texts(discord) == ["parent", "child"]
        handler.close()

    def test_two_flushes_at_a_time(self, discord: LocalDiscord) -> None:
        """The end of one flush does not remove the deadline of another."""
        discord.fail_next(Fault.stall(3))
        handler = DiscordHandler(discord.webhook_url)
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        results: list[bool] = []
        thread = threading.Thread(target=lambda: results.append(handler.flush(10)))
        thread.start()
        while not discord.requests:
            assert not handler.flush(0.01)
        thread.join()
        assert results == [True]
        handler.close()

    def test_thread_that_another_caller_has_just_started_is_kept(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another caller may have started it between the first check and the lock."""
        handler = DiscordHandler(discord.webhook_url)
        assert handler._listener
        looks = iter([False, True])
        monkeypatch.setattr(handler._listener, "is_running", lambda: next(looks))
        assert handler._listener._wake()
        assert handler._listener._thread is None
        monkeypatch.undo()
        handler.close()

    def test_thread_is_started_by_one_caller_only(self) -> None:
        """Other callers do not wait while one starts the thread."""
        listener = make()
        with listener._starting:
            assert listener._wake() is True
        assert listener._thread is None

    def test_a_loss_in_flight_is_reported(self, discord: LocalDiscord, capsys: pytest.CaptureFixture[str]) -> None:
        """A record whose request has no response at the time-out is reported as well."""
        discord.fail_next(Fault.stall(30))
        handler = DiscordHandler(discord.webhook_url)
        handler.handle(logging.makeLogRecord({"msg": "hello"}))
        handler.close(0.3)
        assert "1 of 1 records were not delivered" in capsys.readouterr().err


class TestQueueListener:
    """The listener obeys the contract of the standard library's."""

    def test_a_second_start_is_an_error(self) -> None:
        """This is so from Python 3.14 on, since two threads would post at a time."""
        listener = make()
        listener.start()
        with pytest.raises(RuntimeError, match="already started"):
            listener.start()
        listener.stop()

    def test_a_start_that_failed_may_be_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A thread that was never started does not count as running."""
        listener = make()

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                listener.start()
        listener.start()
        assert listener.is_running()
        listener.stop()

    def test_dequeue_returns_the_records_for_a_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The records are in flight from then on."""
        listener = make()
        monkeypatch.setattr(listener, "start", lambda: None)
        for number in range(3):
            listener.backlog.put(freeze(logging.makeLogRecord({"msg": str(number)}), CardSettings(None)))
        assert [entry.record.message for entry in listener.dequeue(block=True)] == ["0", "1", "2"]
        assert not is_own_thread.get()
        assert (listener.backlog.peek().records, listener.backlog.pending) == (0, 3)

    def test_dequeue_without_blocking_finds_nothing(self) -> None:
        """The error is that of the standard library's queues."""
        with pytest.raises(queue.Empty):
            make().dequeue(block=False)

    def test_the_sentinel_ends_the_thread(self) -> None:
        """The thread ends at once, however long it would wait for a record."""
        listener = make()
        listener.start()
        thread = listener._thread
        assert thread
        listener.enqueue_sentinel()
        thread.join(10)
        assert not listener.is_running()

    def test_a_child_delivers_no_record_of_a_stopping_listener(self) -> None:
        """The listener that another thread was stopping at the fork is empty, and is not stopping any more."""
        listener = make()
        listener.backlog.refuse("INFO", "unreadable")
        registry._known[listener.key] = listener
        listener.enqueue_sentinel()
        registry._after_fork_in_child()
        assert (listener._is_stopping, listener.backlog.pending, listener.backlog.lost) == (False, 0, 0)

    @pytest.mark.parametrize(
        ("kept", "words"),
        [
            (1, "1 record waits in /backlog for the next process that posts to webhook 123456789012345678"),
            (2, "2 records wait in /backlog for the next process that posts to webhook 123456789012345678"),
        ],
    )
    def test_records_that_are_kept_are_told_and_are_no_losses(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kept: int, words: str
    ) -> None:
        """Those that were dropped are told beside them."""
        listener = make()
        backlog = listener.backlog
        monkeypatch.setattr(backlog, "place", "/backlog")
        for number in range(kept):
            freeze_into(listener, str(number))
        listener.say_losses()
        assert capsys.readouterr().err == f"discord_logging: {words}\n"
        backlog.refuse("INFO", "unreadable")
        listener.say_losses()
        assert capsys.readouterr().err.splitlines() == [
            f"discord_logging: {words}",
            f"discord_logging: 1 of {kept + 1} records were not delivered to webhook 123456789012345678 (1 unreadable)",
        ]
        monkeypatch.setattr(backlog, "place", "")
        assert listener.key == (listener.url.key, TOKEN, "")
        backlog.drop("closed")

    def test_a_late_record_waits_where_records_are_kept(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told once."""
        listener = make()
        monkeypatch.setattr(listener.backlog, "place", "/backlog")
        listener._report_late_record()
        listener._report_late_record()
        assert capsys.readouterr().err.count("was closed: it waits in /backlog\n") == 1

    def test_a_record_after_the_stop_starts_another_thread(self, discord: LocalDiscord) -> None:
        """The thread that ends does not end before a record that it can still deliver."""
        listener = connect(WebhookListener, WebhookURL.parse(discord.webhook_url))
        for number in range(20):
            listener.backlog.put(freeze(logging.makeLogRecord({"msg": str(number)}), CardSettings(EmbedFormatter())))
            listener.stop(20)
        assert listener.backlog.count() == {"accepted": 20, "delivered": 20, "pending": 0, "dropped": 0}
        assert texts(discord) == [str(number) for number in range(20)]

    @pytest.mark.parametrize("comes", ["before the end", "after the end"])
    def test_a_record_while_the_thread_ends_is_delivered(
        self, discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch, comes: str
    ) -> None:
        """Its caller takes the thread for a running one, so that the thread itself must look once more."""
        listener = connect(WebhookListener, WebhookURL.parse(discord.webhook_url))
        close = listener._sender.close

        def put() -> None:
            listener.backlog.put(freeze(logging.makeLogRecord({"msg": "late"}), CardSettings(EmbedFormatter())))

        def close_and_put() -> None:
            monkeypatch.undo()
            close()
            other = threading.Thread(target=put)
            other.start()
            other.join(10)

        if comes == "after the end":
            monkeypatch.setattr(listener._sender, "close", close_and_put)
        listener.start()
        listener.stop()
        if comes == "before the end":
            put()
        assert discord.wait_for(1)
        assert listener.flush(20)
        assert texts(discord) == ["late"]
        listener.stop()

    def test_a_handler_that_is_reopened_while_its_listener_stops_keeps_the_records(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`dictConfig` closes a handler while another thread logs and Discord does not answer."""
        listener = make()
        monkeypatch.setattr(listener, "start", lambda: None)
        user = logging.NullHandler()

        def flush(*_: object, **__: object) -> bool:
            listener.backlog.put(freeze(logging.makeLogRecord({"msg": "hello"}), CardSettings(None)))
            listener.reattach(user)
            return False

        monkeypatch.setattr(listener, "flush", flush)
        listener.stop(5.0)
        assert listener.backlog.count() == {"accepted": 1, "delivered": 0, "pending": 1, "dropped": 0}

    def test_ctrl_c_in_a_stop_reports_the_losses(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """No record is left pending for ever."""
        listener = make()
        monkeypatch.setattr(listener, "start", lambda: None)
        listener.backlog.put(freeze(logging.makeLogRecord({"msg": "hello"}), CardSettings(None)))

        def interrupt(*_: object, **__: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(listener, "flush", interrupt)
        with pytest.raises(KeyboardInterrupt):
            listener.stop(5.0)
        assert "1 of 1 records were not delivered" in capsys.readouterr().err
        assert listener.backlog.count()["pending"] == 0

    def test_ctrl_c_in_a_delivery_leaves_nothing_in_flight(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The records of the message in flight count as interrupted, and no flush waits for them."""
        listener = make()
        monkeypatch.setattr(listener, "start", lambda: None)
        listener.backlog.put(freeze(logging.makeLogRecord({"msg": "hello"}), CardSettings(None)))

        def interrupt() -> None:
            listener.backlog.lease(1)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            listener._attempt(interrupt)
        assert (listener.backlog.pending, sum(listener.backlog.dropped.values())) == (0, 1)
        assert {reason for reason, _ in listener.backlog.dropped} == {"interrupted"}

    def test_ctrl_c_as_soon_as_the_start_may_begin_leaves_no_lock_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next record starts the thread."""
        listener = make()
        acquire = listener._starting.acquire

        def interrupt(timeout: float) -> bool:
            acquire(timeout)
            raise KeyboardInterrupt

        monkeypatch.setattr(listener._starting, "acquire", interrupt)
        with pytest.raises(KeyboardInterrupt):
            listener._wake()
        assert not listener._starting.is_held_by_this_thread()

    def test_an_override_of_prepare_that_raises_costs_the_records_alone(
        self, discord: LocalDiscord, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The thread runs on."""

        class Listener(WebhookListener):
            def prepare(self, record: Any) -> Any:
                if record[0].record.message == "bad":
                    raise LookupError
                return record

        listener = connect(Listener, WebhookURL.parse(discord.webhook_url))
        for message in ("bad", "good"):
            settings = CardSettings(EmbedFormatter())
            listener.backlog.put(freeze(logging.makeLogRecord({"msg": message}), settings))
            listener.flush(10)
        assert texts(discord) == ["good"]
        assert "The listener failed" in caplog.text
        listener.stop()

    def test_prepare_may_be_overridden(self, discord: LocalDiscord) -> None:
        """The override gets the records of a message before they are delivered, on the listener's thread."""
        prepared: list[str] = []

        class Listener(WebhookListener):
            def prepare(self, record: Any) -> Any:
                prepared.extend(entry.record.message for entry in record)
                return record

        listener = connect(Listener, WebhookURL.parse(discord.webhook_url))
        listener.backlog.put(freeze(logging.makeLogRecord({"msg": "hello"}), CardSettings(EmbedFormatter())))
        assert listener.flush(10)
        assert prepared == ["hello"]
        listener.stop()


class TestUWSGI:
    """uWSGI runs no threads by default, so that no record would be posted before the end."""

    @pytest.fixture(autouse=True)
    def _untold(self) -> Iterator[None]:
        registry._warn_of_uwsgi.cache_clear()
        yield
        registry._warn_of_uwsgi.cache_clear()

    @pytest.mark.parametrize(
        "options", [{}, {"enable-threads": b"false"}, {"threads": b"0"}, {"enable-threads": "no", "processes": b"4"}]
    )
    def test_without_threads_there_is_one_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, options: dict[str, object]
    ) -> None:
        """The warning comes once, however many handlers are made."""
        monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(opt=options))
        for _ in range(3):
            DiscordHandler(REFUSED).close(timeout=0)
        # A listener of another test may have something to say as well.
        (warning,) = (message for message in caplog.messages if "uWSGI" in message)
        assert warning.startswith("uWSGI runs without threads")
        assert warning.endswith("add --enable-threads")

    @pytest.mark.parametrize(
        "options", [{"enable-threads": True}, {"enable-threads": b"true"}, {"threads": b"2"}, {"threads": "4"}]
    )
    def test_with_threads_there_is_no_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, options: dict[str, object]
    ) -> None:
        """Either option is enough."""
        monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(opt=options))
        DiscordHandler(REFUSED).close(timeout=0)
        assert caplog.messages == []

    @pytest.mark.parametrize("module", [None, types.SimpleNamespace()])
    def test_without_uwsgi_there_is_no_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, module: object
    ) -> None:
        """The module may be missing, or be another one with the same name."""
        monkeypatch.setitem(sys.modules, "uwsgi", module)
        DiscordHandler(REFUSED).close(timeout=0)
        assert caplog.messages == []
