"""The text of a frozen exception: whole, next to what the standard library writes, and as it stands on a card."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import importlib
import json
import linecache
import logging
import os
import socket
import sys
import traceback
import types
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from discord_logging import FrozenException, FrozenRecord
from discord_logging._cards import traceback_card, traceback_text
from discord_logging._cards.traceback_card import format_card
from discord_logging._cards.traceback_text import format_exception
from discord_logging._records import frames
from discord_logging._records import freeze as freezing
from discord_logging._records.exceptions import CAUSE
from discord_logging._records.settings import CardSettings
from discord_logging._text.markdown import cuts_made

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SETTINGS = CardSettings(None)


def freeze(exception: BaseException) -> FrozenException:
    """Return the frozen exception of a record."""
    record = logging.LogRecord("a", 40, "a.py", 1, "no", (), (type(exception), exception, exception.__traceback__))
    frozen = FrozenRecord(freezing.freeze(record, SETTINGS)).exception
    assert frozen is not None
    return frozen


def catch(function: Callable[[], object]) -> BaseException:
    """Return the exception that `function` raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    return pytest.fail("nothing was raised")


def standard(exception: BaseException) -> str:
    """Return the text that Python itself writes."""
    lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
    return "".join(lines).rstrip()


def one_line() -> None:
    """Fail in the middle of a line."""
    data: dict[str, Any] = {"a": {"b": None}}
    print(data["a"]["b"]["c"]["d"])  # noqa: T201 - never reached


def several_lines() -> object:
    """Fail in an expression that goes over lines."""
    values = [1, 2, 0]
    return sum(
        1 / value
        for value in values
        if value < 2  # the last one is the culprit
    ) + len(
        values,
    )


def wide_characters() -> object:
    """Fail behind characters that are no bytes."""
    sizes = {"länge": "äöü🔥"}
    return "größe 🔥" + sizes["länge"] + 5  # type: ignore[operator]  # that is the point


def multi_line_statement() -> None:
    """Fail in a call whose arguments stand on lines of their own."""
    int(
        "not a number",
        base=10,
    )


def recursion() -> None:
    """Fail deep down, through frames that are alike."""

    def down(depth: int) -> int:
        return 1 // depth + down(depth - 1)

    down(30)


def endless_recursion() -> None:
    """Fail because the stack is full."""
    endless_recursion()


def caused() -> None:
    """Fail because of another error."""
    try:
        one_line()
    except TypeError as error:
        raise RuntimeError("effect") from error


def in_context() -> None:
    """Fail while another error is handled, twice."""
    try:
        caused()
    except RuntimeError:
        try:
            recursion()
        finally:
            dict[str, int]()["missing"]


def without_context() -> None:
    """Fail and hide the handled error."""
    try:
        one_line()
    except TypeError:
        raise RuntimeError("alone") from None


def several_lines_of_text() -> None:
    """Fail with a long text."""
    raise ValueError("first\n\n  third\n")


def nothing_to_say() -> None:
    """Fail without a text."""
    raise KeyError


def own_class() -> None:
    """Fail with a class of a module."""

    class OwnError(Exception):
        pass

    raise OwnError("own")


def syntax() -> None:
    """Fail while compiling."""
    compile("x = = 1", "conf.py", "exec")


def generated() -> None:
    """Fail in code that has no source."""
    exec("def f():\n    return 1 / 0\nf()", {})  # noqa: S102 - our own text


def thrown_in() -> None:
    """Fail before the first line of a generator."""

    def values() -> Any:
        yield 1

    values().throw(ValueError("in"))


def circle() -> None:
    """Fail because of itself."""
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one
    raise one


SHAPES = [
    one_line,
    several_lines,
    wide_characters,
    multi_line_statement,
    recursion,
    endless_recursion,
    caused,
    in_context,
    without_context,
    several_lines_of_text,
    nothing_to_say,
    own_class,
    syntax,
    generated,
    thrown_in,
    circle,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_the_text_is_that_of_the_standard_library(shape: Callable[[], object]) -> None:
    """Carets, repeated frames and chains are those of the running Python."""
    error = catch(shape)
    assert format_exception(freeze(error)).rstrip() == standard(error)


@pytest.mark.parametrize("limit", [0, 1, 3, 100, -2, None])
def test_the_limit_of_frames_is_obeyed(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is that of the standard library, which keeps the first frames; a negative limit keeps none."""
    monkeypatch.setattr(sys, "tracebacklimit", limit, raising=False)
    error = catch(in_context)
    assert format_exception(freeze(error)) == standard(error)


@pytest.mark.parametrize("shape", [one_line, in_context, syntax], ids=lambda shape: shape.__name__)
def test_notes_stand_below_their_exception(shape: Callable[[], object]) -> None:
    """Notes work on every Python, although they came with 3.11, and each comes once."""
    error = catch(shape)
    error.__notes__ = ["first note", "second\nin two lines"]
    assert format_exception(freeze(error)).endswith("\nfirst note\nsecond\nin two lines")
    assert format_exception(freeze(error)).count("first note") == 1
    if sys.version_info >= (3, 11):
        assert format_exception(freeze(error)) == standard(error)


def test_an_exception_that_was_never_raised_is_its_last_line() -> None:
    """Such an exception has no traceback."""
    assert format_exception(freeze(ValueError("no"))) == "ValueError: no"


def test_a_group_shows_each_member_with_its_own_traceback() -> None:
    """The layout is simpler than Python's: a bar on the left, and numbers."""
    member = catch(lambda: int("x"))
    assert isinstance(member, ValueError)
    member.__cause__ = OSError("cause")
    error = ExceptionGroup("several", [ExceptionGroup("inner", [KeyError("a")]), member])
    lines = format_exception(freeze(error)).split("\n")
    assert lines[:7] == [
        f"{type(error).__module__.replace('builtins', '')}.ExceptionGroup: several (2 sub-exceptions)".lstrip("."),
        "+- 1 of 2 -",
        f"| {type(error).__module__.replace('builtins', '')}.ExceptionGroup: inner (1 sub-exception)".replace(
            " .", " "
        ),
        "| +- 1 of 1 -",
        "| | KeyError: 'a'",
        "+- 2 of 2 -",
        "| OSError: cause",
    ]
    assert lines[8] == "| The above exception was the direct cause of the following exception:"
    assert lines[10] == "| Traceback (most recent call last):"
    assert lines[-1] == "| ValueError: invalid literal for int() with base 10: 'x'"


@pytest.mark.parametrize("character", ["\x0c", "\x1c", "\x85", "\u2028"])
def test_a_line_of_source_only_ends_at_a_newline(character: str, tmp_path: Path) -> None:
    """Other tools also split at a form feed or U+2028."""
    path = tmp_path / "module.py"
    source = f"value = '{character}'; 1 / 0  # {character} end\n"
    path.write_text(source, encoding="utf-8")
    error = catch(lambda: exec(compile(source, path, "exec"), {}))  # noqa: S102 - our own text
    assert format_exception(freeze(error)) == standard(error)


def test_source_that_only_a_loader_knows_is_shown() -> None:
    """A module in a zip file has no file; its loader is known to the frame's globals alone."""

    class Loader:
        def get_source(self, _: str) -> str:
            return "def fail():\n    return 1 / 0  # from the zip\n"

    code = compile(Loader().get_source(""), "/app.zip/inside.py", "exec")
    names: dict[str, Any] = {"__name__": "inside", "__loader__": Loader()}
    exec(code, names)  # noqa: S102 - our own text
    frozen = freeze(catch(names["fail"]))
    names.clear()
    try:
        assert "    return 1 / 0  # from the zip\n" in format_exception(frozen)
    finally:
        linecache.cache.pop("/app.zip/inside.py", None)


def test_equal_code_of_two_files_keeps_its_file() -> None:
    """One module may be a copy of the other."""
    for filename in ("one.py", "two.py"):
        names: dict[str, Any] = {}
        exec(compile("def fail():\n    return 1 / 0\n", filename, "exec"), names)  # noqa: S102 - two files with the same code
        assert f'File "{filename}", line 2, in fail' in format_exception(freeze(catch(names["fail"])))


def test_source_is_read_only_when_the_text_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read on the listener's thread, not while the program waits."""
    error = catch(one_line)
    read: list[str] = []

    def read_file(filename: str, _: object = None) -> list[str]:
        read.append(filename)
        return []

    with monkeypatch.context() as patch:
        patch.setattr(linecache, "updatecache", read_file)
        patch.setattr(linecache, "cache", {})
        frames._frame_lines.cache_clear()
        frozen = freeze(error)
        assert not read
        format_exception(frozen)
        assert read


@pytest.mark.parametrize(("lasti", "lineno"), [(-1, 5), (10_000_000, 5), (0, 10_000_000)])
def test_a_traceback_made_by_hand_may_point_anywhere(lasti: int, lineno: int) -> None:
    """Template engines make their own, to show lines of the template."""
    error = ValueError("no").with_traceback(types.TracebackType(None, sys._getframe(), lasti, lineno))
    text = format_exception(freeze(error))
    assert f'File "{__file__}", line {lineno}, in test_a_traceback_made_by_hand' in text
    assert text.endswith("\nValueError: no")


CARD = 3500
"""About what a card has for a traceback, in characters."""
LIBRARY = "/venv/lib/python3/site-packages/{}/app.py"


def card(exception: BaseException, limit: int = CARD) -> str:
    """Return the traceback of `exception` on a card."""
    return format_card(freeze(exception), limit)


def outline(text: str) -> list[str]:
    """Return the frames, marks and last lines of a traceback, without source, carets and line numbers."""
    lines = []
    for line in text.split("\n"):
        bars = len(line) - len(line.lstrip("| "))
        stripped = line[bars:]
        if stripped.startswith("File "):
            _, path, rest = stripped.split('"')
            lines.append(f"{Path(path).name} {rest.rpartition(' ')[2]}")
        elif stripped and not line[:bars].endswith("    ") and not stripped.startswith("Traceback "):
            lines.append(stripped)
    return lines


def caller(filename: str, name: str = "call") -> Callable[[Callable[[], object]], object]:
    """Return a function, in a file of that name, that calls its argument."""
    names: dict[str, Any] = {}
    exec(compile(f"def {name}(inner):\n    return inner()", filename, "exec"), names)  # noqa: S102 - our own text
    function: Callable[[Callable[[], object]], object] = names[name]
    return function


def raised_through(filenames: Sequence[str], error: BaseException, last: str = "/srv/shop/last.py") -> BaseException:
    """Return `error`, raised through functions in files of these names, and at last in `fail_here`."""

    def throw() -> None:
        raise error

    function: Callable[[], object] = functools.partial(caller(last, "fail_here"), throw)
    for filename in reversed(filenames):
        function = functools.partial(caller(filename), function)
    catch(function)
    # Without the frames of this file.
    first = error.__traceback__
    assert first
    assert first.tb_next
    places = [place for place, _ in traceback.walk_tb(first.tb_next)]
    tb = None
    for frame in reversed(places[:-1]):
        tb = types.TracebackType(tb, frame, 12, 2)
    return error.with_traceback(tb)


def is_cut(exception: BaseException, limit: int = CARD) -> bool:
    """Tell whether the card notes that a part is left out."""
    before = cuts_made()
    card(exception, limit)
    return cuts_made() > before


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def bad_json() -> object:
    return json.loads("{nope")


class TestFolding:
    """The frames of libraries are folded."""

    def test_of_a_library_the_last_frame_is_left(self) -> None:
        """The last frame of the library and the program's frame that called it stay."""
        assert outline(card(catch(bad_json)))[:4] == [
            "test_traceback_text.py catch",
            "test_traceback_text.py bad_json",
            "… 2 frames in json …",
            "decoder.py raw_decode",
        ]

    def test_a_library_that_calls_back_is_folded(self) -> None:
        """The error is in the program."""

        def encode(value: object) -> object:
            return {}[value]  # type: ignore[index]  # that is the point

        lines = outline(card(catch(lambda: json.dumps([object()], default=encode))))
        assert lines[2:4] == ["… 3 frames in json …", "test_traceback_text.py encode"]

    def test_runs_of_libraries_are_folded_each_on_its_own(self) -> None:
        """A pool's frames come before the program's, and those of the called libraries after them."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            error = catch(lambda: pool.submit(bad_json).result())
        assert outline(card(error))[2:6] == [
            "… 3 frames in concurrent …",
            "test_traceback_text.py bad_json",
            "… 2 frames in json …",
            "decoder.py raw_decode",
        ]

    def test_flask_and_its_libraries_are_one_line(self) -> None:
        """The line replaces all frames from the server to the view."""
        app = flask.Flask(__name__)
        app.testing = True

        @app.get("/")
        def index() -> str:
            return flask.render_template_string("{{ 1 // 0 }}")

        lines = outline(card(catch(lambda: app.test_client().get("/"))))
        assert lines[2].endswith(" frames in werkzeug, flask …")
        assert lines[3] == "test_traceback_text.py index"
        assert lines[4].endswith(" frames in flask, jinja2 …")
        assert lines[5:] == ["<template> code", lines[-1]]
        assert lines[-1].startswith("ZeroDivisionError: ")

    def test_an_exception_that_the_program_never_saw_shows_its_last_frames(self) -> None:
        """A library caught it, and raised another."""
        url = f"http://127.0.0.1:{closed_port()}/"
        text = card(catch(lambda: urllib.request.urlopen(url, timeout=5)))
        first, _, second = text.partition("During handling of the above exception")
        assert outline(first)[0].endswith(" frames in urllib, http …")
        assert len([line for line in outline(first) if ".py " in line]) == 3
        assert outline(first)[-1].startswith("ConnectionRefusedError: ")
        assert "request.py do_open" in outline(second)
        assert "test_traceback_text.py <lambda>" in outline(second)

    def test_four_exceptions_of_requests_are_on_one_card(self) -> None:
        """Each has its last frame and its text, the last one also the line of the program."""
        text = card(catch(lambda: requests.get(f"http://127.0.0.1:{closed_port()}/", timeout=5)))
        for name in (
            "ConnectionRefusedError",
            "NewConnectionError",
            "MaxRetryError",
            "requests.exceptions.ConnectionErr",
        ):
            assert name in text
        assert "requests.get(f" in text
        assert " frames in requests …" in text.rpartition("During handling")[2]
        assert len(text) <= CARD

    def test_tasks_that_fail_alike_are_shown_once(self) -> None:
        """The card has their number."""

        async def fail(text: str) -> None:
            json.loads(text)

        async def main() -> None:
            # This is the exception of an `asyncio.TaskGroup`, which Python 3.10 does not have.
            tasks = (fail(text) for text in ["{nope"] * 14 + ["nope"])
            errors: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
            raise ExceptionGroup("unhandled errors in a TaskGroup", errors)

        text = card(catch(lambda: asyncio.run(main())))
        assert f"… {2 if sys.version_info < (3, 11) else 3} frames in asyncio …" in text
        assert text.count("| json.decoder.JSONDecodeError: ") == 2
        assert "\n+- 1 of 15, and 13 like it -\n" in text
        assert "\n+- 15 of 15 -\n" in text

    def test_a_few_libraries_are_named(self) -> None:
        """The order is that of the calls; more names would need another line."""
        libraries = [LIBRARY.format(name) for name in ("gunicorn", "flask", "werkzeug", "flask", "jinja2")]
        text = card(raised_through(["/srv/main.py", *libraries], ValueError("no")))
        assert "  … 5 frames in gunicorn, flask, werkzeug and others …\n" in text

    def test_a_fold_is_noted(self) -> None:
        """The whole text is attached then."""
        assert is_cut(catch(bad_json))
        assert not is_cut(catch(one_line))


class TestPaths:
    """The paths as a developer knows them."""

    def test_paths_are_relative_to_the_directory_or_the_import_path(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The shorter result is shown."""
        (tmp_path / "src").mkdir()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", ["/", str(tmp_path / "src"), "/venv/lib/python3/site-packages"])
        here = os.getcwd()  # noqa: PTH109 - as the code has it
        assert frames.short_path(f"{here}/manage.py") == "manage.py"
        assert frames.short_path(f"{tmp_path}/src/shop/orders.py") == "shop/orders.py"
        assert frames.short_path(LIBRARY.format("flask")) == "flask/app.py"
        assert frames.short_path("/elsewhere/tool.py") == "/elsewhere/tool.py"

    def test_a_missing_current_directory_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The missing directory causes no error."""

        def gone() -> str:
            raise FileNotFoundError

        monkeypatch.setattr(os, "getcwd", gone)
        assert frames.short_path("/elsewhere/tool.py") == "/elsewhere/tool.py"

    @pytest.mark.parametrize("filename", ["<stdin>", "<string>", "<template>", "", '"quoted".py', "ünï🔥.py"])
    def test_other_names_stay(self, filename: str) -> None:
        """Some code has no file."""
        assert f'  File "{filename}", line 2, in fail_here' in card(raised_through([], ValueError(), filename))

    def test_a_name_of_two_lines_becomes_one_line(self) -> None:
        """Each frame has one such line on the card."""
        assert '  File "a b", line 2, in fail_here\nValueError' in card(raised_through([], ValueError(), "a\nb"))

    def test_of_a_very_long_name_both_ends_are_left(self) -> None:
        """The end has the name of the file."""
        error = raised_through([], ValueError("no"), "/srv/" + "x" * 5000 + "/orders.py")
        assert '  File "/srv/xxx' in card(error)
        assert 'xxx/orders.py", line 2, in fail_here\nValueError: no' in card(error)
        assert is_cut(error)
        assert len(card(error)) < 400

    def test_no_token_is_shown_in_halves(self) -> None:
        """In a name that is cut, the address of a webhook would not be recognised later."""
        token = "s3cr3t" * 40
        error = raised_through([], ValueError("no"), f"https://discord.com/api/webhooks/1/{token}")
        assert "s3cr3t" not in card(error)


class TestSource:
    """The lines of source and the carets."""

    @pytest.mark.parametrize(
        "shape", [one_line, several_lines, multi_line_statement, caused, in_context, several_lines_of_text, thrown_in]
    )
    def test_all_other_lines_are_those_of_the_standard_library(
        self, shape: Callable[[], object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Carets, chains and texts of several lines are the same."""
        monkeypatch.setattr(sys, "path", [])
        monkeypatch.chdir("/")
        monkeypatch.setattr(traceback_card, "_MIN_REPEATS", 1000)
        monkeypatch.setattr(traceback_text, "_MAX_REPEATS", 1000)
        error = catch(shape)
        assert format_card(freeze(error), 100_000) == format_exception(freeze(error))

    def test_a_very_long_line_is_cut(self, tmp_path: Path) -> None:
        """The carets behind its end are left out."""
        path = tmp_path / "minified.py"
        path.write_text(f"value = '{'x' * 5000}'; 1 / 0\n", encoding="utf-8")
        error = catch(lambda: exec(compile(path.read_text("utf-8"), path, "exec"), {}))  # noqa: S102 - our own text
        *_, place, source, last = card(error).split("\n")
        assert place.endswith("in <module>")
        assert source == "    value = '" + "x" * 146 + "…"
        assert last == "ZeroDivisionError: division by zero"
        assert is_cut(error)

    def test_a_syntax_error_shows_its_location(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The card has file, line, text and caret, and of the frames the line of the program."""
        (tmp_path / "broken_module.py").write_text("x = 1\ny = = 2\n", encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        error = catch(lambda: importlib.import_module("broken_module"))
        text = card(error)
        assert text.endswith('  File "broken_module.py", line 2\n    y = = 2\n        ^\nSyntaxError: invalid syntax')
        assert "test_traceback_text.py <lambda>" in outline(text)
        assert " frames in importlib …" in text
        assert len(card(error, 400)) <= 400
        assert card(error, 400).endswith("        ^\nSyntaxError: invalid syntax")

    def test_a_syntax_error_without_a_location_is_its_text(self) -> None:
        """Any code may raise one."""
        assert card(SyntaxError("no")) == "SyntaxError: no"
        assert card(ValueError('no\n  File "')).startswith("ValueError: no")

    def test_a_syntax_error_of_a_hostile_file_is_shown(self) -> None:
        """The name of the file may contain any text."""
        error = SyntaxError("no", ('a\nb", line 7', 3, 1, "x = = 1\n"))
        assert card(error).endswith("\nSyntaxError: no")


class TestRepeats:
    """Repeated frames are folded."""

    def test_direct_recursion_is_one_line(self) -> None:
        """Only its last frame is shown besides."""
        text = card(catch(endless_recursion))
        assert outline(text)[:2] == ["test_traceback_text.py catch", "test_traceback_text.py endless_recursion"]
        assert "  [Previous line repeated 9" in text
        assert outline(text)[3] == "test_traceback_text.py endless_recursion"
        assert outline(text)[4].startswith("RecursionError: ")
        assert not is_cut(catch(endless_recursion))

    def test_functions_that_call_each_other_are_shown_once(self) -> None:
        """The number of turns does not matter."""

        def down(depth: int) -> object:
            return across(depth)

        def across(depth: int) -> object:
            return up(depth - depth // depth)

        def up(depth: int) -> object:
            return down(depth)

        assert outline(card(catch(lambda: down(100))))[2:-1] == [
            "test_traceback_text.py down",
            "test_traceback_text.py across",
            "test_traceback_text.py up",
            "[Previous 3 frames repeated 99 more times]",
            "test_traceback_text.py down",
            "test_traceback_text.py across",
        ]

    def test_libraries_within_a_cycle_are_folded(self) -> None:
        """An example is a hook that calls the library that calls the hook."""

        def hook(depth: int) -> object:
            return json.dumps(object(), default=lambda _: hook(depth - depth // depth))

        text = card(catch(lambda: hook(20)))
        assert "  … 3 frames in json …\n" in text
        assert "  [Previous 5 frames repeated 19 more times]\n" in text

    def test_ten_thousand_frames_have_room(self) -> None:
        """Each location is read once, however often it is repeated."""
        files = [f"/srv/shop/module_{number % 50}.py" for number in range(50)]
        error = raised_through(files, ValueError("no"))
        frozen = freeze(error)
        frozen._locations = list(frozen._locations) * 200
        text = format_card(frozen, 1500)
        assert len(text) <= 1500
        assert 'module_0.py", line 2, in call\n  … 10,' in text
        assert " frames …\n" in text
        assert text.endswith('last.py", line 2, in fail_here\nValueError: no')
        assert len(set(map(id, frozen.stack))) == len(frozen.stack) // 200


class TestRoom:
    """The order in which parts are left out without room."""

    FILES = tuple(f"/srv/shop/a_rather_long_name_of_a_module_{number}.py" for number in range(40))

    def test_frames_in_the_middle_are_left_out_first(self) -> None:
        """The first frame stays, and as many of the last as fit."""
        text = card(raised_through(self.FILES, ValueError("no")), 1000)
        assert 800 < len(text) <= 1000
        lines = text.split("\n")
        assert "module_0.py" in lines[1]
        assert lines[2].startswith("  … ")
        assert lines[2].endswith(" frames …")
        assert "module_39.py" in lines[-3]
        assert lines[-2:] == ['  File "/srv/shop/last.py", line 2, in fail_here', "ValueError: no"]

    def test_frames_of_earlier_exceptions_are_left_out_before_those_of_the_last(self) -> None:
        """The last exception has at least half of the room."""
        error = raised_through(self.FILES, RuntimeError("effect"))
        error.__cause__ = raised_through(self.FILES, ValueError("cause"))
        cause, _, effect = card(error, 1500).partition(CAUSE)
        assert cause.endswith("ValueError: cause\n\n")
        assert effect.endswith("RuntimeError: effect")
        assert "  … 40 frames …\n" in cause
        assert effect.count("module_") > 3

    def test_earlier_exceptions_are_left_out_next(self) -> None:
        """The nearest stay, and the others are counted."""
        error: BaseException = ValueError("first")
        for number in range(60):
            following = raised_through(self.FILES, ValueError(f"number {number}"))
            following.__context__ = error
            error = following
        text = card(error, 1500)
        assert 1000 < len(text) <= 1500
        assert text.startswith("… 5")
        assert " earlier exceptions …\n\nDuring handling" in text
        assert "\nValueError: number 58\n" in text
        assert text.endswith("ValueError: number 59")

    def test_one_earlier_exception_is_counted_in_the_singular(self) -> None:
        """The noun agrees with the number."""
        error = RuntimeError("x" * 900)
        error.__cause__ = ValueError("y" * 900)
        assert card(error, 1100).startswith("… 1 earlier exception …\n")

    def test_a_text_that_is_too_long_is_cut_at_its_end(self) -> None:
        """A note has its whole length, and the last frame is shown."""
        error = raised_through(self.FILES, ValueError("x" * 100_000))
        text = card(error, 1500)
        assert 1450 < len(text) <= 1500
        assert 'last.py", line 2, in fail_here\nValueError: xxx' in text
        assert text.endswith("xxx… (100,012 characters in all)")
        assert is_cut(error)

    def test_a_long_text_that_fits_is_whole(self) -> None:
        """Frames are left out first."""
        error = raised_through(self.FILES, ValueError("x" * 1200))
        assert card(error, 1500).endswith('", line 2, in fail_here\nValueError: ' + "x" * 1200)

    def test_a_long_text_of_an_earlier_exception_is_cut(self) -> None:
        """A cut text is better than no text."""
        error = RuntimeError("effect")
        error.__cause__ = raised_through(self.FILES, ValueError("x" * 10_000))
        text = card(error, 1500)
        assert "fail_here\nValueError: xxx" in text
        assert "xxx… (10,012 characters in all)\n\nThe above" in text

    def test_notes_are_shown_as_far_as_there_is_room(self) -> None:
        """They say more than the text."""
        error = ValueError("no")
        error.__notes__ = ["while importing row 7", "z" * 5000]
        text = card(error, 1000)
        assert text.startswith("ValueError: no\nwhile importing row 7\nzzz")
        assert text.endswith("… (5,022 characters in all)")

    def test_a_frame_of_a_library_is_shown_with_its_caller(self) -> None:
        """This holds although there is little room."""
        files = [*self.FILES, *[LIBRARY.format("flask")] * 9]
        error = raised_through(files, ValueError("no"), LIBRARY.format("jinja2"))
        assert [line for line in outline(card(error, 250)) if ".py" in line] == [
            "a_rather_long_name_of_a_module_39.py call",
            "app.py fail_here",
        ]

    def test_with_next_to_no_room_the_line_of_the_last_frame_is_left(self) -> None:
        """Its source is left out."""
        error = catch(bad_json)
        text = card(error, 300)
        assert outline(text)[-2].startswith("decoder.py ")
        assert text.endswith("(char 1)")

    def test_with_no_room_for_frames_their_number_is_shown(self) -> None:
        """The text is more important."""
        assert card(raised_through(self.FILES, ValueError("no")), 95).split("\n")[-2:] == [
            "  … 41 frames …",
            "ValueError: no",
        ]


class TestGroups:
    """The trees of exceptions."""

    def test_ten_members_are_shown(self) -> None:
        """The others are counted."""
        error = ExceptionGroup("several", [ValueError(number) for number in range(22)])
        lines = card(error, 10_000).split("\n")
        assert lines[1:3] == ["+- 1 of 22 -", "| ValueError: 0"]
        assert lines[-2:] == ["| ValueError: 9", "… and 12 more exceptions"]

    @pytest.mark.parametrize("count", [499, 500, 600])
    def test_exceptions_beyond_the_bound_are_told_of(self, count: int) -> None:
        """The members and causes beyond 500 exceptions vanished without a word."""
        chain: Exception = ValueError("0")
        for number in range(1, count + 1):
            error = ValueError(str(number))
            error.__cause__, chain = chain, error
        group = ExceptionGroup("several", [ValueError(number) for number in range(count)])
        for text in (format_exception(freeze(error)) for error in (chain, group)):
            assert f"ValueError: {count // 2}\n" in text
            assert text.count("and more exceptions") == (count > 499)

    def test_members_share_the_room(self) -> None:
        """Each has its last frame and its text."""
        members = [raised_through(TestRoom.FILES, ValueError(f"{number} {'x' * 5000}")) for number in range(5)]
        assert all(isinstance(member, Exception) for member in members)
        text = card(ExceptionGroup("several", members), 2500)  # type: ignore[type-var]  # asserted above
        assert 2000 < len(text) <= 2500
        assert text.count("in fail_here\n| ValueError: ") == 5
        assert text.count("… (5,014 characters in all)") == 5

    def test_a_group_with_little_room_counts_its_members(self) -> None:
        """Its own text is more important."""
        error = ExceptionGroup("several", [ValueError(1), ValueError(2)])
        assert card(error, 120).split("\n")[1] == "… and 2 more exceptions"

    def test_members_of_members_are_shown_to_a_depth(self) -> None:
        """Nobody reads a tree of ten levels."""
        error: Exception = ValueError("inmost")
        for number in range(400):
            error = ExceptionGroup(f"level {number}", [error])
        text = card(error, 100_000)
        assert text.split("\n")[-1] == "| " * 8 + "… and 1 more exception"
        assert "inmost" not in text
        assert "| ValueError: inmost" in card(ExceptionGroup("one", [ExceptionGroup("two", [ValueError("inmost")])]))

    def test_a_member_that_has_no_room_is_counted(self) -> None:
        """Its notes alone may take its room."""
        members = []
        for number in range(3):
            member = raised_through([], ValueError("x" * 400), "/srv/" + "y" * 300)
            member.__cause__ = raised_through([], OSError(number, "z" * 300), "/srv/" + "y" * 300)
            members.append(member)
        for limit in range(700, 2000, 50):
            text = card(ExceptionGroup("several", members), limit)  # type: ignore[type-var]  # they are
            assert len(text) <= limit
            assert text.count(" of 3 -") == 3 or " more exception" in text


FILENAMES = st.one_of(
    st.sampled_from(
        ["/srv/shop/orders.py", "/srv/main.py", "<string>", LIBRARY.format("flask"), LIBRARY.format("x" * 300)]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300),
)
TEXTS = st.one_of(st.text(max_size=200), st.integers(200, 20_000).map(lambda size: "long\n" * (size // 5)))


@st.composite
def exceptions(draw: st.DrawFn, depth: int = 2) -> BaseException:
    """Draw exceptions, raised through many files, with notes, chained, in groups."""
    error: Exception = ValueError(draw(TEXTS))
    if depth and draw(st.booleans()):
        error = ExceptionGroup(draw(TEXTS), draw(st.lists(exceptions(depth - 1), min_size=1, max_size=4)))  # type: ignore[type-var]  # they are
    if draw(st.booleans()):
        error.__notes__ = draw(st.lists(TEXTS, max_size=3))
    files = draw(st.lists(FILENAMES, max_size=6)) * draw(st.sampled_from([1, 1, 5]))
    raised_through(files, error, draw(FILENAMES))
    if depth and draw(st.booleans()):
        error.__cause__ = draw(exceptions(depth - 1))
    return error


@pytest.mark.once
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(error=exceptions(), limit=st.integers(0, 5000))
@example(error=ValueError("\n" * 5000), limit=1000)
def test_a_card_keeps_its_limit_and_the_end(error: BaseException, limit: int) -> None:
    """Any exception has its last frame and its last line."""
    text = card(error, limit)
    assert len(text) <= limit
    if limit >= 1000:
        *_, last = text.split(CAUSE)
        own = last if isinstance(error, ValueError) else text
        kind = "ValueError" if isinstance(error, ValueError) else "ExceptionGroup"
        assert kind in own
        if len(str(error)) < 300:
            assert str(error).rstrip() in text
        if error.__traceback__:
            assert "line 2, in fail_here" in own
