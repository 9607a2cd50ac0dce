"""Tests of the rate limits, without a clock and through HTTP."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from discord_logging.sandbox import LocalDiscord
from discord_logging.sandbox._rate_limits import LeakyBucket, RateLimits, Verdict, Window

if TYPE_CHECKING:
    import requests


def limits(**settings: object) -> RateLimits:
    """Return limits that are off unless they are given."""
    off = {"webhook": None, "channel": None, "everybody": None, "invalid": None, "sliding": False}
    return RateLimits(**{**off, **settings})  # type: ignore[arg-type]  # a test sets what it needs


def test_a_window_opens_with_the_first_request() -> None:
    """Five requests pass, the sixth waits for the end, and then five pass again."""
    window = Window(5, 2.0)
    takes = [window.take(100.0 + step / 10) for step in range(6)]
    assert [take.allowed for take in takes] == [True] * 5 + [False]
    assert [take.remaining for take in takes] == [4, 3, 2, 1, 0, 0]
    assert takes[5].retry_after == takes[5].reset_after == pytest.approx(1.5)
    assert window.take(102.0).remaining == 4


def test_a_sliding_limit_frees_one_slot_at_a_time() -> None:
    """Retry-After is one slot, Reset-After is all slots, and a client that waits for Retry-After passes."""
    bucket = LeakyBucket(5, 2.0)
    assert [bucket.take(100.0).remaining for _ in range(5)] == [4, 3, 2, 1, 0]
    refused = bucket.take(100.1)
    assert not refused.allowed
    assert [refused.retry_after, refused.reset_after] == pytest.approx([0.3, 1.9])
    assert bucket.take(100.1 + refused.retry_after).allowed
    assert not bucket.take(100.5).allowed
    assert bucket.take(200.0).remaining == 4


def test_limits_are_taken_in_order() -> None:
    """The global limit comes first, then the bucket, then the channel, whose 429 shows a bucket with requests left."""
    some = limits(webhook=(2, 2.0), channel=(3, 60.0), everybody=(5, 1.0))
    passed = [some.take(webhook, "c", 0.0).scope for webhook in ("a", "a", "a", "b", "b")]
    assert passed == [None, None, "user", None, "shared"]
    everybody = some.take("b", "c", 0.5)
    assert (everybody.scope, everybody.retry_after, everybody.headers(0.0)) == ("global", 0.5, {})
    shared = some.take("z", "c", 10.0)
    assert (shared.scope, shared.retry_after) == ("shared", 50.0)
    assert shared.bucket is not None
    assert (shared.bucket.remaining, shared.bucket.reset_after) == (1, 2.0)
    assert some.take("z", None, 10.0).scope is None
    assert some.take(None, None, 10.0) == Verdict(None, 0.0, None)


def test_too_many_invalid_requests_ban_for_an_hour() -> None:
    """The ban begins with the last allowed request and ends by itself."""
    some = limits(invalid=(2, 600.0))
    some.count_invalid(0.0)
    assert not some.banned(0.0)
    some.count_invalid(1.0)
    assert some.banned(3600.0)
    assert not some.banned(3601.0)


def test_the_headers_describe_the_bucket(discord: LocalDiscord, http: requests.Session) -> None:
    """The headers have limit, remaining and reset; all webhooks share the hash but not the bucket."""
    other = discord.add_webhook()
    first, second, third = (http.post(url, json={}) for url in (discord.webhook_url, discord.webhook_url, other))
    assert [answer.headers["X-RateLimit-Remaining"] for answer in (first, second, third)] == ["4", "3", "4"]
    assert first.headers["X-RateLimit-Bucket"] == third.headers["X-RateLimit-Bucket"]
    assert 0 < float(second.headers["X-RateLimit-Reset-After"]) <= 2
    assert float(second.headers["X-RateLimit-Reset"]) > 1.7e9
    assert not {"Retry-After", "X-RateLimit-Scope", "X-RateLimit-Global"} & set(first.headers)


def test_the_webhook_limit_answers_429(http: requests.Session) -> None:
    """The body has the wait, the header has it rounded up, and refused requests count in the bucket."""
    with LocalDiscord(webhook_limit=(1, 30.5)) as local:
        http.post(local.webhook_url, json={})
        answer = http.post(local.webhook_url, json={"content": "x"})
        body = answer.json()
        assert (answer.status_code, body["message"], body["global"]) == (429, "You are being rate limited.", False)
        first, second = (request.time for request in local.requests)
        assert body["retry_after"] == pytest.approx(first + 30.5 - second, abs=0.002)
        assert answer.headers["Retry-After"] == str(math.ceil(body["retry_after"]))
        assert answer.headers["X-RateLimit-Scope"] == "user"
        assert (answer.headers["X-RateLimit-Remaining"], answer.headers["Via"]) == ("0", "1.1 google")
        assert http.get(local.webhook_url).status_code == 200
        assert local.messages == []


def test_the_channel_limit_is_hidden_until_it_hits(http: requests.Session) -> None:
    """All webhooks of the channel count, and the headers of the 429 show a bucket with requests left."""
    with LocalDiscord(channel_limit=(1, 40.0)) as local:
        http.post(local.webhook_url, json={"content": "x"})
        neighbour = local.add_webhook(channel_id=local.messages[0].channel_id)
        answer = http.post(neighbour, json={"content": "x"})
        assert (answer.status_code, answer.headers["X-RateLimit-Scope"]) == (429, "shared")
        assert answer.json()["message"] == "The resource is being rate limited."
        assert int(answer.headers["Retry-After"]) > 30
        assert answer.headers["X-RateLimit-Remaining"] == "4"
        assert float(answer.headers["X-RateLimit-Reset-After"]) <= 2
        assert http.post(local.add_webhook(), json={"content": "x"}).status_code == 204


def test_the_global_limit_has_no_bucket(http: requests.Session) -> None:
    """The response has only the wait, the scope and the flag."""
    with LocalDiscord(global_limit=(1, 30.0)) as local:
        http.get(local.webhook_url)
        answer = http.post(local.webhook_url, json={"content": "x"})
        assert (answer.status_code, answer.json()["global"]) == (429, True)
        assert (answer.headers["X-RateLimit-Global"], answer.headers["X-RateLimit-Scope"]) == ("true", "global")
        assert "X-RateLimit-Limit" not in answer.headers


def test_limits_that_are_off_do_not_show(unlimited: LocalDiscord, http: requests.Session) -> None:
    """There are no headers and no 429."""
    answers = [http.post(unlimited.webhook_url, json={"content": "x"}) for _ in range(60)]
    assert {answer.status_code for answer in answers} == {204}
    assert "X-RateLimit-Limit" not in answers[0].headers


def test_messages_of_a_webhook_have_one_bucket(http: requests.Session) -> None:
    """Posting, reading, editing and deleting count together, and requests for the webhook itself do not count."""
    with LocalDiscord(webhook_limit=(5, 60.0)) as local:
        http.get(local.webhook_url)
        message = http.post(local.webhook_url, params={"wait": "1"}, json={"content": "x"})
        url = f"{local.webhook_url}/messages/{message.json()['id']}"
        answers = [message, http.get(url), http.patch(url, json={"content": "y"}), http.delete(url), http.get(url)]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0"]
        assert len({answer.headers["X-RateLimit-Bucket"] for answer in answers}) == 1
        assert http.get(url).status_code == 429
        free = [http.get(local.webhook_url), http.patch(local.webhook_url, json={"name": "New"})]
        free.append(http.delete(local.webhook_url))
        assert [answer.status_code for answer in free] == [200, 200, 204]
        assert not any("X-RateLimit-Limit" in answer.headers for answer in free)


@pytest.mark.parametrize(("count_edits", "status"), [(True, 429), (False, 200)])
def test_the_channel_limit_may_count_edits(http: requests.Session, count_edits: bool, status: int) -> None:
    """Edits count by default, since a program that obeys it then meets no 429 from Discord, either way."""
    with LocalDiscord(channel_limit=(1, 60.0), count_edits=count_edits) as local:
        http.post(local.webhook_url, json={"content": "x"})
        url = f"{local.webhook_url}/messages/{local.messages[0].id}"
        assert http.get(url).status_code == 200
        assert http.patch(url, json={"content": "y"}).status_code == status


def test_edits_of_old_messages_have_a_limit_of_their_own(http: requests.Session) -> None:
    """From an hour on, a channel takes three edits; the 429 is known by its code, and its headers do not show it."""
    now = [1.8e9]
    with LocalDiscord(webhook_limit=(50, 60.0), clock=lambda: now[0]) as local:
        http.post(local.webhook_url, json={"content": "x"})
        url = f"{local.webhook_url}/messages/{local.messages[0].id}"

        def edit(times: int) -> list[requests.Response]:
            return [http.patch(url, json={"content": str(number)}) for number in range(times)]

        now[0] += 3600
        assert [answer.status_code for answer in edit(4)] == [200] * 4
        now[0] += 1
        *passed, limited = edit(4)
        assert [answer.status_code for answer in passed] == [200] * 3
        body = limited.json()
        assert (limited.status_code, body["code"], body["global"]) == (429, 30046, False)
        assert 0 < body["retry_after"] <= 6
        assert not {"Retry-After", "X-RateLimit-Scope"} & set(limited.headers)
        assert int(limited.headers["X-RateLimit-Remaining"]) > 0
        assert local.messages[0].content == "2"
        assert http.patch(url.replace("/v10", ""), json={"content": "x"}).json()["retry_after"] > 100
        assert http.post(local.webhook_url, json={"content": "new"}).status_code == 204


def test_a_sliding_limit_shows_both_times(http: requests.Session) -> None:
    """Retry-After is one slot, and Reset-After is all slots."""
    with LocalDiscord(sliding=True, webhook_limit=(2, 60.0)) as local:
        answers = [http.post(local.webhook_url, json={"content": "x"}) for _ in range(3)]
        assert answers[2].status_code == 429
        assert answers[2].json()["retry_after"] <= 30 < float(answers[2].headers["X-RateLimit-Reset-After"])


def test_hammering_gets_the_address_banned(http: requests.Session) -> None:
    """401s and 429s count, shared 429s do not; after the ban every response is from the edge."""
    with LocalDiscord(invalid_limit=(2, 600.0), webhook_limit=None, channel_limit=(1, 60.0)) as local:
        for _ in range(4):
            http.post(local.webhook_url, json={"content": "x"})
        for _ in range(2):
            assert http.post(local.webhook_url + "!", json={}).status_code == 401
        answer = http.post(local.webhook_url, json={"content": "x"})
        assert (answer.status_code, answer.json()["code"]) == (429, 0)
        assert "retry_after" not in answer.json()
        assert "Via" not in answer.headers


def test_use_of_a_deleted_webhook_gets_the_address_banned(http: requests.Session) -> None:
    """Each 404 for the webhook counts, and that for a message does not."""
    with LocalDiscord(invalid_limit=(2, 600.0)) as local:
        for _ in range(3):
            assert http.get(f"{local.webhook_url}/messages/1").json()["code"] == 10008
        http.delete(local.webhook_url)
        for _ in range(2):
            assert http.post(local.webhook_url, json={"content": "x"}).json()["code"] == 10015
        assert http.post(local.add_webhook(), json={"content": "x"}).status_code == 429
