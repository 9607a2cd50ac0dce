"""The mentions in a message that notify somebody, or only highlight the message after an edit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._fields import Fields

_MENTION = re.compile(r"@(?:everyone|here)|<@!?(?P<user>\d+)>|<@&(?P<role>\d+)>")
_KINDS = ("users", "roles", "everyone")
_MAX_IDS = 100
_DEFAULT = {"parse": ["users"]}
"""The default of webhooks (https://docs.discord.com/developers/resources/message#allowed-mentions-object)."""


def allowed_mentions(fields: Fields, value: Any) -> dict[str, Any] | None:
    """Read which mentions may notify somebody; `None` stands for the default."""
    if value is None:
        return None
    path = ("allowed_mentions",)
    source = fields.model(value, path)
    parse = [str(kind) for kind in fields.items(source.get("parse"), (*path, "parse"), _MAX_IDS)]
    for index, kind in enumerate(parse):
        if kind not in _KINDS:
            message = "Value must be one of ('users', 'everyone', 'roles')."
            fields.error((*path, "parse", index), "BASE_TYPE_CHOICES", message)
    ids = {kind: fields.snowflakes(source.get(kind), (*path, kind), _MAX_IDS) for kind in ("users", "roles")}
    for key, listed in {"parse": parse, **ids}.items():
        fields.unique(listed, (*path, key))
    for kind, listed in ids.items():
        if kind in parse and listed:
            message = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            fields.error(path, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
    fields.boolean(source.get("replied_user"), (*path, "replied_user"))
    return {"parse": parse, **ids}


def mentions(text: str, allowed_mentions: Mapping[str, Any] | None) -> list[str]:
    """Return the mentions in `text` that `allowed_mentions` allows, each once."""
    allowed = _DEFAULT if allowed_mentions is None else allowed_mentions
    parse, users, roles = ({str(item) for item in allowed.get(key) or ()} for key in ("parse", "users", "roles"))
    found: dict[str, None] = {}
    for mention in _MENTION.finditer(text):
        user, role = mention["user"], mention["role"]
        if user:
            found |= {f"<@{user}>": None} if "users" in parse or user in users else {}
        elif role:
            found |= {f"<@&{role}>": None} if "roles" in parse or role in roles else {}
        elif "everyone" in parse:
            found[mention[0]] = None
    return list(found)
