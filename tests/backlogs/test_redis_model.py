"""The same as in `test_stored_model`, with the store in Redis."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discord_logging._backlogs.redis import lease
from discord_logging._backlogs.redis_store import RedisStore
from discord_logging._records.redis_address import Address, parse_address
from tests.backlogs.conftest import Disk, File
from tests.backlogs.test_stored_model import Machine, Worker, steps

if TYPE_CHECKING:
    from discord_logging._backlogs.store import Store, Writer

pytestmark = pytest.mark.once
_hooks = itertools.count(1)


class OneOfMany(RedisStore):
    """A store of one of the processes that this process plays, which fails when the test says so.

    Args:
        disk: The place of the store.
        part: The part of the process in the sending.
    """

    def __init__(self, disk: RedisDisk, part: lease.Part) -> None:
        self._disk = disk
        self._own_part = part
        super().__init__(disk.address, disk.hook)
        run = self._session.run

        def run_if_it_works(name: str, *args: Any, identity: str = "") -> list[Any]:
            disk.call(name)
            return run(name, *args, identity=identity)

        self._session.run = run_if_it_works  # type: ignore[method-assign]
        self._patience = 11.0

    @property
    def _part(self) -> lease.Part:
        return self._own_part

    def try_to_lead(self, writer: Writer) -> bool:
        """Let a lease run out first, as the server does by its own clock."""
        self._disk.expire()
        return super().try_to_lead(writer)


class RedisDisk(Disk):
    """The records of one webhook in Redis, as the test looks at them."""

    address: Address

    def __init__(self) -> None:
        self.hook = f"discord.com/{next(_hooks)}"
        self.may_repeat: set[tuple[Writer, int]] = set()
        self._parts: dict[int, tuple[object, lease.Part]] = {}
        self._reader = RedisStore(self.address, self.hook)
        super().__init__()

    def open(self, process: object) -> Store:
        """Return an object for the store."""
        _, part = self._parts.setdefault(id(process), (process, lease.Part()))
        return OneOfMany(self, part)

    def expire(self) -> None:
        """End a lease that nobody has renewed in time. It covers a message in flight, however long that takes."""
        leader: Any = self.leader
        if not leader or not (leader.flying or self._parts[id(leader)][1].is_held()):
            self._reader._session.connection.call("DEL", "sender")
            for process, _ in self._parts.values():
                self._note_repeats(cast("Worker", process))

    def _note_repeats(self, process: Worker) -> None:
        # Redis could not be told of their end, and the next process that leads sends them again.
        unsettled = [row for rows, _ in process.backlog.unsettled for row in rows]
        self.may_repeat.update((row.writer, row.number) for row in unsettled)

    @property
    def file(self) -> File:
        """What is in the store at the moment."""
        file = File()
        rows = self._reader.read(0, 100_000)
        file.rows = {row.position: row for row in rows}
        file.losses = Counter(self._reader.losses())
        file.dropped = cast("dict[Writer, Counter[tuple[str, str]]]", _Dropped(self._reader))
        return file

    @file.setter
    def file(self, _: File) -> None:
        """Begin without records."""

    def replace(self, *, keeps_content: bool) -> None:
        """Let Redis have other data."""
        if keeps_content:
            self._reader._session.run("glance", "")
            self._reader._session.run("renew", str(self._reader.identity))
        else:
            for key in self._reader._session.connection.scan(f"dl1:{{{self.hook}}}:*"):
                self._reader._session.connection._execute("DEL", key)

    @property
    def leader(self) -> object:
        """The process that has the lease."""
        token = self._reader._session.connection.call("GET", "sender")
        parts = self._parts.values()
        return next((process for process, part in parts if token and part.token.encode() == token), None)

    @leader.setter
    def leader(self, _: object) -> None:
        if hasattr(self, "_reader"):
            self._reader._session.connection.call("DEL", "sender")


class _Dropped:
    """The losses of each writer."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def get(self, writer: Writer, _: object) -> Counter[tuple[str, str]]:
        """Return the losses of a writer."""
        return Counter(self._store.tally(writer).dropped)


class RedisMachine(Machine):
    """Some processes, perhaps of several hosts, on one Redis."""

    disk: RedisDisk

    def __init__(self, size: int, window: float) -> None:
        super().__init__(size, window)
        self.disk.may_repeat = self.may_repeat

    def new_disk(self) -> RedisDisk:
        """Return the place of the store."""
        return RedisDisk()

    def end(self) -> None:
        """Leave no ring and no connection behind."""
        super().end()
        for worker in [*self.workers, *self.gone]:
            for store in (worker.backlog._store, worker.backlog.keeper._store):
                store.close()
        self.disk._reader.close()

    def fork(self, which: int, _: int = 0) -> None:
        """Fork a process, and kill the parent."""
        super().fork(which)
        worker = self.workers[which]
        process, _part = self.disk._parts[id(worker)]
        part = lease.Part()
        self.disk._parts[id(worker)] = process, part
        for store in (worker.backlog._store, worker.backlog.keeper._store):
            store._own_part = part  # type: ignore[attr-defined]  # it is one of above


class LosingRedisMachine(RedisMachine):
    """The same, with a Redis that loses all."""

    MAY_LOSE_STORE = True


@pytest.mark.parametrize("machine", [RedisMachine, LosingRedisMachine])
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(size=st.sampled_from([3, 6, 1_000]), window=st.sampled_from([0.0, 60.0]), steps=steps)
def test_every_record_is_delivered_or_dropped_once(
    redis_url: str, machine: type[RedisMachine], size: int, window: float, steps: list[tuple[str, int, int]]
) -> None:
    """The processes log, store, send, end, fork and close; Redis fails, works again, and has other data."""
    RedisDisk.address = parse_address(f"{redis_url}?socket_timeout=60")
    machine(size, window).play(steps)
