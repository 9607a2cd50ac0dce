"""The process of a worker of a service: `python _worker.py OPTIONS`.

It makes a handler and logs what its job says, or it forks a child for each job on its standard input, so that the
handler is made before the fork. A worker writes notes into memory that outlives it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from _contend import make_exception

from discord_logging import DiscordHandler

_POLL = 0.001
_SPARE_SECONDS = 180
"""The time of a worker beyond that of its load, until which it has been told to begin and has ended."""
# `_server.count_repeats` counts these words.
_SAME = "order could not be shipped: no stock in warehouse 7"
_DISTINCT = f"%s {_SAME}"
_TEXTS = {
    "distinct": (logging.ERROR, _DISTINCT),
    "alarm": (logging.CRITICAL, _DISTINCT),
    "traceback": (logging.ERROR, _DISTINCT),
    "same": (logging.ERROR, _SAME),
}


@dataclass(frozen=True)
class Load:
    """The records that a worker logs before it ends.

    Attributes:
        records: The number of records.
        rate: The number of records a second; 0 logs as fast as possible.
        text: The kind of records: "distinct" ones have a token, "alarm" are CRITICAL, "traceback" have 20 frames, and
            "same" say all the same.
        flush: The seconds for the flush at the end; `None` leaves it to the interpreter's exit.
    """

    records: int
    rate: float = 0.0
    text: str = "distinct"
    flush: float | None = 40.0

    @property
    def seconds(self) -> float:
        """The time of a worker until the end of its flush, at most."""
        return (self.records / self.rate if self.rate else 10.0) + (self.flush or 0.0)


class _Slot:
    """A number in the notes."""

    def __init__(self, index: int) -> None:
        self._index = index

    def __get__(self, notes: Notes, _: object) -> float:
        return notes.numbers[self._index]

    def __set__(self, notes: Notes, number: float) -> None:
        notes.numbers[self._index] = number


class Notes:
    """The notes of a worker in a mapped file, which others read while it runs and after its death.

    Attributes:
        numbers: All numbers; 0 means that something has not happened yet.
        pid: The process id of the worker, when it is ready.
        start: The time at which the worker is to begin.
        flushed: 1 if the flush at the end returned `False`, 2 if it returned `True`.
        flush_seconds: The duration of that flush.
        ended: 1 when the worker has done its job.
        calls: The time of the return of each logging call.
    """

    pid = _Slot(0)
    start = _Slot(1)
    flushed = _Slot(2)
    flush_seconds = _Slot(3)
    ended = _Slot(4)

    def __init__(self, path: Path, records: int) -> None:
        with path.open("a+b") as file:
            size = 8 * (5 + records)
            file.truncate(size)
            self.numbers = memoryview(mmap.mmap(file.fileno(), size)).cast("d")
        self.calls = self.numbers[5:]


def token(worker: int, record: int) -> str:
    """Return the text by which a record is found in the channel."""
    return f"rec{worker:03d}{record:06d}"


def _work(logger: logging.Logger, handler: DiscordHandler, *, number: int, load: Load, notes: Notes) -> None:
    # The process ends in time, even if the one that started it was killed.
    signal.alarm(int(load.seconds) + _SPARE_SECONDS)
    notes.pid = os.getpid()
    while not notes.start:
        time.sleep(_POLL)
    level, template = _TEXTS[load.text]
    arguments = [() if load.text == "same" else (token(number, record),) for record in range(load.records)]
    error = make_exception() if load.text == "traceback" else None
    # Workers of a service do not log at the same moments, and each run has the same ones.
    moments = random.Random(number)  # noqa: S311 - no secret
    for record in range(load.records):
        if load.rate:
            time.sleep(max(notes.start + (record + moments.random()) / load.rate - time.time(), 0.0))
        logger.log(level, template, *arguments[record], exc_info=error)
        notes.calls[record] = time.time()
    if load.flush is not None:
        began = time.monotonic()
        is_done = handler.flush(load.flush)
        notes.flush_seconds = time.monotonic() - began
        notes.flushed = 1 + is_done
    notes.ended = 1


def _fork_workers() -> str:
    """Fork a child for each line on standard input; return the line in the child, and "" in the parent at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return line
    with contextlib.suppress(ChildProcessError):
        os.wait()  # Since SIGCHLD is ignored, it returns after the last child.
    return ""


def main() -> None:
    """Do the job on the command line, or those on standard input."""
    options = json.loads(sys.argv[1])
    handler = DiscordHandler(options["url"], **options["settings"])
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.addHandler(handler)
    mine = options["job"] or json.loads(_fork_workers() or "null")
    if mine:
        load = Load(**mine["load"])
        _work(logger, handler, number=mine["number"], load=load, notes=Notes(Path(mine["notes"]), load.records))


if __name__ == "__main__":
    main()
