"""This module finds tables in a message, whose columns are aligned only in a font of fixed width."""

from __future__ import annotations

import itertools

from discord_logging._text.lazy_pattern import lazy_pattern

_OTHER = lazy_pattern(r"[^\s|+:=\-\u2500-\u257f]")
"""A character that no line between two rows has."""
_DASHES = lazy_pattern(r"[-=\u2500-\u257f]{3}")
_COLUMNS = lazy_pattern(r"[-=\u2500-\u257f][^-=\u2500-\u257f]+[-=\u2500-\u257f]|[\u250c-\u2570]")
"""A part of a rule that shows columns or a box: a gap or a crossing."""
_BAR = lazy_pattern(r"[|\u2502\u2503\u2551]")
_GAP = lazy_pattern(r" {2,}")
_LIST_MARK = lazy_pattern(r"\W*|\W*\d+[.)]|\w+:")
"""The beginning of an item of a list, or of a line with a label, such as `DETAIL:`."""
_MIN_RULED = 3
"""The smallest number of lines of a table with rules: a head, a rule and a row."""
_MIN_ALIGNED = 2
"""The smallest number of lines of a table without rules."""


def split_tables(text: str) -> list[tuple[bool, str]]:
    """Return the parts of `text` in order: tables with `True`, the lines between them with `False`.

    A table is a run of lines with bars of which one is a rule with columns, as `psql`, `rich` and `tabulate` draw it,
    or a run of lines with a gap of at least two blanks in the same place, as in the text of a `DataFrame`.
    """
    parts: list[tuple[bool, list[str]]] = []
    for kind, group in itertools.groupby(text.split("\n"), key=_kind):
        run = list(group)
        is_table = _is_ruled(run) if kind == "ruled" else kind == "gaps" and _is_aligned(run)
        if parts and parts[-1][0] is is_table:
            parts[-1][1].extend(run)
        else:
            parts.append((is_table, run))
    return [(is_table, "\n".join(lines)) for is_table, lines in parts]


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    if _BAR.search(line) or (_is_rule(line) and "  " not in line.strip()):
        return "ruled"
    return "gaps" if _GAP.search(line.expandtabs()) else "prose"


def _is_rule(line: str) -> bool:
    """Tell whether a line is one between two rows."""
    return bool(_DASHES.search(line)) and not _OTHER.search(line)


def _is_ruled(lines: list[str]) -> bool:
    rules = [line for line in lines if _is_rule(line)]
    return _MIN_RULED <= len(lines) > len(rules) and any(_COLUMNS.search(rule.strip()) for rule in rules)


def _is_aligned(lines: list[str]) -> bool:
    """Tell whether there is a gap in the same place of all lines, with text on both sides of it in two of them."""
    width = max(map(len, lines))
    padded = [line.expandtabs().ljust(width) for line in lines]
    places = [{place for gap in _GAP.finditer(line) for place in range(*gap.span())} for line in padded]
    common = set[int].intersection(*places)
    return any(sum(_divides(line, place) for line in padded) >= _MIN_ALIGNED for place in common)


def _divides(line: str, place: int) -> bool:
    return not _LIST_MARK.fullmatch(line[:place].strip()) and bool(line[place:].strip())
