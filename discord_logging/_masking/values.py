"""A value ends where its quote, its bracket or its line ends."""

from __future__ import annotations

import sys

from discord_logging._masking.spans import MAX_VALUE, MAX_WORD, looks_random
from discord_logging._text.lazy_pattern import lazy_pattern

_CLOSERS = ")]}>.,;:!?\\\"'"
"""The signs that do not belong to a value without quotes that ends with them."""

QUOTE = lazy_pattern(r"[bBrRuUfF]{0,2}(\\{0,7})([\"'`])")
_BRACKET = lazy_pattern(r"\\[\s\S]|[\[\](){}\"']")
_LINE_END = lazy_pattern(r"[\r\n]|\\[rn]")
_BARE_END = lazy_pattern(
    r"\s|</|[\"'`](?=[\s,;:)\]}>.&|\\\"'`]|$)"
    r"|[,;&|](?=\s|$|[\"'\[{(]|(?P<name>[\w.-]{1,40}(?: [\w.-]{1,15}){0,2}[\"']?[=:]))"
)
_MORE_WORDS = lazy_pattern(r"(?: [^\s=:,;&\"'()\[\]{}<>]{6,60}(?!\S)){1,12}")
_NOT_RANDOM = lazy_pattern(r"[^A-Z]+|[^a-z]+|\D+")


def bare_end(text: str, start: int, limit: int = sys.maxsize) -> int:
    """Return where a value without quotes ends that starts, or goes on, at `start`; at most `limit`."""
    position = start
    limit = min(limit, len(text))
    while True:
        match = _BARE_END.search(text, position, limit)
        # A comma before something that looks random belongs to the value: `password=a,bvl7OiQVAw0R=x`.
        if not (match and match["name"] and looks_random(match["name"])):
            break
        position = match.end()
    return start + len(text[start : match.start() if match else limit].rstrip(_CLOSERS))


def word_at(text: str, start: int) -> str:
    """Return the first characters of a value without quotes."""
    return text[start : bare_end(text, start, start + MAX_WORD)] if text[start : start + 1].strip() else ""


def words_end(text: str, end: int) -> int:
    """Return where a value of several words ends whose first word ends at `end`: `hgB2hfY aaQt7 next`."""
    more = _MORE_WORDS.match(text, end)
    if more:
        for word in more[0].split(" ")[1:]:
            if _NOT_RANDOM.fullmatch(word):
                break
            end += 1 + len(word)
    return end


def closing_quote(text: str, start: int, quote: str, depth: int) -> int | None:
    """Return where a quoted text ends, or `None` if it does not end near.

    Args:
        text: The whole text.
        start: The position behind the opening quote.
        quote: The quote.
        depth: The number of backslashes before the opening quote: 0, and 1, 3, 7… for text within quoted text.
    """
    limit = start + MAX_VALUE
    position = text.find(quote, start, limit)
    begin = start
    while position >= 0:
        before = text[begin:position]
        backslashes = (len(before) - len(before.rstrip("\\"))) % (2 * depth + 2)
        if backslashes <= 2 * depth:
            return position - min(backslashes, depth)
        begin = position + 1
        position = text.find(quote, begin, limit)
    return None


def closing_bracket(text: str, start: int, distance: int = MAX_VALUE) -> int:
    """Return the end of the bracketed value that begins at `start`, or the position where the search gave up."""
    limit = min(start + distance, len(text))
    depth = 0
    position = start
    while match := _BRACKET.search(text, position, limit):
        position = match.end()
        if match[0] in "\"'":
            position = (closing_quote(text, position, match[0], 0) or position - 1) + 1
            continue
        depth += 1 if match[0] in "[({" else -1
        if depth == 0:
            return position
    return limit


def header_end(text: str, name: int, start: int) -> int:
    """Return where the value of a header ends: with the line, or with the quotes around the whole header."""
    limit = min(start + MAX_VALUE, len(text))
    quote = text[max(name - 1, 0) : name]
    if quote and quote in "\"'`":
        before = text[max(name - 8, 0) : name - 1]
        limit = closing_quote(text, start, quote, len(before) - len(before.rstrip("\\"))) or limit
    end = _LINE_END.search(text, start, limit)
    return start + len(text[start : end.start() if end else limit].rstrip())
