"""The listening sounds' processor at frame level, with Pipecat's own output transport behind it."""

import asyncio

import numpy as np
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from halfcascade.processors.frames import ListeningSoundFrame, PauseJudgedFrame, SpeechResumedFrame
from halfcascade.processors.language import phrases
from halfcascade.processors.listening import ListeningMachine, ListeningParams
from halfcascade.processors.listening.processor import ListeningProcessor
from tests.in_virtual_time import in_virtual_time

RATE = 24_000
LEVEL = 8000
UNFINISHED = PauseJudgedFrame(0.9, 30.0)
SOUND = np.full(RATE // 2, LEVEL, dtype="<i2").tobytes()


class Loudspeaker(BaseOutputTransport):
    """Keeps what Pipecat's output transport writes."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE))
        self.written = b""

    async def start(self, frame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.written += frame.audio
        return True

    @property
    def sounded(self) -> np.ndarray:
        return np.abs(np.frombuffer(self.written, dtype="<i2").astype(int))


async def sound(text: str) -> bytes:
    await asyncio.sleep(0)
    return SOUND


async def no_sound(text: str) -> bytes:
    return b""


async def heard(*frames, make=sound, locale: str = "en-US") -> tuple[list, Loudspeaker]:
    """What happens after a user has spoken and pauses."""
    machine = ListeningMachine(locale, ListeningParams(speech=0.2, after=0.1, room=0.0))
    speaker = Loudspeaker()
    before = [SleepFrame(0.1), UserStartedSpeakingFrame(), VADUserStartedSpeakingFrame(start_secs=0.5)]
    down, _ = await run_test(
        Pipeline([ListeningProcessor(machine, make, sample_rate=RATE), speaker]),
        frames_to_send=[*before, VADUserStoppedSpeakingFrame(stop_secs=0.0), *frames],
    )
    return list(down), speaker


@in_virtual_time
async def test_a_sound_is_heard_quietly_and_makes_the_bot_no_speaker():
    down, speaker = await heard(UNFINISHED, SleepFrame(0.8))
    assert [frame.text for frame in down if isinstance(frame, ListeningSoundFrame)] == [phrases("en-US").listening[0]]
    assert np.count_nonzero(speaker.sounded == LEVEL // 2) == len(SOUND) // 2
    assert not [frame for frame in down if isinstance(frame, BotStartedSpeakingFrame | BotStoppedSpeakingFrame)]


@in_virtual_time
async def test_it_fades_away_when_the_user_goes_on():
    down, speaker = await heard(
        PauseJudgedFrame(0.9, 30.0), SleepFrame(0.25), SpeechResumedFrame(0.02), SleepFrame(0.6)
    )
    assert [frame for frame in down if isinstance(frame, ListeningSoundFrame)]
    sounded = speaker.sounded
    assert 0 < np.count_nonzero(sounded) < 0.9 * len(SOUND) / 2
    assert np.abs(np.diff(sounded[np.flatnonzero(sounded)[0] :])).max() < LEVEL // 20, "it clicks"


@in_virtual_time
async def test_speech_of_the_bot_is_not_mixed_with_it():
    speech = TTSAudioRawFrame(np.full(3 * RATE // 25, 123, dtype="<i2").tobytes(), RATE, 1)
    _, speaker = await heard(UNFINISHED, SleepFrame(0.25), speech, SleepFrame(0.3))
    spoken = np.flatnonzero(speaker.sounded == 123)
    assert len(spoken) == 3 * RATE // 25 == spoken[-1] - spoken[0] + 1
    assert not (speaker.sounded[spoken[0] :] > 123).any()


@in_virtual_time
async def test_none_where_the_turn_may_be_over_none_can_be_made_or_the_language_has_none():
    for options in ({}, {"make": no_sound}, {"locale": "sv-SE"}):
        goes_on = 0.9 if options else 0.3
        down, speaker = await heard(PauseJudgedFrame(goes_on, 30.0), SleepFrame(0.4), **options)
        assert not speaker.sounded.any()
        assert not [frame for frame in down if isinstance(frame, ListeningSoundFrame)]
