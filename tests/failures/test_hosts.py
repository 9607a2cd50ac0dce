"""Two hosts of four processes each have one sender, whichever of them is cut off from their Redis: the example runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from discord_logging._backlogs.redis.lease import read_token
from tests.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces"),
]
SCRIPT = Path(__file__).parents[2] / "examples" / "hosts" / "namespaces.py"
WORKERS = {(host, worker) for host in "ab" for worker in "0123"}
SHORT, LONG = 4, 6
"""The seconds for which a host is cut off: longer than a lease, also of a message in flight, and too short for the host
to send alone."""
LATE = 2.0
"""The seconds by which a busy machine may be late."""


class Hosts:
    """The example, while it runs."""

    def __init__(self) -> None:
        command = [sys.executable, str(SCRIPT), "--seconds", "100"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        begun = self.read()
        if not begun:
            reason = self._process.communicate(timeout=60)[1].decode().strip()
            may_skip = reason.startswith("This machine") and not os.environ.get("REQUIRE_NAMESPACES")
            (pytest.skip if may_skip else pytest.fail)(reason)
        self._page, address = re.findall(r"\w+://[^\s,]+", begun)
        self._name = re.findall(r"dl\d+", self.read())[0]
        self._redis: Any = redis.Redis.from_url(address, protocol=2)

    def read(self) -> str:
        """Return the next line that the example prints, or an empty text at its end."""
        assert select.select([self._output], [], [], 60)[0]
        return self._output.readline().decode().strip()

    def tell(self, command: str) -> None:
        """Type a command."""
        self._input.write(f"{command}\n".encode())

    def cut(self, host: str, duration: int) -> Iterator[float]:
        """Cut a host off from Redis, and yield again and again for how many seconds it has been, until it is over."""
        self.tell(f"cut {host} {duration}")
        assert self.read() == f"cut {host}: begins"
        began = time.monotonic()
        while not select.select([self._output], [], [], 0.02)[0]:
            yield time.monotonic() - began
        assert self.read() == f"cut {host}: is over"

    def end(self, host: str) -> None:
        """End a host in order."""
        self.tell(f"end {host}")
        assert self.read() == f"end {host}: is over"

    def lease(self) -> tuple[str, float]:
        """Return the host that may send, or an empty text, and for how many seconds it may."""
        (head,) = self._redis.keys("dl1:{*}:head")
        key = head.removesuffix(b"head") + b"sender"
        holder, left = self._redis.pipeline().get(key).pttl(key).execute()
        named = read_token(holder or b"")
        return (named[0], left / 1_000) if named else ("", 0.0)

    def workers(self) -> int:
        """Return how many processes have stored records."""
        return len(self._redis.keys("dl1:{*}:writer:*"))

    def sent(self, host: str) -> dict[str, int]:
        """Return how many bytes a host has sent to the channel, by connection."""
        command = ["ip", "netns", "exec", f"{self._name}-{host}", "ss", "-tinOH", "dport = :8065"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return {own: int(count) for own, count in re.findall(r"(\S+) +\S+:8065 .*bytes_sent:(\d+)", listed)}

    def get(self, path: str) -> bytes:
        """Return a part of the page."""
        with urllib.request.urlopen(f"{self._page}{path}", timeout=20) as answer:  # noqa: S310 - it is on this machine
            content: bytes = answer.read()
        return content

    def refused(self) -> int:
        """Return how many requests were refused."""
        return len(json.loads(self.get("/messages"))["refused"])

    def texts(self) -> list[tuple[str, bool]]:
        """Return the text of each card in the channel, or of its file, and whether it may be a repeat."""
        return [
            (text.replace("\\", ""), "may be a repeat" in str(message["embeds"]))
            for message in json.loads(self.get("/messages"))["messages"]
            for text in [self.get(file["url"]).decode() for file in message["files"]]
            or [embed["description"] for embed in message["embeds"]]
        ]

    def interrupt(self) -> tuple[int, list[str]]:
        """Press Ctrl-C, and return the exit code, and the namespaces that are left."""
        self._redis.close()
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=60)
        command = ["ip", "netns", "list"]
        left = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return self._process.returncode, re.findall(rf"{self._name}\S+", left)

    def close(self) -> None:
        """End the example, if it has not ended."""
        self._redis.close()
        self._process.terminate()
        with contextlib.suppress(ValueError):  # it was read to its end
            self._process.communicate(timeout=60)


def orders_in(text: str) -> list[tuple[str, str, str]]:
    found = re.findall(r"Order (\d+) of worker (\d) on (\w)", text)
    return [(host, worker, number) for number, worker, host in found]


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    hosts = Hosts()
    try:
        yield hosts
    finally:
        hosts.close()


def test_one_host_sends_and_each_record_arrives_once_whichever_host_is_cut_off(hosts: Hosts) -> None:
    """First the host that does not send is cut off from Redis, and then the one that does."""
    wait_until(lambda: hosts.workers() == len(WORKERS) and hosts.lease()[0])
    first, _ = hosts.lease()
    (second,) = {"a", "b"} - {first}

    sent = hosts.sent(second)
    assert {hosts.lease()[0] for _ in hosts.cut(second, SHORT)} <= {first, ""}
    assert hosts.sent(second) == sent

    lasts, senders, taken_after = None, [first], float("inf")
    for seconds in hosts.cut(first, LONG):
        sender, left = hosts.lease()
        lasts = lasts or left
        if sender not in (senders[-1], ""):
            senders.append(sender)
            taken_after, sent = seconds, hosts.sent(first)
    assert senders == [first, second]
    assert lasts
    assert taken_after < lasts + LATE
    assert hosts.sent(first) == sent

    hosts.end("a")
    hosts.end("b")
    texts = hosts.texts()
    ends = re.findall(r"Worker (\d) on (\w) ends after (\d+) orders", str(texts))
    assert {(host, worker) for worker, host, _ in ends} == WORKERS
    logged = {(host, worker, str(number)) for worker, host, last in ends for number in range(1, int(last) + 1)}
    assert {order for text, _ in texts for order in orders_in(text)} == logged
    posted = Counter(order for text, is_repeat in texts for order in orders_in(text) if not is_repeat)
    assert {order: number for order, number in posted.items() if number > 1} == {}
    assert hosts.refused() == 0
    assert hosts.interrupt() == (0, [])
