"""The table of the shared test and the kill test, with a column for each way in which handlers keep records."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import _kill
import _shared
from _run import Outcome
from _table import Figure, Table

_DISK = Path("/var/tmp")  # noqa: S108 - the directory inside has a random name
"""A directory that is on a disk also where `/tmp` is in memory."""


@contextmanager
def memory() -> Iterator[dict[str, Any]]:
    """Yield the settings of handlers that keep records in memory alone."""
    yield {}


@contextmanager
def backlog() -> Iterator[dict[str, Any]]:
    """Yield the settings of handlers that keep records in a new directory, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="backlog-", dir=_DISK if _DISK.is_dir() else None) as directory:
        yield {"backlog": directory}


@contextmanager
def redis() -> Iterator[dict[str, Any]]:
    """Yield the settings of handlers that keep records in a Redis of their own."""
    with tempfile.TemporaryDirectory(prefix="redis-") as directory:
        path = f"{directory}/redis.sock"
        options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", directory]
        with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as process:  # noqa: S607 - as found
            try:
                deadline = time.monotonic() + _STARTING
                while not Path(path).exists():
                    if time.monotonic() > deadline:
                        raise TimeoutError("Redis did not start")
                    time.sleep(0.01)
                yield {"backlog": f"unix://{path}"}
            finally:
                process.terminate()


SETTINGS = {"memory": memory, "backlog": backlog} | ({"redis": redis} if shutil.which("redis-server") else {})
"""Functions that make the settings of handlers for one scenario, by the columns of the table."""
_STARTING = 30.0
"""The seconds that Redis has to start."""
_AT_ONCE, _QUICK_AT_ONCE = 3, 6
"""The number of services that run in parallel, because most of their time is waiting; the second is for quick runs."""
_ALL = "no 429, all, 0"


def measure(*, seconds: float, rounds: int, quick: bool) -> Table:
    """Run all scenarios with all settings.

    Args:
        seconds: The time of a steady load.
        rounds: The number of kills of each kind.
        quick: Whether there are few workers and records, to try the benchmark itself.
    """
    # A quick run is long enough without a third column.
    columns = list(SETTINGS)[:2] if quick else list(SETTINGS)
    title = "Services of many processes with one webhook (Discord's limits; answers after 50 ms)"
    table = Table(title, columns=columns)
    scenarios = {**_shared_scenarios(seconds, quick=quick), **_kill_scenarios(rounds, quick=quick)}
    jobs = [(name, column) for name in scenarios for column in columns]

    def work(job: tuple[str, str]) -> Outcome:
        name, column = job
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {column}: {name}\n")
        try:
            with SETTINGS[column]() as settings:
                return Outcome(facts={"result": scenarios[name][0](**settings)}, ended=time.monotonic())
        except (RuntimeError, TimeoutError) as error:
            return Outcome(failure=str(error))

    with ThreadPoolExecutor(_QUICK_AT_ONCE if quick else _AT_ONCE) as pool:
        outcomes = dict(zip(jobs, pool.map(work, jobs), strict=True))
    for name, (_, figures) in scenarios.items():
        table.add({column: outcomes[name, column] for column in columns}, figures, f"{name}: ")
    return table


_Scenario = tuple[Callable[..., Any], list[Figure]]


def _shared_scenarios(seconds: float, *, quick: bool) -> dict[str, _Scenario]:
    few, many, some = (2, 3, 3) if quick else (4, 8, 6)
    records, repeats, half = (20, 6, seconds) if quick else (200, 480, seconds * 8 / 13)
    steady = f"steady {many / 2:g}/s, {seconds:.0f} s"
    bar = "<= 7 requests, no 429, all, 0, <= 2.5"
    return {
        f"{few} workers, steady {few / 2:g}/s, {seconds:.0f} s": (partial(_shared.steady, few, seconds), _figures()),
        f"{many} workers, {steady}": (partial(_shared.steady, many, seconds), _figures()),
        f"{many} workers, {steady}, prefork": (partial(_shared.steady, many, seconds, prefork=True), _figures()),
        f"{few} workers, {records} at once": (partial(_shared.burst, few, records), _figures()),
        f"{many} workers, {records} at once": (partial(_shared.burst, many, records), _figures(bar)),
        f"{many} workers, {records} at once, prefork": (
            partial(_shared.burst, many, records, prefork=True),
            _figures(bar),
        ),
        f"{many} workers, the same {repeats} times": (
            partial(_shared.repeat, many, repeats),
            [Figure("requests / 429s / messages / records counted", _repeats, "no 429, <= 3, all"), _FLUSHES],
        ),
        f"{some} workers, a third killed and replaced": (partial(_shared.crowd, some, half), _figures()),
        f"{many} workers, all restarted": (
            partial(_shared.restart, many, half / 2),
            [
                *_figures(),
                Figure("messages in the minute before the restart / 429s after it", _restart, "30 / no 429"),
            ],
        ),
    }


def _kill_scenarios(rounds: int, *, quick: bool) -> dict[str, _Scenario]:
    records = {"records": 50} if quick else {}
    scenarios: dict[str, Callable[..., _kill.Killed]] = {
        "while all wait": _kill.waiting,
        "at random, 800/s": _kill.at_random,
        "while it posts": _kill.posting,
        "Discord down": _kill.down,
        "at random, 20 frames": _kill.tracebacks,
        "as fast as it can": _kill.fast,
        "another worker goes on": _kill.other_goes_on,
    }
    bars = dict.fromkeys(scenarios, "0, all marked, no 429") | {"another worker goes on": "0, all marked, no 429, <= 1"}

    def row(name: str) -> _Scenario:
        figure = Figure("lost of accepted / twice / marked / 429s after / last, s after", _killed, bars[name])
        return partial(scenarios[name], rounds, **records), [figure]

    return {f"{rounds} killed, {name}": row(name) for name in scenarios}


def _figures(bar: str = _ALL) -> list[Figure]:
    return [Figure("requests / 429s / records / twice / last, s late", _arrived, bar), _FLUSHES]


def _arrived(outcome: Outcome) -> str:
    shared: _shared.Shared = outcome.facts["result"]
    tally = shared.tally
    records = f"{tally.delivered:,} of {tally.accepted:,}"
    return f"{tally.requests} / {tally.rate_limited} / {records} / {tally.doubled} / {shared.last_late or 0:.1f}"


def _repeats(outcome: Outcome) -> str:
    shared: _shared.Shared = outcome.facts["result"]
    tally = shared.tally
    return f"{tally.requests} / {tally.rate_limited} / {tally.messages} / {tally.repeats} of {tally.accepted}"


def _flushes(outcome: Outcome) -> str:
    shared: _shared.Shared = outcome.facts["result"]
    done = sum(is_done for is_done, _ in shared.flushes)
    return f"{done} of {shared.flushers} / {max([seconds for _, seconds in shared.flushes], default=0.0):.1f}"


def _restart(outcome: Outcome) -> str:
    shared: _shared.Shared = outcome.facts["result"]
    return f"{shared.used} / {shared.rate_limited_after}"


def _killed(outcome: Outcome) -> str:
    killed: _kill.Killed = outcome.facts["result"]
    tally = killed.tally
    lost = f"{tally.lost:,} of {tally.accepted:,}"
    return f"{lost} / {tally.doubled} / {tally.marked} / {killed.rate_limited_after} / {killed.last_after:.1f}"


_FLUSHES = Figure("flushes that returned True / longest, s", _flushes, "all")
