"""The components that a webhook without an application may send: layout and links, without interaction."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from ._emoji import emoji, exists

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ._fields import Fields, Path


class Type(IntEnum):
    """The types of components."""

    ACTION_ROW = 1
    BUTTON = 2
    SECTION = 9
    TEXT = 10
    THUMBNAIL = 11
    GALLERY = 12
    FILE = 13
    SEPARATOR = 14
    CONTAINER = 17


_TOP = (Type.ACTION_ROW, Type.SECTION, Type.TEXT, Type.GALLERY, Type.FILE, Type.SEPARATOR, Type.CONTAINER)
CHILDREN = {Type.ACTION_ROW: (Type.BUTTON,), Type.SECTION: (Type.TEXT,), Type.CONTAINER: _TOP[:-1]}
_MAX_CHILDREN = {Type.ACTION_ROW: 5, Type.SECTION: 3, Type.CONTAINER: 40}
LINK = 5
_MAX_COMPONENTS = 40
_MAX_ROWS = 5
_MAX_CHARACTERS = 4000
_MAX_ID = 2**31 - 1


def components(fields: Fields, value: Any, names: Collection[str], *, v2: bool) -> list[dict[str, Any]]:
    """Read the components of a message; without the flag `v2` only rows of links are allowed."""
    allowed, max_count = (_TOP, _MAX_COMPONENTS) if v2 else ((Type.ACTION_ROW,), _MAX_ROWS)
    items = fields.items(value, ("components",), max_count)
    for index, item in enumerate(items):
        _check(fields, item, ("components", index), allowed, names)
    if fields.errors:
        return []
    given = [item_id for item in walk(items) if (item_id := id_of(item))]
    if len(given) > len(set(given)):
        # The rule is documented (https://docs.discord.com/developers/components/reference), but its code is not.
        fields.error(("components",), "COMPONENT_ID_DUPLICATED", "Component ids must be unique within a message.")
    if sum(1 for _ in walk(items)) > _MAX_COMPONENTS:
        message = f"Total number of components cannot exceed {_MAX_COMPONENTS}"
        fields.error(("components",), "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", message)
    if sum(map(len, text_of(items))) > _MAX_CHARACTERS:
        message = f"The displayable text exceeds the maximum size of {_MAX_CHARACTERS}"
        fields.error(("components",), "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", message)
    return items


def text_of(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the texts of components."""
    return [str(item["content"]) for item in walk(items) if item["type"] == Type.TEXT]


def media_of(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the addresses of the pictures and files that components show."""
    media = []
    for item in walk(items):
        if item["type"] == Type.GALLERY:
            media += [entry["media"] for entry in item["items"]]
        elif item["type"] in (Type.THUMBNAIL, Type.FILE):
            media.append(item["media" if item["type"] == Type.THUMBNAIL else "file"])
    return [str(each["url"]).strip() for each in media]


def id_of(item: Mapping[str, Any]) -> int | None:
    """Return the id that a component was sent with, or `None`; 0 stands for none."""
    item_id = item.get("id")
    return item_id if item_id and isinstance(item_id, int) else None


def walk(items: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield components, each before those in it."""
    for item in items:
        yield item
        if item["type"] in CHILDREN:
            yield from walk(item["components"])
        if item["type"] == Type.SECTION:
            yield item["accessory"]


def _check(fields: Fields, value: Any, path: Path, allowed: Collection[int], names: Collection[str]) -> None:
    item = fields.model(value, path)
    kind = item.get("type")
    if kind not in allowed:
        message = f'Value of field "type" must be one of {tuple(map(int, allowed))}.'
        fields.error((*path, "type"), "UNION_TYPE_CHOICES", message)
        return
    fields.integer(item.get("id"), (*path, "id"), _MAX_ID)
    if kind in CHILDREN:
        children = fields.items(item.get("components"), (*path, "components"), _MAX_CHILDREN[kind])
        if not children:
            fields.error((*path, "components"), "BASE_TYPE_REQUIRED", "This field is required")
        for index, child in enumerate(children):
            _check(fields, child, (*path, "components", index), CHILDREN[kind], names)
    if kind in _CHECKS:
        _CHECKS[kind](fields, item, path, names)


def _check_section(fields: Fields, item: Mapping[str, Any], path: Path, names: Collection[str]) -> None:
    _check(fields, item.get("accessory"), (*path, "accessory"), (Type.BUTTON, Type.THUMBNAIL), names)


def _check_text(fields: Fields, item: Mapping[str, Any], path: Path, _: Collection[str]) -> None:
    fields.text(item.get("content"), (*path, "content"), _MAX_CHARACTERS, 1, required=True)


def _check_link(fields: Fields, item: Mapping[str, Any], path: Path, _: Collection[str]) -> None:
    if item.get("style") != LINK:
        fields.error((*path, "style"), "BASE_TYPE_CHOICES", f"Value must be one of ({LINK},).")
    fields.text(item.get("label"), (*path, "label"), 80)
    fields.url(item.get("url"), (*path, "url"), max_length=512, required=True)
    found = emoji(fields, item.get("emoji"), (*path, "emoji"))
    if found and not exists(found):
        fields.error((*path, "emoji", "id" if found["id"] else "name"), "COMPONENT_INVALID_EMOJI", "Invalid emoji")


def _check_media(fields: Fields, item: Mapping[str, Any], path: Path, names: Collection[str]) -> None:
    media = fields.model(item.get("media"), (*path, "media"))
    fields.media(media.get("url"), (*path, "media", "url"), names)
    fields.text(item.get("description"), (*path, "description"), 1024)
    fields.boolean(item.get("spoiler"), (*path, "spoiler"))


def _check_gallery(fields: Fields, item: Mapping[str, Any], path: Path, names: Collection[str]) -> None:
    entries = fields.items(item.get("items"), (*path, "items"), 10)
    if not entries:
        fields.error((*path, "items"), "BASE_TYPE_REQUIRED", "This field is required")
    for index, entry in enumerate(entries):
        where = (*path, "items", index)
        _check_media(fields, fields.model(entry, where), where, names)


def _check_file(fields: Fields, item: Mapping[str, Any], path: Path, names: Collection[str]) -> None:
    file = fields.model(item.get("file"), (*path, "file"))
    fields.media(file.get("url"), (*path, "file", "url"), names, ("attachment",))
    fields.boolean(item.get("spoiler"), (*path, "spoiler"))


def _check_separator(fields: Fields, item: Mapping[str, Any], path: Path, _: Collection[str]) -> None:
    fields.boolean(item.get("divider"), (*path, "divider"))
    if item.get("spacing") not in (None, 1, 2):
        fields.error((*path, "spacing"), "BASE_TYPE_CHOICES", "Value must be one of (1, 2).")


def _check_container(fields: Fields, item: Mapping[str, Any], path: Path, _: Collection[str]) -> None:
    fields.integer(item.get("accent_color"), (*path, "accent_color"), 0xFFFFFF)
    fields.boolean(item.get("spoiler"), (*path, "spoiler"))


_CHECKS = {
    Type.SECTION: _check_section,
    Type.TEXT: _check_text,
    Type.BUTTON: _check_link,
    Type.THUMBNAIL: _check_media,
    Type.GALLERY: _check_gallery,
    Type.FILE: _check_file,
    Type.SEPARATOR: _check_separator,
    Type.CONTAINER: _check_container,
}
