"""This module is the front of a durable backlog: records that came, in the ring of this process and in a deque.

A caller makes no system call and takes no lock. The ring outlives the process: whoever finds it stores its records.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._backlogs.ring import Ring
from discord_logging._backlogs.store import Writer
from discord_logging._records.flat import dump

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discord_logging._backlogs.tickets import Tickets
    from discord_logging._records.settings import CardSettings


class Slot(NamedTuple):
    """The place of a record that is not in the store."""

    number: int
    """The number of the record within this process."""
    token: int | None
    """The slot of the ring, or `None` if the record is not in the ring: at risk, or in the fallback."""


class Arrivals:
    """The records of this process that are not in the store yet.

    Args:
        ring_place: The name that the rings of all processes share.

    Attributes:
        writer: This process.
        at_risk: The numbers of the records that are neither in the ring nor in a store.
    """

    def __init__(self, ring_place: str) -> None:
        self._ring = Ring(ring_place, "")

    def after_fork_in_child(self, numbers: Tickets) -> None:
        """Become empty and another writer, whose records have these numbers: the parent has what it accepted."""
        self._numbers = numbers
        self.writer = Writer(uuid.uuid4().hex, socket.gethostname(), os.getpid())
        self.at_risk: set[int] = set()
        self._deque: deque[tuple[int, int | None, tuple[Any, ...]]] = deque()
        self._has_ring = False  # whether it was tried to open the ring
        self._described: dict[int, bool] = {}  # whether the ring has settings, by their number
        self._ring.after_fork_in_child()
        self._ring.writer = self.writer.name

    def __len__(self) -> int:
        """Return how many records came and were not taken."""
        return len(self._deque)

    @property
    def is_crowded(self) -> bool:
        """Whether records come faster than they are taken."""
        return self._ring.is_half_full

    @property
    def trouble(self) -> str:
        """The reason why there is no ring, or `""`."""
        return self._ring.trouble

    def put(self, frozen: tuple[Any, ...]) -> None:
        """Accept a record, also in a signal handler or in `__del__`. Never waits."""
        # A child that a signal handler forks in the midst of this must not have the record, too.
        at_risk, arrived, number = self.at_risk, self._deque, self._numbers.take()
        try:
            # Nobody could read a record whose settings, the part at 5, have no room.
            has_room = self._described.get(frozen[5].number) or self._prepare(frozen[5])
            token = self._ring.put(number, dump(frozen)) if has_room else None
        except Exception:  # noqa: BLE001 - the stack may be full; the record is in the deque nevertheless
            token = None
        if token is None:
            at_risk.add(number)
        arrived.append((number, token, frozen))

    def first(self) -> tuple[Slot, tuple[Any, ...]]:
        """Return the oldest record with its place. There must be one."""
        number, token, frozen = self._deque[0]
        return Slot(number, token), frozen

    def pop(self) -> None:
        """Forget the oldest record."""
        self._deque.popleft()

    def free(self, slots: Iterable[Slot]) -> None:
        """Forget records that are stored or settled."""
        slots = list(slots)
        self._ring.free([slot.token for slot in slots if slot.token is not None])
        self.at_risk.difference_update([slot.number for slot in slots])

    def _prepare(self, settings: CardSettings) -> bool:
        """Open the ring, unless that was tried, put the settings into it, and return whether it has them."""
        if not self._has_ring:
            self._has_ring = True
            self._open()
        if settings.number not in self._described:
            self._described[settings.number] = False
            data = json.dumps(settings.to_data()).encode()
            self._described[settings.number] = self._ring.describe(settings.number, data)
        return self._described[settings.number]

    def _open(self) -> None:
        self._ring.open({"host": self.writer.host, "pid": self.writer.pid})

    def close(self) -> None:
        """Give the ring back. The next record opens another one; records that are in it now stay there."""
        self._ring.close()
        self._has_ring = False
        self._described.clear()

    def keep(self) -> None:
        """Make the ring anew if it was lost: daemons close all files, and others may remove them."""
        if self._has_ring and not self._ring.is_kept():
            self._open()
