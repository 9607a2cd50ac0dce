"""The text of a frozen exception, next to what the standard library writes."""

from __future__ import annotations

import linecache
import logging
import sys
import traceback
import types
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import FrozenException, FrozenRecord, _snapshot, _traceback
from discord_logging._traceback import format_exception

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def freeze(exception: BaseException) -> FrozenException:
    """Return the frozen exception of a record that has it."""
    record = logging.LogRecord("a", 40, "a.py", 1, "no", (), (type(exception), exception, exception.__traceback__))
    frozen = FrozenRecord(_snapshot.freeze(record, None)).exception
    assert frozen is not None
    return frozen


def catch(function: Callable[[], object]) -> BaseException:
    """Return what `function` raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    return pytest.fail("nothing was raised")


def standard(exception: BaseException) -> str:
    """Return what Python itself would write."""
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
    """Fail for want of stack."""
    endless_recursion()


def caused() -> None:
    """Fail because of something."""
    try:
        one_line()
    except TypeError as error:
        raise RuntimeError("effect") from error


def in_context() -> None:
    """Fail while something else is handled, twice."""
    try:
        caused()
    except RuntimeError:
        try:
            recursion()
        finally:
            dict[str, int]()["missing"]


def without_context() -> None:
    """Fail and hide what was handled."""
    try:
        one_line()
    except TypeError:
        raise RuntimeError("alone") from None


def several_lines_of_text() -> None:
    """Fail with much to say."""
    raise ValueError("first\n\n  third\n")


def nothing_to_say() -> None:
    """Fail without a word."""
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
    """Carets, repeated frames and chains included, on the running Python."""
    error = catch(shape)
    assert format_exception(freeze(error)).rstrip() == standard(error)


@pytest.mark.parametrize("shape", [one_line, in_context, syntax], ids=lambda shape: shape.__name__)
def test_notes_stand_below_their_exception(shape: Callable[[], object]) -> None:
    """Those of Python 3.11, on every Python, and each once."""
    error = catch(shape)
    error.__notes__ = ["first note", "second\nin two lines"]
    assert format_exception(freeze(error)).endswith("\nfirst note\nsecond\nin two lines")
    assert format_exception(freeze(error)).count("first note") == 1
    if sys.version_info >= (3, 11):
        assert format_exception(freeze(error)) == standard(error)


def test_an_exception_that_was_never_raised_is_its_last_line() -> None:
    """There is no traceback to tell of."""
    assert format_exception(freeze(ValueError("no"))) == "ValueError: no"


def test_a_group_shows_each_member_with_its_own_traceback() -> None:
    """In a simpler layout than Python's: a bar on the left, and numbers."""
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
def test_a_line_of_source_may_hold_what_other_tools_take_for_its_end(character: str, tmp_path: Path) -> None:
    """Only a newline ends a line of Python."""
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
        _traceback._frame_lines.cache_clear()
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
