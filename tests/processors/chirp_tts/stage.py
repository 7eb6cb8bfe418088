"""A voice on stage: the service, a loudspeaker that plays in real time, and the conversation that remembers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from halfcascade.processors.chirp_tts.service import ChirpTTSService

RATE = 24_000
# A card takes the next block while it still plays the last ones, so that a late event loop is not heard.
CARD_BUFFER_SECS = 0.06


class Loudspeaker(BaseOutputTransport):
    """Plays like a sound card: a write returns when the card has room, which is in real time."""

    def __init__(self, chunks_10ms: int = 2):
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_sample_rate=RATE,
                audio_out_10ms_chunks=chunks_10ms,
                audio_out_end_silence_secs=0,
            )
        )
        self.played = bytearray()
        self.blocks: list[tuple[float, int]] = []
        self._free_at = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        start = max(self._free_at, time.monotonic())
        self.blocks.append((start, len(self.played) // 2))
        self.played += frame.audio
        self._free_at = start + len(frame.audio) / 2 / RATE
        await asyncio.sleep(self._free_at - CARD_BUFFER_SECS - time.monotonic())
        return True

    def heard_samples(self, at: float) -> int:
        """Samples heard until a time."""
        if not self.blocks:
            return 0
        start, offset = next((b for b in reversed(self.blocks) if b[0] <= at), self.blocks[0])
        return min(len(self.played) // 2, offset + max(0, round((at - start) * RATE)))

    def heard_between(self, begun: int, at: float) -> bytes:
        """Audio heard from a block on, until a time: what the card still holds then is not heard."""
        first = self.blocks[begun][1]
        return bytes(self.played[2 * first : 2 * max(first, self.heard_samples(at))])

    def gaps(self) -> list[float]:
        """Seconds of nothing between blocks."""
        found = []
        for (start, offset), (after, after_offset) in zip(self.blocks, self.blocks[1:], strict=False):
            gap = after - start - (after_offset - offset) / RATE
            if gap > 0.001:
                found.append(gap)
        return found


class Watcher(BaseObserver):
    """Notes when frames are pushed by the stage's processors."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, Frame, str]] = []
        self._known: set[int] = set()
        self._arrived = asyncio.Event()

    async def on_push_frame(self, data: FramePushed) -> None:
        # A broadcast comes both ways, and every processor passes frames on: one push each is enough.
        if data.direction is FrameDirection.UPSTREAM and not isinstance(data.frame, ErrorFrame):
            return
        if data.frame.id in self._known and not isinstance(data.frame, StartFrame):
            return
        self._known.add(data.frame.id)
        self.seen.append((time.monotonic(), data.frame, data.source.name))
        self._arrived.set()

    def times(self, kind: type[Frame], source: str = "") -> list[float]:
        return [at for at, frame, name in self.seen if isinstance(frame, kind) and source in name]

    async def wait_for(self, kind: type[Frame], source: str = "", count: int = 1) -> float:
        async with asyncio.timeout(60):
            while len(times := self.times(kind, source)) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return times[count - 1]


class Stage:
    """What a test talks to."""

    def __init__(self, tts: ChirpTTSService, chunks_10ms: int = 2):
        self.tts = tts
        self.loudspeaker = Loudspeaker(chunks_10ms)
        self.context = LLMContext()
        pair = LLMContextAggregatorPair(self.context)
        self.watcher = Watcher()
        self.worker = PipelineWorker(
            Pipeline([tts, self.loudspeaker, pair.assistant()]),
            params=PipelineParams(
                audio_in_sample_rate=16_000, audio_out_sample_rate=RATE, enable_metrics=True, enable_usage_metrics=True
            ),
            observers=[self.watcher],
            enable_rtvi=False,
            cancel_on_idle_timeout=False,
        )

    async def send(self, *frames: Frame) -> None:
        await self.worker.queue_frames(list(frames))

    async def reply(self, text: str | Sequence[str], *, chars_per_second: float = 0, delta: int = 12) -> None:
        """Write a reply as the brain does."""
        await self.send(LLMFullResponseStartFrame())
        for part in deltas(text, delta) if isinstance(text, str) else text:
            await self.send(LLMTextFrame(part))
            if chars_per_second:
                await asyncio.sleep(len(part) / chars_per_second)
        await self.send(LLMFullResponseEndFrame())

    async def interrupt(self) -> float:
        at = time.monotonic()
        await self.send(InterruptionFrame())
        return at

    @property
    def said(self) -> list[str]:
        """What the conversation holds of the bot."""
        return [str(m["content"]) for m in self.context.get_messages() if m["role"] == "assistant"]


def deltas(text: str, least: int) -> list[str]:
    """Cut text as the Live API's transcription comes: at spaces, some characters at a time."""
    found, current = [], ""
    for word in text.split(" "):
        current += word + " "
        if len(current) >= least:
            found.append(current)
            current = ""
    return [*found, current.rstrip()] if current.strip() else [*found[:-1], found[-1].rstrip()]


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that tells nobody."""
    async with asyncio.timeout(30):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def on_stage(tts: FrameProcessor, chunks_10ms: int = 2) -> AsyncIterator[Stage]:
    """Run a stage; whatever still plays at the end is cut off."""
    stage = Stage(tts, chunks_10ms)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(stage.worker)
    running = asyncio.create_task(runner.run())
    await stage.watcher.wait_for(StartFrame, "PipelineWorker")
    try:
        yield stage
    finally:
        await stage.worker.cancel()
        await asyncio.wait_for(running, 30)
