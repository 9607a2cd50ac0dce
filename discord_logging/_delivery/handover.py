"""This module has what a delivery hands over to its successor, which may run in another process and after a reboot."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from discord_logging._discord.sender import is_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._health import DropReason

_T = TypeVar("_T")
_MAX_REFUSAL_AGE = 86_400.0
"""The seconds after which a successor tries again what Discord refused: a channel may have become a forum."""


class Handover(NamedTuple):
    """The state that outlives a delivery. All times are those of the wall clock, in seconds.

    Attributes:
        reported: The losses that messages have reported.
        reported_at: The time of the latest of these messages.
        mentioned: The times of the latest mentions.
        posts: The ids of the threads that were opened in a forum, by name.
        given_up: The settings with their values, and the ids of threads, that Discord refused, and when it did.
        delayed_since: The time from which on messages fail, or `None`.
    """

    reported: Counter[tuple[DropReason, str]]
    reported_at: float
    mentioned: dict[str, float]
    posts: dict[str, str]
    given_up: dict[str, float]
    delayed_since: float | None

    def to_data(self) -> dict[str, Any]:
        """Return the state as data that JSON keeps, for `updated`."""
        return {
            **self._asdict(),
            "reported": [[reason, level, count] for (reason, level), count in self.reported.items()],
        }

    def updated(self, data: Any, now: float) -> Handover:
        """Return the state with the parts of `data` in place of its own; a part that is malformed is left out.

        Args:
            data: The result of `to_data`.
            now: The present time of the wall clock. No time in the result is later, also if the clock was set back.
        """

        def read(name: str, convert: Callable[[Any], _T], own: _T) -> _T:
            try:
                return convert(data[name])
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                return own

        def time(value: Any) -> float:
            return min(_time(value), now)

        def times(value: Any) -> dict[str, float]:
            return {_text(name): time(at) for name, at in value.items()}

        def fresh(value: Any) -> dict[str, float]:
            return {name: at for name, at in times(value).items() if now - at < _MAX_REFUSAL_AGE}

        return Handover(
            read("reported", _losses, self.reported),
            read("reported_at", time, self.reported_at),
            read("mentioned", times, self.mentioned),
            read("posts", lambda value: {_text(name): _id(post) for name, post in value.items()}, self.posts),
            read("given_up", fresh, self.given_up),
            read("delayed_since", lambda value: None if value is None else time(value), self.delayed_since),
        )


def _losses(value: Any) -> Counter[Any]:
    return Counter({(_text(reason), _text(level)): _count(number) for reason, level, number in value})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r:.100}")
    return value


def _id(value: Any) -> str:
    if not is_id(value):
        raise ValueError(f"no id: {value!r:.100}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"no count: {value!r:.100}")
    return value


def _time(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"no time: {value!r:.100}")
    return float(value)
