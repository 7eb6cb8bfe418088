"""The openers' processor at frame level."""

import asyncio

from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from halfcascade.processors.frames import TurnSentFrame
from halfcascade.processors.language import phrases
from halfcascade.processors.openers import OPENER, OpenerMachine, OpenerMode, OpenerParams
from halfcascade.processors.openers.processor import OpenerProcessor
from tests.in_virtual_time import in_virtual_time

OPENERS = phrases("en-US").openers
ANSWER = [LLMFullResponseStartFrame(), LLMTextFrame("It is four."), LLMFullResponseEndFrame()]


async def made(text: str) -> bool:
    await asyncio.sleep(0)
    return True


async def not_made(text: str) -> bool:
    return False


def processor(prepare=made) -> OpenerProcessor:
    # Twice as slow as any pause of the tests, which a busy machine may prolong.
    return OpenerProcessor(OpenerMachine("en-US", OpenerParams(mode=OpenerMode.ALWAYS, after=0.2, most=1)), prepare)


def turn() -> list:
    return [UserStartedSpeakingFrame(), UserStoppedSpeakingFrame(), TurnSentFrame(text="What time is it?")]


async def said(found: OpenerProcessor, frames: list) -> list[TTSSpeakFrame]:
    down, _ = await run_test(found, frames_to_send=[SleepFrame(0.1), *frames])
    return [frame for frame in down if isinstance(frame, TTSSpeakFrame)]


@in_virtual_time
async def test_an_opener_goes_to_the_voice_and_not_to_the_context():
    found = await said(processor(), [*turn(), SleepFrame(1.0), *ANSWER])
    assert [frame.text in OPENERS.question for frame in found] == [True]
    assert found[0].append_to_context is False and found[0].text_type == OPENER


@in_virtual_time
async def test_an_answer_that_comes_first_needs_none():
    assert not await said(processor(), [*turn(), *ANSWER, SleepFrame(0.6)])


@in_virtual_time
async def test_a_user_who_speaks_is_not_spoken_over():
    assert not await said(processor(), [*turn(), VADUserStartedSpeakingFrame(), SleepFrame(0.6)])


@in_virtual_time
async def test_an_interruption_ends_the_wait():
    assert not await said(processor(), [*turn(), InterruptionFrame(), SleepFrame(0.6)])


@in_virtual_time
async def test_phrases_that_cannot_be_made_are_not_said():
    assert not await said(processor(not_made), [*turn(), SleepFrame(0.6), *ANSWER])


@in_virtual_time
async def test_audio_that_goes_by_does_not_keep_it_waiting():
    audio = [frame for _ in range(50) for frame in (InputAudioRawFrame(bytes(640), 16_000, 1), SleepFrame(0.02))]
    assert len(await said(processor(), [*turn(), *audio, *ANSWER])) == 1
