"""The layout of a ring: slots of the same size, in which records, settings and the head are linked lists of slots."""

from __future__ import annotations

import struct
import zlib

MAX_BYTES = 65_536
"""The largest record, in bytes."""
SLOTS, SLOT_BYTES = 2_048, 512
"""How many slots a ring has, and how many bytes a slot."""
RING_BYTES = SLOTS * SLOT_BYTES
FREE, RECORD, SETTINGS, HEAD = range(4)
"""The states of a slot, which are its first byte. The further slots of what is longer than one are `FREE`, too."""
FIRST = struct.Struct("<HIIQ")
"""The next slot, the size of the data, their checksum, and the number of the record, in the first slot of a record."""
NEXT = struct.Struct("<H")
"""The next slot, in each further slot of a record."""
FIRST_START, NEXT_START = 1 + FIRST.size, 1 + NEXT.size
FIRST_ROOM, NEXT_ROOM = SLOT_BYTES - FIRST_START, SLOT_BYTES - NEXT_START
_CHECKED = 4_096
"""The bytes whose checksum is taken at a time: `zlib` gives up the interpreter's lock for more than 5,120."""


def count_slots(size: int) -> int:
    """Return the number of slots that data of a size take."""
    return 1 + max(0, -((FIRST_ROOM - size) // NEXT_ROOM))


def checksum_of(state: int, number: int, data: bytes) -> int:
    """Return the checksum of the data that have this state and number. `Ring.put` takes that of a record itself."""
    checksum = (number ^ number >> 32) + state - RECORD & 0xFFFFFFFF
    for start in range(0, len(data), _CHECKED):
        checksum = zlib.crc32(data[start : start + _CHECKED], checksum)
    return checksum


def read_slot(content: bytes, slot: int) -> tuple[int, bytes]:
    """Return the number and the data that begin in a slot.

    Raises:
        ValueError, struct.error: They are damaged.
    """
    start = slot * SLOT_BYTES
    following, size, checksum, number = FIRST.unpack_from(content, start + 1)
    if size > MAX_BYTES:
        raise ValueError(size)
    start += FIRST_START
    parts, left = [content[start : start + min(size, FIRST_ROOM)]], size - FIRST_ROOM
    while left > 0:
        start = following * SLOT_BYTES
        (following,) = NEXT.unpack_from(content, start + 1)
        start += NEXT_START
        parts.append(content[start : start + min(left, NEXT_ROOM)])
        left -= NEXT_ROOM
    data = b"".join(parts)
    if checksum_of(content[slot * SLOT_BYTES], number, data) != checksum:
        raise ValueError(checksum)
    return number, data
