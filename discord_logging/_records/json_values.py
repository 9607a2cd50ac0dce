"""This module turns frozen values into data that JSON keeps, and back."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

from discord_logging._records.attachment import Attachment
from discord_logging._records.values import UniqueText, UnquotedText
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging._records.values import Frozen

_SURROGATE = lazy_pattern(r"[\ud800-\udfff]")
_EXACT_INTEGER = 2**53
"""The first whole number that JavaScript and others read inexactly. `json` refuses a number of over 4,300 digits."""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turn every error of data that another version or program has written into one that callers know.

    Raises:
        KeyError, TypeError, ValueError: The data are not as expected.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def value_to_data(value: Frozen) -> Any:
    """Return a frozen value as JSON keeps it. A value without a form in JSON becomes an object with its type as key."""
    write = _WRITERS.get(type(value))
    return write(value) if write else value


_WRITERS: dict[type, Callable[[Any], Any]] = {
    # Two lone surrogates, a high one and a low one, would become one character on their way through JSON.
    str: lambda text: (
        text if text.isascii() or not _SURROGATE.search(text) else {"escaped": text.encode("unicode_escape").decode()}
    ),
    Attachment: lambda attachment: {"attachment": attachment.to_data()},
    UnquotedText: lambda text: {"words": value_to_data(str(text))},
    UniqueText: lambda text: {"unique": value_to_data(str(text))},
    tuple: lambda items: {"tuple": [*map(value_to_data, items)]},
    list: lambda items: [*map(value_to_data, items)],
    dict: lambda items: {"dict": [[value_to_data(name), value_to_data(value)] for name, value in items.items()]},
    float: lambda number: number if math.isfinite(number) else {"float": str(number)},
    int: lambda number: number if abs(number) < _EXACT_INTEGER else {"int": hex(number)},
}
_READERS: dict[str, Callable[[Any], Frozen]] = {
    "attachment": Attachment.from_data,
    "escaped": lambda text: text.encode().decode("unicode_escape"),
    "words": lambda text: UnquotedText(value_from_data(text)),
    "unique": lambda text: UniqueText(value_from_data(text)),
    "tuple": lambda items: tuple(map(value_from_data, items)),
    "dict": lambda items: {value_from_data(name): value_from_data(value) for name, value in items},
    "float": float,
    "int": lambda text: int(text, 16),
}


def value_from_data(data: Any) -> Any:
    """Return the value that `value_to_data` turned into `data`. Other data raise any error: read within `reading`."""
    if isinstance(data, list):
        return [value_from_data(each) for each in data]
    if isinstance(data, dict):
        ((kind, value),) = data.items()
        return _READERS[kind](value)
    return data
