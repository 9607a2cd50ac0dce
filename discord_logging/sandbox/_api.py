"""The routes of the webhook API, which turn requests into responses and injected faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from ._answers import phrase
from ._body import Body, parse_body
from ._faults import Fault
from ._models import Request
from ._webhooks import Call

if TYPE_CHECKING:
    from ._answers import Answer
    from ._state import State
    from ._webhooks import Webhooks

_TOKEN = re.compile(r"(/webhooks/[^/?]+/)[^/?]+")


class Api:
    """Serves the webhook API for as long as `stopping` is not set."""

    def __init__(self, state: State, webhooks: Webhooks, latency: float, stopping: asyncio.Event) -> None:
        self._state = state
        self._webhooks = webhooks
        self._latency = latency
        self._stopping = stopping

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.route("*", "/api/{tail:.*}", self._handle)]

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        now = time.monotonic()
        call = Call(
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            user_agent=incoming.headers.get("User-Agent", ""),
            github_event=incoming.headers.get("X-GitHub-Event", ""),
            body=Body(),
            base_url=f"http://{incoming.host}",
            now=now,
        )
        # aiohttp discards a body that is not read, and closes the connection if that takes long.
        try:
            body = await self._read(incoming) if self._webhooks.reads_body(call) else call.body
        except (ConnectionError, web.RequestPayloadError):  # the client has gone, or has not compressed what it says
            return _closed(incoming.transport)
        call = replace(call, body=body or call.body)
        request = Request(
            method=incoming.method,
            path=_TOKEN.sub(r"\1***", incoming.path_qs),
            headers=incoming.headers,
            payload=call.body.payload,
            files=call.body.files,
            time=now,
            fault=self._state.next_fault() if call.executes and body else None,
            size=call.body.size,
        )
        self._state.begin(request)
        if body is None:
            self._state.finish(request, 413, b"")
            response = web.Response(status=413)
            response.force_close()
            return response
        return await self._answer(incoming, request, call)

    @staticmethod
    async def _read(incoming: web.Request) -> Body | None:
        """Read the body; return `None`, without reading the rest, if it is too large."""
        if (incoming.content_length or 0) > incoming.client_max_size:
            return None
        try:
            data = await incoming.read()
        except web.HTTPRequestEntityTooLarge:
            return None
        return parse_body(incoming.headers.get("Content-Type", ""), data)

    async def _answer(self, incoming: web.Request, request: Request, call: Call) -> web.StreamResponse:
        fault = request.fault or Fault()
        answer = self._webhooks.respond(call) if request.fault is None or fault.save else None
        await self._pause(self._latency + fault.delay)
        transport = incoming.transport
        if transport is None or transport.is_closing() or self._stopping.is_set() or fault.drop:
            return self._hang_up(request, transport, reset=fault.drop == "reset")
        if fault.raw is not None:
            transport.write(fault.raw)
            return self._hang_up(request, transport)
        answer = fault.answer() or answer or self._webhooks.respond(call)
        if fault.drip is not None:
            return await self._drip(request, transport, answer, fault.drip)
        headers, data = answer.encoded()
        self._state.finish(request, answer.status, data)
        return web.Response(status=answer.status, headers=headers, body=data or None)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the server stops."""
        if seconds > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _drip(
        self, request: Request, transport: asyncio.Transport, answer: Answer, interval: float
    ) -> web.StreamResponse:
        headers, data = answer.encoded()
        lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(data)}", "Connection: close", "", ""]
        *early, last = (bytes([byte]) for byte in "\r\n".join(lines).encode() + data)
        for byte in early:
            transport.write(byte)
            await self._pause(interval)
            if transport.is_closing() or self._stopping.is_set():
                return self._hang_up(request, transport)
        self._state.finish(request, answer.status, data)
        transport.write(last)
        return _closed(transport)

    def _hang_up(
        self, request: Request, transport: asyncio.Transport | None, *, reset: bool = False
    ) -> web.StreamResponse:
        self._state.finish(request, None, b"")
        return _closed(transport, reset=reset)


def _closed(transport: asyncio.Transport | None, *, reset: bool = False) -> web.StreamResponse:
    """Close the connection. aiohttp needs the returned response, but does not send it."""
    if transport is not None:
        if reset:
            # Lingering for zero seconds turns the close into a reset. On Windows the two numbers are shorter.
            no_time = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_time)
        transport.close()
    return web.Response()
