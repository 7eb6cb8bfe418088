"""Runs the ASGI application on ports of its own, inside the emulator's event loop."""

import asyncio
import contextlib
import ssl
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.web.protocols import SilentHttp, SilentWebSocket

# Seeded histories can be long; the real service takes messages of many megabytes.
_MAX_MESSAGE = 64 * 2**20
_MAX_HEAD = 64 * 1024
_STOP_SECS = 2.0


class WebServer:
    """HTTP/1.1 and websockets.

    uvicorn's own ``Server`` takes over the process (signals, log lines, exits); this one only listens.

    Parameters:
        app: ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self._config = Config(
            app,
            http=SilentHttp,
            ws=SilentWebSocket,
            log_config=None,
            lifespan="off",
            proxy_headers=False,
            date_header=False,
            server_header=False,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=_MAX_HEAD,
            ws_max_size=_MAX_MESSAGE,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
        )
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None, *, name: str) -> int:
        """Open a port.

        Args:
            host: Address to listen on.
            port: Port, 0 = any.
            tls: TLS; None = plaintext.
            name: What is served, for errors.

        Returns:
            The port.

        Raises:
            EmulatorError: If the address cannot be listened on.
        """
        if not self._config.loaded:
            self._config.load()
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: SilentHttp(config=self._config, server_state=self._state, app_state={}),
                host,
                port,
                ssl=tls,
                backlog=1024,
            )
        except OSError as error:
            raise EmulatorError(
                f"{name} cannot listen on {host}:{port} ({error.strerror or error}): choose another port."
            ) from error
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close the ports and every connection."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECS)
        for server in servers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECS):
                    await server.wait_closed()
