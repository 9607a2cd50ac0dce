"""The common formats of log lines: each line is read into level, logger, time and message."""

from __future__ import annotations

import json
import logging
import re
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._cli.lines.times import TIME, read_any_time, read_time
from discord_logging._records.events import MESSAGE_NAMES, parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = MappingProxyType(
    {
        **dict.fromkeys(("TRACE", "VERBOSE", "DEBUG", "DBG"), logging.DEBUG),
        **dict.fromkeys(("INFO", "INFORMATION", "NOTICE", "SUCCESS"), logging.INFO),
        **dict.fromkeys(("WARN", "WARNING"), logging.WARNING),
        **dict.fromkeys(("ERR", "ERROR", "SEVERE"), logging.ERROR),
        **dict.fromkeys(("CRIT", "CRITICAL", "FATAL", "ALERT", "EMERG", "EMERGENCY", "PANIC"), logging.CRITICAL),
    }
)
"""Python's levels by the level names of other programs."""
_SYSLOG_LEVELS = (50, 50, 50, 40, 30, 20, 20, 10)
"""Python's levels by syslog's severities (https://www.rfc-editor.org/rfc/rfc5424#section-6.2.1)."""
_GLOG_LEVEL_NAMES = MappingProxyType({"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL"})
_MAX_PRIORITY = 191

_LEVEL_KEYS = ("level", "severity", "levelname", "log.level", "loglevel", "lvl", "levelno")
_NAME_KEYS = ("logger", "name", "logger_name", "log.logger")
_TIME_KEYS = ("timestamp", "time", "@timestamp", "ts", "asctime", "datetime", "created")
_TRACEBACK_KEYS = ("exc_text", "exc_info", "exception", "traceback", "stack_trace", "stacktrace", "stack")
_RECORD_ATTRIBUTE_TYPES = MappingProxyType(
    {"pathname": str, "lineno": int, "funcName": str, "process": int, "processName": str}
)
"""The attributes of a `logging.LogRecord` that a line may set, with the types that their values must have."""
_STANDARD_ATTRIBUTES = frozenset(dir(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""The attributes and methods of a `logging.LogRecord`, which a value of a line must not replace."""

_LEVEL_NAME = "|".join(sorted(LEVELS, key=len, reverse=True))
_PRIORITY = re.compile(r"<(\d{1,3})>(?:1 (?P<time>\S+) \S+ (?P<name>\S+) \S+ \S+ (?:-|(?:\[[^\]]*\])+) ?)?", re.ASCII)
_GLOG_LINE = re.compile(
    r"(?P<level>[IWEF])(?P<month>\d\d)(?P<day>\d\d) (?P<time>\d\d:\d\d:\d\d\.\d+) +\d+ "
    r"(?P<file>[^\s:\]]+):(?P<line>\d+)\] ?",
    re.ASCII,
)
_BEGIN = re.compile(rf"(?P<bracket>\[)?{TIME}", re.ASCII)
_IN_BRACKET = re.compile(
    rf"[:,\s]{{1,9}}(?P<level>{_LEVEL_NAME})(?:[/\s]{{1,9}}(?P<name>[^\][]{{0,200}}))?\]\s*", re.ASCII | re.IGNORECASE
)
_TAG = re.compile(r"\s*\S+ (?P<name>[\w./-]+)(?:\[\d+\])?: ", re.ASCII)
_BEFORE = (
    r"(?:(?:\[[^\][]{0,60}\]|\([^()]{1,60}\)|[^\s:=\[\]{}\"]{1,60} +[-|](?= )|[^\s:]{1,200}:\d+(?::\d+)?:)"
    r"[\s|-]{0,20}){0,3}?"
)
"""The text that may stand between time and level: text in brackets, a name and a dash, a file and a line number."""
_HEAD = re.compile(
    rf"[\s|-]{{0,20}}(?P<before>{_BEFORE})(?:"
    rf"[\[(<] ?(?i:(?P<boxed>{_LEVEL_NAME})) {{0,4}}[\])>]"
    rf"|(?P<bare>{_LEVEL_NAME})(?=[\s:|\]-]|$)"
    rf"|(?i:(?P<before_colon>{_LEVEL_NAME}))(?=:(?!:)))",
    re.ASCII,
)
_TIMED_HEAD = re.compile(
    rf"[\s|-]{{0,20}}(?P<before>{_BEFORE}(?:[\w.$/-]{{1,60}} +)??)"
    rf"(?:[\[(<] ?)?(?P<bare>(?i:{_LEVEL_NAME}))(?=[\s:|\])>,-]|$)(?: {{0,4}}[\])>])?",
    re.ASCII,
)
_LOGURU = re.compile(r" *\| (?P<name>[\w.]+):(?P<function>[\w<>]+):(?P<line>\d+) - ", re.ASCII)
_BASIC = re.compile(r":(?P<name>[\w.$-]+):", re.ASCII)
_NAMED = re.compile(
    r"\s+(?:- )?(?:\[(?P<boxed>[\w.$-]+)\]:?|(?P<name>[A-Za-z_][\w.$-]*)(?::(?=\s)| +-(?= )))\s+", re.ASCII
)
_SEPARATOR = re.compile(r"\s*(?:[:|]|-(?=\s))?\s*")
_NAME_BEFORE = re.compile(r"(?P<name>[\w.$/-]+) +[-|]\s*", re.ASCII)
_EXCEPTION_NAME = re.compile(r"Error$|Exception$|Warning$|Interrupt$")
_PAIR = re.compile(r'([A-Za-z_@][\w.@/-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)')
_LOGFMT_LEVEL = re.compile(rf'(?<![\w.])(?:level|lvl|severity)="?(?P<level>{_LEVEL_NAME})\b', re.ASCII | re.IGNORECASE)


class Line(NamedTuple):
    """The parts of a line.

    Attributes:
        message: The text without the other parts.
        levelno: The number of Python's level, or `None` if the line has no level.
        levelname: The name of the level, or "".
        name: The name of the logger, or "".
        created: The time in seconds since the epoch, or `None`.
        traceback: The text of a traceback, or "".
        attributes: Attributes for the `logging.LogRecord`: the source location, and `extra` values.
    """

    message: str
    levelno: int | None = None
    levelname: str = ""
    name: str = ""
    created: float | None = None
    traceback: str = ""
    attributes: Mapping[str, Any] = MappingProxyType({})


def read_line(text: str) -> Line:
    """Return the parts of a line of text. A line in an unknown format is all message."""
    line = _read_line(text)
    return line if line.message.strip() else line._replace(message=text)


def _read_line(text: str) -> Line:
    if values := parse_object(text):
        return _read_values(values, text)
    if match := _PRIORITY.match(text):
        priority = int(match[1])
        if priority <= _MAX_PRIORITY:
            return _read_syslog(match, text[match.end() :], _SYSLOG_LEVELS[priority % 8])
    if match := _GLOG_LINE.match(text):
        level_name = _GLOG_LEVEL_NAMES[match["level"]]
        location = {"pathname": match["file"], "lineno": int(match["line"])}
        created = read_any_time(f"{time.localtime().tm_year}-{match['month']}-{match['day']} {match['time']}")
        return Line(text[match.end() :], LEVELS[level_name], level_name, "", created, "", location)
    if "=" in text and (line := _read_logfmt(text)):
        return line
    return _read_text(text)


def _level(word: str) -> tuple[int, str]:
    name = word.upper()
    return LEVELS[name], name


def _level_of(value: object, *, is_pino: bool) -> tuple[int, str] | None:
    """Return the level that a value of JSON or logfmt stands for, or `None`."""
    if isinstance(value, str):
        name = value.strip().upper()
        if name in LEVELS:
            return LEVELS[name], name
        value = int(name) if name.isdecimal() and len(name) <= 2 else None  # noqa: PLR2004 - larger numbers are not levels
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 60:  # noqa: PLR2004 - as above
        return None
    # The levels of pino and bunyan begin with 10 for TRACE (https://getpino.io/#/docs/api?id=loggerlevels-object).
    levelno = _SYSLOG_LEVELS[value] if value < len(_SYSLOG_LEVELS) else min(max(value - 10 * is_pino, 10), 50)
    return levelno, logging.getLevelName(levelno)


def _read_logfmt(text: str) -> Line | None:
    """Read `level=error msg="no such file" path=/tmp` (https://brandur.org/logfmt)."""
    match = _LOGFMT_LEVEL.search(text)
    if match is None:
        return None
    values: dict[str, Any] = {}
    position = 0
    while (pair := _PAIR.match(text, position)) and pair[1] not in values:
        values[pair[1]] = _unquote(pair[2])
        position = pair.end()
    if position < len(text):
        # The line also has text that is not a pair, or a name has two values.
        return Line(text, *_level(match["level"]))
    return _read_values(values, text)


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value[1:-1]


def _read_values(values: dict[str, Any], text: str) -> Line:
    is_pino = {"pid", "hostname"} <= values.keys()
    level = _pop(values, _LEVEL_KEYS, lambda value: _level_of(value, is_pino=is_pino))
    created = _pop(values, _TIME_KEYS, read_any_time)
    message = _pop(values, MESSAGE_NAMES, _text)
    name = _pop(values, _NAME_KEYS, _text)
    traceback = _pop(values, _TRACEBACK_KEYS, _text)
    if level is None and message is None:
        # The object is data, not a log line: it is shown as it is.
        return Line(text)
    levelno, levelname = level or (None, "")
    return Line(
        message or text,
        levelno,
        levelname,
        name or "",
        created,
        traceback or "",
        _attributes(values) if message else {},
    )


def _pop(values: dict[str, Any], keys: tuple[str, ...], read: Any) -> Any:
    """Remove the first of `keys` that `read` can read from `values`, and return the value read, or `None`."""
    for key in keys:
        if key in values and (found := read(values[key])) is not None:
            del values[key]
            return found
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, _RECORD_ATTRIBUTE_TYPES.get(name, ())):
            attributes[name] = value
        elif name == "filename" and isinstance(value, str) and "pathname" not in values:
            attributes["pathname"] = value
        else:
            # A standard attribute of the record would hide the value.
            free = f"{name}_" if name in _STANDARD_ATTRIBUTES else name
            while free in attributes:
                free += "_"
            attributes[free] = value
    return attributes


def _read_syslog(match: re.Match[str], rest: str, levelno: int) -> Line:
    line = _read_text(rest)
    name = match["name"] if match["name"] not in (None, "-") else line.name
    return line._replace(
        levelno=levelno,
        levelname=logging.getLevelName(levelno),
        name=name,
        created=read_any_time(match["time"]) or line.created,
    )


def _read_text(text: str) -> Line:
    begin = _BEGIN.match(text)
    created = read_time(begin) if begin else None
    if begin is None or created is None:
        return _read_head(text, text, 0, _HEAD, Line(text))
    line, position = Line(text, created=created), begin.end()
    if begin["bracket"]:
        if match := _IN_BRACKET.match(text, position):
            levelno, levelname = _level(match["level"])
            name = (match["name"] or "").strip()
            return Line(text[match.end() :], levelno, levelname, name, created)
        if not text.startswith("]", position):
            return line
        position += 1
    if begin["month_name"] and (tag := _TAG.match(text, position)):
        line, position = line._replace(name=tag["name"]), tag.end()
        return _read_head(text, text[position:], position, _HEAD, line)
    return _read_head(text, text[position:].lstrip(), position, _TIMED_HEAD, line)


def _read_head(text: str, rest: str, position: int, pattern: re.Pattern[str], line: Line) -> Line:
    """Read level and logger at `position`, after the time; `rest` is the message if there is no level."""
    head = pattern.match(text, position)
    if head is None:
        return line._replace(message=rest)
    found = head.groupdict()
    levelno, levelname = _level(found.get("boxed") or found["bare"] or found["before_colon"])
    before, position = head["before"].strip(), head.end()
    name, location = line.name, {}
    if not name and (match := _NAME_BEFORE.match(before)):
        name, before = match["name"], before[match.end() :]
    if match := _LOGURU.match(text, position):
        before, name, position = f"{name} {before}", match["name"], match.end()
        location = {"pathname": name, "lineno": int(match["line"]), "funcName": match["function"]}
    elif not name and (match := _find_name(text, position, is_timed=line.created is not None)):
        name, position = match[match.lastgroup or 0], match.end()
    else:
        position = match.end() if (match := _SEPARATOR.match(text, position)) else position
    message = f"{before.strip()} {text[position:]}".strip()
    return Line(message, levelno, levelname, name, line.created, "", location)


def _find_name(text: str, position: int, *, is_timed: bool) -> re.Match[str] | None:
    match = _BASIC.match(text, position)
    if match is None and is_timed:
        match = _NAMED.match(text, position)
    return match if match and not _EXCEPTION_NAME.search(match[match.lastgroup or 0]) else None
