"""The shared test: many workers of a service log to one webhook, within Discord's own limits.

Each scenario runs in new processes with a new local Discord, which responds after 50 ms. The settings of the workers'
handlers are keyword arguments.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from _arrivals import Tally, count, count_rate_limited, last_arrival
from _crew import Crew, Worker
from _worker import Load

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LATENCY = 0.05
_RATE = 0.5
"""The records of a worker a second, under a steady load."""
_REPEATS_RATE = 2.0
_FLUSH = 40.0
_LONG_FLUSH = 90.0
"""The seconds for a flush after a restart, which may have to wait until a minute of the channel's limit has ended."""
_WINDOW = 60.0


@dataclass(frozen=True)
class Shared:
    """The result of a scenario.

    Attributes:
        tally: What became of the records.
        last_late: The seconds from the last logging call to the arrival of the last record; `None` if none arrived.
        flushes: What the flush of each worker returned, and its seconds, without workers that did not get there.
        flushers: The number of workers that were to flush.
        used: The messages in the minute before a restart.
        rate_limited_after: The 429s after a restart.
    """

    tally: Tally
    last_late: float | None
    flushes: list[tuple[bool, float]]
    flushers: int
    used: int = 0
    rate_limited_after: int = 0


def steady(workers: int = 8, seconds: float = 65.0, *, prefork: bool = False, **settings: Any) -> Shared:
    """Each worker logs a different record every 2 s."""
    load = Load(int(seconds * _RATE) + 1, _RATE, flush=_FLUSH)
    return _run_together(load, workers, prefork=prefork, settings=settings)


def burst(workers: int = 8, records: int = 200, *, prefork: bool = False, **settings: Any) -> Shared:
    """Each worker logs different records, all at once."""
    return _run_together(Load(records, flush=_FLUSH), workers, prefork=prefork, settings=settings)


def repeat(workers: int = 8, records: int = 480, *, prefork: bool = False, **settings: Any) -> Shared:
    """All workers log the same record, `records` times in all."""
    load = Load(records // workers, _REPEATS_RATE, "same", _FLUSH)
    return _run_together(load, workers, prefork=prefork, settings=settings)


def crowd(workers: int = 6, seconds: float = 40.0, *, prefork: bool = False, **settings: Any) -> Shared:
    """Each worker logs a different record every 2 s; a third is killed at half time, and replaced."""
    load, half = (Load(int(part * _RATE), _RATE, flush=_FLUSH) for part in (seconds, seconds / 2))
    with _service(settings, prefork=prefork) as (discord, crew):
        first = crew.start(load, workers)
        crew.begin(first)
        time.sleep(seconds / 2)
        killed = first[: workers // 3]
        for worker in killed:
            worker.kill()
        crew.begin(crew.start(half, len(killed)))
        others = crew.workers[len(killed) :]
        crew.wait(others)
        return _result(discord, crew.workers, others)


def restart(workers: int = 8, seconds: float = 20.0, *, prefork: bool = False, **settings: Any) -> Shared:
    """All workers end and start again at once, after they have used up the channel's limit.

    They log different CRITICAL records, for which the whole limit may be used. The first ones end as a program ends,
    with the handler's own time for a flush.
    """
    load = Load(int(seconds * _RATE), _RATE, "alarm", None)
    again = Load(3, _RATE, "alarm", _LONG_FLUSH)
    with _service(settings, prefork=prefork) as (discord, crew):
        crew.run(load, workers)
        restarted = time.monotonic()
        used = sum(
            request.time > restarted - _WINDOW and request.status is not None and request.status < 300
            for request in discord.requests
        )
        second = crew.run(again, workers)
        after = count_rate_limited(discord, restarted)
        return _result(discord, crew.workers, second, used=used, rate_limited_after=after)


def _run_together(load: Load, workers: int, *, prefork: bool, settings: dict[str, Any]) -> Shared:
    with _service(settings, prefork=prefork) as (discord, crew):
        crew.run(load, workers)
        return _result(discord, crew.workers, crew.workers)


@contextmanager
def _service(settings: dict[str, Any], *, prefork: bool) -> Iterator[tuple[LocalDiscord, Crew]]:
    with (
        LocalDiscord(latency=LATENCY) as discord,
        Crew(discord.webhook_url, settings, prefork=prefork) as crew,
    ):
        yield discord, crew


def _result(discord: LocalDiscord, workers: Sequence[Worker], flushers: Sequence[Worker], **facts: int) -> Shared:
    accepted = {name: at for worker in workers for name, at in worker.accepted.items()}
    last_call, last = max(accepted.values()), last_arrival(discord.messages, accepted)
    return Shared(
        count(discord, accepted),
        None if last is None else max(last - last_call, 0.0),
        [worker.flush for worker in flushers if worker.flush],
        len(flushers),
        **facts,
    )
