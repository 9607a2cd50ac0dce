"""The store in Redis, which the processes of all hosts share."""

from __future__ import annotations

import contextlib
import json
import random
import time
import weakref
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.redis import entries, lease
from discord_logging._backlogs.redis.connection import Connection
from discord_logging._backlogs.redis.entries import encode, id_of, level_of, to_text
from discord_logging._backlogs.store import ALONE, Counts, NotLeadingError, StoreError, Summary, Tally, Writer
from discord_logging._backlogs.workers import is_alive
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

    def __init__(self, address: Address, hook: str) -> None:
        self._address, self._hook = address, hook
        self._timeout = DeliverySettings.timeout
        self._redis = Connection(address, hook)
        # The processes that begin to send alone do not all begin at the same moment.
        self.patience = _PATIENCE + random.uniform(0.0, _SPREAD)  # noqa: S311 - the number is not a secret
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Forget what is open, for it belongs to the parent. Opens and closes nothing."""
        self._redis.forget()
        self._checked = ""  # the identity of the data that the keeper has made whole
        self._known: str | None = None  # the identity of the data that the following are about
        self._changed_at = float("-inf")  # when they became other ones
        self._acked: dict[str, int] = {}  # the last number of each writer that Redis has
        self._settings_at: dict[str, float] = {}
        self._writers: dict[str, Writer] = {}
        self._recent: deque[tuple[float, int, Writer, Batch]] = deque()
        self._recent_bytes = 0
        self._seen = -1  # the number of changes that this object knows
        self._most = 0  # the largest number of changes ever
        self._glance: list[Any] = []
        self._unasked: set[str] = set()  # the questions that the last glance has not answered yet
        self._writer: Writer | None = None
        self._beat_at = self._sweep_at = float("-inf")

    @property
    def _part(self) -> lease.Part:
        return lease.part_of(self._address.shown, self._hook)

    @property
    def ahead(self) -> float:
        """The seconds by which the clock of Redis is ahead of the one of this machine."""
        return self._part.ahead

    @property
    def identity(self) -> object:
        """An object that another store in the same place has not; `None` if none is open."""
        return self._redis.identity

    @property
    def leads(self) -> bool:
        """Whether this object sends the records of the webhook."""
        part = self._part
        return part.is_held() and part.owner is not None and part.owner() is self

    def _run_checked(self, name: str, *args: str | bytes | float) -> list[Any]:
        """Run a script that must not work with other data before the keeper has made them whole."""
        try:
            return self._run(name, *args, identity=self._checked)
        except StoreError:
            # The keeper finds other data by `check`.
            self._checked = ""
            raise

    def _run(self, name: str, *args: str | bytes | float, identity: str = "") -> list[Any]:
        result = self._redis.run(name, *args, identity=identity)
        if self._redis.identity != self._known:
            self._changed_at = float("-inf") if self._known is None else clock.monotonic()
            self._known = self._redis.identity
            self._acked, self._seen, self._most = {}, -1, 0
            self._settings_at.clear()
            self._writers.clear()
        self._most = max(self._most, self._redis.changes)
        return result

    def _change(self, name: str, *args: str | bytes | float) -> list[Any]:
        """Run a script that changes something once. One's own changes are known."""
        result = self._run(name, *args)
        if self._redis.changes == self._seen + 1:
            self._seen += 1
        return result

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
        self._writer, now = writer, time.time()
        for part in entries.portions(batch):
            digests = [digest for digest in part.settings if now - self._settings_at.get(digest, 0.0) > _DAY]
            (last,) = self._change("add", *entries.pack_batch(writer, part, digests))
            self._acked = {writer.name: int(last)}
            self._settings_at.update(dict.fromkeys(digests, now))

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
            self._change("restore", encode(facts), encode(digests), self._part.token, *values)
            digests = []

    def is_settled(self, writer: Writer, number: int) -> bool:
        """Tell whether no record of the writer up to this number is left."""
        (is_settled,) = self._run_checked("settled", writer.name, entries.number_of(number))
        return bool(is_settled)

    def tally(self, writer: Writer) -> Tally:
        """Return how the records of the writer ended."""
        fields = self._fields(f"writer:{writer.name}")
        return Tally(int(fields.get(b"delivered", 0)), entries.losses_of(fields, b"lost\0"))

    def wish(self, writer: Writer, deadline: float) -> None:
        """Ask the sender to hurry until `deadline`, on the wall clock."""
        self._change("wish", repr(deadline), entries.beat_of(writer))
        self._unasked.clear()

    def checkpoint(self) -> None:
        """Do nothing: Redis itself writes to its disk, as often as it is told to."""

    def check(self) -> None:
        """Find out whether Redis has other data than before, or lacks some. Cheap."""
        self._ask("check")
        self._checked = self._redis.identity or ""

    # What is asked for several times a second

    def _ask(self, question: str) -> list[Any]:
        """Return the last glance, unless it has answered the same question: one serves all questions of a step."""
        if question not in self._unasked or self._redis.identity is None:
            self._look()
        self._unasked.discard(question)
        return self._glance

    def _look(self) -> None:
        known, most, acked = self._known, self._most, next(iter(self._acked.items()), ("", 0))
        settled = self._part.settled
        name = acked[0] or (self._writer.name if self._writer else "")
        self._glance = self._run("glance", name)
        self._unasked = {"changed", "check", "wish", "lead"}
        self._part.note_time(int(self._glance[4]) / 1e6)
        if known is None or known != self._redis.identity:
            return
        is_settled = settled[0] != known or int(self._glance[0]) >= settled[1]
        if self._redis.changes < most or not is_settled or int(self._glance[1]) < acked[1]:
            # A replica that had not received all has taken the place of the server.
            self._run("renew", known)

    def has_changed(self) -> bool:
        """Tell whether another object or process has changed the store since the last call. Cheap."""
        self._ask("changed")
        has_changed, self._seen = self._seen != self._redis.changes, self._redis.changes
        return has_changed

    def wishes(self, now: float) -> float | None:
        """Return the latest deadline that another process wishes for, on the wall clock, unless it is over."""
        wish = float(self._ask("wish")[2] or "-inf")
        return wish if wish > now else None

    def try_to_lead(self, writer: Writer) -> bool:
        """Become the one process that sends, if there is none, and return whether this process is it. Cheap."""
        part = self._part
        self._writer = writer
        with part.guard:
            owner = part.owner and part.owner()
            # Another handler of this process may have the same Redis, with another token of the webhook.
            if part.is_held() and owner not in (None, self):
                return False
            began = clock.monotonic()
            if part.is_held() and owner is self and began < part.renew_at:
                return True
            if not part.is_held() and began < self._changed_at + lease.LENGTH:
                # Redis may have lost the lease, too. The process that has it knows the records.
                return False
            holder = b"" if part.is_held() else self._ask("lead")[3]
            is_dead = bool(holder) and lease.has_ended(holder)
            if holder and not is_dead and holder != part.token.encode():
                part.owner = None
                return False
            part.token = part.token or lease.new_token(writer)
            began = clock.monotonic()
            (leads,) = self._run("lead", part.token, holder if is_dead else "", round(lease.LENGTH * 1_000))
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
                self._run("resign", token)
            self._unasked.clear()

    # The sender

    def read(self, after: int, limit: int) -> list[Row]:
        """Return the first records behind a position, in order. Records of a future format are left out."""
        while True:
            bounds = after, limit, entries.VERSION, entries.MAX_VALUE, _READ_BYTES
            found, damaged = self._run_checked("read", *bounds)
            rows = []
            for name, tries, value in found:
                if row := entries.unpack(name, tries, value, self._find_writer):
                    rows.append(row)
                else:
                    damaged.append(name)
            if damaged:
                # The loss is counted, and told in the channel.
                self._change("discard", encode([name.decode("ascii", "replace") for name in damaged]))
            if rows or not damaged:
                return rows

    def _find_writer(self, name: str) -> Writer:
        if name not in self._writers:
            host, pid = self._redis.call("HMGET", f"writer:{name}", "host", "pid")
            self._writers[name] = Writer(name, (host or b"?").decode("utf-8", "replace"), int(pid or 0))
        return self._writers[name]

    def find_settings(self, digest: str) -> bytes | None:
        """Return settings by their digest."""
        found: bytes | None = self._redis.call("HGET", "settings", to_text(digest))
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
            (is_noted,) = self._change("fly", *arguments)
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
        self._change("fly", *arguments)

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
        (settled,) = self._change("settle", *arguments)
        part.note_settled(self._known or "", settled)

    def tidy(self, max_bytes: int, max_age: float, now: float) -> list[int]:
        """Drop the records that are too old, then the least severe and oldest of too many; return their positions."""
        unused: float | str = ""
        if now - self._sweep_at > _HOUR:
            unused = round((now - max(_KEPT, max_age + _DAY)) * 1e6)
            self._sweep_at = now
        dropped: list[int] = []
        while True:
            bounds = repr(now - max_age), max_bytes, _PORTION, unused
            (portion,) = self._change("tidy", *bounds)
            if not portion:
                return dropped
            dropped += [int(name.partition(b":")[0]) for name in portion]

    def load_state(self) -> bytes | None:
        """Return the state that was saved last."""
        state: bytes | None = self._redis.call("HGET", "head", "state")
        return state

    def verify(self) -> None:
        """Repair the store if its parts contradict each other. Reads all of it."""
        self._run("glance", "")
        cursor, changes, waiting, size = b"0", self._redis.changes, 0, 0
        while True:
            cursor, *totals = self._run("verify", cursor)
            waiting, size = waiting + int(totals[0]), size + int(totals[1])
            if cursor == b"0":
                break
        self._run("recount", changes, waiting, size)

    # Everybody

    def configure(self, settings: DeliverySettings) -> None:
        """Apply new settings: the password may be another one, and a request may take longer."""
        self._timeout = settings.timeout
        if settings.backlog and settings.backlog != self._address.url:
            self._address = self._redis.address = parse_address(settings.backlog)

    def may_exist(self) -> bool:
        """Tell whether earlier processes may have left records. Opens nothing."""
        return True

    def summary(self) -> Summary:
        """Return how many records wait, and for whom. Cheap."""
        now, beat = clock.monotonic(), ""
        if self._writer and now > self._beat_at + _BEAT:
            beat, self._beat_at = entries.beat_of(self._writer), now
        waiting, _, oldest, heard, holder = self._run("summary", beat)
        return Summary(
            max(int(waiting), 0), float(oldest) if oldest else None, _count_alive(heard), lease.read_token(holder)
        )

    def losses(self) -> dict[tuple[str, str], int]:
        """Return all losses of the webhook ever, by reason and name of the level. Cheap."""
        return entries.losses_of(self._fields("losses"))

    def counts(self) -> Counts:
        """Count what is in the store."""
        _, _, _, heard, holder = self._run("summary", "")
        by_level, by_writer = Counter[str](), Counter[str]()
        cursor, size, created = b"0", 0, list[float]()
        while True:
            cursor, found, bytes_, oldest = self._run("count", cursor)
            _add_up(by_level, by_writer, found)
            size += int(bytes_)
            created += [float(oldest)] if oldest else []
            if cursor == b"0":
                break
        writers = {name: self._find_writer(name) for name in by_writer}
        named = Counter[str]()
        for name, count in by_writer.items():
            named[f"{writers[name].host} ({writers[name].pid})"] += count
        return Counts(
            waiting=sum(by_level.values()),
            bytes=size,
            oldest=min(created, default=None),
            by_level=dict(by_level),
            by_writer=dict(named),
            workers=_count_alive(heard),
            sender=lease.read_token(holder),
            dropped=self.losses(),
        )

    def _fields(self, key: str) -> dict[bytes, bytes]:
        found: Any = self._redis.call("HGETALL", key)
        return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))

    def close(self) -> None:
        """Close the store. It opens itself again at the next use; the process goes on leading."""
        self._redis.close()


def _count_alive(heard: Sequence[bytes]) -> int:
    """Return how many processes live, which are given as JSON, each followed by the seconds of its silence."""
    found = zip((json.loads(name) for name in heard[::2]), map(float, heard[1::2]), strict=True)
    return sum(is_alive(str(host), int(pid), silence) for (host, pid), silence in found)


def _add_up(by_level: Counter[str], by_writer: Counter[str], found: bytes) -> None:
    data = json.loads(found)
    by_level.update(data["by_level"])
    by_writer.update(data["by_writer"])


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
