"""This module turns the frames of a traceback into text, in the process that logged it: file, line and source."""

from __future__ import annotations

import functools
import itertools
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._process.gil import yield_gil
from discord_logging._records.libraries import library_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import CodeType


class Frame(NamedTuple):
    """One frame of a traceback.

    Attributes:
        filename: The path of the file, as the code has it.
        lineno: The line, from 1, or `None` if it is unknown.
        name: The name of the function.
        path: The path as a developer sees it: relative to the working directory, or to the entry of `sys.path`.
        library: The name of the library that the file belongs to, or `None` if it is the program's own.
        lines: The frame as `traceback` shows it: the location, the line of source, and the carets below.
        variables: The names and texts of the local variables, without secrets, if `show_locals` asks for them.
    """

    filename: str
    lineno: int | None
    name: str
    path: str
    library: str | None
    lines: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> tuple[str, ...]:
        """The lines below the location: the source and the carets. Empty without source."""
        # A file or a function may have a line feed in its name.
        return self.lines[1 + (self.filename + self.name).count("\n") :]


def read_frames(locations: Sequence[Any], own_packages: tuple[str, ...] = ()) -> list[Frame]:
    """Return the frames at `locations`, outermost first. Reads source files.

    Args:
        locations: For each frame its code, its line and the offset of its last instruction, one after the other.
        own_packages: The packages that are the program's own wherever they lie.
    """
    flat = iter(locations)
    # A recursion has thousands of frames, but few locations. The id is the key, since code objects compare by content,
    # which is slow.
    known: dict[tuple[int, int | None, int], Frame] = {}
    frames = []
    for code, lineno, lasti in zip(flat, flat, flat, strict=True):
        location = id(code), lineno, lasti
        if location not in known:
            filename = code.co_filename
            lines = _frame_lines(filename, code, lineno, lasti)
            library = library_of(filename, own_packages)
            known[location] = Frame(filename, lineno, code.co_name, short_path(filename), library, lines)
        frames.append(known[location])
    return frames


def read_frames_at(places: Iterable[tuple[str, int | None, str]], own_packages: tuple[str, ...] = ()) -> list[Frame]:
    """Return the frames at places whose code is gone: file, line and function. Reads source files; has no carets."""
    return [
        Frame(file, line, name, short_path(file), library_of(file, own_packages), _place_lines(file, line, name))
        for file, line, name in places
    ]


# Most tracebacks of a program share most of their frames, and the carets of a frame take longer than all else. The file
# name belongs to the key, since the code of two files may be equal.
@functools.lru_cache(maxsize=2048)
def _frame_lines(_: str, code: CodeType, lineno: int | None, lasti: int) -> tuple[str, ...]:
    return _show(lambda: _summarize(code, lineno, lasti), code.co_filename, lineno, code.co_name)


@functools.lru_cache(maxsize=2048)
def _place_lines(filename: str, lineno: int | None, name: str) -> tuple[str, ...]:
    return _show(lambda: _summarize_place(filename, lineno, name), filename, lineno, name)


def _show(
    summarize: Callable[[], traceback.FrameSummary], filename: str, lineno: int | None, name: str
) -> tuple[str, ...]:
    # The standard library may take a millisecond for the carets, or read a file.
    yield_gil()
    try:
        text = "".join(traceback.StackSummary.from_list([summarize()]).format())
    except Exception:  # noqa: BLE001 - the name of a file may hold surrogates, and a loader of the user's may raise
        text = f'  File "{filename}", line {lineno}, in {name}'
    # splitlines() would also split at a form feed or U+2028, which end no line of source.
    return tuple(text.rstrip("\n").split("\n"))


def _summarize(code: CodeType, lineno: int | None, lasti: int) -> traceback.FrameSummary:
    if sys.version_info < (3, 11):
        return _summarize_place(code.co_filename, lineno, code.co_name)
    # A traceback that was made by hand may have -1, which stands for no instruction.
    positions = itertools.islice(code.co_positions(), lasti // 2, None) if lasti >= 0 else iter(())
    _, end_lineno, colno, end_colno = next(positions, (None, None, None, None))
    return traceback.FrameSummary(
        code.co_filename,
        lineno,
        code.co_name,
        lookup_line=False,
        end_lineno=end_lineno,
        colno=colno,
        end_colno=end_colno,
    )


def _summarize_place(filename: str, lineno: int | None, name: str) -> traceback.FrameSummary:
    # Up to Python 3.10, a line must be a number.
    line = lineno or 0 if sys.version_info < (3, 11) else lineno
    return traceback.FrameSummary(filename, line, name, lookup_line=False)


def short_path(filename: str) -> str:
    """Return the path of a file relative to the working directory, or to the entry of `sys.path` that it is below."""
    try:
        directory = os.getcwd()  # noqa: PTH109 - it is text
    except OSError:
        directory = ""
    return _relative_path(filename, (directory, *map(str, sys.path)))


@functools.lru_cache(maxsize=2048)
def _relative_path(filename: str, roots: Sequence[str]) -> str:
    prefixes = [root.rstrip(os.sep) + os.sep for root in roots]
    return filename[max((len(each) for each in prefixes if len(each) > 1 and filename.startswith(each)), default=0) :]
