"""A sink for loguru, which posts its records with their values, their exception and their place.

The module needs the extra `loguru`: `pip install 'discord-log-handler[loguru]'`.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from discord_logging._cards.traceback_text import format_exception
from discord_logging._discord.webhook_url import hide, hide_urls
from discord_logging._integrations.handlers import find_handler
from discord_logging._records.text_exceptions import without_additions
from discord_logging._records.traceback_parser import find_tracebacks

try:
    import loguru as _  # noqa: F401 - for the error
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.loguru needs loguru: pip install 'discord-log-handler[loguru]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from loguru import Message

    from discord_logging._handler import DiscordHandler

__all__ = ["DiscordSink"]


class DiscordSink:
    """A sink that posts the records of loguru to a Discord channel.

        logger.add(DiscordSink(), level="ERROR")

    A card shows what the record of loguru holds, whatever the format of the sink is: the message, the level, time,
    place, thread and process, the values of `bind`, `contextualize` and `patch` as fields, and the exception. Values
    of variables, which loguru adds to a traceback with `diagnose`, are left out: the setting `show_locals` asks for
    them.

    `logger.remove` delivers the waiting records, for which it waits up to `flush_timeout`; so does loguru when the
    program ends. To deliver them earlier, call `logger.complete()` if the sink has `enqueue=True`, and then
    `sink.handler.flush()`.

    Args:
        handler: A handler that other loggers may use as well, or a webhook URL, or `None` for a handler of its own.
        **settings: Settings of `DiscordHandler` for a handler of its own.

    Attributes:
        handler: The handler that gets the records from its level on.

    Raises:
        InvalidSettingError: A setting is unknown or has a wrong value.
        InvalidWebhookURLError: The webhook URL is malformed.
        TypeError: There is a handler, and settings as well.
    """

    def __init__(self, handler: DiscordHandler | str | None = None, **settings: Any) -> None:
        handler, settings = hide(handler), hide_urls(settings)
        self.handler: DiscordHandler = find_handler(handler, settings)
        self._is_own = self.handler is not handler

    def write(self, message: Message) -> None:
        """Queue the record of a message of loguru. Never waits."""
        if message.record["level"].no >= self.handler.level:
            self.handler.handle(_make_record(message))

    def stop(self) -> None:
        """Deliver the waiting records when the sink is removed, and close a handler of its own."""
        if self._is_own:
            self.handler.close()
        else:
            self.handler.flush()


def _make_record(message: Message) -> logging.LogRecord:
    found = message.record
    level, exception, text = found["level"], found["exception"], found["message"]
    exc_info: Any = None
    if exception and exception.type:
        exc_info = exception.type, exception.value, exception.traceback
        if exception.traceback is None:
            # The queue of `enqueue=True` takes no traceback, so that only the formatted text has it.
            text += _find_traceback(message)
    name = found["name"] or found["module"]
    record = logging.LogRecord(name, level.no, found["file"].path, found["line"], text, (), exc_info, found["function"])
    record.levelname = level.name
    record.created = found["time"].timestamp()
    record.msecs = record.created % 1 * 1_000
    record.relativeCreated = found["elapsed"].total_seconds() * 1_000
    record.thread, record.threadName = found["thread"].id, found["thread"].name
    record.process, record.processName = found["process"].id, found["process"].name
    record.__dict__["extra"] = found["extra"]
    return record


def _find_traceback(message: Message) -> str:
    """Return the traceback in the text of a message, without values of variables."""
    text = str(message)
    if text.startswith('{"text": '):
        # The sink has `serialize=True`.
        text = json.loads(text)["text"]
    found = find_tracebacks(text.replace(message.record["message"], "", 1))
    return "".join(f"\n{format_exception(without_additions(each))}" for each in found.exceptions) if found else ""
