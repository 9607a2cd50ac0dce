"""This module measures what a backlog on disk costs: a logging call, the pace of its keeper, and a process at rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import _contenders
from _contend import make_exception, time_calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from _contenders import Logger

_CALLS = 200
"""The number of calls of a round: less than half of a ring, also if each of them has a traceback."""
_KEPT_SECONDS = 30.0
"""The longest wait until the calls of a round are stored."""


def measure(
    logger: Logger, *, url: str, repeat: int, backlog: dict[str, Any], report: Callable[..., object], **settings: Any
) -> None:
    """Time the first call of the process, which has a backlog, and then plain calls and calls with a traceback.

    Args:
        logger: A logger whose handler has no backlog.
        url: The webhook of both handlers.
        repeat: The number of rounds.
        backlog: The settings of a backlog.
        report: A function that takes the results.
        settings: The other settings of both handlers.
    """
    stored = _contenders.make("ours", url, name="stored", **settings, **backlog)
    exception = make_exception()
    began = time.perf_counter()
    stored.call()()
    first = time.perf_counter() - began
    kinds = [
        ("plain", logger.call()),
        ("plain, stored", stored.call()),
        ("traceback", logger.call(exception)),
        ("traceback, stored", stored.call(exception)),
    ]
    rounds = []
    for _ in range(repeat):
        times = {}
        for kind, call in kinds:
            # The keeper does not compete with another handler's calls.
            _wait_until_stored(stored)
            times[kind] = time_calls(call, _CALLS, 1, time.thread_time_ns)
        rounds.append(times)
    report(first=first * 1e3, rounds=rounds[len(rounds) > 1 :])


def keep(logger: Logger, *, records: int, rest: float, report: Callable[..., object]) -> None:
    """Log as fast as a loop can, until all records are stored, and then rest.

    Args:
        logger: A logger whose handler has a backlog.
        records: The number of records.
        rest: The seconds for which the process rests, after its keeper has slowed down.
        report: A function that takes the results: the stored records a second, and the share of a core at rest.
    """
    _wait_until_stored(logger)
    began = time.perf_counter()
    for number in range(records):
        logger.say("ERROR", "Order %06d could not be shipped", number)
    _wait_until_stored(logger)
    report(pace=records / (time.perf_counter() - began))
    logger.handler.flush(_KEPT_SECONDS)
    time.sleep(rest)
    began, used = time.monotonic(), time.process_time()
    time.sleep(rest)
    report(rest=(time.process_time() - used) / (time.monotonic() - began))


def _wait_until_stored(stored: Logger) -> None:
    arrivals, deadline = stored.handler._listener.backlog.arrivals, time.monotonic() + _KEPT_SECONDS
    while len(arrivals):
        if time.monotonic() > deadline:
            raise TimeoutError("the records were not stored")
        time.sleep(0.01)
    time.sleep(0.01)
