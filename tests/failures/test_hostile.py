"""Whatever a program logs, the program goes on, the record is delivered or counted, and so is the next."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import logging
import re
import sys
import textwrap
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discord_logging import DiscordHandler
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.failures.conftest import Run


if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

_PRELUDE = """
import json, logging, sys, threading, time, types
import discord_logging
if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup
handler = discord_logging.DiscordHandler(channel_limit=None, max_lag=60, flush_timeout=45)
log = logging.getLogger("app")
log.addHandler(handler)
log.setLevel("DEBUG")
raised = []

def attempt(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:
        raised.append(repr(error))

def fail(error):
    try:
        raise error
    except Exception:
        attempt(log.exception, "failed")

def odd(base, **properties):
    return type("Odd", (base,), {name: property(get) for name, get in properties.items()})

def hostile(*names, base=object):
    def refuse(self, *args):
        raise RuntimeError("no")
    return type("Hostile", (base,), dict.fromkeys(names, refuse))
"""

_EPILOGUE = """
log.error("after")
handler.flush()
print(json.dumps([raised, handler.health()]))
"""


class Survive(Protocol):
    """Runs a program that logs hostile records, and returns the health of its handler."""

    def __call__(self, script: str, *, may_lose: bool = False) -> Any:
        """Run `script`; `may_lose` says whether records may be dropped, and reported on stderr."""


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


@pytest.fixture
def survive(run: Run, discord: LocalDiscord) -> Survive:
    """Return a function that runs a program, asserts that it and its last record survive, and returns `health()`."""

    def run_hostile(script: str, *, may_lose: bool = False) -> Any:
        done = run(textwrap.dedent(script) + _EPILOGUE, prelude=_PRELUDE, timeout=100)
        assert done.code == 0, done.err
        raised, health = json.loads(done.out)
        assert raised == []
        assert health["pending"] == 0
        assert health["delivered"] + health["dropped"] == health["accepted"]
        assert may_lose or (health["dropped"], done.err) == (0, "")
        assert {request.status for request in discord.requests} == {200}
        # While a bad record is looked for, a more urgent one goes first.
        assert [text for text in descriptions(discord) if text.startswith("after")] != []
        return health

    return run_hostile


def descriptions(discord: LocalDiscord) -> list[str]:
    return [embed.get("description", "") for message in discord.messages for embed in message.embeds]


@pytest.mark.parametrize(
    ("define", "shown"),
    [
        ("thing = hostile('__str__', '__repr__')()", " that cannot be shown: RuntimeError>,)"),
        ("thing = type('Odd', (), {'__str__': lambda self: None})()", "(could not be merged: TypeError: "),
        pytest.param(
            "thing = type('Slow', (), {'__str__': lambda self: time.sleep(0.2) or 'slow'})()",
            "got slow",
            marks=pytest.mark.once,
        ),
        pytest.param(
            "thing = type('Chatty', (), {'__str__': lambda self: log.error('inner') or 'outer'})()",
            "got outer",
            marks=pytest.mark.once,
        ),
        (
            "thing = hostile('__str__', '__len__', '__getitem__', '__mod__', 'encode', 'strip', base=str)('words')",
            "args: ('words',) (could not be merged: RuntimeError: no)",
        ),
        ("thing = []; thing.append(thing)", r"\[\[...]]"),
        ("thing = []\nfor _ in range(100_000): thing = [thing]", r"args: (\[\[\[\[\[\[… 1 more]]]]]],)"),
    ],
    ids=["raises", "gives None", "sleeps", "logs", "str subclass", "cyclic", "deep"],
)
def test_hostile_objects(survive: Survive, discord: LocalDiscord, define: str, shown: str) -> None:
    """An object that cannot be shown costs only its own text, as a message, an argument, a value and an error.

    Without the catch in `to_text` the record is unreadable and dropped.
    """
    survive(
        f"{define}\n"
        "attempt(log.error, thing)\n"
        "attempt(log.error, 'got %s', thing)\n"
        "attempt(log.error, 'value', extra={'thing': thing})\n"
        "fail(ValueError(thing))\n"
    )
    assert any("got" in text and shown in text for text in descriptions(discord))


@pytest.mark.once
@pytest.mark.parametrize(
    "text",
    [
        r"'lone \ud800 surrogates \udfff'",
        r"'NUL \0, bell \a, escape \x1b[31m, delete \x7f, next line \x85'",
        "'x' * 5_000_000",
        r"'\u202e right to left \u2028 \ufeff \U0010ffff'",
        r"'\n' * 100_000",
        "''",
    ],
    ids=["surrogates", "controls", "five megabytes", "unicode", "lines", "empty"],
)
def test_hostile_texts(survive: Survive, text: str) -> None:
    """Discord accepts every text at the first try, in every part of a record.

    With the surrogates left in, Discord answers 500 again and again, and nothing behind that record arrives in time.
    """
    survive(
        f"text = {text}\n"
        "attempt(log.error, text)\n"
        "attempt(log.error, 'got %s', text)\n"
        "attempt(log.error, 'value', extra={'thing': text, text[:50] + ' ': 1})\n"
        "attempt(logging.getLogger('app.' + text[:50]).error, 'name')\n"
        "attempt(handler.handle, logging.makeLogRecord(dict.fromkeys(('name', 'levelname', 'pathname', 'funcName',\n"
        "    'threadName', 'processName', 'exc_text', 'stack_info', 'lineno'), text[:100_000])))\n"
        "fail(ValueError(text))\n"
    )


def test_deep_tracebacks(survive: Survive, discord: LocalDiscord) -> None:
    """Ten thousand frames, or those of an endless recursion, become a few lines."""
    survive(
        """
        def dive(depth):
            if depth:
                return dive(depth - 1)
            raise ValueError("bottom")

        def log_depth():
            try:
                dive(10_000)
            except ValueError:
                attempt(log.exception, "deep")

        def endless():
            endless()

        try:
            endless()
        except RecursionError:
            attempt(log.exception, "endless")
        sys.setrecursionlimit(30_000)
        threading.stack_size(256 << 20)
        diver = threading.Thread(target=log_depth)
        diver.start()
        diver.join()
        """
    )
    endless, deep, _ = descriptions(discord)
    assert "[Previous line repeated 99" in endless
    assert "RecursionError: maximum recursion depth exceeded" in endless
    assert re.search(r"\[Previous line repeated 9,?99\d more times\]", deep)
    assert "ValueError: bottom" in deep


def test_logged_where_the_stack_ends(survive: Survive, discord: LocalDiscord) -> None:
    """A record without room on the stack is lost, and counted if our code ran; later ones arrive."""
    health = survive(
        """
        records = [log.makeRecord("app", 40, "app.py", 1, "low %s", ("stack",), None) for _ in range(10_000)]
        handled = 0

        def dive():
            global handled
            try:
                dive()
            finally:
                try:
                    handler.handle(records.pop())
                    handled += 1
                except RecursionError:
                    pass

        try:
            dive()
        except RecursionError:
            pass
        print(handled, file=sys.stderr)
        fail(ValueError("after the dive"))
        """,
        may_lose=True,
    )
    assert health["accepted"] > 500
    assert set(health["dropped_by_reason"]) <= {"unreadable"}
    assert descriptions(discord)[-2].startswith("failed")


@pytest.mark.parametrize(
    ("raising", "shown"),
    [
        (
            """
            inner = ExceptionGroup("inner", [KeyError(2), ExceptionGroup("innermost", [OSError(3)])])
            fail(ExceptionGroup("outer", [ValueError(1), inner]))
            """,
            "| | | OSError: 3",
        ),
        (
            """
            group = ExceptionGroup("circle", [ValueError(1)])
            group.exceptions[0].__cause__ = group
            fail(group)
            """,
            "| ValueError: 1",
        ),
        ("fail(odd(ExceptionGroup, exceptions=lambda self: (self, self))('own', [ValueError(1)]))", "Odd: own"),
        (
            """
            one, two = ValueError(1), ValueError(2)
            one.__cause__, two.__cause__ = two, one
            one.__context__, two.__context__ = one, two
            fail(one)
            """,
            "direct cause",
        ),
        (
            """
            chain = [ValueError(number) for number in range(5000)]
            for earlier, later in zip(chain, chain[1:]):
                later.__cause__ = earlier
            fail(chain[-1])
            """,
            "ValueError: 4999",
        ),
    ],
    ids=["nested group", "group in a circle", "group in itself", "causes in a circle", "long chain"],
)
def test_linked_exceptions(survive: Survive, discord: LocalDiscord, raising: str, shown: str) -> None:
    """Exceptions that are linked in circles, or without end, are shown once each.

    Without the memory of those seen, the logging call never returns.
    """
    survive(textwrap.dedent(raising))
    assert shown in descriptions(discord)[0]


@pytest.mark.measured
@pytest.mark.parametrize(
    ("attribute", "value", "shown"),
    [
        ("__str__", "lambda self: 1 / 0", "<Odd that cannot be shown: ZeroDivisionError>"),
        ("__notes__", "lambda self: 1 / 0", "Odd: own"),
        ("__notes__", "lambda self: [hostile('__str__')()]", "<Hostile that cannot be shown: RuntimeError>"),
        ("args", "lambda self: 1 / 0", "Odd: "),
        ("__traceback__", "lambda self: 1 / 0", "Odd: own"),
        ("__cause__", "lambda self: 1 / 0", "<exception that cannot be shown: ZeroDivisionError>"),
        ("__context__", "lambda self: 1 / 0", "<exception that cannot be shown: ZeroDivisionError>"),
        ("__cause__", "lambda self: 'no exception'", "Odd: own"),
        ("exceptions", "lambda self: 1 / 0", "<exception that cannot be shown: ZeroDivisionError>"),
        ("exceptions", "lambda self: 5", "<exception that cannot be shown: TypeError>"),
        ("exceptions", "lambda self: iter(lambda: self, None)", "Odd: own"),
    ],
)
def test_hostile_exceptions(survive: Survive, discord: LocalDiscord, attribute: str, value: str, shown: str) -> None:
    """An exception whose own attributes raise, or never end, is shown as far as possible.

    Without the catch around it the record is unreadable and dropped; members without end hang the logging call.
    """
    survive(f"fail(odd(ExceptionGroup, {attribute}={value})('own', [ValueError(1)]))")
    assert descriptions(discord)[0].startswith("failed")
    assert shown in descriptions(discord)[0]


def test_record_that_cannot_even_be_reported(survive: Survive) -> None:
    """A record that fails again in the report on stderr is counted, and raises no exception.

    With the `handleError` of `logging` alone, what it meets on the way comes out of the logging call.
    """
    health = survive(
        """
        deep = []
        for _ in range(100_000):
            deep = [deep]
        attributes = {"msg": deep, "stack_info": hostile("__bool__")()}
        attempt(handler.handle, logging.makeLogRecord(attributes))
        try:
            raise odd(ExceptionGroup, exceptions=lambda self: 1 / 0)("own", [ValueError(1)])
        except Exception:
            attempt(handler.handle, logging.makeLogRecord(attributes))
        """,
        may_lose=True,
    )
    assert health["dropped_by_reason"] == {"unreadable": 2}


@pytest.mark.parametrize(
    "define",
    [
        pytest.param("extra = {f'name {n}': 'x' * 1000 for n in range(1000)}", marks=pytest.mark.once),
        "extra = {}\nfor _ in range(100_000): extra = {'in': extra}",
        "extra = {}; extra['self'] = extra",
        "extra = {5: 1, (): 2, None: 3, b'x': 4, 1.5: 5, hostile('__str__', '__repr__')(): 6}",
        pytest.param(
            "extra = {'': 1, ' ': 2, '\\ud800': 3, 'x' * 5000: 4, '```': 5, '@everyone': 6, '\\n': 7}",
            marks=pytest.mark.once,
        ),
        "extra = {'infinite': float('inf'), 'nan': float('nan'), 'huge': 10 ** 5000}",
        pytest.param("extra = {'text': '', 'none': None, 'blank': ' \\n'}", marks=pytest.mark.once),
    ],
    ids=["huge", "deep", "cyclic", "odd keys", "odd names", "odd numbers", "empty"],
)
def test_hostile_extra(survive: Survive, define: str) -> None:
    """An `extra` value may have any size, depth and name.

    Without the catch in `to_text` what is deep, or has an odd key or number, is dropped.
    """
    survive(f"{define}\nattempt(log.error, 'value', extra=extra)\nattempt(log.error, 'value', extra={{'all': extra}})")


def test_records_with_wrong_types(survive: Survive) -> None:
    """A record that was made by hand may have any value in any attribute, or in all of them."""
    health = survive(
        """
        names = sorted(logging.makeLogRecord({}).__dict__)
        values = [None, 5, -1, 1.5, float("nan"), 10 ** 400, "text", b"bytes", (), [], {}, ["deep", [1]], object(),
                  ValueError("no"), hostile("__str__", "__repr__")(), hostile("__eq__", "__hash__")()]
        for value in values:
            for name in names:
                attempt(handler.handle, logging.makeLogRecord({"msg": "odd", "levelno": 40, name: value}))
            attempt(handler.handle, logging.makeLogRecord(dict.fromkeys(names, value)))
        """,
        may_lose=True,
    )
    assert health["delivered"] > 300


# Any record


def odd_object(base: type[Any], value: tuple[Any, ...], names: Iterable[str], answer: Callable[[], Any]) -> Any:
    """Return an object whose methods have the chosen behaviour."""
    return type("Odd", (base,), {f"__{name}__": lambda *_: answer() for name in names})(*value)


def raiser(error: Exception) -> Callable[[], Any]:
    def refuse() -> Any:
        raise error

    return refuse


def odd_error(base: type[Exception], attributes: dict[str, Callable[[], Any]], text: str) -> Exception:
    """Return an exception whose properties have the chosen behaviour."""
    namespace = {name: property(functools.partial(_ask, answer)) for name, answer in attributes.items()}
    kind: Any = type("OddError", (base,), namespace)
    error: Exception = kind(text, [ValueError(text)]) if issubclass(base, ExceptionGroup) else kind(text)
    return error


def _ask(answer: Callable[[], Any], _: object) -> Any:
    return answer()


def linked(error: Exception, cause: Any, context: Any) -> Exception:
    """Return `error`, linked to others, in circles if they are the same."""
    # Properties without a setter are what some of them have.
    with contextlib.suppress(AttributeError, TypeError):
        error.__cause__ = cause
    with contextlib.suppress(AttributeError, TypeError):
        error.__context__ = context
    return error


TEXTS = st.text(st.characters() | st.sampled_from("\ud800\udfff\0\x1b\x07\u2028\n`@*_"), max_size=30) | st.builds(
    str.__mul__, st.sampled_from(["x", "\ud800", "`", "\n", "@everyone "]), st.sampled_from([300, 5_000, 30_000])
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.builds(pow, st.just(10), st.just(5000))
    | st.floats()
    | TEXTS
    | st.binary(max_size=5)
)
ANSWERS = st.builds(
    raiser, st.sampled_from([RuntimeError("no"), RecursionError(), MemoryError(), UnicodeError(), AttributeError()])
) | st.builds(lambda value: lambda: value, SCALARS)
METHODS = st.lists(
    st.sampled_from(["str", "repr", "bool", "eq", "hash", "format", "len", "getitem", "mod", "iter", "lt"]), unique=True
)
ODDITIES = st.builds(odd_object, st.just(object), st.just(()), METHODS, ANSWERS) | st.builds(
    odd_object, st.just(str), st.tuples(TEXTS), METHODS, ANSWERS
)
VALUES = st.recursive(
    SCALARS | ODDITIES,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
BASES = st.sampled_from([Exception, OSError, KeyError, SyntaxError, UnicodeError, ExceptionGroup])
ATTRIBUTES = st.sampled_from(
    ["__notes__", "args", "__cause__", "__context__", "__traceback__", "__suppress_context__", "exceptions", "filename"]
)
ERRORS: st.SearchStrategy[Any] = st.recursive(
    st.builds(odd_error, BASES, st.dictionaries(ATTRIBUTES, ANSWERS, max_size=2), TEXTS),
    lambda inner: (
        st.builds(linked, inner, inner, inner)
        | st.builds(lambda error: linked(error, error, error), inner)
        | st.builds(ExceptionGroup, TEXTS, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=4,
)
EXC_INFOS = ERRORS | st.builds(lambda error, tb: (type(error), error, tb), ERRORS, st.none() | VALUES) | VALUES
STANDARD = sorted(set(logging.makeLogRecord({}).__dict__) - {"exc_info"})
RECORDS = st.builds(
    lambda *parts: logging.makeLogRecord({name: value for part in parts for name, value in part.items()}),
    st.dictionaries(st.sampled_from(STANDARD), VALUES, max_size=4),
    st.fixed_dictionaries({}, optional={"exc_info": EXC_INFOS}),
    st.dictionaries(TEXTS | st.integers() | st.binary(max_size=3), VALUES, max_size=3),
)


def test_any_record_whatever(discord: LocalDiscord) -> None:
    """No record raises; each is delivered or counted, Discord accepts it, and the record behind it arrives.

    Without the catch in `to_text` the listener fails.
    """
    handler = DiscordHandler(discord.webhook_url, channel_limit=None, max_lag=60)
    numbers = itertools.count(1)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(RECORDS, min_size=1, max_size=3))
    def check(records: list[logging.LogRecord]) -> None:
        discord.clear()
        plain = f"after {next(numbers)}"
        before = handler.health()
        for record in records:
            handler.handle(record)
        handler.handle(logging.makeLogRecord({"msg": plain, "levelno": logging.CRITICAL}))
        handler.flush(20)
        health = handler.health()
        assert (health["pending"], health["accepted"] - before["accepted"]) == (0, len(records) + 1)
        assert health["accepted"] == health["delivered"] + health["dropped"]
        assert {request.status for request in discord.requests} == {200}
        assert any(text.startswith(plain) for text in descriptions(discord))

    with redirect_stderr(io.StringIO()):
        check()
        handler.close()
