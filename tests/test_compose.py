"""Waiting records as messages."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._compose import compose, compose_plain, lay_out
from discord_logging._settings import CardSettings

if TYPE_CHECKING:
    from discord_logging._types import Embed, Message, Payload

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
SETTINGS = CardSettings(EmbedFormatter())


def make(msg: object = "hello", settings: CardSettings = SETTINGS, **attributes: object) -> FrozenRecord:
    """Return a frozen record."""
    record = logging.LogRecord("shop", logging.ERROR, "orders.py", 42, msg, (), None, "place")
    record.__dict__.update(attributes)
    return FrozenRecord(record, settings)


def carry(records: list[FrozenRecord], note: str = "") -> list[Message]:
    """Return the messages that a backlog leaves in, one after the other."""
    messages = []
    while records:
        message, count = compose(records, note)
        assert 1 <= count <= len(records)
        assert len(message.payload["embeds"]) == count
        messages.append(message)
        records = records[count:]
    return messages


def length(embed: Embed) -> int:
    """Return what Discord counts of an embed."""
    texts = [embed.get("title", ""), embed.get("description", ""), embed["footer"]["text"] if "footer" in embed else ""]
    texts += [field[part] for field in embed.get("fields", ()) for part in ("name", "value")]
    return sum(map(len, texts))


def problems(payload: Payload) -> list[str]:
    """Return what Discord would find wrong with a message as a whole."""
    embeds = payload.get("embeds", [])
    found = ["more than 10 embeds"] if len(embeds) > 10 else []
    found += ["more than 6000 characters"] if sum(map(length, embeds)) > 6000 else []
    found += ["content too long"] if len(payload.get("content", "")) > 2000 else []
    found += ["nothing in it"] if not (any(map(length, embeds)) or payload.get("content", "").strip()) else []
    found += (
        ["footer too long"] if any(len(embed["footer"]["text"]) > 2048 for embed in embeds if "footer" in embed) else []
    )
    found += ["may ping"] if payload["allowed_mentions"] != {"parse": []} else []
    json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()
    return found


class TestCompose:
    """A backlog, folded into messages."""

    def test_one_record_is_one_card(self) -> None:
        """Under no load nothing is folded."""
        record = make()
        message, count = compose([record])
        assert count == 1
        assert set(message.payload) == {"embeds", "allowed_mentions"}
        assert message.payload["embeds"] == [EmbedFormatter().embed(record)]
        assert message.thread_id is None

    @pytest.mark.parametrize(("waiting", "counts"), [(9, [9]), (10, [10]), (11, [10, 1]), (35, [10, 10, 10, 5])])
    def test_ten_cards_share_a_message(self, waiting: int, counts: list[int]) -> None:
        """More Discord does not take."""
        messages = carry([make(str(number)) for number in range(waiting)])
        assert [len(message.payload["embeds"]) for message in messages] == counts

    @pytest.mark.parametrize(("size", "counts"), [(1500, [4, 1]), (2000, [3, 2]), (2001, [2, 2, 1])])
    def test_six_thousand_characters_share_a_message(self, size: int, counts: list[int]) -> None:
        """The card that is one too many begins the next."""

        class Bare(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return ""

            def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return ""

            def description(self, record: FrozenRecord) -> str:
                return record.message

        messages = carry([make("x" * size, CardSettings(Bare())) for _ in range(5)])
        assert [len(message.payload["embeds"]) for message in messages] == counts

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([0, 1, 50, 500]) | st.integers(0, 5000),
                st.integers(0, 8),
                st.sampled_from(["", "worker", "t" * 3000]),
                st.booleans(),
                st.sampled_from([None, None, "1", "2"]),
            ),
            min_size=1,
            max_size=30,
        ),
        st.sampled_from(["", "delayed 5 s", "n" * 40]),
    )
    def test_any_backlog_is_carried_in_order(
        self, parts: list[tuple[int, int, str, bool, str | None]], note: str
    ) -> None:
        """Nothing is lost, nothing comes twice, and every message satisfies the limits."""
        records = []
        for number, (size, fields, thread_name, is_repeat, thread_id) in enumerate(parts):
            extra = {f"key{each}": "y" * 900 for each in range(fields)}
            settings = CardSettings(EmbedFormatter(), thread_id=thread_id)
            records.append(make(f"#{number:02}" + "x" * size, settings, threadName=thread_name, **extra))
            records[-1].is_repeat = is_repeat
        messages = carry(records, note)
        assert [problem for message in messages for problem in problems(message.payload)] == []
        cards = [(embed, message.thread_id) for message in messages for embed in message.payload["embeds"]]
        assert [(embed["description"][1:4], thread_id) for embed, thread_id in cards] == [
            (f"#{number:02}", part[-1]) for number, part in enumerate(parts)
        ]

    @pytest.mark.parametrize(
        ("change", "shares"),
        [
            ({}, True),
            ({"context": {"service": "shop"}}, True),
            ({"colors": {0: 1}}, True),
            ({"username": "shop"}, False),
            ({"avatar_url": "https://x.example/a.png"}, False),
            ({"thread_id": "1"}, False),
        ],
    )
    def test_a_message_has_one_destination(self, change: dict[str, Any], *, shares: bool) -> None:
        """Handlers that look differently share a webhook, but no message."""
        messages = carry([make(), make("other", CardSettings(EmbedFormatter(), **change)), make()])
        assert len(messages) == (1 if shares else 3)

    def test_the_message_goes_where_its_handler_says(self) -> None:
        """Under its name, with its picture, into its thread."""
        settings = CardSettings(EmbedFormatter(), "shop", "https://x.example/a.png", "123")
        message, _ = compose([make(settings=settings)])
        assert message.payload["username"] == "shop"
        assert message.payload["avatar_url"] == "https://x.example/a.png"
        assert message.thread_id == "123"

    def test_the_first_card_tells_of_a_delay_and_each_of_its_own_repeat(self) -> None:
        """In its footer."""
        records = [make(), make(), make()]
        records[0].is_repeat = records[2].is_repeat = True
        embeds = compose(records, "delayed 5 s")[0].payload["embeds"]
        footer = EmbedFormatter().footer(records[0])
        assert [embed["footer"]["text"].removeprefix(footer) for embed in embeds] == [
            " · delayed 5 s · may be a repeat",
            "",
            " · may be a repeat",
        ]

    def test_a_note_needs_no_footer(self) -> None:
        """A formatter may leave it out."""

        class Footless(EmbedFormatter):
            def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return ""

        record = make(settings=CardSettings(Footless()))
        assert compose([record], "delayed 5 s")[0].payload["embeds"][0]["footer"] == {"text": "delayed 5 s"}
        assert "footer" not in compose([record])[0].payload["embeds"][0]


class TestLayOut:
    """Formatters of the user's."""

    def test_an_override_changes_its_part(self) -> None:
        """And nothing else."""

        class Short(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:
                return record.levelname

        record = make(settings=CardSettings(Short()))
        assert lay_out(record) == {**EmbedFormatter().embed(record), "title": "ERROR"}

    @pytest.mark.parametrize("part", ["title", "description", "fields", "footer", "color"])
    @pytest.mark.parametrize("fault", [ZeroDivisionError("no"), None, 5j, [5], [{"name": "a"}]])
    def test_an_override_that_fails_does_not_cost_the_record(self, part: str, fault: object) -> None:
        """The standard card is shown, and says whose fault it was."""

        def override(_: object, __: object) -> object:
            if isinstance(fault, Exception):
                raise fault
            return fault

        record = make(settings=CardSettings(type("Own", (EmbedFormatter,), {part: override})()))
        card = lay_out(record)
        standard = EmbedFormatter().embed(record)
        footer = card.pop("footer")["text"]
        assert footer.startswith(f"{standard.pop('footer')['text']} · Own failed: ")
        assert card == standard

    def test_the_text_of_another_formatter_is_on_a_standard_card(self) -> None:
        """It was formatted on the caller's thread."""
        formatter = logging.Formatter("%(message)s!")
        record = FrozenRecord(logging.makeLogRecord({"lineno": 0}), CardSettings(formatter), "body!")
        assert lay_out(record)["description"] == "body!"


class TestComposePlain:
    """The last try for a record whose card was refused."""

    def test_it_is_one_line_of_text_to_the_same_thread(self) -> None:
        """Escaped, and without any ping."""
        message = compose_plain(make("@everyone _x_", CardSettings(None, "shop", thread_id="5")))
        assert message.payload == {"content": r"ERROR shop: @everyone \_x\_", "allowed_mentions": {"parse": []}}
        assert message.thread_id == "5"

    @given(st.text(st.characters()), st.integers(1, 5000), st.text(), st.text())
    def test_any_record_is_a_valid_message(self, text: str, times: int, name: str, levelname: str) -> None:
        """Its text is within Discord's limit."""
        assert problems(compose_plain(make(text * times, name=name, levelname=levelname)).payload) == []

    def test_it_shows_no_token(self) -> None:
        """As a card shows none."""
        content = compose_plain(make(f"https://discord.com/api/webhooks/1/{TOKEN}")).payload["content"]
        assert content.endswith("/webhooks/1/***")
