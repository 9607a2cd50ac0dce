"""The groups of figures, with the cases that produce them."""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import _live
import _pace
import _services
from _contenders import CONTENDERS, PEERS
from _run import NO_LIMITS, SECONDS, Case, Outcome
from _table import Figure, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from _environments import UnavailableError

_BIG = {"queue_size": 1_000_000, "queue_bytes": 4_000_000_000}
"""The settings of this package with which no record is dropped."""
_HELD = {**_BIG, "timeout": 600}
"""The settings of this package with a server that blocks the listener."""
_SLOW = {**NO_LIMITS, "latency": 600.0}
_BLIND = {"blind": True}
_UNLIMITED = {**_BIG, "limits": "none"}
_STAGGER = 3.0
_RUNS = 3
_QUICK_LOADS = ("3/s", "30/s, scaled to a tenth", "2,000/s")


@dataclass(frozen=True)
class Runner:
    """Runs cases.

    Attributes:
        pythons: The interpreter of each contender, or the reason why it has none.
        repeat: The number of short runs.
        quick: Whether all runs are shortened, to try the benchmark itself.
        seconds: The time of a lasting load, in seconds.
        seed: The number that the search for stalls begins with.
        maskers: The interpreter of each masker, or the reason why it has none.
    """

    pythons: Mapping[str, str | UnavailableError]
    repeat: int
    quick: bool
    seconds: float
    seed: int = 0
    maskers: Mapping[str, str | UnavailableError] = field(default_factory=dict)

    def run(self, case: Case | Callable[[str], Case], *, only: str = "", at_once: bool = False) -> dict[str, Outcome]:
        """Run a case with every contender, one after the other.

        Args:
            case: The case, or a function that returns the case of a contender.
            only: The only contender to run the case with; all contenders by default.
            at_once: Whether the peers run in parallel, started a few seconds apart, for cases in which they wait.
        """
        names = [only] if only else list(self.pythons)
        together = [name for name in names if self.quick or (at_once and name in PEERS)]
        outcomes = {name: self.run_one(case, name) for name in names if name not in together}
        with ThreadPoolExecutor(len(CONTENDERS)) as pool:
            delays = [number * (0.0 if self.quick else _STAGGER) for number in range(len(together))]
            outcomes |= zip(together, pool.map(self.run_one, [case] * len(together), together, delays), strict=True)
        return outcomes

    def run_one(self, case: Case | Callable[[str], Case], name: str, delay: float = 0.0) -> Outcome:
        """Run a case with one contender, after a delay in seconds."""
        time.sleep(delay)
        chosen = case if isinstance(case, Case) else case(name)
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}: {chosen.scenario} {dict(chosen.options)}\n")
        python = (self.maskers if chosen.scenario == "secrets" else self.pythons)[name]
        return chosen.run(name, python) if isinstance(python, str) else Outcome(failure=f"not installed: {python}")


def _number(key: str, digits: int = 0, scale: float = 1.0) -> Callable[[Outcome], str]:
    return lambda outcome: f"{outcome.facts[key] * scale:,.{digits}f}"


def _options(name: str, settings: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    return {**options, "settings": dict(settings)} if name == "ours" else options


# Group 1


def _joined(runs: Sequence[dict[str, Outcome]]) -> dict[str, Outcome]:
    """Return the outcomes of the first run, with the rounds of all."""
    for name, outcome in runs[0].items():
        if rounds := [each for run in runs for each in run[name].facts.get("rounds", ())]:
            outcome.facts["rounds"] = rounds
    return runs[0]


def _median(of: Callable[[dict[str, float]], float], digits: int = 0) -> Callable[[Outcome], str]:
    """Return a function that shows the median of the results of `of` for each round."""
    return lambda outcome: f"{statistics.median(map(of, outcome.facts['rounds'])):,.{digits}f}"


def _own(kind: str) -> Callable[[dict[str, float]], float]:
    return lambda times: times[kind] - times["floor"]


def _ratio(kind: str) -> Callable[[dict[str, float]], float]:
    own, yardstick = _own(kind), _own(f"{kind} yardstick")
    return lambda times: own(times) / yardstick(times)


def calls(runner: Runner) -> Table:
    """Measure the time that a logging call takes."""
    table = Table("Caller's cost (ns of processor time per call; of wall time for the two that post in it)")
    number = 1_000 if runner.quick else 20_000

    def cost(name: str) -> Case:
        # A slow server blocks the listeners, so that they do not compete for the processor. Contenders that post in the
        # call get a fast server.
        waits = CONTENDERS[name].posts_in_the_call
        options = _options(name, _HELD, repeat=runner.repeat, calls=number, waits=waits)
        return Case("cost", options, NO_LIMITS if waits else _SLOW)

    runs = 1 if runner.quick else _RUNS
    outcomes = _joined([runner.run(cost) for _ in range(runs)])
    table.add(
        outcomes,
        [
            Figure("floor: a handler that does nothing", _median(itemgetter("floor"))),
            Figure("plain record", _median(itemgetter("plain"))),
            Figure("plain, own share (above the floor)", _median(_own("plain")), "<= 1,000"),
            Figure("plain, own share / QueueHandler's beside it", _median(_ratio("plain"), 2), "<= 0.25"),
            Figure("20-frame traceback", _median(itemgetter("traceback"))),
            Figure("traceback, own share", _median(_own("traceback")), "<= 8,000"),
            Figure("traceback, own share / QueueHandler's beside it", _median(_ratio("traceback"), 2), "<= 0.25"),
            Figure("plain, 8 threads", _median(itemgetter("8 threads"))),
        ],
    )
    full = {**_HELD, "queue_size": 1_000}
    case = Case("cost", _options("ours", full, repeat=runner.repeat, calls=number, fill=2_000), _SLOW)
    full_figures = [
        Figure("plain, queue full", _median(itemgetter("plain"))),
        Figure("plain, queue full, own share", _median(_own("plain")), "<= 1,000"),
        Figure("plain, queue full, own share / QueueHandler's beside it", _median(_ratio("plain"), 2)),
    ]
    table.add(_joined([runner.run(case, only="ours") for _ in range(runs)]), full_figures)
    own = {**_HELD, "show_locals": "own"}
    case = Case("cost", _options("ours", own, repeat=runner.repeat, calls=number), _SLOW)
    own_figures = [
        Figure("20-frame traceback with local variables", _median(itemgetter("traceback"))),
        Figure("traceback with local variables, own share", _median(_own("traceback"))),
    ]
    table.add(_joined([runner.run(case, only="ours") for _ in range(runs)]), own_figures)
    _add_stored(table, runner, runs)
    for busy, loads in _loads(runner).items():
        outcomes = runner.run(loads)
        figures = [Figure(f"call p{p}, µs", _number(f"call p{p}", 1)) for p in (50, 99, 99.9)]
        table.add(outcomes, [*figures, Figure("listener's share of a core", _number("busy", 2))], f"listener {busy}: ")
    # All limits apply, as in a channel, so that most records are dropped or wait.
    case = Case("crowd", {"seconds": 0.3 if runner.quick else 10.0}, {"latency": 0.05})
    outcomes = {name: runner.run(case, only=name)[name] for name in ("ours", "stdlib")}
    under_load = [
        Figure("records a second", lambda outcome: f"{outcome.facts['records'] / case.options['seconds']:,.0f}"),
        Figure("call p99.9, ms", _number("call p99.9", 2, 1e-3), "<= 1"),
    ]
    table.add(outcomes, under_load, "8 threads under load: ")
    case = Case("asgi", {"repeat": runner.repeat, "calls": number}, None)
    requests = [
        Figure("an application alone", _median(itemgetter("floor"))),
        Figure("own share of the middleware", _median(_own("request")), "<= 20,000"),
        Figure("own share with the body", _median(_own("with body")), "<= 20,000"),
    ]
    table.add(_joined([runner.run(case, only="ours") for _ in range(runs)]), requests, "ASGI request: ")
    return table


def _add_stored(table: Table, runner: Runner, runs: int) -> None:
    """Add what a call costs if its record is kept in a backlog on disk, too."""

    def run() -> Outcome:
        with _services.backlog() as backlog:
            options = _options("ours", _HELD, repeat=runner.repeat, backlog=backlog, **_HELD)
            return runner.run_one(Case("stored", options, _SLOW), "ours")

    def more(kind: str) -> Callable[[dict[str, float]], float]:
        return lambda times: times[f"{kind}, stored"] - times[kind]

    figures = [
        Figure("plain", _median(itemgetter("plain, stored"))),
        Figure("plain, beyond the call without", _median(more("plain")), "<= 1,500"),
        Figure("20-frame traceback", _median(itemgetter("traceback, stored"))),
        Figure("traceback, beyond the call without", _median(more("traceback")), "<= 10,000"),
        Figure("first call of a process, ms", _number("first", 1), "<= 3"),
    ]
    table.add(_joined([{"ours": run()} for _ in range(runs)]), figures, "with a backlog: ")
    # The keeper looks less often after ten seconds.
    options = {"records": 200, "rest": 0.3} if runner.quick else {"records": 30_000, "rest": 20.0}
    with _services.backlog() as backlog:
        case = Case("keep", {**options, "settings": backlog}, NO_LIMITS, seconds=120)
        outcomes = runner.run(case, only="ours")
    kept = [
        Figure("records stored a second, beside a loop that logs", _number("pace"), ">= 20,000"),
        Figure("a process at rest, % of a core", _number("rest", 2, 100), "<= 0.1"),
    ]
    table.add(outcomes, kept, "with a backlog: ")


def _loads(runner: Runner) -> dict[str, Callable[[str], Case]]:
    def idle(name: str) -> Case:
        seconds = 0.3 if runner.quick else 5.0
        return Case("latency", _options(name, _UNLIMITED, seconds=seconds, pause=0.005), _BLIND)

    def busy(name: str) -> Case:
        seconds = 0.3 if runner.quick else 4.0
        load = {"fill": 0, "feed": 0} if CONTENDERS[name].posts_in_the_call else {"fill": 5_000, "feed": 5}
        return Case("latency", _options(name, _UNLIMITED, seconds=seconds, **load), _BLIND)

    return {"idle": idle, "busy": busy}


# Group 2


def _span(outcome: Outcome) -> str:
    posted = [at - outcome.facts["began"] for at in outcome.arrived["posted"]]
    return f"{posted[0]:.2f} / {posted[-1]:.2f}"


def _ended(outcome: Outcome) -> str:
    return f"{outcome.ended - outcome.facts['began']:.1f}" if outcome.ended else f"killed at {SECONDS} s"


def _answers(outcome: Outcome) -> str:
    arrived = outcome.arrived
    return f"{arrived['requests']} / {arrived['rate_limited']} / {arrived['refused']}"


def _worst(outcome: Outcome) -> str:
    return f"{'' if 'logged' in outcome.facts else '>= '}{outcome.facts['worst']:,.1f}"


def _burst_figures(delivered: str, requests: str, span: str) -> list[Figure]:
    return [
        Figure("records delivered", lambda outcome: f"{outcome.arrived['delivered']:,}", delivered),
        Figure("requests / 429s / other refusals", _answers, requests),
        Figure("first / last message, s", _span, span),
        Figure("process ended, s", _ended),
        Figure("worst call, ms", _worst),
        Figure("peak RSS, MB", lambda outcome: f"{outcome.peak_rss / 1e6:.0f}"),
    ]


def _peak(outcome: Outcome, text: int) -> str:
    return f"{outcome.facts['peak'] / text:.1f}"


def bursts(runner: Runner) -> Table:
    """Measure how many of many simultaneous records arrive."""
    table = Table("Bursts (5 requests per 2 s, answered after 50 ms; the process logs and ends)")
    count = 20 if runner.quick else 200
    distant = {"latency": 0.05}
    no_channel: dict[str, Any] = {**distant, "channel_limit": None}
    small: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
        ("short", {}, no_channel, [f"{count}", "<= 5, no 429", "first <= 0.3, last <= 2"]),
        ("long", {"kind": "long"}, no_channel, [f"{count}", "<= 8, no 429", "last <= 5"]),
        ("short, 3 bursts, channel limit", {"bursts": 3}, distant, [f"{3 * count}", "no 429", ""]),
        ("long, 3 bursts, channel limit", {"kind": "long", "bursts": 3}, distant, [f"{3 * count}", "no 429", ""]),
    ]
    for name, options, server, bars in small:
        outcomes = runner.run(Case("burst", {"records": count, **options}, server), at_once=True)
        table.add(outcomes, _burst_figures(*bars), f"{count} {name}: ")
    raised = {**_BIG, "flush_timeout": SECONDS - 5}
    big = [
        ("mixed", 10_000, ["10,000", "", ""]),
        ("mixed", 100_000, ["100,000", "<= 12, no 429", "last <= 30"]),
        ("same", 10_000, ["", "<= 2, no 429", ""]),
    ]
    for kind, records, bars in big:
        number = records // 100 if runner.quick else records
        load = {"records": number, "kind": kind}
        outcomes = runner.run(Case("burst", _options("ours", raised, **load), distant), only="ours")
        figures = _burst_figures(*bars)
        if kind == "same":
            counted = Figure("records counted", lambda outcome: f"{outcome.arrived['repeats']:,}", f"{records:,}")
            figures = [
                counted,
                Figure("messages", lambda outcome: str(outcome.arrived["messages"]), "1-2"),
                *figures[1:],
            ]
        table.add(outcomes, figures, f"{number:,} {kind}: ")
        traced = runner.run(Case("burst", _options("ours", raised, **load, traced=True), distant), only="ours")
        bar = "<= 3" if records == 100_000 else ""
        ratios = [
            # The text in the channel has lines with time, level, logger and location, like a log file.
            Figure("peak memory / text in the channel", lambda run: _peak(run, run.arrived["text"]), bar),
            Figure("peak memory / messages and tracebacks alone", lambda run: _peak(run, run.facts["text"])),
        ]
        table.add(traced, ratios, f"{number:,} {kind}: ")
    return table


# Group 3


def limits(runner: Runner) -> Table:
    """Measure how close to Discord's limits the contenders come without exceeding them."""
    table = Table("Limits (5 requests per 0.2 s and 30 per 6 s: a tenth of Discord's windows)")
    seconds = 1.5 if runner.quick else 18.0
    # Ten cards fill a message, so this is twice the capacity of 5 messages a second.
    load = {"seconds": seconds, "rate": 100.0}
    server = {"webhook_limit": (5, 0.2), "channel_limit": (30, 6.0)}
    outcomes = runner.run(lambda name: Case("sustain", _options(name, {"limits": "scaled"}, **load), server))
    allowed = 30 * -(-seconds // 6)

    def used(outcome: Outcome) -> str:
        # A call may have blocked its caller for longer.
        in_time = [at for at in outcome.arrived["posted"] if at <= outcome.facts["began"] + seconds]
        return f"{len(in_time) / allowed:.0%} ({outcome.arrived['delivered']:,} records)"

    sustained = [
        Figure("429s", lambda outcome: str(outcome.arrived["rate_limited"]), "0"),
        Figure("allowed requests used", used),
    ]
    table.add(outcomes, sustained, f"{seconds * 10:.0f} s (scaled) of 100 records/s: ")
    for retry_after in (0.3,) if runner.quick else (0.3, 1.0, 2.0, 5.0):
        # One of the peers posts every 3 s.
        load = {"seconds": retry_after + (1.5 if runner.quick else 4.0), "rate": 10.0}
        case = Case("sustain", load, {"retry_after": retry_after})

        def after(outcome: Outcome, wait: float = retry_after) -> str:
            refused_at = outcome.arrived["refusals"][0]
            following = [came for came in outcome.arrived["came"] if came > refused_at]
            return f"{following[0] - refused_at - wait:+.3f}" if following else "none"

        bar = f"0 to {retry_after * 0.05 + 0.05:.3f}"
        table.add(runner.run(case), [Figure(f"429 for {retry_after} s: next request, s after", after, bar)])
    return table


def pace(runner: Runner) -> Table:
    """Measure how late records are under a lasting load."""
    seconds = 3.0 if runner.quick else runner.seconds
    loads = {name: _pace.LOADS[name] for name in _QUICK_LOADS} if runner.quick else _pace.LOADS
    return _pace.measure(runner.run_one, list(runner.pythons), loads, seconds=seconds)


# Group 4


def resources(runner: Runner) -> Table:
    """Measure memory, processor time, and the delay of other threads."""
    table = Table("Resources")

    def memory(name: str) -> Case:
        return Case("memory", _options(name, _HELD, records=10_000), _SLOW)

    outcomes = {name: runner.run(memory, only=name)[name] for name in ("ours", "stdlib")}
    table.add(outcomes, [Figure("bytes per waiting record beyond its text", _number("bytes"), "<= 400")])

    def delivery(name: str) -> Case:
        settings = {**_UNLIMITED, "flush_timeout": SECONDS - 5}
        return Case("burst", _options(name, settings, records=500), NO_LIMITS)

    def cpu(outcome: Outcome) -> str:
        return f"{(outcome.cpu - outcome.facts['cpu']) / outcome.arrived['delivered'] * 1e6:,.0f}"

    table.add(runner.run(delivery), [Figure("CPU per delivered record, of 500 at once, µs", cpu)])
    outcomes = runner.run(_loads(runner)["busy"])
    wakes = [
        Figure("wake-up from a 1 ms sleep, p50, ms late", _number("wake p50", 2, 1e3), "<= 0.3"),
        Figure("wake-up from a 1 ms sleep, p99, ms late", _number("wake p99", 2, 1e3)),
        Figure("listener's share of a core", _number("busy", 2)),
    ]
    table.add(outcomes, wakes, "listener saturated: ")
    rendered = [
        Figure("the first, ms", _number("first", 1)),
        Figure("p50, ms", _number("p50", 1), "<= 20"),
    ]
    rendering = Case("render", {"repeat": 3 if runner.quick else 50}, NO_LIMITS)
    table.add(runner.run(rendering, only="ours"), rendered, "rendering 100 KB with 200 frames: ")
    # An import is short and easily disturbed, so it is measured several times.
    runs = [runner.run(Case("import", server=None)) for _ in range(min(runner.repeat, 5))]

    def import_time(name: str) -> str:
        times = [run[name].facts["milliseconds"] for run in runs if not run[name].failure]
        return f"{statistics.median(times):.0f}" if times else runs[0][name].failure

    def requests(outcome: Outcome) -> str:
        return "yes" if outcome.facts["requests"] else "no"

    table.rows.append(("import beyond logging, ms", {name: import_time(name) for name in runs[0]}, ""))
    table.add(runs[0], [Figure("import brings requests", requests, "no")])
    turns = [
        [runner.run_one(Case(scenario, server=None), "ours") for scenario in ("first handler", "import requests")]
        for _ in range(min(runner.repeat, 15))
    ]
    first, requests_alone = (
        statistics.median(run.facts["milliseconds"] for run in runs) for runs in zip(*turns, strict=True)
    )
    table.rows.append(("first handler / import of requests", {"ours": f"{first / requests_alone:.2f}"}, "<= 1.6"))
    start = runner.run(Case("local Discord", server=None), only="ours")
    table.add(start, [Figure("local Discord: start and stop, ms", _number("milliseconds", 1), "<= 50")])
    return table


# Group 6


def stalls(runner: Runner) -> Table:
    """Search for texts that take a function long, and fail for each function that has one."""
    seconds = 5.0 if runner.quick else 2 * runner.seconds
    table = Table(f"Stalls (the worst texts of {seconds:.0f} s of search, grown to 1 MB; seed {runner.seed})")
    options = {"number": runner.seed, "seconds": seconds, "quick": runner.quick}
    case = Case("stalls", options, None, 4 * seconds + 60)
    outcomes = runner.run(case, only="ours")
    facts = outcomes["ours"].facts
    if "failures" in facts:
        table.failures = facts["failures"]
    else:
        table.failures = [f"{outcomes['ours'].failure or 'killed'}, in {facts.get('trying')}"]
    table.add(outcomes, [Figure("texts tried", _number("seeds"))])
    for name in [name for name, fact in facts.items() if isinstance(fact, dict)]:
        table.add(outcomes, [_stall_figure(name)])
    return table


def _stall_figure(name: str) -> Figure:
    def show(outcome: Outcome) -> str:
        fact = outcome.facts[name]
        return f"{fact['seconds']:.3f} / {fact['exponent']:.2f} / {fact['pause'] * 1e3:.1f}"

    return Figure(f"{name}: s for 1 MB / exponent / longest pause of others, ms", show, "<= 0.5 / <= 1.3 / <= 5")


# Group 7


def secrets(runner: Runner) -> Table:
    """Count the secrets that a masker leaves, and the harmless texts that it changes."""
    case = Case("secrets", {"repeat": runner.repeat}, None)
    outcomes = {name: runner.run_one(case, name) for name in runner.maskers}
    for mistake in ("leaks", "changed"):
        for text in outcomes["ours"].facts.get(mistake, ()):
            sys.stderr.write(f"ours: {mistake}: {text!r}\n")
    facts = outcomes["ours"].facts
    secret, kinds, harmless = (facts.get(number) for number in ("secrets", "kinds", "harmless"))
    title = f"Secrets ({secret} in {kinds} kinds of text, and {harmless} harmless texts)"
    table = Table(title, columns=list(runner.maskers))
    figures = [
        Figure("secrets that are shown", lambda outcome: str(len(outcome.facts["leaks"])), "0"),
        Figure("harmless texts that are changed", lambda outcome: str(len(outcome.facts["changed"])), "0"),
        Figure("processor time per text, µs", _number("seconds", 0, 1e6)),
    ]
    table.add(outcomes, figures)
    return table


# Group 8


def shared(runner: Runner) -> Table:
    """Count what arrives from many processes with one webhook, and from processes that are killed."""
    if runner.quick:
        return _services.measure(seconds=4.0, rounds=1, quick=True)
    return _services.measure(seconds=min(runner.seconds, 65.0), rounds=min(runner.repeat, 20), quick=False)


def live(runner: Runner) -> Table:
    """Count the requests that tell of fifty kinds of errors at once, by edits of their cards."""
    return _live.measure(seconds=2.0 if runner.quick else min(runner.seconds, 60.0))


GROUPS: dict[str, Callable[[Runner], Table]] = {
    "calls": calls,
    "bursts": bursts,
    "limits": limits,
    "pace": pace,
    "resources": resources,
    "stalls": stalls,
    "secrets": secrets,
    "shared": shared,
    "live": live,
}
WITHOUT_CONTENDERS = {"secrets", "shared", "live"}
"""The groups whose columns are not the contenders."""
