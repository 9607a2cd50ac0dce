"""`LocalDiscord`: the server, its thread, and the methods to inspect the channel."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import threading
import time
import warnings
from concurrent.futures import Future
from typing import TYPE_CHECKING, overload

from aiohttp import web

from ._addresses import reachable_host
from ._api import Api
from ._faults import Fault
from ._page import Page, loopback_only, nearby_only
from ._port import listen
from ._rate_limits import Limit, RateLimits
from ._sqlite_state import KeptState
from ._state import State
from ._waiting import wait_for
from ._webhooks import PATH, Webhooks

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from ._models import Message, Request, Webhook

_PORT_PATIENCE = 15.0
"""The longest time that a server which starts again waits for its port, in seconds."""
_LAST_PORT = 65_535
_REQUEST_BYTES = 25 * 1024 * 1024


class LocalDiscord:
    """A Discord on loopback: the webhook API, faults on demand, and a page that shows the channel.

    The server begins with one webhook in one text channel. It may be stopped and started again, and keeps its port,
    webhooks and messages. Every method may be called from any thread.

    The limits of all requests and of invalid ones are those of https://docs.discord.com/developers/topics/rate-limits;
    those of a webhook and of a channel are not documented, but were seen
    (https://github.com/discord/discord-api-docs/issues/1454).

    Args:
        host: The address to listen on. An address other than loopback needs `public`.
        port: The TCP port; 0 (the default) takes a free port at the first start.
        webhook_limit: The number of requests for messages (to post, read, edit and delete them) in a time in seconds
            for each webhook; default 5 in 2 s. `None` switches the limit off, and responses have no rate limit headers.
        channel_limit: The number of messages in a time in seconds for each channel, which no header shows; default 30
            in 60 s. `None` switches the limit off.
        count_edits: Whether `channel_limit` counts edits of messages, too. Discord does not say whether it does. The
            default is `True`, so that a program that meets no 429 here will meet none there, either way.
        global_limit: The number of all requests in a time in seconds; default 50 in 1 s. `None` switches the limit off.
        invalid_limit: The number of invalid requests in a time in seconds, after which the client's address is banned
            for an hour; default 10,000 in 600 s. `None` switches the limit off. A request is invalid if its response is
            a 401, a 403, a 429 that is not ``shared``, or the 404 for a webhook that does not exist.
        sliding: Whether the limit of a webhook is a sliding window instead of a fixed one.
        latency: The time from handling a request to its response, in seconds; default 0.
        max_messages: The largest number of messages, and of requests, that are kept; default 10,000. The oldest are
            removed first.
        max_bytes: The approximate memory for messages with their files, and for requests, in bytes; default 256 MiB.
            The oldest are removed first.
        keep: An SQLite file for webhooks, threads and messages, which the next LocalDiscord with this file has again.
            A missing file is created. If others can open the file, they lose that right, with a warning. A message
            that is damaged is left out, with a warning. `None` (the default) keeps everything in memory.
        clock: A function that returns the time by which messages are dated, in seconds since the epoch. The default is
            `time.time`; a test that sets it an hour forward meets the limit for edits of old messages (3 in 6 s for
            each channel, a 429 with the code 30046).
        public: Whether `host` may be an address that others can reach, so that they can see the channel and post to
            it. A warning says so. Requests are answered if they name the server by an IP address, by a name without a
            dot (such as that of a container), by a name below ``.local``, or by this machine's own name. Other names
            are refused, because a hostile web page may have bound them to the server's address (DNS rebinding).

    Raises:
        ValueError: `host` is not a loopback address, `port` is out of range, or `keep` is another kind of file.
        OSError: `keep` cannot be read or written, or another LocalDiscord uses it.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        webhook_limit: Limit | None = (5, 2.0),
        channel_limit: Limit | None = (30, 60.0),
        count_edits: bool = True,
        global_limit: Limit | None = (50, 1.0),
        invalid_limit: Limit | None = (10_000, 600.0),
        sliding: bool = False,
        latency: float = 0.0,
        max_messages: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        keep: str | Path | None = None,
        clock: Callable[[], float] = time.time,
        public: bool = False,
    ) -> None:
        self._loopback = _is_loopback(host, public=public)
        if not 0 <= port <= _LAST_PORT:
            raise ValueError(f"port must be between 0 and {_LAST_PORT}, not {port}")
        self._host = host
        self._reachable_host = reachable_host(host)
        self._port = port
        self._limits = {
            "webhook": webhook_limit,
            "channel": channel_limit,
            "everybody": global_limit,
            "invalid": invalid_limit,
        }
        self._sliding = sliding
        self._latency = latency
        self._state = State(max_messages, max_bytes) if keep is None else KeptState(max_messages, max_bytes, keep)
        self._webhooks = Webhooks(self._state, self._fresh_limits(), clock, count_edits=count_edits)
        first = self._state.first_webhook()
        self._webhook = first or self._state.add_webhook(None, forum=False, requires_tags=False)
        self._state.close()
        self._lifecycle = threading.Lock()
        self._thread: threading.Thread | None = None
        self._has_run = False

    def __repr__(self) -> str:
        return f"<LocalDiscord on {self._host}:{self._port}, {'started' if self._thread else 'stopped'}>"

    def start(self) -> Self:
        """Start the server, unless it is running. Returns when the server accepts requests.

        A server that starts again waits for some seconds if a program has its port, such as a client that met itself.

        Raises:
            OSError: The port cannot be opened, or another LocalDiscord uses the file. If a process of yours has the
                port, the error names it (on Linux).
            Exception: The server cannot run, for instance because a plugin of pytest forbids sockets.
        """
        with self._lifecycle:
            if self._thread is None:
                with contextlib.ExitStack() as undo:
                    self._state.open()
                    undo.callback(self._state.close)
                    patience = _PORT_PATIENCE if self._has_run else 0.0
                    listening = undo.enter_context(listen(self._host, self._port, patience))
                    ready: Future[None] = Future()
                    thread = threading.Thread(
                        target=self._run, args=(listening, ready), name="LocalDiscord", daemon=True
                    )
                    thread.start()
                    ready.result()
                    undo.pop_all()
                self._port = listening.getsockname()[1]
                self._thread = thread
                self._has_run = True
        return self

    def stop(self) -> None:
        """Stop the server, if it is running. Connections with an open request are closed."""
        with self._lifecycle:
            if self._thread is not None:
                with contextlib.suppress(RuntimeError):  # the thread has failed, and its loop is closed
                    self._loop.call_soon_threadsafe(self._stopping.set)
                self._thread.join()
                self._thread = None
                self._state.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the page. If the server listens on all addresses, it has this machine's name or address.

        Raises:
            RuntimeError: The server has never been started, and no port was given.
        """
        if not self._port:
            raise RuntimeError("LocalDiscord has no port yet: start it first")
        host = f"[{self._reachable_host}]" if ":" in self._reachable_host else self._reachable_host
        return f"http://{host}:{self._port}"

    @property
    def webhook_url(self) -> str:
        """The URL of the first webhook."""
        return self._url_of(self._webhook)

    @property
    def messages(self) -> list[Message]:
        """A copy of the list of messages in all channels, in the order of their arrival."""
        return self._state.messages()

    @property
    def requests(self) -> list[Request]:
        """Copies of all requests to the API, including refused ones, in the order of their arrival."""
        return self._state.requests()

    def add_webhook(self, *, channel_id: str | None = None, forum: bool = False, requires_tags: bool = False) -> str:
        """Make another webhook.

        Args:
            channel_id: The channel to post to, such as `Message.channel_id`; `None` (the default) is a new channel.
            forum: Whether the channel is a forum.
            requires_tags: Whether the forum requires a tag on every new post.

        Returns:
            The URL of the webhook.
        """
        return self._url_of(self._state.add_webhook(channel_id, forum=forum, requires_tags=requires_tags))

    def add_thread(self, webhook_url: str | None = None, *, locked: bool = False) -> str:
        """Open a thread in the channel of a webhook.

        Args:
            webhook_url: The URL of the webhook; `None` (the default) is the first webhook.
            locked: Whether the thread is locked, so that nobody may post to it.

        Returns:
            The id of the thread, for ``thread_id``.

        Raises:
            ValueError: `webhook_url` is not a webhook of this LocalDiscord.
        """
        match = PATH.fullmatch((webhook_url or self.webhook_url).removeprefix(self.url))
        webhook = match and self._state.webhook(match["id"])
        if not webhook:
            raise ValueError("webhook_url is not a webhook of this LocalDiscord")
        return self._state.add_thread(webhook.channel_id, locked=locked)

    @overload
    def wait_for(self, wanted: int = 1, *, timeout: float = 5.0) -> list[Message]: ...

    @overload
    def wait_for(self, wanted: str | Callable[[Message], object], *, timeout: float = 5.0) -> Message: ...

    def wait_for(
        self, wanted: int | str | Callable[[Message], object] = 1, *, timeout: float = 5.0
    ) -> list[Message] | Message:
        """Wait until a number of messages have arrived, or until a certain message is in a channel.

        Args:
            wanted: A number (default 1) of messages since the start or since `clear`; a text that `Message.text`
                contains; or a function that returns a true value for the message.
            timeout: The longest wait, in seconds; default 5.

        Returns:
            For a number, the messages in all channels; otherwise the first message that matches.

        Raises:
            TimeoutError: The messages have not arrived. The text lists the messages that have.
            TypeError: `wanted` has another type.
        """
        return wait_for(self._state, wanted, timeout)

    @property
    def forgotten(self) -> int:
        """The number of messages that were removed to make room for newer ones, since the start or `clear`."""
        return self._state.counts()["forgotten"]

    def fail_next(self, fault: Fault, *, times: int = 1) -> None:
        """Apply a fault to the next requests that post a message, after the faults that are queued already.

        Args:
            fault: The fault.
            times: The number of requests; default 1.

        Raises:
            TypeError: `fault` is not a `Fault`.
        """
        if not isinstance(fault, Fault):
            raise TypeError(f"fault must be a Fault such as Fault.rate_limited(2), not {fault!r}")
        self._state.add_fault(fault, times)

    def clear(self) -> None:
        """Remove messages, requests and queued faults, and reset the limits; webhooks and threads stay."""
        self._state.clear()
        self._webhooks.limits = self._fresh_limits()

    def _fresh_limits(self) -> RateLimits:
        return RateLimits(**self._limits, sliding=self._sliding)

    def _url_of(self, webhook: Webhook) -> str:
        return f"{self.url}/api/v10/webhooks/{webhook.id}/{webhook.token}"

    def _run(self, listening: socket.socket, ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listening, ready))
        except BaseException as error:
            if ready.done():
                raise
            # `start` waits for it.
            ready.set_exception(error)

    async def _serve(self, listening: socket.socket, ready: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(
            client_max_size=_REQUEST_BYTES, middlewares=[loopback_only if self._loopback else nearby_only]
        )
        app.add_routes(Api(self._state, self._webhooks, self._latency, self._stopping).routes())
        app.add_routes(Page(self._state, self._webhooks).routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        with listening:
            try:
                await runner.setup()
                await web.SockSite(runner, listening).start()
                ready.set_result(None)
                await self._stopping.wait()
            finally:
                # asyncio never closes a connection that it has accepted but not yet attached when its server is closed.
                with contextlib.suppress(NotImplementedError):  # on Windows
                    self._loop.remove_reader(listening)
                for _ in range(3):
                    await asyncio.sleep(0)
                await runner.cleanup()


def _is_loopback(host: str, *, public: bool) -> bool:
    """Return whether only this machine reaches the address; refuse or warn otherwise."""
    if ipaddress.ip_address(host).is_loopback:
        return True
    if not public:
        raise ValueError(
            f"{host} is not a loopback address, so others could reach it. Pass public=True if you want that."
        )
    text = f"LocalDiscord on {host}: anybody who can reach it sees the channel and can post to it"
    warnings.warn(text, stacklevel=3)
    return False
