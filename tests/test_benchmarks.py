"""The benchmark runs. What it measures is for people to judge."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs a POSIX system")
@pytest.mark.timeout(150)
def test_quick_run_prints_a_row_for_each_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure of ours is there; its value is not looked at."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    command = [sys.executable, str(BENCHMARKS), "--quick", "--no-peers", "--only", "calls", "limits"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
    assert run.returncode == 0, run.stderr
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", run.stdout, re.MULTILINE))
    assert [name for name in rows if name not in ("figure", "---")] == FIGURES
    assert all(re.search(r"\d", rows[name]) for name in FIGURES), run.stdout + run.stderr
