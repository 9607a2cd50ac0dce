"""This module has the queue handler, which freezes a record and puts it into the backlog of a webhook."""

from __future__ import annotations

import copy
import logging
import logging.handlers
from typing import TYPE_CHECKING, Any

from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._records.freeze import freeze, merge
from discord_logging._records.values import to_text

if TYPE_CHECKING:
    from discord_logging._delivery.listener import WebhookListener
    from discord_logging._records.settings import CardSettings


class WebhookQueueHandler(logging.handlers.QueueHandler):
    """Freezes records on the caller's thread and queues them for a listener. A `DiscordHandler` owns it.

    Args:
        listener: The listener that takes the records out of the queue, which is its backlog.
        settings: The settings that the records are shown with.
    """

    def __init__(self, listener: WebhookListener, settings: CardSettings) -> None:
        super().__init__(listener.backlog)  # type: ignore[arg-type]  # the handler only puts records into this queue
        self.listener: WebhookListener = listener
        self.settings = settings
        self._lays_out_later = isinstance(settings.formatter, EmbedFormatter)

    def prepare(self, record: logging.LogRecord) -> tuple[Any, ...]:
        """Return `record`, frozen. A formatter that is not an `EmbedFormatter` runs here: it may read the context."""
        settings = self.settings
        if self._lays_out_later:
            return freeze(record, settings)
        return freeze(record, settings, _format_body(record, settings))

    def enqueue(self, record: Any) -> None:
        """Put a frozen record into the backlog. Never waits."""
        self.queue.put(record)  # type: ignore[attr-defined]  # as above


def _format_body(record: logging.LogRecord, settings: CardSettings) -> str:
    formatter = settings.formatter
    bare = copy.copy(record)
    bare.exc_info = bare.exc_text = bare.stack_info = None
    try:
        return to_text(formatter.format(bare))
    except Exception as error:  # noqa: BLE001 - the user's formatter may raise anything
        failure = f"({type(formatter).__name__} failed: {type(error).__name__}: {to_text(error)})"
        return f"{merge(bare, settings)}\n{failure}"
