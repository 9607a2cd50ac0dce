"""The caller's half of the pair freezes records and puts them into the backlog."""

from __future__ import annotations

import logging
import logging.handlers
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, FrozenRecord
from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._delivery.listener import WebhookListener
from discord_logging._delivery.queue_handler import WebhookQueueHandler
from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._discord.sender import WebhookSender
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._records.settings import CardSettings, DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://127.0.0.1:9/api/webhooks/123456789012345678/token"


@pytest.fixture
def queue_handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookQueueHandler]:
    """Yield a queue handler whose listener has no thread."""
    url = WebhookURL.parse(URL)
    listener = WebhookListener(
        url,
        DeliverySettings(),
        backlog=MemoryBacklog(),
        sender=WebhookSender(url),
        limiter=DiscordRateLimiter(),
        on_start=lambda: None,
    )
    monkeypatch.setattr(listener, "start", lambda: None)
    queue_handler = WebhookQueueHandler(listener, CardSettings(EmbedFormatter()))
    yield queue_handler
    queue_handler.close()


def test_a_record_is_prepared_and_enqueued(queue_handler: WebhookQueueHandler) -> None:
    """`handle` does both, as in the standard library's QueueHandler."""
    queue_handler.handle(logging.makeLogRecord({"msg": "hello %s", "args": ("you",), "levelno": 40}))
    listener: Any = queue_handler.listener
    (waiting,) = listener.backlog.lease(10)
    assert (waiting.record.message, waiting.record.levelno) == ("hello you", 40)


def test_the_frozen_record_outlives_its_arguments(queue_handler: WebhookQueueHandler) -> None:
    """The original record stays unchanged for later handlers."""
    items = ["tea"]
    record = logging.makeLogRecord({"msg": "%s", "args": (items,)})
    frozen = FrozenRecord(queue_handler.prepare(record))
    items.append("milk")
    assert frozen.message == "['tea']"
    assert (record.msg, record.args) == ("%s", (items,))


def test_another_formatter_formats_at_once(queue_handler: WebhookQueueHandler) -> None:
    """A formatter may read values that exist only on the caller's thread."""
    formatted: list[str] = []

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            formatted.append(record.getMessage())
            return "formatted"

    another = WebhookQueueHandler(queue_handler.listener, CardSettings(Formatter()))
    frozen = FrozenRecord(another.prepare(logging.makeLogRecord({"msg": "hello"})))
    assert (frozen.message, frozen.logged) == ("formatted", "hello")
    assert formatted == ["hello"]


def test_queue_handler_and_listener_share_the_backlog() -> None:
    """The queue that one puts records into is the backlog that the other takes them from."""
    handler = DiscordHandler(URL)
    queue_handler: Any = handler._queue_handler
    listener: Any = queue_handler.listener
    assert queue_handler.queue is listener.backlog
    handler.close(0)
