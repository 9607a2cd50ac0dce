"""Tests of messages in Slack's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox._slack import slack_payload
from tests.sandbox._refusals import codes_at, refusal_of

if TYPE_CHECKING:
    import requests

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once


def test_a_message_of_slack_becomes_one_of_discord(unlimited: LocalDiscord, http: requests.Session) -> None:
    """An attachment becomes an embed; whatever `wait` is, the response is the text that Slack's clients expect."""
    attachment = {
        "fallback": "not shown",
        "pretext": "Before",
        "color": "#F80",
        "author_name": "Ann",
        "author_link": "https://example.org/ann",
        "author_icon": "https://example.org/ann.png",
        "title": "Deployed",
        "title_link": "https://example.org/deploy",
        "text": "to *production*",
        "fields": [{"title": "Host", "value": "web-1", "short": True}, {"name": "Port", "value": 80, "inline": False}],
        "image_url": "https://example.org/image.png",
        "thumb_url": "https://example.org/thumb.png",
        "footer": "CI",
        "footer_icon": "https://example.org/ci.png",
        "ts": 1565708994,
    }
    body = {"text": "Hello", "username": "Robot", "icon_url": "https://example.org/r.png", "attachments": [attachment]}
    ignored = {"channel": "#alerts", "icon_emoji": ":tada:", "mrkdwn": False}
    for wait in ("true", "false"):
        answer = http.post(f"{unlimited.webhook_url}/slack", params={"wait": wait}, json={**body, **ignored})
        assert (answer.status_code, answer.text) == (200, "ok")
        assert answer.headers["Content-Type"].startswith("text/plain")
    message, _ = unlimited.messages
    assert (message.content, message.username) == ("Hello\nBefore", "Robot")
    assert message.avatar_url == "https://example.org/r.png"
    assert message.embeds == [
        {
            "type": "rich",
            "title": "Deployed",
            "description": "to *production*",
            "url": "https://example.org/deploy",
            "timestamp": "2019-08-13T15:09:54+00:00",
            "color": 0xFF8800,
            "footer": {"text": "CI", "icon_url": "https://example.org/ci.png"},
            "author": {
                "name": "Ann",
                "url": "https://example.org/ann",
                "icon_url": "https://example.org/ann.png",
            },
            "image": {"url": "https://example.org/image.png"},
            "thumbnail": {"url": "https://example.org/thumb.png"},
            "fields": [
                {"name": "Host", "value": "web-1", "inline": True},
                {"name": "Port", "value": "80", "inline": False},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ([], "", "MODEL_TYPE_CONVERT"),
        ({"text": "x" * 2001}, "text", "BASE_TYPE_MAX_LENGTH"),
        ({"icon_url": "x"}, "icon_url", "URL_TYPE_INVALID_URL"),
        ({"attachments": {}}, "attachments", "LIST_TYPE_CONVERT"),
        ({"attachments": ["x"]}, "attachments.0", "MODEL_TYPE_CONVERT"),
        ({"attachments": [{"color": "00FF3C"}]}, "attachments.0.color", "STRING_TYPE_REGEX"),
        ({"attachments": [{"color": "danger"}]}, "attachments.0.color", "STRING_TYPE_REGEX"),
        ({"attachments": [{"ts": "1520248100.000387"}]}, "attachments.0.ts", "NUMBER_TYPE_COERCE"),
        ({"attachments": [{"ts": 10**20}]}, "attachments.0.ts", "NUMBER_TYPE_MAX"),
        ({"attachments": [{"title_link": "x"}]}, "attachments.0.title_link", "URL_TYPE_INVALID_URL"),
        ({"attachments": [{"fields": [1]}]}, "attachments.0.fields.0", "MODEL_TYPE_CONVERT"),
        ({"attachments": [{"fields": [{"short": "x"}]}]}, "attachments.0.fields.0.short", "BOOLEAN_TYPE_CONVERT"),
    ],
)
def test_a_bad_body_is_refused_where_it_is_bad(body: Any, path: str, code: str) -> None:
    """The error names the key of Slack's form."""
    refused = refusal_of(lambda: slack_payload(body))
    assert codes_at(refused["errors"], path) == [code]


def test_the_message_follows_the_rules_of_discord(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Limits, names and empty messages are checked as those of other messages, and other methods are refused."""
    url = f"{unlimited.webhook_url}/slack"
    assert http.post(url, json={"text": "x", "username": "discord"}).json()["code"] == 50035
    assert http.post(url, json={"attachments": [{"title": "x" * 257}]}).json()["code"] == 50035
    assert http.post(url, json={"blocks": [{"type": "divider"}]}).json()["code"] == 50006
    assert http.post(url, data="{", headers={"Content-Type": "application/json"}).json()["code"] == 50109
    assert http.post(url, data={"text": "a form"}).text == "ok"
    assert [message.content for message in unlimited.messages] == ["a form"]
    assert http.get(url).status_code == http.delete(url).status_code == 405
    assert http.post(f"{unlimited.webhook_url}!/slack", json={"text": "x"}).json()["code"] == 50027


def test_a_forum_needs_a_thread(unlimited: LocalDiscord, http: requests.Session) -> None:
    """A message in Slack's form cannot open a post in a forum, but it can be posted to one."""
    forum = unlimited.add_webhook(forum=True)
    thread = unlimited.add_thread(forum)
    refused = http.post(f"{forum}/slack", json={"text": "x"})
    assert (refused.status_code, refused.json()["code"]) == (400, 220004)
    assert http.post(f"{forum}/slack", params={"thread_id": thread}, json={"text": "x"}).text == "ok"
    assert [message.channel_id for message in unlimited.messages] == [thread]


def test_the_limit_of_the_webhook_applies(discord: LocalDiscord, http: requests.Session) -> None:
    """The requests count in the bucket of the webhook's messages."""
    answers = [http.post(f"{discord.webhook_url}/slack", json={"text": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[0].headers["X-RateLimit-Remaining"] == "4"
