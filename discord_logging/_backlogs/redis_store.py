"""The store in Redis, which the processes of all hosts share."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
import weakref
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.redis import entries, lease
from discord_logging._backlogs.redis.connection import Connection
from discord_logging._backlogs.redis.entries import encode, id_of, level_of, to_text
from discord_logging._backlogs.redis.session import Session
from discord_logging._backlogs.store import ALONE, Counts, NotLeadingError, StoreError, Summary, Tally, Writer
from discord_logging._process import clock
from discord_logging._records.redis_address import parse_address
from discord_logging._records.settings import DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from discord_logging._backlogs.store import Batch, Row
    from discord_logging._records.redis_address import Address

_HOUR, _DAY = 3_600.0, 86_400.0
_KEPT = 30 * _DAY
"""For how long unused settings are kept, in seconds."""
_RECENT, _RECENT_BYTES = 30.0, 4_000_000
"""For how many seconds, and how many bytes, records are kept that Redis may lose although it has them."""
_BEAT = 10.0
"""The seconds after which a process is heard of again."""
_PATIENCE, _SPREAD = 10.0, 3.0
"""The seconds after which a process sends alone, and the largest number of seconds that are added by chance."""
_TURN = 2.0
"""The seconds within which the processes of one host send alone. The others do so as many seconds later."""
_PORTION = 1_000
"""How many records are dropped in one transaction, so that others can write in between."""
_READ_BYTES = 4_000_000
"""How many bytes are read at a time, but for a record that is larger."""


class RedisStore:
    """The records of one webhook in Redis. See `Store`.

    Args:
        address: The address of Redis.
        hook: The name of the webhook.
    """

    kind = "redis"
    has_hosts = True

    def __init__(self, address: Address, hook: str) -> None:
        self._address, self._hook = address, hook
        self._timeout = DeliverySettings.timeout
        self._session = Session(address, hook, lambda: self._part)
        self._hosts = [socket.gethostname()]
        # The processes that begin to send alone do not all begin at the same moment.
        self._patience = _PATIENCE + random.uniform(0.0, _SPREAD)  # noqa: S311 - the number is not a secret
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Forget what is open, for it belongs to the parent. Opens and closes nothing."""
        self._session.forget()
        self._recent: deque[tuple[float, int, Writer, Batch]] = deque()
        self._recent_bytes = 0
        self._beat_at = self._sweep_at = float("-inf")

    @property
    def _part(self) -> lease.Part:
        return lease.part_of(self._address.shown, self._hook)

    @property
    def ahead(self) -> float:
        """The seconds by which the clock of Redis is ahead of the one of this machine."""
        return self._part.ahead

    @property
    def hosts(self) -> int:
        """The number of hosts whose processes use the store, as far as it is known; at least 1."""
        return len(self._hosts)

    @property
    def identity(self) -> object:
        """An object that another store in the same place has not; `None` if none is open."""
        return self._session.connection.identity

    @property
    def leads(self) -> bool:
        """Whether this object sends the records of the webhook."""
        part = self._part
        return part.is_held() and part.owner is not None and part.owner() is self

    # The keeper of each process

    def add(self, writer: Writer, batch: Batch) -> None:
        """Store the records whose numbers are new, count the losses, and note that the writer lives."""
        self._add(writer, batch)
        now, size = clock.monotonic(), sum(len(record.body) for record in batch.records) + 1_000
        self._recent.append((now, size, writer, batch))
        self._recent_bytes += size
        while self._recent and (self._recent[0][0] < now - _RECENT or self._recent_bytes > _RECENT_BYTES):
            self._recent_bytes -= self._recent.popleft()[1]

    def _add(self, writer: Writer, batch: Batch) -> None:
        self._session.writer, now, has_added = writer, time.time(), False
        for part in entries.portions(batch):
            digests = [digest for digest in part.settings if now - self._session.settings_at.get(digest, 0.0) > _DAY]
            try:
                (last,) = self._session.change("add", *entries.pack_batch(writer, part, digests))
            except StoreError as error:
                error.is_unclear |= has_added
                raise
            has_added = True
            self._session.note_acked(writer, int(last))
            self._session.settings_at.update(dict.fromkeys(digests, now))

    def restore(self, rows: Sequence[Row], settings: Mapping[str, bytes]) -> None:
        """Store rows again where they were, after the store was damaged or removed."""
        # This comes first: what is delivered must not come again.
        for _, settled, reason in list(self._part.lately):
            self._settle(settled, reason, None, anew=True)
        for _, _, writer, batch in list(self._recent):
            self._add(writer, batch)
        digests = list(settings)
        for first in range(0, max(len(rows), 1), _PORTION):
            portion = rows[first : first + _PORTION]
            packed = [(row, *entries.pack(row.writer, row)) for row in portion]
            facts = [[row.position, *each, row.writer.name, row.writer.host, row.writer.pid] for row, each, _ in packed]
            values = [value for _, _, value in packed] + [settings[digest] for digest in digests]
            self._session.change("restore", encode(facts), encode(digests), self._part.token, *values)
            digests = []

    def is_settled(self, writer: Writer, number: int) -> bool:
        """Tell whether no record of the writer up to this number is left."""
        (is_settled,) = self._session.run_checked("settled", writer.name, entries.number_of(number))
        return bool(is_settled)

    def tally(self, writer: Writer) -> Tally:
        """Return how the records of the writer ended."""
        fields = self._fields(f"writer:{writer.name}")
        return Tally(int(fields.get(b"delivered", 0)), entries.losses_of(fields, b"lost\0"))

    def wish(self, writer: Writer, deadline: float) -> None:
        """Ask the sender to hurry until `deadline`, on the wall clock."""
        self._session.change("wish", repr(deadline), entries.beat_of(writer))
        self._session.forget_glance()

    def checkpoint(self) -> None:
        """Do nothing: Redis itself writes to its disk, as often as it is told to."""

    def check(self) -> None:
        """Find out whether Redis has other data than before, or lacks some. Cheap."""
        self._session.check()

    # Questions that come several times a second

    def has_changed(self) -> bool:
        """Tell whether another object or process has changed the store since the last call. Cheap."""
        return self._session.has_changed()

    def wishes(self, now: float) -> float | None:
        """Return the latest deadline that another process wishes for, on the wall clock, unless it is over."""
        wish = self._session.ask("wish").wish
        return wish if wish > now else None

    def try_to_lead(self, writer: Writer) -> bool:
        """Become the one process that sends, if there is none, and return whether this process is it. Cheap."""
        self._session.writer = writer
        with self._part.guard.hold() as is_held:
            # Another thread, or the one that a signal handler has interrupted, is about to find out.
            return self._try_to_lead(writer) if is_held else self.leads

    def _try_to_lead(self, writer: Writer) -> bool:
        part = self._part
        owner = part.owner and part.owner()
        # Another handler of this process may have the same Redis, with another token of the webhook.
        if part.is_held() and owner not in (None, self):
            return False
        began = clock.monotonic()
        if part.is_held() and owner is self and began < part.renew_at:
            return True
        if not part.is_held() and began < self._session.changed_at + lease.LENGTH:
            # Redis may have lost the lease, too. The process that has it knows the records.
            return False
        holder = b"" if part.is_held() else self._session.ask("lead").holder
        is_dead = bool(holder) and lease.has_ended(holder)
        if holder and not is_dead and holder != part.token.encode():
            part.owner = None
            return False
        part.token = part.token or lease.new_token(writer)
        began = clock.monotonic()
        (leads,) = self._session.run("lead", part.token, holder if is_dead else "", round(lease.LENGTH * 1_000))
        part.owner = weakref.ref(self) if leads else None
        if leads:
            part.until, part.renew_at = max(part.until, began + lease.LENGTH), began + lease.RENEWAL
        else:
            part.until = float("-inf")
        return bool(leads)

    def resign(self) -> None:
        """Leave the sending to another process."""
        part = self._part
        if part.owner is not None and part.owner() is self:
            token = part.token
            part.give_back()
            with contextlib.suppress(StoreError):
                self._session.run("resign", token)
            self._session.forget_glance()

    # The sender

    def read(self, after: int, limit: int) -> list[Row]:
        """Return the first records behind a position, in order. Records of a future format are left out."""
        while True:
            bounds = after, limit, entries.VERSION, entries.MAX_VALUE, _READ_BYTES
            found, damaged = self._session.run_checked("read", *bounds)
            rows = []
            for name, tries, value in found:
                if row := entries.unpack(name, tries, value, self._find_writer):
                    rows.append(row)
                else:
                    damaged.append(name)
            if damaged:
                # The loss is counted, and told in the channel.
                self._session.change("discard", encode([name.decode("utf-8", "replace") for name in damaged]))
            if rows or not damaged:
                return rows

    def _find_writer(self, name: str) -> Writer:
        if name not in self._session.writers:
            host, pid = self._session.connection.call("HMGET", f"writer:{name}", "host", "pid")
            self._session.writers[name] = Writer(name, (host or b"?").decode("utf-8", "replace"), int(pid or 0))
        return self._session.writers[name]

    def find_settings(self, digest: str) -> bytes | None:
        """Return settings by their digest."""
        found: bytes | None = self._session.connection.call("HGET", "settings", to_text(digest))
        return found

    def note_flight(self, rows: Sequence[Row], state: bytes, *, is_alone: bool) -> None:
        """Note that the records of a message are about to be sent, perhaps one record alone, and save the state.

        Raises:
            NotLeadingError: Another process may send them now.
        """
        part, began = self._part, clock.monotonic()
        length, token = self._timeout + lease.MARGIN, part.token
        ids = encode([id_of(row) for row in rows])
        try:
            arguments = token, round(length * 1_000), state, ALONE if is_alone else 1, 0, ids
            (is_noted,) = self._session.change("fly", *arguments)
        except StoreError as error:
            if token:
                raise NotLeadingError(error.reason) from None
            raise
        if not is_noted or (token and clock.monotonic() > began + lease.MARGIN / 2):
            part.until = float("-inf")
            raise NotLeadingError(f"{self._address.shown}: another process sends")
        if token:
            part.until = max(part.until, began + length)

    def note_landing(self, rows: Sequence[Row], state: bytes, *, is_alone: bool, maybe_saved: bool) -> None:
        """Note that the same records wait again, and whether they may be in the channel, and save the state."""
        ids, step = encode([id_of(row) for row in rows]), ALONE if is_alone else 1
        self._land()
        arguments = self._part.token, round(lease.LENGTH * 1_000), state, -step, int(maybe_saved), ids
        self._session.change("fly", *arguments)

    def _land(self) -> None:
        part = self._part
        part.until = min(part.until, clock.monotonic() + lease.LENGTH)

    def settle(self, rows: Sequence[Row], reason: str | None = None, state: bytes | None = None) -> None:
        """Remove records that are still there, count them as delivered, or as dropped for a reason; save the state."""
        if rows or state is not None:
            # This comes first: Redis may lose what it is told now.
            self._part.remember(rows, reason)
            self._settle(rows, reason, state, anew=False)

    def _settle(self, rows: Sequence[Row], reason: str | None, state: bytes | None, *, anew: bool) -> None:
        part = self._part
        facts = [
            [
                *(id_of(row), row.number, level_of(row.levelno), row.size, row.count),
                *(row.writer.name, to_text(row.levelname)),
            ]
            for row in rows
        ]
        token = ""
        if state is not None:
            self._land()
            token = part.token
        has_state, length = str(int(state is not None)), round(lease.LENGTH * 1_000)
        arguments = reason or "", has_state, state or b"", token, length, str(int(anew)), encode(facts)
        (settled,) = self._session.change("settle", *arguments)
        self._session.note_settled(settled)

    def tidy(self, max_bytes: int, max_age: float, now: float) -> list[int]:
        """Drop the records that are too old, then the least severe and oldest of too many; return their positions."""
        unused: float | str = ""
        if now - self._sweep_at > _HOUR:
            unused = round((now - max(_KEPT, max_age + _DAY)) * 1e6)
            self._sweep_at = now
        dropped: list[int] = []
        while True:
            bounds = repr(now - max_age), max_bytes, _PORTION, unused
            (portion,) = self._session.change("tidy", *bounds)
            if not portion:
                return dropped
            dropped += [int(name.partition(b":")[0]) for name in portion]

    def load_state(self) -> bytes | None:
        """Return the state that was saved last."""
        state: bytes | None = self._session.connection.call("HGET", "head", "state")
        return state

    def verify(self) -> None:
        """Repair the store if its parts contradict each other. Reads all of it."""
        self._session.run("glance", "")
        cursor, changes, waiting, size = b"0", self._session.connection.changes, 0, 0
        while True:
            cursor, *totals = self._session.run("verify", cursor)
            waiting, size = waiting + int(totals[0]), size + int(totals[1])
            if cursor == b"0":
                break
        self._session.run("recount", changes, waiting, size)

    # Everybody

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new settings: the password may be another one, and a request may take longer."""
        self._timeout = settings.timeout
        if settings.backlog and settings.backlog != self._address.url:
            self._address = self._session.connection.address = parse_address(settings.backlog)

    def may_exist(self) -> bool:
        """Tell whether earlier processes may have left records. Opens nothing."""
        return True

    def may_send_alone(self, seconds: float) -> bool:
        """Tell whether this process may send what it has, now that Redis has not worked for so many seconds.

        The hosts take turns, for they do not know of each other's requests.
        """
        if seconds < self._patience or self.hosts == 1:
            return seconds >= self._patience
        turn, passed = divmod(time.time() + self.ahead, 2 * _TURN)
        return self._hosts[int(turn) % len(self._hosts)] == socket.gethostname() and passed < _TURN

    def summary(self) -> Summary:
        """Return how many records wait, and for whom. Cheap."""
        now, beat = clock.monotonic(), ""
        if self._session.writer and now > self._beat_at + _BEAT:
            beat, self._beat_at = entries.beat_of(self._session.writer), now
        waiting, _, oldest, heard, holder, delivered = self._session.run("summary", beat)
        workers = list(entries.read_workers(heard))
        self._hosts = sorted({socket.gethostname(), *(host for host, *_ in workers)})
        oldest = float(oldest) if oldest else None
        newest = max((version for *_, version in workers), default=())
        sender = lease.read_token(holder)
        return Summary(max(int(waiting), 0), oldest, len(workers), sender, int(delivered), newest)

    def losses(self) -> dict[tuple[str, str], int]:
        """Return all losses of the webhook ever, by reason and name of the level. Cheap."""
        return entries.losses_of(self._fields("losses"))

    def counts(self) -> Counts:
        """Count the records that wait. Reads all of them."""
        by_level, by_writer = Counter[str](), Counter[str]()
        cursor, size = b"0", 0
        while True:
            cursor, found, bytes_ = self._session.run("count", cursor)
            counted = json.loads(found)
            by_level.update(counted["by_level"])
            for name, count in dict(counted["by_writer"]).items():
                writer = self._find_writer(name)
                by_writer[f"{writer.host} ({writer.pid})"] += count
            size += int(bytes_)
            if cursor == b"0":
                return Counts(by_level.total(), size, dict(by_level), dict(by_writer))

    def _fields(self, key: str) -> dict[bytes, bytes]:
        found: Any = self._session.connection.call("HGETALL", key)
        return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))

    def close(self) -> None:
        """Close the store. It opens itself again at the next use; the process goes on leading."""
        self._session.connection.close()


def find_hooks(address: Address) -> list[str]:
    """Return the names of all webhooks whose records a Redis keeps.

    Raises:
        StoreError: Redis cannot be read.
    """
    connection = Connection(address, "")
    try:
        names = connection.scan("dl1:{*}:head")
    finally:
        connection.close()
    texts = (name.decode("utf-8", "replace") for name in names)
    return sorted(text[len("dl1:{") : -len("}:head")] for text in texts)
