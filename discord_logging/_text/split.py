"""A long text is split where a reader would pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    import re

_FENCE = "```"
_CLOSING = f"\n{_FENCE}"
_OPENING = lazy_pattern(r"```(?:([\w+.#-]{1,20})(?=\n|$))?")
_MARK = lazy_pattern(r"\s*(?:(?=(?:#{1,3}|-#|[-*]|>|>>>)\s)|\d+(?=\.\s))")
"""The beginning of a heading, list or quote up to the sign that a backslash would escape."""
_PAUSES = tuple(map(lazy_pattern, (r"\n\s*\n", r"\n", r"(?<=[.!?…])\s", r"\s")))
"""The pauses between paragraphs, lines, sentences and words, the best first."""


def split_text(text: str, limit: int) -> list[str]:
    """Return `text` in parts of at most `limit` characters that are not blank.

    Only white space at a cut is lost. A code block that is cut is closed and opened anew. A sign that the cut would put
    at the beginning of a line, where it would be a mark, is escaped.

    Args:
        text: The text.
        limit: The most characters of a part, at least 100.
    """
    parts, rest = [], text.strip()
    while len(rest) > limit:
        part, rest = _divide(rest, limit - len(_CLOSING))
        parts.append(part)
    return [part for part in (*parts, rest) if part.strip()]


def _divide(text: str, limit: int) -> tuple[str, str]:
    start, end = _find_pause(text, limit)
    part, rest = text[:start].rstrip(), text[end:].lstrip("\n")
    if part.count(_FENCE) % 2 == 0:
        mark = _MARK.match(rest, 0, limit) if "\n" not in text[start:end] else None
        return part, f"{rest[: mark.end()]}\\{rest[mark.end() :]}" if mark else rest
    opener = part.rfind(_FENCE)
    opening: re.Match[str] = _OPENING.match(part, opener)  # type: ignore[assignment]  # a fence always matches
    if opener and not part[opening.end() :].strip():
        # The block has only just begun.
        return part[:opener].rstrip(), text[opener:]
    if rest.lstrip().startswith(_FENCE):
        return part + _CLOSING, rest.lstrip()[len(_FENCE) :].lstrip("\n")
    return part + _CLOSING, f"{_FENCE}{opening[1] or ''}\n{rest}"


def _find_pause(text: str, limit: int) -> tuple[int, int]:
    """Return where the best pause in the second half of the first `limit` characters begins and ends."""
    for pause in _PAUSES:
        if found := list(pause.finditer(text, limit // 2, limit + 1)):
            return found[-1].span()
    # The three backticks of a fence must stay together, and so must a backslash and what it escapes.
    cut = next((at for at in (limit - 2, limit - 1) if text.startswith(_FENCE, at)), limit)
    cut -= (cut - len(text[:cut].rstrip("\\"))) % 2
    return cut, cut
