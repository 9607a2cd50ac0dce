"""Text is escaped, fenced, and cut for Discord's Markdown. Every cut is marked."""

from __future__ import annotations

import re
import threading

from discord_logging._text.sanitize import FENCE_BREAK, HIDDEN, clean, mask_token

ELLIPSIS = "…"
"""The mark of every cut."""

FENCE = "```"
_FENCE_TO_BREAK = re.compile(f"{FENCE}{FENCE_BREAK}?")
_MARKDOWN = re.compile(
    r"(?P<url>https?://[^\s<>]+)"
    # The backslash of a mention stands after its <; before it, it would belong to an address that ends there.
    r"|(?P<inline>[\\*_~|`\[]|(?<=<)[@#:/]|(?<=<[at]):|(?<=<id):"
    # Discord makes an emoji of the :key: in user:key:1, but does not know one whose name is a minute.
    r"|:(?=[\w+-]+:)(?!\d\d:))"
    r"|(?P<line>^(?P<indent>[ \t]*)(?P<mark>#|-|>|\d+(?=\.)))",
    re.MULTILINE,
)


class _Cuts(threading.local):
    count = 0


_cuts = _Cuts()


def note_cut() -> None:
    """Count a cut on this thread."""
    _cuts.count += 1


def cuts_made() -> int:
    """Return how many cuts were made on this thread. The ellipses in a text may be the text's own."""
    return _cuts.count


def escape_markdown(text: str) -> str:
    """Return `text` so that Discord shows its every character. Addresses stay links."""
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
    # Half of an escape would escape the text behind it.
    if (len(kept) - len(kept.rstrip("\\"))) % 2:
        kept = kept[:-1]
    return kept + ELLIPSIS


def plain(text: str, limit: int) -> str:
    """Clean, escape and cut `text` to `limit` characters; a cut says how long the whole text is."""
    # We do not clean five megabytes to show four thousand characters.
    shown = escape_markdown(clean(text[: limit + 1]))
    if len(text) <= limit and len(shown) <= limit:
        return shown
    note_cut()
    return f"{shorten(shown, limit - 40)} *({len(text):,} characters in all)*"


def break_fences(text: str) -> str:
    """Return `text` so that no code block ends in it, and so that `clean` does not change it."""
    # Another backtick may follow the last one, so a break stands behind that too, but never two: `clean` would show the
    # second.
    return _FENCE_TO_BREAK.sub(f"`{FENCE_BREAK}" * len(FENCE), text) if FENCE in text else text


def code_block(text: str, limit: int, *, language: str = "", keep_end: bool = False) -> str:
    """Fence `text` as a code block of at most `limit` characters.

    Args:
        text: The content of the block.
        limit: The most characters that the block may have, including its fences.
        language: The language to highlight.
        keep_end: Whether a cut keeps the end of the text, where a traceback names its error.
    """
    room = limit - len(language) - len("```\n\n```")
    if keep_end:
        # A cut may remove the beginning of a webhook's URL or token, without which the token would not be found.
        text = clean(text) if "webhooks" in text else mask_token(text)
    is_cut = len(text) > room + 1
    shown = clean(text[-room - 1 :] if keep_end else text[: room + 1])
    shown = break_fences(shown).strip("\n")
    if is_cut or len(shown) > room:
        note_cut()
        shown = _keep_end(shown, room) if keep_end else shorten(shown + ELLIPSIS, room)
    return f"```{language}\n{shown}\n```"


def _keep_end(text: str, limit: int) -> str:
    end = text[-(limit - 2) :]
    # The cut may separate hidden characters from their flag or fence; another `clean` would show them.
    if half := HIDDEN.match(end):
        end = end[half.end() :]
    whole_lines = end.partition("\n")[2]
    # Half of a very long line is better than next to nothing.
    return f"{ELLIPSIS}\n{whole_lines if len(whole_lines) > limit // 2 else end}"
