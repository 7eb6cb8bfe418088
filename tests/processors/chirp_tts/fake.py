"""A Text-to-Speech client without a wire: speaks syllables as tone bursts, and fails on demand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np
from google.cloud import texttospeech_v1 as tts

from halfcascade.processors.language import spoken_words

RATE = 24_000
SECS_PER_UNIT = 0.12


def speech(text: str, secs_per_unit: float = SECS_PER_UNIT) -> tuple[np.ndarray, list[float]]:
    """Speak a text.

    Args:
        text: What to say.
        secs_per_unit: Speed.

    Returns:
        Samples, and the true onset of each word in seconds after the first sound.
    """
    parts, onsets, at = [], [], 0.0
    for word in spoken_words(text):
        onsets.append(at)
        secs = word.units * secs_per_unit
        tone = 8000 * np.sin(2 * np.pi * 220 * np.arange(int(secs * RATE)) / RATE)
        silence = np.zeros(int(word.pause * RATE))
        parts += [tone, silence]
        at += (len(tone) + len(silence)) / RATE
    return np.concatenate([np.zeros(0), *parts]).astype(np.int16), onsets


@dataclass
class Call:
    """One StreamingSynthesize call as the server saw it."""

    config: tts.StreamingSynthesizeConfig | None = None
    inputs: list[tts.StreamingSynthesisInput] = field(default_factory=list)
    half_closed: bool = False
    cancelled: bool = False
    finished: bool = False

    @property
    def text(self) -> str:
        return "".join(i.text or i.markup for i in self.inputs)


class FakeCall:
    """What the client library returns."""

    def __init__(self, server: "FakeTextToSpeech", requests: AsyncIterator[tts.StreamingSynthesizeRequest]):
        self.record = Call()
        self._server = server
        self._reader = asyncio.ensure_future(self._read(requests))
        self._abort = asyncio.get_running_loop().create_future()
        self._task: asyncio.Future | None = None

    async def _read(self, requests: AsyncIterator[tts.StreamingSynthesizeRequest]) -> None:
        async for request in requests:
            if request.streaming_config.voice.language_code:
                self.record.config = request.streaming_config
            else:
                self.record.inputs.append(request.input)
        self.record.half_closed = True

    def __aiter__(self) -> AsyncIterator[tts.StreamingSynthesizeResponse]:
        return self._responses()

    async def _responses(self) -> AsyncIterator[tts.StreamingSynthesizeResponse]:
        await asyncio.wait([self._reader, self._abort], return_when=asyncio.FIRST_COMPLETED)
        if self.record.cancelled:
            raise asyncio.CancelledError
        if fault := self._server.next_fault():
            await fault(self.record)
        await asyncio.sleep(self._server.first_audio)
        samples, _ = speech(self.record.text)
        lead = np.zeros(int(self._server.lead_silence * RATE), dtype=np.int16)
        samples = np.concatenate([lead, samples, lead])
        step = int(self._server.chunk * RATE)
        for start in range(0, len(samples), step):
            if self.record.cancelled:
                raise asyncio.CancelledError
            yield tts.StreamingSynthesizeResponse(audio_content=samples[start : start + step].tobytes())
            if self._server.break_after and start >= self._server.break_after[0] * RATE:
                self._server.break_after.pop(0)
                raise self._server.break_with
            await asyncio.sleep(self._server.pace)
        self.record.finished = True

    def cancel(self) -> None:
        if not self.record.finished:
            self.record.cancelled = True
        self._reader.cancel()
        if not self._abort.done():
            self._abort.set_result(None)


class FakeTextToSpeech:
    """Stands for ``TextToSpeechAsyncClient``."""

    def __init__(self) -> None:
        self.calls: list[FakeCall] = []
        self.faults: list[Callable | None] = []
        self.first_audio = 0.0
        self.pace = 0.0
        self.chunk = 0.2
        self.lead_silence = 0.1
        self.break_after: list[float] = []
        self.break_with: Exception = RuntimeError("broken")

    @property
    def spoken(self) -> list[Call]:
        """Calls that were given something to say."""
        return [call.record for call in self.calls if call.record.inputs]

    @property
    def texts(self) -> list[str]:
        return [call.text for call in self.spoken]

    def fail(self, error: Exception, times: int = 1) -> None:
        async def fault(_: Call) -> None:
            raise error

        self.faults += [fault] * times

    def next_fault(self) -> Callable | None:
        return self.faults.pop(0) if self.faults else None

    async def streaming_synthesize(self, requests: AsyncIterator, **_: object) -> FakeCall:
        call = FakeCall(self, requests)
        self.calls.append(call)
        return call
