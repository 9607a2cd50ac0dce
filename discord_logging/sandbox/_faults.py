"""Faults that can be injected between a client and Discord."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from . import _answers
from ._answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault that happens to one request.

    Attributes:
        status: The status of the response; `None` handles the request and responds as usual.
        body: The body of a response with `status`. A mapping is sent as JSON; `None` sends Discord's general body.
        headers: The headers of a response with `status`; `None` sends ``Via`` alone.
        delay: The time before the response, in seconds.
        save: Whether the message is saved, as usual, before the delay and whatever the response is.
        drop: Send no response, but ``"close"`` or ``"reset"`` the connection.
        drip: Send the response byte by byte, with this time in seconds between two bytes.
        raw: Send these bytes instead of a response, and close the connection.
    """

    status: int | None = None
    body: str | bytes | Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    delay: float = 0.0
    save: bool = False
    drop: Literal["close", "reset"] | None = None
    drip: float | None = None
    raw: bytes | None = None

    def __post_init__(self) -> None:
        if self.status is None and (self.body is not None or self.headers is not None):
            raise ValueError("body and headers need a status")

    @classmethod
    def rate_limited(cls, retry_after: float, scope: Literal["user", "shared", "global"] = "user") -> Fault:
        """Return a 429 of the API with a wait of `retry_after` seconds."""
        answer = _answers.rate_limited(retry_after, scope)
        headers = {**_answers.VIA, **answer.headers}
        if scope != "global":
            # The headers do not show the channel's limit: their bucket still has requests left.
            remaining, reset_after = (4, 2.0) if scope == "shared" else (0, retry_after)
            headers |= {
                "X-RateLimit-Limit": "5",
                "X-RateLimit-Remaining": str(remaining),
                "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
                "X-RateLimit-Reset-After": f"{reset_after:.3f}",
                "X-RateLimit-Bucket": "faulty",
            }
        return cls(status=429, body=answer.body, headers=headers)

    @classmethod
    def edge_block(cls, *, json: bool = False, retry_after: int | None = None) -> Fault:
        """Return a refusal by the edge in front of Discord.

        Args:
            json: Whether to send the static JSON for a banned address instead of the HTML page for error 1015.
            retry_after: The ``Retry-After`` header, in seconds; `None` (the default) sends no such header.
        """
        answer = _answers.edge_ban() if json else _answers.edge_page()
        wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return cls(status=429, body=answer.body, headers={**answer.headers, **wait})

    @classmethod
    def webhook_deleted(cls) -> Fault:
        """Return the 404 for a deleted webhook."""
        return cls(status=404, body={"message": "Unknown Webhook", "code": 10015})

    @classmethod
    def dropped(cls, *, save: bool = False, reset: bool = False) -> Fault:
        """Return a connection that is lost before the response.

        Args:
            save: Whether the message is saved first.
            reset: Whether the connection is reset instead of closed.
        """
        return cls(drop="reset" if reset else "close", save=save)

    @classmethod
    def stall(cls, seconds: float, *, save: bool = False) -> Fault:
        """Return a delay of `seconds` before the response.

        Args:
            seconds: The delay, in seconds.
            save: Whether the message is saved before the delay. Otherwise it is saved after the delay, unless the
                client has closed the connection by then.
        """
        return cls(delay=seconds, save=save)

    @classmethod
    def dripping(cls, interval: float) -> Fault:
        """Return an ordinary response that is sent byte by byte, every `interval` seconds; the message is saved."""
        return cls(drip=interval, save=True)

    @classmethod
    def malformed(cls, *, save: bool = False) -> Fault:
        """Return a response that is not HTTP."""
        return cls(raw=b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n", save=save)

    def answer(self) -> Answer | None:
        """Return the response that replaces the ordinary one, or `None`."""
        if self.status is None:
            return None
        body = _answers.general(self.status).body if self.body is None else self.body
        return Answer(self.status, body, _answers.VIA if self.headers is None else self.headers)


TROUBLES: dict[str, Callable[[], Fault]] = {
    "rate_limited": lambda: Fault.rate_limited(2.0),
    "channel_limited": lambda: Fault.rate_limited(5.0, "shared"),
    "server_error": lambda: Fault(status=500),
    "slow": lambda: Fault.stall(5.0),
    "drop": Fault.dropped,
    "edge_block": Fault.edge_block,
}
"""The faults that the page can inject, by the names of its buttons."""
