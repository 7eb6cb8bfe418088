"""Turns that are taken up again: frames in, context and frames out; the test decides what Smart Turn says."""

from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    STTMetadataFrame,
    TTSTextFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import EagerMatchPolicy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from halfcascade.processors.frames import (
    EARLY,
    TURN,
    SpeechCoveredFrame,
    SpeechOnsetFrame,
    TurnConfirmedFrame,
    TurnReopenedFrame,
)
from halfcascade.processors.turns import joining, joining_aggregators
from halfcascade.processors.turns.end_of_turn import EndOfTurnParams
from halfcascade.processors.turns.smart_turn import SmartTurnStopStrategy
from halfcascade.processors.turns.speculation import Speculations
from halfcascade.processors.turns.words import turn_words
from tests.in_virtual_time import in_virtual_time
from tests.processors.turns.test_turns import AUDIO, RATE, STARTED, WAIT, Verdicts, final, say, stopped

NAME, PLACE = "Hello, my name is Daniel.", "And I live in Boston."
BOTH = f"{NAME} {PLACE}"


class Turns:
    """What a run led to: what the brain was asked with, and what it was told besides."""

    def __init__(self, down: list[Frame], asked: list[list[str]], context: LLMContext):
        self.down, self.asked = down, asked
        self.context = [message["content"] for message in context.get_messages()]

    def order(self, *kinds: type[Frame]) -> list[type[Frame]]:
        return [type(frame) for frame in self.down if isinstance(frame, kinds)]


async def run(
    *frames: Any, verdict: float = 0.95, speculate: bool = False, policy: EagerMatchPolicy | None = None
) -> Turns:
    context = LLMContext()
    stop = SmartTurnStopStrategy(
        turn_analyzer=Verdicts(verdict),
        words=turn_words("en-US"),
        params=EndOfTurnParams(longest_wait_secs=0.4),
        speculations=Speculations() if speculate else None,
        match_policy=policy,
    )
    strategies = UserTurnStrategies(start=[VADUserTurnStartStrategy()], stop=[stop])
    user, _ = joining_aggregators(context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies))
    asked: list[list[str]] = []
    push = user.push_frame

    async def note(frame: Frame, *args: Any) -> None:
        if isinstance(frame, LLMContextFrame):
            asked.append([str(message["content"]) for message in frame.context.get_messages()])
        await push(frame, *args)

    user.push_frame = note  # type: ignore[method-assign, assignment]
    down, _ = await run_test(
        user,
        frames_to_send=[STTMetadataFrame(service_name="ears", ttfs_p99_latency=10.0), *frames],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE),
        start_timeout=20.0,
    )
    return Turns(list(down), asked, context)


@in_virtual_time
async def test_what_follows_before_the_bot_is_heard_belongs_to_the_turn():
    turns = await run(*say(NAME), WAIT, *say(PLACE), WAIT)
    assert turns.asked == [[NAME], [BOTH]]
    assert turns.context == [BOTH]
    assert turns.order(TurnReopenedFrame, InterruptionFrame, LLMContextFrame) == [
        InterruptionFrame, LLMContextFrame, TurnReopenedFrame, InterruptionFrame, LLMContextFrame,
    ]  # fmt: skip


@in_virtual_time
async def test_three_parts_are_one_turn_in_order():
    turns = await run(*say("One."), WAIT, *say("Two."), WAIT, *say("Three."), WAIT)
    assert turns.asked[-1] == ["One. Two. Three."]


@in_virtual_time
async def test_scripts_without_spaces_are_joined_without():
    first, second = final("私はダニエルです。"), final("東京に住んでいます。")
    for frame in (first, second):
        frame.includes_inter_frame_spaces = True
    speech = [*AUDIO, STARTED, *AUDIO, WAIT, stopped()]
    turns = await run(*speech, first, WAIT, *speech, second, WAIT)
    assert turns.asked[-1] == ["私はダニエルです。東京に住んでいます。"]


@in_virtual_time
async def test_what_follows_after_the_bot_was_heard_is_a_turn_of_its_own():
    turns = await run(*say(NAME), WAIT, BotStartedSpeakingFrame(), SleepFrame(1.3), *say(PLACE), WAIT)
    assert turns.asked == [[NAME], [NAME, PLACE]]
    assert not turns.order(TurnReopenedFrame)


@in_virtual_time
async def test_it_counts_when_the_user_went_on_not_when_that_was_noticed():
    went_on = VADUserStartedSpeakingFrame(start_secs=0.5)
    turns = await run(
        *say(NAME), SleepFrame(0.6), BotStartedSpeakingFrame(), SleepFrame(0.05), went_on, *AUDIO, WAIT, stopped(),
        final(PLACE), WAIT,
    )  # fmt: skip
    assert turns.asked == [[NAME], [BOTH]]
    turns = await run(
        *say(NAME), WAIT, SpeechOnsetFrame(secs=0.02), BotStartedSpeakingFrame(), WAIT, STARTED, *AUDIO, WAIT,
        stopped(), final(PLACE), WAIT,
    )  # fmt: skip
    assert turns.asked == [[NAME], [BOTH]]


@in_virtual_time
async def test_a_sound_counts_from_its_beginning_not_from_when_it_was_noticed():
    for secs, joined in ((0.4, True), (0.1, False)):
        turns = await run(
            *say(NAME), WAIT, BotStartedSpeakingFrame(), SleepFrame(1.2), SpeechOnsetFrame(secs=secs), WAIT, STARTED,
            *AUDIO, WAIT, stopped(), final(PLACE), WAIT,
        )  # fmt: skip
        assert turns.asked == [[NAME], [BOTH] if joined else [NAME, PLACE]]


@in_virtual_time
async def test_words_that_come_before_their_speech_is_noticed_follow_those_of_the_turn():
    turns = await run(*say(NAME), WAIT, final(PLACE), WAIT, *say("")[:-1], SpeechCoveredFrame(), WAIT)
    assert turns.asked[-1] == [BOTH]


@in_virtual_time
async def test_a_turn_that_is_taken_up_again_is_judged_by_all_its_words():
    for secs, ends in ((0.1, 1), (0.6, 2)):
        turns = await run(*say("My address is."), SleepFrame(0.6), *say("Twelve Baker Street."), SleepFrame(secs))
        assert len(turns.order(TurnReopenedFrame)) == 1
        assert len(turns.order(UserStoppedSpeakingFrame)) == ends


@in_virtual_time
async def test_a_sound_without_words_costs_no_answer():
    turns = await run(*say(NAME), WAIT, *AUDIO, STARTED, *AUDIO, WAIT, stopped(), SpeechCoveredFrame(), WAIT)
    assert turns.asked == [[NAME], [NAME]]
    assert turns.context == [NAME]


@in_virtual_time
async def test_a_turn_that_was_followed_in_the_context_stays():
    note = LLMMessagesAppendFrame([{"role": "developer", "content": "The timer went off."}])
    turns = await run(*say(NAME), WAIT, note, WAIT, *say(PLACE), WAIT)
    assert turns.asked[-1] == [NAME, "The timer went off.", PLACE]


@in_virtual_time
async def test_long_after_its_end_a_turn_is_over(monkeypatch):
    monkeypatch.setattr(joining, "JOIN_SECS", 0.05)
    turns = await run(*say(NAME), WAIT, *say(PLACE), WAIT)
    assert turns.asked == [[NAME], [NAME, PLACE]]


@in_virtual_time
async def test_a_speculation_asks_with_the_whole_turn():
    turns = await run(*say(NAME), SleepFrame(0.7), *say(PLACE), SleepFrame(0.7), verdict=0.2, speculate=True)
    assert turns.asked == [[NAME], [BOTH]]
    assert turns.context == [BOTH]
    (first, second) = [frame for frame in turns.down if isinstance(frame, LLMContextFrame)]
    assert first.speculation
    assert second.speculation
    # Each has the name that the turn has when it ends, and what confirms it names it.
    names = [(frame.metadata[TURN], frame.metadata[EARLY]) for frame in (first, second)]
    assert names == [(1, 1), (2, 2)]
    assert [(frame.turn, frame.early) for frame in turns.down if isinstance(frame, TurnConfirmedFrame)] == names


@in_virtual_time
async def test_a_speculation_that_nobody_confirms_is_withdrawn_ahead_of_the_end(monkeypatch):
    ended = SmartTurnStopStrategy.trigger_user_turn_stopped

    async def forgetful(self: SmartTurnStopStrategy, **kwargs: Any) -> None:
        self._speculation = None
        await ended(self, **kwargs)

    monkeypatch.setattr(SmartTurnStopStrategy, "trigger_user_turn_stopped", forgetful)
    turns = await run(*say(NAME), SleepFrame(0.7), verdict=0.2, speculate=True)
    assert turns.asked == [[NAME], [NAME]]
    order = turns.order(LLMContextFrame, EagerEndOfTurnCancelFrame, UserStoppedSpeakingFrame, TurnConfirmedFrame)
    assert order[:2] == [LLMContextFrame, EagerEndOfTurnCancelFrame]
    assert TurnConfirmedFrame not in order


@in_virtual_time
async def test_a_speculation_is_withdrawn_if_the_turn_has_words_that_it_lacks():
    class Lenient(EagerMatchPolicy):
        def matches(self, eager: str, final: str) -> bool:
            return True

    eager = EagerTranscriptionFrame("Hello, my name is", "", "")
    turns = await run(*say(NAME)[:-1], eager, WAIT, final(NAME), SleepFrame(0.7), speculate=True, policy=Lenient())
    assert turns.asked == [["Hello, my name is"], [NAME]]
    assert turns.order(LLMContextFrame, EagerEndOfTurnCancelFrame, UserStoppedSpeakingFrame, TurnConfirmedFrame) == [
        LLMContextFrame, EagerEndOfTurnCancelFrame, UserStoppedSpeakingFrame, LLMContextFrame,
    ]  # fmt: skip


@in_virtual_time
async def test_who_goes_on_over_the_bots_first_words_was_talked_into():
    turns = await run(*say(NAME), WAIT, BotStartedSpeakingFrame(), SleepFrame(0.2), *say(PLACE), WAIT)
    assert turns.asked == [[NAME], [BOTH]]
    assert turns.order(TurnReopenedFrame, InterruptionFrame)[-2:] == [TurnReopenedFrame, InterruptionFrame]


@in_virtual_time
async def test_what_the_bot_had_begun_to_say_into_a_pause_counts_as_not_said():
    context = LLMContext()
    _, assistant = joining_aggregators(context)
    spoken = TTSTextFrame("Nice to", text_type="word")
    spoken.append_to_context = True
    for reopened in (False, True):
        context.set_messages([])
        frames = [LLMFullResponseStartFrame(), spoken, SleepFrame(0.05)]
        taken_back = [TurnReopenedFrame(text=NAME)] if reopened else []
        await run_test(assistant, frames_to_send=[*frames, *taken_back, InterruptionFrame(), SleepFrame(0.05)])
        assert [message["content"] for message in context.get_messages()] == ([] if reopened else ["Nice to"])
        _, assistant = joining_aggregators(context)
