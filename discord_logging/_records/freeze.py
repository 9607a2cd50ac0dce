"""This module freezes a log record on the caller's thread.

A caller waits for no other code of ours. Everything that may change or die after the call (the merged message, `extra`
values, the text of the exception) becomes text at once.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

from discord_logging._masking.harmless import MASK
from discord_logging._records.events import is_event, own_values, unwrap
from discord_logging._records.exceptions import freeze_exc_info
from discord_logging._records.record import NO_DETAILS
from discord_logging._records.values import freeze_value, freeze_values, to_text, value_line
from discord_logging._records.work import current_work
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_logging._masking.masker import SecretMasker
    from discord_logging._records.values import Frozen

_STANDARD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_ATTRIBUTE_COUNT = len(logging.makeLogRecord({}).__dict__)
_get_message: Any = logging.LogRecord.getMessage
if getattr(_get_message, "__globals__", None) is not vars(logging):
    # The method was patched before our import. None matches no method, so that the method of every record is called.
    _get_message = None
_CONVERSION = re.compile(r"%[-#0 +.\d*]*[a-zA-Z]|\{[^{}]*\}")
_SAMPLE_SECRET = "Aa1-Bb2-Cc3-Dd4"  # noqa: S105 - it only looks like one
"""A text that is masked behind the name of a secret."""
_HAS_TASK_NAME = sys.version_info >= (3, 12)


def freeze(record: logging.LogRecord, settings: Any, body: str | None = None) -> tuple[Any, ...]:
    """Return the parts of `record` that make a `FrozenRecord`: the fields of `Snapshot`, as a plain tuple.

    Args:
        record: The record, which stays unchanged.
        settings: The settings of the handler that takes the record.
        body: The text to show instead of the merged message, or `None`.
    """
    template = record.msg
    try:
        if type(template) is not str:
            if is_event(record):
                return freeze(unwrap(record), settings, body)
            template = None
        # Inlined LogRecord.getMessage(), whose call is a tenth of our share. Subclasses and patches are called.
        if template is not None and type(record).getMessage is _get_message:
            args = record.args
            try:
                message = template % args if args else template
            except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                message = _describe_unmerged(record, error, settings)
        else:
            message = merge(record, settings)
        return (
            message if type(message) is str else to_text(message),
            record.levelno,
            record.name,
            record.pathname,
            record.lineno,
            settings,
            record.threadName,
            record.created,
            record.levelname,
            record.funcName,
            record.process,
            record.processName,
            record.taskName if _HAS_TASK_NAME else None,  # type: ignore[attr-defined]
            template,
            record.relativeCreated,
            # This comes last: as soon as CPython has made the __dict__, attributes are read more slowly.
            _freeze_details(record, settings, body)
            if current_work() is not None
            or record.exc_info
            or record.stack_info
            or record.exc_text
            or body is not None
            or len(record.__dict__) != _ATTRIBUTE_COUNT
            else NO_DETAILS,
        )
    except AttributeError:
        complete = logging.LogRecord("root", logging.NOTSET, "", 0, "", (), None)
        if record.__dict__.keys() >= complete.__dict__.keys():
            raise
        # The record was made by hand, without some attribute.
        complete.__dict__.update(record.__dict__)
        return freeze(complete, settings, body)


def merge(record: logging.LogRecord, settings: Any) -> str:
    """Return the message of `record` with its arguments merged in, or a text that says why they cannot be merged."""
    try:
        return to_text(record.getMessage())
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        return _describe_unmerged(record, error, settings)


def _freeze_details(record: logging.LogRecord, settings: Any, body: str | None) -> tuple[Any, ...]:
    attributes = record.__dict__
    get = attributes.get
    try:
        exception = freeze_exc_info(get("exc_info"), settings)
        exc_text = get("exc_text") if exception is None else None
    except Exception as error:  # noqa: BLE001 - the user's class may define `__cause__`, `exceptions` and others as properties
        exception, exc_text = None, f"<exception that cannot be shown: {type(error).__name__}>"
    stack_info = get("stack_info")
    return (
        _freeze_extra(attributes, has_exception=bool(exception or exc_text)),
        exception,
        to_text(exc_text) if exc_text else None,
        to_text(stack_info) if stack_info else None,
        body,
    )


def _describe_unmerged(record: logging.LogRecord, error: Exception, settings: Any) -> str:
    args = show_arguments(record, settings.masker)
    return f"{to_text(record.msg)}\nargs: {args} (could not be merged: {type(error).__name__}: {to_text(error)})"


def show_arguments(record: logging.LogRecord, masker: SecretMasker) -> str:
    """Return the arguments of a record as text, or a mask if its template contains the name of a secret.

    Any of the arguments may be the value of the secret.
    """
    probe = _CONVERSION.sub(_SAMPLE_SECRET, to_text(record.msg))
    return MASK if masker.mask(probe) != clean(probe) else value_line(freeze_value(record.args))


def _freeze_extra(attributes: Mapping[str, Any], *, has_exception: bool) -> dict[str, Frozen] | None:
    work = current_work()
    if work is None:
        if len(attributes) == _ATTRIBUTE_COUNT:
            return None
        # Another handler's formatter may have added `message` and `asctime`, which are no values of the user's.
        return freeze_values(own_values(attributes, _STANDARD_ATTRIBUTES)) or None
    own = own_values(attributes, _STANDARD_ATTRIBUTES)
    # The record's own values come first, and take precedence.
    return freeze_values({**own, **work.values(has_exception=has_exception), **own}) or None
