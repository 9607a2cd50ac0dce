"""The pace says when the next message leaves, and how many messages carry the waiting records.

A channel accepts 30 messages in any minute. A program that sends one for each record has used them up within seconds,
and whatever comes then, even an alarm, waits until the minute ends. Therefore four fifths of them are turns that come
at an even pace, and the rest lets a message leave ahead of its turn. A message carries all waiting records, in a form
that is as dense as necessary: no record waits much longer than from one turn to the next, for as long as the load
lasts.

Each message fills a bucket by 1, and every `interval` (the minute by the number of turns, 2.5 s) takes 1 out of it. A
message may leave when the bucket then holds no more than a mark, which depends on the most urgent record that waits:

=========== =============================================================================== =============
urgency     records                                                                         mark, of 30
=========== =============================================================================== =============
`EDIT`      repeats that a message in the channel counts, by an edit                        1
`ROUTINE`   all others                                                                      4.6
`NEWS`      the first `ERROR` of its kind for an hour; from `WARNING` on, a record that is  6
            more severe than all of the last minute
`ALARM`     a record from `CRITICAL` on                                                     7, the brim
=========== =============================================================================== =============

No flood of routine records takes the room that an error of a new kind needs, and no flood of new errors takes the room
that a `CRITICAL` needs. (Below a limit of 6 the rest is a single message, and that is kept for alarms.) The fuller the
bucket is, the further apart routine messages leave, by a twentieth of an interval for each message in it: a burst that
has just begun does not use up the room that it needs at its end. Where more urgent messages have filled the bucket
beyond its mark, routine has its turn 2.75 s after the last message, a tenth of an interval late, so that the reserve
fills again, and an edit has it as much later again.

Where records wait for several webhooks of the channel, or in several processes, the one that sent last lets the others
go first, and all let a more urgent one go first. The one whose turn it is may send an interval after the last message.

Two bounds follow for every load. A full bucket and all that is taken out of it within a minute are 31 messages, of
which the last would be complete only at the last moment of the minute: *no minute has more than 30*. (At the end of the
program nothing waits for its turn, and the limiter alone keeps this bound.) And a turn always finds room: *no record
waits longer than a turn*, as far as limits and the time of a request allow, or for half of `max_lag` where that is
longer. Records for several threads, names or pictures, which cannot share a message, and several webhooks of the
channel have their turns one after the other.

The algorithm is the generic cell rate algorithm (ITU-T I.371), with a mark for each class as in trunk reservation.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import IntEnum
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from discord_logging._discord.rate_limit_state import RateLimitBucket


class Urgency(IntEnum):
    """The urgency of a record decides how soon it is posted."""

    EDIT = -1
    """The record is counted by an edit of a message. It gives way to records that are posted."""
    ROUTINE = 0
    NEWS = 1
    """The record is the first `ERROR` of its kind for an hour, or a `WARNING` or worse above all levels of the last
    minute."""
    ALARM = 2
    """The record's level is `CRITICAL` or above."""


_TURNS = 4 / 5
"""The part of a channel's limit that is spent evenly."""
_LATE = 1.1
"""The intervals after which a message has its turn although the bucket has no room for it."""
_MARKS = {Urgency.EDIT: 0.0, Urgency.ROUTINE: 3 / 5, Urgency.NEWS: 5 / 6, Urgency.ALARM: 1.0}
"""The part of the rest that a message may use to leave ahead of its turn."""
_SPREAD = 0.3
"""The part of an interval by which a bucket with room for a single message holds up routine."""
_MAX_MESSAGES = 100
"""The most messages that may carry the waiting records. With more of them, nothing would be condensed."""
_YIELD = 0.15
"""The seconds that a webhook, or a process, waits for each other one of its channel that goes first."""
_INSTANT = 1e-6
"""The longest wait that is a mere rounding error, in seconds."""


class Waiting(NamedTuple):
    """The records that wait.

    Attributes:
        records: The number of records.
        urgency: The urgency of the most urgent record.
        age: The seconds for which the oldest record has waited.
        deadline: The monotonic time at which a flush gives up, or infinity.
        is_last: Whether no record comes after these, so that all that are not sent until `deadline` are lost.
        are_edits: Whether a message in the channel is to count them, by an edit.
        delay: Without records, the seconds until there may be some, as far as that is known; 0 else.
    """

    records: int
    urgency: Urgency = Urgency.ROUTINE
    age: float = 0.0
    deadline: float = math.inf
    is_last: bool = False
    are_edits: bool = False
    delay: float = 0.0

    @property
    def priority(self) -> Urgency:
        """The urgency with regard to a flush, which is at least as urgent as news."""
        return self.urgency if math.isinf(self.deadline) else max(self.urgency, Urgency.NEWS)


class Budget(NamedTuple):
    """The allowance of a webhook, and the messages that its channel was sent.

    Attributes:
        bucket: The webhook's bucket.
        channel_limit: How many messages the channel accepts within `channel_window`; `None` means any number.
        channel_left: How many of these messages are left; `None` means any number.
        channel_window: The window in seconds.
        sent: The times at which messages were sent to the channel, in order, for one window at the least.
        others: How many others have waiting records for the channel: other webhooks, and other processes.
        behind: How many of these others go first, because they have more urgent records, or sent their last message
            earlier.
    """

    bucket: RateLimitBucket
    channel_limit: int | None = None
    channel_left: int | None = None
    channel_window: float = 60.0
    sent: tuple[float, ...] = ()
    others: int = 0
    behind: int = 0


class Plan(NamedTuple):
    """The decision to wait, or to send now in some number of messages.

    Attributes:
        wait: Seconds after which to ask again; 0 means to send now.
        messages: How many messages, the next one included, may carry the waiting records.
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
        """Count a message. The bucket never overflows, even if a message came unasked or under a larger limit."""
        self._last = at
        full = at + (1 + self._spare) * self.interval
        self._empty_at = min(max(self._empty_at, at) + self.interval, full)
        self._spread_until = at + (self._empty_at - at) * _SPREAD / max(self._spare, 1)

    def free_at(self, urgency: Urgency, others: int = 0, behind: int = 0) -> float:
        """Return when the next message may leave because the bucket has room for it or because it has its turn.

        Args:
            urgency: The urgency of the most urgent record.
            others: How many others have waiting records.
            behind: How many of these go first.
        """
        has_room_at = self._empty_at - self._spare * _MARKS[urgency] * self.interval
        if urgency is Urgency.ROUTINE:
            has_room_at = max(has_room_at, self._last + self.turn if behind else self._spread_until)
        turn = self._last + (self.interval if others and not behind else self.turn)
        if urgency is Urgency.EDIT:
            turn += self.turn
        return min(has_room_at, turn) + behind * _YIELD


def plan(waiting: Waiting, budget: Budget, *, now: float, took: float = 0.0, max_lag: float = 5.0) -> Plan:
    """Decide whether to send now, and in how many messages, or how long to wait.

    A flush is as urgent as news, or as an alarm if the turn of news would come too late for it. The records may take
    all messages that leave, at the pace of routine, before the oldest record has waited for half of `max_lag`. The
    other half is a reserve for a retry, a limit, or an alarm that takes the room.

    Args:
        waiting: The records, at least one.
        budget: The allowance.
        now: The monotonic time.
        took: The seconds that a request takes.
        max_lag: The seconds that a record may wait; 0 means that a single message carries all records.

    Returns:
        The decision. The limiter may still forbid the next request.
    """
    pace = Pace.of(budget)
    if pace and not waiting.is_last:
        turn = pace.free_at(waiting.priority, budget.others, budget.behind)
        if turn + 2 * took > waiting.deadline:
            turn = pace.free_at(Urgency.ALARM, budget.others, budget.behind)
        if turn > now + _INSTANT:
            return Plan(turn - now, 1)
    most = min(waiting.records, _MAX_MESSAGES)
    if budget.channel_left is not None:
        most = min(most, budget.channel_left)
    end = min(now + max_lag / 2 - waiting.age, waiting.deadline)
    further = takewhile(lambda at: at <= end, _times(pace, replace(budget.bucket), now, took))
    # The others have their turns in between.
    ours = islice(further, budget.others, None, budget.others + 1)
    return Plan(0.0, 1 + sum(1 for _ in islice(ours, max(most - 1, 0))))


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
