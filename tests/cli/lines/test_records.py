"""Lines joined to records."""

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


def test_a_line_is_a_record_with_what_it_says() -> None:
    """Its level, logger, time and fields; not our process and thread."""
    (record,) = read('{"level": "fatal", "msg": "lost", "logger": "shop", "time": 1767268800, "order": 7}')
    assert (record.levelno, record.levelname, record.name, record.getMessage()) == (50, "FATAL", "shop", "lost")
    assert record.created == 1767268800
    assert record.__dict__["order"] == 7
    assert (record.threadName, record.process, record.exc_text) == (None, None, None)


def test_a_line_that_tells_nothing_has_the_defaults() -> None:
    """Level and logger are those that were asked for; a percent sign is nothing special."""
    (record,) = read("100%s done")
    assert (record.levelno, record.levelname, record.name, record.getMessage()) == (20, "INFO", "stdin", "100%s done")


def test_indented_lines_belong_to_the_line_above() -> None:
    """Blank lines between them are kept, those behind are not."""
    records = read("first\n  a\n\n  b\n\n\nsecond\n")
    assert [record.getMessage() for record in records] == ["first\n  a\n\n  b", "second"]


def test_a_traceback_belongs_to_the_record_above() -> None:
    """Its last line too; what comes then is another record."""
    first, second = read(f"ERROR it failed\n{TRACEBACK}\nINFO next")
    assert (first.getMessage(), first.exc_text) == ("it failed", TRACEBACK)
    assert second.getMessage() == "next"


def test_a_traceback_by_itself_is_an_error() -> None:
    """It does not take the level of a line that told none, and its last line is the message."""
    first, second, third = read(f"starting\n{TRACEBACK}\n{TRACEBACK}")
    assert first.getMessage() == "starting"
    assert second.exc_text == third.exc_text == TRACEBACK
    assert (second.levelno, second.getMessage()) == (logging.ERROR, "ValueError: no")


def test_linked_tracebacks_are_one() -> None:
    """What happened while another was handled hangs together."""
    text = f"{TRACEBACK}\n\nDuring handling of the above exception, another exception occurred:\n\n{TRACEBACK}"
    (record,) = read(text)
    assert record.exc_text == text


def test_an_interrupted_traceback_ends() -> None:
    """A line that is no end of a traceback is a record of its own."""
    first, second = read("\n".join(TRACEBACK.split("\n")[:3]) + "\n2026-01-01 12:00:00 INFO next")
    assert first.exc_text == "\n".join(TRACEBACK.split("\n")[:3])
    assert first.getMessage().startswith("Traceback")
    assert second.getMessage() == "next"


def test_exception_groups_and_traces_of_java() -> None:
    """Other forms of traces are known as such."""
    group = "  + Exception Group Traceback (most recent call last):\n  |   File x\n  | ExceptionGroup: two\n  +-+---"
    assert [record.exc_text for record in read(f"ERROR x\n{group}")] == [group]
    trace = "\tat a.b(C.java:1)\nCaused by: java.io.IOException: no\n\tat d.e(F.java:2)\n\t... 3 more"
    assert [record.exc_text for record in read(f"ERROR x\n{trace}")] == [trace]
    (record,) = read(group)
    assert record.levelno == logging.ERROR
    assert record.getMessage()


def test_ready_made_traceback_of_json_is_kept() -> None:
    """A JSON line brings its own."""
    (record,) = read('{"level": "error", "msg": "x", "exc_info": "Traceback: y"}')
    assert record.exc_text == "Traceback: y"


def test_a_long_record_goes_on_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out, and the level stays."""
    monkeypatch.setattr("discord_logging._cli.lines.records._MAX_CHARACTERS", 50)
    records = read("ERROR x\n" + "\n".join(f"  line {number}" for number in range(20)))
    assert len(records) > 1
    assert {record.levelno for record in records} == {logging.ERROR}
    text = "\n".join(record.getMessage() for record in records)
    assert all(f"line {number}" in text for number in range(20))


def test_colours_of_terminals_are_no_part_of_a_line() -> None:
    """A level in red is one."""
    (record,) = read("\x1b[31mERROR\x1b[0m red")
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "red")
