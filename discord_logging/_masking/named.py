"""A secret stands behind its name, in one of the many forms in which people write a name and its value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from discord_logging._masking.forms import GAP, QUOTES, find_form
from discord_logging._masking.harmless import is_harmless, is_harmless_text, is_harmless_value, tells
from discord_logging._masking.key_blocks import key_block_end
from discord_logging._masking.names import Judgement
from discord_logging._masking.source_lines import is_source_line
from discord_logging._masking.spans import MAX_LINE, MAX_VALUE, MAX_WORD, line_end, line_start, looks_random
from discord_logging._masking.tables import find_in_table
from discord_logging._masking.values import (
    QUOTE,
    bare_end,
    closing_bracket,
    closing_quote,
    header_end,
    word_at,
    words_end,
)
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from discord_logging._masking.names import SecretNames
    from discord_logging._masking.spans import Found, Span

_HEADER = lazy_pattern(r"(?:authorization|cookies?|mnemonic|seed.?phrase|(?:recovery|backup).?codes?)\Z", re.IGNORECASE)
_OPENERS = ("[", "(", "{")
_MIN_KEY = 16
"""The shortest value that is a secret behind a weak name, in characters."""

_SEPARATOR = lazy_pattern(
    rf"(?:\[\w{{0,20}}\])?(?P<closers>{QUOTES}[\])]{{0,2}}\*{{0,2}})"
    # `password for ann:`, `API key provided:`, `Unseal Key 1:`, `{ get; set; } =`
    r"(?:[ \t]+(?:(?:(?:is|was)[ \t]+\w{1,20}[ \t]+)?(?:for|of|in|FOR)[ \t]+(?:key[ \t]+)?[\w.@%'\"/-]{1,60}"
    r"|(?:code|value|is|was)(?=:)|pair|provided|given|received|supplied|used|sent|entered|#?\d{1,2})(?=[ \t]*[:=])"
    r"|[ \t]*\{[^{}\n:=]{0,40}\}(?=[ \t]*=)"
    r"|[ \t]+(?:string|String|str|bytes|\[\]byte|char|text|any)(?=[ \t]*:?=[ \t]*[\"'`]))?"
    rf"{GAP}(?P<sign>[:=]{{1,2}}>?(?!//)(?:=(?=[ \t]*[\"']))?|!==?|[+?&|]{{1,2}}=|-+>|%3[Dd]){GAP}"
    r"(?:\*\*[ \t]*(?=[^\s*])|!!\w{1,20}[ \t]+|\s{0,20}string\(\d{1,6}\)[ \t]|\[\]byte\((?=[\"']))?"
)
"""Stands between a name and its value."""
_WEAK_SIGNS = ("::", "->", "=>", "-->", "!=", "!==", "==", "===")
"""The signs that stand between a name and other things than its value more often than not."""
_TYPE = lazy_pattern(
    r"(?:typing\.|pydantic\.|t\.)?(?:(?:Optional|Final|Annotated)\[)?"
    r"(?:str|bytes|bytearray|[sS]tring|Secret(?:Str|Bytes)?|[tT]ext|Any|any|object|char)\??\]?(?:[ \t]*\|[ \t]*None)?"
    r"[ \t]*=[ \t]*(?!=)"
)


_VALUE_BEFORE = lazy_pattern(r"[\"'][vV]alue[\"']: ?[\"']([^\"'\n]{1,400})[\"'], ?[\"'][nN]ame[\"']: [\"']\Z")
_OPTION = lazy_pattern(r"(?:[\"'],)?[ \t]+(?=[^\s-])")
_METAVAR = lazy_pattern(r"[A-Z][A-Z_]+(?![\w$!@#%^-])")
_SCHEME = lazy_pattern(r"(?:bearer|basic|token|digest|negotiate|apikey|ntlm|plain|login)[ \t]+(?=\S)", re.IGNORECASE)
_BLOCK = lazy_pattern(r"[|>][+-]?\d?[ \t]*\n")
_NEXT_LINE = lazy_pattern(r"(?:\\?\r?\n[ \t]*){1,3}(- )?[ \t]*")
_WITHIN = lazy_pattern(r"<[^<>\n]{1,100}>(?=[\s,;)\]}\"']|\Z)")
_SETTING = lazy_pattern(r"(?:\{[^}\n]{1,200}\}|[^;\"'\n{][^;\"'\n]{0,200})(?=;|\Z)")
_CLOSER = lazy_pattern(r"[)\]}]|[ \t]*(?:\r?\n|\Z)")
_ROW_ID = lazy_pattern(r"\(\d{1,9}(?:, \d{1,9}){0,5}\)")
_FALLBACK = lazy_pattern(r"[ )\]](?:or|else|\|\||\?\?)[ ](?=[bB]?[\"'])")
_MAX_CODE = 120
"""The longest code before the literal that stands in for its value, in characters."""
_IN_BRACKETS = lazy_pattern(r"\([^()]*\)|\[[^\[\]]*\]")
_LITERAL = lazy_pattern(r"\"[^\"]*\"|'[^']*'")
_INNER_QUOTE = lazy_pattern(r"'\\?''|([\"'`])\1")
_DEFAULT = lazy_pattern(r"[\"'](?:default|examples?|const|enum)[\"']:\s?\[?(?=[\"'])")
_EMPTY = lazy_pattern(r"(?:\[\s?\]|\(\s?\)|\{\s?\})(?!\w)")
_SCHEMA = lazy_pattern(r"[\"']type[\"']:\s?[\"'](?:string|object|array|str)[\"']")
_TEXT_ITEM = lazy_pattern(r":(?!\s{0,20}[\w.+-]{1,7}\s{0,20}[,}\]])\s{0,20}(\{|\"[^\"]*\"|'[^']*'|)")
_MORE_LITERALS = lazy_pattern(r"[\"'][ \t]*(?:[-=]>[ \t]*|,[ \t]*|or[ \t]+|[ \t]+)(?=[\"'])")
_KEY = lazy_pattern(r"[\"']?[\w.-]+[\"']?[ \t]*[:=](?:\s|$)")


def find_named(text: str, match: re.Match[str], found: Found, *, names: SecretNames) -> int:
    """Find the value behind a name that contains the word that was found; return where to continue."""
    start, end, judgement = names.find(text, *match.span())
    if judgement is Judgement.HARMLESS:
        return end
    separator = _SEPARATOR.match(text, end)
    if judgement is Judgement.WEAK:
        return _find_key(text, text[start:end], separator.end(), found) if separator else end
    if separator:
        return _find_behind(text, (start, end), separator, found)
    return _find_without_separator(text, start, end, found, names)


def _find_behind(text: str, name: Span, separator: re.Match[str], found: Found) -> int:
    """Find the value behind a name and a separator."""
    value, sign = separator.end(), separator["sign"]
    if sign == ":" and (typed := _TYPE.match(text, value)):
        value, sign = typed.end(), "="
    quoted = QUOTE.match(text, value)
    if not quoted and _is_weak(text, name[0], separator) and not looks_random(word_at(text, value)):
        return value
    before = text[max(name[0] - 2, 0) : name[0]]
    if value == len(text) or before == "::":
        return value
    if quoted and not _is_prompt(text, quoted):
        return _find_quoted(text, quoted, found, is_one_of_many=before == ", ")
    if text[value] in "\r\n" or text.startswith("\\\n", value):
        return _find_on_next_lines(text, name[0], value, found)
    if sign == ":" and (block := _BLOCK.match(text, value)):
        return _find_block(text, name[0], block.end(), found)
    return _find_fallback(text, value, _find_on_line(text, name, value, separator[0], found), found)


def _is_prompt(text: str, quote: re.Match[str]) -> bool:
    """Tell whether a quote behind a separator closes the text with the name, as in `getpass("Password: ")`."""
    line = line_start(text, quote.start())
    return bool(_CLOSER.match(text, quote.end())) and text.count(quote[2], line, quote.start()) % 2 == 1


def _is_weak(text: str, start: int, separator: re.Match[str]) -> bool:
    """Tell whether the sign behind a name stands before other things than its value more often than not."""
    sign = separator["sign"]
    if sign == ":" and text.endswith("xpected ", max(start - 10, 0), start):  # `Unexpected token: eof`
        return True
    if sign == ":" and text[max(start - 1, 0)] in ":/" and not separator[0][-1].isspace():
        # A part of a path or of a chain of names: `image: shop/auth:1.2`, `arn:aws:secretsmanager:eu:1:secret:shop`
        return True
    return sign in _WEAK_SIGNS and not (sign == "=>" and separator["closers"])


def _find_on_line(text: str, name: Span, value: int, separator: str, found: Found) -> int:
    """Find the value without quotes that stands on the line of its name."""
    word = text[slice(*name)]
    if text[max(name[0] - 1, 0)] == ";" and (setting := _SETTING.match(text, value)):  # a connection string
        return found.add(*setting.span())
    is_variable = text.startswith((f"{word},", f"{word})"), value)  # `login(password=password)`
    if is_variable or is_harmless(text, value, word, separator):
        return value
    if word.startswith("-") and text[max(name[0] - 1, 0)] in "\"'":  # `['mysql', '--password=a b']`
        return found.add(value, header_end(text, name[0], value))
    if _HEADER.search(word) and separator.strip() == ":" and not text.startswith(_OPENERS, value):
        end = header_end(text, name[0], value)
        return end if is_harmless_value(word, text[value:end]) else found.add(value, end)
    if separator == ")=" and _ROW_ID.match(text, value):  # `Key (session_id)=(42) already exists.`
        return value
    return _find_unquoted(text, name[0], value, found)


def _find_fallback(text: str, value: int, end: int, found: Found) -> int:
    """Find the literal that stands in for an empty value: `password = get("db") or "hunter2"`."""
    fallback = _FALLBACK.search(text, value, line_end(text, value, _MAX_CODE))
    if fallback and not re.search("[,;:]", _IN_BRACKETS.sub("", text[value : fallback.start() + 1])):
        return _find_quoted(text, QUOTE.match(text, fallback.end()), found)  # type: ignore[arg-type]  # it was seen
    return end


def is_key(name: str, value: str) -> bool:
    """Tell whether a value behind a weak name such as `insert_key` is a secret."""
    if len(value) < _MIN_KEY or not looks_random(value) or ("/" in value[1:-1] and "." in value):
        return False
    return len(name) > len("tokens") or not (value.islower() or value.isupper())


def _find_key(text: str, name: str, value: int, found: Found) -> int:
    quoted = QUOTE.match(text, value)
    start = quoted.end() if quoted else value
    if text.startswith(_OPENERS, value):
        start = value
        for literal in _LITERAL.finditer(text, value, closing_bracket(text, value, MAX_LINE)):
            if is_key(name, literal[0][1:-1]):
                start = found.add(literal.start() + 1, literal.end() - 1)
        return start
    is_secret = is_key(name, text[start : bare_end(text, start, start + MAX_WORD)])
    return found.add(start, bare_end(text, start)) if is_secret else value


def _find_without_separator(text: str, start: int, end: int, found: Found, names: SecretNames) -> int:
    if text.startswith("-", start) and (option := _OPTION.match(text, end)):
        value = option.end()
        is_help = _METAVAR.match(text, value) or is_harmless(text, value, "", ": ")
        return value if is_help else _find_any(text, value, found)
    if form := find_form(text, start, end):
        return _find_any(text, form[0], found, end=form[1])
    if text.endswith(('name": "', 'Name": "', "name': '"), max(start - 10, 0), start) and (
        value_before := _VALUE_BEFORE.search(text, max(start - MAX_LINE, 0), start)
    ):
        found.append(value_before.span(1))
    find_in_table(text, start, end, found, names)
    return end


def _find_any(text: str, value: int, found: Found, *, end: str = "") -> int:
    """Find the value that begins at `value`, with or without quotes; `end` is the sign that ends it."""
    quoted = QUOTE.match(text, value)
    if quoted and not end:
        return _find_quoted(text, quoted, found)
    if is_harmless(text, value, "", "="):
        return value
    limit = text.find(end, value, value + MAX_VALUE) if end else -1
    if limit < 0:
        return found.add(value, bare_end(text, value))
    return found.add(value, value + len(text[value:limit].rstrip("]>")))  # `]]>` ends a CDATA section.


def _find_quoted(text: str, opening: re.Match[str], found: Found, *, is_one_of_many: bool = False) -> int:
    """Find the value between quotes, and the values that follow it.

    `password = "old" -> "new"`, `password = "one " "two"`, `user, password = "ann", "hunter2"`
    """
    quoted: re.Match[str] | None = opening
    end = opening.end()
    while quoted:
        end, is_closed = _find_one_quoted(text, quoted, found)
        more = _MORE_LITERALS.match(text, end) if is_closed else None
        quoted = QUOTE.match(text, more.end()) if more and (is_one_of_many or "," not in more[0]) else None
        is_one_of_many = False
    return end


def _find_one_quoted(text: str, opening: re.Match[str], found: Found) -> tuple[int, bool]:
    """Return the end of the value, and whether its closing quote is there."""
    start = opening.end()
    triple = opening[2] * 3
    last = text.find(triple, start + 2, start + MAX_VALUE) if text.startswith(triple, start - 1) else -1
    if last >= 0:
        return found.add(start + 2, last), True
    end = closing_quote(text, start, opening[2], len(opening[1]))
    # A quote within SQL, YAML and CSV is doubled, and within a shell's `'it'\\''s'` it stands between two texts.
    while end and end > start and (inner := _INNER_QUOTE.match(text, end)) and inner[0][-1] == opening[2]:
        end = closing_quote(text, inner.end(), opening[2], len(opening[1]))
    if end is None:
        return found.add(start, line_end(text, key_block_end(text, start), MAX_VALUE)), False
    after = text.find(opening[2], end) + 1
    if text[after : after + 1].isalnum() or text[after : after + 1] in ("_", '"', "'"):
        # A quote with text right behind it does not end the value, as in CSV or after a forgotten escape.
        glued = bare_end(text, after)
        if glued > after:
            return found.add(opening.start(), glued), False
    if not is_harmless_text(text[start:end]):
        found.add(start, end)
    return end, True


def _find_unquoted(text: str, name: int, start: int, found: Found) -> int:
    if (end := key_block_end(text, start)) > start:
        return found.add(start, end)
    is_code = True
    if text[start] in _OPENERS:
        end = closing_bracket(text, start)
        if _is_harmless_container(text, start, end, found):
            return end
        is_code = not _LITERAL.search(text, start, end)
        end = bare_end(text, end)
    else:
        within = _WITHIN.match(text, start)
        scheme = _SCHEME.match(text, start)
        end = within.end() if within else words_end(text, bare_end(text, scheme.end() if scheme else start))
    if is_code and is_source_line(text, name):
        return start
    return found.add(start, end)


def _is_harmless_container(text: str, start: int, end: int, found: Found) -> bool:
    """Tell whether a container is empty, or holds messages, states, numbers or a JSON schema.

    The values that a schema has as default or example are found.
    """
    literals = _LITERAL.findall(text, start, end)
    if literals and all(is_harmless_text(literal[1:-1]) and " " in literal for literal in literals):
        return True
    if text[start] != "{" or ":" not in text[start:end]:
        return bool(_EMPTY.match(text, start))
    if _SCHEMA.search(text, start, end):
        for default in _DEFAULT.finditer(text, start, end):
            _find_quoted(text, QUOTE.match(text, default.end()), found)  # type: ignore[arg-type]  # it was seen
        return True
    return all(_is_harmless_item(item[1]) for item in _TEXT_ITEM.finditer(text, start, end))


def _is_harmless_item(value: str) -> bool:
    return value == "{" or (bool(value) and (tells(value[1:-1]) or is_harmless_text(value[1:-1])))


def _find_on_next_lines(text: str, name: int, start: int, found: Found) -> int:
    """Find the value on the line below its name, or the values in the list there."""
    position = start
    while next_line := _NEXT_LINE.match(text, position):
        first, end = next_line.end(), line_end(text, next_line.end())
        line = text[first:end].rstrip()
        is_deeper = _indent(text, first) > _indent(text, name) or next_line[1]
        is_value = line and " " not in line and not _KEY.match(line) and (is_deeper or looks_random(line))
        if not is_value or is_harmless(text, first, "", ": "):
            break
        quoted = QUOTE.match(text, first)
        position = _find_quoted(text, quoted, found) if quoted else found.add(first, first + len(line))
        if not next_line[1]:
            break
        position = line_end(text, position)
    return max(position, start)


def _find_block(text: str, name: int, start: int, found: Found) -> int:
    """Find the lines of a YAML block, which are indented more than the line of its name."""
    indent = _indent(text, name)
    end = start
    while end < min(start + MAX_VALUE, len(text)):
        line = text[end : line_end(text, end, MAX_VALUE)]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        end += len(line) + 1
    block = text[start : min(end, len(text))]
    return found.add(start + len(block) - len(block.lstrip()), start + len(block.rstrip()))


def _indent(text: str, position: int) -> int:
    line = text[line_start(text, position) : position + 1]
    return len(line) - len(line.lstrip())
