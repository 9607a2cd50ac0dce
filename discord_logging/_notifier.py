"""`DiscordNotifier`, for what is no log record."""

from __future__ import annotations

import functools
import logging
import os
import platform
import socket
from typing import TYPE_CHECKING, Any

from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._delivery.exit_time import is_exiting
from discord_logging._discord import lengths
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
from discord_logging._records.settings import parse_level, parse_number
from discord_logging._records.values import to_text
from discord_logging._text.sanitize import clean
from discord_logging._text.split import split_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    Fields = Mapping[str, object] | Sequence[Mapping[str, object] | tuple[object, ...]] | None

_MAX_PARTS = 5
"""In so many messages a plain text is posted at the most. A longer one is attached as a file."""
_CARD = EmbedFormatter()
_STARTED, _STOPPED = 0x2ECC71, 0x95A5A6
_NAME = "notifier"
"""What stands where a record has its logger, if there is no service."""


class DiscordNotifier:
    """Puts notices into a Discord channel: plain texts, rich embeds, start-up, errors.

    They go through the same queue, rate limiter and thread as the log records of the `DiscordHandler` for the same
    webhook, so nothing here waits for the network. Neither its level nor its filters hold a notice back. Secrets are
    masked as in records, also in addresses, and no mention in a text notifies anybody. What has no room in its message
    is attached as a file.

    Every method that begins with `send_` returns whether the notice was accepted: not if the notifier is disabled or
    closed, and not on the thread that delivers. It raises `ValueError` or `TypeError`, naming the argument, for an
    argument that is not right, and nothing else.

    Args:
        webhook_url: As for `DiscordHandler`; `None` takes `DISCORD_WEBHOOK_URL`, when the first notice is sent.
        handler: A `DiscordHandler` to share instead. It stays open when the notifier is closed.
        service: What the notices tell about, such as `"shop"`; it stands in their titles.
        **settings: Those of `DiscordHandler`, checked at once.

    Raises:
        InvalidWebhookURLError: As `DiscordHandler` does.
        InvalidSettingError: Likewise. Also a `ValueError`.
        TypeError: There is a `handler` as well as what it would be made of, or `handler` is not a `DiscordHandler`.
    """

    def __init__(
        self,
        webhook_url: str | None = None,
        *,
        handler: DiscordHandler | None = None,
        service: str | None = None,
        **settings: Any,
    ) -> None:
        self._service = check_text("service", service)
        self._made: dict[int, DiscordHandler] = {}
        self._make: Callable[[], DiscordHandler] | None = functools.partial(DiscordHandler, webhook_url, **settings)
        self._closed = self._has_warned = False
        if handler is not None:
            if webhook_url is not None or settings or not hasattr(handler, "notify"):
                raise TypeError("handler must be a DiscordHandler, and then there are no other settings.")
            self._make, self._made[0] = None, handler
        elif webhook_url is not None or settings:
            self._made[0] = self._make()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._service or _NAME!r}>"

    @property
    def handler(self) -> DiscordHandler:
        """The handler that takes the notices. If it was closed, as `dictConfig` does, it is another one.

        Raises:
            InvalidWebhookURLError: The URL in the environment is malformed.
            InvalidSettingError: `DISCORD_NOTIFICATIONS_ENABLED` is.
        """
        # No lock, for a signal handler or a forked child would wait for it for ever. The first to set one wins.
        while True:
            number = len(self._made)
            handler = self._made.get(number - 1)
            if handler is not None and (not handler.closed or self._make is None or self._closed or is_exiting()):
                return handler
            self._made.setdefault(number, self._make())  # type: ignore[misc]  # there is one where there is no handler

    def send_plaintext(self, text: str) -> bool:
        """Post a text, in which Discord's Markdown counts.

        More than 2,000 characters are split into up to 5 messages, between paragraphs, lines, sentences or words. Of a
        text that is longer still the beginning is posted, with a file that holds all of it.

        Args:
            text: The text. Not blank.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {type(text).__name__}.")
        if not clean(text).strip():
            raise ValueError("text must not be blank.")
        parts = [text]
        handler = self._find_handler()
        if handler and lengths.CONTENT < len(text) <= _MAX_PARTS * lengths.CONTENT:
            # Masked first: a cut may part a secret from its name.
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
        """Post an embed with what is given, of which there must be something to see. Markdown counts.

        Args:
            title: The title.
            description: The body.
            color: `0xRRGGBB` or `"#rrggbb"`; `None` is that of the level `INFO`.
            fields: Names and values: a mapping, or a list of `(name, value)`, `(name, value, inline)` or
                `{"name": …, "value": …, "inline": …}`. If it is not said, short values share a row.
            author: The small line above the title, or `{"name": …, "url": …, "icon_url": …}`.
            footer: The small line at the bottom, or `{"text": …, "icon_url": …}`.
            url: Makes the title a link.
            image: The address of a large picture.
            thumbnail: That of a small one.
            timestamp: A time to show, as `datetime` or in ISO 8601; without a zone it is local time.
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
        """Post a card as a log record has it, with the icon and the colour of its level.

        Args:
            level: A level's name, in any case, or number.
            service: What it tells about; `None` is the notifier's own.
            message: The body, shown as it is, without Markdown.
            fields: Names and values, as for `send_embed`; short values share a row.
            timestamp: When it was; `None` is now.
        """
        name = level.upper() if isinstance(level, str) else level
        levelno = parse_level("level", name, "be a level such as 'ERROR' or 40")
        values = as_values(check_fields("fields", fields))
        record = self._record(levelno, to_text(message), check_text("service", service), check_timestamp(timestamp))
        return self._post(record, _CARD, values)

    def send_startup(self, service: str | None = None, message: object = None, fields: Fields = None) -> bool:
        """Post that the program has started: host, process and Python version, and what is given.

        Args:
            service: What has started; `None` is the notifier's own.
            message: Words to say beside it.
            fields: Names and values, as for `send_diagnostic`.
        """
        return self._send_life(("🟢", "started", _STARTED), service, message, fields)

    def send_shutdown(self, service: str | None = None, message: object = None, fields: Fields = None) -> bool:
        """Post that the program stops, as `send_startup` does. `close` or the end of the program waits for it."""
        return self._send_life(("⏹️", "stopped", _STOPPED), service, message, fields)

    def _send_life(self, event: tuple[str, str, int], service: object, message: object, fields: object) -> bool:
        emoji, verb, color = event
        name = check_text("service", service) or self._service
        values = {
            **({"service": name} if name else {}),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "Python": f"{platform.python_implementation()} {platform.python_version()}",
            **as_values(check_fields("fields", fields)),
        }
        title = f"{emoji} {name} {verb}" if name else f"{emoji} {verb.capitalize()}"
        card = TitledCard(title, "" if message is None else to_text(message), color)
        return self._post(self._record(logging.INFO, card.text, name), card, values)

    def send_error(self, exc: BaseException, context: Fields = None) -> bool:
        """Post an exception with its traceback, on the card of a log record with level `ERROR`.

        Args:
            exc: The exception.
            context: Names and values to show beside it.
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
        """Post a warning that a rate limit was exceeded, and how the limits of this channel are doing.

        Args:
            message: What happened, such as `"Too many subscriptions from one address"`.
            limit: How many are allowed.
            window: In how many seconds.
            service: Whose limit it is; `None` is the notifier's own.
            fields: Names and values, as for `send_diagnostic`.
        """
        amount = "" if limit is None else to_text(limit)
        if window is not None:
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
        """Block until all that was accepted so far is delivered or dropped, as `DiscordHandler.flush` does.

        Args:
            timeout: Seconds to wait at the most; `None` is `flush_timeout`.

        Returns:
            Whether all of it was delivered.
        """
        return self.handler.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Flush, take no more notices, and close the handler unless it was given. May be called twice.

        Args:
            timeout: Seconds to wait at the most; `None` is `flush_timeout`.
        """
        self._closed = True
        for handler in list(self._made.values()):
            if self._make is None:
                handler.flush(timeout)
            else:
                handler.close(timeout)

    def health(self) -> dict[str, Any]:
        """Return how the webhook is doing, as plain data: what `DiscordHandler.health` gives."""
        health = self.handler.health()
        return {**health, "status": "closed", "reason": "the notifier was closed"} if self._closed else health

    def get_rate_limit_info(self) -> dict[str, Any]:
        """Return what is known of Discord's limits, as plain data: what `DiscordHandler.get_rate_limit_info` gives."""
        return self.handler.get_rate_limit_info()

    def reset_rate_limits(self) -> None:
        """Forget what was learned about Discord's limits, and try at once."""
        self.handler.reset_rate_limits()

    def _record(self, levelno: int, text: str, service: str = "", created: float | None = None) -> logging.LogRecord:
        record = logging.LogRecord(service or self._service or _NAME, levelno, "", 0, text, None, None)
        if created is not None:
            record.created = created
        return record

    def _find_handler(self) -> DiscordHandler | None:
        """Return the handler, or `None` if there is none for what stands in the environment, which is said once."""
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
        handler = None if self._closed else self._find_handler()
        return handler is not None and handler.notify(record, card, fields)


discord_notifier: DiscordNotifier = DiscordNotifier()
"""The ready one: configured from the environment, when it is first used."""
