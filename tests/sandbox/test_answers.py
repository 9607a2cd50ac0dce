"""Tests of the objects in the API's responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import requests

    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once


def posted(http: requests.Session, url: str, payload: dict[str, Any]) -> Any:
    """Post a message and return Discord's object for it."""
    answer = http.post(url, params={"wait": "true", "with_components": "true"}, json=payload)
    assert answer.ok, answer.text
    return answer.json()


def test_mentions_are_whole_users(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Clients such as hikari, disnake and interactions.py read every key of a mentioned user."""
    payload = {"content": "<@7> <@!8> <@&9> <@007>", "allowed_mentions": {"parse": ["users", "roles"]}}
    message = posted(http, unlimited.webhook_url, payload)
    assert message["mentions"][0] == {
        "id": "7",
        "username": "user7",
        "avatar": None,
        "discriminator": "0",
        "public_flags": 0,
        "flags": 0,
        "global_name": None,
        "primary_guild": None,
    }
    assert [user["id"] for user in message["mentions"]] == ["7", "8"]
    assert message["mention_roles"] == ["9"]


def test_the_author_is_the_webhook(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The author is a bot with the webhook's id, and its picture is a hash, since Discord keeps a copy of it."""
    picture = "https://example.org/a.png"
    first, second = (
        posted(http, unlimited.webhook_url, {"content": "x", "username": name, "avatar_url": url})["author"]
        for name, url in (("Robot", picture), (None, None))
    )
    assert (first["id"], first["username"], first["bot"]) == (unlimited.messages[0].webhook_id, "Robot", True)
    assert first.keys() == second.keys() > {"discriminator", "public_flags", "flags", "global_name", "primary_guild"}
    assert re.fullmatch("[0-9a-f]{32}", first["avatar"])
    assert second["avatar"] is None
    assert unlimited.messages[0].avatar_url == picture


def test_all_webhooks_are_in_one_guild(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The id of the guild is none of a webhook's or a channel's."""
    webhooks = [http.get(url).json() for url in (unlimited.webhook_url, unlimited.add_webhook())]
    (guild_id,) = {webhook["guild_id"] for webhook in webhooks}
    assert guild_id not in {webhook[key] for webhook in webhooks for key in ("id", "channel_id")}


def test_a_message_is_read_aloud_if_it_says_so(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The key `tts` is returned as it was sent, also after an edit."""
    spoken, silent = (posted(http, unlimited.webhook_url, {"content": "x", "tts": tts}) for tts in (True, None))
    assert (spoken["tts"], silent["tts"]) == (True, False)
    edited = http.patch(f"{unlimited.webhook_url}/messages/{spoken['id']}", json={"content": "y"}).json()
    assert (edited["tts"], unlimited.messages[0].tts) == (True, True)


def test_the_first_message_of_a_post_has_the_id_of_its_thread(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Clients find the first message of a forum post by it; later messages have ids of their own."""
    forum = unlimited.add_webhook(forum=True)
    first = posted(http, forum, {"content": "x", "thread_name": "T"})
    assert first["id"] == first["channel_id"]
    second = http.post(forum, params={"wait": "1", "thread_id": first["id"]}, json={"content": "y"}).json()
    assert second["channel_id"] == first["id"] != second["id"]
    assert http.get(f"{forum}/messages/{first['id']}", params={"thread_id": first["id"]}).json() == first
