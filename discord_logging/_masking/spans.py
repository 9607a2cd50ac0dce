"""A span says where a secret stands in a text."""

from __future__ import annotations

from discord_logging._text.lazy_pattern import lazy_pattern

Span = tuple[int, int]
"""The positions at which a secret begins and ends. Where both are the same, there is none."""

MAX_VALUE = 10_000
"""The distance within which the quote or bracket that ends a value is looked for, in characters."""
MAX_LINE = 500
"""The distance within which the beginning or the end of a line is looked for, in characters."""

MAX_WORD = 100
"""The number of characters of a value that tell whether it looks random."""
_MIN_RANDOM = 8
"""The shortest value that looks random, in characters."""
_MIN_LOWER = 16
"""The shortest run of digits and letters of one case that looks random, in characters."""
_RUN = lazy_pattern(rf"[^\W_]{{{_MIN_RANDOM},}}")
_DIGIT = lazy_pattern(r"\d")
_ODD = lazy_pattern(r"[!$%#^*~@]")
_ADDRESS = lazy_pattern(r"[/:]|@[\w-]+\.|%[sd(]")


class Found(list[Span]):
    """The spans that were found in a text so far.

    Attributes:
        examined: The position up to which lines were examined as a whole, so that none is examined twice.
    """

    examined = 0

    def add(self, start: int, end: int) -> int:
        """Add a span, and return its end, which is where the search continues."""
        if start < end:
            self.append((start, end))
        return max(start, end)


def line_start(text: str, position: int) -> int:
    """Return where the line begins in which `position` lies, or a position `MAX_LINE` characters before."""
    low = max(position - MAX_LINE, 0)
    return text.rfind("\n", low, position) + 1 or low


def line_end(text: str, position: int, distance: int = MAX_LINE) -> int:
    """Return where the line ends in which `position` lies, or the position `distance` characters behind."""
    high = min(position + distance, len(text))
    end = text.find("\n", position, high)
    return end if end >= 0 else high


def looks_random(value: str) -> bool:
    """Tell whether a value is no word, name, number or path, so that it is a secret where one may be expected."""
    value = value[:MAX_WORD]
    if any(map(_is_mixed, _RUN.findall(value))):
        return True
    is_odd = len(value) >= _MIN_RANDOM and bool(_ODD.search(value)) and not _ADDRESS.search(value)
    return is_odd and (bool(_DIGIT.search(value)) or not (value.islower() or value.isupper()))


def _is_mixed(run: str) -> bool:
    if not _DIGIT.search(run) or run.isdigit():
        return False
    return len(run) >= _MIN_LOWER or not (run.islower() or run.isupper())
