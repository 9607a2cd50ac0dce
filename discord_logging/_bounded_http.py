"""A `requests` adapter that bounds a whole exchange in time.

The time-out of `requests` bounds each read: a server that sends a byte now and then holds the thread for ever
(https://requests.readthedocs.io/en/latest/user/advanced/#timeouts). Here every read gets what is left until a deadline.
What Python cannot interrupt is the resolver: when that takes too long, the request is not sent any more.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import Any

from requests.adapters import HTTPAdapter


class DeadlineAdapter(HTTPAdapter):
    """Ends every exchange at `deadline`, on the monotonic clock, and knows whether any of the request has left.

    The end is a `TimeoutError` inside `urllib3`, which makes one of its own of it.
    """

    deadline = float("inf")
    has_sent = False

    def bound(self, sock: Any) -> None:
        """Give `sock` what is left as its time-out.

        Raises:
            TimeoutError: Nothing is left.
        """
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(remaining)

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

        class BoundedResponse(http.client.HTTPResponse):
            def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
                super().__init__(sock, *args, **kwargs)
                raw = self.fp.detach()  # of the BufferedReader that makefile gave
                self.fp = io.BufferedReader(_DeadlineReader(raw, sock, adapter))

        class BoundedConnection(pool_class.ConnectionCls):  # type: ignore[misc]  # the class is found at run time
            response_class = BoundedResponse

            def connect(self) -> None:
                try:
                    super().connect()
                finally:
                    # What was sent so far was for a proxy.
                    adapter.has_sent = False
                adapter.bound(self.sock)

            def send(self, data: Any) -> None:
                if self.sock is None:
                    self.connect()
                adapter.bound(self.sock)
                adapter.has_sent = True
                super().send(data)

        class BoundedPool(pool_class):  # type: ignore[misc]  # as above
            ConnectionCls = BoundedConnection

        return BoundedPool


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
