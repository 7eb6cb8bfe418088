"""Serves cassettes on the wire: a client gets what was recorded, message by message."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import grpc
from loguru import logger
from starlette.responses import Response, StreamingResponse

from halfcascade.emulator.cassettes.cassette import Cassette, Event, Wire, query_of, read_folder
from halfcascade.emulator.cassettes.playback import Due, Playback, first_difference
from halfcascade.emulator.cassettes.redaction import Redactor
from halfcascade.emulator.cassettes.wire_types import message_type, to_bytes, to_json
from halfcascade.emulator.control import basic_routes
from halfcascade.emulator.listening import Ports, Served
from halfcascade.emulator.web.app import App, Call, Route
from halfcascade.emulator.web.errors import not_found
from halfcascade.emulator.web.socket import Gone, WebSocket

_NO_CASSETTE = "No cassette holds such a call."


class Rack:
    """Chooses the cassette for a call: one of the same path, at best with the same beginning, the least played first.

    Parameters:
        cassettes: What there is, in order.
    """

    def __init__(self, cassettes: Sequence[Cassette]) -> None:
        self._cassettes = list(cassettes)
        self._played = [0] * len(self._cassettes)

    def has(self, wire: Wire, path: str, method: str = "") -> bool:
        """Tell whether there is any for a path."""
        return any(self._fits(cassette, wire, path, method) for cassette in self._cassettes)

    def choose(self, wire: Wire, path: str, first: Any, *, method: str = "", target: str = "") -> Cassette | None:
        """Choose one, and count it as played.

        Args:
            wire: How the call goes.
            path: Of the call.
            first: Its first message, without secrets; None = it has none.
            method: HTTP method.
            target: Path and query, without secrets; "" = the query does not matter.
        """

        def unlike(number: int) -> tuple[bool, bool, int, int]:
            cassette = self._cassettes[number]
            elsewhere = bool(target) and cassette.target != target
            return (elsewhere, first_difference(cassette, first), self._played[number], number)

        fitting = [n for n, cassette in enumerate(self._cassettes) if self._fits(cassette, wire, path, method)]
        if not fitting:
            return None
        best = min(fitting, key=unlike)
        if any(unlike(best)[:2]):
            logger.warning(f"No cassette begins like this call of {path}: {self._cassettes[best].name} is played.")
        self._played[best] += 1
        return self._cassettes[best]

    @staticmethod
    def _fits(cassette: Cassette, wire: Wire, path: str, method: str) -> bool:
        same = cassette.path.lstrip("/") == path.lstrip("/")
        return cassette.wire == wire and same and cassette.method == method


class Player(Served):
    """Serves the emulator's ports from cassettes.

    Parameters:
        folder: Of the cassettes.
        speed: How much faster than they were recorded; 0 = without waiting.
        ports: Of ``Ports``.
    """

    def __init__(self, folder: Path, *, speed: float = 1.0, **ports: Any) -> None:
        super().__init__(Ports(**ports))
        self._folder = folder
        self._speed = speed

    async def start(self) -> None:
        """Read the cassettes and listen.

        Raises:
            EmulatorError: If there are none, one cannot be read, or a port is taken.
        """
        rack = Rack(await asyncio.to_thread(read_folder, self._folder))
        web = WebPlayer(rack, self._speed)
        routes = [*basic_routes(), Route("GET POST PUT PATCH DELETE", ".*", web.answer)]
        try:
            await self._ports.open(GrpcPlayer(rack, self._speed), App(routes, [web.serve]))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all calls."""
        await self._ports.close_web()
        await self._ports.close_grpc()
        self._ports.remove_certificate()


class GrpcPlayer(grpc.GenericRpcHandler):
    """Answers gRPC calls.

    Parameters:
        rack: Has the cassettes.
        speed: Of playing.
    """

    def __init__(self, rack: Rack, speed: float) -> None:
        self._rack = rack
        self._speed = speed

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Find the handler of a call (gRPC)."""
        path = handler_call_details.method
        if not self._rack.has("grpc", path):
            return grpc.stream_stream_rpc_method_handler(_refuse)

        async def play(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            async for response in self._play(path, requests, context):
                yield response

        return grpc.stream_stream_rpc_method_handler(play)

    async def _play(
        self, path: str, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        kind, answers = message_type(path, "Request"), message_type(path, "Response")
        incoming = _parsed(requests, kind)
        first = await anext(incoming, None)
        cassette = self._rack.choose("grpc", path, Redactor().value(first) if isinstance(first, dict) else None)
        if cassette is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, _NO_CASSETTE)
            return
        async with contextlib.aclosing(_events(Playback(cassette, self._speed), first, incoming)) as events:
            async for event in events:
                if event.is_message:
                    yield to_bytes(answers, event.what["json"]) if "json" in event.what else event.content()
                elif "end" in event.what:
                    how = event.what["end"]
                    if (code := how.get("code", "OK")) != "OK":
                        await context.abort(grpc.StatusCode[code], str(how.get("message", "")))
                    return
        await context.abort(grpc.StatusCode.UNAVAILABLE, "The recording ends here.")


async def _refuse(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    # gRPC refuses before anything is read, which a client that still writes takes for a failure of its own.
    await anext(requests, None)
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, _NO_CASSETTE)
    yield b""


class WebPlayer:
    """Answers HTTP requests and websockets.

    Parameters:
        rack: Has the cassettes.
        speed: Of playing.
    """

    def __init__(self, rack: Rack, speed: float) -> None:
        self._rack = rack
        self._speed = speed

    async def answer(self, call: Call) -> Response:
        """Answer an HTTP request."""
        scope = call.request.scope
        redactor = Redactor()
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        first = _json_or_text(await call.body())
        cassette = self._rack.choose(
            "http",
            scope["path"],
            redactor.value(first) if first else None,
            method=scope["method"],
            target=redactor.text(scope["path"]) + query_of(redactor.query(query)),
        )
        if cassette is None:
            raise not_found(_NO_CASSETTE)
        playback = Playback(cassette, self._speed)
        events = _events(playback, first or None, _nothing())
        head = await anext(events, None)
        if head is None or "head" not in head.what:
            await events.aclose()
            raise not_found("The recording holds no answer to this call.")
        told = head.what["head"]
        return StreamingResponse(_bodies(events), told["status"], told["headers"])

    async def serve(self, websocket: WebSocket) -> bool:
        """Serve a websocket, if any cassette holds one of its path.

        Args:
            websocket: Not accepted yet.

        Returns:
            Whether there was.
        """
        path = websocket.caller.path
        if not self._rack.has("websocket", path):
            return False
        await websocket.accept()
        incoming = _frames(websocket)
        first = await anext(incoming, None)
        cassette = self._rack.choose("websocket", path, Redactor().value(first)) if first is not None else None
        if cassette is None:
            return True
        async with contextlib.aclosing(_events(Playback(cassette, self._speed), first, incoming)) as events:
            async for event in events:
                try:
                    if not await _act(websocket, event):
                        return True
                except Gone:
                    return True
        await websocket.close(1011, "The recording ends here.")
        return True


async def _act(websocket: WebSocket, event: Event) -> bool:
    """Do on a websocket what the server did; tell whether it goes on."""
    if event.is_message:
        await websocket.send(event.content())
        return True
    how = event.what.get("end", {})
    code = how.get("code")
    if code is None or code == 1006:
        websocket.abort()
    else:
        await websocket.close(code if code != 1005 else 1000, str(how.get("reason", "")))
    return False


async def _events(playback: Playback, first: Any, incoming: AsyncIterator[Any]) -> AsyncGenerator[Event, None]:
    """Yield what the recorded server does, when it is due."""
    loop = asyncio.get_running_loop()
    due: asyncio.Queue[Due | None] = asyncio.Queue()

    def add(items: list[Due]) -> None:
        for item in items:
            due.put_nowait(item)

    async def read() -> None:
        async for message in incoming:
            add(playback.receive(message, loop.time()))
        add(playback.finish(loop.time()))
        due.put_nowait(None)

    add(playback.begin(loop.time()))
    if first is not None:
        add(playback.receive(first, loop.time()))
    reading = asyncio.create_task(read())
    try:
        while not (playback.over and due.empty()):
            item = await due.get()
            if item is None:
                return
            if (wait := item.at - loop.time()) > 0:
                await asyncio.sleep(wait)
            yield item.event
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _bodies(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    async for event in events:
        if event.is_message:
            yield event.content()


async def _parsed(requests: AsyncIterator[bytes], kind: Any) -> AsyncIterator[Any]:
    async for request in requests:
        value = to_json(kind, request) if kind else None
        yield value if value is not None else request


async def _frames(websocket: WebSocket) -> AsyncIterator[Any]:
    async for data in websocket.messages():
        yield _json_or_text(data)


async def _nothing() -> AsyncIterator[Any]:
    return
    yield


def _json_or_text(data: str | bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data if isinstance(data, str) else data.decode(errors="replace")
