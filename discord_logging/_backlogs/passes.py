"""This module recognises an event that reaches a webhook more than once.

One handler may be at a logger and at the root, so that a record that propagates passes it twice. Two equal handlers may
post to one webhook, as after a second run of a notebook's cell. Front handlers may pass on copies of one record.

No record is marked or kept alive. A record and its copies share two objects, which `logging` makes for each record: the
floats `relativeCreated` and `created`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from discord_logging._records.record import event_parts

if TYPE_CHECKING:
    from discord_logging._records.settings import CardSettings

_MAX_EVENTS = 200
"""The number of the latest events that are surely remembered: others may come from other threads in between."""
_COLOR = re.compile(r"\x1b\[[\d;]*m")


class Passes:
    """Remembers the latest events. Not thread-safe."""

    def __init__(self) -> None:
        # The object itself is kept, so that no other has its id.
        self._latest: dict[int, tuple[Any, ...]] = {}
        self._older: dict[int, tuple[Any, ...]] = {}

    def has_passed(self, frozen: tuple[Any, ...]) -> bool:
        """Return whether the event was here before with the same level and message, for a card that looks the same."""
        moment, created, level, message, settings = event_parts(frozen)
        if type(moment) is not float or not isinstance(level, int):
            return False
        level, key = int.__int__(level), id(moment)
        text = hash((level, message))
        earlier = self._latest.get(key) or self._older.get(key)
        # One of the two may be a constant of the program.
        if earlier is None or earlier[1] is not created:
            if len(self._latest) >= _MAX_EVENTS:
                self._latest, self._older = {}, self._latest
            self._latest[key] = moment, created, text, settings
            return False
        # Other handlers often colour the message in place.
        texts = {text, hash((level, _COLOR.sub("", message)))}
        pairs = zip(earlier[2::2], earlier[3::2], strict=True)
        if any(each in texts and _look_alike(settings, other) for each, other in pairs):
            return True
        self._latest[key] = *earlier, text, settings
        return False


def _look_alike(one: CardSettings, other: CardSettings) -> bool:
    try:
        return one.shows_like(other)
    except Exception:  # noqa: BLE001 - the formatters are the user's, and so is what compares them
        return False
