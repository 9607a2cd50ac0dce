"""The text of a frozen exception, as the standard library's `traceback` would have written it."""

from __future__ import annotations

import functools
import itertools
import sys
import traceback
from typing import TYPE_CHECKING

from discord_logging._process.gil import yield_gil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType

    from discord_logging._records.freeze import FrameLocation, FrozenException

_SHOWN_REPEATS = 3
"""How often the same line is shown before it is said how often it is repeated, as the standard library does."""
HEAD = "Traceback (most recent call last):"
CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def format_exception(exception: FrozenException) -> str:
    """Return the whole traceback of `exception` with its causes, contexts, notes and group members.

    Reads source files, so it belongs on the listener's thread.
    """
    return "\n".join(_chain_lines(exception))


def chain_links(exception: FrozenException) -> list[tuple[FrozenException, str | None]]:
    """Return an exception and those before it, each with the words that link it to the one before it."""
    links: list[tuple[FrozenException, str | None]] = []
    link: FrozenException | None = exception
    while link is not None:
        earlier = link.cause or link.context
        introduction = CAUSE if link.cause else _CONTEXT
        links.append((link, introduction if earlier else None))
        link = earlier
    return links


def _chain_lines(exception: FrozenException) -> Iterator[str]:
    for each, introduction in reversed(chain_links(exception)):
        if introduction:
            yield from ("", introduction, "")
        yield from _own_lines(each)


def _own_lines(exception: FrozenException) -> Iterator[str]:
    if exception.places:
        yield HEAD
        yield from _stack_lines(exception.stack)
    yield from exception.text.split("\n")
    for note in exception.notes:
        yield from note.split("\n")
    for number, member in enumerate(exception.members, 1):
        yield f"+- {number} of {len(exception.members)} -"
        for line in _chain_lines(member):
            yield f"| {line}"


def _stack_lines(stack: Sequence[FrameLocation]) -> Iterator[str]:
    for _, same in itertools.groupby(stack, key=lambda place: (place[0].co_filename, place[1], place[0].co_name)):
        places = list(same)
        for place in places[:_SHOWN_REPEATS]:
            yield from frame_lines(*place)
        hidden = len(places) - _SHOWN_REPEATS
        if hidden > 0:
            yield f"  [Previous line repeated {hidden} more time{'s' if hidden > 1 else ''}]"


def frame_lines(code: CodeType, lineno: int | None, lasti: int) -> list[str]:
    """Return the lines of one frame: the place, the source, the carets."""
    # Code of two files may be equal.
    return _frame_lines(code.co_filename, code, lineno, lasti)


# Most tracebacks of a program share most of their frames, and the carets of one frame take longer than all else.
@functools.lru_cache(maxsize=2048)
def _frame_lines(_: str, code: CodeType, lineno: int | None, lasti: int) -> list[str]:
    # The standard library may take a millisecond for the carets, or read a file.
    yield_gil()
    text = "".join(traceback.StackSummary.from_list([_summarize(code, lineno, lasti)]).format())
    # Not splitlines(): a form feed or U+2028 in a line of source ends no line.
    return text.rstrip("\n").split("\n")


def _summarize(code: CodeType, lineno: int | None, lasti: int) -> traceback.FrameSummary:
    if sys.version_info < (3, 11):
        return traceback.FrameSummary(code.co_filename, lineno or 0, code.co_name, lookup_line=False)
    # A traceback that was made by hand may have -1, which is nowhere.
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
