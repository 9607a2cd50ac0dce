"""The mentions in a message that notify somebody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MENTION = re.compile(r"@(?:everyone|here)|<@!?(?P<user>\d+)>|<@&(?P<role>\d+)>")
# Discord documents {"parse": ["users"]}, but was seen to ping everyone and roles too. A client must rely on neither.
_DEFAULT = {"parse": ["users", "roles", "everyone"]}


def pings(text: str, allowed_mentions: Mapping[str, Any] | None) -> list[str]:
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
