"""Discord's JSON for the objects that the local Discord keeps."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from ._component_json import components_json
from ._media import file_json, media_json, used_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._models import File, Message, Webhook

_GUILD_ID = "100000000000000000"
"""The id of the guild that all channels belong to."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)")
_IS_SPOILER = 1 << 3


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
    used = used_ids(message)
    return {
        "id": message.id,
        "channel_id": message.channel_id,
        "webhook_id": message.webhook_id,
        "type": 0,
        "content": message.content,
        "author": _author(message),
        "embeds": [_embed_json(message, embed, base_url) for embed in message.embeds],
        "components": components_json(message, base_url),
        "attachments": [_attachment_json(message, file, base_url) for file in message.files if file.id not in used],
        "mention_everyone": any(mention in message.mentions for mention in ("@everyone", "@here")),
        "mentions": [_user_of(user_id) for user_id in _mentioned(message, "@")],
        "mention_roles": _mentioned(message, "@&"),
        "pinned": False,
        "tts": message.tts,
        "flags": message.flags,
        "timestamp": message.timestamp.isoformat(),
        "edited_timestamp": message.edited and message.edited.isoformat(),
        **({"poll": message.poll} if message.poll else {}),
    }


def _author(message: Message) -> dict[str, Any]:
    """Return the webhook as the author of a message."""
    avatar = message.avatar_url and hashlib.md5(message.avatar_url.encode(), usedforsecurity=False).hexdigest()
    return {**_user(message.webhook_id, message.username, "0000"), "avatar": avatar, "bot": True}


def _mentioned(message: Message, sign: str) -> list[str]:
    """Return the ids in the mentions of users (`sign` is ``@``) or roles (``@&``) that highlight the message."""
    found = (re.fullmatch(f"<{sign}([1-9][0-9]{{0,19}})>", mention) for mention in message.mentions)
    return [match[1] for match in found if match]


def _user_of(user_id: str) -> dict[str, Any]:
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


def _attachment_json(message: Message, file: File, base_url: str) -> dict[str, Any]:
    shown = {
        "id": file.id,
        "filename": file.filename,
        "title": file.title,
        "size": len(file.data),
        **file_json(message, file, base_url),
        "flags": _IS_SPOILER if file.spoiler else 0,
    }
    return shown if file.description is None else {**shown, "description": file.description}


def _embed_json(message: Message, embed: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    shown = dict(embed)
    for key in ("image", "thumbnail"):
        if key in shown:
            shown[key] = {**shown[key], **media_json(message, shown[key]["url"], base_url)}
    for key in ("author", "footer"):
        if "icon_url" in shown.get(key, {}):
            icon = media_json(message, shown[key]["icon_url"], base_url)
            shown[key] = {**shown[key], "icon_url": icon["url"], "proxy_icon_url": icon["proxy_url"]}
    if "timestamp" in shown:
        shown["timestamp"] = _TIME.sub(_iso8601, shown["timestamp"])
    return shown


def _iso8601(sent: re.Match[str]) -> str:
    """Return a time as Python 3.10 reads it too: with seconds, with no or six digits after them, and with a colon."""
    day, minute, second, fraction, offset = sent.groups()
    zone = "+00:00" if offset == "Z" else f"{offset[:3]}:{offset[-2:]}"
    return f"{day}T{minute}{second or ':00'}{f'.{fraction[:6]:0<6}' if fraction else ''}{zone}"
