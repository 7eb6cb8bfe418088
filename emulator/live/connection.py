"""One websocket of Gemini Live: clocks, tasks and the streams of the mind around its machine."""

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, cast

from loguru import logger

from halfcascade.emulator.live.actions import Action, Close, Hear, Hush, Listen, Send, Speak, StopThinking, Think
from halfcascade.emulator.live.errors import internal
from halfcascade.emulator.live.machine import LiveMachine
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import (
    Conversation,
    Listener,
    Mind,
    MindError,
    Recognition,
    Speaker,
    Synthesis,
    SynthesisRequest,
)
from halfcascade.emulator.profiles import drawn
from halfcascade.emulator.web.socket import Gone, WebSocket

_DEFAULT_VOICE, _DEFAULT_LANGUAGE = "Puck", "en-US"
# A speaker makes better speech of whole sentences than of the few letters of a piece.
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")


class Note:
    """Writes down what happens on one connection, if anybody wants to know.

    Parameters:
        log: Where, or None.
    """

    def __init__(self, log: UsageLog | None) -> None:
        self._log = log
        self._stream = log.open_stream() if log is not None else 0

    def __call__(self, event: str, **data: Any) -> None:
        """Write down one thing; of audio only the size."""
        if self._log is None:
            return
        message = data.get("message")
        if isinstance(message, str | bytes):
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(message)
        if message is not None:
            data["message"] = _without_audio(message)
        self._log.add("live", self._stream, event, **data)


class LiveConnection:
    """One websocket and its machine.

    Parameters:
        websocket: Accepted.
        machine: Its machine.
        mind: What listens, thinks and speaks.
        one_way: Seconds that a message travels.
        note: Writes down what happens.
    """

    def __init__(self, websocket: WebSocket, machine: LiveMachine, mind: Mind, *, one_way: float, note: Note) -> None:
        self._websocket = websocket
        self._machine = machine
        self._mind = mind
        self._one_way = one_way
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        # What arrived, with the time at which it has travelled to the server; None = the client is gone.
        self._arrived: deque[tuple[float, str | bytes | None]] = deque()
        self._leaving: asyncio.Queue[tuple[float, Send | Close]] = asyncio.Queue()
        self._thinking: dict[int, asyncio.Task[None]] = {}
        self._hearing: dict[int, _Hearing] = {}
        self._speaking: dict[int, _Speaking] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken = False

    async def run(self) -> None:
        """Serve until either side closes."""
        self._start(self._read())
        writer = self._start(self._write())
        try:
            await self._drive()
            if self._machine.closed and not self._broken:
                # Whom the server sends away may come back at once, before the closing handshake is through.
                self._machine.disconnected(self._loop.time())
                await asyncio.wait([writer])
        finally:
            self._machine.disconnected(self._loop.time())
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._broken:
                refusal = internal()
                await self._websocket.close(refusal.code, refusal.reason)
            self._note("end", audio_bytes=self._machine.audio_bytes, video_frames=self._machine.video_frames)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the rest; if it dies, the connection ends as Google's do, and the log says why."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        logger.opt(exception=task.exception()).error("A part of the emulator's Gemini Live connection died")
        self._broken = True
        self._wake.set()

    async def _read(self) -> None:
        try:
            async for message in self._websocket.messages():
                self._arrived.append((self._loop.time() + drawn(self._one_way), message))
                self._wake.set()
        finally:
            self._arrived.append((self._loop.time(), None))
            self._wake.set()

    async def _drive(self) -> None:
        while not self._broken:
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
            case Send() | Close():
                self._leave(action)
            case Think():
                task = self._start(self._think(action.reply, action.conversation))
                self._thinking[action.reply] = task
                task.add_done_callback(lambda _: self._thinking.pop(action.reply, None))
            case StopThinking():
                for tasks in (self._thinking.get(action.reply), self._speaking.pop(action.reply, None)):
                    if tasks is not None:
                        tasks.cancel()
            case Listen():
                self._listen(action)
            case Hear() if action.stream in self._hearing:
                self._hearing[action.stream].audio(action.pcm)
            case Hush() if action.stream in self._hearing:
                self._hearing[action.stream].finish()
            case Speak():
                self._speak(action)

    def _leave(self, action: Send | Close) -> None:
        if isinstance(action, Send):
            self._note("sent", message=action.message)
        else:
            self._note("close", code=action.code, reason=action.reason)
        self._leaving.put_nowait((self._loop.time() + drawn(self._one_way), action))

    # What the mind does

    async def _think(self, reply: int, conversation: Conversation) -> None:
        pieces = self._mind.thinker.think(conversation)
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

    def _listen(self, action: Listen) -> None:
        stream = action.stream
        hearing = self._hearing[stream] = _Hearing(self._mind.listener)

        async def work() -> None:
            try:
                async with contextlib.aclosing(hearing.run(action.request)) as events:
                    async for event in events:
                        self._machine.heard(stream, event, self._loop.time())
                        self._act()
                        self._wake.set()
            except MindError as error:
                # What the mind cannot hear is as if nothing had been said; the log tells why.
                logger.warning(f"Gemini Live: {error}")
            self._hearing.pop(stream, None)
            self._machine.heard_all(stream, self._loop.time())
            self._act()
            self._wake.set()

        self._start(work())

    def _speak(self, action: Speak) -> None:
        reply = action.reply
        speaking = self._speaking.get(reply)
        if speaking is None:
            if not action.text:
                self._machine.spoken_all(reply, self._loop.time())
                return
            speaking = self._speaking[reply] = _Speaking(self._mind.speaker)
            request = _synthesis_request(action)

            async def work() -> None:
                try:
                    async with contextlib.aclosing(speaking.run(request)) as pieces:
                        async for pcm in pieces:
                            self._machine.spoken(reply, pcm, self._loop.time())
                            self._act()
                            self._wake.set()
                except MindError as error:
                    logger.warning(f"Gemini Live: {error}")
                self._speaking.pop(reply, None)
                self._machine.spoken_all(reply, self._loop.time())
                self._act()
                self._wake.set()

            speaking.task = self._start(work())
        speaking.text(action.text)

    async def _write(self) -> None:
        while True:
            at, action = await self._leaving.get()
            if (wait := at - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            if isinstance(action, Send):
                try:
                    # Google sends JSON in binary frames. A mind's text may hold what UTF-8 cannot.
                    text = json.dumps(action.message, ensure_ascii=False)
                    await self._websocket.send(text.encode(errors="replace"))
                    # A burst of messages leaves others their turn; each goes out in a packet of its own.
                    await asyncio.sleep(0)
                except Gone:
                    return
                continue
            if action.code is None:
                self._websocket.abort()
            else:
                await self._websocket.close(action.code, action.reason)
            return


class _Hearing:
    """One recognition of the mind; audio is handed over in order, however slow it is."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._audio: asyncio.Queue[bytes | None] = asyncio.Queue()

    def audio(self, pcm: bytes) -> None:
        self._audio.put_nowait(pcm)

    def finish(self) -> None:
        self._audio.put_nowait(None)

    async def run(self, request: Any) -> AsyncGenerator[Any, None]:
        recognition = self._listener.recognize(request)
        feeding = asyncio.create_task(self._feed(recognition))
        try:
            async for event in recognition.results():
                yield event
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await recognition.close()

    async def _feed(self, recognition: Recognition) -> None:
        while (pcm := await self._audio.get()) is not None:
            waiting = bytearray(pcm)
            while not self._audio.empty():
                more = self._audio.get_nowait()
                if more is None:
                    self._audio.put_nowait(None)
                    break
                waiting += more
            await recognition.audio(bytes(waiting))
        await recognition.finish()


class _Speaking:
    """One synthesis of the mind, fed whole sentences."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    def text(self, text: str) -> None:
        self._texts.put_nowait(text)

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def run(self, request: SynthesisRequest) -> AsyncGenerator[bytes, None]:
        synthesis = self._speaker.synthesize(request)
        feeding = asyncio.create_task(self._feed(synthesis))
        try:
            async for pcm in synthesis.audio():
                yield pcm
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await synthesis.close()

    async def _feed(self, synthesis: Synthesis) -> None:
        buffer = ""
        while text := await self._texts.get():
            *sentences, buffer = _SENTENCE.split(buffer + text)
            for sentence in sentences:
                await synthesis.text(sentence)
        if buffer.strip():
            await synthesis.text(buffer)
        await synthesis.finish()


def _synthesis_request(action: Speak) -> SynthesisRequest:
    language = action.language_code or _DEFAULT_LANGUAGE
    return SynthesisRequest(f"{language}-Chirp3-HD-{action.voice or _DEFAULT_VOICE}", language)


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
