"""Text as Discord shows it: cleaned, escaped, fenced, and cut with a word about the cut."""

from __future__ import annotations

import re
import threading

ELLIPSIS = "…"
"""Marks every cut."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_WEBHOOK_TOKEN = re.compile(r"(webhooks/\d{1,20}/)[A-Za-z0-9._-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
_FENCE = "```"
_BREAK = "\u200b"
_FENCE_TO_BREAK = re.compile(f"{_FENCE}{_BREAK}?")
# What cannot be seen, or turns around the text beside it; without the two joiners, which emoji and many scripts need.
_HIDDEN = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
# What breaks a fence, and a flag such as that of Scotland. The beginning of a flag will do, so that a cut is harmless.
_KEPT = re.compile(f"`{_BREAK}|\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,6}}\U000e007f?")
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


def mask_token(text: str) -> str:
    """Return `text` with the token of every webhook URL in it hidden."""
    return _WEBHOOK_TOKEN.sub(r"\1***", text) if "webhooks/" in text else text


def clean(text: str) -> str:
    """Return `text` without what Discord strips or chokes on, and without webhook tokens.

    Control characters, terminal codes and lone surrogates go. Characters that cannot be seen, or that turn around the
    text beside them, are shown, such as `<U+202E>`. Text that is clean, or was and then lost its end, stays as it is.

    A lone surrogate is answered with a 500 (https://github.com/discord/discord-api-docs/issues/6561).
    """
    if not text.isprintable():
        if "\x1b" in text:
            text = _ANSI.sub("", text)
        text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        if not text.isascii():
            text = _HIDDEN.sub(_show_hidden, text).encode("utf-8", "replace").decode("utf-8")
    return mask_token(text)


def _show_hidden(match: re.Match[str]) -> str:
    run, start = match[0], match.start()
    kept = _KEPT.match(match.string, start - 1) if start else None
    end = kept.end() - start if kept else 0
    return run[:end] + "".join([f"<U+{ord(character):04X}>" for character in run[end:]])


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
    return _FENCE_TO_BREAK.sub(f"`{_BREAK}" * len(_FENCE), text) if _FENCE in text else text


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
    if half := _HIDDEN.match(end):
        end = end[half.end() :]
    whole_lines = end.partition("\n")[2]
    # Half of a very long line is better than next to nothing.
    return f"{ELLIPSIS}\n{whole_lines if len(whole_lines) > limit // 2 else end}"
