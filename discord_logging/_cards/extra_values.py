"""This module chooses the `extra` values that a card or a line shows: those that tell a reader more than its text."""

from __future__ import annotations

import ntpath
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from discord_logging._cards.traceback_text import MAX_SAID, ways_to_name
from discord_logging._records.exceptions import HEAD
from discord_logging._records.moments import value_without_moment
from discord_logging._records.values import literal_line, to_text, value_line
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from discord_logging._records.record import FrozenRecord
    from discord_logging._records.values import Frozen

_ANY_LOGGER = ""
_INNER_NAMES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        _ANY_LOGGER: frozenset(
            {
                # uvicorn.logging.ColourizedFormatter: the template of the message with codes for colours
                "color_message",
                # structlog.stdlib.ProcessorFormatter: its arguments
                "_logger",
                "_name",
                "_record",
                "_from_structlog",
                "_meta",
                # ecs_logging: its own version
                "ecs.version",
                # rich.logging.RichHandler: how to highlight the message
                "highlighter",
                # opentelemetry.instrumentation.logging: the id of the trace is enough to find the span
                "otelSpanID",
                "otelTraceSampled",
                "otelServiceName",
                # Likewise in ddtrace.internal.constants, as LOG_ATTR_*
                "dd.span_id",
                "dd.service",
                "dd.version",
                "dd.env",
                # Likewise in elasticapm.handlers.logging
                "elasticapm_transaction_id",
                "elasticapm_span_id",
                "elasticapm_service_name",
                "elasticapm_service_environment",
                "elasticapm_labels",
                # Likewise in google.cloud.logging_v2.handlers.CloudLoggingFilter
                "_resource",
                "_span_id",
                "_span_id_str",
                "_trace_sampled",
                "_trace_sampled_str",
                "_trace_str",
                "_http_request",
                "_http_request_str",
                "_source_location",
                "_source_location_str",
                "_labels",
                "_labels_str",
                "_msg_str",
            }
        ),
        # aiohttp.web_log.AccessLogger.LOG_FORMAT_MAP: the parts of the message
        "aiohttp.access": frozenset(
            {
                "remote_address",
                "request_start_time",
                "process_id",
                "first_request_line",
                "response_status",
                "response_size",
                "request_time",
                "request_time_frac",
                "request_time_micro",
                "request_header",
                "response_header",
            }
        ),
        # celery.app.trace and celery.worker.strategy: the arguments of the message, and of the task
        "celery": frozenset({"data"}),
        # ddtrace: whether ddtrace reports the record itself
        "ddtrace": frozenset({"send_to_telemetry"}),
        # django.utils.log.log_message and django.core.servers.basehttp: the message has path and status
        "django": frozenset({"request", "status_code", "server_time"}),
        # django.db.backends.utils: the parts of the message
        "django.db.backends": frozenset({"duration", "sql", "params", "alias"}),
        # gunicorn.arbiter: a number of the message, for gunicorn.instrument.statsd
        "gunicorn": frozenset({"metric", "value", "mtype"}),
        # sanic.logging: the level of detail at which its filter shows the record, and parts of its formatter's line
        "sanic": frozenset({"verbosity", "ident", "right"}),
        # scrapy.logformatter and others: the objects, for LogCounterHandler
        "scrapy": frozenset({"spider", "crawler"}),
    }
)
"""The names of values that frameworks attach for themselves, by the logger that they and its children use."""
_MAX_PARTS = 3
"""The largest number of parts in the name of such a logger."""
_FACT_NAMES = frozenset(
    {
        *("level", "levelname", "levelno", "levelnumber", "loglevel", "lvl", "severity"),
        *("logger", "loggername", "name", "qualname"),
        *("timestamp", "time", "ts", "asctime", "datetime", "created"),
        *("pathname", "filename", "file", "path", "module", "funcname", "function", "func", "lineno", "line"),
        *("thread", "threadname", "taskname", "process", "processid", "processname"),
        *("qualmodule", "log", "origin", "original"),
    }
)
"""The names, in small letters alone, that formatters and structlog give to what a card shows of every record."""
_MAX_FACT = 300
"""The longest value that may be such a fact, in characters."""
_MAX_ZONE = 8
"""The longest rest of a time without its clock and date, such as `+00:00`, in characters."""
_EMPTY_VALUES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        # There is no trace at that moment.
        "otelTraceID": frozenset({"", "0", "None"}),
        "dd.trace_id": frozenset({"", "0", "None"}),
        "elasticapm_trace_id": frozenset({"None"}),
        "_trace": frozenset({"None"}),
        # RichHandler in rich.logging; a text of that name is the user's
        "markup": frozenset({"True", "False", "None"}),
        # pythonjsonlogger and others, without an exception or a task
        "exc_info": frozenset({"None", "False", "True"}),
        "stack_info": frozenset({"None", "False", "True"}),
        "taskName": frozenset({"None"}),
    }
)


def shown_values(record: FrozenRecord) -> dict[str, Frozen]:
    """Return the `extra` values without inner values of frameworks and without those that repeat the record's text.

    The setting `fields` may name values that are always or never among them.
    """
    extra = record.extra
    if not extra:
        return {}
    chosen: Collection[str] = record.settings.fields or ()
    hidden = _inner_names(to_text(record.name)) | record.settings.hidden_fields
    said, facts = _texts(record), _facts(record)
    body = clean(record.message) if record.message != record.logged else ""
    return {
        name: value
        for name, value in extra.items()
        if name in chosen
        or not (
            name in hidden
            or _is_empty(name, value)
            or _is_said(value, said, record)
            or _is_fact(name, value, facts, record.created)
            or _is_in_body(name, value, body)
        )
    }


def repeats_exception(record: FrozenRecord) -> bool:
    """Tell whether the message of a record says the same as the text of its exception."""
    message = record.message
    return bool(record.exception) and len(message) <= MAX_SAID and clean(message).strip() in _exception_texts(record)


def _inner_names(logger: str) -> frozenset[str]:
    parts = logger.split(".", _MAX_PARTS)[:_MAX_PARTS]
    loggers = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return _INNER_NAMES[_ANY_LOGGER].union(*(_INNER_NAMES.get(each, ()) for each in loggers))


def _is_empty(name: str, value: Frozen) -> bool:
    return name in _EMPTY_VALUES and value_line(value) in _EMPTY_VALUES[name]


def _is_said(value: Frozen, said: frozenset[str], record: FrozenRecord) -> bool:
    # A number such as order=17 says more than the same number in a message.
    if not isinstance(value, str) or len(value) > MAX_SAID:
        return False
    text = clean(value).strip()
    if text in said:
        return True
    return text.startswith(HEAD) and any(text.endswith(end) for end in _exception_texts(record))


def _facts(record: FrozenRecord) -> frozenset[str]:
    """Return what a card shows of every record, as texts in small letters."""
    path = to_text(record.pathname)
    file = ntpath.basename(path)
    facts = (
        *(record.levelname, record.levelno, record.name, path, file, ntpath.splitext(file)[0]),
        *(record.lineno, record.funcName, record.threadName, record.taskName),
        *(record.process, record.processName, record.logged[:_MAX_FACT]),
    )
    return frozenset(to_text(fact).lower() for fact in facts if fact is not None)


def _is_fact(name: str, value: Frozen, facts: frozenset[str], created: float) -> bool:
    letters = re.sub(r"[\W_]", "", name).lower()
    if letters not in _FACT_NAMES:
        return False
    if isinstance(value, dict):
        return all(_is_fact(to_text(inner), each, facts, created) for inner, each in value.items())
    text = to_text(value)
    if len(text) > _MAX_FACT:
        return False
    if text.lower() in facts or (letters == "thread" and isinstance(value, int)):
        # The number of a thread says no more than its name.
        return True
    rest = value_without_moment(name, text, created)
    return rest != text and len(rest) <= _MAX_ZONE


def _is_in_body(name: str, value: Frozen, body: str) -> bool:
    """Tell whether the text of a formatter shows a value by its name."""
    return any(f"{name}={shown}" in body for shown in (value_line(value), literal_line(value))) if body else False


def _texts(record: FrozenRecord) -> frozenset[str]:
    texts = {record.message, record.exc_text or "", *_exception_texts(record)}
    return frozenset(stripped for text in texts if len(text) <= MAX_SAID and (stripped := clean(text).strip()))


def _exception_texts(record: FrozenRecord) -> list[str]:
    if record.exception is None:
        return []
    texts = (clean(record.mask(text)).strip() for text in ways_to_name(record.exception))
    return [text for text in texts if text]
