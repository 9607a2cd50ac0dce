"""This contract is all that a durable backlog knows of its store, which keeps records for several processes.

A store belongs to one webhook. A record is in it from the commit of `add` until the commit of `settle` or `tidy`. A
writer numbers its records, and the store knows each number that it was given: a record that is added again, after an
unclear failure or by a process that rescues those of a dead one, is stored once, and not again after it was settled.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from discord_logging._records.settings import DeliverySettings


ALONE = 100
"""The number that stands for a process which ended while it sent a record alone."""


class StoreError(Exception):
    """The store does not work at the moment. No record that it had accepted is lost by that.

    Attributes:
        reason: The reason in words.
        is_unclear: Whether the store may have done what it was asked for.
    """

    def __init__(self, reason: str, *, is_unclear: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_unclear = is_unclear


class NotLeadingError(StoreError):
    """Another process may send now, so that this one must not."""


class Writer(NamedTuple):
    """A process, as long as it lives without fork and exec."""

    name: str
    """A name that no other writer has."""
    host: str
    pid: int


class NewRecord(NamedTuple):
    """A record to store."""

    number: int
    """The number of the record within its writer, from 1."""
    levelno: int
    levelname: str
    created: float
    """When the record was accepted, on the wall clock."""
    size: int
    """The estimated size in memory, in bytes."""
    settings: str
    """The digest of the settings."""
    body: bytes
    """The record itself, which the store does not read."""
    count: int = 1  # type: ignore[assignment]  # no tuple of records is searched
    """The number of records that this one stands for."""
    tries: int = 0
    """See `Row.tries`."""


class Batch(NamedTuple):
    """Records that are stored together."""

    records: Sequence[NewRecord]
    last: int
    """The highest number in the batch. It is new with each batch: losses alone use up a number, too."""
    settings: Mapping[str, bytes] = MappingProxyType({})
    """The settings of all records, by digest, also if they were stored before. The store does not read them."""
    dropped: Mapping[tuple[str, str], int] = MappingProxyType({})
    """The number of this writer's records that cannot be stored, by reason and name of the level. They are counted if
    `last` is new to the store."""
    covers: Sequence[int] = ()
    """The other numbers that are settled by this batch: of dropped records, and of those that were folded into one. A
    number that no batch has or covers may come later, also if it is lower than the last."""


class Row(NamedTuple):
    """A stored record."""

    position: int
    """The position in the order of storing. No two records of a webhook ever have the same one."""
    writer: Writer
    number: int
    levelno: int
    levelname: str
    created: float
    size: int
    settings: str
    body: bytes
    count: int  # type: ignore[assignment]  # as above
    tries: int
    """The number of processes in a row that ended while they sent the record, each of which counts as `ALONE` if it
    sent no other record in the same message. Without one, 1 if the record may be in the channel, and else 0."""


class Tally(NamedTuple):
    """The end of a writer's records."""

    delivered: int
    dropped: Mapping[tuple[str, str], int]
    """The number of dropped records, by reason and name of the level."""


class Summary(NamedTuple):
    """The state of a store, as far as it is cheap to know."""

    waiting: int
    oldest: float | None
    """When the oldest record was accepted, on the wall clock."""
    workers: int
    """The number of writers that live, as far as it is known."""
    sender: tuple[str, int] | None
    """The host and the process id of the process that leads."""
    delivered: int
    """The number of delivered records of all writers that the store knows."""
    newest: tuple[int, ...]
    """The highest version of this package that a living writer has. See `workers.VERSION`."""


class Counts(NamedTuple):
    """The records that wait in a store, one by one, for the command line."""

    waiting: int
    bytes: int
    by_level: dict[str, int]
    by_writer: dict[str, int]
    """The number of waiting records by `host (pid)`."""


class Store(Protocol):
    """The records of one webhook. Every method but `after_fork_in_child` raises `StoreError`, and nothing else.

    An object is used by one thread at a time, and opens nothing before it is used.

    Attributes:
        kind: The name of the kind, for `health()`.
        hosts: The number of hosts whose processes use the store, as far as it is known; at least 1.
        has_hosts: Whether processes of other hosts may use the store, too, and go on when this one loses it.
        ahead: The seconds by which the wall clock that all processes share is ahead of the one of this machine.
        leads: Whether this process sends the records of the webhook.
        identity: An object that another store in the same place has not; `None` if none is open.
    """

    kind: str
    has_hosts: bool

    @property
    def hosts(self) -> int: ...

    @property
    def ahead(self) -> float: ...

    @property
    def identity(self) -> object: ...

    @property
    def leads(self) -> bool: ...

    # The keeper of each process

    def add(self, writer: Writer, batch: Batch) -> None:
        """Store the records whose numbers are new, count the losses, and note that the writer lives."""

    def is_settled(self, writer: Writer, number: int) -> bool:
        """Tell whether no record of the writer up to this number is left."""

    def tally(self, writer: Writer) -> Tally:
        """Return how the records of the writer ended."""

    def wish(self, writer: Writer, deadline: float) -> None:
        """Ask the sender to hurry until `deadline`, on the wall clock."""

    def checkpoint(self) -> None:
        """Make what was stored outlive a power cut. May wait for the disk."""

    def check(self) -> None:
        """Open the store anew if it was removed or replaced. Cheap."""

    def restore(self, rows: Sequence[Row], settings: Mapping[str, bytes]) -> None:
        """Store rows again where they were, after the store was damaged or removed; those that it has stay as they are.

        Args:
            rows: The rows.
            settings: Settings by their digest, also others than those of the rows.
        """

    # The sender

    def try_to_lead(self, writer: Writer) -> bool:
        """Become the one process that sends, if there is none, and return whether this process is it. Cheap."""

    def resign(self) -> None:
        """Leave the sending to another process."""

    def has_changed(self) -> bool:
        """Tell whether another object or process has changed the store since the last call. Cheap."""

    def read(self, after: int, limit: int) -> list[Row]:
        """Return the first records behind a position, in order. Records of a future format are left out."""

    def find_settings(self, digest: str) -> bytes | None:
        """Return settings by their digest."""

    def note_flight(self, rows: Sequence[Row], state: bytes, *, is_alone: bool) -> None:
        """Note that the records of a message are about to be sent, perhaps one record alone, and save the state.

        Raises:
            NotLeadingError: Another process may send them now.
        """

    def note_landing(self, rows: Sequence[Row], state: bytes, *, is_alone: bool, maybe_saved: bool) -> None:
        """Note that the same records wait again, and whether they may be in the channel, and save the state."""

    def settle(self, rows: Sequence[Row], reason: str | None = None, state: bytes | None = None) -> None:
        """Remove records that are still there, count them as delivered, or as dropped for a reason; save the state."""

    def tidy(self, max_bytes: int, max_age: float, now: float) -> list[int]:
        """Drop the records that are too old, then the least severe and oldest of too many; return their positions."""

    def load_state(self) -> bytes | None:
        """Return the state that was saved last."""

    def wishes(self, now: float) -> float | None:
        """Return the latest deadline that another process wishes for, on the wall clock, unless it is over."""

    def verify(self) -> None:
        """Repair the store if its parts contradict each other. Reads all of it."""

    # Everybody

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new settings. Any thread may call it."""

    def may_exist(self) -> bool:
        """Tell whether earlier processes may have left records. Opens nothing."""

    def may_send_alone(self, seconds: float) -> bool:
        """Tell whether this process may send what it has, now that the store has not worked for so many seconds."""

    def summary(self) -> Summary:
        """Return how many records wait, and for whom. Cheap."""

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Return all losses of the webhook ever, by reason and name of the level. Cheap."""

    def counts(self) -> Counts:
        """Count the records that wait. Reads all of them."""

    def close(self) -> None:
        """Close the store. It opens itself again at the next use; the process goes on leading."""

    def after_fork_in_child(self) -> None:
        """Forget what is open, for it belongs to the parent. Opens and closes nothing."""
