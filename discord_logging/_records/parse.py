"""This module reads the values of settings: each function takes what a user gave, and returns what the code needs."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from discord_logging._discord import lengths
from discord_logging._exceptions import InvalidSettingError, suggest
from discord_logging._masking.masker import SecretMasker
from discord_logging._process.environment import NO, YES
from discord_logging._records.values import to_text
from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COLORS = MappingProxyType({0: 0x95A5A6, 10: 0x95A5A6, 20: 0x3498DB, 30: 0xF1C40F, 40: 0xED4245, 50: 0x9B1C31})
EMOJIS = MappingProxyType({0: "🔍", 10: "🔍", 20: "ℹ️", 30: "⚠️", 40: "❌", 50: "🚨"})  # noqa: RUF001 - the emoji

_FORBIDDEN_IN_USERNAME = lazy_pattern(r"clyde|discord", re.IGNORECASE)
_FORBIDDEN_USERNAMES = frozenset({"everyone", "here"})
_HTTP_URL = lazy_pattern(r"https?://[^\s/]+\.[^\s/]+(?:/\S*)?")
_SNOWFLAKE = lazy_pattern(r"[1-9][0-9]{0,19}")
LEVEL_RULE = "be a level such as 'ERROR' or 40"
MENTION = lazy_pattern(r"<@(?P<kind>&?)(?P<id>[1-9][0-9]{0,19})>|@everyone|@here")
DEFAULT_MASKER = SecretMasker()
_HEX_COLOR = lazy_pattern(r"(?:#|0x)([0-9a-fA-F]{6})")
_NUMBER = lazy_pattern(r"[0-9]+(\.[0-9]+)?")
_MAX_DIGITS = 40
_LEVELS = ("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def is_blank(value: object) -> bool:
    """Tell whether an option is not given: files of settings have `null` or an empty text for it."""
    return value is None or (isinstance(value, str) and not value.strip())


def parse_number(name: str, value: object, *, minimum: float, whole: bool = False) -> Any:
    """Return `value`, a number of at least `minimum`, or a text such as `"10"` or `"2.5"` for it.

    Raises:
        InvalidSettingError: `value` is not such a number, or is larger than any clock or memory can hold.
    """
    kind, largest = ("a whole number", 1e15) if whole else ("a number of seconds", 1e9)
    bound = f"at least {minimum:g}"
    number = _read_number(value.strip()) if isinstance(value, str) else value
    if isinstance(number, int if whole else (int, float)) and not isinstance(number, bool):
        if minimum <= number <= largest:
            return number
        bound = f"at most {largest:g}" if largest < number < float("inf") else bound
    raise InvalidSettingError(f"{name} must be {kind}, {bound}, not {value!r}.")


def _read_number(text: str) -> float | str:
    """Return the number that a file of settings has as text, or `text` if it is none."""
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_DIGITS else None
    return (float if match[1] else int)(text) if match else text


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

    A level with an empty value has `None` too.

    Raises:
        InvalidSettingError: A level or a value is not valid.
    """
    if not isinstance(value, Mapping):
        return parse(value)
    return {
        logging.NOTSET: None,
        **_parse_levels(name, value, lambda each: None if is_blank(each) else parse(each)),
    }


def _parse_levels(name: str, value: object, parse: Callable[[Any], Any], example: str = "") -> dict[int, Any]:
    """Return the number of each level of a mapping with its value, which `parse` checks."""
    if not isinstance(value, Mapping):
        raise InvalidSettingError(f"{name} must be a mapping such as {example}, not {value!r}.")
    parsed: dict[int, Any] = {}
    for level, each in value.items():
        levelno = parse_level(name, level)
        try:
            parsed[levelno] = parse(each)
        except InvalidSettingError as error:
            raise InvalidSettingError(f"{error} The value is that of the level {level!r}.") from None
    return parsed


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


def parse_fields(value: object) -> tuple[tuple[str, ...] | None, frozenset[str]]:
    """Return the names of the values to show, `None` for all, and the names of those to hide.

    A list that has only names with a `-` before them hides these.

    Raises:
        InvalidSettingError: `value` is not a list of names.
    """
    names = parse_names("fields", value)
    if names and all(name.startswith("-") and len(name) > 1 for name in names):
        return None, frozenset(name[1:] for name in names)
    return names, frozenset()


def parse_packages(value: object) -> tuple[str, ...]:
    """Return `value`, a list of import names, as a tuple.

    Raises:
        InvalidSettingError: `value` is not a list of import names.
    """
    packages = parse_names("own_packages", value, "acme") or ()
    for package in packages:
        if not all(part.isidentifier() for part in package.split(".")):
            raise InvalidSettingError(f"own_packages must be names as in an import, such as 'acme', not {package!r}.")
    return packages


def parse_show_locals(value: object) -> str | None:
    """Return `value`, the frames whose local variables are shown, or `None` for none.

    Raises:
        InvalidSettingError: `value` is neither 'own', None nor False.
    """
    if value is None or value is False:
        return None
    if value == "own":
        return "own"
    raise InvalidSettingError(f"show_locals must be 'own', for frames of the program itself, or None, not {value!r}.")


def parse_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return `value`, one of a few words.

    Raises:
        InvalidSettingError: `value` is none of them.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise InvalidSettingError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r:.100}.")


def parse_mentions(value: object) -> Mapping[int, str]:
    """Return `value`, a mapping of levels to mentions; an empty one notifies nobody.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return {}
    levels = _parse_levels("mentions", value, _parse_mention, "{'CRITICAL': '<@&123456789012345678>'}")
    return {logging.NOTSET: "", **levels}


def _parse_mention(value: object) -> str:
    if is_blank(value):
        return ""
    if isinstance(value, str) and MENTION.fullmatch(value):
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


def parse_switch(name: str, value: object, *, default: bool) -> bool:
    """Return the value of a setting that is true or false.

    Raises:
        InvalidSettingError: The value is neither, nor blank.
    """
    return default if is_blank(value) else parse_enabled(value, name=name)


def parse_enabled(value: object, *, name: str = "enabled") -> bool:
    """Return `value`, a bool, 0 or 1, or a word for a bool.

    Raises:
        InvalidSettingError: `value` is neither a bool nor such a word.
    """
    if isinstance(value, bool) or (type(value) is int and value in (0, 1)):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in YES | NO:
        return word in YES
    raise InvalidSettingError(
        f"{name} must be true or false, not {value!r}. As text it is one of true, yes, on, 1, false, no, off and 0."
    )


def parse_context(value: object) -> dict[str, str]:
    """Return `value`, a mapping of names to values that are shown with every record, with texts as values.

    Empty values are left out.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidSettingError(f"context must be a mapping such as {{'service': 'shop'}}, not {value!r}.")
    return {to_text(name): to_text(each) for name, each in value.items() if not (is_blank(name) or is_blank(each))}


def parse_colors(value: object) -> Mapping[int, int]:
    """Return the standard colours with `value`, a mapping of levels to `0xRRGGBB` or `'#rrggbb'`, laid over them.

    A level with an empty value keeps the standard colour.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return COLORS
    levels = _parse_levels(
        "colors", value, lambda each: None if is_blank(each) else parse_color("colors", each), "{'ERROR': '#ff0000'}"
    )
    return MappingProxyType({**COLORS, **{level: color for level, color in levels.items() if color is not None}})


def parse_emojis(value: object) -> Mapping[int, str]:
    """Return the standard emojis with `value`, a mapping of levels to text, laid over them.

    An empty value stands for no emoji.

    Raises:
        InvalidSettingError: `value` is not such a mapping.
    """
    if value is None:
        return EMOJIS
    return MappingProxyType({**EMOJIS, **_parse_levels("emojis", value, _parse_emoji, "{'ERROR': '🔥'}")})


def _parse_emoji(value: object) -> str:
    if is_blank(value):
        return ""
    if isinstance(value, str):
        return value
    raise InvalidSettingError(f"emojis must be texts such as '🔥', or '' for no emoji, not {value!r}.")


def parse_level(name: str, level: object, rule: str = "have levels such as 'ERROR' or 40 for keys") -> int:
    """Return the number of `level`, a level's number or name.

    Raises:
        InvalidSettingError: `level` is not a level.
    """
    number: Any = logging.getLevelName(level) if isinstance(level, str) and not level.isdecimal() else level
    try:
        return int("no level" if isinstance(number, (bool, float)) else number)
    except (OverflowError, TypeError, ValueError):
        hint = suggest(level.strip().upper(), _LEVELS) if isinstance(level, str) else ""
        raise InvalidSettingError(f"{name} must {rule}, not {level!r}.{hint}") from None


def parse_color(name: str, color: object) -> int:
    """Return the number of `color`, `0xRRGGBB` as a number or a text, or `'#rrggbb'`.

    Raises:
        InvalidSettingError: `color` is not a colour.
    """
    if isinstance(color, str) and (match := _HEX_COLOR.fullmatch(color)):
        return int(match[1], 16)
    if isinstance(color, int) and not isinstance(color, bool) and 0 <= color <= lengths.COLOR:
        return color
    raise InvalidSettingError(f"{name} must be 0xRRGGBB or '#rrggbb', not {color!r}.")
