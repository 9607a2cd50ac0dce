"""Lines are joined to log records: indented lines and tracebacks belong to the line above."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from discord_logging._cli.lines.formats import Line, read_line
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CHARACTERS = 1_000_000
"""The longest record, in characters. The rest of a longer record becomes another record."""
_MAX_BLANK_LINES = 20
_TRACEBACK = re.compile(r"(?:\s*\+ Exception Group )?Traceback \(most recent call last\):")
_LINK = re.compile(r"(?:During handling of the above exception|The above exception was the direct cause|Caused by: )")
_FRAME = re.compile(r"\s+at ")
_ERROR_LINE = re.compile(r"[A-Za-z_][\w.]*(?:: |:?$)")


class LineRecords:
    """Makes log records from lines.

    Args:
        name: The logger name of lines that have no logger name.
        levelno: The level of lines that have no level.
    """

    def __init__(self, name: str, levelno: int) -> None:
        self._name = name
        self._levelno = levelno
        self._line: Line | None = None
        self._blank = 0
        self._is_error_due = False

    def feed(self, text: str) -> Iterator[logging.LogRecord]:
        """Take a line, and yield the records that it completes."""
        if "\x1b" in text:
            text = clean(text)
        if not text.strip():
            self._blank += 1
            return
        if self._line is None or not self._belongs(text):
            yield from self.finish()
            self._begin(read_line(text), text)
            return
        if self._size + len(text) > _MAX_CHARACTERS:
            head, is_error_due = self._line, self._is_error_due
            yield from self.finish()
            self._begin(head._replace(message=text, traceback="", attributes={}), text)
            self._is_error_due = is_error_due
            return
        self._add(text)

    def finish(self) -> Iterator[logging.LogRecord]:
        """Yield the last record, if there is one."""
        if self._line is not None:
            line, self._line = self._line, None
            yield self._make(line)

    def _begin(self, line: Line, text: str) -> None:
        self._line = line
        self._is_leveled = line.levelno is not None
        self._created = time.time()
        self._more: list[str] = []
        self._traceback: list[str] = []
        self._blank = 0
        self._size = len(text)
        self._is_error_due = self._is_linked = False
        if _TRACEBACK.match(text):
            self._line = Line("", logging.ERROR, "ERROR")
            self._add(text)

    def _belongs(self, text: str) -> bool:
        """Return whether the line belongs to the current record."""
        if _TRACEBACK.match(text):
            # A traceback belongs to a line with a level. A second one is another record, unless a line links the two.
            return self._is_linked or (self._is_leveled and not self._blank and not self._traceback)
        if text[0].isspace():
            return True
        if self._is_error_due and not self._blank and _ERROR_LINE.match(text):
            return True
        return bool(self._traceback and _LINK.match(text))

    def _add(self, text: str) -> None:
        is_start = bool(_TRACEBACK.match(text))
        is_trace = is_start or _FRAME.match(text) or _LINK.match(text)
        target = self._traceback if self._traceback or is_trace else self._more
        target += [""] * min(self._blank, _MAX_BLANK_LINES)
        target.append(text)
        self._blank = 0
        self._size += len(text) + 1
        self._is_linked = bool(_LINK.match(text))
        self._is_error_due = is_start or (self._is_error_due and text[0].isspace())

    def _make(self, line: Line) -> logging.LogRecord:
        levelno = self._levelno if line.levelno is None else line.levelno
        # The message of a traceback without a record is its last line, which names the exception.
        ends = (text for text in reversed(self._traceback) if text and not text[0].isspace())
        message = line.message or next(ends, "Exception Group")
        record = logging.LogRecord(line.name or self._name, levelno, "", 0, "\n".join([message, *self._more]), (), None)
        record.levelname = line.levelname or record.levelname
        record.created = self._created if line.created is None else line.created
        # The values are those of this process, not of the program that wrote the line.
        record.process = record.processName = record.threadName = None
        record.exc_text = "\n".join([line.traceback] * bool(line.traceback) + self._traceback) or None
        record.__dict__.update(line.attributes)
        return record
