"""The plugin for Litestar: `Litestar([…], plugins=[DiscordLogging()])`. `discord_logging.asgi` describes what it does.

The module needs the extra `litestar`: `pip install 'discord-log-handler[litestar]'`.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from discord_logging._flush_after import flush_beside_loop
from discord_logging._integrations.asgi import KEY, ASGIIntegration
from discord_logging._records.work import Work, enter_work

try:
    from litestar.exceptions import HTTPException, ImproperlyConfiguredException, InternalServerException
    from litestar.plugins import InitPlugin
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.litestar needs Litestar: pip install 'discord-log-handler[litestar]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Litestar
    from litestar.config.app import AppConfig

__all__ = ["DiscordLogging"]


class DiscordLogging(ASGIIntegration, InitPlugin):
    """Posts the errors of a Litestar application to a Discord channel, as `discord_logging.asgi.DiscordLogging` does.

    Litestar answers a request with an unhandled exception itself, so the plugin has the exception from a hook.

    Args:
        **settings: The settings of `discord_logging.asgi.DiscordLogging`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Set up the application."""
        app_config.middleware.insert(0, self._wrap)
        app_config.after_exception.append(self._report)
        app_config.lifespan.insert(0, self._watch_lifespan)
        app_config.on_startup.append(self._start)
        return app_config

    def _wrap(self, app: Any) -> Any:
        return partial(self.watch_request, app)

    def _start(self, app: Litestar) -> None:
        self.start(app, getattr(app.openapi_config, "title", None))

    @contextlib.asynccontextmanager
    async def _watch_lifespan(self, _: Litestar) -> AsyncIterator[None]:
        self.renew_handler()
        with enter_work(Work(dict)):
            try:
                yield
            except Exception as error:
                self.report("asgi", error, "Exception at %s", "shutdown" if self._has_started else "startup")
                raise
            finally:
                await flush_beside_loop()

    async def _report(self, exception: Exception, scope: Any) -> None:
        if KEY in scope and not _is_answered(exception, scope):
            self.report_request(scope, exception)


def _is_answered(exception: Exception, scope: Any) -> bool:
    """Tell whether the application answers the exception on purpose."""
    if isinstance(exception, HTTPException):
        return not isinstance(exception, (ImproperlyConfiguredException, InternalServerException))
    handlers = scope["route_handler"].resolve_exception_handlers()
    kinds = type(exception).__mro__
    return any(kind in handlers for kind in kinds[: kinds.index(Exception)])
