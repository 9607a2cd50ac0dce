"""A processor for structlog, which posts its events with their values, their exception and their place.

The module needs the extra `structlog`: `pip install 'discord-log-handler[structlog]'`. A program whose structlog passes
its events on to `logging` needs none of it: a `DiscordHandler` shows them likewise.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from discord_logging._discord.webhook_url import hide, hide_urls
from discord_logging._integrations.handlers import find_handler
from discord_logging._records.values import to_text

try:
    from structlog.processors import CallsiteParameter, CallsiteParameterAdder, StackInfoRenderer
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.structlog needs structlog: pip install 'discord-log-handler[structlog]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from discord_logging._handler import DiscordHandler

__all__ = ["DiscordProcessor"]

_OURS = ["discord_logging"]
_find_place = CallsiteParameterAdder(
    {
        CallsiteParameter.PATHNAME,
        CallsiteParameter.LINENO,
        CallsiteParameter.FUNC_NAME,
        CallsiteParameter.MODULE,
    },
    additional_ignores=_OURS,
)
_add_stack = StackInfoRenderer(additional_ignores=_OURS)
_LEVELS = {
    **dict.fromkeys(("critical", "fatal"), logging.CRITICAL),
    **dict.fromkeys(("exception", "error", "err", "failure"), logging.ERROR),
    **dict.fromkeys(("warning", "warn"), logging.WARNING),
    "debug": logging.DEBUG,
}
"""The levels of the methods of loggers; all others have `INFO`."""


class DiscordProcessor:
    """A processor that posts the events of structlog to a Discord channel, and passes each on unchanged.

        structlog.configure(processors=[merge_contextvars, DiscordProcessor(level="ERROR"), ConsoleRenderer()])

    Its place is before the processor that renders the events, and before `format_exc_info` if there is one. It is for
    programs whose structlog writes the events itself: if the events reach `logging`, a `DiscordHandler` there shows
    them likewise.

    A card shows the event as its message, the level, time and place, the values of the event as fields, and the
    exception. The logger is the value `logger`, or the name of the logger, or that of the module.

    Args:
        handler: A handler that other loggers may use as well, or a webhook URL, or `None` for a handler of its own.
        **settings: Settings of `DiscordHandler` for a handler of its own.

    Attributes:
        handler: The handler that gets the events from its level on.

    Raises:
        InvalidSettingError: A setting is unknown or has a wrong value.
        InvalidWebhookURLError: The webhook URL is malformed.
        TypeError: There is a handler, and settings as well.
    """

    def __init__(self, handler: DiscordHandler | str | None = None, **settings: Any) -> None:
        handler, settings = hide(handler), hide_urls(settings)
        self.handler: DiscordHandler = find_handler(handler, settings)

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Queue an event, and return it unchanged. Never waits."""
        level = _LEVELS.get(method_name, logging.INFO)
        if level >= self.handler.level:
            self.handler.handle(_make_record(logger, method_name, level, event_dict))
        return event_dict


def _make_record(logger: Any, method_name: str, level: int, event_dict: Mapping[str, Any]) -> logging.LogRecord:
    event: dict[str, Any] = {"event": "", **_add_stack(logger, method_name, dict(event_dict))}
    exc_info = event.pop("exc_info", method_name == "exception")
    if isinstance(exc_info, BaseException):
        exc_info = type(exc_info), exc_info, exc_info.__traceback__
    elif not isinstance(exc_info, tuple):
        exc_info = sys.exc_info() if exc_info else None
    place = _find_place(logger, method_name, {})
    name = event.get("logger") or getattr(logger, "name", None) or place["module"]
    facts = to_text(name), level, place["pathname"], place["lineno"]
    return logging.LogRecord(*facts, event, (), exc_info, place["func_name"])
