"""This module delivers waiting records, one step at a time, and reacts to every response.

`Delivery.take` leases the entries that may leave now, or returns how long to wait; `deliver` posts them. Both neither
sleep nor start a thread, so that a test can step through every reaction with a fake sender and a fake clock.

The records of a message that failed return to the backlog, and the next step composes a new message, so that a backlog
is folded while Discord is down. `quarantine` chooses the entries of the next message after a message has failed.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._cards.compose import FOOTER_SEPARATOR, compose, compose_plain, put_above
from discord_logging._cards.live import Edit
from discord_logging._cards.plain_text import reader_time
from discord_logging._delivery.backoff import Backoff
from discord_logging._delivery.edits import change_of, live_cards
from discord_logging._delivery.handover import Handover
from discord_logging._delivery.quarantine import Quarantine
from discord_logging._discord import lengths
from discord_logging._discord.local_only import LocalOnlyError
from discord_logging._discord.outcome import (
    NO_FORUM,
    OLD_MESSAGE,
    UNKNOWN_CHANNEL,
    UNKNOWN_TAG,
    Outcome,
    classify,
    classify_edit,
)
from discord_logging._discord.pace import plan
from discord_logging._discord.rate_limit_headers import read_rate_limit_info
from discord_logging._discord.types import Message
from discord_logging._exceptions import TransportError
from discord_logging._process.diagnostics import say, warn
from discord_logging._records.parse import MENTION
from discord_logging._text.markdown import plain
from discord_logging._text.numbers import counted
from discord_logging._text.sanitize import on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from discord_logging._backlogs.base import Backlog
    from discord_logging._backlogs.entry import Entry
    from discord_logging._cards.live import CardDraft, LiveCard, LiveMessage
    from discord_logging._discord.pace import Waiting
    from discord_logging._discord.rate_limiter import DiscordRateLimiter
    from discord_logging._discord.sender import Response, WebhookSender
    from discord_logging._discord.types import Payload
    from discord_logging._discord.webhook_url import WebhookURL
    from discord_logging._health import DropReason, Status

_MAX_FAILURES = 1000
"""A number of failures after which the back-off has certainly reached its maximum."""
_POLL_INTERVAL = 0.1
"""The time between checks for more urgent records while a message waits for its turn, in seconds."""
_TURN = 0.25
"""The time until the next message, in seconds, if it is unclear whether another process sends."""
_SMOOTHING = 0.25
"""The weight of the newest request in the moving mean of their durations."""
_MIN_RETRY_AFTER = 1.0
"""The shortest `Retry-After` that is obeyed, in seconds: many requests would not help a server that is down."""
_MAX_RETRY_AFTER = 900.0
"""The longest `Retry-After` that is obeyed, in seconds."""
_MAX_EDIT_FAILURES = 3
"""The number of times that an edit which may have been saved is sent again before its message is given up."""
_OLD_MESSAGE_WINDOW = 6.0
"""The seconds to wait after too many edits of old messages, if Discord names none."""
_MIN_REPORTED_DELAY = 2.0
"""The shortest delay that the next card reports, in seconds."""


_OPTIONAL = ("username", "avatar_url", "thread_name", "applied_tags")
"""The parts of a message that are left out once Discord has refused their value."""


class _Result(NamedTuple):
    """The result of the attempt to post a message.

    Attributes:
        outcome: The meaning of the response.
        reason: A description of the response.
        retry_after: The wait that the server asks for, in seconds, or `None`.
        cards: The live cards of the message, by their entries.
    """

    outcome: Outcome
    reason: str
    retry_after: float | None = None
    cards: Mapping[Entry, LiveCard] = MappingProxyType({})


class Delivery:
    """Moves the records of one backlog to one webhook.

    Args:
        url: The URL of the webhook.
        backlog: The backlog in which the records wait.
        sender: The sender that posts a message.
        limiter: The rate limiter, which decides when a message may be posted.
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
        """The seconds that a record may wait while the rate limits allow it to leave."""
        self.mention_interval = 300.0
        """The seconds within which nobody is notified twice."""
        self.deadlines: list[float] = []
        """The times at which flushes give up, on the clock. The flushing threads append and remove them."""
        self.is_last = False
        """Whether no more records will come, and records that are not sent now are lost."""
        self.not_before = float("-inf")
        """The earliest time at which the next step may send a message, on the clock."""
        self._url = url
        self._backlog = backlog
        self._sender = sender
        self._limiter = limiter
        self._clock = clock
        self._status: Status = "ok"
        self._reason = ""
        self._requests = self._retries = 0
        self._request_time = 0.0  # the moving mean of the durations of requests, in seconds
        self._messages = 1  # the number of messages that may carry the backlog
        self._has_overtaken = False  # whether the last message left older records behind
        self._rate_limited: Counter[str] = Counter()
        self._last_success: str | None = None
        self._last_error: dict[str, str] | None = None
        self._delayed_since: float | None = None
        self._reported: Counter[tuple[DropReason, str]] = Counter()  # the losses that messages have reported
        self._reporting: Counter[tuple[DropReason, str]] = Counter()  # the same, with the message in flight
        self._reported_at = time.time()
        self._given_up: dict[str, float] = {}  # the settings and threads that Discord refused, with the wall-clock time
        self._guild_id: str | None = None  # the id of the server, or "" if it cannot be learned
        self._posts: dict[str, str] = {}  # the ids of the threads that were opened in a forum, by name
        self._mentioning: Sequence[str] = ()  # the mentions in the message in flight
        self._mentioned: dict[str, float] = {}
        self._failures = 0  # since the last success
        self._quarantine = Quarantine()

    def step(self) -> float:
        """Send at most one message. Blocks for as long as the sender does.

        Returns:
            The seconds to wait before the next step.
        """
        entries, delay = self.take()
        if not entries:
            return delay
        self.deliver(entries)
        return max(self.not_before - self._clock(), 0.0)

    def take(self) -> tuple[Sequence[Entry], float]:
        """Lease the entries for the next message, if it may leave now.

        Returns:
            The entries; if they are empty, also the seconds to wait before the next call.
        """
        now = self._clock()
        if self._status == "stopped":
            self._backlog.drop("webhook_gone")
            return (), 0.0
        waiting = self._backlog.peek()
        # The limiter is not asked for a held repeat alone: it would count a request that is never sent.
        if not waiting.records:
            return (), min(waiting.delay, _POLL_INTERVAL)
        if now < self.not_before:
            return (), self.not_before - now
        if delay := self._plan_turn(waiting, now):
            return (), delay
        if delay := self._limiter.acquire(self._url.key, now, host=self._url.host):
            self.not_before = now + delay
            return (), delay
        self._limiter.assume(self._url.key, now, self._backlog.lone_hosts - 1)
        edits = waiting.are_edits
        entries = self._backlog.lease_edits() if edits else self._quarantine.lease(self._backlog, waiting)
        if not entries:
            self._note_unanswered()
        return entries, 0.0

    def _plan_turn(self, waiting: Waiting, now: float) -> float:
        """Plan how dense the next message is, and return the seconds before the next check; 0 if it may leave now."""
        # Ctrl-C may have left a past deadline in the list.
        deadline = min((deadline for deadline in list(self.deadlines) if deadline > now), default=math.inf)
        waiting = waiting._replace(deadline=deadline, is_last=self.is_last)
        budget = self._limiter.budget(self._url.key, now, waiting.priority)
        wait, self._messages = plan(waiting, budget, now=now, took=self._request_time, max_lag=self.max_lag)
        return min(wait, _POLL_INTERVAL)

    def deliver(self, leased: Sequence[Entry]) -> None:
        """Post or edit a message for leased entries, and react to the response. Blocks as the sender does."""
        if message := leased[0].edits:
            self._edit(message, leased)
            return
        result, entries = self._try(leased)
        outcome, quarantine = result.outcome, self._quarantine
        if outcome is Outcome.DELIVERED:
            self._delivered(entries, result.cards)
            return
        self._note_failure(result)
        maybe_saved = outcome is Outcome.MAYBE_SAVED
        is_refused = outcome is Outcome.REJECTED or (maybe_saved and quarantine.takes_for_refusal(entries))
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

    def _note_failure(self, result: _Result) -> None:
        self._mentioning = ()
        if self._delayed_since is None:
            self._delayed_since = self._clock()
        self._last_error = {"time": _now(), "reason": result.reason}

    def _try(self, leased: Sequence[Entry]) -> tuple[_Result, Sequence[Entry]]:
        """Post a message for as many entries as fit, and return the result and the entries that it carried."""
        try:
            message, entries, drafts = self._compose(leased)
        except Exception as error:  # noqa: BLE001 - the user's override may return something that is not an embed
            self._note_unanswered()
            return _Result(Outcome.REJECTED, f"no message can be made of it: {type(error).__name__}"), leased
        carried = set(entries)
        self._backlog.requeue([entry for entry in leased if entry not in carried])
        if found := self._depart(entries):
            return found, entries
        return self._send(message, drafts), entries

    def _depart(self, entries: Sequence[Entry]) -> _Result | None:
        """Note that a message of these entries is about to leave, or return why it may not."""
        if not self._backlog.note_flight(entries):
            self._note_unanswered()
            self.not_before = self._clock() + _TURN
            return _Result(Outcome.LIMITED, "another process may send")
        self._requests += 1
        self._retries += self._failures > 0
        return None

    def _compose(self, leased: Sequence[Entry]) -> tuple[Message, Sequence[Entry], Mapping[Entry, CardDraft]]:
        """Return a message, the entries that it carries, and the drafts of their live cards."""
        self._mentioning = ()
        if leased[0] is self._quarantine.plain:
            return self._redirect(compose_plain(leased[0].counted())), leased[:1], {}
        guild_id = self._find_guild() if any(entry.part and entry.part.reason for entry in leased) else None
        entry_of = {entry.counted(guild_id): entry for entry in leased}
        records = list(entry_of)
        # Suspects are tried again, however urgent the other records are, and a record is not overtaken twice in a row.
        keeps_order = self._has_overtaken or self._quarantine.holds(leased[0])
        head = records[0] if keeps_order else max(entry_of, key=lambda record: entry_of[record].urgency)
        without_files = {record for record, entry in entry_of.items() if entry in self._quarantine.fileless}
        composed = compose(records, head=head, allowance=self._messages, note=self._note(), without_files=without_files)
        self._has_overtaken = composed.records[0] is not records[0]
        payload = composed.message.payload
        count = len(payload.get("embeds", ()))
        self._report_losses(payload)
        self._mention(payload, composed.message.mentions)
        # The text of the message may have become its first embed.
        shift = len(payload.get("embeds", ())) - count
        drafts = {entry_of[each.record]: each._replace(place=each.place + shift) for each in composed.drafts}
        return self._redirect(composed.message), [entry_of[record] for record in composed.records], drafts

    def _find_guild(self) -> str:
        """Return the id of the server, for links to messages; `""` if it cannot be learned. Asks once."""
        if self._guild_id is None:
            try:
                self._guild_id = self._sender.get().guild_id or ""
            except (TransportError, LocalOnlyError):
                self._guild_id = ""
        return self._guild_id

    def _edit(self, message: LiveMessage, entries: Sequence[Entry]) -> None:
        """Edit a message for leased entries, and react to the response.

        A message that Discord refuses to edit is gone, and its entries are posted on new cards. An edit that may have
        been saved is sent again: it counts nothing twice.
        """
        result = self._try_edit(message, entries)
        outcome = result.outcome
        if outcome is Outcome.DELIVERED:
            self._last_success = _now()
            self._recover()
            self._backlog.ack(entries)
            return
        self._note_failure(result)
        message.failures += outcome is Outcome.MAYBE_SAVED
        message.is_gone = outcome is Outcome.REJECTED or message.failures >= _MAX_EDIT_FAILURES
        self._backlog.requeue(entries)
        if outcome is Outcome.GONE:
            self._stop(result.reason)
        elif outcome in (Outcome.NOT_SAVED, Outcome.MAYBE_SAVED):
            self._back_off(result, is_refused=False)

    def _try_edit(self, message: LiveMessage, entries: Sequence[Entry]) -> _Result:
        guild_id = self._find_guild() if any(entry.part and entry.part.continued for entry in entries) else None
        try:
            edit = Edit(message, [change_of(entry, guild_id) for entry in entries])
        except Exception as error:  # noqa: BLE001 - as above
            self._note_unanswered()
            return _Result(Outcome.REJECTED, f"no edit can be made of it: {type(error).__name__}")
        if found := self._depart(entries):
            return found
        body = Message(edit.payload, message.thread_id, edit.files)
        answer = self._ask(lambda: self._sender.edit(message.id, body), is_edit=True)
        if isinstance(answer, _Result):
            return answer
        if answer.code == OLD_MESSAGE:
            info = read_rate_limit_info(answer.status, answer.headers, answer.body)
            message.not_before = self._clock() + (info.retry_after or _OLD_MESSAGE_WINDOW)
            return _Result(Outcome.LIMITED, answer.reason)
        outcome = classify_edit(answer)
        if outcome is Outcome.DELIVERED:
            edit.apply(answer.attachment_ids, self._clock())
        retry_after = answer.retry_after if outcome is Outcome.NOT_SAVED else None
        return _Result(outcome, answer.reason, retry_after)

    def _redirect(self, message: Message) -> Message:
        """Leave out the settings that Discord refused before, and post into the thread that is already open."""
        payload, thread_id = message.payload, message.thread_id
        if thread_id in self._given_up:
            thread_id = None
        if post := self._posts.get(payload.get("thread_name", "")):
            thread_id = post
        refused = {name for name in _OPTIONAL if _setting(name, payload) in self._given_up}
        is_open = thread_id or "thread_name" in refused
        for name in refused | ({"thread_name", "applied_tags"} if is_open else set()):
            payload.pop(name, None)  # type: ignore[misc]  # the name is one of the optional keys
        return message._replace(thread_id=thread_id)

    def _mention(self, payload: Payload, mentions: Sequence[str]) -> None:
        """Add the mentions that have not notified anybody within `mention_interval`."""
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
        delay = 0.0 if self._delayed_since is None else self._clock() - self._delayed_since
        notes = [f"delayed {delay:.0f} s"] if delay >= _MIN_REPORTED_DELAY else []
        # Other processes may send at the same moment, so that cards are out of order.
        return FOOTER_SEPARATOR.join([*notes, *(["sent alone"] if self._backlog.lone_hosts else [])])

    def _report_losses(self, payload: Payload) -> None:
        """Put the losses that no message has reported yet into the text of the message."""
        self._reporting = Counter(self._backlog.losses)
        losses = self._reporting - self._reported
        if not losses:
            return
        parts = [
            f"{number:,} {level} ({reason.replace('_', ' ')})" for (reason, level), number in losses.most_common(10)
        ]
        # A level with the name @everyone must notify nobody, even in a message that mentions @here.
        shown = plain(on_one_line(", ".join(parts)), lengths.CONTENT // 3 - 80).replace("@", "@\u200b")
        since = reader_time(self._reported_at)
        put_above(payload, f"⚠️ {counted(losses.total(), 'record', 'was/were')} dropped since {since}: {shown}")

    def _ask(self, send: Callable[[], Response], *, is_edit: bool = False) -> Response | _Result:
        """Send a request, and return the response, or the result if a limit or the network decides it."""
        began = self._clock()
        try:
            response = send()
        except LocalOnlyError as error:
            self._note_unanswered()
            return _Result(Outcome.GONE, str(error))
        except TransportError as error:
            self._note_unanswered()
            return _Result(Outcome.MAYBE_SAVED if error.maybe_saved else Outcome.NOT_SAVED, str(error))
        except (TypeError, ValueError, RecursionError) as error:
            self._note_unanswered()
            return _Result(Outcome.REJECTED, f"no JSON can be made of it: {type(error).__name__}")
        now = self._clock()
        self._request_time += (now - began - self._request_time) * _SMOOTHING
        if is_edit and response.code == OLD_MESSAGE:
            # This limit holds for no post, and no header tells of it.
            self._note_unanswered()
            return response
        hit = self._limiter.update(
            self._url.key, response.status, response.headers, response.body, now, host=self._url.host
        )
        if hit is not None:
            self._rate_limited[hit.scope] += 1
            reason = f"{response.reason}, scope {hit.scope}, for {hit.retry_after:.1f} s"
            self._set_status("blocked" if hit.scope == "edge" else "limited", reason)
            return _Result(Outcome.LIMITED, reason)
        return response

    def _send(self, message: Message, drafts: Mapping[Entry, CardDraft]) -> _Result:
        response = self._ask(lambda: self._sender.post(message))
        if isinstance(response, _Result):
            return response
        if refused := self._find_refused_setting(response, message):
            self._given_up[refused] = time.time()
            warn("Discord refuses a setting, which is left out from now on: %s", response.reason)
            return _Result(Outcome.RETRY_NOW, response.reason)
        outcome = classify(response)
        if outcome is Outcome.DELIVERED and (name := message.payload.get("thread_name")) and response.channel_id:
            self._posts[name] = response.channel_id
        retry_after = response.retry_after if outcome is Outcome.NOT_SAVED else None
        cards = live_cards(message, drafts, response, self._clock()) if drafts else {}
        return _Result(outcome, response.reason, retry_after, cards)

    def _note_unanswered(self) -> None:
        self._limiter.failed(self._url.key, self._clock(), host=self._url.host)

    def _find_refused_setting(self, response: Response, message: Message) -> str | None:
        """Return the setting with its value, or the thread, that Discord refuses; `None` if it refuses neither."""
        if not 400 <= response.status < 500:  # noqa: PLR2004 - only these statuses report a fault of the message
            return None
        if response.code == UNKNOWN_CHANNEL and message.thread_id:
            # If we opened the thread, the next message opens another one.
            self._posts = {name: post for name, post in self._posts.items() if post != message.thread_id}
            return message.thread_id
        codes = {NO_FORUM: "thread_name", UNKNOWN_TAG: "applied_tags"}
        names = [codes[response.code]] if response.code in codes else []
        names += [name for name in _OPTIONAL if name in response.errors]
        return next((_setting(name, message.payload) for name in names if name in message.payload), None)

    def _delivered(self, entries: Sequence[Entry], cards: Mapping[Entry, LiveCard]) -> None:
        if entries[0] is not self._quarantine.plain:  # plain text reports no losses
            self._reported, self._reported_at = self._reporting, time.time()
        self._mentioned.update(dict.fromkeys(self._mentioning, self._clock()))
        self._mentioning = ()
        self._last_success = _now()
        self._recover()
        self._quarantine.passed(entries)
        # This comes last, since a flush returns after it and must find the new state.
        self._backlog.ack(entries, cards)

    def _recover(self) -> None:
        self._failures = 0
        self._delayed_since = None
        self._set_status("ok", "")

    def _back_off(self, result: _Result, *, is_refused: bool) -> None:
        """Delay the next message after a failure, longer with each consecutive failure."""
        # The quarantine takes this failure for a refusal of the records: it does not show that Discord is down.
        self._failures = 1 if is_refused else self._failures + 1
        self._set_status("retrying", result.reason)
        jitter = random.random()  # noqa: S311 - the number is not a secret
        delay = self.backoff.delay(_MAX_FAILURES if self._quarantine.is_down else self._failures, jitter)
        if result.retry_after is not None:
            delay = min(max(result.retry_after, _MIN_RETRY_AFTER), _MAX_RETRY_AFTER) * (1 + jitter / 10)
        self.not_before = self._clock() + delay

    def _drop(self, entries: Sequence[Entry], reason: str) -> None:
        """Drop a record whose card and plain text Discord refused."""
        self._quarantine.end()
        if not self._backlog.is_ready:
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

    def export(self, ahead: float = 0.0) -> dict[str, Any]:
        """Return what a successor must know, as data that JSON keeps.

        While a message is in flight, its mentions count as made: if this process dies now, nobody is notified twice.

        Args:
            ahead: The seconds by which the clock that both share is ahead of the one of this machine.
        """
        now = self._clock()
        limits = self._limiter.export(self._url.key, now, time.time() + ahead - now)
        return {**self._handover(ahead).to_data(), "limits": limits}

    def restore(self, data: Any, ahead: float = 0.0) -> None:
        """Go on from the result of `export`, of this or another process. A part that is malformed is left out.

        Args:
            data: The result.
            ahead: The seconds by which the clock that both share is ahead of the one of this machine.
        """
        now = time.time() + ahead
        boot = now - self._clock()
        state = self._handover(ahead).updated(data, now)
        self._reported, self._reported_at = state.reported, state.reported_at - ahead
        self._mentioned = {mention: at - boot for mention, at in state.mentioned.items()}
        self._posts = state.posts
        self._given_up = {setting: at - ahead for setting, at in state.given_up.items()}
        self._delayed_since = None if state.delayed_since is None else state.delayed_since - boot
        if isinstance(data, dict):
            self._limiter.restore(self._url.key, data.get("limits"), now - boot, boot)

    def isolate(self, entries: Sequence[Entry], *, plain: bool) -> None:
        """Send these entries before all others, and in halves; a single one as plain text, if so told."""
        self._quarantine.isolate(entries, plain=plain)

    def _handover(self, ahead: float) -> Handover:
        """Return the state for a successor, with the times of a clock that is ahead by some seconds."""
        now = self._clock()
        boot = time.time() + ahead - now
        mentioned = {**self._mentioned, **dict.fromkeys(self._mentioning, now)}
        return Handover(
            self._reported.copy(),
            self._reported_at + ahead,
            {mention: at + boot for mention, at in mentioned.items() if now - at < self.mention_interval},
            dict(self._posts),
            {setting: at + ahead for setting, at in self._given_up.items()},
            None if self._delayed_since is None else self._delayed_since + boot,
        )

    def health(self) -> dict[str, Any]:
        """Return the status, its reason and the counters, as plain data."""
        is_waiting = self._status == "ok" and self.not_before > self._clock()
        return {
            "status": "limited" if is_waiting else self._status,
            "reason": "waiting for a rate limit" if is_waiting else self._reason,
            "requests": self._requests,
            "retries": self._retries,
            "rate_limited": dict(self._rate_limited),
            "last_success": self._last_success,
            "last_error": self._last_error,
        }

    @property
    def last_trouble(self) -> str:
        """The reason of the last error, or `""`."""
        return self._last_error["reason"] if self._last_error else ""


def _setting(name: str, payload: Payload) -> str:
    """Return a text for a setting with its value, so that Discord gets another value."""
    return f"{name}={payload.get(name)}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
