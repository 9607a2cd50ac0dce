"""Live cards: how an incident is told from its first record to its end, with a fake channel and a fake clock."""

from __future__ import annotations

import itertools
import logging
import re
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging import Attachment
from discord_logging._backlogs import incidents, memory
from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._delivery.delivery import Delivery
from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._discord.sender import Response, WebhookSender
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._exceptions import TransportError
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings, DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from discord_logging._discord.types import Embed, Message

URL = WebhookURL.parse(f"https://discord.com/api/webhooks/123456789012345678/{'x' * 68}")
SETTINGS = CardSettings(EmbedFormatter())
WALL = 1_700_000_000.0
GUILD = "77"
QUIET = 900.0
TIMED_OUT = TransportError("ReadTimeout", maybe_saved=True)
REFUSED = TransportError("ConnectionRefusedError", maybe_saved=False)
BROKEN = Response(500, {}, {"message": "500: Internal Server Error", "code": 0})


def error(status: int, code: int, **body: Any) -> Response:
    """Return a refusal of Discord's."""
    return Response(status, {}, {"message": "no", "code": code, **body})


class Channel:
    """A channel with its messages, and a delivery to it. Seconds pass only when the test lets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.now = 1_000.0
        for module in (memory, incidents):
            monkeypatch.setattr(module, "clock", self)
        self.embeds: dict[str, list[Embed]] = {}
        self.files: dict[str, list[bytes]] = {}
        self.requests: list[tuple[float, str, str]] = []
        self.answers: list[Response | TransportError] = []
        self.notified: list[str] = []
        options = {"repeats": "edit", "quiet_after": QUIET, **options}
        self.backlog = MemoryBacklog()
        self.backlog.configure(DeliverySettings(**options))
        limiter = DiscordRateLimiter(channel_limit=options.get("channel_limit", 30))
        self.delivery = Delivery(URL, self.backlog, cast("WebhookSender", self), limiter, clock=self.monotonic)

    def monotonic(self) -> float:
        """Stand in for the clock of the backlog."""
        return self.now

    # The sender

    def post(self, message: Message) -> Response:
        """Post a message, or do what the test has planned."""
        number = str(len(self.embeds) + 1)
        answer = self._answer("post", number)
        if answer.status == 200:
            self.embeds[number] = list(message.payload.get("embeds", ()))
            self.files[number] = [file.content for file in message.files]
            self.notified.append(message.payload.get("content", ""))
        return answer

    def edit(self, message_id: str, message: Message) -> Response:
        """Edit a message, or do what the test has planned."""
        answer = self._answer("edit", message_id)
        assert set(message.payload) <= {"embeds", "allowed_mentions", "attachments"}
        assert message.payload["allowed_mentions"] == {"parse": []}
        if answer.status == 200:
            assert message.payload["embeds"] != self.embeds[message_id], "an edit that changes nothing"
            self.embeds[message_id] = list(message.payload["embeds"])
            self.files[message_id] = [file.content for file in message.files] or self.files[message_id]
        return answer

    def get(self) -> Response:
        """Return the webhook."""
        return Response(200, {}, {"guild_id": GUILD})

    def _answer(self, kind: str, number: str) -> Response:
        self.requests.append((self.now, kind, number))
        answer = self.answers.pop(0) if self.answers else Response(200, {}, None)
        if isinstance(answer, TransportError):
            raise answer
        if answer.status != 200:
            return answer
        return Response(200, {}, {"id": number, "channel_id": "5", "attachments": [{"id": f"9{len(self.requests)}"}]})

    # The test

    def log(
        self, text: str, *args: Any, level: int = logging.ERROR, kept: CardSettings = SETTINGS, **more: Any
    ) -> None:
        """Log a record of a kind that its text names."""
        name = {"levelno": level, "levelname": logging.getLevelName(level), "name": "shop", "pathname": "a.py"}
        attributes = {**name, "lineno": 7, "msg": text, "args": args, "created": WALL + self.now, "process": 4711}
        self.backlog.put(freeze(logging.makeLogRecord({**attributes, **more}), kept))

    def step(self, seconds: float = 0.0) -> None:
        """Let seconds pass, in which the delivery does what it can, in steps of a tenth of a second at least."""
        end = self.now + seconds
        while True:
            wait = self.delivery.step() if self.backlog.is_ready else 0.5
            if self.now >= end and (wait or not self.backlog.is_ready):
                return
            self.now = min(self.now + max(wait, 0.1), max(end, self.now))

    def settle(self) -> None:
        """Let seconds pass until nothing is pending."""
        for _ in range(1_000):
            if not self.backlog.pending:
                return
            self.step(1.0)
        pytest.fail(f"{self.backlog.pending} records are pending")

    def titles(self) -> list[str]:
        """Return the titles of all cards."""
        return [embed.get("title", "") for embeds in self.embeds.values() for embed in embeds]

    def counts(self) -> list[int]:
        """Return the number of records that each card shows."""
        found = [re.match(r"×([\d,]+) ", title) for title in self.titles()]  # noqa: RUF001 - the sign for times
        return [int(match[1].replace(",", "")) if match else 1 for match in found]

    def text(self, number: int) -> str:
        """Return the description of the first card of a message."""
        return self.embeds[str(number)][0]["description"]

    def kinds(self) -> list[str]:
        """Return the kinds of the requests."""
        return [kind for _, kind, _ in self.requests]


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Channel:
    """Return an empty channel."""
    return Channel(monkeypatch)


class TestCounting:
    """What follows on the first record of a kind is counted on its card."""

    def test_the_first_record_posts_and_others_edit(self, channel: Channel) -> None:
        """Other arguments make no other kind."""
        channel.log("order %d failed", 1)
        channel.step()
        assert channel.kinds() == ["post"]
        for number in range(2, 9):
            channel.log("order %d failed", number)
        channel.step()
        assert channel.kinds() == ["post"]
        channel.settle()
        assert (channel.kinds(), channel.counts()) == (["post", "edit"], [8])
        assert "order 8 failed" in channel.text(1)
        assert "since <t:" in channel.text(1)

    def test_every_text_is_in_the_file(self, channel: Channel) -> None:
        """The card shows the newest; the file has all, each once, in their order."""
        for number in (1, 2, 3, 2, 1, 4):
            channel.log("order %d failed", number)
            channel.step(1.0)
        channel.settle()
        [file] = channel.files["1"]
        assert re.findall(r"order \d", file.decode()) == ["order 1", "order 2", "order 3", "order 4"]
        assert channel.counts() == [6]

    def test_repeats_need_no_file(self, channel: Channel) -> None:
        """Their text is on the card."""
        for _ in range(5):
            channel.log("disk is full")
            channel.step(1.0)
        channel.settle()
        assert (channel.files["1"], channel.counts()) == ([], [5])

    def test_no_edit_comes_within_five_seconds(self, channel: Channel) -> None:
        """While the card is young, its count is never more than ten seconds late."""
        logged: list[float] = []
        for _ in range(400):
            channel.log("order failed")
            logged.append(channel.now)
            channel.step(0.5)
            shown = channel.counts()[-1]
            assert len(logged) - shown <= 20 or len(channel.embeds) > 1
        edits = [at for at, kind, _ in channel.requests if kind == "edit"]
        assert min(later - earlier for earlier, later in itertools.pairwise(edits)) >= 2.5
        times = [at for at, _, number in channel.requests if number == "1"]
        assert min(later - earlier for earlier, later in itertools.pairwise(times[:-1])) >= 5.0

    def test_an_hour_needs_few_requests(self, channel: Channel) -> None:
        """4,000 records are three messages, and the edits become rarer."""
        for _ in range(4_000):
            channel.log("order failed")
            channel.step(0.9)
        channel.settle()
        assert channel.kinds().count("post") == 3
        assert channel.kinds().count("edit") <= 400
        assert channel.counts()[-1] == 4_000

    def test_cards_of_one_message_are_edited_together(self, channel: Channel) -> None:
        """One request shows both counts."""
        for _ in range(3):
            channel.log("one failed")
            channel.log("two failed", lineno=8)
            channel.step()
        channel.settle()
        assert (channel.kinds(), channel.counts()) == (["post", "edit"], [3, 3])

    def test_a_flush_while_the_first_is_in_flight_posts_no_second_card(self, channel: Channel) -> None:
        """The flush released the others before the card was known, so that they were posted."""
        channel.log("order failed")
        entries, _ = channel.delivery.take()
        channel.log("order failed")
        channel.backlog.release()
        channel.delivery.deliver(entries)
        channel.settle()
        assert (channel.kinds(), channel.counts()) == (["post", "edit"], [2])

    def test_news_are_not_counted_together(self, channel: Channel) -> None:
        """Below WARNING, only records that say the same are."""
        for number in (1, 2, 2, 3):
            channel.log("order %d placed", number, level=logging.INFO)
        channel.settle()
        assert channel.counts() == [1, 2, 1]

    def test_records_with_files_stand_alone(self, channel: Channel) -> None:
        """A file must be shown."""
        for _ in range(3):
            channel.log("report", attachment=Attachment(b"1,2", "report.csv"))
        channel.log("report")
        channel.settle()
        assert channel.counts() == [1, 1, 1, 1]

    def test_texts_that_have_no_room_are_counted_and_told(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Memory is bounded."""
        monkeypatch.setattr(channel.backlog._repeats, "max_waiting", 2_000)
        channel.log("order failed")
        channel.step()
        for number in range(20):
            channel.log("order %d failed", number)
        channel.log("order %d failed", 20)
        channel.settle()
        assert sum(channel.counts()) == 22
        assert re.search(r"\d+ not in the file", channel.text(2) + channel.text(1))

    def test_a_card_without_an_embed_holds_repeats_as_before(self, channel: Channel) -> None:
        """A formatter whose cards become plain text has no live cards."""

        class Plain(EmbedFormatter):
            def embed(self, record: Any) -> Embed:
                return {"description": record.message}

        kept = CardSettings(Plain())
        for _ in range(10):
            channel.log("disk is full", kept=kept)
            channel.step(1.0)
        assert channel.kinds() == ["post"]
        channel.step(60.0)
        assert channel.kinds() == ["post", "post"]
        assert not channel.backlog.pending


class TestSpeakingUp:
    """An incident posts a new message when somebody should look."""

    def test_at_a_hundred_and_at_each_tenfold(self, channel: Channel) -> None:
        """The message says how many, and has a link to the first one."""
        for _ in range(1_000):
            channel.log("order failed")
            channel.step(0.2)
        channel.settle()
        channel.step(60.0)
        assert len(channel.embeds) == 3
        assert f"[first message](https://discord.com/channels/{GUILD}/5/1)" in channel.text(3)
        assert "**×1,000**" in channel.text(3)  # noqa: RUF001 - the sign for times
        assert f"[a newer message](https://discord.com/channels/{GUILD}/5/3) goes on counting" in channel.text(2)

    def test_a_burst_before_the_first_message_rings_once(self, channel: Channel) -> None:
        """The first card showed 150, and yet the next record posted another one for the 100."""
        for _ in range(150):
            channel.log("order failed")
        channel.step()
        for _ in range(840):
            channel.log("order failed")
        channel.step(10.0)
        assert channel.counts() == [990]
        for _ in range(10):
            channel.log("order failed")
        channel.settle()
        assert "**×1,000**" in channel.text(2)  # noqa: RUF001 - the sign for times

    def test_when_the_severity_rises(self, channel: Channel) -> None:
        """It does not wait for the next edit."""
        channel.log("disk is full", level=logging.WARNING)
        channel.step()
        channel.log("disk is full", level=logging.WARNING)
        channel.step(1.0)
        channel.log("disk is full", level=logging.CRITICAL)
        channel.step()
        assert channel.kinds() == ["post", "post"]
        assert "**now CRITICAL**" in channel.text(2)
        channel.settle()
        assert channel.counts() == [1, 3]

    def test_when_it_comes_back(self, channel: Channel) -> None:
        """The old card says that it was over, and the new one counts from one."""
        for _ in range(3):
            channel.log("order failed")
            channel.step()
        channel.step(QUIET + 10)
        assert channel.kinds() == ["post", "edit", "edit"]
        assert re.search(r"quiet since <t:\d+:R>, ×3 in 0 s", channel.text(1))  # noqa: RUF001 - the sign for times
        colors = channel.embeds["1"][0]["color"]
        channel.step(3_600.0)
        channel.log("order failed")
        channel.step()
        assert channel.kinds()[3:4] == ["post"]
        assert "**again after 75 min**" in channel.text(2)
        assert channel.embeds["2"][0]["color"] != colors
        channel.step(10.0)
        assert "goes on counting" in channel.text(1)
        assert channel.counts() == [3, 1]

    def test_when_it_comes_back_after_its_message_was_deleted(self, channel: Channel) -> None:
        """The touch-up met no message, and the new card gave no reason."""
        for _ in range(2):
            channel.log("order failed")
            channel.step()
        channel.step(10.0)
        channel.answers = [error(404, 10008)]
        channel.step(QUIET)
        channel.log("order failed")
        channel.step()
        assert "**again after 15 min**" in channel.text(2)

    def test_a_single_record_is_never_quiet(self, channel: Channel) -> None:
        """Its card tells all."""
        channel.log("order failed")
        channel.step(QUIET * 3)
        assert channel.kinds() == ["post"]

    @pytest.mark.parametrize(("others", "seconds", "messages"), [(31, 660, 33), (31, 300, 32), (0, 6 * 3_700, 2)])
    def test_when_the_card_is_out_of_sight(self, channel: Channel, others: int, seconds: int, messages: int) -> None:
        """About 30 later messages, or six hours, push it out of sight."""
        channel.log("order failed")
        channel.step()
        for number in range(others):
            channel.log("order %d placed", number, level=logging.INFO)
            channel.step(seconds / others)
        for _ in range(0 if others else seconds // 600):
            channel.log("order failed")
            channel.step(600.0)
        channel.log("order failed")
        channel.settle()
        assert len(channel.embeds) == messages
        assert ("still going on" in channel.text(messages)) == (messages != 32)

    def test_nobody_is_notified_by_an_edit(self, channel: Channel) -> None:
        """A new message notifies under `mention_interval`."""
        kept = CardSettings(EmbedFormatter(), mentions={0: "<@&1>"})
        channel.delivery.mention_interval = 0.0
        for _ in range(100):
            channel.log("order failed", kept=kept)
            channel.step(0.1)
        channel.settle()
        assert channel.notified == ["<@&1>", "<@&1>"]


class TestTurns:
    """Edits give way to posts."""

    def test_an_alarm_never_waits_for_an_edit(self, channel: Channel) -> None:
        """Edits leave the room for it."""
        for number in range(20):
            channel.log("failed", lineno=number)
        channel.settle()
        for _ in range(30):
            for number in range(20):
                channel.log("failed", lineno=number)
            channel.step(1.0)
        channel.log("on fire", level=logging.CRITICAL)
        channel.step()
        assert channel.kinds()[-1] == "post"
        assert "on fire" in channel.text(len(channel.embeds))

    def test_an_edit_has_a_turn_under_lasting_load(self, channel: Channel) -> None:
        """But never two in a row."""
        channel.log("order failed")
        channel.step()
        for number in range(300):
            channel.log("order failed")
            channel.log("order %d placed", number, level=logging.INFO)
            channel.step(0.2)
        kinds = channel.kinds()
        assert kinds.count("edit") >= 3
        assert "edit edit" not in " ".join(kinds)
        assert kinds.count("post") > kinds.count("edit")


class TestReactions:
    """No answer to an edit loses a record, or counts it twice."""

    def start(self, channel: Channel, *answers: Response | TransportError) -> None:
        """Post a card, and let the next requests have these answers."""
        channel.log("order failed")
        channel.step()
        channel.answers = list(answers)
        channel.log("order failed")
        channel.settle()

    @pytest.mark.parametrize(
        "answer",
        [error(404, 10008), error(404, 10003), error(403, 50005), error(400, 50035)],
        ids=lambda each: each.code,
    )
    def test_a_refused_edit_makes_a_new_card(self, channel: Channel, answer: Response) -> None:
        """Somebody has deleted the message, perhaps. The new card counts all, and goes on."""
        self.start(channel, answer)
        assert channel.kinds() == ["post", "edit", "post"]
        channel.log("order failed")
        channel.settle()
        assert channel.kinds() == ["post", "edit", "post", "edit"]
        assert channel.counts() == [1, 3]
        assert channel.backlog.count() == {"accepted": 3, "delivered": 3, "pending": 0, "dropped": 0}

    def test_a_webhook_that_is_gone_stops_all(self, channel: Channel) -> None:
        """No card can be posted either."""
        self.start(channel, error(404, 10015))
        assert channel.delivery.health()["status"] == "stopped"
        assert channel.backlog.count() == {"accepted": 2, "delivered": 1, "pending": 0, "dropped": 1}

    def test_too_many_edits_of_old_messages_hold_up_no_post(self, channel: Channel) -> None:
        """The refusal has a code of its own, and is about edits alone."""
        channel.log("order failed")
        channel.step()
        channel.answers = [error(429, 30046, retry_after=20.0)]
        channel.log("order failed")
        channel.step(6.0)
        assert channel.kinds() == ["post", "edit"]
        channel.log("something else", lineno=8)
        channel.step(3.0)
        assert channel.kinds() == ["post", "edit", "post"]
        channel.step(20.0)
        assert (channel.kinds()[3:], channel.counts()) == (["edit"], [2, 1])
        assert channel.delivery.health()["rate_limited"] == {}

    @pytest.mark.parametrize("answer", [TIMED_OUT, REFUSED, BROKEN], ids=["time-out", "refused", "500"])
    def test_an_edit_is_sent_again(self, channel: Channel, answer: Response | TransportError) -> None:
        """It may have been saved, but counts nothing twice, and says nothing of a repeat."""
        self.start(channel, answer, answer)
        assert (channel.kinds(), channel.counts()) == (["post", *["edit"] * 3], [2])
        assert "twice" not in channel.text(1)

    def test_an_edit_that_breaks_discord_makes_a_new_card(self, channel: Channel) -> None:
        """After three times, the message is given up."""
        self.start(channel, BROKEN, BROKEN, BROKEN)
        assert (channel.kinds(), channel.counts()) == (["post", *["edit"] * 3, "post"], [1, 2])

    def test_a_rate_limit_holds_up_an_edit(self, channel: Channel) -> None:
        """The edit is sent later, and nobody is told twice."""
        limited = Response(429, {"X-RateLimit-Scope": "user"}, {"retry_after": 3.0, "message": "no", "global": False})
        self.start(channel, limited)
        assert (channel.kinds(), channel.counts()) == (["post", "edit", "edit"], [2])

    def test_a_card_that_cannot_be_made_is_no_loss(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fault of ours becomes a new card."""

        def fail(*_: object) -> None:
            raise RuntimeError("no edit")

        with monkeypatch.context() as patch:
            patch.setattr("discord_logging._delivery.delivery.change_of", fail)
            self.start(channel)
        assert (channel.kinds(), channel.counts()) == (["post", "post"], [1, 2])

    def test_a_message_whose_place_is_unknown_is_not_live(self, channel: Channel) -> None:
        """The answer of a proxy may have no id. Repeats are held as before then."""
        channel.answers = [Response(204, {}, None)]
        channel.log("order failed")
        channel.step()
        channel.log("order failed")
        channel.settle()
        assert channel.kinds() == ["post", "post"]
        assert channel.now >= 1_060.0


class TestBounds:
    """Incidents take a bounded memory."""

    def test_the_least_recent_becomes_plain(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its next record posts a card of its own."""
        monkeypatch.setattr(incidents, "_MAX_INCIDENTS", 3)
        for number in range(4):
            channel.log("failed", lineno=number)
            channel.step(3.0)
        channel.log("failed", lineno=0)
        channel.log("failed", lineno=3)
        channel.settle()
        assert channel.counts() == [1, 1, 1, 2, 1]

    def test_what_is_held_for_it_leaves_at_once(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        """No more is held than is known."""
        monkeypatch.setattr(incidents, "_MAX_INCIDENTS", 1)
        channel.log("one failed")
        channel.step()
        channel.log("one failed")
        channel.log("two failed", lineno=8)
        channel.settle()
        assert sorted(channel.counts()) == [1, 2]

    def test_news_push_out_no_incident(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        """Many records below WARNING leave the incidents alone."""
        monkeypatch.setattr(incidents, "_MAX_INCIDENTS", 3)
        channel.log("disk is full")
        channel.step()
        for number in range(5):
            channel.log("order %d placed", number, level=logging.INFO)
        channel.log("disk is full")
        channel.settle()
        assert channel.counts()[0] == 2

    def test_forgotten_texts_are_told_again(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        """The count stays right."""
        monkeypatch.setattr(incidents, "_MAX_TEXTS", 2)
        for number in (1, 2, 3, 1, 2, 3):
            channel.log("order %d failed", number)
        channel.settle()
        assert sum(channel.counts()) == 6

    def test_a_full_queue_drops_edits_of_the_least_level(self, channel: Channel) -> None:
        """Each record that an edit would have counted is counted as dropped."""
        for level in (logging.WARNING, logging.ERROR):
            channel.log("disk is full", level=level, lineno=level)
        channel.step()
        for level in (logging.WARNING, logging.ERROR, logging.WARNING):
            channel.log("disk is full", level=level, lineno=level)
        channel.backlog.max_records = 1
        channel.backlog.release()
        channel.settle()
        assert channel.backlog.dropped == {("queue_full", "WARNING"): 2}
        assert channel.counts() == [1, 2]


class TestSettings:
    """The mode may change while records are held."""

    @pytest.mark.parametrize("modes", [("edit", "post"), ("edit", "off"), ("post", "edit"), ("off", "edit")])
    def test_a_change_of_mode_loses_nothing(self, monkeypatch: pytest.MonkeyPatch, modes: Sequence[str]) -> None:
        """Held records leave."""
        channel = Channel(monkeypatch, repeats=modes[0])
        for mode in (*modes, *modes):
            for _ in range(3):
                channel.log("disk is full")
                channel.step()
            channel.backlog.configure(DeliverySettings(repeats=mode))
        channel.step(120.0)
        assert channel.backlog.count() == {"accepted": 12, "delivered": 12, "pending": 0, "dropped": 0}

    def test_a_window_of_zero_folds_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As before."""
        channel = Channel(monkeypatch, repeat_window=0.0)
        for _ in range(3):
            channel.log("disk is full")
        channel.step(10.0)
        assert channel.counts() == [1, 1, 1]

    def test_new_times_apply_at_once(self, channel: Channel) -> None:
        """A shorter time until it is quiet, too."""
        channel.log("disk is full")
        channel.step()
        channel.backlog.configure(DeliverySettings(repeats="edit", quiet_after=20.0))
        channel.log("disk is full")
        channel.step(40.0)
        assert "quiet since" in channel.text(1)


ANSWERS = [Response(200, {}, None), TIMED_OUT, REFUSED, BROKEN, error(404, 10008), error(429, 30046, retry_after=9.0)]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("log"), st.integers(0, 3), st.sampled_from([30, 40, 50])),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 3.0, 6.0, 70.0, 1_000.0]), st.just(0)),
        st.tuples(st.just("answer"), st.sampled_from(range(len(ANSWERS))), st.just(0)),
        st.tuples(st.just("flush"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(steps=steps)
def test_every_record_is_counted_once(steps: Sequence[tuple[str, Any, int]]) -> None:
    """Whatever is answered: at the end all is delivered, and no unclear answer makes an edit count twice."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        channel, logged = Channel(monkeypatch), 0
        for step, value, level in steps:
            if step == "log":
                channel.log("kind %d", level, level=level, lineno=value + 1)
                logged += 1
            elif step == "wait":
                channel.step(value)
            elif step == "answer":
                channel.answers.append(ANSWERS[value])
            else:
                channel.backlog.release()
            count = channel.backlog.count()
            assert count["accepted"] == logged == count["delivered"] + count["pending"] + count["dropped"]
        channel.answers.clear()
        channel.settle()
        assert channel.backlog.count() == {"accepted": logged, "delivered": logged, "pending": 0, "dropped": 0}
        assert not channel.backlog.leased
        channel.step(5_000.0)
        assert all(incident.in_flight == 0 for incident in _open(channel))


def _open(channel: Channel) -> Iterator[Any]:
    return cast("incidents.Incidents", channel.backlog._repeats)._all()
