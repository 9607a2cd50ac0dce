"""Discord's rules for a message, which turn a payload into a form for the channel or into a tree of errors.

The limits are from https://discord.com/developers/docs/resources/webhook#execute-webhook and
https://discord.com/developers/docs/resources/message#embed-object-embed-limits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from ._answers import Refusal, invalid_form
from ._body import secure_filename
from ._components import components
from ._fields import Fields, Path
from ._mentions import allowed_mentions
from ._polls import poll_request

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ._models import Embed, File, Message

SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, IS_COMPONENTS_V2 = 1 << 2, 1 << 12, 1 << 15

_FLAGS = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | IS_COMPONENTS_V2
_EDITABLE_FLAGS = SUPPRESS_EMBEDS | IS_COMPONENTS_V2
_EDITABLE = ("content", "embeds", "allowed_mentions", "components", "attachments", "flags")
"""The keys that an edit reads (https://docs.discord.com/developers/resources/webhook#edit-webhook-message)."""
_MAX_FILE_BYTES = 10 * 1024 * 1024
_MAX_FILES = 10
_MAX_EMBED_CHARACTERS = 6000
_SPOILER = "SPOILER_"
"""The beginning of the name of a file that is blurred."""


@dataclass(frozen=True)
class Form:
    """A valid payload: trimmed, in Discord's form, and without the keys that Discord ignores.

    `files` are the new files, `kept_files` those that an edited message keeps, and `poll` is the request for a poll.
    """

    content: str
    username: str | None
    avatar_url: str | None
    embeds: list[Embed]
    components: list[dict[str, Any]]
    flags: int
    files: list[File]
    kept_files: list[File]
    allowed_mentions: dict[str, Any] | None
    thread_name: str | None
    applied_tags: list[str]
    tts: bool
    poll: dict[str, Any] | None


def validate(payload: Any, files: list[File], *, with_components: bool, existing: Message | None = None) -> Form:
    """Read a payload and the files of its request.

    Args:
        payload: The JSON or form.
        files: The files of the request.
        with_components: Whether the request has ``with_components``; otherwise components are ignored.
        existing: The message to be edited; `None` for a new message.

    Raises:
        Refusal: The payload is invalid. The refusal has Discord's response.
    """
    _check_unicode(payload)
    fields = Fields()
    source = fields.model(payload, ())
    if existing:
        if existing.poll or source.get("poll"):
            raise Refusal(400, 520003, "Cannot edit a poll message")
        source = {key: source[key] for key in _EDITABLE if key in source}
    old = existing.files if existing else []
    described, kept = _attachments(fields, source, files, old)
    names = {file.filename for file in (*described, *old)}
    flags = _flags(fields, source.get("flags"), existing)
    layout: list[dict[str, Any]] = []
    if with_components:
        layout = components(fields, source.get("components"), names, v2=bool(flags & IS_COMPONENTS_V2))
    form = Form(
        content=fields.text(source.get("content"), ("content",), 2000) or "",
        username=_username(fields, source.get("username")),
        avatar_url=fields.url(source.get("avatar_url"), ("avatar_url",)),
        embeds=_embeds(fields, source.get("embeds"), names),
        components=layout,
        flags=flags,
        files=described,
        kept_files=kept,
        allowed_mentions=allowed_mentions(fields, source.get("allowed_mentions")),
        thread_name=fields.text(source.get("thread_name"), ("thread_name",), 100, 1),
        applied_tags=fields.snowflakes(source.get("applied_tags"), ("applied_tags",), 5),
        tts=fields.boolean(source.get("tts"), ("tts",)),
        poll=poll_request(fields, source.get("poll")),
    )
    if flags & IS_COMPONENTS_V2:
        _check_no_legacy_fields(fields, {**_legacy_fields(existing), **source})
    if fields.errors:
        raise invalid_form(fields.errors)
    return form


def check_count(files: list[File]) -> None:
    """Refuse more files than a message may have.

    Raises:
        Refusal: The files are too many. The refusal has Discord's response.
    """
    if len(files) > _MAX_FILES:
        raise Refusal(400, 30015, f"Maximum number of attachments in a message reached ({_MAX_FILES})")


def webhook_name(payload: Any) -> str | None:
    """Read the new name from a request that changes a webhook.

    Raises:
        Refusal: The payload is invalid. The refusal has Discord's response.
    """
    _check_unicode(payload)
    fields = Fields()
    name = _username(fields, fields.model(payload, ()).get("name"), "name")
    if fields.errors:
        raise invalid_form(fields.errors)
    return name


def _check_unicode(payload: Any) -> None:
    try:
        json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Discord does not refuse a lone surrogate, but fails with an internal error (discord-api-docs#6561).
        raise Refusal(500, 0, "500: Internal Server Error") from None


def _legacy_fields(message: Message | None) -> dict[str, Any]:
    if message is None:
        return {}
    return {"content": message.content, "embeds": message.embeds or message.suppressed_embeds}


def _check_no_legacy_fields(fields: Fields, source: Mapping[str, Any]) -> None:
    for key in ("content", "embeds", "poll"):
        if source.get(key):
            message = f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
            fields.error((key,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", message)


def _flags(fields: Fields, value: Any, existing: Message | None) -> int:
    """Return the flags of the message. Discord ignores flags that a webhook cannot set, and an edit unsets only one."""
    flags = fields.integer(value, ("flags",), 2**31 - 1)
    old, settable = (existing.flags, _EDITABLE_FLAGS) if existing else (0, _FLAGS)
    return old if flags is None else old & ~SUPPRESS_EMBEDS | flags & settable


def _username(fields: Fields, value: Any, key: str = "username") -> str | None:
    name = fields.text(" ".join(value.split()) if isinstance(value, str) else value, (key,), 80, 1)
    if name is None:
        return None
    for word in ("clyde", "discord"):
        if word in name.lower():
            fields.error((key,), "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')
    if name.lower() in ("everyone", "here"):
        fields.error((key,), "USERNAME_INVALID", f'Username cannot be "{name.lower()}"')
    return name


def _attachments(
    fields: Fields, source: Mapping[str, Any], files: list[File], existing: list[File]
) -> tuple[list[File], list[File]]:
    """Return the new files and the existing files to keep, with their names, descriptions and spoilers."""
    if any(len(file.data) > _MAX_FILE_BYTES for file in files):
        raise Refusal(413, 40005, "Request entity too large")
    check_count(files)
    new = {file.id: file for file in files}
    old = {file.id: file for file in existing}
    kept = []
    for index, item in enumerate(fields.items(source.get("attachments"), ("attachments",), _MAX_FILES)):
        path = ("attachments", index)
        entry = fields.model(item, path)
        number = fields.snowflake(entry.get("id"), (*path, "id")) or ""
        if number in old:
            kept.append(_described(fields, entry, path, old[number]))
        elif number in new:
            new[number] = _renamed(fields, entry, path, _described(fields, entry, path, new[number]))
        elif not fields.errors:
            raise Refusal(400, 50146, "Uploaded file not found.")
    blurred = [replace(file, spoiler=file.spoiler or file.filename.startswith(_SPOILER)) for file in new.values()]
    return blurred, existing if source.get("attachments") is None else kept


def _described(fields: Fields, entry: Mapping[str, Any], path: Path, file: File) -> File:
    """Return the file with the description and the spoiler that the entry has."""
    description = fields.text(entry.get("description"), (*path, "description"), 1024)
    spoiler = fields.boolean(entry.get("is_spoiler"), (*path, "is_spoiler"))
    return replace(
        file,
        description=description if "description" in entry else file.description,
        spoiler=file.spoiler if entry.get("is_spoiler") is None else spoiler,
    )


def _renamed(fields: Fields, entry: Mapping[str, Any], path: Path, file: File) -> File:
    """Return the new file with the name and the title that the entry has."""
    name = fields.text(entry.get("filename"), (*path, "filename"), 1024, 1)
    title = fields.text(entry.get("title"), (*path, "title"), 1024)
    return replace(file, filename=secure_filename(name or file.title), title=title or name or file.title)


def _embeds(fields: Fields, value: Any, names: Collection[str]) -> list[Embed]:
    items = fields.items(value, ("embeds",), 10)
    embeds = [_embed(fields, item, ("embeds", index), names) for index, item in enumerate(items)]
    if sum(map(_characters, embeds)) > _MAX_EMBED_CHARACTERS:
        message = f"Embed size exceeds maximum size of {_MAX_EMBED_CHARACTERS}"
        fields.error(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", message)
    shown = ("title", "description", "fields", "author", "footer", "image", "thumbnail")
    return [cast("Embed", embed) for embed in embeds if any(key in embed for key in shown)]


def _characters(embed: Mapping[str, Any]) -> int:
    texts = [embed.get("title"), embed.get("description")]
    texts += [embed.get("footer", {}).get("text"), embed.get("author", {}).get("name")]
    texts += [part[key] for part in embed.get("fields", ()) for key in ("name", "value")]
    return sum(len(text or "") for text in texts)


def _embed(fields: Fields, value: Any, path: Path, names: Collection[str]) -> dict[str, Any]:
    source = fields.model(value, path)
    parts = fields.items(source.get("fields"), (*path, "fields"), 25)
    return _present(
        type="rich",
        title=fields.text(source.get("title"), (*path, "title"), 256),
        description=fields.text(source.get("description"), (*path, "description"), 4096),
        url=fields.url(source.get("url"), (*path, "url")),
        timestamp=fields.timestamp(source.get("timestamp"), (*path, "timestamp")),
        color=fields.integer(source.get("color"), (*path, "color"), 0xFFFFFF),
        footer=_signed(fields, source.get("footer"), (*path, "footer"), ("text", 2048), names),
        author=_signed(fields, source.get("author"), (*path, "author"), ("name", 256), names),
        image=_image(fields, source.get("image"), (*path, "image"), names),
        thumbnail=_image(fields, source.get("thumbnail"), (*path, "thumbnail"), names),
        fields=[_field(fields, part, (*path, "fields", index)) for index, part in enumerate(parts)],
    )


def _field(fields: Fields, value: Any, path: Path) -> dict[str, Any]:
    source = fields.model(value, path)
    return {
        "name": fields.text(source.get("name"), (*path, "name"), 256, required=True),
        "value": fields.text(source.get("value"), (*path, "value"), 1024, required=True),
        "inline": fields.boolean(source.get("inline"), (*path, "inline")),
    }


def _signed(
    fields: Fields, value: Any, path: Path, text: tuple[str, int], names: Collection[str]
) -> dict[str, Any] | None:
    """Read a footer or an author: a text with an icon. Without the text it does not appear (discord-api-docs#1516)."""
    source = fields.model(value, path)
    key, max_length = text
    signed = _present(
        **{key: fields.text(source.get(key), (*path, key), max_length)},
        url=fields.url(source.get("url"), (*path, "url")) if key == "name" else None,
        icon_url=fields.media(source.get("icon_url"), (*path, "icon_url"), names, required=False),
    )
    return signed if key in signed else None


def _image(fields: Fields, value: Any, path: Path, names: Collection[str]) -> dict[str, Any] | None:
    """Read an image or a thumbnail. Without a URL it does not appear."""
    source = fields.model(value, path)
    image = _present(
        url=fields.media(source.get("url"), (*path, "url"), names, required=False),
        description=fields.text(source.get("description"), (*path, "description"), 4096),
    )
    return image if "url" in image else None


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
