"""Discord's JSON for the objects that the local Discord keeps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._models import File, Message, Webhook


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook as Discord shows it to a request with the token, which is without the user who made it."""
    return {
        "application_id": None,
        "avatar": None,
        "channel_id": webhook.channel_id,
        "guild_id": webhook.id,
        "id": webhook.id,
        "name": webhook.name,
        "token": webhook.token,
        "type": 1,
    }


def message_json(message: Message, base_url: str) -> dict[str, Any]:
    """Return a message; the addresses of its files begin with `base_url`."""
    return {
        "id": message.id,
        "channel_id": message.channel_id,
        "webhook_id": message.webhook_id,
        "type": 0,
        "content": message.content,
        "author": {
            "id": message.webhook_id,
            "username": message.username,
            "avatar": message.avatar_url,
            "discriminator": "0000",
            "bot": True,
        },
        "embeds": message.embeds,
        "components": message.components,
        "attachments": [_attachment_json(message, index, file, base_url) for index, file in enumerate(message.files)],
        "mention_everyone": any(ping in message.pings for ping in ("@everyone", "@here")),
        "mentions": [{"id": ping.strip("<@>")} for ping in message.pings if re.match(r"<@\d", ping)],
        "mention_roles": [ping.strip("<@&>") for ping in message.pings if ping.startswith("<@&")],
        "pinned": False,
        "tts": False,
        "flags": message.flags,
        "timestamp": message.timestamp.isoformat(),
        "edited_timestamp": message.edited and message.edited.isoformat(),
    }


def attachment_path(message: Message, index: int, file: File) -> str:
    """Return the path of a file."""
    return f"/attachments/{message.id}/{index}/{file.filename}"


def _attachment_json(message: Message, index: int, file: File, base_url: str) -> dict[str, Any]:
    url = base_url + attachment_path(message, index, file)
    return {
        "id": file.id,
        "filename": file.filename,
        "title": file.title,
        "description": file.description,
        "size": len(file.data),
        "content_type": file.content_type,
        "url": url,
        "proxy_url": url,
    }
