"""Tests of the formats of log lines."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._cli.lines.formats import Line, read_line

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50


@pytest.mark.parametrize(
    ("text", "level", "name", "message"),
    [
        ("ERROR something broke", ERROR, "", "something broke"),
        ("[error] it failed", ERROR, "", "it failed"),
        ("(warning) low", WARNING, "", "low"),
        ("ERROR:shop.orders:lost", ERROR, "shop.orders", "lost"),
        ("INFO:     127.0.0.1 - GET /", INFO, "", "127.0.0.1 - GET /"),
        ("fatal: not a git repository", CRITICAL, "", "not a git repository"),
        ("Error: Cannot find module", ERROR, "", "Cannot find module"),
        ("main.c:12:5: error: expected ;", ERROR, "", "main.c:12:5: expected ;"),
        ("ERROR: https://example.org/", ERROR, "", "https://example.org/"),
        ("ERROR ValueError: bad", ERROR, "", "ValueError: bad"),
        ("ERROR:ValueError: bad", ERROR, "", "ValueError: bad"),
        ("ERROR", ERROR, "", "ERROR"),
        ("web_1  | WARN low", WARNING, "web_1", "low"),
        ("2026-01-01 12:00:00,123 WARNING name: msg", WARNING, "name", "msg"),
        ("2026-01-01 12:00:00,123 - app.db - ERROR - lost: it", ERROR, "app.db", "lost: it"),
        ("2026-01-01 12:00:00,123 [main] ERROR com.foo.Bar - gone", ERROR, "com.foo.Bar", "[main] gone"),
        ("2026-01-01 12:00:00 [error] [shop.db] gone", ERROR, "shop.db", "gone"),
        ("2026-01-01T12:00:00+01:00  INFO 1234 --- started", INFO, "", "1234 --- started"),
        ("2026/01/01 12:00:00 [error] 12#0: *1 open()", ERROR, "", "12#0: *1 open()"),
        ("[2026-01-01 12:00:00 +0000] [123] [INFO] Booting", INFO, "", "[123] Booting"),
        ("[2026-01-01 12:00:00,123: ERROR/MainProcess] task", ERROR, "MainProcess", "task"),
        ("[2026-01-01T12:00:00Z WARN  my::crate] low", WARNING, "my::crate", "low"),
        ("[2026-01-01T12:00:00Z DEBUG] low", DEBUG, "", "low"),
        ("2026-01-01 12:00:00.123 | ERROR    | shop.orders:read:12 - no", ERROR, "shop.orders", "no"),
        ("web_1  | ERROR    | shop.orders:read:12 - no", ERROR, "shop.orders", "web_1 no"),
        ("2026-01-01 12:00:00.123 UTC [123] ERROR:  no relation", ERROR, "", "[123] no relation"),
        ("2026-01-01 12:00:00 myapp ERROR text", ERROR, "", "myapp text"),
        ("12:00:01 error foo", ERROR, "", "foo"),
        ("2026-01-01 12:00:00 plain", None, "", "plain"),
        ("Oct 11 22:14:15 host cron[12]: error: failed", ERROR, "cron", "failed"),
        ("Oct 11 22:14:15 host cron[12]: done", None, "cron", "done"),
        ("<3>disk gone", ERROR, "", "disk gone"),
        ("<34>Oct 11 22:14:15 mymachine su[12]: failed", CRITICAL, "su", "failed"),
        ('<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [a b="c"] hello', INFO, "app", "hello"),
        ("<999>html", None, "", "<999>html"),
        ("E0101 12:00:00.123456    1234 file.go:42] boom", ERROR, "", "boom"),
        ('level=error msg="no \\"such\\" file" path=/tmp logger=a.b', ERROR, "a.b", 'no "such" file'),
        ('level=error msg="bad \\escape"', ERROR, "", "bad \\escape"),
        ("level=warn and words", WARNING, "", "level=warn and words"),
        ("a=1 b=2", None, "", "a=1 b=2"),
        ("just text", None, "", "just text"),
        ("no ERROR here", None, "", "no ERROR here"),
        ("informational", None, "", "informational"),
        ("2026-99-01 12:00:00 ERROR x", None, "", "2026-99-01 12:00:00 ERROR x"),
        ("[2026-01-01 12:00:00 what] x", None, "", "[2026-01-01 12:00:00 what] x"),
        ("{broken}", None, "", "{broken}"),
        ('{"a": 1}', None, "", '{"a": 1}'),
        ("[" * 1000, None, "", "[" * 1000),
    ],
)
def test_level_logger_and_message(text: str, level: int | None, name: str, message: str) -> None:
    """Each common format is read, and a line in another format is all message."""
    line = read_line(text)
    assert (line.levelno, line.name, line.message) == (level, name, message)


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"level": "Error"}, ERROR),
        ({"severity": 3}, ERROR),
        ({"levelname": "FATAL"}, CRITICAL),
        ({"level": 40}, ERROR),
        ({"level": "30"}, WARNING),
        ({"level": 40, "pid": 1, "hostname": "h"}, WARNING),
        ({"level": 60, "pid": 1, "hostname": "h"}, CRITICAL),
        ({"level": True}, None),
        ({"level": 99}, None),
        ({"level": "loud"}, None),
        ({"level": "loud", "levelno": 10}, DEBUG),
        ({}, None),
    ],
)
def test_the_level_of_a_json_line_is_read(values: dict[str, Any], level: int | None) -> None:
    """Names, and the numbers of Python, syslog and pino, which are larger by ten, are levels."""
    line = read_line(json.dumps({**values, "msg": "hello"}))
    assert line.levelno == level
    assert line.message == "hello"


def test_all_keys_of_a_json_line_are_kept() -> None:
    """Time, logger, location and traceback become attributes of the record; all other keys become fields."""
    line = read_line(
        '{"level":"error","event":"lost","logger":"a.b","timestamp":"2026-01-01T12:00:00Z","exception":"Traceback",'
        '"lineno":3,"filename":"x.py","order":7,"args":[1],"process":"worker"}'
    )
    assert line == Line(
        "lost",
        ERROR,
        "ERROR",
        "a.b",
        1767268800.0,
        "Traceback",
        {"lineno": 3, "pathname": "x.py", "order": 7, "args_": [1], "process_": "worker"},
    )


def test_json_that_is_not_a_log_line_stays_unchanged() -> None:
    """Data without a message is shown whole, with or without a level."""
    assert read_line('{"name": "x", "time": 1}') == Line('{"name": "x", "time": 1}')
    line = read_line('{"level": "error", "code": 7}')
    assert (line.levelno, line.message, line.attributes) == (ERROR, '{"level": "error", "code": 7}', {})


@pytest.mark.parametrize(
    "text", ["{" * 100_000 + "}", '{"a":' * 50_000 + "1" + "}" * 50_000, '{"a":' + "1" * 5000 + "}"]
)
def test_hostile_json_is_text(text: str) -> None:
    """Deep nesting and a very long number do not raise an error."""
    assert read_line(text).message


@pytest.mark.parametrize("text", ['{"level": "error", "msg": "a", "msg": "b"}', "level=error msg=a msg=b"])
def test_a_name_with_two_values_makes_the_line_text(text: str) -> None:
    """A dictionary would keep one of the values and lose the other."""
    assert read_line(text).message == text


def test_values_do_not_replace_each_other() -> None:
    """A value whose name is taken, by the record or by another value, gets a longer name."""
    values = {"args": 1, "args_": 2, "getMessage": 3, "filename": "a.py", "pathname": "/a.py"}
    line = read_line(json.dumps({"level": "error", "msg": "x", **values}))
    assert line.attributes == {"args_": 1, "args__": 2, "getMessage_": 3, "filename_": "a.py", "pathname": "/a.py"}


def test_locations_of_loguru_and_glog_are_read() -> None:
    """File, line and function become attributes of the record."""
    line = read_line("2026-01-01 12:00:00.123 | ERROR    | shop.orders:read:12 - no")
    assert line.attributes == {"pathname": "shop.orders", "lineno": 12, "funcName": "read"}
    line = read_line("W0101 12:00:00.123456    1234 file.go:42] boom")
    assert line.attributes == {"pathname": "file.go", "lineno": 42}
    assert line.created is not None
    assert time.localtime(line.created)[1:5] == (1, 1, 12, 0)


@pytest.mark.parametrize(
    "text",
    [
        "[a] " * 50_000,
        "a - " * 50_000,
        "|" * 200_000,
        "-" * 200_000,
        "2026-01-01 12:00:00 ERROR a" + " " * 200_000 + "x",
        "[2026-01-01 12:00:00" + " " * 200_000,
        "[2026-01-01 12:00:00: ERROR " + " " * 200_000,
        "level=error " + 'a="' * 50_000,
        "<3>1 " + "[x" * 50_000,
    ],
)
def test_hostile_line_takes_no_time(text: str) -> None:
    """A regular expression does not backtrack for long on any of these lines."""
    began = time.thread_time()
    read_line(text)
    assert time.thread_time() - began < 10


@given(
    st.text(max_size=80)
    | st.sampled_from(["2026-01-01 12:00:00 ", "<3>", "ERROR ", "level=error "]).flatmap(
        lambda begin: st.text(max_size=60).map(lambda end: begin + end)
    )
)
def test_any_line_can_be_read(text: str) -> None:
    """Every line that is not blank has a message, and its level is one of Python's or `None`."""
    line = read_line(text)
    assert bool(line.message.strip()) >= bool(text.strip())
    assert line.levelno in (None, *range(10, 51))
    assert line.levelno is None or logging.getLevelName(line.levelno)
