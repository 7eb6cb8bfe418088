"""Run a pipeline for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipecat.frames.frames import EndFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner


@asynccontextmanager
async def running(worker: PipelineWorker, timeout_secs: float) -> AsyncIterator[None]:
    """Start a pipeline, and end it in order.

    Args:
        worker: What to run.
        timeout_secs: How long starting and ending may take each.
    """
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def _started(*_: object) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(started.wait(), timeout_secs)
        yield
    finally:
        await worker.queue_frame(EndFrame())
        await asyncio.wait_for(task, timeout_secs)
