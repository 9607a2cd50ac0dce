"""Which answers are final, which are repeated, and after how long."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from discord_logging._webhook_sender import Answer


class Verdict(Enum):
    """What an answer says about the message that was sent.

    Discord's status codes are described at
    https://docs.discord.com/developers/topics/opcodes-and-status-codes#http.
    """

    DELIVERED = "delivered"
    LIMITED = "limited"
    """A rate limit or a block of this address; the message keeps its place."""
    GONE = "gone"
    """The webhook is not there any more, or its token is wrong: final."""
    REJECTED = "rejected"
    """The message breaks a rule: never sent again unchanged."""
    UNAVAILABLE = "unavailable"
    """Discord did not take the message for now."""


_GONE = frozenset({401, 403, 404})


def judge(answer: Answer) -> Verdict:
    """Return what `answer` means for the message, when it is no rate limit."""
    if answer.is_success:
        return Verdict.DELIVERED
    if answer.status in _GONE:
        return Verdict.GONE
    if 400 <= answer.status < 500 and answer.status != 408:  # noqa: PLR2004 - HTTP's own numbers
        return Verdict.REJECTED
    return Verdict.UNAVAILABLE


class Backoff(NamedTuple):
    """How long to wait after each failure in a row.

    Attributes:
        delays: Seconds after the first failures. After these the last is doubled each time.
        maximum: The most seconds, jitter aside.
    """

    delays: tuple[float, ...]
    maximum: float

    def delay(self, failures: int, jitter: float) -> float:
        """Return the seconds to wait after so many failures in a row, at least one.

        Args:
            failures: How many.
            jitter: A random number from 0 to 1, which adds up to a tenth.
        """
        if failures <= len(self.delays):
            seconds = self.delays[failures - 1]
        else:
            # The exponent is bounded, for 2.0 ** 1024 overflows.
            seconds = self.delays[-1] * 2.0 ** min(failures - len(self.delays), 64)
        return min(seconds, self.maximum) * (1 + jitter / 10)
