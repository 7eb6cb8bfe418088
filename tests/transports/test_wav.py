import asyncio
import time

import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.frames import DuckFrame
from halfcascade.transports.loudspeaker import FADE_SECS
from halfcascade.transports.wav import WavTransport
from halfcascade.transports.wav_card import PERIOD_SECS
from tests.in_virtual_time import in_virtual_time, stall

IN_RATE, OUT_RATE = 16_000, 24_000


class Tap:
    """Keeps all that a device did."""

    def __init__(self):
        self.blocks = {"captured": [], "played": []}

    def captured(self, audio, sample_rate, at):
        self.blocks["captured"].append((audio, sample_rate, at))

    def played(self, audio, sample_rate, at):
        self.blocks["played"].append((audio, sample_rate, at))

    def sound(self, direction: str) -> np.ndarray:
        return np.frombuffer(b"".join(audio for audio, *_ in self.blocks[direction]), dtype=np.int16)


class Middle(FrameProcessor):
    """Stands for everything between microphone and loudspeaker."""

    def __init__(self):
        super().__init__()
        self.heard: list[bytes] = []
        self.news: list[tuple[float, Frame]] = []
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            assert (frame.sample_rate, frame.num_channels) == (IN_RATE, 1)
            self.heard.append(frame.audio)
            return
        if isinstance(frame, BotStartedSpeakingFrame | BotStoppedSpeakingFrame):
            self.news.append((time.monotonic(), frame))
            (self.started if isinstance(frame, BotStartedSpeakingFrame) else self.stopped).set()
        await self.push_frame(frame, direction)

    async def say(self, samples: np.ndarray):
        for begin in range(0, len(samples), OUT_RATE // 10):
            piece = samples[begin : begin + OUT_RATE // 10].tobytes()
            await self.push_frame(TTSAudioRawFrame(audio=piece, sample_rate=OUT_RATE, num_channels=1))
        await self.push_frame(TTSStoppedFrame())


class Rig:
    """A pipeline of microphone, middle and loudspeaker."""

    def __init__(self, **kwargs):
        self.tap = Tap()
        self.transport = WavTransport(tap=self.tap, **kwargs)
        self.middle = Middle()
        self.finished = asyncio.Event()
        self.transport.add_event_handler("on_user_audio_finished", self._on_finished)
        self.worker = PipelineWorker(
            Pipeline([self.transport.input(), self.middle, self.transport.output()]),
            params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=OUT_RATE),
            enable_rtvi=False,
        )

    async def _on_finished(self, transport):
        self.finished.set()

    async def __aenter__(self):
        self.runner = WorkerRunner(handle_sigint=False)
        await self.runner.add_workers(self.worker)
        self.running = asyncio.create_task(self.runner.run())
        return self

    async def __aexit__(self, *_):
        await self.worker.queue_frame(EndFrame())
        await asyncio.wait_for(self.running, 20)


def onset(sound: np.ndarray, level: int = 500) -> int:
    return int(np.argmax(np.abs(sound.astype(int)) > level))


@in_virtual_time
async def test_the_user_is_heard_whole_and_both_directions_share_one_clock():
    user = (np.sin(np.arange(IN_RATE // 2) / 5) * 8000).astype(np.int16)
    async with Rig(user_audio=user) as rig:
        await asyncio.wait_for(rig.finished.wait(), 10)
    heard = np.frombuffer(b"".join(rig.middle.heard), dtype=np.int16)
    assert np.array_equal(heard[: len(user)], user)
    assert np.array_equal(rig.tap.sound("captured")[: len(user)], user)
    assert [at for *_, at in rig.tap.blocks["captured"]] == [at for *_, at in rig.tap.blocks["played"]]
    assert np.allclose(np.diff([at for *_, at in rig.tap.blocks["played"]]), 0.02)


@in_virtual_time
async def test_a_stalled_loop_loses_no_user_audio():
    user = (np.arange(IN_RATE) % 7919 + 1).astype(np.int16)
    async with Rig(user_audio=user) as rig:
        await asyncio.sleep(0.1)
        stall(0.3)
        await asyncio.wait_for(rig.finished.wait(), 10)
    heard = np.frombuffer(b"".join(rig.middle.heard), dtype=np.int16)
    assert np.array_equal(heard[: len(user)], user)


@in_virtual_time
async def test_speech_takes_as_long_as_it_sounds_and_the_end_is_told_when_heard():
    speech = (np.sin(np.arange(OUT_RATE // 2) / 7) * 8000).astype(np.int16)
    async with Rig() as rig:
        await rig.middle.say(speech)
        await asyncio.wait_for(rig.middle.stopped.wait(), 10)
        (started, _), (stopped, _) = rig.middle.news
    sound = rig.tap.sound("played")
    begin = onset(sound) - onset(speech)
    assert np.array_equal(sound[begin : begin + len(speech)], speech)
    first_at = rig.tap.blocks["played"][0][2] + begin / OUT_RATE
    last_at = first_at + len(speech) / OUT_RATE
    assert started <= first_at + 0.001
    assert stopped >= last_at


@in_virtual_time
async def test_an_interruption_silences_what_was_queued():
    speech = (np.sin(np.arange(OUT_RATE * 3) / 7) * 8000).astype(np.int16)
    async with Rig() as rig:
        await rig.middle.say(speech)
        await asyncio.wait_for(rig.middle.started.wait(), 10)
        await asyncio.sleep(0.2)
        at = time.monotonic()
        await rig.middle.push_frame(InterruptionFrame())
        await asyncio.wait_for(rig.middle.stopped.wait(), 10)
        await asyncio.sleep(0.1)
    first_at = rig.tap.blocks["played"][0][2]
    sound = rig.tap.sound("played")
    last = np.flatnonzero(np.abs(sound.astype(int)) > 100)[-1]
    # The running period, the fade, and nothing of the seconds that were still to come.
    assert first_at + last / OUT_RATE < at + 2 * PERIOD_SECS + FADE_SECS


@in_virtual_time
async def test_duck_frames_change_the_loudness_of_speech_already_queued():
    speech = np.full(OUT_RATE, 10_000, dtype=np.int16)
    async with Rig() as rig:
        await rig.middle.say(speech)
        await asyncio.wait_for(rig.middle.started.wait(), 10)
        await rig.middle.push_frame(DuckFrame(gain=0.1, ramp_secs=0.02))
        await asyncio.wait_for(rig.middle.stopped.wait(), 10)
    sound = rig.tap.sound("played")
    assert sound[np.flatnonzero(sound)[-1]] == 1_000
    assert (sound == 1_000).sum() > OUT_RATE // 4


@in_virtual_time
async def test_the_microphone_works_without_a_loudspeaker():
    user = (np.arange(IN_RATE // 10) % 99 + 1).astype(np.int16)
    transport = WavTransport(user_audio=user)
    middle = Middle()
    worker = PipelineWorker(Pipeline([transport.input(), middle]), enable_rtvi=False)
    done = asyncio.Event()
    transport.add_event_handler("on_user_audio_finished", lambda _: done.set())
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await asyncio.wait_for(done.wait(), 10)
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 10)
    assert b"".join(middle.heard).startswith(user.tobytes()[:1000])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"hello, this is no sound at all", "is not a WAV file"),
    ],
)
def test_bad_files_are_one_clear_line(tmp_path, content, words):
    path = tmp_path / "user.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as error:
        WavTransport(user_audio=path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
