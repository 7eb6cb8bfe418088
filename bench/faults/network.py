"""A network between a client and a server, which can fail."""

import asyncio
import random
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

LATE_SECS = 3.0
TRICKLE_BYTES = 50
TRICKLE_SECS = 0.1


@dataclass(eq=False)
class _Link:
    writers: list[asyncio.StreamWriter]
    mute: bool = False


@dataclass
class Proxy:
    """Passes connections on to a server, as well as the network of the moment allows.

    Parameters:
        target: Port of the server.
        port: Its own, once started.
    """

    target: int
    port: int = 0
    _fault: str = ""
    _links: set[_Link] = field(default_factory=set)
    _server: asyncio.Server | None = None
    _flows: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Listen on loopback."""
        self._flows.set()
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End all connections."""
        self._flows.set()
        self._cut()
        if self._server:
            self._server.close()

    def fail(self, fault: str) -> None:
        """Begin a fault.

        Args:
            fault: A key of ``FAULTS``.
        """
        self._fault = fault
        if fault in ("mute", "old-mute"):
            for link in self._links:
                link.mute = True
        elif fault == "refuse":
            self._cut()
        elif fault == "hold":
            self._flows.clear()

    def mend(self) -> None:
        """End the fault; connections that were mute stay so, as after a change of networks."""
        self._fault = ""
        self._flows.set()

    def _cut(self) -> None:
        for link in list(self._links):
            for writer in link.writers:
                writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault == "refuse":
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        link = _Link([writer, back], mute=self._fault == "mute")
        self._links.add(link)
        try:
            await asyncio.gather(self._ask(reader, back, link), self._answer(there, writer, link))
        finally:
            self._links.discard(link)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link) -> None:
        """Pass on what the client says."""
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._write(data, writer, link)
        if not link.mute:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link) -> None:
        """Pass on what the server says, each piece when its time has come."""
        on_the_way: deque[tuple[float, bytes]] = deque()
        came = asyncio.Event()

        async def read() -> None:
            loop = asyncio.get_running_loop()
            data = b"begin"
            while data:
                try:
                    data = await reader.read(65_536)
                except OSError:
                    data = b""
                on_the_way.append((loop.time() + (LATE_SECS if self._fault == "late" else 0.0), data))
                came.set()

        reading = asyncio.create_task(read())
        try:
            with suppress(OSError):
                await self._deliver(on_the_way, came, writer, link)
        finally:
            reading.cancel()
        if not link.mute:
            writer.close()

    async def _deliver(
        self, on_the_way: deque[tuple[float, bytes]], came: asyncio.Event, writer: asyncio.StreamWriter, link: _Link
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await came.wait()
            came.clear()
            while on_the_way:
                due, data = on_the_way.popleft()
                if not data:
                    return
                await asyncio.sleep(max(0.0, due - loop.time()))
                if self._fault == "garbage":
                    data = random.Random(0).randbytes(len(data))
                while self._fault == "trickle" and data:
                    await self._write(data[:TRICKLE_BYTES], writer, link)
                    data = data[TRICKLE_BYTES:]
                    await asyncio.sleep(TRICKLE_SECS)
                await self._write(data, writer, link)

    async def _write(self, data: bytes, writer: asyncio.StreamWriter, link: _Link) -> None:
        await self._flows.wait()
        if not link.mute and data:
            writer.write(data)
            await writer.drain()
