"""This module turns a frozen record into plain data, and back, for a store that other and later processes read.

The data consist of dicts with texts as keys, lists, texts, numbers, booleans and `None`, so that JSON keeps them.
Secrets are masked. The data contain the facts that only the process knows which logged: its host, its time zone, the
paths of its files, the source lines of its tracebacks, and the card if a formatter of the user's own has made it. They
contain no code, classes or settings. Whoever keeps the data names the settings beside them, by their digest, which is
the same wherever settings show records alike.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from discord_logging._records.attachment import map_attachments
from discord_logging._records.exceptions import FrozenException
from discord_logging._records.frames import Frame
from discord_logging._records.json_values import reading, value_from_data, value_to_data
from discord_logging._records.record import NO_DETAILS, Details, FrozenRecord, Origin, Snapshot
from discord_logging._records.stored_card import StoredCard
from discord_logging._records.values import to_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from discord_logging._records.settings import CardSettings

_TEXTS = ("levelname", "name", "pathname", "threadName", "funcName", "processName", "taskName")
_NUMBERS = ("levelno", "lineno", "process")
_ALL = (*_TEXTS, *_NUMBERS, "created", "message", "template", "body", "extra", "exc_text", "stack_info")
_encode = json.JSONEncoder(separators=(",", ":")).encode
"""The encoder is made once, which takes as long as encoding a record."""


def to_json(record: FrozenRecord, known: dict[Hashable, Any]) -> bytes:
    """Return `record` as JSON. Reads source files. The backlog that keeps the record stores its counts.

    Args:
        record: The record.
        known: The parts of other records that most records share with another one, ready to be used again. They are
            valid for a moment, since the program may change its working directory. The function adds to them.
    """
    circumstances = record.circumstances()
    text = known.get(circumstances)
    if text is None:
        text = _encode(_circumstances_to_data(record))
        if circumstances is not None:
            known[circumstances] = text
    # Both are objects with some value.
    return f"{_encode(_details_to_data(record, known))[:-1]},{text[1:]}".encode()


def _circumstances_to_data(record: FrozenRecord) -> dict[str, Any]:
    # `None` is left out at once, since most records have little.
    texts = {name: to_text(value) for name in _TEXTS if (value := getattr(record, name)) is not None}
    numbers = {name: _number_or_text(value) for name in _NUMBERS if (value := getattr(record, name)) is not None}
    values: dict[str, Any] = {**texts, **numbers}
    data = {name: value_to_data(value) for name, value in values.items()}
    data["origin"] = [value_to_data(value) for value in record.origin]
    return data


def _details_to_data(record: FrozenRecord, known: dict[Hashable, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {"created": record.created, "message": record.message, "template": record.template}
    exception = None
    if record.has_details:
        message, logged, extra, exception = record.message, record.logged, record.extra, record.exception
        texts = {"message": to_text(logged), "exc_text": record.exc_text, "stack_info": record.stack_info}
        values |= {name: to_text(value) for name, value in texts.items() if value is not None}
        if message != logged:
            values["body"] = message
        if extra:
            values["extra"] = map_attachments(dict(extra), lambda each: each.masked(record.settings.masker))
    data = {name: value_to_data(value) for name, value in values.items() if value is not None}
    if exception is not None:
        data["exceptions"] = _link(exception, record, known)
    if record.card:
        data["card"] = record.card.to_data()
    return data


def from_data(data: Mapping[str, Any], settings: CardSettings) -> FrozenRecord:
    """Return the record that `to_json` turned into JSON with this content.

    Args:
        data: The data.
        settings: Settings with the digest of those that took the record.

    Raises:
        KeyError, TypeError, ValueError: `data` does not come from `to_json`.
    """
    with reading():
        parts = {name: value_from_data(data.get(name)) for name in _ALL}
        texts = {name: parts.pop(name) for name in ("extra", "exc_text", "stack_info", "body")}
        details = Details(exception=_unlink(data.get("exceptions", ())), **texts)
        origin = Origin(*map(value_from_data, data["origin"]))
        card = StoredCard.from_data(data["card"]) if "card" in data else None
    if not isinstance(parts["message"], str) or not isinstance(details.extra, (dict, type(None))):
        raise TypeError("the message is no text, or the values have no names")
    snapshot = Snapshot(
        settings=settings,
        relativeCreated=None,
        details=NO_DETAILS if details == NO_DETAILS else details,
        **parts,
    )
    return FrozenRecord(snapshot, origin, card=card)


def _number_or_text(value: object) -> float | str:
    return value if type(value) in (int, float, bool) else to_text(value)  # type: ignore[return-value]  # a number


def _link(exception: FrozenException, record: FrozenRecord, known: dict[Hashable, Any]) -> list[dict[str, Any]]:
    """Return an exception and all linked exceptions, each with the indices of its cause, context and members.

    The result is one flat list, since a chain may be longer than the stack is deep.
    """
    found = exception.linked()
    index = {id(each): number for number, each in enumerate(found)}
    return [
        {
            "type_name": value_to_data(each.type_name),
            "text": value_to_data(record.mask(each.text)),
            "notes": [value_to_data(record.mask(note)) for note in each.notes],
            "frames": [_frame_to_data(frame, record, known) for frame in each.stack],
            "cause": each.cause and index[id(each.cause)],
            "context": each.context and index[id(each.context)],
            "members": [index[id(member)] for member in each.members],
        }
        for each in found
    ]


def _frame_to_data(frame: Frame, record: FrozenRecord, known: dict[Hashable, Any]) -> list[Any]:
    key = frame, record.settings
    data: list[Any] | None = known.get(key)
    if data is None:
        *place, lines, variables = frame
        data = [*map(value_to_data, place), value_to_data(record.mask("\n".join(lines)))]
        if variables:
            data.append([[*map(value_to_data, each)] for each in variables])
        known[key] = data
    return data


def _unlink(data: Sequence[Mapping[str, Any]]) -> FrozenException | None:
    found = [
        FrozenException(
            value_from_data(each["type_name"]),
            value_from_data(each["text"]),
            tuple(map(value_from_data, each["notes"])),
            frames=[_frame_from_data(frame) for frame in each["frames"]],
        )
        for each in data
    ]
    for exception, each in zip(found, data, strict=True):
        cause, context = (None if index is None else found[index] for index in (each["cause"], each["context"]))
        exception.link(cause, context, tuple(found[index] for index in each["members"]))
    return found[0] if found else None


def _frame_from_data(data: Sequence[Any]) -> Frame:
    *place, lines, variables = map(value_from_data, data if len(data) == len(Frame._fields) else (*data, []))
    return Frame._make((*place, tuple(lines.split("\n")), tuple(map(tuple, variables))))
