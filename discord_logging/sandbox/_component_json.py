"""Discord's JSON for the components of a message: with their defaults, an id for each, and the facts about media."""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING, Any

from ._components import CHILDREN, LINK, Type, id_of, walk
from ._fields import TRUE
from ._media import find, media_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._models import Message


def components_json(message: Message, base_url: str) -> list[dict[str, Any]]:
    """Return the components of a message; the addresses of files begin with `base_url`."""
    layout = _Layout(message, base_url)
    return [layout.component(item) for item in message.components]


class _Layout:
    def __init__(self, message: Message, base_url: str) -> None:
        self._message = message
        self._base_url = base_url
        given = {id_of(item) for item in walk(message.components)}
        self._free_ids = (number for number in itertools.count(1) if number not in given)

    def component(self, item: Mapping[str, Any]) -> dict[str, Any]:
        identity = {"type": int(item["type"]), "id": id_of(item) or next(self._free_ids)}
        return identity | (self._parent(item) if item["type"] in CHILDREN else self._leaf(item))

    def _parent(self, item: Mapping[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {"components": [self.component(child) for child in item["components"]]}
        if item["type"] == Type.SECTION:
            shown["accessory"] = self.component(item["accessory"])
        elif item["type"] == Type.CONTAINER:
            color = item.get("accent_color")
            shown |= {"accent_color": None if color is None else int(color), "spoiler": item.get("spoiler") in TRUE}
        return shown

    def _leaf(self, item: Mapping[str, Any]) -> dict[str, Any]:
        match item["type"]:
            case Type.BUTTON:
                return self._button(item)
            case Type.TEXT:
                return {"content": str(item["content"])}
            case Type.GALLERY:
                return {"items": [self._picture(entry) for entry in item["items"]]}
            case Type.THUMBNAIL:
                return self._picture(item)
            case Type.SEPARATOR:
                return {"spacing": int(item.get("spacing") or 1), "divider": item.get("divider") in (None, *TRUE)}
            case _:
                return self._file(item)

    @staticmethod
    def _button(item: Mapping[str, Any]) -> dict[str, Any]:
        shown = {"style": LINK, "url": item["url"], "disabled": item.get("disabled") in TRUE}
        label, emoji = item.get("label"), item.get("emoji")
        if label:
            shown["label"] = str(label)
        if isinstance(emoji, dict):
            # The local Discord has no custom emoji, and so no name for an id without one.
            shown["emoji"] = {"name": "emoji", **{key: str(emoji[key]) for key in ("id", "name") if emoji.get(key)}}
        return shown

    def _picture(self, item: Mapping[str, Any]) -> dict[str, Any]:
        text = item.get("description")
        shown = {"description": None if text is None else str(text), "spoiler": item.get("spoiler") in TRUE}
        return {"media": self._media(item["media"]["url"]), **shown}

    def _file(self, item: Mapping[str, Any]) -> dict[str, Any]:
        file = find(self._message, item["file"]["url"])
        named = {"name": file and file.filename, "size": file and len(file.data)}
        return {"file": self._media(item["file"]["url"]), **named, "spoiler": item.get("spoiler") in TRUE}

    def _media(self, url: str) -> dict[str, Any]:
        file = find(self._message, url)
        own = {"id": file.id, "attachment_id": file.id} if file else {"id": str(zlib.crc32(url.encode()))}
        return own | media_json(self._message, url, self._base_url)
