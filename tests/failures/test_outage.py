"""Discord is away, is full, refuses, or is gone; and one error comes ten thousand times."""

from __future__ import annotations

import json
import re
import sys
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault
from discord_logging.sandbox._answers import Answer, phrase
from tests.failures.conftest import PEAK

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging.sandbox import LocalDiscord
    from discord_logging.sandbox._webhooks import Call

    RefuseWhen = Callable[[int, Callable[[str], bool]], None]

pytestmark = pytest.mark.once

_PRELUDE = """
import gc, json, logging, os, sys, threading, time
import discord_logging
log = logging.getLogger("app")
log.setLevel("DEBUG")
def use(**settings):
    log.addHandler(discord_logging.DiscordHandler(**settings))
    return log.handlers[-1]
def wait_until(is_so, seconds=15):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)
"""
_PRELUDE += PEAK
"""The beginning of every program here; `use` adds a handler."""

_OUT_OF_TIME = """
import functools
from discord_logging._delivery import listener as listener_module
from discord_logging._backlogs.memory import MemoryBacklog
listener_module.Delivery = functools.partial(listener_module.Delivery, clock=lambda: time.monotonic() * 200)
_wait = MemoryBacklog.wait
MemoryBacklog.wait = lambda self, timeout: _wait(self, timeout and timeout / 200)
"""
"""Makes ten minutes of retries pass in three seconds."""

_HAS_RSS = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak memory of a program alone")


@pytest.fixture
def refuse_when(discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> RefuseWhen:
    """Return a function that makes Discord respond with a status whenever a condition holds for a message."""
    respond = discord._webhooks.respond

    def begin(status: int, is_so: Callable[[str], bool]) -> None:
        def answer(call: Call) -> Answer:
            said = "\n".join([json.dumps(call.body.payload), *(file.text for file in call.body.files)])
            return Answer(status, {"message": phrase(status), "code": 0}) if is_so(said) else respond(call)

        monkeypatch.setattr(discord._webhooks, "respond", answer)

    return begin


class TestOutageWithAFullQueue:
    """Discord is down for minutes while the program logs far more records than may wait."""

    @_HAS_RSS
    def test_outage_with_a_full_queue(self, discord: LocalDiscord, run: Any, refuse_when: RefuseWhen) -> None:
        """Memory is bounded, every ERROR survives the flood of INFO, and one message reports the losses.

        Without the bound the process grows by 60 MB; without a queue for each level all errors but the last two are
        gone; without the report in the next message the channel never learns of it.
        """
        refuse_when(503, lambda said: "the end" not in said)
        done = run(
            """
            handler = use(queue_size=2_000)
            log.info("the beginning")
            wait_until(lambda: handler.health()["retries"])
            before = peak()
            for n in range(100_000):
                log.info("GET /orders/%d", n)
                if n % 1_000 == 999:
                    log.error("order %d could not be shipped", n)
            log.critical("the end")
            wait_until(lambda: not handler.health()["pending"])
            print(json.dumps({**handler.health(), "grown": peak() - before}))
            """,
            prelude=_PRELUDE + _OUT_OF_TIME,
        )
        health = json.loads(done.out)
        assert health["grown"] < 30_000_000
        (message,) = discord.messages
        dropped = health["dropped"]
        assert health["dropped_by_reason"] == {"queue_full": dropped}
        assert health["accepted"] == 100_102 == health["delivered"] + dropped
        assert re.fullmatch(
            rf"⚠️ {dropped:,} records were dropped since <t:\d+:T>: {dropped:,} INFO \(queue full\)",
            message.content,
        )
        (file,) = message.files
        _, _, records = file.text.partition("\n\n")
        errors = re.findall(r"ERROR app .* order (\d+) could not be shipped", records)
        assert errors == [str(n) for n in range(999, 100_000, 1_000)]
        assert len(records.splitlines()) == health["delivered"]

    def test_outage_with_eight_threads_that_log_without_pause(
        self, discord: LocalDiscord, run: Any, refuse_when: RefuseWhen
    ) -> None:
        """The bound holds for many threads too: callers let the thread run that takes records in.

        Without the turn that a caller gives when others hold the lock, two thirds of 100,000 records wait at a time.
        """
        refuse_when(503, lambda _: True)
        done = run(
            """
            handler = use(queue_size=1_000, flush_timeout=0)
            backlog = handler._listener.backlog
            most = 0
            def flood(number):
                global most
                for n in range(12_500):
                    log.info("GET /orders/%d from %d", n, number)
                    most = max(most, backlog.pending)
            threads = [threading.Thread(target=flood, args=(number,)) for number in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            print(most, handler.health()["accepted"])
            """,
            prelude=_PRELUDE + _OUT_OF_TIME,
        )
        most, accepted = map(int, done.out.split())
        assert most < 20_000
        assert accepted == 100_000
        assert not discord.messages


class TestStoppingWithAFullQueue:
    """The queue is full when the handler is closed."""

    @pytest.mark.parametrize(
        ("fault", "fewest_lost"), [(Fault.stall(30), 100), (Fault.stall(0.3), 50)], ids=["stuck", "slow"]
    )
    def test_stopping_with_a_full_queue(self, discord: LocalDiscord, run: Any, fault: Fault, fewest_lost: int) -> None:
        """`close` returns in time, the thread ends, every record is counted, and stderr reports the losses.

        The standard `QueueListener` on a `queue.Queue(5)` raises `queue.Full` in `stop`, and its thread never ends.
        """
        discord.fail_next(fault)
        done = run(
            """
            handler = use(queue_size=5, timeout=2.5)
            for n in range(100):
                log.info("%d", n)
            (thread,) = [each for each in threading.enumerate() if "discord" in each.name]
            began = time.monotonic()
            handler.close(1)
            took = time.monotonic() - began
            thread.join(10)
            print(json.dumps({**handler.health(), "took": took, "alive": thread.is_alive()}))
            """,
            prelude=_PRELUDE,
        )
        health = json.loads(done.out)
        assert health["took"] < 10
        assert not health["alive"]
        assert (health["accepted"], health["pending"]) == (100, 0)
        assert health["delivered"] == 100 - health["dropped"]
        assert health["dropped"] >= fewest_lost
        assert f"{health['dropped']} of 100 records were not delivered" in done.err
        assert done.code == 0


def _limited(body: object, headers: dict[str, str]) -> Fault:
    return Fault(status=429, body=body, headers={"Via": "1.1 google", **headers})  # type: ignore[arg-type]


_DATE = 1_700_000_000
_SCOPE = {"X-RateLimit-Scope": "user"}
_HTML = "<!DOCTYPE html>\n<html><body>error code: 1015</body></html>\n"
_SHAPES = {
    "float seconds": (_limited({"retry_after": 0.4, "global": False}, {"Retry-After": "1"}), 0.4),
    "no header": (_limited({"retry_after": 0.4, "global": False}, {}), 0.4),
    "whole seconds in the header alone": (_limited({}, {**_SCOPE, "Retry-After": "1"}), 1.0),
    "header in milliseconds": (_limited({"retry_after": 0.4, "global": False}, {"Retry-After": "400"}), 0.4),
    "date": (_limited({}, {**_SCOPE, "Date": formatdate(_DATE), "Retry-After": formatdate(_DATE + 1)}), 1.0),
    "past date": (_limited({}, {**_SCOPE, "Date": formatdate(_DATE), "Retry-After": formatdate(_DATE - 9)}), 1.0),
    "garbage": (_limited({"retry_after": "soon"}, {**_SCOPE, "Retry-After": "\u0662"}), 1.0),
    "missing": (_limited({}, _SCOPE), 1.0),
    "nothing but the bucket": (
        _limited("", {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.4"}),
        0.4,
    ),
    "zero": (_limited({"retry_after": 0, "global": False}, {"Retry-After": "0"}), 1.0),
    "global": (Fault.rate_limited(0.4, "global"), 0.4),
    "shared": (Fault.rate_limited(0.4, "shared"), 0.4),
    "page of the CDN": (Fault(status=429, body=_HTML, headers={"Retry-After": "1"}), 1.0),
}
"""The 429 responses, with the seconds that each of them asks for. Without a time, the first wait is 1 s."""


class TestRateLimitedInAllShapes:
    """Whatever form a 429 has, no request leaves inside its window."""

    @pytest.mark.parametrize(("fault", "seconds"), _SHAPES.values(), ids=_SHAPES.keys())
    def test_rate_limited(
        self, discord: LocalDiscord, run: Any, texts: Callable[[], list[str]], fault: Fault, seconds: float
    ) -> None:
        """No request leaves before the time that the 429 names, and then all records arrive in order.

        If the limiter does not learn of the refusal, the next request comes 10 ms after it.
        """
        discord.fail_next(fault)
        done = run(
            """
            handler = use(flush_timeout=10)
            for n in range(3): log.error("%d", n)
            wait_until(lambda: handler.health()["rate_limited"])
            for n in range(3, 6): log.error("%d", n)
            """,
            prelude=_PRELUDE,
        )
        refused, *following = discord.requests
        assert refused.status == 429
        assert refused.finished is not None
        assert following[0].time - refused.finished >= seconds
        assert [request.status for request in following] == [200] * len(following)
        assert texts() == list("012345")
        assert "were not delivered" not in done.err

    @pytest.mark.parametrize("fault", [Fault.edge_block(), Fault.edge_block(json=True)], ids=["page", "JSON"])
    def test_blocked_by_the_edge_without_a_word_for_how_long(
        self, discord: LocalDiscord, run: Any, fault: Fault
    ) -> None:
        """A block without a time is waited out for a minute, and `flush` does not wait for it.

        If the limiter does not learn of the refusal, the message is sent again at once.
        """
        discord.fail_next(fault)
        done = run(
            """
            handler = use(flush_timeout=1)
            log.error("hello")
            began = time.monotonic()
            is_delivered = handler.flush(20)
            print(json.dumps([is_delivered, time.monotonic() - began, handler.health()]))
            """,
            prelude=_PRELUDE,
        )
        is_delivered, took, health = json.loads(done.out)
        assert not is_delivered
        assert took < 15
        assert (health["status"], health["pending"]) == ("blocked", 1)
        assert 40 < health["rate_limit"]["edge_block"]["wait_time"] <= 61
        assert len(discord.requests) == 1


class TestWebhookIsGone:
    """A response says that the webhook will never accept a message again."""

    @_HAS_RSS
    @pytest.mark.parametrize(
        "fault",
        [
            Fault(status=401, body={"message": "Invalid Webhook Token", "code": 50027}),
            Fault(status=403, body={"message": "Missing Permissions", "code": 50013}),
            Fault.webhook_deleted(),
        ],
        ids=["401", "403", "404"],
    )
    def test_webhook_is_gone(self, discord: LocalDiscord, run: Any, fault: Fault) -> None:
        """After one such response there is no further request; one line says so, and no record is kept.

        When delivery goes on after the answer, seven requests are made in the time of this test; when the answer is
        taken for a failure that passes, the records are kept, and the program runs into its time limit.
        """
        discord.fail_next(fault, times=1_000)
        done = run(
            """
            handler = use(retry_delays=[0.1], queue_size=1_000_000)
            log.error("hello")
            wait_until(lambda: handler.health()["last_error"])
            for n in range(10_000): log.error("%d", n)
            wait_until(lambda: not handler.health()["pending"])
            before = peak()
            for round in range(5):
                for n in range(10_000): log.error("%d", n)
                wait_until(lambda: not handler.health()["pending"])
            sys.stderr.write("---")
            print(json.dumps({**handler.health(), "grown": peak() - before}))
            """,
            prelude=_PRELUDE,
        )
        health = json.loads(done.out)
        assert health["status"] == "stopped"
        assert health["dropped_by_reason"] == {"webhook_gone": 60_001}
        assert health["accepted"] == 60_001
        assert health["grown"] < 10_000_000
        assert len(discord.requests) == 1
        said, _, at_the_end = done.err.partition("---")
        assert re.fullmatch(
            rf"discord_logging: webhook \d+ cannot be posted to any more: HTTP {fault.status} .*\n", said
        )
        assert "60001 of 60001 records were not delivered" in at_the_end


class TestPoisonRecord:
    """Discord accepts every record but one."""

    @pytest.mark.parametrize("status", [400, 413])
    def test_poison_record(
        self,
        discord: LocalDiscord,
        run: Any,
        texts: Callable[[], list[str]],
        refuse_when: RefuseWhen,
        status: int,
    ) -> None:
        """The other nine arrive; the bad one is dropped, counted and reported, after few requests.

        When a refused message is dropped instead of halved, none of the ten arrives; when it is only sent again, the
        program runs into its time limit.
        """
        refuse_when(status, lambda said: "poison" in said)
        done = run(
            """
            handler = use(flush_timeout=15)
            for n in range(10): log.error("poison" if n == 6 else "%d", *([] if n == 6 else [n]))
            handler.flush()
            log.error("next")
            handler.flush()
            print(json.dumps(handler.health()))
            """,
            prelude=_PRELUDE,
        )
        health = json.loads(done.out)
        assert texts() == [*"012345789", "next"]
        (report,) = [message.content for message in discord.messages if message.content]
        assert re.fullmatch(r"⚠️ 1 record was dropped since .*: 1 ERROR \(rejected\)", report)
        assert (health["accepted"], health["delivered"], health["dropped_by_reason"]) == (11, 10, {"rejected": 1})
        assert len(discord.requests) <= 12

    def test_poison_card(self, discord: LocalDiscord, run: Any, texts: Callable[[], list[str]]) -> None:
        """A record whose card alone breaks a rule, here by the user's override, is shown as plain text.

        Without the second try as plain text the record is dropped.
        """
        done = run(
            """
            class BadFormatter(discord_logging.EmbedFormatter):
                def embed(self, record):
                    url = {"url": "no address"} if record.message == "poison" else {}
                    return {**super().embed(record), **url}
            handler = use(flush_timeout=15)
            handler.setFormatter(BadFormatter())
            for n in range(10): log.error("poison" if n == 6 else "%d", *([] if n == 6 else [n]))
            handler.flush()
            print(json.dumps(handler.health()))
            """,
            prelude=_PRELUDE,
        )
        health = json.loads(done.out)
        assert texts() == list("012345789")
        assert [message.content for message in discord.messages if message.content] == ["ERROR app: poison"]
        assert (health["delivered"], health["dropped"]) == (10, 0)


def _counts(discord: LocalDiscord) -> list[int]:
    """Return how many records each card or line in the channel stands for."""
    shown = [embed.get("description", "") for message in discord.messages for embed in message.embeds]
    counts = (re.search(r"×([\d,]+), first", text) for text in shown)  # noqa: RUF001 - the sign for times
    return [int(count[1].replace(",", "")) if count else 1 for count in counts]


class TestTenThousandIdenticalErrors:
    """One error comes again and again."""

    @pytest.mark.parametrize("is_raised", [False, True], ids=["plain", "raised"])
    def test_ten_thousand_identical_errors(self, discord: LocalDiscord, run: Any, *, is_raised: bool) -> None:
        """One or two messages report all ten thousand, and their number.

        Without the folding of repeats they come as a summary, a card and a file.
        """
        done = run(
            f"""
            handler = use(flush_timeout=10)
            def ship():
                if {is_raised}:
                    raise ValueError("no stock")
            for n in range(10_000):
                try:
                    ship()
                    log.error("order could not be shipped")
                except ValueError:
                    log.exception("order could not be shipped")
            handler.flush()
            print(json.dumps(handler.health()))
            """,
            prelude=_PRELUDE,
        )
        health = json.loads(done.out)
        assert len(discord.messages) in (1, 2)
        assert len(_counts(discord)) == len(discord.messages)
        assert sum(_counts(discord)) == 10_000
        assert (health["accepted"], health["delivered"], health["dropped"]) == (10_000, 10_000, 0)
        assert not any(message.files for message in discord.messages)

    def test_exceptions_are_not_pinned(self, discord: LocalDiscord, run: Any) -> None:
        """Neither the exceptions nor the objects in their frames survive the call, although the records wait.

        When the exception is kept with the record, as a queue of plain records keeps it, all of them stay alive.
        """
        discord.fail_next(Fault.stall(30))
        done = run(
            """
            import weakref
            class Large: pass
            class OutOfStock(Exception): pass
            handler = use(flush_timeout=0)
            alive = weakref.WeakSet()
            def ship(n):
                local = Large()
                error = OutOfStock(n // 500)
                alive.update([local, error])
                raise error
            for n in range(1_000):
                try:
                    ship(n)
                except OutOfStock:
                    log.exception("order could not be shipped")
            gc.collect()
            print(len(alive), handler.health()["pending"])
            """,
            prelude=_PRELUDE,
        )
        assert done.out == "0 1000\n"

    def test_table_of_fingerprints_is_bounded(self, discord: LocalDiscord, run: Any) -> None:
        """Ten thousand different errors leave no more in the table than it may hold, and each is reported.

        Without the bound the table has ten thousand entries for as long as the process lives.
        """
        done = run(
            """
            handler = use(flush_timeout=10)
            for n in range(10_000):
                log.error("order %d could not be shipped", n)
            handler.flush()
            repeats = handler._listener.backlog._repeats
            print(len(repeats._standing), len(repeats._held), handler.health()["delivered"])
            """,
            prelude=_PRELUDE,
        )
        kinds, held, delivered = map(int, done.out.split())
        assert kinds <= 500
        assert held <= 500
        assert delivered == 10_000
        said = "\n".join(
            [
                *(json.dumps(message.payload) for message in discord.messages),
                *(file.text for message in discord.messages for file in message.files),
            ]
        )
        assert {int(n) for n in re.findall(r"order (\d+) could not", said)} == set(range(10_000))


def test_clock_of_the_outage_runs(run: Any) -> None:
    """The delivery uses the patched clock."""
    began = time.monotonic()
    done = run("print(use()._listener._delivery._clock())", prelude=_PRELUDE + _OUT_OF_TIME)
    assert float(done.out) >= began * 200
