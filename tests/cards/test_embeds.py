"""A frozen record as a card."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from freezegun import freeze_time
from hypothesis import example, given
from hypothesis import strategies as st

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.embeds import embed_length
from discord_logging._records.freeze import freeze
from discord_logging._records.parse import COLORS, EMOJIS
from discord_logging._records.settings import CardSettings
from discord_logging._text.markdown import cuts_made
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from discord_logging._discord.types import Embed

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
FENCE = "```"


class _Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")


def make(msg: object = "hello", *args: object, **attributes: object) -> logging.LogRecord:
    """Return a record as `logging` makes it."""
    record = logging.LogRecord("shop.orders", logging.ERROR, "/srv/shop/orders.py", 42, msg, args, None, "place")
    record.__dict__.update({"taskName": None, **attributes})
    return record


def lay_out(record: logging.LogRecord | None = None, formatter: EmbedFormatter | None = None, **settings: Any) -> Embed:
    """Return the card for `record`."""
    formatter = formatter or EmbedFormatter()
    return formatter.embed(FrozenRecord(freeze(record or make(), CardSettings(formatter, **settings))))


def problems(embed: Mapping[str, Any]) -> list[str]:
    """Return the rules of Discord that an embed breaks, written from the documentation alone."""
    fields = embed.get("fields", [])
    texts = {"title": (embed.get("title"), 256), "description": (embed.get("description"), 4096)}
    if "footer" in embed:
        texts["footer"] = (embed["footer"]["text"], 2048)
    for index, field in enumerate(fields):
        texts[f"name {index}"] = (field["name"], 256)
        texts[f"value {index}"] = (field["value"], 1024)
    present = {name: (text, limit) for name, (text, limit) in texts.items() if text is not None}
    found = [f"{name} is longer than {limit}" for name, (text, limit) in present.items() if len(text) > limit]
    found += [f"{name} is blank" for name, (text, _) in present.items() if not text.strip()]
    found += [f"{name} is no plain str" for name, (text, _) in present.items() if type(text) is not str]
    if sum(len(text) for text, _ in present.values()) > 6000:
        found.append("more than 6000 characters")
    if len(fields) > 25:
        found.append("more than 25 fields")
    if not present:
        found.append("empty")
    if type(embed.get("color", 0)) is not int or not 0 <= embed.get("color", 0) <= 0xFFFFFF:
        found.append("no colour")
    if set(embed) - {"title", "description", "color", "timestamp", "fields", "footer"}:
        found.append("unknown keys")
    if any("\ud800" <= character <= "\udfff" for text, _ in present.values() for character in text):
        found.append("lone surrogates")
    json.dumps(embed, allow_nan=False, ensure_ascii=False).encode()
    return found


def chain(texts: list[str]) -> BaseException:
    """Return an exception with as many causes as `texts`, which has a traceback."""
    error: BaseException = ValueError()
    for text in texts:
        try:
            raise ValueError(text) from error  # noqa: TRY301 - for its traceback
        except ValueError as raised:  # noqa: PERF203 - likewise
            error = raised
    return error


ANYTHING = st.text(st.characters(), max_size=20)
LONG = st.builds(lambda text, times: text * times, ANYTHING, st.sampled_from([0, 1, 1, 3, 50, 500]))
VALUES = LONG | st.integers() | st.floats() | st.none() | st.booleans() | st.binary() | st.builds(_Hostile)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "msg": VALUES,
        "args": st.tuples() | st.tuples(VALUES) | st.dictionaries(ANYTHING, VALUES),
        "name": VALUES,
        "levelname": VALUES,
        "levelno": st.none() | st.integers() | st.just("ERROR"),
        "created": st.floats() | st.integers() | st.none() | ANYTHING,
        "pathname": VALUES,
        "lineno": st.integers() | st.none(),
        "funcName": VALUES,
        "process": st.integers() | st.none(),
        "processName": LONG | st.none(),
        "threadName": VALUES,
        "taskName": VALUES,
        "stack_info": LONG | st.none(),
        "exc_text": LONG | st.none(),
        "exc_info": st.none() | st.lists(LONG, max_size=4).map(chain),
    },
)


@pytest.mark.once
class TestAnyRecord:
    """Discord rejects no card."""

    @given(ATTRIBUTES, st.dictionaries(LONG, VALUES, max_size=40), st.dictionaries(LONG, LONG, max_size=40), LONG)
    @example({"threadName": "x" * 5000, "stack_info": "y" * 5000, "msg": "z" * 5000}, {}, {}, "")
    @example({"msg": ""}, {str(number): "*" * 1000 for number in range(40)}, {}, "\ud800")
    @example({"taskName": "\ud800", "threadName": None, "process": 0}, {"a": ""}, {" ": "b"}, " ")
    def test_the_card_of_any_record_is_valid(
        self, attributes: dict[str, Any], extra: dict[str, Any], context: dict[str, str], emoji: str
    ) -> None:
        """The card obeys every limit of Discord."""
        record = logging.makeLogRecord({"lineno": 5, **attributes})
        record.__dict__.update({f"_{name}": value for name, value in extra.items()})
        card = lay_out(record, context=context, emojis={0: emoji})
        assert problems(card) == []

    @given(st.lists(LONG, min_size=6, max_size=6), st.lists(st.tuples(LONG, LONG), max_size=30), st.integers())
    def test_the_card_of_any_override_is_valid(
        self, texts: list[str], pairs: list[tuple[str, str]], color: int
    ) -> None:
        """The results of a subclass are cleaned and cut."""

        class Own(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return texts[0]

            def description(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return texts[1]

            def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return texts[2]

            def fields(self, record: FrozenRecord) -> Any:  # noqa: ARG002 - the signature
                return [{"name": name, "value": value} for name, value in pairs]

            def color(self, record: FrozenRecord) -> int:  # noqa: ARG002 - the signature
                return color

        assert problems(lay_out(make(levelname=texts[3]), Own())) == []

    @given(st.lists(LONG, max_size=3).map(chain), LONG, LONG)
    def test_every_fence_is_closed(self, error: BaseException, message: str, stack: str) -> None:
        """A traceback never runs into the text below it."""
        description = lay_out(make(message.replace("http", ""), exc_info=error, stack_info=stack))["description"]
        fences = description.replace("\\`", "").count(FENCE)
        assert fences == 2 + 2 * bool(clean(stack).strip())
        assert description.endswith("-# orders.py:42 in place")

    def test_no_part_shows_a_webhook_token(self) -> None:
        """The origin of the token does not matter."""
        everywhere = make(URL, name=URL, levelname=URL, funcName=URL, threadName=URL, taskName=URL)
        everywhere.__dict__.update({URL: URL, "long": "a" * 990 + URL, "processName": URL, "stack_info": URL})
        everywhere.exc_info = (ValueError, chain(["a" * 300 + URL, URL, URL]), None)
        card = json.dumps(lay_out(everywhere, context={URL: URL}))
        assert "webhooks/111111111111111111/" in card.replace("\\", "")
        assert TOKEN[:6] not in card
        assert not any(TOKEN[start : start + 8] in card for start in range(len(TOKEN) - 8))


class TestParts:
    """The parts of a card."""

    def test_a_plain_record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """This is the whole card as Discord gets it."""
        monkeypatch.setattr(socket, "gethostname", lambda: "web-1")
        record = make("order %d of __all__", 17, created=1786015861.1234, process=7, threadName="Thread-1", order=17)
        assert lay_out(record, context={"service": "shop"}) == {
            "color": 0xED4245,
            "timestamp": "2026-08-06T11:31:01.123+00:00",
            "title": r"❌ ERROR · shop.orders",
            "description": "order 17 of \\_\\_all\\_\\_\n-# orders.py:42 in place",
            "footer": {"text": "web-1 · pid 7 · Thread-1"},
            "fields": [
                {"name": "order", "value": "17", "inline": True},
                {"name": "service", "value": "shop", "inline": True},
            ],
        }

    @pytest.mark.parametrize("levelno", [10, 20, 25, 30, 40, 45, 50])
    def test_levels_have_their_colours_and_emojis(self, levelno: int) -> None:
        """Custom levels take those of the nearest level below."""
        card = lay_out(make(levelno=levelno, levelname="LEVEL"))
        standard = levelno - levelno % 10
        assert card["color"] == COLORS[standard]
        assert card["title"] == f"{EMOJIS[standard]} LEVEL · shop.orders"

    def test_no_emoji_leaves_no_blank(self) -> None:
        """The title begins with the level."""
        assert lay_out(emojis={0: ""})["title"] == "ERROR · shop.orders"

    @pytest.mark.parametrize(
        ("attributes", "footer"),
        [
            ({}, "web-1 · pid 7 · MainThread"),
            ({"processName": "Worker-1"}, "web-1 · Worker-1 (pid 7) · MainThread"),
            ({"processName": "Worker-1", "process": None}, "web-1 · Worker-1 · MainThread"),
            ({"processName": None}, "web-1 · pid 7 · MainThread"),
            ({"process": None, "threadName": None}, "web-1"),
            ({"threadName": "\x1b[1mred\ud800"}, "web-1 · pid 7 · red?"),
            ({"threadName": 5}, "web-1 · pid 7 · 5"),
            *([({"taskName": "Task-1"}, "web-1 · pid 7 · MainThread · Task-1")] if sys.version_info >= (3, 12) else []),
        ],
    )
    def test_the_footer_says_who_logged(
        self, monkeypatch: pytest.MonkeyPatch, attributes: dict[str, object], footer: str
    ) -> None:
        """The footer has the known parts; `logging` can be configured to know fewer."""
        monkeypatch.setattr(socket, "gethostname", lambda: "web-1")
        card = lay_out(make(**{"process": 7, "threadName": "MainThread", **attributes}))
        assert card["footer"]["text"] == footer

    def test_timestamp_is_the_time_of_logging(self) -> None:
        """The time of the layout may be much later."""
        with freeze_time("2026-08-06T11:31:01.123Z") as clock:
            record = make()
            clock.tick(3600)
            assert lay_out(record)["timestamp"] == "2026-08-06T11:31:01.123+00:00"

    @pytest.mark.parametrize("created", [float("nan"), float("inf"), 1e300, None, "now"])
    def test_an_invalid_time_is_left_out(self, created: object) -> None:
        """The rest of the card is shown."""
        assert "timestamp" not in lay_out(make(created=created))

    def test_a_record_without_a_line_shows_no_location(self) -> None:
        """An example is a record from another program."""
        assert lay_out(make(lineno=0))["description"] == "hello"

    def test_an_empty_record_has_a_title(self) -> None:
        """Discord refuses an empty card."""

        class Silent(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
                return " "

            description = footer = title

        assert lay_out(make(levelname="NOTICE"), Silent())["title"] == "NOTICE"
        assert lay_out(make(levelname=" \x00"), Silent())["title"] == "LOG"


LINE_BREAKS = ["\n", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"]


class TestNames:
    """A name cannot look like a part of the card."""

    @pytest.mark.parametrize("line_break", LINE_BREAKS)
    def test_a_name_has_no_lines(self, line_break: str) -> None:
        """Else it could draw the title of a second card. Each line break becomes a space."""
        name = f"x{line_break}❌ ERROR · auth"
        names = {"name": name, "levelname": name, "funcName": name, "pathname": name, name: "value"}
        card = lay_out(make(**names, threadName=name, taskName=name, processName=name))
        shown = [
            card["title"],
            card["description"].partition("\n")[2],
            card["footer"]["text"],
            card["fields"][0]["name"],
        ]
        assert not [text for text in shown if len(text.splitlines()) != 1]
        assert all("x ❌ ERROR · auth" in text for text in shown)

    @pytest.mark.parametrize("blank", ["", " ", "\xa0", "\u3000", "\u2003", "\u200e", "\ufeff", "\n\t", "\x00"])
    @pytest.mark.parametrize("mark", ["# ", "-# ", "- ", "> ", ">>> ", "1. ", "* "])
    def test_blanks_before_a_mark_do_not_make_it_one(self, blank: str, mark: str) -> None:
        """Discord strips texts, and then the mark would begin a line."""
        text = f"{blank}{mark}a"
        card = lay_out(make(text, name=text, **{text: f"{text}b"}), emojis={0: ""})
        values = [card["description"], card["fields"][0]["name"], card["fields"][0]["value"]]
        assert not [value for value in values if value.strip().startswith(mark)]

    def test_an_override_of_the_title_has_one_line(self) -> None:
        """It may contain a name too."""

        class Own(EmbedFormatter):
            def title(self, record: FrozenRecord) -> str:
                return f"Own {record.threadName}"

        assert lay_out(make(threadName="a\nb\u2028c"), Own())["title"] == "Own a b c"


class TestDescription:
    """The message, the traceback and the location share 4096 characters."""

    def test_a_traceback_stands_in_a_block(self) -> None:
        """The block is between the message and the location."""
        lines = lay_out(make(exc_info=ValueError("no")))["description"].split("\n")
        assert lines == ["hello", "```py", "ValueError: no", "```", "-# orders.py:42 in place"]

    def test_a_ready_made_traceback_and_a_stack_have_blocks(self) -> None:
        """Each has its own block."""
        description = lay_out(make(exc_text="Traceback:\nno", stack_info="Stack:\nhere"))["description"]
        assert "```py\nTraceback:\nno\n```\n```py\nStack:\nhere\n```" in description

    def test_a_long_message_without_a_traceback_has_no_block(self) -> None:
        """The message takes all the room, so that even nothing was too long for a block."""
        assert "```" not in lay_out(make("x" * 10_000))["description"]

    @pytest.mark.parametrize("blank", ["", "\n", "\x00", " "])
    def test_a_blank_traceback_has_no_block(self, blank: str) -> None:
        """The fences of an empty block would open another around what stands behind them."""
        description = lay_out(make(exc_text=blank, stack_info="# Stack"))["description"]
        assert description == f"hello\n{FENCE}py\n# Stack\n{FENCE}\n-# orders.py:42 in place"

    def test_of_a_long_traceback_the_end_is_shown(self) -> None:
        """The error is at the end; the message stays whole."""
        description = lay_out(make("m" * 1000, exc_text="first line\n" + "line\n" * 5000 + "last line"))["description"]
        assert description.startswith("m" * 1000 + "\n```py\n…\nline\n")
        assert description.endswith("line\nlast line\n```\n-# orders.py:42 in place")
        assert len(description) > 4000

    def test_a_long_message_leaves_room_for_the_traceback(self) -> None:
        """The card says how much of the message is missing."""
        description = lay_out(make("m" * 10_000, exc_text="x" * 10_000))["description"]
        assert "*(10,000 characters in all)*\n```py\n…\nxxx" in description
        assert description.count("x") > 700
        assert len(description) > 4000

    def test_a_long_footer_takes_nothing_from_the_traceback(self) -> None:
        """The name of a thread may be long."""
        card = lay_out(make("m" * 5000, exc_text="x" * 5000, threadName="t" * 5000))
        assert card["description"].endswith("x\n```\n-# orders.py:42 in place")
        assert problems(card) == []


class TestFields:
    """The fields: values of the record and of the handler."""

    @pytest.mark.parametrize(
        ("value", "shown", "inline"),
        [
            ("short", "short", True),
            ("x" * 40, "x" * 40, True),
            ("x" * 41, f"{FENCE}\n{'x' * 41}\n{FENCE}", False),
            ("a\nb", f"{FENCE}\na\nb\n{FENCE}", False),
            ("x" * 2000, f"{FENCE}\n{'x' * 1015}…\n{FENCE}", False),
            ("_a_", r"\_a\_", True),
            (None, "None", True),
            (0, "0", True),
            (1.5, r"1\.5", True),
            (["a"], r"\['a']", True),
        ],
    )
    def test_short_values_share_a_row(self, value: object, shown: str, *, inline: bool) -> None:
        """Others have a block of their own."""
        assert lay_out(make(value=value))["fields"] == [{"name": "value", "value": shown, "inline": inline}]

    @pytest.mark.parametrize("extra", [{"a": ""}, {"a": "\x00"}, {"\x00 ": "b"}])
    def test_empty_ones_are_left_out(self, extra: dict[str, object]) -> None:
        """Discord does not promise to accept them."""
        assert "fields" not in lay_out(make(**extra))

    def test_fields_beyond_the_limit_are_named(self) -> None:
        """There are twenty-four fields, and one with the names of the others."""
        card = lay_out(make(**{f"key_{number:02}": number for number in range(30)}))
        assert len(card["fields"]) == 25
        assert card["fields"][23]["name"] == r"key\_23"
        last = card["fields"][24]
        assert (last["name"], last["inline"]) == ("… and 6 more", False)
        assert last["value"] == ", ".join(rf"key\_{number}" for number in range(24, 30))

    def test_the_value_of_the_record_wins(self) -> None:
        """The record's value is more specific than the handler's value, which is the same for all records."""
        card = lay_out(make(service="till"), context={"service": "shop", "env": "test"})
        assert [(field["name"], field["value"]) for field in card["fields"]] == [("service", "till"), ("env", "test")]

    def test_twenty_five_fit(self) -> None:
        """No field is left out without need."""
        card = lay_out(make(**{f"key{number}": number for number in range(25)}))
        assert [field["name"] for field in card["fields"]] == [f"key{number}" for number in range(25)]

    def test_fields_without_room_are_named(self) -> None:
        """The whole card has six thousand characters."""
        card = lay_out(make(**{f"key{number}": "x" * 1000 for number in range(9)}))
        assert [field["name"] for field in card["fields"]] == [*(f"key{number}" for number in range(5)), "… and 4 more"]
        assert card["fields"][-1]["value"] == "key5, key6, key7, key8"
        assert problems(card) == []

    def test_chosen_ones_are_shown_in_their_order(self) -> None:
        """Missing values are left out, and each is shown once."""
        card = lay_out(make(a=1, b=2, c=3), fields=("c", "missing", "a", "c"))
        assert [(field["name"], field["value"]) for field in card["fields"]] == [("c", "3"), ("a", "1")]

    @pytest.mark.parametrize("chosen", [(), ("missing",), ("message",), ("name", "levelno")])
    def test_an_empty_choice_shows_no_value(self, chosen: tuple[str, ...]) -> None:
        """The attributes of every record are not `extra` values."""
        assert "fields" not in lay_out(make(a=1), fields=chosen)

    def test_a_value_that_is_not_chosen_is_not_a_cut(self) -> None:
        """No file is attached because of it."""
        cuts = cuts_made()
        lay_out(make(a="x" * 100_000), fields=())
        assert cuts_made() == cuts

    def test_context_is_shown_whatever_is_chosen(self) -> None:
        """The choice concerns the record's values, which win over the context."""
        context = {"service": "shop", "env": "test"}
        for chosen, shown in (
            ((), [("service", "shop"), ("env", "test")]),
            (("a",), [("a", "1"), ("service", "shop"), ("env", "test")]),
            (("service", "a"), [("service", "till"), ("a", "1"), ("env", "test")]),
        ):
            card = lay_out(make(a=1, service="till"), fields=chosen, context=context)
            assert [(field["name"], field["value"]) for field in card["fields"]] == shown


class TestException:
    """A card with an exception leads with what happened."""

    def test_a_secret_below_its_name_is_masked_in_the_title(self) -> None:
        """The title has no lines, so a text was masked after its name and its value had come together."""
        text = "1 validation error\napi_key\n  Input should be an integer [input_value='brAz8O839ZuIgEH0Y1', x]"
        title = lay_out(make(exc_info=ValueError(text)))["title"]
        assert "validation error api" in title
        assert "brAz8O839" not in title

    @pytest.mark.parametrize(
        ("error", "headline"),
        [
            (ValueError("no price"), "ValueError: no price"),
            (KeyError("tea"), "KeyError: 'tea'"),
            (RuntimeError(), "RuntimeError"),
            (json.JSONDecodeError("no\n value", "x", 0), "JSONDecodeError: no value: line 1 column 1 (char 0)"),
            (SyntaxError("never closed", ("a.py", 1, 5, "x = (", 1, 6)), "SyntaxError: never closed"),
            (ValueError("a\nValueError: b"), "ValueError: a ValueError: b"),
            (ValueError("x" * 500), f"ValueError: {'x' * 107}…"),
            (ValueError("**a** <@1> <t:1>"), r"ValueError: \*\*a\*\* \<@1> \<t:1>"),
            (ValueError("password=hunter2"), r"ValueError: password=\*\*\*"),
            (OSError("404: https://x.y/__a__"), r"OSError: 404: https:\//x.y/\_\_a\_\_"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_the_title_begins_with_type_and_text(self, error: Exception, headline: str) -> None:
        """A phone shows the beginning of a card; level and logger follow."""
        assert lay_out(make(exc_info=error))["title"] == f"❌ {headline} · ERROR · shop.orders"

    def test_a_long_text_in_a_title_is_no_cut(self) -> None:
        """The traceback has the whole text, so no file is attached."""
        cuts = cuts_made()
        assert "x" * 500 in lay_out(make(exc_info=ValueError("x" * 500)))["description"]
        assert cuts_made() == cuts

    @pytest.mark.parametrize("message", ["no price", "ValueError: no price", " no price\n"])
    def test_a_message_that_repeats_the_exception_is_not_shown_twice(self, message: str) -> None:
        """The traceback ends with the same text."""
        description = lay_out(make(message, exc_info=ValueError("no price")))["description"]
        assert description.split("\n") == ["```py", "ValueError: no price", "```", "-# orders.py:42 in place"]

    def test_a_message_is_shown_if_an_override_leaves_the_traceback_out(self) -> None:
        """The text of the exception is nowhere else in the description then."""

        class Brief(EmbedFormatter):
            def traceback(self, record: FrozenRecord, limit: int) -> None:  # noqa: ARG002 - the signature
                return None

        assert lay_out(make("no", exc_info=ValueError("no")), Brief())["description"].startswith("no\n")


class TestContext:
    """The context of the handler has its place on every card."""

    @pytest.mark.parametrize(
        "extra", [{f"key{number}": number for number in range(90)}, dict.fromkeys("abcdefgh", "x" * 1000)]
    )
    def test_many_values_do_not_push_it_off(self, extra: dict[str, object]) -> None:
        """It stands behind the field that names the values without room."""
        card = lay_out(make(**extra), context={"service": "shop", "env": "test"})
        *_, rest, service, env = card["fields"]
        assert rest["name"].startswith("… and ")
        assert [(field["name"], field["value"]) for field in (service, env)] == [("service", "shop"), ("env", "test")]
        assert problems(card) == []

    def test_three_short_values_share_a_line(self) -> None:
        """A value of the record replaces the one of the context, and a long value has a field of its own."""
        context = {"service": "shop", "env": "test", "*release*": "2", "region": "eu", "note": "x" * 50}
        card = lay_out(make(region="us"), context=context)
        assert [(field["name"], field["value"]) for field in card["fields"]] == [
            ("region", "us"),
            ("Context", r"service: shop · env: test · \*release\*: 2"),
            ("note", f"{FENCE}\n{'x' * 50}\n{FENCE}"),
        ]

    def test_values_that_do_not_fit_in_a_line_have_fields(self) -> None:
        """So do those of which there are few."""
        context = {f"key{number}": "x" * 30 for number in range(8)}
        assert len(lay_out(context=context)["fields"]) == 8
        assert len(lay_out(context={"a": "1", "b": "2"})["fields"]) == 2


class TestTables:
    """A table in a message keeps its columns."""

    TABLE = "     item  price\n0     tea    3.5\n1  coffee    4.2"

    def test_a_table_has_a_block(self) -> None:
        """The text around it stays text."""
        description = lay_out(make(f"*Stock*:\n{self.TABLE}\n\nDone."))["description"]
        block = f"{FENCE}\n{self.TABLE}\n{FENCE}"
        assert description == f"\\*Stock\\*:\n{block}\nDone.\n-# orders.py:42 in place"

    @pytest.mark.parametrize("count", [200, 2_000])
    def test_a_long_table_is_cut_within_the_limits(self, count: int) -> None:
        """The block is closed, and the cut is noted."""
        cuts = cuts_made()
        card = lay_out(make("\n".join([self.TABLE] * count), exc_info=ValueError("no")))
        assert problems(card) == []
        assert card["description"].count(FENCE) == 4
        assert "characters in all" in card["description"]
        assert cuts_made() > cuts

    def test_an_array_keeps_its_shape(self) -> None:
        """Its `repr` has a line for each row."""

        class Array:
            def __repr__(self) -> str:
                return "array([[1, 2],\n       [3, 4]])"

        [field] = lay_out(make(weights=Array()))["fields"]
        assert field["value"] == f"{FENCE}\narray([[1, 2],\n       [3, 4]])\n{FENCE}"


SOURCE_URL = "https://git.example/acme/{path}#L{line}"


def location(pathname: object, lineno: object = 42, source_url: str = SOURCE_URL) -> str:
    """Return the line in small print with the location of a record."""
    card = lay_out(make(pathname=pathname, lineno=lineno), source_url=source_url)
    assert problems(card) == []
    return card["description"].rpartition("\n")[2]


class TestSourceUrl:
    """The location on the card is a link."""

    @pytest.fixture(autouse=True)
    def _directory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", ["/srv/app", "C:\\app"])

    def test_the_link_leads_to_the_line(self) -> None:
        """The path is relative to the import path or the current directory."""
        assert location("/srv/app/shop/orders.py") == (
            "-# [orders.py:42](https://git.example/acme/shop/orders.py#L42) in place"
        )
        assert location(os.path.join(os.getcwd(), "jobs/run.py"), 7) == (  # noqa: PTH109, PTH118 - as logging has it
            "-# [run.py:7](https://git.example/acme/jobs/run.py#L7) in place"
        )

    def test_the_line_is_quoted_too(self) -> None:
        """A record from another program may have any value there."""
        assert "](https://git.example/acme/a.py#L4%202%29%3F) in place" in location("/srv/app/a.py", "4 2)?")

    def test_a_file_of_a_library_has_no_link(self) -> None:
        """The repository does not have that file."""
        assert location("/srv/app/lib/python3.13/site-packages/flask/app.py") == "-# app.py:42 in place"

    def test_without_the_setting_the_location_is_text(self) -> None:
        """The card has no link."""
        card = lay_out(make(pathname="/srv/app/shop/orders.py"))
        assert card["description"] == "hello\n-# orders.py:42 in place"

    def test_the_template_may_repeat_or_omit_the_line(self) -> None:
        """Only the path must be there."""
        assert "(https://git.example/5?at=shop/a.py&to=5)" in location(
            "/srv/app/shop/a.py", 5, "https://git.example/{line}?at={path}&to={line}"
        )

    @pytest.mark.parametrize(
        ("pathname", "quoted"),
        [
            ("shop/my orders.py", "shop/my%20orders.py"),
            ("shop/(1)#2?3.py", "shop/%281%29%232%3F3.py"),
            ("shop/ärger/🔥.py", "shop/%C3%A4rger/%F0%9F%94%A5.py"),
            ("shop\\orders.py", "shop/orders.py"),
            ("shop/{line}.py", "shop/%7Bline%7D.py"),
            ("shop/%41\\..py", "shop/%2541/..py"),
            ("shop/a\nb\x00.py", "shop/a%0Ab.py"),
            ("shop/\ud800.py", "shop/%3F.py"),
            ("shop/\u202e.py", "shop/%3CU%2B202E%3E.py"),
        ],
    )
    def test_the_path_is_quoted(self, pathname: str, quoted: str) -> None:
        """No character of the path ends the link or has a meaning in an address."""
        assert f"](https://git.example/acme/{quoted}#L42) in place" in location(f"/srv/app/{pathname}")

    @pytest.mark.parametrize("pathname", ["C:\\app\\shop\\orders.py", "D:\\lib\\orders.py", "d:/lib/orders.py"])
    def test_a_path_with_a_drive_has_no_link(self, pathname: str) -> None:
        """A path of Windows outside the program's directories has no address."""
        assert "](" not in location(pathname)

    @pytest.mark.parametrize(
        "pathname", ["/usr/lib/orders.py", "//x/orders.py", "<stdin>", "<frozen runpy>", "<x>/a.py"]
    )
    def test_a_file_outside_the_project_has_no_link(self, pathname: str) -> None:
        """The link would lead nowhere."""
        assert "](" not in location(pathname)
        assert ":42 in place" in location(pathname)

    @pytest.mark.parametrize(
        ("pathname", "lineno"),
        [
            ("/srv/app/a[b].py", 42),
            ("/srv/app/x](https:evil.example)[y.py", 42),
            ("/srv/app/orders.py", "42](https://evil.example)"),
            ("/srv/app/" + "x" * 500 + ".py", 42),
            ("/srv/app/" + "é" * 100 + ".py", 42),
            ("/srv/app/orders.py", "9" * 500),
        ],
    )
    def test_hostile_and_very_long_paths_have_no_link(self, pathname: str, lineno: object) -> None:
        """Discord would not show the link, or show another one."""
        assert "(https://git.example" not in location(pathname, lineno)

    def test_a_long_link_takes_nothing_from_the_limits(self) -> None:
        """The text of the card is cut, the link is not."""
        card = lay_out(
            make("x" * 5000, pathname="/srv/app/" + "y/" * 200 + "a.py", exc_text="z" * 5000, stack_info="w" * 5000),
            source_url=SOURCE_URL,
        )
        assert problems(card) == []
        assert card["description"].endswith("y/a.py#L42) in place")

    @given(VALUES, VALUES)
    @example("/srv/app/a.py", "{path}")
    @example("/srv/app/a.py", "\ud800")
    def test_any_location_has_at_most_one_link(self, pathname: object, lineno: object) -> None:
        """The link is that of the template, whatever the record contains."""
        card = lay_out(make(pathname=pathname, lineno=lineno), source_url=SOURCE_URL)
        assert problems(card) == []
        shown = card["description"].rpartition("\n-# ")[2]
        assert shown.count("](http") == shown.count("](https://git.example/acme/") <= 1


class TestMention:
    """The mention of a record."""

    @pytest.mark.parametrize(("levelno", "mention"), [(0, ""), (39, ""), (40, "<@5>"), (45, "<@5>"), (50, "@here")])
    def test_the_level_decides_about_the_mention(self, levelno: int, mention: str) -> None:
        """A level without a mention takes that of the nearest level below."""
        settings = CardSettings(EmbedFormatter(), mentions={0: "", 40: "<@5>", 50: "@here"})
        record = FrozenRecord(freeze(make(levelno=levelno), settings))
        assert EmbedFormatter().mention(record) == mention

    def test_without_the_setting_nobody_is_mentioned(self) -> None:
        """The level does not matter."""
        assert EmbedFormatter().mention(FrozenRecord(freeze(make(), CardSettings(None)))) == ""


OWN, LIBRARY = "/srv/app/shop/{}.py", "/srv/app/lib/python3/site-packages/{}/core.py"


def raised_in(*filenames: str) -> BaseException:
    """Return an exception that went through a function in each of these files, the last of which raised it."""
    function: Any = None
    for filename in reversed(filenames):
        text = "def call(inner):\n\n    return inner()" if function else "def fail():\n    raise ValueError('no')"
        names: dict[str, Any] = {}
        exec(compile(text, filename, "exec"), names)  # noqa: S102 - our own text
        function = functools.partial(names["call"], function) if function else names["fail"]
    with pytest.raises(ValueError, match="no") as caught:
        function()
    assert caught.tb.tb_next
    return caught.value.with_traceback(caught.tb.tb_next)


class TestPlace:
    """A framework logs the exceptions of the program, so its own line tells nothing."""

    FRAMEWORK = LIBRARY.format("django")

    def place(self, error: BaseException | None, pathname: str = FRAMEWORK, **settings: Any) -> str:
        """Return the line of the card with the place of a record."""
        card = lay_out(make(pathname=pathname, exc_info=error), **settings)
        return card["description"].rpartition("\n")[2]

    def test_the_line_that_raised_is_shown(self) -> None:
        """The title has the name of the logger."""
        error = raised_in(self.FRAMEWORK, OWN.format("views"), OWN.format("orders"))
        assert self.place(error) == "-# orders.py:2 in fail"
        assert (
            lay_out(make(pathname=self.FRAMEWORK, exc_info=error))["title"] == "❌ ValueError: no · ERROR · shop.orders"
        )

    def test_of_a_library_that_raised_the_program_s_call_is_shown(self) -> None:
        """The program's line is the one to look at."""
        error = raised_in(self.FRAMEWORK, OWN.format("views"), LIBRARY.format("redis"), LIBRARY.format("redis"))
        assert self.place(error) == "-# views.py:3 in call"

    def test_the_program_s_line_may_be_in_the_cause(self) -> None:
        """A framework wraps the exception into its own."""
        error = raised_in(self.FRAMEWORK)
        error.__cause__ = raised_in(LIBRARY.format("jinja2"), OWN.format("filters"))
        assert self.place(error) == "-# filters.py:2 in fail"

    def test_without_a_line_of_the_program_the_last_is_shown(self) -> None:
        """The framework itself failed."""
        assert self.place(raised_in(self.FRAMEWORK, LIBRARY.format("redis"))) == "-# core.py:2 in fail"
        assert self.place(ValueError("no traceback")) == "-# core.py:42 in place"
        assert self.place(None) == "-# core.py:42 in place"

    def test_the_program_s_own_logging_call_is_shown(self) -> None:
        """Its traceback stands above it, and the call tells who handled the error."""
        error = raised_in(OWN.format("orders"))
        assert self.place(error, OWN.format("jobs")) == "-# jobs.py:42 in place"

    def test_own_packages_are_the_program(self) -> None:
        """A package that is installed like a library logs and raises as the program."""
        error = raised_in(self.FRAMEWORK, LIBRARY.format("acme"), LIBRARY.format("redis"))
        assert self.place(error, own_packages=("acme",)) == "-# core.py:3 in call"
        assert self.place(error, LIBRARY.format("acme"), own_packages=("acme",)) == "-# core.py:42 in place"

    def test_the_link_leads_to_the_line_that_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A line of a framework has no link."""
        monkeypatch.setattr(sys, "path", ["/srv/app"])
        error = raised_in(self.FRAMEWORK, OWN.format("orders"))
        link = "[orders.py:2](https://git.example/acme/shop/orders.py#L2)"
        assert self.place(error, source_url=SOURCE_URL) == f"-# {link} in fail"

    def test_asyncio_logs_what_the_program_raised(self, caplog: pytest.LogCaptureFixture) -> None:
        """The file of the logging call is `base_events.py`."""
        error = raised_in(OWN.format("jobs"))
        loop = asyncio.new_event_loop()
        loop.default_exception_handler({"message": "Task failed", "exception": error})
        loop.close()
        [record] = caplog.records
        assert record.filename == "base_events.py"
        assert lay_out(record)["description"].endswith("\n-# jobs.py:2 in fail")

    def test_a_path_of_windows_is_read(self) -> None:
        """A record may come from another machine."""
        assert self.place(None, "C:\\shop\\orders.py") == "-# orders.py:42 in place"


class TestFormat:
    """The formatter with another handler."""

    def test_the_format_is_plain_text(self) -> None:
        """No character is escaped, and the traceback follows."""
        text = EmbedFormatter().format(make("__x__", exc_info=ValueError("no")))
        assert text == "ERROR shop.orders: __x__\nValueError: no"

    def test_the_formatter_works_with_a_stream_handler(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The stream gets message and traceback."""
        handler = logging.StreamHandler()
        handler.setFormatter(EmbedFormatter())
        handler.handle(make())
        assert capsys.readouterr().err == "ERROR shop.orders: hello\n"


def test_the_length_of_a_card_counts_all_its_texts() -> None:
    """Discord adds up the same texts for its limit of 6,000."""
    card: Embed = {
        "title": "a" * 1,
        "description": "b" * 10,
        "footer": {"text": "c" * 100},
        "fields": [{"name": "d" * 1000, "value": "e" * 10_000}, {"name": "f" * 100_000, "value": "g" * 1_000_000}],
        "timestamp": "2026-08-06T11:31:01+00:00",
        "color": 1,
    }
    assert embed_length(card) == 1_111_111
    assert embed_length({}) == 0
