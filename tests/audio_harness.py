"""A running pipeline around an audio transport, for tests and measurements on virtual devices."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

BOT_RATE = 24_000


@dataclass(frozen=True)
class Seen:
    """A frame that passed, and when.

    Parameters:
        at: ``time.monotonic()``.
        frame: The frame.
        downstream: Its direction.
    """

    at: float
    frame: Frame
    downstream: bool


class Witness(FrameProcessor):
    """Notes what passes; of microphone audio the capture time and the peak."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.seen: list[Seen] = []
        self.microphone: list[tuple[float, int]] = []
        self.blocks: list[tuple[float, np.ndarray]] = []
        self.captured = bytearray()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        now = time.monotonic()
        if isinstance(frame, InputAudioRawFrame):
            at, samples = frame.metadata.get("captured_at", now), np.frombuffer(frame.audio, np.int16)
            self.microphone.append((at, int(np.abs(samples.astype(np.int32)).max(initial=0))))
            self.blocks.append((at, samples))
            self.captured += frame.audio
        elif not isinstance(frame, OutputAudioRawFrame):
            self.seen.append(Seen(now, frame, direction is FrameDirection.DOWNSTREAM))
        await self.push_frame(frame, direction)

    def times(self, kind: type[Frame], *, since: float = 0.0) -> list[float]:
        """When downstream frames of a kind passed."""
        return [seen.at for seen in self.seen if seen.downstream and isinstance(seen.frame, kind) and seen.at >= since]

    def loud(self, start: float, stop: float, threshold: int = 300) -> float:
        """Share of microphone blocks captured between two times that hold sound."""
        peaks = [peak for at, peak in self.microphone if start <= at < stop]
        return sum(peak > threshold for peak in peaks) / len(peaks) if peaks else 0.0


class Talk:
    """``async with Talk(transport, *processors) as talk``: a pipeline that runs inside the block.

    Parameters:
        ears: What passes right behind the microphone and the given processors.
        mouth: What passes right behind the loudspeaker.
    """

    def __init__(self, transport: BaseTransport, *processors: FrameProcessor, **rates: int):
        self.ears, self.mouth = Witness(name="ears"), Witness(name="mouth")
        pipeline = Pipeline([transport.input(), *processors, self.ears, transport.output(), self.mouth])
        self.worker = PipelineWorker(
            pipeline, params=PipelineParams(enable_metrics=True, **rates), enable_rtvi=False, idle_timeout_secs=None
        )
        self._runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
        self._running: asyncio.Task | None = None

    async def __aenter__(self) -> "Talk":
        await self._runner.add_workers(self.worker)
        self._running = asyncio.create_task(self._runner.run())
        await until(lambda: bool(self.ears.microphone) or self.ended, 15)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if not self.ended:
            await self.worker.cancel()
        assert self._running
        await asyncio.wait_for(self._running, 30)

    @property
    def ended(self) -> bool:
        """Whether the pipeline has ended."""
        return self._running is not None and self._running.done()

    async def say(self, audio: np.ndarray, *, stop: bool = True) -> None:
        """Let the bot say int16 samples at `BOT_RATE`, in one burst as a fast voice gives them."""
        frames: list[Frame] = [TTSAudioRawFrame(audio.tobytes(), BOT_RATE, 1)]
        await self.worker.queue_frames([*frames, TTSStoppedFrame()] if stop else frames)

    async def interrupt(self) -> float:
        """Interrupt the bot; returns when."""
        at = time.monotonic()
        await self.worker.queue_frame(InterruptionFrame())
        return at

    async def end(self) -> float:
        """End in order; returns when it was asked for."""
        at = time.monotonic()
        await self.worker.queue_frame(EndFrame())
        assert self._running
        await asyncio.wait_for(asyncio.shield(self._running), 60)
        return at


def tone(seconds: float, rate: int = BOT_RATE, frequency: float = 441.0, peak: int = 8000) -> np.ndarray:
    """A steady int16 sine: any gap in it can be seen."""
    return (peak * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


async def until(condition: Callable[[], object], seconds: float, *, every: float = 0.02) -> bool:
    """Wait until a condition holds, at most so long; returns whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every)
    return True
