"""This module has the listener, whose thread delivers the records that wait for one webhook."""

from __future__ import annotations

import hashlib
import logging
import logging.handlers
import queue
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from discord_logging._delivery import exit_time
from discord_logging._delivery.backoff import Backoff
from discord_logging._delivery.delivery import Delivery
from discord_logging._discord import rate_limiter as rate_limits
from discord_logging._exceptions import ends_program
from discord_logging._process import clock
from discord_logging._process.diagnostics import say, warn
from discord_logging._process.locks import Lock, start_once
from discord_logging._process.own_threads import is_own_thread
from discord_logging._process.slots import Slots
from discord_logging._text.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._backlogs.base import Backlog
    from discord_logging._discord.sender import WebhookSender
    from discord_logging._discord.webhook_url import WebhookURL
    from discord_logging._health import DropReason
    from discord_logging._records.settings import DeliverySettings

_GATHERING_TIME = 0.05
"""The time for which the listener gathers more records after the first, in seconds: a burst needs few messages."""

_MIN_REQUEST_TIMEOUT = 0.001
"""The shortest time-out of a request, in seconds."""

_MAX_LOST = 100_000
"""The largest number of lost records of another process that is believed."""

_POLL = 0.05
"""The wait for records that another thread brings, in seconds, where no thread can be started that it would wake."""

_FAULT_DELAY = 1.0
"""The wait after a fault of this package, in seconds."""

_T = TypeVar("_T")


class WebhookListener(logging.handlers.QueueListener):
    """Takes records from the backlog of one webhook and delivers them, on a daemon thread.

    The first record starts the thread, and `stop` ends it. The first record after that starts it again, unless the
    interpreter exits. The `queue` of the base class carries only the sentinel, whose value is private to `logging`.

    Args:
        url: The URL of the webhook.
        settings: The settings of the handlers that share the listener.
        backlog: The backlog in which the records wait.
        sender: The sender that posts to the webhook.
        limiter: The rate limiter, which all listeners of the process share.
        on_start: A function that is called before the thread starts.
    """

    def __init__(
        self,
        url: WebhookURL,
        settings: DeliverySettings,
        *,
        backlog: Backlog,
        sender: WebhookSender,
        limiter: rate_limits.DiscordRateLimiter,
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(queue.SimpleQueue())
        self.url = url
        self.backlog = backlog
        self.attached: weakref.WeakSet[logging.Handler] = weakref.WeakSet()
        self._known_losses: weakref.WeakKeyDictionary[logging.Handler, int] = weakref.WeakKeyDictionary()
        """The number of dropped records that each handler was told of, or that were dropped before it was attached."""
        self._sender = sender
        self._limiter = limiter
        self._on_start = on_start
        self._settings = settings
        self._slots = Slots(hashlib.sha256(f"{url.key} {url.token}".encode()).hexdigest()[:32])
        backlog.wake_listener = self._wake
        backlog.on_start = self._prepare
        self._reset()

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new settings; all handlers of the webhook share the latest."""
        if settings.channel_limit != self._settings.channel_limit:
            # The old limit may be the reason of the present wait. If it is not, the limiter asks for the wait again.
            self._delivery.not_before = float("-inf")
        self._settings = settings
        self.backlog.configure(settings)
        self._sender.timeout = settings.timeout
        self._limiter.set_channel_limit(self.url.key, settings.channel_limit)
        self.flush_timeout = settings.flush_timeout
        self._delivery.max_lag = settings.max_lag
        self._delivery.mention_interval = settings.mention_interval
        self._delivery.backoff = Backoff(settings.retry_delays, settings.max_retry_delay)

    @property
    def key(self) -> tuple[str, str, str]:
        """The names of the webhook, its token and the place of its backlog, which no other listener shares."""
        return self.url.key, self.url.token, self.backlog.place

    def _reset(self) -> None:
        self._starting = Lock()
        self._is_stopping = self._has_reported_late = False
        self._has_more = False
        self._lost_by_others = 0
        self._reported: Counter[str] = Counter()
        """The numbers of records, settled and dropped by reason, when losses were last reported on stderr."""
        self.backlog.delivery = self._delivery = Delivery(self.url, self.backlog, self._sender, self._limiter)
        self.configure(self._settings)

    def after_fork_in_child(self) -> None:
        """Start over without a thread, a connection or queued records."""
        super().__init__(queue.SimpleQueue())
        self._reset()
        self.backlog.after_fork_in_child()
        self._slots.after_fork_in_child()
        self._known_losses.update(dict.fromkeys(self._known_losses, 0))
        self._sender.after_fork_in_child()

    # On the caller's thread

    def _wake(self) -> bool:
        """Wake the thread, or start it; return whether it is awake now."""
        if self._is_stopping:
            if exit_time.is_exiting():
                self._report_late_record()
                return True
            self.reopen()
        if self.is_running():
            self.backlog.wake()
            return True
        return start_once(self._starting, self.is_running, self.start)

    def _report_late_record(self) -> None:
        if not self._has_reported_late:
            self._has_reported_late = True
            end = f"waits in {self.backlog.place}" if self.backlog.place else "is dropped"
            say(f"a record came after the last handler for webhook {self.url.id} was closed: it {end}")

    def is_running(self) -> bool:
        """Tell whether the thread is alive."""
        # The base class has no public attribute for this.
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: The thread is running, as in Python 3.14, or no thread can start.
        """
        if self.is_running():
            raise RuntimeError("Listener already started")
        self._prepare()
        self.backlog.renew_locks()
        # Otherwise Python 3.14 would take a thread that could not be started for a running one.
        super().__init__(self.queue)
        super().start()

    def _prepare(self) -> None:
        """Prepare the process for its end, at its first record."""
        self._on_start()
        if numbers := self._slots.claim():
            self.backlog.share(numbers)

    def attach(self, handler: logging.Handler) -> None:
        """Share the listener with `handler`, whose flushes do not tell of the records that were dropped before."""
        self._known_losses[handler] = self._own_losses()
        self.reattach(handler)

    def reattach(self, handler: logging.Handler) -> None:
        """Share the listener with a handler that was attached before. Never waits."""
        self.attached.add(handler)
        self.reopen()

    def attached_handlers(self) -> list[logging.Handler]:
        """Return the handlers that share the listener. Another thread may attach one meanwhile."""
        found = (reference() for reference in self._known_losses.keyrefs())
        return [handler for handler in found if handler is not None and handler in self.attached]

    def reopen(self) -> None:
        """Deliver the records that come from now on, if the listener was stopped. Never waits."""
        if self._is_stopping:
            self._is_stopping = self._has_reported_late = False
            self.backlog.reopen()

    def flush_for(self, handler: logging.Handler, timeout: float) -> bool:
        """Flush, and return whether all is delivered and nothing was dropped since the last flush for `handler`."""
        is_settled = self.flush(timeout)
        known, lost = self._known_losses[handler], self._own_losses()
        self._known_losses[handler] = lost
        return is_settled and lost <= known

    def _own_losses(self) -> int:
        """Return how many records of this process were dropped."""
        return self.backlog.lost - self._lost_by_others

    def flush(self, timeout: float, *, is_last: bool = False) -> bool:
        """Block until all records accepted so far are delivered or dropped, for at most `timeout` seconds.

        Gives up at once if a rate limit or a retry has to be waited for beyond that time.

        Args:
            timeout: The longest wait, in seconds.
            is_last: Whether no more records will come, so that no message need wait for its turn. At exit, this is
                always assumed.

        Returns:
            Whether all of them are delivered or dropped.
        """
        if is_own_thread.get() or self.is_busy_in_this_thread():
            return False
        _warm_level_caches()
        self._count_ended_processes()
        began = clock.monotonic()
        deadline = began + timeout - exit_time.waited()
        delivery = self._delivery
        delivery.deadlines.append(deadline)
        is_last = is_last or exit_time.is_exiting()
        delivery.is_last = delivery.is_last or is_last
        try:
            if self.backlog.pending and not self._is_stopping and not self._wake():
                self._deliver_in_this_thread(deadline)
            return self.backlog.wait_until_settled(
                deadline, lambda: self._delivery.not_before > deadline, is_last=is_last and not self._is_stopping
            )
        finally:
            # The delivery is ours: a child that a signal handler forked in a flush has a new one in `self._delivery`.
            delivery.deadlines.remove(deadline)
            delivery.is_last = delivery.is_last and not is_last
            exit_time.count(clock.monotonic() - began)

    def is_busy_in_this_thread(self) -> bool:
        """Tell whether this thread, interrupted by a signal handler, holds a lock that a flush needs."""
        is_held = any(lock.is_held_by_this_thread() for lock in (self._starting, self._slots.guard, rate_limits.lock))
        return is_held or self.backlog.is_busy_in_this_thread()

    def _deliver_in_this_thread(self, deadline: float) -> None:
        """Deliver on the caller's thread, since no other thread can be started any more."""
        token, delay = is_own_thread.set(True), 0.0
        try:
            while self.backlog.pending and max(clock.monotonic(), self._delivery.not_before) < deadline:
                self.backlog.release()
                self.backlog.wait(delay if self.backlog.is_ready else max(delay, _POLL))
                self._sender.timeout = max(
                    min(self._settings.timeout, deadline - clock.monotonic()), _MIN_REQUEST_TIMEOUT
                )
                found = self._attempt(self._delivery.step)
                delay = _FAULT_DELAY if found is None else found
        finally:
            self._sender.timeout = self._settings.timeout
            is_own_thread.reset(token)

    def stop(self, timeout: float = 0.0) -> None:
        """Deliver for at most `timeout` seconds, drop the other records, and end the thread.

        Losses are reported on stderr. The thread is not waited for: it may hang in the network. A record that comes
        meanwhile by a handler that is not attached reopens the listener, which goes on then, unless the interpreter
        exits. A second call does nothing.
        """
        if self._is_stopping:
            return
        users, deadline = len(self.attached), clock.monotonic() + timeout - exit_time.waited()
        is_settled = False
        try:
            if timeout > 0:
                is_settled = self.flush(timeout, is_last=True)
        finally:
            # Ctrl-C ends the wait, but the losses are reported nevertheless.
            is_exiting = exit_time.is_exiting()
            is_reopened = len(self.attached) > users and not is_exiting
            if not is_reopened and self.backlog.close(if_settled=is_settled and not is_exiting, deadline=deadline):
                self.enqueue_sentinel()
                self.say_losses()
                if is_exiting or not self.is_running():
                    self.release_slot()

    def _count_ended_processes(self) -> None:
        """Report the records of processes that ended before they delivered them, and count them as dropped here."""
        for pid, number in self._slots.find_ended():
            say(f"process {pid} ended before it delivered {counted(number, 'record')} to webhook {self.url.id}")
            lost = min(number, _MAX_LOST)
            self._lost_by_others += lost
            self.backlog.refuse(f"of process {pid}", "process_ended", lost)

    def release_slot(self) -> None:
        """Let no other process tell of the records of this one, since this process has told of them itself."""
        self.backlog.share([0, 0])
        self._slots.release()

    def say_losses(self) -> None:
        """Report on stderr how many records were not delivered since the last report, if any."""
        self._count_ended_processes()
        counts = self.backlog.count()
        dropped = Counter[str]()
        dropped.update(self._dropped_by_reason())
        news = dropped - self._reported
        accepted = counts["accepted"] - self._reported["settled"]
        self._reported = Counter({**dropped, "settled": counts["accepted"] - counts["pending"]})
        kept = counts["pending"] if self.backlog.place else 0
        if kept:
            waiting = f"{counted(kept, 'record', 'waits/wait')} in {self.backlog.place}"
            say(f"{waiting} for the next process that posts to webhook {self.url.id}")
        if lost := news.total() + counts["pending"] - kept:
            reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(news.items()))
            last_error = self._delivery.last_trouble
            say(
                f"{lost} of {accepted} records were not delivered to webhook {self.url.id}"
                f" ({reasons or 'pending'}{'; last error: ' + last_error if last_error else ''})"
            )

    def enqueue_sentinel(self) -> None:
        """Ask the thread to end."""
        self._is_stopping = True
        self.backlog.wake()

    # On the listener's thread

    def dequeue(self, block: bool) -> Any:
        """Return the records for the next message as soon as it may leave, or the sentinel, which ends the thread.

        Args:
            block: Whether to wait for records.

        Raises:
            queue.Empty: No message may leave now, and `block` is false.
        """
        if threading.current_thread() is self._thread and not is_own_thread.get():
            is_own_thread.set(True)
            self._thread.name = f"discord-logging-{self.url.id}"
        while not self._may_end():
            if block and not self._has_more:
                self._wait_for_burst()
            records, delay = self._attempt(self._delivery.take) or ((), _FAULT_DELAY)
            if records:
                return records
            if not block:
                raise queue.Empty
            self._has_more = self.backlog.is_ready
            if delay and self._has_more:
                self.backlog.notify_waiters()
                self.backlog.wait(delay)
        super().enqueue_sentinel()
        return super().dequeue(block)

    def _may_end(self) -> bool:
        """Tell whether the thread may end now. From then on, the next record starts another one."""
        if not self._is_stopping:
            return False
        with self._starting:
            if self.backlog.is_ready:
                return False
            self._sender.close()
            self.release_slot()
            self._thread = None
        # The caller of a record that came meanwhile took this thread for a running one.
        if self.backlog.is_ready:
            self._wake()
        return True

    def _wait_for_burst(self) -> None:
        """Wait for a record, and for those that follow at once."""
        while not self._is_stopping and not self.backlog.is_ready:
            self.backlog.wait_for_record()
        self._count_ended_processes()
        if not self._delivery.deadlines:
            self.backlog.wait(_GATHERING_TIME)

    def handle(self, record: Any) -> None:
        """Deliver the records that `dequeue` returned. Never raises; blocks for as long as the request takes."""
        self._attempt(lambda: self._delivery.deliver(self.prepare(record)))
        self._has_more = self.backlog.is_ready

    def _attempt(self, step: Callable[[], _T]) -> _T | None:
        """Return the result of a step. If the step fails, drop all records and return `None`."""
        try:
            return step()
        except BaseException as error:
            if ends_program(error):
                self.backlog.drop("interrupted", self.backlog.leased)
                raise
            # A fault of this package must neither end the thread nor repeat without end.
            warn("The listener failed", exc_info=True)
            self.backlog.drop("internal_error")
            return None

    # On any thread

    def _dropped_by_reason(self) -> dict[DropReason, int]:
        totals: dict[DropReason, int] = {}
        for (reason, _), number in list(self.backlog.dropped.items()):
            totals[reason] = totals.get(reason, 0) + number
        return totals

    def health(self) -> dict[str, Any]:
        """Return the status, the counters and the rate limits as plain data."""
        return {
            **self._delivery.health(),
            **self.backlog.count(),
            "oldest_age": self.backlog.oldest_age(),
            "dropped_by_reason": self._dropped_by_reason(),
            "rate_limit": self.get_rate_limit_info(),
            "backlog": self.backlog.health(),
        }

    def get_rate_limit_info(self) -> dict[str, Any]:
        """Return the known rate limits of the webhook."""
        return dict(self._limiter.info(self.url.key, clock.monotonic(), host=self.url.host))

    def reset_rate_limits(self) -> None:
        """Forget the rate limits that were learned for the webhook, and the pauses of its host."""
        self._limiter.reset(self.url.key, host=self.url.host)
        self._delivery.not_before = float("-inf")
        self.backlog.wake()


def _warm_level_caches() -> None:
    """Fill the caches of the loggers that are used during a POST, so that the listener takes no lock of `logging`.

    The first call of `isEnabledFor` takes that lock, which `dictConfig` holds while it waits for our flush: the
    listener would wait for `dictConfig`, and `dictConfig` for the listener. On this thread the call is safe: if
    `dictConfig` runs here, the thread has the re-entrant lock already.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in ("urllib3", "requests"):
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                logger.isEnabledFor(level)
