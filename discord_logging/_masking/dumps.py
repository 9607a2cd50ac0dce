"""A secret stands below its name, where a traceback shows the values of the variables in a line of source.

loguru and `better_exceptions` print them so (https://loguru.readthedocs.io/en/stable/overview.html):

    login(user, password)
          │     └ 'hunter2'
          └ 'ann'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._masking.harmless import is_harmless, is_harmless_text
from discord_logging._masking.names import Judgement
from discord_logging._masking.spans import line_end, line_start
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    import re

    from discord_logging._masking.names import SecretNames
    from discord_logging._masking.spans import Found

_MAX_LINES = 30
_NAME = lazy_pattern(r"[\w.]{1,100}")
_STEMS = "│└├|"


def find_dumped(text: str, match: re.Match[str], found: Found, *, names: SecretNames) -> int:
    """Find the value behind the arrow that was found, if it points to the name of a secret."""
    arrow = match.start()
    line = line_start(text, arrow)
    column, value = arrow - line, match.end() + 1
    for _ in range(_MAX_LINES):
        if not line:
            return value
        above = line_start(text, line - 1)
        sign = text[above + column : above + column + 1] if above + column < line - 1 else ""
        line = above
        if sign not in _STEMS or not sign:
            break
    name = _NAME.match(text, line + column)
    end = line_end(text, value)
    if not name or names.judge(name[0]) is not Judgement.SECRET:
        return value
    shown = text[value:end].strip("\"'")
    return value if is_harmless_text(shown) or is_harmless(text, value, "", "=") else found.add(value, end)
