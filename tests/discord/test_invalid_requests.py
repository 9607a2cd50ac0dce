"""The guard keeps this process far from the ban for invalid requests."""

from __future__ import annotations

import pytest

from discord_logging._discord.invalid_requests import InvalidRequestGuard

START = 1_000.0


def filled(count: int) -> InvalidRequestGuard:
    """Return a guard that has just seen `count` invalid requests."""
    guard = InvalidRequestGuard()
    for _ in range(count):
        guard.add(START)
    guard.sent(START)
    return guard


@pytest.mark.parametrize(("count", "gap"), [(0, 0), (299, 0), (300, 0.5), (900, 1), (1_400, 6), (1_499, 600)])
def test_requests_are_spread_more_widely_nearer_the_ban(count: int, gap: float) -> None:
    """From 300 on, the requests that are left of 1,500 are spread over ten minutes."""
    assert max(0.0, filled(count).free_at(START) - START) == pytest.approx(gap)


def test_the_guard_stops_until_the_window_empties() -> None:
    """At 1,500 no request leaves until the window holds fewer than 300, not just until it holds 1,499."""
    guard = InvalidRequestGuard()
    for number in range(1_500):
        guard.add(START + number / 10)
    last = START + 150
    assert guard.free_at(last) == pytest.approx(START + 120 + 600)
    assert guard.free_at(START + 700) == pytest.approx(START + 120 + 600)
    assert guard.free_at(START + 720.05) <= START + 720.05
    assert guard.count(START + 720.05) == 299


def test_an_invalid_request_is_forgotten_after_ten_minutes() -> None:
    """After a quiet window the count is 0."""
    guard = filled(400)
    assert guard.count(START + 599) == 400
    assert guard.count(START + 600) == 0
