import numpy as np
import pytest
from pipecat.frames.frames import BotStartedSpeakingFrame, OutputAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection
from pipecat.tests.utils import run_test

from halfcascade.processors.frames import Service, ServiceOutageFrame, ServiceRecoveredFrame
from halfcascade.processors.language import phrases
from halfcascade.processors.outages import (
    REPEAT_SECS,
    Notice,
    OutageAnnouncer,
    OutageNotices,
    TroubleTone,
    trouble_tone,
)


def test_an_outage_is_told_once_and_again_to_somebody_who_goes_on_trying():
    notices = OutageNotices()
    told = [notices.outage(Service.EARS, at) for at in (0.0, 5.0, REPEAT_SECS + 0.1, REPEAT_SECS + 5.0)]
    assert told == [Notice.DEAF, None, Notice.DEAF, None]
    notices.heard()
    assert notices.recovered(Service.EARS, 40.0) is Notice.RECOVERED
    assert notices.recovered(Service.EARS, 41.0) is None


def test_while_the_voice_is_away_a_tone_tells_it():
    notices = OutageNotices()
    assert notices.outage(Service.VOICE, 0.0) is Notice.TONE
    assert notices.outage(Service.BRAIN, 1.0) is None  # the tone has just sounded
    assert notices.outage(Service.EARS, 8.0) is Notice.TONE
    assert notices.recovered(Service.VOICE, 9.0) is None  # it is heard
    assert notices.recovered(Service.EARS, 10.0) is None  # nobody was told in words


def test_recovery_is_told_when_all_work_again():
    notices = OutageNotices()
    notices.outage(Service.EARS, 0.0)
    notices.outage(Service.BRAIN, 1.0)
    notices.heard()
    assert notices.recovered(Service.BRAIN, 2.0) is None
    assert notices.recovered(Service.EARS, 3.0) is Notice.RECOVERED


def test_who_has_not_heard_of_an_outage_is_not_told_that_it_is_over():
    notices = OutageNotices()
    notices.outage(Service.EARS, 0.0)
    assert notices.recovered(Service.EARS, 0.2) is None
    assert notices.outage(Service.EARS, 1.0) is Notice.DEAF


@pytest.mark.parametrize("language", ["en-US", "ko-KR", "cmn-CN"])
async def test_it_is_said_in_the_language_of_the_conversation(language):
    heard = BotStartedSpeakingFrame()
    news = [ServiceOutageFrame(service=Service.EARS), heard, ServiceRecoveredFrame(service=Service.EARS)]
    down, _ = await run_test(OutageAnnouncer(language), frames_to_send=news)
    said = [frame for frame in down if isinstance(frame, TTSSpeakFrame)]
    words = phrases(language)
    assert [frame.text for frame in said] == [words.deaf, words.recovered]
    assert not any(frame.append_to_context for frame in said)


async def test_the_voices_outage_is_a_sound_that_needs_no_network():
    down, _ = await run_test(
        Pipeline([OutageAnnouncer(), TroubleTone()]),
        frames_to_send=[ServiceOutageFrame(service=Service.VOICE)],
        frames_to_send_direction=FrameDirection.UPSTREAM,
    )
    assert [len(frame.audio) for frame in down if isinstance(frame, OutputAudioRawFrame)] == [len(trouble_tone(24_000))]


def test_the_tone_is_heard_and_does_not_click():
    samples = np.frombuffer(trouble_tone(24_000), np.int16).astype(int)
    assert 0.2 < len(samples) / 24_000 < 0.5 and 3_000 < np.abs(samples).max() < 8_000
    assert abs(samples[0]) < 100 and abs(samples[-1]) < 100 and np.abs(np.diff(samples)).max() < 1_500
