r"""This module masks values that look like a password or a token.

A secret is recognised by the name before it (`password=…`, `"apiKey": "…"`, `Cookie: …`), by its position in a URL
(`scheme://user:…@host`) or by its own shape (`ghp_…`). One pattern finds such names and beginnings; after each match,
code looks for the end of the value. The search only goes forward: it continues behind all text that it has examined, or
ends after a fixed distance. Therefore the time is proportional to the length of the text, however odd that is.

Masking is idempotent but for a few contrived inputs. A doubtful value is masked: a value that is missing in the channel
costs a look elsewhere, a password in the channel costs a new password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from discord_logging._process.gil import yield_gil
from discord_logging._text.markdown import ELLIPSIS
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    Span = tuple[int, int]
    """The positions at which a secret begins and ends. Without a secret, both are the position to continue from."""

    _Seen = dict[int, tuple[Any, Any]]
    """The values that were examined, with their masked copies, by id."""

MASK = "***"
"""The text that replaces every secret."""

DEFAULT_REDACT: tuple[str, ...] = (
    *("password", "passwords", "passwd", "passphrase", "passcode", "pass", "pwd"),
    *("secret", "secrets", "token", "jwt", "bearer", "csrf", "xsrf", "auth", "oauth", "authorization"),
    *("cookie", "cookies", "session", "session id", "sessid", "connect sid", "credential", "credentials", "creds"),
    *("api key", "api keys", "access key", "secret key", "private key", "account key", "encryption key"),
    *("signing key", "ssh key", "auth key", "master key", "signature", "sig"),
    *("dsn", "connection string", "conn str", "ssn", "card number", "credit card", "cvv", "cvc"),
)
"""The default of `redact`: the words that make a name look like the name of a secret."""

_MIN_ANYWHERE = 5
"""The shortest word that counts anywhere in a name, in letters. A shorter word counts only where a part of a name
begins: `auth` in `x-auth`, not `ssn` in `classname`."""
_MAX_VALUE = 10_000
"""The distance within which the quote or bracket that ends a value is looked for, in characters."""
_PORTION = 10_000
"""The number of characters that are searched at once. A search of five megabytes would hold the GIL for a third of a
second."""
_MAX_DEPTH = 50
"""The deepest nesting in which values are masked one by one; a container that is deeper is masked as a whole."""
_HARMLESS_ENDINGS = frozenset(
    [
        *("age", "at", "class", "count", "counts", "domain", "duration", "enabled", "endpoint", "error", "errors"),
        *("expired", "expires", "expiration", "expiry", "failed", "failure", "failures", "field", "file", "in"),
        *("invalid", "len", "length", "lifetime", "limit", "method", "missing", "path", "policy", "required"),
        *("scheme", "size", "source", "start", "started", "status", "timeout", "ttl", "type", "uri", "url", "used"),
        "valid",
    ]
)
"""The endings of names that describe a secret but do not hold it: `token_type`, `PASSWORD_FILE`, `sessionTimeout`."""
_HARMLESS_VALUES = frozenset(("", "none", "null", "true", "false", MASK))
_HEADERS = ("authorization", "cookie", "cookies")

_BEGINNINGS = frozenset(
    [
        *("://", "-----begin", "eyj", "ghp_", "gho_", "ghs_", "ghr_", "ghu_", "github_pat_", "glpat-", "akia", "asia"),
        *("xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk-"),
    ]
)
"""The beginnings of secrets that are recognised without a name, in lower case."""
_SHAPE = re.compile(
    r"eyJ[\w-]{4,}\.[\w-]{4,}(?:\.[\w-]*)*"
    r"|(?:gh[opsru]_|github_pat_|glpat-)[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{8,}"
    r"|[sr]k_(?:live|test)_\w{8,}"
    r"|sk-[\w-]{20,}"
    r"|A[KS]IA[0-9A-Z]{16}(?![0-9A-Za-z])",
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_PEM_END = re.compile(r"-----END[A-Z0-9 ]{0,60}-{0,5}")
_AUTHORITY = re.compile(r"[^\s/?#\"'<>]*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAME_SEPARATOR = re.compile(r"[-_. ]+")
_TAIL = re.compile(r"[\w.-]*")
_SEPARATOR = re.compile(r"(?:\\*[\"']{1,2})?\]?[ \t]*(?:[:=]{1,2}>?(?!//)|%3[Dd])[ \t]*")
_BEARER = re.compile(r"[ \t]+([\w.~+/-]{16,}=*)")
_SCHEME = re.compile(r"(?:bearer|basic|token|digest|negotiate)[ \t]+(?=\S)", re.IGNORECASE)
_QUOTE = re.compile(r"[bBrRuUfF]{0,2}(\\{0,7})([\"'])")
_BRACKET = re.compile(r"\\[\s\S]|[\[\](){}\"']")
_LINE_END = re.compile(r"[\r\n]|\\[rn]")
_BARE_END = re.compile(
    r"\s|</|[\"'`](?=[\s,;:)\]}>.&|\\\"'`]|$)|[,;&|](?=\s|$|[\"'\[{(]|[\w.-]{1,40}(?: [\w.-]{1,15}){0,2}[\"']?[=:])",
)
_ANY_QUOTE = re.compile(r"[\"']")
_OPTION = re.compile(r"(?:[\"'],)?[ \t]+(?=[^\s-])")
_PAIR_START = re.compile(r".*\([bB]?[\"']$", re.DOTALL)
_PAIR = re.compile(r"[\"'],[ \t]*(?=[bB]?[\"'])")
_OPENERS = ("[", "(", "{")
_CLOSERS = ")]}>.,;:!?\\\"'"


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
        spelled = {
            tuple(part for part in _NAME_SEPARATOR.split(_lower(_CAMEL.sub("_", word))) if part) for word in words
        }
        self._words = tuple(sorted(" ".join(parts) for parts in spelled if parts))
        self._name = re.compile(_alternatives(self._words)) if self._words else None
        self._start = re.compile(_alternatives((*self._words, *_BEGINNINGS))) if self._words else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._words)!r})"

    def is_secret(self, name: str) -> bool:
        """Tell whether `name` looks like the name of a secret."""
        if not self._name:
            return False
        found = any(_is_word(name, *match.span()) for match in self._name.finditer(_lower(name)))
        return found and not _is_harmless(name)

    def mask(self, text: str) -> str:
        """Return `text` with `***` for every secret, and without the characters that Discord does not show."""
        if not self._start:
            return text
        # Colour codes may separate a name from its value: removed later, they would let the secret through.
        text = clean(text)
        lowered = _lower(text)
        parts: list[str] = []
        kept = 0
        match = _search(self._start, lowered, 0)
        while match:
            start, end = _beginning(text, match) if match[0] in _BEGINNINGS else _named(text, match)
            if start < end:
                parts += text[kept:start], MASK
                kept = end
            match = _search(self._start, lowered, max(end, match.start() + 1))
        return "".join((*parts, text[kept:])) if parts else text

    def mask_value(self, name: object, value: Any) -> Any:
        """Return `value`, whose name is `name`, with `***` for every secret in it.

        Mappings, lists and tuples are copied, and their items are masked. A value of another type, text aside, stays as
        it is unless its name is the name of a secret; `None`, `True` and `False` always stay.
        """
        return self._mask_value(name, value, {}, _MAX_DEPTH)

    def _mask_value(self, name: object, value: Any, seen: _Seen, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(name, (str, bytes)) and self.is_secret(_to_str(name)):
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

    def _mask_items(self, value: Any, seen: _Seen, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {name: self._mask_value(name, each, seen, depth) for name, each in value.items()}
        # HTTP headers often come as pairs.
        is_pair = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004
        names = (None, value[0]) if is_pair else (None,) * len(value)
        masked = [self._mask_value(name, each, seen, depth) for name, each in zip(names, value, strict=True)]
        return masked if isinstance(value, list) else tuple(masked)


def _search(pattern: re.Pattern[str], text: str, position: int) -> re.Match[str] | None:
    overlap = len(pattern.pattern)  # No word is longer than the pattern that finds it.
    for start in range(position, len(text), _PORTION):
        match = pattern.search(text, start, start + _PORTION + overlap)
        yield_gil()
        if match and match.start() < start + _PORTION:
            return match
    return None


def _lower(text: str) -> str:
    """Return `text` in lower case, with every character at its position."""
    return text.replace("İ", "I").lower()


def _to_str(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("latin-1")


def _alternatives(words: Iterable[str]) -> str:
    """Return a pattern for `words`, in which they share their beginnings: it is three times as fast as a plain list."""
    rests: dict[str, list[str]] = {}
    for word in sorted(words):
        rests.setdefault(word[:1], []).append(word[1:])
    optional = "?" if rests.pop("", None) else ""
    branches = [
        ("[-_. ]?" if first == " " else re.escape(first)) + _alternatives(rest) for first, rest in rests.items()
    ]
    return f"(?:{'|'.join(branches)}){optional}" if branches else ""


def _is_word(text: str, start: int, end: int) -> bool:
    """Tell whether a match is a whole part of a name: `auth` is one in `xAuth` and `AUTH_2`, but not in `author`."""
    after, last = text[end : end + 1], text[end - 1]
    if after.isalpha() and not (after.isupper() and last.islower()):
        return False
    before, first = text[max(start - 1, 0) : start], text[start]
    return end - start >= _MIN_ANYWHERE or not before.isalpha() or (before.islower() and first.isupper())


def _is_harmless(name: str) -> bool:
    last = _NAME_SEPARATOR.split(_CAMEL.sub("_", name[-20:]))[-1]
    return last.lower() in _HARMLESS_ENDINGS


def _beginning(text: str, match: re.Match[str]) -> Span:
    """Return the span of a secret that is recognised without a name."""
    start, end = match.span()
    if match[0] == "://":
        return _url_password(text, end)
    if match[0] == "-----begin":
        return start, _pem_end(text, start)
    if _is_name_part(text, start - 1):
        return end, end
    shape = _SHAPE.match(text, start)
    return shape.span() if shape else (end, end)


def _url_password(text: str, start: int) -> Span:
    whole = _AUTHORITY.match(text, start).end()  # type: ignore[union-attr]  # it matches anything
    # A text that was cut may have lost the host behind the password.
    end = whole if text.endswith(ELLIPSIS, start, whole) else text.rfind("@", start, whole)
    colon = text.find(":", start, max(end, start))
    if colon < 0:
        return start, start
    return (end, end) if text.startswith(MASK, colon + 1) else (colon + 1, end)


def _pem_end(text: str, start: int) -> int:
    """Return the end of the private key in PEM form that begins at `start`, or `start`."""
    if not _PEM.match(text, start):
        return start
    end = _PEM_END.search(text, start, start + _MAX_VALUE)
    return _bare_end(text, end.end() if end else min(start + _MAX_VALUE, len(text)))


def _named(text: str, match: re.Match[str]) -> Span:
    """Return the span of the value behind the word that was found."""
    start, end = match.span()
    if not _is_word(text, start, end):
        return end, end
    tail = _TAIL.match(text, end).end()  # type: ignore[union-attr]  # it matches anything
    if match[0] == "bearer" and (bearer := _BEARER.match(text, end)):
        return bearer.start(1), _bare_end(text, bearer.end())
    separator = _SEPARATOR.match(text, tail) or _wide_separator(text, start, tail)
    if not separator or _is_harmless(text[start:tail]):
        return tail, tail
    value = separator.end()
    quoted = _QUOTE.match(text, value)
    if quoted:
        return _quoted(text, quoted)
    if match[0] in _HEADERS and separator[0].strip() == ":" and not text.startswith(_OPENERS, value):
        return _header(text, start, value)
    return _unquoted(text, start, value)


def _wide_separator(text: str, start: int, tail: int) -> re.Match[str] | None:
    """Return the separator in an option of a command (`--password x`) or in a pair (`('cookie', 'x')`)."""
    name = _name_start(text, start)
    if text.startswith("--", name):
        return _OPTION.match(text, tail)
    return _PAIR.match(text, tail) if _PAIR_START.match(text, max(name - 3, 0), name) else None


def _name_start(text: str, position: int) -> int:
    while _is_name_part(text, position - 1):
        position -= 1
    return position


def _is_name_part(text: str, position: int) -> bool:
    return position >= 0 and (text[position].isalnum() or text[position] in "-_")


def _quoted(text: str, opening: re.Match[str]) -> Span:
    start = opening.end()
    end = _closing_quote(text, start, opening[2], len(opening[1]))
    if end is None:
        line_end = text.find("\n", _pem_end(text, start))
        return start, line_end if line_end >= 0 else len(text)
    after = text.find(opening[2], end) + 1
    if text[after : after + 1].isalnum() or text[after : after + 1] in ("_", '"', "'"):
        # A quote with text right behind it does not end the value, as in CSV or after a forgotten escape.
        glued = _bare_end(text, after)
        if glued > after:
            return opening.start(), glued
    return (end, end) if text[start:end].lower() in _HARMLESS_VALUES else (start, end)


def _closing_quote(text: str, start: int, quote: str, depth: int) -> int | None:
    """Return where a quoted text ends, or `None` if it does not end near.

    Args:
        text: The whole text.
        start: The position behind the opening quote.
        quote: The quote.
        depth: The number of backslashes before the opening quote: 0, and 1, 3, 7… for text within quoted text.
    """
    limit = start + _MAX_VALUE
    position = text.find(quote, start, limit)
    begin = start
    while position >= 0:
        before = text[begin:position]
        backslashes = (len(before) - len(before.rstrip("\\"))) % (2 * depth + 2)
        if backslashes <= 2 * depth:
            return position - min(backslashes, depth)
        begin = position + 1
        position = text.find(quote, begin, limit)
    return None


def _header(text: str, name: int, start: int) -> Span:
    """Return the span of a header's value: to the end of the line, or of the quotes around the whole header."""
    if text.startswith(MASK, start):
        return start, start
    name = _name_start(text, name)
    line_end = _LINE_END.search(text, start)
    end = line_end.start() if line_end else len(text)
    quote = text[max(name - 1, 0) : name]
    if quote and quote in "\"'`":
        before = text[max(name - 8, 0) : name - 1]
        closing = _closing_quote(text, start, quote, len(before) - len(before.rstrip("\\")))
        end = end if closing is None else min(closing, end)
    end = start + len(text[start:end].rstrip())
    return (end, end) if text[start:end].lower() in _HARMLESS_VALUES else (start, end)


def _unquoted(text: str, name: int, start: int) -> Span:
    if (end := _pem_end(text, start)) > start:
        return start, end
    if text[start : start + 1] in _OPENERS:
        end = _bare_end(text, _closing_bracket(text, start))
        is_code = not _ANY_QUOTE.search(text, start, end)
    else:
        scheme = _SCHEME.match(text, start)
        end = _bare_end(text, scheme.end() if scheme else start)
        is_code = True
    if text[start:end].lower() in _HARMLESS_VALUES or (is_code and _is_source_line(text, name)):
        return end, end
    return start, end


def _bare_end(text: str, start: int) -> int:
    """Return where a value without quotes ends that starts, or goes on, at `start`."""
    match = _BARE_END.search(text, start)
    return start + len(text[start : match.start() if match else len(text)].rstrip(_CLOSERS))


def _closing_bracket(text: str, start: int) -> int:
    """Return the end of the bracketed value that begins at `start`, or the position where the search gave up."""
    limit = min(start + _MAX_VALUE, len(text))
    depth = 0
    position = start
    while match := _BRACKET.search(text, position, limit):
        position = match.end()
        if match[0] in "\"'":
            position = (_closing_quote(text, position, match[0], 0) or position - 1) + 1
            continue
        depth += 1 if match[0] in "[({" else -1
        if depth == 0:
            return position
    return limit


def _is_source_line(text: str, position: int) -> bool:
    """Tell whether the line is source code in a traceback, where code follows a name, not a value."""
    line = text.rfind("\n", max(position - 500, 0), position)
    above = text[max(line - 500, 0) : max(line, 0)].rpartition("\n")[2]
    return above.startswith('  File "') and text.startswith("    ", line + 1)
