"""What Pipecat shows to those who watch a talk, without what none of them looks at.

Pipecat shows each observer every frame at every processor, and twice, each time by way of a queue and a task. Of fifty
blocks of audio a second through a dozen processors that costs a talk more than its neural networks do.
"""

from typing import Any

from pipecat.frames.frames import AudioRawFrame, InputAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.worker import PipelineWorker
from pipecat.pipeline.worker_observer import WorkerObserver
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport


class Listener(BaseObserver):
    """Hears the microphone. Is told at once, so it has to be quick."""

    def heard(self, frame: InputAudioRawFrame) -> None:
        """Take a block of audio as it enters the pipeline.

        Args:
            frame: The block.
        """


class FrugalObserver(WorkerObserver):
    """Shows the microphone's audio to a ``Listener`` only, other audio once, and processing to who follows it.

    Audio is shown when it is first pushed, and not again where the transport has played it.
    """

    def __init__(self, observers: list[BaseObserver]):
        """Name those who watch.

        Args:
            observers: Who watches.
        """
        super().__init__(observers=observers)
        self._followed = any(map(_follows, observers))
        self._listeners = [observer for observer in observers if isinstance(observer, Listener)]

    def add_observer(self, observer: BaseObserver) -> None:
        """Let one more watch.

        Args:
            observer: Who.
        """
        self._followed = self._followed or _follows(observer)
        if isinstance(observer, Listener):
            self._listeners.append(observer)
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
        frame, source = data.frame, data.source
        if isinstance(frame, InputAudioRawFrame):
            if isinstance(source, BaseInputTransport):
                for listener in self._listeners:
                    listener.heard(frame)
            return
        played = isinstance(source, BaseOutputTransport)
        if not isinstance(frame, AudioRawFrame) or not (played or frame.id in self._frames_pushed):
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
