"""A websocket as the emulator's services see it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from halfcascade.emulator.web.caller import Caller, caller_of
from halfcascade.emulator.web.protocols import EXTENSION, Connection

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
SendEvent = Callable[[dict[str, Any]], Awaitable[None]]


class Gone(Exception):
    """The client is gone."""


class WebSocket:
    """One websocket, on ASGI events.

    Parameters:
        scope: ASGI scope.
        receive: ASGI receive.
        send: ASGI send.
    """

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: SendEvent) -> None:
        self.caller: Caller = caller_of(scope)
        self._receive = receive
        self._send = send
        self._connection: Connection | None = (scope.get("extensions") or {}).get(EXTENSION)

    async def accept(self) -> None:
        """Open it."""
        await self._receive()
        await self._send({"type": "websocket.accept"})

    async def refuse(self, status: int, body: bytes) -> None:
        """Answer the opening request as a plain HTTP one, instead of accepting it.

        Args:
            status: HTTP status.
            body: JSON, or text.
        """
        kind = b"application/json; charset=UTF-8" if body.startswith(b"{") else b"text/plain; charset=UTF-8"
        await self._send(
            {"type": "websocket.http.response.start", "status": status, "headers": [(b"content-type", kind)]}
        )
        await self._send({"type": "websocket.http.response.body", "body": body})

    def delay_pongs(self, seconds: Callable[[], float]) -> None:
        """Let pings be answered late."""
        if self._connection is not None:
            self._connection.pong_delay = seconds

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what the client sends, until it is gone."""
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return
            text = event.get("text")
            yield text if text is not None else event["bytes"]

    async def send(self, data: bytes) -> None:
        """Send a binary frame.

        Raises:
            Gone: The client is gone.
        """
        try:
            await self._send({"type": "websocket.send", "bytes": data})
        except (OSError, RuntimeError) as error:
            raise Gone from error

    async def close(self, code: int, reason: str = "") -> None:
        """Close it, if it is still open."""
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError):
            return

    def abort(self) -> None:
        """Break the connection, so that the client sees 1006."""
        if self._connection is not None:
            self._connection.abort()
