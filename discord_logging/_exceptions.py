"""The errors of this package.

DiscordLoggingError
├── InvalidWebhookURLError  (also a ValueError)
├── InvalidSettingError     (also a ValueError)
└── TransportError
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from discord_logging._text.markdown import shorten
from discord_logging._text.sanitize import mask_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAX_CAUSES = 50
"""The most places that are searched for causes, so that the search ends."""


class DiscordLoggingError(Exception):
    """The base class of every error that this package raises."""


class InvalidWebhookURLError(DiscordLoggingError, ValueError):
    """The webhook URL is malformed. The text shows the right form and holds no part of the wrong URL."""


class InvalidSettingError(DiscordLoggingError, ValueError):
    """A setting has a wrong type or value. The text names the setting and says which values are right."""

    def __init__(self, text: str) -> None:
        # The wrong value may be a webhook URL that was given to the wrong setting.
        super().__init__(shorten(mask_token(text), 500))


class TransportError(DiscordLoggingError):
    """A request got no response.

    Attributes:
        maybe_saved: Whether Discord may have saved the message all the same, so that sending it again may
            duplicate it. False if the connection was never made.
    """

    def __init__(self, reason: str, *, maybe_saved: bool) -> None:
        super().__init__(reason)
        self.maybe_saved = maybe_saved

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), maybe_saved=self.maybe_saved), self.args, self.__dict__


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence for an error that suggests the one of `known` most similar to `name`, or ""."""
    import difflib  # noqa: PLC0415 - for errors alone

    close = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def ends_program(error: BaseException) -> bool:
    """Tell whether `error` is Ctrl-C or an exit on the main thread. Any other thread would merely die of it."""
    return not isinstance(error, Exception) and threading.current_thread() is threading.main_thread()


def walk_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and its causes, the outer ones first. `requests` and `urllib3` keep a cause in several places."""
    trail: list[object] = [error]
    for each in trail:
        if isinstance(each, BaseException) and len(trail) < _MAX_CAUSES:
            yield each
            trail += [getattr(each, "reason", None), *each.args, each.__cause__ or each.__context__]
