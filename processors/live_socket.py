"""The websocket under a Live session: how it is set up, and how it tells that it has reached the server."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from websockets.asyncio.client import ClientConnection

on_reached: ContextVar[Callable[[], None] | None] = ContextVar("on_reached", default=None)
"""Called, where it is set, when a connection of ``AnnouncingSocket`` has got through to a server."""


class AnnouncingSocket(ClientConnection):
    """A websocket that tells when its handshake is over, before anything is sent on it."""

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Shake hands, and tell.

        Args:
            *args: The library's.
            **kwargs: The library's.
        """
        await super().handshake(*args, **kwargs)
        if (tell := on_reached.get()) is not None:
            tell()


LIVE_SOCKET_OPTIONS: dict[str, Any] = {
    # Live servers answer pings up to 30 s late; the websocket library would hang up after 20 s (facts/live#keepalive).
    "ping_interval": 30.0,
    "ping_timeout": 60.0,
    # A hand-over waits for the old socket to be closed (facts/live#lifetime): a server that never says goodbye must not
    # hold it.
    "close_timeout": 1.0,
    "max_size": 16 * 1024 * 1024,
    # Attempts are made side by side where one hangs, and only the one that gets through may set a session up.
    "create_connection": AnnouncingSocket,
}
"""Settings of the Live websocket; google-genai hands them from its HTTP options to ``websockets.connect``."""
