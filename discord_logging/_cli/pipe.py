"""`discord-logging pipe`: standard input, line by line, into the channel."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from discord_logging._cli.lines.records import LineRecords
from discord_logging._cli.progress import Progress
from discord_logging._handler import DiscordHandler
from discord_logging._process import clock

if TYPE_CHECKING:
    import argparse
    import logging
    from collections.abc import Iterator

    from typing_extensions import Self

_CHUNK = 65_536
_MAX_LINE = 500_000
"""In bytes. A longer one is several."""
_PAUSE = 0.2
"""Seconds without input after which the last record has no more lines, and what came is sent."""
_HOLD = 3.0
"""Seconds for which records of a stream without a pause are gathered, so that few messages take them."""
_MAX_HELD = 25_000
_POLL = 0.02
_MAX_RECORDS = 50_000
"""So many records are handed over before they are waited for; twice as many fit in the queue."""
_MAX_TEXT_CHARACTERS = 12_000_000
"""In characters, likewise."""
_QUEUE_BYTES = 256_000_000
"""Far more than what is waited for, for fields take more than the text they came in."""
_LAST_WAIT = 5.0
"""Seconds to deliver what was read after a signal."""
_BROKEN_PIPE = 128 + 13


def run_pipe(options: argparse.Namespace, webhook_url: str) -> int:
    """Deliver standard input and return the exit code: 0 all, 1 not all, 128 + n after signal n."""
    handler = DiscordHandler(
        webhook_url,
        options.level,
        username=options.username,
        queue_size=2 * _MAX_RECORDS,
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
    """Takes note of the first signal that is to end the program; the second one ends it."""

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
        self._is_hopeless = self._is_cut_off = self._is_broken = False

    def run(self) -> int:
        try:
            self._read()
        except _InputError as error:
            sys.stderr.write(f"discord-logging: standard input cannot be read: {error}\n")
            self._is_broken = True
        self._pause()
        if not self._signals.number:
            self._wait(self._options.wait)
        if self._signals.number:
            self._wait(_LAST_WAIT)
        health = self._handler.health()
        self._progress.show(self._lines, health, is_last=True)
        if self._signals.number:
            return 128 + self._signals.number
        if self._is_cut_off:
            return _BROKEN_PIPE
        return 0 if health["delivered"] == health["accepted"] and not self._is_broken else 1

    def _read(self) -> None:
        rest = b""
        for chunk in _read_chunks(sys.stdin.fileno()):
            if chunk and self._options.tee and not self._is_broken:
                self._pass_on(chunk)
            if chunk:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._feed(line)
                while len(rest) >= _MAX_LINE:
                    self._feed(rest[:_MAX_LINE])
                    rest = rest[_MAX_LINE:]
            else:
                self._pause()
            self._show_progress()
            if self._signals.number or self._is_cut_off:
                break
        if rest:
            self._feed(rest)

    def _pass_on(self, chunk: bytes) -> None:
        try:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except OSError as error:  # a full disk is what somebody wants to hear of
            if isinstance(error, BrokenPipeError):
                self._is_cut_off = True
            else:
                sys.stderr.write(f"discord-logging: standard output cannot be written to any more: {error.strerror}\n")
                self._is_broken = True
            # Python would try again at exit, and complain.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _feed(self, line: bytes) -> None:
        self._lines += 1
        text = line.removesuffix(b"\r").decode(errors="backslashreplace")
        self._held_text += len(text)
        for record in self._records.feed(text):
            self._hold(record)
        is_much = len(self._held) >= _MAX_HELD or self._held_text >= _MAX_TEXT_CHARACTERS
        if self._held and (is_much or clock.monotonic() >= self._release_at):
            self._release()

    def _pause(self) -> None:
        for record in self._records.finish():
            self._hold(record)
        self._release()

    def _hold(self, record: logging.LogRecord) -> None:
        if record.levelno >= self._handler.level:
            self._release_at = self._release_at if self._held else clock.monotonic() + _HOLD
            self._held.append(record)

    def _release(self) -> None:
        held, self._held = self._held, []
        self._waiting_text, self._held_text = self._waiting_text + self._held_text, 0
        for record in held:
            self._hand_over(record)

    def _hand_over(self, record: logging.LogRecord) -> None:
        self._waiting_records += 1
        self._handler.handle(record)
        if self._waiting_records >= _MAX_RECORDS or self._waiting_text >= _MAX_TEXT_CHARACTERS:
            self._wait(self._options.wait)
            self._waiting_records = self._waiting_text = 0

    def _wait(self, patience: float) -> None:
        """Wait until all is delivered, but not when nothing was for `patience` seconds, or after a signal."""
        self._handler.flush(0)  # nothing is held back any longer
        ended, since = self._signals.number, float("-inf") if self._is_hopeless else clock.monotonic()
        while (health := self._handler.health())["pending"]:
            if health["delivered"] != self._delivered:
                self._delivered, since = health["delivered"], clock.monotonic()
            self._is_hopeless = clock.monotonic() - since > patience
            if self._is_hopeless or self._signals.number != ended:
                return
            self._show_progress()
            clock.sleep(_POLL)
        self._is_hopeless = False

    def _show_progress(self) -> None:
        if self._progress.is_due():
            self._progress.show(self._lines, self._handler.health())


def _read_chunks(descriptor: int) -> Iterator[bytes]:
    """Yield what comes, and `b""` while nothing does."""
    # A thread, for Windows can wait for no pipe. Not through sys.stdin, whose lock the thread would hold at exit.
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
            chunk = os.read(descriptor, _CHUNK)
        except OSError as error:  # such as a directory
            chunks.put(error)
            return
        chunks.put(chunk)
