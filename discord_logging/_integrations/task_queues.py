"""Integrations of task queues share this: arguments of tasks, records to leave out, delivery before an exit."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from discord_logging._delivery.registry import flush_all
from discord_logging._integrations.request_fields import cut, given
from discord_logging._records.values import to_text
from discord_logging._text.markdown import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from discord_logging._handler import DiscordHandler

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def name_arguments(
    function: Callable[..., Any] | None, args: Iterable[Any] | None, kwargs: Mapping[str, Any] | None
) -> dict[str, object]:
    """Return the arguments of a call by name, so that a secret is masked even if it was passed by position.

    Args:
        function: The function, or `None` if it cannot be found.
        args: The positional arguments, or `None` if they cannot be read.
        kwargs: The keyword arguments, likewise.

    Returns:
        `arguments`, with the values by name; or `args` and `kwargs`, if the names are unknown.
    """
    args, kwargs = args or (), kwargs or {}
    named = bind(function, args, kwargs)
    if named is None:
        return given({"args": tuple(map(_shorten, args)), "kwargs": _shorten_all(kwargs)})
    return given({"arguments": _shorten_all(named)})


def bind(function: Callable[..., Any] | None, args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of a call by name, or `None` if the names are unknown.

    If there are more positional arguments than the function accepts, which may be the error, they are counted.
    """
    try:
        # The signature of a bound method has no `self`.
        signature = inspect.signature(function)  # type: ignore[arg-type]  # `None` has none either
    except Exception:  # noqa: BLE001 - a callable of any kind may have no signature
        return None
    try:
        named = signature.bind(*args, **kwargs).arguments
    except TypeError:
        places = [each.name for each in signature.parameters.values() if each.kind in _POSITIONAL]
        more = len(args := tuple(args)) - len(places)
        named = {**dict(zip(places, args, strict=False)), **({ELLIPSIS: f"{more} more"} if more > 0 else {}), **kwargs}
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named.update(named.pop(parameter.name, {}))
    return named


def leave_out(handlers: Iterable[DiscordHandler], logger: str, phrase: str) -> None:
    """Let `handlers` ignore the records of `logger` whose template contains `phrase`. May be called twice.

    They tell of a failure that is reported with more facts.
    """
    for handler in handlers:
        made = _TemplateFilter(logger, phrase)
        if not any(isinstance(each, _TemplateFilter) and vars(each) == vars(made) for each in handler.filters):
            handler.addFilter(made)


class _TemplateFilter(logging.Filter):
    """Refuses the records of a logger, and of those below it, whose template contains a phrase."""

    def __init__(self, name: str, phrase: str) -> None:
        super().__init__(name)
        self.phrase = phrase

    def filter(self, record: logging.LogRecord) -> bool:
        return not (super().filter(record) and self.phrase in to_text(record.msg))


def flush_before_exit() -> None:
    """Deliver what waits within `flush_timeout`, before `os._exit` ends the process; say on stderr what is lost."""
    for listener in flush_all():
        listener.say_losses()


def _shorten(value: Any) -> Any:
    return cut(value) if type(value) is str else value


def _shorten_all(values: Mapping[str, Any]) -> dict[str, object]:
    return {name: _shorten(value) for name, value in values.items()}
