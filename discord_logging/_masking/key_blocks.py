"""A private key stands in a block of lines: PEM (RFC 7468), SSH2 (RFC 4716), PGP and PuTTY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_logging._masking.spans import MAX_VALUE
from discord_logging._masking.values import bare_end
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    import re

    from discord_logging._masking.spans import Found

_BEGIN = lazy_pattern(r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_END = lazy_pattern(r"-{4,5} ?END[A-Z0-9 ]{0,60}-{0,5}")
_BOUNDARY = lazy_pattern(r"-{4,5} ?(?:BEGIN|END)")
_PUBLIC = lazy_pattern(r"-{4,5} ?BEGIN [A-Z0-9 ]{1,60}-{4,5}")
_BASE64 = lazy_pattern(r"(?:[A-Za-z0-9+/]{40,100}={0,2}(?:\\r|\\n|\s){1,4}){2,200}[A-Za-z0-9+/]{0,100}={0,2}")
_JWK = lazy_pattern(r"[\"'](?:d|p|q|dp|dq|qi|k)[\"']\s?:\s?[\"']([\w+/=-]{20,})[\"']")

_MAX_JWK = 2_000
"""The distance between the parts of a JSON Web Key, in characters."""


def key_block_end(text: str, start: int) -> int:
    """Return the end of the private key in a block that begins at `start`, or `start`."""
    if not _BEGIN.match(text, start):
        return start
    end = _END.search(text, start, start + MAX_VALUE)
    return bare_end(text, end.end() if end else min(start + MAX_VALUE, len(text)))


def find_key_block(text: str, match: re.Match[str], found: Found) -> int:
    """Find the private key in the block that begins with the match. A public key or certificate is skipped."""
    start = match.start()
    end = key_block_end(text, start)
    if end > start:
        return found.add(start, end)
    public = _PUBLIC.match(text, start)
    boundary = public and _BOUNDARY.search(text, public.end(), public.end() + MAX_VALUE)
    return boundary.start() if boundary else match.end()


def find_key_lines(text: str, match: re.Match[str], found: Found) -> int:
    """Find the lines of a key whose first line was lost, behind `key:` or PuTTY's `Private-Lines: 8`."""
    start = match.end()
    lines = _BASE64.match(text, start)
    if not lines:
        return start
    end = _END.match(text, lines.end())
    return found.add(start, end.end() if end else lines.end())


def find_jwk(text: str, match: re.Match[str], found: Found) -> int:
    """Find the private parts of a JSON Web Key (RFC 7518), on both sides of its `"kty"`."""
    low, high = max(match.start() - _MAX_JWK, found.examined), match.end() + _MAX_JWK
    found.examined = high
    found += [part.span(1) for part in _JWK.finditer(text, low, high)]
    return match.end()
