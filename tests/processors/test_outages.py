from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection
from pipecat.tests.utils import SleepFrame, run_test

from halfcascade.bot.replay import virtual_time
from halfcascade.processors.frames import Service, ServiceOutageFrame, ServiceRecoveredFrame
from halfcascade.processors.language import phrases
from halfcascade.processors.outages import (
    ANSWER_SECS,
    REASON_SECS,
    REPEAT_SECS,
    Notice,
    OutageAnnouncer,
    OutageNotices,
    TroubleTone,
    trouble_tone,
)


def test_a_word_comes_first_and_the_reason_if_the_outage_lasts():
    notices = OutageNotices()
    assert notices.outage(Service.EARS, 0.0) is Notice.WAIT
    assert notices.outage(Service.EARS, 1.0) is None
    assert notices.deadline == REASON_SECS
    assert notices.tick(REASON_SECS) is Notice.DEAF
    assert notices.deadline is None


def test_the_reason_is_given_again_to_somebody_who_goes_on_trying():
    notices = OutageNotices()
    notices.outage(Service.EARS, 0.0)
    notices.tick(REASON_SECS)
    later = REASON_SECS + REPEAT_SECS
    told = [notices.outage(Service.EARS, at) for at in (5.0, later - 0.1, later, later + 5.0)]
    assert told == [None, None, Notice.DEAF, None]


def test_nobody_is_told_anything_while_they_speak_but_why_when_they_have_waited_again():
    notices = OutageNotices()
    notices.outage(Service.BRAIN, 0.0)
    notices.spoken_to()
    assert notices.deadline is None
    assert notices.outage(Service.BRAIN, 6.0) is Notice.OFFLINE


def test_an_outage_that_is_over_needs_no_reason():
    notices = OutageNotices()
    notices.outage(Service.EARS, 0.0)
    notices.heard()
    notices.recovered(Service.EARS, 1.0)
    assert notices.deadline is None
    assert notices.outage(Service.EARS, 2.0) is Notice.WAIT


def test_who_was_told_the_reason_is_told_that_all_is_well_unless_an_answer_tells_it():
    for answered in (False, True):
        notices = OutageNotices()
        notices.outage(Service.EARS, 0.0)
        notices.tick(REASON_SECS)
        notices.heard()
        notices.recovered(Service.EARS, 10.0)
        assert notices.deadline == 10.0 + ANSWER_SECS
        if answered:
            notices.answered()
        told = notices.tick(10.0 + ANSWER_SECS)
        assert told is (None if answered else Notice.RECOVERED)
        assert notices.deadline is None


def test_recovery_is_told_when_all_work_again():
    notices = OutageNotices()
    notices.outage(Service.EARS, 0.0)
    assert notices.outage(Service.BRAIN, 1.0) is None
    assert notices.tick(REASON_SECS) is Notice.OFFLINE
    notices.heard()
    notices.recovered(Service.BRAIN, 6.0)
    assert notices.deadline is None
    notices.recovered(Service.EARS, 7.0)
    assert notices.tick(7.0 + ANSWER_SECS) is Notice.RECOVERED


def test_while_the_voice_is_away_a_tone_tells_it():
    notices = OutageNotices()
    assert notices.outage(Service.VOICE, 0.0) is Notice.TONE
    assert notices.outage(Service.BRAIN, 1.0) is None  # the tone has just sounded
    assert notices.outage(Service.EARS, 8.0) is Notice.TONE
    notices.recovered(Service.VOICE, 9.0)
    notices.recovered(Service.EARS, 10.0)
    notices.recovered(Service.BRAIN, 10.0)
    assert notices.deadline is None  # nobody was told in words


def test_a_voice_that_fails_before_the_reason_is_not_asked_to_give_it():
    notices = OutageNotices()
    notices.outage(Service.BRAIN, 0.0)
    assert notices.outage(Service.VOICE, 1.0) is Notice.TONE
    assert notices.tick(REASON_SECS) is None
    assert notices.deadline is None


@pytest.mark.parametrize("language", ["en-US", "ko-KR", "cmn-CN"])
def test_it_is_said_in_the_language_of_the_conversation(language):
    outage, over = ServiceOutageFrame(service=Service.EARS), ServiceRecoveredFrame(service=Service.EARS)

    async def hold() -> list[TTSSpeakFrame]:
        news = [outage, SleepFrame(REASON_SECS + 0.1), BotStartedSpeakingFrame(), over, SleepFrame(ANSWER_SECS + 0.1)]
        down, _ = await run_test(OutageAnnouncer(language), frames_to_send=news)
        return [frame for frame in down if isinstance(frame, TTSSpeakFrame)]

    said = virtual_time.run(hold())
    words = phrases(language)
    assert [frame.text for frame in said] == [words.fillers[0], words.deaf, words.recovered]
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


@pytest.mark.parametrize("by", [UserStartedSpeakingFrame, VADUserStartedSpeakingFrame])
def test_the_reason_is_not_said_into_what_the_user_says(by):
    news = [ServiceOutageFrame(service=Service.EARS), SleepFrame(0.1), by(), SleepFrame(REASON_SECS + 0.1)]
    assert spoken(news) == [phrases("en-US").fillers[0]]


def test_that_all_is_well_is_not_said_over_an_answer():
    outage, over = ServiceOutageFrame(service=Service.EARS), ServiceRecoveredFrame(service=Service.EARS)
    news = [outage, SleepFrame(REASON_SECS + 0.1), BotStartedSpeakingFrame(), over, LLMTextFrame("It is four.")]
    words = phrases("en-US")
    assert spoken([*news, SleepFrame(ANSWER_SECS + 0.1)]) == [words.fillers[0], words.deaf]


def spoken(news: list[Any]) -> list[str]:
    async def hold() -> list[str]:
        down, _ = await run_test(OutageAnnouncer("en-US"), frames_to_send=news)
        return [frame.text for frame in down if isinstance(frame, TTSSpeakFrame)]

    return virtual_time.run(hold())
