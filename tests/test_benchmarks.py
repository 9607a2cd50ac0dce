"""The benchmarks run. Their figures are for people to judge."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"
FIGURES = [
    "floor: a handler that does nothing",
    "plain record",
    "plain, own share (above the floor)",
    "plain, own share / QueueHandler's beside it",
    "20-frame traceback",
    "traceback, own share",
    "traceback, own share / QueueHandler's beside it",
    "plain, 8 threads",
    "plain, queue full",
    "plain, queue full, own share",
    "plain, queue full, own share / QueueHandler's beside it",
    "20-frame traceback with local variables",
    "traceback with local variables, own share",
    "with a backlog: plain",
    "with a backlog: plain, beyond the call without",
    "with a backlog: 20-frame traceback",
    "with a backlog: traceback, beyond the call without",
    "with a backlog: first call of a process, ms",
    "with a backlog: records stored a second, beside a loop that logs",
    "with a backlog: a process at rest, % of a core",
    *(
        f"listener {state}: {figure}"
        for state in ("idle", "busy")
        for figure in ("call p50, µs", "call p99, µs", "call p99.9, µs", "listener's share of a core")
    ),
    "8 threads under load: records a second",
    "8 threads under load: call p99.9, ms",
    "ASGI request: an application alone",
    "ASGI request: own share of the middleware",
    "ASGI request: own share with the body",
    "15 s (scaled) of 100 records/s: 429s",
    "15 s (scaled) of 100 records/s: allowed requests used",
    "429 for 0.3 s: next request, s after",
]
PACED = [
    "3/s: all: p50 / p95 / max",
    "3/s: CRITICAL: p50 / max",
    "3/s: not delivered",
    "3/s: messages / 429s",
    "2,000/s: all: p50 / p95 / max",
]


def run_quickly(*groups: str, timeout: float = 140) -> subprocess.CompletedProcess[str]:
    """Try some groups of the benchmarks, shortened and without the peers."""
    command = [sys.executable, str(BENCHMARKS), "--quick", "--no-peers", "--only", *groups]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs a POSIX system")
@pytest.mark.timeout(150)
def test_quick_run_prints_a_row_for_each_figure() -> None:
    """The output has every figure of this package, with any value."""
    run = run_quickly("calls", "limits", "pace")
    assert run.returncode == 0, run.stderr
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", run.stdout, re.MULTILINE))
    assert list(rows)[: len(FIGURES) + 2] == ["figure", "---", *FIGURES]
    assert set(PACED) <= set(rows)
    # Within three seconds nothing of some sorts is logged.
    assert all(re.search(r"\d", rows[name]) for name in [*FIGURES, *PACED[2:]]), run.stdout + run.stderr


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs a POSIX system")
@pytest.mark.timeout(150)
def test_quick_search_for_stalls_prints_a_row_for_each_function() -> None:
    """The exit status says whether a function is too slow, which is for people to judge."""
    run = run_quickly("stalls")
    assert run.returncode == ("FAILED" in run.stdout), run.stdout + run.stderr
    assert {"clean", "split_text", "compose", "LineRecords.feed"} <= set(
        re.findall(r"^\| ([\w.]+): s ", run.stdout, re.MULTILINE)
    )


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs a POSIX system")
def test_quick_count_of_secrets_prints_a_row_for_each_figure() -> None:
    """The columns of this table are the maskers, not the handlers."""
    run = run_quickly("secrets", timeout=100)
    assert run.returncode == 0, run.stderr
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]* \|$", run.stdout, re.MULTILINE)
    assert rows[0] == ("figure", "ours")
    assert [name for name, _ in rows[2:]] == [
        "secrets that are shown",
        "harmless texts that are changed",
        "processor time per text, µs",
    ]
    assert all(re.fullmatch(r"[\d,]+", figure) for _, figure in rows[2:]), run.stdout


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs a POSIX system")
def test_quick_load_of_live_cards_prints_a_row_for_each_figure() -> None:
    """The columns of this table are the two ways to tell repeats."""
    run = run_quickly("live")
    assert run.returncode == 0, run.stderr
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]* \|$", run.stdout, re.MULTILINE)
    assert rows[0] == ("figure", "post", "edit")
    assert rows[2] == ("records logged / delivered", *["2,001 / 2,001"] * 2)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that makes secrets and counts those that a masker leaves."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_secrets")


def test_texts_with_secrets_are_the_same_each_time(secrets: Any) -> None:
    """A secret stands once in its text, and a template of JSON makes JSON."""
    texts = list(secrets.texts())
    assert texts == list(secrets.texts())
    assert all(text.text.count(text.secret) == 1 for text in texts if text.secret)
    assert all(json.loads(text.text) for text in texts if text.text.startswith('{"'))


@pytest.mark.parametrize(("text", "is_shown"), [("a=***", False), ("a=***k-lantern7", True), ("a=maple-***", True)])
def test_a_secret_is_shown_if_a_piece_of_it_is(secrets: Any, text: str, is_shown: bool) -> None:
    """A mask that ends too early does not count."""
    assert secrets.is_shown("maple-dark-lantern7", text) is is_shown


def test_every_mistake_of_a_masker_is_counted(secrets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A masker that does nothing shows all secrets, and one that masks everything changes all harmless texts."""
    facts: dict[str, Any] = {}
    for name, mask in {"idle": lambda text: text, "eager": lambda _: "***"}.items():
        monkeypatch.setitem(secrets._MAKE, name, lambda mask=mask: contextlib.nullcontext(mask))
        secrets.measure(name, repeat=1, report=lambda name=name, **each: facts.update({name: each}))
    counts = {name: (len(each["leaks"]), len(each["changed"])) for name, each in facts.items()}
    assert counts == {"idle": (facts["idle"]["secrets"], 0), "eager": (0, facts["idle"]["harmless"])}


@pytest.fixture
def stalls(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of the search, in which the result of a call stands in for its time."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module: Any = importlib.import_module("_stalls")
    monkeypatch.setattr(module, "cost", lambda work: work())
    return module


@pytest.mark.parametrize(
    ("seconds", "exponent", "size", "is_too_slow"),
    [
        (lambda text: len(text) / 4e6, 1.0, 1_048_576, False),
        (lambda text: (len(text) / 4e6) ** 2, 2.0, 1_048_576, True),
        (lambda text: len(text) / 1e6, 1.0, 524_288, True),
    ],
    ids=["linear", "quadratic", "slow"],
)
def test_growth_of_a_stall_is_measured(
    stalls: Any, seconds: Any, exponent: float, size: int, is_too_slow: bool
) -> None:
    """A function is too slow if its time grows faster than the text, or if the text takes half a second."""
    growth = stalls.grow(lambda text: lambda: seconds(text), stalls.Seed("", "x", ""))
    assert (growth.size, growth.is_too_slow) == (size, is_too_slow)
    assert growth.exponent == pytest.approx(exponent)


def test_a_stall_is_reported_with_its_function_and_its_seed(stalls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst text counts, and the others are tried as well."""
    facts: dict[str, Any] = {}
    times = {"good": lambda text: len(text) / 4e6, "bad": lambda text: len(text) / 4e6 * (1 + 10 * text.count("```"))}
    monkeypatch.setattr(stalls, "WORK", {name: lambda text, at=at: lambda: at(text) for name, at in times.items()})
    monkeypatch.setattr(stalls, "seeds", lambda _: iter([stalls.Seed("", piece, "") for piece in ("x", "```", "y")]))
    stalls.search(0, 100.0, lambda **each: facts.update(each))
    (failure,) = facts["failures"]
    assert failure.startswith("bad: ")
    assert failure.endswith(" with '' + '```' * n + ''")
    assert facts["seeds"] == 3


def test_seeds_of_stalls_depend_on_a_number(stalls: Any) -> None:
    """The same number gives the same seeds, so that a failure can be found again."""
    first, again, other = (list(itertools.islice(stalls.seeds(number), 300)) for number in (1, 1, 2))
    assert first == again != other
    assert len(first[0].text(1_000)) == 1_000 // len(first[0].repeated) * len(first[0].repeated)


def test_the_least_lateness_follows_from_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A steady load arrives at best every 2 s, a burst after a pause at once, and a single record without delay."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    least: Any = importlib.import_module("_pace").least
    steady = least([number / 20 for number in range(20 * 200)])
    assert max(steady) == pytest.approx(2.0, abs=0.06)
    assert statistics.median(steady) == pytest.approx(1.0, abs=0.06)
    assert max(least([1.0, 50.0])) <= 0.01
    assert max(least([1.0] * 200)) <= 0.01
