"""Messages in Slack's form (https://docs.discord.com/developers/resources/webhook#execute-slackcompatible-webhook).

The keys and their limits are those of `SlackWebhook` in Discord's OpenAPI description. Discord does not document where
the `pretext` of an attachment is shown; here it is a line of the content. Slack's markup is not translated.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ._answers import invalid_form
from ._fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._fields import Path

_COLOR = re.compile("#((?:[0-9a-f]{3}){1,2})", re.IGNORECASE)
_MAX_CONTENT, _MAX_TEXT, _MAX_ITEMS = 2000, 152_133, 1521
_MAX_SECONDS = 253_402_300_799
"""The last second of the year 9999."""


def slack_payload(body: Any) -> dict[str, Any]:
    """Return the payload of the same message in Discord's form.

    Raises:
        Refusal: The body is invalid. The refusal has Discord's response.
    """
    fields = Fields()
    source = fields.model(body, ())
    attachments = fields.items(source.get("attachments"), ("attachments",), _MAX_ITEMS)
    lines = [fields.text(source.get("text"), ("text",), _MAX_CONTENT)]
    embeds = []
    for index, attachment in enumerate(attachments):
        path = ("attachments", index)
        part = fields.model(attachment, path)
        lines.append(fields.text(part.get("pretext"), (*path, "pretext"), _MAX_TEXT))
        embeds.append(_embed(fields, part, path))
    payload = {
        "content": "\n".join(filter(None, lines)),
        "username": source.get("username"),
        "avatar_url": fields.url(source.get("icon_url"), ("icon_url",)),
        "embeds": embeds,
    }
    if fields.errors:
        raise invalid_form(fields.errors)
    return payload


def _embed(fields: Fields, part: Mapping[str, Any], path: Path) -> dict[str, Any]:
    def text(key: str) -> str | None:
        return fields.text(part.get(key), (*path, key), _MAX_TEXT)

    def url(key: str) -> str | None:
        return fields.url(part.get(key), (*path, key))

    items = fields.items(part.get("fields"), (*path, "fields"), _MAX_ITEMS)
    return {
        "title": text("title"),
        "url": url("title_link"),
        "description": text("text"),
        "color": _color(fields, part.get("color"), (*path, "color")),
        "timestamp": _time(fields, part.get("ts"), (*path, "ts")),
        "author": {"name": text("author_name"), "url": url("author_link"), "icon_url": url("author_icon")},
        "footer": {"text": text("footer"), "icon_url": url("footer_icon")},
        "image": {"url": url("image_url")},
        "thumbnail": {"url": url("thumb_url")},
        "fields": [_field(fields, item, (*path, "fields", index)) for index, item in enumerate(items)],
    }


def _field(fields: Fields, value: Any, path: Path) -> dict[str, Any]:
    """Read a field, whose keys are those of Slack or of Discord."""
    source = fields.model(value, path)
    name, inline = ("title" if "title" in source else "name"), ("short" if "short" in source else "inline")
    return {
        "name": fields.text(source.get(name), (*path, name), _MAX_TEXT) or "",
        "value": fields.text(source.get("value"), (*path, "value"), _MAX_TEXT) or "",
        "inline": fields.boolean(source.get(inline), (*path, inline)),
    }


def _color(fields: Fields, value: Any, path: Path) -> int | None:
    """Read a colour such as ``#f80``; Discord refuses Slack's names, such as ``good``."""
    text = fields.text(value, path, _MAX_TEXT)
    match = _COLOR.fullmatch(text or "")
    if match is None:
        if text is not None:
            fields.error(path, "STRING_TYPE_REGEX", "String value did not match validation regex.")
        return None
    digits = match[1] if len(match[1]) == len("rrggbb") else "".join(digit * 2 for digit in match[1])
    return int(digits, 16)


def _time(fields: Fields, value: Any, path: Path) -> str | None:
    seconds = fields.integer(value, path, _MAX_SECONDS)
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()
