"""`DiscordNotifier` posts notices that are not log records."""

from __future__ import annotations

import functools
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._discord import lengths
from discord_logging._discord.webhook_url import hide, hide_urls
from discord_logging._exceptions import DiscordLoggingError
from discord_logging._handler import DiscordHandler
from discord_logging._notice import (
    PlainText,
    RichCard,
    TitledCard,
    as_values,
    check_fields,
    check_text,
    check_timestamp,
    describe_limits,
)
from discord_logging._process.diagnostics import warn
from discord_logging._records.exceptions import origin
from discord_logging._records.parse import LEVEL_RULE, is_blank, parse_level, parse_number
from discord_logging._records.settings import without_blanks
from discord_logging._records.values import to_text
from discord_logging._text.sanitize import clean
from discord_logging._text.split import split_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    Fields = Mapping[str, object] | Sequence[Mapping[str, object] | tuple[object, ...]] | None

_MAX_PARTS = 5
"""The largest number of messages for a plain text. A longer text is attached as a file."""
_CARD = EmbedFormatter()
_STARTED, _STOPPED = 0x2ECC71, 0x95A5A6
_NAME = "notifier"
"""The logger name of notices without a service."""
# The module `platform` would know the name, but takes some milliseconds to import.
_PYTHON = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)


class DiscordNotifier:
    """Posts notices to a Discord channel: plain texts, rich embeds, start-up, errors.

    Notices share the queue, the rate limiter and the thread with the log records of the `DiscordHandler` for the same
    webhook, so no method but `flush` and `close` waits for the network. The level and the filters of the handler do not
    apply to notices. Secrets are masked as in records, also in addresses, and mentions in a text notify nobody. Text
    that does not fit in a message is attached as a file.

    Every method that begins with `send_` returns whether the notice was accepted. A notice is not accepted if the
    notifier is disabled, if it was closed at interpreter exit, or on the thread that delivers. The methods raise
    `ValueError` or `TypeError` for a wrong argument, which the text names, and no other exception.

    Args:
        webhook_url: As for `DiscordHandler`; `None` takes `DISCORD_WEBHOOK_URL` when the first notice is sent.
        handler: A `DiscordHandler` to use instead. It stays open when the notifier is closed.
        service: The subject of the notices, such as `"shop"`, for their titles.
        **settings: The settings of `DiscordHandler`, which are checked at once.

    Raises:
        InvalidWebhookURLError: The webhook URL is malformed.
        InvalidSettingError: A setting is unknown or has a wrong value. Also a `ValueError`.
        TypeError: `handler` is given together with other settings, or is not a `DiscordHandler`.
    """

    def __init__(
        self,
        webhook_url: str | None = None,
        *,
        handler: DiscordHandler | None = None,
        service: str | None = None,
        **settings: Any,
    ) -> None:
        webhook_url = None if is_blank(webhook_url) else hide(webhook_url)
        settings = hide_urls(settings)
        self._service = check_text("service", service)
        self._made: dict[str, DiscordHandler] = {}
        self._make: Callable[[], DiscordHandler] | None = functools.partial(DiscordHandler, webhook_url, **settings)
        self._has_warned = False
        is_configured = webhook_url is not None or bool(without_blanks(settings))
        if handler is not None and not is_blank(handler):
            if is_configured or not hasattr(handler, "notify"):
                raise TypeError("handler must be a DiscordHandler, and cannot be combined with other settings.")
            self._make, self._made["handler"] = None, handler
        elif is_configured:
            self._made["handler"] = self._make()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, '_service', None) or _NAME!r}>"

    @property
    def handler(self) -> DiscordHandler:
        """The handler that takes the notices. It is made at first use.

        Raises:
            InvalidWebhookURLError: The URL in the environment is malformed.
            InvalidSettingError: `DISCORD_NOTIFICATIONS_ENABLED` is neither true nor false.
        """
        # There is no lock, because a signal handler or a forked child could wait for it for ever. If two threads make a
        # handler, `setdefault` keeps the first.
        handler = self._made.get("handler")
        if handler is None:
            handler = self._made.setdefault("handler", self._make())  # type: ignore[misc]  # there is no handler yet
        return handler

    def send_plaintext(self, text: str) -> bool:
        """Post a text with Discord's Markdown.

        A text of more than 2,000 characters is split into up to 5 messages, between paragraphs, lines, sentences or
        words. Of a text that is even longer, the beginning is posted, with the whole text as a file.

        Args:
            text: The text, which must not be blank.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {type(text).__name__}.")
        if not clean(text).strip():
            raise ValueError("text must not be blank.")
        parts = [text]
        handler = self._find_handler()
        if handler and lengths.CONTENT < len(text) <= _MAX_PARTS * lengths.CONTENT:
            # The text is masked first, because a split may separate a secret from its name.
            parts = split_text(handler.mask(text), lengths.CONTENT)
        parts = parts if len(parts) <= _MAX_PARTS else [text]
        return all(self._post(self._record(logging.INFO, part), PlainText()) for part in parts)

    def send_embed(
        self,
        *,
        title: str | None = None,
        description: str | None = None,
        color: int | str | None = None,
        fields: Fields = None,
        author: str | Mapping[str, str] | None = None,
        footer: str | Mapping[str, str] | None = None,
        url: str | None = None,
        image: str | Mapping[str, str] | None = None,
        thumbnail: str | Mapping[str, str] | None = None,
        timestamp: datetime | str | None = None,
    ) -> bool:
        """Post an embed, which needs at least one visible part. Markdown is kept.

        Args:
            title: The title.
            description: The body.
            color: `0xRRGGBB` or `"#rrggbb"`; `None` takes the colour of the level `INFO`.
            fields: Names and values: a mapping, or a list of `(name, value)`, `(name, value, inline)` or
                `{"name": …, "value": …, "inline": …}`. Without `inline`, short values share a row.
            author: The small line above the title, or `{"name": …, "url": …, "icon_url": …}`.
            footer: The small line at the bottom, or `{"text": …, "icon_url": …}`.
            url: An address that makes the title a link.
            image: The address of a large picture.
            thumbnail: The address of a small picture.
            timestamp: The time to show, as a `datetime` or in ISO 8601; without a zone it is local time.
        """
        card = RichCard(
            title=title,
            description=description,
            color=color,
            fields=fields,
            author=author,
            footer=footer,
            url=url,
            image=image,
            thumbnail=thumbnail,
            timestamp=timestamp,
        )
        return self._post(self._record(logging.INFO, card.text, created=card.timestamp), card, card.values())

    def send_diagnostic(
        self,
        level: int | str = logging.INFO,
        service: str | None = None,
        message: object = "",
        fields: Fields = None,
        timestamp: datetime | str | None = None,
    ) -> bool:
        """Post a card like that of a log record, with the icon and the colour of the level.

        Args:
            level: The name of a level, in upper or lower case, or its number.
            service: The subject of the notice; `None` takes the notifier's service.
            message: The body, which is shown without Markdown.
            fields: Names and values, as for `send_embed`; short values share a row.
            timestamp: The time of the event; `None` stands for now.
        """
        name = level.upper() if isinstance(level, str) else level
        levelno = parse_level("level", name, LEVEL_RULE)
        values = as_values(check_fields("fields", fields))
        record = self._record(levelno, to_text(message), check_text("service", service), check_timestamp(timestamp))
        return self._post(record, _CARD, values)

    def send_startup(self, service: str | None = None, message: object = None, fields: Fields = None) -> bool:
        """Post that the program has started, with host, process and Python version.

        Args:
            service: The name of the program; `None` takes the notifier's service.
            message: The body of the card.
            fields: More names and values, as for `send_diagnostic`.
        """
        return self._send_life(("🟢", "started", _STARTED), service, message, fields)

    def send_shutdown(self, service: str | None = None, message: object = None, fields: Fields = None) -> bool:
        """Post that the program stops, with the arguments of `send_startup`. `close` and exit wait for its delivery."""
        return self._send_life(("⏹️", "stopped", _STOPPED), service, message, fields)

    def _send_life(self, event: tuple[str, str, int], service: object, message: object, fields: object) -> bool:
        emoji, verb, color = event
        name = check_text("service", service) or self._service
        values = {
            **({"service": name} if name else {}),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "Python": f"{_PYTHON} {sys.version.split()[0]}",
            **as_values(check_fields("fields", fields)),
        }
        title = f"{emoji} {name} {verb}" if name else f"{emoji} {verb.capitalize()}"
        card = TitledCard(title, "" if message is None else to_text(message), color)
        return self._post(self._record(logging.INFO, card.text, name), card, values)

    def send_error(self, exc: BaseException, context: Fields = None) -> bool:
        """Post an exception with its traceback, on a card like that of a log record with level `ERROR`.

        Args:
            exc: The exception.
            context: Names and values to show with the exception.
        """
        if not isinstance(exc, BaseException):
            raise TypeError(f"exc must be an exception, not {type(exc).__name__}.")
        values = as_values(check_fields("context", context))
        text = to_text(exc)
        record = self._record(logging.ERROR, f"{type(exc).__qualname__}: {text}" if text else type(exc).__qualname__)
        record.exc_info = type(exc), exc, exc.__traceback__
        record.pathname, record.lineno, record.funcName = origin(exc.__traceback__)
        return self._post(record, None, values)

    def send_rate_limit_warning(
        self,
        message: object = "A rate limit was exceeded",
        *,
        limit: object = None,
        window: float | None = None,
        service: str | None = None,
        fields: Fields = None,
    ) -> bool:
        """Post a warning that a rate limit was exceeded, with the state of the limits of this channel.

        Args:
            message: The event, such as `"Too many subscriptions from one address"`.
            limit: The number of events that the limit allows.
            window: The time to which the limit applies, in seconds.
            service: The service with the limit; `None` takes the notifier's service.
            fields: Names and values, as for `send_diagnostic`.
        """
        amount = "" if is_blank(limit) else to_text(limit)
        if not is_blank(window):
            amount = f"{amount or '?'} in {parse_number('window', window, minimum=0):g} s"
        handler = self._find_handler()
        values = {
            **({"limit": amount} if amount else {}),
            **as_values(check_fields("fields", fields)),
            **(describe_limits(handler.get_rate_limit_info()) if handler else {}),
        }
        name = check_text("service", service) or self._service
        card = TitledCard(" · ".join(part for part in ("🚦 Rate limit", name) if part), to_text(message))
        return self._post(self._record(logging.WARNING, card.text, name), card, values)

    def flush(self, timeout: float | None = None) -> bool:
        """Block until all notices accepted so far are delivered or dropped, as `DiscordHandler.flush` does.

        Args:
            timeout: The longest wait, in seconds; `None` takes `flush_timeout`.

        Returns:
            Whether all of them were delivered, and none was dropped since the last flush.
        """
        return self.handler.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Flush, and close the handler unless it was given. May be called twice. The next notice opens it again.

        Args:
            timeout: The longest wait, in seconds; `None` takes `flush_timeout`.
        """
        handler = self._made.get("handler")
        if handler is None:
            return
        if self._make is None:
            handler.flush(timeout)
        else:
            handler.close(timeout)

    def reset(self, timeout: float | None = None) -> None:
        """Close the notifier, and make it ready for use again, with the settings that the environment has then.

        Args:
            timeout: The longest wait, in seconds; `None` takes `flush_timeout`.
        """
        self.close(timeout)
        if self._make is not None:
            self._made = {}
        self._has_warned = False

    def health(self) -> dict[str, Any]:
        """Return the state of the delivery, in the form of `DiscordHandler.health`."""
        return self.handler.health()

    def get_rate_limit_info(self) -> dict[str, Any]:
        """Return the state of Discord's limits, in the form of `DiscordHandler.get_rate_limit_info`."""
        return self.handler.get_rate_limit_info()

    def reset_rate_limits(self) -> None:
        """Reset the state of Discord's limits, and try to deliver at once."""
        self.handler.reset_rate_limits()

    def _record(self, levelno: int, text: str, service: str = "", created: float | None = None) -> logging.LogRecord:
        record = logging.LogRecord(service or self._service or _NAME, levelno, "", 0, text, None, None)
        if created is not None:
            record.created = created
        return record

    def _find_handler(self) -> DiscordHandler | None:
        """Return the handler, or `None` if the environment has a wrong value, of which the user is warned once."""
        try:
            return self.handler
        except DiscordLoggingError as error:
            if not self._has_warned:
                self._has_warned = True
                warn("%s is disabled: %s", type(self).__name__, error)
            return None

    def _post(
        self, record: logging.LogRecord, card: EmbedFormatter | None, fields: Mapping[str, object] | None = None
    ) -> bool:
        handler = self._find_handler()
        return handler is not None and handler.notify(record, card, fields)


discord_notifier: DiscordNotifier = DiscordNotifier()
"""A notifier that is ready to use. It reads its settings from the environment on first use."""
