"""Tests of polls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox._validation import validate
from tests.sandbox._refusals import codes_at, refusal_of

if TYPE_CHECKING:
    import requests

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once

POLL = {
    "question": {"text": " Deploy now? "},
    "answers": [
        {"poll_media": {"text": "Yes", "emoji": {"name": "\U0001f680"}}},
        {"answer_id": 7, "poll_media": {"text": "No", "emoji": {"id": "41771983429993937", "name": "no"}}},
        {"poll_media": {"text": "Later"}},
    ],
    "duration": 72.0,
    "allow_multiselect": True,
    "layout_type": 1,
}


def refuse(poll: Any) -> dict[str, Any]:
    """Return the body of the response that refuses a poll."""
    return refusal_of(lambda: validate({"poll": poll}, [], with_components=False))


def test_a_poll_is_answered_as_discord_shows_it(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The answers have numbers, the duration has become a time, and nobody has voted."""
    answer = http.post(unlimited.webhook_url, params={"wait": "1"}, json={"poll": POLL}).json()
    poll = answer["poll"]
    assert poll == {
        "question": {"text": "Deploy now?"},
        "answers": [
            {"answer_id": 1, "poll_media": {"text": "Yes", "emoji": {"id": None, "name": "\U0001f680"}}},
            {"answer_id": 2, "poll_media": {"text": "No", "emoji": {"id": "41771983429993937", "name": "no"}}},
            {"answer_id": 3, "poll_media": {"text": "Later"}},
        ],
        "allow_multiselect": True,
        "layout_type": 1,
        "expiry": poll["expiry"],
        "results": {"answer_counts": [], "is_finalized": False},
    }
    posted = datetime.fromisoformat(answer["timestamp"])
    assert datetime.fromisoformat(poll["expiry"]) - posted == timedelta(hours=72)
    (message,) = unlimited.messages
    assert message.poll == poll
    assert message.text == "Deploy now?\nYes\nNo\nLater"
    (shown,) = http.get(unlimited.url + "/messages").json()["messages"]
    assert shown["poll"] == poll


def test_a_poll_lasts_a_day_and_allows_one_answer(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The duration, the layout and the number of choices have defaults."""
    short = {"question": POLL["question"], "answers": [{"poll_media": {"text": "Yes"}}]}
    answer = http.post(unlimited.webhook_url, params={"wait": "1"}, json={"content": "x", "poll": short}).json()
    lasts = datetime.fromisoformat(answer["poll"]["expiry"]) - datetime.fromisoformat(answer["timestamp"])
    assert (lasts, answer["poll"]["allow_multiselect"]) == (timedelta(days=1), False)


def test_a_message_without_a_poll_has_no_key_for_it(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Clients take the key for a poll, whatever its value is."""
    answer = http.post(unlimited.webhook_url, params={"wait": "1"}, json={"content": "x", "poll": None})
    assert "poll" not in answer.json()


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"question": None}, "question", "BASE_TYPE_REQUIRED"),
        ({"question": "Why?"}, "question", "MODEL_TYPE_CONVERT"),
        ({"question": {"text": ""}}, "question.text", "BASE_TYPE_BAD_LENGTH"),
        ({"question": {"text": "x" * 301}}, "question.text", "BASE_TYPE_BAD_LENGTH"),
        ({"answers": None}, "answers", "BASE_TYPE_REQUIRED"),
        ({"answers": []}, "answers", "BASE_TYPE_BAD_LENGTH"),
        ({"answers": POLL["answers"][:1] * 11}, "answers", "BASE_TYPE_BAD_LENGTH"),  # type: ignore[index]  # a list
        ({"answers": {}}, "answers", "LIST_TYPE_CONVERT"),
        ({"answers": ["Yes"]}, "answers.0", "MODEL_TYPE_CONVERT"),
        ({"answers": [{}]}, "answers.0.poll_media", "BASE_TYPE_REQUIRED"),
        ({"answers": [{"poll_media": {"text": "x" * 56}}]}, "answers.0.poll_media.text", "BASE_TYPE_BAD_LENGTH"),
        ({"answers": [{"poll_media": {"emoji": {}}}]}, "answers.0.poll_media.text", "BASE_TYPE_REQUIRED"),
        ({"duration": 0}, "duration", "NUMBER_TYPE_MIN"),
        ({"duration": 769}, "duration", "NUMBER_TYPE_MAX"),
        ({"duration": 10**30}, "duration", "NUMBER_TYPE_MAX"),
        ({"allow_multiselect": "perhaps"}, "allow_multiselect", "BOOLEAN_TYPE_CONVERT"),
        ({"layout_type": 2}, "layout_type", "BASE_TYPE_CHOICES"),
    ],
)
def test_each_broken_rule_has_its_path_and_code(change: dict[str, Any], path: str, code: str) -> None:
    """The error names the part of the poll, and the code is that of the rule."""
    body = refuse({**POLL, **change})
    assert (body["code"], codes_at(body["errors"], f"poll.{path}")) == (50035, [code])


def test_an_answer_needs_an_emoji_that_exists() -> None:
    """A symbol that is no emoji has a code of its own."""
    answer = {"poll_media": {"text": "Up", "emoji": {"name": "\u25b2"}}}
    assert refuse({**POLL, "answers": [answer]})["code"] == 520004


def test_a_message_with_a_poll_cannot_be_edited(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Neither can an edit add a poll to another message."""
    for first in ({"poll": POLL}, {"content": "x"}):
        posted = http.post(unlimited.webhook_url, params={"wait": "1"}, json=first).json()
        edit = {"content": "y"} if "poll" in first else {"poll": POLL}
        refused = http.patch(f"{unlimited.webhook_url}/messages/{posted['id']}", json=edit)
        assert (refused.status_code, refused.json()["code"]) == (400, 520003)


def test_components_exclude_a_poll() -> None:
    """With the flag for components a poll is an error."""
    payload = {"flags": 32768, "components": [{"type": 10, "content": "x"}], "poll": POLL}
    body = refusal_of(lambda: validate(payload, [], with_components=True))
    assert codes_at(body["errors"], "poll") == ["MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"]
