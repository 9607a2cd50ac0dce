"""In source code, as in the lines of a traceback, other code stands behind most names, and values stand in literals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._masking.harmless import is_harmless_text
from discord_logging._masking.names import Judgement
from discord_logging._masking.spans import MAX_LINE, line_end, line_start, looks_random
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    import re

    from discord_logging._masking.names import SecretNames
    from discord_logging._masking.spans import Found

_MARGIN = " |+-"
_MIN_KEY = 16
_MAX_KEY = 200
_WORDS = lazy_pattern(r"[\s/.:]")
_COMPARED = lazy_pattern(r"([\w.]{1,100})(?:\(\))?(?:\[[\"'](\w{1,40})[\"']\])?")
_STRING = lazy_pattern(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


def is_source_line(text: str, position: int) -> bool:
    """Tell whether code stands at `position`: in a source line of a traceback, and not within a literal."""
    line = line_start(text, position)
    above = text[max(line - MAX_LINE, 0) : max(line - 1, 0)].rpartition("\n")[2]
    # The sides of an exception group begin with | and +.
    if not above.lstrip(_MARGIN).startswith('File "') or not text[line : line + 12].lstrip("|+-").startswith("  "):
        return False
    before = _STRING.sub("", text[line:position])
    return not ('"' in before or "'" in before)


def find_literals(text: str, match: re.Match[str], found: Found) -> int:
    """Find the literals that look random in the source line that follows the line of its file."""
    start = match.end()
    end = line_end(text, start)
    for literal in _STRING.finditer(text, start, end):
        if _is_key(literal[0][1:-1]):
            found.append((literal.start() + 1, literal.end() - 1))
    return start


def find_compared(text: str, match: re.Match[str], found: Found, *, names: SecretNames) -> int:
    """Find the literal that is compared with the name of a secret: `if "hunter2" == password:`."""
    compared = _COMPARED.match(text, match.end())
    end = match.start()
    start = text.rfind(text[end], max(end - _MAX_KEY, 0), end) + 1
    is_secret = compared and names.judge(compared[2] or compared[1]) is Judgement.SECRET
    if start and is_secret and not is_harmless_text(text[start:end]):
        found.append((start, end))
    return match.end()


def _is_key(literal: str) -> bool:
    return _MIN_KEY <= len(literal) <= _MAX_KEY and looks_random(literal) and not _WORDS.search(literal)
