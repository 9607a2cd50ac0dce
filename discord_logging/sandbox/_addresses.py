"""The name or the address by which others reach this machine."""

from __future__ import annotations

import ipaddress
import socket

_FAR = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that no machine has (RFC 5737 and RFC 3849). To connect a UDP socket sends nothing."""


def reachable_host(host: str) -> str:
    """Return what a URL of a server that listens on `host`, an IP address, must name.

    A server that listens on all addresses has the name of this machine, such as that of a container, if the name stands
    for an address that others reach, and else the address from which this machine reaches others.
    """
    if not ipaddress.ip_address(host).is_unspecified:
        return host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    name = socket.gethostname()
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(name, None, family)}
    except OSError:
        addresses = set()
    if addresses and not any(ipaddress.ip_address(address).is_loopback for address in addresses):
        return name
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_FAR[family], 9))
        except OSError:  # this machine has no network
            return name
        return str(probe.getsockname()[0])
