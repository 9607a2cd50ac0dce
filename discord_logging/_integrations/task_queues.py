"""Integrations of task queues share this: the fields of a task, the notice of a worker's start, delivery at its end."""

from __future__ import annotations

import inspect
import logging
import os
import platform
from typing import TYPE_CHECKING, Any

from discord_logging._delivery.registry import flush_all
from discord_logging._integrations.request_fields import cut
from discord_logging._records.values import UniqueText, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from discord_logging._handler import DiscordHandler


def name_arguments(
    function: Callable[..., Any] | None, args: Iterable[Any] | None, kwargs: Mapping[str, Any] | None
) -> dict[str, object]:
    """Return the arguments of a call by name, so that a secret is masked even if it was passed by position.

    Args:
        function: The function, or `None` if it cannot be found.
        args: The positional arguments, or `None` if they cannot be read.
        kwargs: The keyword arguments, likewise.

    Returns:
        `arguments`, with the values by name; or `args` and `kwargs`, if the function does not accept them.
    """
    args, kwargs = args or (), kwargs or {}
    try:
        # The signature of a bound method has no `self`.
        bound = inspect.signature(function).bind(*args, **kwargs)  # type: ignore[arg-type]  # `None` has none either
    except Exception:  # noqa: BLE001 - a callable of any kind may have no signature
        return given({"args": tuple(map(_shorten, args)), "kwargs": _shorten_all(kwargs)})
    named = bound.arguments
    for parameter in bound.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named.update(named.pop(parameter.name, {}))
    return given({"arguments": _shorten_all(named)})


def unique(value: object) -> UniqueText:
    """Return `value`, such as an id or the name of a worker, as a text that does not keep repeats apart."""
    return UniqueText("" if value is None else cut(to_text(value)))


def given(fields: Mapping[str, object]) -> dict[str, object]:
    """Return those of `fields` that have a value."""
    return {name: value for name, value in fields.items() if value}


def leave_out(handlers: Iterable[DiscordHandler], logger: str, words: str) -> None:
    """Let `handlers` ignore the records of `logger` whose template contains `words`. May be called twice.

    They tell of a failure that is reported with more facts.
    """
    for handler in handlers:
        if not any(isinstance(each, _Told) and each.words == words for each in handler.filters):
            handler.addFilter(_Told(logger, words))


class _Told(logging.Filter):
    """Refuses the records of a logger, and of those below it, whose template contains some words."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(name)
        self.words = words

    def filter(self, record: logging.LogRecord) -> bool:
        return not (super().filter(record) and self.words in to_text(record.msg))


def post_start(handlers: Iterable[DiscordHandler], logger: str, what: str, fields: Mapping[str, object]) -> None:
    """Post a notice of the start of a worker, whatever the level of `handlers` is."""
    shown = given({**fields, "pid": os.getpid(), "python": platform.python_version()})
    record = logging.LogRecord(logger, logging.INFO, "", 0, "%s started", (what,), None)
    record.__dict__.update(shown)
    for handler in handlers:
        handler.handle(record)


def flush_before_exit() -> None:
    """Deliver what waits within `flush_timeout`, before `os._exit` ends the process; say on stderr what is lost."""
    for listener in flush_all():
        listener.say_losses()


def _shorten(value: Any) -> Any:
    return cut(value) if type(value) is str else value


def _shorten_all(values: Mapping[str, Any]) -> dict[str, object]:
    return {name: _shorten(value) for name, value in values.items()}
