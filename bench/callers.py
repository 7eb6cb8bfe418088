"""Clients that cost next to nothing, so that a bench of many talks measures the server and not them.

What they send is made once, beforehand; of what they hear they keep when it was loud.
"""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import websockets
from pipecat.frames.protobufs import frames_pb2

from tests.bot.serve.support import samples

# Protobuf makes these classes when it is loaded, so type checkers do not know them.
_pb: Any = frames_pb2
RATE = 16_000
_BLOCK_SECS = 0.02
_SAMPLES = round(RATE * _BLOCK_SECS)
# A microphone is never quite silent: -70 dBFS.
_NOISE = 10.0
_LOUD = 500
_LOOK_SECS = 0.05
_PAUSE_SECS, _LEAST_SECS = 0.8, 1.5
_ABOUT = {"library": "bench", "library_version": "1"}


@cache
def sentence(name: str) -> tuple[list[bytes], float]:
    """A recording, ready to be sent block by block.

    Args:
        name: Of a recording in ``tests/data``.

    Returns:
        The messages, and how many seconds after the first its last sound is over.
    """
    sound = samples(name, RATE)
    sound = np.concatenate([sound, np.zeros(-len(sound) % _SAMPLES, "<i2")])
    last = float(np.flatnonzero(np.abs(sound.astype(int)) > _LOUD)[-1]) / RATE
    return [_audio(block) for block in sound.reshape(-1, _SAMPLES)], last


@cache
def background() -> list[bytes]:
    """A second of a quiet room, in blocks."""
    noise = np.random.default_rng(1).normal(0.0, _NOISE, (round(1 / _BLOCK_SECS), _SAMPLES))
    return [_audio(block) for block in noise.round().astype("<i2")]


def _audio(block: np.ndarray) -> bytes:
    message = _pb.AudioRawFrame(audio=block.tobytes(), sample_rate=RATE, num_channels=1)
    return _pb.Frame(audio=message).SerializeToString()


def _told(message: dict[str, object]) -> bytes:
    text = json.dumps({"label": "rtvi-ai", **message})
    return _pb.Frame(message=_pb.MessageFrame(data=text)).SerializeToString()


@dataclass
class Caller:
    """One client: its microphone never stops, and it hears in real time.

    Parameters:
        url: The server's WebSocket.
    """

    url: str
    latencies: list[float | None] = field(default_factory=list)

    async def talk(self, sayings: list[str], patience_secs: float = 15.0) -> list[float | None]:
        """Say something, wait for the answer, and so on.

        Args:
            sayings: Names of recordings.
            patience_secs: How long to wait for each answer.

        Returns:
            Seconds from the end of each saying until its answer was heard; None where there was none.
        """
        self._queue: list[bytes] = []
        self._loud_at: list[float] = []
        async with websockets.connect(self.url, compression=None, max_size=None) as socket:
            await socket.send(_told({"type": "client-ready", "id": "1", "data": {"version": "1.0.0", "about": _ABOUT}}))
            tasks = [asyncio.create_task(self._speak(socket)), asyncio.create_task(self._listen(socket))]
            try:
                await asyncio.sleep(2.0)
                for name in sayings:
                    self.latencies.append(await self._say(name, patience_secs))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return self.latencies

    async def _say(self, name: str, patience_secs: float) -> float | None:
        blocks, last = sentence(name)
        self._loud_at.clear()
        self._queue += blocks
        end = time.monotonic() + last
        await asyncio.sleep(last)
        while not (heard := [at for at in self._loud_at if at > end]):
            if time.monotonic() > end + patience_secs:
                return None
            await asyncio.sleep(_LOOK_SECS)
        # Until the answer is over; between two sentences it is quiet for less.
        while (left := max(self._loud_at[-1] + _PAUSE_SECS, end + _LEAST_SECS) - time.monotonic()) > 0:  # noqa: ASYNC110 it moves
            await asyncio.sleep(left)
        return heard[0] - end

    async def _speak(self, socket: websockets.ClientConnection) -> None:
        at, count = time.monotonic(), 0
        room = background()
        while True:
            await socket.send(self._queue.pop(0) if self._queue else room[count % len(room)])
            count += 1
            at += _BLOCK_SECS
            await asyncio.sleep(max(0.0, at - time.monotonic()))

    async def _listen(self, socket: websockets.ClientConnection) -> None:
        with suppress(websockets.ConnectionClosed):
            async for message in socket:
                frame = _pb.Frame.FromString(message if isinstance(message, bytes) else message.encode())
                if frame.WhichOneof("frame") == "audio":
                    block = np.frombuffer(frame.audio.audio, "<i2")
                    if max(int(block.max()), -int(block.min())) > _LOUD:
                        self._loud_at.append(time.monotonic())
