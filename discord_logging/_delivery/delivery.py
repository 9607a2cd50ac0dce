"""What happens to waiting records: the reaction to every answer, one step at a time.

`Delivery.take` says which entries may leave now, or how long to wait; `deliver` posts them. Neither sleeps or starts
anything, so that every reaction can be stepped through with a fake sender and a fake clock.

A message that fails goes back to where its records waited, and the next step composes anew, so that a backlog folds
while Discord is away. Which entries the next message is made of while one is in trouble, `quarantine` knows.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._cards.compose import compose, compose_plain, put_above
from discord_logging._cards.plain_text import clock_time
from discord_logging._delivery.backoff import Backoff
from discord_logging._delivery.quarantine import Quarantine
from discord_logging._discord import lengths
from discord_logging._discord.outcome import NO_FORUM, UNKNOWN_CHANNEL, UNKNOWN_TAG, Outcome, classify
from discord_logging._discord.pace import plan
from discord_logging._exceptions import TransportError
from discord_logging._process.diagnostics import say, warn
from discord_logging._records.settings import MENTION
from discord_logging._text.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discord_logging._backlogs.base import Backlog
    from discord_logging._backlogs.entry import Entry
    from discord_logging._discord.pace import Waiting
    from discord_logging._discord.rate_limiter import DiscordRateLimiter
    from discord_logging._discord.sender import Response, WebhookSender
    from discord_logging._discord.types import Message, Payload
    from discord_logging._discord.webhook_url import WebhookURL
    from discord_logging._health import DropReason, Status

_MAX_FAILURES = 1000
"""The number of failures after which the back-off has certainly reached its maximum."""
_POLL = 0.1
"""Seconds between looks for something more urgent, while a message waits for its turn."""
_SMOOTHING = 0.25
"""The weight of the newest request in the moving mean of how long one takes."""
_MIN_RETRY = 1.0
"""The shortest `Retry-After` that is believed, in seconds: a server that is down is not to be hammered."""
_MAX_RETRY = 900.0
"""The longest `Retry-After` that is obeyed, in seconds."""
_MIN_DELAY = 2.0
"""The shortest delay that the next card reports, in seconds."""


class _Result(NamedTuple):
    """What became of a message.

    Attributes:
        outcome: What the response means.
        reason: The response in words.
        retry_after: The seconds that the server asks to wait, or `None`.
        message_id: The id of the message in the channel, or `None`.
    """

    outcome: Outcome
    reason: str
    retry_after: float | None = None
    message_id: str | None = None


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
        self.max_lag = 5.0
        """Seconds that a record may wait while the limits allow it to leave."""
        self.mention_interval = 300.0
        """Seconds within which nobody is notified twice."""
        self.deadlines: list[float] = []
        """When those who flush give up, on the clock. Others append and remove."""
        self.is_last = False
        """Whether nothing more is to come, and what is not sent now is lost."""
        self.not_before = float("-inf")
        """When the next step is worth taking, on the clock."""
        self._url = url
        self._backlog = backlog
        self._sender = sender
        self._limiter = limiter
        self._clock = clock
        self._status: Status = "ok"
        self._reason = ""
        self._requests = self._retries = 0
        self._took = 0.0  # seconds that a request takes, as a moving mean
        self._messages = 1  # the number of messages that may carry the backlog
        self._has_overtaken = False  # whether the last message left older records behind
        self._rate_limited: Counter[str] = Counter()
        self._last_success: str | None = None
        self._last_error: dict[str, str] | None = None
        self._held_up_since: float | None = None
        self._reported: Counter[tuple[DropReason, str]] = Counter()  # the losses that the channel knows of
        self._reporting: Counter[tuple[DropReason, str]] = Counter()  # and those that the message in flight reports
        self._reported_at = clock_time(time.time())
        self._given_up: set[str] = set()  # names of settings, or ids of threads, that Discord refuses
        self._posts: dict[str, str] = {}  # the thread that was opened in a forum, by its name
        self._mentioning: Sequence[str] = ()  # whom the message that is under way notifies
        self._mentioned: dict[str, float] = {}
        self._failures = 0  # in a row
        self._quarantine = Quarantine()

    def step(self) -> float:
        """Send at most one message. Blocks for as long as the sender does.

        Returns:
            The seconds until the next step is worth taking; 0 is at once.
        """
        entries, delay = self.take()
        if not entries:
            return delay
        self.deliver(entries)
        return max(self.not_before - self._clock(), 0.0)

    def take(self) -> tuple[Sequence[Entry], float]:
        """Lease the entries for the next message, if it may leave now.

        Returns:
            The entries, and the seconds until it is worth asking again if there are none.
        """
        now = self._clock()
        if self._status == "stopped":
            self._backlog.drop("webhook_gone")
            return (), 0.0
        waiting = self._backlog.peek()
        # A record that is held back is no reason to ask the limiter, which would count a request that is never sent.
        if not waiting.records:
            return (), 0.0
        if now < self.not_before:
            return (), self.not_before - now
        if delay := self._wait_for_turn(waiting, now):
            return (), delay
        if delay := self._limiter.acquire(self._url.key, now, host=self._url.host):
            self.not_before = now + delay
            return (), delay
        entries = self._quarantine.lease(self._backlog, waiting)
        if not entries:
            self._limiter.failed(self._url.key, now, host=self._url.host)
        return entries, 0.0

    def _wait_for_turn(self, waiting: Waiting, now: float) -> float:
        """Return the seconds until it is worth asking again for a turn, 0 if the next message has it."""
        # Ctrl-C may have left one behind.
        deadline = min((deadline for deadline in list(self.deadlines) if deadline > now), default=math.inf)
        waiting = waiting._replace(deadline=deadline, is_last=self.is_last)
        budget = self._limiter.budget(self._url.key, now)
        wait, self._messages = plan(waiting, budget, now=now, took=self._took, max_lag=self.max_lag)
        return min(wait, _POLL)

    def deliver(self, leased: Sequence[Entry]) -> None:
        """Post a message of leased entries, and do what the response asks for. Blocks as the sender does."""
        result, entries = self._try(leased)
        outcome, quarantine = result.outcome, self._quarantine
        if outcome is Outcome.DELIVERED:
            self._delivered(entries, result.message_id)
            return
        if self._held_up_since is None:
            self._held_up_since = self._clock()
        self._last_error = {"time": _now(), "reason": result.reason}
        maybe_saved = outcome is Outcome.MAYBE_SAVED
        is_refused = outcome is Outcome.REJECTED or quarantine.is_refusal(entries, maybe_saved=maybe_saved)
        if outcome is Outcome.GONE:
            self._stop(result.reason)
        elif is_refused and entries[0] is quarantine.plain:
            self._drop(entries, result.reason)
        else:
            self._backlog.requeue(entries, maybe_saved=maybe_saved)
            if is_refused:
                quarantine.refused(entries)
            elif outcome in (Outcome.NOT_SAVED, Outcome.MAYBE_SAVED):
                quarantine.failed(entries, maybe_saved=maybe_saved)
        if outcome in (Outcome.NOT_SAVED, Outcome.MAYBE_SAVED):
            self._back_off(result, is_refused=is_refused)

    def _try(self, leased: Sequence[Entry]) -> tuple[_Result, Sequence[Entry]]:
        """Post a message for the first of the entries; return what became of it, and the entries that it carried."""
        try:
            message, entries = self._compose(leased)
        except Exception as error:  # noqa: BLE001 - an override of the user's may lay out what is no card
            self._note_unanswered()
            return _Result(Outcome.REJECTED, f"no message can be made of it: {type(error).__name__}"), leased
        carried = set(entries)
        self._backlog.requeue([entry for entry in leased if entry not in carried])
        self._requests += 1
        self._retries += self._failures > 0
        return self._send(message), entries

    def _compose(self, leased: Sequence[Entry]) -> tuple[Message, Sequence[Entry]]:
        self._mentioning = ()
        if leased[0] is self._quarantine.plain:
            return self._redirect(compose_plain(leased[0].record)), leased[:1]
        entry_of = {entry.record: entry for entry in leased}
        records = list(entry_of)
        # A message in trouble is tried again, however urgent the rest is, and nobody is overtaken twice in a row.
        keeps_order = self._has_overtaken or self._quarantine.holds(leased[0])
        head = records[0] if keeps_order else max(entry_of, key=lambda record: entry_of[record].urgency)
        composed = compose(records, head=head, allowance=self._messages, note=self._note())
        self._has_overtaken = composed.records[0] is not records[0]
        self._report_losses(composed.message.payload)
        self._mention(composed.message.payload, composed.message.mentions)
        return self._redirect(composed.message), [entry_of[record] for record in composed.records]

    def _redirect(self, message: Message) -> Message:
        """Leave out what Discord refused before, and go to the post that is open already."""
        payload, thread_id = message.payload, message.thread_id
        if thread_id in self._given_up:
            thread_id = None
        if post := self._posts.get(payload.get("thread_name", "")):
            thread_id = post
        is_open = thread_id or "thread_name" in self._given_up
        for name in self._given_up | ({"thread_name", "applied_tags"} if is_open else set()):
            payload.pop(name, None)  # type: ignore[misc]  # it is one of the optional keys
        return message._replace(thread_id=thread_id)

    def _mention(self, payload: Payload, mentions: Sequence[str]) -> None:
        """Notify those who were not notified for a while."""
        since = self._clock() - self.mention_interval
        due = [mention for mention in mentions if self._mentioned.get(mention, -math.inf) <= since]
        if not due:
            return
        self._mentioning = due
        ids = [match for match in map(MENTION.fullmatch, due) if match and match["id"]]
        notifies_all = len(ids) < len(due)
        put_above(payload, " ".join(due), notifies_all=notifies_all)
        payload["allowed_mentions"] = {
            "parse": ["everyone"] if notifies_all else [],
            "roles": [match["id"] for match in ids if match["kind"]],
            "users": [match["id"] for match in ids if not match["kind"]],
        }

    def _note(self) -> str:
        held_up = 0.0 if self._held_up_since is None else self._clock() - self._held_up_since
        return f"delayed {held_up:.0f} s" if held_up >= _MIN_DELAY else ""

    def _report_losses(self, payload: Payload) -> None:
        """Put the losses that the channel does not know of into the message's text."""
        self._reporting = Counter(self._backlog.dropped)
        losses = self._reporting - self._reported
        if not losses:
            return
        parts = [
            f"{number:,} {level} ({reason.replace('_', ' ')})" for (reason, level), number in losses.most_common(10)
        ]
        text = f"⚠️ {sum(losses.values()):,} records were dropped since {self._reported_at}: {', '.join(parts)}"
        # A level that is called @everyone is to notify nobody, not even beside a mention of @here.
        put_above(payload, plain(text, lengths.CONTENT // 3).replace("@", "@\u200b"))

    def _send(self, message: Message) -> _Result:
        began = self._clock()
        try:
            answer = self._sender.post(message)
        except TransportError as error:
            self._note_unanswered()
            return _Result(Outcome.MAYBE_SAVED if error.maybe_saved else Outcome.NOT_SAVED, str(error))
        except (TypeError, ValueError, RecursionError) as error:
            self._note_unanswered()
            return _Result(Outcome.REJECTED, f"no JSON can be made of it: {type(error).__name__}")
        now = self._clock()
        self._took += (now - began - self._took) * _SMOOTHING
        hit = self._limiter.update(self._url.key, answer.status, answer.headers, answer.body, now, host=self._url.host)
        if hit is not None:
            self._rate_limited[hit.scope] += 1
            reason = f"{answer.reason}, scope {hit.scope}, for {hit.retry_after:.1f} s"
            self._set_status("blocked" if hit.scope == "edge" else "limited", reason)
            return _Result(Outcome.LIMITED, reason)
        if refused := self._find_refused_setting(answer, message):
            self._given_up.add(refused)
            warn("Discord refuses a setting, which is left out from now on: %s", answer.reason)
            return _Result(Outcome.RETRY_NOW, answer.reason)
        outcome = classify(answer)
        if outcome is Outcome.DELIVERED and (name := message.payload.get("thread_name")) and answer.channel_id:
            self._posts[name] = answer.channel_id
        retry_after = answer.retry_after if outcome is Outcome.NOT_SAVED else None
        return _Result(outcome, answer.reason, retry_after, answer.message_id)

    def _note_unanswered(self) -> None:
        self._limiter.failed(self._url.key, self._clock(), host=self._url.host)

    def _find_refused_setting(self, answer: Response, message: Message) -> str | None:
        if not 400 <= answer.status < 500:  # noqa: PLR2004 - only these say what is wrong with a message
            return None
        if answer.code == UNKNOWN_CHANNEL and message.thread_id:
            # If it was a post of ours, another is opened.
            self._posts = {name: post for name, post in self._posts.items() if post != message.thread_id}
            return message.thread_id
        if answer.code == NO_FORUM and "thread_name" in message.payload:
            return "thread_name"
        if answer.code == UNKNOWN_TAG and "applied_tags" in message.payload:
            return "applied_tags"
        names = ("username", "avatar_url", "thread_name", "applied_tags")
        return next((name for name in names if name in answer.errors and name in message.payload), None)

    def _delivered(self, entries: Sequence[Entry], message_id: str | None) -> None:
        if entries[0] is not self._quarantine.plain:  # plain text reports no losses
            self._reported, self._reported_at = self._reporting, clock_time(time.time())
        self._mentioned.update(dict.fromkeys(self._mentioning, self._clock()))
        self._last_success = _now()
        self._recover()
        self._quarantine.passed(entries)
        # Last, since whoever flushes finds the state after it.
        self._backlog.ack(entries, message_id)

    def _recover(self) -> None:
        self._failures = 0
        self._held_up_since = None
        self._set_status("ok", "")

    def _back_off(self, result: _Result, *, is_refused: bool) -> None:
        """Wait after a failure, the longer the more there were in a row."""
        # A refusal that the quarantine knows to be one tells nothing new about Discord.
        self._failures = 1 if is_refused else self._failures + 1
        self._set_status("retrying", result.reason)
        jitter = random.random()  # noqa: S311 - no secret
        delay = self.backoff.delay(_MAX_FAILURES if self._quarantine.is_down else self._failures, jitter)
        if result.retry_after is not None:
            delay = min(max(result.retry_after, _MIN_RETRY), _MAX_RETRY) * (1 + jitter / 10)
        self.not_before = self._clock() + delay

    def _drop(self, entries: Sequence[Entry], reason: str) -> None:
        """Drop a record whose card and plain text Discord refused."""
        self._quarantine.clear()
        if self._backlog.pending == entries[0].count:
            self._recover()
        self._backlog.drop("rejected", entries)
        warn("Discord refused a record, which is dropped: %s", reason)

    def _stop(self, reason: str) -> None:
        self._status, self._reason = "stopped", reason
        self._backlog.drop("webhook_gone")
        say(f"webhook {self._url.id} cannot be posted to any more: {reason}")

    def _set_status(self, status: Status, reason: str) -> None:
        if status not in ("ok", self._status):
            warn("Discord webhook %s is %s: %s", self._url.id, status, reason)
        self._status, self._reason = status, reason

    def health(self) -> dict[str, Any]:
        """Return status, reason and what was counted, as plain data."""
        waits = self._status == "ok" and self.not_before > self._clock()
        return {
            "status": "limited" if waits else self._status,
            "reason": "waiting for a rate limit" if waits else self._reason,
            "requests": self._requests,
            "retries": self._retries,
            "rate_limited": dict(self._rate_limited),
            "last_success": self._last_success,
            "last_error": self._last_error,
        }

    @property
    def last_trouble(self) -> str:
        """The last error in words, or nothing."""
        return self._last_error["reason"] if self._last_error else ""


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
