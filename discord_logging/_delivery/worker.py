"""The thread that delivers: one per webhook in a process, shared by every handler that posts to that webhook."""

from __future__ import annotations

import atexit
import functools
import logging
import logging.handlers
import os
import sys
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.memory import Backlog
from discord_logging._delivery.backoff import Backoff
from discord_logging._delivery.delivery import Delivery
from discord_logging._discord import rate_limiter as rate_limits
from discord_logging._discord.sender import WebhookSender
from discord_logging._exceptions import ends_program
from discord_logging._process import clock as time
from discord_logging._process.diagnostics import say, warn
from discord_logging._process.locks import Lock

if TYPE_CHECKING:
    from discord_logging._discord.webhook_url import WebhookURL
    from discord_logging._records.settings import DeliverySettings

_GATHER = 0.05
"""Seconds that the listener gathers records after the first, so that a burst goes out in few messages."""

_INSTANT = 0.001
"""The shortest time that a request may be given, in seconds."""

is_delivering: ContextVar[bool] = ContextVar("is_delivering", default=False)
"""True on the listeners' threads. What is logged on them never comes back to us.

Not the threads' idents, for gevent may give another one to a thread that runs already.
"""

_rate_limiter = rate_limits.DiscordRateLimiter()
_listeners: dict[tuple[str, str], WebhookListener] = {}
_stopping: set[WebhookListener] = set()
_waited_at_exit: float | None = None
_ends_as_child = False


class WebhookListener(logging.handlers.QueueListener):
    """Takes records from the backlog of one webhook and delivers them, on a daemon thread.

    The thread is started by the first record.
    """

    def __init__(self, url: WebhookURL, settings: DeliverySettings) -> None:
        self.backlog = Backlog(settings.queue_size, settings.queue_bytes, self._rouse)
        super().__init__(self.backlog)  # type: ignore[arg-type]  # it asks for no more than the backlog has
        self.url = url
        self.users: weakref.WeakSet[logging.Handler] = weakref.WeakSet()
        self._sender = WebhookSender(url)
        self._settings = settings
        self._reset(settings)

    def configure(self, settings: DeliverySettings) -> None:
        """Take over new settings; all handlers of the webhook share the latest."""
        if settings.channel_limit != self._settings.channel_limit:
            # The wait may have been for the old one; if not, the limiter says so again.
            self._delivery.not_before = float("-inf")
        self._settings = settings
        self.backlog.configure(settings.queue_size, settings.queue_bytes, settings.repeat_window)
        self._sender.timeout = settings.timeout
        _rate_limiter.set_channel_limit(self.url.key, settings.channel_limit)
        self.flush_timeout = settings.flush_timeout
        self._delivery.max_lag = settings.max_lag
        self._delivery.mention_interval = settings.mention_interval
        self._delivery.backoff = Backoff(settings.retry_delays, settings.max_retry_delay)

    def _reset(self, settings: DeliverySettings) -> None:
        self._thread: threading.Thread | None = None
        self._starting = Lock()
        self._stopping = self._has_said_late = False
        self._busy = False
        self._delivery = Delivery(self.url, self.backlog, self._sender, _rate_limiter)
        self.configure(settings)

    def forget_parent(self) -> None:
        """Begin anew in a forked child: no thread, no connection, nothing queued."""
        self._reset(self._settings)
        self.backlog.clear()
        self._sender.forget_connection()

    # On the caller's thread

    def _rouse(self) -> bool:
        if self._stopping:
            self._say_late()
            return True
        if self._is_running():
            self.backlog.wake()
            return True
        # Somebody else, or this very thread below us, may be starting it.
        starting = self._starting
        if not starting.acquire(0):
            return True
        try:
            if not self._is_running():
                self.start()
        except RuntimeError:  # "can't start new thread", at interpreter exit or for want of memory
            self._thread = None
            return False
        finally:
            # After a fork in a signal handler it is not `self._starting` any more.
            starting.release()
        return True

    def _say_late(self) -> None:
        if not self._has_said_late:
            self._has_said_late = True
            say(f"a record came after the last handler for webhook {self.url.id} was closed: it is dropped")

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        _finish_with_child()
        self.backlog.renew_locks()
        self._thread = threading.Thread(target=self._run, name=f"discord-logging-{self.url.id}", daemon=True)
        self._thread.start()

    def flush(self, timeout: float, *, is_last: bool = False) -> bool:
        """Block until all that was accepted so far is settled, for `timeout` seconds at the most.

        Does not wait for a rate limit or a retry that ends after that.

        Args:
            timeout: In seconds.
            is_last: Whether nothing is to come, so that no message need wait for its turn. It is so at exit anyway.

        Returns:
            Whether all of it was delivered.
        """
        if is_delivering.get() or self.is_busy_here():
            return False
        _warm_level_caches()
        began = time.monotonic()
        deadline = began + timeout - (_waited_at_exit or 0.0)
        lost = self.backlog.lost
        delivery = self._delivery
        delivery.deadlines.append(deadline)
        is_last = is_last or _waited_at_exit is not None
        delivery.is_last = delivery.is_last or is_last
        try:
            if self.backlog.pending and not self._stopping and not self._rouse():
                self.backlog.release()
                self._deliver_here(deadline)
            is_settled = self.backlog.wait_until_settled(deadline, lambda: self._delivery.not_before > deadline)
        finally:
            # A child that a signal handler forked in a flush has a new delivery.
            delivery.deadlines.remove(deadline)
            delivery.is_last = delivery.is_last and not is_last
            _count_wait(time.monotonic() - began)
        return is_settled and self.backlog.lost == lost

    def is_busy_here(self) -> bool:
        """Tell whether this very thread, below a signal handler, is in the midst of what a flush needs."""
        return any(lock.is_held_here() for lock in (self.backlog.lock, self._starting, rate_limits.lock))

    def _deliver_here(self, deadline: float) -> None:
        """Deliver on the caller's thread, when no other can be started any more."""
        token, delay = is_delivering.set(True), 0.0
        try:
            while self.backlog.is_ready and max(time.monotonic(), self._delivery.not_before) < deadline:
                self.backlog.wait(delay)
                self._sender.timeout = max(min(self._settings.timeout, deadline - time.monotonic()), _INSTANT)
                delay = self._step()
        finally:
            self._sender.timeout = self._settings.timeout
            is_delivering.reset(token)

    def stop(self, timeout: float = 0.0) -> None:
        """Deliver what can be delivered within `timeout` seconds, drop the rest, and end the thread. Once.

        What was lost is said on stderr. Does not wait for the thread, which may be stuck in the network.
        """
        if self._stopping:
            return
        if timeout > 0:
            self.flush(timeout, is_last=True)
        self.backlog.close()
        self.enqueue_sentinel()
        self.say_losses()

    def say_losses(self) -> None:
        """Say on stderr how many records were not delivered, if any."""
        counts = self.backlog.count()
        if lost := counts["dropped"] + counts["pending"]:
            reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(self._dropped_by_reason().items()))
            trouble = self._delivery.last_trouble
            say(
                f"{lost} of {counts['accepted']} records were not delivered to webhook {self.url.id}"
                f" ({reasons or 'pending'}{'; last error: ' + trouble if trouble else ''})"
            )

    def enqueue_sentinel(self) -> None:
        """Ask the thread to end."""
        self._stopping = True
        self.backlog.wake()

    # On the listener's thread

    def _run(self) -> None:
        is_delivering.set(True)
        try:
            self._monitor()  # type: ignore[attr-defined]  # the loop of QueueListener: dequeue and handle
        finally:
            self._sender.close()

    def dequeue(self, block: bool) -> Any:
        """Wait until something is to be delivered; `None` ends the thread."""
        if not self._busy:
            while block and not self._stopping and not self.backlog.is_ready:
                self.backlog.wait_for_record()
            if not self._delivery.deadlines:
                self.backlog.wait(_GATHER)
        return None if self._stopping else self.backlog

    def handle(self, _: Any) -> None:
        """Deliver one message, or wait until one may be delivered. Never raises."""
        delay = self._step()
        if delay and self._busy:
            self.backlog.announce()
            self.backlog.wait(delay)

    def _step(self) -> float:
        try:
            delay = self._delivery.step()
        except BaseException as error:  # whatever it is
            if ends_program(error):
                raise
            # A fault of ours must not end the thread, nor repeat itself without end.
            warn("The listener failed", exc_info=True)
            self.backlog.drop_all("internal_error")
            delay = 1.0
        self._busy = self.backlog.is_ready
        return delay

    # Everybody's

    def _dropped_by_reason(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        for (reason, _), number in list(self.backlog.dropped.items()):
            totals[reason] = totals.get(reason, 0) + number
        return totals

    def health(self) -> dict[str, Any]:
        """Return status, counters and rate limits as plain data."""
        return {
            **self._delivery.health(),
            **self.backlog.count(),
            "oldest_age": self.backlog.oldest_age(),
            "dropped_by_reason": self._dropped_by_reason(),
            "rate_limit": self.get_rate_limit_info(),
        }

    def get_rate_limit_info(self) -> dict[str, Any]:
        """Return what is known of the limits that the webhook meets."""
        return dict(_rate_limiter.info(self.url.key, time.monotonic(), host=self.url.host))

    def reset_rate_limits(self) -> None:
        """Forget what was learned about the webhook's limits."""
        _rate_limiter.reset(self.url.key)
        self._delivery.not_before = float("-inf")
        self.backlog.wake()


def attach(user: logging.Handler, url: WebhookURL, settings: DeliverySettings) -> WebhookListener:
    """Return the listener of `url`, which `user` shares from now on with all others that post there."""
    _warn_of_uwsgi()
    key = url.key, url.token
    new: WebhookListener | None = None
    while True:
        with _registry_lock():
            if listener := _listeners.get(key) or new:
                _listeners[key] = listener
                listener.users.add(user)
                listener.configure(settings)
                return listener
        new = WebhookListener(url, settings)


def detach(user: logging.Handler, listener: WebhookListener, timeout: float) -> None:
    """Flush for `user`, which leaves; the last one stops the listener. Blocks for `timeout` seconds at the most."""
    with _registry_lock():
        listener.users.discard(user)
        is_last = not listener.users
        if is_last:
            _listeners.pop((listener.url.key, listener.url.token), None)
            _stopping.add(listener)
    if is_last:
        try:
            listener.stop(timeout)
        finally:
            _stopping.discard(listener)
    else:
        listener.flush(timeout)


def _registry_lock() -> threading.RLock:
    """Return the lock of `logging`, which is re-entrant and whole after a fork.

    Not one of our own: the garbage collector may run under it and forget a handler, which takes the lock of `logging`,
    and `dictConfig` makes and closes handlers while it has that one.
    """
    return logging._lock  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - there is no public way to it


@functools.lru_cache(maxsize=1)
def _warn_of_uwsgi() -> None:
    """Warn once if uWSGI runs without threads (https://uwsgi-docs.readthedocs.io/en/latest/ThingsToKnow.html)."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if options is None:
        return
    values = (options.get(name, b"") for name in ("enable-threads", "threads"))
    words = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    if all(word.lower() in ("", "0", "false", "no", "off") for word in words):
        warn("uWSGI runs without threads, so records are delivered at flush and exit only: add --enable-threads")


def _warm_level_caches() -> None:
    """Ask each logger that speaks during a POST whether it is on, so that the listener need not.

    The first such question takes the lock of `logging`, which `dictConfig` holds while it waits for our flush: the
    listener would wait for `dictConfig`, and `dictConfig` for the listener. This thread may ask, for it holds the lock.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in ("urllib3", "requests"):
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                logger.isEnabledFor(level)


def _count_wait(seconds: float) -> None:
    """Take `seconds` from the time that all flushes at interpreter exit share. What other hooks take is not counted."""
    global _waited_at_exit  # noqa: PLW0603 - a process ends once
    if _waited_at_exit is not None:
        _waited_at_exit += seconds


def flush_all() -> list[WebhookListener]:
    """Flush every listener, for the longest of their flush timeouts altogether, and return them."""
    began = time.monotonic()
    listeners = [*_listeners.values(), *_stopping]
    for listener in listeners:
        listener.flush(began + listener.flush_timeout - time.monotonic(), is_last=True)
    return listeners


def is_busy_here() -> bool:
    """Tell whether this very thread, below a signal handler, is in the midst of what a flush of any listener needs."""
    return any(listener.is_busy_here() for listener in [*_listeners.values(), *_stopping])


def is_exiting() -> bool:
    """Tell whether the interpreter has begun to exit."""
    return _waited_at_exit is not None


def finish(*, only_orphans: bool = False) -> None:
    """End all listeners, or those whose handlers are gone, within one deadline."""
    global _waited_at_exit  # noqa: PLW0603 - a process ends once
    _waited_at_exit = _waited_at_exit or 0.0
    for listener in list(_listeners.values()):
        if not (only_orphans and listener.users):
            listener.stop(listener.flush_timeout)


def _finish_with_child() -> None:
    """Arrange that the end of a child of `multiprocessing`, which runs no atexit hooks up to Python 3.12, delivers."""
    global _ends_as_child  # noqa: PLW0603 - once in a process
    process = sys.modules.get("multiprocessing.process")
    if _ends_as_child or process is None or process.parent_process() is None:
        return
    _ends_as_child = True
    # Not earlier: a child begins by forgetting what was to be done at its parent's end.
    sys.modules["multiprocessing.util"].Finalize(None, finish, exitpriority=10)


def _forget_parent() -> None:
    global _ends_as_child, _waited_at_exit  # noqa: PLW0603 - this is another process now
    _ends_as_child = False
    _waited_at_exit = None
    is_delivering.set(False)
    for listener in _listeners.values():
        listener.forget_parent()


# Runs before the hook of `logging`, which was registered earlier and closes the handlers that are left.
atexit.register(finish, only_orphans=True)
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has none
    os.register_at_fork(after_in_child=_forget_parent)
