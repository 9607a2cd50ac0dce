"""The page that shows the channel, and what it needs: the messages as JSON, the files, style and script."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ._objects import attachment_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._models import Message
    from ._state import State

_STATIC = Path(__file__).parent / "static"
_MOST_SHOWN = 500
_SHOWN_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@web.middleware
async def loopback_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests made under a foreign name, which a page elsewhere may have rebound to this machine."""
    if not _LOOPBACK.fullmatch(request.headers.get("Host", "")):
        return web.Response(status=403, text="only loopback names are served\n")
    return await handler(request)


class Page:
    """Serves the page."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/", self._index),
            web.get("/static/{name:page\\.(?:css|js)}", self._static),
            web.get("/messages", self._messages),
            web.get("/attachments/{message_id}/{index:\\d+}/{filename}", self._attachment),
        ]

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(_STATIC / "index.html", headers=_HEADERS)

    async def _static(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(_STATIC / request.match_info["name"], headers=_HEADERS)

    async def _messages(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "")
        revision, ids, changed = self._state.since(int(after) if after.isdecimal() else 0, _MOST_SHOWN)
        answer = {
            "revision": revision,
            "counts": self._state.counts(),
            "ids": ids,
            "messages": [_shown(message) for message in changed],
        }
        return web.json_response(answer, headers=_HEADERS)

    async def _attachment(self, request: web.Request) -> web.Response:
        message = self._state.message(request.match_info["message_id"])
        index = int(request.match_info["index"])
        if message is None or index >= len(message.files):
            return web.Response(status=404, headers=_HEADERS, text="no such file\n")
        file = message.files[index]
        content_type = file.content_type if file.content_type in _SHOWN_INLINE else "application/octet-stream"
        disposition = f'attachment; filename="{file.filename}"'
        headers = {**_HEADERS, "Content-Type": content_type, "Content-Disposition": disposition}
        return web.Response(body=file.data, headers=headers)


def _shown(message: Message) -> dict[str, Any]:
    shown = asdict(message)
    del shown["payload"]
    shown["timestamp"] = message.timestamp.isoformat()
    shown["edited"] = message.edited is not None
    shown["files"] = [
        {
            "filename": file.filename,
            "title": file.title,
            "size": len(file.data),
            "url": attachment_path(message, index, file),
        }
        for index, file in enumerate(message.files)
    ]
    return shown
