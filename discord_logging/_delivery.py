"""What happens to waiting records: the reaction to every answer, one step at a time.

`Delivery.step` sends at most one message and says how long to wait before the next step. It never sleeps and starts
nothing, so every row of the table of reactions can be stepped through with a fake sender and a fake clock.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from discord_logging import _limits
from discord_logging._compose import compose, compose_plain
from discord_logging._exceptions import TransportError
from discord_logging._retry import Backoff, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discord_logging._backlog import Backlog
    from discord_logging._rate_limiter import DiscordRateLimiter
    from discord_logging._snapshot import FrozenRecord
    from discord_logging._types import Message
    from discord_logging._webhook_sender import Answer, WebhookSender
    from discord_logging._webhook_url import WebhookURL

_logger = logging.getLogger("discord_logging")


class Delivery:
    """Moves the records of one backlog to one webhook.

    Args:
        url: The webhook.
        backlog: What waits.
        sender: Posts a message.
        limiter: Says when a message may be posted.
        clock: The monotonic clock, in seconds.
    """

    def __init__(
        self,
        url: WebhookURL,
        backlog: Backlog,
        sender: WebhookSender,
        limiter: DiscordRateLimiter,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backoff = Backoff((2.0, 3.0, 5.0), 60.0)
        """How long to wait after failures."""
        self.not_before = float("-inf")
        """When the next step is worth taking, on the clock."""
        self.status = "ok"
        self.reason = ""
        self.requests = 0
        self.rate_limited: Counter[str] = Counter()
        self.last_success: str | None = None
        self.last_error: dict[str, str] | None = None
        self._url = url
        self._backlog = backlog
        self._sender = sender
        self._limiter = limiter
        self._clock = clock
        self._failures = 0
        self._batch_size = _limits.EMBEDS_PER_MESSAGE
        self._as_plain_text = False

    def step(self) -> float:
        """Send at most one message. Blocks for as long as the sender does.

        Returns:
            The seconds until the next step is worth taking; 0 is at once.
        """
        now = self._clock()
        if self.status == "stopped":
            self._backlog.drop_waiting("webhook_gone")
            return 0.0
        if now < self.not_before:
            return self.not_before - now
        if delay := self._limiter.acquire(self._url.key, now, host=self._url.host):
            self.not_before = now + delay
            return delay
        if records := self._backlog.take(self._batch_size):
            self._send(records)
        return max(self.not_before - self._clock(), 0.0)

    def _send(self, records: Sequence[FrozenRecord]) -> None:
        message, count = self._compose(records)
        self._backlog.put_back(records[count:])
        records = records[:count]
        self.requests += 1
        try:
            answer = self._sender.post(message)
        except TransportError as error:
            self._limiter.failed(self._url.key, self._clock(), host=self._url.host)
            self._backlog.put_back(records)
            self._back_off(str(error))
            return
        hit = self._limiter.update(
            self._url.key, answer.status, answer.headers, answer.body, self._clock(), host=self._url.host
        )
        if hit is None:
            self._react(answer, records)
        else:
            self._backlog.put_back(records)
            self.rate_limited[hit.scope] += 1
            self._set_status("blocked" if hit.scope == "edge" else "limited", f"rate limit, scope {hit.scope}")

    def _compose(self, records: Sequence[FrozenRecord]) -> tuple[Message, int]:
        return (compose_plain(records[0]), 1) if self._as_plain_text else compose(records)

    def _react(self, answer: Answer, records: Sequence[FrozenRecord]) -> None:
        verdict = judge(answer)
        if verdict is Verdict.DELIVERED:
            self._backlog.settle(records)
            self._failures = 0
            self._batch_size, self._as_plain_text = _limits.EMBEDS_PER_MESSAGE, False
            self.last_success = _now()
            self._set_status("ok", "")
        elif verdict is Verdict.UNAVAILABLE:
            self._backlog.put_back(records)
            self._back_off(answer.reason)
        elif verdict is Verdict.REJECTED:
            self._isolate(answer, records)
        else:
            self._backlog.settle(records, "webhook_gone")
            self._backlog.drop_waiting("webhook_gone")
            self._set_status("stopped", answer.reason)
            say(f"webhook {self._url.id} cannot be posted to any more: {answer.reason}")

    def _isolate(self, answer: Answer, records: Sequence[FrozenRecord]) -> None:
        """Halve what was refused until the bad record stands alone, then send that as plain text, then drop it."""
        self._note_error(answer.reason)
        if len(records) > 1:
            self._backlog.put_back(records)
            self._batch_size = len(records) // 2
        elif not self._as_plain_text:
            self._backlog.put_back(records)
            self._batch_size, self._as_plain_text = 1, True
        else:
            self._backlog.settle(records, "rejected")
            self._batch_size, self._as_plain_text = _limits.EMBEDS_PER_MESSAGE, False
            _logger.warning("Discord refused a record, which is dropped: %s", answer.reason)

    def _back_off(self, reason: str) -> None:
        self._failures += 1
        self.not_before = self._clock() + self.backoff.delay(self._failures, random.random())  # noqa: S311 - jitter
        self._note_error(reason)
        self._set_status("retrying", reason)

    def _note_error(self, reason: str) -> None:
        self.last_error = {"time": _now(), "reason": reason}

    def _set_status(self, status: str, reason: str) -> None:
        if status not in ("ok", self.status):
            _logger.warning("Discord webhook %s is %s: %s", self._url.id, status, reason)
        self.status, self.reason = status, reason

    def health(self) -> dict[str, Any]:
        """Return status, reason and what was counted, as plain data."""
        waits = self.status == "ok" and self.not_before > self._clock()
        return {
            "status": "limited" if waits else self.status,
            "reason": self.reason,
            "requests": self.requests,
            "rate_limited": dict(self.rate_limited),
            "last_success": self.last_success,
            "last_error": self.last_error,
        }


def say(text: str) -> None:
    """Write one line to stderr, if there is one."""
    try:
        sys.stderr.write(f"discord_logging: {text}\n")
    except (AttributeError, OSError, ValueError):  # no stderr (pythonw), a broken pipe, or a closed one
        return


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
