"""What watches a talk is shown, and what it is spared."""

from pipecat.frames.frames import EndFrame, InputAudioRawFrame, TextFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.tests.utils import run_test
from pipecat.workers.runner import WorkerRunner

from halfcascade.bot.watching import TalkWorker
from halfcascade.processors.gate import MicrophoneEnd

AUDIO = bytes(640)


class Watcher(BaseObserver):
    """Keeps what is pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed: list[FramePushed] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        self.pushed.append(data)

    def count(self, kind: type) -> int:
        return sum(isinstance(data.frame, kind) for data in self.pushed)


class Follower(Watcher):
    """Keeps what is processed, too."""

    def __init__(self) -> None:
        super().__init__()
        self.processed: list[FrameProcessed] = []

    async def on_process_frame(self, data: FrameProcessed) -> None:
        self.processed.append(data)


async def watched(*watchers: BaseObserver) -> None:
    worker = TalkWorker(Pipeline([IdentityFilter() for _ in range(4)]), observers=list(watchers))
    await worker.queue_frames([InputAudioRawFrame(AUDIO, 16_000, 1), TextFrame("hello"), EndFrame()])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def test_audio_is_shown_once_and_text_at_every_step():
    watcher, follower = Watcher(), Follower()
    await watched(watcher, follower)
    assert watcher.count(InputAudioRawFrame) == follower.count(InputAudioRawFrame) == 1
    assert watcher.count(TextFrame) == follower.count(TextFrame) > 4
    assert {type(data.frame) for data in follower.processed} >= {InputAudioRawFrame, TextFrame}


async def test_the_microphone_ends_where_nobody_listens_any_more():
    down, _ = await run_test(MicrophoneEnd(), frames_to_send=[InputAudioRawFrame(AUDIO, 16_000, 1), TextFrame("hello")])
    assert [type(frame) for frame in down if not isinstance(frame, EndFrame)] == [TextFrame]
