"""What an answer means for the message that was sent."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discord_logging._discord.sender import Response


class Outcome(Enum):
    """What came of a message.

    Discord's status and error codes are described at
    https://docs.discord.com/developers/topics/opcodes-and-status-codes.
    """

    DELIVERED = "delivered"
    LIMITED = "limited"
    """A rate limit or a block of this address. The message keeps its place, and no try is counted."""
    RETRY_NOW = "retry now"
    """Discord refused a setting. Without it the message is another one, which keeps its place and leaves at once."""
    NOT_SAVED = "not saved"
    """It never arrived, or a gateway turned it away: tried again for as long as its records are kept."""
    MAYBE_SAVED = "maybe saved"
    """It may stand in the channel. Webhooks know no idempotency key, so it is not repeated often."""
    REJECTED = "rejected"
    """It breaks a rule: never sent again unchanged."""
    GONE = "gone"
    """No message will ever be taken."""


_MAYBE_SAVED = frozenset({500, 504, 524})
_GONE = frozenset({401, 403, 404})
UNKNOWN_CHANNEL = 10003
"""The code that a thread which is not there any more is answered with."""
UNKNOWN_TAG = 10087
"""The code that a tag which the forum has not, or not any more, is answered with."""
NO_FORUM = 220003
"""The code that a `thread_name` is answered with where no post can be opened."""
_WRONG_DESTINATION = frozenset({40067, 50083, 160005, 220001, 220002, 220003})
"""Codes about the channel, thread or forum that is posted to, which another message would meet as well."""


def classify(answer: Response) -> Outcome:
    """Return what `answer` means when it is no rate limit."""
    if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's success
        return Outcome.DELIVERED
    if answer.status in _MAYBE_SAVED:
        return Outcome.MAYBE_SAVED
    if answer.status in _GONE or answer.code in _WRONG_DESTINATION:
        return Outcome.GONE
    if 400 <= answer.status < 500 and answer.status not in (407, 408, 425):  # noqa: PLR2004 - these three pass
        return Outcome.REJECTED
    return Outcome.NOT_SAVED
