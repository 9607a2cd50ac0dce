"""Standard input arrives in chunks, which are split into lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CONTINUATION_BYTES = 3
"""The largest number of bytes after the first byte of a character in UTF-8."""


class LineSplitter:
    """Splits chunks of bytes into lines. A line that is too long becomes several lines, cut between two characters.

    Args:
        max_bytes: The length of the longest line, in bytes, without its newline.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take a chunk, and yield the lines that it completes, without their newlines."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._rest += end
            yield from self._take_long()
            yield self._take(len(self._rest))
        self._rest += rest
        yield from self._take_long()

    def finish(self) -> Iterator[bytes]:
        """Yield the last line, if it has no newline."""
        if self._rest:
            yield self._take(len(self._rest))

    def _take_long(self) -> Iterator[bytes]:
        while len(self._rest) > self._max_bytes:
            yield self._take(self._end_of_character())

    def _end_of_character(self) -> int:
        """Return the position of the last character that begins before or at `max_bytes`."""
        for end in range(self._max_bytes, max(0, self._max_bytes - _MAX_CONTINUATION_BYTES - 1), -1):
            if self._rest[end] & 0xC0 != 0x80:  # noqa: PLR2004 - the mark of a continuation byte
                return end
        return self._max_bytes  # the bytes are not UTF-8

    def _take(self, length: int) -> bytes:
        line = bytes(self._rest[:length])
        del self._rest[:length]
        return line
