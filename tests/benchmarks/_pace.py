"""The lateness of records under a lasting load, compared with the least possible lateness."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from _run import Case, Outcome
from _table import Figure, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Run = Callable[[Case, str], Outcome]

_DISCORD = {"latency": 0.05}
_LEVELS = {"C": "CRITICAL", "N": "first ERROR of its kind"}
_SETTLES = 6.0
"""The time that a contender has to deliver its last records, in seconds."""
_LIMITS = ((30, 60.0), (5, 2.0))
"""Discord's limits: numbers of messages in times in seconds."""
_EXACT = 0.01


@dataclass(frozen=True)
class Load:
    """A load of log records.

    Attributes:
        phases: Pairs of a time in seconds and a number of records a second, which are repeated in order.
        bars: The targets of this package: p50, p95 and maximum of all records; p50 and maximum of CRITICAL records.
        with_peers: Whether the peers are measured as well.
        server: The options of the local Discord.
        scale: The factor by which everything is faster than with Discord's limits.
        alarms: Whether there is a CRITICAL record every 20 s and an ERROR of a new kind every 60 s.
    """

    phases: Sequence[tuple[float, float]]
    bars: tuple[str, str] = ("1.5 / 2.8 / 3", "0.5 / 2.5")
    with_peers: bool = False
    server: Mapping[str, Any] = field(default_factory=lambda: _DISCORD)
    scale: float = 1.0
    alarms: bool = True

    def case(self, seconds: float, name: str) -> Case:
        """Return the case for one contender."""
        settings = {"queue_size": 1_000_000, **({"limits": "scaled"} if self.scale > 1 else {})}
        options = {
            "seconds": seconds / self.scale,
            "settles": _SETTLES / self.scale,
            "phases": self.phases,
            "alarm_every": 20.0 / self.scale if self.alarms else None,
            **({"settings": settings} if name == "ours" else {}),
        }
        return Case("pace", options, self.server, seconds + 60)


LOADS = {
    "0.2/s": Load([(60, 0.2)], ("0.3 / 0.3 / 0.3", "0.5 / 2.5")),
    "0.4/s": Load([(60, 0.4)], ("0.3 / 0.3 / 0.3", ""), alarms=False),
    "1/s": Load([(60, 1)], with_peers=True),
    "3/s": Load([(60, 3)], with_peers=True),
    "20/s": Load([(60, 20)], with_peers=True),
    "1/s, answers after 400 ms": Load([(60, 1)], server={"latency": 0.4}),
    "20/s, answers after 400 ms": Load([(60, 20)], server={"latency": 0.4}),
    "0.2, 3, 20 and 0.2/s in steps": Load([(15, 0.2), (15, 3), (15, 20), (15, 0.2)]),
    "0.2/s, and 200 records each minute": Load([(59, 0.2), (1, 200)]),
    "3/s, and bursts of 100 each 20 s": Load([(19.9, 3), (0.1, 1000)]),
    "30/s, scaled to a tenth": Load(
        [(6, 30)],
        ("0.15 / 0.28 / 0.3", "0.05 / 0.25"),
        server={"latency": 0.005, "webhook_limit": (5, 0.2), "channel_limit": (30, 6.0)},
        scale=10,
    ),
    "200/s": Load([(60, 200)]),
    "2,000/s": Load([(60, 2_000)], ("- / - / 5", "0.5 / 2.5")),
}


def least(times: Sequence[float], limits: Sequence[tuple[int, float]] = _LIMITS) -> list[float]:
    """Return the lateness of records logged at `times` that makes the largest lateness as small as possible.

    A sender that knows the future sends each message as late as the largest lateness allows, with as many records as
    possible.
    """
    low, high = 0.0, 60.0
    best = _send(times, high, limits)
    while high - low > _EXACT:
        middle = (low + high) / 2
        sent = _send(times, middle, limits)
        if sent is None:
            low = middle
        else:
            high, best = middle, sent
    return [best[bisect_left(best, at)] - at for at in times] if best else []


def _send(times: Sequence[float], late: float, limits: Sequence[tuple[int, float]]) -> list[float] | None:
    """Return the times of messages with which no record is later than `late`, or `None` if the limits forbid them."""
    sent: list[float] = []
    index = 0
    while index < len(times):
        at = times[index] + late
        if any(len(sent) >= number and at < sent[-number] + seconds for number, seconds in limits):
            return None
        sent.append(at)
        index = bisect_left(times, at + 1e-9)
    return sent


def percentiles(late: Sequence[float], *which: float) -> str:
    """Return percentiles of seconds, for a cell."""
    values = sorted(late)
    return " / ".join(f"{values[min(len(values) - 1, int(len(values) * each / 100))]:.2f}" for each in which)


def measure(run: Run, names: Sequence[str], loads: Mapping[str, Load], *, seconds: float) -> Table:
    """Measure the loads in parallel, because nearly all of the time is waiting."""
    table = Table(f"Lateness under {seconds:.0f} s of lasting load (seconds from the call to the message's arrival)")
    jobs = [(load, name) for load, facts in loads.items() for name in names if name == "ours" or facts.with_peers]

    def work(job: tuple[str, str]) -> Outcome:
        load, name = job
        return run(loads[load].case(seconds, name), name)

    with ThreadPoolExecutor(len(jobs)) as pool:
        outcomes = dict(zip(jobs, pool.map(work, jobs), strict=True))
    for load, facts in loads.items():
        mine = {name: outcome for (of, name), outcome in outcomes.items() if of == load}
        table.add(mine, _figures(facts, mine["ours"]), f"{load}: ")
    return table


def _figures(load: Load, ours: Outcome) -> list[Figure]:
    limits = [(number, seconds / load.scale) for number, seconds in _LIMITS]
    logged = sorted(at for times in ours.facts.get("times", {}).values() for at in times)
    bound = percentiles(least(logged, limits), 50, 95, 100) if logged else "-"
    bars, alarm_bars = load.bars
    alarms = [_alarm_figure(letter, name, alarm_bars) for letter, name in _LEVELS.items()] if load.alarms else []
    return [
        Figure(
            "all: p50 / p95 / max",
            lambda outcome: percentiles(_late(outcome), 50, 95, 100),
            f"<= {bars}; least possible {bound}",
        ),
        *alarms,
        Figure("not delivered", lambda outcome: f"{_count(outcome.facts['times']) - len(_late(outcome)):,}", "0"),
        Figure("messages / 429s", _answers, "no 429"),
    ]


def _alarm_figure(letter: str, name: str, bars: str) -> Figure:
    return Figure(f"{name}: p50 / max", lambda outcome: percentiles(_late(outcome, letter), 50, 100), f"<= {bars}")


def _count(times: Mapping[str, Sequence[float]]) -> int:
    return sum(map(len, times.values()))


def _late(outcome: Outcome, letters: str = "RCN") -> list[float]:
    """Return the lateness of the records that arrived; the letter in a record's text is its sort."""
    logged, arrived = outcome.facts["times"], outcome.arrived["came_by_id"]
    return [
        arrived[f"{letter}{number:06d}"] - at
        for letter in letters
        for number, at in enumerate(logged[letter])
        if f"{letter}{number:06d}" in arrived
    ]


def _answers(outcome: Outcome) -> str:
    return f"{outcome.arrived['messages']} / {outcome.arrived['rate_limited']}"
