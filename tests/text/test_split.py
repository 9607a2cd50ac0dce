"""Long texts are split where a reader would pause."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discord_logging._text.split import split_text

if TYPE_CHECKING:
    from collections.abc import Callable

FENCE = "```"


@pytest.mark.parametrize("text", ["", " \n ", "short", " short "])
def test_a_text_that_fits_stays_whole(text: str) -> None:
    """A text is a single part, or no part at all if it is blank."""
    assert split_text(text, 100) == [part for part in [text.strip()] if part]


@pytest.mark.parametrize(
    ("pause", "others"),
    [("\n\n", "a line\na sentence. "), ("\n", "a sentence. a word "), (". ", "some more words "), (" ", "")],
    ids=["paragraphs", "lines", "sentences", "words"],
)
def test_the_cut_is_where_a_reader_would_pause(pause: str, others: str) -> None:
    """The best pause in the second half is chosen, although worse pauses come later."""
    first = "x" * 60 + pause.rstrip()
    second = others + "y" * 80
    assert split_text(first + (pause if pause != ". " else " ") + second, 100)[0] == first


def test_a_very_long_word_is_cut_at_the_limit() -> None:
    """The limit decides if the text has no pause."""
    assert split_text("x" * 250, 100) == ["x" * 96, "x" * 96, "x" * 58]


@pytest.mark.parametrize("language", ["", "py"])
def test_a_code_block_is_closed_and_opened_anew(language: str) -> None:
    """Each part has whole blocks in the same language."""
    code = "\n".join(f"    line {number}" for number in range(20))
    parts = split_text(f"Look:\n{FENCE}{language}\n{code}\n{FENCE}\nThat is all.", 100)
    assert all(part.count(FENCE) % 2 == 0 for part in parts)
    assert all(part.startswith(f"{FENCE}{language}\n    line") for part in parts[1:])
    assert re.findall(r"line (\d+)", "".join(parts)) == [str(number) for number in range(20)]
    assert parts[-1].endswith("That is all.")


def test_a_block_that_has_just_begun_goes_to_the_next_part() -> None:
    """No part ends in an empty block, which Discord would show as backticks."""
    text = "x" * 80 + f"\n{FENCE}py\n" + "y" * 50 + f"\n{FENCE}"
    assert split_text(text, 100) == ["x" * 80, f"{FENCE}py\n" + "y" * 50 + f"\n{FENCE}"]


def test_a_block_that_is_just_over_is_not_opened_anew() -> None:
    """No part begins with an empty block."""
    text = f"{FENCE}\n" + "y" * 90 + f"\n{FENCE}\nmore text"
    assert split_text(text, 100) == [f"{FENCE}\n" + "y" * 90 + f"\n{FENCE}", "more text"]


@pytest.mark.parametrize("before", [93, 94, 95, 96])
def test_a_fence_is_never_cut(before: int) -> None:
    """The three backticks of a fence stay together."""
    parts = split_text("x" * before + f"{FENCE}code{FENCE}" + "y" * 90, 100)
    assert all(part.count("`") % 3 == 0 for part in parts)
    assert all(part.count(FENCE) % 2 == 0 for part in parts)


@pytest.mark.parametrize("mark", ["#", "##", "-#", "-", "*", ">", ">>>"])
def test_a_cut_makes_no_mark_of_a_sign(mark: str) -> None:
    """A sign within a line would be a heading, a list or a quote at the beginning of the next message."""
    assert split_text(f"{'x' * 95} {mark} {'y' * 90}", 100) == ["x" * 95, f"\\{mark} {'y' * 90}"]
    assert split_text(f"{'x' * 95}\n{mark} {'y' * 90}", 100) == ["x" * 95, f"{mark} {'y' * 90}"]


def test_a_cut_makes_no_list_of_a_number() -> None:
    """Nor does it escape what is no mark."""
    assert split_text(f"{'x' * 95} 12. {'y' * 90}", 100) == ["x" * 95, f"12\\. {'y' * 90}"]
    assert split_text(f"{'x' * 95} **{'y' * 90}**", 100) == ["x" * 95, f"**{'y' * 90}**"]


def test_an_escape_is_never_cut() -> None:
    """The backslash stays with the sign behind it."""
    assert split_text("x" + "\\*" * 100, 100)[0] == "x" + "\\*" * 47


@given(st.text(alphabet=st.sampled_from("ab .\n`é😀"), max_size=800), st.integers(100, 200))
@example("`" * 500, 100)
@example("a" + " " * 300 + "b", 100)
@example(f"{FENCE}\n{' ' * 300}{FENCE}", 100)
def test_nothing_but_white_space_is_lost(text: str, limit: int) -> None:
    """Every part keeps the limit and is not blank, and together the parts hold the whole text."""
    parts = split_text(text, limit)
    assert all(part.strip() and len(part) <= limit for part in parts)
    said = "".join("".join(parts).split())
    assert said.replace("`", "") == "".join(text.split()).replace("`", "")


@pytest.mark.parametrize("run", ["\t", " \n", "\u2028", "`", "\\"])
def test_a_long_run_takes_linear_time(run: str, takes_linear_time: Callable[..., bool]) -> None:
    """Behind each cut, the whole run was searched for a mark."""
    short, long = (f"x{run * (length // len(run))}x" for length in (60_000, 240_000))
    assert takes_linear_time(lambda text: split_text(text, 2_000), short, long)
