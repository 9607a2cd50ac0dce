"""This module reads the URL of a Redis, which is a password, and says what may be shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
_SENTINEL_PORT = 26_379
_DECODING = lazy_pattern(r"(?<=[?&])decode_responses=[^&]*&?")
"""An option of the URL that other programs need: here, all answers are bytes."""


class Address(NamedTuple):
    """A place in Redis.

    Attributes:
        url: The URL, with its password.
        shown: The URL without user, password and query.
        secrets: The parts of the URL that no text may show.
        sentinels: The hosts and ports of the Sentinels, if they name the server.
        service: The name by which they know it.
        database: The number of its database.
        options: What else the URL of Sentinels says of the server, as redis-py names it.
        sentinel_options: What it says of the Sentinels.
    """

    url: str
    shown: str
    secrets: tuple[str, ...] = ()
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    database: int = 0
    options: Mapping[str, str] = {}
    sentinel_options: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shown}>"


def parse_address(url: str) -> Address:
    """Return the parts of a URL.

    `redis://`, `rediss://` and `unix://` are those of redis-py. `redis+sentinel://` has the user and the password of
    the server, the Sentinels with commas between them, the name of the service and the number of the database; options
    in its query that begin with `sentinel_` are those of the Sentinels.

    Raises:
        ValueError: The URL is malformed. The text says in words why, and shows no part of the URL.
    """
    scheme, separator, rest = url.partition("://")
    scheme, rest = scheme.lower(), _DECODING.sub("", rest)
    if scheme not in SCHEMES or not separator:
        raise ValueError("its scheme is unknown")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        hosts = parts.netloc.rpartition("@")[2]
    except ValueError:
        raise ValueError("its host is malformed") from None
    if parts.fragment:
        raise ValueError("a '#' must be written as %23")
    query = dict(parse_qsl(parts.query))
    hidden = [parts.password, parts.username, *(query[name] for name in query if "password" in name)]
    secrets = tuple(unquote(part) for part in hidden if part)
    address = Address(f"{scheme}://{rest}", f"{scheme}://{hosts}{parts.path}", secrets)
    if scheme == "redis+sentinel":
        return _with_sentinels(address, parts, hosts, query)
    if scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError("it names no socket")
        _read_database(query.get("db", ""))
    else:
        _read_host(hosts, 0)
        _read_database(parts.path.strip("/") or query.get("db", ""))
    return address


def _with_sentinels(address: Address, parts: SplitResult, hosts: str, query: Mapping[str, str]) -> Address:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("it names no service of the Sentinels, as redis+sentinel://host:26379/mymaster does")
    prefix = "sentinel_"
    options = {name: value for name, value in query.items() if not name.startswith(prefix)}
    for name, given in (("username", parts.username), ("password", parts.password)):
        if given:
            options[name] = unquote(given)
    return address._replace(
        sentinels=tuple(_read_host(host, _SENTINEL_PORT) for host in hosts.split(",")),
        service=unquote(service),
        database=_read_database(database),
        options=options,
        sentinel_options={name[len(prefix) :]: value for name, value in query.items() if name.startswith(prefix)},
    )


def _read_database(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise ValueError("its database is no number")
    return int(text or 0)


def _read_host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        name, given = parts.hostname, parts.port
    except ValueError:
        raise ValueError("its port is malformed") from None
    if "," in text:
        raise ValueError("it names several hosts")
    if text and not name:
        raise ValueError("it names no host")
    return name or "localhost", port if given is None else given
