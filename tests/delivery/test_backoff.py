"""The waits between tries grow, up to the longest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._delivery.backoff import Backoff

STANDARD = Backoff((2.0, 3.0, 5.0), 60.0)


def test_waits_grow_from_the_given_ones_by_doubling() -> None:
    """The longest wait is the maximum."""
    waits = [STANDARD.delay(failures, 0.0) for failures in range(1, 10)]
    assert waits == [2, 3, 5, 10, 20, 40, 60, 60, 60]


def test_a_first_try_without_any_wait_is_followed_by_slower_ones() -> None:
    """A doubled 0 would stay 0, and cause too many requests."""
    assert [Backoff((0.0,), 60.0).delay(failures, 0.0) for failures in range(1, 5)] == [0, 1, 2, 4]


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 60.0), (0.5, 63.0), (1.0, 66.0)])
def test_jitter_adds_up_to_a_tenth(jitter: float, wait: float) -> None:
    """Many programs must not come back at the same time."""
    assert STANDARD.delay(50, jitter) == pytest.approx(wait)


def test_a_long_outage_does_not_overflow() -> None:
    """A million consecutive failures take months."""
    assert STANDARD.delay(10**6, 0.0) == 60.0


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=5),
    st.floats(1, 1e6),
    st.integers(1, 5000),
    st.floats(0, 1),
)
def test_no_wait_is_longer_than_the_longest(delays: list[float], maximum: float, failures: int, jitter: float) -> None:
    """This holds for all settings, jitter aside."""
    assert 0 <= Backoff(tuple(delays), maximum).delay(failures, jitter) <= maximum * 1.1 + 1e-6
