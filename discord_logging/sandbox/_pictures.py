"""The types and sizes of pictures, which are read from the first bytes of their files."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_SIDE = 2**31 - 1
_MAX_SEGMENTS = 200
"""The largest number of segments of a JPEG that are read before its size: few programs write more than a dozen."""
_PREFIX = 0xFF
"""The first byte of a marker of a JPEG; more of them may fill the space before it."""
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xDA))
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Picture(NamedTuple):
    """A picture: its media type, and its sides in pixels; `None` if the file is too damaged to tell them."""

    content_type: str
    width: int | None
    height: int | None


def picture(data: bytes) -> Picture | None:
    """Return what a file says of itself, or `None` if it is no PNG, GIF, JPEG or WebP."""
    for beginning, content_type, size in _KINDS:
        if beginning.match(data):
            try:
                width, height = size(data)
            except (struct.error, IndexError, ValueError):
                width, height = 0, 0
            known = 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE
            return Picture(content_type, width, height) if known else Picture(content_type, None, None)
    return None


def _png(data: bytes) -> tuple[int, ...]:
    """Read the chunk IHDR (https://www.w3.org/TR/png-3/#11IHDR)."""
    return struct.unpack_from(">II", data, 16)


def _gif(data: bytes) -> tuple[int, ...]:
    """Read the logical screen descriptor (https://www.w3.org/Graphics/GIF/spec-gif89a.txt)."""
    return struct.unpack_from("<HH", data, 6)


def _jpeg(data: bytes) -> tuple[int, ...]:
    """Read the frame header, which follows other segments (https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B)."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        prefix, marker = data[at], data[at + 1]
        if prefix != _PREFIX:
            break
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == _PREFIX:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("no frame header")


def _webp(data: bytes) -> tuple[int, ...]:
    """Read the first chunk, which has one of three forms (https://www.rfc-editor.org/rfc/rfc9649#section-2)."""
    kind = data[12:16]
    if kind == b"VP8 ":
        return tuple(side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
    raise ValueError("an unknown chunk")


_KINDS: tuple[tuple[re.Pattern[bytes], str, Callable[[bytes], tuple[int, ...]]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", _png),
    (re.compile(rb"GIF8[79]a"), "image/gif", _gif),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", _jpeg),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp", _webp),
)
