"""This module checks the settings of a handler when they are given.

`CardSettings` belong to one handler and travel with its records. `DeliverySettings` belong to a webhook, and all its
handlers share them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from discord_logging._discord import lengths
from discord_logging._exceptions import InvalidSettingError
from discord_logging._masking.masker import SecretMasker
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COLORS = MappingProxyType({0: 0x95A5A6, 10: 0x95A5A6, 20: 0x3498DB, 30: 0xF1C40F, 40: 0xED4245, 50: 0x9B1C31})
EMOJIS = MappingProxyType({0: "🔍", 10: "🔍", 20: "ℹ️", 30: "⚠️", 40: "❌", 50: "🚨"})  # noqa: RUF001 - the emoji

_FORBIDDEN_IN_USERNAME = re.compile(r"clyde|discord", re.IGNORECASE)
_FORBIDDEN_USERNAMES = frozenset({"everyone", "here"})
_HTTP_URL = re.compile(r"https?://[^\s/]+\.[^\s/]+(?:/\S*)?")
_SNOWFLAKE = re.compile(r"[1-9][0-9]{0,19}")
_MINIMA = {"queue_size": 1, "queue_bytes": 1, "timeout": 0.1, "max_retry_delay": 1}
_WHOLE_NUMBERS = frozenset({"queue_size", "queue_bytes"})
MENTION = re.compile(r"<@(?P<kind>&?)(?P<id>[1-9][0-9]{0,19})>|@everyone|@here")
DEFAULT_MASKER = SecretMasker()
_HEX_COLOR = re.compile(r"#([0-9a-fA-F]{6})")


@dataclass(frozen=True, eq=False)  # each record is hashed with its settings, so by identity
class CardSettings:
    """The settings for the look of one handler's records, and for their destination in the webhook's channel."""

    formatter: Any
    username: str | Mapping[int, str | None] | None = None
    avatar_url: str | Mapping[int, str | None] | None = None
    thread_id: str | None = None
    thread_name: str | None = None
    applied_tags: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] | None = None
    colors: Mapping[int, int] = field(default_factory=COLORS.copy)
    emojis: Mapping[int, str] = field(default_factory=EMOJIS.copy)
    mentions: Mapping[int, str] = field(default_factory=dict)
    silent_below: int = 0
    source_url: str | None = None
    own_packages: tuple[str, ...] = ()
    masker: SecretMasker = DEFAULT_MASKER
    number: int = field(default_factory=itertools.count(1).__next__, init=False)
    """The number that names these settings within this process."""

    @classmethod
    def from_options(
        cls,
        formatter: Any,
        *,
        username: object,
        avatar_url: object,
        thread_id: object,
        thread_name: object,
        applied_tags: object,
        context: object,
        fields: object,
        colors: object,
        emojis: object,
        mentions: object,
        silent_below: object,
        source_url: object,
        own_packages: object,
        redact: object,
    ) -> CardSettings:
        """Return the settings.

        Raises:
            InvalidSettingError: A setting has a wrong type or value.
        """
        thread_id = parse_snowflake("thread_id", thread_id)
        tags = parse_tags(applied_tags)
        masker = parse_redact(redact)
        if tags and thread_name is None:
            raise InvalidSettingError("applied_tags are the tags of a new post: give thread_name, its title, as well.")
        return cls(
            formatter,
            username=parse_by_level("username", username, parse_username),
            avatar_url=parse_by_level("avatar_url", avatar_url, parse_avatar_url),
            thread_id=thread_id,
            thread_name=parse_thread_name(thread_name, thread_id),
            applied_tags=tags,
            context={name: str(masker.mask_value(name, value)) for name, value in parse_context(context).items()},
            fields=parse_names("fields", fields),
            colors=parse_colors(colors),
            emojis=parse_emojis(emojis),
            mentions=parse_mentions(mentions),
            silent_below=parse_level("silent_below", silent_below, "be a level such as 'ERROR' or 40"),
            source_url=parse_source_url(source_url),
            own_packages=parse_packages("own_packages", own_packages),
            masker=masker,
        )

    @cached_property
    def destination(self) -> tuple[Any, ...]:
        """The settings that two records must share to go out in one message."""
        looks = (
            tuple(each.items()) if isinstance(each, Mapping) else each for each in (self.username, self.avatar_url)
        )
        return *looks, self.thread_id, self.thread_name, self.applied_tags

    @cached_property
    def digest(self) -> str:
        """A text that is equal, in any process, for settings that show records alike and at the same destination."""
        shown = [
            (each.name, _plain(getattr(self, each.name)))
            for each in dataclasses.fields(self)
            if each.name not in ("number", "formatter")
        ]
        formatter = type(self.formatter)
        text = repr((formatter.__module__, formatter.__qualname__, shown))
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:32]

    def shows_like(self, other: CardSettings) -> bool:
        """Tell whether a record would look the same with `other`, at the same destination."""
        return self is other or (self.digest == other.digest and _state(self.formatter) == _state(other.formatter))


def _state(formatter: Any) -> dict[str, Any]:
    """Return the attributes of a formatter, which is equal to another one of its class if they are."""
    values = vars(formatter).items()
    return {name: (type(each), vars(each)) if isinstance(each, logging.PercentStyle) else each for name, each in values}


@dataclass(frozen=True)
class DeliverySettings:
    """The settings for the queue, the requests and the retries of one webhook. Times are in seconds."""

    queue_size: int = 10_000
    queue_bytes: int = 64_000_000
    max_lag: float = 5.0
    repeat_window: float = 60.0
    flush_timeout: float = 5.0
    timeout: float = 10.0
    retry_delays: tuple[float, ...] = (2.0, 3.0, 5.0)
    max_retry_delay: float = 60.0
    channel_limit: int | None = 30
    mention_interval: float = 300.0

    @classmethod
    def from_options(cls, *, retry_delays: object, channel_limit: object, **numbers: object) -> DeliverySettings:
        """Return the settings.

        Raises:
            InvalidSettingError: A setting has a wrong type or value.
        """
        return cls(
            retry_delays=parse_delays("retry_delays", retry_delays),
            channel_limit=None
            if channel_limit is None
            else parse_number("channel_limit", channel_limit, minimum=1, whole=True),
            **{
                name: parse_number(name, value, minimum=_MINIMA.get(name, 0.0), whole=name in _WHOLE_NUMBERS)
                for name, value in numbers.items()
            },
        )


def _plain(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, Mapping) else value


def at_level(value: Any, levelno: int) -> Any:
    """Return `value`; from a mapping of levels, return its value for `levelno`."""
    return nearest_level(value, levelno) if isinstance(value, Mapping) else value


def nearest_level(mapping: Mapping[int, Any], levelno: int) -> Any:
    """Return the value for `levelno`, or for the nearest level below it, or for the lowest level."""
    return mapping[max((level for level in mapping if level <= levelno), default=min(mapping))]


def parse_number(name: str, value: object, *, minimum: float, whole: bool = False) -> Any:
    """Return `value`, a number of at least `minimum`.

    Raises:
        InvalidSettingError: `value` is not such a number, or is larger than any clock or memory can hold.
    """
    kind, largest = ("a whole number", 1e15) if whole else ("a number of seconds", 1e9)
    bound = f"at least {minimum:g}"
    if isinstance(value, int if whole else (int, float)) and not isinstance(value, bool):
        if minimum <= value <= largest:
            return value
        bound = f"at most {largest:g}" if largest < value < float("inf") else bound
    raise InvalidSettingError(f"{name} must be {kind}, {bound}, not {value!r}.")


def parse_delays(name: str, value: object) -> tuple[float, ...]:
    """Return `value`, a list of seconds, as a tuple.

    Raises:
        InvalidSettingError: `value` is not a list of seconds, or is empty.
    """
    if isinstance(value, (list, tuple)) and value:
        return tuple(float(parse_number(f"{name}[{index}]", each, minimum=0)) for index, each in enumerate(value))
    raise InvalidSettingError(f"{name} must be a list of seconds such as [2, 3, 5], not {value!r}.")


def parse_by_level(name: str, value: object, parse: Callable[[object], Any]) -> Any:
    """Return `value`, or a mapping of levels to values, each checked; levels below the lowest have `None`.

    Raises:
        InvalidSettingError: A level or a value is not valid.
    """
    if not isinstance(value, Mapping):
        return parse(value)
    return {logging.NOTSET: None, **{parse_level(name, level): parse(each) for level, each in value.items()}}


def parse_username(value: object) -> str | None:
    """Return `value`, a user name that Discord accepts, or `None`.

    The rules are at https://docs.discord.com/developers/resources/webhook#create-webhook.

    Raises:
        InvalidSettingError: `value` is not a name that Discord accepts.
    """
    if value is None:
        return None
    # os.environ has surrogates for bytes that are not UTF-8; Discord responds to them with a 500.
    name = clean(" ".join(value.split())) if isinstance(value, str) else ""
    allowed = 1 <= len(name) <= lengths.USERNAME and name.lower() not in _FORBIDDEN_USERNAMES
    if allowed and not _FORBIDDEN_IN_USERNAME.search(name):
        return name
    raise InvalidSettingError(
        f"username must be 1 to {lengths.USERNAME} characters without 'discord' or 'clyde' in them, "
        f"and neither 'everyone' nor 'here', not {value!r}."
    )


def parse_avatar_url(value: object) -> str | None:
    """Return `value`, an address that Discord accepts for a picture, or `None`.

    Raises:
        InvalidSettingError: `value` is not an address that Discord accepts.
    """
    if value is None:
        return None
    return parse_url("avatar_url", value)


def parse_url(name: str, value: object) -> str:
    """Return `value`, an address that Discord accepts.

    Raises:
        InvalidSettingError: `value` is not an address that Discord accepts.
    """
    if isinstance(value, str) and _is_url(value):
        return value
    raise InvalidSettingError(f"{name} must be a http(s) URL on a public host, not {value!r}.")


def _is_url(text: str) -> bool:
    # A webhook URL, given by mistake, would show its token with every message.
    return len(text) <= lengths.URL and _HTTP_URL.fullmatch(text) is not None and clean(text) == text


def parse_snowflake(name: str, value: object) -> str | None:
    """Return `value`, one of Discord's ids, as a string, or `None`.

    Raises:
        InvalidSettingError: `value` is not an id.
    """
    if value is None:
        return None
    if isinstance(value, (str, int)) and not isinstance(value, bool) and _SNOWFLAKE.fullmatch(str(value)):
        return str(value)
    raise InvalidSettingError(f"{name} must be an id such as '123456789012345678', not {value!r}.")


def parse_thread_name(value: object, thread_id: str | None) -> str | None:
    """Return `value`, the title of a forum post, or `None`.

    Raises:
        InvalidSettingError: `value` is not a title, or there is a `thread_id` as well, which Discord refuses (220002).
    """
    if value is None:
        return None
    name = clean(" ".join(value.split())) if isinstance(value, str) else ""
    if not 1 <= len(name) <= lengths.THREAD_NAME:
        raise InvalidSettingError(f"thread_name must be 1 to {lengths.THREAD_NAME} characters, not {value!r}.")
    if thread_id is not None:
        raise InvalidSettingError("thread_name opens a new post and thread_id is one that exists: give one of them.")
    return name


def parse_tags(value: object) -> tuple[str, ...]:
    """Return `value`, a list of ids of a forum's tags, as strings.

    Raises:
        InvalidSettingError: `value` is not a list of ids, or is too long.
    """
    if value is None:
        return ()
    if isinstance(value, (list, tuple)) and len(value) <= lengths.TAGS and None not in value:
        return tuple(str(parse_snowflake("applied_tags", each)) for each in value)
    raise InvalidSettingError(f"applied_tags must be a list of at most {lengths.TAGS} ids, not {value!r}.")


def parse_names(name: str, value: object, example: str = "order_id") -> tuple[str, ...] | None:
    """Return `value`, a list of names, as a tuple, or `None`.

    Raises:
        InvalidSettingError: `value` is not a list of names.
    """
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise InvalidSettingError(f"{name} must be a list of names such as [{example!r}], not {value!r}.")


def parse_packages(name: str, value: object) -> tuple[str, ...]:
    """Return `value`, a list of import names, as a tuple.

    Raises:
        InvalidSettingError: `value` is not a list of import names.
    """
    packages = parse_names(name, value, "acme") or ()
    for package in packages:
        if not all(part.isidentifier() for part in package.split(".")):
            raise InvalidSettingError(f"{name} must be names as in an import, such as 'acme', not {package!r}.")
    return packages


def parse_mentions(value: object) -> Mapping[int, str]:
    """Return `value`, a mapping of levels to mentions; `''` notifies nobody.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return {}
    pairs = _parse_mapping("mentions", value, "{'CRITICAL': '<@&123456789012345678>'}")
    return {logging.NOTSET: "", **{parse_level("mentions", level): _parse_mention(each) for level, each in pairs}}


def _parse_mention(value: object) -> str:
    if value == "" or (isinstance(value, str) and MENTION.fullmatch(value)):
        return value
    raise InvalidSettingError(
        f"mentions must be '<@&ID>' for a role, '<@ID>' for a user, '@everyone' or '@here', not {value!r}."
    )


def parse_redact(value: object) -> SecretMasker:
    """Return a masker for names that contain a word of `value`, a list; `None` stands for the standard list.

    Raises:
        InvalidSettingError: `value` is not a list of words.
    """
    words = parse_names("redact", value, "password")
    return DEFAULT_MASKER if words is None else SecretMasker(words)


def parse_source_url(value: object) -> str | None:
    """Return `value`, a template of the address of a line of source, or `None`.

    Raises:
        InvalidSettingError: `value` is not such a template.
    """
    if value is None:
        return None
    if isinstance(value, str) and "{path}" in value:
        url = fill_source_url(value, "shop/orders.py", "42")
        if _is_url(url) and not {"{", "}"} & set(url):
            return value
    example = "https://github.com/acme/shop/blob/main/{path}#L{line}"
    raise InvalidSettingError(f"source_url must be a template such as {example!r}, not {value!r}.")


def fill_source_url(template: str, path: str, line: str) -> str:
    """Return the address of a line of source."""
    # str.format may fail for some lines and not for others.
    return template.replace("{path}", path).replace("{line}", line)


def parse_enabled(value: object, *, name: str = "enabled") -> bool:
    """Return `value`, a bool or a word for a bool.

    Raises:
        InvalidSettingError: `value` is neither a bool nor such a word.
    """
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    try:
        return words[value.strip().lower()]  # type: ignore[attr-defined]  # anything else raises and is named below
    except (AttributeError, KeyError):
        raise InvalidSettingError(f"{name} must be true or false, not {value!r}.") from None


def parse_context(value: object) -> dict[str, str]:
    """Return `value`, a mapping of names to values that are shown with every record, with texts as values.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return {}
    return {str(name): str(each) for name, each in _parse_mapping("context", value, "{'service': 'shop'}")}


def parse_colors(value: object) -> Mapping[int, int]:
    """Return the standard colours with `value`, a mapping of levels to `0xRRGGBB` or `'#rrggbb'`, laid over them.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return COLORS
    pairs = _parse_mapping("colors", value, "{'ERROR': '#ff0000'}")
    return MappingProxyType(
        {**COLORS, **{parse_level("colors", level): parse_color("colors", each) for level, each in pairs}}
    )


def parse_emojis(value: object) -> Mapping[int, str]:
    """Return the standard emojis with `value`, a mapping of levels to text, laid over them. `''` stands for no emoji.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return EMOJIS
    pairs = _parse_mapping("emojis", value, "{'ERROR': '🔥'}")
    return MappingProxyType({**EMOJIS, **{parse_level("emojis", level): str(each) for level, each in pairs}})


def _parse_mapping(name: str, value: object, example: str) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    raise InvalidSettingError(f"{name} must be a mapping such as {example}, not {value!r}.")


def parse_level(name: str, level: object, rule: str = "have levels such as 'ERROR' or 40 for keys") -> int:
    """Return the number of `level`, a level's number or name.

    Raises:
        InvalidSettingError: `level` is not a level.
    """
    number: Any = logging.getLevelName(level) if isinstance(level, str) and not level.isdecimal() else level
    try:
        return int("no level" if isinstance(number, float) else number)
    except (OverflowError, TypeError, ValueError):
        raise InvalidSettingError(f"{name} must {rule}, not {level!r}.") from None


def parse_color(name: str, color: object) -> int:
    """Return the number of `color`, `0xRRGGBB` or `'#rrggbb'`.

    Raises:
        InvalidSettingError: `color` is not a colour.
    """
    if isinstance(color, str) and (match := _HEX_COLOR.fullmatch(color)):
        return int(match[1], 16)
    if isinstance(color, int) and not isinstance(color, bool) and 0 <= color <= lengths.COLOR:
        return color
    raise InvalidSettingError(f"{name} must be 0xRRGGBB or '#rrggbb', not {color!r}.")
