"""This module shortens the traceback of a frozen exception for a card.

Runs of frames of libraries are folded to a line. If the rest is still too long, the least important parts are left out:
first the frames in the middle, of the earliest exceptions before those of the last, then the earliest exceptions.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._cards.traceback_text import chain_links, variable_line
from discord_logging._records.exceptions import HEAD
from discord_logging._records.frames import short_path
from discord_logging._text.markdown import ELLIPSIS, note_cut, shorten
from discord_logging._text.sanitize import mask_token

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from discord_logging._records.exceptions import FrozenException
    from discord_logging._records.frames import Frame

_LOCATION_START = '  File "'
_MAX_LIBRARIES = 3
"""The largest number of libraries that a folded run of frames names."""
_MAX_LIBRARY_FRAMES = 3
"""The number of last frames that are shown of a traceback without any frame of the program."""
_MIN_REPEATS = 3
"""The smallest number of repeats that are folded into one."""
_MAX_CYCLE = 20
"""The longest cycle of frames, or folded runs of frames, that is recognised."""
_MAX_SOURCE = 160
"""The longest line of source on a card, in characters."""
_MAX_VARIABLE = 100
"""The longest line with a local variable on a card, in characters."""
_MAX_VARIABLES = 6
"""The largest number of local variables of a frame on a card."""
_MAX_VARIABLE_FRAMES = 3
"""The number of last frames whose local variables are on a card."""
_MAX_LOCATION = 240
"""The longest line with file, line and function, in characters."""
_MARK_ROOM = 40
"""The room for the line that counts the earlier exceptions left out, in characters."""
_MIN_NOTE_ROOM = 80
"""The least room in which a cut text gets a note about its whole length, in characters."""
_MAX_MEMBERS = 10
"""The largest number of members of a group that are shown."""
_MIN_MEMBER_ROOM = 350
"""The least room for a member of a group, in characters. In less room, fewer members are shown."""
_MAX_GROUP_DEPTH = 8
"""The deepest nesting of groups whose members are shown."""


def format_card(exception: FrozenException, limit: int) -> str:
    """Return the traceback of `exception` in at most `limit` characters.

    Runs of frames of libraries are folded, paths are shortened, and parts in the middle are left out if there is no
    room. The last frame and the line with type and text stay. If anything is left out, `note_cut` is called.

    Args:
        exception: The exception.
        limit: The longest text, in characters. Below about 500, there is little room for more than type and text.
    """
    lines = _fit_chain(exception, limit + 1, 0)
    if any(type(line) is _Cut for line in lines):
        note_cut()
    return shorten("\n".join(lines), limit)[: max(limit, 0)]


class _Cut(str):
    """A line that is cut or that replaces others. `note_cut` is called at the end, since drafts are thrown away."""

    __slots__ = ()


class _Block(NamedTuple):
    """Lines of a card that stay together, and that are written only when they are shown."""

    key: Hashable
    """A value that is equal for blocks that show the same."""
    frames: int
    is_program: bool
    lines: Callable[[], list[str]]


def _fit_chain(exception: FrozenException, room: int, depth: int) -> list[str]:
    """Return the lines of an exception and of the exceptions before it, as far as there is room."""
    links = chain_links(exception)
    if len(links) == 1:
        return _Section(exception, None, room, depth).lines(room)
    left = room - _MARK_ROOM
    sections: list[tuple[_Section, int]] = []
    for link, introduction in links:
        # The text of the last exception may take all of the room. Its frames may take half, and later what is left.
        section = _Section(link, introduction, room // 3 if sections else left, depth)
        size = _cost(section.lines(0 if sections else room // 2), depth)
        if sections and size > left:
            break
        sections.append((section, size))
        left -= size
    shown: list[list[str]] = []
    for section, size in sections:
        shown.append(section.lines(size + left))
        left += size - _cost(shown[-1], depth)
    hidden = len(links) - len(sections)
    mark = [_Cut(f"{ELLIPSIS} {_count(hidden, 'earlier exception')} {ELLIPSIS}")] if hidden else []
    return [*mark, *itertools.chain.from_iterable(reversed(shown))]


class _Section:
    """One exception: the lines that must be shown, and those that are shown if there is room.

    Args:
        exception: The exception.
        introduction: The sentence that links it to the exception before it, or `None`.
        room: The largest size of the lines that must be shown, in characters.
        depth: The number of groups around it.
    """

    def __init__(self, exception: FrozenException, introduction: str | None, room: int, depth: int) -> None:
        self._depth = depth
        self._members = exception.members
        stack = exception.stack
        self._head = [*(("", introduction, "") if introduction else ()), *([HEAD] if stack else ())]
        location, text = _split_syntax_error(exception)
        self._blocks = [*_blocks(stack, depth), *([_Block(None, 1, False, lambda: location)] if location else ())]
        room -= _cost(self._head, depth)
        if self._members:
            room = room * 2 // 3
        notes = _cut_text("\n".join(exception.notes), room // 4, depth) if exception.notes else []
        room -= _cost(notes, depth)
        self._must = self._must_show(max(room - _cost(text[: max(room, 0)].split("\n"), depth), room // 2))
        room -= _cost(self._with_gaps(self._must), depth)
        self._text = [*_cut_text(text, room, depth), *notes]

    def lines(self, room: int) -> list[str]:
        """Return the lines of the exception, within `room` if that is enough for those that must be shown."""
        room -= _cost([*self._head, *self._with_gaps(self._must), *self._text], self._depth)
        members = _fit_members(self._members, room, self._depth)
        return [*self._head, *self._frames(room - _cost(members, self._depth)), *self._text, *members]

    def _must_show(self, room: int) -> Mapping[int, Sequence[str]]:
        """Return the last block and the frame of the program that led to it, or less if there is no room."""
        if not self._blocks:
            return {}
        last = len(self._blocks) - 1
        lines = self._blocks[last].lines()
        callers = (index for index in range(last, -1, -1) if self._blocks[index].is_program)
        caller = next(callers, last)
        choices: list[dict[int, Sequence[str]]] = [
            {caller: self._blocks[caller].lines(), last: lines},
            {last: lines},
            {last: [_Cut(lines[0]), *lines[1:2]]},
            {last: [_Cut(lines[0])]},
        ]
        for must in choices:
            if _cost(self._with_gaps(must), self._depth) <= room:
                return must
        return {}

    def _frames(self, room: int) -> list[str]:
        """Return the blocks that must be shown, the first block, and the last blocks, as far as there is room."""
        shown = dict(self._must)
        indices = range(len(self._blocks))
        for index in (*indices[:1], *indices[:0:-1]):
            if index not in shown:
                lines = self._blocks[index].lines()
                room -= _cost(lines, self._depth)
                if room < 0:
                    break
                shown[index] = lines
        return self._with_gaps(shown)

    def _with_gaps(self, shown: Mapping[int, Sequence[str]]) -> list[str]:
        """Return the lines of the blocks that are shown, and a mark where others are not."""
        lines: list[str] = []
        following = 0
        for index in (*sorted(shown), len(self._blocks)):
            if hidden := sum(block.frames for block in self._blocks[following:index]):
                lines.append(_Cut(f"  {ELLIPSIS} {_count(hidden, 'frame')} {ELLIPSIS}"))
            lines += shown.get(index, ())
            following = index + 1
        return lines


def _fit_members(members: Sequence[FrozenException], room: int, depth: int) -> list[str]:
    """Return the lines of as many members of a group as there is room for. Members that are alike are shown once."""
    kinds: dict[Hashable, list[int]] = {}
    for index, member in enumerate(members):
        kinds.setdefault(member.fingerprint(), []).append(index)
    room -= _MARK_ROOM + 2 * depth
    count = min(len(kinds), _MAX_MEMBERS, max(room, 0) // _MIN_MEMBER_ROOM) if depth < _MAX_GROUP_DEPTH else 0
    lines: list[str] = []
    hidden = len(members)
    for index, alike in enumerate(itertools.islice(kinds.values(), count)):
        more = f", and {len(alike) - 1} like it" if len(alike) > 1 else ""
        title = f"+- {alike[0] + 1} of {len(members)}{more} -"
        share = room // (count - index) - _cost([title], depth)
        inner = [type(line)(f"| {line}") for line in _fit_chain(members[alike[0]], share, depth + 1)]
        room -= _cost([title, *inner], depth)
        lines += [title, *inner]
        hidden -= len(alike)
    if hidden:
        lines.append(_Cut(f"{ELLIPSIS} and {_count(hidden, 'more exception')}"))
    return lines


def _cost(lines: Sequence[str], depth: int) -> int:
    """Return how many characters `lines` take, with their line feeds and the bars before them."""
    return sum(map(len, lines)) + len(lines) * (1 + 2 * depth)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number > 1 else ''}"


def _cut_text(text: str, room: int, depth: int) -> list[str]:
    """Return the lines of `text`. If there is no room, cut its end and note its length."""
    kept = text[: max(room, 0)]
    excess = _cost(kept.split("\n"), depth) - room
    if excess <= 0:
        return kept.split("\n")
    note = f"{ELLIPSIS} ({len(text):,} characters in all)" if room >= _MIN_NOTE_ROOM else ELLIPSIS
    *lines, last = kept[: max(len(kept) - excess - len(note), 0)].rstrip().split("\n")
    return [*lines, _Cut(last + note)]


def _split_syntax_error(exception: FrozenException) -> tuple[list[str], str]:
    """Return the location that a `SyntaxError` reports, and the text; other exceptions report no location."""
    location, found, text = exception.text.partition(f"\n{exception.type_name}")
    if not found or not location.startswith(_LOCATION_START):
        return [], exception.text
    head, *source = location.split("\n")
    filename, found, line = head.removeprefix(_LOCATION_START).rpartition('", line ')
    if found:
        head = f'{_LOCATION_START}{short_path(filename)}", line {line}'
    return [_clip_location(head), *_clip_source(source)], exception.type_name + text


def _blocks(stack: Sequence[Frame], depth: int) -> list[_Block]:
    """Return the frames of a traceback as blocks. All but the last frames of libraries, and cycles, are folded."""
    # The members of a group have little room.
    stack = _fit_variables(stack, 0 if depth else _MAX_VARIABLE_FRAMES)
    shown = 1 if any(frame.library is None for frame in stack) else _MAX_LIBRARY_FRAMES
    blocks: list[_Block] = []
    for is_library, group in itertools.groupby(stack[:-shown], key=lambda frame: frame.library is not None):
        run = list(group)
        blocks += [_run_block(run)] if is_library else map(_frame_block, run)
    return [*_fold_cycles(blocks), *map(_frame_block, stack[-shown:])]


def _fit_variables(stack: Sequence[Frame], number: int) -> list[Frame]:
    """Return the frames, the last `number` of them with local variables, the others with the number of theirs."""
    with_variables = [index for index, frame in enumerate(stack) if frame.variables]
    fitted = list(stack)
    for position, index in enumerate(reversed(with_variables)):
        variables = stack[index].variables
        shown = variables[: _MAX_VARIABLES if position < number else 0]
        if hidden := len(variables) - len(shown):
            note = ELLIPSIS, _count(hidden, "more variable" if shown else "variable")
            fitted[index] = stack[index]._replace(variables=(*shown, note))
    return fitted


def _frame_block(frame: Frame) -> _Block:
    return _Block(frame[:3], 1, frame.library is None, functools.partial(_card_lines, frame))


def _run_block(run: Sequence[Frame]) -> _Block:
    return _Block(tuple(frame[:3] for frame in run), len(run), False, functools.partial(_run_lines, run))


def _run_lines(run: Sequence[Frame]) -> list[str]:
    names = list(dict.fromkeys(str(frame.library) for frame in run))
    libraries = ", ".join(names[:_MAX_LIBRARIES]) + (" and others" if len(names) > _MAX_LIBRARIES else "")
    return [_Cut(f"  {ELLIPSIS} {_count(len(run), 'frame')} in {libraries} {ELLIPSIS}")]


def _fold_cycles(blocks: Sequence[_Block]) -> list[_Block]:
    """Return `blocks`, in which each repeated block, or repeated sequence of blocks, is folded into one."""
    keys = [block.key for block in blocks]
    folded: list[_Block] = []
    index = 0
    while index < len(blocks):
        period, times = _cycle(keys, index)
        if times < _MIN_REPEATS:
            period = times = 1
            folded.append(blocks[index])
        else:
            folded.append(_cycle_block(blocks[index : index + period], times))
        index += period * times
    return folded


def _cycle(keys: Sequence[Hashable], start: int) -> tuple[int, int]:
    """Return the length of the cycle of keys that begins at `start`, and how often it follows itself."""
    try:
        period = keys.index(keys[start], start + 1, start + 1 + _MAX_CYCLE) - start
    except ValueError:
        return 1, 1
    cycle = keys[start : start + period]
    times = 1
    while keys[start + period * times : start + period * (times + 1)] == cycle:
        times += 1
    return period, times


def _cycle_block(cycle: Sequence[_Block], times: int) -> _Block:
    frames = sum(block.frames for block in cycle)
    subject = "line" if frames == 1 else f"{frames:,} frames"
    mark = f"  [Previous {subject} repeated {_count(times - 1, 'more time')}]"

    def lines() -> list[str]:
        return [*itertools.chain.from_iterable(block.lines() for block in cycle), mark]

    return _Block(None, frames * times, any(block.is_program for block in cycle), lines)


def _card_lines(frame: Frame) -> list[str]:
    """Return the lines of a frame, with a short path, cut to their limits."""
    head = f'  File "{frame.path}", line {frame.lineno}, in {frame.name}'
    return [_clip_location(head), *_clip_source(frame.source), *map(_variable_line, frame.variables)]


def _variable_line(variable: tuple[str, str]) -> str:
    line = variable_line(*variable).replace("\n", " ")
    return _Cut(line) if variable[0] == ELLIPSIS else _clip(line, _MAX_VARIABLE)


def _clip(line: str, limit: int) -> str:
    return line if len(line) <= limit else _Cut(line[: limit - 1] + ELLIPSIS)


def _clip_location(line: str) -> str:
    line = mask_token(line.replace("\n", " "))
    if len(line) <= _MAX_LOCATION:
        return line
    return _Cut(f"{line[: _MAX_LOCATION // 2 - 1]}{ELLIPSIS}{line[-_MAX_LOCATION // 2 :]}")


def _clip_source(lines: Sequence[str]) -> list[str]:
    """Return lines of source, cut to their limit, and of carets, unless the cut leaves no caret."""
    clipped = (_clip(line, _MAX_SOURCE) for line in lines)
    return [line for line in clipped if line.strip(f" {ELLIPSIS}")]
