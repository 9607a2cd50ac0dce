"""The middleware for ASGI applications, such as those of FastAPI and Starlette: exceptions with their request.

The module needs no package beside this one. `discord_logging.fastapi` and `discord_logging.starlette` are other names
of it; Litestar, Quart and aiohttp have modules of their own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from discord_logging._flush_after import flush_beside_loop
from discord_logging._integrations.asgi import KEY, ASGIIntegration
from discord_logging._records.work import Work, enter_work

if TYPE_CHECKING:
    import logging
    from collections.abc import MutableMapping

    from discord_logging._handler import DiscordHandler
    from discord_logging._integrations.asgi import ASGIApp, Receive, Scope, Send

__all__ = ["DiscordLogging"]


class DiscordLogging(ASGIIntegration):
    """Posts the errors of an ASGI application to a Discord channel.

    `app.add_middleware(DiscordLogging)` and `app = DiscordLogging(app)` do this:

    - An unhandled exception becomes one card with its request: method, path, route, status, query, request id and user
      agent; secrets are masked. This holds for HTTP requests, the bodies of streaming responses, background tasks,
      websockets, and for startup and shutdown (`lifespan`). The exception goes on its way, so that the framework and
      the server do what they do without the middleware. Exceptions for which the application has a handler, such as
      `HTTPException`, and clients that have gone make no card.
    - Records of all loggers are posted as well, from `level` on. Those that are logged during a request show its
      method, path and id, and the whole request if they have an exception; this holds in threads of the framework and
      in tasks that the request starts. Each exception of a request is told once, whoever logs it. The console output
      does not change.
    - One notice is posted at the start, however many workers or reloads follow; tests post none.
    - What waits is delivered at the shutdown of the application, within `flush_timeout`, and at exit.

    If the root logger has a `DiscordHandler`, for example from `logging.config.dictConfig`, the middleware uses that
    handler and adds none. Otherwise it adds one. Without a URL in the settings or in `DISCORD_WEBHOOK_URL`, nothing is
    posted.

    Args:
        app: The application.
        startup_notice: Whether a notice is posted at the start.
        client_address: Whether cards show the client's address.
        request_body: Whether cards show the form or the JSON that the application has received, up to 16 KB.
        **settings: Settings of `DiscordHandler`. `level` is `ERROR` by default.

    Raises:
        InvalidSettingError: A setting is unknown or has a wrong value.
        InvalidWebhookURLError: The webhook URL is malformed.
    """

    def __init__(
        self,
        app: ASGIApp | None = None,
        /,
        *,
        startup_notice: bool | str | None = True,
        client_address: bool | str | None = False,
        request_body: bool | str | None = False,
        **settings: Any,
    ) -> None:
        # Some versions of Starlette pass the application by name. A parameter that has that name, beside others of any
        # name, would not be accepted as a middleware by type checkers.
        self.app: ASGIApp = settings.pop("app") if app is None else app
        super().__init__(
            startup_notice=startup_notice, client_address=client_address, request_body=request_body, **settings
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and report its exception."""
        if KEY in scope or scope["type"] not in ("http", "websocket", "lifespan"):
            await self.app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._watch_lifespan(scope, receive, send)
        else:
            await self.watch_request(self.app, scope, receive, send)

    async def _watch_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[KEY] = None
        self.renew_handler()
        phase = ""

        async def watched_receive() -> MutableMapping[str, Any]:
            nonlocal phase
            message = await receive()
            phase = message["type"].rpartition(".")[2]
            return message

        async def watched_send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                app = scope.get("app", self.app)
                self.start(app, getattr(app, "title", None))
            else:
                # The process may end as soon as the server has the message.
                self._report_failure(phase, message)
                await flush_beside_loop()
            await send(message)

        with enter_work(Work(dict)):
            try:
                await self.app(scope, watched_receive, watched_send)
            except Exception as error:
                # An application that does not know the protocol raises before it receives anything.
                if phase:
                    self.report("asgi", error, "Exception at %s", phase)
                    await flush_beside_loop()
                raise

    def _report_failure(self, phase: str, message: MutableMapping[str, Any]) -> None:
        """Report the exception that makes the application send `message`, if it is handled now, as in Starlette."""
        error, text = sys.exc_info()[1], message.get("message")
        if isinstance(error, Exception):
            self.report("asgi", error, "Exception at %s", phase)
            if text:
                # The server logs the traceback as a text.
                for handler in self.handlers():
                    _leave_out_once(handler, text)


def _leave_out_once(handler: DiscordHandler, text: str) -> None:
    def is_other(record: logging.LogRecord) -> bool:
        if record.msg is not text:
            return True
        handler.removeFilter(is_other)
        return False

    handler.addFilter(is_other)
