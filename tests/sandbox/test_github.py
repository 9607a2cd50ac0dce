"""Tests of events of GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox._github import github_payload
from tests.sandbox._refusals import codes_at, refusal_of

if TYPE_CHECKING:
    import requests

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once

HUB = "https://github.com"
SENDER = {"id": 1, "login": "ann", "html_url": f"{HUB}/ann", "avatar_url": f"{HUB}/ann.png"}
REPOSITORY = {"id": 2, "name": "shop", "full_name": "acme/shop", "html_url": f"{HUB}/acme/shop"}
SUBJECT = {"id": 3, "number": 7, "html_url": f"{HUB}/acme/shop/7", "user": SENDER, "title": "It fails", "body": "Why?"}
RELEASE = {"id": 4, "tag_name": "v1.0", "html_url": f"{HUB}/acme/shop/v1.0", "author": SENDER}
BASE = {"sender": SENDER, "repository": REPOSITORY}


def commit(number: int, message: str, **author: str) -> dict[str, Any]:
    """Return a commit of a push."""
    return {"id": f"{number}" * 40, "url": f"{HUB}/acme/shop/{number}", "message": message, "author": author}


FIRST = commit(1, "Add a shelf\n\nIt was needed.", name="Ann", username="ann")
SECOND = commit(2, "x" * 51, name="Bob")
PUSH = {**BASE, "ref": "refs/heads/main", "commits": [FIRST, SECOND], "head_commit": SECOND, "forced": False}


def test_an_event_becomes_an_embed(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The author is who acted, and the response is empty."""
    body = {**BASE, "action": "opened", "issue": SUBJECT}
    answer = http.post(f"{unlimited.webhook_url}/github", json=body, headers={"X-GitHub-Event": "issues"})
    assert (answer.status_code, answer.content) == (204, b"")
    (message,) = unlimited.messages
    assert (message.username, message.content) == ("GitHub", "")
    assert message.embeds == [
        {
            "type": "rich",
            "title": "[acme/shop] Issue opened: #7 It fails",
            "description": "Why?",
            "url": f"{HUB}/acme/shop/7",
            "color": 0xEB6420,
            "author": {"name": "ann", "url": f"{HUB}/ann", "icon_url": f"{HUB}/ann.png"},
        }
    ]


@pytest.mark.parametrize(
    ("event", "body", "title", "description"),
    [
        ("issues", {"action": "closed", "issue": SUBJECT}, "[acme/shop] Issue closed: #7 It fails", None),
        (
            "pull_request",
            {"action": "opened", "pull_request": {**SUBJECT, "body": None}},
            "[acme/shop] Pull request opened: #7 It fails",
            "",
        ),
        (
            "pull_request",
            {"action": "reopened", "pull_request": SUBJECT},
            "[acme/shop] Pull request reopened: #7 It fails",
            None,
        ),
        ("release", {"action": "published", "release": RELEASE}, "[acme/shop] New release published: v1.0", None),
        ("star", {"action": "created"}, "[acme/shop] New star added", None),
        ("watch", {"action": "started"}, "[acme/shop] New star added", None),
        (
            "push",
            PUSH,
            "[shop:main] 2 new commits",
            f"[`1111111`]({HUB}/acme/shop/1) Add a shelf - ann\n[`2222222`]({HUB}/acme/shop/2) {'x' * 47}... - Bob",
        ),
        (
            "push",
            {**PUSH, "forced": True, "compare": f"{HUB}/acme/shop/compare"},
            "[shop] Branch main was force-pushed to `2222222`",
            f"[Compare changes]({HUB}/acme/shop/compare)",
        ),
    ],
)
def test_each_kind_of_event_has_its_title(
    event: str, body: dict[str, Any], title: str, description: str | None
) -> None:
    """Only something new has a description."""
    payload = github_payload(event, {**BASE, **body})
    assert payload is not None
    (embed,) = payload["embeds"]
    assert (embed["title"], embed.get("description")) == (title, description)


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("ping", {"zen": "Keep it logically awesome.", "hook_id": 1}),
        ("", {}),
        ("deployment", {"action": "created"}),
        ("issues", {"action": "labeled", "issue": SUBJECT}),
        ("release", {"action": "created", "release": RELEASE}),
        ("star", {"action": "deleted"}),
        ("push", {**PUSH, "ref": "refs/tags/v1.0"}),
        ("push", {**PUSH, "commits": [], "head_commit": None}),
        ("push", {**PUSH, "commits": []}),
    ],
)
def test_other_events_are_accepted_in_silence(
    unlimited: LocalDiscord, http: requests.Session, event: str, body: dict[str, Any]
) -> None:
    """GitHub gets the same response, and nothing is posted."""
    headers = {"X-GitHub-Event": event}
    answer = http.post(f"{unlimited.webhook_url}/github", json={**BASE, **body}, headers=headers)
    assert (answer.status_code, unlimited.messages) == (204, [])


@pytest.mark.parametrize(
    ("event", "change", "path", "code"),
    [
        ("ping", {"sender": None}, "sender", "BASE_TYPE_REQUIRED"),
        ("ping", {"sender": "ann"}, "sender", "MODEL_TYPE_CONVERT"),
        ("ping", {"sender": {**SENDER, "avatar_url": "x"}}, "sender.avatar_url", "URL_TYPE_INVALID_URL"),
        ("issues", {"action": "opened"}, "issue", "BASE_TYPE_REQUIRED"),
        ("issues", {"action": "opened", "issue": {**SUBJECT, "title": []}}, "issue.title", "STRING_TYPE_CONVERT"),
        ("star", {"action": "created", "repository": {"html_url": HUB}}, "repository.full_name", "BASE_TYPE_REQUIRED"),
        ("push", {**PUSH, "commits": [{**FIRST, "url": None}]}, "commits.0.url", "BASE_TYPE_REQUIRED"),
        ("push", {**PUSH, "commits": "x"}, "commits", "LIST_TYPE_CONVERT"),
    ],
)
def test_a_bad_event_is_refused_where_it_is_bad(event: str, change: dict[str, Any], path: str, code: str) -> None:
    """A message in Discord's own form, for one, lacks the sender."""
    body = refusal_of(lambda: github_payload(event, {**BASE, **change}))
    assert codes_at(body["errors"], path) == [code]


def test_long_texts_are_cut() -> None:
    """GitHub allows longer titles and descriptions than an embed has room for."""
    pull_request = {**SUBJECT, "title": "t" * 300, "body": "b" * 10_000}
    payload = github_payload("pull_request", {**BASE, "action": "opened", "pull_request": pull_request})
    assert payload is not None
    (embed,) = payload["embeds"]
    assert (len(embed["title"]), len(embed["description"])) == (256, 500)
