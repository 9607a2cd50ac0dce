"""What the local Discord remembers: safe to be read by any thread while the server writes."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from ._models import Message, Request, Webhook, snowflake

if TYPE_CHECKING:
    from ._faults import Fault


class State:
    """Webhooks, threads, messages, requests and faults to come.

    Args:
        keep: How many messages and how many requests are kept; the oldest go first.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._changed = threading.Condition()
        self._webhooks: dict[str, Webhook] = {}
        self._threads: dict[str, str] = {}
        self._revision = 0
        self.clear()

    def clear(self) -> None:
        """Forget messages, requests, counts and faults; webhooks and threads stay."""
        with self._changed:
            self._revision += 1
            self._messages: dict[str, tuple[int, Message]] = {}
            self._requests: deque[Request] = deque(maxlen=self._keep)
            self._faults: deque[Fault] = deque()
            self._counts = dict.fromkeys(("messages", "requests", "rate_limited", "refused"), 0)

    def add_webhook(self, channel_id: str | None, *, forum: bool, requires_tags: bool) -> Webhook:
        """Make a webhook with a random id and token."""
        webhook_id = str(10**17 + secrets.randbelow(9 * 10**17))
        webhook = Webhook(webhook_id, secrets.token_urlsafe(51), channel_id or snowflake(), forum, requires_tags)
        with self._changed:
            self._webhooks[webhook.id] = webhook
        return webhook

    def webhook(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""
        with self._changed:
            return self._webhooks.get(webhook_id)

    def delete_webhook(self, webhook: Webhook) -> None:
        """Forget a webhook."""
        with self._changed:
            self._webhooks.pop(webhook.id, None)

    def add_thread(self, channel_id: str) -> str:
        """Open a thread in a channel."""
        thread_id = snowflake()
        with self._changed:
            self._threads[thread_id] = channel_id
        return thread_id

    def has_thread(self, thread_id: str, channel_id: str) -> bool:
        """Say whether the thread belongs to the channel."""
        with self._changed:
            return self._threads.get(thread_id) == channel_id

    def add_fault(self, fault: Fault, times: int) -> None:
        """Queue a fault for so many requests."""
        with self._changed:
            self._faults.extend([fault] * times)

    def next_fault(self) -> Fault | None:
        """Take the next fault."""
        with self._changed:
            return self._faults.popleft() if self._faults else None

    def begin(self, request: Request) -> None:
        """Note a request that arrived."""
        with self._changed:
            self._requests.append(request)
            self._counts["requests"] += 1

    def finish(self, request: Request, status: int | None, answer: bytes) -> None:
        """Note the answer to a request; no status is no answer."""
        with self._changed:
            request.finished, request.status, request.answer = time.monotonic(), status, answer
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                self._counts["rate_limited"] += 1
            elif status is not None and status >= HTTPStatus.BAD_REQUEST:
                self._counts["refused"] += 1

    def post(self, message: Message) -> None:
        """Add a message."""
        with self._changed:
            self._counts["messages"] += 1
            self._put(message)
            while len(self._messages) > self._keep:
                del self._messages[next(iter(self._messages))]
            self._changed.notify_all()

    def edit(self, message: Message) -> None:
        """Put a new version in the place of a message."""
        with self._changed:
            self._put(message)

    def delete(self, message: Message) -> None:
        """Take a message away."""
        with self._changed:
            self._revision += 1
            self._messages.pop(message.id, None)

    def message(self, message_id: str) -> Message | None:
        """Return a message."""
        with self._changed:
            _, message = self._messages.get(message_id, (0, None))
            return message

    def messages(self) -> list[Message]:
        """Return what stands in the channels, in order."""
        with self._changed:
            return [message for _, message in self._messages.values()]

    def requests(self) -> list[Request]:
        """Return copies of the requests, in order of arrival."""
        with self._changed:
            return [replace(request) for request in self._requests]

    def counts(self) -> dict[str, int]:
        """Return how many messages and requests arrived, and how many requests were answered with what."""
        with self._changed:
            return dict(self._counts)

    def wait_for(self, count: int, timeout: float) -> list[Message]:
        """Wait until `count` messages have arrived."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._counts["messages"] >= count, timeout):
                arrived = self._counts["messages"]
                raise TimeoutError(f"{arrived} of {count} messages have arrived after {timeout} s")
            return self.messages()

    def since(self, revision: int, most: int) -> tuple[int, list[str], list[Message]]:
        """Return the present revision, the ids of the newest `most` messages, and those changed since `revision`."""
        with self._changed:
            newest = list(self._messages.values())[-most:]
            changed = [message for changed_at, message in newest if changed_at > revision]
            return self._revision, [message.id for _, message in newest], changed

    def _put(self, message: Message) -> None:
        self._revision += 1
        self._messages[message.id] = (self._revision, message)
