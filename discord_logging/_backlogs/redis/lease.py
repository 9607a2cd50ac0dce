"""This module has the part of this process in the sending: the lease that it has, and what it has settled lately.

A lease ends after some seconds, unless it is renewed, so that another host can go on when this one is gone. Processes
of the same machine need not wait for that: they see that the process has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discord_logging._process import clock
from discord_logging._process.locks import Lock
from discord_logging._process.pids import start_of

if TYPE_CHECKING:
    import weakref
    from collections.abc import Sequence

    from discord_logging._backlogs.store import Row, Writer

LENGTH, RENEWAL = 3.0, 1.0
"""The length of a lease without a message in flight, and the time after which it is renewed, in seconds."""
MARGIN = 2.0
"""The seconds that a lease lasts beyond the time-out of a request."""
_REMEMBERED, _MAX_REMEMBERED = 60.0, 100_000
"""For how many seconds, and how many, records are remembered that were settled."""
_TOLERANCE = 0.5
"""The seconds by which two clocks may differ."""
_parts: dict[tuple[int, str, str], Part] = {}


class Part:
    """The part of this process in the sending for a webhook.

    Attributes:
        guard: The lock of those who change the lease.
        owner: The store that leads, if one does.
        token: The text in Redis that says who has the lease; `""` if this process never had it, or gave it back.
        until: When the lease ends at the earliest, on the monotonic clock.
        renew_at: When it is to be renewed.
        settled: The identity of the data, and how often records were settled in them, as far as this process knows.
        ahead: The seconds by which the clock of Redis is ahead of the one of this machine.
        lately: The records that were settled a short while ago, with the time, and the reason if they were dropped.
    """

    def __init__(self) -> None:
        self.guard = Lock()
        self.owner: weakref.ref[Any] | None = None
        self.token = ""
        self.until = self.renew_at = float("-inf")
        self.settled = "", 0
        self.ahead = 0.0
        self.lately: deque[tuple[float, Sequence[Row], str | None]] = deque()
        self._remembered = 0

    def is_held(self) -> bool:
        """Tell whether this process may send."""
        return bool(self.token) and clock.monotonic() < self.until

    def note_settled(self, identity: str, number: int) -> None:
        """Note how often records were settled in the data with this identity."""
        self.settled = identity, max(number, self.settled[1] if self.settled[0] == identity else 0)

    def note_time(self, now: float) -> None:
        """Note the present time of Redis. Clocks that agree almost count as equal: an answer takes its time, too."""
        ahead = now - time.time()
        self.ahead = ahead if abs(ahead) > _TOLERANCE else 0.0

    def give_back(self) -> None:
        """Have no lease."""
        self.token, self.until, self.owner = "", float("-inf"), None

    def remember(self, rows: Sequence[Row], reason: str | None) -> None:
        """Remember records that were settled."""
        now = clock.monotonic()
        self.lately.append((now, [row._replace(body=b"") for row in rows], reason))
        self._remembered += len(rows)
        while self.lately and (self.lately[0][0] < now - _REMEMBERED or self._remembered > _MAX_REMEMBERED):
            self._remembered -= len(self.lately.popleft()[1])


def part_of(place: str, hook: str) -> Part:
    """Return the part of this process. A child has none in that of its parent."""
    return _parts.setdefault((os.getpid(), place, hook), Part())


def new_token(writer: Writer) -> str:
    """Return a text that names this process, and no other one."""
    return json.dumps([writer.host, writer.pid, *_machine(), os.getpid(), start_of(os.getpid()), uuid.uuid4().hex])


def read_token(token: bytes) -> tuple[str, int] | None:
    """Return the host and the process id that a lease names, or `None`."""
    with contextlib.suppress(ValueError, TypeError, LookupError):
        host, pid = json.loads(token)[:2]
        return str(host), int(pid)
    return None


def has_ended(token: bytes) -> bool:
    """Tell whether the process that has a lease is one of this machine, and has ended."""
    with contextlib.suppress(ValueError, TypeError):
        _, _, boot, space, pid, started, _ = json.loads(token)
        own = _machine()
        # Without a boot id, another machine could be meant.
        return bool(own[0]) and (boot, space) == own and bool(started) and start_of(int(pid)) != started
    return False


def _machine() -> tuple[str, str]:
    """Return names for the run of this machine and for its space of process ids, or empty texts."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return boot, os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it names no path
    return "", ""
