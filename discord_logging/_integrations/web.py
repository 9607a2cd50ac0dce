"""This module has what the integrations with asynchronous web frameworks share."""

from __future__ import annotations

import contextlib
import logging
import sys
from importlib import metadata
from typing import Any

from discord_logging._discord.webhook_url import hide_urls
from discord_logging._handler import DiscordHandler, discord_handlers
from discord_logging._integrations.handlers import IntegrationHandler, ensure_handler, post_start, report
from discord_logging._integrations.workers import flush_at_sigterm, server_package, worker_number
from discord_logging._records.exceptions import members_of
from discord_logging._records.parse import parse_switch

_TESTS = ("pytest", "starlette.testclient", "litestar.testing")
"""The modules that are imported in tests alone."""
_DISCONNECTS = frozenset(
    {"ClientConnectionResetError", "ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"}
)
"""The names of the exceptions of Starlette, uvicorn, Litestar and aiohttp for a client that has gone."""


class WebIntegration:
    """The part of an integration that its framework does not change."""

    def __init__(
        self,
        *,
        startup_notice: bool | str | None = True,
        client_address: bool | str | None = False,
        **settings: Any,
    ) -> None:
        self._settings = settings = hide_urls(settings)
        self._notice_is_due = parse_switch("startup_notice", startup_notice, default=True)
        self._shows_address = parse_switch("client_address", client_address, default=False)
        self._handlers = ensure_handler(logging.getLogger(), **settings)
        flush_at_sigterm()

    def handlers(self) -> list[DiscordHandler]:
        """Return the handlers of the root logger, which may have been configured since; or else those found first."""
        return list(discord_handlers(logging.getLogger())) or self._handlers

    def renew_handler(self) -> None:
        """Replace our handler if logging was configured again, which closes it and may remove it."""
        root = logging.getLogger()
        closed = [each for each in self._handlers if isinstance(each, IntegrationHandler) and each.closed]
        for each in closed:
            root.removeHandler(each)
        if closed:
            self._handlers = ensure_handler(root, **self._settings)

    def is_start(self) -> bool:
        """Return whether this process posts the start-up notice.

        The result is False under test, and in all workers but the first of uvicorn, hypercorn, granian and gunicorn.
        """
        return not any(name in sys.modules for name in _TESTS) and worker_number() <= 1

    def post_start(self, name: str, app: object) -> None:
        """Post the start-up notice, if it is due."""
        is_due, self._notice_is_due = self._notice_is_due, False
        if not (is_due and self.is_start()):
            return
        fields: dict[str, object] = {}
        for package in (type(app).__module__.partition(".")[0], server_package()):
            with contextlib.suppress(metadata.PackageNotFoundError, ValueError):
                fields[package] = metadata.version(package)
        post_start(self.handlers(), name, name, fields)

    def report(self, name: str, exception: BaseException, message: str, *args: object) -> None:
        """Report an unhandled exception, unless it says that the client has gone."""
        if not _is_disconnect(exception):
            self.renew_handler()
            report(self.handlers(), name, exception, message, *args)


def _is_disconnect(exception: BaseException) -> bool:
    if inner := members_of(exception):
        return all(map(_is_disconnect, inner))
    return not _DISCONNECTS.isdisjoint(kind.__name__ for kind in type(exception).__mro__)
