"""Turns without a word: noise asks the brain only where it cut the bot off. Frames in, what the brain is asked out."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerTranscriptionFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    STTMetadataFrame,
    TTSSpeakFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.turns.empty_user_turn import EmptyUserTurnConfig
from pipecat.turns.user_start import BaseUserTurnStartStrategy, VADUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from halfcascade.bot.replay import virtual_time
from halfcascade.processors.frames import SpeechCoveredFrame
from halfcascade.processors.turns import Speculations, joining_aggregators
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.end_of_turn import EndOfTurnParams
from halfcascade.processors.turns.joining import JOIN_SECS, TALKED_INTO_SECS
from halfcascade.processors.turns.responses import Responses
from halfcascade.processors.turns.smart_turn import SmartTurnStopStrategy
from halfcascade.processors.turns.words import turn_words
from tests.in_virtual_time import in_virtual_time
from tests.processors.turns.test_turns import AUDIO, RATE, STARTED, WAIT, Verdicts, say, stopped

CUT_OFF, IDLE = "What did you say?", "Are you there?"
# Until a turn is not taken up again: before the bot is heard, and once it is.
LONG, HEARD = SleepFrame(JOIN_SECS + 0.5), SleepFrame(TALKED_INTO_SECS + 0.3)
NOISE = [*AUDIO, STARTED, *AUDIO, WAIT, stopped(), SpeechCoveredFrame(), SleepFrame(1.0)]
QUESTION = [*say("Is it cold outside?"), SleepFrame(0.6)]


def begins() -> list[Frame]:
    return [LLMFullResponseStartFrame(), BotStartedSpeakingFrame(), HEARD]


def over() -> list[Frame]:
    return [LLMFullResponseEndFrame(), BotStoppedSpeakingFrame(), SleepFrame(0.1)]


def call(asynchronous: bool = False) -> list[Frame]:
    """What is pushed for a function that the model calls in an answer without words."""
    started = FunctionCallsStartedFrame([FunctionCallFromLLM("weather", "1", {}, LLMContext())])
    progress = FunctionCallInProgressFrame("weather", "1", {}, cancel_on_interruption=not asynchronous)
    return [LLMFullResponseStartFrame(), started, progress, LLMFullResponseEndFrame(), SleepFrame(0.1)]


def result(run_llm: bool | None = None) -> list[Frame]:
    properties = FunctionCallResultProperties(run_llm=run_llm)
    return [FunctionCallResultFrame("weather", "1", {}, "cold", properties=properties), SleepFrame(0.1)]


def early() -> list[Frame]:
    return [*AUDIO, STARTED, *AUDIO, EagerTranscriptionFrame("Is it cold outside?", "", ""), WAIT, stopped(), WAIT]


async def asked(
    frames: list[Any],
    empty_turn: EmptyUserTurnConfig | None = EmptyUserTurnConfig(interrupted_prompt=CUT_OFF),  # noqa: B008
    start: BaseUserTurnStartStrategy | None = None,
) -> list[str]:
    """What the brain is asked: the last message of each request."""
    context = LLMContext()
    stop = SmartTurnStopStrategy(
        turn_analyzer=Verdicts(0.95),
        words=turn_words("en-US"),
        params=EndOfTurnParams(longest_wait_secs=0.4),
        speculations=Speculations(),
    )
    turns = UserTurnStrategies(start=[start or VADUserTurnStartStrategy()], stop=[stop])
    params = LLMUserAggregatorParams(user_turn_strategies=turns, empty_user_turn=empty_turn)
    down, _ = await run_test(
        Pipeline(list(joining_aggregators(context, user_params=params))),
        frames_to_send=[STTMetadataFrame(service_name="ears", ttfs_p99_latency=10.0), *frames],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE),
        start_timeout=20.0,
    )
    assert any(isinstance(frame, UserStoppedSpeakingFrame) for frame in down)
    messages = [message.get("content") for message in context.get_messages()]
    return [message for message in messages if message in (CUT_OFF, IDLE)]


WAITS = {
    "nobody has spoken": [],
    "noise came before": [*NOISE, LONG],
    "the greeting was heard": [TTSSpeakFrame("Hello!"), WAIT, BotStartedSpeakingFrame(), HEARD, *over()],
    "the answer was heard": [*QUESTION, *begins(), *over()],
    "the answer had no words": [*QUESTION, LLMFullResponseStartFrame(), LLMFullResponseEndFrame(), LONG],
    "the answer to what was asked early was heard": [*say("Is it cold?"), WAIT, *begins(), *over()],
    "an early question came to nothing": [*early(), SpeechCoveredFrame(), LONG],
    "an answer was interrupted and another heard": [*QUESTION, *begins(), *QUESTION, *over(), *begins(), *over()],
    "the function's answer was heard": [*QUESTION, *call(), *result(), *begins(), *over()],
    "the function's result asks for no answer": [*QUESTION, *call(), *result(run_llm=False), LONG],
    "a function goes on behind the answer": [*QUESTION, *call(asynchronous=True), *begins(), *over()],
    "somebody else cut the answer off": [*QUESTION, LONG, InterruptionFrame(), WAIT],
}  # fmt: skip

CUTS = {
    "the greeting is synthesized": [TTSSpeakFrame("Hello!"), WAIT],
    "the greeting is heard": [TTSSpeakFrame("Hello!"), WAIT, BotStartedSpeakingFrame(), HEARD],
    "the brain thinks of a greeting": [LLMRunFrame(), WAIT],
    "noise came before, and the brain thinks of a greeting": [*NOISE, LLMRunFrame(), WAIT],
    "the brain thinks": [*QUESTION, LONG],
    "the answer is written": [*QUESTION, LLMFullResponseStartFrame(), LONG],
    "the answer is heard": [*QUESTION, *begins()],
    "the bot is silent between two sentences": [*QUESTION, *begins(), BotStoppedSpeakingFrame(), WAIT],
    "the brain thinks about the function's result": [*QUESTION, *call(), *result(), LONG],
    "the function's result is thought about, the announcement of it was heard": [
        *QUESTION, *begins(), *call(), BotStoppedSpeakingFrame(), *result(), LONG,
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", WAITS)
def test_noise_asks_nothing_of_a_bot_that_waits(name):
    assert virtual_time.run(asked([*WAITS[name], *NOISE])) == []


@pytest.mark.parametrize("name", CUTS)
def test_noise_that_cuts_the_bot_off_has_it_ask(name):
    assert virtual_time.run(asked([*CUTS[name], *NOISE])) == [CUT_OFF]


@in_virtual_time
async def test_noise_that_cancels_a_function_has_the_bot_ask():
    noise = [*NOISE[:-3], FunctionCallCancelFrame("weather", "1"), *NOISE[-3:]]
    assert await asked([*QUESTION, *call(), *noise]) == [CUT_OFF]


@in_virtual_time
async def test_the_bot_asks_once_however_much_noise_comes_until_words_do():
    cut = [TTSSpeakFrame("Hello!"), WAIT, *NOISE]
    assert await asked([*NOISE, *cut, *NOISE, *begins(), *NOISE, *over(), *NOISE]) == [CUT_OFF]
    assert await asked([*cut, *begins(), *over(), *QUESTION, *begins(), *NOISE]) == [CUT_OFF] * 2


@in_virtual_time
async def test_a_backchannel_that_the_bot_spoke_on_over_leaves_it_waiting_in_the_end():
    strategy = BargeInUserTurnStartStrategy(words=turn_words("en-US"))
    backchannel = [STARTED, *AUDIO, WAIT, stopped(), *say("Mhm.")[-1:], SleepFrame(1.0)]
    assert await asked([*QUESTION, *begins(), *backchannel, *over(), *NOISE], start=strategy) == []


@in_virtual_time
async def test_a_turn_that_interrupts_nothing_is_none_that_cuts_off():
    polite = VADUserTurnStartStrategy(enable_interruptions=False)
    assert await asked([*QUESTION, *begins(), *NOISE], start=polite) == []


@in_virtual_time
async def test_what_is_asked_may_be_chosen_for_a_bot_that_waits_too_or_for_none():
    both = EmptyUserTurnConfig(interrupted_prompt=CUT_OFF, idle_prompt=IDLE, max_consecutive_recoveries=2)
    assert await asked([*NOISE, TTSSpeakFrame("Hello!"), WAIT, *NOISE], both) == [IDLE, CUT_OFF]
    assert (both.interrupted_prompt, both.idle_prompt) == (CUT_OFF, IDLE)
    assert await asked([*NOISE, TTSSpeakFrame("Hello!"), WAIT, *NOISE], None) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["ask", "cut", "write", "end", "speak", "stop", "call", "called"])))
def test_a_bot_is_busy_from_what_it_is_asked_until_all_of_it_is_over(steps):
    responses = Responses()
    user = {"speak": BotStartedSpeakingFrame(), "stop": BotStoppedSpeakingFrame()}
    bot = {"write": LLMFullResponseStartFrame(), "end": LLMFullResponseEndFrame()}
    for step in steps:
        if step in user:
            responses.follow_user_end(user[step])
        elif step in bot:
            responses.follow_bot_end(bot[step])
        elif step in ("call", "called"):
            responses.calling = step == "call"
        else:
            responses.asked() if step == "ask" else responses.interrupted()
        if step in ("ask", "write", "speak", "call"):
            assert responses.in_progress
    for frame in bot.values():
        responses.follow_bot_end(frame)
    responses.follow_user_end(user["stop"])
    responses.calling = False
    assert not responses.in_progress
