"""Frozen values as data that JSON keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._records.json_values import reading, value_from_data, value_to_data

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(st.characters(), max_size=5) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(value=VALUES)
def test_a_value_survives(value: Any) -> None:
    """Its types survive as well: a tuple becomes no list, and a number as a key becomes no text."""
    copy = value_from_data(json.loads(json.dumps(value_to_data(value), allow_nan=False)))
    assert repr(copy) == repr(value)


@pytest.mark.parametrize(
    "data",
    [
        *({}, {"a": 1, "b": 2}, {"unknown": 1}, {"escaped": None}, {"int": 5}, {"float": 10**400}, {"dict": [[1]]}),
        *({"dict": [[[], 1]]}, {"attachment": []}, {"tuple": 5}, {"float": []}, {"attachment": None}),
    ],
    ids=lambda data: f"{data!r:.40}",
)
def test_other_data_are_an_error_that_callers_know(data: Any) -> None:
    """Whatever went wrong, it is one of three errors."""
    with pytest.raises((KeyError, TypeError, ValueError)), reading():
        value_from_data(data)


def test_data_that_are_too_deep_are_such_an_error() -> None:
    """The stack ends before them."""
    data: Any = 1
    for _ in range(100_000):
        data = [data]
    with pytest.raises(ValueError, match="RecursionError"), reading():
        value_from_data(data)
    while isinstance(data, list):  # the end of so deep a list would take the stack, too
        (data,) = data
