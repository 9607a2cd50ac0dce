"""Use a webhook class of discord.py, or of a library with the same interface.

The arguments are the class, such as ``discord:Webhook``, and the URLs of the webhooks of a text channel and a forum.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import io
import json
import sys
from datetime import timedelta
from typing import Any

import aiohttp

package, class_name = sys.argv[1].split(":")
url, forum_url = sys.argv[2:]
library = importlib.import_module(package)
Route = importlib.import_module(f"{package}.http").Route
setattr(Route, "API_BASE_URL" if library.__title__ == "pycord" else "BASE", url.partition("/webhooks/")[0])


async def main() -> None:
    async with aiohttp.ClientSession() as session:
        webhook, forum = connect(url, session), connect(forum_url, session)
        for scope in ("user", "shared", "global"):
            await result(webhook.send(scope))
        report = await use_messages(webhook)
        if library.__title__ != "nextcord":  # nextcord knows none of these for a webhook without a bot
            report |= await use_components(webhook) | await use_layout(webhook) | await use_forum(forum)
        if library.__title__ in ("discord", "disnake"):  # py-cord reads no poll of a webhook without a bot
            report |= await use_polls(webhook)
    json.dump(report, sys.stdout)


def connect(webhook_url: str, session: aiohttp.ClientSession) -> Any:
    webhook_id, token = webhook_url.split("/")[-2:]
    options = {} if class_name == "SyncWebhook" else {"session": session}
    return getattr(library, class_name).partial(int(webhook_id), token, **options)


async def result(returned: Any) -> Any:
    """Return the result of a call, which only an asynchronous class leaves to be awaited."""
    return await returned if inspect.isawaitable(returned) else returned


async def use_messages(webhook: Any) -> dict[str, Any]:
    embed = library.Embed(title="Title", description="words")
    file = library.File(io.BytesIO(b"words"), "log.txt")
    message = {"username": "Robot", "embed": embed, "file": file, "wait": True}
    sent = await result(webhook.send("Hello <@80351110224678912>", **message))
    report: dict[str, Any] = {
        "execute": read(sent),
        "get": read(await result(webhook.fetch_message(sent.id))),
        "edit": read(await result(webhook.edit_message(sent.id, content="Bye <@80351110224678912>"))),
    }
    await result(webhook.delete_message(sent.id))
    try:
        await result(webhook.fetch_message(sent.id))
    except library.NotFound as error:
        report["delete"] = error.code
    return report


def read(message: Any) -> dict[str, Any]:
    return {
        "content": message.content,
        "author": message.author.name,
        "mentions": [user.name for user in message.mentions],
        "embeds": [embed.title for embed in message.embeds],
        "files": {attachment.filename: attachment.size for attachment in message.attachments},
        "edited": message.edited_at is not None,
    }


async def use_components(webhook: Any) -> dict[str, Any]:
    button = library.ui.Button(label="Docs", url="https://example.org/")
    view = {"view": library.ui.View().add_item(button)} if library.__title__ != "disnake" else {"components": [button]}
    sent = await result(webhook.send("A button", wait=True, **view))
    return {"components": [[row.children[0].label, row.children[0].url] for row in sent.components]}


async def use_layout(webhook: Any) -> dict[str, Any]:
    ui = library.ui
    gallery = ui.MediaGallery(library.MediaGalleryItem("https://example.org/plot.png"))
    container = ui.Container(ui.TextDisplay("words"), ui.Separator(), gallery)
    if library.__title__ == "disnake":
        layout = {"components": [container]}
    else:
        layout = {"view": (ui.DesignerView if library.__title__ == "pycord" else ui.LayoutView)().add_item(container)}
    sent = await result(webhook.send(wait=True, **layout))
    (read,) = sent.components
    text, _, pictures = read.components if library.__title__ == "pycord" else read.children
    return {"layout": [text.content, pictures.items[0].media.url]}


async def use_polls(webhook: Any) -> dict[str, Any]:
    if library.__title__ == "disnake":
        poll = library.Poll("Ship it?", answers=["Yes", "No"])
    else:
        poll = library.Poll("Ship it?", timedelta(hours=24)).add_answer(text="Yes").add_answer(text="No")
    poll = (await result(webhook.send(poll=poll, wait=True))).poll
    return {"poll": [getattr(poll.question, "text", poll.question), *(answer.media.text for answer in poll.answers)]}


async def use_forum(forum: Any) -> dict[str, Any]:
    post = await result(forum.send("first", thread_name="A post", wait=True))
    reply = await result(forum.send("second", thread=library.Object(post.id), wait=True))
    return {"forum": {"opened": post.channel.id == post.id, "replied": reply.channel.id == post.id}}


asyncio.run(main())
