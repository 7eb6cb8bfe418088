"""What Pipecat shows to those who watch a talk, without what none of them looks at.

Pipecat shows each observer every frame at every processor, and twice, each time by way of a queue and a task. Of fifty
blocks of audio a second through a dozen processors that costs a talk more than its neural networks do.
"""

from typing import Any

from pipecat.frames.frames import AudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.worker import PipelineWorker
from pipecat.pipeline.worker_observer import WorkerObserver


class FrugalObserver(WorkerObserver):
    """Shows a block of audio when it is first pushed and not again, and processing only if somebody follows it."""

    def __init__(self, observers: list[BaseObserver]):
        """Name those who watch.

        Args:
            observers: Who watches.
        """
        super().__init__(observers=observers)
        self._followed = any(map(_follows, observers))

    def add_observer(self, observer: BaseObserver) -> None:
        """Let one more watch.

        Args:
            observer: Who.
        """
        self._followed = self._followed or _follows(observer)
        super().add_observer(observer)

    async def on_process_frame(self, data: FrameProcessed) -> None:
        """Show that a frame is processed.

        Args:
            data: Which, and by whom.
        """
        if self._followed:
            await super().on_process_frame(data)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Show that a frame is pushed.

        Args:
            data: Which, from where to where.
        """
        if not (isinstance(data.frame, AudioRawFrame) and data.frame.id in self._frames_pushed):
            await super().on_push_frame(data)


class TalkWorker(PipelineWorker):
    """Pipecat's worker with a ``FrugalObserver``."""

    def __init__(self, *args: Any, **kwargs: Any):
        """Make the worker.

        Args:
            *args: For ``PipelineWorker``.
            **kwargs: For ``PipelineWorker``.
        """
        super().__init__(*args, **kwargs)
        self._observer = FrugalObserver(self._observer._observers)


def _follows(observer: BaseObserver) -> bool:
    return type(observer).on_process_frame is not BaseObserver.on_process_frame
