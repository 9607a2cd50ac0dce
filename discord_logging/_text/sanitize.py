"""Text loses the characters that Discord cannot show, hidden characters, and webhook tokens."""

from __future__ import annotations

import re

FENCE_BREAK = "\u200b"
"""The character behind each backtick of a fence that must not end a code block."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_WEBHOOK_TOKEN = re.compile(r"(webhooks/\d{1,20}/)[A-Za-z0-9._-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
# These characters cannot be seen, or turn around the text beside them. The two joiners, which emoji need, are not here.
HIDDEN = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
# Broken fences and flags such as Scotland's keep their hidden characters. The beginning of a flag matches too, so that
# a cut is harmless.
_KEPT = re.compile(f"`{FENCE_BREAK}|\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,6}}\U000e007f?")


def mask_token(text: str) -> str:
    """Return `text` with the token of every webhook URL in it hidden."""
    return _WEBHOOK_TOKEN.sub(r"\1***", text) if "webhooks/" in text else text


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
