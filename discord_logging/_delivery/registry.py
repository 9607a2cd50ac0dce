"""This module holds the listeners of a process: one per webhook, which its handlers share, and which ends at exit."""

from __future__ import annotations

import atexit
import functools
import hashlib
import logging
import os
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._backlogs.memory import MemoryBacklog
from discord_logging._delivery import exit_time
from discord_logging._delivery.listener import WebhookListener
from discord_logging._discord import local_only
from discord_logging._discord.rate_limiter import DiscordRateLimiter
from discord_logging._discord.sender import WebhookSender
from discord_logging._process import clock
from discord_logging._process.diagnostics import warn
from discord_logging._process.own_threads import is_own_thread
from discord_logging._records.backlog_setting import is_redis
from discord_logging._records.redis_address import parse_address

if TYPE_CHECKING:
    import threading

    from discord_logging._backlogs.base import Backlog
    from discord_logging._backlogs.store import Store
    from discord_logging._discord.webhook_url import WebhookURL
    from discord_logging._records.settings import DeliverySettings

rate_limiter = DiscordRateLimiter(shared=True)
"""The limiter of this process, which shares the limits with all other processes of this user on this machine."""
_Key = tuple[str, str, str]
"""The id and the token of a webhook, and the place of its backlog."""
_listeners: dict[_Key, WebhookListener] = {}
"""The listeners that are open."""
_known: weakref.WeakValueDictionary[_Key, WebhookListener] = weakref.WeakValueDictionary()
"""All listeners: also those that are closed, as long as a handler may reopen them or their thread runs."""
_ends_as_child = False


def attach(handler: logging.Handler, url: WebhookURL, settings: DeliverySettings) -> WebhookListener:
    """Return the listener of `url`, which `handler` shares from now on with all other handlers of the webhook."""
    _warn_of_uwsgi()
    # A process that may post to the webhook would deliver what tests have left behind.
    place = "" if local_only.refuses(url.base) else find_place(settings.backlog or "")
    key = url.key, url.token, place
    new: WebhookListener | None = None
    while True:
        with _registry_lock():
            if listener := _known.get(key) or new:
                _listeners[key] = _known[key] = listener
                listener.attach(handler)
                listener.configure(settings)
                break
        new = WebhookListener(
            url,
            settings,
            backlog=_make_backlog(url, settings.backlog, place) if settings.backlog and place else MemoryBacklog(),
            sender=WebhookSender(url),
            limiter=rate_limiter,
            on_start=_finish_with_child,
        )
    listener.backlog.resume()
    return listener


def _make_backlog(url: WebhookURL, setting: str, place: str) -> Backlog:
    # Most programs have no such backlog, and this module takes a while to be imported.
    from discord_logging._backlogs.stored import StoredBacklog  # noqa: PLC0415 - see above

    return StoredBacklog(partial(open_store, setting, url.key), place, find_ring_place(place, url.key), url.key)


def open_store(setting: str, hook: str) -> Store:
    """Return an object for the store that a setting names, which opens nothing before it is used."""
    if is_redis(setting):
        from discord_logging._backlogs.redis_store import RedisStore  # noqa: PLC0415 - as above

        return RedisStore(parse_address(setting), hook)
    from discord_logging._backlogs.sqlite_store import SqliteStore  # noqa: PLC0415 - as above

    return SqliteStore(Path(find_place(setting)), hook)


def find_place(setting: str) -> str:
    """Return a name for what a setting names, which may be shown: a URL without its password, or a path without links.

    The folder itself may be no link.
    """
    if is_redis(setting):
        return parse_address(setting).shown
    return _resolve(setting)


def _resolve(folder: str) -> str:
    return os.path.join(os.path.realpath(os.path.dirname(folder)), os.path.basename(folder)) if folder else ""  # noqa: PTH118, PTH119, PTH120 - they are texts


def find_ring_place(place: str, hook: str) -> str:
    """Return the name that the rings of all processes share which keep the records of a webhook in a place."""
    return hashlib.sha256(f"{place} {hook}".encode(errors="surrogateescape")).hexdigest()[:32]


def detach(handler: logging.Handler, listener: WebhookListener) -> bool:
    """Detach `handler`, and return whether the listener has no handler any more, and is to be stopped."""
    with _registry_lock():
        listener.attached.discard(handler)
        is_last = not listener.attached
        if is_last:
            _listeners.pop(listener.key, None)
    return is_last


def reattach(handler: logging.Handler, listener: WebhookListener) -> bool:
    """Attach a handler again that was detached, and return whether it is attached: not at interpreter exit.

    Never waits: `dictConfig` may hold the lock of the registry for seconds while it closes handlers.
    """
    if exit_time.is_exiting():
        return False
    listener.reattach(handler)
    _listeners.setdefault(listener.key, listener)
    _register(handler)
    return True


def _register(handler: logging.Handler) -> None:
    """Have `logging.shutdown` flush and close `handler`, which `dictConfig` has made it forget.

    The lock of `logging` is not needed, since an append is atomic.
    """
    registered: list[weakref.ref[logging.Handler]] = logging._handlerList  # type: ignore[attr-defined]  # noqa: SLF001 - these names are not public
    if not any(reference() is handler for reference in tuple(registered)):
        registered.append(weakref.ref(handler, logging._removeHandlerRef))  # type: ignore[attr-defined]  # noqa: SLF001 - as above


def _known_listeners() -> list[WebhookListener]:
    # Another thread may add one meanwhile, and `values()` would not allow that.
    return [listener for reference in _known.valuerefs() if (listener := reference()) is not None]


def _registry_lock() -> threading.RLock:
    """Return the lock of `logging`, which is re-entrant and works after a fork.

    A lock of our own would cause deadlocks: the garbage collector may run under it and delete a handler, which takes
    the lock of `logging`, while `dictConfig` has that lock and makes or closes handlers.
    """
    return logging._lock  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - the lock has no public name


@functools.lru_cache(maxsize=1)
def _warn_of_uwsgi() -> None:
    """Warn once if uWSGI runs without threads (https://uwsgi-docs.readthedocs.io/en/latest/ThingsToKnow.html)."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if options is None:
        return
    values = (options.get(name, b"") for name in ("enable-threads", "threads"))
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    if all(text.lower() in ("", "0", "false", "no", "off") for text in texts):
        warn("uWSGI runs without threads, so records are delivered at flush and exit only: add --enable-threads")


def flush_all(timeout: float | None = None) -> list[WebhookListener]:
    """Flush all listeners within `timeout` seconds, or within the longest of their flush timeouts, and return them."""
    began = clock.monotonic()
    listeners = _known_listeners()
    for listener in listeners:
        limit = listener.flush_timeout if timeout is None else timeout
        listener.flush(began + limit - clock.monotonic(), is_last=True)
    return listeners


def abandon() -> None:
    """Stop the listeners with records that wait, and report the loss: interpreter exit need not wait for them then."""
    with _registry_lock():
        waiting = {key: listener for key, listener in _listeners.items() if listener.backlog.pending}
        for key in waiting:
            del _listeners[key]
    for listener in waiting.values():
        listener.stop()


def is_busy_in_this_thread() -> bool:
    """Tell whether this thread, interrupted by a signal handler, holds a lock that a flush of any listener needs."""
    return any(listener.is_busy_in_this_thread() for listener in _known_listeners())


def finish(*, only_orphans: bool = False) -> None:
    """Stop all listeners, or only those without handlers, within one deadline."""
    exit_time.begin()
    for listener in _known_listeners():
        if not (only_orphans and listener.attached):
            listener.stop(listener.flush_timeout)
        for handler in listener.attached_handlers():
            # A thread may have reopened it while `dictConfig` closed it, right before it was forgotten.
            _register(handler)


def _finish_with_child() -> None:
    """Deliver at the end of a child of `multiprocessing`, which runs no atexit hooks up to Python 3.12."""
    global _ends_as_child  # noqa: PLW0603 - this happens once in a process
    process = sys.modules.get("multiprocessing.process")
    if _ends_as_child or process is None or process.parent_process() is None:
        return
    _ends_as_child = True
    # A registration at import would be too early: a child begins by deleting the finalizers of its parent.
    sys.modules["multiprocessing.util"].Finalize(None, finish, exitpriority=10)


def _after_fork_in_child() -> None:
    global _ends_as_child  # noqa: PLW0603 - this is another process now
    _ends_as_child = False
    exit_time.after_fork_in_child()
    is_own_thread.set(False)
    for listener in _known_listeners():
        listener.after_fork_in_child()


# This hook runs before that of `logging`, which was registered earlier and closes the handlers that are left.
atexit.register(finish, only_orphans=True)
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
