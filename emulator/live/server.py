"""The websocket shell of the Live API: sockets, clocks and tasks around the machines."""

import asyncio
import contextlib
import json
import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, cast

from loguru import logger
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.live.actions import Action, Close, Send, StopThinking, Think
from halfcascade.emulator.live.faults import FaultScript, LiveFaults
from halfcascade.emulator.live.http import answer, check_caller, endpoint
from halfcascade.emulator.live.machine import Limits, LiveMachine
from halfcascade.emulator.live.session import SessionStore
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Conversation, MindError, Thinker
from halfcascade.emulator.profiles import Profile

# The websocket library logs request headers, the API key among them, at DEBUG, and clients that leave in mid-handshake
# with a traceback.
_QUIET = logging.getLogger("halfcascade.emulator.live.websockets")
_QUIET.setLevel(logging.CRITICAL)

# Seeded histories can be long; the real service takes messages of many megabytes.
_MAX_MESSAGE = 64 * 2**20


class LiveServer:
    """Serves Gemini Live, the Developer API's and Vertex's, on one port."""

    def __init__(
        self,
        thinker: Thinker,
        profile: Profile | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        log: UsageLog | None = None,
        clock_scale: float = 1.0,
        api_key: str | None = None,
    ) -> None:
        """Prepare a server.

        Args:
            thinker: What answers.
            profile: Latencies; None = none.
            ssl_context: TLS; None = plaintext, which google-genai does not speak.
            host: Address to listen on.
            port: Port, 0 = any.
            faults: Faults of all APIs; those in its ``live`` are obeyed.
            log: Where all that is received and sent is noted, but no API keys, and of audio only the size;
                None = nowhere.
            clock_scale: How much faster the clock of limits runs (connection, session and handle lifetimes): 600 turns
                the 10 minutes of a connection into one second. Latencies and audio stay as they are.
            api_key: The one key that is accepted; None = any.
        """
        self.profile = profile or Profile()
        self.script = FaultScript((faults or Faults()).live)
        self.log = log
        limits = Limits().scaled(clock_scale)
        self.store = SessionStore(limits.handle)
        self._limits = limits
        self._thinker = thinker
        self._ssl = ssl_context
        self._host = host
        self._port = port
        self._api_key = api_key
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port; known once started."""
        return self._port

    async def start(self) -> int:
        """Listen.

        Returns:
            The port.

        Raises:
            EmulatorError: If the address cannot be listened on.
        """
        try:
            self._server = await serve(
                self._serve,
                self._host,
                self._port,
                ssl=self._ssl,
                process_request=self._process_request,
                ping_interval=None,
                max_size=_MAX_MESSAGE,
                compression=None,
                close_timeout=2,
                logger=_QUIET,
            )
        except OSError as error:
            raise EmulatorError(
                f"Gemini Live cannot listen on {self._host}:{self._port} ({error.strerror or error}): "
                "choose another port."
            ) from error
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self._port

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Upgrade", "").lower() == "websocket" and endpoint(request.path) is not None:
            _delay_pongs(connection, self.script.faults)
            return None
        return answer(request, self._api_key)

    async def _serve(self, websocket: ServerConnection) -> None:
        request = websocket.request
        where = endpoint(request.path) if request else None
        if request is None or where is None:
            return
        machine = LiveMachine(
            self.store,
            self.profile.thinker,
            self.script,
            surface=where.surface,
            version=where.version,
            limits=self._limits,
        )
        note = _Note(self.log)
        note("open", surface=where.surface, version=where.version)
        if refusal := check_caller(request, where, self._api_key):
            machine.refuse(refusal)
        connection = _Connection(websocket, machine, self._thinker, one_way=self.profile.network.one_way, note=note)
        try:
            await connection.run()
        except Exception:
            logger.exception("A Gemini Live connection of the emulator failed")
            await websocket.close(1011)


class _Note:
    """Writes down what happens on one connection, if anybody wants to know."""

    def __init__(self, log: UsageLog | None) -> None:
        self._log = log
        self._stream = log.open_stream() if log is not None else 0

    def __call__(self, event: str, **data: Any) -> None:
        if self._log is None:
            return
        message = data.get("message")
        if isinstance(message, str | bytes):
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(message)
        if message is not None:
            data["message"] = _without_audio(message)
        self._log.add("live", self._stream, event, **data)


class _Connection:
    """One websocket and its machine."""

    def __init__(
        self,
        websocket: ServerConnection,
        machine: LiveMachine,
        thinker: Thinker,
        *,
        one_way: float,
        note: "_Note",
    ) -> None:
        self._websocket = websocket
        self._machine = machine
        self._thinker = thinker
        self._one_way = one_way
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        # What arrived, with the time at which it has travelled to the server; None = the client is gone.
        self._arrived: deque[tuple[float, str | bytes | None]] = deque()
        self._leaving: asyncio.Queue[tuple[float, Send | Close]] = asyncio.Queue()
        self._thinking: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve until either side closes."""
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        try:
            await self._drive()
            if self._machine.closed:
                # Whom the server sends away may come back at once, before the closing handshake is through.
                self._machine.disconnected(self._loop.time())
                await writer
        finally:
            self._machine.disconnected(self._loop.time())
            tasks = [reader, writer, *self._thinking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._note("end", audio_bytes=self._machine.audio_bytes)

    async def _read(self) -> None:
        try:
            async for message in self._websocket:
                self._arrived.append((self._loop.time() + self._one_way, message))
                self._wake.set()
        except ConnectionClosed:
            pass
        finally:
            self._arrived.append((self._loop.time(), None))
            self._wake.set()

    async def _drive(self) -> None:
        while True:
            self._wake.clear()
            now = self._loop.time()
            while self._arrived and self._arrived[0][0] <= now:
                _, message = self._arrived.popleft()
                if message is None:
                    return
                self._note("received", message=message)
                self._machine.receive(message, now)
                self._act()
            self._machine.advance(now)
            self._act()
            if self._machine.closed:
                return
            due = [
                at for at in (self._machine.next_at, self._arrived[0][0] if self._arrived else None) if at is not None
            ]
            timeout = max(0.0, min(due) - self._loop.time()) if due else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake.wait()

    def _act(self) -> None:
        for action in self._machine.take_actions():
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Think():
                task = asyncio.create_task(self._think(action.reply, action.conversation))
                self._thinking[action.reply] = task
                task.add_done_callback(lambda _: self._thinking.pop(action.reply, None))
            case StopThinking() if action.reply in self._thinking:
                self._thinking[action.reply].cancel()
            case StopThinking():
                pass
            case Send():
                self._note("sent", message=action.message)
                self._leaving.put_nowait((self._loop.time() + self._one_way, action))
            case Close():
                self._note("close", code=action.code, reason=action.reason)
                self._leaving.put_nowait((self._loop.time() + self._one_way, action))

    async def _think(self, reply: int, conversation: Conversation) -> None:
        pieces = self._thinker.think(conversation)
        try:
            async for piece in pieces:
                self._machine.thought(reply, piece, self._loop.time())
                self._act()
                self._wake.set()
            self._machine.thought_all(reply, self._loop.time())
        except MindError as error:
            logger.error(f"Gemini Live: {error}")
            self._machine.thought_failed(reply, self._loop.time())
        except Exception:
            logger.exception("The emulator's thinker failed")
            self._machine.thought_failed(reply, self._loop.time())
        finally:
            await cast("AsyncGenerator[Any, None]", pieces).aclose()
        self._act()
        self._wake.set()

    async def _write(self) -> None:
        while True:
            at, action = await self._leaving.get()
            await asyncio.sleep(max(0.0, at - self._loop.time()))
            try:
                if isinstance(action, Send):
                    # Google sends JSON in binary frames.
                    await self._websocket.send(json.dumps(action.message, ensure_ascii=False).encode())
                    continue
            except ConnectionClosed:
                return
            if action.code is None:
                self._websocket.transport.abort()
            else:
                await self._websocket.close(action.code, action.reason)
            return


def _delay_pongs(connection: ServerConnection, faults: LiveFaults) -> None:
    """Let a connection answer pings late (facts/live#keepalive); websockets answers them by itself, at once."""
    protocol = connection.protocol
    send_frame = protocol.send_frame

    def send_later(frame: Frame) -> None:
        if frame.opcode is not Opcode.PONG or faults.pong_delay <= 0:
            send_frame(frame)
            return

        def send() -> None:
            if not connection.transport.is_closing():
                send_frame(frame)
                connection.send_data()

        connection.loop.call_later(faults.pong_delay, send)

    protocol.send_frame = send_later  # type: ignore[method-assign]


def _without_audio(value: Any) -> Any:
    """Copy JSON, with base64 data replaced by its length."""
    if isinstance(value, dict):
        return {
            key: f"<{len(item)} base64 characters>" if key == "data" and isinstance(item, str) else _without_audio(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_audio(item) for item in value]
    return value
