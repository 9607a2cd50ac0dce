"""The files of a message: their addresses, types and sizes, and which of them its embeds and components show."""

from __future__ import annotations

from mimetypes import MimeTypes
from typing import TYPE_CHECKING, Any

from ._components import media_of
from ._pictures import picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._models import File, Message

_TYPES = MimeTypes()  # these are the same on every machine, unlike those of `mimetypes.guess_type`
for _ending in (".diff", ".ini", ".log", ".toml", ".yaml", ".yml"):
    _TYPES.add_type("text/plain", _ending)
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def content_type(file: File) -> str | None:
    """Return the type of a file by its content or its name, as Discord does, which ignores the client's."""
    shown = picture(file.data)
    if shown:
        return shown.content_type
    guessed, compression = _TYPES.guess_type(file.filename)
    if guessed is None or compression:
        return _COMPRESSED.get(compression or "")
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") or guessed == "application/json" else guessed


def attachment_path(message: Message, file: File) -> str:
    """Return the path of a file."""
    return f"/attachments/{message.id}/{file.id}/{file.filename}"


def find(message: Message, url: str) -> File | None:
    """Return the file that an address of the form ``attachment://name`` refers to; `None` for one on the web.

    An edit may add a new file with the name of an old one.
    """
    scheme, _, name = url.strip().partition("://")
    named = (file for file in reversed(message.files) if scheme == "attachment" and file.filename == name)
    return next(named, None)


def used_ids(message: Message) -> set[str]:
    """Return the ids of the files that the embeds and components show."""
    found = (find(message, url) for url in _urls(message))
    return {file.id for file in found if file}


def file_json(message: Message, file: File, base_url: str) -> dict[str, Any]:
    """Return the keys that attachments, pictures of embeds and media of components have in common."""
    url, kind, shown = base_url + attachment_path(message, file), content_type(file), picture(file.data)
    size = {"width": shown.width, "height": shown.height} if shown and shown.width else {}
    return {"url": url, "proxy_url": url, **({"content_type": kind} if kind else {}), **size}


def media_json(message: Message, url: str, base_url: str) -> dict[str, Any]:
    """Return a picture or a file by its address; nothing is loaded from the web, so a picture there has no size."""
    file = find(message, url)
    return file_json(message, file, base_url) if file else {"url": url, "proxy_url": url}


def _urls(message: Message) -> Iterator[str]:
    for embed in message.embeds:
        pictures = (embed.get("image", {}), embed.get("thumbnail", {}))
        signed = (embed.get("footer", {}), embed.get("author", {}))
        yield from (part["url"] for part in pictures if "url" in part)
        yield from (part["icon_url"] for part in signed if "icon_url" in part)
    yield from media_of(message.components)
