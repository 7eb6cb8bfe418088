"""uvicorn's protocols, as an emulator needs them: silent, and able to break what they serve.

uvicorn logs paths, and a path may hold an API key; so its loggers are replaced by one that is never shown. A broken TCP
connection and late pongs are faults that no ASGI message asks for: the websocket's scope offers them as an extension.
"""

import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "halfcascade.connection"
_CLOSE_SECS = 2.0

_SILENT = logging.getLogger("halfcascade.emulator.web.silent")
_SILENT.setLevel(logging.CRITICAL + 1)


class Connection:
    """What a websocket's server can do beyond ASGI.

    Parameters:
        abort: Break the TCP connection without a close frame, so that the client sees 1006.
    """

    def __init__(self, abort: Callable[[], None]) -> None:
        self.abort = abort
        self.pong_delay: Callable[[], float] = lambda: 0.0
        """Seconds before a ping is answered."""


class SilentHttp(H11Protocol):
    """HTTP/1.1 that logs nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.access_logger = _SILENT
        self.access_log = False


class SilentWebSocket(WebSocketsSansIOProtocol):
    """Websockets that log nothing, can be broken, and answer pings late."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _SILENT
        self.conn.logger = _SILENT
        self.close_timeout = _CLOSE_SECS
        self._connection = Connection(self._abort)

    async def run_asgi(self) -> None:
        """Offer the extension to the application."""
        extensions: dict[str, Any] = dict(self.scope.get("extensions") or {})
        extensions[EXTENSION] = self._connection
        self.scope["extensions"] = extensions
        await super().run_asgi()

    def handle_ping(self) -> None:
        """Answer a ping, perhaps late."""
        delay = self._connection.pong_delay()
        if delay <= 0:
            super().handle_ping()
            return
        pong = b"".join(self.conn.data_to_send())
        self.loop.call_later(delay, self._send_late, pong)

    def _send_late(self, pong: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(pong)

    def _abort(self) -> None:
        self.close_sent = True
        self.transport.abort()
