"""A text with tracebacks becomes the exceptions that Python has written, and the rest of the text stays as it is."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discord_logging._records.exceptions import CAUSE, CONTEXT, HEAD, freeze_exc_info
from discord_logging._records.traceback_parser import Tracebacks, find_tracebacks

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discord_logging import FrozenException

FRAME = '  File "/srv/shop/orders.py", line 7, in buy\n    pay(order)\n    ^^^^^^^^^^\n'
REPEATED = "  [Previous line repeated 3 more times]\n"
TRACEBACK = f"{HEAD}\n{FRAME}ValueError: no money"


class OrderError(Exception):
    """An error of a module, which Python names with its module."""


def read(text: str) -> Tracebacks:
    found = find_tracebacks(text)
    assert found is not None
    return found


def read_one(text: str) -> FrozenException:
    """Return the only exception of a text that consists of its traceback."""
    found = read(text)
    assert (len(found.exceptions), found.rest) == (1, "")
    return found.exceptions[0]


def catch(function: Callable[..., object], *args: object) -> BaseException:
    """Return the exception that `function` raises."""
    try:
        function(*args)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    return pytest.fail("nothing was raised")


def freeze(error: BaseException) -> FrozenException:
    frozen = freeze_exc_info(error)
    assert frozen is not None
    return frozen


def standard(error: BaseException) -> str:
    """Return the text that Python writes."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def told(exception: FrozenException | None) -> Any:
    """Return all that an exception and its links tell.

    A note cannot be told apart from a further line of the text, nor a line feed at the end from none.
    """
    if exception is None:
        return None
    return (
        exception.type_name,
        "\n".join((exception.text, *exception.notes)).rstrip("\n"),
        [tuple(frame) for frame in exception.stack],
        told(exception.cause),
        told(exception.context),
        [told(member) for member in exception.members],
    )


def dive(depth: int, error: BaseException, link: BaseException | None, is_cause: bool) -> None:
    """Raise `error` some calls further down, from `link` or while `link` is handled."""
    if depth > 0:
        dive(depth - 1, error, link, is_cause)
    if is_cause:
        raise error from link
    if link is not None:
        try:
            raise link
        except type(link):
            raise error  # noqa: B904 - so that `link` becomes the context
    raise error


LINES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=20)
TEXTS = st.one_of(LINES, st.lists(LINES.map(lambda line: f"x{line}"), max_size=4).map("\n".join))
PLAIN = st.builds(
    lambda kind, text, notes: note(kind(text), notes),
    st.sampled_from([ValueError, KeyError, OrderError, ConnectionResetError]),
    TEXTS,
    st.lists(TEXTS.map(lambda text: f"note {text}"), max_size=2),
)


def note(error: BaseException, notes: Sequence[str]) -> BaseException:
    if notes:
        error.__dict__["__notes__"] = list(notes)
    return error


@st.composite
def raised(draw: st.DrawFn, level: int = 2) -> BaseException:
    """Draw an exception that was raised, with links and members."""
    error = draw(PLAIN)
    if level and draw(st.booleans()):
        members = draw(st.lists(st.one_of(PLAIN, raised(level - 1)), min_size=1, max_size=3, unique_by=id))
        error = note(ExceptionGroup("several", members), draw(st.lists(LINES.map(lambda x: f"n{x}"), max_size=1)))  # type: ignore[type-var]  # all are exceptions
    link = draw(st.one_of(st.none(), PLAIN, raised(level - 1))) if level else None
    return catch(dive, draw(st.integers(0, 6)), error, link, link is not None and draw(st.booleans()))


@given(raised())
def test_what_python_writes_is_read_as_the_exception_itself(error: BaseException) -> None:
    """Types, texts, notes, frames with their source and carets, links and members are those of the frozen exception."""
    text = standard(error)
    assert told(read_one(text)) == told(freeze(error))
    assert told(read_one("\n".join(f"    {line}" if line else "" for line in text.split("\n")))) == told(read_one(text))


@given(raised(), st.sampled_from(["", "Order 17 failed", "Order 17 failed: ", "{'order': 17}\n"]))
def test_the_text_before_a_traceback_stays(error: BaseException, before: str) -> None:
    """The traceback begins on the same line or on the next one."""
    for separator in ("\n", "" if standard(error).startswith((HEAD, "  + ")) else "\n"):
        found = read(f"{before}{separator}{standard(error)}")
        assert [told(each) for each in found.exceptions] == [told(freeze(error))]
        assert found.rest.strip() == before.strip()


@given(raised())
def test_a_traceback_in_a_literal_is_read(error: BaseException) -> None:
    """JSON, a dict of Python and a formatter of JSON in JSON escape its line feeds."""
    values = {"event": "failed", "exception": standard(error), "order": 17}
    rest = {"event": "failed", "order": 17}
    for text, left in ((json.dumps(values), json.dumps(rest)), (repr(values), repr(rest))):
        found = read(text)
        assert [told(each) for each in found.exceptions] == [told(freeze(error))]
        assert found.rest == left
    (exception,) = read(json.dumps({"log": json.dumps(values)})).exceptions
    assert told(exception) == told(freeze(error))


@pytest.mark.parametrize("values", [("exception", "a", "b"), ("a", "exception", "b"), ("a", "b", "exception")])
def test_a_value_goes_with_its_name_and_its_comma(values: Sequence[str]) -> None:
    """The rest is still JSON, or pairs with one blank between them."""
    texts = {name: TRACEBACK if name == "exception" else "x" for name in values}
    rest = {"a": "x", "b": "x"}
    assert read(json.dumps(texts)).rest == json.dumps(rest)
    assert read(json.dumps(texts, indent=1)).rest.split() == json.dumps(rest, indent=1).split()
    assert read(" ".join(f"{name}={text!r}" for name, text in texts.items())).rest == "a='x' b='x'"


def test_a_literal_with_more_than_the_traceback_keeps_the_rest() -> None:
    """The rest is quoted again."""
    found = read(json.dumps({"message": f'failed "twice"\n{TRACEBACK}'}))
    assert json.loads(found.rest) == {"message": 'failed "twice"'}
    assert read(repr(["failed\n" + TRACEBACK])).rest == "['failed']"
    assert read(json.dumps([TRACEBACK])).rest == '[""]'


def stumble(depth: int) -> None:
    """Fail deep down, through frames that are alike."""
    if depth:
        stumble(depth - 1)
    raise ValueError("deep")


def endless() -> None:
    """Fail because the stack is full."""
    endless()


def import_broken() -> None:
    """Fail with an error that reports a location."""
    exec("x = = 1")  # noqa: S102 - source of our own


@pytest.mark.parametrize("function", [lambda: stumble(40), endless, import_broken, lambda: int("\n\n  x")])
def test_special_tracebacks(function: Callable[[], object]) -> None:
    """Lines that are only counted, a location without a function, and blank lines in a text."""
    error = catch(function)
    assert told(read_one(standard(error))) == told(freeze(error))


def test_a_frame_without_source_or_line() -> None:
    """The source may be gone, and code that was made by hand has no line numbers."""
    exception = read_one(
        f'{HEAD}\n  File "<string>", line None, in <module>\n  File "a b", line 3, in <lambda>\nKeyError'
    )
    assert [frame[:3] for frame in exception.stack] == [("<string>", None, "<module>"), ("a b", 3, "<lambda>")]
    assert (exception.type_name, exception.text) == ("KeyError", "KeyError")


def test_a_traceback_without_frames() -> None:
    """`sys.tracebacklimit = 0` leaves the head and the error."""
    exception = read_one(f"{HEAD}\nshop.orders.OrderError: no money")
    assert (exception.type_name, list(exception.stack)) == ("shop.orders.OrderError", [])


@pytest.mark.parametrize("fence", ["```", "```py", "```pytb"])
def test_a_fence_around_a_traceback_goes_with_it(fence: str) -> None:
    """A chat or a ticket may have fenced it; fences within the text of the error stay."""
    found = read(f"failed\n{fence}\n{TRACEBACK}\n```\nsee above")
    assert (found.exceptions[0].text, found.rest) == ("ValueError: no money", "failed\nsee above")
    assert read_one(f"{TRACEBACK}\n```\nselect 1\n```").text == "ValueError: no money\n```\nselect 1\n```"


@pytest.mark.parametrize("write", [repr, json.dumps])
def test_nothing_is_left_of_a_text_that_is_one_literal(write: Callable[[str], str]) -> None:
    """Its quotes stayed as the message, as after `logging.error("%r", traceback.format_exc())`."""
    assert read(f" {write(TRACEBACK)}\n").rest == ""


@pytest.mark.parametrize(("prefix", "rest"), [("web_1  | ", "web_1  |"), ("> ", ""), ("    ", "")])
def test_a_margin_with_words_is_kept_once(prefix: str, rest: str) -> None:
    """It vanished if no other line had it, so that tracebacks of two processes were counted as the same."""
    text = "\n".join(f"{prefix}{line}" for line in f"{TRACEBACK}\n{TRACEBACK}".split("\n"))
    found = read(text)
    assert len(found.exceptions) == 2
    assert found.rest == rest


@pytest.mark.parametrize("prefix", ["    ", "> ", "web_1  | ", "\t"])
def test_a_margin_is_no_part_of_a_traceback(prefix: str) -> None:
    """Docker, a quotation and an indented text have a margin before each line."""
    text = f"failed\n{TRACEBACK}\n\n{CONTEXT}\n\n{HEAD}\n{FRAME}KeyError: 'x'"
    found = read("\n".join(f"{prefix}{line}".rstrip() for line in text.split("\n")))
    (exception,) = found.exceptions
    assert exception.context
    assert (exception.text, exception.context.text) == ("KeyError: 'x'", "ValueError: no money")
    assert found.rest == f"{prefix}failed".rstrip()


def test_windows_and_terminals() -> None:
    """Carriage returns and colours are no part of a traceback."""
    plain = told(read_one(TRACEBACK))
    assert told(read_one(TRACEBACK.replace("\n", "\r\n"))) == plain
    assert told(read_one("\n".join(f"\x1b[31m{line}\x1b[0m" for line in TRACEBACK.split("\n")))) == plain


def test_text_behind_a_traceback() -> None:
    """A paragraph that begins with a word is no part of the error; one in brackets, as of SQLAlchemy, is."""
    assert read(f"{TRACEBACK}\n\nNext try in 5 s\n").rest == "Next try in 5 s"
    assert read(f"failed\n{TRACEBACK}\n\nNext try in 5 s").rest == "failed\nNext try in 5 s"
    sql = f"{HEAD}\n{FRAME}DatabaseError: duplicate key\nDETAIL: it exists\n\n[SQL: INSERT]\n(Background: ...)"
    assert read_one(sql).text.endswith("[SQL: INSERT]\n(Background: ...)")


def test_text_on_the_next_line_where_a_traceback_ends_its_line() -> None:
    """`format_exc()` ends with a line feed. If the text does not, its last lines are no part of the error."""
    text = f"{HEAD}\n{FRAME}ValueError: no\n  money"
    for end, error, rest in (
        ("", "ValueError: no\n  money", ""),
        ("\n", "ValueError: no\n  money", ""),
        ("\nNext try\n in 5 s", "ValueError: no\n  money", "Next try\n in 5 s"),
        ("\nmoney\n", "ValueError: no\n  money\nmoney", ""),
    ):
        found = find_tracebacks(text + end, is_terminated=True)
        assert found
        assert (found.exceptions[0].text, found.rest) == (error, rest)
    assert read_one(f"{text}\nNext try").text == "ValueError: no\n  money\nNext try"


def test_paragraphs_before_the_next_exception_belong_to_the_error() -> None:
    """The sentence that links two exceptions says where the first one ends."""
    exception = read_one(f"{TRACEBACK}\n\nOne more word.\n\n{CAUSE}\n\n{HEAD}\n{FRAME}KeyError: 1")
    assert exception.cause
    assert exception.cause.text == "ValueError: no money\n\nOne more word."


def test_many_tracebacks_in_one_text() -> None:
    """Each is an exception of its own, in the order of the text."""
    other = TRACEBACK.replace("ValueError", "KeyError")
    found = read(f"1st\n{TRACEBACK}\n2nd: {other}\n3rd\n{TRACEBACK}\n{other}\nmore\n4th\n{TRACEBACK}\n\n5th\n{other}")
    texts = ["ValueError: no money", "KeyError: no money"]
    assert [each.text for each in found.exceptions] == [*texts, texts[0], f"{texts[1]}\nmore", *texts]
    assert found.rest == "1st\n2nd:\n3rd\n4th\n5th"


def test_the_stack_of_the_logging_call_is_told_apart() -> None:
    """`logging` writes it behind the traceback."""
    record = logging.LogRecord(
        "a", 40, "a.py", 1, "failed", (), None, sinfo=f"Stack (most recent call last):\n{FRAME}end"
    )
    record.exc_text = TRACEBACK
    found = read(logging.Formatter().format(record))
    assert [each.text for each in found.exceptions] == ["ValueError: no money"]
    assert (found.stack_info, found.rest) == (f"Stack (most recent call last):\n{FRAME}".rstrip(), "failed\nend")
    assert read(f"failed\nStack (most recent call last):\n{FRAME}").rest == "failed"


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD} is what Python writes above a traceback",
        f"The words '{HEAD}' are not a traceback",
        HEAD,
        f"{HEAD}\n{FRAME}",
        f"{HEAD}\n{FRAME}and then nothing more",
        f"{HEAD}\n{FRAME}\nNote: the rest was cut",
        f"{HEAD}\nand then nothing",
        f"{HEAD}\nDone",
        f"{HEAD}\n  File orders.py, line 3\nValueError: no",
        f'{HEAD}\n  File "orders.py", line three, in f\nValueError: no',
        f"{HEAD}\n{FRAME}{REPEATED}{REPEATED}ValueError: no",
        f"Traceback (most recent call first):\n{FRAME}ValueError: no",
        f"  + Exception Group {HEAD}\n{FRAME}ValueError: no",
        "Stack (most recent call last):\nnothing",
        f"ValueError: no\n\n{CAUSE}\n\n{HEAD}\n{FRAME}",
        f"'{HEAD}\\n without an end",
        f"'{HEAD}\\n that is none'",
        f"{HEAD}\\n",
    ],
)
def test_text_that_only_looks_like_a_traceback_stays_text(text: str) -> None:
    """A traceback has a head, frames in Python's format, and an error."""
    assert find_tracebacks(text) is None
    assert read(f"{text}\n\n{TRACEBACK}").rest.split() == text.split()


def test_an_exception_that_was_never_raised_has_no_head() -> None:
    """`raise ... from ValueError("x")` writes it so; the text before it stays."""
    text = f"failed\nshop.OrderError: no\nmoney\n\n{CAUSE}\n\nKeyError: 1\n\n{CONTEXT}\n\n{TRACEBACK}"
    (exception,) = read(text).exceptions
    assert exception.context
    assert exception.context.cause
    assert exception.context.text == "KeyError: 1"
    assert exception.context.cause.text == "shop.OrderError: no\nmoney"
    assert read(text).rest == "failed"


def test_the_traceback_of_another_process_is_the_cause() -> None:
    """The text of process pools within a text, also of a pool within a pool."""
    remote = (
        f'concurrent.futures.process._RemoteTraceback: \n"""\n{TRACEBACK}\n"""\n\n{CAUSE}\n\n{HEAD}\n{FRAME}KeyError: 1'
    )
    assert told(read_one(remote)) == told(read_one(f"{TRACEBACK}\n\n{CAUSE}\n\n{HEAD}\n{FRAME}KeyError: 1"))
    twice = f'multiprocessing.pool.RemoteTraceback:\n"""\n{remote}\n"""\n\n{CAUSE}\n\n{HEAD}\n{FRAME}KeyError: 2'
    exception = read_one(twice)
    texts = [each.text for each in exception.linked()]
    assert texts == ["KeyError: 2", "KeyError: 1", "ValueError: no money"]


def test_members_that_cannot_be_read_are_texts() -> None:
    """Python counts the members of a large group that it leaves out, and a deep nesting."""
    error = catch(dive, 0, ExceptionGroup("many", [ValueError(number) for number in range(20)]), None, False)
    exception = read_one(standard(error))
    assert len(exception.members) == 16
    assert exception.members[-1].text == "and 5 more exceptions"
    group: Any = ValueError("inner")
    for _ in range(15):
        group = ExceptionGroup("nested", [group])
    exception = read_one(standard(catch(dive, 0, group, None, False)))
    assert [each.text for each in exception.linked()][-1] == "... (max_group_depth is 10)"


def test_a_recursion_that_was_counted_takes_no_memory() -> None:
    """A text may claim any number of repeats."""
    exception = read_one(f"{HEAD}\n{FRAME}  [Previous line repeated 999999999 more times]\nKeyError")
    assert exception.stack[-1].lines[-1] == "  [Previous line repeated 999999999 more times]"
    exception = read_one(f"{HEAD}\n{FRAME}  [Previous line repeated 9999 more times]\nKeyError")
    assert len(exception.stack) == 10_000


PIECES = [
    *TRACEBACK.split("\n"),
    *(HEAD, f"  + Exception Group {HEAD}", f"Exception Group {HEAD}", "Stack (most recent call last):", CAUSE, CONTEXT),
    *("", "  |", "  | ValueError: no", '  |   File "a.py", line 1, in f', "    | ValueError: no"),
    *("  +-+---------------- 1 ----------------", "    +---------------- 2 ----------------", "    +-----------------"),
    *("    +-+---------------- 1 ----------------", "      | KeyError: 1", "text", '"""', "```", "RemoteTraceback:"),
    *("  [Previous line repeated 3 more times]", f"'{HEAD}\\n", f'"{HEAD}\\n', '  File "a.py", line 1\\nKeyError: 1"'),
    *('  File "<string>", line 1', '> File "a.py", line 1, in f', "\\", "'", "\u2028", "\x1b[31m", "\r"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("\n".join))
@example(f"{TRACEBACK}\n\n{CAUSE}\n\n{TRACEBACK}\n\n{CAUSE}\n\nnone")
def test_nothing_of_any_text_is_lost(text: str) -> None:
    """Each word stands in the rest, in an exception or in the stack; texts of any kind raise nothing."""
    found = find_tracebacks(text)
    if found is None:
        return
    parts = [found.rest, found.stack_info or ""]
    for exception in found.exceptions:
        for each in exception.linked():
            parts += [each.text, *(line for frame in each.stack for line in frame.lines)]
    kept = " ".join(parts)
    for word in ("no money", "order", "text", "KeyError", "orders.py", "a.py", "<string>"):
        assert (word in text) <= (word in kept)
    for exception in found.exceptions:
        assert exception.type_name
    lost = {"ValueError: no money", "text"} & set(text.split("\n"))
    assert all(line in kept for line in lost)


LONG = 30_000
GROWING = {
    "heads": f"{HEAD}\n",
    "tracebacks without an error": f"{HEAD}\n{FRAME}\n",
    "tracebacks": f"{TRACEBACK}\n",
    "chains": f"{TRACEBACK}\n\n{CAUSE}\n\n",
    "links without exceptions": f"{CAUSE}\n\n{HEAD}\n\n",
    "bare exceptions": f"KeyError: 1\n\n{CAUSE}\n\n",
    "frames": FRAME,
    "blank lines": "\n",
    "paragraphs": "word\n\n",
    "margins": f"x | {HEAD}\n",
    "fences": "```\n",
    "fenced heads": f"```\n{HEAD}\n",
    "remote": f'RemoteTraceback:\n"""\n{HEAD}\n',
    "groups": f"  + Exception Group {HEAD}\n  | KeyError: 1\n  +-+---------------- 1 ----------------\n",
    "members": "    +---------------- 1 ----------------\n    | KeyError: 1\n",
    "literals": f"'{HEAD}\\n",
    "other literals": f"\"'{HEAD}\\n",
    "escaped quotes": f'\\"{HEAD}\\n',
    "pairs": json.dumps({"exception": TRACEBACK}),
    "names": 'a": "',
    "locations": '", line 1, in ',
    "repeats": "  [Previous line repeated 9999 more times]\n",
    "dots": "a.",
}
BEGINNINGS = ["", TRACEBACK + "\n", f'{HEAD}\n  File "', f'  + Exception Group {HEAD}\n  |   File "a", line 1, in f\n']


@pytest.mark.once
@pytest.mark.parametrize("before", BEGINNINGS)
@pytest.mark.parametrize("piece", GROWING.values(), ids=list(GROWING))
def test_time_grows_with_the_length_and_no_faster(
    takes_linear_time: Callable[..., bool], before: str, piece: str
) -> None:
    """A text four times as long takes about four times as long; sixteen times would be quadratic."""
    short, long = (f"{before}{piece * (count * LONG // len(piece))}\n{HEAD}\n" for count in (1, 4))
    assert takes_linear_time(find_tracebacks, short, long)
