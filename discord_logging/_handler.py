"""`DiscordHandler`, which users configure."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._delivery.listener import is_delivering
from discord_logging._delivery.queue_handler import WebhookQueueHandler
from discord_logging._delivery.registry import attach, detach
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._exceptions import InvalidSettingError, suggest
from discord_logging._process.diagnostics import warn
from discord_logging._records.freeze import freeze
from discord_logging._records.record import Details, Snapshot
from discord_logging._records.settings import CardSettings, DeliverySettings, parse_enabled, parse_level
from discord_logging._records.values import freeze_value, to_text
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_is_delivering = is_delivering.get
_said: set[str] = set()
_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("accepted", "delivered", "pending", "dropped", "requests", "retries"), 0),
    "dropped_by_reason": {},
    "rate_limited": {},
    "oldest_age": 0.0,
    "last_success": None,
    "last_error": None,
}


class DiscordHandler(logging.Handler):
    """Puts log records into a Discord channel through a webhook.

    A logging call costs the caller a few microseconds and never waits for the network: the record is frozen and
    queued, and one daemon thread per webhook, started by the first record, lays it out and posts it within Discord's
    rate limits. Handlers for the same webhook share that thread, the queue and the settings of delivery, of which the
    latest hold.

    Without a URL the handler is disabled: it accepts records and does nothing.

    All settings can be given as plain strings, numbers, lists and dicts from `logging.config.dictConfig`. Formatters
    other than `EmbedFormatter` may be set: their text becomes the body of the card. They run on the caller's thread,
    for they may read what is alive only there, and do not see the exception, which the card shows by itself.

    Args:
        webhook_url: The URL that Discord shows in the channel's settings; a password. `None` takes the environment
            variable `DISCORD_WEBHOOK_URL`; if that is not set, the handler is disabled.
        level: The lowest level that is handled.
        username: The name that messages are posted under, 1 to 80 characters, or such names by level, as
            `{"ERROR": "Alarm"}`, each from its level on; `None` is the webhook's own. A message of several records has
            that of the most severe.
        avatar_url: The address of the picture beside them, likewise.
        thread_id: The thread of the webhook's channel to post into. `None` takes the `thread_id` of the URL, if it
            has one and there is no `thread_name`, else the channel itself.
        thread_name: The title of the post that the first message opens in a forum, 1 to 100 characters; those after
            it go there too. `None` opens none. Every process opens its own.
        applied_tags: The ids of up to 5 tags that the post has.
        context: Names and values shown on every card, such as `{"service": "shop", "environment": "production"}`.
        fields: The names of the `extra` values to show, in this order; `None` is all, `[]` none.
        colors: Colours for levels, such as `{"ERROR": "#ff0000"}` or `{40: 0xFF0000}`, laid over the standard ones.
            A level without one takes that of the nearest below.
        emojis: Emojis for levels, likewise; `""` is none.
        mentions: Whom records notify, by level: `{"CRITICAL": "<@&ID>"}` is a role from `CRITICAL` on; `"<@ID>"` is a
            user, `"@everyone"` and `"@here"` are what they are, `""` is nobody. Nothing else ever notifies anybody.
        mention_interval: Seconds within which nobody is notified twice, 300 by default; 0 notifies each time.
        silent_below: Messages with nothing but records below this level make no sound on anybody's phone
            (`SUPPRESS_NOTIFICATIONS`); `NOTSET`, the default, is none.
        source_url: A template for the address of a line of source, such as
            `"https://github.com/acme/shop/blob/main/{path}#L{line}"`, which makes the place on the card a link.
        redact: Words; what has one of them in its name is masked: in `extra` values, and as `name=value`, JSON, header
            or URL in texts and tracebacks. Passwords in URLs and well-known kinds of keys go too. `None` is
            `DEFAULT_REDACT`; a list replaces that, `[*DEFAULT_REDACT, "iban"]` adds to it, `[]` masks nothing but the
            webhook's token. `SecretMasker(words).mask(text)` shows what a list does.
        queue_size: How many records may wait, at least 1. When more come, the least severe and oldest are dropped and
            counted. 10,000 by default.
        queue_bytes: How many bytes may wait, likewise, at least 1; estimated. 64,000,000 by default.
        max_lag: Seconds that a record may wait for its message while Discord's limits allow it, 5 by default. What
            cards would make wait for half of that is folded into lines, or into a summary with a file; a larger value
            folds later, and 0 whatever one message cannot hold as cards. A channel takes one message each two seconds
            for ever: under lasting load messages come 2.5 seconds apart, which a smaller value does not change.
        repeat_window: Seconds for which records that say the same as one before are held back, to be told together; 60
            by default, 0 is off.
        flush_timeout: Seconds for `flush` and `close`, and for interpreter exit; 5 by default, 0 does not wait.
        timeout: Seconds for a whole request: connection, message and answer; 10 by default, at least 0.1. One
            with a file has more, by its size.
        retry_delays: Seconds to wait after the first failures in a row, 2, 3 and 5 by default; from then on the last is
            doubled each time.
        max_retry_delay: The longest such wait, in seconds; 60 by default, at least 1.
        channel_limit: How many messages the channel takes in 60 seconds, which Discord tells in no header
            (https://github.com/discord/discord-api-docs/issues/1454); 30 by default. It adapts when others post there
            too. `None` is no such limit.
        allow_http: Whether the URL may be plain http although its host is not loopback.
        enabled: `False` disables the handler. `None` takes the environment variable `DISCORD_NOTIFICATIONS_ENABLED`,
            which is true when it is not set.

    Raises:
        InvalidWebhookURLError: The URL is malformed. The text holds no part of it.
        InvalidSettingError: A setting has a wrong type or value. Also a `ValueError`.
    """

    def __init__(
        self,
        webhook_url: str | None = None,
        level: int | str = logging.NOTSET,
        *,
        username: str | Mapping[Any, str | None] | None = None,
        avatar_url: str | Mapping[Any, str | None] | None = None,
        thread_id: str | int | None = None,
        thread_name: str | None = None,
        applied_tags: Sequence[str | int] | None = None,
        context: Mapping[str, object] | None = None,
        fields: Sequence[str] | None = None,
        colors: Mapping[Any, int | str] | None = None,
        emojis: Mapping[Any, str] | None = None,
        mentions: Mapping[Any, str] | None = None,
        mention_interval: float = DeliverySettings.mention_interval,
        silent_below: int | str = logging.NOTSET,
        source_url: str | None = None,
        redact: Sequence[str] | None = None,
        queue_size: int = DeliverySettings.queue_size,
        queue_bytes: int = DeliverySettings.queue_bytes,
        max_lag: float = DeliverySettings.max_lag,
        repeat_window: float = DeliverySettings.repeat_window,
        flush_timeout: float = DeliverySettings.flush_timeout,
        timeout: float = DeliverySettings.timeout,
        retry_delays: Sequence[float] = DeliverySettings.retry_delays,
        max_retry_delay: float = DeliverySettings.max_retry_delay,
        channel_limit: int | None = DeliverySettings.channel_limit,
        allow_http: bool = False,
        enabled: bool | str | None = None,
        **unknown: NoReturn,
    ) -> None:
        # super().__init__() comes after the checks: it makes a handler known to logging.shutdown(), even half built.
        if unknown:
            raise InvalidSettingError(_describe_unknown(unknown))
        delivery = DeliverySettings.from_options(
            queue_size=queue_size,
            queue_bytes=queue_bytes,
            max_lag=max_lag,
            repeat_window=repeat_window,
            flush_timeout=flush_timeout,
            timeout=timeout,
            retry_delays=retry_delays,
            max_retry_delay=max_retry_delay,
            channel_limit=channel_limit,
            mention_interval=mention_interval,
        )
        card = CardSettings.from_options(
            EmbedFormatter(),
            username=username,
            avatar_url=avatar_url,
            thread_id=thread_id,
            thread_name=thread_name,
            applied_tags=applied_tags,
            context=context,
            fields=fields,
            colors=colors,
            emojis=emojis,
            mentions=mentions,
            silent_below=silent_below,
            source_url=source_url,
            redact=redact,
        )
        url, self._disabled = _find_url(webhook_url, enabled, allow_http=allow_http)
        self._listener = None
        self._queue_handler: WebhookQueueHandler | None = None
        self._flush_timeout = delivery.flush_timeout
        self._gave_up_on: int | None = None
        self._left = False
        super().__init__(parse_level("level", level, "be a level such as 'ERROR' or 40"))
        self.formatter: logging.Formatter | None = card.formatter
        self._settings = card
        if url is not None:
            self._listener = attach(self, url, delivery)
            card = replace(card, thread_id=card.thread_id or (None if card.thread_name else url.thread_id))
            self._settings = card
            self._queue_handler = WebhookQueueHandler(self._listener, card)

    def __repr__(self) -> str:
        target = self._listener.url if self._listener else "disabled"
        return f"<{type(self).__name__} {target} ({logging.getLevelName(self.level)})>"

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - the name that logging gave it
        """Set the formatter; `None` is `EmbedFormatter`."""
        super().setFormatter(fmt or EmbedFormatter())
        if self._queue_handler is not None:
            self._settings = replace(self._settings, formatter=self.formatter)
            self._queue_handler = WebhookQueueHandler(self._queue_handler.listener, self._settings)

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter `record` and emit it. Never waits, and raises nothing but what an override of `emit` raises.

        The lock that `logging.Handler` takes is left alone: nothing here needs one. What the listeners' threads log,
        such as urllib3's lines about our own requests, does not come back to us.

        Args:
            record: The record. It stays as it is.

        Returns:
            Whether it passed the filters.
        """
        if _is_delivering():
            return False
        try:
            allowed: Any = self.filter(record)
        except Exception:  # noqa: BLE001 - a filter of the user's may raise anything
            self._refuse(record)
            return False
        if not allowed:
            return False
        # From Python 3.12 on a filter may return another record.
        self.emit(record if allowed is True or not isinstance(allowed, logging.LogRecord) else allowed)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Freeze `record` and queue it, whatever the filters say. Never raises an `Exception`; never waits."""
        queue_handler = self._queue_handler
        # A handler of the user's may call this without `handle`.
        if queue_handler is None or _is_delivering():
            return
        try:
            frozen = queue_handler.prepare(record)
        except Exception:  # noqa: BLE001 - as in every handler of the standard library
            self._refuse(record)
            return
        try:
            queue_handler.enqueue(frozen)
        except Exception:  # noqa: BLE001 - it has been accepted; what is left to do somebody else will
            self.handleError(record)

    def notify(
        self,
        record: logging.LogRecord,
        formatter: EmbedFormatter | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> bool:
        """Queue a notice: a record that no level and no filter hold back, and that is no repeat of another.

        Never raises an `Exception`; never waits.

        Args:
            record: The record. Its own `extra` values are left out.
            formatter: What lays it out; `None` is the handler's.
            fields: Names and values to show, all of them.

        Returns:
            Whether it was accepted: not if the handler is disabled or closed, and not on the listeners' threads.
        """
        if self._queue_handler is None or self._left or _is_delivering():
            return False
        try:
            # Settings of its own, for they tell records apart.
            settings = replace(self._settings, formatter=formatter or self._settings.formatter, fields=None)
            snapshot = Snapshot._make(freeze(record, settings))
            shown = {to_text(name): freeze_value(value) for name, value in (fields or {}).items()}
            details = Details._make(snapshot.details)._replace(extra=shown or None)
        except Exception:  # noqa: BLE001 - as in `emit`
            self._refuse(record)
            return False
        with contextlib.suppress(Exception):  # it has been accepted; what is left to do somebody else will
            self._queue_handler.enqueue(snapshot._replace(details=details))
        return True

    @property
    def closed(self) -> bool:
        """Whether it was closed, as `logging.config.dictConfig` does with all handlers that there are."""
        return self._left

    def mask(self, text: str) -> str:
        """Return `text` as it is posted: without the secrets in it, and without what Discord does not show."""
        return clean(self._settings.masker.mask(text))

    def _refuse(self, record: logging.LogRecord) -> None:
        if self._listener is not None:
            self._listener.backlog.refuse(to_text(getattr(record, "levelname", "?")), "unreadable")
        self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging gave it
        """Say on stderr that `record` was lost, as every handler does. Never raises an `Exception`."""
        # The base class prints the record and the error with its chain: the very things that could not be read.
        with contextlib.suppress(Exception):
            super().handleError(record)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # logging ignores what it returns
        """Block until all that was logged so far is delivered or dropped.

        A wait for a rate limit or a retry that ends after the deadline is not begun. A signal handler that interrupts
        this very handler while it puts records in order can wait for nothing: it gets `False` at once, and has
        `flush_on_signals` to come later.

        Args:
            timeout: Seconds to wait at the most; `None` is `flush_timeout`.

        Returns:
            Whether all of it was delivered.
        """
        if self._listener is None:
            return True
        is_done = self._listener.flush(self._flush_timeout if timeout is None else timeout)
        self._gave_up_on = None if is_done or timeout is not None else self._listener.backlog.count()["accepted"]
        return is_done

    def close(self, timeout: float | None = None) -> None:
        """Flush and let go of the webhook. May be called twice.

        The last handler to leave a webhook ends its thread: what is left is dropped, counted and said on stderr.

        Args:
            timeout: Seconds to wait at the most; `None` is `flush_timeout`, or nothing at all if a `flush` has just
                waited for the same records in vain, as `logging.shutdown` calls the two in a row.
        """
        super().close()
        if self._listener is None or self._queue_handler is None or self._left:
            return
        self._queue_handler.close()
        self._left = True
        if timeout is None:
            backlog = self._listener.backlog
            in_vain = self._gave_up_on is not None and self._gave_up_on == backlog.count()["accepted"]
            timeout = 0.0 if in_vain else self._flush_timeout
        detach(self, self._listener, timeout)

    def health(self) -> dict[str, Any]:
        """Return how the webhook is doing, as plain data ready for JSON.

        Returns:
            - `status`: `ok` (the last message was delivered, or none was sent yet), `limited` (a rate
              limit is waited for), `retrying` (the last message was not delivered, and is tried again), `blocked`
              (Discord's edge refuses the address of this machine for some minutes), `stopped` (the webhook is gone,
              and nothing is posted any more), `disabled` (the handler has no URL, or is switched off) or `closed`.
            - `reason`: The status in words; "" if it is `ok`.
            - `accepted`, `delivered`, `pending`, `dropped`: Numbers of records. The first is the sum of the others.
            - `dropped_by_reason`: How many were dropped as `queue_full` (more waited than `queue_size` or
              `queue_bytes` allow; the least severe and oldest go first), `too_large` (alone larger than
              `queue_bytes`), `closed` (not delivered when the last handler of the webhook was closed, or logged
              later), `rejected` (Discord refused the card, and the plain text too), `webhook_gone` (after a 401, 403
              or 404), `unreadable` (a filter or an attribute of the record raised an error), `interrupted` (Ctrl-C
              came while the record was put in its place) or `internal_error` (a fault of this package, which is
              logged).
            - `oldest_age`: For how many seconds the oldest record waits or is in flight, repeats that are held back
              left out; 0.0 if no record does.
            - `requests`, `retries`: How many messages were posted, and how many of them after a failure.
            - `rate_limited`: How many were answered with a 429, by scope.
            - `last_success`: When a message was delivered last, as ISO 8601 in UTC, or `None`.
            - `last_error`: `time` and `reason` of the last message that was not delivered, or `None`.
            - `rate_limit`: What `get_rate_limit_info` returns.
        """
        if self._listener is None:
            return {
                **_NOTHING,
                "status": "disabled",
                "reason": self._disabled,
                "rate_limit": self.get_rate_limit_info(),
            }
        health = self._listener.health()
        return {**health, "status": "closed", "reason": "the handler was closed"} if self._left else health

    def get_rate_limit_info(self) -> dict[str, Any]:
        """Return what is known of Discord's limits, as plain data.

        Returns:
            `global_rate_limit` (`active`, `wait_time`) and `buckets` by id, each with `limit`, `remaining`,
            `reset_after` and `wait_time`; and, unless the handler is disabled, `channel`, `pace`, `edge_block` and
            `invalid_requests`. Of `pace`, `interval` is the time from one message to the next under lasting load
            (`None` without a `channel_limit`), and `wait_time` the time until a record that is not urgent may leave,
            0.0 if at once. Times are in seconds.
        """
        if self._listener is None:
            return {"global_rate_limit": {"active": False, "wait_time": 0.0}, "buckets": {}}
        return self._listener.get_rate_limit_info()

    def reset_rate_limits(self) -> None:
        """Forget what was learned about Discord's limits, and try at once."""
        if self._listener is not None:
            self._listener.reset_rate_limits()


def discord_handlers(logger: logging.Logger | None) -> Iterator[DiscordHandler]:
    """Yield the handlers of ours that get what is logged to `logger`."""
    while logger is not None:
        yield from (handler for handler in logger.handlers if isinstance(handler, DiscordHandler))
        logger = logger.parent if logger.propagate else None


def is_enabled_in_environment() -> bool:
    """Return whether `DISCORD_NOTIFICATIONS_ENABLED` leaves handlers enabled, as it does when it is not set.

    Raises:
        InvalidSettingError: Its value is neither true nor false.
    """
    name = "DISCORD_NOTIFICATIONS_ENABLED"
    return parse_enabled(os.environ.get(name) or True, name=name)


def _find_url(webhook_url: object, enabled: object, *, allow_http: object) -> tuple[WebhookURL | None, str]:
    """Return the webhook to post to, or `None` and why there is none, which is said once."""
    if enabled is None:
        enabled = is_enabled_in_environment()
    url = os.environ.get("DISCORD_WEBHOOK_URL") if webhook_url is None else webhook_url
    if not parse_enabled(enabled):
        reason = "switched off by enabled or DISCORD_NOTIFICATIONS_ENABLED"
    elif url is None or url == "":
        reason = "no webhook URL: give webhook_url or set DISCORD_WEBHOOK_URL"
    else:
        return WebhookURL.parse(url, allow_http=parse_enabled(allow_http, name="allow_http")), ""
    if reason not in _said:
        _said.add(reason)
        warn("DiscordHandler is disabled: %s", reason)
    return None, reason


def _describe_unknown(unknown: Mapping[str, object]) -> str:
    import inspect  # noqa: PLC0415 - for this error alone

    known = [name for name in inspect.signature(DiscordHandler).parameters if name != "unknown"]
    names = ", ".join(repr(name) for name in unknown)
    return f"Unknown setting {names}.{suggest(next(iter(unknown)), known)} The settings are {', '.join(known)}."
