"""Numbers in sentences agree with their nouns and verbs."""

from __future__ import annotations

import pytest

from discord_logging._text.numbers import counted


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 records were"), (1, "1 record was"), (2, "2 records were"), (12_345, "12,345 records were")],
)
def test_a_number_decides_between_singular_and_plural(number: int, expected: str) -> None:
    """The number has separators."""
    assert counted(number, "record", "was/were") == expected
    assert counted(number, "record") == expected.rpartition(" ")[0]
