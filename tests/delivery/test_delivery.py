"""Every reaction to an answer, stepped through with a fake sender and a fake clock: nothing sleeps, nothing is sent."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import re
from typing import TYPE_CHECKING, Any, cast

import pytest
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._cards.compose import Composed, compose
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._delivery import delivery
from discord_logging._delivery.backoff import Backoff
from discord_logging._delivery.delivery import Delivery
from discord_logging._delivery.quarantine import Phase
from discord_logging._discord.pace import Urgency
from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._discord.sender import Response, WebhookSender
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._exceptions import TransportError
from discord_logging._process.diagnostics import say
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings, DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from discord_logging._discord.pace import Budget
    from discord_logging._discord.types import Embed, Message
    from discord_logging._records.record import FrozenRecord

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = WebhookURL.parse(f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}")
START = 1_000.0
PLAIN = CardSettings(EmbedFormatter())

OK = Response(200, {}, {"id": "1"})
REFUSED = TransportError("ConnectionError: Connection refused", maybe_saved=False)
TIMED_OUT = TransportError("ReadTimeout", maybe_saved=True)
REJECTED = Response(400, {}, {"message": "Invalid Form Body", "code": 50035, "errors": {"embeds": {}}})
TOO_LARGE = Response(413, {}, None)
BROKEN = Response(500, {}, {"message": "500: Internal Server Error", "code": 0})
GONE = Response(404, {}, {"message": "Unknown Webhook", "code": 10015})
Reaction = Response | TransportError


def limited(retry_after: float, scope: str = "user", **headers: str) -> Response:
    """Return a 429 as Discord sends it."""
    body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": scope == "global"}
    return Response(429, {"X-RateLimit-Scope": scope, "Retry-After": f"{retry_after:.0f}", **headers}, body)


def status(code: int) -> Response:
    """Return a response of a gateway, whose body is not JSON."""
    return Response(code, {}, None)


def record(number: int, settings: CardSettings = PLAIN, levelno: int = logging.ERROR) -> tuple[Any, ...]:
    """Return a frozen record whose number can be found in every form of message."""
    level = {"levelno": levelno, "levelname": logging.getLevelName(levelno)}
    return freeze(logging.makeLogRecord({"name": "shop", "msg": f"rec{number}e", **level}), settings)


def shown(message: Message) -> list[int]:
    """Return the numbers of the records that `message` shows: of each card, of each line, or of the digest's file."""
    if form(message) == "digest":
        _, _, records = message.files[0].content.decode().partition("\n\n")
        return numbers_in(records)
    parts: Sequence[Any] = message.payload.get("embeds", ()) or [message.payload["content"]]
    return [
        number for part in parts for number in numbers_in(json.dumps(part))[: None if "```ansi" in str(part) else 1]
    ]


def numbers_in(text: str) -> list[int]:
    """Return the numbers of the records in `text`."""
    return [int(number) for number in re.findall(r"rec(\d+)e", text)]


def form(message: Message) -> str:
    """Return the form in which `message` shows its records."""
    if message.files and "every record is in the attached file" in str(message.payload):
        return "digest"
    return "lines" if "```ansi" in str(message.payload) else "cards" if "embeds" in message.payload else "plain"


def footers(message: Message) -> list[str]:
    """Return the footers of the cards of `message`."""
    return [embed["footer"]["text"] for embed in message.payload["embeds"]]


class Limiter(DiscordRateLimiter):
    """A limiter without limits, in which the test sets the number of requests that may clear a backlog."""

    allowed = 1_000_000
    """The number of requests that may follow the next one; the default is enough for a card per record."""

    def budget(self, webhook: str, now: float, urgency: Urgency = Urgency.ROUTINE) -> Budget:
        """Return what the test wants."""
        return super().budget(webhook, now, urgency)._replace(channel_left=self.allowed + 1)


class World:
    """A delivery with a fake Discord, which is a list of responses or a function of the message, and a fake clock."""

    def __init__(
        self,
        *answers: Reaction,
        react: Callable[[list[int], bool], Reaction] | None = None,
        size: int = 10_000,
        max_bytes: int = 64_000_000,
        limiter: DiscordRateLimiter | None = None,
    ) -> None:
        self.now = START
        self.answers = list(answers)
        self.react = react or (lambda _numbers, _is_plain: OK)
        self.sent: list[Message] = []
        self.times: list[float] = []
        self.passed: list[Message] = []
        self.backlog = MemoryBacklog(size, max_bytes)
        self.limiter = limiter or Limiter(channel_limit=None, global_limit=1_000_000)
        self.delivery = Delivery(URL, self.backlog, cast("WebhookSender", self), self.limiter, clock=lambda: self.now)

    def post(self, message: Message) -> Response:
        """Stand in for `WebhookSender.post`."""
        json.dumps(message.payload)
        self.sent.append(message)
        self.times.append(self.now - START)
        is_plain = "embeds" not in message.payload
        answer = self.answers.pop(0) if self.answers else self.react(shown(message), is_plain)
        if isinstance(answer, TransportError):
            raise answer
        if 200 <= answer.status < 300:
            self.passed.append(message)
        return answer

    def put(self, numbers: Iterable[int], settings: CardSettings = PLAIN, levelno: int = logging.ERROR) -> World:
        """Log records with these numbers."""
        for number in numbers:
            self.backlog.put(record(number, settings, levelno))
        return self

    def step(self, times: int = 1) -> None:
        """Take steps, each after the wait that the step before returned."""
        for _ in range(times):
            self.now += self.delivery.step()

    def post_next(self, times: int = 1) -> Message:
        """Step until this number of further messages were posted, and return the last."""
        goal = len(self.sent) + times
        while len(self.sent) < goal:
            self.step()
        return self.sent[-1]

    def run(self, most: int = 2_000) -> World:
        """Step until nothing is pending."""
        for _ in range(most):
            if not self.backlog.pending:
                return self
            self.step()
        pytest.fail(f"{self.backlog.pending} records are pending after {most} steps, {len(self.sent)} requests")

    @property
    def gaps(self) -> list[float]:
        """Return the seconds between the requests."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]

    @property
    def requests(self) -> list[list[int]]:
        """Return the numbers of the records in each request."""
        return [shown(message) for message in self.sent]

    @property
    def arrived(self) -> list[int]:
        """Return the numbers of the records in the channel."""
        return [number for message in self.passed for number in shown(message)]

    @property
    def plain(self) -> list[int]:
        """Return the numbers of the records that arrived as plain text."""
        return [shown(message)[0] for message in self.passed if "embeds" not in message.payload]

    @property
    def dropped(self) -> dict[str, int]:
        """Return how many records were dropped, by reason."""
        reasons = {reason for reason, _ in self.backlog.dropped}
        return {each: sum(n for (reason, _), n in self.backlog.dropped.items() if reason == each) for each in reasons}

    def check_books(self) -> None:
        """Assert that every record is accounted for."""
        count = self.backlog.count()
        assert count["accepted"] == count["delivered"] + count["pending"] + count["dropped"], count
        assert count["delivered"] == len(self.arrived)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture(autouse=True)
def _no_age(monkeypatch: pytest.MonkeyPatch) -> None:
    # The backlog has a real clock: on a busy machine its records would be old, and leave in denser messages.
    monkeypatch.setattr(MemoryBacklog, "_age", lambda *_: 0.0)


# 2xx


@pytest.mark.parametrize("code", [200, 201, 204, 299])
def test_success_is_delivered(code: int) -> None:
    """Any 2xx settles the records, and health has the time."""
    world = World(status(code)).put(range(3))
    world.step()
    assert world.requests == [[0, 1, 2]]
    assert world.backlog.count() == {"accepted": 3, "delivered": 3, "pending": 0, "dropped": 0}
    health = world.delivery.health()
    assert (health["status"], health["reason"], health["requests"], health["retries"]) == ("ok", "", 1, 0)
    assert health["last_success"]
    assert health["last_error"] is None
    assert world.delivery.last_trouble == ""


@pytest.mark.parametrize("body", [{"code": 10003, "errors": {"username": {}}}, {"code": 40333}, [[]], "no", math.nan])
def test_nothing_in_a_body_makes_a_success_repeat(body: object) -> None:
    """A 2xx is final, whatever its body says."""
    settings = CardSettings(EmbedFormatter(), username="Bot", thread_id="5")
    world = World(Response(200, {}, body)).put([1], settings).run()
    assert len(world.sent) == 1
    world.check_books()


def test_a_step_with_nothing_to_send_sends_nothing() -> None:
    """Without records there is no request, and the next record is not held up."""
    world = World()
    world.step(3)
    assert world.now == START
    world.put([1]).step()
    assert world.requests == [[1]]
    assert world.times == [0]


def test_a_record_that_is_dropped_costs_no_request() -> None:
    """The backlog has room for one record, however small its bound is."""
    world = World(max_bytes=1).put([1, 2]).run()
    assert world.requests == [[2]]
    assert world.dropped == {"queue_full": 1}
    world.check_books()


def test_a_backlog_goes_out_ten_cards_at_a_time_in_order() -> None:
    """A message carries as many cards as Discord allows."""
    world = World().put(range(25)).run()
    assert [len(numbers) for numbers in world.requests] == [10, 10, 5]
    assert world.arrived == list(range(25))


def test_messages_for_different_threads_are_different_messages() -> None:
    """Each destination has its own messages, in which its records keep their order."""
    world = World()
    for number, thread in enumerate(["1", "1", "2", "1"]):
        world.put([number], CardSettings(EmbedFormatter(), thread_id=thread))
    world.run()
    assert world.requests == [[0, 1, 3], [2]]
    assert [message.thread_id for message in world.sent] == ["1", "2"]


# 429


@pytest.mark.parametrize(
    ("answer", "wait", "scope"),
    [
        (limited(7.5), 7.5, "user"),
        (limited(7.5, "shared"), 7.5, "shared"),
        (limited(7.5, "global"), 7.5, "global"),
        (limited(7.5, **{"Retry-After": "65"}), 65, "user"),
        (limited(1336.57, **{"Retry-After": "1"}), 1336.57, "user"),
        (limited(7.5, **{"X-RateLimit-Remaining": "4", "X-RateLimit-Reset-After": "1"}), 7.5, "user"),
        (limited(7.5, **{"Via": "1.1 google", "Content-Type": "application/json; charset=utf-8"}), 7.5, "user"),
        (limited(math.nan, "shared", **{"Retry-After": "9"}), 9, "shared"),
        (Response(429, {"Retry-After": "30"}, None), 30, "edge"),
        (Response(429, {}, None), 60, "edge"),
        (Response(429, {}, {"code": 0, "message": "You are being blocked from accessing our API"}), 60, "edge"),
        (Response(403, {}, None), 60, "edge"),
        (Response(403, {}, {"message": "internal network error", "code": 40333}), 60, "edge"),
    ],
)
def test_a_refusal_is_waited_out_and_costs_nothing(answer: Response, wait: float, scope: str) -> None:
    """Not one request leaves inside the window, the message keeps its place, and no try is counted."""
    world = World(answer).put(range(3))
    world.step()
    blocked = "blocked" if scope == "edge" else "limited"
    assert world.delivery.health()["status"] == blocked
    assert f"scope {scope}" in world.delivery.health()["reason"]
    world.put([3])
    while len(world.sent) < 2:
        delay = world.delivery.step()
        assert delay or len(world.sent) == 2
        world.now += delay
    assert wait <= world.times[1] <= wait * 1.05 + 0.05
    assert world.requests == [[0, 1, 2], [0, 1, 2, 3]]
    health = world.delivery.health()
    assert (health["status"], health["retries"], health["rate_limited"]) == ("ok", 0, {scope: 1})
    world.check_books()


def test_any_number_of_refusals_is_obeyed_without_a_failed_try() -> None:
    """Twenty 429s in a row lose nothing, repeat nothing and lead to no back-off."""
    world = World(*[limited(0.5)] * 20).put(range(3)).run()
    assert len(world.sent) == 21
    assert all(gap < 0.6 for gap in world.gaps)
    assert "may be a repeat" not in str(world.sent)
    assert world.delivery.health()["rate_limited"] == {"user": 20}


def test_edge_blocks_are_probed_by_one_request_at_growing_intervals() -> None:
    """An address that stays blocked is asked less and less often."""
    world = World(*[status(429)] * 4).put(range(30)).run()
    assert world.gaps[:4] == pytest.approx([60, 120, 240, 480], rel=0.01)
    assert world.arrived == list(range(30))


def test_a_proactive_wait_is_limited_in_health() -> None:
    """A wait for a limit that was not hit is not an error."""
    head = {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "5"}
    world = World(Response(200, head, None)).put([1])
    world.step()
    world.put([2])
    delay = world.delivery.step()
    assert delay == pytest.approx(5.025)
    assert world.delivery.not_before == START + delay
    health = world.delivery.health()
    assert (health["status"], health["last_error"]) == ("limited", None)
    assert world.delivery.step() == delay  # asked too early, it does not even ask the limiter
    world.now += delay
    world.step()
    assert world.requests == [[1], [2]]


# The message was surely not saved


NOT_SAVED = [REFUSED, *map(status, (502, 503, 520, 521, 522, 523, 525, 530, 507, 408, 301, 100))]


@pytest.mark.parametrize("failure", NOT_SAVED, ids=str)
def test_a_message_that_was_not_saved_is_tried_again_with_growing_waits(failure: Reaction) -> None:
    """The waits are 2, 3 and 5 s, then they double up to a minute, and no card says "repeat"."""
    world = World(*[failure] * 12).put([1])
    world.step()
    assert world.delivery.health()["status"] == "retrying"
    world.run()
    assert world.gaps == pytest.approx([2, 3, 5, 10, 20, 40, 60, 60, 60, 60, 60, 60])
    assert "may be a repeat" not in str(world.sent)
    assert world.delivery.health()["status"] == "ok"
    assert world.delivery.health()["retries"] == 12


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7.5"}, 7.5),
        ({"Retry-After": "1"}, 1.0),
        ({"Retry-After": "0.001"}, 1.0),
        ({"Retry-After": "Sat, 28 Nov 2026 10:01:00 GMT", "Date": "Sat, 28 Nov 2026 10:00:00 GMT"}, 60.0),
        ({"Retry-After": "86400"}, 900.0),
        ({"Retry-After": "nan"}, 2.0),
        ({"Retry-After": "0"}, 2.0),
    ],
)
@pytest.mark.parametrize("code", [503, 502])
def test_retry_after_replaces_the_back_off(headers: dict[str, str], wait: float, code: int) -> None:
    """`Retry-After` is obeyed up to a quarter of an hour; an invalid value is ignored."""
    world = World(Response(code, headers, None)).put([1]).run()
    assert world.gaps == pytest.approx([wait])
    assert world.requests == [[1], [1]]


def test_a_failure_with_retry_after_counts_for_the_back_off() -> None:
    """The next failure without a `Retry-After` is the second one."""
    world = World(Response(503, {"Retry-After": "30"}, None), REFUSED).put([1]).run()
    assert world.gaps == pytest.approx([30, 3])


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_processes_do_not_come_back_together(monkeypatch: pytest.MonkeyPatch, jitter: float) -> None:
    """A process waits up to a tenth longer than the server asks for, and never shorter."""
    monkeypatch.setattr("random.random", lambda: jitter)
    world = World(Response(503, {"Retry-After": "30"}, None)).put([1]).run()
    assert world.gaps == pytest.approx([30 + 3 * jitter])


def test_retry_after_is_ignored_if_the_message_may_have_been_saved() -> None:
    """The `Retry-After` of a gateway's time-out does not change the next try."""
    world = World(Response(504, {"Retry-After": "30"}, None)).put([1]).run()
    assert world.gaps == pytest.approx([2])


def test_jitter_adds_a_tenth_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of many processes drift apart, by no more than 10 %."""
    monkeypatch.setattr("random.random", lambda: 1.0)
    world = World(*[REFUSED] * 8).put([1]).run()
    assert world.gaps == pytest.approx([2.2, 3.3, 5.5, 11, 22, 44, 66, 66])


def test_the_backlog_folds_while_discord_is_down() -> None:
    """New records leave together with the waiting ones, in order, and the first card shows the delay."""
    world = World(*[REFUSED] * 3).put([0])
    world.step()
    world.put(range(1, 12)).run()
    assert world.requests[-2:] == [list(range(10)), [10, 11]]
    notes = footers(world.sent[-2])
    assert notes[0].endswith("delayed 10 s")
    assert "delayed" not in str(notes[1:]) + str(world.sent[-1])


@pytest.mark.once
def test_an_hour_of_outage_loses_nothing_and_costs_few_requests() -> None:
    """With a record every four seconds there is at most one request a minute, and all records arrive afterwards."""
    end = START + 3_600
    world = World(react=lambda _numbers, _is_plain: OK if world.now > end else REFUSED)
    number = 0
    while world.now < end:
        while 4 * number <= world.now - START:
            world.put([number])
            number += 1
        world.step()
    assert len(world.sent) < 70
    world.run()
    assert world.arrived == list(range(number))


@pytest.mark.parametrize("delays", [(0.0,), (0.0, 0.0)])
def test_delays_of_zero_grow_as_well(delays: tuple[float, ...]) -> None:
    """Retry delays of 0 apply to the first tries; the waits after them grow."""
    world = World(react=lambda _numbers, _is_plain: TIMED_OUT).put([1])
    world.delivery.backoff = Backoff(delays, 60.0)
    while world.now < START + 600:
        world.step()
    assert len(world.sent) <= len(delays) + 20


# The message may have been saved


MAYBE_SAVED = [TIMED_OUT, *map(status, (500, 504, 524))]


@pytest.mark.parametrize("failure", MAYBE_SAVED, ids=str)
def test_a_message_that_may_have_been_saved_is_tried_twice_more_unchanged(failure: Reaction) -> None:
    """New records do not join the message, and each card says that it may be a repeat."""
    world = World(failure, failure).put([1, 2])
    world.step()
    world.put([3])
    world.run()
    assert world.requests == [[1, 2], [1, 2], [1, 2], [3]]
    assert all("may be a repeat" in footer.split(" · ") for message in world.sent[1:3] for footer in footers(message))
    assert "may be a repeat" not in str(world.sent[0]) + str(world.sent[3])
    assert world.gaps == pytest.approx([2, 3, 0])
    world.check_books()


@pytest.mark.parametrize("is_taken_plain", [True, False])
@pytest.mark.parametrize("failure", MAYBE_SAVED, ids=str)
def test_a_poison_record_is_set_apart_when_the_next_message_passes(failure: Reaction, is_taken_plain: bool) -> None:
    """Three tries as a card and, after the next message has passed, one as plain text precede the drop."""

    def react(numbers: list[int], is_plain: bool) -> Reaction:
        return failure if numbers == [1] and not (is_plain and is_taken_plain) else OK

    world = World(react=react).put([1])
    world.step()
    world.put([2]).run()
    assert world.requests == [[1], [1], [1], [2], [1]]
    assert "embeds" not in world.sent[-1].payload
    assert world.plain == ([1] if is_taken_plain else [])
    assert world.dropped == ({} if is_taken_plain else {"rejected": 1})
    world.put([3]).run()
    assert "delayed" not in str(world.sent[-1])
    assert world.delivery.health()["status"] == "ok"
    world.check_books()


@pytest.mark.parametrize(
    ("answers", "then"),
    [([BROKEN, OK], "ok"), ([BROKEN, REJECTED, REJECTED], "ok"), ([GONE], "stopped")],
    ids=["delivered", "rejected", "gone"],
)
def test_a_flush_that_returns_finds_the_new_state(answers: list[Reaction], then: str) -> None:
    """The flushing thread may read the health as soon as the last record is settled."""
    world = World(*answers).put([1])
    seen: list[str] = []
    announce = world.backlog.notify_waiters

    def look() -> None:
        announce()
        if not world.backlog.pending:
            seen.append(world.delivery.health()["status"])

    world.backlog.notify_waiters = look  # type: ignore[method-assign]
    world.run()
    assert set(seen) == {then}


@pytest.mark.parametrize("position", range(10))
def test_poison_among_ten_is_halved_until_it_stands_alone(position: int) -> None:
    """The nine neighbours arrive as cards; only the bad record becomes plain text, which is dropped if it fails too."""
    world = World(react=lambda numbers, _is_plain: BROKEN if position in numbers else OK).put(range(12)).run()
    assert world.requests[:4] == [list(range(10))] * 3 + [[10]]
    assert sorted(world.arrived) == [number for number in range(12) if number != position]
    assert world.arrived[0] == 10
    assert world.arrived[1:] == sorted(world.arrived[1:])
    assert [shown(message) for message in world.sent if "embeds" not in message.payload] == [[position]]
    assert world.dropped == {"rejected": 1}
    assert len(world.sent) <= 4 + 9
    world.check_books()


def test_when_the_next_message_fails_too_discord_is_down() -> None:
    """No record is dropped or set apart, and one record a minute is the probe, each time the next one."""
    world = World(*[BROKEN] * 18).put(range(12))
    world.post_next(18)
    first = list(range(10))
    probes = [10, 11, *range(10), 0, 10, 11]
    assert world.requests == [first, first, first, *([number] for number in probes)]
    assert world.gaps == pytest.approx([2, 3, 5, *[60] * 14])
    assert world.backlog.count()["pending"] == 12
    world.run()
    assert sorted(world.arrived) == list(range(12))
    assert len(set(world.arrived)) == 12
    assert not world.plain
    assert world.dropped == {}
    world.check_books()


def test_after_an_outage_cards_say_that_they_may_be_repeats() -> None:
    """Only cards that were sent before say so, and the first card shows the delay."""
    world = World(*[BROKEN] * 5).put(range(12)).run()
    notes = dict(zip(world.arrived, (note for message in world.passed for note in footers(message)), strict=True))
    assert all("may be a repeat" in notes[number] for number in range(12))
    assert "delayed 130 s" in footers(world.passed[0])[0]
    world.put([12]).run()
    assert "repeat" not in footers(world.sent[-1])[0]
    assert "delayed" not in footers(world.sent[-1])[0]


def test_a_refused_connection_when_the_next_message_has_its_turn_means_down() -> None:
    """A failure to connect proves that Discord is down: no record is poison."""
    world = World(*[BROKEN] * 3, REFUSED, REFUSED).put([1])
    world.post_next()
    world.put(range(2, 5)).run()
    assert world.requests == [[1], [1], [1], [2], [2], [2], [1], [3, 4]]
    assert world.gaps == pytest.approx([2, 3, 5, 60, 60, 0, 0])
    assert not world.plain


def test_a_lone_record_is_not_copied_many_times() -> None:
    """Without another record, a record has two further tries and then one a minute, and is never set apart."""
    world = World(*[TIMED_OUT] * 7).put([1]).run()
    assert world.requests == [[1]] * 8
    assert world.gaps == pytest.approx([2, 3, 5, 60, 60, 60, 60])
    assert world.plain == []
    assert world.arrived == [1]


def test_a_lone_poison_record_steps_aside_for_a_later_one() -> None:
    """A later record waits for at most one probe, and when it passes, the poison record is set apart."""
    world = World(react=lambda numbers, _is_plain: BROKEN if 1 in numbers else OK).put([1])
    world.post_next(6)
    world.put([2]).run()
    assert world.requests == [[1]] * 6 + [[2], [1], [1]]
    assert world.dropped == {"rejected": 1}
    world.check_books()


@pytest.mark.parametrize("extra", [0, 1, 25])
def test_two_poison_messages_in_a_row_do_not_hold_up_the_rest(extra: int) -> None:
    """Two adjacent messages that always fail look like an outage until a third one passes."""
    world = World(react=lambda numbers, is_plain: BROKEN if {3, 14} & set(numbers) and not is_plain else OK)
    world.put(range(20 + extra))
    world.post_next(8)
    world.put([99]).run()
    assert sorted(world.arrived) == [*range(20 + extra), 99]
    assert sorted(world.plain) == [3, 14]
    assert world.dropped == {}
    world.check_books()


@pytest.mark.parametrize("bad", [{4}, {0}, {9}, {0, 9}, {4, 5}, {3, 11}, set(range(12))], ids=str)
def test_neighbours_arrive_although_nothing_more_is_ever_logged(bad: set[int]) -> None:
    """If no whole message passes, single records are tried, one a minute, and only bad records stay behind."""
    world = World(react=lambda numbers, _is_plain: BROKEN if bad & set(numbers) else OK).put(range(12))
    while world.backlog.pending and world.now < START + 3_600:
        world.step()
    assert set(range(12)) - bad <= set(world.arrived)
    assert world.backlog.count()["pending"] + world.dropped.get("rejected", 0) == len(bad)
    assert len(world.sent) < 90
    world.check_books()


def test_two_poison_records_in_one_message_are_both_set_apart() -> None:
    """The neighbours of both arrive as cards."""
    world = World(react=lambda numbers, is_plain: BROKEN if {4, 5} & set(numbers) and not is_plain else OK)
    world.put(range(30)).run()
    assert sorted(world.arrived) == list(range(30))
    assert sorted(world.plain) == [4, 5]


def test_an_outage_does_not_make_a_good_record_plain_text() -> None:
    """After an outage, the first message only counts as poison when it fails once more."""
    world = World(*[BROKEN] * 5).put([0], CardSettings(EmbedFormatter(), thread_id="1")).put(range(1, 4)).run()
    assert world.requests[:7] == [[0], [0], [0], [1], [2], [3], [0]]
    assert sorted(world.arrived) == [0, 1, 2, 3]
    assert world.plain == []


def test_when_discord_vanishes_while_poison_is_looked_for_nothing_is_dropped() -> None:
    """A refused connection blames no record: the search continues."""
    answers: list[Reaction] = [*[BROKEN] * 3, OK, REFUSED, status(502), limited(3)]
    world = World(*answers, react=lambda numbers, is_plain: BROKEN if 4 in numbers and not is_plain else OK)
    world.put(range(12)).run()
    assert world.requests[4:8] == [[0, 1, 2, 3, 4]] * 4
    assert sorted(world.arrived) == list(range(12))
    assert world.plain == [4]


def test_records_keep_their_order_when_the_message_behind_fails() -> None:
    """The suspect keeps its position before the records behind it, whatever happens to the probe."""
    world = World(*[BROKEN] * 3, limited(1), REFUSED, OK).put([1])
    world.post_next()
    world.put(range(2, 15)).run()
    assert world.requests[3:] == [[2], [2], [2], [1], list(range(3, 13)), [13, 14]]
    assert world.arrived == [2, 1, *range(3, 15)]


def test_the_right_record_is_poison_when_others_were_taken_and_put_back() -> None:
    """Records that did not fit into the message keep their positions."""
    world = World(react=lambda numbers, is_plain: BROKEN if 1 in numbers and not is_plain else OK).put([1])
    world.step()
    for number in range(2, 6):
        world.put([number], CardSettings(EmbedFormatter(), thread_id=str(number)))
    world.run()
    assert world.requests == [[1], [1], [1], [2], [1], [3], [4], [5]]
    assert world.plain == [1]


def test_a_record_refused_as_a_card_and_broken_as_plain_text_steps_aside() -> None:
    """Its neighbours stay cards, and the record is dropped in the end."""

    def react(numbers: list[int], is_plain: bool) -> Reaction:
        return OK if 1 not in numbers else BROKEN if is_plain else REJECTED

    world = World(react=react).put([1])
    world.post_next(2)
    world.put([2]).run()
    world.put([3]).run()
    assert ["embeds" not in message.payload for message in world.sent] == [False, *[True] * 3, False, True, False]
    assert world.arrived == [2, 3]
    assert world.dropped == {"rejected": 1}


def test_a_record_refused_as_a_card_is_not_sent_as_one_again_after_an_outage() -> None:
    """Failures that say nothing about the record do not undo a 400."""
    world = World(
        REJECTED, *[BROKEN] * 5, react=lambda numbers, is_plain: OK if is_plain or 1 not in numbers else REJECTED
    )
    world.put([1])
    world.post_next(2)
    world.put([2]).run()
    assert [message for message in world.sent if shown(message) == [1] and "embeds" in message.payload] == world.sent[
        :1
    ]
    assert sorted(world.arrived) == [1, 2]


def test_a_refused_message_behind_a_failing_one_is_halved_there() -> None:
    """A 400 for a probe concerns that record; the suspects wait, and neither harms the other."""
    world = World(
        *[BROKEN] * 3,
        REJECTED,
        REFUSED,
        react=lambda numbers, is_plain: REJECTED if 2 in numbers and not is_plain else OK,
    )
    world.put([1])
    world.post_next()
    world.put([2, 3]).run()
    assert world.requests[3:6] == [[2], [2], [2]]
    assert sorted(world.arrived) == [1, 2, 3]
    assert world.plain == [2]


def test_eviction_while_poison_is_looked_for_blames_nobody_else() -> None:
    """If the poison record itself is dropped because the queue is full, its successor is not blamed."""
    world = World(*[BROKEN] * 3, react=lambda _numbers, is_plain: flood() if is_plain else OK, size=10)

    def flood() -> Response:
        world.put(range(100, 250))
        return BROKEN

    world.put([1])
    world.post_next()
    world.put([2]).run()
    assert world.plain == []
    assert world.dropped["rejected"] == 1
    assert sorted(world.arrived) == [2, *range(240, 250)]
    world.check_books()


# 400 and 413


@pytest.mark.parametrize("answer", [REJECTED, TOO_LARGE, status(405), status(422)], ids=str)
@pytest.mark.parametrize("position", range(10))
def test_a_refused_message_is_halved_until_the_bad_record_stands_alone(position: int, answer: Response) -> None:
    """Nine neighbours arrive as cards and in order, and the bad record as plain text, at once and in few requests."""
    world = World(react=lambda numbers, is_plain: answer if position in numbers and not is_plain else OK)
    world.put(range(13)).run()
    assert world.arrived == list(range(13))
    assert world.plain == [position]
    assert len(world.sent) <= 11
    assert world.now == START
    assert world.dropped == {}


def test_a_record_that_is_refused_as_plain_text_too_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The package's logger reports the loss, and this report does not reach the channel."""
    world = World(react=lambda numbers, _is_plain: REJECTED if 1 in numbers else OK).put(range(3)).run()
    assert world.arrived == [0, 2]
    assert world.backlog.dropped == {("rejected", "ERROR"): 1}
    assert "Discord refused a record, which is dropped: HTTP 400 Invalid Form Body" in caplog.text
    world.check_books()


def test_after_a_dropped_record_nothing_is_late() -> None:
    """After a lone record was dropped, a card an hour later is not "delayed", and health is ok."""
    world = World(status(502), REJECTED, REJECTED).put([1]).run()
    assert world.delivery.health()["status"] == "ok"
    world.now += 3_600
    world.put([2]).run()
    assert "delayed" not in footers(world.sent[-1])[0]


@settings(max_examples=25, deadline=None)
@given(
    total=st.integers(1, 35),
    bad=st.sets(st.integers(0, 34)),
    is_taken_plain=st.booleans(),
    answer=st.sampled_from([REJECTED, TOO_LARGE]),
)
def test_exactly_the_bad_records_are_set_apart(
    total: int, bad: set[int], is_taken_plain: bool, answer: Response
) -> None:
    """Whichever records Discord refuses, all others arrive in order, no message is repeated, and requests are few."""
    bad &= set(range(total))

    def react(numbers: list[int], is_plain: bool) -> Reaction:
        return answer if bad & set(numbers) and not (is_plain and is_taken_plain) else OK

    world = World(react=react).put(range(total)).run()
    expected = range(total) if is_taken_plain else [number for number in range(total) if number not in bad]
    assert world.arrived == list(expected)
    assert world.plain == (sorted(bad) if is_taken_plain else [])
    assert world.dropped == ({} if is_taken_plain or not bad else {"rejected": len(bad)})
    payloads = [json.dumps(message.payload) for message in world.sent]
    assert len(set(payloads)) == len(payloads)
    assert len(payloads) <= math.ceil(total / 10) + 8 * len(bad)
    world.check_books()


# Settings that Discord refuses


@pytest.mark.parametrize("name", ["username", "avatar_url"])
def test_a_refused_setting_is_left_out_from_now_on(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The same records leave at once without the setting, no message is halved, and a warning says so."""
    settings = CardSettings(EmbedFormatter(), username="Bot", avatar_url="https://a.example/b.png")
    refusal = Response(400, {}, {"message": "Invalid Form Body", "code": 50035, "errors": {name: {"_errors": []}}})
    world = World(refusal).put(range(3), settings).run()
    world.put([3], settings).run()
    assert world.requests == [[0, 1, 2], [0, 1, 2], [3]]
    assert [name in message.payload for message in world.sent] == [True, False, False]
    other = "avatar_url" if name == "username" else "username"
    assert all(other in message.payload for message in world.sent)
    assert caplog.text.count("left out") == 1


def test_all_settings_may_be_refused_in_turn() -> None:
    """Each refused setting costs one request."""
    everything = CardSettings(EmbedFormatter(), username="Bot", avatar_url="https://a.example/b.png", thread_id="77")

    def react(_numbers: list[int], _is_plain: bool) -> Reaction:
        message = world.sent[-1]
        wrong = [name for name in ("username", "avatar_url") if name in message.payload]
        if wrong:
            return Response(400, {}, {"code": 50035, "errors": {name: {} for name in wrong}})
        return Response(404, {}, {"code": 10003}) if message.thread_id else OK

    world = World()
    world.react = react
    world.put([1], everything).run()
    assert len(world.sent) == 4
    assert world.arrived == [1]


def test_records_for_a_thread_that_is_gone_go_to_the_channel() -> None:
    """The code 10003 concerns only that thread: other threads of the webhook still get their records."""
    world = World(Response(404, {}, {"message": "Unknown Channel", "code": 10003}))
    world.put([1], CardSettings(EmbedFormatter(), thread_id="77")).run()
    world.put([2], CardSettings(EmbedFormatter(), thread_id="88")).put([3]).run()
    assert [message.thread_id for message in world.sent] == ["77", None, "88", None]
    assert world.delivery.health()["status"] == "ok"


def test_plain_text_does_not_go_to_a_thread_that_is_gone() -> None:
    """A refused record for a thread that is gone does not end in endless 404 responses."""

    def react(_numbers: list[int], is_plain: bool) -> Reaction:
        return Response(404, {}, {"code": 10003}) if world.sent[-1].thread_id else OK if is_plain else REJECTED

    world = World()
    world.react = react
    world.put([1], CardSettings(EmbedFormatter(), thread_id="77")).run(most=10)
    assert [message.thread_id for message in world.sent] == ["77", None, None]
    assert world.plain == [1]


def test_an_unknown_channel_without_a_thread_is_final() -> None:
    """There is no setting left that could be left out."""
    world = World(Response(404, {}, {"code": 10003})).put([1]).run()
    assert world.delivery.health()["status"] == "stopped"


# A post in a forum


FORUM = CardSettings(EmbedFormatter(), thread_name="Errors", applied_tags=("5",))
NO_FORUM = Response(400, {}, {"message": "Webhooks can only create threads in forum channels", "code": 220003})
NO_TAG = Response(404, {}, {"message": "Unknown Tag", "code": 10087})
NO_POST = Response(404, {}, {"message": "Unknown Channel", "code": 10003})


def posted(thread: str) -> Response:
    """Return Discord's response to a message in a thread."""
    return Response(200, {}, {"id": thread, "channel_id": thread})


def places(world: World) -> list[str | None]:
    """Return the target of each request: an existing thread, a new post with or without tags, or the channel."""
    found = []
    for message in world.sent:
        payload = message.payload
        assert not (message.thread_id and {"thread_name", "applied_tags"} & set(payload)), "220002"
        new = f"new {payload.get('thread_name')} {payload.get('applied_tags')}" if "thread_name" in payload else None
        found.append(message.thread_id or new)
    return found


NEW = "new Errors ['5']"


def test_the_first_message_opens_a_post_and_the_others_go_there() -> None:
    """The response names the thread of the post."""
    world = World(posted("77"), react=lambda _numbers, _is_plain: posted("77")).put(range(25), FORUM).run()
    assert places(world) == [NEW, "77", "77"]
    assert world.arrived == list(range(25))


def test_handlers_with_the_same_title_share_a_post() -> None:
    """A handler without a title posts into the channel."""
    same, other = (CardSettings(EmbedFormatter(), thread_name=name) for name in ("Errors", "Audit"))
    world = World(posted("77"), posted("88"), OK)
    for number, card in enumerate((FORUM, other, PLAIN, same, other)):
        world.put([number], card).run()
    assert places(world) == [NEW, "new Audit None", None, "77", "88"]


def test_a_post_that_is_gone_is_opened_anew() -> None:
    """Each time a post is gone, its messages go into a new one, at once."""
    world = World(posted("77"), NO_POST, posted("88"), OK, NO_POST, posted("99"))
    for number in range(5):
        world.put([number], FORUM).run()
    assert places(world) == [NEW, "77", NEW, "88", "88", NEW, "99"]
    assert world.arrived == list(range(5))
    assert world.now == START
    assert world.delivery.health()["status"] == "ok"


def test_another_thread_that_is_gone_closes_no_post() -> None:
    """Only the thread of the request is forgotten."""
    world = World(posted("77"), NO_POST, OK)
    world.put([1], FORUM).run().put([2], CardSettings(EmbedFormatter(), thread_id="5")).run().put([3], FORUM).run()
    assert places(world) == [NEW, "5", None, "77"]


@pytest.mark.parametrize("failure", [REFUSED, TIMED_OUT, BROKEN, limited(1)], ids=str)
def test_a_post_that_is_not_surely_open_is_opened_with_the_next_try(failure: Reaction) -> None:
    """Without a response, the id of the post is unknown."""
    world = World(failure, posted("77")).put([1], FORUM).run().put([2], FORUM).run()
    assert places(world) == [NEW, NEW, "77"]


@pytest.mark.parametrize("body", [None, [], {}, {"channel_id": None}, {"channel_id": 77}, {"channel_id": "../77"}])
def test_an_answer_that_names_no_thread_leaves_the_next_message_to_open_one(body: object) -> None:
    """A proxy may drop the body of the response; no record is lost."""
    world = World(Response(200, {}, body), posted("77")).put([1], FORUM).run()
    world.put([2], FORUM).run().put([3], FORUM).run()
    assert places(world) == [NEW, NEW, "77"]


def test_an_answer_to_a_message_without_a_title_opens_no_post() -> None:
    """Every response names the channel."""
    world = World(posted("77"), posted("88")).put([1]).run().put([2], FORUM).run()
    assert places(world) == [None, NEW]


def test_in_a_text_channel_the_title_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The records arrive in the channel, one warning is logged, and no later message has a title."""
    world = World(NO_FORUM).put(range(3), FORUM).run().put([3], FORUM).run()
    assert places(world) == [NEW, None, None]
    assert all("applied_tags" not in message.payload for message in world.sent[1:])
    assert world.arrived == [0, 1, 2, 3]
    assert caplog.text.count("Discord refuses a setting, which is left out from now on: HTTP 400 Webhooks can") == 1
    assert world.delivery.health()["status"] == "ok"


@pytest.mark.parametrize("answer", [NO_TAG, Response(400, {}, {"code": 50035, "errors": {"applied_tags": {"0": {}}}})])
def test_tags_that_are_not_there_any_more_are_left_out(answer: Response, caplog: pytest.LogCaptureFixture) -> None:
    """The post is opened without tags, now and later."""
    world = World(answer, posted("77"), NO_POST, posted("88"))
    world.put([1], FORUM).run().put([2], FORUM).run()
    assert places(world) == [NEW, "new Errors None", "77", "new Errors None"]
    assert world.arrived == [1, 2]
    assert "left out" in caplog.text


def test_a_title_that_discord_refuses_is_left_out() -> None:
    """A title is handled like every refused setting."""
    world = World(Response(400, {}, {"code": 50035, "errors": {"thread_name": {}}})).put([1], FORUM).run()
    assert places(world) == [NEW, None]


@pytest.mark.parametrize("answer", [NO_FORUM, NO_TAG])
def test_a_refusal_that_is_about_no_setting_of_ours_is_final(answer: Response) -> None:
    """No setting can be left out, so there is no endless loop."""
    world = World(react=lambda _numbers, _is_plain: answer).put([1])
    world.step(3)
    assert len(world.sent) == 1
    assert world.delivery.health()["status"] == "stopped"


def test_plain_text_goes_to_the_post_or_opens_it() -> None:
    """The last try for a record uses the title and the post as well."""
    world = (
        World(REJECTED, posted("77"), OK, REJECTED).put([1], FORUM).run().put([2], FORUM).run().put([3], FORUM).run()
    )
    assert world.plain == [1, 3]
    assert places(world) == [NEW, NEW, "77", "77", "77"]


# Mentions


ON_CALL = CardSettings(EmbedFormatter(), mentions={0: "", logging.ERROR: "<@&5>", logging.CRITICAL: "@here"})


def call(world: World, *levels: int, settings: CardSettings = ON_CALL) -> Message:
    """Log a record of each level, deliver them, and return the last message."""
    for levelno in levels:
        world.backlog.put(record(len(world.arrived) + 100 * levelno, settings, levelno))
    return world.run().sent[-1]


def notified(message: Message) -> list[str]:
    """Return the mentions that `message` notifies by Discord's rules: those in the text that are allowed."""
    allowed = message.payload["allowed_mentions"]
    assert not set(allowed) - {"parse", "roles", "users"}
    assert not set(allowed["parse"]) - {"everyone"}
    found = re.findall(r"<@&\d+>|<@!?\d+>|@everyone|@here", message.payload.get("content", ""))
    everyone = ["@everyone", "@here"] if allowed["parse"] else []
    roles = [f"<@&{role}>" for role in allowed.get("roles", [])]
    users = [f"<@{user}>" for user in allowed.get("users", [])]
    return [mention for mention in found if mention in [*everyone, *roles, *users]]


@pytest.mark.parametrize(
    ("mention", "allowed"),
    [
        ("<@&5>", {"parse": [], "roles": ["5"], "users": []}),
        ("<@5>", {"parse": [], "roles": [], "users": ["5"]}),
        ("@everyone", {"parse": ["everyone"], "roles": [], "users": []}),
        ("@here", {"parse": ["everyone"], "roles": [], "users": []}),
    ],
)
def test_a_mention_stands_in_the_text_and_is_allowed_by_name(mention: str, allowed: object) -> None:
    """Nobody else is notified, and the card does not change."""
    settings = CardSettings(EmbedFormatter(), mentions={0: mention})
    message = call(World(), logging.INFO, settings=settings)
    assert message.payload["content"] == mention
    assert message.payload["allowed_mentions"] == allowed
    assert mention not in str(message.payload["embeds"])
    assert notified(message) == [mention]


def test_several_mentions_share_a_message() -> None:
    """The mentions of the most severe records come first."""
    message = call(World(), logging.ERROR, logging.CRITICAL, logging.INFO)
    assert message.payload["content"] == "@here <@&5>"
    assert message.payload["allowed_mentions"] == {"parse": ["everyone"], "roles": ["5"], "users": []}
    assert notified(message) == ["@here", "<@&5>"]


def test_without_the_setting_nobody_is_notified() -> None:
    """Records below the lowest level of the setting notify nobody either."""
    for card, levelno in ((PLAIN, logging.CRITICAL), (ON_CALL, logging.WARNING)):
        message = call(World(), levelno, settings=card)
        assert "content" not in message.payload
        assert message.payload["allowed_mentions"] == {"parse": []}


def test_nobody_is_notified_twice_within_the_interval() -> None:
    """The clock of the delivery counts, and each mention has its own interval."""
    world = World()
    assert notified(call(world, logging.ERROR)) == ["<@&5>"]
    world.now += 299.9
    assert notified(call(world, logging.ERROR)) == []
    assert notified(call(world, logging.CRITICAL, logging.ERROR)) == ["@here"]
    world.now += 0.1
    assert notified(call(world, logging.CRITICAL, logging.ERROR)) == ["<@&5>"]
    world.now += 299.9
    assert notified(call(world, logging.CRITICAL, logging.ERROR)) == ["@here"]


@pytest.mark.parametrize(("interval", "expected"), [(0, ["<@&5>"]), (1e9, [])])
def test_the_interval_is_a_setting(interval: float, expected: list[str]) -> None:
    """With 0, every message notifies."""
    world = World()
    world.delivery.mention_interval = interval
    call(world, logging.ERROR)
    assert notified(call(world, logging.ERROR)) == expected


@pytest.mark.parametrize("answer", [REFUSED, TIMED_OUT, BROKEN, limited(1), status(502)], ids=str)
def test_a_mention_counts_when_it_was_delivered(answer: Reaction) -> None:
    """A message that did not arrive notified nobody, so the next try does."""
    world = World(answer)
    assert notified(call(world, logging.ERROR)) == ["<@&5>"]
    assert [notified(message) for message in world.sent] == [["<@&5>"], ["<@&5>"]]
    assert notified(call(world, logging.ERROR)) == []


def test_a_refused_message_notifies_with_the_first_part_that_arrives() -> None:
    """The other parts do not notify again."""
    world = World(react=lambda numbers, is_plain: REJECTED if 3 in numbers and not is_plain else OK)
    world.put(range(4), ON_CALL).run()
    assert world.arrived == [0, 1, 2, 3]
    assert [notified(message) for message in world.passed] == [["<@&5>"], [], []]


def test_plain_text_notifies_nobody_and_counts_nothing() -> None:
    """The text is that of the record, so the next card has the mention."""
    world = World(REJECTED)
    settings = CardSettings(EmbedFormatter(), mentions={0: "@everyone"})
    level = {"levelno": logging.ERROR, "levelname": "@everyone"}
    text = freeze(logging.makeLogRecord({"name": "@here", "msg": "rec1e @everyone <@5>", **level}), settings)
    world.backlog.put(text)
    world.run()
    assert world.plain == [1]
    assert world.sent[-1].payload["allowed_mentions"] == {"parse": []}
    assert notified(call(world, logging.ERROR, settings=settings)) == ["@everyone"]


def test_a_mention_stands_above_the_losses() -> None:
    """One text has both, and the losses count as reported."""
    world = World()
    world.backlog.refuse("ERROR", "unreadable")
    content = call(world, logging.ERROR).payload["content"]
    assert re.fullmatch(r"<@&5>\n⚠️ 1 record was dropped since .*: 1 ERROR \(unreadable\)", content)
    assert "content" not in call(world, logging.ERROR).payload


def test_a_text_keeps_its_place_below_a_mention_and_the_losses() -> None:
    """A text is not lost to the text above it, and a mention in it notifies nobody."""

    class Text(EmbedFormatter):
        def embed(self, record: FrozenRecord) -> Embed:
            return {"description": record.message}

    world = World()
    world.backlog.refuse("ERROR", "unreadable")
    world.put([1], CardSettings(Text(), mentions={0: "@here"})).run()
    world.backlog.put(
        freeze(
            logging.makeLogRecord({"msg": "rec2e @everyone", "levelno": logging.ERROR}),
            CardSettings(Text(), mentions={0: "@here"}),
        )
    )
    world.delivery.mention_interval = 0
    world.run()
    first, second = world.sent
    assert re.fullmatch(r"@here\n⚠️ 1 record was dropped .*\nrec1e", first.payload["content"])
    assert (second.payload["content"], second.payload["embeds"]) == ("@here", [{"description": "rec2e @everyone"}])


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_a_level_draws_no_line_of_its_own_in_the_losses(line_break: str) -> None:
    """Other code chooses the names of levels, and a line break in one looked like a further report."""
    world = World()
    world.backlog.refuse(f"AUDIT{line_break}2 records were sold{line_break}", "unreadable")
    (content,) = losses(world.put([1]).run().sent[0]).splitlines()
    assert content.endswith(": 1 AUDIT 2 records were sold  (unreadable)")


def test_nothing_in_the_losses_notifies_anybody_beside_a_mention() -> None:
    """Other code chooses the names of levels, and a mention of `@here` allows `@everyone` too."""
    world = World().put([1], CardSettings(EmbedFormatter(), mentions={0: "@here"}))
    for name in (
        "@everyone",
        "@here",
        "<@&5>",
        "<@5>",
        "<@!5>",
        "https://x.example/@everyone",
        "\\@everyone",
        "@" * 2000,
    ):
        world.backlog.refuse(name, "unreadable")
    world.run()
    assert notified(world.sent[0]) == ["@here"]
    assert world.sent[0].payload["content"].startswith("@here\n⚠️ 8 records were dropped")
    assert len(world.sent[0].payload["content"]) <= 2000


def test_the_longest_mentions_and_losses_fit_into_a_message() -> None:
    """There are ten ids of twenty digits, and ten names of any length."""

    class All(EmbedFormatter):
        def mention(self, record: FrozenRecord) -> str:
            return f"<@&{10**19 + numbers_in(record.message)[0]}>"

    world = World().put(range(10), CardSettings(All()))
    for number in range(15):
        world.backlog.refuse(f"{number}{'@*' * 500}", "unreadable")
    world.run()
    assert len(notified(world.sent[0])) == 10
    assert "15 records were dropped" in losses(world.sent[0])
    assert len(losses(world.sent[0])) <= 2000


def test_a_dense_message_notifies_as_well() -> None:
    """Lines and digests contain severe records too."""
    for allowed, expected in ((3, "lines"), (0, "digest")):
        world = World()
        cast("Limiter", world.limiter).allowed = allowed
        world.put(range(200), ON_CALL)
        message = world.post_next()
        assert form(message) == expected
        assert notified(message) == ["<@&5>"]


def test_an_override_that_fails_costs_no_record_its_card() -> None:
    """No message is halved, and no record becomes plain text."""

    class Broken(EmbedFormatter):
        def mention(self, record: FrozenRecord) -> str:
            return 1 / 0 if "rec1e" in record.message else 5  # type: ignore[return-value]  # that is the point

    world = World().put(range(3), CardSettings(Broken())).run()
    assert world.requests == [[0, 1, 2]]
    assert form(world.sent[0]) == "cards"


def test_log_text_notifies_nobody_beside_a_mention() -> None:
    """The record is in a card, where a mention notifies nobody; the text of the message is ours."""
    hostile = "@everyone @here <@&6> <@7>"
    names = {"name": hostile, "msg": f"rec1e {hostile}", "levelname": hostile, "funcName": hostile, "_value": hostile}
    settings = CardSettings(EmbedFormatter(), mentions={0: "@here", 1: "<@&5>"}, context={hostile: hostile})
    world = World()
    for levelno in (0, 40):
        world.backlog.put(freeze(logging.makeLogRecord({**names, "levelno": levelno}), settings))
    world.run()
    assert world.sent[0].payload["content"] == "<@&5> @here"
    assert world.sent[0].payload["allowed_mentions"] == {"parse": ["everyone"], "roles": ["5"], "users": []}


# Final


FINAL = [
    GONE,
    Response(401, {}, {"message": "Invalid Webhook Token", "code": 50027}),
    Response(403, {}, {"message": "Missing Access", "code": 50001}),
    *(Response(400, {}, {"code": code}) for code in (220001, 220002, 220003, 40067, 160005, 50083)),
]


@pytest.mark.parametrize("answer", FINAL, ids=str)
def test_a_webhook_that_is_gone_is_never_asked_again(answer: Response, capsys: pytest.CaptureFixture[str]) -> None:
    """All waiting and later records are counted, stderr has one line, and health has the reason."""
    world = World(answer).put(range(25))
    world.step()
    world.put(range(5))
    world.step(5)
    assert len(world.sent) == 1
    assert world.backlog.count() == {"accepted": 30, "delivered": 0, "pending": 0, "dropped": 30}
    assert world.dropped == {"webhook_gone": 30}
    health = world.delivery.health()
    assert (health["status"], health["reason"]) == ("stopped", answer.reason)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"HTTP {answer.status}" in error
    assert TOKEN not in error


def test_a_webhook_can_be_gone_when_the_next_message_has_its_turn() -> None:
    """The suspects are counted as dropped too."""
    world = World(*[BROKEN] * 3, GONE).put(range(12)).run()
    assert world.dropped == {"webhook_gone": 12}
    world.check_books()


@pytest.mark.parametrize("stderr", [None, "closed", "broken"])
def test_there_may_be_no_stderr(stderr: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stderr, as under pythonw, a report does nothing."""

    class Broken:
        def write(self, _: str) -> None:
            raise BrokenPipeError if stderr == "broken" else ValueError("I/O operation on closed file")

    monkeypatch.setattr("sys.stderr", Broken() if stderr else None)
    say("hello")


# Records that cannot be sent


class Spoiled(EmbedFormatter):
    """Returns something that is not an embed."""

    def __init__(self, card: object) -> None:
        super().__init__()
        self.card = card

    def embed(self, record: FrozenRecord) -> Embed:
        """Return the value that the test sets, whatever the type says."""
        good: Embed = super().embed(record)
        return cast("Embed", self.card if self.card is None else {**good, "color": self.card})


@pytest.mark.parametrize("card", [None, object(), {(1,): 2}], ids=["nothing", "no JSON", "no keys"])
def test_a_card_that_is_not_an_embed_costs_only_the_card(card: object) -> None:
    """A bad formatter neither delays the neighbours nor loses them."""
    world = World().put(range(4)).put([4], CardSettings(Spoiled(card))).put(range(5, 8)).run(most=40)
    assert world.arrived == list(range(8))
    assert world.plain == ([4] if card else [])
    assert str(world.sent).count("Spoiled failed") == (card is None)
    assert world.now == START
    world.check_books()


def test_a_card_that_contains_itself_is_not_retried_without_end() -> None:
    """A circular value can never be written as JSON."""
    circle: dict[str, Any] = {}
    circle["self"] = circle
    world = World().put([1], CardSettings(Spoiled(circle))).run(most=10)
    assert world.plain == [1]


def test_a_message_that_cannot_be_composed_is_halved_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the composition costs one record its card, and no request is counted."""

    def fail(records: Sequence[FrozenRecord], **options: Any) -> Composed:
        if any(each.message == "rec4e" for each in records):
            raise RecursionError
        return compose(records, **options)

    monkeypatch.setattr(delivery, "compose", fail)
    world = World().put(range(8)).run(most=40)
    assert world.arrived == list(range(8))
    assert world.plain == [4]
    assert world.delivery.health()["requests"] == len(world.sent)
    world.check_books()


# Reports


def test_a_change_of_status_is_logged_once_and_health_is_plain_data(caplog: pytest.LogCaptureFixture) -> None:
    """Each change of status is one line on the package's logger, the counters add up, and the token is hidden."""
    echo = {"message": f"no\nroute for POST /api/v10/webhooks/{URL.id}/{TOKEN}", "code": 0}
    answers: list[Reaction] = [Response(502, {}, echo), REFUSED, limited(2), limited(2, "shared"), status(429)]
    world = World(*answers).put(range(12)).run()
    lines = [line.getMessage() for line in caplog.records]
    assert [line.split(": ")[0].split()[-1] for line in lines] == ["retrying", "limited", "blocked"]
    assert all("\n" not in line for line in lines)
    health = world.delivery.health()
    assert health["requests"] == 7
    assert health["retries"] == 5
    assert health["rate_limited"] == {"user": 1, "shared": 1, "edge": 1}
    assert health["last_error"]["reason"] == world.delivery.last_trouble
    assert health["status"] == "ok"
    assert TOKEN not in json.dumps(health) + caplog.text + str(world.sent) + repr(world.delivery)


@pytest.mark.parametrize(("seconds", "note"), [(1, None), (1.9, None), (12, "delayed 12 s"), (3600, "delayed 3600 s")])
def test_the_next_card_says_how_late_it_is(seconds: float, note: str | None) -> None:
    """Only the first card reports a delay, once, from two seconds on."""
    world = World(limited(seconds)).put(range(2)).run()
    world.put([2]).run()
    first, second = footers(world.sent[1])
    assert first.split(" · ")[-1] == note if note else "delayed" not in first
    assert "delayed" not in second + footers(world.sent[2])[0]


def test_the_first_card_of_a_message_says_that_it_was_sent_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes may do the same meanwhile, so that the order is not that of all."""
    world = World(limited(12))
    monkeypatch.setattr(MemoryBacklog, "lone_hosts", 1)
    world.put(range(2)).run()
    monkeypatch.undo()
    world.put([2]).run()
    first, second = footers(world.sent[1])
    assert first.endswith(" · delayed 12 s · sent alone")
    assert "alone" not in second + footers(world.sent[2])[0]


# Losses


def losses(message: Message) -> str:
    """Return the report of losses in `message`."""
    return message.payload.get("content", "")


def test_losses_are_reported_with_the_next_message_and_once() -> None:
    """The report has the number per level, the reasons and the time of the report before."""
    world = World(size=10)
    for levelno, number in ((logging.INFO, 25), (logging.ERROR, 5)):
        for each in range(number):
            world.backlog.put(record(each, levelno=levelno))
    world.backlog.refuse("ERROR", "unreadable")
    world.run().put([100]).run()
    first, second = world.sent
    assert re.fullmatch(
        r"⚠️ 21 records were dropped since <t:\d+:T>: 20 INFO \(queue full\), 1 ERROR \(unreadable\)", losses(first)
    )
    assert losses(second) == ""
    world.backlog.refuse("ERROR", "unreadable")
    world.put([101]).run()
    assert "1 record was dropped" in losses(world.sent[-1])


@pytest.mark.parametrize("answer", [REFUSED, TIMED_OUT, BROKEN, limited(1), REJECTED, TOO_LARGE], ids=str)
def test_losses_are_reported_until_a_report_is_delivered(answer: Reaction) -> None:
    """A report that failed is repeated, together with the losses since."""
    world = World(answer).put(range(4))
    world.backlog.refuse("ERROR", "unreadable")
    world.post_next()
    world.backlog.refuse("INFO", "unreadable")
    world.run().put([9]).run()
    assert "1 record was dropped" in losses(world.sent[0])
    assert "2 records were dropped" in losses(world.passed[0])
    assert [losses(message) for message in world.passed[1:]] == [""] * (len(world.passed) - 1)


def test_plain_text_reports_no_losses_and_hides_none() -> None:
    """The losses wait for the next card, with their time."""
    world = World(react=lambda numbers, is_plain: REJECTED if 1 in numbers and not is_plain else OK).put([1])
    world.delivery._reported_at = 1e9
    world.backlog.refuse("ERROR", "unreadable")
    world.run().put([2]).run()
    assert world.plain == [1]
    assert "dropped" not in losses(world.passed[0])
    assert "1 record was dropped since <t:1000000000:T>" in losses(world.passed[1])


def test_a_record_that_was_set_apart_and_dropped_is_reported() -> None:
    """The channel learns which records Discord refused."""
    world = World(react=lambda numbers, _is_plain: REJECTED if 1 in numbers else OK).put(range(3)).run()
    world.put([3]).run()
    told = [losses(message) for message in world.passed]
    assert sum("1 ERROR (rejected)" in each for each in told) == 1


def test_losses_of_any_names_fit_into_a_message() -> None:
    """Ten kinds are named, all are counted, and no name breaks the line or its length."""
    world = World().put([1])
    for number in range(15):
        world.backlog.refuse(f"@everyone **{number}** {'x' * 500}", "queue_full")
    world.run()
    assert len(losses(world.sent[0])) <= 2000
    assert "15 records were dropped" in losses(world.sent[0])
    assert "**" not in losses(world.sent[0]).replace("\\*", "")


# The pace


def paced(latency: float = 0.0, limit: int | None = 30) -> World:
    """Return a world with this number of messages a minute, and this duration of requests."""
    world = World(limiter=DiscordRateLimiter(channel_limit=limit))

    def react(_numbers: list[int], _is_plain: bool) -> Reaction:
        world.now += latency
        return OK

    world.react = react
    return world


def lasting(world: World, seconds: float, every: float) -> dict[int, float]:
    """Log a record each `every` seconds; return the time at which each was logged, from the start on."""
    logged: dict[int, float] = {}
    end = world.now + seconds
    while world.now < end:
        while (at := START + len(logged) * every) <= world.now:
            world.put([len(logged)], levelno=logging.INFO)
            logged[len(logged)] = at - START
        world.now += min(world.delivery.step() or 0.05, 0.05)
    return logged


@pytest.mark.once
@pytest.mark.parametrize("latency", [0.0, 0.4])
@pytest.mark.parametrize("every", [1.0, 0.3, 0.05])
def test_a_lasting_load_is_delivered_in_time(every: float, latency: float) -> None:
    """No record waits longer than a turn, no minute has more than 28 messages, and health is ok."""
    world = paced(latency)
    logged = lasting(world, 200, every)
    arrived = [(number, at) for at, numbers in zip(world.times, world.requests, strict=True) for number in set(numbers)]
    assert max(at - logged[number] for number, at in arrived) <= 2.75 + 0.15 + latency
    assert len({number for number, _ in arrived}) >= len(logged) - 3 / every
    assert max(sum(at <= other < at + 60 for other in world.times) for at in world.times) <= 28
    assert (world.delivery.health()["status"], world.delivery.health()["rate_limited"]) == ("ok", {})


def test_records_that_come_slower_than_the_pace_each_have_a_message() -> None:
    """They leave at once, for as long as they come."""
    world = paced(0.05)
    logged = lasting(world, 200, 2.51)
    assert world.requests == [[number] for number in logged]
    assert all(at - logged[number] <= 0.1 for number, at in enumerate(world.times))


def test_an_alarm_does_not_wait_for_its_turn() -> None:
    """The alarm takes the waiting records along, and a wait for a turn checks for it ten times a second."""
    world = paced()
    lasting(world, 100, 0.5)
    world.put([700], levelno=logging.INFO)
    assert 0 < world.delivery.step() <= 0.1
    world.put([701], levelno=logging.CRITICAL)
    assert world.delivery.step() == 0.0
    assert world.requests[-1][-2:] == [700, 701]


@pytest.mark.parametrize("answer", [REJECTED, BROKEN], ids=str)
def test_an_alarm_does_not_wait_until_the_bad_record_is_found(answer: Response) -> None:
    """Each half of a refused message takes a turn: an alarm that waited for all of them was 13 s late."""
    world = paced()
    world.react = lambda numbers, is_plain: answer if 7 in numbers and not is_plain else OK
    world.put(range(40), levelno=logging.INFO)
    while world.delivery._quarantine.phase is not Phase.HALVING:
        world.step()
    world.put([99], levelno=logging.CRITICAL)
    began = world.now
    while 99 not in world.arrived:
        world.now += min(world.delivery.step(), 0.1)
    assert world.now - began <= 3
    world.run()
    assert sorted(world.arrived) == [*range(40), 99]
    assert world.plain == [7]


def test_bad_records_now_and_then_are_not_taken_for_an_outage() -> None:
    """A large probe often has another bad record, so that all records would wait for a minute."""
    bad = {200, 1_000, 1_800}
    world = paced(0.2)
    world.react = lambda numbers, is_plain: BROKEN if bad & set(numbers) and not is_plain else OK
    logged = lasting(world, 120, 0.05)
    world.run()
    arrived = [
        (number, at)
        for at, message in zip(world.times, world.sent, strict=True)
        if message in world.passed
        for number in shown(message)
    ]
    assert max(at - logged[number] for number, at in arrived if number not in bad) < 40
    assert sorted(number for number, _ in arrived) == list(logged)
    assert set(world.plain) == bad


def test_a_wait_for_a_turn_is_not_a_limit() -> None:
    """No flush gives up because of it, and health does not call it a limit."""
    world = paced()
    lasting(world, 100, 0.5)
    world.put([700], levelno=logging.INFO)
    assert world.delivery.step() > 0
    assert world.delivery.not_before <= world.now
    assert world.delivery.health()["status"] == "ok"


def test_the_last_flush_waits_for_no_turn() -> None:
    """The last flush sends as much as the limits allow; any other leaves room for the next alarm."""
    world = paced()
    for number in range(7):
        world.put([number], levelno=logging.CRITICAL).step()
    world.put([7], levelno=logging.CRITICAL)
    assert world.delivery.step() > 0
    world.delivery.deadlines = [world.now + 1]
    assert world.delivery.step() > 0
    world.delivery.is_last = True
    assert world.delivery.step() == 0.0
    assert world.requests[-1] == [7]


def test_slow_answers_make_fewer_messages() -> None:
    """Without a channel limit, the duration of requests sets the number of messages."""
    world = paced(0.4, limit=None)
    for number in range(20):
        world.put([number]).run()
    world.put(range(100, 900)).run()
    assert len(world.sent) - 20 == 1
    assert form(world.sent[-1]) == "digest"


# How dense a message is


@pytest.mark.parametrize(
    ("number", "allowed", "forms"),
    [
        (1, 0, ["cards"]),
        (10, 0, ["cards"]),
        (11, 0, ["lines"]),
        (11, 1, ["cards", "cards"]),
        (40, 4, ["cards"] * 4),
        (40, 0, ["lines"]),
        (1_000, 0, ["digest"]),
    ],
)
def test_a_backlog_takes_the_plainest_form_that_clears_it(number: int, allowed: int, forms: list[str]) -> None:
    """This request counts, and so do the requests that are allowed after it."""
    world = World()
    world.limiter.allowed = allowed  # type: ignore[attr-defined]  # it is ours
    world.put(range(number)).run()
    assert [form(message) for message in world.sent] == forms
    assert sorted(world.arrived) == list(range(number))
    world.check_books()


@pytest.mark.parametrize(("used", "expected"), [(0, "cards"), (4, "cards"), (8, "lines"), (12, "lines"), (28, "lines")])
def test_the_form_gets_denser_when_little_is_left_of_the_channel_limit(used: int, expected: str) -> None:
    """A backlog uses a part of the limit, and the rest is kept for later records."""
    world = World(limiter=DiscordRateLimiter(channel_limit=30))
    for number in range(used):
        assert not world.limiter.acquire(URL.key, START + number / 10)
        world.limiter.update(URL.key, 204, {}, None, START + number / 10)
    world.now = START + 5
    world.put(range(30)).run()
    assert form(world.sent[0]) == expected
    assert sorted(world.arrived) == list(range(30))


@pytest.mark.parametrize(("max_lag", "left", "expected"), [(5, math.inf, "cards"), (5, 0.1, "lines"), (0, 9, "lines")])
def test_the_form_gets_denser_when_a_deadline_is_near(max_lag: float, left: float, expected: str) -> None:
    """A flush gets all that can be sent until its deadline, and no record is later than `max_lag`."""
    head = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "4", "X-RateLimit-Reset-After": "2"}
    world = World(Response(200, head, None), limiter=DiscordRateLimiter(channel_limit=None)).put([0]).run()
    world.delivery.max_lag = max_lag
    world.delivery.deadlines = [world.now + left]
    world.put(range(1, 71)).step()
    assert form(world.sent[1]) == expected
    world.run()
    assert sorted(world.arrived) == list(range(71))


@pytest.mark.parametrize(("hosts", "expected"), [(0, 27), (1, 27), (2, 24), (4, 18)])
def test_hosts_that_send_alone_share_the_limit_of_the_channel(
    monkeypatch: pytest.MonkeyPatch, hosts: int, expected: int
) -> None:
    """None knows what the others send, so that each takes its part: three messages count for all."""
    monkeypatch.setattr(MemoryBacklog, "lone_hosts", hosts)
    world = paced()
    for number in range(3):
        world.put([number]).run()
    assert world.limiter.info(URL.key, world.now)["channel"]["remaining"] == expected


def test_a_deadline_that_has_passed_hurries_nobody() -> None:
    """The flush has ended, or was interrupted and left its deadline behind."""
    world = World(limiter=DiscordRateLimiter()).put(range(30))
    world.delivery.deadlines = [START - 10]
    world.run()
    assert [form(message) for message in world.sent] == ["cards"] * 3


# Dense messages that fail


def dense(number: int, react: Callable[[list[int], bool], Reaction], *answers: Reaction) -> World:
    """Return a world in which one request must carry all waiting records, where they are `number`."""
    world = World(*answers, react=react)
    world.limiter.allowed = 0  # type: ignore[attr-defined]  # it is ours
    return world.put(range(number))


@pytest.mark.parametrize("answer", [REJECTED, TOO_LARGE], ids=str)
@pytest.mark.parametrize(("number", "bad"), [(40, 0), (40, 17), (400, 0), (400, 333)])
def test_a_refused_dense_message_is_halved_down_to_the_bad_record(number: int, bad: int, answer: Response) -> None:
    """Of hundreds, one record becomes plain text, in few requests, and all others arrive in order."""
    world = dense(number, lambda numbers, is_plain: answer if bad in numbers and not is_plain else OK).run()
    assert sorted(world.arrived) == list(range(number))
    assert world.plain == [bad]
    assert len(world.sent) <= 3 * math.log2(number) + 3
    assert world.now == START
    assert world.dropped == {}
    assert form(world.sent[0]) == ("digest" if number > 100 else "lines")
    payloads = [(json.dumps(message.payload), message.files) for message in world.sent]
    assert len(set(payloads)) == len(payloads)
    world.check_books()


@pytest.mark.parametrize("is_taken_plain", [True, False])
@pytest.mark.parametrize(("number", "bad"), [(40, 17), (400, 333)])
def test_poison_in_a_dense_message_is_set_apart_when_another_passes(
    number: int, bad: int, is_taken_plain: bool
) -> None:
    """After three tries and a probe, the message is halved until one record of hundreds is left."""

    def react(numbers: list[int], is_plain: bool) -> Reaction:
        return BROKEN if bad in numbers and not (is_plain and is_taken_plain) else OK

    world = dense(number, react)
    world.post_next(3)
    world.put([number]).run()
    assert world.requests[3] == [number]
    assert world.requests[:3] == [world.requests[0]] * 3
    assert set(range(number + 1)) - {bad} <= set(world.arrived)
    assert world.plain == ([bad] if is_taken_plain else [])
    assert world.dropped == ({} if is_taken_plain else {"rejected": 1})
    assert len(world.sent) <= 3 * math.log2(number) + 7
    world.check_books()


def test_probes_during_an_outage_are_single_records() -> None:
    """All other records wait for the first probe that passes, and then leave in a dense message."""
    world = dense(10, lambda _numbers, _is_plain: BROKEN)
    world.post_next(3)
    world.put(range(10, 20))
    world.post_next()
    world.put(range(20, 600))
    world.post_next(5)
    assert [len(numbers) for numbers in world.requests] == [10] * 3 + [1] * 6
    world.react = lambda _numbers, _is_plain: OK
    world.run()
    assert sorted(world.arrived) == list(range(600))
    assert world.plain == []


def test_records_that_do_not_fit_wait_while_the_message_is_sent() -> None:
    """Meanwhile repeats are counted on such a record, and more severe records may evict it."""
    world = World(react=lambda _numbers, _is_plain: flood(), size=20)
    seen: list[int] = []

    def flood() -> Response:
        if not seen:
            seen.append(len(world.backlog.leased))
            for number in range(100, 120):
                world.backlog.put(record(number, levelno=logging.CRITICAL))
        return OK

    world.put(range(20)).run()
    assert seen == [10]
    assert sorted(world.arrived) == [*range(10), *range(100, 120)]
    assert world.dropped == {"queue_full": 10}
    world.check_books()


# Several destinations


def test_a_flood_of_urgent_records_leaves_turns_for_others() -> None:
    """Records for another destination have every second message."""
    world = paced()
    for second in range(200):
        world.put([second], levelno=logging.INFO)
        world.put([1_000 + second], ELSEWHERE, levelno=logging.CRITICAL)
        end = START + second + 1
        while world.now < end:
            world.now += min(world.delivery.step() or 0.05, 0.05)
    arrived = {number: at for at, numbers in zip(world.times, world.requests, strict=True) for number in numbers}
    late = [arrived.get(second, 200.0) - second for second in range(190)]
    assert max(late) < 8


ELSEWHERE = CardSettings(EmbedFormatter(), username="Bot")


@pytest.mark.parametrize("bad", [999, 7])
@pytest.mark.parametrize("answer", [REJECTED, TOO_LARGE, BROKEN], ids=str)
def test_an_urgent_record_that_is_refused_is_set_apart(answer: Response, bad: int) -> None:
    """The search concerns the refused message, not the oldest record, and no other record suffers."""
    world = World(react=lambda numbers, is_plain: answer if bad in numbers and not is_plain else OK)
    world.put(range(40), levelno=logging.INFO)
    world.put([998, 999], ELSEWHERE, levelno=logging.CRITICAL)
    world.run()
    assert sorted(world.arrived) == [*range(40), 998, 999]
    assert world.plain == [bad]
    assert len(world.sent) <= 20
    assert sum(bad in numbers for numbers in world.requests) <= 9
    world.check_books()


def test_an_urgent_message_that_may_have_been_saved_is_tried_twice_more_unchanged() -> None:
    """Records for another destination, and more urgent ones, wait meanwhile."""
    world = World(BROKEN, BROKEN).put([1, 2], levelno=logging.INFO)
    world.put([3, 4], ELSEWHERE, levelno=logging.WARNING)
    world.step()
    world.put([5], levelno=logging.CRITICAL)
    world.run()
    assert world.requests == [[3, 4], [3, 4], [3, 4], [1, 2, 5]]
    world.check_books()


@pytest.mark.once
@pytest.mark.parametrize("allowed", [0, 1_000_000])
@pytest.mark.parametrize(
    "answers", [[], [REFUSED], [TIMED_OUT] * 2, [BROKEN] * 5, [REJECTED], [TOO_LARGE] * 2, [limited(1)]], ids=str
)
@pytest.mark.parametrize("number", [8, 400])
def test_destinations_share_no_message_and_lose_nothing(number: int, answers: list[Reaction], allowed: int) -> None:
    """Interleaved records leave by destination, each once and in order, whatever fails meanwhile."""
    bots = [CardSettings(EmbedFormatter(), username=name) for name in (None, "Ada", "Bob")]
    world = World(*answers)
    world.limiter.allowed = allowed  # type: ignore[attr-defined]  # it is ours
    for each in range(number):
        world.put([each], bots[each % 3])
    world.run()
    assert sorted(world.arrived) == list(range(number))
    assert world.dropped == {}
    for message in world.passed:
        if form(message) != "plain":
            places = {each % 3 for each in shown(message)}
            assert [bots[place].username for place in places] == [message.payload.get("username")]
    if not answers:
        assert len(world.sent) == (3 if not allowed else 3 * math.ceil(number / 30))
        for place in range(3):
            own = [each for each in world.arrived if each % 3 == place]
            assert own == sorted(own)
    world.check_books()


# Repeats


def test_a_repeat_that_is_held_back_costs_no_request() -> None:
    """The limiter is not asked, so that the limit is kept for records that leave."""
    world = World(limiter=DiscordRateLimiter(channel_limit=30))
    world.backlog.configure(DeliverySettings(repeat_window=60.0))
    world.put([1]).step()
    left = world.limiter.info(URL.key, world.now)["channel"]["remaining"]
    for _ in range(50):
        world.put([1]).step()
    assert world.requests == [[1]]
    assert world.limiter.info(URL.key, world.now)["channel"]["remaining"] == left
    assert world.backlog.count()["pending"] == 50
    assert not world.backlog.wait_until_settled(0.0, lambda: True)
    world.post_next()
    assert "×50" in world.sent[1].payload["embeds"][0]["description"]  # noqa: RUF001 - the sign for times
    assert world.backlog.count() == {"accepted": 51, "delivered": 51, "pending": 0, "dropped": 0}


def test_records_that_vanish_before_the_lease_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may close the backlog at any moment."""
    world = World().put([1])
    acquire = world.limiter.acquire

    def close_first(*args: Any, **options: Any) -> float:
        world.backlog.close()
        return acquire(*args, **options)

    monkeypatch.setattr(world.limiter, "acquire", close_first)
    world.step()
    assert world.sent == []
    assert world.dropped == {"closed": 1}
    world.check_books()


# Successors


NIGHT = "2026-01-31 03:00:00"


def succeed(world: World, now: float = 7.0) -> World:
    """Return a world whose delivery goes on from that of another one, on a machine that has just booted."""
    successor = World()
    successor.now = now
    successor.delivery.restore(json.loads(json.dumps(world.delivery.export(), allow_nan=False)))
    return successor


def test_a_successor_notifies_nobody_again_within_the_interval() -> None:
    """The wall clock counts, since the other one begins anew."""
    with freeze_time(NIGHT) as wall:
        world = World()
        call(world, logging.ERROR)
        wall.tick(200)
        world.now += 200
        successor = succeed(world)
        assert notified(call(successor, logging.ERROR)) == []
        successor.now += 101
        assert notified(call(successor, logging.ERROR)) == ["<@&5>"]


def test_the_mentions_of_a_message_in_flight_count_as_made() -> None:
    """If the process dies in the request, the message may be in the channel."""
    exported: list[Any] = []

    def answer(*_: object) -> Reaction:
        exported.append(world.delivery.export())
        return OK

    with freeze_time(NIGHT):
        world = World(react=answer)
        call(world, logging.ERROR)
        successor = World()
        successor.delivery.restore(exported[0])
        assert notified(call(successor, logging.ERROR)) == []


@pytest.mark.parametrize("answer", [REFUSED, BROKEN, REJECTED, limited(5)], ids=str)
def test_a_message_that_failed_has_mentioned_nobody(answer: Reaction) -> None:
    """The next state corrects that of the message in flight."""
    with freeze_time(NIGHT):
        world = World(answer)
        world.backlog.put(record(1, ON_CALL))
        world.step()
        assert len(world.sent) == 1
        assert world.delivery.export()["mentioned"] == {}
        assert notified(call(succeed(world), logging.ERROR)) == ["<@&5>"]


def test_a_mention_keeps_its_time_after_it_was_made() -> None:
    """A later state does not make it younger, and one that is out of date is left out."""
    with freeze_time(NIGHT) as wall:
        world = World()
        call(world, logging.ERROR)
        (first,) = world.delivery.export()["mentioned"].values()
        wall.tick(299)
        world.now += 299
        assert world.delivery.export()["mentioned"] == {"<@&5>": first}
        world.now += 1
        assert world.delivery.export()["mentioned"] == {}


def test_a_successor_reports_only_what_was_not_reported() -> None:
    """Losses are counted for a webhook, not for a process, and reported since the last report."""
    with freeze_time(NIGHT):
        world = World()
        world.backlog.refuse("ERROR", "unreadable")
        assert "1 record was dropped" in losses(world.put([1]).run().sent[0])
        successor = succeed(world)
        for _ in range(3):
            successor.backlog.refuse("ERROR", "unreadable")
        reported_at = world.delivery.export()["reported_at"]
        report = losses(successor.put([2]).run().sent[0])
        assert f"2 records were dropped since <t:{reported_at:.0f}:T>" in report


def test_a_successor_posts_to_the_open_thread_without_what_discord_refuses() -> None:
    """It opens no second post, and asks for no second refusal."""
    refused = Response(400, {}, {"code": 50035, "errors": {"username": {}}})
    settings = dataclasses.replace(FORUM, username="shop")
    world = World(refused, posted("77")).put([1], settings).run()
    successor = succeed(world).put([2], settings).run()
    assert places(successor) == ["77"]
    assert "username" not in successor.sent[0].payload


def test_another_value_of_a_setting_that_discord_refused_is_tried() -> None:
    """The user has corrected the setting and started the program again; the old value is still left out."""
    refused = Response(400, {}, {"code": 50035, "errors": {"avatar_url": {}}})
    wrong, right = (dataclasses.replace(PLAIN, avatar_url=f"https://x.example/{name}.png") for name in ("a", "b"))
    successor = succeed(World(refused).put([1], wrong).run())
    first, second = (successor.put([2], card).run().sent[-1].payload.get("avatar_url") for card in (wrong, right))
    assert (first, second) == (None, "https://x.example/b.png")


def test_a_successor_tells_the_delay() -> None:
    """The records have waited, whoever posts them."""
    with freeze_time(NIGHT) as wall:
        world = World(REFUSED).put([1])
        world.step()
        wall.tick(60)
        world.now = START + 60
        successor = succeed(world).put([1]).run()
        assert footers(successor.sent[0])[0].endswith("delayed 60 s")
        assert succeed(successor).delivery.export()["delayed_since"] is None


@pytest.mark.parametrize("data", [None, [], {}, {"posts": 5, "mentioned": {"@here": "x"}}])
def test_a_delivery_goes_on_without_a_state(data: Any) -> None:
    """There is none at first, and a malformed one is none."""
    world = World().put([1])
    world.delivery.restore(data)
    assert world.run().arrived == [1]


# Any records and any responses


REACTIONS: Mapping[str, Reaction] = {
    "ok": OK,
    "no content": status(204),
    "user": limited(1.5),
    "shared": limited(40, "shared"),
    "global": limited(0.3, "global"),
    "edge": status(429),
    "blocked": Response(403, {}, "error code: 1010"),
    "refused": REFUSED,
    "gateway": status(502),
    "timed out": TIMED_OUT,
    "broken": BROKEN,
    "rejected": REJECTED,
    "too large": TOO_LARGE,
    "username": Response(400, {}, {"code": 50035, "errors": {"username": {}}}),
    "thread": Response(404, {}, {"code": 10003}),
    "post": Response(200, {}, {"channel_id": "9"}),
    "title": Response(400, {}, {"code": 50035, "errors": {"thread_name": {}}}),
    "tag": Response(400, {}, {"code": 50035, "errors": {"applied_tags": {}}}),
}


class AnyAnswers(RuleBasedStateMachine):
    """With any responses, every record is accounted for, none is delivered twice, and no loop runs hot."""

    @initialize(size=st.sampled_from([5, 25, 10_000]), is_limited=st.booleans())
    def begin(self, size: int, is_limited: bool) -> None:
        """Start with an empty backlog and an endless supply of successes."""
        self.world = World(size=size)
        if is_limited:
            self.world.delivery._limiter = DiscordRateLimiter()
        self.numbers = iter(range(1_000_000))
        self.accepted = 0
        self.is_gone = False
        self.idle_steps = 0

    @rule(
        count=st.integers(1, 30),
        levelno=st.sampled_from([10, 20, 40, 50]),
        username=st.sampled_from([None, "Bot"]),
        thread=st.sampled_from([None, None, "7", "8"]),
        title=st.sampled_from([None, "Errors"]),
    )
    def log(self, count: int, levelno: int, username: str | None, thread: str | None, title: str | None) -> None:
        """Log some records."""
        place: dict[str, Any] = {"thread_name": title, "applied_tags": ("5",)} if title else {"thread_id": thread}
        settings = CardSettings(EmbedFormatter(), username=username, mentions={0: "", logging.ERROR: "<@&5>"}, **place)
        for _ in range(count):
            self.world.backlog.put(record(next(self.numbers), settings, levelno))
        self.accepted += count

    @rule(reactions=st.lists(st.sampled_from(sorted(REACTIONS)), max_size=6), poison=st.integers(0, 40))
    def answer(self, reactions: list[str], poison: int) -> None:
        """Let Discord respond like this from now on, and fail for one record."""
        self.world.answers = [REACTIONS[name] for name in reactions]
        self.world.react = lambda numbers, _is_plain: BROKEN if poison in numbers else OK

    @rule(count=st.integers(1, 12))
    def go_on(self, count: int) -> None:
        """Take some steps."""
        for _ in range(count):
            before = (self.world.now, self.world.backlog.count()["pending"])
            self.world.step()
            is_idle = before == (self.world.now, self.world.backlog.count()["pending"])
            self.idle_steps = self.idle_steps + 1 if is_idle and before[1] else 0
            assert self.idle_steps <= 8, "a hot loop"

    @rule()
    def lose(self) -> None:
        """Delete the webhook, but only now and then, so that other rules run too."""
        if next(self.numbers) % 20 == 0:
            self.world.answers = [GONE]

    @invariant()
    def books_balance(self) -> None:
        """Every record is delivered, pending or dropped, and no certain success is repeated."""
        if hasattr(self, "world"):
            assert self.world.backlog.count()["accepted"] == self.accepted
            self.world.check_books()
            assert len(set(self.world.arrived)) == len(self.world.arrived)
            json.dumps(self.world.delivery.health())

    def teardown(self) -> None:
        """When Discord recovers, every record arrives that was not dropped."""
        if hasattr(self, "world"):
            self.world.answers = []
            self.world.react = lambda _numbers, _is_plain: OK
            self.world.run()
            self.books_balance()
            assert self.world.delivery.health()["status"] in ("ok", "limited", "stopped")


TestAnyAnswers = pytest.mark.once(AnyAnswers.TestCase)
TestAnyAnswers.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
