"""Half a million records from eight threads while the server does all that servers do; nothing is lost unseen."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import Fault, LocalDiscord
from tests.failures.conftest import PEAK

if TYPE_CHECKING:
    from discord_logging.sandbox import Message

_THREADS = 8
_EACH = 62_500
_REPEATED = "the price list is stale"

_TROUBLE = [
    Fault.stall(5),
    Fault(status=503),
    Fault(),
    Fault.rate_limited(0.5),
    Fault(),
    Fault.dropped(reset=True),
    Fault(status=500),
    Fault.malformed(),
    Fault(),
    Fault.rate_limited(0.5, "global"),
]
"""The reactions of the server, in order. `Fault()` is a success; no other reaction saves the message."""

_PROGRAM = f"""
import json, logging, threading, time
import discord_logging

handler = discord_logging.DiscordHandler(
    queue_size=2_000, timeout=1, retry_delays=[0.2, 0.5], max_retry_delay=1, flush_timeout=60, channel_limit=None
)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")
# The switches of docs.python.org/3/howto/logging.html#optimization, since there is much to log.
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

{PEAK}

def flood(thread, slowest):
    clock = time.perf_counter_ns
    for n in range({_EACH}):
        began = clock()
        if n % 10_000 == 5_000:
            try:
                raise ValueError("no stock")
            except ValueError:
                log.exception("rec%d-%d order could not be shipped", thread, n)
        elif n % 10 == 7:
            log.warning({_REPEATED!r})
        else:
            log.info("rec%d-%d order paid", thread, n)
        took = clock() - began
        if took > 100_000:
            slowest.append(took)

log.info("the beginning")
handler.flush()
before = peak()
slowest = []
threads = [threading.Thread(target=flood, args=(thread, slowest)) for thread in range({_THREADS})]
began = time.monotonic()
for thread in threads: thread.start()
for thread in threads: thread.join()
logged = time.monotonic()
more = 0
# On a fast machine, the server has not met all of its trouble yet.
while handler.health()["requests"] <= {len(_TROUBLE)} and time.monotonic() < logged + 60:
    log.info("rec9-%d order paid", more)
    more += 1
    time.sleep(0.02)
handler.flush()
slowest.sort(reverse=True)
ranked = slowest[{_THREADS * _EACH} // 1_000:] or [100_000]
print(json.dumps({{
    **handler.health(), "more": more, "grown": peak() - before, "p99.9, ms": ranked[0] / 1e6,
    "seconds": logged - began, "flushed": time.monotonic() - logged,
}}))
"""


class _Reported:
    """The records that the messages in a channel report, each counted."""

    def __init__(self, messages: list[Message]) -> None:
        self.ids: Counter[str] = Counter()
        self.repeated = 0
        self.lost = 0
        for message in messages:
            if match := re.match(r"⚠️ ([\d,]+) records? w(?:as|ere) dropped since", message.content):
                self.lost += int(match[1].replace(",", ""))
            for text in self._texts(message):
                self.ids.update(re.findall(r"rec\d-\d+", text))
                if _REPEATED in text:
                    times = re.search(r"×([\d,]+), first", text)  # noqa: RUF001 - the sign for times
                    self.repeated += int(times[1].replace(",", "")) if times else 1

    @staticmethod
    def _texts(message: Message) -> list[str]:
        """Return a text for each record in a message: a line of its file, or of its block, or a card."""
        if message.files:
            # A preview of the worst kinds of records stands above them.
            return [line for file in message.files for line in file.text.partition("\n\n")[2].splitlines()]
        # A lone record whose card got no answer three times is posted as plain text.
        texts = [] if message.embeds else [message.content]
        for embed in message.embeds:
            if "\n```ansi\n" in embed["description"]:
                texts += embed["description"].splitlines()
            else:
                texts.append(embed["description"])
        return texts


@pytest.mark.once
@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak memory of a program alone")
def test_half_a_million_records_under_load(run: Any) -> None:
    """Every accepted record is in the channel once or counted as dropped, and memory is bounded.

    Without the turn that a caller gives when others take records in, the process grows by 200 MB.
    """
    # The end would have to wait for all that a limit of a whole minute holds back.
    with LocalDiscord(channel_limit=None) as discord:
        for fault in (Fault(), *_TROUBLE):
            discord.fail_next(fault)
        done = run(_PROGRAM, url=discord.webhook_url, prelude="", timeout=150)
    health = json.loads(done.out)
    figures = {name: health[name] for name in ("seconds", "flushed", "p99.9, ms", "grown", "delivered", "dropped")}
    sys.stdout.write(f"{figures}\n")
    reported = _Reported(discord.messages)
    assert health["accepted"] == 1 + _THREADS * _EACH + health["more"] == health["delivered"] + health["dropped"]
    assert (health["pending"], set(health["dropped_by_reason"])) == (0, {"queue_full"})
    assert 1 + len(reported.ids) + reported.repeated == health["delivered"]
    assert set(reported.ids.values()) == {1}
    assert reported.lost == health["dropped"]
    errors = {f"rec{thread}-{n}" for thread in range(_THREADS) for n in range(5_000, _EACH, 10_000)}
    assert errors <= reported.ids.keys()
    assert health["grown"] < 100_000_000
    limited = [request for request in discord.requests if request.status == 429]
    assert all(request.fault in _TROUBLE for request in limited)
    assert len(discord.requests) > len(_TROUBLE)
