"""What an answer means, and how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._discord.outcome import Backoff, Verdict, judge
from discord_logging._discord.sender import Answer

STANDARD = Backoff((2.0, 3.0, 5.0), 60.0)


@pytest.mark.parametrize(
    ("verdict", "statuses"),
    [
        (Verdict.DELIVERED, [200, 201, 204, 299]),
        (Verdict.REJECTED, [400, 405, 413, 422, 499]),
        (Verdict.GONE, [401, 403, 404]),
        (Verdict.MAYBE_SAVED, [500, 504, 524]),
        (Verdict.NOT_SAVED, [301, 302, 307, 407, 408, 425, 501, 502, 503, 520, 521, 522, 523, 525, 530]),
    ],
)
def test_the_status_says_what_came_of_the_message(verdict: Verdict, statuses: list[int]) -> None:
    """A gateway that turned it away is not Discord that may have saved it."""
    assert [judge(Answer(status, {}, None)) for status in statuses] == [verdict] * len(statuses)


@pytest.mark.parametrize("code", [40067, 50083, 160005, 220001, 220002, 220003])
def test_a_wrong_destination_is_final(code: int) -> None:
    """A forum without a thread, or a thread that is locked, refuses every message."""
    assert judge(Answer(400, {}, {"code": code, "message": "no"})) is Verdict.GONE


@pytest.mark.parametrize(
    "body", [None, [], "no", {}, {"code": "50083"}, {"code": 50035}, {"code": None}, {"code": [1]}]
)
def test_other_bodies_of_a_400_blame_the_message(body: object) -> None:
    """Whatever shape they have."""
    assert judge(Answer(400, {}, body)) is Verdict.REJECTED


@given(st.integers(100, 599), st.none() | st.dictionaries(st.just("code"), st.integers()))
def test_every_answer_has_one_meaning(status: int, body: object) -> None:
    """And only a 2xx is a delivery."""
    assert (judge(Answer(status, {}, body)) is Verdict.DELIVERED) == (200 <= status < 300)


def test_waits_grow_from_the_given_ones_by_doubling() -> None:
    """Up to the longest."""
    waits = [STANDARD.delay(failures, 0.0) for failures in range(1, 10)]
    assert waits == [2, 3, 5, 10, 20, 40, 60, 60, 60]


def test_a_first_try_without_any_wait_is_followed_by_slower_ones() -> None:
    """Nothing doubled would stay nothing, and Discord would be hammered."""
    assert [Backoff((0.0,), 60.0).delay(failures, 0.0) for failures in range(1, 5)] == [0, 1, 2, 4]


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 60.0), (0.5, 63.0), (1.0, 66.0)])
def test_jitter_adds_up_to_a_tenth(jitter: float, wait: float) -> None:
    """So that many programs do not come back in step."""
    assert STANDARD.delay(50, jitter) == pytest.approx(wait)


def test_a_long_outage_does_not_overflow() -> None:
    """A million failures in a row are months."""
    assert STANDARD.delay(10**6, 0.0) == 60.0


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=5),
    st.floats(1, 1e6),
    st.integers(1, 5000),
    st.floats(0, 1),
)
def test_no_wait_is_longer_than_the_longest(delays: list[float], maximum: float, failures: int, jitter: float) -> None:
    """Jitter aside, whatever was set."""
    assert 0 <= Backoff(tuple(delays), maximum).delay(failures, jitter) <= maximum * 1.1 + 1e-6
