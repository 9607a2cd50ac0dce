"""This module finds tracebacks in a text, and reads each into a frozen exception, so that cards show it as one.

The text is what `traceback` of Python 3.10 to 3.13, `exceptiongroup` or loguru has written. It may be indented, fenced,
or quoted in JSON. Lines that do not follow the format stay text. The time is linear.
"""

from __future__ import annotations

import json
import re
import sys
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._process.gil import yield_gil
from discord_logging._records.exceptions import CAUSE, CONTEXT, HEAD, FrozenException
from discord_logging._records.frames import Frame, short_path
from discord_logging._records.libraries import library_of
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_STACK_HEAD = "Stack (most recent call last):"
_GROUP_HEAD = f"Exception Group {HEAD}"
_TOP = "  + "
"""The text before the head of a group that is in no other group."""
_LOCATION = re.compile(r'[ >] File "(.*)", line (\d{1,9}|None)(?:, in (.*))?')
_SOURCE = "    "
_REPEATED = re.compile(r"  \[Previous line repeated (\d{1,9}) more times?\]")
_MANY_LINES = 16_384
"""The number of lines beyond which a text is read with pauses. A shorter one may be read while a lock is held."""
_MAX_FRAMES = 100_000
"""The largest number of frames to which repeated lines are expanded."""
_ERROR = re.compile(r"([^\W\d][\w.<>]*)(?:: .*|:)?")
_SURE_ERROR = re.compile(
    r"((?:[^\W\d][\w<>]*\.)+[^\W\d]\w*|\w*(?:Error|Exception|Warning|Group|Interrupt|Exit|Iteration))(?:: .*|:)?"
)
"""A line that names an exception even if no frame stands before it."""
_REMOTE = re.compile(r"(?:[\w.]+\.)?_?RemoteTraceback: ?")
_RULER = re.compile(r"-{4,} (?:\d+|\.\.\.) -{4,}")
_MAX_NESTING = 20
"""The deepest nesting of groups that is read. `traceback` writes up to 10."""
_WORD = re.compile(r"\w")
_QUOTES = '"""'
_FENCE = re.compile(r"```\w{0,20}")
_MAX_FENCES = 10
_MAX_BLANK_LINES = 3
_MAX_BARE_LINES = 20
"""The largest number of lines of an exception without a head, since it was never raised, that is searched for."""

_ESCAPED_HEAD = f"{HEAD}\\"
_OPENING_QUOTE = re.compile(r"""(?<![\w\\])["']""")
_LITERALS = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*){quote}", re.DOTALL) for quote in "\"'"}
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|((?:u[0-9a-fA-F]{4})(?:\\u[0-9a-fA-F]{4})*)|U(00[0-9a-fA-F]{6})|(.))", re.DOTALL
)
_END_OF_LITERAL = re.compile(r"[,;}\])\s]|$")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_NAME = re.compile(r"""(,\s{0,20})?(?:"\w{1,60}": ?|'\w{1,60}': ?|\b\w{1,60}=)$""")
_COMMA = re.compile(r",\s*|\s+")
_MAX_LOOK_BEHIND = 10_000
"""The farthest from a traceback that the quote before it is searched for, in characters."""
_MAX_LITERALS = 3
"""The deepest nesting of literals that is read."""


class Tracebacks(NamedTuple):
    """The tracebacks in a text.

    Attributes:
        exceptions: The exceptions, in the order of the text.
        stack_info: The stack of the logging call that the text also has, or `None`.
        rest: The text without them.
    """

    exceptions: Sequence[FrozenException]
    stack_info: str | None
    rest: str


def may_have_traceback(text: str) -> bool:
    """Tell in little time whether a traceback may be in `text`."""
    return HEAD in text or _STACK_HEAD in text


def find_tracebacks(text: str, *, is_terminated: bool = False) -> Tracebacks | None:
    """Return the tracebacks in `text`, or `None` if there are none.

    Args:
        text: The text.
        is_terminated: Whether a traceback ends with a line feed, as that of `traceback.format_exc()` does. If the text
            does not end with one, its last lines are then no part of the error.
    """
    has_more = is_terminated and not text.endswith("\n")
    return _find(text, _MAX_LITERALS, has_more=has_more) if may_have_traceback(text) else None


def _find(text: str, depth: int, *, has_more: bool = False) -> Tracebacks | None:
    quoted: list[FrozenException] = []
    if "\x1b" in text:
        text = clean(text)
    if depth and _ESCAPED_HEAD in text:
        quoted, text = _find_in_literals(text, depth)
    search = _Search(text.replace("\r\n", "\n").split("\n"), has_more=has_more)
    if search.exceptions or search.stack_info is not None:
        text = "\n".join(search.rest).strip("\n")
    elif not quoted:
        return None
    return Tracebacks([*quoted, *search.exceptions], search.stack_info, text)


class _Search:
    """Walks through the lines of a text.

    Args:
        lines: The lines.
        has_more: Whether text follows the last traceback.

    Attributes:
        exceptions: The exceptions that the walk found.
        stack_info: The stack that it found, or `None`.
        rest: The other lines.
    """

    def __init__(self, lines: list[str], *, has_more: bool) -> None:
        self._lines = lines
        self._has_more = has_more
        self._free = 0
        """The index behind the last line that belongs to a traceback."""
        self.exceptions: list[FrozenException] = []
        self.stack_info: str | None = None
        self.rest: list[str] = []
        index = 0
        while index < len(lines):
            end = self._take(index) if "(most recent call last):" in lines[index] else index
            if end > index:
                self._free = index = end
            else:
                self.rest.append(lines[index])
                index += 1

    def _take(self, index: int) -> int:
        """Take the traceback or the stack whose head is in the line at `index`. Return the index behind it."""
        line = self._lines[index] = self._lines[index].rstrip()
        if line == _STACK_HEAD and self.stack_info is None:
            end = _Reader(self._lines).frames(index + 1)[1]
            if end > index + 1:
                self.stack_info = "\n".join(self._lines[index:end])
            return end if end > index + 1 else index
        if not line.endswith(HEAD):
            return index
        before = line.removesuffix(HEAD).removesuffix("Exception Group ").removesuffix(_TOP)
        # The text before the head is a margin if it stands before the next line, too.
        for margin in (before, "") if before else ("",):
            own = "" if margin else before
            self._lines[index] = line[len(own) :]
            if end := self._take_behind(margin, own, index):
                return end
        self._lines[index] = line
        return index

    def _take_behind(self, margin: str, own: str, index: int) -> int:
        reader = _Reader(self._lines, margin, has_more=self._has_more)
        start, first = (index, index) if own.strip() else reader.look_back(index, self._free)
        found = reader.chain(first)
        # The chain may end before the head.
        if found is None or found[1] <= index:
            return 0
        exception, end = found
        del self.rest[len(self.rest) - (index - start) :]
        if own.strip():
            self.rest.append(own.rstrip())
        while self.rest and not self.rest[-1].strip():
            self.rest.pop()
        if _WORD.search(margin) and not (self.rest and self.rest[-1].startswith(margin.rstrip())):
            # The margin may say which process has written the traceback.
            self.rest.append(margin.rstrip())
        self.exceptions.append(exception)
        while end < len(self._lines) and not self._lines[end].strip():
            end += 1
        return end


class _Reader:
    """Reads the lines that begin with one margin, and with the bar of one nesting of groups.

    Args:
        lines: All lines of the text.
        margin: The text before each line.
        indent: The number of blanks before the bar; 0 outside of groups.
        has_more: Whether text follows the last traceback.
    """

    def __init__(self, lines: Sequence[str], margin: str = "", indent: int = 0, *, has_more: bool = False) -> None:
        self._has_more = has_more
        self._lines = lines
        self._margin = margin
        self._indent = indent
        self._prefix = f"{margin}{' ' * indent}| " if indent else margin
        self._blank = self._prefix.rstrip()
        self._fences: list[str] = []

    def _at(self, index: int) -> str | None:
        """Return a line without its margin, or `None` if it does not have it."""
        if not 0 <= index < len(self._lines):
            return None
        line = self._lines[index]
        if line.startswith(self._prefix):
            return line[len(self._prefix) :]
        return "" if line.rstrip() == self._blank else None

    def _skip_blank(self, index: int, step: int = 1) -> int:
        """Return the index of the next line that is not blank, or of one behind a few blank lines."""
        for _ in range(_MAX_BLANK_LINES):
            line = self._at(index)
            if line is None or line.strip():
                break
            index += step
        return index

    def look_back(self, index: int, free: int) -> tuple[int, int]:
        """Return where the text before a head begins that belongs to the traceback, and where its first exception does.

        That text is a fence, or an exception that was never raised, with the sentence that links it to the next one.
        """
        start = index
        while start > free and len(self._fences) < _MAX_FENCES and (line := self._at(start - 1)) is not None:
            is_remote = line == _QUOTES and start - 1 > free and _REMOTE.fullmatch(self._at(start - 2) or "")
            if not is_remote and not _FENCE.fullmatch(line):
                break
            self._fences.insert(0, line[:3])
            start -= 2 if is_remote else 1
        first = start if start == index else index
        while not self._fences:
            sentence = self._skip_blank(first - 1, -1)
            end = self._skip_blank(sentence - 1, -1)
            if end == sentence - 1 or sentence == first - 1 or self._at(sentence) not in (CAUSE, CONTEXT):
                break
            errors = (each for each in range(end, max(end - _MAX_BARE_LINES, free - 1), -1) if self._is_error(each))
            first = start = next(errors, first)
            if start > end:
                break
        return start, first

    def _is_error(self, index: int) -> bool:
        return _SURE_ERROR.fullmatch(self._at(index) or "") is not None

    def chain(self, index: int) -> tuple[FrozenException, int] | None:
        """Return the last exception of the chain that begins at `index`, and the index behind it."""
        last: FrozenException | None = None
        sentence = ""
        end = index
        while found := self._exception(index):
            exception, members, end = found
            cause, context = (last, None) if sentence == CAUSE else (None, last)
            exception.link(cause, context, members)
            last = exception
            while self._fences and self._at(end) == self._fences[-1]:
                self._fences.pop()
                end += 1
            if not (following := self._link(end)):
                break
            sentence, index = following
        return (last, end) if last else None

    def _link(self, index: int) -> tuple[str, int] | None:
        """Return the sentence at `index`, between blank lines, that links two exceptions, and where the next begins."""
        first = self._skip_blank(index)
        sentence = self._at(first)
        behind = self._skip_blank(first + 1)
        if first == index or behind == first + 1 or sentence not in (CAUSE, CONTEXT):
            return None
        return sentence, behind

    def _exception(self, index: int) -> tuple[FrozenException, tuple[FrozenException, ...], int] | None:
        """Return the exception at `index`, the members of its group, and the index behind it."""
        line = self._at(index)
        if line == _TOP + _GROUP_HEAD and not self._indent:
            return _Reader(self._lines, self._margin, 2).raised(index + 1)
        if line in (HEAD, _GROUP_HEAD):
            return self.raised(index + 1)
        return self._error([], index)

    def raised(self, index: int) -> tuple[FrozenException, tuple[FrozenException, ...], int] | None:
        """Return the same of an exception whose frames begin at `index`."""
        # Loguru puts blank lines before frames, and before the error.
        is_spaced = self._at(index) == ""
        frames, index = self.frames(index)
        if is_spaced:
            index = self._skip_blank(index)
        line = self._at(index) or ""
        is_error = _LOCATION.fullmatch(line) or (_ERROR if frames else _SURE_ERROR).fullmatch(line)
        return self._error(frames, index) if is_error else None

    def frames(self, index: int) -> tuple[list[Frame], int]:
        """Return the frames at `index`, and the index behind them."""
        frames: list[Frame] = []
        # A recursion has many frames, but few different ones.
        known: dict[tuple[str, ...], Frame] = {}
        while True:
            if len(self._lines) > _MANY_LINES:
                yield_gil()
            start = self._skip_blank(index)
            location = _LOCATION.fullmatch(self._at(start) or "")
            if location is None or location[3] is None:
                return frames, index
            index = self._source_end(start + 1)
            lines = (location[0], *self._lines_between(start + 1, index))
            frame = known.get(lines) or known.setdefault(lines, _make_frame(location, lines))
            count = 1
            line = self._at(index) or ""
            if repeated := _REPEATED.fullmatch(line):
                index += 1
                if len(frames) + int(repeated[1]) < _MAX_FRAMES:
                    count += int(repeated[1])
                else:
                    frame = frame._replace(lines=(*lines, line))
            frames += [frame] * count

    def _lines_between(self, start: int, end: int) -> list[str]:
        return [self._at(index) or "" for index in range(start, end)]

    def _source_end(self, index: int) -> int:
        """Return the index behind the lines of source at `index`, among which blank lines may be."""
        while True:
            following = self._skip_blank(index)
            if not (self._at(following) or "").startswith(_SOURCE):
                return index
            index = following + 1

    def _error(
        self, frames: Sequence[Frame], index: int
    ) -> tuple[FrozenException, tuple[FrozenException, ...], int] | None:
        """Return the exception whose error, behind the frames, stands at `index`."""
        location: list[str] = []
        if _LOCATION.fullmatch(self._at(index) or ""):
            end = self._source_end(index + 1)
            location = self._lines_between(index, end)
            index = self._skip_blank(end)
        error = _ERROR.fullmatch(self._at(index) or "")
        if error is None:
            return None
        end = self._text_end(index + 1)
        text = self._lines_between(index, end)
        exception = FrozenException(error[1], "\n".join((*location, *text)).rstrip("\n"), frames=frames)
        members, end = self._members(end) if self._indent else ((), end)
        return exception, members, end

    def _text_end(self, index: int) -> int:
        """Return the index behind the text of an exception, whose first line is the one before `index`.

        The text runs up to the sentence that links the next exception. Without one, a line above another traceback
        introduces that, and a paragraph that begins with a word is the text of whoever logged the traceback. So are the
        last lines, if they are known to be more than the traceback.
        """
        paragraph = None
        start = index
        while (line := self._at(index)) is not None:
            if line in (CAUSE, CONTEXT):
                end = self._skip_blank(index - 1, -1) + 1
                if self._link(end):
                    return end
            elif not line.strip():
                if paragraph is None and not self._indent and _WORD.match(self._at(index + 1) or ""):
                    paragraph = index
            elif not self._indent and (line == _STACK_HEAD or line in self._fences[-1:]):
                break
            elif not self._indent and HEAD in line:
                index -= line.startswith((HEAD, _TOP)) and index > start
                break
            index += 1
        if paragraph is None and self._has_more and index == len(self._lines):
            paragraph = next((each for each in range(start, index) if _WORD.match(self._at(each) or "")), None)
        return index if paragraph is None else paragraph

    def _members(self, index: int) -> tuple[tuple[FrozenException, ...], int]:
        """Return the members of a group, whose first ruler stands at `index`, and the index behind them."""
        members: list[FrozenException] = []
        indent = self._indent + 2
        first, others = f"{self._margin}{' ' * self._indent}+-+", f"{self._margin}{' ' * indent}+"
        inner = _Reader(self._lines, self._margin, indent)
        while index < len(self._lines):
            line = self._lines[index].rstrip()
            start = others if members else first
            if not (line.startswith(start) and _RULER.fullmatch(line, len(start))):
                break
            member, index = inner.member(index + 1, indent // 2 <= _MAX_NESTING)
            members.append(member)
        # The end of the innermost group ends those around it.
        is_end = index < len(self._lines) and self._lines[index].rstrip().startswith(f"{others}--------")
        return tuple(members), index + bool(members and is_end)

    def member(self, index: int, is_read: bool) -> tuple[FrozenException, int]:
        """Return the member of a group at `index`, and the index behind it. A text is a member, too."""
        if is_read and (found := self.chain(index)):
            exception, end = found
            if self._at(end) is None:
                return exception, end
        end = index
        while self._at(end) is not None or self._is_nested(end):
            end += 1
        text = "\n".join(self._at(each) or self._lines[each] for each in range(index, end))
        return FrozenException("", text), end

    def _is_nested(self, index: int) -> bool:
        return index < len(self._lines) and self._lines[index].startswith(f"{self._margin}{' ' * (self._indent + 1)}")


def _make_frame(location: re.Match[str], lines: tuple[str, ...]) -> Frame:
    filename, lineno, name = location.groups()
    number = None if lineno == "None" else int(lineno)
    return Frame(filename, number, name, short_path(filename), library_of(filename), lines)


def _find_in_literals(text: str, depth: int) -> tuple[list[FrozenException], str]:
    """Return the exceptions whose tracebacks stand in literals of JSON or Python, and the text without them."""
    exceptions: list[FrozenException] = []
    pieces: list[str] = []
    end = 0
    while (head := text.find(_ESCAPED_HEAD, end)) >= 0:
        literal = _literal_around(text, max(end, head - _MAX_LOOK_BEHIND), head)
        found = _find(_unescape(literal[1]), depth - 1) if literal else None
        if literal is None or found is None:
            behind = head + len(_ESCAPED_HEAD)
            pieces.append(text[end:behind])
            end = behind
            continue
        exceptions += found.exceptions
        before, end = text[end : literal.start()], literal.end()
        rest = "\n".join(part for part in (found.rest, found.stack_info) if part)
        if rest:
            pieces += before, json.dumps(rest, ensure_ascii=False) if literal[0][0] == '"' else repr(rest)
        elif name := _NAME.search(before[-100:]):
            # The name of the value goes, too, and the comma on one side.
            pieces.append(before[: len(before) - len(name[0])])
            if not name[1] and (comma := _COMMA.match(text, end)):
                end = comma.end()
        elif literal[0] != text.strip():
            pieces += before, literal[0][0] * 2
    return exceptions, "".join((*pieces, text[end:])).rstrip()


def _literal_around(text: str, start: int, position: int) -> re.Match[str] | None:
    """Return the literal around a position that begins behind `start`."""
    # Of each kind of quote, the last one may open the literal. The other kind may stand within it.
    quotes = {quote[0]: quote.start() for quote in _OPENING_QUOTE.finditer(text, start, position)}
    for quote, index in sorted(quotes.items(), key=itemgetter(1)):
        literal = _LITERALS[quote].match(text, index)
        if literal and literal.end() > position and _END_OF_LITERAL.match(text, literal.end()):
            return literal
    return None


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    byte, units, point, control = match.groups()
    if control:
        return _CONTROL.get(control, control)
    if units:
        # JSON writes a character beyond U+FFFF as two surrogates.
        content = b"".join(int(unit, 16).to_bytes(2, "big") for unit in units.replace("\\", "").split("u")[1:])
        return content.decode("utf-16-be", "surrogatepass")
    code = int(byte or point, 16)
    return chr(code) if code <= sys.maxunicode else match[0]
