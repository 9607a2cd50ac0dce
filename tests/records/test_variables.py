"""Local variables of the program's own frames, which `show_locals` takes in the logging call."""

from __future__ import annotations

import decimal
import gc
import json
import logging
import sys
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.plain_text import full_text
from discord_logging._cards.traceback_card import format_card
from discord_logging._records import variables
from discord_logging._records.freeze import freeze
from discord_logging._records.portable import from_data, to_json
from discord_logging._records.settings import CardSettings
from discord_logging._text.markdown import cuts_made

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = CardSettings(EmbedFormatter(), show_locals="own")


def record(function: Callable[[], object], settings: CardSettings = SETTINGS) -> FrozenRecord:
    """Return a record of the exception that `function` raises."""
    made = logging.LogRecord("shop", logging.ERROR, __file__, 1, "no", (), None)
    try:
        function()
    except Exception as error:  # noqa: BLE001 - whatever it is
        made.exc_info = (type(error), error, error.__traceback__)
    assert made.exc_info
    return FrozenRecord(freeze(made, settings))


def taken(function: Callable[[], object], settings: CardSettings = SETTINGS) -> dict[str, dict[str, str]]:
    """Return the variables of each function by its name, without the functions of this file's own machinery."""
    exception = record(function, settings).exception
    assert exception
    return {frame.name: dict(frame.variables) for frame in exception.stack if frame.name not in ("record", "<lambda>")}


def run(source: str, filename: str = "/srv/shop/orders.py", **names: object) -> Callable[[], object]:
    """Return a function that runs a program."""
    code = compile(source, filename, "exec")
    return lambda: exec(code, {"__name__": "orders", **names})  # noqa: S102 - our own text


@dataclass
class Order:
    """An object whose `repr` has a secret."""

    number: int
    password: str


class Loud:
    """An object whose `repr` fails."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no")


def divide(total: decimal.Decimal, count: int) -> object:
    """Fail."""
    order = Order(17, "hunter2")
    header = "Authorization: Bearer abcdefgh12345678"
    text = "tea\ncup"
    return total / count, order, header, text


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time."""
    monkeypatch.setattr(variables, "_MAX_SECONDS", 600)


class TestTaken:
    """The variables as they were in the call."""

    def test_the_values_are_shown_as_code(self) -> None:
        """Texts have quotes, and objects their `repr`."""
        assert taken(lambda: divide(decimal.Decimal("4.20"), 0))["divide"] == {
            "total": "4.20",
            "count": "0",
            "order": "Order(number=17, password='***')",
            "header": "'Authorization: ***'",
            "text": "'tea\\ncup'",
        }

    @pytest.mark.parametrize("show_locals", [None, "own"])
    def test_the_setting_is_off_by_default(self, show_locals: str | None) -> None:
        """No `repr` is called then."""
        called = []

        class Told:
            def __repr__(self) -> str:
                called.append(1)
                return "told"

        def fail() -> None:
            told = Told()
            raise ValueError(id(told))

        found = taken(fail, CardSettings(None, show_locals=show_locals))["fail"]
        assert ("told" in found, bool(called)) == ((True, True) if show_locals else (False, False))
        assert CardSettings(None).show_locals is None

    def test_the_values_are_those_of_the_call(self) -> None:
        """An object may change or die afterwards, and none is kept alive."""
        values = [1]
        order = Order(1, "x")
        reference = weakref.ref(order)
        frozen = record(run("def f(a, b):\n    1 / 0\nf(values, order)", values=values, order=order))
        values.append(2)
        del order
        gc.collect()
        assert reference() is None
        assert frozen.exception
        assert "    a = [1]\n    b = Order(number=1, password='***')\n" in format_card(frozen.exception, 3500)

    def test_secrets_are_masked_by_name_and_by_shape(self) -> None:
        """The names within containers count too."""
        source = "password = 'hunter2'; config = {'api_key': 'abc', 'user': 'ann'}; url = 'redis://a:pw@h'; 1 / 0"
        assert taken(run(source))["<module>"] == {
            "password": "'***'",
            "config": "{'api_key': '***', 'user': 'ann'}",
            "url": "'redis://a:***@h'",
        }

    def test_a_framework_may_hide_values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its marks for secrets are unknown here. If its function fails, no variable of the frame is shown."""
        hide = [lambda frame, found: {name: found[name] for name in found if frame.f_lineno and name != "iban"}]
        monkeypatch.setattr(variables, "variable_filters", hide)
        source = "def pay(iban, item):\n    return item / 0\npay('DE77', 3)"
        assert taken(run(source))["pay"] == {"item": "3"}
        hide.append(lambda *_: dict[str, Any]()["none"])
        assert taken(run(source))["pay"] == {}

    def test_code_is_no_data(self) -> None:
        """Modules, functions, classes, and names of the interpreter are left out."""
        source = (
            "import json, functools\nclass A:\n    def m(self): ...\ndef f(): ...\n"
            "p = functools.partial(f); b = len; m = A().m; k = [x for x in (1,)]; __x__ = 1; a = 1\n1 / 0"
        )
        assert taken(run(source))["<module>"] == {"k": "[1]", "a": "1", **({"x": "1"} if "x" in locals() else {})}

    def test_of_a_module_only_the_failing_statement_counts(self) -> None:
        """Else each card would have the constants of the main module."""
        found = taken(run("limit = 5\ndef f(x):\n    return x / 0\nf(limit)"))
        assert found == {"<module>": {}, "f": {"x": "5"}}

    def test_libraries_have_no_variables(self, tmp_path: Any) -> None:
        """They may be large, and are nobody's business; `own_packages` are the program's."""
        acme = "/venv/lib/python3/site-packages/acme/core.py"
        names: dict[str, Any] = {}
        exec(compile("def call(inner):\n    price = 1\n    return inner()", acme, "exec"), names)  # noqa: S102
        info = tmp_path / "tea-1.0.dist-info"
        info.mkdir()
        (info / "RECORD").write_text("tea.py,,\n")
        exec(compile("def brew(hot):\n    return hot / 0", str(tmp_path / "tea.py"), "exec"), names)  # noqa: S102

        call, brew = names["call"], names["brew"]

        def order(price: int) -> object:
            return call(lambda: brew(price))

        assert taken(lambda: order(3)) == {"order": {"price": "3"}, "call": {}, "brew": {}}
        own = CardSettings(None, show_locals="own", own_packages=("acme",))
        assert taken(lambda: order(3), own)["call"]["price"] == "1"

    def test_a_linked_exception_has_them_too(self) -> None:
        """A frame that both exceptions have shows them once."""

        def inner(number: int) -> None:
            raise ValueError(number)

        def outer(text: str) -> None:
            try:
                inner(len(text))
            except ValueError as error:
                raise RuntimeError from error

        frozen = record(lambda: outer("ab"))
        assert frozen.exception
        card = format_card(frozen.exception, 3500)
        assert card.count("    number = 2\n") == 1
        assert card.count("    text = 'ab'\n") == 1

    def test_the_limit_of_frames_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A frame that is not shown has no variables."""
        monkeypatch.setattr(sys, "tracebacklimit", 0, raising=False)
        assert taken(lambda: divide(decimal.Decimal(1), 0)) == {}


class TestBounds:
    """The number, the size and the time are bounded."""

    def test_the_last_frames_have_them(self) -> None:
        """The error is there."""

        def down(depth: int) -> int:
            return 1 // depth + down(depth - 1)

        exception = record(lambda: down(40)).exception
        assert exception
        assert [dict(frame.variables).get("depth") for frame in exception.stack][-11:] == [
            None,
            *map(str, range(9, -1, -1)),
        ]

    def test_many_variables_are_counted(self) -> None:
        """The first 20 are taken."""
        source = "def f():\n" + "".join(f"    v{number} = {number}\n" for number in range(50)) + "    1 / 0\nf()"
        found = taken(run(source))["f"]
        assert len(found) == 21
        assert (found["v0"], found["v19"], found["…"]) == ("0", "19", "30 more")

    @pytest.mark.parametrize("value", ["x" * 10_000_000, [["x" * 50_000] * 100] * 100, b"x" * 10_000_000])
    def test_a_large_value_is_cut(self, value: object) -> None:
        """And leaves room for its neighbours."""
        found = taken(run("def f(large, small):\n    1 / 0\nf(value, 1)", value=value))["f"]
        assert len(found["large"]) < 25_000
        assert found["small"] == "1"

    def test_the_size_of_a_record_is_bounded(self) -> None:
        """Its memory is counted."""
        body = "    a, b, c = t + 'a', t + 'b', t + 'c'\n    return f(n - 1, t) if n else 1 / 0\n"
        source = f"def f(n, t):\n{body}f(30, 'x' * 50000)"
        frozen, plain = record(run(source)), record(run(source), CardSettings(None))
        assert 40_000 < frozen.size - plain.size < 80_000

    def test_hostile_objects_do_no_harm(self) -> None:
        """Their `repr` fails, or their class does."""

        class Names(dict):  # type: ignore[type-arg]  # as a metaclass may prepare it
            def items(self) -> Any:
                raise RuntimeError("no")

        class Meta(type):
            @classmethod
            def __prepare__(cls, *_: Any, **__: Any) -> Any:
                return Names()

        class Liar:
            @property  # type: ignore[misc]  # that is the point
            def __class__(self) -> Any:
                raise RuntimeError("no")

        def fail(loud: object, liar: object) -> None:
            class Body(metaclass=Meta):
                value = 1 / (id(loud) - id(loud)) + id(liar)

        found = taken(lambda: fail(Loud(), Liar()))
        assert found["fail"]["loud"] == "<Loud that cannot be shown: RuntimeError>"
        assert found["fail"]["liar"].startswith("<")
        assert found["Body"] == {}

    def test_the_time_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once it is over, no further value is taken."""
        now = [0.0]

        class Slow:
            def __repr__(self) -> str:
                now[0] += 400
                return "slow"

        monkeypatch.setattr(time, "perf_counter", lambda: now[0])
        source = "def f(first, second, third):\n    1 / 0\nf(slow(), slow(), 3)"
        assert taken(run(source, slow=Slow))["f"] == {"first": "slow", "second": "slow", "…": "1 more"}


class TestShown:
    """They stand below their frame, on the card and in the file."""

    def test_the_card_has_them_below_the_source(self) -> None:
        """As `traceback` does with `capture_locals`."""
        exception = record(lambda: divide(decimal.Decimal("4.20"), 0)).exception
        assert exception
        card = format_card(exception, 3500)
        assert "\n    total = 4.20\n    count = 0\n    order = Order(number=17, password='***')\n" in card
        assert card.index("return total / count") < card.index("total = 4.20") < card.index("decimal.DivisionByZero")

    def test_of_many_the_card_has_the_first_and_the_file_has_all(self) -> None:
        """A fold is noted, so that the file is attached."""
        names = ", ".join(f"v{number}" for number in range(9))
        source = f"def f({names}):\n    1 / 0\n"
        source += "".join(f"def g{number}(n):\n    g{number + 1}(n)\n" for number in range(4))
        source += "def g4(n):\n    f(*range(9))\ng0(3)"
        frozen = record(run(source))
        assert frozen.exception
        before = cuts_made()
        card = format_card(frozen.exception, 3500)
        assert cuts_made() > before
        assert "    v5 = 5\n    … 3 more variables\n" in card
        assert card.count("    n = 3\n") == 2
        assert card.count("    … 1 variable\n") == 3
        assert "    v8 = 8\n" in full_text(frozen)

    def test_a_long_value_is_one_line_of_the_card(self) -> None:
        """The file has its lines."""

        class Frame:
            def __repr__(self) -> str:
                return "a  b\n1  2"

        frozen = record(run("def f(text, frame):\n    1 / 0\nf('x' * 200, frame)", frame=Frame()))
        assert frozen.exception
        card = format_card(frozen.exception, 3500).split("\n")
        assert f"    text = '{'x' * 87}…" in card
        assert "    frame = a  b 1  2" in card
        assert "    frame = a  b\n        1  2\n" in full_text(frozen)

    def test_they_do_not_count_for_repeats(self) -> None:
        """A record that differs in them alone is the same."""
        first, second = (record(run(f"def f(n):\n    1 / 0\nf({number})")) for number in (1, 2))
        assert first.fingerprint() == second.fingerprint()

    def test_they_go_through_a_store(self) -> None:
        """JSON keeps them, masked; a store may hold records from before they were known."""
        frozen = record(lambda: divide(decimal.Decimal("4.20"), 0))
        data = json.loads(to_json(frozen, {}))
        assert "hunter2" not in json.dumps(data)
        copy = from_data(data, SETTINGS)
        assert frozen.exception
        assert copy.exception
        assert list(copy.exception.stack) == frozen.exception.stack
        assert (
            copy.size
            > from_data(
                json.loads(to_json(record(lambda: divide(decimal.Decimal("4.20"), 0), CardSettings(None)), {})),
                SETTINGS,
            ).size
        )

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are new in Python 3.11")
    def test_members_of_a_group_have_only_their_number(self) -> None:
        """There is little room for each of them; the file has the values."""
        source = "def f(n):\n    1 / 0\ntry:\n    f(4711)\nexcept Exception as error:\n    found = [error]\n"
        source += "raise ExceptionGroup('g', found)"
        frozen = record(run(source))
        assert frozen.exception
        assert "|     … 1 variable\n" in format_card(frozen.exception, 3500)
        assert "|     n = 4711\n" in full_text(frozen)

    def test_a_card_with_little_room_keeps_the_error(self) -> None:
        """The variables go before the line of source does."""
        exception = record(run("def f(a, b, c):\n    1 / 0\nf('x' * 90, 'y' * 90, 'z' * 90)")).exception
        assert exception
        for limit in range(120, 600, 20):
            card = format_card(exception, limit)
            assert len(card) <= limit
            assert card.endswith("ZeroDivisionError: division by zero")
            assert ("a = 'xxx" in card) <= ("orders.py" in card)
