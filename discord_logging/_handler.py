"""This module has `DiscordHandler`, which users configure."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._delivery.queue_handler import WebhookQueueHandler
from discord_logging._delivery.registry import attach, detach, reattach
from discord_logging._discord.webhook_url import WebhookURL, hide, hide_urls
from discord_logging._exceptions import InvalidSettingError, suggest
from discord_logging._process.diagnostics import warn
from discord_logging._process.own_threads import is_own_thread, own_handlers
from discord_logging._records.freeze import freeze, show_arguments
from discord_logging._records.parse import LEVEL_RULE, is_blank, parse_enabled, parse_level
from discord_logging._records.record import Details, Snapshot
from discord_logging._records.record_filter import RecordFilter
from discord_logging._records.reports import is_retold
from discord_logging._records.settings import CardSettings, DeliverySettings
from discord_logging._records.values import freeze_values, to_text
from discord_logging._text.sanitize import clean, mask_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from discord_logging._delivery.listener import WebhookListener

_is_own_thread = is_own_thread.get
_MAX_NOTICES = 20
"""The largest number of kinds of notices whose settings are remembered."""
_reported: set[str] = set()
"""The reasons for disabled handlers that were reported already."""
_HEALTH_WITHOUT_RECORDS: dict[str, Any] = {
    **dict.fromkeys(("accepted", "delivered", "pending", "dropped", "requests", "retries"), 0),
    "dropped_by_reason": {},
    "rate_limited": {},
    "oldest_age": 0.0,
    "last_success": None,
    "last_error": None,
}


class DiscordHandler(logging.Handler):
    """Posts log records to a Discord channel through a webhook.

    A logging call costs the caller a few microseconds and never waits for the network: the record is frozen and
    queued, and one daemon thread per webhook, started by the first record, lays it out and posts it within Discord's
    rate limits. Handlers for the same webhook share that thread, the queue and the latest settings of delivery.

    Without a URL the handler is disabled: it accepts records and does nothing.

    All settings can be given as plain strings, numbers, lists and dicts from `logging.config.dictConfig`, with `ext://`
    and `cfg://` references anywhere in them. For every setting, `None` and a blank text mean that it is not given; only
    `channel_limit=None` means something else. A number may be a text such as `"10"`, and a bool may be 0, 1 or one of
    the texts `"true"`, `"yes"`, `"on"`, `"1"`, `"false"`, `"no"`, `"off"` and `"0"`.

    Other formatters than `EmbedFormatter` may be set: their text becomes the body of the card. They run on the caller's
    thread, since they may read values that exist only there. They do not see the exception, which the card shows
    anyway.

    Args:
        webhook_url: The URL that Discord shows in the channel's settings; keep it secret. `None` takes the
            environment variable `DISCORD_WEBHOOK_URL`; if that is not set, the handler is disabled.
        level: The lowest level that is handled.
        max_level: The highest level that is handled, such as `"WARNING"` for a handler beside another one for errors.
            `NOTSET` and `None`, the default, mean no highest level.
        loggers: The names of loggers, such as `["shop", "-shop.noise"]`: only records of these loggers and their
            children are handled, and with a `-` before the name they are left out. The longest name that fits decides.
            If all names have a `-`, all other records are handled. `None` and `[]` mean all loggers.
        ignore: Types of exceptions, such as `["django.http.Http404", KeyboardInterrupt]`: records with an exception of
            such a type, or of a subclass, are left out. A name has its module, unless it is a builtin; it is never
            imported. An exception group is left out if each exception in it is. The cause and the context of an
            exception do not count. `None` and `[]` leave nothing out. Records that these three settings leave out are
            not counted, like those that a filter rejects.
        username: The name that messages are posted under, 1 to 80 characters, or such names by level, as
            `{"ERROR": "Alarm"}`, each from its level on; `None` keeps the name of the webhook. A message of several
            records has the name of the most severe one.
        avatar_url: The address of the picture of the messages, likewise one or by level.
        thread_id: The thread of the webhook's channel to post into. `None` takes the `thread_id` of the URL if it has
            one and `thread_name` is not given, otherwise the channel itself.
        thread_name: The title of the post that the first message opens in a forum, 1 to 100 characters. Later
            messages go to the same post. Every process opens its own post, unless they share a `backlog`. `None` opens
            none.
        applied_tags: The ids of up to 5 tags of the post.
        context: Names and values shown on every card, such as `{"service": "shop", "environment": "production"}`; those
            without a value are left out.
        fields: The names of the `extra` values to show, in this order; `[]` hides all. `None` shows all but values that
            frameworks attach for themselves, such as uvicorn's `color_message`, and values that repeat the message or
            the exception. A list with only names that begin with `-`, such as `["-request_id"]`, hides these as well.
        colors: Colours for levels, such as `{"ERROR": "#ff0000"}` or `{40: 0xFF0000}`, laid over the standard ones.
            A level without a colour takes the colour of the nearest level below.
        emojis: Emojis for levels, likewise; `None` or `""` shows no emoji.
        mentions: Mentions by level: `{"CRITICAL": "<@&ID>"}` notifies a role from `CRITICAL` on. Other values are
            `"<@ID>"` for a user, `"@everyone"`, `"@here"`, and `None` or `""` for nobody. No other setting or text ever
            notifies anybody.
        mention_interval: The seconds within which nobody is notified twice, 300 by default; 0 notifies each time.
        silent_below: A level. A message whose records are all below it makes no sound on a phone
            (`SUPPRESS_NOTIFICATIONS`). With `NOTSET`, the default, no message is silent.
        source_url: A template for the address of a line of source, such as
            `"https://github.com/acme/shop/blob/main/{path}#L{line}"`, which makes the location on the card a link.
        own_packages: The import names of packages, such as `["acme"]`, that are the program's own although they are
            installed like libraries: the card shows their frames. In a program that PyInstaller made, all other
            packages are libraries then.
        show_locals: `"own"` shows the local variables of the program's own frames below them, with secrets masked, up
            to 20 in each of the last 10 frames. They are taken in the logging call, which then takes longer: it calls
            their `__repr__`. `None`, `False` and `""` show none.
        redact: Words. A value is masked if its name contains one of them: in `extra` values, and as `name=value`,
            JSON, header or URL in texts and tracebacks. Passwords in URLs and well-known kinds of keys are masked too.
            `None` stands for `DEFAULT_REDACT`; a list replaces it, `[*DEFAULT_REDACT, "iban"]` adds to it, `[]` masks
            only the webhook's token. `SecretMasker(words).mask(text)` shows the effect of a list.
        queue_size: The largest number of records that may wait, at least 1; 10,000 by default. If more come, the least
            severe and oldest are dropped and counted.
        queue_bytes: The largest estimated size of all records that wait, in bytes, likewise, at least 1; 64,000,000 by
            default. A record that is larger, or that has more text than a message can carry (about 8,000,000
            characters), is cut, and its text says how much is left out. One record of 4,096 bytes always has room.
        backlog: A directory that keeps the waiting records instead of the memory, such as `"/var/lib/shop/backlog"`.
            They survive `kill -9` and restarts, and the next process with this setting posts them. All processes of
            this machine that name the directory share one sender for each webhook, which folds the records of all of
            them. The directory and its files are for this user alone (modes 0700 and 0600), and hold only masked text.
            Python must have SQLite. A `~` at the beginning is the home, a relative path begins at the present working
            directory, and a URL such as `"sqlite:///var/lib/shop/backlog"` means the same as its path. The URL of a
            Redis, such as `"redis://cache.example:6379/0"`, does the same for the processes of all machines that name
            it (extra `[redis]`). `None` takes the environment variable `DISCORD_BACKLOG`; if that is not set, records
            wait in memory.
        backlog_dir: A directory on this machine for a `backlog` in Redis. While Redis is away, it keeps what waits in
            this process, so that the records survive `kill -9` and restarts then, too, also if they have no room in the
            shared memory; they go into Redis when it is back. `None` takes the environment variable
            `DISCORD_BACKLOG_DIR`; if that is not set, there is no such directory.
        backlog_bytes: The largest estimated size of all records in the backlog that wait for one webhook, in bytes, at
            least 1; 256,000,000 by default. If more come, the least severe and oldest are dropped and counted.
        backlog_age: The seconds after which a record in the backlog is dropped and counted; 604,800 by default, which
            is a week.
        max_lag: The seconds that a record may wait for its message while Discord's limits allow it, 5 by default. If
            cards would make records wait for half of that, they are folded into lines, or into a summary with a file. A
            larger value folds later; 0 folds all records that one message cannot hold as cards. A channel permanently
            accepts one message each two seconds: under lasting load, messages come 2.5 seconds apart, which a smaller
            value does not change.
        repeats: How records that are like an earlier one are told. `"post"`, the default, holds repeats for
            `repeat_window` seconds, and posts one card that counts them. `"edit"` edits the card in the channel, which
            then is a live one: it counts all records of its kind from `WARNING` on, which have the same logger, place,
            template and type of exception, whatever their arguments are, and below `WARNING` the repeats; it says since
            when, how often and where they come, shows the newest, has a file with each further text, and says when it
            is over. A new message comes when they become more severe, at 100, 1,000, 10,000 of them and so on, when
            they come back after it was over, and when later messages have pushed the card out of sight. `"off"` posts
            each record.
        repeat_window: The seconds for which repeats of a record are held, so that one card reports them together; 60
            by default, 0 means the same as `repeats="off"`. A repeat has the same level, logger, place, exception,
            `extra` values and merged message, whatever text a formatter makes of it. Its time does not count, even if
            the message says when it was logged, nor does its thread. With `repeats="edit"`, only repeats of a record
            that has no card of its own are held so.
        quiet_after: The seconds without a further record after which a live card says that it is over, at least 1; 900
            by default.
        flush_timeout: The seconds for `flush` and `close`, and for interpreter exit; 5 by default, 0 does not wait.
        timeout: The seconds for a whole request: connection, message and response; 10 by default, at least 0.1. A
            request with a file has more, by its size.
        retry_delays: The seconds to wait after the first consecutive failures, 2, 3 and 5 by default. From then on, the
            last is doubled each time.
        max_retry_delay: The longest such wait, in seconds; 60 by default, at least 1.
        channel_limit: The number of messages that the channel accepts in 60 seconds, which no header contains
            (https://github.com/discord/discord-api-docs/issues/1454); 30 by default. The limit adapts if others post
            there too. `None` means no such limit, and `""` the default.
        allow_http: Whether the URL may be plain http although its host is not loopback, so that all machines on the way
            can read it. `None` takes the environment variable `DISCORD_ALLOW_HTTP`, which is false if it is not set.
        enabled: `False` disables the handler. `None` takes the environment variable `DISCORD_NOTIFICATIONS_ENABLED`,
            which is true if it is not set.

    Raises:
        InvalidWebhookURLError: The URL is malformed. The text holds no part of it.
        InvalidSettingError: A setting has a wrong type or value. The error is also a `ValueError`.
    """

    _queue_handler: WebhookQueueHandler | None = None

    def __init__(
        self,
        webhook_url: str | None = None,
        level: int | str | None = logging.NOTSET,
        *,
        max_level: int | str | None = None,
        loggers: Sequence[str] | None = None,
        ignore: Sequence[str | type[BaseException]] | None = None,
        username: str | Mapping[Any, str | None] | None = None,
        avatar_url: str | Mapping[Any, str | None] | None = None,
        thread_id: str | int | None = None,
        thread_name: str | None = None,
        applied_tags: Sequence[str | int] | None = None,
        context: Mapping[str, object] | None = None,
        fields: Sequence[str] | None = None,
        colors: Mapping[Any, int | str | None] | None = None,
        emojis: Mapping[Any, str | None] | None = None,
        mentions: Mapping[Any, str | None] | None = None,
        mention_interval: float | None = DeliverySettings.mention_interval,
        silent_below: int | str | None = logging.NOTSET,
        source_url: str | None = None,
        own_packages: Sequence[str] | None = None,
        show_locals: str | bool | None = None,
        redact: Sequence[str] | None = None,
        queue_size: int | None = DeliverySettings.queue_size,
        queue_bytes: int | None = DeliverySettings.queue_bytes,
        backlog: str | os.PathLike[str] | None = None,
        backlog_dir: str | os.PathLike[str] | None = None,
        backlog_bytes: int | None = DeliverySettings.backlog_bytes,
        backlog_age: float | None = DeliverySettings.backlog_age,
        max_lag: float | None = DeliverySettings.max_lag,
        repeats: str | None = DeliverySettings.repeats,
        repeat_window: float | None = DeliverySettings.repeat_window,
        quiet_after: float | None = DeliverySettings.quiet_after,
        flush_timeout: float | None = DeliverySettings.flush_timeout,
        timeout: float | None = DeliverySettings.timeout,
        retry_delays: Sequence[float] | None = DeliverySettings.retry_delays,
        max_retry_delay: float | None = DeliverySettings.max_retry_delay,
        channel_limit: int | None = DeliverySettings.channel_limit,
        allow_http: bool | str | None = None,
        enabled: bool | str | None = None,
        **unknown: NoReturn,
    ) -> None:
        # super().__init__() comes after the checks: it registers the handler for logging.shutdown(), even half built.
        webhook_url, backlog = hide(webhook_url), hide(backlog)
        if unknown:
            unknown = hide_urls(unknown)
            raise InvalidSettingError(_describe_unknown(unknown))
        delivery = DeliverySettings.from_options(
            queue_size=queue_size,
            queue_bytes=queue_bytes,
            backlog=backlog,
            backlog_dir=backlog_dir,
            backlog_bytes=backlog_bytes,
            backlog_age=backlog_age,
            max_lag=max_lag,
            repeats=repeats,
            repeat_window=repeat_window,
            quiet_after=quiet_after,
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
            own_packages=own_packages,
            show_locals=show_locals,
            redact=redact,
        )
        record_filter = RecordFilter.from_options(max_level=max_level, loggers=loggers, ignore=ignore)
        url, self._disabled = _find_url(webhook_url, enabled, allow_http=allow_http)
        if url is not None and not card.thread_name:
            card = replace(card, thread_id=card.thread_id or url.thread_id)
        self._settings = card
        self._notices: dict[tuple[CardSettings, int, tuple[str, ...]], CardSettings] = {}
        self._flush_timeout = delivery.flush_timeout
        self._accepted_at_timeout: int | None = None
        self._is_closed = False
        super().__init__(logging.NOTSET if is_blank(level) else parse_level("level", level, LEVEL_RULE))
        own_handlers.add(self)
        if record_filter is not None:
            self.addFilter(record_filter)
        self.formatter: logging.Formatter | None = card.formatter
        if url is not None:
            self._queue_handler = WebhookQueueHandler(attach(self, url, delivery), card)

    @property
    def _listener(self) -> WebhookListener | None:
        return None if self._queue_handler is None else self._queue_handler.listener

    def __repr__(self) -> str:
        target = self._listener.url if self._listener else "disabled"
        level = getattr(self, "level", logging.NOTSET)  # which a handler whose constructor failed does not have
        return f"<{type(self).__name__} {target} ({logging.getLevelName(level)})>"

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - the name that logging gave it
        """Set the formatter; `None` stands for `EmbedFormatter`."""
        super().setFormatter(fmt or EmbedFormatter())
        if self._queue_handler is not None:
            self._settings = replace(self._settings, formatter=self.formatter)
            self._queue_handler = WebhookQueueHandler(self._queue_handler.listener, self._settings)

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter `record` and emit it. Never waits, and raises no exception but those of an override of `emit`.

        A framework's record of an exception that `log_exceptions` has logged already is left out.

        The lock that `logging.Handler` takes is not taken, since no code here needs it. Records that are logged on the
        listeners' threads are ignored, such as those of urllib3 about our own requests.

        Args:
            record: The record, which stays unchanged.

        Returns:
            Whether the record passed the filters.
        """
        if _is_own_thread():
            return False
        try:
            allowed: Any = self.filter(record)
        except Exception:  # noqa: BLE001 - the user's filter may raise anything
            self._refuse(record)
            return False
        if not allowed:
            return False
        if getattr(record, "exc_info", None) and is_retold(record, id(self)):
            return True
        # From Python 3.12 on a filter may return another record.
        self.emit(record if allowed is True or not isinstance(allowed, logging.LogRecord) else allowed)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Freeze `record` and queue it, without the filters. Never raises an `Exception`; never waits."""
        queue_handler = self._queue_handler
        # Another handler may call this without `handle`.
        if queue_handler is None or _is_own_thread():
            return
        if self._is_closed:
            self._reopen(queue_handler)
        try:
            frozen = queue_handler.prepare(record)
        except Exception:  # noqa: BLE001 - as in every handler of the standard library
            self._refuse(record)
            return
        try:
            queue_handler.enqueue(frozen)
        except Exception:  # noqa: BLE001 - the record was accepted; another thread does the rest
            self.handleError(record)

    def notify(
        self,
        record: logging.LogRecord,
        formatter: EmbedFormatter | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> bool:
        """Queue a notice: a record that ignores the level and the filters, and that is never a repeat.

        Never raises an `Exception`; never waits.

        Args:
            record: The record. Its own `extra` values are left out.
            formatter: The formatter that lays the record out; `None` stands for the handler's formatter.
            fields: Names and values to show, all of them.

        Returns:
            Whether the notice was accepted. A disabled handler, a closed one at interpreter exit, and any handler on
            the listeners' threads accept no notice.
        """
        if self._queue_handler is None or _is_own_thread():
            return False
        if self._is_closed and not self._reopen(self._queue_handler):
            return False
        try:
            extra = freeze_values(fields or {})
            settings = self._settings_of_notice(formatter or self._settings.formatter, tuple(map(self.mask, extra)))
            snapshot = Snapshot._make(freeze(record, settings))
            details = Details._make(snapshot.details)._replace(extra=extra or None)
        except Exception:  # noqa: BLE001 - as in `emit`
            self._refuse(record)
            return False
        with contextlib.suppress(Exception):  # the record was accepted; another thread does the rest
            self._queue_handler.enqueue(snapshot._replace(details=details, relativeCreated=None))
        return True

    def _settings_of_notice(self, formatter: Any, fields: tuple[str, ...]) -> CardSettings:
        """Return the settings of notices that show these values, all of them, in settings of their own."""
        # The settings below keep the formatter alive, so that no other one has its id.
        key = self._settings, id(formatter), fields
        if key not in self._notices:
            if len(self._notices) >= _MAX_NOTICES:
                self._notices.clear()
            self._notices[key] = replace(self._settings, formatter=formatter, fields=fields, is_notice=True)
        return self._notices[key]

    def _reopen(self, queue_handler: WebhookQueueHandler) -> bool:
        self._is_closed = not reattach(self, queue_handler.listener)
        return not self._is_closed

    @property
    def closed(self) -> bool:
        """Whether the handler was closed, as `logging.config.dictConfig` does. The next record opens it again."""
        return self._is_closed

    def mask(self, text: str) -> str:
        """Return `text` as it is posted: with masked secrets, and without characters that Discord does not show."""
        return clean(self._settings.masker.mask(text))

    def _refuse(self, record: logging.LogRecord) -> None:
        if self._listener is not None:
            self._listener.backlog.refuse(to_text(getattr(record, "levelname", "?")), "unreadable")
        self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging gave it
        """Report on stderr that `record` was lost, as every handler does. Never raises an `Exception`.

        The base class would print secrets and the webhook's token with the error, its source lines or the arguments.
        """
        if not logging.raiseExceptions:
            return
        parts = ["--- Logging error ---\n"]
        reads: tuple[Callable[[], str], ...] = (
            traceback.format_exc,
            lambda: "".join(["Call stack:\n", *traceback.format_stack()]),
            lambda: f"Message: {record.msg!r}\nArguments: {show_arguments(record, self._settings.masker)}\n",
        )
        for read in reads:
            # The record, or the error with its chain, may be what could not be read.
            with contextlib.suppress(Exception):
                parts.append(read())
        text = mask_token("".join(parts))
        with contextlib.suppress(Exception):  # there may be no settings yet
            text = self.mask(text)
        with contextlib.suppress(Exception):  # there may be no stderr
            sys.stderr.write(text)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # logging ignores what it returns
        """Block until all records logged so far are delivered or dropped.

        Gives up at once if a rate limit or a retry has to be waited for beyond the deadline. A signal handler that has
        interrupted the bookkeeping of this handler cannot wait: it gets `False` at once. `flush_on_signals` runs a
        flush as soon as the bookkeeping is done.

        Args:
            timeout: The longest wait, in seconds; `None` stands for `flush_timeout`.

        Returns:
            Whether all of them were delivered: `False` if one still waits, or if any record of this process for this
            webhook was dropped since the last flush of this handler, or since the handler was made. So each loss is
            told once, by the first flush after it; `health` has the total. A disabled handler returns `True`. With a
            `backlog`, the process that sends for all delivers them, and is asked to hurry. Records that still wait
            then stay in the directory.
        """
        if self._listener is None:
            return True
        is_done = self._listener.flush_for(self, self._flush_timeout if timeout is None else timeout)
        is_timeout = not is_done and timeout is None
        self._accepted_at_timeout = self._listener.backlog.count()["accepted"] if is_timeout else None
        return is_done

    def close(self, timeout: float | None = None) -> None:
        """Flush and release the webhook. May be called twice.

        The last handler of a webhook that is closed ends the thread: the records that still wait are dropped, counted
        and reported on stderr. The next record opens the handler again, as with `logging.FileHandler`, since
        `logging.config` closes all handlers, also those that stay in use. At interpreter exit, a record that comes
        after `logging.shutdown` has closed the handler is dropped, counted and reported.

        With a `backlog`, the records that still wait are not dropped: they stay in the directory for another process
        or the next one, and stderr says how many. While the directory cannot be written, only those that are in shared
        memory stay.

        Args:
            timeout: The longest wait, in seconds. `None` stands for `flush_timeout`, or for 0 if a `flush` has just
                waited for the same records in vain: `logging.shutdown` calls `flush` and then `close`.
        """
        super().close()
        if self._listener is None or self._queue_handler is None or self._is_closed:
            return
        listener = self._listener
        self._queue_handler.close()
        is_last = detach(self, listener)
        self._is_closed = True
        if timeout is None:
            backlog = listener.backlog
            in_vain = self._accepted_at_timeout is not None and self._accepted_at_timeout == backlog.count()["accepted"]
            timeout = 0.0 if in_vain else self._flush_timeout
        if is_last:
            listener.stop(timeout)
        else:
            listener.flush(timeout)

    def health(self) -> dict[str, Any]:
        """Return the state of the webhook, as plain data ready for JSON.

        The numbers are those of all handlers of the webhook in this process. They go on after a closed handler has been
        opened again.

        Returns:
            - `status`: `ok` (the last message was delivered, or no message was sent yet), `limited` (the listener
              waits for a rate limit), `retrying` (the last message was not delivered, and is tried again), `blocked`
              (Discord's edge refuses the address of this machine for some minutes), `stopped` (the webhook is gone,
              and no message is posted any more), `disabled` (the handler has no URL, or is switched off) or `closed`
              (until the next record).
            - `reason`: The reason of the status; "" if it is `ok`.
            - `accepted`, `delivered`, `pending`, `dropped`: Numbers of records. The first is the sum of the others.
            - `dropped_by_reason`: The numbers of dropped records: `queue_full` (more waited than `queue_size` or
              `queue_bytes` allow; the least severe and oldest go first), `closed` (not delivered when the last handler
              of the webhook was closed, or logged after that at interpreter exit), `rejected` (Discord refused the
              card, and the plain text too), `webhook_gone` (after a 401, 403 or 404), `unreadable` (a filter or an
              attribute of the record raised an error), `interrupted` (Ctrl-C came while the record was queued or
              delivered), `process_ended` (another process, such as a worker of a pool, ended before it delivered the
              record; only on Linux; with a `backlog`, this counts only those that nobody could take over) or
              `internal_error` (a fault of this package, which is logged); and with a `backlog`, `too_old` (waited for
              longer than `backlog_age`), `damaged` (the file or the shared memory that had the record was damaged or
              removed) or `crashed_sender` (one process after another ended while it sent the record).
            - `oldest_age`: The seconds that the oldest record has waited or been in flight, held repeats left out; 0.0
              without such a record.
            - `requests`, `retries`: The number of requests, and of those that came after a failure.
            - `rate_limited`: The number of 429 responses, by scope.
            - `last_success`: The time of the last delivered message, as ISO 8601 in UTC, or `None`.
            - `last_error`: `time` and `reason` of the last message that was not delivered, or `None`.
            - `rate_limit`: The result of `get_rate_limit_info`.
            - `backlog`: `{"kind": "memory"}`, or the state of the directory or of Redis, which may be a second old:
              `kind` (`"sqlite"` or `"redis"`), `where`, whether it works (`ok`), and if not, the `reason`; `waiting`,
              the number of records of all processes in it for this webhook, and `oldest`, the seconds that the oldest
              of them has waited; `is_sender`, whether this process sends them, and `sender`, the `host` and `pid` of
              the process that does (`None` if none is known); `workers`, the number of processes that have used it in
              the last hour and live; `rescued`, the number of records that this process took over from the shared
              memory of dead ones; `damaged`, the number of records of all processes that could not be read; `all`, the
              numbers of `accepted`, `delivered`, `pending` and `dropped` records of all processes that the store
              knows; `at_risk`, the number of records of this process that SIGKILL would lose; `ring`, the reason why
              the process has no shared memory, or "". A disabled handler has no such key.
        """
        if self._listener is None:
            return {
                **_HEALTH_WITHOUT_RECORDS,
                "status": "disabled",
                "reason": self._disabled,
                "rate_limit": self.get_rate_limit_info(),
            }
        health = self._listener.health()
        return {**health, "status": "closed", "reason": "the handler was closed"} if self._is_closed else health

    def get_rate_limit_info(self) -> dict[str, Any]:
        """Return the known rate limits of Discord, as plain data.

        Returns:
            `global_rate_limit` (`active`, `wait_time`) and `buckets` by id, each with `limit`, `remaining`,
            `reset_after` and `wait_time`; and, unless the handler is disabled, `channel`, `pace`, `edge_block` and
            `invalid_requests`, and `shared`: whether all processes of this user share these limits (`active`), and if
            not, the `reason`; only Linux has shared memory for it. In `pace`, `interval` is the time from one message
            to the next under lasting load (`None` without a `channel_limit`), and `wait_time` is the time until a
            record that is not urgent may leave, 0.0 if it may leave at once. Times are in seconds.
        """
        if self._listener is None:
            return {"global_rate_limit": {"active": False, "wait_time": 0.0}, "buckets": {}}
        return self._listener.get_rate_limit_info()

    def reset_rate_limits(self) -> None:
        """Forget the rate limits that were learned, and the pauses of the host, and try to post at once.

        All processes that share the limits forget them.
        """
        if self._listener is not None:
            self._listener.reset_rate_limits()


def discord_handlers(logger: logging.Logger | None) -> Iterator[DiscordHandler]:
    """Yield our handlers that get the records of `logger`."""
    while logger is not None:
        yield from (handler for handler in logger.handlers if isinstance(handler, DiscordHandler))
        logger = logger.parent if logger.propagate else None


def is_enabled_in_environment() -> bool:
    """Return whether `DISCORD_NOTIFICATIONS_ENABLED` leaves handlers enabled; unset, it does.

    Raises:
        InvalidSettingError: The value is neither true nor false.
    """
    name = "DISCORD_NOTIFICATIONS_ENABLED"
    return parse_enabled(os.environ.get(name, "").strip() or True, name=name)


def _find_url(webhook_url: object, enabled: object, *, allow_http: object) -> tuple[WebhookURL | None, str]:
    """Return the webhook to post to, or `None` and the reason, which is reported once."""
    is_enabled = is_enabled_in_environment() if is_blank(enabled) else parse_enabled(enabled)
    is_http_allowed = None if is_blank(allow_http) else parse_enabled(allow_http, name="allow_http")
    url = hide(os.environ.get("DISCORD_WEBHOOK_URL") if is_blank(webhook_url) else webhook_url)
    if not is_enabled:
        reason = "switched off by enabled or DISCORD_NOTIFICATIONS_ENABLED"
    elif is_blank(url):
        reason = "no webhook URL: give webhook_url or set DISCORD_WEBHOOK_URL"
    else:
        return WebhookURL.parse(url, allow_http=is_http_allowed), ""
    if reason not in _reported:
        _reported.add(reason)
        warn("DiscordHandler is disabled: %s", reason)
    return None, reason


def _describe_unknown(unknown: Mapping[str, object]) -> str:
    import inspect  # noqa: PLC0415 - for this error alone

    known = [name for name in inspect.signature(DiscordHandler).parameters if name != "unknown"]
    names = ", ".join(repr(name) for name in unknown)
    return f"Unknown setting {names}.{suggest(next(iter(unknown)), known)} The settings are {', '.join(known)}."
