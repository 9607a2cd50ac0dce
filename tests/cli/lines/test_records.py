"""Tests of how lines are joined to records."""

from __future__ import annotations

import logging
import textwrap
from typing import TYPE_CHECKING

from discord_logging._cli.lines.records import LineRecords

if TYPE_CHECKING:
    import pytest

TRACEBACK = textwrap.dedent("""\
    Traceback (most recent call last):
      File "x.py", line 1, in <module>
        int("x")
    ValueError: no""")


def read(text: str) -> list[logging.LogRecord]:
    lines = LineRecords("stdin", logging.INFO)
    found = [record for line in text.split("\n") for record in lines.feed(line)]
    return [*found, *lines.finish()]


def test_a_line_becomes_a_record() -> None:
    """The record has the line's level, logger, time and fields, and neither process nor thread."""
    (record,) = read('{"level": "fatal", "msg": "lost", "logger": "shop", "time": 1767268800, "order": 7}')
    assert (record.levelno, record.levelname, record.name, record.getMessage()) == (50, "FATAL", "shop", "lost")
    assert record.created == 1767268800
    assert record.__dict__["order"] == 7
    assert (record.threadName, record.process, record.exc_text) == (None, None, None)


def test_a_line_without_level_and_logger_has_the_defaults() -> None:
    """Level and logger are the given ones; a percent sign is kept."""
    (record,) = read("100%s done")
    assert (record.levelno, record.levelname, record.name, record.getMessage()) == (20, "INFO", "stdin", "100%s done")


def test_blank_lines_before_the_first_line_are_skipped() -> None:
    """Regression: the blank lines were counted before there was a count, and the command ended with an error."""
    (record,) = read("\n \nhello")
    assert record.getMessage() == "hello"


def test_indented_lines_belong_to_the_line_above() -> None:
    """Blank lines between indented lines are kept, and blank lines after them are not."""
    records = read("first\n  a\n\n  b\n\n\nsecond\n")
    assert [record.getMessage() for record in records] == ["first\n  a\n\n  b", "second"]


def test_blank_lines_before_the_first_record_are_skipped() -> None:
    """Blank lines were counted before there was a record to count them for, which was an `AttributeError`."""
    assert [record.getMessage() for record in read("\n \n\x1b[0m\nhello\n  a")] == ["hello\n  a"]
    assert read("\n\n") == []


def test_a_traceback_belongs_to_the_record_above() -> None:
    """The last line of the traceback belongs to it, and the line after that is another record."""
    first, second = read(f"ERROR it failed\n{TRACEBACK}\nINFO next")
    assert (first.getMessage(), first.exc_text) == ("it failed", TRACEBACK)
    assert second.getMessage() == "next"


def test_a_traceback_by_itself_is_an_error() -> None:
    """The record has the level `ERROR`, and the last line of the traceback as its message."""
    first, second, third = read(f"starting\n{TRACEBACK}\n{TRACEBACK}")
    assert first.getMessage() == "starting"
    assert second.exc_text == third.exc_text == TRACEBACK
    assert (second.levelno, second.getMessage()) == (logging.ERROR, "ValueError: no")


def test_linked_tracebacks_are_one() -> None:
    """Tracebacks that Python links with a sentence belong to one record."""
    text = f"{TRACEBACK}\n\nDuring handling of the above exception, another exception occurred:\n\n{TRACEBACK}"
    (record,) = read(text)
    assert record.exc_text == text


def test_an_interrupted_traceback_ends() -> None:
    """A line that cannot be the end of a traceback is another record."""
    first, second = read("\n".join(TRACEBACK.split("\n")[:3]) + "\n2026-01-01 12:00:00 INFO next")
    assert first.exc_text == "\n".join(TRACEBACK.split("\n")[:3])
    assert first.getMessage().startswith("Traceback")
    assert second.getMessage() == "next"


def test_exception_groups_and_java_stack_traces_are_recognised() -> None:
    """Exception groups and Java stack traces become the traceback of the record."""
    group = "  + Exception Group Traceback (most recent call last):\n  |   File x\n  | ExceptionGroup: two\n  +-+---"
    assert [record.exc_text for record in read(f"ERROR x\n{group}")] == [group]
    trace = "\tat a.b(C.java:1)\nCaused by: java.io.IOException: no\n\tat d.e(F.java:2)\n\t... 3 more"
    assert [record.exc_text for record in read(f"ERROR x\n{trace}")] == [trace]
    (record,) = read(group)
    assert record.levelno == logging.ERROR
    assert record.getMessage()


def test_ready_made_traceback_of_json_is_kept() -> None:
    """The traceback of a JSON line becomes the traceback of the record."""
    (record,) = read('{"level": "error", "msg": "x", "exc_info": "Traceback: y"}')
    assert record.exc_text == "Traceback: y"


def test_a_long_record_goes_on_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """All text is kept, and every part has the level of the first."""
    monkeypatch.setattr("discord_logging._cli.lines.records._MAX_CHARACTERS", 50)
    records = read("ERROR x\n" + "\n".join(f"  line {number}" for number in range(20)))
    assert len(records) > 1
    assert {record.levelno for record in records} == {logging.ERROR}
    text = "\n".join(record.getMessage() for record in records)
    assert all(f"line {number}" in text for number in range(20))


def test_terminal_colours_are_removed() -> None:
    """A level that is coloured red is recognised."""
    (record,) = read("\x1b[31mERROR\x1b[0m red")
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "red")
