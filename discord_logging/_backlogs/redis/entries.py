"""This module turns records into the values and arguments that the scripts know, and back.

A value is the version of its format, a line of JSON with the facts about the record, and its body.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from discord_logging._backlogs.store import Row, Writer
from discord_logging._backlogs.workers import is_alive, read_version
from discord_logging._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from discord_logging._backlogs.store import Batch, NewRecord

VERSION = b"1"
"""The highest version of a value that this code can read."""
MAX_VALUE = 64_000_000
"""The size of the largest value that is read, in bytes."""
_HIGHEST = 5
_MAX_INTEGER = 2**53 - 1
"""The largest whole number that the numbers of the scripts hold."""
_MAX_NUMBER = 2**52
_PORTION, _PORTION_BYTES = 500, 4_000_000
"""The largest number of records, and of their bytes, that one script stores."""

encode = json.JSONEncoder(separators=(",", ":")).encode


def level_of(levelno: int) -> int:
    """Return the level of a record among the levels that are dropped one after another, the least severe first."""
    return max(0, min(levelno, 10 * _HIGHEST)) // 10


def to_text(text: str) -> str:
    """Return a text that UTF-8 has."""
    return text.encode("utf-8", "replace").decode()


def number_of(number: int) -> int:
    """Return the number of a record or batch as the scripts can hold it: those of lost rings are beyond 2**62."""
    return number if number < _MAX_NUMBER else _MAX_NUMBER + number % _MAX_NUMBER


def pack(writer: Writer, record: NewRecord | Row) -> tuple[list[Any], bytes]:
    """Return the facts about a record that `add` takes, and its value."""
    number, levelno = number_of(record.number), _to_integer(record.levelno)
    size, count = max(_to_integer(record.size), 0), max(_to_integer(record.count), 0)
    created = record.created if math.isfinite(record.created) else 0.0
    line = [number, levelno, to_text(record.levelname), created, size, to_text(record.settings), count, writer.name]
    value = b"%s%s\n%s" % (VERSION, encode(line).encode(), record.body)
    return [number, level_of(levelno), size, count, record.tries], value


def unpack(name: bytes, tries: bytes, value: bytes, find_writer: Callable[[str], Writer]) -> Row | None:
    """Return a record, or `None` if it is damaged.

    Args:
        name: The name of the record in Redis: its position and its number.
        tries: See `Row.tries`.
        value: The value.
        find_writer: Returns a writer by its name.
    """
    line, _, body = value[len(VERSION) :].partition(b"\n")
    try:
        position, number, tried = *map(int, name.split(b":")), int(tries)
        own, levelno, levelname, created, size, settings, count, writer = json.loads(line)
        facts = own, levelno, levelname, float(created), size, settings, count, writer
    except (TypeError, ValueError, RecursionError):
        return None
    if tuple(map(type, facts)) != (int, int, str, float, int, str, int, str) or own != number:
        return None
    return Row(position, find_writer(writer), own, levelno, levelname, facts[3], size, settings, body, count, tried)


def id_of(row: Row) -> str:
    """Return the name of a record in Redis."""
    return f"{row.position}:{row.number}"


def _to_integer(number: int) -> int:
    return max(-_MAX_INTEGER, min(int(number), _MAX_INTEGER))


def portions(batch: Batch) -> Iterator[Batch]:
    """Yield the parts of a batch, each of which one script stores. The last one has the losses and the last number."""
    records = sorted(batch.records, key=lambda record: record.number == batch.last)
    settings = batch.settings
    for first, end in _cut([len(record.body) for record in records]):
        if end == len(records):
            yield batch._replace(records=records[first:end], settings=settings)
        else:
            yield batch._replace(records=records[first:end], settings=settings, last=0, covers=(), dropped={})
            settings = {}
    if not records:
        yield batch


def _cut(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = total = 0
    for index, size in enumerate(sizes):
        if index > first and (index - first >= _PORTION or total + size > _PORTION_BYTES):
            yield first, index
            first, total = index, 0
        total += size
    if first < len(sizes):
        yield first, len(sizes)


def pack_batch(writer: Writer, batch: Batch, digests: Sequence[str]) -> list[str | bytes]:
    """Return a part of a batch as arguments of `add`.

    Args:
        writer: The writer.
        batch: The part.
        digests: The digests of the settings to store.
    """
    packed = [pack(writer, record) for record in batch.records]
    facts = {
        "records": [each for each, _ in packed],
        "last": number_of(batch.last),
        "covers": [number_of(number) for number in batch.covers],
        "dropped": [[to_text(reason), to_text(level), count] for (reason, level), count in batch.dropped.items()],
        "settings": [to_text(digest) for digest in digests],
    }
    values = [value for _, value in packed] + [batch.settings[digest] for digest in digests]
    return [writer.name, writer.host, str(writer.pid), beat_of(writer), encode(facts), *values]


def beat_of(writer: Writer) -> str:
    """Return the name of a process among those that live."""
    return encode([writer.host, writer.pid, __version__])


def losses_of(fields: dict[bytes, bytes], prefix: bytes = b"") -> dict[tuple[str, str], int]:
    """Return numbers of lost records by reason and name of the level."""
    found = {}
    for name, count in fields.items():
        if name.startswith(prefix):
            reason, _, level = name[len(prefix) :].decode("utf-8", "replace").partition("\0")
            found[reason, level] = int(count)
    return found


def read_workers(heard: Sequence[bytes]) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    """Yield the hosts, ids and versions of living processes, given as JSON, each followed by how long it was silent."""
    for name, silence in zip(heard[::2], heard[1::2], strict=True):
        host, pid, version, *_ = json.loads(name)
        if is_alive(str(host), int(pid), float(silence)):
            yield str(host), int(pid), read_version(str(version))
