"""The process of a contender: `python _contend.py NAME SCENARIO URL RESULTS OPTIONS`.

The process appends its results to the file RESULTS, one line of JSON at a time, so that no result is lost if it is
killed. It runs in the environment of the contender, and needs only the standard library.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import sys
import threading
import time
import traceback
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _contenders

if TYPE_CHECKING:
    from collections.abc import Callable

    from _contenders import Logger

_RUN_NS = 20_000_000
"""The approximate time of one run of calls."""
_SLOW_NS = 50_000_000
"""The length of a call that is reported at once, because the process may be killed before it has logged all records."""
_SHORT = "rec%06d order could not be shipped: no stock in warehouse 7"
_MIXED = [
    ("INFO", "rec%06d order paid"),
    ("DEBUG", "rec%06d cache miss for the price list of warehouse 7, asking the database"),
    ("INFO", "rec%06d GET /orders/4711/items?expand=price,stock&currency=EUR 200 in 12 ms"),
    ("WARNING", "rec%06d the payment gateway answered slowly: " + "attempt 1 took 2.4 s, " * 5),
]
_TEMPLATES = {
    "short": [(level, _SHORT) for level in ("INFO", "WARNING", "ERROR")],
    "long": [(level, _SHORT.ljust(598, "x")) for level in ("INFO", "WARNING", "ERROR")],
    "same": [("ERROR", _SHORT)],
    "mixed": [*(_MIXED * 5)[:19], ("CRITICAL", _SHORT)],
}
"""The levels and texts of the logged records; a critical record has a traceback."""


def report(**facts: Any) -> None:
    """Append results to the file."""
    with Path(sys.argv[4]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def make_exception() -> Exception:
    """Return an exception whose traceback has 20 frames."""

    def fail(depth: int) -> None:
        if depth == 1:
            raise ValueError("no stock in warehouse 7")
        # Frames of a function that calls itself would be shown as "repeated 18 more times".
        pass_on(depth - 1)

    def pass_on(depth: int) -> None:
        fail(depth - 1)

    try:
        fail(19)
    except ValueError as error:
        return error
    raise AssertionError


def percentiles(name: str, times: list[float]) -> dict[str, float]:
    """Return p50, p99 and p99.9."""
    times.sort()
    return {f"{name} p{p}": times[min(len(times) - 1, int(len(times) * p / 100))] for p in (50, 99, 99.9)}


# Group 1: what a call costs


def time_calls(call: Callable[[], None], number: int, threads: int, clock: Callable[[], int]) -> float:
    """Return nanoseconds per call."""
    gc.collect()
    # Garbage collections of this run must not visit the records that earlier runs left in the queue.
    gc.freeze()

    def run() -> None:
        for _ in range(number // threads):
            call()

    others = [threading.Thread(target=run) for _ in range(threads - 1)]
    began = clock()
    for thread in others:
        thread.start()
    run()
    for thread in others:
        thread.join()
    return (clock() - began) / number


def cost(logger: Logger, *, repeat: int, calls: int, fill: int = 0, waits: bool = False) -> None:
    """Time calls that do nothing, plain calls, calls with a traceback, and plain calls from 8 threads.

    Each round also times plain calls and calls with a traceback of the standard library's queue, in turn: the speed of
    a machine with other work varies, so only times of the same round can be compared.

    The time is the caller's processor time, which other work of the machine hardly disturbs, unless the calls wait. For
    8 threads it is the processor time of the whole process, including background threads.
    """

    def clock(threads: int) -> Callable[[], int]:
        if waits:
            return time.perf_counter_ns
        return time.thread_time_ns if threads == 1 else time.process_time_ns

    exception = make_exception()
    plain = logger.call()
    for _ in range(fill):
        plain()
    yardstick = _contenders.yardstick()
    kinds = [("floor", _contenders.floor().call(), 1), ("plain", plain, 1), ("plain yardstick", yardstick.call(), 1)]
    if not fill:
        kinds += [
            ("traceback", logger.call(exception), 1),
            ("traceback yardstick", yardstick.call(exception), 1),
            ("8 threads", plain, 8),
        ]
    numbers = {}
    for kind, call, threads in kinds:
        one = time_calls(call, 16 * threads, threads, clock(threads))
        numbers[kind] = threads * max(8, min(calls, int(_RUN_NS / one)) // threads)
    rounds = [
        {kind: time_calls(call, numbers[kind], threads, clock(threads)) for kind, call, threads in kinds}
        for _ in range(repeat)
    ]
    report(rounds=rounds)


def stored(logger: Logger, **options: Any) -> None:
    """Time calls with a backlog on disk beside those without one."""
    importlib.import_module("_stored").measure(logger, url=sys.argv[3], report=report, **options)


def keep(logger: Logger, **options: Any) -> None:
    """Measure the pace of a backlog's keeper, and what it costs at rest."""
    importlib.import_module("_stored").keep(logger, report=report, **options)


def latency(logger: Logger, *, seconds: float, fill: int = 0, feed: int = 0, pause: float = 0.001) -> None:
    """Time single calls, and the wake-ups from a short sleep between them.

    Before it `fill` records are logged, and between two of them `feed` with tracebacks, which keep a listener busy.
    """
    exception = make_exception()
    call = logger.call()
    call()
    time.sleep(0.3)
    for number in range(fill):
        logger.say(*_MIXED[number % len(_MIXED)], number)
    calls, wakes = [], []
    cpu, own, began = time.process_time(), time.thread_time(), time.monotonic()
    while time.monotonic() - began < seconds:
        start = time.perf_counter_ns()
        time.sleep(pause)
        woken = time.perf_counter_ns()
        call()
        done = time.perf_counter_ns()
        wakes.append((woken - start) / 1e9 - pause)
        calls.append((done - woken) / 1e3)
        for _ in range(feed):
            fill += 1  # equal records would be folded into one
            logger.say(*_MIXED[fill % len(_MIXED)], fill, exception)
    elapsed = time.monotonic() - began
    busy = (time.process_time() - cpu) - (time.thread_time() - own)
    report(busy=busy / elapsed, **percentiles("call", calls), **percentiles("wake", wakes))


def crowd(logger: Logger, *, seconds: float, threads: int = 8, pause: float = 0.001) -> None:
    """Time single calls from threads that all log, with a short sleep between two calls."""
    deadline = time.monotonic() + seconds
    calls: list[float] = []

    def log(number: int) -> None:
        mine = []
        while time.monotonic() < deadline:
            time.sleep(pause)
            number += 1
            start = time.perf_counter_ns()
            logger.say(*_MIXED[number % len(_MIXED)], number)
            mine.append((time.perf_counter_ns() - start) / 1e3)
        calls.extend(mine)

    crew = [threading.Thread(target=log, args=(number * 100_000,)) for number in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    report(records=len(calls), **percentiles("call", calls))


# Groups 2 and 3: what arrives


def burst(logger: Logger, *, records: int, kind: str = "short", bursts: int = 1, traced: bool = False) -> None:
    """Log records as fast as possible, `bursts` times with 3 s between them, and end."""
    exception = make_exception()
    traceback_length = len("".join(traceback.format_exception(exception)))
    templates = _TEMPLATES[kind]
    if traced:
        tracemalloc.start()
    worst = text = 0
    began = time.monotonic()
    report(began=began, cpu=time.process_time())
    for number in range(records * bursts):
        if number and not number % records:
            time.sleep(3)
        level, template = templates[number % len(templates)]
        error = exception if level == "CRITICAL" else None
        start = time.perf_counter_ns()
        logger.say(level, template, 7 if kind == "same" else number, error)
        took = time.perf_counter_ns() - start
        worst = max(worst, took)
        if took > _SLOW_NS:
            report(worst=worst / 1e6)
        text += len(template) + (traceback_length if error else 0)
    report(worst=worst / 1e6, text=text, logged=time.monotonic())
    if traced:
        logger.handler.flush(max(0.0, began + 50 - time.monotonic()))
        report(peak=tracemalloc.get_traced_memory()[1])
        os._exit(0)


def sustain(logger: Logger, *, seconds: float, rate: float) -> None:
    """Log at a steady rate and then stop dead."""
    began = time.monotonic()
    report(began=began)
    number = 0
    while (elapsed := time.monotonic() - began) < seconds:
        if number < elapsed * rate:
            logger.say(*_MIXED[number % len(_MIXED)], number)
            number += 1
        else:
            time.sleep(0.005)
    report(logged=number)


def pace(
    logger: Logger, *, seconds: float, settles: float, phases: list[tuple[float, float]], alarm_every: float | None
) -> None:
    """Log for `seconds`, and report the time of each record: `R` is routine, `C` CRITICAL, `N` a new kind of ERROR."""
    times: dict[str, list[float]] = {"R": [], "C": [], "N": []}
    # Alarms come at different moments between two messages.
    every = {"C": alarm_every and alarm_every * 1.037, "N": alarm_every and alarm_every * 3.071}
    began = time.monotonic()

    def say(letter: str, level: str, template: str) -> None:
        number = len(times[letter])
        times[letter].append(time.monotonic())
        logger.say(level, f"rec{letter}%06d {template}", number)

    while (elapsed := time.monotonic() - began) < seconds:
        while len(times["R"]) < count_due(phases, elapsed):
            say("R", ("INFO", "WARNING", "ERROR")[len(times["R"]) % 3], "order could not be shipped: no stock")
        for letter, level in (("C", "CRITICAL"), ("N", "ERROR")):
            if (gap := every[letter]) and elapsed >= (len(times[letter]) + 0.5) * gap:
                words = f"payments of kind {len(times[letter])} fail" if letter == "N" else "the database is gone"
                say(letter, level, words)
        time.sleep(0.005)
    time.sleep(settles)
    report(times=times)


def count_due(phases: list[tuple[float, float]], elapsed: float) -> float:
    """Return the number of records of a load after a time in seconds; the first record comes at once."""
    whole, rest = divmod(elapsed, sum(seconds for seconds, _ in phases))
    due = whole * sum(seconds * rate for seconds, rate in phases)
    for seconds, rate in phases:
        due += min(seconds, rest) * rate
        rest = max(rest - seconds, 0.0)
    return due


# Group 4: resources


def memory(logger: Logger, *, records: int) -> None:
    """Measure the memory of a waiting record beyond its text."""
    for number in range(200):
        logger.say("ERROR", _SHORT, number)
    time.sleep(0.5)
    gc.collect()
    tracemalloc.start()
    for number in range(records):
        logger.say("ERROR", _SHORT, number)
    gc.collect()
    report(bytes=tracemalloc.get_traced_memory()[0] / records - len(_SHORT % 0))


def _make_deep_exception(frames: int) -> Exception:
    """Return an exception whose traceback has `frames` different functions of a module in the current directory."""
    step = "def step_{0}(order):\n    total = order['total'] + {0}\n    return step_{1}(dict(order, total=total))\n\n\n"
    steps = [step.format(number, number + 1) for number in range(frames - 2)]
    last = f"def step_{frames - 2}(order):\n    return order['total'] / order['missing']\n"
    Path("deep.py").write_text("".join([*steps, last]), encoding="utf-8")
    sys.path.insert(0, str(Path.cwd()))
    try:
        importlib.import_module("deep").step_0({"total": 1})
    except KeyError as error:
        return error
    raise AssertionError


def render(logger: Logger, *, repeat: int, size: int = 100_000, frames: int = 200) -> None:
    """Time how the listener lays out records with a long text and a long traceback: the first, and the later ones."""
    compose = importlib.import_module("discord_logging._cards.compose").compose
    freeze = importlib.import_module("discord_logging._records.freeze").freeze
    frozen_record = importlib.import_module("discord_logging._records.record").FrozenRecord
    lines = [template % number for number in range(size // 40) for _, template in _MIXED]
    error = _make_deep_exception(frames)
    times = []
    for _ in range(repeat):
        record = logging.LogRecord("shop", logging.ERROR, __file__, 1, "\n".join(lines)[:size], (), None)
        record.exc_info = type(error), error, error.__traceback__
        frozen = frozen_record(freeze(record, logger.handler._settings))
        began = time.perf_counter()
        message = compose([frozen]).message
        times.append(time.perf_counter() - began)
    assert message.files
    report(first=times[0] * 1e3, p50=sorted(times)[repeat // 2] * 1e3)


def import_time(name: str) -> None:
    """Time the import of all modules that `logging` does not import."""
    began = time.perf_counter()
    importlib.import_module(_contenders.CONTENDERS[name].module)
    report(milliseconds=(time.perf_counter() - began) * 1e3, requests="requests" in sys.modules)


def first_handler(_name: str) -> None:
    """Time the creation of the first handler of a process."""
    began = time.perf_counter()
    importlib.import_module("discord_logging").DiscordHandler("http://127.0.0.1:9/api/webhooks/1/token")
    report(milliseconds=(time.perf_counter() - began) * 1e3)


def requests_import(_name: str) -> None:
    """Time the import of `requests`, which is part of the creation of the first handler."""
    began = time.perf_counter()
    importlib.import_module("requests")
    report(milliseconds=(time.perf_counter() - began) * 1e3)


def local_discord(_name: str) -> None:
    """Time the start and stop of a local Discord, and report the best of five."""
    sandbox = importlib.import_module("discord_logging.sandbox")
    times = []
    for _ in range(5):
        began = time.perf_counter()
        with sandbox.LocalDiscord():
            pass
        times.append(time.perf_counter() - began)
    report(milliseconds=min(times) * 1e3)


async def _answer(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def asgi(_name: str) -> None:
    """Time requests to an ASGI application, alone and in the middleware."""
    options = json.loads(sys.argv[5])
    middleware: Any = importlib.import_module("discord_logging.asgi").DiscordLogging
    headers = [(b"host", b"shop.example"), (b"user-agent", b"curl/8.5.0"), (b"x-request-id", b"0a1b2c3d")]
    message = {"type": "http.request", "body": b'{"order": 4711}', "more_body": False}

    async def receive() -> Any:
        return message

    async def send(_message: Any) -> None:
        pass

    def request(app: Any) -> Callable[[], None]:
        def run() -> None:
            scope = {"type": "http", "method": "POST", "path": "/pay", "query_string": b"", "headers": headers}
            coroutine = app(scope, receive, send)
            try:
                coroutine.send(None)
            except StopIteration:
                return
            raise AssertionError("the application waits")

        return run

    settings = {"webhook_url": "http://127.0.0.1:9/api/webhooks/1/token", "startup_notice": False}
    watched = {"request": middleware(_answer, **settings), "with body": middleware(_answer, request_body=True)}
    calls = {name: request(app) for name, app in {"floor": _answer, **watched}.items()}
    longest = max(time_calls(call, 16, 1, time.thread_time_ns) for call in calls.values())
    number = max(8, min(options["calls"], int(_RUN_NS / longest)))
    rounds = [
        {name: time_calls(call, number, 1, time.thread_time_ns) for name, call in calls.items()}
        for _ in range(options["repeat"])
    ]
    report(rounds=rounds)


def stalls(_name: str) -> None:
    """Search for texts that take a function long."""
    importlib.import_module("_stalls").search(**json.loads(sys.argv[5]), report=report)


def secrets(name: str) -> None:
    """Count the secrets that a masker leaves, and the harmless texts that it changes."""
    importlib.import_module("_secrets").measure(name, **json.loads(sys.argv[5]), report=report)


_SCENARIOS: dict[str, Callable[..., None]] = {
    "cost": cost,
    "keep": keep,
    "stored": stored,
    "latency": latency,
    "crowd": crowd,
    "burst": burst,
    "sustain": sustain,
    "pace": pace,
    "memory": memory,
    "render": render,
}
_ENDS_BY_ITSELF = {"burst"}
_WITHOUT_LOGGER = {
    "import": import_time,
    "first handler": first_handler,
    "import requests": requests_import,
    "local Discord": local_discord,
    "asgi": asgi,
    "stalls": stalls,
    "secrets": secrets,
}


def main() -> None:
    """Run one scenario."""
    name, scenario, url, _, options = sys.argv[1:]
    if scenario in _WITHOUT_LOGGER:
        _WITHOUT_LOGGER[scenario](name)
        return
    arguments = json.loads(options)
    logger = _contenders.make(name, url, **arguments.pop("settings", {}))
    _SCENARIOS[scenario](logger, **arguments)
    if scenario not in _ENDS_BY_ITSELF:
        os._exit(0)


if __name__ == "__main__":
    main()
