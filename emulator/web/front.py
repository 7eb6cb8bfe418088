"""One TLS port for everything: what speaks HTTP/2 alone is gRPC, the rest is HTTP and websockets.

Google serves both kinds under one name and port. This lets a container stand under Google's names: the first message of
a TLS connection tells in plain which protocols the client speaks (RFC 7301), and the bytes go on as they are.
"""

import asyncio
import contextlib

from halfcascade.emulator.errors import EmulatorError

_HELLO_SECS = 10.0
_MOST_HELLO = 2**14
_PIECE = 2**16
_ALPN, _HANDSHAKE, _CLIENT_HELLO = 16, 22, 1


class TlsFront:
    """Passes connections on to one of two ports.

    Parameters:
        grpc_port: Where gRPC over TLS is served, on loopback.
        http_port: Where HTTPS is served, on loopback.
    """

    def __init__(self, grpc_port: int, http_port: int) -> None:
        self._grpc_port = grpc_port
        self._http_port = http_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """Open the port.

        Args:
            host: Address to listen on.
            port: Port, 0 = any.

        Returns:
            The port.

        Raises:
            EmulatorError: If the address cannot be listened on.
        """
        try:
            self._server = await asyncio.start_server(self._accept, host, port)
        except OSError as error:
            raise EmulatorError(
                f"The TLS port cannot listen on {host}:{port} ({error.strerror or error}): choose another port."
            ) from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close the port and what goes through it."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._tasks.add(task)
        try:
            async with asyncio.timeout(_HELLO_SECS):
                hello = await _read_hello(reader)
            port = self._grpc_port if speaks_only_http2(hello) else self._http_port
            onward, back = await asyncio.open_connection("127.0.0.1", port)
            back.write(hello)
            try:
                await asyncio.gather(_copy(reader, back), _copy(onward, writer))
            finally:
                back.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _read_hello(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    length = int.from_bytes(head[3:5])
    if head[0] != _HANDSHAKE or length > _MOST_HELLO:
        return head
    return head + await reader.readexactly(length)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def speaks_only_http2(hello: bytes) -> bool:
    """Tell whether a TLS ClientHello offers HTTP/2 and no HTTP/1.1, as gRPC clients do.

    Args:
        hello: The first TLS record.

    Returns:
        False too for what is no ClientHello.
    """
    protocols = _protocols(hello)
    return b"h2" in protocols and b"http/1.1" not in protocols


def _protocols(hello: bytes) -> list[bytes]:
    """List the protocols that a ClientHello offers."""
    try:
        if hello[0] != _HANDSHAKE or hello[5] != _CLIENT_HELLO:
            return []
        position = 5 + 4 + 2 + 32  # record head, handshake head, version, random
        position += 1 + hello[position]  # session id
        position += 2 + int.from_bytes(hello[position : position + 2])  # cipher suites
        position += 1 + hello[position]  # compression methods
        end = position + 2 + int.from_bytes(hello[position : position + 2])
        position += 2
        while position + 4 <= end:
            kind = int.from_bytes(hello[position : position + 2])
            length = int.from_bytes(hello[position + 2 : position + 4])
            body = hello[position + 4 : position + 4 + length]
            if kind == _ALPN:
                return _strings(body[2:])
            position += 4 + length
    except IndexError:
        return []
    return []


def _strings(data: bytes) -> list[bytes]:
    strings, position = [], 0
    while position < len(data):
        length = data[position]
        strings.append(data[position + 1 : position + 1 + length])
        position += 1 + length
    return strings
