"""This module finds the rings of processes that have ended, with the records that are not stored yet."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.ring import held, names_begin
from discord_logging._backlogs.ring_layout import FREE, HEAD, RECORD, RING_BYTES, SETTINGS, SLOT_BYTES, read_slot
from discord_logging._process.shared_file import SharedFile, list_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_AGE = 60.0
"""The seconds after which a file that has not become a ring is removed. Its process was killed meanwhile."""


class LostRing:
    """The content of a ring whose process has ended.

    Attributes:
        writer: The name of the process.
        ordinal: Which of its rings this one is.
        head: The facts about the process, empty if they cannot be read.
        settings: The data of settings, by their numbers.
        records: The numbers and data of the records, in order of the numbers.
        damaged: The number of slots that should have a record or settings, and cannot be read.
    """

    def __init__(self, name: str, content: bytes, file: SharedFile) -> None:
        self._file = file
        self.writer, _, ordinal = name.partition(".")
        self.ordinal = int(ordinal) if ordinal.isdecimal() else 0
        self.damaged = 0
        found: dict[int, dict[int, bytes]] = {RECORD: {}, SETTINGS: {}, HEAD: {}}
        for slot, state in enumerate(content[::SLOT_BYTES]):
            if state != FREE:
                try:
                    number, data = read_slot(content, slot)
                    found[state][number] = data
                except (KeyError, ValueError, struct.error):
                    self.damaged += 1
        self.settings: Mapping[int, bytes] = found[SETTINGS]
        self.records: list[tuple[int, bytes]] = sorted(found[RECORD].items())
        self.head: Mapping[str, Any] = {}
        with contextlib.suppress(KeyError, ValueError):
            self.head = json.loads(found[HEAD][0])

    def remove(self) -> None:
        """Remove the ring, whose records are stored now. This must come before `rescue` goes on to the next one."""
        # A forked child has not the lock of its parent.
        if self._file.is_open() and self._file.lock(0, 1):
            self._file.remove()


def rescue(place: str) -> Iterator[LostRing]:
    """Yield each ring of a place whose process has ended. A ring that is not removed is found the next time, too.

    Until the caller goes on, no other process and no other thread finds the ring.
    """
    prefix = names_begin(place)
    for name in list_names((prefix, f"new-{prefix}")):
        key, claim = (os.getpid(), name), object()
        if held.setdefault(key, claim) is not claim:
            continue
        file = SharedFile(name)
        try:
            if name.startswith(prefix):
                # Another process may have removed the file before it was locked.
                if file.open(create=False) and file.lock(0, 1) and file.is_current():
                    yield LostRing(name.removeprefix(prefix), _read_all(file), file)
            elif _is_old(file) and file.open(create=False) and file.lock(0, 1):
                file.remove()
        finally:
            file.close()
            held.pop(key, None)


def _is_old(file: SharedFile) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - file.path.stat().st_mtime > _MAX_AGE
    return False


def _read_all(file: SharedFile) -> bytes:
    with contextlib.suppress(OSError):
        return file.read(0, RING_BYTES)
    return b""
