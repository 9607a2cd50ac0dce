"""A secret stands in a table: below or beside its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from discord_logging._masking.harmless import is_harmless
from discord_logging._masking.names import Judgement
from discord_logging._masking.spans import line_end, line_start, looks_random
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from discord_logging._masking.names import SecretNames
    from discord_logging._masking.spans import Found, Span

_BORDERS = "|│┃,;\t"
_RULE = lazy_pattern(r"[\s|│┃+=:\-─━┼╇╪╋┡┩├┤┠┨╞╡═]+")
_MAX_ROWS = 200
_INSERT = lazy_pattern(
    r"into\s{1,10}[\w.\"`\[\]]{1,100}\s{0,10}\(([\w.,\s\"`\[\]]{1,1000})\)[^()';]{0,80}?\bvalues?\b", re.IGNORECASE
)
_NEXT_ROW = lazy_pattern(r"[\s,]{0,10}\(|[^\n;\[\]()'{]{0,100}\]?;?\s{0,5}(?:\[parameters: |args=)\[?\(")
_SQL_PART = lazy_pattern(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|[(),]|[^'\"(),]+|.", re.DOTALL)
_MAX_SQL_ROW = 2_000
"""The longest row of values, in characters."""
_NAMED_PARAMETER = lazy_pattern(r"%\((\w{1,40})\)s|[:@](\w{1,40})|(\$\d{1,3})")
_PLACE = lazy_pattern(r"(?:(?<![\w.])([A-Za-z_]\w{0,40})[\"`\]]?\s{0,5}(?:=|<>|!=)\s{0,5})?(?:%s|\?|[:$]\d{1,3})")
"""A placeholder for a parameter, with the name of its column."""
_MAX_PARAMETERS = 1_000
"""The distance from a statement to its parameters, in characters."""
_HEAD_CELL = lazy_pattern(r"[\s\"']*[^\W\d][\w .#()-]{0,40}[\s\"']*")


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
    is_last = not text[end:stop].strip(" \"'|│┃")
    is_row = len(filled) == 2 and not _RULE.fullmatch(below)  # noqa: PLR2004
    # A random value beside the name in a first cell stands in a table of settings.
    is_row = is_row or (
        not before.strip("|│┃ ") and looks_random(text[end:stop].lstrip(" \"'").split(border)[1].strip())
    )
    if border in "|│┃" and is_row and not is_last:
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
    parameters: list[str] = []
    while row := _NEXT_ROW.match(text, position):
        values, position = _sql_values(text, row.end())
        for start, end in (values[index] for index in secret if len(values) == len(columns)):
            if placeholder := _NAMED_PARAMETER.match(text, start, end):
                parameters.append(placeholder[placeholder.lastindex or 0])
            else:
                _find_sql_value(text, start, end, found)
    for parameter in parameters:
        named = re.compile(rf"(?<!\w)[:@\"']{{0,2}}{re.escape(parameter)}[\"']? ?[:=] ?[\"']([^\"'\n]{{1,200}})")
        if value := named.search(text, position, position + _MAX_PARAMETERS):
            found.append(value.span(1))
    return position


def find_in_update(text: str, match: re.Match[str], found: Found, *, names: SecretNames) -> int:
    """Find the parameters of secret columns behind SQL's `UPDATE users SET password = ? WHERE id = ?`."""
    begin = text.rfind("[SQL: ", max(match.start() - _MAX_PARAMETERS, 0), match.start())
    if begin < 0:
        return match.end()
    places = [each[1] for each in _PLACE.finditer(text, begin, match.start())]
    values, end = _sql_values(text, match.end())
    for name, (first, last) in zip(places, values, strict=False):
        if name and names.judge(name) is Judgement.SECRET:
            _find_sql_value(text, first, last, found)
    return end


def _sql_values(text: str, start: int) -> tuple[list[Span], int]:
    """Return where the values of the row stand that begins at `start`, and where the row ends."""
    values = []
    depth, first, position = 1, start, start
    for part in _SQL_PART.finditer(text, start, start + _MAX_SQL_ROW):
        position = part.end()
        depth += (part[0] == "(") - (part[0] == ")")
        if not depth or (depth == 1 and part[0] == ","):
            value = text[first : part.start()]
            end = first + len(value.rstrip())
            values.append((end - len(value.strip()), end))
            first = part.end()
        if not depth:
            break
    return values, position


def _find_sql_value(text: str, start: int, end: int, found: Found) -> None:
    """Find the texts in a value, which may be an argument of a function such as `crypt`, or a number."""
    literals = [part for part in _SQL_PART.finditer(text, start, end) if part[0][0] in "'\""]
    for literal in literals:
        if literal.end() - literal.start() > 2:  # noqa: PLR2004
            found.append((literal.start() + 1, literal.end() - 1))
    if not literals and text[start:end].isalnum() and not is_harmless(text, start, "", "="):
        found.add(start, end)
