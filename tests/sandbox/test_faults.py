"""Tests of injected faults, as a client meets them."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from discord_logging.sandbox import Fault, LocalDiscord


def post(local: LocalDiscord, http: requests.Session, **settings: Any) -> requests.Response:
    """Post a message."""
    return http.post(local.webhook_url, json={"content": "x"}, **settings)


def wait_until_finished(local: LocalDiscord) -> None:
    """Wait until the server is done with the first request."""
    deadline = time.monotonic() + 5
    while not local.requests or local.requests[0].finished is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_faults_come_in_order_and_only_to_posts(unlimited: LocalDiscord, http: requests.Session) -> None:
    """Faults meet posts in the order in which they were queued and for the given number of times."""
    first, second = Fault(status=502), Fault(status=503)
    unlimited.fail_next(first, times=2)
    unlimited.fail_next(second)
    assert http.get(unlimited.webhook_url).status_code == 200
    assert [post(unlimited, http).status_code for _ in range(4)] == [502, 502, 503, 204]
    assert [request.fault for request in unlimited.requests] == [None, first, first, second, None]
    assert len(unlimited.messages) == 1


@pytest.mark.parametrize(
    ("fault", "text", "content_type"),
    [
        (Fault(status=502), '{"message": "502: Bad Gateway", "code": 0}', "application/json"),
        (Fault(status=599, body=None), '{"message": "599: Unknown", "code": 0}', "application/json"),
        (Fault(status=200, body={"id": None}), '{"id": null}', "application/json"),
        (Fault(status=429, body="slow down"), "slow down", "text/plain; charset=utf-8"),
        (Fault(status=500, body=b"\xff", headers={"Content-Type": "x/y"}), "\xff", "x/y"),
    ],
)
def test_any_answer_can_be_scripted(
    unlimited: LocalDiscord, http: requests.Session, fault: Fault, text: str, content_type: str
) -> None:
    """Status, body and headers are the given ones."""
    http.hooks["response"].clear()  # they need not be as Discord describes them
    unlimited.fail_next(fault)
    answer = post(unlimited, http)
    assert (answer.status_code, answer.headers["Content-Type"]) == (fault.status, content_type)
    assert answer.content.decode("latin-1") == text
    assert ("Via" in answer.headers) == (fault.headers is None)


def test_an_argument_that_is_not_a_fault_is_refused_at_once(unlimited: LocalDiscord) -> None:
    """`fail_next` raises the error, and not the next request."""
    with pytest.raises(TypeError, match=r"fault must be a Fault such as Fault\.rate_limited\(2\), not 503"):
        unlimited.fail_next(503)  # type: ignore[arg-type]


def test_a_body_needs_a_status() -> None:
    """A fault with a body and no status is an error, because the body would be ignored."""
    with pytest.raises(ValueError, match="need a status"):
        Fault(body="x")


def test_a_saved_message_may_get_any_answer(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The message is stored although the response is an error."""
    unlimited.fail_next(Fault(status=504, save=True))
    assert post(unlimited, http).status_code == 504
    assert len(unlimited.messages) == 1


@pytest.mark.parametrize(
    ("scope", "remaining", "is_global"), [("user", "0", False), ("shared", "4", False), ("global", None, True)]
)
def test_a_429_of_each_scope_has_its_headers(
    unlimited: LocalDiscord, http: requests.Session, scope: Any, remaining: str | None, *, is_global: bool
) -> None:
    """The headers are those that Discord sends for the scope."""
    unlimited.fail_next(Fault.rate_limited(1.25, scope))
    answer = post(unlimited, http)
    assert (answer.json()["retry_after"], answer.json()["global"]) == (1.25, is_global)
    assert (answer.headers["Retry-After"], answer.headers["X-RateLimit-Scope"]) == ("2", scope)
    assert answer.headers.get("X-RateLimit-Remaining") == remaining
    assert answer.headers["Via"] == "1.1 google"


def test_edge_blocks_do_not_look_like_the_api(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The body is HTML for error 1015 or static JSON, without Via, and with a Retry-After only on request."""
    unlimited.fail_next(Fault.edge_block())
    unlimited.fail_next(Fault.edge_block(json=True, retry_after=60))
    page, static = post(unlimited, http), post(unlimited, http)
    assert (page.status_code, static.status_code) == (429, 429)
    assert "1015" in page.text
    assert page.headers["Content-Type"].startswith("text/html")
    assert (static.json()["code"], "retry_after" in static.json()) == (0, False)
    assert ("Retry-After" in page.headers, static.headers["Retry-After"]) == (False, "60")
    assert "Via" not in {**page.headers, **static.headers}


def test_a_deleted_webhook_is_404(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The response is a 404 with the code 10015."""
    unlimited.fail_next(Fault.webhook_deleted())
    assert post(unlimited, http).json()["code"] == 10015


@pytest.mark.parametrize("save", [False, True])
@pytest.mark.parametrize(("reset", "message"), [(False, "without response"), (True, "reset by peer")])
def test_a_connection_can_be_lost(
    unlimited: LocalDiscord, http: requests.Session, message: str, *, save: bool, reset: bool
) -> None:
    """The connection is closed or reset, and the message is saved or not."""
    unlimited.fail_next(Fault.dropped(save=save, reset=reset))
    with pytest.raises(requests.ConnectionError, match=message):
        post(unlimited, http)
    assert len(unlimited.messages) == save
    assert unlimited.requests[0].status is None


def test_a_response_can_be_malformed(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The client cannot read bytes that are not HTTP."""
    unlimited.fail_next(Fault.malformed(save=True))
    with pytest.raises(requests.ConnectionError, match="not HTTP"):
        post(unlimited, http)
    assert len(unlimited.messages) == 1


@pytest.mark.parametrize("save", [False, True])
def test_a_stall_ends_with_the_answer(unlimited: LocalDiscord, http: requests.Session, *, save: bool) -> None:
    """A client that waits long enough gets the response."""
    unlimited.fail_next(Fault.stall(0.05, save=save))
    started = time.monotonic()
    assert post(unlimited, http).status_code == 204
    assert time.monotonic() - started >= 0.05
    assert len(unlimited.messages) == 1


@pytest.mark.parametrize("save", [False, True])
def test_a_client_that_gives_up_leaves_no_late_message(
    unlimited: LocalDiscord, http: requests.Session, *, save: bool
) -> None:
    """A message that was not saved before the stall is not saved after it."""
    unlimited.fail_next(Fault.stall(0.5, save=save))
    with pytest.raises(requests.ReadTimeout):
        post(unlimited, http, timeout=0.05)
    http.close()
    wait_until_finished(unlimited)
    assert (unlimited.requests[0].status, len(unlimited.messages)) == (None, save)


def test_a_response_can_arrive_byte_by_byte(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The response is complete in the end, and every byte takes its time."""
    unlimited.fail_next(Fault.dripping(0.0001))
    unlimited.fail_next(Fault(status=500, body="oh", drip=0.0001))
    assert post(unlimited, http).status_code == 204
    dripped = post(unlimited, http)
    assert (dripped.status_code, dripped.reason, dripped.text) == (500, "Internal Server Error", "oh")
    assert unlimited.requests[1].status == 500


def test_a_drip_ends_when_the_client_disconnects(unlimited: LocalDiscord, http: requests.Session) -> None:
    """The server stops writing to a closed connection."""
    unlimited.fail_next(Fault.dripping(0.2))
    with pytest.raises(requests.ReadTimeout):
        post(unlimited, http, timeout=0.05)
    http.close()
    wait_until_finished(unlimited)
    assert (unlimited.requests[0].status, len(unlimited.messages)) == (None, 1)
