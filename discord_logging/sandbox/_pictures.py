"""The types and sizes of pictures, which are read from the first bytes of their files."""

from __future__ import annotations

import io
import re
from typing import NamedTuple

import imagesize  # type: ignore[import-untyped]

_MAX_SIDE = 2**31 - 1
_TYPES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)


class Picture(NamedTuple):
    """A picture: its media type, and its sides in pixels; `None` if the file is too damaged to tell them."""

    content_type: str
    width: int | None
    height: int | None


def picture(data: bytes) -> Picture | None:
    """Return what a file says of itself, or `None` if it is no PNG, GIF, JPEG or WebP."""
    content_type = next((name for beginning, name in _TYPES if beginning.match(data)), None)
    if content_type is None:
        return None
    try:
        width, height = imagesize.get(io.BytesIO(data))
    except Exception:  # noqa: BLE001 - damage may look like anything
        width = height = 0
    known = 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE
    return Picture(content_type, width, height) if known else Picture(content_type, None, None)
