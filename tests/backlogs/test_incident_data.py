"""The next process goes on with the cards of the last one, whatever its data are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discord_logging._backlogs.incident_data import MAX_HANDED_OVER, digest, export, restore
from discord_logging._backlogs.open_incident import OpenIncident
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._cards.live import LiveCard, LiveMessage
from discord_logging._records.incident import Incident
from discord_logging._records.parse import DEFAULT_MASKER

BOOT, NOW = 1.7e9, 5_000.0


def incident(number: int = 1) -> OpenIncident:
    """Return an incident with a card and a number of records."""
    made = OpenIncident()
    made.levelno, made.step, made.seen_at, made.first = 40, 1_000, NOW, "5/1"
    for _ in range(number):
        made.books.add(BOOT + NOW, ("web", 4711), is_repeat=True)
    message = LiveMessage(str(number), "5", None, NOW - 60, [{"title": "×2 one"}], 7)  # noqa: RUF001 - the sign for times
    message.log, message.log_id, message.sealed = b"text", "78", ["77"]
    shown = Incident(number, 1.0, 2.0, reason="again", link="https://discord.com/channels/1/2/3", is_quiet=True)
    made.last_card = LiveCard(message, 0, {"title": "one"}, shown, EmbedFormatter(), DEFAULT_MASKER, "unfiled")
    return made


def handed_over(*incidents: OpenIncident, boot: float = BOOT) -> dict[str, OpenIncident]:
    """Return the incidents as another process reads them."""
    named = [(("kind", number), each) for number, each in enumerate(incidents)]
    return dict(restore(json.loads(json.dumps(export(named, 10, BOOT))), boot))


def test_the_card_goes_on() -> None:
    """The clock of another machine began at another time."""
    [(kind, found)] = handed_over(incident(3), boot=BOOT + 1_000).items()
    assert kind == digest(("kind", 0))
    assert (found.levelno, found.step, found.seen_at, found.first) == (40, 1_000, NOW - 1_000, "5/1")
    assert (found.books.count, found.books.unsure, found.books.sources) == (3, 3, {("web", 4711): 3})
    card = found.card
    assert card is not None
    assert (card.base, card.unfiled, card.shown.reason, card.shown.is_quiet) == (
        {"title": "one"},
        "unfiled",
        "again",
        True,
    )
    message = card.message
    assert (message.id, message.channel_id, message.thread_id, message.number) == ("3", "5", None, -3)
    assert message.posted_at == message.edited_at == NOW - 1_060


def test_the_next_text_begins_another_file() -> None:
    """The texts themselves are not handed over."""
    [found] = handed_over(incident()).values()
    assert found.card is not None
    message = found.card.message
    assert (message.log, message.log_id, message.sealed) == (b"", None, ["77", "78"])


def test_cards_share_their_message() -> None:
    """An edit of one keeps the other."""
    first, second = incident(), incident()
    assert first.last_card
    assert second.last_card
    second.last_card.message = first.last_card.message
    found = [each.card for each in handed_over(first, second).values()]
    assert found[0]
    assert found[1]
    assert found[0].message is found[1].message


def test_only_the_most_recent_are_handed_over() -> None:
    """They are written with each message."""
    found = handed_over(*(incident(number + 1) for number in range(50)), OpenIncident())
    assert len(found) == MAX_HANDED_OVER
    assert [each.books.count for each in found.values()] == list(range(21, 51))


def test_a_digest_is_handed_over_again() -> None:
    """A kind that has not come again may come in the process after the next one."""
    again = export([("digest", incident())], 0, BOOT)
    assert [each["kind"] for each in again] == ["digest"]


PARTS = [(), ("kind",), ("books",), ("card",), ("books", "times"), ("card", "ids"), ("card", "place"), ("card", "base")]


@example(("kind",), [1])
@given(st.sampled_from(PARTS), st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.floats())
def test_damaged_data_cost_no_other_incident(path: tuple[str, ...], value: Any) -> None:
    """Another version of the package may have written them."""
    data = json.loads(json.dumps(export([("a", incident()), ("b", incident(2))], 0, BOOT)))
    place, names = data, [0, *path]
    for name in names[:-1]:
        place = place[name]
    place[names[-1]] = value
    assert "b" in dict(restore(data, BOOT))


@pytest.mark.parametrize("data", [None, 5, "no", {}, [], [None, 5, {}, []]])
def test_other_data_are_no_incidents(data: object) -> None:
    """An older version has written none."""
    assert list(restore(data, BOOT)) == []
