"""What a notice shows: its arguments, checked on the caller's thread, and the formatters that lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._cards.embeds import INLINE_VALUE, EmbedFormatter
from discord_logging._discord import lengths
from discord_logging._exceptions import InvalidSettingError
from discord_logging._records.settings import parse_color, parse_url
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
"""The keys of an embed's parts; the first is needed."""
_FIELD_EXAMPLES = "{'name': value}, or a list of (name, value), (name, value, inline) or {'name': …, 'value': …}"


class Field(NamedTuple):
    """A field as it was given; whether it is inline goes by its length if that was not said."""

    name: str
    value: Any
    inline: bool | None = None


def check_text(name: str, value: object) -> str:
    """Return `value` as a plain str; `None` becomes ''.

    Raises:
        TypeError: `value` is neither a str nor `None`.
    """
    if value is None or isinstance(value, str):
        # A member of an enumeration that is a str may say something else of itself.
        return str.__str__(value) if value else ""
    raise TypeError(f"{name} must be a str, not {type(value).__name__}.")


def check_fields(name: str, value: object) -> list[Field]:
    """Return `value`, fields in one of the forms that people write, in order.

    Raises:
        InvalidSettingError: `value` has another form.
    """
    if isinstance(value, Mapping):
        return [_field(name, pair) for pair in value.items()]
    if value is None or (isinstance(value, Sequence) and not isinstance(value, (str, bytes))):
        return [_field(name, each) for each in value or ()]
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
    """Return the fields' values by their names; those that share a name stand in one text."""
    values: dict[str, Any] = {}
    for name, value, _ in fields:
        values[name] = f"{to_text(values[name])}\n{to_text(value)}" if name in values else value
    return values


def check_timestamp(value: object) -> float | None:
    """Return `value`, a `datetime` or a text in ISO 8601, in seconds since the epoch; without a zone it is local time.

    Raises:
        InvalidSettingError: `value` is not a time.
    """
    if value is None:
        return None
    try:
        # Python 3.10 knows no Z.
        moment = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
        if isinstance(moment, datetime):
            return moment.timestamp()
    except (OverflowError, OSError, ValueError):
        pass
    raise InvalidSettingError(
        f"timestamp must be a datetime or a text such as '2026-01-31T12:00:00+00:00', not {value!r}."
    )


def check_part(name: str, value: object) -> dict[str, str]:
    """Return `value`, a part of an embed such as its author, with its keys; a text alone is the first of them.

    Raises:
        InvalidSettingError: `value` is not such a part.
        TypeError: A text is not a str.
    """
    first, *others = _PARTS[name]
    given = value if isinstance(value, Mapping) else {first: value}
    if unknown := given.keys() - _PARTS[name]:
        keys = ", ".join(_PARTS[name])
        raise InvalidSettingError(
            f"{name} must be a text, or a mapping with {keys}, not with {to_text(unknown, repr):.200}."
        )
    texts = {key: _check_part_text(f"{name}.{key}", value) for key, value in given.items() if value is not None}
    part = {key: text for key, text in texts.items() if text}
    if others and part and first not in part:
        raise InvalidSettingError(f"{name} must have {first!r}.")
    return part


def _check_part_text(name: str, value: object) -> str:
    # Discord refuses one that it shows nothing of.
    return parse_url(name, value) if name.endswith("url") else clean(check_text(name, value)).strip()


def describe_limits(info: Mapping[str, Any]) -> dict[str, str]:
    """Return what `DiscordHandler.get_rate_limit_info` gives in words, by name."""
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
    """A card with title, body and colour of its own, and no footer: its fields tell what belongs there."""

    def __init__(self, title: str, description: str, color: int | None = None) -> None:
        super().__init__()
        self._title, self._description, self._color = title, description, color
        self.text = "\n".join(part for part in (title, description) if part)

    def title(self, record: FrozenRecord) -> str:
        """Return what was given."""
        return record.mask(self._title)

    def color(self, record: FrozenRecord) -> int:
        """Return what was given, or that of the level."""
        return super().color(record) if self._color is None else self._color

    def description(self, record: FrozenRecord) -> str:
        """Return what was given, as it is."""
        return plain(record.mask(self._description), lengths.DESCRIPTION)

    def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - it overrides one that needs it
        """Return none."""
        return ""


class PlainText(EmbedFormatter):
    """Nothing but the text, which becomes the content of its message where it can."""

    def embed(self, record: FrozenRecord) -> Embed:
        """Return the text alone."""
        return {"description": _begin(record.message, lengths.CONTENT)}


class RichCard(TitledCard):
    """A card with what was given to `DiscordNotifier.send_embed`, and nothing else. Markdown in it is meant.

    Raises:
        InvalidSettingError: A part is not right. The text names it.
        TypeError: Likewise.
    """

    def __init__(
        self, *, title: object, description: object, color: object, fields: object, url: object, **parts: object
    ) -> None:
        super().__init__(
            check_text("title", title),
            check_text("description", description),
            None if color is None else parse_color("color", color),
        )
        self._fields = check_fields("fields", fields)
        self._url = None if url is None else parse_url("url", url)
        self.timestamp = check_timestamp(parts.pop("timestamp"))
        self._parts = {name: part for name in _PARTS if (part := check_part(name, parts[name]))}
        if not (self.text.strip() or self._fields or self._parts):
            raise InvalidSettingError(f"An embed needs one of title, description, fields, {', '.join(_PARTS)}.")

    def values(self) -> dict[str, Any]:
        """Return all else that there is to read, by name."""
        parts = {"url": self._url, **{name: ", ".join(part.values()) for name, part in self._parts.items()}}
        return as_values([*self._fields, *(Field(name, text) for name, text in parts.items() if text)])

    def _frame(self, record: FrozenRecord) -> Embed:
        embed: Any = super()._frame(record)
        if self.timestamp is None:
            embed.pop("timestamp", None)
        if self._url:
            embed["url"] = record.mask(self._url)
        for name, part in self._parts.items():
            if name != "footer":  # its text is fitted in with what is left
                embed[name] = {key: record.mask(text) for key, text in part.items()}
        if "author" in embed:
            embed["author"]["name"] = shorten(embed["author"]["name"], lengths.AUTHOR)
        return embed  # type: ignore[no-any-return]  # its keys are those of an embed

    def embed(self, record: FrozenRecord) -> Embed:
        """Return the card."""
        embed = super().embed(record)
        if "footer" in embed and (icon_url := self._parts["footer"].get("icon_url")):
            embed["footer"]["icon_url"] = record.mask(icon_url)
        return embed

    def description(self, record: FrozenRecord) -> str:
        """Return what was given, or its beginning."""
        return _begin(record.mask(self._description), lengths.DESCRIPTION)

    def footer(self, record: FrozenRecord) -> str:
        """Return what was given."""
        return record.mask(self._parts.get("footer", {}).get("text", ""))

    def fields(self, record: FrozenRecord) -> list[EmbedField]:
        """Return what was given."""
        mask = record.settings.masker.mask_value
        fields: list[EmbedField] = []
        for name, value, inline in self._fields:
            text = show_value(mask(name, value), lengths.EMBEDS_TOTAL)
            is_short = len(text) <= INLINE_VALUE and "\n" not in text
            fields.append({"name": name, "value": text, "inline": is_short if inline is None else inline})
        return fields


def _begin(text: str, limit: int) -> str:
    """Return as much of `text` as fits, with no code block left open."""
    shown = clean(text).strip()
    if len(shown) <= limit:
        return shown
    note_cut()
    return split_text(shown[: 2 * limit], limit - len(ELLIPSIS))[0] + ELLIPSIS
