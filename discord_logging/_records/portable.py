"""This module turns a frozen record into plain data, and back, for a store that other and later processes read.

The data consist of dicts with texts as keys, lists, texts, numbers, booleans and `None`, so that JSON keeps them.
Secrets are masked. The data contain the facts that only the process knows which logged: its host, its time zone, the
paths of its files, the source lines of its tracebacks. They contain no code, classes or settings. Settings are named by
a number, which is valid in that process alone, and by a digest, which is the same wherever settings show records alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from discord_logging._records.exceptions import FrozenException
from discord_logging._records.frames import Frame
from discord_logging._records.record import NO_DETAILS, Details, FrozenRecord, Origin, Snapshot
from discord_logging._records.values import UnquotedText, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from discord_logging._records.settings import CardSettings
    from discord_logging._records.values import Frozen

_EXACT_INTEGER = 2**53
"""The first whole number that JavaScript and others read inexactly. `json` refuses a number of over 4,300 digits."""
_TEXTS = ("name", "pathname", "threadName", "funcName", "processName", "taskName")


def to_data(record: FrozenRecord) -> dict[str, Any]:
    """Return `record` as plain data. Reads source files. The backlog that keeps the record stores its counts."""
    settings, extra = record.settings, record.extra
    data = {
        "message": record.message,
        "levelno": record.levelno,
        "levelname": record.levelname,
        **{name: _text_or_none(getattr(record, name)) for name in _TEXTS},
        "lineno": _to_data(_number_or_text(record.lineno)),
        "process": _to_data(_number_or_text(record.process)),
        "created": _to_data(record.created),
        "settings": [settings.number, settings.digest],
        "template": record.mask(record.template),
        "origin": list(record.origin),
        "extra": extra and _to_data(dict(extra)),
        "exceptions": _link(record.exception, record),
        "exc_text": record.exc_text,
        "stack_info": record.stack_info,
    }
    return {name: value for name, value in data.items() if value is not None}


def from_data(data: Mapping[str, Any], find_settings: Callable[[int, str], CardSettings]) -> FrozenRecord:
    """Return the record that `to_data` turned into `data`.

    Args:
        data: The data.
        find_settings: Returns the settings for a number, of the process that logged, and a digest.

    Raises:
        KeyError, TypeError, ValueError: `data` does not come from `to_data`.
    """
    parts: dict[str, Any] = {name: data.get(name) for name in Snapshot._fields}
    parts.update({name: _from_data(parts[name]) for name in ("lineno", "process", "created")})
    details = Details(
        _from_data(data.get("extra")), _unlink(data.get("exceptions", ())), data.get("exc_text"), data.get("stack_info")
    )
    parts["message"] = data["message"]
    parts["settings"] = find_settings(*data["settings"])
    parts["details"] = details if any(details) else NO_DETAILS
    return FrozenRecord(Snapshot(**parts), Origin(*data["origin"]))


def _text_or_none(value: object) -> str | None:
    return None if value is None else to_text(value)


def _number_or_text(value: object) -> int | str | None:
    return value if type(value) is int else _text_or_none(value)


def _to_data(value: Frozen) -> Any:
    """Return a frozen value as JSON keeps it. A value without a form in JSON becomes an object with its type as key."""
    write = _WRITERS.get(type(value))
    return write(value) if write else value


_WRITERS: dict[type, Callable[[Any], Any]] = {
    UnquotedText: lambda text: {"words": str(text)},
    tuple: lambda items: {"tuple": [*map(_to_data, items)]},
    list: lambda items: [*map(_to_data, items)],
    dict: lambda items: {"dict": [[_to_data(name), _to_data(value)] for name, value in items.items()]},
    float: lambda number: number if math.isfinite(number) else {"float": str(number)},
    int: lambda number: number if abs(number) < _EXACT_INTEGER else {"int": hex(number)},
}
_READERS: dict[str, Callable[[Any], Frozen]] = {
    "words": UnquotedText,
    "tuple": lambda items: tuple(map(_from_data, items)),
    "dict": lambda items: {_from_data(name): _from_data(value) for name, value in items},
    "float": float,
    "int": lambda text: int(text, 16),
}


def _from_data(data: Any) -> Any:
    if isinstance(data, list):
        return [_from_data(each) for each in data]
    if isinstance(data, dict):
        ((kind, value),) = data.items()
        return _READERS[kind](value)
    return data


def _link(exception: FrozenException | None, record: FrozenRecord) -> list[dict[str, Any]] | None:
    """Return an exception and all linked exceptions, each with the indices of its cause, context and members.

    The result is one flat list, since a chain may be longer than the stack is deep.
    """
    if exception is None:
        return None
    found = exception.linked()
    index = {id(each): number for number, each in enumerate(found)}
    return [
        {
            "type_name": each.type_name,
            "text": record.mask(each.text),
            "notes": [record.mask(note) for note in each.notes],
            "frames": [[*frame[:-1], _mask_lines(frame, record)] for frame in each.stack],
            "cause": each.cause and index[id(each.cause)],
            "context": each.context and index[id(each.context)],
            "members": [index[id(member)] for member in each.members],
        }
        for each in found
    ]


def _mask_lines(frame: Frame, record: FrozenRecord) -> list[str]:
    return record.mask("\n".join(frame.lines)).split("\n")


def _unlink(data: Sequence[Mapping[str, Any]]) -> FrozenException | None:
    found = [
        FrozenException(
            each["type_name"],
            each["text"],
            tuple(each["notes"]),
            frames=[Frame._make((*frame, tuple(lines))) for *frame, lines in each["frames"]],
        )
        for each in data
    ]
    for exception, each in zip(found, data, strict=True):
        exception.cause = None if each["cause"] is None else found[each["cause"]]
        exception.context = None if each["context"] is None else found[each["context"]]
        exception.members = tuple(found[index] for index in each["members"])
    return found[0] if found else None
