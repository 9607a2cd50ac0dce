"""This module writes a frozen exception as the standard library's `traceback` would have written it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from discord_logging._records.exceptions import CAUSE, CONTEXT, HEAD
from discord_logging._text.markdown import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from discord_logging._records.exceptions import FrozenException
    from discord_logging._records.frames import Frame

_MAX_REPEATS = 3
"""The number of times that the same line is shown before its other repeats are only counted, as in `traceback`."""
MAX_SAID = 6_000
"""The longest text that is compared with an exception, or shown outside of its traceback, in characters."""


def format_exception(exception: FrozenException) -> str:
    """Return the whole traceback of `exception` with its causes, contexts, notes and group members.

    Reads source files, so it belongs on the listener's thread.
    """
    return "\n".join(_chain_parts(exception))


def chain_links(exception: FrozenException) -> list[tuple[FrozenException, str | None]]:
    """Return an exception and those before it, each with the sentence that links it to the one before it."""
    links: list[tuple[FrozenException, str | None]] = []
    link: FrozenException | None = exception
    while link is not None:
        earlier = link.cause or link.context
        introduction = CAUSE if link.cause else CONTEXT
        links.append((link, introduction if earlier else None))
        link = earlier
    return links


def variable_line(name: str, text: str) -> str:
    """Return the line for a local variable, or for a note about variables left out."""
    return f"    {name} {text}" if name == ELLIPSIS else f"    {name} = {text}"


def headline(exception: FrozenException) -> str:
    """Return the type of an exception, without its module, and its text. The text is not masked.

    The end of a long text is left out.
    """
    name, text = exception.type_name, exception.text
    if not text.startswith(name):
        # The text of a `SyntaxError` begins with its place, and that of several tracebacks with their number.
        text = text[text.rfind(f"\n{name}") + 1 :]
    if text.startswith(name):
        text = name.rpartition(".")[2] + text.removeprefix(name)
    return text[:MAX_SAID]


def ways_to_name(exception: FrozenException) -> tuple[str, ...]:
    """Return the texts with which a program may repeat an exception: `str`, `repr`, and type and text.

    There are none for a text that is longer than a card.
    """
    if len(exception.text) > MAX_SAID:
        return ()
    text = exception.text.removeprefix(f"{exception.type_name}: ")
    short = exception.type_name.rpartition(".")[2]
    return text, exception.text, f"{short}: {text}", f"{short}({text!r})"


def _chain_parts(exception: FrozenException) -> Iterator[str]:
    for each, introduction in reversed(chain_links(exception)):
        if introduction:
            yield from ("", introduction, "")
        yield from _own_parts(each)


def _own_parts(exception: FrozenException) -> Iterator[str]:
    if stack := exception.stack:
        yield HEAD
        yield from _stack_lines(stack)
    yield exception.text
    yield from exception.notes
    for number, member in enumerate(exception.members, 1):
        yield f"+- {number} of {len(exception.members)} -"
        for part in _chain_parts(member):
            yield "| " + part.replace("\n", "\n| ")


def _stack_lines(stack: Sequence[Frame]) -> Iterator[str]:
    for _, same in itertools.groupby(stack, key=lambda frame: (frame.filename, frame.lineno, frame.name)):
        frames = list(same)
        for frame in frames[:_MAX_REPEATS]:
            yield from frame.lines
            for name, text in frame.variables:
                yield variable_line(name, text).replace("\n", "\n        ")
        hidden = len(frames) - _MAX_REPEATS
        if hidden > 0:
            yield f"  [Previous line repeated {hidden} more time{'s' if hidden > 1 else ''}]"
