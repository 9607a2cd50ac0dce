"""The records of a process lie in shared memory until they are stored, so that they outlive its death by SIGKILL.

Each process has a file of its own in the memory, its ring, and locks it for life. The kernel unlocks it at the end of
the process, whatever that end is. The module `rescue` finds unlocked rings.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import deque
from typing import TYPE_CHECKING

from discord_logging._backlogs.ring_layout import (
    FIRST,
    FIRST_ROOM,
    FIRST_START,
    FREE,
    HEAD,
    MAX_BYTES,
    NEXT,
    NEXT_ROOM,
    RECORD,
    RING_BYTES,
    SETTINGS,
    SLOT_BYTES,
    SLOTS,
    checksum_of,
    count_slots,
)
from discord_logging._process.locks import Lock
from discord_logging._process.shared_file import SharedFile

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Mapping

_MAX_SETTINGS = 256
"""The number of slots that settings may take."""

held: dict[tuple[int, str], object] = {}
"""The rings that this process has, or rescues, by its id and their names. The process would lose its lock on a file if
it opened and closed it a second time."""


def names_begin(place: str) -> str:
    """Return the beginning of the names of all rings of a place."""
    return f"ring-1-{place}-"


class Ring:
    """The ring of this process.

    A ring that is not open keeps no record. No method raises an `OSError`. `put` and `describe` never wait, take no
    lock and make no system call. They may be called in the midst of each other and of all other methods, by threads and
    by signal handlers.

    Args:
        place: The place where the records are stored in the end, as a hexadecimal text.
        writer: The name of this process, which no other one has.

    Attributes:
        writer: The name of this process. A forked child needs another one before it opens the ring.
        trouble: The reason why the ring could not be opened, or `""`.
    """

    def __init__(self, place: str, writer: str) -> None:
        self._place = place
        self.writer = writer
        self.trouble = ""
        self._settings: dict[int, bytes] = {}
        self._settings_room = _MAX_SETTINGS
        self._opened = self._first_token = 0
        self._file = SharedFile("")
        self.after_fork_in_child()

    def _forget(self) -> None:
        # This comes first: without memory, callers touch nothing.
        self._memory: mmap.mmap | None = None
        self._free: deque[int] = deque(range(SLOTS))
        self._linked: dict[int, list[int]] = {}
        """The slots of what is longer than one, by the first of them."""
        self._first_token += SLOTS
        self._key = 0, ""
        self._file.close()

    @property
    def is_half_full(self) -> bool:
        """Whether more than half of the ring is used; false without a ring."""
        return len(self._free) < SLOTS // 2

    def open(self, head: Mapping[str, object]) -> bool:
        """Make the file of the ring if there is none, and return whether there is one now.

        A ring that was lost keeps its content, also its head. While another thread opens the ring, there is none.

        Args:
            head: The facts about this process that `LostRing.head` has, as JSON keeps them.
        """
        guard = self._guard
        if guard.is_held_by_this_thread():
            return False
        try:
            return guard.acquire(0) and (self.is_kept() or self._open(head))
        finally:
            # Ctrl-C may have come as soon as it was taken.
            if guard.is_held_by_this_thread():
                guard.release()

    def _open(self, head: Mapping[str, object]) -> bool:
        self._opened += 1
        name = f"{names_begin(self._place)}{self.writer}.{self._opened}"
        # A process that found the file before it is locked would take it for that of a dead process.
        file, key, is_done = SharedFile(f"new-{name}"), (os.getpid(), name), False
        try:
            memory = file.map(RING_BYTES) if file.open(create=True) else None
            self.trouble = file.trouble
            held[key] = self
            if memory is not None and file.lock(0, 1):
                file.rename(name)
                self._use(memory, head)
                self._use_file(file, key)
                is_done = True
            elif memory is not None:
                self.trouble = "the shared memory cannot be locked"
        except OSError as error:
            self.trouble = error.strerror or str(error)
        finally:
            if not is_done:
                held.pop(key, None)
                file.remove()
                file.close()
        return is_done

    def _use(self, memory: mmap.mmap, head: Mapping[str, object]) -> None:
        if self._memory is None:
            self._free = deque(reversed(range(SLOTS)))
            self._write(memory, HEAD, 0, json.dumps(head).encode())
            self._memory = memory
            for number, settings in list(self._settings.items()):
                self._write(memory, SETTINGS, number, settings)
        else:
            # No other thread comes between these two.
            memory[:] = self._memory[:]
            self._memory = memory

    def _use_file(self, file: SharedFile, key: tuple[int, str]) -> None:
        old_file, old_key = self._file, self._key
        self._file, self._key = file, key
        if held.pop(old_key, None):
            old_file.remove()
            old_file.close()

    def is_kept(self) -> bool:
        """Tell whether the ring is there and locked. Daemons close all files, and others may remove the file."""
        return self._memory is not None and self._file.is_current() and self._file.lock(0, 1)

    def describe(self, number: int, settings: bytes) -> bool:
        """Keep the data of the settings with this number, and return whether there is room for them.

        They are kept for as long as this process lives, in a ring that is opened later and by forked children, too.
        """
        if number in self._settings:
            return True
        slots, memory = count_slots(len(settings)), self._memory
        if slots > self._settings_room or len(settings) > MAX_BYTES:
            return False
        if memory is not None and self._write(memory, SETTINGS, number, settings) is None:
            return False
        self._settings_room -= slots
        self._settings[number] = settings
        return True

    def put(self, number: int, data: bytes) -> int | None:
        """Keep a record, and return a token for `free`, or `None` if there is no ring or no room for it.

        Args:
            number: The number of the record in this process.
            data: The record, of `MAX_BYTES` at most.
        """
        size, memory, first_token = len(data), self._memory, self._first_token
        if memory is None:
            return None
        if size > FIRST_ROOM:
            first_slot = self._write(memory, RECORD, number, data)
            return None if first_slot is None else first_token + first_slot
        free, slot = self._free, -1
        try:
            slot = free.pop()
            start = slot * SLOT_BYTES
            first = FIRST.pack(0, size, zlib.crc32(data, (number ^ number >> 32) & 0xFFFFFFFF), number)
            memory[start + 1 : start + FIRST_START + size] = first + data
            # This comes last: a kill leaves a whole record or none.
            memory[start] = RECORD
            if memory is not self._memory and not self._write_again(memory, [slot]):
                return None
            return first_token + slot
        except BaseException as error:
            if slot < 0 and isinstance(error, IndexError):
                return None
            # A signal handler has raised an exception.
            if slot >= 0:
                memory[slot * SLOT_BYTES] = FREE
                free.append(slot)
            raise

    def _write(self, memory: mmap.mmap, state: int, number: int, data: bytes) -> int | None:
        """Write data of any size into slots, and return the first one, or `None` without room."""
        free, count, slots = self._free, count_slots(len(data)), list[int]()
        if len(data) > MAX_BYTES:
            return None
        try:
            while len(slots) < count:
                slots.append(free.pop())
            place, following = FIRST_ROOM + (count - 1) * NEXT_ROOM, 0
            for slot in slots[:0:-1]:
                place -= NEXT_ROOM
                part = NEXT.pack(following) + data[place : place + NEXT_ROOM]
                start, following = slot * SLOT_BYTES + 1, slot
                memory[start : start + len(part)] = part
            if count > 1:
                self._linked[slots[0]] = slots
            first = FIRST.pack(following, len(data), checksum_of(state, number, data), number) + data[:FIRST_ROOM]
            start = slots[0] * SLOT_BYTES
            memory[start + 1 : start + 1 + len(first)] = first
            memory[start] = state
            if memory is not self._memory and not self._write_again(memory, slots) and state == RECORD:
                return None
            return slots[0]
        except BaseException as error:
            for slot in slots[:1]:
                memory[slot * SLOT_BYTES] = FREE
                self._linked.pop(slot, None)
            free.extend(slots)
            if len(slots) < count and isinstance(error, IndexError):
                return None
            raise

    def _write_again(self, memory: mmap.mmap, slots: list[int]) -> bool:
        """Write slots into the memory of a ring that was opened anew meanwhile, the first one last, if it was."""
        current = self._memory
        if current is None:
            return False
        for slot in reversed(slots):
            place = slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES)
            current[place] = memory[place]
        return True

    def free(self, tokens: Iterable[int]) -> None:
        """Forget records that are stored. Each token is given back once; those of a ring that is closed are ignored."""
        free, first_token = self._free, self._first_token
        for token in tokens:
            slot, memory = token - first_token, self._memory
            if memory is not None and 0 <= slot < SLOTS:
                memory[slot * SLOT_BYTES] = FREE
                if memory is not (current := self._memory) and current is not None:
                    # The ring was opened anew meanwhile.
                    current[slot * SLOT_BYTES] = FREE
                free.extend(self._linked.pop(slot, (slot,)))

    def close(self) -> None:
        """Close the ring, and remove its file unless it has records."""
        with self._guard.hold() as is_held:
            memory = self._memory
            if not is_held or memory is None:
                return
            # This comes first: a caller that is in the midst of `put` learns that its record is not kept.
            self._memory = None
            if RECORD not in memory[::SLOT_BYTES]:
                self._file.remove()
            key = self._key
            self._forget()
            held.pop(key, None)

    def after_fork_in_child(self) -> None:
        """Have no ring: the one of the parent stays the parent's, and locked by it."""
        for key in [key for key in held if key[0] != os.getpid()]:
            held.pop(key, None)
        self._guard = Lock()
        self._forget()
