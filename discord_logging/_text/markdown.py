"""Text is escaped, fenced, and cut for Discord's Markdown. Every cut is marked."""

from __future__ import annotations

import re
import threading

from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.sanitize import FENCE_BREAK, HIDDEN, MARKS, clean, mask_token

ELLIPSIS = "…"
"""The mark of every cut."""

FENCE = "```"
_FENCE_TO_BREAK = lazy_pattern(f"{FENCE}{FENCE_BREAK}?")
_SIGNS = (
    r"[\\*_~|`\[]"
    # Mentions, timestamps, commands, emoji, sounds and links stand in < and >, which <module> and a < b do not begin.
    r"|<(?!<{0,2}[\w.=]{0,60}[ >])"
    r"|@(?=[eh])"
    # Discord makes an emoji of the :key: in user:key:1, but does not know one whose name is a minute.
    rf"|:(?=[\w+\-{MARKS}]+:)(?!\d\d:)"
    # Discord lets the text of a link hold closing brackets, so this would end the link of ours that stands before it.
    r"|(?<=\])\("
    # Addresses of other schemes are no links: redis:\//host.
    r"|(?<=:)/(?=/)"
)
_ESCAPE = lazy_pattern(_SIGNS)
# The beginning of the text is a line's, and so is the place behind any blanks, since Discord strips texts.
_SIGN_OR_MARK = rf"(?P<sign>{_SIGNS})|^(?P<blanks>(?:[^\S\n]|[\u2800{MARKS}])*)(?P<mark>[#>-]|\d+(?=\W?\.))"
_WITHOUT_LINKS = lazy_pattern(_SIGN_OR_MARK, re.MULTILINE)
_WITH_LINKS = lazy_pattern(rf"(?P<address><https?://[^\s<>]+>|https?://[^\s<]+)|{_SIGN_OR_MARK}", re.MULTILINE)
# An address for Discord runs to the next blank or <, without the signs that end a sentence. It is left alone if all of
# that has no sign with which other readers end it, such as a backtick, and if it begins as a host does: Discord makes
# no address of the beginning of http://[ text](https://evil.example).
_LINK = lazy_pattern(r"<?https?://[^\W_][^\\`|\[]*")


class _Cuts(threading.local):
    count = 0


_cuts = _Cuts()


def note_cut() -> None:
    """Count a cut on this thread."""
    _cuts.count += 1


def cuts_made() -> int:
    """Return how many cuts were made on this thread. The ellipses in a text may be the text's own."""
    return _cuts.count


def escape_markdown(text: str, *, keep_links: bool = True) -> str:
    """Return `text` so that Discord shows its every character. Addresses stay links, unless `keep_links` is false."""
    return (_WITH_LINKS if keep_links else _WITHOUT_LINKS).sub(_escape_match, text)


def _escape_match(match: re.Match[str]) -> str:
    if sign := match["sign"]:
        return "\\" + sign
    if mark := match["mark"]:
        return match["blanks"] + (mark + "\\" if mark.isdigit() else "\\" + mark)
    address = match["address"]
    # Of https://a.b<@1>, the backslash before < would belong to the address.
    is_alone = address[0] == "<" or not match.string.startswith("<", match.end())
    if is_alone and _LINK.fullmatch(address) and "](" not in address:
        return address
    return _ESCAPE.sub(r"\\\g<0>", address)


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


def plain(text: str, limit: int, *, keep_links: bool = True) -> str:
    """Clean, escape and cut `text` to `limit` characters; a cut says how long the whole text is."""
    # We do not clean five megabytes to show four thousand characters.
    shown = escape_markdown(clean(text[: limit + 1]), keep_links=keep_links)
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
    """Fence `text` as a code block of at most `limit` characters; a blank text is no block, but `""`.

    The fences of a block without text would open another block around the text behind it.

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
    if not (shown.strip() or is_cut):
        return ""
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
