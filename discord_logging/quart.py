"""The Quart extension: `DiscordLogging(app)`. `discord_logging.asgi` describes what it does.

The module needs the extra `quart`: `pip install 'discord-log-handler[quart]'`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord_logging import asgi
from discord_logging._integrations.asgi import KEY

try:
    from quart import (
        got_request_exception,
        got_websocket_exception,
        request,
        request_started,
        websocket,
        websocket_started,
    )
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.quart needs Quart: pip install 'discord-log-handler[quart]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from quart import Quart
    from quart.wrappers.base import BaseRequestWebsocket

__all__ = ["DiscordLogging"]


class DiscordLogging(asgi.DiscordLogging):
    """Posts the errors of a Quart application to a Discord channel, as `discord_logging.asgi.DiscordLogging` does.

    Quart answers a request with an unhandled exception itself, so the extension has the exception from Quart's signals.

    Args:
        app: The application.
        **settings: The settings of `discord_logging.asgi.DiscordLogging`.
    """

    def __init__(self, app: Quart, **settings: Any) -> None:
        asgi_app: Any = app.asgi_app
        super().__init__(asgi_app, **settings)
        self._quart = app
        app.asgi_app = self  # type: ignore[method-assign,assignment]  # as Quart documents
        request_started.connect(self._note_request, app)
        websocket_started.connect(self._note_websocket, app)
        got_request_exception.connect(self._report_request, app)
        got_websocket_exception.connect(self._report_websocket, app)

    def start(self, *_: object) -> None:
        """Note that the application has started."""
        super().start(self._quart, self._quart.name)

    # Quart would run functions that are not asynchronous in another thread.

    async def _note_request(self, app: Quart, **_: object) -> None:
        _note_route(app, request)

    async def _note_websocket(self, app: Quart, **_: object) -> None:
        _note_route(app, websocket)

    async def _report_request(self, _: Quart, *, exception: Exception, **__: object) -> None:
        self._report(request.scope, exception)

    async def _report_websocket(self, _: Quart, *, exception: Exception, **__: object) -> None:
        self._report(websocket.scope, exception)

    def _report(self, scope: Any, exception: Exception) -> None:
        if KEY in scope:  # a test client of Quart makes a scope that no server has
            self.report_request(scope, exception)


def _note_route(app: Quart, request: BaseRequestWebsocket) -> None:
    """Put into the scope what the middlewares of other frameworks find there."""
    if request.url_rule is not None:
        scope: Any = request.scope
        scope["path_template"], scope["path_params"] = request.url_rule.rule, request.view_args
        scope["endpoint"] = app.view_functions.get(request.url_rule.endpoint)
