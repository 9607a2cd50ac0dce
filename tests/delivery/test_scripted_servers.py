"""A server with a script gives each response over a real socket: every row of the table of reactions.

The local Discord answers as scripted, in order; what is scripted no more is answered as Discord would.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from discord_logging import DiscordHandler
from discord_logging.sandbox import Fault, LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.once

INVALID = Fault(status=400, body={"code": 50035, "message": "Invalid Form Body"})


def limited(body: Any = None, **headers: str) -> Fault:
    return Fault(status=429, body="" if body is None else body, headers={"Via": "1.1 google", **headers})


class Case(NamedTuple):
    """A script, and the results of 3 records with it."""

    faults: Sequence[Fault]
    statuses: Sequence[int | None]
    delivered: int = 3
    dropped: dict[str, int] = {}  # noqa: RUF012 - never changed
    status: str = "ok"
    rate_limited: dict[str, int] = {}  # noqa: RUF012 - never changed
    timeout: float = 60.0


CASES = {
    "2xx without a body": Case([Fault(status=204, body="")], [204]),
    "2xx with a cut body": Case([Fault(status=200, body='{"id": ')], [200]),
    "2xx that is HTML": Case([Fault(status=201, body="<html>")], [201]),
    "429 of the webhook": Case([Fault.rate_limited(0.3)], [429, 200], rate_limited={"user": 1}),
    "429 of the channel": Case([Fault.rate_limited(0.3, "shared")], [429, 200], rate_limited={"shared": 1}),
    "429 of everything": Case([Fault.rate_limited(0.3, "global")], [429, 200], rate_limited={"global": 1}),
    "429 with header alone": Case(
        [limited(**{"Retry-After": "1", "X-RateLimit-Scope": "user"})], [429, 200], rate_limited={"user": 1}
    ),
    "429 with a charset": Case(
        [limited('{"retry_after": 0.2}', **{"Content-Type": "application/json; charset=utf-8"})],
        [429, 200],
        rate_limited={"user": 1},
    ),
    "429 six times is no failed try": Case([Fault.rate_limited(0.1)] * 6, [429] * 6 + [200], rate_limited={"user": 6}),
    "edge block with a time": Case([Fault.edge_block(retry_after=1)], [429, 200], rate_limited={"edge": 1}),
    "502": Case([Fault(status=502)], [502, 200]),
    "503 many times": Case([Fault(status=503)] * 6, [503] * 6 + [200]),
    "503 that says when to come back": Case(
        [Fault(status=503, headers={"Retry-After": "1"}), Fault(status=503)], [503, 503, 200]
    ),
    "a bucket with less than nothing left": Case(
        [
            Fault(
                status=502,
                headers={
                    "X-RateLimit-Limit": "5",
                    "X-RateLimit-Remaining": "-1",
                    "X-RateLimit-Reset-After": "0.3",
                    "X-RateLimit-Bucket": "abc",
                },
            )
        ],
        [502, 200],
    ),
    "522 of the edge": Case([Fault(status=522, body="<html>")], [522, 200]),
    "redirect, not followed": Case([Fault(status=302, headers={"Location": "/elsewhere"}, body="")], [302, 200]),
    "malformed answer": Case([Fault.malformed()], [None, 200]),
    "500": Case([Fault(status=500)] * 2, [500, 500, 200]),
    "504": Case([Fault(status=504)], [504, 200]),
    "lost connection": Case([Fault.dropped()], [None, 200]),
    "reset connection": Case([Fault.dropped(reset=True)], [None, 200]),
    "no answer in time": Case([Fault.stall(60)], [None, 200], timeout=5),
    "answer that drips": Case([Fault(status=502, drip=0.5)], [None, 200], timeout=5),
    "refused once": Case([INVALID], [400, 200, 200, 200]),
    "too large once": Case([Fault(status=413, body="")], [413, 200, 200, 200]),
    "refused for good": Case([INVALID] * 20, [400] * 8, delivered=0, dropped={"rejected": 3}),
    "webhook gone": Case([Fault.webhook_deleted()], [404], 0, {"webhook_gone": 3}, "stopped"),
    "404 without a word": Case([Fault(status=404, body="")], [404], 0, {"webhook_gone": 3}, "stopped"),
    "wrong token": Case(
        [Fault(status=401, body={"code": 50027, "message": "Invalid Webhook Token"})],
        [401],
        0,
        {"webhook_gone": 3},
        "stopped",
    ),
    "forbidden": Case(
        [Fault(status=403, body={"code": 50013, "message": "Missing Permissions"})],
        [403],
        0,
        {"webhook_gone": 3},
        "stopped",
    ),
    "forum without a thread": Case(
        [Fault(status=400, body={"code": 220001, "message": "Webhooks posted to forum channels must have a thread"})],
        [400],
        0,
        {"webhook_gone": 3},
        "stopped",
    ),
}


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


def log(handler: DiscordHandler, *messages: str) -> None:
    for message in messages:
        handler.handle(logging.makeLogRecord({"msg": message, "name": "app"}))


@pytest.mark.parametrize("name", CASES)
def test_reaction(discord: LocalDiscord, name: str) -> None:
    """Each script ends as the table of reactions says, and every record is accounted for."""
    case = CASES[name]
    for fault in case.faults:
        discord.fail_next(fault)
    handler = DiscordHandler(
        discord.webhook_url, timeout=case.timeout, retry_delays=[0.05] * 3, max_retry_delay=1, channel_limit=None
    )
    log(handler, "one", "two", "three")
    handler.flush(60)
    health = handler.health()
    handler.close(0)
    assert [request.status for request in discord.requests] == list(case.statuses)
    assert (health["delivered"], health["dropped_by_reason"]) == (case.delivered, case.dropped)
    assert health["accepted"] == health["delivered"] + health["pending"] + health["dropped"] == 3
    assert (health["status"], health["rate_limited"]) == (case.status, case.rate_limited)
    assert discord.webhook_url.rpartition("/")[2] not in repr(health)


@pytest.mark.parametrize("retry_after", [0.2, 0.5, 1.0])
def test_429_is_waited_out_to_the_letter_and_not_much_longer(discord: LocalDiscord, retry_after: float) -> None:
    """The next request does not come before its time."""
    discord.fail_next(Fault.rate_limited(retry_after))
    handler = DiscordHandler(discord.webhook_url)
    log(handler, "one")
    assert handler.flush(60)
    refused, taken = discord.requests
    assert refused.finished is not None
    assert taken.time - refused.finished >= retry_after
    handler.close()


def test_global_429_of_one_webhook_holds_back_another(discord: LocalDiscord) -> None:
    """A global limit reaches every webhook of the process."""
    first, second = DiscordHandler(discord.webhook_url), DiscordHandler(discord.add_webhook())
    discord.fail_next(Fault.rate_limited(1.0, "global"))
    log(first, "one")
    while not first.health()["rate_limited"]:
        first.flush(0.01)
    log(second, "two")
    assert second.flush(60)
    refused, *taken = discord.requests
    assert refused.finished is not None
    assert min(request.time for request in taken) - refused.finished >= 1.0
    assert second.health()["rate_limited"] == {}
    first.close()
    second.close()


def test_webhook_that_does_not_answer_holds_up_no_other(discord: LocalDiscord) -> None:
    """Each webhook has its own thread."""
    discord.fail_next(Fault.stall(30))
    slow, fast = DiscordHandler(discord.webhook_url), DiscordHandler(discord.add_webhook())
    log(slow, "one")
    while not discord.requests:
        slow.flush(0.01)
    log(fast, "two")
    assert fast.flush(5)
    assert slow.health()["pending"] == 1
    slow.close(0)
    fast.close()


def test_outage_is_reported_by_one_line_and_on_the_next_card(
    discord: LocalDiscord, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's log has one line; the channel sees the delay of the card."""
    monkeypatch.setattr("discord_logging._delivery.delivery._MIN_REPORTED_DELAY", 0.1)
    discord.fail_next(Fault(status=502), times=3)
    handler = DiscordHandler(discord.webhook_url, retry_delays=[0.1])
    log(handler, "one")
    assert handler.flush(60)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ["HTTP 502 502: Bad Gateway"]
    (message,) = discord.messages
    assert " · delayed " in message.embeds[0]["footer"]["text"]
    handler.close()


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_jumps_of_the_wall_clock_move_no_wait(
    discord: LocalDiscord, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monotonic clock measures the wait for a limit."""
    discord.fail_next(Fault.rate_limited(0.5))
    handler = DiscordHandler(discord.webhook_url)
    log(handler, "one")
    while not handler.health()["rate_limited"]:
        handler.flush(0.01)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    assert handler.flush(60)
    refused, taken = discord.requests
    assert refused.finished is not None
    assert 0.5 <= taken.time - refused.finished < 60
    handler.close()


def test_poison_message_steps_aside(discord: LocalDiscord) -> None:
    """A record whose message gets a 500 every time is set apart; all others arrive."""
    handler = DiscordHandler(
        discord.webhook_url, retry_delays=[0.02], max_retry_delay=1, channel_limit=None, username="Shop"
    )
    began = time.monotonic()
    discord.fail_next(Fault(status=500), times=3)
    log(handler, *(f"record {number}" for number in range(25)))
    assert handler.flush(20)
    texts = [embed["description"].split("\n")[0] for message in discord.messages for embed in message.embeds]
    assert sorted(texts, key=lambda text: int(text[7:])) == [f"record {number}" for number in range(25)]
    assert texts[0] == "record 10"
    assert time.monotonic() - began < 20
    handler.close()
