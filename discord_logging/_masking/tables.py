"""A secret stands in a table: below or beside its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from discord_logging._masking.harmless import is_harmless
from discord_logging._masking.names import Judgement
from discord_logging._masking.spans import line_end, line_start

if TYPE_CHECKING:
    from discord_logging._masking.names import SecretNames
    from discord_logging._masking.spans import Found, Span

_BORDERS = "|│┃,;\t"
_RULE = re.compile(r"[\s|│┃+=:\-─━┼╇╪╋┡┩├┤┠┨╞╡═]+")
_MAX_ROWS = 200
_INSERT = re.compile(
    r"insert into\s{1,10}[\w.\"`\[\]]{1,100}\s{0,10}\(([\w.,\s\"`\[\]]{1,1000})\)\s{0,10}values\b", re.IGNORECASE
)
_ROW = re.compile(
    r"[\s,]{0,10}(?:\)?\]?\s{0,5}\[parameters: |;\s{0,3}args=)?\(((?:[^()'\"]|'[^']*'|\"[^\"]*\"){0,2000})\)"
)
_SQL_VALUE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[^\s,'\"][^,'\"]*")
_SQL_PLACEHOLDERS = ("?", "NULL", "null", "DEFAULT")
_HEAD_CELL = re.compile(r"[\s\"']*[^\W\d][\w .#()-]{0,40}[\s\"']*")


def find_in_table(text: str, start: int, end: int, found: Found, names: SecretNames) -> None:
    """Find the cells below or beside the name at `start` to `end`, if it stands in a table, or in CSV."""
    if start < found.examined:
        return
    line, stop = line_start(text, start), line_end(text, end)
    after = text[end : min(stop, end + 40)].strip(" \"'")
    before = text[max(line, start - 40) : start].strip(" \"'")
    border = after[:1] or before[-1:]
    if not border or border not in _BORDERS or (before and before[-1] not in _BORDERS):
        return
    found.examined = stop
    cells = text[line:stop].split(border)
    below = text[stop + 1 : line_end(text, stop + 1)]
    filled = [cell for cell in cells if cell.strip()]
    if border in "|│┃" and len(filled) == 2 and not _RULE.fullmatch(below):  # noqa: PLR2004
        _find_cell(text, end, stop, border, found)
    elif len(filled) > 1 and all(map(_HEAD_CELL.fullmatch, filled)):
        columns = [each for each, cell in enumerate(cells) if names.judge(cell.strip(" \"'")) is Judgement.SECRET]
        found.examined = _find_columns(text, stop + 1, border, (columns, len(cells)), found)


def _find_cell(text: str, end: int, stop: int, border: str, found: Found) -> None:
    """Find the cell to the right of the name."""
    first = text.find(border, end, stop) + 1
    cell = text[first:stop].partition(border)[0]
    value = first + len(cell) - len(cell.lstrip())
    if first and cell.strip() and not is_harmless(text, value, "", ": "):
        found.add(value, first + len(cell.rstrip()))


def _find_columns(text: str, position: int, border: str, place: tuple[list[int], int], found: Found) -> int:
    """Find the cells in some columns of the rows from `position` on; return where the table ends."""
    columns, count = place
    borders = re.escape(_alike(border))
    cell_pattern = re.compile(rf"\"(?:[^\"\n]|\"\")*\"|[^{borders}]+|(?=[{borders}])|\Z")
    for _ in range(_MAX_ROWS):
        stop = line_end(text, position)
        if not _RULE.fullmatch(text, position, stop):
            cells = _cells(text, position, stop, cell_pattern)
            if len(cells) != count:
                break
            for first, last in (cells[column] for column in columns):
                if first < last and not is_harmless(text, first, "", ": "):
                    found.add(first, last)
        position = stop + 1
        if position >= len(text):
            break
    return position


def _cells(text: str, position: int, stop: int, pattern: re.Pattern[str]) -> list[Span]:
    """Return where the contents of the cells of a row stand, without blanks and quotes. A border may be quoted."""
    cells = []
    while position <= stop:
        cell = pattern.match(text, position, stop)
        content = cell[0].strip(" \"'") if cell else ""
        first = text.find(content, position) if content else position
        cells.append((first, first + len(content)))
        position = max(cell.end() if cell else position, position) + 1
    return cells


def _alike(border: str) -> str:
    return "|│┃" if border in "|│┃" else border


def find_in_insert(text: str, match: re.Match[str], found: Found, *, names: SecretNames) -> int:
    """Find the values of secret columns in SQL's `INSERT INTO users (name, password) VALUES ('ann', 'hunter2')`."""
    insert = _INSERT.match(text, match.start())
    if not insert:
        return match.end()
    columns = [column.strip(' \t\n"`[]') for column in insert[1].split(",")]
    secret = [index for index, column in enumerate(columns) if names.judge(column) is Judgement.SECRET]
    if not secret:
        return insert.end(1)
    position = insert.end()
    while row := _ROW.match(text, position):
        values = list(_SQL_VALUE.finditer(text, row.start(1), row.end(1)))
        if len(values) == len(columns):
            for index in secret:
                if values[index][0] not in _SQL_PLACEHOLDERS and not values[index][0].startswith((":", "%", "$")):
                    found.add(values[index].start() + 1, values[index].end() - 1)
        position = row.end()
    return position
