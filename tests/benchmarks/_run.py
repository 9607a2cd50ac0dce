"""One case: a server and a contender, each in a separate process with a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _environments import clean_environ, last_line

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 60
"""The default time limit of a contender, after which it is killed, in seconds."""
NO_LIMITS = {"webhook_limit": None, "channel_limit": None, "global_limit": None}
_HERE = Path(__file__).parent
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass
class Outcome:
    """The outcome of a case.

    Attributes:
        facts: The results of the contender.
        arrived: The report of the server.
        ended: The end of the process, by `time.monotonic`; `None` if the process was killed.
        peak_rss: The peak memory of the process, in bytes.
        cpu: The processor time of the process, in seconds.
        failure: The reason why the case failed, or "".
    """

    facts: dict[str, Any] = field(default_factory=dict)
    arrived: dict[str, Any] = field(default_factory=dict)
    ended: float | None = None
    peak_rss: int = 0
    cpu: float = 0.0
    failure: str = ""


class Server:
    """A local Discord in a separate process."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        command = [sys.executable, str(_HERE / "_server.py"), json.dumps(dict(options))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environ()
        )
        self.url = self._read()

    def report(self) -> dict[str, Any]:
        """Return the report of the server."""
        assert self._process.stdin
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        report: dict[str, Any] = json.loads(self._read())
        return report

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server's process ended")
        return line.strip()


@dataclass(frozen=True)
class Case:
    """A scenario for a contender, with its server."""

    scenario: str
    options: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] | None = field(default_factory=dict)
    seconds: float = SECONDS

    def run(self, name: str, python: str) -> Outcome:
        """Run the case in new processes; the contender runs with the interpreter `python`."""
        server = None if self.server is None else Server(self.server)
        try:
            with tempfile.TemporaryDirectory() as results:
                outcome = self._contend([python, str(_HERE / "_contend.py"), name], server, Path(results))
            if server:
                outcome.arrived = server.report()
        finally:
            if server:
                server.stop()
        return outcome

    def _contend(self, command: list[str], server: Server | None, results: Path) -> Outcome:
        facts, errors = results / "facts", results / "errors"
        arguments = [self.scenario, server.url if server else "", str(facts), json.dumps(dict(self.options))]
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                command + arguments, stdout=subprocess.DEVNULL, stderr=stderr, env=clean_environ(), cwd=results
            )
        ended, status, usage = _wait(process, self.seconds)
        outcome = Outcome(ended=ended, peak_rss=usage.ru_maxrss * _MAXRSS_UNIT, cpu=usage.ru_utime + usage.ru_stime)
        for line in facts.read_text(encoding="utf-8").splitlines() if facts.exists() else ():
            outcome.facts |= json.loads(line)
        if ended and (status or not outcome.facts):
            outcome.failure = f"failed ({status}): {last_line(errors.read_text(encoding='utf-8', errors='replace'))}"
        return outcome


def _wait(process: subprocess.Popen[bytes], seconds: float) -> tuple[float | None, int, Any]:
    """Wait for the end of the process, and kill it after `seconds`; return its end, its status and its resource usage.

    `Popen.wait` does not return the resource usage.
    """
    deadline = time.monotonic() + seconds
    was_killed = False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        now = time.monotonic()
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return None if was_killed else now, process.returncode, usage
        if now >= deadline and not was_killed:
            os.kill(process.pid, 9)
            was_killed = True
        time.sleep(0.01)
