"""This module copies the values of `extra` on the caller's thread, and shows them on the listener's thread.

Containers are copied as far as a reader would follow them. All else becomes text, so that no object is kept alive that
may change or that is large. The time is bounded with one exception: a `__repr__` or `__str__` of the user's own cannot
be interrupted, and runs to its end.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from array import array
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from pathlib import PurePath
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from discord_logging._records.attachment import Attachment
from discord_logging._text.markdown import ELLIPSIS, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Frozen: TypeAlias = (
    "str | int | float | bool | list[Frozen] | tuple[Frozen, ...] | dict[Any, Frozen] | Attachment | None"
)
"""A scalar, a text, an attachment, or a container of these."""

_MAX_DEPTH = 6
_MAX_ITEMS = 200
_MAX_CHARACTERS = 20_000
_MAX_VALUES = 500
"""The largest number of `extra` values of a record."""
_MAX_SHARED = 10
"""The number of large values for which the containers of a record have room together."""
_MAX_NAME = 250
"""The longest name of an `extra` value, in characters."""
_MAX_COPIED = 8_000_000
"""The longest text of a subclass of `str` that is copied whole, in characters. No message carries a longer one."""
_MAX_UNCOUNTED_NAME = 50
"""The longest key that is not counted, in characters."""
_MAX_WIDTH = 60
"""The longest container that is shown on one line, in characters."""


class UniqueText(str):
    """Text that differs each time, such as the id of a request: records that differ only there are repeats."""

    __slots__ = ()


_ATOMS = frozenset({int, float, bool, type(None)})
_SCALARS = _ATOMS | {str, UniqueText}
_MAPPINGS: frozenset[Any] = frozenset({dict, OrderedDict, Counter, defaultdict, MappingProxyType})
_DICTS: tuple[dict[Any, Any], ...] = ({}, OrderedDict())
_VIEWS = {type(view) for each in _DICTS for view in (each.keys(), each.values(), each.items())}
_SEQUENCES: frozenset[Any] = frozenset({list, tuple, set, frozenset, deque, array, *_VIEWS})
_BYTES: frozenset[Any] = frozenset({bytes, bytearray})
_CONTAINERS = _MAPPINGS | _SEQUENCES
# A subclass may do anything when its items are read. But if it has the `__repr__` of one of these types, the methods of
# that type read the items that `repr` would show.
_BASES: dict[Any, Any] = {kind.__repr__: kind for kind in (*_CONTAINERS, *_BYTES, str)}
_WRAPPERS: dict[Any, str] = {UserDict.__repr__: "data", UserList.__repr__: "data", ChainMap.__repr__: "maps"}
"""The methods `__repr__` that show one attribute, by the name of that attribute."""
_SHOWN_BY_REPR: frozenset[Any] = frozenset(kind.__str__ for kind in (object, *_CONTAINERS, *_BYTES))
"""The methods `__str__` that show the same items as `repr`."""
_READ_BY_STR = (date, time, timedelta, Decimal, PurePath, Enum)
"""The types whose values are easier to read as `str` than as `repr`, beside `uuid.UUID`."""

_FETCHED: Mapping[str, str] = MappingProxyType(
    {
        "django.db.models.query.QuerySet": "_result_cache",
        "django.db.models.query.RawQuerySet": "_result_cache",
        "django.utils.functional.LazyObject": "_wrapped",
        "mongoengine.queryset.base.BaseQuerySet": "_result_cache",
    }
)
"""The classes whose values ask a database when they are shown, and the attribute with what they have fetched."""

_BRACKETS: dict[type, tuple[str, str]] = {dict: ("{", "}"), list: ("[", "]"), tuple: ("(", ")")}
"""The brackets of a frozen container, by its type."""


class UnquotedText(str):
    """Text that a container shows without quotes: a value that was not a text, or a note about values left out."""

    __slots__ = ()
    __repr__ = str.__str__


class _Sample(NamedTuple):
    """All named tuples share the code of their `__repr__`."""


_NAMEDTUPLE_REPR = _Sample.__repr__.__code__

_SHORT_TYPES = _ATOMS | {UnquotedText}
"""The types of values that share a line in a long list."""


def read_only(path: str) -> Any:
    """Return an attribute that reads another one, such as `_count` or `_snapshot.name`."""
    return property(attrgetter(path))


def to_text(value: object, convert: Callable[[Any], str] = str) -> str:
    """Return `str(value)`, or a text that says why it failed. Never raises an `Exception`."""
    try:
        is_plain = convert is str and type(value).__str__ is str.__str__
        text: Any = value if is_plain else convert(value)
        # A subclass of str, such as markupsafe's Markup, would change the text that is later joined to it.
        return text if type(text) is str else cut_text(text, _MAX_COPIED)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        return _describe_failure(value, error)


def cut_text(text: str, limit: int) -> str:
    """Return the first `limit` characters of `text` as a plain `str`, with a note about the rest."""
    left_out = str.__len__(text) - limit
    # The methods are those of `str`, since a subclass may have others.
    return f"{str.__getitem__(text, slice(limit))}{ELLIPSIS} {left_out:,} more" if left_out > 0 else str.__str__(text)


def _describe_failure(value: object, error: Exception) -> str:
    return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def freeze_value(value: object) -> Frozen:
    """Return a copy of `value` that cannot change. Never raises an `Exception`.

    Scalars stay as they are. The built-in containers and those of `collections` become dicts, lists and tuples: up to 6
    levels deep, with up to 100 items in one, 200 items in all and about 20,000 characters. Where values are left out, a
    note says so. Named tuples and data classes are bounded likewise, and become text; so do bytes and all other values.
    Only a text, or the text of such another value, is kept whole. A value that would ask a database first, such as a
    `QuerySet` of Django, shows what it has fetched already.
    """
    return value if type(value) in _SCALARS else _Copier().freeze(value)  # type: ignore[return-value]  # a scalar, by its exact type


def freeze_values(values: Mapping[Any, object], left_out: Collection[Any] = ()) -> dict[str, Frozen]:
    """Return copies of the values of a record by name, as `freeze_value` makes them. Never raises an `Exception`.

    There are up to 500 of them, and their containers have up to 2,000 items and about 200,000 characters together.

    Args:
        values: The values by name.
        left_out: The names of the values to leave out.
    """
    frozen: dict[str, Frozen] = {}
    copier = _Copier()
    named = ((name, value) for name, value in values.items() if name not in left_out)
    for name, value in itertools.islice(named, _MAX_VALUES):
        is_name = type(name) is str and len(name) <= _MAX_NAME
        text = name if is_name else _to_key(cut_text(to_text(name), _MAX_NAME), frozen)
        frozen[text] = value if type(value) in _SCALARS else copier.freeze(value)  # type: ignore[assignment]  # as above
    if len(values) > _MAX_VALUES and (rest := len(values) - len(frozen) - sum(name in values for name in left_out)):
        frozen[_to_key(ELLIPSIS, frozen)] = f"{rest:,} more"
    return frozen


class _Copier:
    """Copies the values of a record, and counts how many characters and items may still be copied.

    Attributes:
        items, characters: The room for the present value.
        items_left, characters_left: The room for the values after it.
        path: The ids of the containers that hold the present item.
    """

    items = characters = 0
    items_left = _MAX_ITEMS * _MAX_SHARED
    characters_left = _MAX_CHARACTERS * _MAX_SHARED
    path: tuple[int, ...] = ()

    def freeze(self, value: Any) -> Frozen:
        """Copy a value that is in no container. Never raises an `Exception`."""
        kind: Any = type(value)
        if kind.__str__ not in _SHOWN_BY_REPR and not _find_fetched(kind):
            return to_text(value)
        self.items_left = items = self.items_left + self.items
        self.characters_left = characters = self.characters_left + self.characters
        self.items = min(items, _MAX_ITEMS)
        self.characters = min(characters, _MAX_CHARACTERS)
        self.items_left -= self.items
        self.characters_left -= self.characters
        try:
            frozen = self._walk(value, kind)
        except Exception as error:  # noqa: BLE001 - another thread may change the value meanwhile; the stack may be full
            self.path = ()
            return _describe_failure(value, error)
        if frozen is None:
            return to_text(value)
        return str(frozen) if type(frozen) is UnquotedText else frozen

    def copy(self, value: Any) -> Frozen:
        kind = type(value)
        if kind is str:
            if len(value) > self.characters // 2:
                return self._cut(value)
            self.characters -= len(value)
            return value  # type: ignore[no-any-return]  # as below
        if kind in _ATOMS:
            return value  # type: ignore[no-any-return]  # a scalar, by its exact type
        if (frozen := self._walk(value, kind)) is not None:
            return frozen
        return UnquotedText(self.copy(to_text(value, str if _is_read_by_str(kind) else repr)))

    def _walk(self, value: Any, kind: type) -> Frozen:
        """Return a copy of a container, or of a text or bytes; `None` for a value that only `repr` can show.

        An attachment, which never changes, is kept.
        """
        base = kind if kind in _CONTAINERS else _BASES.get(kind.__repr__)
        if base in _CONTAINERS:
            return self._copy_container(value, base)
        if base:
            return self._cut(value) if base is str else self._copy_bytes(value, base)
        # isinstance() would read `__class__`, for which a lazy object loads what it stands for.
        if attribute := _find_fetched(kind):
            return self._copy_fetched(value, attribute)
        if isinstance(value, Attachment):
            return value
        if inner := _WRAPPERS.get(kind.__repr__):
            return self.copy(getattr(value, inner))
        return self._copy_object(value, *fields) if (fields := _fields(value, kind)) else None

    def _cut(self, text: str) -> str:
        """Return the beginning of `text`. It gets half of the remaining room; the rest is for the next values."""
        cut = cut_text(text, self.characters // 2)
        self.characters -= min(str.__len__(text), self.characters // 2)
        return cut

    def _copy_bytes(self, value: bytes | bytearray, base: Any) -> UnquotedText:
        # Only the beginning is read, since the value may have a gigabyte.
        room, size = self.characters // 4, base.__len__(value)
        left_out = f"{ELLIPSIS} {size - room:,} more" if size > room else ""
        beginning = bytes(base.__getitem__(value, slice(room)))
        return UnquotedText(f"{self.copy(_read_bytes(beginning))}{left_out}")

    def _copy_container(self, value: Any, base: Any) -> Frozen:
        if id(value) in self.path:
            return _describe_circle(value)
        is_exact = type(value) is base
        size = len(value) if is_exact else base.__len__(value)
        path, room = self.path, self._enter(value, size)
        if base in _MAPPINGS:
            items = value.items() if is_exact else base.items(value)
            copied: Frozen = self._copy_items(_first(items, room, size), size - room)
        else:
            copied = self._copy_values(_first(value if is_exact else base.__iter__(value), room, size), size - room)
            copied = tuple(copied) if base is tuple else copied
        self.path = path
        return copied

    def _copy_object(self, value: Any, name: str, fields: Sequence[tuple[str, Any]]) -> UnquotedText:
        if id(value) in self.path:
            return _describe_circle(value)
        path, room = self.path, self._enter(value, len(fields))
        shown = [f"{field}={literal_line(self.copy(each))}" for field, each in fields[:room]]
        if len(fields) > room:
            shown.append(f"{ELLIPSIS} {len(fields) - room:,} more")
        self.path = path
        return UnquotedText(f"{name}({', '.join(shown)})")

    def _copy_fetched(self, value: Any, attribute: str) -> Frozen:
        state = object.__getattribute__(value, "__dict__")
        fetched, name = state.get(attribute), type(value).__name__
        if fetched is None or type(fetched) is object:  # Django's mark for nothing yet
            of = f" of {model.__name__}" if isinstance(model := state.get("model"), type) else ""
            return UnquotedText(f"<{name}{of}, not loaded>")
        copied = self.copy(fetched)
        return UnquotedText(f"<{name} {literal_line(copied)}>") if type(fetched) is list else copied

    def _enter(self, value: Any, size: int) -> int:
        """Return how many items of a container may be copied, and count them."""
        # A container gets half of the items that are left, and they are counted before its content is copied. Otherwise
        # a large container would leave nothing for its neighbours.
        room = min(size, (self.items + 1) // 2) if len(self.path) < _MAX_DEPTH else 0
        self.items -= room
        self.path = (*self.path, id(value))
        return room

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
    key = UnquotedText(literal_line(name)) if type(name) in _BRACKETS else name
    # The texts of two objects may be equal.
    names = itertools.chain([key], (UnquotedText(f"{key} #{number}") for number in itertools.count(2)))
    return next(each for each in names if each not in copied)


def _first(values: Iterable[Any], count: int, size: int) -> list[Any]:
    # list() copies a whole list in one step, in which no other thread can change it.
    return list(values if size <= count else itertools.islice(values, count))


def asks_database(value: object) -> bool:
    """Tell whether a value may ask a database when it is shown. Asks none, and loads no lazy object."""
    kind: Any = type(value)
    return _find_fetched(kind) is not None


@functools.lru_cache(maxsize=1_000)
def _find_fetched(kind: Any) -> str | None:
    """Return the attribute with what a value of this kind has fetched, or `None` for a kind that fetches nothing."""
    return next((_FETCHED[name] for base in kind.__mro__ if (name := _full_name(base)) in _FETCHED), None)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_read_by_str(kind: type) -> bool:
    # There is no UUID without `uuid`, whose import takes some milliseconds for that of `platform`.
    uuid = sys.modules.get("uuid")
    return issubclass(kind, (*_READ_BY_STR, getattr(uuid, "UUID", ())))


def _fields(value: Any, kind: Any) -> tuple[str, Sequence[tuple[str, Any]]] | None:
    """Return the name and the fields of an object whose `repr` shows just these, or `None` for another object."""
    show = kind.__repr__
    if show is SimpleNamespace.__repr__:
        return "namespace" if kind is SimpleNamespace else kind.__name__, list(vars(value).items())
    if getattr(show, "__code__", None) is _NAMEDTUPLE_REPR:
        return kind.__name__, list(zip(kind._fields, tuple.__iter__(value), strict=True))
    # As in `pprint`: this is the name of the `__repr__` that a data class gets if it has none of its own.
    if "__create_fn__" in getattr(getattr(show, "__wrapped__", None), "__qualname__", ""):
        fields = [field.name for field in dataclasses.fields(kind) if field.repr]
        return kind.__qualname__, [(name, getattr(value, name)) for name in fields]
    return None


def _describe_circle(value: object) -> UnquotedText:
    return UnquotedText(f"<{type(value).__name__} that holds itself>")


def _read_bytes(value: bytes) -> str:
    try:
        return f"b{value.decode()!r}"
    except UnicodeDecodeError:
        return repr(value)


def value_line(frozen: Frozen) -> str:
    """Return the whole of a frozen value as text: containers on one line."""
    return literal_line(frozen) if type(frozen) in _BRACKETS else to_text(frozen)


def show_value(frozen: Frozen, limit: int) -> str:
    """Return a frozen value as text of at most `limit` characters: long containers over several lines."""
    return shorten(_block(frozen, "") if type(frozen) in _BRACKETS else to_text(frozen), limit)


def literal_line(frozen: Frozen) -> str:
    """Return the whole of a frozen value as text on one line, as code would show it: a text in quotes."""
    if type(frozen) not in _BRACKETS:
        return to_text(frozen, repr)
    opening, closing = _BRACKETS[type(frozen)]
    return f"{opening}{', '.join(_parts(frozen, literal_line))}{closing}"


def _block(frozen: Any, indent: str) -> str:
    line = literal_line(frozen)
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
        return [f"{literal_line(name)}: {show(value)}" for name, value in frozen.items()]
    parts = [show(value) for value in frozen]
    return [f"{parts[0]},"] if type(frozen) is tuple and len(parts) == 1 else parts


def value_size(frozen: Frozen) -> int:
    """Return the estimated memory of a frozen value in bytes, one per character."""
    if isinstance(frozen, str):
        return len(frozen)
    if type(frozen) in _ATOMS:
        return 64
    if isinstance(frozen, Attachment):
        return 256 + frozen.held_bytes
    values: Any = (*frozen, *frozen.values()) if type(frozen) is dict else frozen
    size = 64
    for value in values:
        # Most values are texts and numbers, and callers of `logging` wait for this.
        kind = type(value)
        size += len(value) if kind is str else 64 if kind in _ATOMS else value_size(value)
    return size
