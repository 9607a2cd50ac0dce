"""Each response has one outcome for the message that was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._discord.outcome import Outcome, classify, classify_edit
from discord_logging._discord.sender import Response


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        (Outcome.DELIVERED, [200, 201, 204, 299]),
        (Outcome.REJECTED, [400, 405, 413, 422, 499]),
        (Outcome.GONE, [401, 403, 404]),
        (Outcome.MAYBE_SAVED, [500, 504, 524]),
        (Outcome.NOT_SAVED, [301, 302, 307, 407, 408, 425, 501, 502, 503, 520, 521, 522, 523, 525, 530]),
    ],
)
def test_the_status_decides_the_outcome(outcome: Outcome, statuses: list[int]) -> None:
    """A gateway turned the message away, whereas Discord itself may have saved it."""
    assert [classify(Response(status, {}, None)) for status in statuses] == [outcome] * len(statuses)


@pytest.mark.parametrize("code", [40067, 50083, 160005, 220001, 220002, 220003])
def test_a_wrong_destination_is_final(code: int) -> None:
    """A forum without a thread, or a thread that is locked, refuses every message."""
    assert classify(Response(400, {}, {"code": code, "message": "no"})) is Outcome.GONE


@pytest.mark.parametrize(
    "body", [None, [], "no", {}, {"code": "50083"}, {"code": 50035}, {"code": None}, {"code": [1]}]
)
def test_other_bodies_of_a_400_blame_the_message(body: object) -> None:
    """A body of another shape, or with another code, does not make the webhook unusable."""
    assert classify(Response(400, {}, body)) is Outcome.REJECTED


@given(st.integers(100, 599), st.none() | st.dictionaries(st.just("code"), st.integers()))
def test_every_response_has_one_outcome(status: int, body: object) -> None:
    """Only a 2xx is a delivery."""
    assert (classify(Response(status, {}, body)) is Outcome.DELIVERED) == (200 <= status < 300)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, None, Outcome.DELIVERED),
        (404, 10008, Outcome.REJECTED),
        (404, 10003, Outcome.REJECTED),
        (403, 50005, Outcome.REJECTED),
        (404, 10015, Outcome.GONE),
        (401, 50027, Outcome.GONE),
        (404, None, Outcome.GONE),
        (500, 0, Outcome.MAYBE_SAVED),
    ],
)
def test_a_refused_edit_seldom_blames_the_webhook(status: int, code: int | None, outcome: Outcome) -> None:
    """Somebody may have deleted the message, or its thread."""
    assert classify_edit(Response(status, {}, {"code": code})) is outcome


@given(st.integers(100, 599), st.none() | st.dictionaries(st.just("code"), st.integers() | st.text()))
def test_only_the_loss_of_the_webhook_is_final_for_an_edit(status: int, body: object) -> None:
    """All else is as for a post; a refusal of another kind leaves the message as it is."""
    response = Response(status, {}, body)
    post, edit = classify(response), classify_edit(response)
    assert edit is post or (post, edit) == (Outcome.GONE, Outcome.REJECTED)
    if edit is Outcome.GONE:
        assert response.code in (None, 10015, 50027)
