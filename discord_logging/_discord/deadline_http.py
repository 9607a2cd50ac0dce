"""A `requests` adapter that bounds a whole exchange in time.

The time-out of `requests` bounds each read: a server that sends a byte now and then holds the thread for ever
(https://requests.readthedocs.io/en/latest/user/advanced/#timeouts). Here every read gets what is left until a deadline.
What Python cannot interrupt is the resolver: when that takes too long, the request is not sent any more.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
from typing import Any

import requests
import urllib3.connection
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError

from discord_logging._process import clock


class BoundedSession(requests.Session):
    """Takes a redirect for an answer like any other."""

    def get_redirect_target(self, _: requests.Response) -> None:
        """Return nothing. Even when it is not to follow, `requests` reads the whole body of an answer with a target."""


class DeadlineAdapter(HTTPAdapter):
    """Ends every exchange at `deadline`, on the monotonic clock.

    The end is a `TimeoutError` inside `urllib3`, which makes one of its own of it.

    Attributes:
        has_sent: Whether any of the request has left.
        status: The status of the answer, as soon as it has arrived.
    """

    deadline = float("inf")
    has_sent = False
    status: int | None = None

    def begin(self, timeout: float) -> None:
        """Prepare for an exchange that may take `timeout` seconds."""
        self.deadline = clock.monotonic() + timeout
        self._forget()

    def _forget(self) -> None:
        self.has_sent, self.status = False, None

    def bound(self, sock: Any, *, shares: int = 1) -> None:
        """Give `sock` what is left as its time-out, or its share of that.

        Raises:
            TimeoutError: Nothing is left.
        """
        remaining = self.deadline - clock.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(remaining / shares)

    def _connect(self, host: str, port: int, options: Any) -> socket.socket:
        """Connect to the first address of `host` that takes it; `urllib3` would give each the whole time-out."""
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure = OSError("the host has no address")
        for index, address in enumerate(addresses):
            try:
                return self._open(address, options, shares=len(addresses) - index)
            except OSError as error:  # noqa: PERF203 - one address after the other
                failure = error
        raise failure

    def _open(self, address: Any, options: Any, *, shares: int) -> socket.socket:
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
        """Make the pools for direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pools for connections through `proxy`."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if is_new:
            self._bound(manager)
        return manager

    def _bound(self, manager: Any) -> None:
        classes = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {scheme: self._bound_pool(pool) for scheme, pool in classes.items()}

    def _bound_pool(self, pool_class: Any) -> Any:
        adapter = self
        # A SOCKS proxy has a way of its own.
        is_direct = pool_class.ConnectionCls._new_conn is urllib3.connection.HTTPConnection._new_conn  # noqa: SLF001

        class BoundedResponse(http.client.HTTPResponse):
            def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
                super().__init__(sock, *args, **kwargs)
                raw = self.fp.detach()  # of the BufferedReader that makefile gave
                self.fp = io.BufferedReader(_DeadlineReader(raw, sock, adapter))

            def _read_status(self) -> Any:
                version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
                # "100 Continue" is no answer yet.
                adapter.status = status if status >= http.client.OK else None
                return version, status, reason

        class BoundedConnection(pool_class.ConnectionCls):  # type: ignore[misc]  # the class is found at run time
            response_class = BoundedResponse

            def connect(self) -> None:
                try:
                    super().connect()
                finally:
                    # All that was sent and answered so far was between a proxy and us.
                    adapter._forget()
                adapter.bound(self.sock)

            def _new_conn(self) -> Any:
                if not is_direct:
                    return super()._new_conn()
                try:
                    return adapter._connect(self._dns_host, self.port, self.socket_options)
                except TimeoutError:
                    raise ConnectTimeoutError(self, "timed out") from None

            def send(self, data: Any) -> None:
                if self.sock is None:
                    self.connect()
                adapter.bound(self.sock)
                adapter.has_sent = True
                super().send(data)

        class BoundedPool(pool_class):  # type: ignore[misc]  # as above
            ConnectionCls = BoundedConnection
            QueueCls = _ConnectionStack

        return BoundedPool


class _ConnectionStack(queue.LifoQueue[Any]):
    """Holds the idle connections of one thread, without a lock.

    `urllib3` empties it at interpreter exit: a child that was forked while its parent had the lock would wait for ever.
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
    """Reads a socket with what is left until the deadline as its time-out."""

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
