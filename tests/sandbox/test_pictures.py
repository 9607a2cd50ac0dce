"""Tests of the sizes of pictures."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging.sandbox._pictures import Picture, picture

pytestmark = pytest.mark.once

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_GIF = b"GIF89a"
_JPEG = b"\xff\xd8\xff\xe1\0\x06Exif"  # the segment for the Exif data precedes the frame header
_WEBP = b"RIFF\x10\0\0\0WEBP"
_LOSSY, _LOSSLESS, _EXTENDED = (_WEBP + kind + b"\x10\0\0\0" for kind in (b"VP8 ", b"VP8L", b"VP8X"))


def _frame(marker: int, width: int, height: int) -> bytes:
    return struct.pack(">BBHBHH", 0xFF, marker, 17, 8, height, width)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_PNG + struct.pack(">II", 640, 70_000), ("image/png", 640, 70_000)),
        (_GIF + struct.pack("<HH", 640, 480), ("image/gif", 640, 480)),
        (b"GIF87a" + struct.pack("<HH", 1, 2), ("image/gif", 1, 2)),
        (_JPEG + _frame(0xC0, 640, 480), ("image/jpeg", 640, 480)),
        (_JPEG + b"\xff\xff\xff\x01" + _frame(0xC2, 3, 4), ("image/jpeg", 3, 4)),
        (_JPEG + b"\xff\xc4\0\x04ab" + _frame(0xC1, 5, 6), ("image/jpeg", 5, 6)),
        (_LOSSY + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480), ("image/webp", 640, 480)),
        (_LOSSLESS + b"\x2f" + struct.pack("<I", 639 | 479 << 14 | 1 << 28), ("image/webp", 640, 480)),
        (_EXTENDED + b"\0\0\0\0" + b"\x7f\x02\0" + b"\xff\xff\x01", ("image/webp", 640, 131_072)),
    ],
)
def test_a_picture_tells_its_size(data: bytes, expected: tuple[str, int, int]) -> None:
    """PNG, GIF, JPEG and WebP have their size near the beginning, each in its own form."""
    assert picture(data + b"the rest") == Picture(*expected)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (_PNG, "image/png"),
        (_PNG + struct.pack(">II", 0, 5), "image/png"),
        (_PNG + struct.pack(">II", 5, 2**31), "image/png"),
        (_GIF, "image/gif"),
        (_JPEG, "image/jpeg"),
        (_JPEG + b"no marker", "image/jpeg"),
        (b"\xff\xd8" + b"\xff\xfe\0\x02" * 500 + _frame(0xC0, 1, 1), "image/jpeg"),
        (_LOSSY, "image/webp"),
        (_WEBP + b"ICCP", "image/webp"),
    ],
)
def test_a_damaged_picture_has_no_size(data: bytes, content_type: str) -> None:
    """Its type is known all the same, and no file keeps the server busy with its search."""
    assert picture(data) == Picture(content_type, None, None)


@given(st.sampled_from([b"", _PNG, _GIF, _JPEG, _LOSSY, _LOSSLESS, _EXTENDED]), st.binary(max_size=40))
def test_any_bytes_can_be_asked(beginning: bytes, rest: bytes) -> None:
    """A size is positive or unknown, and other files are no pictures."""
    kind = picture(beginning + rest)
    if kind is not None and kind.width is not None:
        assert kind.width > 0
        assert kind.height is not None
    assert picture(b"%PDF" + rest) is None
