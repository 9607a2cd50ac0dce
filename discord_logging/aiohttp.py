"""The integration with aiohttp's server: `DiscordLogging(app)`. `discord_logging.asgi` describes what it does.

The module needs the extra `aiohttp`: `pip install 'discord-log-handler[aiohttp]'`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from discord_logging._integrations.request_fields import cut, first_values, given, mask_values, request_labels, unique
from discord_logging._integrations.web import WebIntegration
from discord_logging._records.work import Work, current_work, enter_work

try:
    from aiohttp import web
except ModuleNotFoundError as _error:
    raise ImportError(
        "discord_logging.aiohttp needs aiohttp: pip install 'discord-log-handler[aiohttp]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["DiscordLogging"]


class _RequestWork(Work):
    """The work of a request, with the status that was sent, if any."""

    __slots__ = ("status",)

    def __init__(self, *values: Callable[[], Mapping[str, object]]) -> None:
        super().__init__(*values)
        self.status: int | None = None


class DiscordLogging(WebIntegration):
    """Posts the errors of an aiohttp application to a Discord channel, as `discord_logging.asgi.DiscordLogging` does.

    Exceptions at startup and shutdown make no card: they end the program, so use `capture_exceptions` for them.

    Args:
        app: The application.
        startup_notice: Whether a notice is posted at the start.
        client_address: Whether cards show the client's address.
        **settings: Settings of `DiscordHandler`. `level` is `ERROR` by default.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        startup_notice: bool | str | None = True,
        client_address: bool | str | None = False,
        **settings: Any,
    ) -> None:
        super().__init__(startup_notice=startup_notice, client_address=client_address, **settings)
        app.middlewares.insert(0, self._watch)
        app.on_response_prepare.append(_note_status)
        app.on_startup.append(self._start)

    # To override

    def request_fields(self, request: web.Request) -> Mapping[str, object]:
        """Return the fields of the card for a request with an exception.

        The handler masks values whose name is that of a secret, and shortens long values. An override may add fields,
        but must not wait.
        """
        resource, labels = request.match_info.route.resource, _labels(request)
        route = resource.canonical if resource else None
        fields = {
            **labels,
            "route": route if route != labels["path"] else None,
            "status": getattr(current_work(), "status", None),
            "user_agent": unique(request.headers.get("User-Agent")),
            "query": first_values((name, request.query.getall(name)) for name in request.query),
            "client_address": unique(request.remote) if self._shows_address else None,
        }
        return given(fields)

    # On the event loop

    @web.middleware
    async def _watch(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        work = _RequestWork(partial(_labels, request), partial(self.request_fields, request))
        with enter_work(work):
            try:
                return await handler(request)
            except web.HTTPException:
                raise
            except Exception as error:
                work.status = work.status or 500
                name = getattr(request.match_info.handler, "__module__", None) or "aiohttp"
                self.report(name, error, "Exception on %s [%s]", _path(request), cut(request.method))
                raise

    async def _start(self, app: web.Application) -> None:
        self.renew_handler()
        self.post_start("aiohttp application", app)


async def _note_status(_: web.Request, response: web.StreamResponse) -> None:
    if isinstance(work := current_work(), _RequestWork):
        work.status = response.status


def _labels(request: web.Request) -> dict[str, object]:
    return request_labels(request.method, _path(request), request.headers.get)


def _path(request: web.Request) -> str:
    return mask_values(request.path, request.match_info)
