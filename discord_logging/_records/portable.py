"""This module turns a frozen record into plain data, and back, for a store that other and later processes read.

The data consist of dicts with texts as keys, lists, texts, numbers, booleans and `None`, so that JSON keeps them.
Secrets are masked. The data contain the facts that only the process knows which logged: its host, its time zone, the
paths of its files, the source lines of its tracebacks. They contain no code, classes or settings. Settings are named by
a number, which is valid in that process alone, and by a digest, which is the same wherever settings show records alike.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from discord_logging._records.attachment import Attachment, map_attachments
from discord_logging._records.exceptions import FrozenException
from discord_logging._records.frames import Frame
from discord_logging._records.record import NO_DETAILS, Details, FrozenRecord, Origin, Snapshot
from discord_logging._records.values import UniqueText, UnquotedText, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from discord_logging._records.settings import CardSettings
    from discord_logging._records.values import Frozen

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_EXACT_INTEGER = 2**53
"""The first whole number that JavaScript and others read inexactly. `json` refuses a number of over 4,300 digits."""
_NUMBERS = ("levelno", "created", "lineno", "process")
_TEXTS = (
    *("message", "levelname", "name", "pathname", "threadName", "funcName", "processName", "taskName"),
    *("exc_text", "stack_info"),
)


def to_data(record: FrozenRecord) -> dict[str, Any]:
    """Return `record` as plain data. Reads source files. The backlog that keeps the record stores its counts."""
    settings, extra = record.settings, record.extra
    data: dict[str, Any] = {
        **{name: _text_or_none(getattr(record, name)) for name in _TEXTS},
        **{name: _number_or_text(getattr(record, name)) for name in _NUMBERS},
        "message": record.logged,
        "body": None if record.message == record.logged else record.message,
        "template": record.template,
        "extra": map_attachments(dict(extra), lambda each: each.masked(settings.masker)) if extra else None,
    }
    data = {name: _to_data(value) for name, value in data.items()}
    data["settings"] = [settings.number, settings.digest]
    data["origin"] = [_to_data(value) for value in record.origin]
    data["exceptions"] = _link(record.exception, record)
    return {name: value for name, value in data.items() if value is not None}


def from_data(data: Mapping[str, Any], find_settings: Callable[[int, str], CardSettings]) -> FrozenRecord:
    """Return the record that `to_data` turned into `data`.

    Args:
        data: The data.
        find_settings: Returns the settings for a number, of the process that logged, and a digest.

    Raises:
        KeyError, TypeError, ValueError: `data` does not come from `to_data`.
    """
    parts = {name: _from_data(data.get(name)) for name in (*_TEXTS, *_NUMBERS, "template", "extra", "body")}
    texts = {name: parts.pop(name) for name in ("extra", "exc_text", "stack_info", "body")}
    details = Details(exception=_unlink(data.get("exceptions", ())), **texts)
    snapshot = Snapshot(
        settings=find_settings(*data["settings"]),
        relativeCreated=None,
        details=NO_DETAILS if details == NO_DETAILS else details,
        **parts,
    )
    if snapshot.message is None:
        raise KeyError("message")
    return FrozenRecord(snapshot, Origin(*map(_from_data, data["origin"])))


def _text_or_none(value: object) -> str | None:
    return None if value is None else to_text(value)


def _number_or_text(value: object) -> float | str | None:
    return value if type(value) in (int, float, bool) else _text_or_none(value)  # type: ignore[return-value]  # a number


def _to_data(value: Frozen) -> Any:
    """Return a frozen value as JSON keeps it. A value without a form in JSON becomes an object with its type as key."""
    write = _WRITERS.get(type(value))
    return write(value) if write else value


_WRITERS: dict[type, Callable[[Any], Any]] = {
    # Two lone surrogates, a high one and a low one, would become one character on their way through JSON.
    str: lambda text: {"escaped": text.encode("unicode_escape").decode()} if _SURROGATE.search(text) else text,
    Attachment: lambda attachment: {"attachment": attachment.to_data()},
    UnquotedText: lambda text: {"words": _to_data(str(text))},
    UniqueText: lambda text: {"unique": _to_data(str(text))},
    tuple: lambda items: {"tuple": [*map(_to_data, items)]},
    list: lambda items: [*map(_to_data, items)],
    dict: lambda items: {"dict": [[_to_data(name), _to_data(value)] for name, value in items.items()]},
    float: lambda number: number if math.isfinite(number) else {"float": str(number)},
    int: lambda number: number if abs(number) < _EXACT_INTEGER else {"int": hex(number)},
}
_READERS: dict[str, Callable[[Any], Frozen]] = {
    "attachment": Attachment.from_data,
    "escaped": lambda text: text.encode().decode("unicode_escape"),
    "words": lambda text: UnquotedText(_from_data(text)),
    "unique": lambda text: UniqueText(_from_data(text)),
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
            "type_name": _to_data(each.type_name),
            "text": _to_data(record.mask(each.text)),
            "notes": [_to_data(record.mask(note)) for note in each.notes],
            "frames": [_frame_to_data(frame, record) for frame in each.stack],
            "cause": each.cause and index[id(each.cause)],
            "context": each.context and index[id(each.context)],
            "members": [index[id(member)] for member in each.members],
        }
        for each in found
    ]


def _frame_to_data(frame: Frame, record: FrozenRecord) -> list[Any]:
    *place, lines, variables = frame
    texts = [*map(_to_data, place), _to_data(record.mask("\n".join(lines)))]
    return [*texts, [[*map(_to_data, each)] for each in variables]] if variables else texts


def _unlink(data: Sequence[Mapping[str, Any]]) -> FrozenException | None:
    found = [
        FrozenException(
            _from_data(each["type_name"]),
            _from_data(each["text"]),
            tuple(map(_from_data, each["notes"])),
            frames=[_frame_from_data(frame) for frame in each["frames"]],
        )
        for each in data
    ]
    for exception, each in zip(found, data, strict=True):
        cause, context = (None if index is None else found[index] for index in (each["cause"], each["context"]))
        exception.link(cause, context, tuple(found[index] for index in each["members"]))
    return found[0] if found else None


def _frame_from_data(data: Sequence[Any]) -> Frame:
    *place, lines, variables = map(_from_data, data if len(data) == len(Frame._fields) else (*data, []))
    return Frame._make((*place, tuple(lines.split("\n")), tuple(map(tuple, variables))))
