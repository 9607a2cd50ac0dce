"""How long to wait before the next try."""

from __future__ import annotations

from typing import NamedTuple


class Backoff(NamedTuple):
    """How long to wait after failures in a row, in seconds.

    Attributes:
        delays: After the first failures. From then on the last is doubled each time.
        maximum: The longest wait, before jitter.
    """

    delays: tuple[float, ...]
    maximum: float

    def delay(self, failures: int, jitter: float) -> float:
        """Return the seconds to wait after so many failures in a row.

        Args:
            failures: How many, at least 1.
            jitter: A number from 0 to 1, which adds up to a tenth.
        """
        doublings = failures - len(self.delays)
        # The exponent is bounded, for 2.0 ** 1024 overflows. A delay of 0 is doubled as if it were 0.5.
        seconds = self.delays[failures - 1] if doublings <= 0 else (self.delays[-1] or 0.5) * 2.0 ** min(doublings, 64)
        return min(seconds, self.maximum) * (1 + jitter / 10)
