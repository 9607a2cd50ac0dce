"""This module packs records for a store, and unpacks them in the process that sends."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.rescue import rescue
from discord_logging._backlogs.store import Batch, NewRecord, Writer
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._cards.finish import finish
from discord_logging._process.diagnostics import warn
from discord_logging._records.flat import load
from discord_logging._records.portable import from_data, to_json
from discord_logging._records.settings import CardSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from discord_logging._backlogs.rescue import LostRing
    from discord_logging._backlogs.store import Row, Store
    from discord_logging._records.record import FrozenRecord


LAST = 2**62
"""A number beyond those of all records, for losses. Behind it, the rings of a dead process have numbers for theirs."""


class Parcel:
    """Records of one writer that are stored together.

    Args:
        losses: The number of records that were dropped before, by reason and name of the level.
    """

    def __init__(self, losses: Mapping[tuple[Any, str], int]) -> None:
        self._records: list[NewRecord] = []
        self._settings: dict[str, bytes] = {}
        self._known: dict[Hashable, Any] = {}
        self._covered: list[int] = []
        self._dropped: Counter[tuple[Any, str]] = Counter(losses)

    def cover(self, numbers: Iterable[int]) -> None:
        """Tell the store that these numbers stand for no record."""
        self._covered += numbers

    def add(self, record: FrozenRecord, numbers: Sequence[int], since: float, *, is_repeat: bool = False) -> None:
        """Pack a record, for which its settings, formatter and source files are read.

        Args:
            record: The record.
            numbers: The numbers of the records that it stands for.
            since: When the record was accepted, on the wall clock, from which on its age counts.
            is_repeat: Whether the record may be in the channel already.
        """
        number, *others = numbers
        settings = record.settings
        try:
            body = to_json(finish(record), self._known)
            facts = number, record.levelno, record.levelname, since, record.size, settings.digest, body
            if settings.digest not in self._settings:
                self._settings[settings.digest] = json.dumps(settings.to_data()).encode()
        except Exception:  # noqa: BLE001 - the user's objects may raise anything
            warn("A record cannot be stored, and is dropped", exc_info=True)
            self._dropped["unreadable", "?"] += len(numbers)
            self._covered += numbers
            return
        self._covered += others
        self._records.append(NewRecord(*facts, count=len(numbers), tries=int(is_repeat)))

    @property
    def has_losses(self) -> bool:
        """Whether records were dropped, before or since they cannot be stored."""
        return self._dropped.total() > 0

    def batch(self, last: int) -> Batch:
        """Return the batch. Its highest number is `last`."""
        return Batch(self._records, last, self._settings, self._dropped, self._covered)


def read_settings(data: bytes) -> CardSettings:
    """Return settings of another process.

    Raises:
        KeyError, TypeError, ValueError: The data are damaged.
    """
    return CardSettings.from_data(json.loads(data), EmbedFormatter())


def _read_all_settings(data: Mapping[int, bytes]) -> Iterator[tuple[int, CardSettings]]:
    for number, each in data.items():
        # Another version of the package may have written them.
        with contextlib.suppress(Exception):
            yield number, read_settings(each)


def unpack(row: Row, find_settings: Callable[[str], CardSettings]) -> FrozenRecord:
    """Return a record from the store.

    Raises:
        KeyError, TypeError, ValueError: The data are damaged.
    """
    return from_data(json.loads(row.body), find_settings(row.settings))


def pack_lost(ring: LostRing) -> tuple[Writer, Batch]:
    """Return the records of a dead process, and that process. Its records that cannot be read count as damaged."""
    host, pid = ring.head.get("host", "?"), ring.head.get("pid", 0)
    writer = Writer(ring.writer, str(host), pid if isinstance(pid, int) else 0)
    known = dict(_read_all_settings(ring.settings))
    found, damaged = [], ring.damaged
    for number, data in ring.records:
        try:
            found.append((number, load(data, known.__getitem__)))
        except Exception:  # noqa: BLE001, PERF203 - another version of the package has written it
            damaged += 1
    parcel = Parcel({("damaged", "?"): damaged} if damaged else {})
    now = time.time()
    for number, record in found:
        # A record may have any time of its own, such as one that is not a number.
        parcel.add(record, [number], since=record.created if 0 < record.created < now else now)
    last = LAST + ring.ordinal if parcel.has_losses else max((number for number, _ in found), default=0)
    return writer, parcel.batch(last)


def store_lost(store: Store, ring_place: str) -> Iterator[int]:
    """Store the records of all dead processes, and yield their number for each process.

    Raises:
        StoreError: The store does not work. The records are where they were.
    """
    for ring in rescue(ring_place):
        writer, batch = pack_lost(ring)
        store.add(writer, batch)
        ring.remove()
        yield len(batch.records)
