"""HTTP responses in the forms that Discord and the edge in front of it send."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VIA = {"Via": "1.1 google"}

_BANNED = (
    "You are being blocked from accessing our API temporarily due to exceeding our rate limits frequently. "
    "Please read our docs at https://discord.com/developers/docs/topics/rate-limits to prevent this moving forward."
)
_EDGE_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Access denied | discord.com used Cloudflare to restrict access</title></head>"
    "<body><h1>Error 1015</h1><p>You are being rate limited</p><p>error code: 1015</p></body></html>\n"
)


@dataclass(frozen=True)
class Answer:
    """An HTTP response; a mapping or list as its body is sent as JSON, and text as UTF-8."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[dict[str, str], bytes]:
        """Return the headers, Content-Type included, and the body as bytes."""
        if isinstance(self.body, bytes):
            return dict(self.headers), self.body
        if isinstance(self.body, str):
            return {"Content-Type": "text/plain; charset=utf-8", **self.headers}, self.body.encode()
        return {"Content-Type": "application/json", **self.headers}, json.dumps(self.body).encode()


class Refusal(Exception):  # noqa: N818  # it never leaves the sandbox
    """A request is refused, with `answer` as the response."""

    def __init__(self, status: int, code: int, message: str, errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        body: dict[str, Any] = {"message": message, "code": code}
        self.answer = Answer(status, body if errors is None else {**body, "errors": errors})


def invalid_form(errors: Mapping[str, Any]) -> Refusal:
    """Return the refusal of a form with a tree of errors."""
    return Refusal(400, 50035, "Invalid Form Body", errors)


def general(status: int) -> Answer:
    """Return Discord's general response with a status."""
    return Answer(status, {"message": f"{status}: {phrase(status)}", "code": 0})


def phrase(status: int) -> str:
    """Return HTTP's reason phrase for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def rate_limited(retry_after: float, scope: str) -> Answer:
    """Return a 429 of the API: `retry_after` in seconds, `scope` user, shared or global."""
    subject = "The resource is" if scope == "shared" else "You are"
    body = {"message": f"{subject} being rate limited.", "retry_after": retry_after, "global": scope == "global"}
    headers = {"Retry-After": str(math.ceil(retry_after)), "X-RateLimit-Scope": scope}
    return Answer(429, body, headers | {"X-RateLimit-Global": "true"} if scope == "global" else headers)


def too_many_old_edits(retry_after: float) -> Answer:
    """Return the 429 for edits of messages older than an hour, which no header shows: `retry_after` in seconds."""
    message = "Maximum number of edits to messages older than 1 hour reached. Try again later"
    return Answer(429, {"message": message, "retry_after": retry_after, "global": False, "code": 30046})


def edge_page() -> Answer:
    """Return the page that Cloudflare sends to a blocked address."""
    return Answer(429, _EDGE_PAGE, {"Content-Type": "text/html; charset=UTF-8", "Server": "cloudflare"})


def edge_ban() -> Answer:
    """Return the static JSON for a banned address, which has neither a `Retry-After` nor rate limit headers."""
    return Answer(429, {"message": _BANNED, "code": 0}, {"Server": "cloudflare"})


def edge_text(status: int, text: str) -> Answer:
    """Return a short text of Cloudflare."""
    return Answer(status, text, {"Server": "cloudflare"})


def as_v6(answer: Answer) -> Answer:
    """Return the response in the form of API v6 and v7: times in milliseconds, and lists of errors for the tree."""
    if not isinstance(answer.body, dict):
        return answer
    if "retry_after" in answer.body:
        milliseconds = math.ceil(answer.body["retry_after"] * 1000)
        headers = {
            name: str(milliseconds) if name == "Retry-After" else value for name, value in answer.headers.items()
        }
        return Answer(answer.status, {**answer.body, "retry_after": milliseconds}, headers)
    if "errors" in answer.body:
        old = {key: _as_list(branch) for key, branch in answer.body["errors"].items()}
        return Answer(answer.status, old, answer.headers)
    return answer


def _as_list(branch: Any) -> list[str]:
    if isinstance(branch, dict):
        return [error["message"] for error in branch.get("_errors", [])] or list(branch)
    return [error["message"] for error in branch]
