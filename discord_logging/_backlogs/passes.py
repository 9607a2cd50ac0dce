"""This module recognises an event that reaches a webhook more than once.

One handler may be at a logger and at the root, so that a record that propagates passes it twice. Two equal handlers may
post to one webhook, as after a second run of a notebook's cell. Front handlers may pass on copies of one record.

No record is marked or kept alive. A record and its copies share one object, the float `relativeCreated`, which
`logging` makes for each record.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from discord_logging._records.record import event_parts

if TYPE_CHECKING:
    from discord_logging._records.settings import CardSettings

_MAX_EVENTS = 200
"""The number of events that are remembered. So many may come from other threads between two passes of one."""
_COLOR = re.compile(r"\x1b\[[\d;]*m")


class Passes:
    """Remembers the latest events. Not thread-safe."""

    def __init__(self) -> None:
        # The object itself is kept, so that no other has its id.
        self._seen: dict[int, tuple[Any, list[tuple[int, CardSettings]]]] = {}

    def has_passed(self, frozen: tuple[Any, ...]) -> bool:
        """Return whether the event was here before with the same message, for a card that looks the same."""
        moment, message, settings = event_parts(frozen)
        if type(moment) is not float:
            return False
        _, earlier = self._seen.setdefault(id(moment), (moment, []))
        if earlier:
            # Other handlers often colour the message in place.
            texts = {hash(message), hash(_COLOR.sub("", message))}
            if any(text in texts and settings.shows_like(each) for text, each in earlier):
                return True
        elif len(self._seen) > _MAX_EVENTS:
            del self._seen[next(iter(self._seen))]
        earlier.append((hash(message), settings))
        return False
