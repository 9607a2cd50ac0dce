"""Use the webhooks of interactions.py. The arguments are the URLs of the webhooks of a text channel and a forum.

A webhook shows components with the parameter ``with_components`` alone, which this library does not send.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from contextlib import suppress
from typing import Any

import interactions
from interactions.api.http.route import Route
from interactions.client.errors import NotFound

url, forum_url = sys.argv[1:]
Route.BASE = url.partition("/webhooks/")[0]


async def main() -> None:
    client = interactions.Client()
    with suppress(NotFound):  # the client opens its session when it asks for its bot, and a webhook has none
        await client.http.login("")
    webhook, forum = connect(url, client), connect(forum_url, client)
    for scope in ("user", "shared", "global"):
        await webhook.send(scope)
    report = await use_messages(webhook, client) | await use_forum(forum) | await use_polls(webhook)
    await client.http.close()
    json.dump(report, sys.stdout)


def connect(webhook_url: str, client: interactions.Client) -> interactions.Webhook:
    webhook_id, token = webhook_url.split("/")[-2:]
    return interactions.Webhook.from_dict({"id": webhook_id, "token": token, "type": 1}, client)


async def use_messages(webhook: interactions.Webhook, client: interactions.Client) -> dict[str, Any]:
    sent = await webhook.send(
        "Hello <@80351110224678912>",
        username="Robot",
        embed=interactions.Embed(title="Title", description="words"),
        file=interactions.File(io.BytesIO(b"words"), "log.txt"),
        wait=True,
    )
    report: dict[str, Any] = {
        "execute": read(sent, client),
        "get": read(await webhook.fetch_message(sent), client),
        "edit": read(await webhook.edit_message(sent, content="Bye <@80351110224678912>"), client),
    }
    await webhook.delete_message(sent)
    try:
        await client.http.get_webhook_message(webhook.id, webhook.token, sent.id)
    except NotFound as error:
        report["delete"] = error.code
    return report


def read(message: interactions.Message, client: interactions.Client) -> dict[str, Any]:
    return {
        "content": message.content,
        "author": message.author.username,
        "mentions": [client.get_user(user_id).username for user_id in message._mention_ids],
        "embeds": [embed.title for embed in message.embeds],
        "files": {attachment.filename: attachment.size for attachment in message.attachments},
        "edited": message.edited_timestamp is not None,
    }


async def use_forum(forum: interactions.Webhook) -> dict[str, Any]:
    post = await forum.send("first", thread_name="A post", wait=True)
    reply = await forum.send("second", thread=post.id, wait=True)
    return {"forum": {"opened": post._channel_id == post.id, "replied": reply._channel_id == post.id}}


async def use_polls(webhook: interactions.Webhook) -> dict[str, Any]:
    poll = interactions.Poll.create("Ship it?", duration=24, answers=["Yes", "No"])
    sent = await webhook.send("The library wants a text beside it.", poll=poll, wait=True)
    return {"poll": [sent.poll.question.text, *(answer.poll_media.text for answer in sent.poll.answers)]}


asyncio.run(main())
