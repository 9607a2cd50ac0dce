"""A record in whose flight process after process ends is tried alone, then as plain text, and is dropped then."""

from __future__ import annotations

import pytest

from discord_logging._backlogs.crashes import Crashes
from discord_logging._backlogs.store import ALONE


@pytest.mark.parametrize(
    ("tries", "is_suspicious", "blames_card", "blames_record"),
    [
        (0, False, False, False),
        (2, False, False, False),
        (3, True, False, False),
        (3 + ALONE, True, True, False),
        (3 + 2 * ALONE, True, True, True),
        (7 + 2 * ALONE, True, True, True),
        (2 * ALONE, False, False, False),
        (3 * ALONE, True, True, False),
        (4 * ALONE, True, True, True),
        (2 + ALONE, True, False, False),
        (2 + 3 * ALONE, True, True, False),
    ],
)
def test_blame(tries: int, is_suspicious: bool, blames_card: bool, blames_record: bool) -> None:
    """Three processes have to end first, whether they sent the record alone or with others."""
    crashes = Crashes.read(tries)
    assert crashes.are_suspicious() == is_suspicious
    assert crashes.blame_card() == blames_card
    assert crashes.blame_record() == blames_record
