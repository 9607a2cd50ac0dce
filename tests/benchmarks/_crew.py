"""The workers of a service: processes that log to one webhook, with the same settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import _worker
from _environments import clean_environ, last_line
from _worker import Load, Notes, token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

_PROGRAM = str(Path(_worker.__file__))
_READY_SECONDS = 60.0
_EXIT_SECONDS = 30.0
"""The time that a worker has to end after its flush, in seconds."""
_POLL = 0.01


@dataclass
class Worker:
    """A worker, with its notes. A forked worker has no process of its own here."""

    number: int
    load: Load
    notes: Notes
    process: subprocess.Popen[str] | None
    was_killed: bool = False

    @property
    def accepted(self) -> dict[str, float]:
        """The tokens of the records whose logging calls have returned, with the times of the returns."""
        return {token(self.number, record): at for record, at in enumerate(self.notes.calls) if at}

    @property
    def flush(self) -> tuple[bool, float] | None:
        """What the flush at the end returned, and its seconds; `None` if it did not return."""
        return (self.notes.flushed == 2, self.notes.flush_seconds) if self.notes.flushed else None

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        if self.process:
            return self.process.poll() is not None
        try:
            os.kill(int(self.notes.pid), 0)
        except ProcessLookupError:
            return True  # its parent ignores SIGCHLD, so that it leaves nothing behind
        return False

    def kill(self) -> None:
        """End the process with SIGKILL, in whatever it does."""
        self.was_killed = True
        if self.process:
            self.process.kill()
        elif self.notes.pid:
            with suppress(ProcessLookupError):
                os.kill(int(self.notes.pid), signal.SIGKILL)
        wait_until(self.has_ended, _EXIT_SECONDS)


class Crew:
    """Starts workers, and kills at the end of the block those that still run.

    Args:
        url: The webhook.
        settings: The settings of the handlers.
        prefork: Whether the workers are forked from a process that has made the handler.
    """

    def __init__(self, url: str, settings: Mapping[str, Any], *, prefork: bool = False) -> None:
        self._options = {"url": url, "settings": dict(settings)}
        self._prefork = prefork
        self._processes: list[subprocess.Popen[str]] = []
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        memory = Path("/dev/shm")  # noqa: S108 - the directory inside has a random name
        self._directory = tempfile.TemporaryDirectory(prefix="workers-", dir=memory if memory.is_dir() else None)
        self._errors: IO[bytes] = self._path("errors").open("wb")
        if self._prefork:
            self._launch(None)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.notes.pid and not worker.has_ended():
                worker.kill()
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self._errors.close()
        self._directory.cleanup()

    def start(self, load: Load, number: int = 1) -> list[Worker]:
        """Start workers, which make their handlers and wait; return them when they are ready."""
        started = [self._start(load) for _ in range(number)]
        if not wait_until(lambda: all(worker.notes.pid or self._is_gone(worker) for worker in started), _READY_SECONDS):
            raise TimeoutError(f"workers were not ready within {_READY_SECONDS} s")
        self._check(started)
        return started

    @staticmethod
    def begin(workers: Sequence[Worker]) -> None:
        """Make all workers begin to log at the same moment."""
        at = time.time() + 0.02
        for worker in workers:
            worker.notes.start = at

    def wait(self, workers: Sequence[Worker]) -> None:
        """Wait until workers that have begun have ended; kill those that take too long."""
        seconds = _EXIT_SECONDS + max(worker.load.seconds for worker in workers)
        if not wait_until(lambda: all(worker.has_ended() for worker in workers), seconds):
            for worker in workers:
                if not worker.has_ended():
                    worker.kill()
        self._check(workers)

    def run(self, load: Load, number: int = 1) -> list[Worker]:
        """Start workers, make them begin, and return them when they have ended."""
        workers = self.start(load, number)
        self.begin(workers)
        self.wait(workers)
        return workers

    def _start(self, load: Load) -> Worker:
        number = len(self.workers)
        notes = self._path(str(number))
        worker = Worker(number, load, Notes(notes, load.records), None)
        job = {"number": number, "load": asdict(load), "notes": str(notes)}
        if self._prefork:
            stdin = self._processes[0].stdin
            assert stdin
            stdin.write(json.dumps(job) + "\n")
            stdin.flush()
        else:
            worker.process = self._launch(job)
        self.workers.append(worker)
        return worker

    def _launch(self, job: dict[str, Any] | None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, _PROGRAM, json.dumps({**self._options, "job": job})],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env=clean_environ(),
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def _is_gone(self, worker: Worker) -> bool:
        return (worker.process or self._processes[0]).poll() is not None

    def _check(self, workers: Sequence[Worker]) -> None:
        for worker in workers:
            if not worker.was_killed and not worker.notes.ended and (not worker.notes.pid or worker.has_ended()):
                errors = self._path("errors").read_text("utf-8", "replace")
                raise RuntimeError(f"worker {worker.number} failed: {last_line(errors)}")

    def _path(self, name: str) -> Path:
        return Path(self._directory.name) / name


def wait_until(holds: Callable[[], object], seconds: float, poll: float = _POLL) -> bool:
    """Ask each `poll` seconds whether a condition holds, for at most `seconds`; return whether it did."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll)
    return True
