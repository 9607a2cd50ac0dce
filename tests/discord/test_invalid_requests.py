"""The guard against the ban for invalid requests."""

from __future__ import annotations

import pytest

from discord_logging._discord.invalid_requests import InvalidRequestGuard

START = 1_000.0


def filled(count: int) -> InvalidRequestGuard:
    """Return a guard that has just seen so many invalid requests."""
    guard = InvalidRequestGuard()
    for _ in range(count):
        guard.add(START)
    guard.sent(START)
    return guard


@pytest.mark.parametrize(("count", "gap"), [(0, 0), (299, 0), (300, 0.5), (900, 1), (1_400, 6), (1_499, 600)])
def test_requests_are_spread_the_more_the_nearer_the_ban(count: int, gap: float) -> None:
    """From a few hundred on, what is left of 1,500 is spread over ten minutes."""
    assert max(0.0, filled(count).free_at(START) - START) == pytest.approx(gap)


def test_stops_until_the_window_empties() -> None:
    """At 1,500 nothing leaves until fewer than 300 are left, not just until 1,499 are."""
    guard = InvalidRequestGuard()
    for number in range(1_500):
        guard.add(START + number / 10)
    last = START + 150
    assert guard.free_at(last) == pytest.approx(START + 120 + 600)
    assert guard.free_at(START + 700) == pytest.approx(START + 120 + 600)
    assert guard.free_at(START + 720.05) <= START + 720.05
    assert guard.count(START + 720.05) == 299


def test_forgets_after_ten_minutes() -> None:
    """A quiet window is an empty one."""
    guard = filled(400)
    assert guard.count(START + 599) == 400
    assert guard.count(START + 600) == 0
