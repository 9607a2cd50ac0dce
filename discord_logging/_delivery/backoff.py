"""This module computes the wait before the next try."""

from __future__ import annotations

from typing import NamedTuple


class Backoff(NamedTuple):
    """The waits after consecutive failures, in seconds.

    Attributes:
        delays: The waits after the first failures. From then on, the last one is doubled each time.
        maximum: The longest wait, before jitter.
    """

    delays: tuple[float, ...]
    maximum: float

    def delay(self, failures: int, jitter: float) -> float:
        """Return the seconds to wait after a number of consecutive failures.

        Args:
            failures: The number of failures, at least 1.
            jitter: A number from 0 to 1; 1 adds a tenth to the wait.
        """
        doublings = failures - len(self.delays)
        # The exponent is bounded, since 2.0 ** 1024 overflows. A delay of 0 is doubled as if it were 0.5.
        seconds = self.delays[failures - 1] if doublings <= 0 else (self.delays[-1] or 0.5) * 2.0 ** min(doublings, 64)
        return min(seconds, self.maximum) * (1 + jitter / 10)
