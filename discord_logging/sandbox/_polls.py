"""The poll of a message (https://docs.discord.com/developers/resources/poll)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from ._answers import Refusal
from ._emoji import emoji, exists

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ._fields import Fields, Path

_MAX_QUESTION, _MAX_ANSWER, _MAX_ANSWERS = 300, 55, 10
_DEFAULT_HOURS, _MAX_HOURS = 24, 32 * 24
_LAYOUT = 1


class Poll(TypedDict):
    """A poll in Discord's form. Nobody votes on the local Discord, so its results stay empty.

    Attributes:
        question: The question, as `text`.
        answers: Up to ten answers, each with its number (from 1 on) as `answer_id`, and as `poll_media` its `text` and,
            if it has one, its `emoji`.
        allow_multiselect: Whether somebody may choose several answers.
        layout_type: The number 1, the only layout.
        expiry: The time at which the poll ends (UTC), in ISO 8601.
        results: No votes, as `answer_counts`, and `False` as `is_finalized`.
    """

    question: dict[str, Any]
    answers: list[dict[str, Any]]
    allow_multiselect: bool
    layout_type: int
    expiry: str
    results: dict[str, Any]


def poll_request(fields: Fields, value: Any) -> dict[str, Any] | None:
    """Read the request for a poll, which has a duration in hours.

    Raises:
        Refusal: An answer has an emoji that does not exist.
    """
    if value is None:
        return None
    path = ("poll",)
    source = fields.model(value, path)
    answers = fields.items(source.get("answers"), (*path, "answers"), _MAX_ANSWERS, 1)
    if source.get("layout_type") not in (None, _LAYOUT):
        fields.error((*path, "layout_type"), "BASE_TYPE_CHOICES", f"Value must be one of ({_LAYOUT},).")
    return {
        "question": _media(fields, source.get("question"), (*path, "question"), _MAX_QUESTION),
        "answers": [
            {"answer_id": index + 1, "poll_media": _answer(fields, answer, (*path, "answers", index))}
            for index, answer in enumerate(answers)
        ],
        "duration": fields.integer(source.get("duration"), (*path, "duration"), _MAX_HOURS, 1) or _DEFAULT_HOURS,
        "allow_multiselect": fields.boolean(source.get("allow_multiselect"), (*path, "allow_multiselect")),
    }


def open_poll(request: Mapping[str, Any], now: datetime) -> Poll:
    """Return the poll that a valid request opens at the time `now`."""
    return {
        "question": request["question"],
        "answers": request["answers"],
        "allow_multiselect": request["allow_multiselect"],
        "layout_type": _LAYOUT,
        "expiry": (now + timedelta(hours=request["duration"])).isoformat(),
        "results": {"answer_counts": [], "is_finalized": False},
    }


def texts(poll: Poll) -> list[str]:
    """Return the question and the answers of a poll."""
    return [poll["question"]["text"], *(answer["poll_media"]["text"] for answer in poll["answers"])]


def _answer(fields: Fields, value: Any, path: Path) -> dict[str, Any]:
    media = fields.model(value, path).get("poll_media")
    answer = _media(fields, media, (*path, "poll_media"), _MAX_ANSWER)
    found = emoji(fields, media.get("emoji"), (*path, "poll_media", "emoji")) if isinstance(media, dict) else None
    if found and not exists(found):
        raise Refusal(400, 520004, "Cannot use an emoji included with the poll")
    return {**answer, "emoji": found} if found else answer


def _media(fields: Fields, value: Any, path: Path, max_length: int) -> dict[str, Any]:
    """Read the text of a question or an answer."""
    if not fields.present(value, path):
        return {}
    source = fields.model(value, path)
    return {"text": fields.text(source.get("text"), (*path, "text"), max_length, 1, required=True)}
