"""The ASGI application: finds who answers a path, and answers everything else as Google does."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from halfcascade.emulator.web.caller import Caller, caller_of
from halfcascade.emulator.web.errors import ApiError, invalid, not_found
from halfcascade.emulator.web.socket import Receive, SendEvent, WebSocket

_MAX_BODY = 64 * 2**20
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "3600",
}


class Call:
    """One HTTP request.

    Parameters:
        request: Starlette's.
        groups: Of the route's pattern.
    """

    def __init__(self, request: Request, groups: dict[str, str]) -> None:
        self.request = request
        self.groups = groups
        self.caller: Caller = caller_of(request.scope)

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            ApiError: If it is too large.
        """
        body = bytearray()
        async for piece in self.request.stream():
            body += piece
            if len(body) > _MAX_BODY:
                raise ApiError("INVALID_ARGUMENT", f"Request payload size exceeds the limit: {_MAX_BODY} bytes.")
        return bytes(body)

    async def json(self) -> dict[str, Any]:
        """Read the body as a JSON object; an empty body is an empty object.

        Raises:
            ApiError: If it is none.
        """
        body = await self.body()
        if not body.strip():
            return {}
        try:
            value = await asyncio.to_thread(json.loads, body) if len(body) > 2**20 else json.loads(body)
        except (ValueError, RecursionError) as error:
            raise invalid(f"Invalid JSON payload received. {error}"[:300]) from error
        if not isinstance(value, dict):
            raise invalid("Invalid JSON payload received. Root element must be a message.")
        return value


Handler = Callable[[Call], Awaitable[Response]]
SocketHandler = Callable[[WebSocket], Awaitable[bool]]


@dataclass(frozen=True)
class Route:
    """Who answers a path.

    Parameters:
        methods: HTTP methods, separated by spaces.
        pattern: Regular expression of the whole path, without its leading slashes.
        handler: Who.
        open_to_pages: Whether web pages from anywhere may call it, as Google's APIs allow.
    """

    methods: str
    pattern: str
    handler: Handler
    open_to_pages: bool = True


class App:
    """Answers all HTTP requests and websockets of an emulator.

    Parameters:
        routes: Tried in order.
        sockets: Tried in order; each tells whether it has served the websocket.
    """

    def __init__(self, routes: Sequence[Route], sockets: Sequence[SocketHandler] = ()) -> None:
        self._routes = [(route, re.compile(route.pattern)) for route in routes]
        self._sockets = sockets

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: SendEvent) -> None:
        """Answer one request or websocket (ASGI)."""
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        response = await self._answer(scope, receive)
        await response(scope, receive, send)  # type: ignore[arg-type]

    async def _serve_socket(self, scope: dict[str, Any], receive: Receive, send: SendEvent) -> None:
        websocket = WebSocket(scope, receive, send)
        for serve in self._sockets:
            if await serve(websocket):
                return
        error = not_found()
        await websocket.refuse(error.status, json.dumps(error.body()).encode())

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> Response:
        request = Request(scope, receive)  # type: ignore[arg-type]
        # Base URLs may end in a slash, so that paths begin with two.
        path, method = scope["path"].lstrip("/"), scope["method"]
        route: Route | None = None
        try:
            found = [(route, match) for route, pattern in self._routes if (match := pattern.fullmatch(path))]
            if not found:
                raise not_found()
            route = found[0][0]
            if method == "OPTIONS" and route.open_to_pages:
                return Response(status_code=204, headers=_CORS)
            for candidate, match in found:
                if method in candidate.methods.split() or (method == "HEAD" and "GET" in candidate.methods):
                    route = candidate
                    response = await candidate.handler(Call(request, match.groupdict()))
                    break
            else:
                raise ApiError("UNIMPLEMENTED", f"The method {method} is not allowed here.", status=405)
        except ApiError as error:
            response = JSONResponse(error.body(), error.status)
        except ClientDisconnect:
            response = Response(status_code=499)
        except Exception:
            logger.exception(f"The emulator failed to answer {method} /{path}")
            response = JSONResponse(ApiError("INTERNAL", "Internal error encountered.").body(), 500)
        if route is None or route.open_to_pages:
            response.headers.update({"Access-Control-Allow-Origin": "*"})
        return response


async def as_events(messages: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Write messages as server-sent events."""
    async for message in messages:
        yield b"data: " + json.dumps(message, ensure_ascii=False).encode(errors="replace") + b"\r\n\r\n"


async def as_array(messages: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Write messages as a JSON array that grows."""
    separator = b"["
    async for message in messages:
        yield separator + json.dumps(message, ensure_ascii=False).encode(errors="replace")
        separator = b",\r\n"
    yield b"]" if separator != b"[" else b"[]"
