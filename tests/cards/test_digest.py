"""The summary of a large backlog."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.compose import compose
from discord_logging._cards.digest import Summary
from discord_logging._cards.embeds import embed_length
from discord_logging._records.freeze import freeze
from discord_logging._records.parse import EMOJIS
from discord_logging._records.record import Counts
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord_logging._discord.types import Embed

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
FENCE = "```"
SETTINGS = CardSettings(EmbedFormatter())
HOSTILE = [
    FENCE,
    "a\nb\n# big\n>>> quote",
    "**bold** __x__ ||y|| ~~z~~ `c`",
    "<@1> <@&2> @everyone <#3> <t:1>",
    "x" * 10_000,
    "_" * 10_000,
    URL,
    f"{'x' * 20}{URL}",
    f"{'x' * 70}{URL}",
    "\x1b[31mred\x1b[0m\x00",
    "\ud800",
    "",
    " ",
    "\n",
    "[x](https://x.example)",
    "🚨" * 500,
    "…",
]


def make(
    template: object = "hello",
    *args: object,
    level: int = 40,
    at: float = 0,
    card: CardSettings = SETTINGS,
    **more: object,
) -> FrozenRecord:
    """Return a frozen record, logged `at` seconds after the first."""
    record = logging.LogRecord("shop", level, "orders.py", 42, template, args, None, "place")
    record.__dict__.update({"levelname": logging.getLevelName(level), "created": 1e9 + at, **more})
    return FrozenRecord(freeze(record, card))


def summarize(records: Sequence[FrozenRecord]) -> Embed:
    """Return the summary card of a backlog, whose file has a preview without faults."""
    summary = Summary(records)
    assert preview_problems(summary.preview(), min(len(summary._kinds), 5)) == []
    return summary.embed(records[0], records[-1])


def clock(seconds: int) -> str:
    """Return the time `seconds` after the first record, for the reader's zone."""
    return f"<t:{1_000_000_000 + seconds}:T>"


def moment(seconds: int) -> str:
    """Return the date and the time `seconds` after the first record, for the reader's zone."""
    return f"<t:{1_000_000_000 + seconds}:d> {clock(seconds)}"


def problems(embed: Embed) -> list[str]:
    """Return the faults of a summary, for Discord and for a reader."""
    title, description = embed["title"], embed["description"]
    values = [field["value"] for field in embed["fields"]]
    found = ["title"] if not 0 < len(title.strip()) <= 256 or "\n" in title else []
    found += ["description"] if not 0 < len(description) <= 4096 else []
    found += ["fields"] if not all(0 < len(value.strip()) <= 1024 for value in values) else []
    found += ["too long to stand beside cards"] if embed_length(embed) > 3000 else []
    everything = json.dumps(embed, ensure_ascii=False).encode().decode()
    found += ["token"] if TOKEN[:9] in everything else []
    found += ["codes"] if "\\u001b" in everything or "\x00" in everything else []
    shown = [text.replace("\\\\", "").replace("\\`", "") for text in (description, values[2])]
    found += ["fence"] if any(FENCE in text for text in shown) else []
    # Levels, at most five kinds, and where the rest is.
    lines = description.split("\n")
    found += ["lines"] if not 3 <= len(lines) <= 7 or "attached file" not in lines[-1] else []
    found += ["heading"] if any(line.lstrip().startswith(("# ", ">", "- ")) for line in lines) else []
    return found + (["loggers"] if len(values[2].split("\n")) > 5 else [])


def preview_problems(preview: str, kinds: int) -> list[str]:
    """Return the faults of the lines at the beginning of a file."""
    *lines, blank, end = preview.split("\n")
    found = ["lines"] if len(lines) != kinds or blank or end else []
    found += [line for line in lines if not re.match(r"×[\d,]+ ", line) or len(line) > 500]  # noqa: RUF001 - the sign
    found += ["token"] if TOKEN[:9] in preview else []
    found += ["codes"] if "\x1b" in preview or "\x00" in preview else []
    return found + (["bytes"] if len(preview.encode()) > 10_000 else [])


class TestSummary:
    """The summary shows the failures, their number, their times and their loggers."""

    def test_the_whole_card(self) -> None:
        """The card is worth reading at 3 a.m."""
        records = [make("user %s logged in", name, level=20, at=at) for at, name in enumerate(["ann", "bob", "cy"])]
        records += [make("no disk", level=50, name="shop.db", at=10)]
        records += [make("order %d failed", number, at=20 + number, exc_info=OSError("no")) for number in range(70)]
        records[3] = records[3].counted(Counts(1000, 1e9 + 60))
        assert summarize(records) == {
            "title": "🚨 1,073 records in 89 s",
            "description": (
                "**1,000** CRITICAL · **70** ERROR · **3** INFO\n"
                f"🚨 **×1,000** shop.db: no disk ({clock(10)}–{clock(60)})\n"  # noqa: RUF001 - the signs
                f"❌ **×70** shop: order %d failed — OSError ({clock(20)}–{clock(89)})\n"  # noqa: RUF001 - the signs
                f"{EMOJIS[20]} **×3** shop: user %s logged in ({clock(0)}–{clock(2)})\n"  # noqa: RUF001 - the signs
                "-# every record is in the attached file"
            ),
            "color": SETTINGS.colors[50],
            "fields": [
                {"name": "From", "value": moment(0), "inline": True},
                {"name": "To", "value": moment(89), "inline": True},
                {"name": "Loggers", "value": "1,000 shop.db\n73 shop", "inline": True},
            ],
        }

    def test_a_kind_that_came_once_has_one_time(self) -> None:
        """There is no range of times."""
        assert f"**×1** shop: hello ({clock(0)})" in summarize([make()])["description"]  # noqa: RUF001 - the sign

    def test_names_have_one_line_and_make_no_emoji(self) -> None:
        """The colon behind the name of a logger is ours."""
        card = summarize([make(name="a\n# b", levelname="NO\u2028TE"), make(name=":fire")])
        assert card["description"].split("\n")[0] == "**1** NO TE · **1** ERROR"
        assert "** a # b: hello" in card["description"]
        assert r"** \:fire: hello" in card["description"]
        assert card["fields"][2]["value"] == "1 a # b\n1 :fire"

    def test_of_many_kinds_five_are_named(self) -> None:
        """They are the worst and the most frequent, and the others are counted."""
        records = [
            make(f"kind {kind}", level=30 + kind % 2 * 10, lineno=kind + 1)
            for kind in range(1008)
            for _ in range(kind % 7 + 1)
        ]
        lines = summarize(records)["description"].split("\n")
        assert len(lines) == 7
        assert all("❌ **×7** shop: kind " in line for line in lines[1:6])  # noqa: RUF001 - the sign
        assert lines[6] == "-# and 1,003 other kinds; every record is in the attached file"

    def test_of_many_loggers_and_levels_the_first_are_named(self) -> None:
        """These are the loggers with the most records, and the highest levels."""
        records = [make(level=number, name=f"shop{number}") for number in range(1, 30) for _ in range(number)]
        card = summarize(records)
        assert card["fields"][2]["value"] == "\n".join(f"{number} shop{number}" for number in range(29, 24, -1))
        first = card["description"].split("\n")[0]
        assert first == " · ".join(f"**{number}** Level {number}" for number in range(29, 21, -1))

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, " in 0 s"),
            (-5, " in 0 s"),
            (119, " in 119 s"),
            (120, " in 2 min"),
            (7199, " in 120 min"),
            (7200, " in 2.0 h"),
            (3e9, ""),
            (float("nan"), ""),
        ],
    )
    def test_the_title_has_the_duration(self, seconds: float, words: str) -> None:
        """The unit suits the duration, and the clock of a machine may be set back."""
        assert summarize([make(), make(at=seconds)])["title"] == f"❌ 2 records{words}"

    def test_times_are_those_of_the_first_and_the_last_whatever_their_order(self) -> None:
        """The first record may have the last repeat."""
        records = [make(level=20, at=50), make(level=20, at=10), *(make(level=20, at=20) for _ in range(200))]
        records[1] = records[1].counted(Counts(2, 1e9 + 90))
        card = compose(records).message.payload["embeds"][0]
        assert [field["value"] for field in card["fields"][:2]] == [moment(10), moment(90)]
        assert card["title"].endswith("203 records in 80 s")

    def test_no_emoji_leaves_no_blank(self) -> None:
        """Title and lines do not begin with a blank then."""
        card = summarize([make(card=CardSettings(EmbedFormatter(), emojis={0: ""}))])
        assert card["title"] == "1 records in 0 s"
        assert card["description"].split("\n")[1].startswith("**×1**")  # noqa: RUF001 - the sign


class TestPreview:
    """Discord shows the first six lines of the file above the cards, so they tell the worst."""

    def test_the_worst_kinds_have_a_line_each(self) -> None:
        """The line has number, level, logger, place, text and exception; a blank line follows."""
        records = [make("user %s logged in", name, level=20) for name in ("ann", "bob")]
        records += [make("no disk", level=50, name="shop.db", lineno=0)]
        records += [make(f"order {number}", exc_info=OSError("no\nroom")) for number in range(1200)]
        assert Summary(records).preview() == (
            "×1 CRITICAL shop.db: no disk\n"  # noqa: RUF001 - the sign
            "×1,200 ERROR shop orders.py:42: e.g. order 0 — OSError: no room\n"  # noqa: RUF001 - the sign
            "×2 INFO shop orders.py:42: user %s logged in\n"  # noqa: RUF001 - the sign
            "\n"
        )

    def test_a_text_that_says_the_same_as_the_exception_is_not_repeated(self) -> None:
        """Many programs log the exception itself; some log nothing."""
        records = [make(OSError("no room"), exc_info=OSError("no room")), make("", level=30)]
        assert Summary(records).preview() == (
            "×1 ERROR shop orders.py:42: OSError: no room\n"  # noqa: RUF001 - the sign
            "×1 WARNING shop orders.py:42\n"  # noqa: RUF001 - the sign
            "\n"
        )

    def test_of_many_kinds_five_have_a_line(self) -> None:
        """The sixth line is blank."""
        preview = Summary([make("x" * 500, lineno=number + 1, name="y" * 500) for number in range(9)]).preview()
        assert [len(line) for line in preview.split("\n")] == [203] * 5 + [0, 0]


class TestKinds:
    """The kinds of records in a summary."""

    @pytest.mark.parametrize(
        ("one", "two", "same"),
        [
            (make("order %d", 1), make("order %d", 2), True),
            (make("order 1"), make("order 2"), True),
            (make("order 1"), make("order 2", lineno=43), False),
            (make("order 1"), make("order 2", pathname="till.py"), False),
            (make("order 1", lineno=0), make("order 2", lineno=0), False),
            (make("order 1"), make("order %d", 1), False),
            (make("a", level=40), make("a", level=50), False),
            (make("a"), make("a", name="till"), False),
            (make("a", exc_info=ValueError(1)), make("a", exc_info=ValueError(2)), True),
            (make("a", exc_info=ValueError(1)), make("a", exc_info=KeyError(1)), False),
            (make("a", exc_info=ValueError(1)), make("a"), False),
            (make(ValueError("a")), make(ValueError("a")), True),
            (make("a", at=1, threadName="b"), make("a", at=2), True),
        ],
    )
    def test_which_records_are_of_one_kind(self, one: FrozenRecord, two: FrozenRecord, *, same: bool) -> None:
        """Level, logger, exception, and template or place count; the arguments do not."""
        assert len(Summary([one, two])._kinds) == (1 if same else 2)

    def test_texts_from_one_line_are_one_kind_with_one_example(self) -> None:
        """An f-string leaves no template, and 400 errors were 395 other kinds."""
        card = summarize([make(f"order {number} failed", at=number) for number in range(400)])
        assert card["description"].split("\n") == [
            "**400** ERROR",
            f"❌ **×400** shop: e.g. order 0 failed ({clock(0)}–{clock(399)})",  # noqa: RUF001 - the signs
            "-# every record is in the attached file",
        ]

    def test_a_text_that_every_record_has_is_no_example(self) -> None:
        """The text of another formatter, which may contain a time, does not count."""
        records = [
            FrozenRecord(freeze(logging.LogRecord("shop", 40, "a.py", 1, "gone", (), None), SETTINGS, str(body)))
            for body in range(2)
        ]
        assert "×2** shop: gone (" in summarize(records)["description"]  # noqa: RUF001 - the sign

    def test_the_text_of_an_object_is_the_example(self) -> None:
        """A message that is no text has no template."""
        assert "shop: gone (" in summarize([make(ValueError("gone"))])["description"]

    def test_the_worst_are_the_severe_ones(self) -> None:
        """The first record of each comes, the worst first, then the most frequent."""
        records = [
            *(make("a"), make("b", lineno=1), make("b", at=1, lineno=1)),
            *(make("c", level=50), make("d", level=30), make("a", at=2)),
        ]
        records[1] = records[1].counted(Counts(5, 1e9))
        assert Summary(records).worst() == [records[3], records[1], records[0]]

    def test_without_severe_kinds_the_worst_have_the_highest_level(self) -> None:
        """There is always a card to show."""
        records = [make("a", level=20), make("b", level=30), make("c", level=10)]
        assert Summary(records).worst() == [records[1]]


SPECS = st.tuples(
    st.sampled_from([0, 10, 20, 30, 40, 50, -7, 10**30]), st.integers(0, 3), st.integers(0, 5), st.integers(1, 10**6)
)


class TestAnyBacklog:
    """The counts and the card are right for any backlog."""

    @given(st.lists(SPECS, min_size=1, max_size=40))
    def test_counts_are_right(self, specs: list[tuple[int, int, int, int]]) -> None:
        """The summary counts by level, by logger and by kind."""
        records = [
            make(f"no {template}", level=level, name=f"shop{name}", lineno=template + 1).counted(Counts(count, 1e9))
            for level, name, template, count in specs
        ]
        summary = Summary(iter(records))
        assert summary.count == sum(spec[3] for spec in specs)
        assert sum(summary.levels.values()) == sum(summary.loggers.values()) == summary.count
        for level, name, template, _ in specs:
            assert summary.levels[level, logging.getLevelName(level)] == sum(s[3] for s in specs if s[0] == level)
            assert summary.loggers[f"shop{name}"] == sum(s[3] for s in specs if s[1] == name)
            kind = make(f"no {template}", level=level, name=f"shop{name}", lineno=template + 1).kind()
            tally = summary._kinds[kind]
            assert tally.count == sum(s[3] for s in specs if s[:3] == (level, name, template))
        assert problems(summarize(records)) == []

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(st.tuples(*[st.sampled_from(HOSTILE) | st.text(st.characters())] * 4), min_size=1, max_size=12),
    )
    def test_hostile_names_leave_it_readable(self, texts: list[tuple[str, str, str, str]]) -> None:
        """Each kind has a line of its own, nothing is formatted, and no token is shown."""
        records = []
        for template, name, levelname, error in texts:
            exception = type(error.replace("\x00", "").encode("ascii", "ignore").decode() or "E", (Exception,), {})()
            records.append(make(template, name=name, levelname=levelname, exc_info=exception))
        assert problems(summarize(records)) == []

    @pytest.mark.parametrize("emoji", ["\ud800", "\x1b[31m", "x" * 10_000, "🚨" * 3], ids=lambda text: ascii(text[:9]))
    def test_any_emoji_leaves_it_valid(self, emoji: str) -> None:
        """They are settings, but settings come from files."""
        card = summarize([make(card=CardSettings(EmbedFormatter(), emojis={0: emoji}))])
        assert json.dumps(card, ensure_ascii=False).encode()
        assert "\x1b" not in card["title"] + card["description"]
        assert len(card["title"]) <= 256
        assert len(card["description"]) <= 4096

    @pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:10]))
    def test_all_hostile_at_once(self, text: str) -> None:
        """Ten levels, ten loggers and ten templates begin with a hostile text."""
        records = [
            make(f"{text}{number}", level=40 + number, name=f"{text}{number}", levelname=f"{text}{number}")
            for number in range(10)
        ]
        assert problems(summarize(records)) == []
