"""A server that listens on all addresses has a URL that works elsewhere."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from discord_logging.sandbox._addresses import reachable_host

pytestmark = pytest.mark.once

ALL = "0.0.0.0"  # noqa: S104 - the point of the tests


def set_machine(patch: pytest.MonkeyPatch, addresses: list[str], address: str) -> None:
    """Let this machine be called box, a name that stands for `addresses`, and reach others from `address`."""

    def getaddrinfo(name: str, *_: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(f"{name} is not known")
        return [(0, 0, 0, "", (each, 0)) for each in addresses]

    def connect(_: object) -> None:
        if not address:
            raise OSError("Network is unreachable")

    probe = SimpleNamespace(connect=connect, getsockname=lambda: (address, 9))
    patch.setattr(socket, "gethostname", lambda: "box")
    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    patch.setattr(socket, "socket", lambda *_: contextlib.nullcontext(probe))


@pytest.mark.parametrize(
    ("host", "addresses", "address", "found"),
    [
        ("192.0.2.7", ["192.0.2.8"], "192.0.2.8", "192.0.2.7"),
        ("127.0.0.1", ["192.0.2.8"], "192.0.2.8", "127.0.0.1"),
        (ALL, ["172.18.0.2"], "172.18.0.2", "box"),
        (ALL, ["127.0.1.1"], "192.0.2.8", "192.0.2.8"),
        (ALL, ["127.0.1.1", "192.0.2.8"], "192.0.2.8", "192.0.2.8"),
        (ALL, [], "192.0.2.8", "192.0.2.8"),
        (ALL, [], "", "box"),
        ("::", ["2001:db8::8"], "2001:db8::8", "box"),
        ("::", ["::1"], "2001:db8::8", "2001:db8::8"),
    ],
)
def test_a_url_has_what_others_reach(
    host: str, addresses: list[str], address: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian gives a machine's own name an address of loopback, and Docker that of the container."""
    set_machine(monkeypatch, addresses, address)
    assert reachable_host(host) == found


def test_this_machine_has_such_a_name_or_address() -> None:
    """The functions of the operating system are as the other tests take them to be."""
    found = reachable_host(ALL)
    assert found == socket.gethostname() or not ipaddress.ip_address(found).is_unspecified
