"""Use hikari's REST client. The arguments are the URLs of the webhooks of a text channel and a forum.

The client has no way to open a post in a forum.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import hikari
from hikari import impl

url, _ = sys.argv[1:]
base, _, credentials = url.partition("/webhooks/")
webhook_id, token = credentials.split("/")
webhook = int(webhook_id), token


async def main() -> None:
    app = hikari.RESTApp(url=base)
    await app.start()
    try:
        async with app.acquire() as rest:
            for scope in ("user", "shared", "global"):
                await rest.execute_webhook(*webhook, scope)
            report = await use_messages(rest) | await use_components(rest) | await use_layout(rest)
            report |= await use_polls(rest)
    finally:
        await app.close()
    json.dump(report, sys.stdout)


async def use_messages(rest: hikari.api.RESTClient) -> dict[str, Any]:
    sent = await rest.execute_webhook(
        *webhook,
        "Hello <@80351110224678912>",
        username="Robot",
        embed=hikari.Embed(title="Title", description="words"),
        attachment=hikari.Bytes(b"words", "log.txt"),
        user_mentions=True,
    )
    report: dict[str, Any] = {
        "execute": read(sent),
        "get": read(await rest.fetch_webhook_message(*webhook, sent)),
        "edit": read(await rest.edit_webhook_message(*webhook, sent, "Bye <@80351110224678912>", user_mentions=True)),
    }
    await rest.delete_webhook_message(*webhook, sent)
    try:
        await rest.fetch_webhook_message(*webhook, sent)
    except hikari.NotFoundError as error:
        report["delete"] = error.code
    return report


def read(message: hikari.Message) -> dict[str, Any]:
    return {
        "content": message.content,
        "author": message.author.username,
        "mentions": [user.username for user in message.user_mentions.values()],
        "embeds": [embed.title for embed in message.embeds],
        "files": {attachment.filename: attachment.size for attachment in message.attachments},
        "edited": message.edited_timestamp is not None,
    }


async def use_components(rest: hikari.api.RESTClient) -> dict[str, Any]:
    button = impl.LinkButtonBuilder(label="Docs", url="https://example.org/")
    sent = await rest.execute_webhook(*webhook, "A button", component=impl.MessageActionRowBuilder(components=[button]))
    return {"components": [[row.components[0].label, row.components[0].url] for row in sent.components]}


async def use_layout(rest: hikari.api.RESTClient) -> dict[str, Any]:
    container = impl.ContainerComponentBuilder().add_text_display("words").add_separator()
    container.add_media_gallery([impl.MediaGalleryItemBuilder(media="https://example.org/plot.png")])
    sent = await rest.execute_webhook(*webhook, component=container, flags=hikari.MessageFlag.IS_COMPONENTS_V2)
    (read,) = sent.components
    text, _, pictures = read.components
    return {"layout": [text.content, pictures.items[0].media.url]}


async def use_polls(rest: hikari.api.RESTClient) -> dict[str, Any]:
    poll = impl.PollBuilder(question_text="Ship it?", allow_multiselect=False)
    sent = await rest.execute_webhook(*webhook, poll=poll.add_answer(text="Yes").add_answer(text="No"))
    return {"poll": [sent.poll.question.text, *(answer.poll_media.text for answer in sent.poll.answers)]}


asyncio.run(main())
