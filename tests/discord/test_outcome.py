"""Each answer has one meaning for the message that was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._discord.outcome import Verdict, judge
from discord_logging._discord.sender import Answer


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
