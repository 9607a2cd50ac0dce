"""Notices: their arguments are checked on the caller's thread, and formatters lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._cards.embeds import INLINE_VALUE, EmbedFormatter
from discord_logging._discord import lengths
from discord_logging._exceptions import InvalidSettingError
from discord_logging._records.parse import is_blank, parse_color, parse_url
from discord_logging._records.values import freeze_value, show_value, to_text
from discord_logging._text.markdown import ELLIPSIS, note_cut, plain, shorten
from discord_logging._text.sanitize import clean
from discord_logging._text.split import split_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discord_logging._discord.types import Embed, EmbedField
    from discord_logging._records.record import FrozenRecord

_PARTS = {
    "author": ("name", "url", "icon_url"),
    "footer": ("text", "icon_url"),
    "image": ("url",),
    "thumbnail": ("url",),
}
"""The keys of an embed's parts; the first key of each part is required."""
_FIELD_EXAMPLES = "{'name': value}, or a list of (name, value), (name, value, inline) or {'name': …, 'value': …}"


class Field(NamedTuple):
    """A field as it was given; if `inline` is `None`, short values are inline."""

    name: str
    value: Any
    inline: bool | None = None


def check_text(name: str, value: object) -> str:
    """Return `value` as a plain str; `None` becomes ''.

    Raises:
        TypeError: `value` is neither a str nor `None`.
    """
    if value is None or isinstance(value, str):
        # A member of a str enumeration may have another `__str__`.
        return str.__str__(value) if value else ""
    raise TypeError(f"{name} must be a str, not {type(value).__name__}.")


def check_fields(name: str, value: object) -> list[Field]:
    """Return the fields of `value` in order; `value` may be a mapping, a list of tuples or a list of mappings.

    Raises:
        InvalidSettingError: `value` has another form.
    """
    if isinstance(value, Mapping):
        return [_field(name, pair) for pair in value.items()]
    if is_blank(value):
        return []
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_field(name, each) for each in value]
    raise InvalidSettingError(f"{name} must be {_FIELD_EXAMPLES}, not {to_text(value, repr):.200}.")


def _field(name: str, value: Any) -> Field:
    try:
        parts = Field(**value) if isinstance(value, Mapping) else Field(*value)
        if not isinstance(value, str) and isinstance(parts.inline, (bool, type(None))):
            return Field(to_text(parts.name), freeze_value(parts.value), parts.inline)
    except TypeError:
        pass
    raise InvalidSettingError(f"{name} must be {_FIELD_EXAMPLES}, not with {to_text(value, repr):.200} in it.")


def as_values(fields: Iterable[Field]) -> dict[str, Any]:
    """Return the fields' values by name; the values of fields with the same name are joined."""
    values: dict[str, Any] = {}
    for name, value, _ in fields:
        values[name] = f"{to_text(values[name])}\n{to_text(value)}" if name in values else value
    return values


def check_timestamp(value: object) -> float | None:
    """Return `value`, a `datetime` or an ISO 8601 text, in seconds since the epoch; no zone means local time.

    Raises:
        InvalidSettingError: `value` is not a time.
    """
    if is_blank(value):
        return None
    try:
        # Python 3.10 does not accept Z.
        moment = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
        if isinstance(moment, datetime):
            return moment.timestamp()
    except (OverflowError, OSError, ValueError):
        pass
    raise InvalidSettingError(
        f"timestamp must be a datetime or a text such as '2026-01-31T12:00:00+00:00', not {value!r}."
    )


def check_part(name: str, value: object) -> dict[str, str]:
    """Return `value`, a part of an embed such as its author, as a dict; a text becomes the value of the first key.

    Raises:
        InvalidSettingError: `value` has an unknown key, lacks the first one, or has an invalid URL.
        TypeError: A text is not a str.
    """
    first, *others = _PARTS[name]
    given = value if isinstance(value, Mapping) else {first: value}
    if unknown := given.keys() - _PARTS[name]:
        keys = ", ".join(_PARTS[name])
        raise InvalidSettingError(
            f"{name} must be a text, or a mapping with {keys}, not with {to_text(unknown, repr):.200}."
        )
    texts = {key: _check_part_text(f"{name}.{key}", value) for key, value in given.items() if not is_blank(value)}
    part = {key: text for key, text in texts.items() if text}
    if others and part and first not in part:
        raise InvalidSettingError(f"{name} must have {first!r}.")
    return part


def _check_part_text(name: str, value: object) -> str:
    # Discord refuses a text without visible characters.
    return parse_url(name, value) if name.endswith("url") else clean(check_text(name, value)).strip()


def describe_limits(info: Mapping[str, Any]) -> dict[str, str]:
    """Return a description of each limit in the result of `DiscordHandler.get_rate_limit_info`, by name."""
    limits = [("webhook", bucket) for bucket in info["buckets"].values()]
    if info.get("channel", {}).get("limit") is not None:
        limits.append(("channel", info["channel"]))
    limits.append(("all of Discord", info["global_rate_limit"]))
    return {f"Discord: {name}": _describe_limit(limit) for name, limit in limits}


def _describe_limit(limit: Mapping[str, Any]) -> str:
    left = f"{limit['remaining']} of {limit['limit']} left" if "limit" in limit else ""
    wait = f"wait {limit['wait_time']:.1f} s" if limit["wait_time"] > 0 else "no wait"
    return f"{left}, {wait}" if left else wait


class TitledCard(EmbedFormatter):
    """A card with a given title, body and colour, and no footer, whose content is in the fields."""

    def __init__(self, title: str, description: str, color: int | None = None) -> None:
        super().__init__()
        self._title, self._description, self._color = title, description, color
        self.text = "\n".join(part for part in (title, description) if part)

    def title(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the overridden method needs it
        """Return the given title, without Markdown."""
        return plain(self._title, lengths.TITLE, keep_links=False)

    def color(self, record: FrozenRecord) -> int:
        """Return the given colour, or the colour of the level."""
        return super().color(record) if self._color is None else self._color

    def description(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the overridden method needs it
        """Return the given text, without Markdown."""
        return plain(self._description, lengths.DESCRIPTION)

    def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the overridden method needs it
        """Return an empty text."""
        return ""


class PlainText(EmbedFormatter):
    """A formatter for a plain text, which becomes the content of the message if possible."""

    def embed(self, record: FrozenRecord) -> Embed:
        """Return an embed with the text alone."""
        return {"description": _begin(record.message, lengths.CONTENT)}


class RichCard(TitledCard):
    """A card with the arguments of `DiscordNotifier.send_embed`, whose Markdown is kept.

    Raises:
        InvalidSettingError: An argument has a wrong value. The text names it.
        TypeError: An argument has a wrong type. The text names it.
    """

    def __init__(
        self, *, title: object, description: object, color: object, fields: object, url: object, **parts: object
    ) -> None:
        super().__init__(
            check_text("title", title),
            check_text("description", description),
            None if is_blank(color) else parse_color("color", color),
        )
        self._fields = check_fields("fields", fields)
        self._url = None if is_blank(url) else parse_url("url", url)
        self.timestamp = check_timestamp(parts.pop("timestamp"))
        self._parts = {name: part for name in _PARTS if (part := check_part(name, parts[name]))}
        if not (self.text.strip() or self._fields or self._parts):
            raise InvalidSettingError(f"An embed needs one of title, description, fields, {', '.join(_PARTS)}.")

    def values(self) -> dict[str, Any]:
        """Return the fields, and the texts of the other parts, by name."""
        parts = {"url": self._url, **{name: ", ".join(part.values()) for name, part in self._parts.items()}}
        return as_values([*self._fields, *(Field(name, text) for name, text in parts.items() if text)])

    def _frame(self, record: FrozenRecord) -> Embed:
        embed: Any = super()._frame(record)
        if self.timestamp is None:
            embed.pop("timestamp", None)
        if self._url:
            embed["url"] = self._url
        for name, part in self._parts.items():
            if name != "footer":  # its text takes the space that is left
                embed[name] = dict(part)
        if "author" in embed:
            embed["author"]["name"] = shorten(embed["author"]["name"], lengths.AUTHOR)
        return embed  # type: ignore[no-any-return]  # its keys are those of an embed

    def embed(self, record: FrozenRecord) -> Embed:
        """Return the card with the icon of the footer."""
        embed = super().embed(record)
        if "footer" in embed and (icon_url := self._parts["footer"].get("icon_url")):
            embed["footer"]["icon_url"] = icon_url
        return embed

    def title(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the overridden method needs it
        """Return the given title."""
        return self._title

    def description(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the overridden method needs it
        """Return the given text, or its beginning."""
        return _begin(self._description, lengths.DESCRIPTION)

    def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the overridden method needs it
        """Return the given footer."""
        return self._parts.get("footer", {}).get("text", "")

    def fields(self, record: FrozenRecord) -> list[EmbedField]:  # noqa: ARG002 - the overridden method needs it
        """Return the given fields."""
        fields: list[EmbedField] = []
        for name, value, inline in self._fields:
            text = show_value(value, lengths.EMBEDS_TOTAL)
            is_short = len(text) <= INLINE_VALUE and "\n" not in text
            fields.append({"name": name, "value": text, "inline": is_short if inline is None else inline})
        return fields


def _begin(text: str, limit: int) -> str:
    """Return as much of `text` as fits, without an open code block."""
    shown = clean(text).strip()
    if len(shown) <= limit:
        return shown
    note_cut()
    return split_text(shown[: 2 * limit], limit - len(ELLIPSIS))[0] + ELLIPSIS
