"""The pace decides when messages leave and how many there are, in fixed scenes and within bounds for any load."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_logging._discord.pace import Budget, Pace, Plan, Urgency, Waiting, plan
from discord_logging._discord.rate_limiter import RateLimitBucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

pytestmark = pytest.mark.once

EDIT, ROUTINE, NEWS, ALARM = Urgency
NOW = 1_000.0
INTERVAL = 2.5
TURN = 2.75
MINUTE = 60.0
NOTHING = RateLimitBucket()


def budget(*ago: float, limit: int | None = 30, bucket: RateLimitBucket = NOTHING) -> Budget:
    """Return the budget of a channel that was sent messages `ago` seconds ago."""
    sent = tuple(sorted(NOW - each for each in ago))
    return Budget(bucket, limit, None if limit is None else limit - len(ago), MINUTE, sent)


def wait(urgency: Urgency, *ago: float) -> float:
    """Return how long a record waits in a channel that was sent messages `ago` seconds ago."""
    return plan(Waiting(1, urgency), budget(*ago), now=NOW).wait


def messages(records: int, of: Budget, **facts: float) -> int:
    """Return how many messages may carry the records right now."""
    wait, number = plan(Waiting(records, age=0.05), of, now=NOW, **facts)
    assert wait == 0.0
    return number


def lasting() -> list[float]:
    """Return the times at which messages leave while records always wait, for two minutes."""
    pace, sent = Pace(30, MINUTE, [NOW]), [NOW]
    while sent[-1] < NOW + 2 * MINUTE:
        sent.append(pace.free_at(ROUTINE))
        pace.send(sent[-1])
    return sent


class TestTurns:
    """Messages leave at once, or when they have their turn."""

    @pytest.mark.parametrize("urgency", Urgency)
    def test_the_first_message_leaves_at_once(self, urgency: Urgency) -> None:
        """After a quiet time, the bucket has room for any message."""
        assert wait(urgency) == 0.0
        assert wait(urgency, 59, 58, 57, 56) == 0.0

    def test_a_load_below_the_pace_never_waits(self) -> None:
        """The channel has got a message every 2.5 s for all of its history."""
        assert wait(ROUTINE, *(number * INTERVAL for number in range(1, 121))) == 0.0

    @pytest.mark.parametrize(("sent", "expected"), [(1, 0.125), (2, 0.25), (3, 0.375), (4, 1.0), (5, TURN)])
    def test_routine_comes_further_apart_after_more_messages(self, sent: int, expected: float) -> None:
        """Four messages may leave in short order; then the bucket has no room before the next turn."""
        assert wait(ROUTINE, *[0.0] * sent) == pytest.approx(expected)

    def test_a_lasting_load_is_posted_at_an_even_pace(self) -> None:
        """After a burst has filled the bucket to the mark, each message leaves an interval after the one before."""
        sent = lasting()
        gaps = [later - earlier for earlier, later in pairwise(sent)]
        assert gaps[5:] == pytest.approx([INTERVAL] * len(gaps[5:]))

    @pytest.mark.parametrize(("urgency", "room"), [(ROUTINE, 5), (NEWS, 6), (ALARM, 7)])
    def test_each_urgency_has_room_up_to_its_mark(self, urgency: Urgency, room: int) -> None:
        """News still leaves at once when routine waits, and an alarm does when news waits."""
        assert wait(urgency, *[1.0] * (room - 1)) == 0.0
        assert wait(urgency, *[1.0] * room) > 0.0

    def test_a_turn_comes_even_when_the_bucket_is_full(self) -> None:
        """The turn of routine comes a tenth of an interval late, so that the reserve fills again."""
        assert wait(ROUTINE, *[0.5] * 7) == pytest.approx(TURN - 0.5)
        assert wait(ALARM, *[0.5] * 7) == pytest.approx(INTERVAL - 0.5)

    @pytest.mark.parametrize(
        ("ago", "expected"),
        [
            ([], 0.0),
            ([INTERVAL], 0.0),
            ([0.0], INTERVAL),
            ([1.0], INTERVAL - 1),
            ([3.0, 1.0], 2 * INTERVAL - 3),
            ([0.0, 0.0], 2 * INTERVAL),
            ([0.0] * 3, 2 * TURN),
            ([1.0] * 7, 2 * TURN - 1),
        ],
    )
    def test_an_edit_waits_until_the_bucket_is_empty(self, ago: list[float], expected: float) -> None:
        """It takes no room that a message could use, and has its turn after that of routine."""
        assert wait(EDIT, *ago) == pytest.approx(expected)

    def test_an_edit_lets_other_webhooks_go_first(self) -> None:
        """It waits a little longer for each of them."""
        [one, three] = [
            plan(Waiting(1, EDIT), budget(1.0)._replace(others=behind, behind=behind), now=NOW).wait
            for behind in (1, 3)
        ]
        assert one == pytest.approx(INTERVAL - 1 + 0.15)
        assert three == pytest.approx(INTERVAL - 1 + 0.45)

    @given(st.lists(st.floats(0.0, 30.0), max_size=40), st.integers(1, 300))
    def test_no_edit_leaves_before_routine(self, ago: list[float], limit: int) -> None:
        """It waits for two turns at most, whatever was sent."""
        pace = Pace(limit, MINUTE, sorted(NOW - each for each in ago))
        last = NOW - min(ago, default=math.inf)
        assert pace.free_at(ROUTINE) <= pace.free_at(EDIT) + 1e-6
        assert pace.free_at(EDIT) <= last + 2 * pace.turn + 1e-6

    def test_a_large_allowance_is_used_to_its_marks(self) -> None:
        """A burst of routine may use half of the reserve, as with the usual allowance."""
        pace, sent, now = Pace(300, MINUTE, []), 0, NOW
        while pace.free_at(ROUTINE) < now + pace.interval:
            now = max(now, pace.free_at(ROUTINE))
            pace.send(now)
            sent += 1
        assert 31 <= sent <= 60

    def test_a_smaller_allowance_is_spent_as_evenly(self) -> None:
        """If others post to the channel too, fewer messages leave, and further apart."""
        assert Pace(15, MINUTE, []).interval == pytest.approx(5.0)
        assert Pace(1, MINUTE, [NOW]).free_at(ALARM) == NOW + MINUTE

    def test_messages_under_a_larger_allowance_are_not_paid_back(self) -> None:
        """After a few turns the bucket has room for an alarm again."""
        before = [NOW - 300 + number * INTERVAL for number in range(120)]
        pace = Pace(15, MINUTE, before)
        for _ in range(10):
            assert pace.free_at(ROUTINE) <= before[-1] + pace.turn
            before.append(pace.free_at(ROUTINE))
            pace.send(before[-1])
        assert pace.free_at(ALARM) <= before[-1]

    def test_the_webhook_that_sent_last_lets_the_others_go_first(self) -> None:
        """Routine waits for its turn and a little longer; an alarm leaves if the bucket has room for it."""

        def delay(urgency: Urgency, behind: int, *ago: float) -> float:
            return plan(Waiting(1, urgency), budget(*ago)._replace(others=behind, behind=behind), now=NOW).wait

        assert delay(ROUTINE, 0, 1.0) == 0.0
        assert delay(ROUTINE, 1, 1.0) == pytest.approx(TURN - 1 + 0.15)
        assert delay(ROUTINE, 3, 1.0) == pytest.approx(TURN - 1 + 0.45)
        assert delay(ALARM, 1, 0.0) == 0.0

    def test_a_flood_of_another_webhook_does_not_take_the_turn_of_this_one(self) -> None:
        """The turn of a webhook comes before the bucket has room for another webhook's next alarm."""
        full = budget(*[0.0] * 7)
        flood = plan(Waiting(1, ALARM), full._replace(others=1, behind=1), now=NOW).wait
        assert plan(Waiting(1), full._replace(others=1), now=NOW).wait == pytest.approx(INTERVAL)
        assert flood == pytest.approx(INTERVAL + 0.15)

    def test_without_a_limit_of_the_channel_there_are_no_turns(self) -> None:
        """The bucket alone counts, and the limiter obeys that."""
        assert plan(Waiting(1), budget(limit=None), now=NOW) == Plan(0.0, 1)
        assert Pace.of(budget(limit=None)) is None


class TestFlush:
    """A flush waits until all records are delivered."""

    def test_a_flush_does_not_wait_for_the_turn_of_routine(self) -> None:
        """A flush has the room that news has."""
        waiting = Waiting(1, deadline=NOW + 60)
        assert plan(waiting, budget(*[1.0] * 5), now=NOW).wait == 0.0
        assert plan(waiting, budget(*[1.0] * 7), now=NOW).wait == pytest.approx(TURN - 1)

    def test_a_flush_whose_turn_comes_too_late_has_the_room_of_an_alarm(self) -> None:
        """A turn also comes too late if it leaves no time for the request."""
        waiting = Waiting(1, deadline=NOW + 1)
        full = [0.5] * 6
        assert plan(waiting, budget(*full), now=NOW).wait == 0.0
        assert plan(waiting._replace(deadline=NOW + 9), budget(*full), now=NOW).wait > 0.0
        late = waiting._replace(deadline=NOW + TURN)
        assert plan(late, budget(*full), now=NOW, took=0.1).wait > 0.0
        assert plan(late, budget(*full), now=NOW, took=1.0).wait == 0.0
        assert plan(waiting, budget(*full, 0.5), now=NOW).wait > 0.0

    def test_at_the_end_of_the_program_nothing_waits_for_its_turn(self) -> None:
        """A record that is not sent is lost, and no later record needs the room."""
        waiting = Waiting(100, deadline=NOW + 1, is_last=True)
        assert plan(waiting, budget(*[1.0] * 25), now=NOW) == Plan(0.0, 1)
        assert plan(waiting, budget(), now=NOW) == Plan(0.0, 4)

    def test_only_messages_before_the_deadline_count(self) -> None:
        """A deadline allows fewer messages, so their form is denser."""
        assert plan(Waiting(100, deadline=NOW + 0.4), budget(), now=NOW).messages == 3

    def test_the_time_of_a_request_runs_during_the_wait(self) -> None:
        """The next message does not wait for both, one after the other."""
        assert messages(100, budget(), took=0.4) == 5
        assert messages(100, budget(), took=1.0) == 3


class TestMessages:
    """The plan says how many messages may carry the waiting records."""

    def test_a_burst_after_quiet_gets_several_messages(self) -> None:
        """The burst gets as many messages as the bucket has room for."""
        assert messages(100, budget()) == 5
        assert messages(3, budget()) == 3

    def test_under_lasting_load_one_message_carries_all(self) -> None:
        """The next message is for the records that come meanwhile."""
        sent = lasting()
        assert messages(100, budget(*(sent[-1] + INTERVAL - at for at in sent))) == 1

    def test_a_larger_lag_allows_more_messages(self) -> None:
        """Later turns count too, up to half of `max_lag`."""
        assert messages(100, budget(), max_lag=30.0) == 5 + 15 // INTERVAL - 1
        assert messages(100, budget(), max_lag=0.0) == 1

    def test_records_that_have_waited_do_not_wait_for_a_further_message(self) -> None:
        """All records that have waited for a turn leave together."""
        waiting = Waiting(100, ROUTINE, age=2.6)
        assert plan(waiting, budget(), now=NOW) == Plan(0.0, 1)
        assert plan(waiting._replace(age=2.3), budget(), now=NOW) == Plan(0.0, 2)

    def test_the_time_that_requests_take_counts(self) -> None:
        """Requests of 0.4 s leave room for 7 messages in half of 5 s, not for 100."""
        assert messages(800, budget(limit=None)) == 100
        assert messages(800, budget(limit=None), took=0.4) == 7

    def test_the_bucket_counts(self) -> None:
        """The bucket allows five requests every 2 s, and each refill takes a little longer."""
        bucket = RateLimitBucket("abc", limit=5, remaining=5, window=2.0)
        assert messages(800, budget(limit=None, bucket=bucket)) == 10
        assert bucket.remaining == 5

    def test_the_allowance_of_the_channel_counts(self) -> None:
        """A window that is nearly used up leaves one message."""
        nearly = budget()._replace(channel_left=1)
        assert messages(100, nearly) == 1
        assert messages(100, nearly._replace(channel_left=0)) == 1


class Arrival(NamedTuple):
    """A record that arrives `after` seconds after the one before."""

    after: float
    urgency: Urgency


class Channel:
    """A channel and a program that posts to it by the plan alone, which no other limit holds back."""

    def __init__(self, limit: int, took: float) -> None:
        self.limit = limit
        self.took = took
        self.now = 0.0
        self.sent: list[float] = []
        self.late: list[tuple[float, Urgency]] = []

    def run(self, arrivals: Iterable[Arrival]) -> None:
        """Post all records that arrive."""
        at, coming = 0.0, deque[tuple[float, Urgency]]()
        for after, urgency in arrivals:
            at += after
            coming.append((at, urgency))
        waiting: list[tuple[float, Urgency]] = []
        while coming or waiting:
            while coming and coming[0][0] <= self.now:
                waiting.append(coming.popleft())
            if not waiting:
                self.now = coming[0][0]
                continue
            pause = self.step(waiting)
            # A record that comes meanwhile may be more urgent.
            self.now = min([self.now + pause, *(each for each, _ in list(coming)[:1])])

    def step(self, waiting: list[tuple[float, Urgency]]) -> float:
        """Post a message or tell how long to wait."""
        recent = tuple(each for each in self.sent if each > self.now - 5 * MINUTE)
        left = self.limit - sum(each > self.now - MINUTE for each in recent)
        found = Budget(NOTHING, self.limit, left, MINUTE, recent)
        most = max(urgency for _, urgency in waiting)
        pause, number = plan(Waiting(len(waiting), most, self.now - waiting[0][0]), found, now=self.now, took=self.took)
        if pause:
            return pause
        self.sent.append(self.now)
        # A message carries all waiting records, or some of them if further messages may follow.
        some = len(waiting) if number == 1 else -(-len(waiting) // number)
        if any(urgency for _, urgency in waiting[some:]):
            some = len(waiting)
        self.late += [(self.now - at, urgency) for at, urgency in waiting[:some]]
        del waiting[:some]
        self.now += self.took
        return 0.0

    @property
    def most_in_a_minute(self) -> int:
        """Return the largest number of messages in any minute."""
        return max(sum(at <= each < at + MINUTE - 1e-6 for each in self.sent) for at in self.sent)


gaps = st.one_of(st.just(0.0), st.floats(0.0, 0.5), st.floats(0.0, 4.0), st.sampled_from([2.5, 20.0, 61.0]))
arrivals = st.lists(st.builds(Arrival, gaps, st.sampled_from(Urgency)), min_size=1, max_size=150)
floods = st.builds(
    lambda gap, urgency, number: [Arrival(gap, urgency)] * number,
    st.sampled_from([0.01, 0.1, 0.7, 1.0, 2.4, 2.6]),
    st.sampled_from(Urgency),
    st.integers(1, 150),
)
loads: st.SearchStrategy[Sequence[Arrival]] = st.lists(st.one_of(arrivals, floods), max_size=4).map(
    lambda parts: [each for part in parts for each in part]
)


class TestBounds:
    """The bounds hold for any arrival of records."""

    @settings(max_examples=150, deadline=None)
    @given(loads, st.integers(1, 60), st.sampled_from([0.0, 0.05, 0.4]))
    def test_no_minute_has_more_than_the_limit(self, load: Sequence[Arrival], limit: int, took: float) -> None:
        """The plan alone holds messages back, and keeps the limit."""
        channel = Channel(limit, took)
        channel.run(load)
        if channel.sent:
            assert channel.most_in_a_minute <= limit

    @settings(max_examples=150, deadline=None)
    @given(loads, st.sampled_from([15, 30, 60]), st.sampled_from([0.0, 0.05, 0.4]))
    def test_no_record_waits_longer_than_a_turn(self, load: Sequence[Arrival], limit: int, took: float) -> None:
        """The bound holds while the load lasts; a record that comes during a request waits for its end, too.

        Edits alone wait longer, as they give way.
        """
        channel = Channel(limit, took)
        channel.run(load)
        assert len(channel.late) == len(load)
        longest = max(Pace(limit, MINUTE, []).turn, 2.5) + 2 * took
        assert max((late for late, urgency in channel.late if urgency > EDIT), default=0.0) <= longest + 1e-6

    @settings(max_examples=100, deadline=None)
    @given(loads)
    def test_routine_leaves_the_reserve_alone(self, load: Sequence[Arrival]) -> None:
        """During any amount of routine, an alarm and one more after it leave at once."""
        channel = Channel(30, 0.0)
        channel.run([each._replace(urgency=ROUTINE) for each in load])
        recent = [each for each in channel.sent if each > channel.now - 5 * MINUTE]
        for _ in range(2):
            assert Pace(30, MINUTE, recent).free_at(ALARM) <= channel.now + 1e-6
            recent.append(channel.now)

    @pytest.mark.parametrize("flood", [ROUTINE, NEWS])
    @pytest.mark.parametrize("rate", [0.3, 1, 3, 20])
    def test_an_alarm_every_twenty_seconds_never_waits(self, flood: Urgency, rate: float) -> None:
        """A flood of routine or of new errors for ten minutes does not hold up an alarm."""
        alarms = [(20.0 * number + 7.1 * (number % 3), ALARM) for number in range(30)]
        load = sorted([*((number / rate, flood) for number in range(int(600 * rate))), *alarms])
        channel = Channel(30, 0.05)
        times = [0.0, *(at for at, _ in load)]
        channel.run(Arrival(at - before, urgency) for before, (at, urgency) in zip(times, load, strict=False))
        assert max(late for late, urgency in channel.late if urgency is ALARM) <= 0.1
        assert max(late for late, _ in channel.late) <= TURN + 0.1
        assert channel.most_in_a_minute <= 30
