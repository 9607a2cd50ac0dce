"""This module watches the requests of ASGI applications: their exceptions and their fields."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from discord_logging._integrations.request_fields import cut, first_values, given, mask_values, request_labels, unique
from discord_logging._integrations.web import WebIntegration
from discord_logging._integrations.workers import flush_at_sigterm
from discord_logging._records.parse import parse_switch
from discord_logging._records.work import Work, enter_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping
    from typing import TypeAlias

    Scope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "discord_logging"
"""The key of a scope that an integration watches; the value of a request is its `_Exchange`."""
_MAX_BODY = 16_384
"""The longest body that is shown, in bytes."""


class ASGIIntegration(WebIntegration):
    """The part of an integration that is the same for all ASGI frameworks."""

    def __init__(self, *, request_body: bool | str | None = False, **settings: Any) -> None:
        self._shows_body = parse_switch("request_body", request_body, default=False)
        super().__init__(**settings)
        self._has_started = False

    # To override

    def request_fields(self, scope: Scope) -> Mapping[str, object]:
        """Return the fields of the card for a request with an exception.

        The handler masks values whose name is that of a secret, and shortens long values. An override may add fields;
        it runs on the event loop, so it must not wait.
        """
        exchange: _Exchange = scope[KEY]
        header = _headers(scope)
        fields = {
            **_labels(scope),
            "route": _route(scope),
            "status": exchange.status,
            "user_agent": unique(header("User-Agent")),
            "query": _parse_form(scope.get("query_string", b"")[:_MAX_BODY]),
            "client_address": unique((scope.get("client") or ("",))[0]) if self._shows_address else None,
            **exchange.body_fields(header("Content-Type")),
        }
        return given(fields)

    # On the event loop

    def start(self, app: object, title: str | None) -> None:
        """Note that the application has started."""
        self._has_started = True
        self.post_start(title or "ASGI application", app)

    async def watch_request(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a websocket on to `app`, and report its exception."""
        if not self._has_started:
            # The server does not announce the start, nor the end: then uvicorn lets the signal end the process.
            self.renew_handler()
            self.start(scope.get("app", app), getattr(scope.get("app", app), "title", None))
            flush_at_sigterm(server="uvicorn")
        exchange = scope[KEY] = _Exchange(scope["path"])

        async def watched_send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message.get("status")
            await send(message)

        async def watched_receive() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "http.request":
                exchange.keep(message)
            return message

        with enter_work(Work(partial(_labels, scope), partial(self.request_fields, scope))):
            try:
                await app(scope, watched_receive if self._shows_body else receive, watched_send)
            except Exception as error:
                self.report_request(scope, error)
                raise

    def report_request(self, scope: Scope, error: Exception) -> None:
        """Report the exception of a request, once."""
        exchange: _Exchange = scope[KEY]
        if exchange.is_reported:
            return
        exchange.is_reported = True
        if scope["type"] == "http":
            exchange.status = exchange.status or 500
        endpoint = scope.get("endpoint") or getattr(scope.get("route_handler"), "fn", None)
        name = getattr(endpoint, "__module__", None) or "asgi"
        self.report(name, error, "Exception on %s [%s]", _path(scope), cut(_method(scope)))


class _Exchange:
    """The state of a request and its response, as far as they were seen."""

    __slots__ = ("_is_whole", "_parts", "_size", "is_reported", "path", "status")

    def __init__(self, path: str) -> None:
        self.path = path
        self.status: int | None = None
        self.is_reported = False
        self._parts: list[bytes] = []
        self._size = 0
        self._is_whole = False

    def keep(self, message: Mapping[str, Any]) -> None:
        """Keep a part of the body."""
        part = message.get("body", b"")
        self._is_whole = not message.get("more_body", False)
        self._size += len(part)
        if self._size <= _MAX_BODY:
            self._parts.append(part)
        else:
            self._parts.clear()

    def body_fields(self, content_type: str) -> dict[str, object]:
        """Return the fields of the body."""
        is_json = "json" in content_type
        if not self._size or not (is_json or content_type.startswith("application/x-www-form-urlencoded")):
            return {}
        if self._size > _MAX_BODY or not self._is_whole:
            return {"body": f"not shown: {self._size:,} bytes were received"}
        body = b"".join(self._parts)
        try:
            return {"json": json.loads(body)} if is_json else {"form": _parse_form(body)}
        except (ValueError, RecursionError) as error:
            return {"body": f"cannot be read: {type(error).__name__}"}


def _labels(scope: Scope) -> dict[str, object]:
    return request_labels(_method(scope), _path(scope), _headers(scope))


def _method(scope: Scope) -> str:
    return str(scope.get("method", "WEBSOCKET"))


def _path(scope: Scope) -> str:
    return mask_values(scope[KEY].path, scope.get("path_params") or {})


def _route(scope: Scope) -> str | None:
    """Return the template of the path, or else the name of the endpoint, if that says more than the path."""
    route, endpoint, path = scope.get("route"), scope.get("endpoint"), _path(scope)
    template = scope.get("path_template") or getattr(route, "path", None)
    if not isinstance(template, str) or hasattr(route, "routes"):
        return getattr(endpoint, "__qualname__", None)
    # A mounted application and an included router know only the last part of the path.
    missing = 0 if ":path}" in template else path.count("/") - template.count("/")
    whole = cut("/".join(path.split("/")[: max(missing, 0) + 1]) + template)
    return whole if whole != path else None


def _headers(scope: Scope) -> Callable[[str], str]:
    """Return a function that looks up a header; an absent one is empty."""
    headers = dict(scope.get("headers", ()))
    return lambda name: headers.get(name.lower().encode(), b"").decode("latin-1")


def _parse_form(text: bytes) -> dict[str, object]:
    return first_values(parse_qs(text.decode("latin-1"), keep_blank_values=True).items())
