"""This module has the connection of one thread to Redis, opened when it is needed, and the errors of Redis in words.

A call takes some seconds at most. A forked child neither uses nor closes the connection of its parent.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.redis.scripts import find_script
from discord_logging._backlogs.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from discord_logging._records.redis_address import Address

PATIENCE = 2.0
"""The longest wait for a connection, and for an answer, in seconds."""
_EXTRA = 'redis-py is not installed: pip install "discord-log-handler[redis]"'
_inherited: list[Any] = []
"""The clients of the parents of this process, which are kept so that no connection is closed."""


class Connection:
    """A connection that opens itself.

    Args:
        address: The address.
        hook: The name of the webhook.

    Attributes:
        address: The address, from the next connection on.
        identity: The identity of the data, as the last script has found it; `None` if none is open.
        changes: The number of their changes, likewise.
    """

    def __init__(self, address: Address, hook: str) -> None:
        self.address = address
        self.prefix = f"dl1:{{{hook}}}:"
        self._client: Any = None
        self._socket: Any = None
        self._pid = 0
        self._has_sent = False  # whether Redis may have got the present command
        self._is_cluster = False
        self._nodes: list[tuple[str, int]] = []
        self._has_asked = address.url.startswith("unix:") or bool(address.sentinels)
        self.identity: str | None = None
        self.changes = 0
        # A child that is forked while another thread imports something would have half of it, or wait for ever.
        with contextlib.suppress(StoreError):
            # This makes redis-py import what it imports late, and opens nothing.
            import_driver().Redis().connection_pool.make_connection()

    def run(self, name: str, *args: str | bytes | float, identity: str = "") -> list[Any]:
        """Run a script, and return its results.

        Args:
            name: The name of the script.
            args: Its arguments.
            identity: The identity of the data that the script may use; `""` lets it use any.

        Raises:
            StoreError: The script was not run, or it is not known whether it was.
        """
        script = find_script(name)
        # While a cluster moves our keys, some are here and some there, and a script would end in its midst. Then Redis
        # refuses a script that names several keys if one of them is missing, and the second one always is.
        common = 2, f"{self.prefix}head", f"{self.prefix}never", uuid.uuid4().hex, identity, *args
        try:
            result = self._execute("EVALSHA", script.digest, *common)
        except _UnknownScriptError:
            result = self._execute("EVAL", script.source, *common)
        try:
            self.identity, changes = result[0].decode(), int(result[1])
        except (AttributeError, TypeError, ValueError, LookupError) as error:
            raise StoreError(f"{self.address.shown}: Redis has answered strangely ({type(error).__name__})") from None
        if identity and self.identity != identity:
            raise StoreError(f"{self.address.shown}: Redis has lost data")
        self.changes = changes
        rest: list[Any] = result[2:]
        return rest

    def call(self, name: str, key: str, *args: str | float) -> Any:
        """Run a command, and return its result.

        Args:
            name: The name of the command.
            key: The end of the key.
            args: Its other arguments.

        Raises:
            StoreError: It cannot be run.
        """
        return self._execute(name, f"{self.prefix}{key}", *args)

    def scan(self, pattern: str) -> list[bytes]:
        """Return the names of all keys that match.

        Raises:
            StoreError: They cannot be listed.
        """
        # One node of a cluster has not all keys, and does not say so.
        self._is_cluster = self._translated(lambda client: client.info("cluster")).get("cluster_enabled") == 1
        self.close()
        names: list[bytes] = self._translated(lambda client: list(client.scan_iter(match=pattern, count=1_000)))
        return names

    def close(self) -> None:
        """Close the connection."""
        client, connection, pid = self._client, self._socket, self._pid
        self.forget()
        if pid == os.getpid():
            with contextlib.suppress(Exception):
                if connection is not None:
                    connection.disconnect()
                if client is not None:
                    client.close()

    def forget(self) -> None:
        """Have no connection. One that is open is the parent's."""
        if self._client is not None and self._pid != os.getpid():
            _inherited.append((self._client, self._socket))
        self._client = self._socket = self.identity = None

    def _execute(self, *command: Any) -> Any:
        return self._translated(lambda client: self._send(client, command))

    def _send(self, client: Any, command: Sequence[Any]) -> Any:
        # The client itself would take twice as long, and the one of a cluster would try again for many seconds.
        if self._socket is None:
            if self._is_cluster:
                client = client.get_redis_connection(client.get_node_from_key(self.prefix))
            self._socket = client.connection_pool.make_connection()
            self._socket.connect()
            if not self._has_asked:
                self._find_nodes()
        self._has_sent = True
        self._socket.send_command(*command, check_health=False)
        return self._socket.read_response()

    def _find_nodes(self) -> None:
        """Learn the nodes of a cluster, if this is one: the one that the URL names may end."""
        try:
            self._socket.send_command("CLUSTER", "SLOTS", check_health=False)
            slots = self._socket.read_response()
        except import_driver().exceptions.ResponseError:
            slots = []
        self._nodes = [(host.decode(), port) for _, _, *nodes in slots for host, port, *_ in nodes if host]
        self._is_cluster, self._has_asked = bool(slots), True

    def _translated(self, work: Callable[[Any], Any]) -> Any:
        redis = import_driver()
        exceptions = redis.exceptions
        expected = (
            exceptions.RedisError,
            exceptions.RedisClusterException,
            OSError,
            ValueError,
            TypeError,
            AttributeError,
        )
        if self._pid != os.getpid():
            self.forget()
        is_new, is_unclear = self._socket is None, False
        for is_last in (False, True):
            self._has_sent = False
            try:
                return self._try(redis, work)
            except expected as error:
                is_unclear |= self._has_sent and not isinstance(error, exceptions.ResponseError)
                may_repeat = not is_last and self._may_repeat(redis, error, is_new=is_new)
                reason = explain(redis, error, self.address.secrets)
                if is_new:
                    reason += self._find_hint(str(error))
            # The next answer of the connection may be that to an earlier command.
            self.close()
            if not may_repeat:
                break
        # Outside of the handler, the error has no context, whose frames hold the password.
        raise StoreError(f"{self.address.shown}: {reason}", is_unclear=is_unclear)

    def _find_hint(self, error: str) -> str:
        """Return why a new connection may have failed, or `""`."""
        if self.address.url.startswith("redis:") and re.search("while reading|closed by server", error):
            return "; if it uses TLS, the URL begins with rediss://"
        if self.address.url.startswith("rediss:") and re.search("timed out|Timeout|WRONG_VERSION|record layer", error):
            return "; if it uses no TLS, the URL begins with redis://"
        return ""

    def _may_repeat(self, redis: Any, error: Exception, *, is_new: bool) -> bool:
        """Tell whether the same may work at once by another connection."""
        exceptions = redis.exceptions
        # Old versions of redis-py know this error in clusters alone.
        if isinstance(error, exceptions.MovedError) or str(error).startswith("MOVED "):
            self._is_cluster = True
            return True
        # The server may have closed a connection that was not used for a while.
        is_lost = isinstance(error, exceptions.ConnectionError) and not isinstance(error, exceptions.TimeoutError)
        return is_lost and not is_new

    def _try(self, redis: Any, work: Any) -> Any:
        if self._client is None:
            self._client, self._pid = self._connect(redis), os.getpid()
        try:
            return work(self._client)
        except redis.exceptions.NoScriptError:
            raise _UnknownScriptError from None

    def _connect(self, redis: Any) -> Any:
        """Return a client, which opens its connection at the first command and tries nothing twice."""
        address = self.address
        options: dict[str, Any] = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "protocol": 2}
        retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        if self._is_cluster:
            # The node that the URL names may be gone.
            nodes = [redis.cluster.ClusterNode(*node) for node in self._nodes]
            options["require_full_coverage"] = False
            client = redis.cluster.RedisCluster.from_url(address.url, startup_nodes=nodes, **options)
            self._nodes = [(node.host, node.port) for node in client.get_nodes()]
            return client
        if not address.sentinels:
            return redis.Redis.from_url(address.url, retry=retry, **options)
        given, own = (_with_types(redis, each) for each in (address.options, address.sentinel_options))
        own = {"retry": retry, **options, **own}
        sentinel = redis.sentinel.Sentinel(address.sentinels, sentinel_kwargs=own, **{**options, **given})
        return sentinel.master_for(address.service, db=address.database, retry=retry)


class _UnknownScriptError(Exception):
    """Redis does not know the script, as after a restart."""


def import_driver() -> Any:
    """Return the package `redis`.

    Raises:
        StoreError: It is not installed.
    """
    try:
        import redis.cluster  # noqa: PLC0415 - it is an extra
        import redis.sentinel  # noqa: PLC0415 - as above
    except ImportError:
        raise StoreError(_EXTRA) from None
    return redis


def _with_types(redis: Any, options: Mapping[str, str]) -> dict[str, Any]:
    """Return options of a URL as redis-py reads them from other URLs.

    Raises:
        ValueError: One of them is no number.
    """
    parsers = {**redis.connection.URL_QUERY_ARGUMENT_PARSERS, "ssl": redis.connection.to_bool}
    try:
        return {name: parsers.get(name, str)(value) for name, value in options.items()}
    except ValueError:
        raise ValueError("an option of the URL is no number") from None


def explain(redis: Any, error: Exception, secrets: tuple[str, ...]) -> str:
    """Return the reason of an error in words, without a password."""
    exceptions = redis.exceptions
    if isinstance(error, exceptions.RedisClusterException) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    text = str(error)
    kinds = [
        (exceptions.AuthenticationError, _UNKNOWN if "required" in str(error) else _REFUSED),
        (exceptions.TimeoutError, "Redis does not answer"),
        (exceptions.BusyLoadingError, "Redis is loading its data"),
        (exceptions.ReadOnlyError, _REPLICA),
        (exceptions.OutOfMemoryError, _FULL),
        (exceptions.NoPermissionError, _FORBIDDEN),
        ((exceptions.ClusterDownError, exceptions.SlotNotCoveredError), "the cluster of Redis is down"),
        ((exceptions.AskError, exceptions.TryAgainError), _MOVES),
    ]
    for kind, words in kinds:
        if isinstance(error, kind):
            return words
    for part, words in _WORDS.items():
        if part in text:
            return words
    for secret in secrets:
        text = text.replace(secret, "***")
    return f"Redis cannot be reached ({text})" if isinstance(error, (exceptions.ConnectionError, OSError)) else text


_UNKNOWN, _REFUSED = "Redis asks for a password", "Redis refuses the password"
_REPLICA, _FULL = "this Redis is a replica, and takes no records", "the memory of Redis is full (maxmemory)"
_MOVES = "the cluster of Redis moves the records to another server"
_FORBIDDEN = "the user of Redis may not do this: see the list of commands in docs/redis.md"
_WORDS = {
    "unauthenticated": _UNKNOWN,
    "NOAUTH": _UNKNOWN,
    "WRONGPASS": _REFUSED,
    "Authentication required": _UNKNOWN,
    "AuthenticationError": "the Sentinels ask for another password",
    "No master found": "Redis cannot be reached (no Sentinel names a server)",
    "READONLY": _REPLICA,
    "OOM ": _FULL,
    "NOPERM": _FORBIDDEN,
    "Cluster mode is not enabled": _FORBIDDEN,
    "MISCONF": "Redis cannot write to its disk, and takes no records",
    "WRONGTYPE": "another program has put a key of another kind in the place of ours, which begin with dl1:",
    "TRYAGAIN": _MOVES,
    "ASK ": _MOVES,
    "NOREPLICAS": "Redis has too few replicas, and takes no records",
    "MASTERDOWN": "this Redis is a replica without its master",
    "UNBLOCKED": "Redis has become a replica",
    "BUSY ": "Redis is busy with a script of another program",
    "DB index is out of range": "Redis has no database of that number",
    "unknown command": "this is no Redis, or it is too old",
}
"""Our words for other errors, by a part of their texts."""
