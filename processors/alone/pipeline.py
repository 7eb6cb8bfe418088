"""A pipeline of a few processors, without a transport, for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from halfcascade.processors.errors import ConfigurationError

AUDIO_RATE = 16_000
"""Samples per second of the audio that such a pipeline takes."""

_START_SECS = 20.0
_END_SECS = 5.0


class Outlet(FrameProcessor):
    """Shows what passes to a function.

    Args:
        show: Called with each frame that travels downstream; must return at once.
    """

    def __init__(self, show: Callable[[Frame], None]):
        super().__init__()
        self._show = show

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Show a frame and pass it on.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self._show(frame)
        await self.push_frame(frame, direction)


@asynccontextmanager
async def running(
    processors: Sequence[FrameProcessor], on_error: Callable[[str, bool], None]
) -> AsyncIterator[PipelineWorker]:
    """Run a pipeline while a block lasts.

    Args:
        processors: In order.
        on_error: Told one line of each error, and whether nothing more can come.

    Yields:
        The worker, started; frames queued to it enter before the first processor.

    Raises:
        ConfigurationError: If it does not start.
    """
    worker = PipelineWorker(
        Pipeline(list(processors)),
        params=PipelineParams(audio_in_sample_rate=AUDIO_RATE, audio_out_sample_rate=AUDIO_RATE),
        processor_unusable_policy=ProcessorUnusablePolicy.CONTINUE,
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def _started(*_: object) -> None:
        started.set()

    @worker.event_handler("on_pipeline_error")
    async def _failed(_: PipelineWorker, frame: ErrorFrame) -> None:
        usable = frame.processor.is_usable if frame.processor else True
        on_error(" ".join(str(frame.error).split()), frame.fatal or not usable)

    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
    await runner.add_workers(worker)
    run = asyncio.create_task(runner.run(), name="services alone")
    waiting = asyncio.create_task(started.wait(), name="start of services alone")
    try:
        await asyncio.wait({run, waiting}, timeout=_START_SECS, return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            if run.done():
                await run
            raise ConfigurationError("The pipeline did not start in time: is the network slow, or a server silent?")
        yield worker
    finally:
        waiting.cancel()
        if not run.done():
            await worker.cancel(reason="done")
            await asyncio.wait({run}, timeout=_END_SECS)
        run.cancel()
        await asyncio.gather(run, waiting, return_exceptions=True)
