"""The servers of Redis of a test, which the test can stop, end and start again."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from discord_logging._backlogs.redis_store import RedisStore
from discord_logging._records.redis_address import parse_address
from tests.backlogs._stores import HOOK, opened
from tests.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


HOST = str(ipaddress.IPv4Address(0x7F000001 | os.getpid() << 1))
"""An address on loopback at which no other process of the tests listens."""
_ports = itertools.count(20_000)


def new_port() -> str:
    """Return a port at `HOST`, which is below those that the kernel gives away."""
    return str(next(_ports))


def find_program(name: str) -> str:
    """Return the path of a program, without which the test is skipped."""
    program = shutil.which(name)
    if program:
        return program
    if os.environ.get("REQUIRE_REDIS"):
        pytest.fail(f"REQUIRE_REDIS is set, but {name} is not installed")
    pytest.skip(f"needs {name} (Debian: apt install redis-server openssl)")


class Server:
    """A server that listens on a socket in a folder of its own, and keeps its data there if it is told to.

    Args:
        arguments: Arguments of the command line that are no options.
        options: Its options.
    """

    def __init__(self, *arguments: str, **options: str) -> None:
        # The name of a socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="dl-"))
        self.socket = self.folder / "s"
        own = {"port": "0", "bind": HOST, "unixsocket": str(self.socket), "save": "", "dir": str(self.folder)}
        self._options = {**own, **{name.replace("_", "-"): value for name, value in options.items()}}
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = None

    @property
    def url(self) -> str:
        """The URL."""
        return f"unix://{self.socket}"

    @property
    def port(self) -> str:
        """The port, at `HOST`."""
        return self._options["port"]

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        program = find_program("redis-server")
        # A Sentinel writes what it finds out into its file.
        (self.folder / "conf").touch()
        words = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        command = [program, str(self.folder / "conf"), *self._arguments, *words]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None
        with contextlib.suppress(redis.RedisError):
            return bool(self.tell("PING"))
        return False

    def tell(self, *command: Any) -> Any:
        """Run a command, and return the answer."""
        if self._client is None:
            password = self._options.get("requirepass")
            self._client = redis.Redis(
                unix_socket_path=str(self.socket), protocol=2, password=password, socket_timeout=60
            )
        return self._client.execute_command(*command)

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the server by SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._client is not None:
            self._client.close()
        self._client = None

    def pause(self) -> None:
        """Stop the server, which accepts connections and answers nothing from now on."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self.signal(signal.SIGCONT)

    def store(self, hook: str = HOOK, url: str = "") -> RedisStore:
        """Return an object for the store in it, which is patient unless a URL is given: the machine may be busy."""
        store = RedisStore(parse_address(url or f"{self.url}?socket_timeout=60"), hook)
        opened.append(store)
        return store


@contextlib.contextmanager
def serve(*arguments: str, **options: str) -> Iterator[Server]:
    """Run a server."""
    server = Server(*arguments, **options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.folder, ignore_errors=True)
