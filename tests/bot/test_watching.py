"""What watches a talk is shown, and what it is spared."""

from pipecat.frames.frames import EndFrame, InputAudioRawFrame, TextFrame, TTSAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.tests.utils import run_test
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from halfcascade.bot.watching import Listener, TalkWorker
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


class Ear(Listener):
    """Counts what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = 0

    def heard(self, frame: InputAudioRawFrame) -> None:
        self.blocks += 1


class Microphone(BaseInputTransport):
    """An input that passes audio on as it comes."""

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        await self.push_frame(frame)


async def watched(*watchers: BaseObserver) -> None:
    microphone = Microphone(TransportParams(audio_in_enabled=True))
    worker = TalkWorker(Pipeline([microphone, *(IdentityFilter() for _ in range(4))]), observers=list(watchers))
    audio = [InputAudioRawFrame(AUDIO, 16_000, 1), TTSAudioRawFrame(AUDIO, 16_000, 1)]
    await worker.queue_frames([*audio, TextFrame("hello"), EndFrame()])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def test_audio_is_shown_once_the_microphones_to_listeners_and_text_at_every_step():
    watcher, follower, ear = Watcher(), Follower(), Ear()
    await watched(watcher, follower, ear)
    assert ear.blocks == 1
    assert watcher.count(InputAudioRawFrame) == follower.count(InputAudioRawFrame) == 0
    assert watcher.count(TTSAudioRawFrame) == follower.count(TTSAudioRawFrame) == 1
    assert watcher.count(TextFrame) == follower.count(TextFrame) > 4
    assert {type(data.frame) for data in follower.processed} >= {InputAudioRawFrame, TextFrame}


async def test_the_microphone_ends_where_nobody_listens_any_more():
    down, _ = await run_test(MicrophoneEnd(), frames_to_send=[InputAudioRawFrame(AUDIO, 16_000, 1), TextFrame("hello")])
    assert [type(frame) for frame in down if not isinstance(frame, EndFrame)] == [TextFrame]
