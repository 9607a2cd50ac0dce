"""When the next message leaves, and how many may carry what waits: a channel's allowance, spent evenly.

A channel takes 30 messages in any minute. Sent card by card they are gone within seconds, and whatever comes then, an
alarm too, waits for the minute to end. So four fifths of them are turns that come at an even pace, and the rest lets a
message leave ahead of its turn. A message carries all that waits, in as dense a form as that takes: no record waits
much longer than from one turn to the next, for as long as the load lasts.

Each message fills a bucket by 1, and every `interval` (the minute by the number of turns, 2.5 s) takes 1 out of it. A
message may leave when the bucket then holds no more than a mark, which depends on the most urgent record that waits:

=========== =============================================================================== =============
urgency     records                                                                         mark, of 30
=========== =============================================================================== =============
`ROUTINE`   all others                                                                      4.6
`NEWS`      the first `ERROR` of its kind for an hour; from `WARNING` on, a record that is  6
            more severe than all of the last minute
`ALARM`     from `CRITICAL` on                                                              7, the brim
=========== =============================================================================== =============

No flood of records takes what an error of a new kind needs, and no flood of those what a `CRITICAL` needs. (Below a
limit of 6 the rest is a single message, and that is kept for alarms.) Routine comes further apart the fuller the bucket
is, by a twentieth of an interval for each message in it: a burst that has just begun does not use up what it needs for
its end. Where more urgent messages have filled the bucket beyond its mark, routine has its turn 2.75 s after the last
message, a tenth of an interval late, so that the reserve fills again.

Where records wait for several webhooks of the channel, the one that sent last lets the others go first, and the one
whose turn it is has it an interval after the last message.

Two bounds follow, whatever comes. A full bucket and all that is taken out of it within a minute are 31, of which the
last moment of the minute would complete the last: *no minute has more than 30*. (At the end of the program no turn is
waited for, and the limiter alone sees to that.) And a turn always finds room: *no record waits longer than a turn*, as
far as limits and the time of a request allow, or for half of `max_lag` where that is longer. Records for several
threads, names or pictures, which share no message, and several webhooks of the channel have their turns one after the
other.

This is the generic cell rate algorithm (ITU-T I.371) with a mark for each class, as trunk reservation has it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import IntEnum
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from discord_logging._discord.rate_limiter import RateLimitBucket


class Urgency(IntEnum):
    """How much it matters that a record is told soon."""

    ROUTINE = 0
    NEWS = 1
    """The first `ERROR` of its kind for an hour, or, from `WARNING` on, above all levels of the last minute."""
    ALARM = 2
    """From `CRITICAL` on."""


_TURNS = 4 / 5
"""The part of a channel's limit that is spent evenly."""
_LATE = 1.1
"""How much later than an interval the turn of a message comes for which the bucket has no room."""
_MARKS = {Urgency.ROUTINE: 3 / 5, Urgency.NEWS: 5 / 6, Urgency.ALARM: 1.0}
"""The part of the rest that a message may use to leave ahead of its turn."""
_SPREAD = 0.3
"""The part of an interval by which a bucket full to the brim, but for one message, holds up routine."""
_MAX_MESSAGES = 100
"""More messages for what waits would be no folding."""
_YIELD = 0.15
"""Seconds by which a webhook lets each other one of its channel go first that has waited for longer."""
_INSTANT = 1e-6
"""A shorter wait is a rounding error."""


class Waiting(NamedTuple):
    """The records that wait.

    Attributes:
        records: How many.
        urgency: Of the most urgent one.
        age: For how many seconds the oldest one waits.
        deadline: The monotonic time at which somebody who flushes gives up, or infinity.
        is_last: Whether nothing comes after them, and what is not sent until `deadline` is lost.
    """

    records: int
    urgency: Urgency = Urgency.ROUTINE
    age: float = 0.0
    deadline: float = math.inf
    is_last: bool = False


class Budget(NamedTuple):
    """The allowance of a webhook, and the messages that its channel was sent.

    Attributes:
        bucket: The webhook's bucket.
        channel_limit: How many messages the channel takes within `channel_window`; `None` is any number.
        channel_left: How many of them are left; `None` is any number.
        channel_window: In seconds.
        sent: When messages were sent to the channel, in order: those of one window at the least.
        behind: How many other webhooks of the channel go first, for they have records that wait and sent their last
            message earlier; `None` if no other one has such records.
    """

    bucket: RateLimitBucket
    channel_limit: int | None = None
    channel_left: int | None = None
    channel_window: float = 60.0
    sent: tuple[float, ...] = ()
    behind: int | None = None


class Plan(NamedTuple):
    """The decision: wait, or send now and in how many messages.

    Attributes:
        wait: Seconds to wait and then ask again; 0 is to send now.
        messages: How many messages, the next one included, may carry what waits.
    """

    wait: float
    messages: int


class Pace:
    """The pace of a channel that was sent messages at the monotonic times `sent`."""

    def __init__(self, limit: int, window: float, sent: Iterable[float]) -> None:
        turns = max(int(limit * _TURNS), 1)
        self.interval = window / turns
        self.turn = self.interval * _LATE
        self._spare = limit - turns
        self._last = self._empty_at = self._spread_until = -math.inf
        for at in sent:
            self.send(at)

    @classmethod
    def of(cls, budget: Budget) -> Pace | None:
        """Return the pace of a channel, or `None` where it takes any number of messages."""
        if budget.channel_limit is None:
            return None
        return cls(budget.channel_limit, budget.channel_window, budget.sent)

    def send(self, at: float) -> None:
        """Count a message. The bucket does not run over, whoever sent without asking or under a larger limit."""
        self._last = at
        full = at + (1 + self._spare) * self.interval
        self._empty_at = min(max(self._empty_at, at) + self.interval, full)
        self._spread_until = at + (self._empty_at - at) * _SPREAD / max(self._spare, 1)

    def free_at(self, urgency: Urgency, behind: int | None = None) -> float:
        """Return when the next message may leave: there is room for it in the bucket, or it has its turn.

        Args:
            urgency: Of the most urgent record.
            behind: How many other webhooks go first; `None` is that no other one waits.
        """
        has_room_at = self._empty_at - self._spare * _MARKS[urgency] * self.interval
        if urgency is Urgency.ROUTINE:
            has_room_at = max(has_room_at, self._last + self.turn if behind else self._spread_until)
        turn = self._last + (self.interval if behind == 0 else self.turn)
        return min(has_room_at, turn) + (behind or 0) * _YIELD


def plan(waiting: Waiting, budget: Budget, *, now: float, took: float = 0.0, max_lag: float = 5.0) -> Plan:
    """Decide whether to send now, and in how many messages, or how long to wait.

    A flush is as urgent as news, or as an alarm if the turn of news would come too late for it. The records may be
    carried by all messages that leave, at the pace of routine, before the oldest record has waited for half of
    `max_lag`. The other half is for what comes between: a retry, a limit, an alarm that takes the room.

    Args:
        waiting: The records, at least one.
        budget: The allowance.
        now: The monotonic time.
        took: How long a request takes, in seconds; 0 is no time.
        max_lag: How long a record may wait, in seconds; 0 is for one message at a time.

    Returns:
        The decision. Whether a limit forbids the next request is for the limiter to say.
    """
    pace = Pace.of(budget)
    if pace and not waiting.is_last:
        least = Urgency.ROUTINE if math.isinf(waiting.deadline) else Urgency.NEWS
        turn = pace.free_at(max(waiting.urgency, least), budget.behind)
        if turn + 2 * took > waiting.deadline:
            turn = pace.free_at(Urgency.ALARM, budget.behind)
        if turn > now + _INSTANT:
            return Plan(turn - now, 1)
    most = min(waiting.records, _MAX_MESSAGES)
    if budget.channel_left is not None:
        most = min(most, budget.channel_left)
    end = min(now + max_lag / 2 - waiting.age, waiting.deadline)
    further = takewhile(lambda at: at <= end, _times(pace, replace(budget.bucket), now, took))
    return Plan(0.0, 1 + sum(1 for _ in islice(further, max(most - 1, 0))))


def _times(pace: Pace | None, bucket: RateLimitBucket, at: float, took: float) -> Iterator[float]:
    """Yield when the messages after one that leaves at `at` may leave at the earliest."""
    while True:
        bucket.use(at)
        free_at = at + max(took, bucket.wait_time(at))
        if pace:
            pace.send(at)
            free_at = max(free_at, pace.free_at(Urgency.ROUTINE))
        at = free_at
        yield at
