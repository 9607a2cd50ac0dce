"""What a handler is told, checked when it is told.

Two values: `CardSettings` belongs to a handler and travels with its records; `DeliverySettings` belongs to the
webhook, which all its handlers share.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from discord_logging import _limits
from discord_logging._exceptions import InvalidSettingError
from discord_logging._text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COLORS = MappingProxyType({0: 0x95A5A6, 10: 0x95A5A6, 20: 0x3498DB, 30: 0xF1C40F, 40: 0xED4245, 50: 0x9B1C31})
EMOJIS = MappingProxyType({0: "🔍", 10: "🔍", 20: "ℹ️", 30: "⚠️", 40: "❌", 50: "🚨"})  # noqa: RUF001 - the emoji

_FORBIDDEN_IN_USERNAME = re.compile(r"clyde|discord", re.IGNORECASE)
_FORBIDDEN_USERNAMES = frozenset({"everyone", "here"})
_HTTP_URL = re.compile(r"https?://[^\s/]+\.[^\s/]+(?:/\S*)?")
_SNOWFLAKE = re.compile(r"[1-9][0-9]{0,19}")
_HEX_COLOR = re.compile(r"#([0-9a-fA-F]{6})")


@dataclass(frozen=True, eq=False)  # hashed with each record, so by identity
class CardSettings:
    """How the records of one handler look, and where in the webhook's channel they go."""

    formatter: Any
    username: str | None = None
    avatar_url: str | None = None
    thread_id: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    colors: Mapping[int, int] = field(default_factory=COLORS.copy)
    emojis: Mapping[int, str] = field(default_factory=EMOJIS.copy)

    @property
    def destination(self) -> tuple[str | None, ...]:
        """What two records must share to go out in one message."""
        return self.username, self.avatar_url, self.thread_id


@dataclass(frozen=True)
class DeliverySettings:
    """How the messages of one webhook are kept, sent and repeated. Times are in seconds."""

    queue_size: int = 10_000
    queue_bytes: int = 64_000_000
    max_lag: float = 5.0
    repeat_window: float = 60.0
    flush_timeout: float = 5.0
    timeout: float = 10.0
    retry_delays: tuple[float, ...] = (2.0, 3.0, 5.0)
    max_retry_delay: float = 60.0
    channel_limit: int | None = 30


def nearest_level(mapping: Mapping[int, Any], levelno: int) -> Any:
    """Return what belongs to `levelno`, or to the nearest level below it, or to the lowest."""
    return mapping[max((level for level in mapping if level <= levelno), default=min(mapping))]


def check_number(name: str, value: object, *, minimum: float, whole: bool = False) -> Any:
    """Return `value`, a number of at least `minimum`.

    Raises:
        InvalidSettingError: It is none, or larger than any clock or memory could take.
    """
    kind, largest = ("a whole number", 1e15) if whole else ("a number of seconds", 1e9)
    bound = f"at least {minimum:g}"
    if isinstance(value, int if whole else (int, float)) and not isinstance(value, bool):
        if minimum <= value <= largest:
            return value
        bound = f"at most {largest:g}" if largest < value < float("inf") else bound
    raise InvalidSettingError(f"{name} must be {kind}, {bound}, not {value!r}.")


def check_level(value: object) -> int | str:
    """Return `value`, a level's number or name.

    Raises:
        InvalidSettingError: It is none.
    """
    if isinstance(value, int) or (isinstance(value, str) and isinstance(logging.getLevelName(value), int)):
        return value
    raise InvalidSettingError(f"level must be a level such as 'ERROR' or 40, not {value!r}.")


def check_delays(name: str, value: object) -> tuple[float, ...]:
    """Return `value`, a list of seconds, as a tuple.

    Raises:
        InvalidSettingError: It is none, or empty.
    """
    if isinstance(value, (list, tuple)) and value:
        return tuple(float(check_number(f"{name}[{index}]", each, minimum=0)) for index, each in enumerate(value))
    raise InvalidSettingError(f"{name} must be a list of seconds such as [2, 3, 5], not {value!r}.")


def check_username(value: object) -> str | None:
    """Return `value`, a user name that Discord accepts, or `None`.

    The rules are at https://docs.discord.com/developers/resources/webhook#create-webhook.

    Raises:
        InvalidSettingError: It is none.
    """
    if value is None:
        return None
    # What os.environ makes of bytes that are no UTF-8 is answered with a 500 by Discord.
    name = clean(" ".join(value.split())) if isinstance(value, str) else ""
    allowed = 1 <= len(name) <= _limits.USERNAME and name.lower() not in _FORBIDDEN_USERNAMES
    if allowed and not _FORBIDDEN_IN_USERNAME.search(name):
        return name
    raise InvalidSettingError(
        f"username must be 1 to {_limits.USERNAME} characters without 'discord' or 'clyde' in them, "
        f"and neither 'everyone' nor 'here', not {value!r}."
    )


def check_avatar_url(value: object) -> str | None:
    """Return `value`, an address that Discord accepts for a picture, or `None`.

    Raises:
        InvalidSettingError: It is none.
    """
    if value is None:
        return None
    # A webhook URL, given by mistake, would show its token with every message.
    if isinstance(value, str) and len(value) <= _limits.URL and _HTTP_URL.fullmatch(value) and clean(value) == value:
        return value
    raise InvalidSettingError(f"avatar_url must be a http(s) URL on a public host, not {value!r}.")


def check_snowflake(name: str, value: object) -> str | None:
    """Return `value`, one of Discord's ids, as a string, or `None`.

    Raises:
        InvalidSettingError: It is none.
    """
    if value is None:
        return None
    if isinstance(value, (str, int)) and not isinstance(value, bool) and _SNOWFLAKE.fullmatch(str(value)):
        return str(value)
    raise InvalidSettingError(f"{name} must be an id such as '123456789012345678', not {value!r}.")


def check_enabled(value: object, *, name: str = "enabled") -> bool:
    """Return `value`, a bool or a word for one.

    Raises:
        InvalidSettingError: It is none.
    """
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    try:
        return words[value.strip().lower()]  # type: ignore[attr-defined]  # anything else raises and is named below
    except (AttributeError, KeyError):
        raise InvalidSettingError(f"{name} must be true or false, not {value!r}.") from None


def check_context(value: object) -> dict[str, str]:
    """Return `value`, a mapping of names to what is shown with every record, as text.

    Raises:
        InvalidSettingError: It is none.
    """
    if value is None:
        return {}
    return {str(name): str(each) for name, each in _check_mapping("context", value, "{'service': 'shop'}")}


def check_colors(value: object) -> Mapping[int, int]:
    """Return the standard colours with `value`, a mapping of levels to `0xRRGGBB` or `'#rrggbb'`, laid over them.

    Raises:
        InvalidSettingError: It is none.
    """
    if value is None:
        return COLORS
    pairs = _check_mapping("colors", value, "{'ERROR': '#ff0000'}")
    return MappingProxyType({**COLORS, **{_check_level("colors", level): _check_color(each) for level, each in pairs}})


def check_emojis(value: object) -> Mapping[int, str]:
    """Return the standard emojis with `value`, a mapping of levels to text, laid over them. `''` is no emoji.

    Raises:
        InvalidSettingError: It is none.
    """
    if value is None:
        return EMOJIS
    pairs = _check_mapping("emojis", value, "{'ERROR': '🔥'}")
    return MappingProxyType({**EMOJIS, **{_check_level("emojis", level): str(each) for level, each in pairs}})


def _check_mapping(name: str, value: object, example: str) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    raise InvalidSettingError(f"{name} must be a mapping such as {example}, not {value!r}.")


def _check_level(name: str, level: object) -> int:
    number: Any = logging.getLevelName(level) if isinstance(level, str) and not level.isdecimal() else level
    try:
        return int(number)
    except (OverflowError, TypeError, ValueError):
        raise InvalidSettingError(f"{name} must have levels such as 'ERROR' or 40 for keys, not {level!r}.") from None


def _check_color(color: object) -> int:
    if isinstance(color, str) and (match := _HEX_COLOR.fullmatch(color)):
        return int(match[1], 16)
    if isinstance(color, int) and not isinstance(color, bool) and 0 <= color <= _limits.COLOR:
        return color
    raise InvalidSettingError(f"colors must be 0xRRGGBB or '#rrggbb', not {color!r}.")
