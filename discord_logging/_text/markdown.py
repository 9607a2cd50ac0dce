"""Text as Discord shows it: escaped, fenced, and cut with a word about the cut."""

from __future__ import annotations

import re
import threading

from discord_logging._text.sanitize import FENCE_BREAK, HIDDEN, clean

ELLIPSIS = "…"
"""Marks every cut."""

_FENCE = "```"
_FENCE_TO_BREAK = re.compile(f"{_FENCE}{FENCE_BREAK}?")
_MARKDOWN = re.compile(
    r"(?P<url>https?://[^\s<>]+)"
    # A backslash before the < of a mention would belong to an address that ends there, so it stands after it.
    r"|(?P<inline>[\\*_~|`\[]|(?<=<)[@#:/]|(?<=<[at]):|(?<=<id):"
    # Discord makes an emoji of the :key: in user:key:1, but has none whose name is a minute.
    r"|:(?=[\w+-]+:)(?!\d\d:))"
    r"|(?P<line>^(?P<indent>[ \t]*)(?P<mark>#|-|>|\d+(?=\.)))",
    re.MULTILINE,
)


class _Cuts(threading.local):
    count = 0


_cuts = _Cuts()


def note_cut() -> None:
    """Take note that something was left out of a text."""
    _cuts.count += 1


def cuts_made() -> int:
    """Return how many cuts were noted on this thread. Looking for ellipses would count those of the text itself."""
    return _cuts.count


def escape_markdown(text: str) -> str:
    """Return `text` so that Discord shows it as it is. Addresses stay links."""
    return _MARKDOWN.sub(_escape_match, text)


def _escape_match(match: re.Match[str]) -> str:
    if match["url"]:
        return match["url"]
    if match["inline"]:
        return "\\" + match["inline"]
    mark = match["mark"]
    return match["indent"] + (mark + "\\" if mark.isdigit() else "\\" + mark)


def shorten(text: str, limit: int) -> str:
    """Cut `text` to `limit` characters, the last of them an ellipsis."""
    if len(text) <= limit:
        return text
    note_cut()
    kept = text[: limit - 1].rstrip()
    # Half of an escape would escape what comes after.
    if (len(kept) - len(kept.rstrip("\\"))) % 2:
        kept = kept[:-1]
    return kept + ELLIPSIS


def plain(text: str, limit: int) -> str:
    """Clean, escape and cut `text` to `limit` characters; a cut says how much is missing."""
    # Cleaning five megabytes to show four thousand characters would be work for nothing.
    shown = escape_markdown(clean(text[: limit + 1]))
    if len(text) <= limit and len(shown) <= limit:
        return shown
    note_cut()
    return f"{shorten(shown, limit - 40)} *({len(text):,} characters in all)*"


def break_fences(text: str) -> str:
    """Return `text` so that no code block ends in it; `clean` leaves it as it is."""
    # Behind the last too, for another backtick may follow, but not twice: `clean` would show the second.
    return _FENCE_TO_BREAK.sub(f"`{FENCE_BREAK}" * len(_FENCE), text) if _FENCE in text else text


def code_block(text: str, limit: int, *, language: str = "", keep_end: bool = False) -> str:
    """Fence `text` as a code block of at most `limit` characters.

    Args:
        text: What stands in the block.
        limit: The most characters that the block, fences included, may have.
        language: The language to highlight.
        keep_end: Whether a cut keeps the end of the text, where a traceback has its error.
    """
    room = limit - len(language) - len("```\n\n```")
    if keep_end and "webhooks" in text:
        # Cutting before its token, the URL would not be known for one.
        text = clean(text)
    is_cut = len(text) > room + 1
    shown = clean(text[-room - 1 :] if keep_end else text[: room + 1])
    shown = break_fences(shown).strip("\n")
    if is_cut or len(shown) > room:
        note_cut()
        shown = _keep_end(shown, room) if keep_end else shorten(shown + ELLIPSIS, room)
    return f"```{language}\n{shown}\n```"


def _keep_end(text: str, limit: int) -> str:
    end = text[-(limit - 2) :]
    # The rest of what was kept would be shown if it were cleaned again.
    if half := HIDDEN.match(end):
        end = end[half.end() :]
    whole_lines = end.partition("\n")[2]
    # Half of a very long line is better than next to nothing.
    return f"{ELLIPSIS}\n{whole_lines if len(whole_lines) > limit // 2 else end}"
