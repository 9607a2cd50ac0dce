"""A store in memory that processes of a test share, and such processes, whose threads run in the thread of the test."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest

from discord_logging import EmbedFormatter
from discord_logging._backlogs.ring import held
from discord_logging._backlogs.store import ALONE, Counts, Row, StoreError, Summary, Tally
from discord_logging._backlogs.stored import StoredBacklog
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings, DeliverySettings
from tests.backlogs._stores import HOOK, opened

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from discord_logging._backlogs.base import Resumable
    from discord_logging._backlogs.entry import Entry
    from discord_logging._backlogs.store import Batch, Store, Writer

CARDS = CardSettings(EmbedFormatter())
_positions = itertools.count(1)
_moments = itertools.count(1)


class File:
    """The content of a store."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.numbers: dict[Writer, set[int]] = {}
        self.delivered: Counter[Writer] = Counter()
        self.dropped: dict[Writer, Counter[tuple[str, str]]] = {}
        self.losses: Counter[tuple[str, str]] = Counter()
        self.settings: dict[str, bytes] = {}
        self.state: bytes | None = None
        self.wish: float | None = None
        self.changes: Counter[int] = Counter()

    def copy(self) -> File:
        """Return another file with the same content."""
        copy = File()
        vars(copy).update({name: each.copy() if hasattr(each, "copy") else each for name, each in vars(self).items()})
        copy.numbers = {writer: numbers.copy() for writer, numbers in self.numbers.items()}
        copy.dropped = {writer: dropped.copy() for writer, dropped in self.dropped.items()}
        return copy

    def lose(self, writer: Writer, kind: tuple[str, str], number: int) -> None:
        """Count losses of a writer."""
        self.dropped.setdefault(writer, Counter())[kind] += number
        self.losses[kind] += number


class Disk:
    """The place of the store, with its lock.

    Attributes:
        file: The present file.
        leader: The process that has the lock.
        reason: The reason why no call works, or "".
        works_for: The number of calls that work before all fail, or `None`.
        calls: The names of the methods that were called.
        workers: The number of processes that live.
        newest: The highest version that one of them has.
    """

    def __init__(self) -> None:
        self.file = File()
        self.leader: object = None
        self.reason = ""
        self.may_exist = True
        self.works_for: int | None = None
        self.calls: list[str] = []
        self.workers = 1
        self.newest: tuple[int, ...] = ()

    def fail(self, after: int = 0) -> None:
        """Let all calls fail after a number of calls that work."""
        self.works_for = after

    def work(self) -> None:
        """Let all calls work."""
        self.works_for = None

    def replace(self, *, keeps_content: bool) -> None:
        """Put another file in place of the present one."""
        self.file = self.file.copy() if keeps_content else File()

    def open(self, process: object) -> Store:
        """Return an object for the store."""
        return FakeStore(self, process)

    def call(self, name: str) -> None:
        """Note a call, and fail if it is time to.

        Raises:
            StoreError: The store does not work.
        """
        self.calls.append(name)
        if self.works_for is not None:
            self.works_for -= 1
            if self.works_for < 0:
                raise StoreError("the disk is full")


class FakeStore:
    """An object for the store. See `Store`."""

    def __init__(self, disk: Disk, process: object) -> None:
        self._disk = disk
        self._process = process
        self._open: File | None = None
        self._seen: object = None

    kind, has_hosts, hosts, ahead = "sqlite", False, 1, 0.0

    @property
    def identity(self) -> object:
        """The open file."""
        return self._open

    @property
    def leads(self) -> bool:
        """Whether the process has the lock."""
        return self._disk.leader is self._process

    def _use(self, name: str) -> File:
        self._disk.call(name)
        self._open = self._disk.file
        return self._open

    def _change(self, name: str) -> File:
        file = self._use(name)
        file.changes[id(self)] += 1
        return file

    def add(self, writer: Writer, batch: Batch) -> None:
        """Store the records whose numbers are new, and count the losses."""
        file = self._change("add")
        numbers = file.numbers.setdefault(writer, set())
        if batch.last not in numbers:
            for kind, number in batch.dropped.items():
                file.lose(writer, kind, number)
        for record in batch.records:
            if record.number not in numbers:
                position = next(_positions)
                file.rows[position] = Row(position, writer, *record[:7], count=record.count, tries=record.tries)
        numbers.update(record.number for record in batch.records)
        numbers.update(batch.covers, [batch.last])
        file.settings.update(batch.settings)

    def restore(self, rows: Sequence[Row], settings: Mapping[str, bytes]) -> None:
        """Store rows again where they were."""
        file = self._change("restore")
        for row in rows:
            present = {(each.writer, each.number) for each in file.rows.values()}
            if row.position not in file.rows and (row.writer, row.number) not in present:
                file.rows[row.position] = row
                file.numbers.setdefault(row.writer, set()).add(row.number)
        file.settings.update(settings)

    def is_settled(self, writer: Writer, number: int) -> bool:
        """Tell whether no record of the writer up to this number is left."""
        rows = self._use("is_settled").rows.values()
        return not any(row.writer == writer and row.number <= number for row in rows)

    def tally(self, writer: Writer) -> Tally:
        """Return how the records of the writer ended."""
        file = self._use("tally")
        return Tally(file.delivered[writer], dict(file.dropped.get(writer, {})))

    def wish(self, writer: Writer, deadline: float) -> None:  # noqa: ARG002 - part of the contract
        """Ask the sender to hurry until `deadline`."""
        file = self._change("wish")
        file.wish = max(file.wish or 0.0, deadline)

    def checkpoint(self) -> None:
        """Do nothing."""
        self._use("checkpoint")

    def check(self) -> None:
        """Open the present file."""
        self._use("check")

    def try_to_lead(self, writer: Writer) -> bool:  # noqa: ARG002 - part of the contract
        """Take the lock if nobody has it."""
        if self._disk.leader is None:
            self._change("try_to_lead")
            self._disk.leader = self._process
        return self.leads

    def resign(self) -> None:
        """Give the lock back."""
        if self.leads:
            self._disk.leader = None

    def has_changed(self) -> bool:
        """Tell whether another object has changed the store since the last call."""
        if self._open is None:
            self._use("has_changed")
        else:
            self._disk.call("has_changed")
        assert self._open
        found = self._open, self._open.changes.total() - self._open.changes[id(self)]
        has_changed, self._seen = found != self._seen, found
        return has_changed

    def read(self, after: int, limit: int) -> list[Row]:
        """Return the first records behind a position."""
        rows = self._use("read").rows
        return [rows[position] for position in sorted(rows) if position > after][:limit]

    def find_settings(self, digest: str) -> bytes | None:
        """Return settings by their digest."""
        return self._use("find_settings").settings.get(digest)

    def note_flight(self, rows: Sequence[Row], state: bytes, *, is_alone: bool) -> None:
        """Note that the records are about to be sent."""
        file = self._change("note_flight")
        file.state = state
        for row in _present(file, rows):
            file.rows[row.position] = row._replace(tries=row.tries + (ALONE if is_alone else 1))

    def note_landing(self, rows: Sequence[Row], state: bytes, *, is_alone: bool, maybe_saved: bool) -> None:
        """Note that the records wait again."""
        file = self._change("note_landing")
        file.state = state
        for row in _present(file, rows):
            tries = max(int(maybe_saved), min(row.tries - (ALONE if is_alone else 1), 1))
            file.rows[row.position] = row._replace(tries=tries)

    def settle(self, rows: Sequence[Row], reason: str | None = None, state: bytes | None = None) -> None:
        """Remove records that are still there, and count them."""
        file = self._change("settle")
        file.state = file.state if state is None else state
        for row in _present(file, rows):
            self._end(file, row, reason)

    def _end(self, file: File, row: Row, reason: str | None) -> None:
        del file.rows[row.position]
        if reason:
            file.lose(row.writer, (reason, row.levelname), row.count)
        else:
            file.delivered[row.writer] += row.count

    def tidy(self, max_bytes: int, max_age: float, now: float) -> list[int]:
        """Drop the records that are too old or too many."""
        file = self._use("tidy")
        gone = [row for row in file.rows.values() if row.created < now - max_age]
        for row in gone:
            self._end(file, row, "too_old")
        for row in sorted(file.rows.values(), key=lambda row: (row.levelno, row.position)):
            if sum(each.size for each in file.rows.values()) > max_bytes:
                self._end(file, row, "queue_full")
                gone.append(row)
        file.changes[id(self)] += bool(gone)
        return [row.position for row in gone]

    def verify(self) -> None:
        """Do nothing."""
        self._use("verify")

    def load_state(self) -> bytes | None:
        """Return the state that was saved last."""
        return self._use("load_state").state

    def wishes(self, now: float) -> float | None:
        """Return the latest deadline that another process wishes for."""
        wish = self._use("wishes").wish
        return wish if wish is not None and wish > now else None

    def configure(self, settings: DeliverySettings) -> None:
        """Do nothing."""

    def may_exist(self) -> bool:
        """Tell whether there may be records."""
        return self._disk.may_exist

    def may_send_alone(self, seconds: float) -> bool:  # noqa: ARG002 - part of the contract
        """Tell that the process may."""
        return True

    def summary(self) -> Summary:
        """Return how many records wait."""
        rows = self._use("summary").rows.values()
        oldest = min((row.created for row in rows), default=None)
        return Summary(
            sum(row.count for row in rows),
            oldest,
            self._disk.workers,
            ("web-1", 1) if self._disk.leader else None,
            self._disk.file.delivered.total(),
            self._disk.newest,
        )

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Return all losses ever."""
        return dict(self._use("losses").losses)

    def counts(self) -> Counts:
        """Return nothing: no backlog calls it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the store."""
        self._open = self._seen = None

    def after_fork_in_child(self) -> None:
        """Forget what is open."""
        self._open = self._seen = None


def _present(file: File, rows: Sequence[Row]) -> list[Row]:
    found = (file.rows.get(row.position) for row in rows)
    return [row for row, given in zip(found, rows, strict=True) if row and row[1:3] == given[1:3]]


class FakeDelivery:
    """The delivery of a process, which only remembers what it is told."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []
        self.restored: list[Any] = []
        self.isolated: list[tuple[list[Entry], bool]] = []

    def export(self, ahead: float = 0.0) -> dict[str, Any]:  # noqa: ARG002 - part of the contract
        """Return a state."""
        return {"reported": []}

    def restore(self, data: Any, ahead: float = 0.0) -> None:  # noqa: ARG002 - as above
        """Remember a state."""
        self.restored.append(data)

    def isolate(self, entries: Sequence[Entry], *, plain: bool) -> None:
        """Remember the suspects."""
        self.isolated.append((list(entries), plain))


class FakeThread:
    """The thread of a keeper, which runs while another thread waits for its end."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def is_alive(self) -> bool:
        """Tell that nobody has to start the thread."""
        return True

    def join(self, timeout: float) -> None:  # noqa: ARG002 - no time passes
        """Run for a while."""
        keeper = self._process.backlog.keeper
        for _ in range(5):
            if keeper._may_end():
                return
            keeper.step()


class Process:
    """A process with a backlog, whose threads run in the thread of the test.

    Args:
        disk: The place of the store.
        settings: The settings of the webhook.
        ring_place: The name that the rings share.
    """

    def __init__(self, disk: Disk, settings: DeliverySettings | None = None, ring_place: str = "00") -> None:
        self.disk = disk
        self.delivery = FakeDelivery()
        self.wakes = 0
        self.backlog = StoredBacklog(self._open_store, "/backlog", ring_place, HOOK)
        self.backlog.delivery = cast("Resumable", self.delivery)
        self.backlog.wake_listener = self._wake
        self.backlog.configure(settings or bounds())
        self.backlog.keeper._start = self._start  # type: ignore[method-assign]
        self._start()

    def _open_store(self) -> Store:
        return self.disk.open(self)

    def _wake(self) -> bool:
        self.wakes += 1
        return True

    def _start(self) -> None:
        self.backlog.keeper._thread = cast("threading.Thread", FakeThread(self))

    @property
    def writer(self) -> Writer:
        """The name of the process."""
        return self.backlog.arrivals.writer

    def log(self, text: str, levelno: int = logging.ERROR) -> None:
        """Log a record."""
        self.backlog.put(frozen(text, levelno))

    def step(self) -> None:
        """Run the keeper once."""
        self.backlog.keeper.step()

    def recover(self) -> None:
        """Run the keeper once, and let it try a store that did not work again."""
        self.backlog.keeper._recovery._retry_at = self.backlog.keeper._maintain_at = float("-inf")
        self.step()

    def deliver(self) -> list[str]:
        """Deliver what may leave in a message, and return the texts."""
        entries = self.backlog.lease() if self.backlog.is_ready else []
        self.backlog.note_flight(entries)
        self.backlog.ack(entries)
        return [entry.record.message for entry in entries]

    def die(self) -> None:
        """Let the kernel free the locks of the process, which does nothing any more."""
        held.pop(self.backlog.arrivals._ring._key, None)
        if self.disk.leader is self:
            self.disk.leader = None

    def fork(self) -> None:
        """Become a child whose parent has died right after the fork."""
        self.die()
        self.backlog.after_fork_in_child()
        self._start()


def bounds(**given: Any) -> DeliverySettings:
    """Return settings without repeats, but for those that are given."""
    return DeliverySettings(**{"repeat_window": 0.0, **given})


def frozen(text: str, levelno: int = logging.ERROR, **attributes: Any) -> tuple[Any, ...]:
    """Return a record as a caller freezes it."""
    values = {"name": "shop", "msg": text, "levelno": levelno, "levelname": logging.getLevelName(levelno)}
    record = logging.makeLogRecord({**values, **attributes})
    # Two events at the same moment share these numbers only if they are one event.
    record.relativeCreated = float(next(_moments))
    return freeze(record, CARDS)


class Clock:
    """The monotonic clock of a test."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """Return the time that the test sets."""
        return self.now


@pytest.fixture(autouse=True)
def _closed_stores() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that all of the package reads from now on."""
    clock = Clock()
    monkeypatch.setattr("discord_logging._process.clock.monotonic", clock.monotonic)
    monkeypatch.setattr("discord_logging._process.clock.sleep", lambda _: None)
    return clock


@pytest.fixture(autouse=True)
def _no_rings() -> Iterator[None]:
    """Let the rings go that a test has opened."""
    before = set(held)
    yield
    for key in set(held) - before:
        del held[key]
