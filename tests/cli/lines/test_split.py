"""Tests of how chunks of bytes are split into lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._cli.lines.split import LineSplitter


def split(*chunks: bytes, max_bytes: int = 100) -> list[bytes]:
    lines = LineSplitter(max_bytes)
    return [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.finish())


def test_chunks_are_joined_to_lines() -> None:
    """A line may begin in one chunk and end in another, and the last line needs no newline."""
    assert split(b"a", b"b\n\nc\n", b"", b"d") == [b"ab", b"", b"c", b"d"]
    assert split(b"a\n") == [b"a"]
    assert split() == []


@pytest.mark.parametrize("character", ["a", "ä", "€", "😀"])
def test_a_long_line_is_cut_between_characters(character: str) -> None:
    """No part of a line is longer than the limit, and each part is text by itself."""
    content = (character * 1000).encode()
    parts = split(content[:77], content[77:], b"\nnext", max_bytes=101)
    assert b"".join(parts[:-1]).decode() == character * 1000
    assert {len(part) for part in parts[:-2]} <= {98, 99, 100, 101}
    assert {part.decode()[0] for part in parts[:-1]} == {character}


def test_a_line_of_the_greatest_length_is_whole() -> None:
    """Its newline does not count, whichever chunk the newline is in."""
    assert split(b"a" * 100 + b"\nb") == split(b"a" * 100, b"\nb") == [b"a" * 100, b"b"]


@pytest.mark.once
@given(chunks=st.lists(st.binary(max_size=40) | st.text("a\nä€😀", max_size=20).map(str.encode)))
def test_no_byte_is_lost(chunks: list[bytes]) -> None:
    """Whatever the bytes are, the lines hold all of them in order, apart from the newlines."""
    lines = split(*chunks, max_bytes=8)
    assert b"".join(lines) == b"".join(chunks).replace(b"\n", b"")
    assert all(len(line) <= 8 for line in lines)
