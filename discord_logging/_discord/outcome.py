"""The outcome of a message: the meaning of Discord's response to it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discord_logging._discord.sender import Response


class Outcome(Enum):
    """The outcome of a message.

    Discord's status and error codes are described at
    https://docs.discord.com/developers/topics/opcodes-and-status-codes.
    """

    DELIVERED = "delivered"
    LIMITED = "limited"
    """A rate limit or a block of our address holds the message up. It keeps its place, and no try is counted."""
    RETRY_NOW = "retry now"
    """Discord refused a setting. The message without that setting keeps its place and leaves at once."""
    NOT_SAVED = "not saved"
    """The message never arrived, or a gateway turned it away. It is tried again for as long as its records are kept."""
    MAYBE_SAVED = "maybe saved"
    """The message may stand in the channel. Webhooks know no idempotency key, so it is not repeated often."""
    REJECTED = "rejected"
    """The message breaks a rule. It is never sent again unchanged."""
    GONE = "gone"
    """The webhook will never accept a message again."""


_MAYBE_SAVED = frozenset({500, 504, 524})
_GONE = frozenset({401, 403, 404})
OLD_MESSAGE = 30046
"""The error code of a 429 for too many edits of messages that are older than an hour."""
_NO_WEBHOOK = frozenset({10015, 50027})
"""The error codes of an unknown webhook, and of a wrong token."""
UNKNOWN_CHANNEL = 10003
"""The error code of a message to a thread that does not exist any more."""
UNKNOWN_TAG = 10087
"""The error code of a message with a tag that the forum does not have, or not any more."""
NO_FORUM = 220003
"""The error code of a message with a `thread_name` to a channel where it can open no post."""
_WRONG_DESTINATION = frozenset({40067, 50083, 160005, 220001, 220002, 220003})
"""The error codes that blame the channel, thread or forum: every other message would get them too."""


def classify(response: Response) -> Outcome:
    """Return the outcome of a message whose response is not a rate limit."""
    if 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's success
        return Outcome.DELIVERED
    if response.status in _MAYBE_SAVED:
        return Outcome.MAYBE_SAVED
    if response.status in _GONE or response.code in _WRONG_DESTINATION:
        return Outcome.GONE
    if 400 <= response.status < 500 and response.status not in (407, 408, 425):  # noqa: PLR2004 - these three may pass later
        return Outcome.REJECTED
    return Outcome.NOT_SAVED


def classify_edit(response: Response) -> Outcome:
    """Return the outcome of an edit whose response is not a rate limit. Only few refusals are about the webhook."""
    outcome = classify(response)
    return Outcome.REJECTED if outcome is Outcome.GONE and response.code not in (*_NO_WEBHOOK, None) else outcome
