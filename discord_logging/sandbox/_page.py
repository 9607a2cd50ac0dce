"""The page that shows the channel, with its routes: new messages as JSON, files, styles, scripts and faults."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections import Counter
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ._faults import TROUBLES
from ._history import all_files
from ._media import attachment_path, content_type
from ._models import is_refused
from ._serializers import message_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._models import File, Message, Request, Webhook
    from ._state import State
    from ._webhooks import Webhooks

    _Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATIC = Path(__file__).parent / "static"
_FILES = [path.relative_to(_STATIC).as_posix() for path in _STATIC.rglob("*") if path.suffix in (".css", ".js")]
_MAX_MESSAGES = 5000
_MAX_BATCH = 250
_MAX_REFUSED = 100
_MAX_TIMES = 1000
_PREVIEW_LINES, _MAX_PREVIEW_CHARACTERS = 6, 4000
_MAX_PAYLOAD_CHARACTERS = 20_000
_MAX_COMMAND_BYTES = 1000
_TEXT_NAME = re.compile(r".+\.(?:txt|log|md|json|csv|py|js|yaml|yml|toml|ini|xml|html|sql|diff)", re.IGNORECASE)
_SHOWN_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp")
_PORT = r"(?::\d{1,5})?"
_LOOPBACK = re.compile(rf"(?:localhost|127(?:\.\d{{1,3}}){{3}}|\[::1\]){_PORT}", re.ASCII | re.IGNORECASE)
_NEARBY = re.compile(
    rf"(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[[0-9a-f:.]+\]|[\w-]+(?:\.local(?:host)?)?){_PORT}", re.ASCII | re.IGNORECASE
)
"""An IP address, or a name that the public DNS cannot have: one without a dot, or one below .local or .localhost."""
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
async def loopback_only(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse requests with a foreign host name, which a hostile page may have bound to this machine (DNS rebinding)."""
    if not _LOOPBACK.fullmatch(request.headers.get("Host", "")):
        return web.Response(status=403, text="the Host header must be a loopback name\n")
    return await handler(request)


@web.middleware
async def nearby_only(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse requests with a host name that a hostile page may have bound to the address of this server."""
    host = request.headers.get("Host", "")
    if not _NEARBY.fullmatch(host) and re.sub(f"{_PORT}$", "", host).lower() != socket.gethostname().lower():
        name = socket.gethostname()
        text = f"the Host header must be an IP address, a name without a dot or below .local, or {name}\n"
        return web.Response(status=403, text=text)
    return await handler(request)


class Page:
    """Serves the page that shows the channel."""

    def __init__(self, state: State, webhooks: Webhooks) -> None:
        self._state = state
        self._webhooks = webhooks
        self._deleted: list[Webhook] = []
        self._epoch = secrets.token_hex(8)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/", self._index),
            web.get(f"/static/{{name:{'|'.join(map(re.escape, _FILES))}}}", self._static),
            web.get("/messages", self._messages),
            web.get("/messages/{message_id}/versions", self._versions),
            web.post("/trouble", self._trouble),
            web.get("/attachments/{message_id}/{file_id}/{filename}", self._attachment),
        ]

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(_STATIC / "index.html", headers=_HEADERS)

    async def _static(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(_STATIC / request.match_info["name"], headers=_HEADERS)

    async def _messages(self, request: web.Request) -> web.Response:
        after, now = int(_number(request, "after")), time.monotonic()
        revision, ids, changed = self._state.since(after, _MAX_MESSAGES, _MAX_BATCH)
        more = len(changed) == _MAX_BATCH
        seen = _number(request, "seen")
        finished = [] if more else self._state.finished(seen)
        answer = {
            "epoch": self._epoch,
            "revision": revision,
            "more": more,
            "ids": ids,
            "messages": [self._shown(message) for message in changed],
            "counts": self._state.counts(),
            "gauges": [asdict(level) for level in self._webhooks.limits.levels(now)],
            "trouble": {"waiting": self._state.faults(), "deleted": len(self._deleted)},
            "seen": max([seen, *(request.finished or 0.0 for request in finished)]),
            "traffic": _traffic(finished, now),
            "refused": [_refused(each, now) for each in finished if is_refused(each)][-_MAX_REFUSED:],
            "webhook_url": None if self._state.messages() else self._webhook_url(request),
        }
        return web.json_response(answer, headers=_HEADERS)

    async def _versions(self, request: web.Request) -> web.Response:
        """Return the earlier versions of a message, the newest first, and none for an unknown message."""
        message = self._state.message(request.match_info["message_id"])
        versions = message.versions if message else []
        return web.json_response([self._shown(version) for version in reversed(versions)], headers=_HEADERS)

    def _webhook_url(self, request: web.Request) -> str | None:
        """Return the URL of the first webhook as the page reaches it, or `None` if the webhooks are deleted."""
        webhook = self._state.first_webhook()
        return f"http://{request.host}/api/v10/webhooks/{webhook.id}/{webhook.token}" if webhook else None

    async def _trouble(self, request: web.Request) -> web.Response:
        """Inject a fault, or delete or restore the webhooks; only the page itself may ask for it."""
        if request.headers.get("Origin") not in (None, f"http://{request.host}"):
            return web.Response(status=403, headers=_HEADERS, text="only the page itself may inject faults\n")
        try:
            is_short = (request.content_length or _MAX_COMMAND_BYTES + 1) <= _MAX_COMMAND_BYTES
            command = json.loads(await request.read() if is_short else b"")
            kind, times = command["kind"], int(command.get("times", 1))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            kind, times = None, 1
        if kind == "delete_webhook":
            self._deleted += self._state.webhooks()
            for webhook in self._deleted:
                self._state.delete_webhook(webhook)
        elif kind == "restore":
            self._state.clear_faults()
            while self._deleted:
                self._state.put_webhook(self._deleted.pop(0))
        elif kind in TROUBLES and 1 <= times <= _MAX_TIMES:
            self._state.add_fault(TROUBLES[kind](), times)
        else:
            known = ", ".join(["delete_webhook", "restore", *TROUBLES])
            text = f'expected {{"kind": one of {known}, "times": 1 to {_MAX_TIMES}}}\n'
            return web.Response(status=400, headers=_HEADERS, text=text)
        return web.Response(status=204, headers=_HEADERS)

    async def _attachment(self, request: web.Request) -> web.Response:
        message = self._state.message(request.match_info["message_id"])
        files = all_files(message) if message else []
        file = next((file for file in files if file.id == request.match_info["file_id"]), None)
        if file is None:
            return web.Response(status=404, headers=_HEADERS, text="the file does not exist\n")
        kind = content_type(file)
        shown_type = kind if kind in _SHOWN_INLINE else "application/octet-stream"
        disposition = f'attachment; filename="{file.filename}"'
        headers = {**_HEADERS, "Content-Type": shown_type, "Content-Disposition": disposition}
        return web.Response(body=file.data, headers=headers)

    def _shown(self, message: Message) -> dict[str, Any]:
        answer = message_json(message, base_url="")
        attached = {attachment["id"] for attachment in answer["attachments"]}
        webhook, thread = self._state.webhook(message.webhook_id), self._state.thread(message.channel_id)
        return {
            "id": message.id,
            "channel_id": message.channel_id,
            "channel": {
                "id": message.channel_id,
                "parent": thread.channel_id if thread else message.channel_id,
                "forum": webhook is not None and webhook.forum,
                "thread_name": thread and thread.name,
            },
            "content": message.content,
            "username": message.username,
            "avatar_url": message.avatar_url,
            "embeds": answer["embeds"],
            "components": answer["components"],
            "poll": message.poll,
            "files": [{**_file(message, file), "attached": file.id in attached} for file in message.files],
            "flags": message.flags,
            "timestamp": message.timestamp.isoformat(),
            "edited": message.edited and message.edited.isoformat(),
            "edits": message.edits,
            "pings": [ping for ping in message.pings if ping in message.mentions],
        }


def _number(request: web.Request, name: str) -> float:
    """Return a number of the query, or 0 if the text is not a number."""
    text = request.query.get(name, "")
    return float(text) if re.fullmatch(r"\d{1,15}(?:\.\d{1,15})?", text, re.ASCII) else 0.0


def _file(message: Message, file: File) -> dict[str, Any]:
    kind = file.content_type.partition(";")[0].strip().lower()
    text = kind.startswith("text/") or kind == "application/json" or _TEXT_NAME.fullmatch(file.filename)
    return {
        "filename": file.filename,
        "title": file.title,
        "description": file.description,
        "size": len(file.data),
        "spoiler": file.spoiler,
        "picture": content_type(file) in _SHOWN_INLINE,
        "preview": _preview(file) if text else None,
        "url": attachment_path(message, file),
    }


def _preview(file: File) -> str:
    text = file.data[: 4 * _MAX_PREVIEW_CHARACTERS].decode("utf-8", "ignore")[:_MAX_PREVIEW_CHARACTERS]
    return "\n".join(text.split("\n", _PREVIEW_LINES)[:_PREVIEW_LINES])


def _traffic(finished: list[Request], now: float) -> list[tuple[int, str, int]]:
    """Return numbers of requests, each with their second of Unix time and their kind."""
    shift = time.time() - now
    counts = Counter((int(shift + (request.finished or now)), _kind(request)) for request in finished)
    return [(second, kind, count) for (second, kind), count in sorted(counts.items())]


def _kind(request: Request) -> str:
    if request.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "limited"
    return "refused" if is_refused(request) else "accepted"


def _refused(request: Request, now: float) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "answer": request.answer[: 4 * _MAX_PAYLOAD_CHARACTERS].decode("utf-8", "replace")[:_MAX_PAYLOAD_CHARACTERS],
        "payload": None if request.payload is None else _beginning(request.payload),
        "ago": now - (request.finished or now),
    }


def _beginning(payload: Any) -> str:
    """Return the beginning of a payload as JSON, in a time that does not grow with the rest."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(payload):
        text += piece[:_MAX_PAYLOAD_CHARACTERS]
        if len(text) >= _MAX_PAYLOAD_CHARACTERS:
            break
    return text[:_MAX_PAYLOAD_CHARACTERS]
