"""A process goes on with the limits of another one, which may have run on another machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from discord_logging._discord.rate_limiter import DiscordRateLimiter

HOOK = "discord.com/1"
BOOT, OTHER_BOOT = 1_750_000_000.0, 1_749_000_000.0
NOW = 500.0
LATER = NOW + BOOT - OTHER_BOOT
"""The same moment on the clock of the other machine."""


def hand_over(limiter: DiscordRateLimiter, now: float = NOW) -> DiscordRateLimiter:
    successor = DiscordRateLimiter(channel_limit=3)
    data = json.loads(json.dumps(limiter.export(HOOK, now, BOOT)))
    successor.restore(HOOK, data, now + BOOT - OTHER_BOOT, OTHER_BOOT)
    return successor


def send(limiter: DiscordRateLimiter, now: float, headers: dict[str, str] | None = None, status: int = 200) -> None:
    assert limiter.acquire(HOOK, now) == 0.0
    limiter.update(HOOK, status, headers or {}, {}, now)


def test_requests_of_another_machine_count() -> None:
    """The channel takes no more of both than of one."""
    limiter = DiscordRateLimiter(channel_limit=3)
    for second in range(3):
        send(limiter, NOW - 10 + second)
    assert hand_over(limiter).wait_time(HOOK, LATER) == pytest.approx(limiter.wait_time(HOOK, NOW), abs=0.01)
    assert hand_over(limiter, NOW + 70).acquire(HOOK, LATER + 70) == 0.0


def test_a_request_in_flight_counts() -> None:
    """It may arrive after its process has ended."""
    limiter = DiscordRateLimiter(channel_limit=1)
    limiter.acquire(HOOK, NOW)
    successor = hand_over(limiter)
    successor.set_channel_limit(HOOK, 1)
    assert successor.wait_time(HOOK, LATER) > 59


def test_requests_that_are_known_are_not_counted_twice() -> None:
    """Processes of one machine share their limits."""
    limiter = DiscordRateLimiter(channel_limit=3)
    send(limiter, NOW - 2)
    send(limiter, NOW - 1)
    limiter.restore(HOOK, limiter.export(HOOK, NOW, BOOT), NOW, BOOT)
    assert limiter.info(HOOK, NOW)["channel"]["remaining"] == 1


def test_an_empty_bucket_and_a_refusal_hold_the_successor_up() -> None:
    """It waits as long as the other one would have."""
    limiter = DiscordRateLimiter()
    headers = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "7"}
    send(limiter, NOW, headers)
    assert hand_over(limiter).wait_time(HOOK, LATER) == pytest.approx(7, abs=0.1)
    assert hand_over(limiter).acquire(HOOK, LATER + 8) == 0.0
    limiter = DiscordRateLimiter()
    send(limiter, NOW, {"Retry-After": "9", "Via": "1.1 google", "X-RateLimit-Scope": "shared"}, 429)
    assert hand_over(limiter).wait_time(HOOK, LATER) == pytest.approx(limiter.wait_time(HOOK, NOW), abs=0.01)


@pytest.mark.parametrize(
    "data",
    [
        *(None, 5, [], {}, {"sent": 5}, {"sent": ["x"]}, {"sent": [1e300, float("nan")]}, {"blocked_until": 1e300}),
        *({"bucket": [1]}, {"bucket": [5, 0, float("inf"), 1]}, {"bucket": ["x", "y", BOOT + NOW + 1, "z"]}),
    ],
    ids=repr,
)
def test_what_is_malformed_is_left_out(data: Any) -> None:
    """Another version may have written it."""
    limiter = DiscordRateLimiter()
    limiter.restore(HOOK, data, NOW, BOOT)
    assert limiter.acquire(HOOK, NOW) == 0.0
