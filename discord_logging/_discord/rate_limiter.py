"""The limiter says when the next request may leave. It obeys Discord's rate limits for webhooks before they are hit.

Theory
======

Several limits stack, and a request may leave when no limit forbids it
(https://docs.discord.com/developers/topics/rate-limits).

========== ========================== ============================= ================================================
Limit      Reach                      Source of our knowledge       How we obey it
========== ========================== ============================= ================================================
bucket     one webhook                `X-RateLimit-*` headers       we count down; at 0 we wait for `Reset-After`
channel    all webhooks of a channel  a `shared` 429, and only that a sliding window: 30 in 60 s unless set otherwise
global     this address and one host  a `global` 429                a sliding window: 50 a second
edge block this address and one host  a 429 or 403 not of the API   we wait, ever longer; then one request probes
invalid    this address and one host  nothing, until the ban        see `invalid_requests`
========== ========================== ============================= ================================================

*Buckets.* Nothing is known of a webhook before its first response, so its first request is a probe; no second request
of that webhook is in flight meanwhile. The key is the webhook and never the hash alone, because different webhooks show
the same hash. The newest response wins. After a response without headers (a gateway error) or a lost connection, our
own count goes on. `Reset-After` means "full again", with fixed windows and with sliding ones, so waiting for it is
always enough.

*Windows.* The server counts a request when it arrives, which is some time between our sending it and our reading the
response. So that the server never counts one too many, we count a request from its response on, and until then as if it
arrived now.

*Refusals.* A 429 says when the next request passes, and knows better than all our counting: we wait for exactly that
time, and then one request may leave. Its scope says who waits: `user` the webhook, `shared` every webhook known to post
to the channel, `global` all webhooks of the host. A `shared` refusal although we had sent less than the limit means
that others post there too: the limit falls to what we had sent, by half at most; every five windows half of the loss
comes back.

*Pace.* A program need not spend at once what a limit allows: `pace` decides that from what `budget` returns.

*Processes.* A limiter may share its state with those of other processes. Then several requests to a webhook may be in
flight, and nobody knows in which order they arrive: our own count goes on, and a response only ever lowers it, until a
request is answered that was alone in flight. A request that is in flight when the bucket is full again may count after
that.

*Time.* The caller gives all times, in `time.monotonic()` seconds. Every wait gets 25 ms on top.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from discord_logging._discord.invalid_requests import STOP_AT, WINDOW
from discord_logging._discord.pace import Budget, Pace, Urgency
from discord_logging._discord.rate_limit_data import DATA_ERRORS, read_data, to_data
from discord_logging._discord.rate_limit_handover import export_limits, restore_limits
from discord_logging._discord.rate_limit_headers import read_rate_limit_info
from discord_logging._discord.rate_limit_state import ASKING, LimitState, RateLimitBucket
from discord_logging._process import clock
from discord_logging._process.locks import Lock
from discord_logging._process.pids import has_ended
from discord_logging._process.shared_page import SharedPage, name_space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["DEFAULT_HOST", "DiscordRateLimiter", "RateLimitBucket", "RateLimitHit", "lock"]

DEFAULT_HOST = "discord.com"
_T = TypeVar("_T")
_PAGE = "1-limits"
"""The name of the page with the limits. Another form of the data gets another number."""
_SPACE = name_space("pid")
"""The process ids of another container are those of other processes."""
_MAX_MISSED = 1_000
"""The largest number of changes that are remembered while the page is not held."""

lock = Lock()
"""The lock that all limiters of the process share."""


def _after_fork_in_child() -> None:
    global lock  # noqa: PLW0603 (the thread that held the old lock does not exist in a forked child)
    lock = Lock()


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows does not fork)
    os.register_at_fork(after_in_child=_after_fork_in_child)


class RateLimitHit(NamedTuple):
    """The meaning of a refusal.

    Attributes:
        scope: "user", "shared", "global", or "edge" when it was not the API that refused.
        retry_after: Seconds to wait from the response on, within sane bounds.
    """

    scope: str
    retry_after: float


class DiscordRateLimiter:
    """Knows when a request may leave. One limiter serves all webhooks and threads of a process.

    In all methods `webhook` is a string that stands for the webhook (not its token), `now` is `time.monotonic()`, and
    `host` is the host that the request goes to.

    Args:
        channel_limit: Requests that a channel takes within `channel_window` from all its webhooks, which no header
            says. The default is 30, the least 1; None means that there is no such limit.
        channel_window: Seconds. The default is 60.
        global_limit: Requests per second of all webhooks. The default is 50, the least 1.
        shared: Whether all processes of this user keep their limits together, in shared memory, if there is some.
            `acquire`, `budget`, `update`, `failed` and `reset` may then block for half a second, if another process
            holds the memory; after that they do not wait for it again for five seconds. By default the limits are those
            of this limiter alone, and no method blocks.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        channel_limit: int | None = 30,
        channel_window: float = 60.0,
        global_limit: int = 50,
        shared: bool = False,
    ) -> None:
        if (channel_limit is not None and channel_limit < 1) or global_limit < 1:
            raise ValueError("a limit must be at least 1; a channel_limit of None means no limit")
        if not 0 < channel_window < math.inf:
            raise ValueError("channel_window must be a positive number of seconds")
        self._channel_limits: dict[str, int | None] = {}
        self._new_state = partial(LimitState, channel_limit, channel_window, global_limit, self._channel_limits)
        self._state = self._new_state()
        self._page = SharedPage(_PAGE) if shared else None
        self._trouble = ""
        self._is_shared = self._has_changed = False
        self._missed: list[Callable[[LimitState], object]] = []
        """The changes that were made while the page was not held, and that the next state needs as well."""
        self._pid = os.getpid()
        self._token = os.urandom(4).hex()

    @property
    def _client(self) -> str:
        """The name of this process among those that share the limits."""
        return f"{_SPACE}-{self._pid}-{self._token}"

    @contextlib.contextmanager
    def _lock(self, now: float, *, is_patient: bool = True) -> Iterator[LimitState]:
        """Lock the limits, also for other processes, and yield what all of them know.

        Args:
            now: The time.
            is_patient: Whether to wait for another process that holds them, for half a second at most.
        """
        with lock.hold(math.inf) as is_locked:
            if not is_locked:
                # A signal handler has interrupted this very thread, which goes on with its state afterwards.
                yield self._state
                return
            alone = contextlib.nullcontext(enter_result=False)
            with self._page.hold(waits=is_patient) if self._page else alone as is_held:
                self._is_shared = is_held
                is_child = self._pid != os.getpid()
                if is_child:
                    self._pid, self._missed = os.getpid(), []
                if self._page and is_held:
                    self._read(self._page)
                elif is_child:
                    # Nobody tells this process of the responses to its parent.
                    self._state.settle_others(self._client, now)
                yield self._state
                if self._page and is_held and self._has_changed:
                    self._write(self._page, now)

    def _read(self, page: SharedPage) -> None:
        """Take over what other processes have written, with the changes that they do not know of."""
        if self._missed:
            page.forget()
        content = page.read()
        if content is None:
            return
        if content and (state := self._parse(content)):
            for change in self._missed:
                change(state)
            self._state = state
        page.note_as_known()
        self._has_changed = bool(self._missed)
        self._missed = []

    def _parse(self, content: bytes) -> LimitState | None:
        state = self._new_state()
        try:
            read_data(json.loads(content), state)
        except DATA_ERRORS as error:
            # Nobody but this package writes there; the next change replaces it.
            self._trouble = f"the shared memory held no limits ({type(error).__name__})"
            return None
        self._trouble = ""
        return state

    def _write(self, page: SharedPage, now: float) -> None:
        self._state.tidy(now)
        page.write(json.dumps(to_data(self._state)).encode())
        self._has_changed, self._trouble = False, ""

    def _change(self, change: Callable[[LimitState], _T]) -> _T:
        """Change the state, which is locked, and have other processes know."""
        result = change(self._state)
        self._has_changed = True
        if self._page and not self._is_shared and len(self._missed) < _MAX_MISSED:
            self._missed.append(change)
        return result

    def set_channel_limit(self, webhook: str, limit: int | None) -> None:
        """Set how many requests the channel of a webhook takes within `channel_window`; None means any number.

        Raises:
            ValueError: The limit is less than 1.
        """
        if limit is not None and limit < 1:
            raise ValueError("a limit must be at least 1; None means no limit")
        self._channel_limits[webhook] = limit

    def acquire(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> float:
        """Ask whether a request may leave, and count it if it may.

        Returns:
            0.0 if the request may leave now: it has been counted, and `update` or `failed` must follow.
            Else the seconds after which to ask again; nothing has been counted.
        """
        with self._lock(now) as state:
            name = self._client
            client = state.find(webhook).clients.get(name)
            if client and client.request:
                self._change(lambda state: state.unanswered(webhook, host, name, now))
            wait = state.wait_time(webhook, host, name, now)
            if wait and self._is_shared and (dead := [each for each in state.clients_in_flight(now) if _is_dead(each)]):
                for each in dead:
                    self._change(methodcaller("bury", each, now))
                wait = state.wait_time(webhook, host, name, now)
            if not wait:
                self._change(lambda state: state.count(webhook, host, name, now))
            return wait

    def assume(self, webhook: str, now: float, number: int) -> None:
        """Count requests to the channel that others have probably sent at this moment, unknown to us."""
        if number > 0:
            with self._lock(now):
                self._change(lambda state: state.assume(webhook, now, number))

    def wait_time(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> float:
        """Return what `acquire` would, without counting anything. Never blocks for long."""
        with self._lock(now, is_patient=False) as state:
            return state.wait_time(webhook, host, self._client, now)

    def update(
        self,
        webhook: str,
        status: int,
        headers: Mapping[str, str],
        body: object,
        now: float,
        *,
        host: str = DEFAULT_HOST,
    ) -> RateLimitHit | None:
        """Learn from a response, whatever it is.

        Args:
            webhook: The webhook that was asked.
            status: The HTTP status.
            headers: The headers, their names in any case.
            body: The parsed JSON, or anything else if the body was not JSON.
            now: When the response arrived.
            host: The host that was asked.

        Returns:
            The refusal, if the response refused the request for its rate or blocked our address, else None.
        """
        info = read_rate_limit_info(status, headers, body)
        with self._lock(now):
            name = self._client
            hit = self._change(lambda state: state.answered(webhook, host, name, now, status=status, info=info))
            return None if hit is None else RateLimitHit(*hit)

    def failed(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> None:
        """Note that the request got no response; it may have arrived, so it stays counted."""
        with self._lock(now):
            name = self._client
            self._change(lambda state: state.unanswered(webhook, host, name, now))

    def budget(self, webhook: str, now: float, urgency: Urgency = Urgency.ROUTINE) -> Budget:
        """Return the allowance of a webhook and the times of its channel's messages, and count nothing.

        Who asks has something to send, and the other webhooks and processes of the channel know that for half a second.

        Args:
            webhook: The webhook.
            now: The time.
            urgency: The urgency of what is to be sent: the more urgent goes first.
        """
        with self._lock(now) as state:
            webhook_state = state.webhook(webhook, now)
            client = webhook_state.client(self._client)
            # Nobody would notice a smaller difference.
            if urgency != client.urgency or now > client.asked_at + ASKING / 2:
                client.asked_at, client.urgency = now, urgency
                self._has_changed = True
            others = state.rivals(webhook_state, client, now)
            return webhook_state.budget(now, sum(other.comes_before(client) for other in others), len(others))

    def export(self, webhook: str, now: float, boot: float) -> dict[str, Any]:
        """Return what a successor must know of a webhook, as data that JSON keeps.

        Args:
            webhook: The webhook.
            now: The time.
            boot: The time at which the clock began, on the wall clock that both share.
        """
        with self._lock(now) as state:
            return export_limits(state, webhook, now, boot)

    def restore(self, webhook: str, data: Any, now: float, boot: float) -> None:
        """Take over from a process what it knew of a webhook, by its `export`. What is malformed is left out."""
        with self._lock(now):
            self._change(lambda state: restore_limits(state, webhook, data, now, boot))

    def info(self, webhook: str, now: float, *, host: str = DEFAULT_HOST) -> dict[str, Any]:
        """Return the known limits of a webhook as plain data, ready for JSON; times are seconds from `now`.

        Never blocks for long: if another process holds the limits, they are those of a moment ago.
        """
        with self._lock(now, is_patient=False) as state:
            return {**_describe(state, webhook, now, host), "shared": self._describe_sharing()}

    def _describe_sharing(self) -> dict[str, Any]:
        if self._page is None:
            return {"active": False, "reason": "the limits are not to be shared"}
        trouble = self._page.trouble or self._trouble
        return {"active": not trouble, "reason": trouble}

    def reset(self, webhook: str | None = None, *, host: str | None = None) -> None:
        """Forget all about a webhook and the pauses of a host, or, if the webhook is None, about everything.

        If the limits are shared, all processes forget it.
        """
        with self._lock(clock.monotonic()):
            self._change(lambda state: state.forget(webhook, host))


def _describe(state: LimitState, webhook: str, now: float, host: str) -> dict[str, Any]:
    webhook_state = state.find(webhook)
    host_state = state.hosts.get(host) or state.new_host()
    bucket, channel = webhook_state.bucket, webhook_state.channel
    budget = webhook_state.budget(now)
    buckets = {}
    if bucket.limit is not None:
        buckets[bucket.id or "unknown"] = {
            "limit": bucket.limit,
            "remaining": bucket.left(now),
            "reset_after": max(0.0, bucket.reset_at - now),
            "wait_time": max(bucket.wait_time(now), webhook_state.blocked_until - now),
        }
    pace = Pace.of(budget)
    return {
        "global_rate_limit": _until(host_state.blocked_until, now),
        "buckets": buckets,
        "channel": {
            "limit": budget.channel_limit,
            "window": state.channel_window,
            "remaining": budget.channel_left,
            "wait_time": max(0.0, channel.blocked_until - now, channel.free_at(now) - now),
        },
        "pace": {
            "interval": pace.interval if pace else None,
            "wait_time": max(0.0, pace.free_at(Urgency.ROUTINE) - now) if pace else 0.0,
        },
        "edge_block": {**_until(host_state.edge.free_at(now), now), "active": host_state.edge.strikes > 0},
        "invalid_requests": {
            "count": host_state.invalid.count(now),
            "window": WINDOW,
            "limit": STOP_AT,
            "wait_time": max(0.0, host_state.invalid.free_at(now) - now),
        },
    }


def _is_dead(client: str) -> bool:
    """Tell whether the process of a client has ended, as far as this process can know."""
    space, _, rest = client.partition("-")
    pid = rest.partition("-")[0]
    return space == _SPACE and pid.isascii() and pid.isdigit() and has_ended(int(pid))


def _until(deadline: float, now: float) -> dict[str, Any]:
    return {"active": deadline > now, "wait_time": max(0.0, deadline - now)}
