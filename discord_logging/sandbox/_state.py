"""The state of the local Discord, which any thread may read while the server writes."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import replace
from http import HTTPStatus
from operator import itemgetter
from typing import TYPE_CHECKING

from ._history import memory
from ._models import Message, Request, Thread, Webhook, snowflake

if TYPE_CHECKING:
    from ._faults import Fault


class State:
    """Webhooks, threads, messages, requests and queued faults.

    Args:
        max_count: The largest number of messages, of requests and of threads; the oldest are removed first.
        max_bytes: The largest size of the messages, and of the requests, in bytes; the newest is always kept.
    """

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._webhooks: dict[str, Webhook] = {}
        self._tokens: dict[str, str] = {}
        self._threads: OrderedDict[str, Thread] = OrderedDict()
        self._revision = 0
        self._reset()

    def open(self) -> None:
        """Prepare for changes. A state in memory has nothing to prepare."""

    def close(self) -> None:
        """Undo `open`."""

    def clear(self) -> None:
        """Remove messages, requests, counts and faults; webhooks and threads stay."""
        with self._changed:
            self._reset()
            self._changed.notify_all()

    def _reset(self) -> None:
        self._revision += 1
        self._removed_at = self._revision
        self._messages: OrderedDict[str, tuple[int, Message]] = OrderedDict()
        self._message_bytes = 0
        self._requests: deque[Request] = deque()
        self._request_bytes = 0
        self._faults: deque[Fault] = deque()
        self._counts = dict.fromkeys(("messages", "requests", "rate_limited", "refused", "forgotten"), 0)

    def first_webhook(self) -> Webhook | None:
        """Return the oldest webhook."""
        with self._changed:
            return next(iter(self._webhooks.values()), None)

    def add_webhook(self, channel_id: str | None, *, forum: bool, requires_tags: bool) -> Webhook:
        """Make a webhook with a random id and token."""
        webhook_id = str(10**17 + secrets.randbelow(9 * 10**17))
        webhook = Webhook(webhook_id, secrets.token_urlsafe(51), channel_id or snowflake(), forum, requires_tags)
        self.put_webhook(webhook)
        return webhook

    def put_webhook(self, webhook: Webhook) -> None:
        """Add or replace a webhook."""
        with self._changed:
            self._webhooks[webhook.id] = webhook
            self._tokens[webhook.id] = webhook.token

    def webhook(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""
        with self._changed:
            return self._webhooks.get(webhook_id)

    def knows_token(self, webhook_id: str, token: str) -> bool:
        """Return whether the token is that of a webhook, or of one that was deleted."""
        with self._changed:
            return self._tokens.get(webhook_id) == token

    def delete_webhook(self, webhook: Webhook) -> None:
        """Remove a webhook."""
        with self._changed:
            self._webhooks.pop(webhook.id, None)

    def add_thread(self, channel_id: str, *, locked: bool = False) -> str:
        """Open a thread in a channel."""
        thread = Thread(snowflake(), channel_id, locked)
        self.put_thread(thread)
        return thread.id

    def put_thread(self, thread: Thread) -> None:
        """Add a thread, and remove the oldest threads if there are too many."""
        with self._changed:
            self._threads[thread.id] = thread
            while len(self._threads) > self._max_count:
                self._threads.popitem(last=False)

    def thread(self, thread_id: str) -> Thread | None:
        """Return a thread."""
        with self._changed:
            return self._threads.get(thread_id)

    def add_fault(self, fault: Fault, times: int) -> None:
        """Queue a fault for the given number of requests."""
        with self._changed:
            self._faults.extend([fault] * times)

    def next_fault(self) -> Fault | None:
        """Remove and return the next fault."""
        with self._changed:
            return self._faults.popleft() if self._faults else None

    def begin(self, request: Request) -> None:
        """Add a request that has arrived."""
        with self._changed:
            self._requests.append(request)
            self._request_bytes += request.size
            self._counts["requests"] += 1
            while self._too_many(len(self._requests), self._request_bytes):
                self._request_bytes -= self._requests.popleft().size

    def finish(self, request: Request, status: int | None, answer: bytes) -> None:
        """Note the response to a request; a status of `None` stands for no response."""
        with self._changed:
            request.finished, request.status, request.answer = time.monotonic(), status, answer
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                self._counts["rate_limited"] += 1
            elif status is not None and status >= HTTPStatus.BAD_REQUEST:
                self._counts["refused"] += 1

    def post(self, message: Message) -> None:
        """Add a message, and remove the oldest messages if there are too many."""
        with self._changed:
            self._put(message)
            self._counts["messages"] += 1

    def edit(self, message: Message) -> None:
        """Replace a message, unless it was removed in the meantime."""
        with self._changed:
            if message.id in self._messages:
                self._put(message)

    def delete(self, message: Message) -> None:
        """Remove a message."""
        with self._changed:
            self._revision += 1
            self._remove(message.id)
            self._changed.notify_all()

    def message(self, message_id: str) -> Message | None:
        """Return a message."""
        with self._changed:
            _, message = self._messages.get(message_id, (0, None))
            return message

    def messages(self) -> list[Message]:
        """Return the messages of all channels, in order."""
        with self._changed:
            return [message for _, message in self._messages.values()]

    def requests(self) -> list[Request]:
        """Return copies of the requests, in order of arrival."""
        with self._changed:
            return [replace(request) for request in self._requests]

    def counts(self) -> dict[str, int]:
        """Return the numbers of messages and requests, of 429s, of refused requests and of removed messages."""
        with self._changed:
            return dict(self._counts)

    def revision(self) -> int:
        """Return a number that grows with every change."""
        with self._changed:
            return self._revision

    def wait_for_change(self, revision: int, timeout: float) -> None:
        """Wait until the revision is another one, for at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._revision != revision, timeout)

    def since(self, revision: int, max_count: int, batch: int) -> tuple[int, list[str] | None, list[Message]]:
        """Return the changes since `revision` in the newest `max_count` messages, in batches.

        Returns:
            The revision to ask for next; the ids of the newest messages if a message was removed, else `None`; and at
            most `batch` new or edited messages.
        """
        with self._changed:
            newest = list(self._messages.values())[-max_count:]
            changed = sorted((item for item in newest if item[0] > revision), key=itemgetter(0))
            ids = [message.id for _, message in newest] if self._removed_at > revision else None
            reached = changed[batch - 1][0] if len(changed) > batch else self._revision
            return reached, ids, [message for _, message in changed[:batch]]

    def finished(self, since: float) -> list[Request]:
        """Return the requests that were finished after the monotonic time `since`, in order of arrival."""
        with self._changed:
            return [request for request in self._requests if (request.finished or 0.0) > since]

    def webhooks(self) -> list[Webhook]:
        """Return all webhooks."""
        with self._changed:
            return list(self._webhooks.values())

    def faults(self) -> int:
        """Return the number of queued faults."""
        with self._changed:
            return len(self._faults)

    def clear_faults(self) -> None:
        """Remove the queued faults."""
        with self._changed:
            self._faults.clear()

    def _too_many(self, count: int, size: int) -> bool:
        return count > self._max_count or (size > self._max_bytes and count > 1)

    def _put(self, message: Message) -> None:
        self._revision += 1
        _, old = self._messages.get(message.id, (0, None))
        self._messages[message.id] = (self._revision, message)
        self._message_bytes += memory(message) - (memory(old) if old else 0)
        while self._too_many(len(self._messages), self._message_bytes):
            self._remove(next(iter(self._messages)))
            self._counts["forgotten"] += 1
        self._changed.notify_all()

    def _remove(self, message_id: str) -> None:
        self._removed_at = self._revision
        _, message = self._messages.pop(message_id, (0, None))
        self._message_bytes -= memory(message) if message else 0
