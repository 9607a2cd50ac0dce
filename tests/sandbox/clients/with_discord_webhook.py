"""Use discord-webhook. The arguments are the URLs of the webhooks of a text channel and a forum.

The library cannot get a message, and knows no polls and no components.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from discord_webhook import DiscordEmbed, DiscordWebhook

url, forum_url = sys.argv[1:]


def main() -> None:
    for scope in ("user", "shared", "global"):
        DiscordWebhook(url, content=scope, rate_limit_retry=True).execute()
    json.dump(use_messages() | use_forum(), sys.stdout)


def use_messages() -> dict[str, Any]:
    webhook = DiscordWebhook(url, content="Hello <@80351110224678912>", username="Robot")
    webhook.add_embed(DiscordEmbed(title="Title", description="words"))
    webhook.add_file(b"words", "log.txt")
    report = {"execute": read(webhook.execute().json())}
    webhook.set_content("Bye <@80351110224678912>")
    report["edit"] = read(webhook.edit().json())
    webhook.delete()
    return report | {"delete": webhook.edit().json()["code"]}


def read(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "content": message["content"],
        "author": message["author"]["username"],
        "mentions": [user["username"] for user in message["mentions"]],
        "embeds": [embed["title"] for embed in message["embeds"]],
        "files": {attachment["filename"]: attachment["size"] for attachment in message["attachments"]},
        "edited": message["edited_timestamp"] is not None,
    }


def use_forum() -> dict[str, Any]:
    post = DiscordWebhook(forum_url, content="first", thread_name="A post").execute().json()
    reply = DiscordWebhook(forum_url, content="second", thread_id=post["id"]).execute().json()
    return {"forum": {"opened": post["channel_id"] == post["id"], "replied": reply["channel_id"] == post["id"]}}


main()
