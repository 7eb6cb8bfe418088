"""A service's way to one of Google's Cloud APIs: a client whose connection can be made early, and exchanged."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

import grpc

Client = TypeVar("Client")

# A connection is not renewed again before it had time to be made on many networks; on others several are made at once.
_CONNECT_SECS = 0.4
# How long the calls of a connection that was replaced may take to end, and how long it may still be made.
_OLD_CALLS_SECS = 5.0
# How long closing a connection may take whose calls are over, before it is left to itself.
_CLOSE_SECS = 2.0


class CloudChannel(Generic[Client]):
    """Holds the client of one service for the length of a talk.

    A client that was given is used as it is. One of our own is made on demand, can be replaced while calls are under
    way, and is closed at the end. Where connecting takes longer than the next renewal, on a far or a bad network,
    connections are made side by side and the first that gets through is taken.
    """

    def __init__(self, make: Callable[[], Client], given: Client | None = None):
        """Initialize without connecting.

        Args:
            make: Makes a client that has a gRPC ``transport``; may raise ``ConfigurationError``.
            given: Client to use, whose owner closes it.
        """
        self._make = make
        self._given = given
        self._own: Client | None = None
        self._replaced = 0
        self._renewed_at = -_CONNECT_SECS

    @property
    def client(self) -> Client | None:
        """The client that calls go to from now on, or None before ``open``."""
        return self._given or self._own

    def require(self) -> Client:
        """The client, where there must be one.

        Raises:
            RuntimeError: If the service was not set up.
        """
        if self.client is None:
            raise RuntimeError("the service was not set up")
        return self.client

    def open(self) -> None:
        """See to it that there is a client. Must be called with the event loop running.

        Raises:
            ConfigurationError: If there are no usable credentials.
        """
        if self.client is None:
            self._own = self._make()

    def connect(self) -> None:
        """Begin to connect, so that the first call finds the connection made."""
        if channel := _grpc_channel(self.client):
            channel.get_state(try_to_connect=True)

    def replace(self) -> None:
        """Have a client of our own made anew, because where it leads has changed; open calls go on with the old one."""
        if self._own is not None:
            self._own = self._make()
            self._replaced += 1
            self.connect()

    def renew(self) -> Coroutine[Any, Any, None] | None:
        """Exchange a connection that has gone mute: calls made from now on get another.

        Returns:
            What ends the old connection once its calls are over, to be run as a task; None if nothing was exchanged,
            because the client was given or was exchanged just now.
        """
        old, now = self._own, time.monotonic()
        if old is None or now < self._renewed_at + _CONNECT_SECS:
            return None
        self._renewed_at = now
        self._own = self._make()
        self.connect()
        return self._part_with(old, self._replaced)

    async def _part_with(self, old: Client, replaced: int) -> None:
        """Close a client that was exchanged, unless it gets through before the one in its place."""
        wanted = await _gets_through(old) and replaced == self._replaced
        if wanted and self._own is not None and not _is_ready(self._own):
            old, self._own = self._own, old
        await _grpc_channel(old).close(_OLD_CALLS_SECS)

    @asynccontextmanager
    async def before_a_talk(self) -> AsyncIterator[Client]:
        """Lend the client, or where there is none yet, one that is closed behind it.

        Yields:
            The client.

        Raises:
            ConfigurationError: If there are no usable credentials.
        """
        if self.client is not None:
            yield self.client
            return
        lent = self._make()
        try:
            yield lent
        finally:
            await close_client(lent)

    async def close(self) -> None:
        """Close a client of our own."""
        own, self._own = self._own, None
        if own is not None:
            await close_client(own)


async def close_client(client: Any) -> None:
    """Close the connection of a Cloud client, in limited time.

    Args:
        client: An asynchronous client of one of Google's Cloud libraries.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_SECS):
            await client.transport.close()


async def _gets_through(client: Any) -> bool:
    """Whether a client that was not connected will be, in the time that its calls have."""
    if _is_ready(client):
        return False
    with suppress(TimeoutError):
        async with asyncio.timeout(_OLD_CALLS_SECS):
            await _grpc_channel(client).channel_ready()
            return True
    return False


def _is_ready(client: Any) -> bool:
    return _grpc_channel(client).get_state() is grpc.ChannelConnectivity.READY


def _grpc_channel(client: Any) -> Any:
    return getattr(getattr(client, "transport", None), "grpc_channel", None)
