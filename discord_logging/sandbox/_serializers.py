"""Discord's JSON for the objects that the local Discord keeps."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._models import File, Message, Webhook

_GUILD_ID = "100000000000000000"
"""The id of the guild that all channels belong to."""


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook as Discord shows it to a request with the token, which is without the user who made it."""
    return {
        "application_id": None,
        "avatar": None,
        "channel_id": webhook.channel_id,
        "guild_id": _GUILD_ID,
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
        "author": _author(message),
        "embeds": message.embeds,
        "components": message.components,
        "attachments": [_attachment_json(message, index, file, base_url) for index, file in enumerate(message.files)],
        "mention_everyone": any(ping in message.pings for ping in ("@everyone", "@here")),
        "mentions": [_mentioned(user_id) for user_id in _pinged(message, "@")],
        "mention_roles": _pinged(message, "@&"),
        "pinned": False,
        "tts": message.tts,
        "flags": message.flags,
        "timestamp": message.timestamp.isoformat(),
        "edited_timestamp": message.edited and message.edited.isoformat(),
    }


def attachment_path(message: Message, index: int, file: File) -> str:
    """Return the path of a file."""
    return f"/attachments/{message.id}/{index}/{file.filename}"


def _author(message: Message) -> dict[str, Any]:
    """Return the webhook as the author of a message."""
    avatar = message.avatar_url and hashlib.md5(message.avatar_url.encode(), usedforsecurity=False).hexdigest()
    return {**_user(message.webhook_id, message.username, "0000"), "avatar": avatar, "bot": True}


def _pinged(message: Message, sign: str) -> list[str]:
    """Return the ids in the mentions that notify users (`sign` is ``@``) or roles (``@&``)."""
    found = (re.fullmatch(f"<{sign}([1-9][0-9]{{0,19}})>", ping) for ping in message.pings)
    return [mention[1] for mention in found if mention]


def _mentioned(user_id: str) -> dict[str, Any]:
    """Return a mentioned user. The local Discord has no users of its own, so the name is made from the id."""
    return _user(user_id, f"user{user_id}", "0")


def _user(user_id: str, username: str, discriminator: str) -> dict[str, Any]:
    return {
        "id": user_id,
        "username": username,
        "avatar": None,
        "discriminator": discriminator,
        "public_flags": 0,
        "flags": 0,
        "global_name": None,
        "primary_guild": None,
    }


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
