"""A Redis of a test, which the test can stop, end and start again."""

from __future__ import annotations

import contextlib
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


class Server:
    """A server that listens on a socket in a folder of its own, and keeps its data there if it is told to.

    Args:
        options: Its options.
    """

    def __init__(self, **options: str) -> None:
        # The name of a socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="dl-"))
        self.socket = self.folder / "s"
        self._options = {"port": "0", "unixsocket": str(self.socket), "save": "", "dir": str(self.folder), **options}
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = None

    @property
    def url(self) -> str:
        """The URL."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        program = shutil.which("redis-server")
        if not program:
            pytest.skip("needs redis-server (Debian: apt install redis-server)")
        words = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.tell("PING"))
        return False

    def tell(self, *command: Any) -> Any:
        """Run a command, and return the answer."""
        if self._client is None:
            password = self._options.get("requirepass")
            self._client = redis.Redis(unix_socket_path=str(self.socket), protocol=2, password=password)
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
def serve(**options: str) -> Iterator[Server]:
    """Run a server."""
    server = Server(**options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.folder, ignore_errors=True)
