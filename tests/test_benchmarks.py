"""The benchmarks run. Their figures are for people to judge."""

from __future__ import annotations

import importlib
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
    *(
        f"listener {state}: {figure}"
        for state in ("idle", "busy")
        for figure in ("call p50, µs", "call p99, µs", "call p99.9, µs", "listener's share of a core")
    ),
    "8 threads under load: records a second",
    "8 threads under load: call p99.9, ms",
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


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs a POSIX system")
@pytest.mark.timeout(150)
def test_quick_run_prints_a_row_for_each_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output has every figure of this package, with any value."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    command = [sys.executable, str(BENCHMARKS), "--quick", "--no-peers", "--only", "calls", "limits", "pace"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
    assert run.returncode == 0, run.stderr
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", run.stdout, re.MULTILINE))
    assert list(rows)[: len(FIGURES) + 2] == ["figure", "---", *FIGURES]
    assert set(PACED) <= set(rows)
    # Within three seconds nothing of some sorts is logged.
    assert all(re.search(r"\d", rows[name]) for name in [*FIGURES, *PACED[2:]]), run.stdout + run.stderr


def test_the_least_lateness_follows_from_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A steady load arrives at best every 2 s, a burst after a pause at once, and a single record without delay."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    least: Any = importlib.import_module("_pace").least
    steady = least([number / 20 for number in range(20 * 200)])
    assert max(steady) == pytest.approx(2.0, abs=0.06)
    assert statistics.median(steady) == pytest.approx(1.0, abs=0.06)
    assert max(least([1.0, 50.0])) <= 0.01
    assert max(least([1.0] * 200)) <= 0.01
