"""Whatever standard input holds, `discord-logging pipe` reads it without an error and loses no line."""

from __future__ import annotations

import argparse
import io
import logging
from itertools import pairwise
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from discord_logging import DiscordHandler
from discord_logging._cli import pipe
from discord_logging._cli.pipe import _Pipe, _Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.once

_OPTIONS = argparse.Namespace(name="stdin", default_level=logging.INFO, tee=False, progress=False, wait=1.0)
_TRACEBACK = b'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    int("x")\nValueError: '
_BEGINS = (
    b"",
    b"  ",
    b"\t",
    b"ERROR ",
    b"[error] ",
    b"WARN:shop:",
    b"main.c:12:5: error: ",
    b"2026-01-01 12:00:00,123 INFO name: ",
    b"2026-01-01 12:00:00.123 | ERROR    | shop.orders:read:12 - ",
    b"[2026-01-01 12:00:00,123: ERROR/MainProcess] ",
    b"<3>",
    b'<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [a b="c"] ',
    b"Oct 11 22:14:15 host cron[12]: ",
    b"E0101 12:00:00.123456    1234 file.go:42] ",
    b"level=error msg=",
    b'level=error msg="a',
    b'{"level": "error", "msg": "',
    b'{"level": "error", "exc_info": "',
    b"\x1b[31mERROR\x1b[0m ",
    _TRACEBACK,
    b"  + Exception Group Traceback (most recent call last):\n  | ",
    b"During handling of the above exception, another exception occurred:\n\n" + _TRACEBACK,
    b"\tat a.b(C.java:1)\nCaused by: ",
    b"x" * 300 + b" ",
)
_ENDS = (b"", b"\r", b'"', b'"}', b'", "k": 1}', b'", "msg": ""}', b"]", b":", b": ", b"\n\n", b"\n \t\r", b"\x1b[0m")
_NOISE = st.sampled_from(
    [*(bytes([byte]) for byte in b" \t\r\x00\x07\x1c\x85\xc3\xff,;:=-|+.[](){}\"'\\/%*_`~@#a"), "é😀\u2028".encode()]
)
_PART = st.tuples(
    st.sampled_from(_BEGINS),
    st.lists(_NOISE, max_size=4).map(b"".join),
    st.lists(_NOISE, max_size=4).map(b"".join),
    st.sampled_from(_ENDS),
    st.sampled_from([b"\n", b"\n", b"\n\n", b" "]),
)


class _Recorder(DiscordHandler):
    """A handler that keeps its records and delivers nothing."""

    def __init__(self) -> None:
        super().__init__(enabled=False)
        self.records: list[logging.LogRecord] = []

    def handle(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        return True


def read(chunks: Sequence[bytes]) -> list[str]:
    """Return the text of each record that the command makes of the chunks; `b""` is a pause."""
    with patch.object(pipe, "_read_chunks", lambda _: chunks), patch("sys.stdin", _Stdin()):
        handler = _Recorder()
        assert _Pipe(handler, _OPTIONS, _Signals()).run() == 0
    return [f"{record.getMessage()}\n{vars(record)}" for record in handler.records]


class _Stdin(io.StringIO):
    def fileno(self) -> int:
        return 0


@st.composite
def _inputs(draw: st.DrawFn) -> tuple[list[bytes], int]:
    """Return chunks of input with words in it, each of which is in no other place, and the number of words."""
    parts = draw(st.lists(_PART, max_size=12))
    lines = [
        begin + before + b"w%dw" % number + after + end + newline
        for number, (begin, before, after, end, newline) in enumerate(parts)
    ]
    content = draw(st.sampled_from([b"", b"\n", b" \n", b"\r\n"])) + b"".join(lines)
    content = content.removesuffix(b"\n") if draw(st.booleans()) else content
    cuts = [0, *sorted(draw(st.lists(st.integers(0, len(content)), max_size=6))), len(content)]
    return [content[begin:end] for begin, end in pairwise(cuts)], len(parts)


@given(_inputs())
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(([b"\nhello w0w\n"], 1))
@example(([b"level=error a=w0w a=w1w"], 2))
def test_every_line_arrives_in_order(given: tuple[list[bytes], int]) -> None:
    """Each word of the input is in a record, and no record has a word of an earlier place than the record before."""
    chunks, words = given
    records = read(chunks)
    places = [next((at for at, text in enumerate(records) if f"w{word}w" in text), None) for word in range(words)]
    assert None not in places
    assert places == sorted(places, key=lambda place: place or 0)


@given(st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\x1b", b"?")), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read(chunks: list[bytes]) -> None:
    """Random bytes raise no error, and make a record if they are not blank; terminal codes count as blank."""
    assert bool(read(chunks)) == bool(b"".join(chunks).decode(errors="backslashreplace").strip())


@pytest.mark.parametrize("size", [1, 65_536])
@pytest.mark.parametrize("piece", ["x", "\n", " \n", "\r", "ERROR x\n", "  x\n", "é", _TRACEBACK.decode() + "x\n"])
def test_time_is_linear_in_the_input(
    takes_linear_time: Callable[[Callable[[str], object], str, str], bool], piece: str, size: int
) -> None:
    """Four times the input takes about four times as long, in chunks of whatever size."""

    def read_text(text: str) -> None:
        content = text.encode()
        read([content[at : at + size] for at in range(0, len(content), size)])

    assert takes_linear_time(read_text, piece * (40_000 // len(piece)), piece * (160_000 // len(piece)))
