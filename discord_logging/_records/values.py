"""This module copies the values of `extra` on the caller's thread, and shows them on the listener's thread.

The built-in containers are copied as far as a reader would follow them. All else becomes text, so that no object is
kept alive that may change or that is large.
"""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from discord_logging._text.markdown import ELLIPSIS, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

Frozen: TypeAlias = "str | int | float | bool | list[Frozen] | tuple[Frozen, ...] | dict[Any, Frozen] | None"
"""A scalar, a text, or a container of these."""

_MAX_DEPTH = 6
_MAX_ITEMS = 200
_MAX_CHARACTERS = 20_000
_MAX_UNCOUNTED_NAME = 50
"""The longest key that is not counted, in characters."""
_MAX_WIDTH = 60
"""The longest container that is shown on one line, in characters."""

# Only exact types are walked: a subclass may do anything when its items are read.
_ATOMS = frozenset({int, float, bool, type(None)})
_SCALARS = _ATOMS | {str}
_MAPPINGS = frozenset({dict, OrderedDict, Counter, defaultdict})
_SEQUENCES = frozenset({list, tuple, set, frozenset, deque})
_BYTES = frozenset({bytes, bytearray})
_WALKED = _MAPPINGS | _SEQUENCES | _BYTES
_READ_BY_STR = (date, time, timedelta, Decimal, UUID, PurePath, Enum)
"""The types whose values are easier to read as `str` than as `repr`."""

_BRACKETS: dict[type, tuple[str, str]] = {dict: ("{", "}"), list: ("[", "]"), tuple: ("(", ")")}
"""The brackets of a frozen container, by its type."""


class UnquotedText(str):
    """Text that a container shows without quotes: a value that was not a text, or a note about values left out."""

    __slots__ = ()
    __repr__ = str.__str__


_SHORT_TYPES = _ATOMS | {UnquotedText}
"""The types of values that share a line in a long list."""


def read_only(path: str) -> Any:
    """Return an attribute that reads another one, such as `_count` or `_snapshot.name`."""
    return property(attrgetter(path))


def to_text(value: object, convert: Callable[[Any], str] = str) -> str:
    """Return `str(value)`, or a text that says why it failed. Never raises an `Exception`."""
    try:
        text = convert(value)
        # A subclass of str, such as markupsafe's Markup, would change the text that is later joined to it.
        return text if type(text) is str else str.__str__(text)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def freeze_value(value: object) -> Frozen:
    """Return a copy of `value` that cannot change. Never raises an `Exception`.

    Scalars stay as they are. The built-in containers and those of `collections` become dicts, lists and tuples: up to 6
    levels deep, with up to 100 items in one, 200 items in all and about 20,000 characters. Where values are left out, a
    note says so. Bytes and all other values become text.
    """
    if type(value) in _SCALARS:
        return value  # type: ignore[return-value]  # a scalar, by its exact type
    if type(value) not in _WALKED:
        return to_text(value)
    try:
        frozen = _Copier().copy(value)
    except Exception as error:  # noqa: BLE001 - another thread may change the value meanwhile; the stack may be full
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return str(frozen) if type(frozen) is UnquotedText else frozen


class _Copier:
    """Copies one value, and counts how many characters and items may still be copied."""

    characters = _MAX_CHARACTERS
    items = _MAX_ITEMS
    path: tuple[int, ...] = ()

    def copy(self, value: Any) -> Frozen:
        kind = type(value)
        if kind is str:
            if len(value) > self.characters // 2:
                return self._cut(value)
            self.characters -= len(value)
            return value  # type: ignore[no-any-return]  # as below
        if kind in _ATOMS:
            return value  # type: ignore[no-any-return]  # a scalar, by its exact type
        if kind in _BYTES:
            return self._copy_bytes(value)
        if kind in _WALKED:
            return self._copy_container(value)
        return UnquotedText(self.copy(to_text(value, str if issubclass(kind, _READ_BY_STR) else repr)))

    def _cut(self, text: str) -> str:
        """Return the beginning of `text`. It gets half of the remaining room; the rest is for the next values."""
        room = self.characters // 2
        self.characters -= room
        return f"{text[:room]}{ELLIPSIS} {len(text) - room:,} more"

    def _copy_bytes(self, value: bytes | bytearray) -> UnquotedText:
        # Only the beginning is read, since the value may have a gigabyte.
        room = self.characters // 4
        left_out = f"{ELLIPSIS} {len(value) - room:,} more" if len(value) > room else ""
        return UnquotedText(f"{self.copy(_read_bytes(bytes(value[:room])))}{left_out}")

    def _copy_container(self, value: Any) -> Frozen:
        if id(value) in self.path:
            return UnquotedText(f"<{type(value).__name__} that holds itself>")
        # A container gets half of the items that are left, and they are counted before its content is copied. Otherwise
        # a large container would leave nothing for its neighbours.
        room = min(len(value), (self.items + 1) // 2) if len(self.path) < _MAX_DEPTH else 0
        self.items -= room
        path, self.path = self.path, (*self.path, id(value))
        left_out = len(value) - room
        if type(value) in _MAPPINGS:
            copied: Frozen = self._copy_items(_first(value.items(), room), left_out)
        else:
            items = self._copy_values(_first(value, room), left_out)
            copied = tuple(items) if type(value) is tuple else items
        self.path = path
        return copied

    def _copy_items(self, items: Iterable[tuple[Any, Any]], left_out: int) -> dict[Any, Frozen]:
        copied: dict[Any, Frozen] = {}
        for key, value in items:
            # Most keys are short names; to count them is not worth the time.
            is_name = type(key) is str and len(key) <= _MAX_UNCOUNTED_NAME and key not in copied
            name = key if is_name else _to_key(self.copy(key), copied)
            copied[name] = value if type(value) in _ATOMS else self.copy(value)
        if left_out:
            copied[_to_key(UnquotedText(ELLIPSIS), copied)] = UnquotedText(f"{left_out:,} more")
        return copied

    def _copy_values(self, values: Iterable[Any], left_out: int) -> list[Frozen]:
        copied = [value if type(value) in _ATOMS else self.copy(value) for value in values]
        if left_out:
            copied.append(UnquotedText(f"{ELLIPSIS} {left_out:,} more"))
        return copied


def _to_key(name: Any, copied: dict[Any, Frozen]) -> Any:
    key = UnquotedText(_line(name)) if type(name) in _BRACKETS else name
    # The texts of two objects may be equal.
    names = itertools.chain([key], (UnquotedText(f"{key} #{number}") for number in itertools.count(2)))
    return next(each for each in names if each not in copied)


def _first(values: Collection[Any], count: int) -> list[Any]:
    # list() copies a whole list in one step, in which no other thread can change it.
    return list(values if len(values) <= count else itertools.islice(values, count))


def _read_bytes(value: bytes) -> str:
    try:
        return f"b{value.decode()!r}"
    except UnicodeDecodeError:
        return repr(value)


def value_line(frozen: Frozen) -> str:
    """Return the whole of a frozen value as text: containers on one line."""
    return _line(frozen) if type(frozen) in _BRACKETS else to_text(frozen)


def show_value(frozen: Frozen, limit: int) -> str:
    """Return a frozen value as text of at most `limit` characters: long containers over several lines."""
    return shorten(_block(frozen, "") if type(frozen) in _BRACKETS else to_text(frozen), limit)


def _line(frozen: Frozen) -> str:
    if type(frozen) not in _BRACKETS:
        return to_text(frozen, repr)
    opening, closing = _BRACKETS[type(frozen)]
    return f"{opening}{', '.join(_parts(frozen, _line))}{closing}"


def _block(frozen: Any, indent: str) -> str:
    line = _line(frozen)
    if type(frozen) not in _BRACKETS:
        return line.replace("\n", f"\n{indent}")
    if len(indent) + len(line) <= _MAX_WIDTH and "\n" not in line:
        return line
    inner = f"{indent}  "
    opening, closing = _BRACKETS[type(frozen)]
    parts = _parts(frozen, lambda value: _block(value, inner))
    if type(frozen) is not dict and "\n" not in line and all(type(value) in _SHORT_TYPES for value in frozen):
        parts = _fill(parts, _MAX_WIDTH - len(inner) - 1)
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"


def _fill(parts: list[str], width: int) -> list[str]:
    lines = parts[:1]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def _parts(frozen: Any, show: Callable[[Frozen], str]) -> list[str]:
    if type(frozen) is dict:
        return [f"{_line(name)}: {show(value)}" for name, value in frozen.items()]
    parts = [show(value) for value in frozen]
    return [f"{parts[0]},"] if type(frozen) is tuple and len(parts) == 1 else parts


def value_size(frozen: Frozen) -> int:
    """Return the estimated memory of a frozen value in bytes, one per character."""
    if isinstance(frozen, str):
        return len(frozen)
    if isinstance(frozen, dict):
        return 64 + sum(map(value_size, frozen)) + sum(map(value_size, frozen.values()))
    if isinstance(frozen, (list, tuple)):
        return 64 + sum(map(value_size, frozen))
    return 64
