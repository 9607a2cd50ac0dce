"""This adapter for `requests` bounds a whole exchange in time.

The time-out of `requests` bounds each read: a server that sends a byte now and then holds the thread for ever
(https://requests.readthedocs.io/en/latest/user/advanced/#timeouts). Here every read gets the time that is left until a
deadline. Python cannot interrupt the resolver alone: if that takes too long, the request is not sent any more.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError

from discord_logging._discord.local_only import check
from discord_logging._process import clock


class BoundedSession(requests.Session):
    """Treats a redirect as a response like any other."""

    def get_redirect_target(self, _: requests.Response) -> None:
        """Return None. Else `requests` would read the whole body of a redirect, even if it need not follow it."""


class DeadlineAdapter(HTTPAdapter):
    """Ends every exchange at `deadline`, on the monotonic clock.

    The exchange ends by a `TimeoutError` inside `urllib3`, which translates it into its own error.

    Attributes:
        has_sent: Whether any part of the request has left.
        status: The status of the response, as soon as it has arrived.
    """

    deadline = float("inf")
    has_sent = False
    status: int | None = None

    def request_url(self, request: Any, proxies: Any) -> str:
        """Return the address for the first line of a request that may leave.

        Raises:
            LocalOnlyError: The request must not leave this machine.
        """
        check(request.url)
        return super().request_url(request, proxies)

    def begin(self, timeout: float) -> None:
        """Prepare for an exchange that may take `timeout` seconds."""
        self.deadline = clock.monotonic() + timeout
        self.forget()

    def forget(self) -> None:
        """Forget what was sent and received so far."""
        self.has_sent, self.status = False, None

    def bound(self, sock: Any, *, shares: int = 1) -> None:
        """Set the time-out of `sock` to the time that is left, or to one of `shares` equal shares of it.

        Raises:
            TimeoutError: No time is left.
        """
        remaining = self.deadline - clock.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(remaining / shares)

    def open(self, host: str, port: int, options: Any) -> socket.socket:
        """Return a connection to the first address of `host` that accepts it.

        The addresses share the time that is left; `urllib3` would give each of them the whole time-out.
        """
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure = OSError("the host has no address")
        for index, address in enumerate(addresses):
            try:
                return self._open_address(address, options, shares=len(addresses) - index)
            except OSError as error:  # noqa: PERF203 - each address has its own try
                failure = error
        raise failure

    def _open_address(self, address: Any, options: Any, *, shares: int) -> socket.socket:
        sock = socket.socket(*address[:3])
        try:
            for option in options or ():
                sock.setsockopt(*option)
            self.bound(sock, shares=shares)
            sock.connect(address[4])
        except BaseException:
            sock.close()
            raise
        return sock

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pools of connections through `proxy`."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if is_new:
            self._bound(manager)
        return manager

    def _bound(self, manager: Any) -> None:
        classes = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {scheme: self._bound_pool(pool) for scheme, pool in classes.items()}

    def _bound_pool(self, pool_class: Any) -> Any:
        connection_class = pool_class.ConnectionCls
        is_direct = connection_class._new_conn is HTTPConnection._new_conn  # noqa: SLF001
        facts = {"adapter": self, "is_direct": is_direct}
        bounded_class = type("BoundedConnection", (_BoundedConnection, connection_class), facts)
        return type("BoundedPool", (pool_class,), {"ConnectionCls": bounded_class, "QueueCls": _ConnectionStack})


class _BoundedConnection(HTTPConnection):
    """Is mixed into the connection classes of `urllib3`.

    Attributes:
        adapter: The adapter whose deadline counts.
        is_direct: Whether the class connects as `urllib3` does. The class for a SOCKS proxy has its own way to connect.
    """

    adapter: DeadlineAdapter
    is_direct: bool
    debuglevel = 0  # a program that sets the level of all connections must not print our URL

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            # Up to here, only a proxy can have received or sent anything.
            self.adapter.forget()
        self.adapter.bound(self.sock)

    def _new_conn(self) -> Any:
        if not self.is_direct:
            return super()._new_conn()
        try:
            return self.adapter.open(self._dns_host, self.port, self.socket_options)
        except TimeoutError:
            raise ConnectTimeoutError(self, "timed out") from None

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.adapter.bound(self.sock)
        self.adapter.has_sent = True
        super().send(data)

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # http.client calls it
        return _BoundedResponse(self.adapter, sock, *args, **kwargs)


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, adapter: DeadlineAdapter, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._adapter = adapter
        raw = self.fp.detach()  # of the BufferedReader that makefile gave
        self.fp = io.BufferedReader(_DeadlineReader(raw, sock, adapter))

    def _read_status(self) -> Any:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
        # After "100 Continue", the response is still to come.
        self._adapter.status = status if status >= http.client.OK else None
        return version, status, reason


class _ConnectionStack(queue.LifoQueue[Any]):
    """Holds the idle connections of one thread, without a lock.

    `urllib3` empties the stack at interpreter exit: a child that was forked while its parent held a lock would wait for
    ever.
    """

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        if len(self.queue) >= self.maxsize:
            raise queue.Full
        self.queue.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002
        if not self.queue:
            raise queue.Empty
        return self.queue.pop()


class _DeadlineReader(io.RawIOBase):
    """Reads a socket, with the time that is left until the deadline as its time-out."""

    def __init__(self, raw: Any, sock: Any, adapter: DeadlineAdapter) -> None:
        self._raw = raw
        self._sock = sock
        self._adapter = adapter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        self._adapter.bound(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
