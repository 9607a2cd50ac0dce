"""Text loses the characters that Discord cannot show, hidden characters, and webhook tokens."""

from __future__ import annotations

import re

FENCE_BREAK = "\u200b"
"""The character behind each backtick of a fence that must not end a code block."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Every repetition is bounded, so that the time is linear.
_SLASH = r"(?:\\{0,32}/|%(?:25){0,8}2[Ff]|\\{1,32}(?:u00|x)2[Ff]|&#(?:x2[Ff]|47);)"
"""A slash as it is, behind the backslashes of JSON or Markdown, percent-encoded several times, or escaped."""
_MARK = r"(?:\\{0,32}[._-]|%(?:25){0,8}(?:2[DdEe]|5[Ff])|\\{1,32}(?:u00|x)(?:2[DdEe]|5[Ff]))"
"""A dot, a dash or an underscore in the same forms."""
_WEBHOOK_TOKEN = re.compile(rf"(webhooks{_SLASH}\d{{1,20}}{_SLASH})(?:[A-Za-z0-9]|{_MARK})+", re.ASCII)
_MIN_TOKEN_LENGTH = 20
"""The shortest token that is masked where it stands alone. A shorter token, of a server other than Discord's, may be a
word of the text."""
_DISCORD_TOKEN_LENGTH = 60
_own_tokens: dict[str, tuple[str, re.Pattern[str]]] = {}
"""The tokens of the webhooks of this process, each with a part of its beginning and the pattern of all its forms."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
# These characters cannot be seen, or turn around the text beside them. The two joiners, which emoji need, are not here.
HIDDEN = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
# Broken fences and flags such as Scotland's keep their hidden characters. The beginning of a flag matches too, so that
# a cut is harmless.
_KEPT = re.compile(f"`{FENCE_BREAK}|\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,6}}\U000e007f?")


def register_token(token: str) -> None:
    """Hide `token` from now on wherever it stands, unless it is so short that it may be a word."""
    if len(token) < _MIN_TOKEN_LENGTH or token in _own_tokens:
        return
    # A text may have been cut within the token, so its beginning is enough. That of another server may be a word.
    head = token[: 10 if len(token) >= _DISCORD_TOKEN_LENGTH else _MIN_TOKEN_LENGTH]
    forms = "".join(each if each.isalnum() else _MARK for each in head)
    rest = rf"(?:[A-Za-z0-9]|{_MARK}){{0,{len(token) - len(head)}}}"
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

    Control characters, terminal codes and lone surrogates go. Characters that cannot be seen, or that turn around the
    text beside them, are shown by their code, such as `<U+202E>`. Clean text stays unchanged, even if it lost its end.

    Discord responds to a lone surrogate with a 500 (https://github.com/discord/discord-api-docs/issues/6561).
    """
    if not text.isprintable():
        if "\x1b" in text:
            text = _ANSI.sub("", text)
        text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        if not text.isascii():
            text = HIDDEN.sub(_show_hidden, text).encode("utf-8", "replace").decode("utf-8")
    return mask_token(text)


def _show_hidden(match: re.Match[str]) -> str:
    run, start = match[0], match.start()
    kept = _KEPT.match(match.string, start - 1) if start else None
    end = kept.end() - start if kept else 0
    return run[:end] + "".join([f"<U+{ord(character):04X}>" for character in run[end:]])
