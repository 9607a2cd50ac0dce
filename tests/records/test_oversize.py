"""Records that are too large are cut, and say so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._cards.plain_text import full_text
from discord_logging._records.freeze import freeze
from discord_logging._records.oversize import LEAST_LIMIT, cut_snapshot
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = CardSettings(EmbedFormatter())


def cut(limit: int, **attributes: object) -> FrozenRecord:
    """Return a record with these attributes, cut to `limit` bytes."""
    frozen = freeze(
        logging.makeLogRecord({"name": "shop", "levelname": "ERROR", "msg": "short"} | attributes), SETTINGS
    )
    return FrozenRecord(cut_snapshot(frozen, FrozenRecord(frozen).size, limit))


def chain(length: int, text: str, *notes: str) -> ValueError:
    """Return an exception with this number of causes, each with this text and these notes."""
    error = ValueError(text)
    error.__dict__["__notes__"] = list(notes)  # Python 3.10 has no add_note()
    error.__cause__ = chain(length - 1, text) if length else None
    return error


def test_a_message_begins_with_the_number_of_characters_left_out() -> None:
    """The card shows the beginning of the message."""
    record = cut(10_000, msg="x" * 50_000)
    kept = record.message.count("x")
    assert record.message == f"({50_000 - kept:,} of 50,000 characters are left out) {'x' * kept}…"
    assert 9_000 < kept < record.size <= 10_000
    embed = EmbedFormatter().embed(record)
    assert embed["description"].startswith(f"({50_000 - kept:,} of 50,000 characters are left out)")


@pytest.mark.parametrize("name", ["exc_text", "stack_info"])
def test_of_a_traceback_the_last_whole_lines_are_kept(name: str) -> None:
    """They name the error, and half a line might begin within a secret."""
    line = "x" * 98 + "\n"
    record = cut(10_000, **{name: line * 1_000 + "ValueError: no"})
    text = getattr(record, name)
    kept = text.count(line)
    assert text == f"({(1_000 - kept) * 99:,} characters are left out)\n{line * kept}ValueError: no"
    assert kept > 80


def test_the_text_of_another_formatter_is_cut_too() -> None:
    """Its message and its body share the room."""
    frozen = freeze(logging.makeLogRecord({"levelname": "ERROR", "msg": "x" * 9_000}), SETTINGS, "y" * 9_000)
    record = FrozenRecord(cut_snapshot(frozen, FrozenRecord(frozen).size, 8_000))
    assert record.size <= 8_000
    assert "of 9,000 characters are left out) yyy" in record.message


def test_of_a_traceback_without_lines_the_beginning_is_kept() -> None:
    """The end may be the rest of a secret whose name is left out."""
    record = cut(10_000, exc_text="password=" + "x" * 50_000)
    assert str(record.exc_text).startswith("password=***")


def test_short_texts_stay_whole() -> None:
    """Only the longest are cut, and other values stay."""
    record = cut(10_000, msg="m" * 1_000, long="x" * 50_000, longer="y" * 60_000, order={"id": 17}, count=5)
    extra: Any = record.extra
    assert record.message == "m" * 1_000
    assert (extra["order"], extra["count"]) == ({"id": 17}, 5)
    assert abs(extra["long"].count("x") - extra["longer"].count("y")) <= 1
    assert extra["long"].endswith(f"… {50_000 - extra['long'].count('x'):,} more")
    assert 9_000 < record.size <= 10_000


def test_texts_of_linked_exceptions_are_cut_too() -> None:
    """The links and the other exceptions stay."""
    record = cut(20_000, exc_info=chain(2, "x" * 50_000, "note " * 10_000))
    assert record.exception is not None
    assert [each.text[:14] for each in record.exception.linked()] == ["ValueError: xx"] * 3
    assert record.exception.notes[0].startswith("note ")
    assert record.exception.notes[0].endswith(" more")
    assert record.exception.cause is record.exception.linked()[1]
    assert record.size <= 20_000


def test_many_small_parts_are_counted() -> None:
    """They cannot be cut to fit."""
    many = {f"name {number}": number for number in range(400)}
    record = cut(LEAST_LIMIT, msg="x" * 10_000, exc_info=chain(100, "no"), **many)
    assert record.extra == {"…": "400 values are left out"}
    assert record.exc_text == "(0 frames and 100 exceptions are left out)\nValueError: no"
    assert record.message.endswith("xxx…")
    assert record.size <= LEAST_LIMIT
    assert "400 values are left out" in full_text(record)


SIZES = st.sampled_from([0, 1, 50, 3_000, 40_000])


@given(
    texts=st.lists(SIZES, min_size=4, max_size=9),
    numbers=st.sampled_from([0, 1, 400]),
    notes=st.lists(SIZES, max_size=3),
    causes=st.sampled_from([0, 1, 30]),
    limit=st.sampled_from([LEAST_LIMIT, 5_000, 30_000]),
)
def test_any_record_can_be_cut(
    texts: Sequence[int], numbers: int, notes: Sequence[int], causes: int, limit: int
) -> None:
    """The result is within the limit."""
    message, exc_text, stack_info, text, *values = ("x" * size for size in texts)
    attributes: dict[str, object] = {"msg": message, "exc_text": exc_text, "stack_info": stack_info}
    attributes |= {f"text {index}": value for index, value in enumerate(values)}
    attributes |= {f"number {number}": number for number in range(numbers)}
    for exc_info in (None, chain(causes, text, *("x" * size for size in notes))):
        assert cut(limit, **attributes, exc_info=exc_info).size <= limit
