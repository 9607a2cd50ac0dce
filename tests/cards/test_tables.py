"""Tables in messages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._cards.tables import split_tables

TABLES = {
    "a DataFrame": "     item  price\n0     tea    3.5\n1  coffee    4.2",
    "a DataFrame with a named index": "        price\nitem         \ntea       3.5\ncoffee    4.2",
    "a DataFrame without an index": "  item  price\n   tea    3.5\ncoffee    4.2",
    "a Series": "0       tea\n1    coffee",
    "one row": "    item  price\n0    tea    3.5",
    "psql": " id |  name  \n----+--------\n  1 | tea\n  2 | coffee",
    "mysql": "+----+------+\n| id | name |\n+----+------+\n|  1 | tea  |\n+----+------+",
    "tabulate": "item      price\n------  -------\ntea         3.5\ncoffee      4.2",
    "tabulate, github": "| item   |   price |\n|--------|---------|\n| tea    |     3.5 |",
    "tabulate, rst": "======  =====\nitem    price\n======  =====\ntea       3.5\n======  =====",
    "rich": "┏━━━━━━┳━━━━━━━┓\n┃ item ┃ price ┃\n┡━━━━━━╇━━━━━━━┩\n│ tea  │ 3.5   │\n└──────┴───────┘",
    "rich, ASCII": "+--------------+\n| item | price |\n|------+-------|\n| tea  | 3.5   |\n+--------------+",
    "a panel": "╭──────╮\n│ text │\n╰──────╯",
    "polars": "┌──────┬───────┐\n│ item ┆ price │\n╞══════╪═══════╡\n│ tea  ┆ 3.5   │\n└──────┴───────┘",
}
OTHERS = [
    "One line of prose.\nAnother line of prose.",
    "A sentence.  Another one.\nShort.  This is a longer line, without a gap below the first.",
    "def f():\n    return 1\n        # deep",
    "- one\n- two\n  - three",
    "1.  one\n2.  two",
    "-  one\n-  two",
    "Title\n-----\ntext",
    "cat a | grep b\ncat c | wc",
    "Usage:\n    run it\n    and wait",
    "SELECT a\n  FROM b\n WHERE c",
    '{\n  "a": 1,\n  "b": 2\n}',
    "> quote\n> more",
    "-----\nsection\n-----",
    'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x()\nValueError: no',
]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize(("before", "after"), [("", ""), ("Stock:\n", "\nDone."), ("Stock:\n\n", "\n\n(2 rows)")])
def test_a_table_is_found_between_other_lines(before: str, table: str, after: str) -> None:
    """Its lines stay as they are."""
    parts = split_tables(before + table + after)
    assert [text for is_table, text in parts if is_table] == [table]


@pytest.mark.parametrize("text", OTHERS)
def test_other_lines_are_no_table(text: str) -> None:
    """Prose, indented text, lists and code stay text."""
    assert split_tables(text) == [(False, text)]


@given(
    st.lists(st.sampled_from([*TABLES.values(), *OTHERS, "", " ", "\t", "a  b"]) | st.text(max_size=9)).map("\n".join)
)
def test_no_character_is_lost(text: str) -> None:
    """The parts, joined, are the text, and two neighbours differ."""
    parts = split_tables(text)
    assert "\n".join(part for _, part in parts) == text
    assert all(one[0] is not other[0] for one, other in itertools.pairwise(parts))
