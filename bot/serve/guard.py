"""What every request passes before anything looks at it: host, origin, size, and how much a socket sends."""

import time
from typing import TYPE_CHECKING

from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from halfcascade.bot.serve.access import Gatekeeper
from halfcascade.bot.serve.limits import Allowance, Meter
from halfcascade.bot.serve.measures import Measures

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# An SDP offer takes a few kilobytes.
_MOST_BODY_BYTES = 262_144
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_POLICY_CODE = 1008
_HEADERS = {
    "content-security-policy": "default-src 'self'; connect-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "permissions-policy": "microphone=(self), camera=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


class Guard:
    """An ASGI application around another.

    Args:
        app: The other.
        keeper: Knows who may come.
        measures: Counts who may not.
        allowance: What a socket may send.
    """

    def __init__(self, app: "ASGIApp", keeper: Gatekeeper, measures: Measures, allowance: Allowance | None = None):
        self._app = app
        self._keeper = keeper
        self._measures = measures
        self._allowance = allowance or Allowance()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or refuse it.

        Args:
            scope: What is asked for.
            receive: Gives what comes.
            send: Takes what goes.
        """
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if why := self._refusal(scope, headers):
            self._measures.refused.labels(why).inc()
            await _refuse(scope, receive, send, 403, f"This page or host may not connect here ({why}).")
        elif scope["type"] == "websocket":
            await self._app(scope, self._metered(receive, send), send)
        elif int(headers.get("content-length") or 0) > _MOST_BODY_BYTES:
            await _refuse(scope, receive, send, 413, "That is too long.")
        else:
            await self._app(scope, _measured(receive), _with_headers(send))

    def _refusal(self, scope: "Scope", headers: Headers) -> str:
        if not self._keeper.allows_host(headers.get("host")):
            return "host"
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if changes and not self._keeper.allows_origin(headers.get("origin"), headers.get("host")):
            return "origin"
        return ""

    def _metered(self, receive: "Receive", send: "Send") -> "Receive":
        meter = Meter(self._allowance, time.monotonic())
        closed = False

        async def metered() -> "Message":
            nonlocal closed
            if closed:
                return {"type": "websocket.disconnect", "code": _POLICY_CODE}
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            size = len(message.get("bytes") or b"") + len(message.get("text") or "")
            if meter.take(size, time.monotonic()):
                return message
            closed = True
            self._measures.refused.labels("flood").inc()
            logger.warning("A client sent more than it may, and was cut off.")
            await send({"type": "websocket.close", "code": _POLICY_CODE, "reason": "too much"})
            return {"type": "websocket.disconnect", "code": _POLICY_CODE}

        return metered


def _measured(receive: "Receive") -> "Receive":
    """Cut off a body that is longer than it may be, whatever its header says."""
    taken = 0

    async def measured() -> "Message":
        nonlocal taken
        message = await receive()
        taken += len(message.get("body") or b"")
        if taken > _MOST_BODY_BYTES:
            return {"type": "http.disconnect"}
        return message

    return measured


def _with_headers(send: "Send") -> "Send":
    async def with_headers(message: "Message") -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return with_headers


async def _refuse(scope: "Scope", receive: "Receive", send: "Send", status: int, text: str) -> None:
    if scope["type"] == "http":
        await PlainTextResponse(text, status)(scope, receive, send)
        return
    # Before a socket is accepted, closing it answers 403.
    await receive()
    await send({"type": "websocket.close", "code": _POLICY_CODE, "reason": text})
