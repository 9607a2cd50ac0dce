"""`discord-logging pipe` posts standard input to the channel, one record for each line."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from discord_logging._cli.lines.records import LineRecords
from discord_logging._cli.lines.split import LineSplitter
from discord_logging._cli.progress import Progress
from discord_logging._handler import DiscordHandler
from discord_logging._process import clock

if TYPE_CHECKING:
    import argparse
    import logging
    from collections.abc import Iterator

    from typing_extensions import Self

_CHUNK_BYTES = 65_536
_MAX_LINE_BYTES = 500_000
"""The longest line, in bytes. A longer line is split into several."""
_PAUSE = 0.2
"""The time without input, in seconds, after which the last record is complete and all held records are sent."""
_HOLD_TIME = 3.0
"""The time, in seconds, for which records of a stream without a pause are held, so that they share messages."""
_MAX_HELD_RECORDS = 25_000
_POLL_INTERVAL = 0.02
_MAX_WAITING_RECORDS = 50_000
"""The number of records after which reading pauses until they are delivered. The queue has room for twice as many."""
_MAX_WAITING_CHARACTERS = 12_000_000
"""The number of characters after which reading pauses, likewise."""
_QUEUE_BYTES = 256_000_000
"""The size of the queue, with ample room for the waiting text, because fields take more memory than their text."""
_TIME_AFTER_SIGNAL = 5.0
"""The time after a signal, in seconds, to deliver the records read so far."""
_BROKEN_PIPE = 128 + 13


def run_pipe(options: argparse.Namespace, webhook_url: str) -> int:
    """Deliver standard input and return the exit code: 0 if all is delivered, 1 if not, 128 + n after signal n."""
    handler = DiscordHandler(
        webhook_url,
        options.level,
        username=options.username,
        queue_size=2 * _MAX_WAITING_RECORDS,
        queue_bytes=_QUEUE_BYTES,
        allow_http=options.allow_http,
    )
    try:
        with _Signals() as signals:
            return _Pipe(handler, options, signals).run()
    finally:
        handler.close(timeout=0)


class _InputError(Exception):
    """Standard input cannot be read."""


class _Signals:
    """Notes the first signal that asks the program to end; the second signal ends it at once."""

    def __init__(self) -> None:
        self.number = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # A signal that is ignored, as by nohup, stays ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _note(self, number: int, _: object) -> None:
        if self.number:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.number = number


class _Pipe:
    def __init__(self, handler: DiscordHandler, options: argparse.Namespace, signals: _Signals) -> None:
        self._handler = handler
        self._options = options
        self._signals = signals
        self._records = LineRecords(options.name, options.default_level)
        shares_terminal = options.tee and sys.stdout.isatty()
        self._progress = Progress(is_shown=False if shares_terminal and not options.progress else options.progress)
        self._lines = self._held_text = self._waiting_records = self._waiting_text = self._delivered = 0
        self._held: list[logging.LogRecord] = []
        self._release_at = 0.0
        self._has_given_up = self._has_no_reader = self._has_failed = False

    def run(self) -> int:
        try:
            self._read()
        except _InputError as error:
            sys.stderr.write(f"discord-logging: standard input cannot be read: {error}\n")
            self._has_failed = True
        self._flush_held()
        if not self._signals.number:
            self._wait(self._options.wait)
        if self._signals.number:
            self._wait(_TIME_AFTER_SIGNAL)
        health = self._handler.health()
        self._progress.show(self._lines, health, is_last=True)
        if self._signals.number:
            return 128 + self._signals.number
        if self._has_no_reader:
            return _BROKEN_PIPE
        return 0 if health["delivered"] == health["accepted"] and not self._has_failed else 1

    def _read(self) -> None:
        lines = LineSplitter(_MAX_LINE_BYTES)
        for chunk in _read_chunks(sys.stdin.fileno()):
            if chunk and self._options.tee and not self._has_failed:
                self._pass_on(chunk)
            for line in lines.feed(chunk):
                self._feed(line)
            if not chunk:
                self._flush_held()
            self._show_progress()
            if self._signals.number or self._has_no_reader:
                break
        for line in lines.finish():
            self._feed(line)

    def _pass_on(self, chunk: bytes) -> None:
        try:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                self._has_no_reader = True
            else:  # such as a full disk
                sys.stderr.write(f"discord-logging: standard output cannot be written to any more: {error.strerror}\n")
                self._has_failed = True
            # Python would otherwise write again at exit, and print an error.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _feed(self, line: bytes) -> None:
        self._lines += 1
        text = line.removesuffix(b"\r").decode(errors="backslashreplace")
        self._held_text += len(text)
        for record in self._records.feed(text):
            self._hold(record)
        is_full = len(self._held) >= _MAX_HELD_RECORDS or self._held_text >= _MAX_WAITING_CHARACTERS
        if self._held and (is_full or clock.monotonic() >= self._release_at):
            self._release()

    def _flush_held(self) -> None:
        for record in self._records.finish():
            self._hold(record)
        self._release()

    def _hold(self, record: logging.LogRecord) -> None:
        if record.levelno >= self._handler.level:
            self._release_at = self._release_at if self._held else clock.monotonic() + _HOLD_TIME
            self._held.append(record)

    def _release(self) -> None:
        held, self._held = self._held, []
        self._waiting_text, self._held_text = self._waiting_text + self._held_text, 0
        for record in held:
            self._hand_over(record)

    def _hand_over(self, record: logging.LogRecord) -> None:
        self._waiting_records += 1
        self._handler.handle(record)
        if self._waiting_records >= _MAX_WAITING_RECORDS or self._waiting_text >= _MAX_WAITING_CHARACTERS:
            self._wait(self._options.wait)
            self._waiting_records = self._waiting_text = 0

    def _wait(self, patience: float) -> None:
        """Wait until all records are delivered, `patience` seconds have passed without a delivery, or a signal came."""
        self._handler.flush(0)  # the handler releases repeats that it holds back
        signal_before, since = self._signals.number, float("-inf") if self._has_given_up else clock.monotonic()
        while (health := self._handler.health())["pending"]:
            if health["delivered"] != self._delivered:
                self._delivered, since = health["delivered"], clock.monotonic()
            self._has_given_up = clock.monotonic() - since > patience
            if self._has_given_up or self._signals.number != signal_before:
                return
            self._show_progress()
            clock.sleep(_POLL_INTERVAL)
        self._has_given_up = False

    def _show_progress(self) -> None:
        if self._progress.is_due():
            self._progress.show(self._lines, self._handler.health())


def _read_chunks(descriptor: int) -> Iterator[bytes]:
    """Yield the chunks that arrive, and `b""` after each pause."""
    # A thread reads, because Windows cannot wait for a pipe with a time-out. The thread does not use sys.stdin, because
    # it would hold the lock of sys.stdin at exit.
    chunks: queue.Queue[bytes | OSError] = queue.Queue(4)
    threading.Thread(target=_read_all, args=(descriptor, chunks), name="stdin", daemon=True).start()
    while True:
        try:
            chunk = chunks.get(timeout=_PAUSE)
        except queue.Empty:
            yield b""
            continue
        if isinstance(chunk, OSError):
            raise _InputError(chunk.strerror)
        if not chunk:
            return
        yield chunk


def _read_all(descriptor: int, chunks: queue.Queue[bytes | OSError]) -> None:
    chunk = b"?"
    while chunk:
        try:
            chunk = os.read(descriptor, _CHUNK_BYTES)
        except OSError as error:  # such as a directory
            chunks.put(error)
            return
        chunks.put(chunk)
