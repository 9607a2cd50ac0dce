"""What happens to waiting records: the reaction to every answer, one step at a time.

`Delivery.take` says which records may leave now, or how long to wait; `deliver` posts them. Neither sleeps or starts
anything, so that every reaction can be stepped through with a fake sender and a fake clock.

A message that fails goes back to where its records waited, and the next step composes anew, so that a backlog folds
while Discord is away. Beside what Discord refused, opened and was told, six things are remembered between steps:

- how many failures there were in a row, for the back-off;
- after an answer that leaves open whether the message was saved: how often its records were tried. They are tried twice
  more; then the message behind them has its turn. If that passes, they are poison. If not, Discord is down:
  everything is kept, and one message every `max_retry_delay` probes;
- while a refused message is halved: how many records the bad one is among;
- since when messages are held up, for the footer of the next card;
- how long a request takes, for the plan of the next one;
- whether the last message left older records behind, which then have the next one.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._cards.compose import Composed, compose, compose_plain, most_urgent, put_above
from discord_logging._cards.plain_text import clock_time
from discord_logging._delivery.backoff import Backoff
from discord_logging._discord import lengths
from discord_logging._discord.outcome import NO_FORUM, UNKNOWN_CHANNEL, UNKNOWN_TAG, Outcome, classify
from discord_logging._discord.pace import Waiting, plan
from discord_logging._exceptions import TransportError
from discord_logging._process.diagnostics import say, warn
from discord_logging._records.settings import MENTION
from discord_logging._text.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discord_logging._backlogs.memory import Backlog
    from discord_logging._discord.rate_limiter import DiscordRateLimiter
    from discord_logging._discord.sender import Response, WebhookSender
    from discord_logging._discord.types import Message, Payload
    from discord_logging._discord.webhook_url import WebhookURL
    from discord_logging._health import DropReason, Status
    from discord_logging._records.freeze import FrozenRecord

_TRIES = 3
"""How often a message that may have been saved is sent before the next one has its turn."""
_MAX_FAILURES = 1000
"""Failures after which the back-off has reached its maximum."""
_POLL = 0.1
"""Seconds between looks for something more urgent, while a message waits for its turn."""
_SMOOTHING = 0.25
"""The weight of the newest request in the moving mean of how long one takes."""
_MIN_RETRY = 1.0
"""The shortest `Retry-After` that is believed, in seconds: a server that is down is not to be hammered."""
_MAX_RETRY = 900.0
"""The longest `Retry-After` that is obeyed, in seconds."""
_WORTH_TELLING = 2.0
"""Seconds of delay from which on the next card tells of it."""


class _Result(NamedTuple):
    """The fate of a message, in words too, and the seconds that the server asks to wait, or `None`."""

    outcome: Outcome
    reason: str
    retry_after: float | None = None


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
        self._told: Counter[tuple[DropReason, str]] = Counter()
        self._telling: Counter[tuple[DropReason, str]] = Counter()  # what the message that is under way tells
        self._told_at = clock_time(time.time())
        self._given_up: set[str] = set()  # names of settings, or ids of threads, that Discord refuses
        self._posts: dict[str, str] = {}  # the thread that was opened in a forum, by its name
        self._mentioning: Sequence[str] = ()  # whom the message that is under way notifies
        self._mentioned: dict[str, float] = {}
        self._forget_trouble()

    def _forget_trouble(self) -> None:
        self._failures = self._tries = 0
        self._is_down = False
        self._head: Sequence[FrozenRecord] = ()  # the message that may have been saved
        self._skip = 0  # records passed over
        self._size = sys.maxsize  # of the messages behind them
        self._forget_suspects()

    def _forget_suspects(self) -> None:
        self._suspects = 0  # records among which the refused one is
        self._is_poison = False  # whether it was an answer like 500 that refused it
        self._plain: FrozenRecord | None = None  # whose card was refused

    def step(self) -> float:
        """Send at most one message. Blocks for as long as the sender does.

        Returns:
            The seconds until the next step is worth taking; 0 is at once.
        """
        records, delay = self.take()
        if not records:
            return delay
        self.deliver(records)
        return max(self.not_before - self._clock(), 0.0)

    def take(self) -> tuple[Sequence[FrozenRecord], float]:
        """Take the records for the next message, if it may leave now: they are in flight from here on.

        Returns:
            The records, and the seconds until it is worth asking again if there are none.
        """
        now = self._clock()
        if self._status == "stopped":
            self._backlog.drop_waiting("webhook_gone")
            return (), 0.0
        # A record that is held back is no reason to ask the limiter, which would count a request that is never sent.
        if not self._backlog.take_in():
            return (), 0.0
        if now < self.not_before:
            return (), self.not_before - now
        if delay := self._wait_for_turn(now):
            return (), delay
        if delay := self._limiter.acquire(self._url.key, now, host=self._url.host):
            self.not_before = now + delay
            return (), delay
        records = self._choose()
        if not records:
            self._limiter.failed(self._url.key, now, host=self._url.host)
        return records, 0.0

    def _wait_for_turn(self, now: float) -> float:
        """Return the seconds until it is worth asking again for a turn, 0 if the next message has it."""
        backlog, budget = self._backlog, self._limiter.budget(self._url.key, now)
        # Ctrl-C may have left one behind.
        deadline = min((deadline for deadline in list(self.deadlines) if deadline > now), default=math.inf)
        waiting = Waiting(backlog.waiting, backlog.urgency, backlog.oldest_age(), deadline, self.is_last)
        wait, self._messages = plan(waiting, budget, now=now, took=self._took, max_lag=self.max_lag)
        return min(wait, _POLL)

    def _choose(self) -> Sequence[FrozenRecord]:
        """Take the records for the next message: the oldest, or those behind the ones that are passed over."""
        size = (not self._skip and len(self._head)) or self._size
        if self._suspects:
            size = max(self._suspects // 2, 1)
        records = self._backlog.take(self._skip + size)
        if self._skip and self._skip >= len(records):
            # Each message had its turn. Where all hold a bad record, smaller ones find some that pass.
            self._skip, self._size = 0, max(min(self._size, len(records)) // 2, 1)
            self._backlog.put_back(records[self._size :])
            return records[: self._size]
        self._backlog.put_back(records[: self._skip])
        return records[self._skip :]

    def deliver(self, records: Sequence[FrozenRecord]) -> None:
        """Post a message of records that were taken, and do what the answer asks for. Blocks as the sender does."""
        (outcome, reason, retry_after), records = self._try(records)
        if outcome is Outcome.DELIVERED:
            self._delivered(records)
            return
        if self._held_up_since is None:
            self._held_up_since = self._clock()
        self._last_error = {"time": _now(), "reason": reason}
        is_refused = outcome is Outcome.REJECTED or (outcome is Outcome.MAYBE_SAVED and self._is_poison)
        if outcome in (Outcome.NOT_SAVED, Outcome.MAYBE_SAVED):
            self._fail(records, reason, retry_after, maybe_saved=outcome is Outcome.MAYBE_SAVED)
        if outcome is Outcome.GONE:
            self._stop(records, reason)
        elif is_refused:
            self._narrow_down(records, reason)
        else:
            # The records that are tried again unchanged need not have been the oldest.
            self._backlog.put_back(records, first=records is self._head)

    @property
    def _is_in_trouble(self) -> bool:
        return bool(self._head or self._suspects)

    def _try(self, records: Sequence[FrozenRecord]) -> tuple[_Result, Sequence[FrozenRecord]]:
        """Post the message for the first of `records`; return what came of it, and which it carried."""
        try:
            message, carried = self._compose(records)
        except Exception as error:  # noqa: BLE001 - an override of the user's may lay out what is no card
            self._note_unanswered()
            return _Result(Outcome.REJECTED, f"no message can be made of it: {type(error).__name__}"), records
        if rest := _others(records, carried):
            self._backlog.put_back(rest)
        self._requests += 1
        self._retries += self._failures > 0
        return self._send(message), carried

    def _compose(self, records: Sequence[FrozenRecord]) -> Composed:
        self._mentioning = ()
        if records[0] is self._plain:
            composed = Composed(compose_plain(records[0]), records[:1])
        else:
            # A message in trouble is tried again, however urgent the rest is, and nobody is overtaken twice in a row.
            head = records[0] if self._is_in_trouble or self._has_overtaken else most_urgent(records)
            composed = compose(records, head=head, allowance=self._messages, note=self._note())
            self._has_overtaken = composed.records[0] is not records[0]
            self._tell_losses(composed.message.payload)
            self._mention(composed.message.payload, composed.message.mentions)
        return composed._replace(message=self._redirect(composed.message))

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
        return f"delayed {held_up:.0f} s" if held_up >= _WORTH_TELLING else ""

    def _tell_losses(self, payload: Payload) -> None:
        """Put what was dropped since the channel was last told into the message's text."""
        self._telling = Counter(self._backlog.dropped)
        untold = self._telling - self._told
        if not untold:
            return
        parts = [
            f"{number:,} {level} ({reason.replace('_', ' ')})" for (reason, level), number in untold.most_common(10)
        ]
        words = f"⚠️ {sum(untold.values()):,} records were dropped since {self._told_at}: {', '.join(parts)}"
        # A level that is called @everyone is to notify nobody, not even beside a mention of @here.
        put_above(payload, plain(words, lengths.CONTENT // 3).replace("@", "@\u200b"))

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
        return _Result(outcome, answer.reason, answer.retry_after if outcome is Outcome.NOT_SAVED else None)

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

    def _delivered(self, records: Sequence[FrozenRecord]) -> None:
        if records[0] is not self._plain:  # plain text tells of no losses
            self._told, self._told_at = self._telling, clock_time(time.time())
        self._mentioned.update(dict.fromkeys(self._mentioning, self._clock()))
        self._last_success = _now()
        self._held_up_since = None
        self._set_status("ok", "")
        if self._skip:
            # Discord is there, so it is the first message that it cannot take. Unless it was away for long.
            poison = self._head
            is_certain = not self._is_down or poison[0] is self._plain
            self._forget_trouble()
            self._suspects, self._is_poison = len(poison), True
            self._plain = poison[0] if is_certain and len(poison) == 1 else None
        elif self._suspects > len(records):
            self._suspects -= len(records)
            self._failures = 0
        else:
            self._forget_trouble()
        # Last, for whoever flushes finds the state after it.
        self._backlog.settle(records)

    def _fail(
        self, records: Sequence[FrozenRecord], reason: str, retry_after: float | None, *, maybe_saved: bool
    ) -> None:
        """React to a failure after which the records stay in their places."""
        self._failures += 1
        self._set_status("retrying", reason)
        if maybe_saved:
            for record in records:
                record.is_repeat = True
        if maybe_saved and self._is_poison:
            pass  # it is set apart already
        elif self._skip or self._is_down or self._tries >= _TRIES:  # the last when there is no next message
            # Each probe is another message, for the first may be poison after all, and none is larger than those were.
            self._size = min(self._size, max(len(self._head), len(records)))
            self._skip = self._skip + len(records) if self._is_down and maybe_saved else 0
            self._is_down = True
        elif maybe_saved:
            self._head = records
            self._tries += 1
            self._skip = len(records) if self._tries >= _TRIES else 0
        jitter = random.random()  # noqa: S311 - no secret
        delay = self.backoff.delay(_MAX_FAILURES if self._is_down else self._failures, jitter)
        if retry_after is not None:
            delay = min(max(retry_after, _MIN_RETRY), _MAX_RETRY) * (1 + jitter / 10)
        self.not_before = self._clock() + delay

    def _narrow_down(self, records: Sequence[FrozenRecord], reason: str) -> None:
        """Halve what was refused until the bad record stands alone, then send that as plain text, then drop it."""
        if records[0] is not self._plain:
            # The next messages are made of these, which need not have been the oldest.
            self._backlog.put_back(records, first=not self._skip)
            self._suspects = len(records)
            self._plain = records[0] if len(records) == 1 else None
            return
        self._forget_suspects()
        if self._backlog.pending == records[0].count:
            self._forget_trouble()
            self._held_up_since = None
            self._set_status("ok", "")
        self._backlog.settle(records, "rejected")
        warn("Discord refused a record, which is dropped: %s", reason)

    def _stop(self, records: Sequence[FrozenRecord], reason: str) -> None:
        self._status, self._reason = "stopped", reason
        self._backlog.settle(records, "webhook_gone")
        self._backlog.drop_waiting("webhook_gone")
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


def _others(records: Sequence[FrozenRecord], carried: Sequence[FrozenRecord]) -> Sequence[FrozenRecord]:
    """Return those of `records` that were not carried."""
    if records[len(carried) - 1] is carried[-1]:
        return records[len(carried) :]
    ids = set(map(id, carried))
    return [record for record in records if id(record) not in ids]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
