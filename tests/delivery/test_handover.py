"""The state that a delivery hands over, as plain data."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._delivery.handover import Handover

NOW = 2_000.0
OWN = Handover(
    Counter({("rejected", "INFO"): 1}), 1_000.0, {"@here": 900.0}, {"Errors": "7"}, {"username=shop": 940.0}, 950.0
)
OTHER = Handover(
    Counter({("queue_full", "DEBUG"): 3, ("rejected", "A\nB"): 1}),
    1_500.0,
    {"<@&5>": 1_400.0, "<@6>": 1_300.0},
    {"Errors": "8", "Audit": "9"},
    {"avatar_url=https://x.example/a.png": 1_450.0, "77": 1_460.0},
    None,
)


def test_a_state_survives() -> None:
    """JSON keeps it."""
    assert OWN.updated(json.loads(json.dumps(OTHER.to_data())), NOW) == OTHER
    assert OTHER.updated(json.loads(json.dumps(OWN.to_data())), NOW) == OWN


@pytest.mark.parametrize("data", [None, 5, "text", [], {}, {"unknown": 1}, b"\x00", [["posts", {}]]])
def test_data_without_a_part_change_nothing(data: Any) -> None:
    """There may be no state yet, or that of another version."""
    assert OWN.updated(data, NOW) == OWN


MALFORMED: dict[str, list[Any]] = {
    "reported": [None, 5, "abc", ["abc"], [["a", "b"]], [["a", "b", -1]], [["a", "b", True]], [[1, "b", 1]], {"a": 1}],
    "reported_at": [None, "1", -1, True, float("nan"), float("inf"), 10**400, []],
    "mentioned": [None, [], ["@here"], {"@here": None}, {"@here": "1"}, {5: 1.0}],
    "posts": [None, [], {"Errors": 5}, {"Errors": "../7"}, {5: "7"}, {"Errors": "\u0667"}],
    "given_up": [None, "username=shop", ["username=shop"], {"username=shop": "x"}, {5: 1.0}],
    "delayed_since": ["1", -1, [], True],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values])
def test_a_malformed_part_is_left_out_alone(name: str, value: Any) -> None:
    """All others are taken over."""
    expected = OTHER._replace(**{name: getattr(OWN, name)})
    assert OWN.updated({**OTHER.to_data(), name: value}, NOW) == expected


def test_no_time_is_later_than_now() -> None:
    """A clock that was set back must not silence mentions for long."""
    state = OWN.updated({"reported_at": 9e9, "mentioned": {"@here": 9e9}, "delayed_since": 9e9}, NOW)
    assert (state.reported_at, state.mentioned, state.delayed_since) == (NOW, {"@here": NOW}, NOW)


def test_a_refusal_is_forgotten_after_a_day() -> None:
    """Somebody may have changed the channel meanwhile."""
    data = {"given_up": {"thread_name=Errors": NOW - 1, "78": 0.0, "79": 9e9}}
    state = OWN.updated(data, NOW)
    assert state.given_up == {"thread_name=Errors": NOW - 1, "78": 0.0, "79": NOW}
    later = NOW + 90_000.0
    assert OWN.updated({"given_up": {"77": later - 86_400.0, "78": later - 86_399.0}}, later).given_up.keys() == {"78"}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(data=JUNK | st.dictionaries(st.sampled_from(Handover._fields), JUNK))
def test_any_data_make_a_state_that_can_be_handed_over(data: Any) -> None:
    """No data raise an error."""
    state = OWN.updated(data, NOW)
    assert OWN.updated(json.loads(json.dumps(state.to_data(), allow_nan=False)), NOW) == state
