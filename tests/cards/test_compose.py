"""Waiting records as messages."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import UserString
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import Attachment, EmbedFormatter, FrozenRecord
from discord_logging._cards.compose import Composed, compose, compose_plain, lay_out, put_above
from discord_logging._records.freeze import freeze
from discord_logging._records.incident import Incident
from discord_logging._records.record import Counts, Origin
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._discord.types import Embed, Payload

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
SETTINGS = CardSettings(EmbedFormatter())


def make(msg: object = "hello", settings: CardSettings = SETTINGS, **attributes: object) -> FrozenRecord:
    """Return a frozen record."""
    record = logging.LogRecord("shop", logging.ERROR, "orders.py", 42, msg, (), None, "place")
    record.__dict__.update(attributes)
    return FrozenRecord(freeze(record, settings))


def zoned(utc_offset: int | None, record: FrozenRecord) -> FrozenRecord:
    """Return the record as another process logged it, in whose zone clocks are ahead of UTC by `utc_offset` seconds."""
    return FrozenRecord(record._snapshot, Origin("web-1", "orders.py", None, utc_offset), record._counts)


def carry(records: list[FrozenRecord], note: str = "", *, allowance: int = 1) -> list[Composed]:
    """Return the messages that carry a backlog, one after the other."""
    messages = []
    while records:
        composed = compose(records, allowance=allowance, note=note)
        destination = records[0].settings.destination
        mine = [record for record in records if record.settings.destination == destination]
        assert 1 <= len(composed.records) <= len(mine)
        assert list(composed.records) == mine[: len(composed.records)]
        messages.append(composed)
        allowance = max(allowance - 1, 1)
        carried = set(map(id, composed.records))
        records = [record for record in records if id(record) not in carried]
    return messages


class Bare(EmbedFormatter):
    """A formatter whose cards have the message alone."""

    def title(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
        """Return none."""
        return ""

    def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
        """Return none."""
        return ""

    def description(self, record: FrozenRecord) -> str:
        """Return the message."""
        return record.message


def carry_cards(records: list[FrozenRecord], note: str = "") -> list[Composed]:
    """Return the messages that carry a backlog if there are enough requests for cards."""
    messages = carry(records, note, allowance=len(records))
    assert all(len(message.payload["embeds"]) == len(carried) for message, carried, _ in messages)
    return messages


def form(composed: Composed) -> str:
    """Return the form of a message."""
    embeds = composed.message.payload["embeds"]
    if [field["name"] for field in embeds[0].get("fields", [])] == ["From", "To", "Loggers"]:
        return "digest"
    return "lines" if "```ansi\n" in embeds[-1].get("description", "") else "cards"


def length(embed: Embed) -> int:
    """Return the length of an embed as Discord counts it."""
    texts = [embed.get("title", ""), embed.get("description", ""), embed["footer"]["text"] if "footer" in embed else ""]
    texts += [field[part] for field in embed.get("fields", ()) for part in ("name", "value")]
    return sum(map(len, texts))


def problems(payload: Payload) -> list[str]:
    """Return the rules of Discord that a whole message breaks."""
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
        """Without load, no record is folded."""
        record = make()
        message, carried, _ = compose([record])
        assert carried == [record]
        assert message.files == ()
        assert set(message.payload) == {"embeds", "allowed_mentions"}
        assert message.payload["embeds"] == [EmbedFormatter().embed(record)]
        assert message.thread_id is None

    @pytest.mark.parametrize("number", [11, 60, 500])
    def test_the_head_is_in_the_message(self, number: int) -> None:
        """The head does not wait for the records before it, even if there are enough requests for cards."""
        records = [make(f"rec{each}e", levelno=logging.INFO, levelname="INFO") for each in range(number)]
        composed = compose(records, head=records[-2], allowance=1_000)
        assert records[-2] in composed.records
        assert list(composed.records) == records[: len(composed.records)]

    def test_the_head_chooses_the_destination(self) -> None:
        """An alarm for one thread does not wait for routine records of another."""
        elsewhere = CardSettings(EmbedFormatter(), thread_id="5")
        records = [make("routine"), make("alarm", elsewhere), make("more", elsewhere)]
        message, carried, _ = compose(records, head=records[1], allowance=10)
        assert (message.thread_id, list(carried)) == ("5", records[1:])

    @pytest.mark.once
    def test_the_head_overtakes_records_that_fill_the_message(self) -> None:
        """Without room for the files before it, the head is alone in the message."""
        records = [*(make("x" * 1_000_000) for _ in range(9)), make("alarm")]
        assert list(compose(records, head=records[-1]).records) == records[-1:]

    @pytest.mark.parametrize(("number", "expected"), [(3, "cards"), (30, "lines"), (300, "digest")])
    def test_every_form_shows_when_its_first_record_came(self, number: int, expected: str) -> None:
        """Discord shows the time in the reader's zone, which may differ from that of the program."""
        composed = compose([make(f"rec{each}e", created=1_800_000_000.0 + each) for each in range(number)])
        assert form(composed) == expected
        times = [embed["timestamp"] for embed in composed.message.payload["embeds"] if "timestamp" in embed]
        assert min(times) == "2027-01-15T08:00:00.000+00:00"

    @pytest.mark.parametrize(("waiting", "counts"), [(9, [9]), (10, [10]), (11, [10, 1]), (35, [10, 10, 10, 5])])
    def test_ten_cards_share_a_message(self, waiting: int, counts: list[int]) -> None:
        """Discord accepts no more."""
        messages = carry_cards([make(str(number)) for number in range(waiting)])
        assert [len(carried) for _, carried, _ in messages] == counts

    @pytest.mark.parametrize(("size", "counts"), [(1500, [4, 1]), (2000, [3, 2]), (2001, [2, 2, 1])])
    def test_six_thousand_characters_share_a_message(self, size: int, counts: list[int]) -> None:
        """The first card that does not fit begins the next message."""
        messages = carry_cards([make("x" * size, CardSettings(Bare())) for _ in range(5)])
        assert [len(carried) for _, carried, _ in messages] == counts
        # The note needs its room as well.
        [with_note, *_] = carry_cards([make("x" * size, CardSettings(Bare())) for _ in range(5)], "n" * 40)
        assert sum(map(length, with_note.message.payload["embeds"])) <= 6000
        assert len(with_note.records) == min(counts[0], 5957 // size)

    @pytest.mark.once
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
        """No record is lost or repeated, and every message obeys the limits."""
        records = []
        for number, (size, fields, thread_name, is_repeat, thread_id) in enumerate(parts):
            extra = {f"key{each}": "y" * 900 for each in range(fields)}
            settings = CardSettings(EmbedFormatter(), thread_id=thread_id)
            records.append(make(f"#{number:02}" + "x" * size, settings, threadName=thread_name, **extra))
            records[-1] = records[-1].counted(Counts(1, 0.0, is_repeat=is_repeat))
        messages = carry_cards(records, note)
        assert [problem for message, *_ in messages for problem in problems(message.payload)] == []
        cards = [(embed, message.thread_id) for message, *_ in messages for embed in message.payload["embeds"]]
        for destination in (None, "1", "2"):
            assert [embed["description"][1:4] for embed, thread_id in cards if thread_id == destination] == [
                f"#{number:02}" for number, part in enumerate(parts) if part[-1] == destination
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
        """Handlers with different names may share a webhook, but never a message."""
        records = [make(), make("other", CardSettings(EmbedFormatter(), **change)), make()]
        carried = [message.records for message in carry(records)]
        assert carried == ([records] if shares else [records[0::2], records[1:2]])

    def test_the_message_goes_where_its_handler_says(self) -> None:
        """The message has the name, the picture and the thread of the handler."""
        settings = CardSettings(EmbedFormatter(), "shop", "https://x.example/a.png", "123")
        message, *_ = compose([make(settings=settings)])
        assert message.payload["username"] == "shop"
        assert message.payload["avatar_url"] == "https://x.example/a.png"
        assert message.thread_id == "123"

    def test_the_first_card_reports_a_delay_and_each_card_its_repeat(self) -> None:
        """Both stand in the footer."""
        repeated = make().counted(Counts(1, 0.0, is_repeat=True))
        records = [repeated, make(), repeated.counted(Counts(1, 0.0, is_repeat=True))]
        embeds = compose(records, note="delayed 5 s").message.payload["embeds"]
        footer = EmbedFormatter().footer(records[0])
        assert [embed["footer"]["text"].removeprefix(footer) for embed in embeds] == [
            " · may be a repeat · delayed 5 s",
            "",
            " · may be a repeat",
        ]

    def test_a_note_needs_no_footer(self) -> None:
        """A formatter may leave the footer out."""

        class Footless(EmbedFormatter):
            def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return ""

        record = make(settings=CardSettings(Footless()))
        assert compose([record], note="delayed 5 s")[0].payload["embeds"][0]["footer"] == {"text": "delayed 5 s"}
        assert "footer" not in compose([record])[0].payload["embeds"][0]


class TestRepeats:
    """The repeats of a record stand below its text, where Discord shows times in the reader's zone."""

    REPEATS = "×5, first <t:1000000000:T>, last <t:1000000100:T>"  # noqa: RUF001 - the sign

    def repeated(self, msg: str = "hello", formatter: EmbedFormatter | None = None) -> FrozenRecord:
        """Return a record with repeats, from a process in India."""
        record = zoned(19_800, make(msg, CardSettings(formatter or EmbedFormatter()), created=1e9))
        return record.counted(Counts(5, 1e9 + 100))

    def test_they_are_the_last_line_of_the_description(self) -> None:
        """They are in small print, as the location is."""
        assert lay_out(self.repeated())["description"] == f"hello\n-# orders.py:42 in place\n-# {self.REPEATS}"

    @pytest.mark.parametrize("size", [3_900, 5_000, 50_000])
    def test_a_long_description_leaves_room_for_them(self, size: int) -> None:
        """The location stays as well."""
        description = lay_out(self.repeated("x" * size))["description"]
        assert description.endswith(f"-# orders.py:42 in place\n-# {self.REPEATS}")
        assert len(description) <= 4096

    def test_an_override_may_leave_no_room_in_the_description(self) -> None:
        """The footer names the zone, since it shows no times of the reader's zone."""

        class Full(EmbedFormatter):
            def embed(self, record: FrozenRecord) -> Embed:  # noqa: ARG002 - the signature
                return {"description": "x" * 4096, "footer": {"text": "own"}}

        card = lay_out(self.repeated(formatter=Full()))
        assert card["description"] == "x" * 4096
        assert card["footer"]["text"] == "own · ×5, first 07:16:40, last 07:18:20 UTC+05:30"  # noqa: RUF001 - the sign

    def test_an_override_may_have_no_description(self) -> None:
        """The card has one with the repeats alone."""

        class Bare(EmbedFormatter):
            def embed(self, record: FrozenRecord) -> Embed:  # noqa: ARG002 - the signature
                return {"title": "own"}

        assert lay_out(self.repeated(formatter=Bare()))["description"] == f"-# {self.REPEATS}"

    def test_plain_text_begins_with_them(self) -> None:
        """A time in the text of the record stays text."""
        content = compose_plain(self.repeated("at <t:1:R>")).payload["content"]
        assert content == rf"{self.REPEATS} ERROR shop: at \<t\:1:R>"


class TestForms:
    """The choice among cards, lines and a digest: the plainest form that is enough."""

    @pytest.mark.once
    @pytest.mark.parametrize(
        ("waiting", "allowance", "expected"),
        [
            (1, 1, "cards"),
            (10, 1, "cards"),
            (11, 1, "lines"),
            (60, 1, "lines"),
            (60, 6, "cards"),
            (120, 1, "digest"),
            (100, 2, "lines"),
            (100, 10, "cards"),
            (480, 4, "digest"),
            (400, 8, "lines"),
            (10_000, 40, "digest"),
        ],
    )
    def test_the_plainest_form_that_clears_the_backlog(self, waiting: int, allowance: int, expected: str) -> None:
        """The number of allowed requests decides."""
        records = [make(f"user {number} logged in", levelno=20, levelname="INFO") for number in range(waiting)]
        composed = compose(records, allowance=allowance)
        assert form(composed) == expected
        assert len(composed.records) * allowance >= waiting
        assert len(carry(records, allowance=allowance)) <= allowance

    def test_lines_are_coloured_and_have_a_footer(self) -> None:
        """The line above them has their number, the reader's times, and the zone of the times in the block."""
        records = [
            zoned(19_800, make(f"no {number}", levelno=30, levelname="WARNING", created=1e9 + number, order=number))
            for number in range(20)
        ]
        records[3] = records[3].counted(Counts(5, 1e9 + 100))
        records[4] = records[4].counted(Counts(1, 1e9 + 4, is_repeat=True))
        [embed] = compose(records, note="delayed 5 s").message.payload["embeds"]
        lines = embed["description"].split("\n")
        assert lines[0] == ("-# 24 records, <t:1000000000:T> to <t:1000000100:T> · times below are in UTC+05:30")
        assert (lines[1], lines[-1], len(lines)) == ("```ansi", "```", 23)
        assert lines[2] == "07:16:40 \x1b[33mWARNING\x1b[0m shop: no 0 order=0"
        assert lines[5].endswith("order=3 ×5, first 07:16:43, last 07:18:20")  # noqa: RUF001 - the sign
        assert embed["footer"]["text"] == "may be a repeat · delayed 5 s"
        assert embed["color"] == SETTINGS.colors[30]

    @pytest.mark.parametrize("offsets", [(0, 19_800), (19_800, 0), (7_200, 3_600), (None, 32_400)])
    def test_the_lines_of_several_processes_share_a_zone(self, offsets: tuple[int | None, int]) -> None:
        """The processes may be in different zones, or the clocks may be changed between two records."""
        records = [zoned(offsets[number % 2], make(str(number), levelno=20, created=1e9)) for number in range(20)]
        [embed] = compose(records).message.payload["embeds"]
        heading, _, *lines, _ = embed["description"].split("\n")
        first = datetime.fromtimestamp(1e9, timezone(timedelta(seconds=offsets[0] or 0)))
        assert heading.endswith(f" are in {first.tzname()}")
        assert {line.split()[0] for line in lines} == {first.strftime("%H:%M:%S")}

    def test_a_file_names_the_zone_of_each_time(self) -> None:
        """All of its times are in the same zone, so that they can be compared."""
        records = [zoned(offset, make(str(offset), levelno=20, created=1e9)) for offset in (3_600, 19_800)] * 150
        [file] = compose(records).message.files
        _, found, text = file.content.decode().partition("\n\n")
        assert found
        assert {line.split()[0] for line in text.splitlines()} == {"2001-09-09T02:46:40.000+01:00"}

    def test_among_lines_severe_and_long_records_have_cards(self) -> None:
        """The cards come first, the lines below."""
        records = [make(f"no {number}", levelno=20, levelname="INFO") for number in range(20)]
        records.insert(5, make("severe"))
        records.insert(9, make("raised", levelno=20, exc_info=ValueError("no")))
        records.insert(12, make("long" * 150, levelno=20))
        records.insert(15, make("stack", levelno=20, stack_info="Stack:"))
        composed = compose(records)
        *cards, lines = composed.message.payload["embeds"]
        assert [card["description"].split("\n")[0][:6] for card in cards] == ["severe", "raised", "longlo", "stack"]
        assert [line.split()[-1] for line in lines["description"].split("\n")[2:-1]] == [str(n) for n in range(20)]
        assert list(composed.records) == records

    @pytest.mark.parametrize(
        ("levels", "cards"),
        [([40] * 3, 3), ([40] * 4, 0), ([40] * 9 + [50], 1), ([50] * 3 + [40], 3), ([50] * 4, 0), ([30] * 2, 0)],
    )
    def test_few_severe_records_stand_out(self, levels: list[int], cards: int) -> None:
        """Many severe records would not stand out."""
        records = [make(str(number), levelno=level) for number, level in enumerate([*levels, *[20] * 20])]
        composed = compose(records)
        assert form(composed) == "lines"
        assert len(composed.message.payload["embeds"]) == cards + 1

    def test_lines_leave_room_for_nine_cards(self) -> None:
        """The records after the tenth embed must wait, even if they would be lines."""
        records = [make(f"line {number}", levelno=20) for number in range(12)]
        records[6:6] = [make(f"card {number}", levelno=20, stack_info="Stack:") for number in range(10)]
        composed = compose(records, allowance=2)
        assert form(composed) == "lines"
        assert len(composed.records) == 15
        assert len(composed.message.payload["embeds"]) == 10

    def test_records_that_no_line_can_hold_stay_cards(self) -> None:
        """A form that is denser for others may carry fewer of these."""
        records = [make("x" * 580, levelno=20, funcName="") for _ in range(40)]
        assert form(compose(records, allowance=5)) == "cards"

    @pytest.mark.once
    def test_a_huge_record_does_not_keep_the_next_from_being_cards(self) -> None:
        """Its text fills the file, so a digest would carry it alone."""
        records = [make("x" * 8_000_000), *(make(str(number)) for number in range(20))]
        composed = compose(records)
        assert form(composed) != "digest"
        assert len(composed.records) > 1
        [file] = composed.message.files
        assert len(file.content) <= 8_000_000

    def test_a_digest_has_a_card_of_each_of_the_worst_kinds(self) -> None:
        """The cards come below the summary, and the file has every record."""
        records = [make(f"job {number}", levelno=20, levelname="INFO") for number in range(200)]
        records += [make("failed", levelno=40 + kind % 2 * 10, lineno=kind) for kind in range(2)] * 9
        records[7] = records[7].counted(Counts(1, records[7].created, is_repeat=True))
        composed = compose(records, note="delayed 5 s")
        summary, *cards = composed.message.payload["embeds"]
        assert summary["title"] == "🚨 218 records in 0 s"
        assert summary["footer"]["text"] == "may be a repeat · delayed 5 s"
        assert [card["title"][:1] for card in cards] == ["🚨", "❌"]
        [file] = composed.message.files
        preview, _, text = file.content.decode().partition("\n\n")
        assert [line.split()[0] for line in preview.split("\n")] == ["×9", "×9", "×200"]  # noqa: RUF001 - the sign
        assert text.count("\n") == 218

    def test_a_card_that_is_too_large_is_left_out_of_a_digest(self) -> None:
        """The summary is more important."""
        records = [make("x" * 5000 + str(number), levelno=40 + number % 2, owner="y" * 1000) for number in range(80)]
        records += [make("short", levelno=42)]
        composed = compose(records)
        assert form(composed) == "digest"
        assert problems(composed.message.payload) == []

    def test_an_override_of_the_whole_card_may_be_too_large_for_any_message(self) -> None:
        """The record is in the file of a digest then."""

        class Huge(EmbedFormatter):
            def embed(self, record: FrozenRecord) -> Embed:  # noqa: ARG002 - the signature
                return {"description": "x" * 7000}

        composed = compose([make("found", CardSettings(Huge()))], allowance=40)
        assert form(composed) == "digest"
        assert b"found" in composed.message.files[0].content

    def test_an_override_may_return_the_same_card_twice(self) -> None:
        """An addition to the card in one message is not repeated in the next."""
        card: Embed = {"title": "one"}

        class Same(EmbedFormatter):
            def embed(self, record: FrozenRecord) -> Embed:  # noqa: ARG002 - the signature
                return card

        record = make(settings=CardSettings(Same()))
        assert compose([record], note="late") == compose([record], note="late")
        assert card == {"title": "one"}


class TestFile:
    """The file with the whole text of a card that is cut."""

    def test_a_long_record_is_attached(self) -> None:
        """The file has all parts of the record, and the context of the handler."""
        settings = CardSettings(EmbedFormatter(), context={"service": "shop"})
        message, *_ = compose([make("x" * 5000, settings, order=17, exc_info=ValueError("no"), created=1e9)])
        [(name, content)] = message.files
        assert name == "records-20010909T014640Z.txt"
        head, *rest = content.decode().split("\n")
        assert re.fullmatch(
            r"2001-09-0\dT\d\d:\d\d:\d\d\.000[+-]\d\d:\d\d ERROR shop \[MainThread\] orders.py:42: x{5000}", head
        )
        assert rest == ["order=17", "service=shop", "ValueError: no", ""]

    def test_only_the_long_one_of_several_is_attached(self) -> None:
        """The other cards are complete."""
        message, carried, _ = compose([make("a"), make("x" * 3000 + "_" * 2000), make("b")])
        assert len(carried) == 3
        [(_, content)] = message.files
        assert content.count(b"\n") == 1

    @pytest.mark.once
    def test_files_of_one_message_have_a_bound(self) -> None:
        """The next message carries the rest."""
        records = [make("x" * 4_500_000) for _ in range(3)]
        sizes = [[len(file.content) for file in message.files] for message, *_ in carry(records)]
        assert len(sizes) == 3
        assert all(4_500_000 < size < 4_600_000 for [size] in sizes)

    @pytest.mark.once
    @pytest.mark.parametrize(("text", "shift"), [("é", 0), ("é", 1), *(("🚨", shift) for shift in range(4))])
    def test_a_record_that_is_too_large_for_a_file_is_cut_between_characters(self, text: str, shift: int) -> None:
        """The file has the whole size, and stays valid UTF-8."""
        message, *_ = compose([make("y" * shift + text * (9_000_000 // len(text.encode())))])
        [(_, content)] = message.files
        assert 7_999_990 <= len(content) <= 8_000_000
        assert re.search(r"\n… cut: the record has 9,000,\d\d\d bytes\n$", content.decode())

    @pytest.mark.parametrize("created", [float("nan"), float("inf"), None, "now", 10**400])
    def test_a_record_without_a_time_has_a_file_too(self, created: object) -> None:
        """Discord keeps the name of the file."""
        [(name, content)] = compose([make("x" * 5000, created=created)]).message.files
        assert name == "records.txt"
        assert content.startswith(b"--:--:-- ERROR shop ")
        digest = compose([make(created=created) for _ in range(300)])
        assert form(digest) == "digest"
        assert digest.message.payload["embeds"][0]["title"] == "❌ 300 records"


class TestLayOut:
    """The formatters of users."""

    def test_an_override_changes_its_part(self) -> None:
        """All other parts stay the same."""

        class Short(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:
                return record.levelname

        record = make(settings=CardSettings(Short()))
        assert lay_out(record) == {**EmbedFormatter().embed(record), "title": "ERROR"}

    def test_an_interrupt_is_no_fault_of_an_override(self) -> None:
        """The interrupt is passed on to the main thread, where a program flushes."""

        class Slow(EmbedFormatter):
            def embed(self, record: FrozenRecord) -> Embed:  # noqa: ARG002 - the signature
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            lay_out(make(settings=CardSettings(Slow())))

    @pytest.mark.parametrize("part", ["title", "description", "fields", "footer", "color"])
    @pytest.mark.parametrize("fault", [ZeroDivisionError("no"), None, 5j, [5], [{"name": "a"}]])
    def test_an_override_that_fails_does_not_cost_the_record(self, part: str, fault: object) -> None:
        """The standard card is shown, and names the formatter that failed."""

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
        """The text was made on the caller's thread."""
        formatter = logging.Formatter("%(message)s!")
        record = FrozenRecord(freeze(logging.makeLogRecord({"lineno": 0}), CardSettings(formatter), "body!"))
        assert lay_out(record)["description"] == "body!"


class TestComposePlain:
    """The last try for a record whose card was refused."""

    def test_plain_text_is_one_line_to_the_same_thread(self) -> None:
        """The text is escaped, and notifies nobody."""
        message = compose_plain(make("@everyone _x_", CardSettings(None, "shop", thread_id="5")))
        assert message.payload == {"content": r"ERROR shop: \@everyone \_x\_", "allowed_mentions": {"parse": []}}
        assert message.thread_id == "5"

    @given(st.text(st.characters()), st.integers(1, 5000), st.text(), st.text())
    def test_any_record_is_a_valid_message(self, text: str, times: int, name: str, levelname: str) -> None:
        """The text is within Discord's limit."""
        assert problems(compose_plain(make(text * times, name=name, levelname=levelname)).payload) == []

    def test_plain_text_has_one_first_line_and_no_link(self) -> None:
        """A name draws no lines of its own, and Discord adds no card for an address."""
        record = make("see https://x.example/a_b", name="a\nb\u2028# c", levelname="NO\x85TE")
        assert compose_plain(record).payload["content"] == r"NO TE a b # c: see https:\//x.example/a\_b"

    def test_plain_text_says_how_many_it_stands_for(self) -> None:
        """The repeats that were counted on a record are reported with it."""
        record = make("hello").counted(Counts(3, 1e9))
        assert (compose_plain(record).payload["content"]).startswith("\u00d73, first ")

    def test_plain_text_shows_no_token(self) -> None:
        """A card shows no token either."""
        content = compose_plain(make(f"https://discord.com/api/webhooks/1/{TOKEN}")).payload["content"]
        assert content.replace("\\", "").endswith("/webhooks/1/***")


INFO, WARNING, ERROR, CRITICAL = 20, 30, 40, 50


def fold(levels: list[int], form_name: str = "cards", **settings: Any) -> Composed:
    """Return the message of records with these levels, in one of the three forms."""
    card = CardSettings(EmbedFormatter(), **settings)
    levels += {"cards": [], "lines": [INFO] * 20, "digest": [INFO] * 300}[form_name]
    composed = compose([make(str(index), card, levelno=level) for index, level in enumerate(levels)])
    assert form(composed) == form_name
    return composed


class TestLooks:
    """A message has one name and one picture, whatever number of records it carries."""

    BY_LEVEL: ClassVar[dict[str, Any]] = {
        "username": {0: None, ERROR: "Alarm", CRITICAL: "Fire"},
        "avatar_url": {0: "https://x.example/low.png", WARNING: None, CRITICAL: "https://x.example/high.png"},
    }

    @pytest.mark.parametrize("form_name", ["cards", "lines", "digest"])
    @pytest.mark.parametrize(
        ("levels", "username", "picture"),
        [
            ([INFO, INFO], None, "low"),
            ([INFO, WARNING], None, None),
            ([INFO, 45, INFO], "Alarm", None),
            ([INFO, CRITICAL, ERROR], "Fire", "high"),
        ],
    )
    def test_the_worst_record_decides(
        self, levels: list[int], username: str | None, picture: str | None, form_name: str
    ) -> None:
        """This holds in each form; a level without a name keeps that of the webhook."""
        payload = fold([*levels], form_name, **self.BY_LEVEL).message.payload
        assert payload.get("username", None) == username
        assert payload.get("avatar_url", None) == (f"https://x.example/{picture}.png" if picture else None)
        assert None not in payload.values()

    def test_a_record_of_the_next_message_decides_nothing(self) -> None:
        """The record is not shown under that name."""
        settings = CardSettings(EmbedFormatter(), **self.BY_LEVEL)
        records = [make(str(number), settings, levelno=CRITICAL if number == 10 else INFO) for number in range(11)]
        names = [message.payload.get("username") for message, *_ in carry_cards(records)]
        assert names == [None, "Fire"]


class TestForumPost:
    """The parts of a message that open a post."""

    @pytest.mark.parametrize("form_name", ["cards", "lines", "digest"])
    def test_a_message_names_the_post_and_its_tags(self, form_name: str) -> None:
        """The delivery leaves them out when the post is open."""
        payload = fold([INFO], form_name, thread_name="Errors", applied_tags=("5", "6")).message.payload
        assert (payload["thread_name"], payload["applied_tags"]) == ("Errors", ["5", "6"])

    def test_plain_text_opens_a_post_too(self) -> None:
        """The last try for a record may be the first message of a post."""
        settings = CardSettings(EmbedFormatter(), thread_name="Errors", applied_tags=("5",))
        payload = compose_plain(make(settings=settings)).payload
        assert (payload["thread_name"], payload["applied_tags"]) == ("Errors", ["5"])

    @pytest.mark.parametrize("settings", [{}, {"applied_tags": ("5",)}, {"thread_id": "7", "applied_tags": ("5",)}])
    def test_without_a_title_there_are_no_tags(self, settings: dict[str, Any]) -> None:
        """Discord accepts tags only with a new post."""
        assert set(fold([INFO], **settings).message.payload) == {"allowed_mentions", "embeds"}

    def test_an_empty_list_of_tags_is_left_out(self) -> None:
        """This is the default of Discord."""
        assert "applied_tags" not in fold([INFO], thread_name="Errors").message.payload


class TestSilence:
    """Messages that make no sound."""

    @pytest.mark.parametrize("form_name", ["cards", "lines", "digest"])
    @pytest.mark.parametrize(
        ("levels", "below", "is_silent"),
        [
            ([INFO], 0, False),
            ([INFO], INFO, False),
            ([INFO, 29], WARNING, True),
            ([INFO, WARNING, INFO], WARNING, False),
            ([INFO, CRITICAL], WARNING, False),
            ([INFO, CRITICAL], 99, True),
        ],
    )
    def test_one_record_that_is_not_below_makes_it_heard(
        self, levels: list[int], below: int, is_silent: bool, form_name: str
    ) -> None:
        """Its position does not matter."""
        payload = fold([*levels], form_name, silent_below=below).message.payload
        assert payload.get("flags") == (4096 if is_silent else None)

    @pytest.mark.parametrize("order", [1, -1])
    def test_each_record_is_silent_by_its_own_handler(self, order: int) -> None:
        """Handlers with one destination share a message: one record that is not silent is enough."""
        quiet, loud = CardSettings(EmbedFormatter(), silent_below=ERROR), CardSettings(EmbedFormatter())
        records = [make("a", quiet, levelno=INFO), make("b", loud, levelno=INFO)][::order]
        message, carried, _ = compose(records)
        assert len(carried) == 2
        assert "flags" not in message.payload

    @pytest.mark.parametrize(("below", "is_silent"), [(ERROR, False), (CRITICAL, True)])
    def test_plain_text_is_silent_as_well(self, below: int, is_silent: bool) -> None:
        """The card would have been silent too."""
        payload = compose_plain(make(settings=CardSettings(EmbedFormatter(), silent_below=below))).payload
        assert payload.get("flags") == (4096 if is_silent else None)


class Calls(EmbedFormatter):
    """A formatter that returns the mentions of the test."""

    def __init__(self, mention: Callable[[FrozenRecord], Any]) -> None:
        super().__init__()
        self._mention = mention

    def mention(self, record: FrozenRecord) -> str:
        """Return or raise the value that the test sets."""
        return self._mention(record)  # type: ignore[no-any-return]  # that is the point


def mentioned(mention: Callable[[FrozenRecord], Any], *texts: str, **settings: Any) -> tuple[str, ...]:
    """Return the mentions of a message with these texts, with an override of `mention`."""
    card = CardSettings(Calls(mention), **settings)
    message, carried, _ = compose([make(text, card) for text in texts])
    assert len(carried) == len(texts)
    assert [embed["footer"]["text"].count("failed") for embed in message.payload["embeds"]] == [0] * len(texts)
    assert problems(message.payload) == []
    return message.mentions


def interrupt(_: object) -> None:
    """Raise an exception that ends a program."""
    raise KeyboardInterrupt


class TestMentions:
    """The mentions of the records of a message."""

    ROLES: ClassVar[dict[int, str]] = {0: "", WARNING: "<@5>", ERROR: "<@&6>", CRITICAL: "@everyone"}

    def test_nobody_without_the_setting(self) -> None:
        """The texts of the records do not matter."""
        message, *_ = compose([make("@everyone <@5>", levelno=CRITICAL, levelname="@here")])
        assert message.mentions == ()
        assert problems(message.payload) == []

    @pytest.mark.parametrize("form_name", ["cards", "lines", "digest"])
    @pytest.mark.parametrize(
        ("levels", "mentions"),
        [
            ([INFO, INFO], ()),
            ([INFO, 45], ("<@&6>",)),
            ([WARNING, CRITICAL, ERROR, ERROR, WARNING], ("@everyone", "<@&6>", "<@5>")),
        ],
    )
    def test_each_level_has_its_own(self, levels: list[int], mentions: tuple[str, ...], form_name: str) -> None:
        """Each mention comes once, the most severe first, in each form, and not in the payload yet."""
        message, *_ = fold([*levels], form_name, mentions=self.ROLES)
        assert message.mentions == mentions
        assert problems(message.payload) == []

    def test_a_mention_is_as_severe_as_its_worst_record(self) -> None:
        """Two levels may have the same mention, and levels may be negative."""
        assert fold(
            [WARNING, ERROR, CRITICAL], mentions={0: "<@5>", ERROR: "<@6>", CRITICAL: "<@5>"}
        ).message.mentions == (
            "<@5>",
            "<@6>",
        )
        assert fold([-7, -5], mentions={-7: "<@7>", -5: "<@5>"}).message.mentions == ("<@5>", "<@7>")

    def test_a_formatter_of_another_kind_changes_nothing(self) -> None:
        """The setting belongs to the handler."""
        settings = CardSettings(logging.Formatter(), mentions=self.ROLES)
        assert compose([make(settings=settings)]).message.mentions == ("<@&6>",)

    def test_plain_text_notifies_nobody(self) -> None:
        """The text is that of a record, and the card before it was refused."""
        message = compose_plain(make("@everyone", CardSettings(EmbedFormatter(), mentions=self.ROLES)))
        assert message.mentions == ()
        assert message.payload["allowed_mentions"] == {"parse": []}

    def test_an_override_decides_for_each_record(self) -> None:
        """The override gets the whole record."""
        mention = {"a": "<@5>", "b": "", "c": "@here"}
        assert mentioned(lambda record: mention[record.message], "a", "b", "c") == ("<@5>", "@here")

    def test_a_message_has_at_most_ten_mentions(self) -> None:
        """A message is not a list of names."""
        texts = [str(number) for number in range(1, 21)]
        card = CardSettings(Calls(lambda record: f"<@{record.message}>"))
        composed = compose([make(text, card, levelno=INFO) for text in texts])
        assert form(composed) == "lines"
        assert composed.message.mentions == tuple(f"<@{text}>" for text in texts[:10])

    @pytest.mark.parametrize(
        "nonsense",
        [
            *(None, 0, 5, 5.5, True, b"<@5>", ["<@5>"], {"<@5>": 1}, object(), UserString("<@5>"), lambda: "<@5>"),
            *("ops", "<@5> now", "@everyone!", "x" * 100_000, "<@5>\n", "\ud800", "<@0>"),
        ],
        ids=lambda nonsense: type(nonsense).__name__,
    )
    def test_an_override_that_returns_nonsense_notifies_nobody(self, nonsense: object) -> None:
        """The records are posted, and valid mentions of other records count."""
        assert mentioned(lambda _: nonsense, "a", "b") == ()
        assert mentioned(lambda record: nonsense if record.message == "a" else "<@7>", "a", "b") == ("<@7>",)

    def test_a_mention_is_kept_as_a_plain_str(self) -> None:
        """A subclass of `str` might change later."""

        class Odd(str):
            __slots__ = ()

            def __str__(self) -> str:
                raise RuntimeError("no")

            __format__ = __repr__ = __str__  # type: ignore[assignment]

        [mention] = mentioned(lambda _: Odd("<@5>"), "a")
        assert type(mention) is str

    def test_an_override_that_raises_notifies_nobody(self) -> None:
        """The records are posted anyway."""
        assert mentioned(lambda record: {"b": "<@5>"}[record.message], "a", "b", "c") == ("<@5>",)

    def test_an_interrupt_ends_the_program_and_not_the_listener(self) -> None:
        """On the main thread it is passed on; on the listener's thread it would end the thread."""
        found: list[tuple[str, ...]] = []
        thread = threading.Thread(target=lambda: found.append(mentioned(interrupt, "a")))
        thread.start()
        thread.join()
        assert found == [()]
        with pytest.raises(KeyboardInterrupt):
            mentioned(interrupt, "a")


class _Text(EmbedFormatter):
    """Lays records out as embeds with only a description."""

    def embed(self, record: FrozenRecord) -> Embed:
        return {"description": record.message}


TEXT = CardSettings(_Text())


class TestText:
    """Embeds with only a description become plain text."""

    def test_texts_above_cards(self) -> None:
        """Texts before the first card are the content, in their order; later ones stay embeds."""
        records = [make("one", TEXT), make("two", TEXT), make("three"), make("four", TEXT)]
        payload = compose(records).message.payload
        assert payload["content"] == "one\ntwo"
        assert [embed["description"].split("\n")[0] for embed in payload["embeds"]] == ["three", "four"]

    def test_a_text_alone_has_no_embeds(self) -> None:
        """The payload does not even have an empty list."""
        message, *_ = compose([make("x" * 2000, TEXT)])
        assert message.payload == {"content": "x" * 2000, "allowed_mentions": {"parse": []}}

    @pytest.mark.parametrize(("length_of_second", "messages"), [(1000, 1), (1001, 2)])
    def test_texts_share_a_message_while_there_is_room(self, length_of_second: int, messages: int) -> None:
        """There is room for 2,000 characters, including line feeds."""
        records = [make("x" * 999, TEXT), make("y" * length_of_second, TEXT)]
        assert len(carry(records, allowance=2)) == messages

    @pytest.mark.parametrize(
        ("text", "note", "footer"), [("x" * 2001, "", None), ("late", "delayed 5 s", {"text": "delayed 5 s"})]
    )
    def test_a_text_that_cannot_be_content_is_an_embed(self, text: str, note: str, footer: object) -> None:
        """This holds for a text that is too long, or that has a note."""
        payload = compose([make(text, TEXT)], note=note).message.payload
        assert "content" not in payload
        assert payload["embeds"][0]["description"] == text
        assert payload["embeds"][0].get("footer") == footer

    def test_a_text_counts_as_one_of_ten_embeds(self) -> None:
        """The delivery may turn it into an embed."""
        composed = carry([make("text", TEXT), *(make(str(number)) for number in range(10))], allowance=11)
        assert [len(message.payload["embeds"]) for message, *_ in composed] == [9, 1]

    def test_a_text_without_room_becomes_the_first_embed(self) -> None:
        """The text above it stays the content, and all limits are kept."""
        cards = [make(number * 100 * "z") for number in range(1, 11)]
        payload = compose([make("x" * 2000, TEXT), *cards], allowance=11).message.payload
        put_above(payload, "l" * 666)
        put_above(payload, "mention")
        assert payload["content"] == "mention\n" + "l" * 666
        assert payload["embeds"][0] == {"description": "x" * 2000}
        assert not problems(payload)

    @pytest.mark.parametrize(("text", "is_moved"), [("@everyone", True), ("to @here", True), ("a@b.c", False)])
    def test_no_text_notifies_beside_a_mention_of_all(self, text: str, is_moved: bool) -> None:
        """A text with `@everyone` becomes an embed then."""
        payload: Payload = {"content": text}
        put_above(payload, "@here", notifies_all=True)
        moved: Payload = {"content": "@here", "embeds": [{"description": text}]}
        assert payload == (moved if is_moved else {"content": f"@here\n{text}"})


def test_embeds_with_one_address_are_in_messages_of_their_own() -> None:
    """Of several in one message, Discord shows only the first."""

    class Linked(EmbedFormatter):
        def embed(self, record: FrozenRecord) -> Embed:
            return {"title": record.message, "url": "https://example.org", "footer": {"text": "v1", "icon_url": "i"}}

    settings = CardSettings(Linked())
    messages = carry([make("1", settings), make("2", settings), make("3")], "delayed 5 s", allowance=3)
    assert [len(message.payload["embeds"]) for message, *_ in messages] == [1, 2]
    assert messages[0].message.payload["embeds"][0]["footer"] == {"text": "v1 · delayed 5 s", "icon_url": "i"}


def counting(record: FrozenRecord, count: int = 1, *others: FrozenRecord, **facts: Any) -> FrozenRecord:
    """Return the record with the numbers of its incident."""
    incident = Incident(count, 1.7e9, 1.7e9 + 600, (0,) * 57 + (1, 2, 9), **facts)
    return record.counted(Counts(count, 1.7e9 + 600, incident=incident, others=others))


LONGEST = {
    "reason": "again after 38 min",
    "link": "https://discord.com/channels/" + "/".join(["9" * 20] * 3),
    "sources": {f"web-{number}-{'x' * 33}": (1, 2) for number in range(2)},
}


class TestIncidents:
    """Records whose cards go on as live ones."""

    def test_a_card_has_a_draft(self) -> None:
        """The draft has the card without what its incident adds, and the text that no file has yet."""
        records = [make("alone"), counting(make("first")), counting(make("second"), 3)]
        composed = compose(records)
        assert [(draft.record, draft.place) for draft in composed.drafts] == [(records[1], 1), (records[2], 2)]
        cards = composed.message.payload["embeds"]
        assert [draft.base == cards[draft.place] for draft in composed.drafts] == [True, False]
        assert cards[2]["title"] == f"×3 {composed.drafts[1].base['title']}"  # noqa: RUF001 - the sign for times
        assert "since" in cards[2]["description"]
        assert "since" not in composed.drafts[1].base["description"]
        first, second = (draft.unfiled.split(": ", 1)[1] for draft in composed.drafts)
        assert first == "first\n"
        assert second.startswith("second (×3, ")  # noqa: RUF001 - the sign for times

    def test_the_numbers_replace_the_line_about_repeats(self) -> None:
        """They say the same, and more."""
        [card] = compose([counting(make("first"), 3)]).message.payload["embeds"]
        assert "repeated" not in card["description"]
        assert card["description"].count("\n-# ") == 2

    def test_a_long_card_has_its_text_in_the_file(self) -> None:
        """No edit adds the text to the file again."""
        composed = compose([counting(make("x" * 5_000))])
        assert [draft.unfiled for draft in composed.drafts] == [""]
        assert b"x" * 5_000 in composed.message.files[0].content

    def test_the_last_of_several_lines_is_not_live(self) -> None:
        """Only cards can count."""
        records = [counting(make(f"no {number}", levelno=20)) for number in range(40)]
        records.append(counting(make("severe"), 3))
        composed = compose(records)
        assert form(composed) == "lines"
        assert [(draft.record, draft.place) for draft in composed.drafts] == [(records[-1], 0)]

    def test_a_digest_has_no_drafts(self) -> None:
        """Its cards stand for their kinds."""
        composed = compose([counting(make(f"no {number}", levelno=20), 2) for number in range(300)])
        assert form(composed) == "digest"
        assert not composed.drafts

    def test_a_text_is_not_live(self) -> None:
        """A message whose card is plain text has no place for numbers."""
        composed = compose([counting(make("first", CardSettings(_Text())))])
        assert composed.message.payload["content"] == "first"
        assert not composed.drafts

    def test_a_message_with_files_of_the_program_is_not_live(self) -> None:
        """An edit would lose them."""
        records = [counting(make("first")), make("second", report=Attachment(b"abc", "a.txt"))]
        composed = compose(records)
        assert [file.filename for file in composed.message.files] == ["a.txt"]
        assert not composed.drafts
        assert len(compose(records[:1]).drafts) == 1

    @pytest.mark.parametrize("fields", [{}, {f"key{number}": "y" * 98 for number in range(25)}])
    def test_the_longest_card_has_room_for_the_longest_lines(self, fields: dict[str, Any]) -> None:
        """A card that was full before its incident added anything became a digest without a card."""
        record = counting(make("x" * 5_000, **fields), 10**9, unsure=10**6, **LONGEST)
        composed = compose([record], note="n" * 40)
        assert problems(composed.message.payload) == []
        [card] = composed.message.payload["embeds"]
        assert len(composed.drafts) == 1
        assert "2 processes" in card["description"]

    def test_each_live_card_keeps_room_to_grow(self) -> None:
        """Cards that would fill a message go to the next one."""
        records = [make("x" * 1_400, CardSettings(Bare())) for _ in range(4)]
        assert [len(carried) for _, carried, _ in carry_cards(records)] == [4]
        live = [counting(record) for record in records]
        for message, carried, drafts in carry_cards(live):
            room = 6_000 - sum(map(length, message.payload["embeds"]))
            assert len(drafts) == len(carried) < 4
            assert room >= len(drafts) * 400

    @pytest.mark.parametrize(("number", "expected"), [(1, "cards"), (11, "lines"), (300, "digest")])
    def test_texts_of_others_go_to_the_file(self, number: int, expected: str) -> None:
        """No form of a message loses them; among lines, their record has a card."""
        others = [make(f"other {each}", levelno=20) for each in range(3)]
        records = [make(f"no {each}", levelno=20, levelname="INFO") for each in range(number - 1)]
        records.insert(number // 2, counting(make("first", levelno=20), 4, *others))
        composed = compose(records)
        assert form(composed) == expected
        assert len(composed.records) == number
        [file] = composed.message.files
        told = [
            line.split(": ")[-1] for line in file.content.decode().split("\n") if ": first" in line or "other" in line
        ]
        assert told[-4:] == ["first", "other 0", "other 1", "other 2"]
        assert [draft.unfiled for draft in composed.drafts] == ([] if expected == "digest" else [""])

    def test_others_that_have_no_room_in_the_file_wait(self) -> None:
        """Their record goes to the next message with all of them."""
        records = [counting(make(str(each)), 2, make(f"{each}" * 4_500_000)) for each in range(2)]
        messages = carry(records)
        assert [len(carried) for _, carried, _ in messages] == [1, 1]
        assert all(4_500_000 < len(message.files[0].content) < 4_600_000 for message, *_ in messages)

    def test_six_messages_may_show_kinds_as_cards(self) -> None:
        """What follows is counted on them, so that the load does not last. More kinds become lines."""

        def kinds(number: int, **changes: Any) -> list[FrozenRecord]:
            return [counting(make(f"no {each}", **changes)) for each in range(number)]

        assert form(compose(kinds(60))) == "cards"
        assert form(compose(kinds(61))) == "lines"
        assert form(compose(kinds(60, levelno=30, levelname="WARNING"))) == "cards"
        assert form(compose(kinds(80), allowance=8)) == "cards"
        # Records below `WARNING`, and those of no incident, are not counted on the cards of others.
        assert form(compose(kinds(59) + kinds(1, levelno=20))) == "lines"
        assert form(compose([*kinds(59), make("alone")])) == "lines"
        elsewhere = make("alone", CardSettings(EmbedFormatter(), thread_id="5"))
        assert form(compose([*kinds(59), elsewhere])) == "cards"

    @given(
        st.lists(
            st.tuples(st.integers(0, 5_000), st.integers(1, 10**6), st.integers(0, 25), st.integers(0, 2)),
            min_size=1,
            max_size=12,
        ),
        st.sampled_from(["", "n" * 40]),
    )
    def test_any_incidents_are_carried(self, parts: list[tuple[int, int, int, int]], note: str) -> None:
        """Each has a card with its number, and all texts are on cards or in files."""
        records = []
        for number, (size, count, fields, others) in enumerate(parts):
            extra: dict[str, Any] = {f"key{each}": "y" * 90 for each in range(fields)}
            texts = [make(f"other {number} {each}") for each in range(others)]
            records.append(counting(make(f"#{number:02}" + "x" * size, **extra), count, *texts, **LONGEST))
        for message, carried, drafts in carry_cards(records, note):
            assert problems(message.payload) == []
            assert [draft.record for draft in drafts] == list(carried)
            files = b"".join(file.content for file in message.files).decode()
            for draft in drafts:
                assert all(f"{other.message}\n" in files for other in draft.record.others)
                assert bool(draft.unfiled) != (draft.record.message in files)
