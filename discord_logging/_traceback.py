"""The text of a frozen exception, as the standard library's `traceback` would have written it."""

from __future__ import annotations

import itertools
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discord_logging._snapshot import FrameLocation, FrozenException

_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def format_exception(exception: FrozenException) -> str:
    """Return the whole traceback of `exception` with its causes, contexts, notes and group members.

    Reads source files, so it belongs on the listener's thread.
    """
    return "\n".join(_chain_lines(exception))


def _chain_lines(exception: FrozenException) -> Iterator[str]:
    chain: list[tuple[FrozenException, str | None]] = []
    link: FrozenException | None = exception
    while link is not None:
        earlier = link.cause or link.context
        introduction = _CAUSE if link.cause else _CONTEXT
        chain.append((link, introduction if earlier else None))
        link = earlier
    for each, introducing in reversed(chain):
        if introducing:
            yield from ("", introducing, "")
        yield from _own_lines(each)


def _own_lines(exception: FrozenException) -> Iterator[str]:
    if exception.stack:
        yield "Traceback (most recent call last):"
        frames = traceback.StackSummary.from_list([_summarize(location) for location in exception.stack])
        # Not splitlines(): a form feed or U+2028 in a line of source ends no line.
        yield from "".join(frames.format()).rstrip("\n").split("\n")
    yield from exception.text.split("\n")
    for note in exception.notes:
        yield from note.split("\n")
    for number, member in enumerate(exception.members, 1):
        yield f"+- {number} of {len(exception.members)} -"
        for line in _chain_lines(member):
            yield f"| {line}"


def _summarize(location: FrameLocation) -> traceback.FrameSummary:
    code, lineno, lasti = location
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
