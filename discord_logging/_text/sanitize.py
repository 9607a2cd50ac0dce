"""Text loses the characters that Discord cannot show, hidden characters, and webhook tokens."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from discord_logging._process.gil import yield_gil_between
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCE_BREAK = "\u200b"
"""The character behind each backtick of a fence that must not end a code block."""

_MAX_ANSI = 4_000
"""The longest terminal code that is recognised, such as a title or an address, in characters."""
_ANSI = lazy_pattern(
    r"\x1b(?:\[[0-9;:?<=>]{0,100}[ -/]{0,100}[@-~]"
    rf"|\][^\x07\x1b\n]{{0,{_MAX_ANSI}}}(?:\x07|\x1b\\)|[@-Z\\-_])"
)
# Every repetition is bounded, so that the time is linear.
_SLASH = r"(?:\\{0,32}/|%(?:25){0,8}2[Ff]|\\{1,32}(?:u00|x)2[Ff]|&#(?:x2[Ff]|47);)"
"""A slash as it is, behind the backslashes of JSON or Markdown, percent-encoded several times, or escaped."""
_PUNCTUATION = r"(?:\\{0,32}[._-]|%(?:25){0,8}(?:2[DdEe]|5[Ff])|\\{1,32}(?:u00|x)(?:2[DdEe]|5[Ff]))"
"""A dot, a dash or an underscore in the same forms."""
_WEBHOOK_TOKEN = lazy_pattern(rf"(webhooks{_SLASH}\d{{1,20}}{_SLASH})(?:[A-Za-z0-9]|{_PUNCTUATION})+", re.ASCII)
_MIN_TOKEN_LENGTH = 20
"""The shortest token that is masked where it stands alone. A shorter token, of a server other than Discord's, may be a
word of the text."""
_DISCORD_TOKEN_LENGTH = 60
_own_tokens: dict[str, tuple[str, re.Pattern[str]]] = {}
"""The tokens of the webhooks of this process, each with a part of its beginning and the pattern of all its forms."""
_LINE_BREAK = lazy_pattern("\r\n?|[\v\f\x85\u2028\u2029]")
_CONTROL = lazy_pattern(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]+")
_PORTION = 10_000
"""The number of characters that are cleaned at once, so that other threads get their turn."""
MARKS = "\u00ad\u061c\u200c-\u200f"
"""Invisible marks that real languages need, and the joiner of emoji. Discord may strip them after our work."""
# These characters cannot be seen, or reorder the text beside them: Default_Ignorable_Code_Point of Unicode
# (https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt), and the signs that hide annotations. Blanks
# are not here, nor is U+2800, the blank of Braille, since charts are drawn with it.
_SPELLED = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
HIDDEN = lazy_pattern(f"[{MARKS}{_SPELLED}]+")
_SPELLED_ONE = lazy_pattern(f"[{_SPELLED}]")
_MAX_SPELLED = 2_500
"""The number of hidden characters that are shown by their codes. In a text with more of them, they go. The description
of a card has room for fewer, so no broken fence loses its own."""
_MAX_HIDDEN = 1_000
"""The longest run of hidden characters that is cleaned as a whole."""
_MARK = lazy_pattern(f"[{MARKS}]")
_VARIABLE = "#*0123456789\u203c\u2049\u2139\u3030"
"""The emoji with a variant whose category is not that of a sign."""
_VARIANT = lazy_pattern("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Broken fences and flags such as Scotland's keep their hidden characters. The beginning of a flag matches too, so that
# a cut is harmless.
_KEPT = lazy_pattern(f"`{FENCE_BREAK}|\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,6}}\U000e007f?")


def register_token(token: str) -> None:
    """Hide `token` from now on wherever it stands, unless it is so short that it may be a word."""
    if len(token) < _MIN_TOKEN_LENGTH or token in _own_tokens:
        return
    # A text may have been cut within the token, so its beginning is enough. That of another server may be a word.
    head = token[: 10 if len(token) >= _DISCORD_TOKEN_LENGTH else _MIN_TOKEN_LENGTH]
    forms = "".join(each if each.isalnum() else _PUNCTUATION for each in head)
    rest = rf"(?:[A-Za-z0-9]|{_PUNCTUATION}){{0,{len(token) - len(head)}}}"
    rarest = max(re.split(r"[._-]", head), key=len) or head[0]
    _own_tokens[token] = rarest, re.compile(forms + rest)


def mask_token(text: str) -> str:
    """Return `text` with the token of every webhook URL in it hidden, and with every registered token hidden."""
    return mask_own_tokens(_WEBHOOK_TOKEN.sub(r"\1***", text) if "webhooks" in text else text)


def mask_own_tokens(text: str) -> str:
    """Return `text` with every registered token hidden, and with the tokens of other webhooks as they are."""
    # Another thread may register a token meanwhile.
    for part, forms in list(_own_tokens.values()):
        if part in text:
            text = forms.sub("***", text)
    return text


def clean(text: str) -> str:
    """Return `text` without the characters that Discord cannot show, and without webhook tokens.

    Control characters, terminal codes and lone surrogates go, and every kind of line break becomes a line feed.
    Characters that cannot be seen, or that reorder the text beside them, are shown by their code, such as `<U+202E>`.
    The marks that languages need stay behind a letter, and go elsewhere. Clean text stays unchanged, even if it lost
    its end.

    Discord responds to a lone surrogate with a 500 (https://github.com/discord/discord-api-docs/issues/6561).
    """
    if len(text) <= _PORTION:
        return mask_token(_cleaned(text))
    return mask_token("".join(_cleaned(portion, len(portion) // 5) for portion in yield_gil_between(_portions(text))))


def _portions(text: str) -> Iterator[str]:
    """Yield a long text in parts, each of which is cleaned as it would be within the whole."""
    start = 0
    while start < len(text):
        end = start + _PORTION
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or _cut(text, end)
        yield text[start:end]
        start = end


def _cut(text: str, end: int) -> int:
    """Return a position, `end` or before it, that cuts no terminal code, no line break and no run of hidden characters.

    A run of more hidden characters than a readable text has is cut nevertheless.
    """
    code = text.rfind("\x1b", end - _MAX_ANSI, end)
    if text.startswith("\x1b\\", code):
        # The end of a code, such as that of `\x1b]0;title\x1b\\`
        before = text.rfind("\x1b", code - _MAX_ANSI, code)
        code = before if before >= 0 else code
    if code >= 0:
        return code
    for cut in range(end, end - _MAX_HIDDEN, -1):
        if not HIDDEN.match(text, cut, cut + 1) and not text.startswith("\r\n", cut - 1):
            return cut
    return end


def _cleaned(text: str, max_spelled: int = _MAX_SPELLED) -> str:
    if text.isprintable() and (text.isascii() or not HIDDEN.search(text)):
        return text
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = _CONTROL.sub("", _LINE_BREAK.sub("\n", text))
    if not text.isascii():
        if len(_SPELLED_ONE.findall(text)) > max_spelled:
            text = _SPELLED_ONE.sub("", text)
        text = HIDDEN.sub(_show_hidden, text).encode("utf-8", "replace").decode("utf-8")
    return text


def on_one_line(text: str) -> str:
    """Return `text` with a space for each line break: a name must not draw lines of its own."""
    return " ".join(text.splitlines())


def _show_hidden(match: re.Match[str]) -> str:
    run, start = match[0], match.start()
    before = match.string[start - 1] if start else "\n"
    kept = _KEPT.match(match.string, start - 1) if start else None
    end = kept.end() - start if kept else _visible_end(before, run)
    rest = (f"<U+{ord(character):04X}>" for character in _MARK.sub("", run[end:]))
    return run[:end] + "".join(rest)


def _visible_end(before: str, run: str) -> int:
    """Return how many characters of `run` belong to the letter or the sign before it: a variant, a mark, or both."""
    end = 1 if _VARIANT.match(run) and _has_variants(before, run[0]) else 0
    # Discord may strip marks, so none stands behind a sign that Markdown knows, such as a backtick, or behind a digit.
    belongs = before.isalpha() or (not before.isascii() and unicodedata.category(before)[0] in "MS")
    return end + bool(belongs and _MARK.match(run, end))


def _has_variants(before: str, selector: str) -> bool:
    """Tell whether a variation selector belongs behind `before`: an emoji, a sign, an ideograph, a Mongolian letter."""
    if selector < "\ufe00":
        return "\u1820" <= before <= "\u18aa"
    if before in _VARIABLE:
        return selector in "\ufe0e\ufe0f"
    return not before.isascii() and (unicodedata.category(before)[0] == "S" or unicodedata.category(before) == "Lo")
