"""This module turns the settings of cards into plain data, and back, so that another process can show the records.

The data contain no code and no class. Texts that a message shows are masked, since a store keeps the data.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from discord_logging._masking.masker import SecretMasker
from discord_logging._records.json_values import reading, value_from_data, value_to_data
from discord_logging._records.parse import DEFAULT_MASKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._records.settings import CardSettings

_MASKED = frozenset({"username", "thread_name", "source_url"})
"""The settings that a user gives as texts of any content, and that a message shows as they are."""


def write_settings(settings: CardSettings) -> dict[str, Any]:
    """Return `settings` as data that JSON keeps, for `read_settings`. The formatter is left out."""
    data = {name: _plain(getattr(settings, name)) for name in _CHECKS if name != "words"}
    data["words"] = settings.masker.words
    for name in _MASKED:
        data[name] = _masked(data[name], settings.masker)
    return {name: value_to_data(value) for name, value in data.items()}


def read_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `CardSettings` that are in `data`; a later version may have written others as well.

    Raises:
        KeyError, TypeError, ValueError: A setting is not as `write_settings` writes it.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"settings must be a mapping, not {type(data).__name__}")
    given = {}
    for name, is_valid in _CHECKS.items():
        if name in data:
            with reading():
                value = value_from_data(data[name])
            if not is_valid(value):
                raise TypeError(f"{name} must not be {value!r:.200}")
            given[name] = value
    if "hidden_fields" in given:
        given["hidden_fields"] = frozenset(given["hidden_fields"])
    if "words" in given:
        given["masker"] = _make_masker(given.pop("words"))
    return given


def _plain(value: Any) -> Any:
    """Return the value of a setting with the types that JSON knows, without subclasses of them."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, frozenset)):
        return tuple(map(_plain, sorted(value) if isinstance(value, frozenset) else value))
    if isinstance(value, str):
        return str.__str__(value)
    # True and False stay.
    return int.__int__(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _masked(value: Any, masker: SecretMasker) -> Any:
    if isinstance(value, dict):
        return {level: _masked(item, masker) for level, item in value.items()}
    return masker.mask(value) if isinstance(value, str) else value


@functools.lru_cache(maxsize=16)
def _make_masker(words: tuple[str, ...]) -> SecretMasker:
    return DEFAULT_MASKER if words == DEFAULT_MASKER.words else SecretMasker(words)


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_text_or_none(value: object) -> bool:
    return value is None or _is_text(value)


def _is_number(value: object) -> bool:
    return type(value) is int


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_text, value))


def _are_by_level(value: object, is_valid: Callable[[object], bool]) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value)) and all(map(is_valid, value.values()))


def _is_look(value: object) -> bool:
    return _is_text_or_none(value) or (bool(value) and _are_by_level(value, _is_text_or_none))


def _is_context(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(name) and _is_text(item) for name, item in value.items())


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "username": _is_look,
    "avatar_url": _is_look,
    "thread_id": _is_text_or_none,
    "thread_name": _is_text_or_none,
    "applied_tags": _are_texts,
    "context": _is_context,
    "fields": lambda value: value is None or _are_texts(value),
    "hidden_fields": _are_texts,
    "colors": lambda value: bool(value) and _are_by_level(value, _is_number),
    "emojis": lambda value: bool(value) and _are_by_level(value, _is_text),
    "mentions": lambda value: _are_by_level(value, _is_text),
    "silent_below": _is_number,
    "source_url": _is_text_or_none,
    "own_packages": _are_texts,
    "show_locals": _is_text_or_none,
    "is_notice": _is_flag,
    "words": _are_texts,
}
"""The settings in the data, each with a function that tells whether a value is valid."""
