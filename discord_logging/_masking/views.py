r"""A text is read as its writer meant it: without percent-encoding, HTML entities, backslashes and look-alike signs.

Each view takes off one layer: `password%253D`, `password%3D`, `password=`. A position in a view leads back to the text.
"""

from __future__ import annotations

import html
from array import array
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from discord_logging._process.gil import yield_gil_between
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from discord_logging._masking.spans import Span

_MAX_LAYERS = 4
"""The number of layers that are taken off at most: JSON within JSON within a percent-encoded address has three."""
_PORTION = 10_000
"""The number of characters that are read at once, so that other threads get their turn."""
_LONGEST = 12
"""The longest sign that stands for another, in characters."""
_ASCII_SIGNS = "%&\\<"
"""The beginnings of the signs in ASCII that stand for others."""

_ENCODED = lazy_pattern(
    r"(%[0-9A-Fa-f]{2}"
    r"|&(?:#[0-9]{2,6}|#[xX][0-9A-Fa-f]{2,6}|[a-zA-Z]{2,6});"
    # The backslashes before quotes are left, for they tell how deep a value is nested.
    r"|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[^\w\s\"'\\]|_|[nrt])"
    r"|<U\+[0-9A-F]{4,6}>|[\u00ad\u061c\u200b-\u200f\u2060\ufeff])"
)
_ESCAPE = lazy_pattern(r"(\\)(?=[^\w\s]|_)")
_LOOK_ALIKES: dict[int, str | int] = {
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2039\u203a\u00b4"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u00ab\u00bb"), '"'),
    **dict.fromkeys(map(ord, "\u02d0\ua789\u2236\ufe55"), ":"),
    **dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " "),
    # Arrows
    **dict.fromkeys([0xFE66, *range(0x2190, 0x2200), *range(0x2794, 0x27BF)], "="),
    0x17F: "s",
    0x212A: "K",
    **{fullwidth: fullwidth - 0xFF01 + ord("!") for fullwidth in range(0xFF01, 0xFF5F)},
}
"""The signs that look like one of ASCII."""
_BACKSLASHED = {"\\n": "\n", "\\r": "\n", "\\t": "\t"}


class View:
    """A text without one layer of encoding.

    Attributes:
        text: The text to search.
    """

    def __init__(self, portions: Iterable[list[str]], inner: View | None = None) -> None:
        """Take the text in portions, each with plain text and encoded signs in turn, which ends with plain text."""
        texts: list[str] = []
        # Arrays are freed at once, where a million numbers would hold up other threads.
        self._starts, self._origins = array("q", [0]), array("q", [0])
        starts, origins = [0], [0]
        for parts in yield_gil_between(portions):
            decoded = [_decode(part) if index % 2 else part for index, part in enumerate(parts)]
            texts += decoded
            starts = list(accumulate(map(len, decoded), initial=starts[-1]))
            origins = list(accumulate(map(len, parts), initial=origins[-1]))
            # The plain text at the end of a portion continues in the next one.
            self._starts.extend(starts[1:-1])
            self._origins.extend(origins[1:-1])
        self.text = "".join(texts)
        self._inner = inner

    def original(self, span: Span) -> Span:
        """Return where the characters of `span` stand in the original text."""
        start, end = self._before(span[0]), self._before(span[1] - 1, behind=True)
        return self._inner.original((start, end)) if self._inner else (start, end)

    def _before(self, position: int, *, behind: bool = False) -> int:
        index = bisect_right(self._starts, position) - 1
        if index % 2:
            return self._origins[index + behind]
        return self._origins[index] + position - self._starts[index] + behind


def views(text: str) -> Iterator[View]:
    """Yield `text` without its outermost layer of encoding, without two layers, and so on."""
    if text.isascii() and "%" not in text and "&" not in text and "\\" not in text and "<" not in text:
        return
    view = None
    for _ in range(_MAX_LAYERS):
        view = View(_split(text), view)
        if view.text == text:
            return
        yield view
        text = view.text


def unescape(text: str) -> View:
    """Return `text` without the backslashes of Markdown."""
    return View([_ESCAPE.split(text)])


def _split(text: str) -> Iterator[list[str]]:
    """Yield the portions of a text, each with plain text and encoded signs in turn, which ends with plain text."""
    start = 0
    while start < len(text):
        end = start + _PORTION
        if end < len(text):
            # A sign must not be cut.
            cut = max(text.rfind(sign, end - _LONGEST, end) for sign in _ASCII_SIGNS)
            end = cut if cut >= 0 else end
        yield _ENCODED.split(text[start:end].translate(_LOOK_ALIKES))
        start = end


@lru_cache(5_000)
def _decode(sign: str) -> str:
    if sign[0] == "%":
        return chr(int(sign[1:], 16))
    if sign[0] == "&":
        return html.unescape(sign)
    if len(sign) > 1 and sign[0] == "\\":
        digits = sign[2:]
        return _BACKSLASHED.get(sign) or (chr(int(digits, 16)) if digits else sign[1:])
    return ""
