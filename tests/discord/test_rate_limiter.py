"""The limiter keeps every rule, first in time stepped by hand, then in simulations against models of the server."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import math
import os
import random
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from discord_logging._discord import rate_limiter
from discord_logging._discord.pace import Urgency
from discord_logging._discord.rate_limit_data import DATA_ERRORS, read_data, to_data
from discord_logging._discord.rate_limit_headers import RateLimitInfo
from discord_logging._discord.rate_limit_state import LimitState
from discord_logging._discord.rate_limiter import DiscordRateLimiter, RateLimitBucket, RateLimitHit
from discord_logging._process import shared_page
from discord_logging._process.shared_file import SharedFile
from discord_logging._process.shared_page import SharedPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

START = 1_000.0
PAD = 0.025
LIMITED = {"message": "You are being rate limited.", "global": False}


numbers = st.one_of(st.integers(), st.floats(), st.floats(0, 100), st.booleans(), st.none())
texts = st.one_of(
    st.text(max_size=20),
    numbers.map(str),
    st.sampled_from(["1_000", "٣", "NaN", "-inf", "1e999", "0x10", "2, 2", "Thu, 06 Aug 2026 11:31:01 GMT", "Thu, 99"]),
)
names = st.sampled_from(["Limit", "Remaining", "Reset", "Reset-After", "Bucket", "Scope", "Global"])
junk_headers = st.dictionaries(
    st.one_of(names.map("X-RateLimit-{}".format), st.sampled_from(["Retry-After", "retry-after", "DATE"]), st.text()),
    st.one_of(texts, st.sampled_from(["shared", "global", "true", "0", "5"])),
)
junk = st.one_of(
    numbers,
    texts,
    st.lists(numbers, max_size=3),
    st.dictionaries(
        st.sampled_from(["retry_after", "code", "global", "message", "channel_id"]),
        st.one_of(numbers, texts, st.lists(numbers, max_size=2), st.just(40333)),
    ),
)


def headers(remaining: int = 4, reset_after: float = 2.0, bucket: str = "abc", limit: int = 5) -> dict[str, str]:
    """Return the headers of a response as Discord sends them."""
    return {
        "X-RateLimit-Bucket": bucket,
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset-After": str(reset_after),
    }


def refusal(retry_after: object, **more: object) -> dict[str, object]:
    """Return the body of a 429 as Discord sends it."""
    return {**LIMITED, "retry_after": retry_after, **more}


def send(limiter: DiscordRateLimiter, webhook: str, now: float, head: dict[str, str], **message: str) -> None:
    """Send one request, which must leave and pass at once."""
    assert limiter.acquire(webhook, now) == 0.0
    assert limiter.update(webhook, 200, head, message, now) is None


def refuse(
    limiter: DiscordRateLimiter, now: float, body: object, head: dict[str, str] | None = None, webhook: str = "a"
) -> RateLimitHit:
    """Send one request, which must leave and is refused at once."""
    assert limiter.acquire(webhook, now) == 0.0
    hit = limiter.update(webhook, 429, head or {}, body, now)
    assert hit is not None
    return hit


def dice(seed: float) -> random.Random:
    """Return a source of random numbers that are the same each time."""
    return random.Random(seed)  # noqa: S311 (a simulation)


def block(limiter: DiscordRateLimiter, now: float, head: dict[str, str] | None = None, webhook: str = "a") -> float:
    """Send one request, which must leave and meets an edge block; return the wait."""
    hit = refuse(limiter, now, "<html>error code: 1015</html>", head, webhook)
    assert hit.scope == "edge"
    return hit.retry_after


@pytest.fixture
def limiter() -> DiscordRateLimiter:
    """Return a limiter with the default settings."""
    return DiscordRateLimiter()


class TestBucket:
    """The limiter obeys the bucket in a webhook's own headers."""

    def test_the_first_request_of_a_webhook_is_free(self, limiter: DiscordRateLimiter) -> None:
        """No bucket is hard-coded: before the first response nothing is held back."""
        assert limiter.acquire("a", START) == 0.0
        assert limiter.info("a", START)["buckets"] == {}

    def test_an_empty_bucket_holds_back_the_next_request(self, limiter: DiscordRateLimiter) -> None:
        """With 0 remaining, the next request waits until the bucket is full, and not a moment less."""
        send(limiter, "a", START, headers(remaining=0, reset_after=0.9))
        assert limiter.acquire("a", START + 0.2) == pytest.approx(0.7 + PAD)
        assert limiter.acquire("a", START + 0.9) > 0.0
        assert limiter.acquire("a", START + 0.9 + PAD) == 0.0

    def test_asking_counts_nothing(self, limiter: DiscordRateLimiter) -> None:
        """`wait_time` returns the same as `acquire` and leaves the count alone."""
        send(limiter, "a", START, headers(remaining=1))
        assert [limiter.wait_time("a", START) for _ in range(9)] == [0.0] * 9
        assert limiter.acquire("a", START) == 0.0

    def test_buckets_belong_to_webhooks_not_to_hashes(self, limiter: DiscordRateLimiter) -> None:
        """Another webhook that shows the same hash has another bucket."""
        send(limiter, "a", START, headers(remaining=0))
        send(limiter, "b", START, headers(remaining=4))
        assert limiter.wait_time("a", START) > 0.0
        assert limiter.wait_time("b", START) == 0.0

    def test_the_newest_response_wins(self, limiter: DiscordRateLimiter) -> None:
        """A changed hash or count replaces the older one."""
        send(limiter, "a", START, headers(remaining=1, reset_after=60, bucket="old"))
        send(limiter, "a", START, headers(remaining=9, limit=10, bucket="new"))
        assert list(limiter.info("a", START)["buckets"]) == ["new"]
        assert limiter.budget("a", START).bucket.left(START) == 9

    def test_a_response_that_comes_late_changes_nothing(self) -> None:
        """An older response that comes later does not undo a newer one."""
        limiter = DiscordRateLimiter()
        send(limiter, "a", START, headers(remaining=0))
        limiter.update("a", 200, headers(remaining=4), None, START - 0.1)
        assert limiter.wait_time("a", START) > 0.0

    @pytest.mark.parametrize("response", ["lost", "gateway", "no content"])
    def test_the_count_goes_down_even_without_headers(self, limiter: DiscordRateLimiter, response: Any) -> None:
        """A response without headers, or a lost one, still lowers the count and never makes it unlimited."""
        send(limiter, "a", START, headers(remaining=3))
        for _ in range(3):
            assert limiter.acquire("a", START) == 0.0
            if response == "lost":
                limiter.failed("a", START)
            else:
                limiter.update("a", 502 if response == "gateway" else 204, {"Server": "cloudflare"}, "<html>", START)
        assert limiter.acquire("a", START) == pytest.approx(2.0 + PAD)

    def test_without_headers_the_known_bucket_is_kept_for_ever(self, limiter: DiscordRateLimiter) -> None:
        """Once 5 in 2 s are known, no 2 s hold more than 5 requests, without any further header."""
        send(limiter, "a", START, headers(remaining=4, reset_after=2.0))
        times = [START]
        now = START
        while len(times) < 25:
            wait = limiter.acquire("a", now)
            now += wait
            if not wait:
                times.append(now)
                now += 0.05
                limiter.update("a", 204, {}, None, now)
        assert all(later - earlier > 2.0 for earlier, later in zip(times, times[5:], strict=False))

    def test_a_request_never_reported_counts_as_sent(self, limiter: DiscordRateLimiter) -> None:
        """A caller that forgets to report a response gets no more requests than one that reports it."""
        send(limiter, "a", START, headers(remaining=2))
        assert limiter.acquire("a", START) == 0.0
        assert limiter.acquire("a", START) == 0.0
        assert limiter.acquire("a", START) > 0.0

    def test_limit_alone_makes_a_bucket(self, limiter: DiscordRateLimiter) -> None:
        """Without `Remaining`, one request counts as used, and without a time, the wait is a second."""
        send(limiter, "a", START, {"x-ratelimit-limit": "2"})
        assert limiter.acquire("a", START) == 0.0
        limiter.failed("a", START)
        assert limiter.acquire("a", START) == pytest.approx(1.0 + PAD)
        assert list(limiter.info("a", START)["buckets"]) == ["unknown"]

    def test_remaining_alone_makes_a_bucket(self, limiter: DiscordRateLimiter) -> None:
        """Without `Limit`, the bucket holds the remaining requests and the one just answered."""
        send(limiter, "a", START, {"x-ratelimit-remaining": "0"})
        assert limiter.acquire("a", START) == pytest.approx(1.0 + PAD)
        assert limiter.info("a", START)["buckets"]["unknown"]["limit"] == 1

    def test_a_missing_reset_after_is_computed_from_the_date_of_the_response(self, limiter: DiscordRateLimiter) -> None:
        """The absolute reset counts from the `Date` of the response, so that a wrong local clock does not matter."""
        head = headers(remaining=0) | {"Date": "Thu, 06 Aug 2026 11:31:01 GMT", "X-RateLimit-Reset": "1786015865.5"}
        del head["X-RateLimit-Reset-After"]
        send(limiter, "a", START, head)
        assert limiter.acquire("a", START) == pytest.approx(4.5 + PAD)

    def test_a_nonsensical_reset_is_shortened(self, limiter: DiscordRateLimiter) -> None:
        """Before any refusal, no header stops a webhook for longer than two minutes."""
        send(limiter, "a", START, headers(remaining=0, reset_after=86_400))
        assert limiter.acquire("a", START) == pytest.approx(120 + PAD)

    def test_a_remainder_beyond_the_limit_means_full(self, limiter: DiscordRateLimiter) -> None:
        """`Remaining` is never believed beyond `Limit`."""
        send(limiter, "a", START, headers(remaining=1_000, limit=5))
        assert limiter.budget("a", START).bucket.left(START) == 5

    def test_a_new_bucket_has_a_window_of_its_own(self, limiter: DiscordRateLimiter) -> None:
        """The longest time to a reset is that of the new bucket, not that of the old one."""
        send(limiter, "a", START, headers(reset_after=100, bucket="old"))
        send(limiter, "a", START, headers(remaining=1, reset_after=2, bucket="new"))
        send(limiter, "a", START, {})
        assert limiter.acquire("a", START) == pytest.approx(2 + PAD)

    def test_a_lost_request_counts_from_its_end(self, limiter: DiscordRateLimiter) -> None:
        """The request may have arrived last; a sliding window is full again a window after the time-out."""
        send(limiter, "a", START, headers(remaining=1, reset_after=2))
        assert limiter.acquire("a", START) == 0.0
        limiter.failed("a", START + 1.5)
        assert limiter.acquire("a", START + 1.5) == pytest.approx(2 + PAD)

    def test_a_wait_is_never_a_rounding_error(self, limiter: DiscordRateLimiter) -> None:
        """A wait that is shorter than a rounding error counts as 0."""
        send(limiter, "a", START, headers(remaining=0, reset_after=2))
        assert limiter.acquire("a", START + 2 + PAD - 1e-9) == 0.0

    def test_a_bucket_is_pure_in_now(self) -> None:
        """A bucket gives the values for the time that it is asked for."""
        bucket = RateLimitBucket(id="abc", limit=5, remaining=0, reset_at=START + 2)
        assert bucket.wait_time(START) == pytest.approx(2 + PAD)
        assert bucket.left(START) == 0
        assert bucket.left(START + 3) == 5
        assert bucket.wait_time(START + 3) == 0.0
        assert bucket.wait_time(START + 1) == pytest.approx(1 + PAD)


class TestRefusals:
    """The limiter obeys refusals by the API."""

    @pytest.mark.parametrize("scope", ["user", "shared", "global"])
    @pytest.mark.parametrize("retry_after", [0.3, 1.0, 64.57, 1336.57])
    @pytest.mark.parametrize("remaining", [0, 1])
    def test_a_refusal_is_obeyed_to_the_letter(
        self, limiter: DiscordRateLimiter, scope: Any, retry_after: Any, remaining: Any
    ) -> None:
        """The next request leaves between retry_after and 5 % and 50 ms later, whatever the bucket says."""
        for _ in range(29):
            send(limiter, "a", START, headers(remaining=9, limit=10))
        send(limiter, "b", START, headers(remaining=9, limit=10))
        head = headers(remaining=remaining, reset_after=100) | {"X-RateLimit-Scope": scope}
        hit = refuse(limiter, START, refusal(retry_after), head)
        assert hit == (scope, retry_after)
        now = START + limiter.acquire("a", START)
        assert retry_after <= now - START <= retry_after * 1.05 + 0.05
        assert limiter.acquire("a", START + retry_after) > 0.0
        assert limiter.acquire("a", now) == 0.0

    def test_remaining_requests_do_not_help_after_a_refusal(self, limiter: DiscordRateLimiter) -> None:
        """A hidden limit refuses while the bucket has requests left, so retry_after is the wait, not reset-after."""
        refuse(limiter, START, refusal(40.0), headers(remaining=9, reset_after=2))
        assert limiter.acquire("a", START + 39) == pytest.approx(1 + PAD)

    @pytest.mark.parametrize(
        ("header", "body", "expected"),
        [
            ("65", 64.57, 64.57),
            ("66", 64.57, 66.0),
            ("1", 1163.097, 1163.097),
            ("40", 2.0, 40.0),
            ("64570", 64.57, 64.57),
            (None, 1.5, 1.5),
        ],
    )
    def test_the_larger_of_header_and_body_is_the_wait(
        self, limiter: DiscordRateLimiter, header: Any, body: Any, expected: Any
    ) -> None:
        """A header that is rounded up to a second or given in milliseconds is not larger."""
        head = {} if header is None else {"Retry-After": header}
        assert refuse(limiter, START, refusal(body), head).retry_after == expected

    def test_user_scope_stops_one_webhook(self, limiter: DiscordRateLimiter) -> None:
        """A refusal of scope `user`, or without a scope, stops the webhook alone."""
        refuse(limiter, START, refusal(5))
        assert limiter.wait_time("a", START) > 5
        assert limiter.wait_time("b", START) == 0.0

    def test_global_scope_stops_every_webhook(self, limiter: DiscordRateLimiter) -> None:
        """A global refusal also stops webhooks of the host that were never seen before."""
        assert refuse(limiter, START, refusal(5, **{"global": True})).scope == "global"
        assert limiter.wait_time("b", START) == pytest.approx(5 + PAD)
        assert limiter.wait_time("b", START, host="local") == 0.0
        assert limiter.info("b", START)["global_rate_limit"] == {"active": True, "wait_time": pytest.approx(5 + PAD)}
        assert limiter.info("b", START + 6)["global_rate_limit"] == {"active": False, "wait_time": 0.0}

    def test_shared_scope_stops_the_channel(self, limiter: DiscordRateLimiter) -> None:
        """A shared refusal stops the webhooks that are known to post to that channel, and no others."""
        for webhook, channel in (("a", "7"), ("b", "7"), ("c", "8")):
            send(limiter, webhook, START, {}, channel_id=channel)
        refuse(limiter, START, refusal(40), {"X-RateLimit-Scope": "shared"})
        assert limiter.wait_time("a", START) == limiter.wait_time("b", START) == pytest.approx(40 + PAD)
        assert limiter.wait_time("c", START) == 0.0

    def test_a_webhook_brings_its_block_to_its_channel(self, limiter: DiscordRateLimiter) -> None:
        """A block from before the channel was known holds for the whole channel."""
        send(limiter, "a", START, {}, channel_id="7")
        assert limiter.acquire("b", START) == 0.0
        limiter.update("b", 429, {"X-RateLimit-Scope": "shared"}, refusal(40), START)
        limiter.update("b", 200, {}, {"channel_id": "7"}, START + 1)
        assert limiter.wait_time("a", START + 1) == pytest.approx(39 + PAD)

    @pytest.mark.parametrize("scope", ["user", "shared", "global", "edge"])
    def test_a_shorter_refusal_does_not_shorten_a_wait(self, limiter: DiscordRateLimiter, scope: str) -> None:
        """A refusal that comes twice or late never brings the next request forward."""
        head = {"X-RateLimit-Scope": scope} if scope != "edge" else {}
        for seconds in (60, 2):
            body = refusal(seconds) if head else "error code: 1015"
            limiter.update("a", 429, head | {"Retry-After": str(seconds)}, body, START)
        limiter.update("a", 200, headers(), None, START)
        assert limiter.wait_time("a", START) == pytest.approx(60 + PAD)

    @pytest.mark.parametrize("retry_after", [0, -3, math.nan, math.inf, 1e300, 10**400, 1786015863.0])
    def test_an_unusable_time_becomes_a_wait_that_doubles(self, limiter: DiscordRateLimiter, retry_after: Any) -> None:
        """The wait is a second and doubles up to five minutes; any other response starts it over."""
        now, waits = START, []
        for _ in range(12):
            waits.append(refuse(limiter, now, refusal(retry_after)).retry_after)
            now += waits[-1] + PAD
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        send(limiter, "a", now, {})
        assert refuse(limiter, now, refusal(retry_after)).retry_after == 1

    def test_a_tiny_time_again_and_again_makes_no_hot_loop(self, limiter: DiscordRateLimiter) -> None:
        """A server that always says "in a microsecond" gets four requests a second, not thousands."""
        now, count = START, 0
        while now < START + 60:
            refuse(limiter, now, refusal(1e-6), {"X-RateLimit-Scope": "shared"})
            now += limiter.wait_time("a", now)
            count += 1
        assert count < 260

    def test_a_long_time_is_obeyed_up_to_an_hour(self, limiter: DiscordRateLimiter) -> None:
        """After an hour one request asks again."""
        assert refuse(limiter, START, refusal(7_200)).retry_after == 3_600

    def test_a_refusal_that_is_reported_twice_counts_once(self, limiter: DiscordRateLimiter) -> None:
        """A duplicate neither doubles the wait nor lowers the channel's limit."""
        for _ in range(10):
            limiter.update("a", 429, {"X-RateLimit-Scope": "shared"}, refusal(0), START)
        assert limiter.wait_time("a", START) == pytest.approx(1 + PAD)
        assert limiter.info("a", START)["channel"]["limit"] == 30

    def test_a_refusal_by_headers_alone_waits_for_the_reset(self, limiter: DiscordRateLimiter) -> None:
        """Without a body and without `Retry-After`, the wait is the reset of the empty bucket."""
        assert refuse(limiter, START, None, headers(remaining=0, reset_after=7)) == ("user", 7)


class TestChannel:
    """The limiter keeps the hidden allowance of a channel."""

    def test_thirty_in_sixty_seconds_is_never_exceeded(self, limiter: DiscordRateLimiter) -> None:
        """The 31st request waits until the first has left the window, which counts from its response."""
        for _ in range(30):
            assert limiter.acquire("a", START) == 0.0
            limiter.update("a", 200, {}, None, START + 1)
        assert limiter.acquire("a", START + 1) == pytest.approx(60 + PAD)
        assert limiter.acquire("a", START + 61 + PAD) == 0.0

    def test_webhooks_of_a_channel_share_its_allowance(self, limiter: DiscordRateLimiter) -> None:
        """Once responses name the same channel, the requests of each webhook count for both."""
        for _ in range(15):
            send(limiter, "a", START, {}, channel_id="7")
            send(limiter, "b", START, {}, channel_id="7")
        assert limiter.acquire("a", START) == limiter.acquire("b", START) == pytest.approx(60 + PAD)

    def test_a_new_thread_gets_no_new_allowance(self, limiter: DiscordRateLimiter) -> None:
        """In a forum every message may name another channel."""
        for number in range(30):
            send(limiter, "a", START, {}, channel_id=str(number))
        assert limiter.acquire("a", START) > 0.0

    def test_a_webhook_stays_with_its_first_channel(self, limiter: DiscordRateLimiter) -> None:
        """A webhook has one channel; the later ones are threads, whose limits may not be shared."""
        send(limiter, "a", START, {}, channel_id="7")
        send(limiter, "b", START, {}, channel_id="8")
        send(limiter, "a", START, {}, channel_id="8")
        refuse(limiter, START, refusal(40), {"X-RateLimit-Scope": "shared"}, webhook="b")
        assert limiter.wait_time("a", START) == 0.0

    def test_failed_requests_count_too(self, limiter: DiscordRateLimiter) -> None:
        """A request without a response may have arrived."""
        for _ in range(30):
            assert limiter.acquire("a", START) == 0.0
            limiter.failed("a", START)
        assert limiter.acquire("a", START) > 0.0

    @pytest.mark.parametrize(("limit", "granted"), [(3, 3), (None, 40)])
    def test_the_limit_of_one_channel_can_be_set(self, limit: int | None, granted: int) -> None:
        """The limit can be set before or after the first request; other webhooks keep the default."""
        limiter = DiscordRateLimiter(global_limit=1000)
        limiter.acquire("b", START)
        for webhook in ("a", "b"):
            limiter.set_channel_limit(webhook, limit)
        assert limiter.info("a", START)["channel"]["limit"] == limiter.info("b", START)["channel"]["limit"] == limit
        sent = 0
        while sent < 40 and not limiter.acquire("a", START):
            limiter.update("a", 204, {}, None, START)
            sent += 1
        assert sent == granted
        assert limiter.info("c", START)["channel"]["limit"] == 30
        with pytest.raises(ValueError, match="at least 1"):
            limiter.set_channel_limit("a", 0)

    def test_the_limit_is_a_setting(self) -> None:
        """Limit and window are settings, and a limit of None means no limit at all."""
        limiter = DiscordRateLimiter(channel_limit=2, channel_window=10)
        send(limiter, "a", START, {})
        send(limiter, "a", START, {})
        assert limiter.acquire("a", START) == pytest.approx(10 + PAD)
        limiter = DiscordRateLimiter(channel_limit=None)
        for number in range(200):
            send(limiter, "a", START + number, {})
        assert limiter.info("a", START)["channel"] == {
            "limit": None,
            "window": 60.0,
            "remaining": None,
            "wait_time": 0.0,
        }
        refuse(limiter, START + 300, refusal(40), {"X-RateLimit-Scope": "shared"})
        assert limiter.acquire("a", START + 300) == pytest.approx(40 + PAD)

    @pytest.mark.parametrize(
        "bad",
        [
            {"channel_limit": 0},
            {"channel_limit": -1},
            {"global_limit": 0},
            {"channel_window": 0},
            {"channel_window": math.inf},
            {"channel_window": math.nan},
        ],
    )
    def test_a_setting_that_cannot_be_meant_is_refused(self, bad: Any) -> None:
        """A limit of 0 never means "no limit"."""
        with pytest.raises(ValueError, match="must be"):
            DiscordRateLimiter(**bad)

    @pytest.mark.parametrize("head", [{"X-RateLimit-Scope": "shared"}, headers(remaining=9)])
    def test_an_early_refusal_lowers_the_limit_for_a_while(self, limiter: DiscordRateLimiter, head: Any) -> None:
        """After a refusal at 20 of 30, the limit falls to 20, and regains half of its loss every five minutes."""
        for _ in range(20):
            send(limiter, "a", START, {})
        refuse(limiter, START, refusal(30), head)
        limits = [limiter.info("a", START + minutes * 60.125)["channel"]["limit"] for minutes in (0, 4, 5, 10, 15, 20)]
        assert limits == [20, 20, 25, 28, 29, 30]

    def test_one_refusal_halves_the_limit_at_most(self, limiter: DiscordRateLimiter) -> None:
        """A process that starts just after another one is not throttled to nothing."""
        refuse(limiter, START, refusal(30), {"X-RateLimit-Scope": "shared"})
        assert limiter.info("a", START)["channel"]["limit"] == 15

    def test_refusals_of_the_same_moment_lower_the_limit_once(self, limiter: DiscordRateLimiter) -> None:
        """Several webhooks that are refused together lower the limit of their channel once."""
        for webhook in "abc":
            send(limiter, webhook, START, {}, channel_id="7")
        for webhook in "abc":
            assert limiter.acquire(webhook, START + 1) == 0.0
        for webhook in "abc":
            limiter.update(webhook, 429, {"X-RateLimit-Scope": "shared"}, refusal(30), START + 2)
        assert limiter.info("a", START + 2)["channel"]["limit"] == 15

    def test_the_limit_never_falls_below_one(self, limiter: DiscordRateLimiter) -> None:
        """The limit stays at 1 or above, however often others are faster."""
        now = START
        for _ in range(20):
            refuse(limiter, now, refusal(1), {"X-RateLimit-Scope": "shared"})
            now += 100
        assert limiter.info("a", now)["channel"]["limit"] >= 1


class TestGlobal:
    """The limiter keeps the limit over all webhooks."""

    def test_all_webhooks_together_stay_below_fifty_a_second(self, limiter: DiscordRateLimiter) -> None:
        """Of a hundred webhooks, fifty send at once, and the next one a little more than a second later."""
        granted = [name for name in map(str, range(100)) if limiter.acquire(name, START) == 0.0]
        for name in granted:
            limiter.update(name, 200, {}, None, START + 0.2)
        assert len(granted) == 50
        assert limiter.acquire("99", START + 1.2) > 0.0
        assert limiter.acquire("99", START + 1.2 + 2 * PAD) == 0.0

    def test_hung_requests_do_not_hold_up_the_rest_for_ever(self, limiter: DiscordRateLimiter) -> None:
        """After ten seconds, a request without a response has surely arrived."""
        for name in map(str, range(50)):
            assert limiter.acquire(name, START) == 0.0
        assert limiter.acquire("99", START + 9) > 0.0
        assert limiter.acquire("99", START + 11.1) == 0.0


class TestEdgeBlock:
    """The limiter obeys blocks by the network in front of the API."""

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (429, "<html>Access denied</html>"),
            (429, "error code: 1015"),
            (429, None),
            (429, []),
            (429, {"code": 0, "message": "You are being blocked from accessing our API temporarily"}),
            (429, {"retry_after": None}),
            (429, {"retry_after": True}),
            (403, "error code: 1010"),
            (403, None),
            (403, {}),
            (403, {"code": 40333, "message": "internal network error"}),
            (400, {"code": 40333, "message": "internal network error"}),
        ],
    )
    def test_a_refusal_that_is_not_from_the_api_is_a_block(
        self, limiter: DiscordRateLimiter, status: Any, body: Any
    ) -> None:
        """Every webhook of the host pauses if the JSON has no numeric retry_after, or names the block."""
        assert limiter.acquire("a", START) == 0.0
        assert limiter.update("a", status, {}, body, START) == ("edge", 60)
        assert limiter.wait_time("b", START) == pytest.approx(60 + PAD)
        assert limiter.info("b", START)["edge_block"] == {"active": True, "wait_time": pytest.approx(60 + PAD)}
        assert limiter.wait_time("b", START, host="proxy") == 0.0

    def test_an_error_of_the_api_is_not_a_block(self, limiter: DiscordRateLimiter) -> None:
        """A forbidden webhook does not stop other webhooks."""
        assert limiter.update("a", 403, {}, {"code": 50013, "message": "Missing Permissions"}, START) is None
        assert limiter.wait_time("b", START) == 0.0

    def test_one_request_of_all_webhooks_probes_a_block(self, limiter: DiscordRateLimiter) -> None:
        """While the probe is in flight, no other webhook may send; once it has passed, all may."""
        block(limiter, START)
        now = START + 60 + PAD
        assert limiter.acquire("b", now) == 0.0
        assert 0.0 < limiter.acquire("a", now) <= 1.0
        assert limiter.info("a", now)["edge_block"]["active"]
        limiter.update("b", 200, {}, None, now + 0.3)
        assert limiter.acquire("a", now + 0.3) == 0.0
        assert limiter.info("a", now + 0.3)["edge_block"] == {"active": False, "wait_time": 0.0}

    def test_intervals_grow_with_each_refused_probe(self, limiter: DiscordRateLimiter) -> None:
        """The intervals are one, two, four minutes and so on, up to an hour."""
        now, waits = START, []
        for number in range(9):
            waits.append(block(limiter, now, webhook=str(number)))
            now += waits[-1] + PAD
        assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
        send(limiter, "a", now, {})
        assert block(limiter, now) == 60

    def test_requests_that_were_in_flight_together_make_one_block(self, limiter: DiscordRateLimiter) -> None:
        """Ten webhooks that are blocked in the same second do not make the wait grow."""
        names = [str(number) for number in range(10)]
        for name in names:
            assert limiter.acquire(name, START) == 0.0
        hits = {limiter.update(name, 429, {}, "1015", START) for name in names}
        assert hits == {("edge", 60)}

    @pytest.mark.parametrize(
        ("retry_after", "expected"),
        [
            ("7", 7),
            ("43200", 43_200),
            ("200000", 86_400),
            ("0", 60),
            ("-5", 60),
            ("soon", 60),
            ("Thu, 06 Aug 2026 11:32:31 GMT", 90),
        ],
    )
    def test_an_explicit_time_is_honoured_up_to_a_day(
        self, limiter: DiscordRateLimiter, retry_after: Any, expected: Any
    ) -> None:
        """A date counts from the date of the response."""
        head = {"Retry-After": retry_after, "Date": "Thu, 06 Aug 2026 11:31:01 GMT"}
        assert block(limiter, START, head) == expected
        assert limiter.acquire("b", START + expected) == pytest.approx(PAD)

    def test_an_explicit_time_beats_the_empty_bucket(self, limiter: DiscordRateLimiter) -> None:
        """The probe leaves exactly at the explicit time."""
        send(limiter, "a", START, headers(remaining=1, reset_after=50))
        block(limiter, START, {"Retry-After": "2"})
        assert limiter.acquire("a", START) == pytest.approx(2 + PAD)
        assert limiter.acquire("a", START + 2 + PAD) == 0.0

    def test_a_short_explicit_time_grows_when_it_comes_again_and_again(self, limiter: DiscordRateLimiter) -> None:
        """The time is obeyed to the letter at first, and then grows, so that the server is not asked for ever."""
        now, waits = START, []
        for _ in range(20):
            waits.append(block(limiter, now, {"Retry-After": "1"}))
            now += waits[-1] + PAD
        assert waits[:7] == [1, 1, 1, 1, 2, 4, 8]
        assert waits[-1] == 3_600

    @pytest.mark.parametrize("outcome", ["lost", "gateway error"])
    def test_a_probe_without_a_result_is_repeated_after_a_minute(
        self, limiter: DiscordRateLimiter, outcome: Any
    ) -> None:
        """A lost connection neither lifts the block nor makes it last another half day."""
        block(limiter, START, {"Retry-After": "43200"})
        now = START + 43_200 + PAD
        assert limiter.acquire("a", now) == 0.0
        if outcome == "lost":
            limiter.failed("a", now)
        else:
            limiter.update("a", 502, {}, "<html>", now)
        assert limiter.acquire("b", now) == pytest.approx(60 + PAD)

    def test_a_probe_that_is_never_reported_is_given_up(self, limiter: DiscordRateLimiter) -> None:
        """After two minutes another request becomes the probe."""
        block(limiter, START)
        now = START + 60 + PAD
        assert limiter.acquire("a", now) == 0.0
        assert limiter.acquire("b", now + 119.5) == pytest.approx(0.5)
        assert limiter.acquire("b", now + 120) == 0.0

    def test_a_probe_whose_webhook_asks_again_has_no_result(self, limiter: DiscordRateLimiter) -> None:
        """The caller lost track of the probe, so the block goes on."""
        block(limiter, START)
        now = START + 60 + PAD
        assert limiter.acquire("a", now) == 0.0
        assert limiter.acquire("a", now) == pytest.approx(60 + PAD)

    def test_a_response_to_an_earlier_request_does_not_lift_a_block(self, limiter: DiscordRateLimiter) -> None:
        """Only the response to the probe lifts the block."""
        assert limiter.acquire("b", START) == 0.0
        block(limiter, START)
        limiter.update("b", 200, {}, None, START + 1)
        assert limiter.wait_time("b", START + 1) > 58


class TestInvalidRequests:
    """The limiter obeys the guard against the ban."""

    @pytest.mark.parametrize(
        ("status", "body", "scope", "counted"),
        [
            (401, {"code": 50027}, None, True),
            (403, {"code": 50013}, None, True),
            (429, refusal(0.01), "user", True),
            (429, refusal(0.01), "shared", False),
            (404, {"code": 10015}, None, False),
            (200, {}, None, False),
        ],
    )
    def test_the_guard_counts_as_discord_does(
        self, limiter: DiscordRateLimiter, status: Any, body: Any, scope: Any, counted: Any
    ) -> None:
        """The guard counts the statuses 401, 403 and 429 of all webhooks of a host, but not a shared 429."""
        head = {} if scope is None else {"X-RateLimit-Scope": scope}
        for number in range(350):
            limiter.update(str(number), status, head, body, START)
        assert limiter.info("x", START)["invalid_requests"]["count"] == (350 if counted else 0)
        limiter.acquire("x", START + 1)
        assert (limiter.wait_time("y", START + 1) > 0.0) is counted
        assert limiter.wait_time("y", START + 1, host="proxy") == 0.0

    def test_a_server_that_only_refuses_never_sees_two_thousand_in_ten_minutes(self) -> None:
        """Many webhooks that are always refused slow down long before the ban."""
        limiter = DiscordRateLimiter(channel_limit=None)
        now, sent = START, deque[float]()
        names = itertools.cycle([str(number) for number in range(100)])
        while now < START + 3_600:
            webhook = next(names)
            now += limiter.wait_time(webhook, now)
            if limiter.acquire(webhook, now) == 0.0:
                limiter.update(webhook, 429, {}, refusal(0.01), now)
                sent.append(now)
            while sent and sent[0] < now - 600:
                sent.popleft()
            assert len(sent) < 1_500
        assert len(sent) > 300


class TestBudget:
    """A budget describes the allowance for the planning of messages."""

    def test_a_budget_holds_bucket_and_channel(self, limiter: DiscordRateLimiter) -> None:
        """A budget describes bucket and channel as they are now."""
        send(limiter, "a", START, headers(remaining=3))
        send(limiter, "a", START + 1, headers(remaining=2))
        budget = limiter.budget("a", START + 1.5)
        assert budget.bucket.left(START + 1.5) == 2
        assert (budget.channel_limit, budget.channel_left, budget.channel_window) == (30, 28, 60 + PAD)
        assert budget.sent == (START, START + 1)

    def test_a_budget_counts_nothing(self, limiter: DiscordRateLimiter) -> None:
        """Neither `budget` itself nor a change of its bucket changes the limiter."""
        send(limiter, "a", START, headers(remaining=3))
        before = limiter.info("a", START)
        limiter.budget("a", START).bucket.use(START)
        assert limiter.info("a", START) == before

    def test_a_new_webhook_has_the_whole_allowance(self, limiter: DiscordRateLimiter) -> None:
        """A webhook that never sent may use all that a channel allows."""
        assert limiter.budget("a", START).channel_left == 30
        assert limiter.budget("a", START).sent == ()

    def test_a_refused_request_is_not_in_the_budget(self, limiter: DiscordRateLimiter) -> None:
        """A refusal costs no turn, because the next try sends the same message."""
        send(limiter, "a", START, headers())
        refuse(limiter, START + 1, refusal(3))
        assert limiter.budget("a", START + 2).sent == (START,)

    def test_a_refusal_keeps_the_history(self, limiter: DiscordRateLimiter) -> None:
        """The messages from before this window still show a lasting load."""
        for number in range(100):
            send(limiter, "a", START + number * 2.5, {})
        refuse(limiter, START + 250, refusal(3), {"X-RateLimit-Scope": "shared"})
        assert len(limiter.budget("a", START + 253).sent) == 100

    def test_webhooks_of_a_channel_share_its_pace(self, limiter: DiscordRateLimiter) -> None:
        """The budget of one webhook holds the messages of the others, in order."""
        send(limiter, "a", START, {}, channel_id="7")
        send(limiter, "b", START + 1, {}, channel_id="8")
        send(limiter, "c", START + 2, {}, channel_id="8")
        send(limiter, "c", START + 3, {})
        assert limiter.budget("b", START + 4).sent == (START + 1, START + 2, START + 3)

    def test_a_budget_counts_the_webhooks_that_go_first(self, limiter: DiscordRateLimiter) -> None:
        """Webhooks of the channel go first if they asked just now and sent their last message earlier."""
        for number, webhook in enumerate("abc"):
            send(limiter, webhook, START + number, {}, channel_id="7")
        send(limiter, "other", START, {}, channel_id="8")
        now = START + 10
        budgets = [limiter.budget(webhook, now) for webhook in ("a", "b", "c", "other")]
        assert [budget[-2:] for budget in budgets] == [(0, 0), (1, 1), (2, 2), (0, 0)]
        assert limiter.budget("a", now)[-2:] == (2, 0)
        assert limiter.budget("c", now + 0.4)[-2:] == (2, 2)
        assert limiter.budget("c", now + 0.6)[-2:] == (0, 0)

    def test_five_windows_are_remembered(self, limiter: DiscordRateLimiter) -> None:
        """The messages of five windows show a lasting load, and older ones are forgotten."""
        for number in range(400):
            send(limiter, "a", START + number * 2.5, {})
        sent = limiter.budget("a", START + 400 * 2.5).sent
        assert 119 <= len(sent) <= 121
        assert limiter.info("a", START + 400 * 2.5)["channel"]["remaining"] == 6

    def test_without_a_limit_of_the_channel_no_message_is_remembered(self) -> None:
        """No pace needs the messages, and thousands of them a second must not cost memory."""
        limiter = DiscordRateLimiter(channel_limit=None)
        for number in range(100):
            send(limiter, "a", START + number / 10, {})
        budget = limiter.budget("a", START + 10)
        assert (budget.channel_limit, budget.channel_left, budget.sent) == (None, None, ())
        refuse(limiter, START + 10, refusal(3), {"X-RateLimit-Scope": "shared"})
        assert limiter.info("a", START + 10)["channel"]["limit"] is None


class TestState:
    """The limiter reports, keeps and forgets its state."""

    def test_info_is_plain_data(self, limiter: DiscordRateLimiter) -> None:
        """The data is ready for JSON."""
        send(limiter, "a", START, headers(remaining=0), channel_id="7")
        info = limiter.info("a", START)
        assert json.loads(json.dumps(info, allow_nan=False)) == info
        assert info == {
            "global_rate_limit": {"active": False, "wait_time": 0.0},
            "buckets": {"abc": {"limit": 5, "remaining": 0, "reset_after": 2.0, "wait_time": pytest.approx(2.0 + PAD)}},
            "channel": {"limit": 30, "window": 60.0, "remaining": 29, "wait_time": 0.0},
            "pace": {"interval": pytest.approx(2.5, abs=0.01), "wait_time": pytest.approx(0.125, abs=0.01)},
            "edge_block": {"active": False, "wait_time": 0.0},
            "invalid_requests": {"count": 0, "window": 600.0, "limit": 1_500, "wait_time": 0.0},
            "shared": {"active": False, "reason": "the limits are not to be shared"},
        }
        assert limiter.info("a", START + 3)["buckets"]["abc"] == {
            "limit": 5,
            "remaining": 5,
            "reset_after": 0.0,
            "wait_time": 0.0,
        }

    def test_a_reset_ends_the_pauses_of_a_host(self, limiter: DiscordRateLimiter) -> None:
        """A proxy of the company may have answered in the name of Discord."""
        block(limiter, START)
        limiter.reset("a", host="discord.com")
        assert limiter.wait_time("a", START) == 0.0
        refuse(limiter, START, refusal(50, **{"global": True}))
        limiter.reset("a", host="discord.com")
        assert limiter.wait_time("b", START) == 0.0

    def test_reset_forgets_one_webhook_or_everything(self, limiter: DiscordRateLimiter) -> None:
        """One webhook is forgotten alone; global pauses and blocks are forgotten with everything."""
        refuse(limiter, START, refusal(50), webhook="a")
        refuse(limiter, START, refusal(50), webhook="b")
        limiter.reset("a")
        limiter.reset("unknown")
        assert limiter.wait_time("a", START) == 0.0
        assert limiter.wait_time("b", START) > 0.0
        refuse(limiter, START, refusal(50, **{"global": True}), webhook="c")
        limiter.reset()
        assert limiter.wait_time("b", START) == 0.0

    def test_dead_webhooks_are_forgotten(self) -> None:
        """Of 3,000 webhooks, one a second, a bounded number is kept, and a blocked one among them."""
        limiter = DiscordRateLimiter()
        refuse(limiter, START, refusal(3_600), webhook="blocked")
        for number in range(3_000):
            send(limiter, str(number), START + number, headers(), channel_id=str(number))
        assert len(limiter._state.webhooks) < 1_500
        assert len(limiter._state.channels) <= len(limiter._state.webhooks)
        assert limiter.wait_time("blocked", START + 3_000) == pytest.approx(600 + PAD)

    def test_a_webhook_is_kept_for_a_whole_channel_window(self) -> None:
        """A webhook is kept for as long as its requests count."""
        limiter = DiscordRateLimiter(channel_limit=1, channel_window=3_600)
        send(limiter, "a", START, {})
        for number in range(200):
            send(limiter, str(number), START + 700 + number, {})
        assert limiter.wait_time("a", START + 1_000) == pytest.approx(2_600 + PAD)

    def test_threads_share_one_limiter(self) -> None:
        """Eight threads that ask at once get as many requests as one would."""
        limiter = DiscordRateLimiter(global_limit=20)
        granted: list[str] = []

        def ask(prefix: int) -> None:
            names = [f"{prefix}-{number}" for number in range(50)]
            granted.extend(name for name in names if limiter.acquire(name, START) == 0.0)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(granted) == 20

    @pytest.mark.once
    @settings(max_examples=100, deadline=None)
    @given(
        responses=st.lists(
            st.tuples(st.sampled_from([200, 204, 403, 429, 502]), junk_headers, junk, st.booleans()), max_size=8
        ),
    )
    def test_junk_never_breaks_the_limiter(self, responses: Any) -> None:
        """Any response leads to a sane wait without an error, and no request follows a refusal too soon."""
        limiter, now = DiscordRateLimiter(), START
        for status, head, body, patient in responses:
            wait = limiter.acquire("a", now)
            if wait and patient:
                now += wait
                assert limiter.acquire("a", now) == 0.0
            hit = limiter.update("a", status, head, body, now)
            wait = limiter.wait_time("a", now)
            assert 0.0 <= wait <= 86_401
            if hit is not None:
                assert math.isfinite(hit.retry_after)
                assert wait >= hit.retry_after >= 0.02
            json.dumps(limiter.info("a", now), allow_nan=False)
            assert (limiter.budget("a", now).channel_left or 0) <= 30

    def test_a_lock_is_renewed_in_a_child(self, limiter: DiscordRateLimiter) -> None:
        """The child uses a new lock, because another thread may have held the old one."""
        with rate_limiter.lock:
            held = rate_limiter.lock
            rate_limiter._after_fork_in_child()
        assert rate_limiter.lock is not held
        assert limiter.acquire("a", START) == 0.0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # the test needs it
    def test_a_forked_child_does_not_inherit_a_held_lock(self, limiter: DiscordRateLimiter) -> None:
        """A child that is forked while another thread holds the lock can ask the limiter."""
        ready, done = threading.Event(), threading.Event()

        def hold() -> None:
            with rate_limiter.lock:
                ready.set()
                done.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        ready.wait(10)
        pid = os.fork()
        if pid == 0:
            os._exit(int(limiter.acquire("a", START)))
        done.set()
        thread.join()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="there is no shared memory on this platform")
class TestSharing:
    """Limiters with a page, which stand for those of several processes, keep their limits together."""

    @pytest.fixture
    def limiters(self) -> list[DiscordRateLimiter]:
        """Return three limiters that share their limits."""
        return [DiscordRateLimiter(shared=True) for _ in range(3)]

    def test_processes_share_a_bucket(self, limiters: list[DiscordRateLimiter]) -> None:
        """The five requests of a bucket are those of all processes."""
        send(limiters[0], "a", START, headers(remaining=4))
        for number in range(4):
            assert limiters[number % 3].acquire("a", START) == 0.0
            limiters[number % 3].update("a", 200, {}, None, START)
        assert [limiter.wait_time("a", START) for limiter in limiters] == [pytest.approx(2 + PAD)] * 3

    def test_the_first_request_of_all_processes_is_a_probe(self, limiters: list[DiscordRateLimiter]) -> None:
        """Nothing is known of the bucket before its response, so that no other request leaves meanwhile."""
        assert limiters[0].acquire("a", START) == 0.0
        assert limiters[1].acquire("a", START + 5) == pytest.approx(0.05)
        limiters[0].update("a", 200, headers(), None, START + 6)
        assert limiters[1].acquire("a", START + 6) == 0.0

    def test_a_killed_process_holds_nobody_up(self, limiters: list[DiscordRateLimiter]) -> None:
        """Nobody reports on its request, which counts as answered after ten seconds."""
        assert limiters[0].acquire("a", START) == 0.0
        assert limiters[1].acquire("a", START + 9.9) > 0.0
        assert limiters[1].acquire("a", START + 10.1) == 0.0

    def test_a_request_in_flight_may_count_after_the_reset(self, limiters: list[DiscordRateLimiter]) -> None:
        """Of the five requests of the next window, the one that arrives late takes one."""
        send(limiters[0], "a", START, headers(remaining=4))
        assert limiters[0].acquire("a", START + 1.9) == 0.0
        granted = [limiters[1 + number % 2].acquire("a", START + 2.1 + number / 100) for number in range(5)]
        assert [wait == 0.0 for wait in granted] == [True] * 4 + [False]

    def test_responses_that_come_in_another_order_give_nothing_back(self, limiters: list[DiscordRateLimiter]) -> None:
        """The response to the earlier request does not know of the later one."""
        send(limiters[0], "a", START, headers(remaining=4))
        assert limiters[0].acquire("a", START + 0.1) == 0.0
        assert limiters[1].acquire("a", START + 0.15) == 0.0
        limiters[1].update("a", 200, headers(remaining=2), None, START + 0.2)
        limiters[0].update("a", 200, headers(remaining=3), None, START + 0.3)
        assert limiters[2].budget("a", START + 0.3).bucket.left(START + 0.3) == 2

    @pytest.mark.parametrize("scope", ["user", "shared", "global", "edge"])
    def test_a_refusal_stops_all_processes(self, limiters: list[DiscordRateLimiter], scope: str) -> None:
        """Processes that do not know of a pause would all run into it."""
        body = "error code: 1015" if scope == "edge" else refusal(40, **{"global": scope == "global"})
        head = {"X-RateLimit-Scope": scope} if scope == "shared" else {"Retry-After": "40"} if scope == "edge" else {}
        refuse(limiters[0], START, body, head)
        assert [limiter.wait_time("a", START) for limiter in limiters] == [pytest.approx(40 + PAD)] * 3

    def test_one_process_probes_a_block(self, limiters: list[DiscordRateLimiter]) -> None:
        """While its probe is in flight, no other process may send; once it has passed, all may."""
        block(limiters[0], START)
        now = START + 60 + PAD
        assert limiters[1].acquire("a", now) == 0.0
        assert limiters[2].acquire("b", now) > 0.0
        limiters[1].update("a", 200, {}, None, now + 0.3)
        assert limiters[2].acquire("b", now + 0.3) == 0.0

    def test_processes_share_the_allowance_of_a_channel(self, limiters: list[DiscordRateLimiter]) -> None:
        """Also if they post to it through different webhooks."""
        for number in range(30):
            send(limiters[number % 3], "ab"[number % 2], START, {}, channel_id="7")
        assert [limiter.acquire("a", START) for limiter in limiters] == [pytest.approx(60 + PAD)] * 3

    def test_the_next_process_knows_the_limits(self, limiters: list[DiscordRateLimiter]) -> None:
        """A restart alone would cause a refusal."""
        send(limiters[0], "a", START, headers(remaining=0))
        limiters.clear()
        assert DiscordRateLimiter(shared=True).acquire("a", START) == pytest.approx(2 + PAD)

    def test_processes_take_turns(self, limiters: list[DiscordRateLimiter]) -> None:
        """The one that sent last lets the others go first, and all let a more urgent one go first."""
        for number, limiter in enumerate(limiters):
            send(limiter, "a", START + number, {})
        now = START + 10
        for limiter in limiters:
            limiter.budget("a", now)
        assert [limiter.budget("a", now).behind for limiter in limiters] == [0, 1, 2]
        limiters[2].budget("a", now, Urgency.ALARM)
        assert [limiter.budget("a", now).behind for limiter in limiters[:2]] == [1, 2]
        assert limiters[2].budget("a", now, Urgency.ALARM)[-2:] == (2, 0)

    def test_each_process_has_limits_of_its_own_settings(self, limiters: list[DiscordRateLimiter]) -> None:
        """Their requests count for each other all the same."""
        limiters[1].set_channel_limit("a", 3)
        for _ in range(3):
            send(limiters[0], "a", START, {})
        assert limiters[0].info("a", START)["channel"]["limit"] == 30
        assert limiters[1].info("a", START)["channel"] == {
            "limit": 3,
            "window": 60.0,
            "remaining": 0,
            "wait_time": pytest.approx(60 + PAD),
        }
        assert limiters[0].acquire("a", START) == 0.0

    def test_a_learned_limit_is_shared(self, limiters: list[DiscordRateLimiter]) -> None:
        """It falls and recovers for all."""
        refuse(limiters[0], START, refusal(30), {"X-RateLimit-Scope": "shared"})
        limits = [limiters[1].info("a", START + minutes * 60.125)["channel"]["limit"] for minutes in (0, 5, 10, 15, 20)]
        assert limits == [15, 23, 27, 29, 30]

    def test_invalid_requests_of_all_processes_count(self, limiters: list[DiscordRateLimiter]) -> None:
        """The ban is for the address."""
        for number in range(6):
            limiters[number % 3].update("a", 403, {}, {"code": 50013}, START)
        assert limiters[0].info("a", START)["invalid_requests"]["count"] == 6

    def test_a_reset_is_for_all_processes(self, limiters: list[DiscordRateLimiter]) -> None:
        """Otherwise another one would bring the limits back."""
        now = time.monotonic()
        refuse(limiters[0], now, refusal(50))
        limiters[1].reset("a")
        assert limiters[0].wait_time("a", now) == 0.0

    @pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b'{"all": 1}', b"\xff", b"{" * 9, b"1" * 5_000])
    def test_junk_in_the_memory_is_replaced(self, limiters: list[DiscordRateLimiter], content: bytes) -> None:
        """The limiter says that it found some, and goes on with what it knows."""
        send(limiters[0], "a", START, headers(remaining=0))
        page = SharedPage(rate_limiter._PAGE)
        with page.hold() as is_held:
            assert is_held
            assert page.write(content)
        assert limiters[0].info("a", START)["shared"]["reason"].startswith("the shared memory held no limits")
        assert limiters[0].acquire("a", START) > 0.0
        send(limiters[0], "b", START, {})
        assert limiters[1].acquire("a", START) > 0.0

    @settings(max_examples=100, deadline=None)
    @given(data=st.data(), junk=st.one_of(st.none(), st.integers(), st.text(max_size=9), st.lists(st.integers())))
    def test_no_value_in_the_memory_breaks_the_limiter(self, data: Any, junk: Any) -> None:
        """Any part may have another type than it should."""
        state = LimitState(30, 60.0, 50, {})
        for name in "ab":
            state.count(name, "host", "me", START)
            state.answered(name, "host", "me", START, status=200, info=RateLimitInfo(channel_id="7"))
        state.count("a", "host", "me", START)
        whole = to_data(state)
        part: Any = whole
        while isinstance(part, (dict, list)) and part:
            parent, key = part, data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
            part = part[key]
        parent[key] = junk
        read = LimitState(30, 60.0, 50, {})
        try:
            read_data(json.loads(json.dumps(whole)), read)
        except DATA_ERRORS:
            return
        assert read.wait_time("a", "host", "me", START) >= 0.0
        read.rivals(read.webhook("a", START), read.webhook("a", START).client("me"), START)
        json.dumps(to_data(read))

    def test_names_that_a_later_version_adds_are_ignored(self, limiters: list[DiscordRateLimiter]) -> None:
        """Two versions run side by side while a program is deployed."""
        send(limiters[0], "a", START, headers(remaining=0), channel_id="7")
        page = SharedPage(rate_limiter._PAGE)
        with page.hold():
            data = json.loads(page.read() or b"")
            for part in (data, data["webhooks"]["a"], data["webhooks"]["a"]["bucket"], *data["channels"]):
                part["later"] = 1
            page.write(json.dumps(data).encode())
        assert limiters[1].acquire("a", START) > 0.0

    def test_a_container_with_another_clock_has_limits_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beside its clock, all waits would be for hours."""
        send(DiscordRateLimiter(shared=True), "a", START + 100_000, headers(remaining=0))
        monkeypatch.setattr(shared_page, "name_space", lambda kind: f"another {kind}")
        assert DiscordRateLimiter(shared=True).acquire("a", START) == 0.0

    def test_more_than_there_is_room_for_is_not_shared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the limiter says so, and goes on alone."""
        monkeypatch.setattr(shared_page, "_ROOM", 1_000)
        limiter = DiscordRateLimiter(shared=True)
        for number in range(10):
            send(limiter, str(number), START, headers(remaining=0))
        assert limiter.info("0", START)["shared"] == {
            "active": False,
            "reason": "the shared memory has no room for all limits",
        }
        assert limiter.acquire("0", START) > 0.0

    def test_without_shared_memory_a_limiter_is_alone(
        self, limiters: list[DiscordRateLimiter], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A container may have none, or only such that it cannot write to."""
        monkeypatch.setenv("DISCORD_SHARED_MEMORY", "")
        send(limiters[0], "a", START, headers(remaining=0))
        assert limiters[0].acquire("a", START) > 0.0
        assert limiters[1].acquire("a", START) == 0.0
        assert limiters[0].info("a", START)["shared"] == {"active": False, "reason": "there is no shared memory"}

    def test_without_shared_memory_a_child_does_not_wait_for_its_parent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody would tell it of the response."""
        limiter = DiscordRateLimiter()
        assert limiter.acquire("a", START) == 0.0
        monkeypatch.setattr(os, "getpid", lambda: 1)
        assert limiter.acquire("a", START) == 0.0

    @contextlib.contextmanager
    def held_by_another(self) -> Iterator[None]:
        """Let the page be held by another process for as long as the test wants."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SharedFile, "lock", lambda *_: False)
            patch.setattr(shared_page, "_PATIENCE", 0.0)
            yield

    def test_a_pause_that_came_while_the_limits_were_held_is_kept(self, limiters: list[DiscordRateLimiter]) -> None:
        """What the others had written meanwhile replaced it."""
        send(limiters[0], "a", START, headers())
        with self.held_by_another():
            refuse(limiters[1], START, refusal(40), headers())
            assert limiters[1].wait_time("a", START) == pytest.approx(40 + PAD)
        send(limiters[0], "a", START, headers(remaining=3))
        assert limiters[1].acquire("a", START) == pytest.approx(40 + PAD)
        assert limiters[2].wait_time("a", START) == pytest.approx(40 + PAD)

    def test_requests_that_left_while_the_limits_were_held_count(self, limiters: list[DiscordRateLimiter]) -> None:
        """They count once, whether others wrote meanwhile or not."""
        send(limiters[0], "a", START, {})
        with self.held_by_another():
            send(limiters[1], "a", START, {})
        assert limiters[1].budget("a", START).channel_left == 28
        assert limiters[2].budget("a", START).channel_left == 28

    def test_nobody_waits_again_and_again_for_a_stopped_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first wait takes half a second; five seconds later there is another one."""
        waits: list[float] = []
        now = 100.0
        stopped = SimpleNamespace(monotonic=lambda: now + sum(waits), sleep=waits.append)
        monkeypatch.setattr(shared_page, "clock", stopped)
        monkeypatch.setattr(shared_page, "_has_other_clock", lambda: False)
        limiter = DiscordRateLimiter(shared=True)
        monkeypatch.setattr(SharedFile, "lock", lambda *_: False)
        found = []
        for later in (0.0, 0.0, 4.0, 2.0):
            before = sum(waits)
            now += later
            limiter.budget("a", START)
            found.append(round(sum(waits) - before, 2))
        assert found == [0.5, 0.0, 0.0, 0.5]
        assert limiter.info("a", START)["shared"]["reason"] == "another process holds the shared memory"

    def test_a_report_within_a_change_leaves_the_change_alone(
        self, limiters: list[DiscordRateLimiter], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A signal handler that calls `health` kept a request from being counted by the other processes."""
        count = LimitState.count

        def interrupt(state: LimitState, *arguments: Any) -> None:
            count(state, *arguments)
            limiters[0].info("a", START)

        monkeypatch.setattr(LimitState, "count", interrupt)
        send(limiters[0], "a", START, {})
        assert limiters[1].budget("a", START).channel_left == 29

    def test_a_lost_first_request_is_followed_by_a_single_one(self, limiters: list[DiscordRateLimiter]) -> None:
        """Nothing is known of the bucket as long as no response has come."""
        assert limiters[0].acquire("a", START) == 0.0
        limiters[0].failed("a", START + 1)
        assert [limiter.acquire("a", START + 1) == 0.0 for limiter in limiters] == [True, False, False]

    def test_a_learned_limit_stays_with_webhooks_of_other_limits(self, limiters: list[DiscordRateLimiter]) -> None:
        """A process that is set to less than another one took what had been learned for its own limit."""
        for webhook in "ab":
            send(limiters[0], webhook, START, {}, channel_id="7")
        for limiter, webhook, limit in ((limiters[0], "a", 60), (limiters[1], "a", 30), (limiters[1], "b", 30)):
            limiter.set_channel_limit(webhook, limit)
        refuse(limiters[0], START, refusal(30), {"X-RateLimit-Scope": "shared"})
        send(limiters[1], "b", START + 31, {})
        assert limiters[0].info("a", START + 31)["channel"]["limit"] == 30

    def test_without_a_limit_of_its_own_a_process_does_not_wait(self, limiters: list[DiscordRateLimiter]) -> None:
        """Others keep a limit for the same channel."""
        limiters[1].set_channel_limit("a", None)
        for _ in range(30):
            send(limiters[0], "a", START, {})
        assert limiters[0].wait_time("a", START) > 0.0
        assert limiters[1].acquire("a", START) == 0.0

    def test_a_process_that_died_holds_nobody_up(self, limiters: list[DiscordRateLimiter]) -> None:
        """Its request was the first one of the webhook, or the probe of a block."""
        pid = os.fork()
        if not pid:
            limiters[0].acquire("a", START)
            os._exit(0)
        os.waitpid(pid, 0)
        assert limiters[1].acquire("a", START) == 0.0
        block(limiters[2], START + 1, webhook="b")
        pid = os.fork()
        if not pid:
            limiters[0].acquire("c", START + 62)
            os._exit(0)
        os.waitpid(pid, 0)
        assert limiters[1].acquire("d", START + 62) == 0.0

    @pytest.mark.parametrize("pid", ["", "0", "-1", "99999999999999999999", "\u0663"])
    def test_a_client_with_an_odd_name_is_not_taken_for_dead(self, pid: str) -> None:
        """Another version of this package may name its processes in another way."""
        limiter = DiscordRateLimiter(shared=True)
        with limiter._lock(START):
            limiter._change(lambda state: state.count("a", "discord.com", f"{rate_limiter._SPACE}-{pid}-1", START))
        assert limiter.acquire("a", START) == pytest.approx(0.05)

    def test_a_process_whose_clock_stands_still_shares_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tests of a program took all limits of its service for those of long ago."""
        frozen = SimpleNamespace(monotonic=lambda: 1.9e9, sleep=time.sleep)
        with monkeypatch.context() as patch:
            patch.setattr(shared_page, "clock", frozen)
            limiter = DiscordRateLimiter(shared=True)
            send(limiter, "a", START, {})
            assert limiter.info("a", START)["shared"] == {
                "active": False,
                "reason": "the clock of this process is not that of the system",
            }
        assert DiscordRateLimiter(shared=True).budget("a", START).channel_left == 30

    def test_idle_webhooks_and_hosts_are_forgotten(self, limiters: list[DiscordRateLimiter]) -> None:
        """Each local Discord of a developer is a host and a webhook of its own."""
        for number in range(100):
            assert limiters[0].acquire(str(number), START + number, host=f"localhost:{number}") == 0.0
            limiters[0].update(str(number), 200, headers(), None, START + number, host=f"localhost:{number}")
        send(limiters[1], "a", START + 10_000, headers())
        assert (list(limiters[1]._state.webhooks), list(limiters[1]._state.hosts)) == (["a"], ["discord.com"])


class Rule(Protocol):
    """A limit as a server keeps it."""

    def wait(self, now: float) -> float:
        """Return the seconds until a request passes, or 0.0 if it passes at once."""

    def take(self, now: float) -> None:
        """Count a request."""

    def left(self, now: float) -> int:
        """Return how many requests pass at once."""

    def full_in(self, now: float) -> float:
        """Return the seconds until everything is left again."""


class FixedWindow:
    """A limit that counts per window of the server's own clock."""

    def __init__(self, limit: int, span: float, phase: float = 0.0) -> None:
        self.limit, self.span, self.phase = limit, span, phase
        self.counts: defaultdict[int, int] = defaultdict(int)

    def _window(self, now: float) -> int:
        return math.floor((now + self.phase) / self.span)

    def take(self, now: float) -> None:
        """Count a request."""
        self.counts[self._window(now)] += 1

    def left(self, now: float) -> int:
        """Return how many requests pass at once."""
        return max(0, self.limit - self.counts[self._window(now)])

    def full_in(self, now: float) -> float:
        """Return the seconds until everything is left again."""
        return (self._window(now) + 1) * self.span - self.phase - now

    def wait(self, now: float) -> float:
        """Return the seconds until a request passes, or 0.0 if it passes at once."""
        return 0.0 if self.left(now) else self.full_in(now)


class SlidingWindow:
    """A limit that remembers when each request came."""

    def __init__(self, limit: int, span: float, phase: float = 0.0) -> None:
        self.limit, self.span = limit, span
        self.times = deque([phase])

    def _recent(self, now: float) -> deque[float]:
        while self.times and self.times[0] + self.span <= now:
            self.times.popleft()
        return self.times

    def take(self, now: float) -> None:
        """Count a request."""
        self.times.append(now)

    def left(self, now: float) -> int:
        """Return how many requests pass at once."""
        return max(0, self.limit - len(self._recent(now)))

    def full_in(self, now: float) -> float:
        """Return the seconds until everything is left again."""
        return self._recent(now)[-1] + self.span - now

    def wait(self, now: float) -> float:
        """Return the seconds until a request passes, or 0.0 if it passes at once."""
        return 0.0 if self.left(now) else self.times[-self.limit] + self.span - now


class LeakyBucket:
    """A limit that drains at a steady rate."""

    def __init__(self, limit: int, span: float, phase: float = 0.0) -> None:
        self.limit, self.rate = limit, limit / span
        self.level, self.at = 0.0, phase

    def _level(self, now: float) -> float:
        self.level, self.at = max(0.0, self.level - (now - self.at) * self.rate), now
        return self.level

    def take(self, now: float) -> None:
        """Count a request."""
        self.level = self._level(now) + 1

    def left(self, now: float) -> int:
        """Return how many requests pass at once."""
        return math.floor(self.limit - self._level(now) + 1e-9)

    def full_in(self, now: float) -> float:
        """Return the seconds until everything is left again."""
        return self._level(now) / self.rate

    def wait(self, now: float) -> float:
        """Return the seconds until a request passes, or 0.0 if it passes at once."""
        return max(0.0, (self._level(now) - self.limit + 1 - 1e-9) / self.rate)


Kind = type[FixedWindow] | type[SlidingWindow] | type[LeakyBucket]
kinds = st.sampled_from([FixedWindow, SlidingWindow, LeakyBucket])


Response = tuple[int, dict[str, str], dict[str, object]]


class Server:
    """A server that keeps Discord's limits by given rules, for webhooks that post to one channel or several."""

    def __init__(
        self, bucket: Kind, channel: Kind, *, channels: int = 1, speaks: float = 1.0, phase: float = 0.0
    ) -> None:
        self.buckets: defaultdict[str, Rule] = defaultdict(lambda: bucket(5, 2.0, phase))
        self.allowances: defaultdict[int, Rule] = defaultdict(lambda: channel(30, 60.0, phase))
        self.whole = SlidingWindow(50, 1.0)
        self.channels = channels
        self.rng = dice(phase)
        self.speaks = speaks
        self.posted: list[float] = []
        self.refused: list[float] = []

    def respond(self, webhook: str, now: float) -> Response:
        """Return status, headers and body for a request that arrives now."""
        channel = int(webhook) % self.channels
        bucket, allowance = self.buckets[webhook], self.allowances[channel]
        for scope, rule in (("global", self.whole), ("user", bucket), ("shared", allowance)):
            if wait := rule.wait(now):
                self.refused.append(now)
                head = {} if scope == "global" else self.headers(bucket, now)
                head |= {"x-ratelimit-scope": scope, "retry-after": str(math.ceil(wait))}
                return 429, head, {"retry_after": wait, "global": scope == "global"}
            rule.take(now)
        self.posted.append(now)
        head = self.headers(bucket, now) if self.rng.random() < self.speaks or len(self.posted) == 1 else {}
        return 200, head, {"channel_id": str(channel)}

    @staticmethod
    def headers(bucket: Rule, now: float) -> dict[str, str]:
        """Return the headers that describe a bucket."""
        return headers(bucket.left(now), round(bucket.full_in(now) + 0.0005, 3))


def simulate(
    limiters: Sequence[DiscordRateLimiter],
    server: Server,
    *,
    webhooks: Iterable[str],
    seconds: float,
    latency: Callable[[], float],
    foreign: Iterable[float] = (),
    start: float = START,
) -> None:
    """Let webhooks post as fast as they may, each with one request in flight for each limiter, over a slow network."""
    order = itertools.count()
    clients = [(limiter, webhook) for webhook in webhooks for limiter in limiters]
    events: list[tuple[float, int, str, Any, Any]] = [(start, next(order), "ask", client, None) for client in clients]
    events += [(start + at, next(order), "foreign", None, None) for at in foreign]
    heapq.heapify(events)

    def later(delay: float, what: str, client: object, response: Any = None) -> None:
        heapq.heappush(events, (now + delay, next(order), what, client, response))

    while events:
        now, _, what, client, response = heapq.heappop(events)
        if what == "foreign":
            if not server.allowances[0].wait(now):
                server.allowances[0].take(now)
            continue
        limiter, webhook = client
        if what == "arrive":
            later(latency(), "response", client, server.respond(webhook, now))
            continue
        if what == "response":
            limiter.update(webhook, response[0], response[1], response[2], now)
        if now < start + seconds:
            wait = limiter.acquire(webhook, now)
            later(wait or latency(), "ask" if wait else "arrive", client)


class Network(NamedTuple):
    """The latencies of one way: a base with a random addition."""

    base: float
    jitter: float

    def latency(self, seed: int) -> Callable[[], float]:
        """Return a function that gives one latency after the other."""
        rng = dice(seed)
        return lambda: self.base + self.jitter * rng.random() ** 3


networks = st.sampled_from([Network(0.0, 0.0), Network(0.001, 0.002), Network(0.03, 0.1), Network(0.1, 1.5)])
seeds = st.integers(0, 10**6)
phases = st.floats(0, 60)


@pytest.mark.once
class TestAgainstServers:
    """In simulations, the limiter gets along with servers that count in their own ways."""

    @settings(max_examples=60, deadline=None)
    @given(bucket=kinds, channel=kinds, webhooks=st.integers(1, 3), network=networks, seed=seeds, phase=phases)
    @example(bucket=FixedWindow, channel=FixedWindow, webhooks=1, network=Network(0.0, 0.0), seed=0, phase=0.0)
    def test_no_request_is_refused(
        self, *, bucket: Any, channel: Any, webhooks: Any, network: Any, seed: Any, phase: Any
    ) -> None:
        """Ten minutes at full speed cause no 429 and hardly a loss, with fixed or sliding windows or leaky buckets."""
        server = Server(bucket, channel, phase=phase)
        names = [str(number) for number in range(webhooks)]
        simulate([DiscordRateLimiter()], server, webhooks=names, seconds=600, latency=network.latency(seed))
        assert server.refused == []
        assert len(server.posted) >= 0.9 * 300

    @settings(max_examples=25, deadline=None)
    @given(bucket=kinds, channel=kinds, processes=st.integers(2, 8), network=networks, seed=seeds, phase=phases)
    def test_no_request_of_several_processes_is_refused(
        self, *, bucket: Any, channel: Any, processes: Any, network: Any, seed: Any, phase: Any
    ) -> None:
        """Three minutes at full speed, with as many requests in flight as there are processes, cause no 429."""
        server = Server(bucket, channel, phase=phase)
        with tempfile.TemporaryDirectory() as memory, pytest.MonkeyPatch.context() as patch:
            patch.setenv("DISCORD_SHARED_MEMORY", memory)
            limiters = [DiscordRateLimiter(shared=True) for _ in range(processes)]
            simulate(limiters, server, webhooks=["0"], seconds=180, latency=network.latency(seed))
        assert server.refused == []
        assert len(server.posted) >= 0.7 * 90

    @settings(max_examples=30, deadline=None)
    @given(bucket=kinds, network=networks, seed=seeds, phase=phases, speaks=st.sampled_from([0.0, 0.3]))
    def test_a_server_that_seldom_sends_headers_is_obeyed(
        self, bucket: Any, network: Any, seed: Any, phase: Any, speaks: Any
    ) -> None:
        """The limiter makes up for the missing headers, even if only one response had any."""
        server = Server(bucket, SlidingWindow, speaks=speaks, phase=phase)
        limiter = DiscordRateLimiter()
        limiter.update("0", 200, headers(), None, START - 100)
        simulate([limiter], server, webhooks=["0"], seconds=600, latency=network.latency(seed))
        assert server.refused == []
        assert len(server.posted) >= 0.6 * 300

    @pytest.mark.parametrize("network", [Network(0.0, 0.0), Network(0.03, 0.1), Network(0.1, 1.5)])
    def test_the_global_limit_is_never_hit(self, network: Network) -> None:
        """Seventy webhooks on as many channels send as fast as they may, together nearly fifty a second."""
        server = Server(SlidingWindow, SlidingWindow, channels=70)
        names = [str(number) for number in range(70)]
        simulate([DiscordRateLimiter()], server, webhooks=names, seconds=5, latency=network.latency(1))
        assert server.refused == []
        assert len(server.posted) > (200 if network.jitter < 1 else 100)

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(channel=kinds, others=st.integers(3, 25), network=networks, seed=seeds)
    def test_refusals_are_rare_when_others_post_to_the_channel(
        self, channel: Any, others: Any, network: Any, seed: Any
    ) -> None:
        """Beside a steady foreign poster, the limiter finds its share, keeps it and seldom asks for more."""
        server = Server(SlidingWindow, channel)
        foreign = [60 / others * number for number in range(others * 15)]
        limiter = DiscordRateLimiter()
        simulate([limiter], server, webhooks=["0"], seconds=900, latency=network.latency(seed), foreign=foreign)
        assert len(server.refused) <= 20
        assert len(server.posted) >= 0.9 * 15 * (30 - others)

    def test_three_bursts_of_two_hundred_cause_no_refusal(self) -> None:
        """Six hundred requests in three bursts with pauses cause no 429."""
        server = Server(FixedWindow, FixedWindow)
        limiter = DiscordRateLimiter()
        for burst in range(3):
            server.posted.clear()
            simulate([limiter], server, webhooks=["0"], seconds=400, latency=lambda: 0.05, start=START + burst * 410)
            assert server.refused == []
            assert len(server.posted) >= 180
