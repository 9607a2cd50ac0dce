"""Values of `extra`: what they say is kept, nothing of the user's is."""

from __future__ import annotations

import gc
import json
import re
import uuid
import weakref
from array import array
from collections import Counter, OrderedDict, UserList, defaultdict, deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging._records.values import (
    Frozen,
    UnquotedText,
    freeze_value,
    freeze_values,
    show_value,
    to_text,
    value_line,
    value_size,
)
from discord_logging._text.markdown import cuts_made

SCALARS: list[Any] = ["", "text", 0, 10**40, 1.5, float("inf"), True, False, None]
SPECIAL = [
    (datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc), "2026-01-02 03:04:00+00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (timedelta(seconds=90), "0:01:30"),
    (Decimal("9.90"), "9.90"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (PurePosixPath("/srv/shop"), "/srv/shop"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(deque)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers(), st.text()) | st.binary(), inner)
        | st.sets(st.integers() | st.text())
    ),
    max_leaves=60,
)


class Color(Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    number: int


class Row(NamedTuple):
    cells: list[int]
    number: int


class Long:
    def __repr__(self) -> str:  # noqa: D105 - as its class
        return "x" * 10**5


class PlainList(list[Any]):
    """A subclass with the `repr` of its base, as the following."""


class PlainDict(dict[Any, Any]):
    pass


class PlainBytes(bytes):
    pass


class PlainText(str):
    __slots__ = ()


class Alike:
    def __repr__(self) -> str:  # noqa: D105 - as its class
        return "same"


class Hostile(dict[Any, Any]):
    """Raises an error whenever any attribute or method is used."""

    def items(self) -> Any:  # noqa: D102 - as its class
        raise AssertionError

    __iter__ = __len__ = __repr__ = __str__ = items


class HostileList(list[Any]):
    __iter__ = __len__ = __repr__ = __str__ = Hostile.items


def kinds_in(frozen: Any) -> set[type]:
    """Return the types of all parts of a frozen value."""
    if isinstance(frozen, dict):
        inner = [*frozen, *frozen.values()]
    else:
        inner = list(frozen) if isinstance(frozen, (list, tuple)) else []
    return {type(frozen)}.union(*map(kinds_in, inner))


def items_in(frozen: Any) -> int:
    """Return the number of items of a frozen value in all."""
    values = frozen.values() if isinstance(frozen, dict) else frozen if isinstance(frozen, (list, tuple)) else ()
    return sum(1 + items_in(value) for value in values)


def depth_of(frozen: Any) -> int:
    """Return the deepest nesting of containers."""
    if not isinstance(frozen, (dict, list, tuple)):
        return 0
    return 1 + max(map(depth_of, frozen.values() if isinstance(frozen, dict) else frozen), default=0)


class TestToText:
    """The conversion to text never fails."""

    def test_the_text_is_a_plain_str(self) -> None:
        """Another function than `str` may make it."""
        assert to_text(17) == "17"
        assert to_text("a", repr) == "'a'"
        assert type(to_text(UnquotedText("a"))) is str

    def test_a_value_without_text_is_named(self) -> None:
        """The text has the type of the error, and nothing is raised."""
        assert to_text(Hostile()) == "<Hostile that cannot be shown: AssertionError>"


class TestFreezeValue:
    """The frozen copy of a value."""

    @pytest.mark.parametrize("value", SCALARS)
    def test_scalars_stay(self, value: object) -> None:
        """They stay the same alone and in a container."""
        assert freeze_value(value) is value
        frozen: Any = freeze_value([value])
        assert frozen[0] is value

    @pytest.mark.parametrize(
        ("value", "frozen"),
        [
            ({"a": 1, "b": [1, ("x",)]}, {"a": 1, "b": [1, ("x",)]}),
            (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
            (Counter("aab"), {"a": 2, "b": 1}),
            (defaultdict(list, {"a": [1]}), {"a": [1]}),
            (deque([1, 2], maxlen=5), [1, 2]),
            ({1}, [1]),
            (frozenset({"a"}), ["a"]),
            ({1: "a", None: "b", 2.5: "c"}, {1: "a", None: "b", 2.5: "c"}),
            ([], []),
            ({}, {}),
            ((), ()),
        ],
    )
    def test_containers_are_copied(self, value: object, frozen: object) -> None:
        """The copies are plain containers, in the same order."""
        copied = freeze_value(value)
        assert copied == frozen
        assert type(copied) is type(frozen)

    def test_later_changes_do_not_show(self) -> None:
        """The record shows the values at the time of the call."""
        order: dict[str, Any] = {"items": [1, {"sku": "a"}]}
        frozen = freeze_value(order)
        order["items"][1]["sku"] = "b"
        order["items"].append(2)
        assert frozen == {"items": [1, {"sku": "a"}]}

    def test_nothing_of_the_users_is_kept_alive(self) -> None:
        """The copy does not keep an object of the container alive."""
        order = Order(17)
        gone = weakref.ref(order)
        frozen = freeze_value({"order": order, order.__class__: [order]})
        del order
        gc.collect()
        assert gone() is None
        assert "Order(number=17)" in value_line(frozen)

    @pytest.mark.parametrize(("value", "text"), [*SPECIAL, (Color.RED, "Color.RED"), (Point(1, 2), "Point(x=1, y=2)")])
    def test_other_values_are_text(self, value: object, text: str) -> None:
        """The text is the same alone and in a container, where it has no quotes."""
        assert freeze_value(value) == text
        assert type(freeze_value(value)) is str
        assert value_line(freeze_value([value])) == f"[{text}]"

    def test_objects_in_a_container_differ_from_texts(self) -> None:
        """Python itself shows only texts with quotes."""
        assert (
            value_line(freeze_value([ValueError("no"), "no", Order(1)])) == "[ValueError('no'), 'no', Order(number=1)]"
        )

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (b"plain", "b'plain'"),
            ("grüße\n".encode(), r"b'grüße\n'"),
            (bytearray(b"it's"), '''b"it's"'''),
            (b"\xff\x00", r"b'\xff\x00'"),
        ],
    )
    def test_bytes_can_be_read(self, value: object, text: str) -> None:
        """Bytes are shown as text if they are UTF-8."""
        assert freeze_value(value) == text
        assert type(freeze_value(value)) is str
        assert value_line(freeze_value((value, 1))) == f"({text}, 1)"

    @pytest.mark.parametrize("hostile", [Hostile(a=1), HostileList([1])])
    def test_a_container_with_a_repr_of_its_own_becomes_text(self, hostile: object) -> None:
        """Access to its items may have any effect."""
        words = f"<{type(hostile).__name__} that cannot be shown: AssertionError>"
        assert freeze_value(hostile) == words
        assert value_line(freeze_value({"a": hostile})) == f"{{'a': {words}}}"

    def test_a_circle_is_named(self) -> None:
        """The same value twice is not a circle."""
        circle: list[Any] = [1]
        circle.append({"again": circle})
        same = [2]
        assert value_line(freeze_value(circle)) == "[1, {'again': <list that holds itself>}]"
        assert value_line(freeze_value([same, same])) == "[[2], [2]]"

    def test_a_container_that_changes_meanwhile_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another thread may change it, and nothing is raised."""

        def change(*_: object) -> None:
            raise RuntimeError("dictionary changed size during iteration")

        monkeypatch.setattr("discord_logging._records.values._first", change)
        assert freeze_value({"a": 1}) == "<dict that cannot be shown: RuntimeError>"

    def test_keys_are_texts_or_scalars(self) -> None:
        """No key is kept alive either, and no key replaces another."""
        value = {(1, "x"): 1, Alike(): 2, Alike(): 3, "same": 4, "same #2": 5, frozenset({7}): 6, b"k": 7}
        assert value_line(freeze_value(value)) == (
            "{(1, 'x'): 1, same: 2, same #2: 3, same #3: 4, same #2 #2: 5, [7]: 6, b'k': 7}"
        )

    def test_a_frozen_value_can_be_written_as_json(self) -> None:
        """Overrides of a part of the card may need it."""
        assert json.loads(json.dumps(freeze_value({"at": date(2026, 1, 2), "n": (1, {2})}))) == {
            "at": "2026-01-02",
            "n": [1, [2]],
        }


def make_query(rows: list[Any] | None) -> Any:
    """Return a value of the program's own subclass of Django's QuerySet, which asks no database but fails."""
    base = type("QuerySet", (), {"__module__": "django.db.models.query", "__repr__": Hostile.items})
    query: Any = type("Customers", (base,), {"__module__": "shop.models"})()
    query.__dict__.update(model=Order, _result_cache=rows)
    return query


def make_lazy(wrapped: object) -> Any:
    """Return a lazy object as Django makes it; the use of any attribute would load what it stands for."""
    namespace = {
        "__module__": "django.utils.functional",
        "__str__": Hostile.items,
        "__repr__": Hostile.items,
        "__class__": property(Hostile.items),
    }
    lazy = type("LazyObject", (), namespace)()
    object.__getattribute__(lazy, "__dict__")["_wrapped"] = wrapped
    return lazy


class TestValuesThatAskADatabase:
    """A logging call does not wait for a network, and does not touch a transaction."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (make_query(None), "<Customers of Order, not loaded>"),
            (make_query([]), "<Customers []>"),
            (make_query([Order(1), Order(2)]), "<Customers [Order(number=1), Order(number=2)]>"),
            (make_lazy(object()), "<LazyObject, not loaded>"),
            (make_lazy(Order(1)), "Order(number=1)"),
            (make_lazy("ann"), "ann"),
            (make_lazy(make_query(None)), "<Customers of Order, not loaded>"),
        ],
        ids=map(str, range(7)),  # otherwise pytest would read the values
    )
    def test_they_show_what_they_have_fetched(self, value: object, text: str) -> None:
        """They are recognised by the names of their classes, without an import."""
        assert freeze_value(value) == text

    def test_they_do_so_in_containers(self) -> None:
        """The value of a local variable is in a list, too."""
        frozen = freeze_value({"user": make_lazy(object()), "rows": [make_query(None)]})
        assert value_line(frozen) == "{'user': <LazyObject, not loaded>, 'rows': [<Customers of Order, not loaded>]}"

    def test_fetched_rows_are_bounded(self) -> None:
        """A query may have fetched a million."""
        assert str(freeze_value(make_query([1] * 1_000_000))).endswith("1, … 999,900 more]>")

    def test_a_class_that_only_has_the_name_is_shown_as_ever(self) -> None:
        """A QuerySet may be something else elsewhere."""
        own = type("QuerySet", (), {"__module__": "shop.models", "__repr__": lambda _: "<own>"})
        assert freeze_value(own()) == "<own>"


class TestBounds:
    """A note stands in place of the values that are left out."""

    def test_of_a_long_list_the_beginning_is_kept(self) -> None:
        """The note has the number of the others."""
        frozen: Any = freeze_value(list(range(912)))
        assert frozen[:100] == list(range(100))
        assert frozen[100:] == ["… 812 more"]

    def test_of_a_large_dict_the_beginning_is_kept(self) -> None:
        """A key may look like the note."""
        frozen: Any = freeze_value({"…": 0} | dict.fromkeys(range(1911)))
        assert list(frozen)[:3] == ["…", 0, 1]
        assert list(frozen.items())[-1] == ("… #2", "1,812 more")

    def test_a_large_item_does_not_hide_its_neighbours(self) -> None:
        """The items share the room."""
        frozen: Any = freeze_value({"rows": list(range(10**5)), "text": "x" * 10**6, "status": "bad", "of": [1, 2]})
        assert (frozen["status"], frozen["of"]) == ("bad", [1, 2])
        assert frozen["text"].startswith("xxx")
        assert frozen["text"].endswith("x… 990,000 more")

    def test_deep_values_end_in_a_note(self) -> None:
        """The sixth container is the last one."""
        value: Any = ["core", "shell"]
        for _ in range(1000):
            value = {"a": value}
        assert value_line(freeze_value(value)) == "{'a': " * 6 + "{…: 1 more}" + "}" * 6

    def test_of_many_bytes_the_beginning_is_read(self) -> None:
        """This holds alone and in a container."""
        text = f"b'{'x' * 5000}'… 995,000 more"
        assert freeze_value(b"x" * 10**6) == text
        assert value_line(freeze_value([b"x" * 10**6])) == f"[{text}]"

    def test_an_object_with_a_long_text_is_cut_in_a_container(self) -> None:
        """Alone, the text is whole, and is shown in a file."""
        assert freeze_value(Long()) == "x" * 10**5
        assert value_line(freeze_value([Long()])) == f"[{'x' * 10**4}… 90,000 more]"

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (Row(list(range(1000)), 1), "Row(cells=[0, 1, 2, "),
            (Order(list(range(1000))), "Order(number=[0, 1, 2, "),  # type: ignore[arg-type]  # nobody checks
            (SimpleNamespace(cells=list(range(1000))), "namespace(cells=[0, 1, 2, "),
            (PlainList(range(1000)), "[0, 1, 2, "),
            (PlainDict.fromkeys(range(1000), "x"), "{0: 'x', 1: 'x', 2: 'x', "),
            (UserList(range(1000)), "[0, 1, 2, "),
            (MappingProxyType({"cells": list(range(1000))}), "{'cells': [0, 1, 2, "),
            (dict.fromkeys(range(1000)).keys(), "[0, 1, 2, "),
            (array("i", range(1000)), "[0, 1, 2, "),
            (PlainBytes(b"x" * 10_000), "b'xxx"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_an_object_that_shows_only_its_items_is_bounded_too(self, value: Any, shown: str) -> None:
        """Regression: `repr` of a million items held up the caller for a tenth of a second."""
        line = value_line(freeze_value(value))
        assert line.startswith(shown)
        assert re.search(r"… (9\d\d|5,000) more|…: 900 more", line)
        assert value_line(freeze_value([value])).startswith(f"[{shown}")
        assert len(line) < 6_000

    def test_a_subclass_of_a_container_is_read_by_the_methods_of_its_base(self) -> None:
        """They read what `repr` would show, and run no code of the user's."""

        class Odd(list[int]):
            __iter__ = __len__ = Hostile.items

        assert freeze_value(Odd([1, 2])) == [1, 2]

    def test_a_long_text_of_a_subclass_is_cut(self) -> None:
        """Regression: a copy of 200 MB held up the caller for half a second."""
        text = PlainText("x" * 9_000_000)
        frozen: Any = freeze_value(text)
        assert (type(frozen), len(frozen), frozen[-17:]) == (str, 8_000_016, "x… 1,000,000 more")
        assert value_line(freeze_value([text])) == f"['{'x' * 10_000}… 8,990,000 more']"

    def test_an_object_that_holds_itself_is_named(self) -> None:
        """The depth is bounded, too."""
        order = Order(1)
        order.number = [order]  # type: ignore[assignment]  # nobody checks
        assert freeze_value(order) == "Order(number=[<Order that holds itself>])"
        for _ in range(10):
            order = Order(order)  # type: ignore[arg-type]  # nobody checks
        assert freeze_value(order) == "Order(number=" * 6 + "Order(… 1 more)" + ")" * 6

    def test_an_object_whose_fields_cannot_be_read_is_named(self) -> None:
        """An example is an object that was made without its `__init__`."""
        assert freeze_value(object.__new__(Order)) == "<Order that cannot be shown: AttributeError>"


class TestFreezeValues:
    """The values of a record."""

    def test_containers_share_the_room(self) -> None:
        """Regression: 10,000 lists of 100 took a fifth of a second, and then the record was dropped."""
        frozen = freeze_values({f"name {number}": list(range(100)) for number in range(10_000)})
        assert list(frozen) == [*(f"name {number}" for number in range(500)), "…"]
        assert frozen["name 0"] == list(range(100))
        assert frozen["name 499"] == ["… 100 more"]
        assert frozen["…"] == "9,500 more"
        assert sum(map(items_in, frozen.values())) <= 2_000 + 500

    def test_texts_stay_whole(self) -> None:
        """They cost no time, and the backlog cuts them if the record is too large."""
        text = "x" * 10**6
        assert freeze_values({"a": [text] * 100, "b": text})["b"] is text

    def test_some_names_are_left_out(self) -> None:
        """They do not count, whether they are among the values or not."""
        values = dict.fromkeys(["name", *map(str, range(500))])
        assert len(freeze_values(values, {"name", "msg"})) == 500
        assert freeze_values(values | {"more": 1}, {"name", "msg"})["…"] == "1 more"

    def test_long_names_are_cut(self) -> None:
        """No name replaces another."""
        frozen = freeze_values({"x" * 10**6 + end: end for end in "ab"})
        assert [(name[249:], value) for name, value in frozen.items()] == [
            ("x… 999,751 more", "a"),
            ("x… 999,751 more #2", "b"),
        ]

    @settings(max_examples=30)
    @given(VALUES, st.integers(1, 200))
    def test_any_value_is_bounded(self, value: Any, times: int) -> None:
        """Depth, items and characters are bounded, and all parts are plain."""
        frozen = freeze_value([value] * times)
        assert kinds_in(frozen) <= {str, int, float, bool, type(None), list, tuple, dict, UnquotedText}
        assert depth_of(frozen) <= 7
        # Each container that has no room for all has a word about it.
        assert items_in(frozen) <= 400
        assert value_size(frozen) <= 30_000 + 400 * 64 * 2
        assert len(value_line(frozen)) <= 250_000


class TestShowValue:
    """A value in a card."""

    @pytest.mark.parametrize(
        ("frozen", "shown"),
        [
            ("some\ntext", "some\ntext"),
            (17, "17"),
            (None, "None"),
            (10**5000, "<int that cannot be shown: ValueError>"),
            ({"a": 1, "b": [True, None]}, "{'a': 1, 'b': [True, None]}"),
            ({}, "{}"),
            ([], "[]"),
            ((), "()"),
            ((1,), "(1,)"),
            ((1, "a"), "(1, 'a')"),
            ([10**5000, 1], "[<int that cannot be shown: ValueError>, 1]"),
        ],
        ids=range(11),
    )
    def test_short_values_are_shown_on_one_line(self, frozen: Any, shown: str) -> None:
        """A text is shown as it is, a container as Python writes it."""
        assert show_value(frozen, 1000) == shown
        assert value_line(frozen) == shown

    def test_long_values_are_shown_over_several_lines(self) -> None:
        """Each item that fits has a line of its own, in order."""
        frozen = freeze_value(
            {
                "order": 17,
                "at": datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001 - one without a zone
                "items": [{"sku": "abc" * 9, "count": 2}, {"sku": "def" * 9, "count": 3}],
                "one": ("x" * 60,),
                "none": {},
            }
        )
        assert show_value(frozen, 1000) == "\n".join(
            (
                "{",
                "  'order': 17,",
                "  'at': 2026-01-02 03:04:00,",
                "  'items': [",
                "    {'sku': 'abcabcabcabcabcabcabcabcabc', 'count': 2},",
                "    {'sku': 'defdefdefdefdefdefdefdefdef', 'count': 3}",
                "  ],",
                "  'one': (",
                f"    '{'x' * 60}',",
                "  ),",
                "  'none': {}",
                "}",
            )
        )

    def test_numbers_share_their_lines(self) -> None:
        """A column of a hundred numbers is hard to read."""
        lines = show_value(freeze_value(list(range(500))), 1000).split("\n")
        assert lines[:3] == [
            "[",
            "  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,",
            "  17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,",
        ]
        assert lines[-2:] == ["  … 400 more", "]"]
        assert max(map(len, lines)) <= 60

    def test_objects_of_several_lines_are_indented(self) -> None:
        """An example is a table."""
        frozen: Frozen = {"table": [UnquotedText("a b\n1 2")]}
        assert show_value(frozen, 1000) == "{\n  'table': [\n    a b\n    1 2\n  ]\n}"

    @pytest.mark.parametrize("frozen", ["x" * 2000, {"a": "x" * 2000}])
    def test_a_cut_is_shown_and_noted(self, frozen: Any) -> None:
        """The whole text is attached then."""
        cuts = cuts_made()
        shown = show_value(frozen, 100)
        assert (len(shown), shown[-1]) == (100, "…")
        assert cuts_made() == cuts + 1

    @settings(max_examples=30)
    @given(VALUES)
    def test_one_line_and_several_lines_have_the_same_content(self, value: Any) -> None:
        """They differ only in white space."""
        frozen = freeze_value([value])
        laid_out = show_value(frozen, 10**6)
        assert "".join(laid_out.split()).replace(",)", ")") == "".join(value_line(frozen).split()).replace(",)", ")")


class TestValueSize:
    """The size for the bound of the backlog."""

    def test_the_size_of_a_text_is_its_length(self) -> None:
        """All other scalars have the same size."""
        assert value_size("abc") == 3
        assert value_size(17) == value_size(None) == 64

    def test_the_size_of_a_container_includes_its_items(self) -> None:
        """Keys and values count."""
        assert value_size(["abc", 1]) == 64 + 3 + 64
        assert value_size({"abc": ("de",)}) == 64 + 3 + 64 + 2
