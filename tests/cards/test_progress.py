"""The small print of a live card says how an incident goes on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._cards.progress import ROOM, describe_progress, span_text, times
from discord_logging._records.incident import Incident

FIRST = 1_700_000_000.0
HOUR = (0,) * 57 + (1, 2, 7)


def incident(count: int = 4_012, span: float = 2_280.0, **facts: Any) -> Incident:
    """Return an incident of 38 minutes, unless a test says otherwise."""
    return Incident(count, FIRST, FIRST + span, **{"minutes": HOUR, **facts})


def test_a_young_one_has_two_times() -> None:
    """One minute needs no blocks, and one process no name."""
    assert describe_progress(incident(3, 20.0, sources={"web": (1,)})) == (
        "-# since <t:1700000000:R>, last <t:1700000020:R> · 10/min"
    )


def test_an_older_one_shows_its_last_hour() -> None:
    """The highest block stands for the most records, and the lowest for none."""
    line = describe_progress(incident())
    [bar] = re.findall(r"`(.*)` last hour", line)
    assert (len(bar), bar[:19], bar[-1]) == (20, "▁" * 19, "█")


def test_a_rare_one_has_a_rate_per_hour() -> None:
    """After an hour, that is."""
    assert "10/h" in describe_progress(incident(12, 7_200.0, minutes=(10,) + (0,) * 59))


def test_a_quiet_one_says_how_long_it_took() -> None:
    """Nothing else matters then."""
    text = describe_progress(incident(is_quiet=True))
    assert text == "-# ✅ quiet since <t:1700002280:R>, ×4,012 in 38 min"  # noqa: RUF001 - the sign for times


def test_a_further_card_gives_its_reason() -> None:
    """With a link to the first message, if that is known."""
    assert describe_progress(incident(1, reason="again after 2 h")) == "-# **again after 2 h**"
    linked = describe_progress(incident(1, reason="again after 2 h", link="https://discord.com/channels/1/2/3"))
    assert linked == "-# **again after 2 h** · [first message](https://discord.com/channels/1/2/3)"


def test_a_continued_card_points_to_the_newer_one() -> None:
    """A number that is not up to date would mislead."""
    assert describe_progress(incident(is_continued=True)) == "-# ➡️ a newer message goes on counting"
    assert "quiet since" in describe_progress(incident(is_continued=True, is_quiet=True))


def test_several_processes_are_named_by_their_hosts() -> None:
    """Up to three hosts, those with the most processes first."""
    assert describe_progress(incident(sources={"a": (1,), "b": (1, 2)})).endswith("\n-# b: 2 processes · a: 1 process")
    hosts = {f"web-{number}": (1,) for number in range(5)}
    assert describe_progress(incident(sources=hosts)).endswith("web-2: 1 process · 2 further hosts")


def test_it_tells_of_numbers_that_are_unsure() -> None:
    """And of texts that nobody can read."""
    assert describe_progress(incident(unsure=2, untold=1_500)).endswith(
        "2 may be counted twice · 1,500 not in the file"
    )


names = st.text(max_size=300)


@given(st.dictionaries(names, st.just((1, 2)), max_size=9), names, st.integers(2, 10**12))
def test_it_has_a_bounded_length(sources: dict[str, tuple[int, ...]], reason: str, count: int) -> None:
    """Whatever the names are, each line is small print."""
    link = "https://discord.com/channels/" + "/".join(["9" * 20] * 3)
    text = describe_progress(
        incident(count, 1e9, sources=sources, reason=reason, link=link, unsure=count, untold=count)
    )
    assert len(text) <= ROOM
    assert all(line.startswith("-# ") for line in text.split("\n"))


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (119, "119 s"), (130, "2 min"), (7_300, "2 h"), (200_000, "2 d")]
)
def test_spans_are_short(seconds: float, text: str) -> None:
    """One unit is enough."""
    assert span_text(seconds) == text


def test_numbers_have_separators() -> None:
    """As everywhere on the cards."""
    assert times(1_000) == "×1,000"  # noqa: RUF001 - the sign for times


def test_an_incident_without_minutes_has_no_blocks() -> None:
    """A program may make one to test its own formatter. The blocks were cut out of nothing, which raised an error."""
    assert describe_progress(incident(minutes=())) == "-# since <t:1700000000:R>, last <t:1700002280:R>"


@pytest.mark.parametrize(
    ("minutes", "bar"),
    [
        ((1,) + (0,) * 59, "█" + "▁" * 19),
        ((0,) * 58 + (1, 1000), "▁" * 19 + "█"),
        ((1, 0, 0) * 10 + (7, 0, 0) * 10, "▂" * 10 + "█" * 10),
        ((5,) * 60, "█" * 20),
    ],
)
def test_each_block_stands_for_three_minutes(minutes: tuple[int, ...], bar: str) -> None:
    """A single record among many is seen."""
    assert f" · `{bar}` last hour" in describe_progress(incident(minutes=minutes))


@pytest.mark.parametrize(
    ("span", "last", "rate"),
    [(10.0, 4_000, "4,000/min"), (600.0, 10, "2/min"), (3_599.0, 4, ""), (3_600.0, 4, "4/h"), (90_000.0, 1, "1/h")],
)
def test_the_rate_has_the_unit_that_gives_a_whole_number(span: float, last: int, rate: str) -> None:
    """A rare incident that is younger than an hour has none yet."""
    text = describe_progress(incident(last + 1, span, minutes=(0,) * 59 + (last,)))
    assert re.findall(r"[\d,]+/\w+", text) == ([rate] if rate else [])


def test_a_single_record_has_no_numbers() -> None:
    """Nothing goes on yet, whatever its sources are."""
    assert describe_progress(incident(1, 0.0, sources={"a": (1,)})) == ""


def test_a_link_needs_an_address() -> None:
    """Without the id of the server, no message has one."""
    linked = describe_progress(incident(is_continued=True, link="https://discord.com/channels/1/2/3"))
    assert linked == "-# ➡️ [a newer message](https://discord.com/channels/1/2/3) goes on counting"


def test_a_long_host_is_cut_and_does_not_hide_the_others() -> None:
    """The cut said how long the name is, in more room than the name had."""
    hosts = {f"{letter}{'*' * 200}": (1, 2) for letter in "abc"}
    last = describe_progress(incident(sources=hosts)).split("\n")[-1]
    names = [part.removesuffix(": 2 processes") for part in last.removeprefix("-# ").split(" · ")]
    assert [name[0] for name in names] == ["a", "b", "c"]
    assert all(len(name) <= 40 and name.endswith("*…") for name in names)


hostile = st.text(st.sampled_from("@#<>*_~`|[]()!:/\\\n\r\u2028 -ab1&"), max_size=60) | st.sampled_from(
    ["@everyone", "<@&1>", "<#1>", "a\n# b", "a\u2028- b", "[x](https://x.example)", "`", "||a||", "\n-# x", "**"]
)


@given(hostile, hostile)
def test_no_name_injects_anything(host: str, reason: str) -> None:
    """The name of a host or level draws no line, link, mention or mark of its own."""
    text = describe_progress(incident(sources={host: (1, 2)}, reason=reason))
    # Of the signs, only ours and escaped ones are left.
    ours = r"\A-# \*\*(?=.*\*\*$)|^-# |<t:\d+:R>|`[▁-█]+`|\*\(\d+ characters in all\)\*"
    bare = re.sub(rf"\\.|{ours}", "", text, flags=re.MULTILINE)
    bare = re.sub(r"\A(.*)\*\*$", r"\1", bare, flags=re.MULTILINE)
    assert len(text.splitlines()) <= 3
    assert all(line.startswith("-# ") for line in text.splitlines())
    assert not re.search(r"[*_~`[]|\|\||<(?:[@#:/]|a:|t:|id:|https?:)|@everyone", bare)
