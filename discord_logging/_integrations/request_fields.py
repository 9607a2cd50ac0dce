"""The fields of a card that describe an HTTP request: few, short, and without secrets."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from discord_logging._masking.harmless import MASK
from discord_logging._records.parse import DEFAULT_MASKER
from discord_logging._records.values import UniqueText, to_text
from discord_logging._text.markdown import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_MAX_CHARACTERS = 500
_MAX_VALUES = 100
_ID_HEADERS = ("X-Request-ID", "X-Correlation-ID", "X-Amzn-Trace-Id", "traceparent")

# A record of a request asks for names in the logging call, which is not to wait until the patterns are compiled: one is
# for secrets, another for names that may be secrets.
DEFAULT_MASKER.is_secret("token")
DEFAULT_MASKER.is_secret("key")


def given(fields: Mapping[str, object]) -> dict[str, object]:
    """Return those of `fields` that have a value."""
    return {name: value for name, value in fields.items() if value}


def unique(value: object) -> UniqueText:
    """Return `value`, such as an id, shortened, as a text that does not keep repeats apart; `None` becomes ""."""
    return UniqueText("" if value is None else cut(to_text(value)))


def request_labels(method: str, path: str, header: Callable[[str], str | None]) -> dict[str, object]:
    """Return the fields that every record of a request shows."""
    return given({"method": cut(method), "path": path, "request_id": find_id(header)})


def cut(text: str) -> str:
    """Return `text`, shortened for a field."""
    return shorten(text, _MAX_CHARACTERS)


def first_values(lists: Iterable[tuple[str, Sequence[object]]]) -> dict[str, object]:
    """Return the values that a client sent, by name and up to a maximum; a list of one value becomes the value."""
    return {cut(name): found[0] if len(found) == 1 else found for name, found in islice(lists, _MAX_VALUES)}


def find_id(header: Callable[[str], str | None]) -> UniqueText | None:
    """Return the id that a proxy or a client gave the request, or `None`; `header` looks up a header."""
    return next((unique(found) for name in _ID_HEADERS if (found := header(name))), None)


def mask_values(text: str, arguments: Mapping[str, object]) -> str:
    """Return `text`, shortened, with the values of secret arguments masked, such as `token` in `/reset/<token>`."""
    for name, value in arguments.items():
        if DEFAULT_MASKER.is_secret(name) and (secret := to_text(value)):
            # A converter of a path may change the case, as Flask's for UUIDs does.
            text = re.sub(re.escape(secret), MASK, text, flags=re.IGNORECASE)
    return cut(text)
