"""This module sets the hooks in Django, once for a process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from django.core.handlers.base import BaseHandler
from django.core.management.base import BaseCommand
from django.core.signals import got_request_exception

from discord_logging._records.variables import variable_filters
from discord_logging.django import _commands, _request
from discord_logging.django._filter import DjangoFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_logging._handler import DiscordHandler

_SERVERS = frozenset({"WSGIHandler", "ASGIHandler"})
_ID = "discord_logging"
on_server_start: list[Callable[[], object]] = []
"""Functions to call when a server makes the application."""


def watch(*handlers: DiscordHandler) -> None:
    """Let the cards of `handlers` show requests and commands. May be called several times."""
    for handler in handlers:
        if not any(isinstance(each, DjangoFilter) for each in handler.filters):
            handler.addFilter(DjangoFilter(handler))
    if _request.filter_variables in variable_filters:
        return
    variable_filters.append(_request.filter_variables)
    handler_class: Any = BaseHandler
    handler_class.get_response = _request.watch_response(BaseHandler.get_response)
    handler_class.get_response_async = _request.watch_response_async(BaseHandler.get_response_async)
    handler_class.load_middleware = _watch_start(BaseHandler.load_middleware)
    command_class: Any = BaseCommand
    command_class.run_from_argv = _commands.watch_run(BaseCommand.run_from_argv)
    command_class.execute = _commands.watch_execute(BaseCommand.execute)
    got_request_exception.connect(_request.note_exception, dispatch_uid=_ID)


def _watch_start(load_middleware: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(load_middleware)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = load_middleware(self, *args, **kwargs)
        if any(base.__name__ in _SERVERS for base in type(self).__mro__):
            for act in on_server_start[:]:
                act()
        return result

    return watched
