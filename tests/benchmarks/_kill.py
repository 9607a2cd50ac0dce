"""The kill test: a worker is killed with SIGKILL while its records wait, and another one comes after it.

A record is accepted once its logging call has returned. Each round runs in new processes with a new local Discord,
which has Discord's own limits and responds after 50 ms. The settings of the workers' handlers are keyword arguments.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

from _arrivals import Tally, count, count_rate_limited, last_arrival
from _crew import Crew, Worker, wait_until
from _shared import LATENCY
from _worker import Load

from discord_logging.sandbox import Fault, LocalDiscord

ROUNDS = 20
RECORDS = 1_000
_RATE = 800.0
_STALL = 30.0
"""The time without an answer in which a worker is killed, in seconds."""
_MOMENT_SECONDS = 30.0
_POLL = 0.0005
_FLUSH = 30.0
_OTHERS_LOAD = Load(20, 4.0, flush=_FLUSH)
_MAX_POST = 2

Moment = Callable[[LocalDiscord, Worker, random.Random], bool]
"""A function that waits for the moment to kill a worker, and returns whether it came."""


@dataclass(frozen=True)
class Killed:
    """The result of some rounds.

    Attributes:
        tally: What became of the records of the killed workers.
        rate_limited_after: The 429s after the kills.
        last_after: The seconds from a kill to the last arrival of a record that was accepted before it, at most.
    """

    tally: Tally = field(default_factory=Tally)
    rate_limited_after: int = 0
    last_after: float = 0.0

    def __add__(self, other: Killed) -> Killed:
        return Killed(
            self.tally + other.tally,
            self.rate_limited_after + other.rate_limited_after,
            max(self.last_after, other.last_after),
        )


@dataclass(frozen=True)
class _Plan:
    """A round: what the worker logs, when it is killed, and who comes after it."""

    load: Load
    moment: Moment
    fault: Callable[[int], list[Fault]] = lambda _: []
    """A function that returns the faults of the first requests of a round with a number."""
    is_down: bool = False
    other_goes_on: bool = False


def waiting(rounds: int = ROUNDS, records: int = RECORDS, **settings: Any) -> Killed:
    """Kill when all records wait, since Discord does not answer the first request and does not save its message."""
    plan = _Plan(Load(records), _when_all_wait, lambda _: [Fault.stall(_STALL)])
    return _run(plan, rounds, settings)


def at_random(rounds: int = ROUNDS, records: int = RECORDS, rate: float = _RATE, **settings: Any) -> Killed:
    """Kill at a random moment of a steady load."""
    return _run(_Plan(Load(records, rate), _at_random), rounds, settings)


def posting(rounds: int = ROUNDS, records: int = RECORDS, rate: float = _RATE, **settings: Any) -> Killed:
    """Kill while a POST is under way, the first or the second one; every second round Discord saves its message."""
    return _run(_Plan(Load(records, rate), _when_it_posts, _stall_a_post), rounds, settings)


def down(rounds: int = ROUNDS, records: int = RECORDS, rate: float = _RATE, **settings: Any) -> Killed:
    """Kill at a random moment while Discord cannot be reached; it comes back before the next worker."""
    return _run(_Plan(Load(records, rate), _at_random, is_down=True), rounds, settings)


def tracebacks(rounds: int = ROUNDS, records: int = RECORDS, rate: float = _RATE, **settings: Any) -> Killed:
    """Kill at a random moment of a load of records with tracebacks of 20 frames."""
    return _run(_Plan(Load(records, rate, "traceback"), _at_random), rounds, settings)


def fast(rounds: int = ROUNDS, records: int = 8 * RECORDS, **settings: Any) -> Killed:
    """Kill at a random moment while the worker logs as fast as it can."""
    return _run(_Plan(Load(records), _at_random), rounds, settings)


def other_goes_on(rounds: int = ROUNDS, records: int = RECORDS, rate: float = _RATE, **settings: Any) -> Killed:
    """Kill at a random moment of a steady load; another worker, which ran all the time, goes on."""
    return _run(_Plan(Load(records, rate), _at_random, other_goes_on=True), rounds, settings)


def _run(plan: _Plan, rounds: int, settings: dict[str, Any]) -> Killed:
    return reduce(add, (_play(plan, number, settings) for number in range(rounds)), Killed())


def _play(plan: _Plan, number: int, settings: dict[str, Any]) -> Killed:
    """Play one round; the same number makes the same choices."""
    with LocalDiscord(latency=LATENCY) as discord, Crew(discord.webhook_url, settings) as crew:
        for fault in plan.fault(number):
            discord.fail_next(fault)
        (victim,) = crew.start(plan.load)
        others = crew.start(_OTHERS_LOAD) if plan.other_goes_on else []
        if plan.is_down:
            discord.stop()
        crew.begin([victim, *others])
        if not plan.moment(discord, victim, random.Random(number)):  # noqa: S311 - no secret
            raise TimeoutError("the moment to kill the worker did not come")
        victim.kill()
        killed, killed_at = time.monotonic(), time.time()
        discord.start()
        crew.wait(others or crew.run(Load(1, flush=_FLUSH)))
        last = last_arrival(discord.messages, victim.accepted)
        return Killed(
            count(discord, victim.accepted),
            count_rate_limited(discord, killed),
            max((last or 0.0) - killed_at, 0.0),
        )


def _when_all_wait(discord: LocalDiscord, victim: Worker, choices: random.Random) -> bool:
    # A fault that the killed worker has not met would meet the next one.
    return _when_it_posts(discord, victim, choices) and _wait_for_records(victim, victim.load.records)


def _at_random(_: LocalDiscord, victim: Worker, choices: random.Random) -> bool:
    return _wait_for_records(victim, choices.randint(1, victim.load.records))


def _wait_for_records(victim: Worker, number: int) -> bool:
    return wait_until(lambda: victim.notes.calls[number - 1], _MOMENT_SECONDS, _POLL)


def _stall_a_post(number: int) -> list[Fault]:
    """Return faults of which the last one leaves a request without an answer."""
    return [Fault()] * (number // 2 % _MAX_POST) + [Fault.stall(_STALL, save=bool(number % 2))]


def _when_it_posts(discord: LocalDiscord, victim: Worker, _: random.Random) -> bool:
    def is_stalled() -> bool:
        return any(request.fault and request.fault.delay and not request.finished for request in discord.requests)

    # A busy machine may post a record before its logging call returns.
    return wait_until(is_stalled, _MOMENT_SECONDS, _POLL) and _wait_for_records(victim, 1)
