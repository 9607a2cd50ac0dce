"""The guard against the ban for invalid requests.

Discord bans an address that sends 10,000 invalid requests in ten minutes, for up to a day. A request is invalid if its
response is a 401, 403 or 429, except for a 429 whose scope is `shared`
(https://docs.discord.com/developers/topics/rate-limits, "Invalid Request Limit"). Others may share the address, so we
stay far below: from 300 on, we spread our requests so that we near 1,500 ever more slowly; at 1,500 we stop until the
window holds fewer than 300.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 600.0
"""The seconds for which an invalid request counts."""
SLOW_FROM = 300
"""The number of invalid requests from which on requests are spread."""
STOP_AT = 1_500
"""The number of invalid requests at which no request may leave."""


class InvalidRequestGuard:
    """Counts the invalid requests to one host and says when the next request of any kind may leave. Pure in `now`."""

    def __init__(self) -> None:
        self._invalid: deque[float] = deque()
        self._last_sent = -math.inf
        self._stopped = False

    def to_data(self) -> list[float]:
        """Return the state as a list of numbers."""
        return [self._last_sent, self._stopped, *self._invalid]

    @classmethod
    def from_data(cls, data: Sequence[float]) -> InvalidRequestGuard:
        """Return the guard that `to_data` made into `data`."""
        guard = cls()
        guard._last_sent, guard._stopped = data[0], bool(data[1])
        guard._invalid.extend(data[2:])
        return guard

    def count(self, now: float) -> int:
        """Return how many invalid requests the last ten minutes hold."""
        while self._invalid and self._invalid[0] + WINDOW <= now:
            self._invalid.popleft()
        return len(self._invalid)

    def sent(self, now: float) -> None:
        """Note that a request left, whatever its response will be."""
        self._last_sent = now

    def add(self, now: float) -> None:
        """Count an invalid request."""
        self._invalid.append(now)

    def free_at(self, now: float) -> float:
        """Return the monotonic time from which the next request may leave; any time in the past is "now"."""
        count = self.count(now)
        self._stopped = count >= STOP_AT or (self._stopped and count >= SLOW_FROM)
        if self._stopped:
            return self._invalid[count - SLOW_FROM] + WINDOW
        return self._last_sent + WINDOW / (STOP_AT - count) if count >= SLOW_FROM else -math.inf
