"""This module takes records apart whose message is an object, or repeats what the record has besides.

structlog logs a dict, or passes it on as JSON; formatters write JSON; and loguru puts time, level and place in front.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from discord_logging._records.exceptions import CAUSE, CONTEXT, HEAD
from discord_logging._records.values import freeze_values, to_text

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from discord_logging._records.record import Snapshot
    from discord_logging._records.values import Frozen

MESSAGE_NAMES = ("message", "msg", "event", "short_message")
"""The names that a message has in an object."""
_EVENT = ("event",)
"""The name in an object that a program has logged as text. Others are only read in what a formatter has written."""
_MAX_OBJECT = 100_000
"""The longest text that is read as JSON, in characters. It takes about a millisecond, in which no other thread runs."""
_STRUCTLOG = ("_logger", "_name")
"""The attributes that `structlog.stdlib.ProcessorFormatter.wrap_for_formatter` adds to a record."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")
_SERIALIZED = {"text", "record"}
"""The names in the JSON of loguru."""


def is_event(record: logging.LogRecord) -> bool:
    """Tell whether the message of a record is a dict that holds a message among other values."""
    message: Any = record.msg
    return isinstance(message, dict) and (
        _STRUCTLOG[1] in record.__dict__ or any(name in message for name in MESSAGE_NAMES)
    )


def unwrap(record: logging.LogRecord) -> Any:
    """Return a copy of a record whose message is an event, with the message of the event, and its values in `extra`."""
    bare: Any = copy.copy(record)
    event = dict(bare.msg)
    for name in _STRUCTLOG:
        bare.__dict__.pop(name, None)
    # The message has the name `event` in structlog, where `message` may be any other value.
    name = next((name for name in (*_EVENT, *MESSAGE_NAMES) if name in event), "")
    bare.msg = to_text(event.pop(name, ""))
    bare.args = event.pop("positional_args", ())
    exc_info, stack_info = event.pop("exc_info", None), event.pop("stack_info", None)
    if isinstance(exc_info, int) and exc_info:
        exc_info = sys.exc_info()
    bare.exc_info = bare.exc_info or (exc_info if isinstance(exc_info, (tuple, BaseException)) else None)
    bare.stack_info = bare.stack_info or (stack_info if isinstance(stack_info, str) else None)
    bare.extra = event
    return bare


def own_values(attributes: Mapping[str, Any], standard: frozenset[str]) -> dict[Any, Any]:
    """Return the attributes of a record without the standard ones, and with the values of the dict `extra` beside them.

    loguru passes its values in an attribute of that name, so that none of them replaces a standard attribute.
    """
    values: dict[Any, Any] = {name: value for name, value in attributes.items() if name not in standard}
    if type(values.get("extra")) is dict:
        # Another thread may change the dict.
        for name, value in values.pop("extra").copy().items():
            values[f"extra.{name}" if name in values else name] = value
    if type(exception := values.get("exception")) is list and exception:
        values["exception"] = _spell(exception)
    return values


def _spell(exception: list[Any]) -> Any:
    """Return the result of `structlog.tracebacks.ExceptionDictTransformer` as a traceback, without local variables."""
    parts: list[str] = []
    try:
        for each in reversed(exception):
            if each["syntax_error"] or each.get("is_group"):
                return exception
            frames = [f'  File "{at["filename"]}", line {at["lineno"]}, in {at["name"]}' for at in each["frames"]]
            # Frames that were left out are one frame without a file.
            shown = [frame for frame in frames if not frame.startswith('  File "", line -1,')]
            parts += [HEAD, *shown, f"{each['exc_type']}: {each['exc_value']}".removesuffix(": ")]
            parts += [*each.get("exc_notes", ()), "", CAUSE if each["is_cause"] else CONTEXT, ""]
        return "\n".join(parts[:-3])
    except (AttributeError, KeyError, TypeError):
        return exception


def parse_object(text: str) -> dict[str, Any] | None:
    """Return the object that `text` is in JSON, or `None` if it is none, or has a name twice."""
    if not (text[:1] == "{" and text.rstrip()[-1:] == "}"):
        return None
    try:
        values: dict[str, Any] = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        return None
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a dictionary of the pairs, and refuse a repeated name, because one of its values would be lost."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError
    return values


def read_event(snapshot: Snapshot) -> Snapshot:
    """Return the parts of a record with the objects in its message and body taken apart, and without loguru's head."""
    extra, *others, body = snapshot.details
    message, read = _read(snapshot.message, extra, snapshot, _EVENT)
    shown, read = _read(body, read, snapshot, MESSAGE_NAMES) if body else (body, read)
    if (message, shown) == (snapshot.message, body):
        return snapshot
    template = message if snapshot.template == snapshot.message else snapshot.template
    details: Any = (read, *others, shown)
    return snapshot._replace(message=message, template=template, details=details)


def _read(
    text: str, extra: Mapping[str, Frozen] | None, snapshot: Snapshot, names: tuple[str, ...]
) -> tuple[str, Mapping[str, Frozen] | None]:
    """Return the message in a text, and `extra` with the other values in it. A text that is only a message stays."""
    values = parse_object(text) if len(text) <= _MAX_OBJECT else None
    if values is None:
        return _without_head(text, snapshot), extra
    message, own = None, extra or {}
    if values.keys() == _SERIALIZED and isinstance(values["record"], dict):
        message, values = values["text"], values["record"].get("extra")
    else:
        found = [name for name, value in values.items() if value == snapshot.message]
        found += [name for name in names if values.get(name)]
        message = values.pop(found[0]) if found else None
    if not (isinstance(message, str) and isinstance(values, dict)):
        return text, extra
    # A formatter writes the values of the record; its own are not made texts by JSON.
    more = own_values({name: value for name, value in values.items() if name not in own}, frozenset())
    frozen = freeze_values(more)
    if frozen != more:
        # Some value is too large for a field.
        return text, extra
    return _read(message, {**own, **frozen}, snapshot, names)


def _without_head(text: str, snapshot: Snapshot) -> str:
    """Return a message without the beginning that the standard format of loguru gives it."""
    time = _TIME.match(text)
    level, name, function, line = map(to_text, (snapshot.levelname, snapshot.name, snapshot.funcName, snapshot.lineno))
    head = f" | {level: <8} | {name}:{function}:{line} - "
    return text[time.end() + len(head) :].removesuffix("\n") if time and text.startswith(head, time.end()) else text
