"""The numbers that a store was given are remembered exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._backlogs.sqlite import numbers
from discord_logging._backlogs.sqlite.numbers import Numbers


@given(st.lists(st.integers(1, 40)))
def test_each_number_is_new_once(given_numbers: list[int]) -> None:
    """In any order, and also after the set was stored."""
    known: set[int] = set()
    ours = Numbers()
    for number in given_numbers:
        ours = Numbers(ours.last, ours.to_text())
        assert ours.add(number) is (number not in known)
        known.add(number)
        assert {each for each in range(1, 45) if each in ours} == known


def test_the_oldest_of_too_many_gaps_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their numbers count as given."""
    monkeypatch.setattr(numbers, "_MAX_GAPS", 2)
    ours = Numbers()
    for number in (2, 4, 6):
        ours.add(number)
    stored = Numbers(ours.last, ours.to_text())
    assert [number in stored for number in range(1, 7)] == [True, True, False, True, False, True]


@pytest.mark.parametrize("text", ["", "[[1]]", "null", "[1, 2]"])
def test_damaged_gaps_are_none(text: str) -> None:
    """A number that was given is not stored again."""
    assert 1 in Numbers(2, text)
