r"""This module masks values that look like a password or a token.

A secret is recognised by the name before it (`password=…`, `"apiKey": "…"`, `Cookie: …`), by its position in an address
(`scheme://user:…@host`), a command line or a block of lines, or by its own shape (`ghp_…`). One pattern finds where one
may begin; after each match, a function looks for the end of the value. The search only goes forward: it continues
behind all text that it has examined, or ends after a fixed distance. Therefore the time is proportional to the length
of the text, however odd that is.

Masking is idempotent but for a few contrived inputs. A doubtful value is masked: a value that is missing in the channel
costs a look elsewhere, a password in the channel costs a new password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._masking.commands import PROGRAMS, find_after_program, find_in_commands
from discord_logging._masking.dumps import find_dumped
from discord_logging._masking.harmless import MARKDOWN_MASK, MASK, is_harmless_value
from discord_logging._masking.key_blocks import find_jwk, find_key_block, find_key_lines
from discord_logging._masking.named import find_named, is_key
from discord_logging._masking.names import DEFAULT_REDACT, Judgement, SecretNames
from discord_logging._masking.source_lines import find_compared, find_literals
from discord_logging._masking.spans import Found, Span
from discord_logging._masking.tables import find_in_insert, find_in_update
from discord_logging._masking.token_shapes import MIN_TOKEN, find_tokens
from discord_logging._masking.urls import (
    LINKS,
    QUERY_NAMES,
    SCHEMES,
    find_before_host,
    find_cookie,
    find_credentials,
    find_in_authority,
    find_in_oracle_url,
    find_in_password_file,
    find_in_query,
    find_in_wifi,
    find_link,
)
from discord_logging._masking.views import unescape, views
from discord_logging._process.gil import yield_gil, yield_gil_between
from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.markdown import FENCE
from discord_logging._text.sanitize import clean

_Find = Callable[[str, re.Match[str], Found], int]
"""Adds the secrets at a beginning to what was found, and returns the position to continue from."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    _Seen = dict[int, tuple[Any, Any]]
    """The values that were examined, with their masked copies, by id."""

_PORTION = 10_000
"""The number of characters that are searched at once. A search of five megabytes would hold the GIL for a third of a
second."""
_LONG_WORD = lazy_pattern(rf"\S{{{MIN_TOKEN}}}")
"""A word that is as long as the shortest token."""
_MAX_KNOWN_TEXT = 100
"""The longest text whose masked form is remembered, such as the name of a logger, in characters."""
_MAX_KNOWN = 1_000
"""The number of texts whose masked form is remembered."""
_OVERLAP = 200
"""The longest beginning of a secret, in characters."""


class _Beginning(NamedTuple):
    """The beginning of a secret.

    Attributes:
        sign: A part of every text with such a secret, most often a character; `""` stands for no telling one.
        literal: A part of the beginning. A text without it is not searched, which is the fastest way to go.
        pattern: The pattern of the beginning, in lower case.
        find: The function that finds the secret behind it.
    """

    sign: str
    literal: str
    pattern: str
    find: _Find


_TURN = 8
"""The number of beginnings that are examined between two pauses for other threads."""
_MIN_BEGINNINGS = 500
"""The number of beginnings of one kind that are examined however close they stand."""
_MIN_DISTANCE = 40
"""The mean distance of further beginnings, in characters. A text in which they stand closer is masked from there on,
for it would take long, and nobody can read it."""
_MAX_DEPTH = 50
"""The deepest nesting in which values are masked one by one; a container that is deeper is masked as a whole."""

_NAME_AND_VALUE = (("name", "value"), ("Name", "Value"), ("key", "value"), ("Key", "Value"))
"""The items of a mapping that hold a name and its value."""

_BEGINNINGS = [
    *(
        _Beginning(
            "login" if "login" in name else "",
            name,
            rf"{name}(?: {{1,4}}|[\"'], ?[\"'])(?=[\w+/=.-]{{16}})",
            find_credentials,
        )
        for name in SCHEMES
    ),
    *(
        _Beginning(each.sign, each.literal, rf"(?:{each.programs})(?=[\s(:])", partial(find_after_program, each))
        for each in PROGRAMS
    ),
    _Beginning(":", "://", "://", find_in_authority),
    _Beginning(":", "jdbc:oracle:", r"jdbc:oracle:\w{1,10}:", find_in_oracle_url),
    _Beginning(":", "", r":\d{4,5}:[\w*.-]{1,60}:[\w*.-]{1,60}:", find_in_password_file),
    _Beginning(";", "wifi:", "wifi:(?=[tsphri]:)", find_in_wifi),
    _Beginning("<", "<cookie ", r"<cookie [^=\s]{1,60}=", find_cookie),
    _Beginning("=", "", rf"[?&](?:{'|'.join(QUERY_NAMES)})=", find_in_query),
    _Beginning("@", "", r"[:/][^\s@/:\"'<>]{4,120}@(?=\w)", find_before_host),
    _Beginning("/", "", rf"/(?:{'|'.join(LINKS)})(?:/[\w-]{{1,20}})?/(?=[\w-]{{20}})", find_link),
    _Beginning("-", "", "-[a-z]", find_in_commands),
    _Beginning("-", "begin ", "-----? ?begin ", find_key_block),
    _Beginning("\n", "", r"(?:key:\s{0,10}\n|private-lines: \d{1,4}\s{1,4})", find_key_lines),
    _Beginning("\n", 'file "', r'[ ]file "[^"\n]{1,500}", line[^\n]{1,200}\n(?=[ |])', find_literals),
    _Beginning("{", "kty", "[\"']kty[\"']", find_jwk),
]
"""The beginnings of secrets without a name."""


class SecretMasker:
    """Masks secrets in text and in values.

    Words are compared without regard to case, and `-`, `_`, `.`, spaces and camelCase are alike: `api key` is found in
    `X-API-Key`, `stripeApiKey` and `API_KEY_2`.

    Args:
        words: The words that make a name look like the name of a secret; `DEFAULT_REDACT` by default. Without any word,
            nothing is masked. A `str` is not a list of words.

    Raises:
        TypeError: `words` is a `str`.
    """

    def __init__(self, words: Iterable[str] = DEFAULT_REDACT) -> None:
        if isinstance(words, str):
            raise TypeError(f"words must be a list such as ['iban'], not {words!r}.")
        self._names = SecretNames(words)
        self._masked: dict[str, str] = {}
        by_name = [
            _Beginning("", "", self._names.beginning, partial(find_named, names=self._names)),
            _Beginning("(", "into ", r"into(?=\s)", partial(find_in_insert, names=self._names)),
            _Beginning("(", "[parameters: (", r"\[parameters: \(", partial(find_in_update, names=self._names)),
            _Beginning("=", "= ", r"[\"'] [!=]==? (?=[a-z_])", partial(find_compared, names=self._names)),
            _Beginning("└", "", "└", partial(find_dumped, names=self._names)),
        ]
        self._beginnings: dict[str, list[tuple[str, re.Pattern[str], _Find]]] = {}
        for sign, literal, pattern, find in (*by_name, *_BEGINNINGS):
            self._beginnings.setdefault(sign, []).append((literal, lazy_pattern(pattern), find))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.words)!r})"

    @property
    def words(self) -> tuple[str, ...]:
        """The words, in lower case and with a space between their parts, so that they make an equal masker."""
        return self._names.words

    def is_secret(self, name: str) -> bool:
        """Tell whether `name` looks like the name of a secret."""
        return self._names.judge(name) is Judgement.SECRET

    def mask(self, text: str) -> str:
        """Return `text` with `***` for every secret, and without the characters that Discord does not show.

        Without any word, the text stays as it is.
        """
        if not self._names.words:
            return text
        # A text of another class is equal to a plain one, and looks different in a container.
        is_plain = type(text) is str
        if is_plain and (known := self._masked.get(text)) is not None:
            return known
        # Colour codes may separate a name from its value: removed later, they would let the secret through.
        cleaned = clean(text)
        spans = self._find(cleaned)
        spans += self._find_encoded(cleaned)
        masked = _replace(cleaned, spans) if spans else cleaned
        if is_plain and len(text) <= _MAX_KNOWN_TEXT:
            if len(self._masked) >= _MAX_KNOWN:
                self._masked.clear()
            self._masked[text] = masked
        return masked

    def mask_markdown(self, text: str) -> str:
        """Return a text in Discord's Markdown with `***` for every secret. Backslashes before signs do not count."""
        if not self._names.words:
            return text
        plain = unescape(text)
        spans = [*self._find(plain.text), *self._find_encoded(plain.text)]
        return _replace(text, [plain.original(span) for span in spans], is_markdown=True)

    def _find_encoded(self, text: str) -> Iterator[Span]:
        for view in views(text):
            yield from map(view.original, self._find(view.text))

    def _find(self, text: str) -> Found:
        found = Found()
        lowered = _lower(text)
        is_long = len(text) > _PORTION
        for sign, beginnings in self._beginnings.items():
            if sign in lowered:
                for literal, pattern, find in beginnings:
                    if literal in lowered and (is_long or pattern.search(lowered)):
                        _find_each(pattern, text, lowered, find, found)
                    if is_long:
                        yield_gil()
        if not is_long and not _LONG_WORD.search(text):
            return found
        for start in range(0, len(text), _PORTION):
            found += find_tokens(text, start, start + _PORTION)
            if start:
                yield_gil()
        return found

    def mask_value(self, name: object, value: Any) -> Any:
        """Return `value`, whose name is `name`, with `***` for every secret in it.

        Mappings, lists and tuples are copied, and their items are masked. A value of another type, text aside, stays as
        it is unless its name is the name of a secret; `None`, `True` and `False` always stay.
        """
        return self._mask_value(name, value, {}, _MAX_DEPTH)

    def _mask_value(self, name: object, value: Any, seen: _Seen, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(name, (str, bytes)) and self.is_secret_value(_to_str(name), value):
            return MASK
        if isinstance(value, str):
            return self.mask(value)
        if not isinstance(value, (Mapping, list, tuple)):
            return value
        if not depth:
            return MASK
        if id(value) not in seen:
            # A value that contains itself is masked within itself. The reference in `seen` keeps the id from being used
            # again meanwhile.
            seen[id(value)] = value, MASK
            seen[id(value)] = value, self._mask_items(value, seen, depth - 1)
        return seen[id(value)][1]

    def is_secret_value(self, name: str, value: object) -> bool:
        """Tell whether `value` is a secret as a whole because its name is `name`."""
        judgement = self._names.judge(name)
        if judgement is Judgement.WEAK:
            return isinstance(value, str) and is_key(name, value)
        return judgement is Judgement.SECRET and not is_harmless_value(name, value)

    def _mask_items(self, value: Any, seen: _Seen, depth: int) -> Any:
        if isinstance(value, Mapping):
            items: dict[Any, Any] = {}
            for name, each in value.items():
                masked_name = self.mask(name) if isinstance(name, str) else name
                while masked_name in items:  # Two names may be alike once they are masked.
                    masked_name += MASK
                items[masked_name] = self._mask_value(name, each, seen, depth)
            for name, content in _NAME_AND_VALUE:
                if name in items and content in items:
                    items[content] = self._mask_value(items[name], items[content], seen, depth)
            return items
        names = _item_names(value)
        masked = [self._mask_value(name, each, seen, depth) for name, each in zip(names, value, strict=True)]
        for pair in masked:
            # JSON makes a list of each pair. A list of two that stands alone may be a list of names.
            if isinstance(pair, list) and _is_pair(pair) and pair[1] and pair[1] is not True:
                pair[1] = MASK if self.is_secret_value(_to_str(pair[0]), pair[1]) else pair[1]
        if isinstance(value, list):
            return masked
        return tuple.__new__(type(value), masked) if hasattr(value, "_fields") else tuple(masked)


def _find_each(pattern: re.Pattern[str], text: str, lowered: str, find: _Find, found: Found) -> None:
    """Find the secrets that begin with the pattern. A text that consists of little but such beginnings is a secret."""
    found.examined = position = count = 0
    for start in range(0, len(text), _PORTION):
        if start:
            yield_gil()
        stop = start + _PORTION
        position = max(position, start)
        while (match := pattern.search(lowered, position, stop + _OVERLAP)) and match.start() < stop:
            count += 1
            if count > _MIN_BEGINNINGS + position // _MIN_DISTANCE:
                found.add(position, len(text))
                return
            position = max(find(text, match, found), match.end())
            if not count % _TURN:
                yield_gil()


def _replace(text: str, spans: list[Span], *, is_markdown: bool = False) -> str:
    """Return `text` with a mask for each of the spans, which may overlap."""
    parts: list[str] = []
    kept = fences = 0
    for start, end in yield_gil_between(sorted(spans)):
        if start >= kept:
            fences += text.count(FENCE, kept, start)
            # Two masks would make the text between them bold, except in a block of code.
            is_escaped = is_markdown and not fences % 2
            parts += text[kept:start], MARKDOWN_MASK if is_escaped else MASK
        kept = max(kept, end)
    return "".join((*parts, text[kept:])) if parts else text


def _lower(text: str) -> str:
    """Return `text` in lower case, with every character at its position."""
    if text.isascii():
        return text.lower()
    portions = (text[start : start + _PORTION] for start in range(0, len(text), _PORTION))
    return "".join(portion.replace("İ", "I").lower() for portion in yield_gil_between(portions))


def _is_pair(value: Any) -> bool:
    return len(value) == 2 and isinstance(value[0], (str, bytes))  # noqa: PLR2004


def _item_names(value: Any) -> Sequence[object]:
    """Return the names of the items of a list or tuple, as far as it tells them."""
    if isinstance(value, tuple) and len(fields := getattr(value, "_fields", ())) == len(value):
        return fields  # of a named tuple
    # HTTP headers often come as pairs.
    return (None, value[0]) if isinstance(value, tuple) and _is_pair(value) else (None,) * len(value)


def _to_str(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("latin-1")
