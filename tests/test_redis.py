"""The server that tests with Redis use."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest


@pytest.mark.once
def test_redis_answers(redis_url: str) -> None:
    """A Redis listens on loopback when a test begins that asks for it."""
    address = urlsplit(redis_url)
    assert address.hostname == "127.0.0.1"
    with socket.create_connection((address.hostname, address.port or 0), timeout=20) as connection:
        connection.sendall(b"PING\r\n")
        with connection.makefile("rb") as answers:
            assert answers.readline() == b"+PONG\r\n"
