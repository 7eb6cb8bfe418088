import time
from unittest.mock import Mock

import pytest
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    ErrorFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import (
    LLMTokenUsage,
    LLMUsageMetricsData,
    STTUsage,
    STTUsageMetricsData,
    TTFBMetricsData,
    TTSUsageMetricsData,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport

from halfcascade.bot.session.observer import SessionObserver
from halfcascade.processors.frames import TurnReopenedFrame, TurnSentFrame

DOWN, UP = FrameDirection.DOWNSTREAM, FrameDirection.UPSTREAM
VOICE, LOUDSPEAKER, OTHER = Mock(spec=TTSService), Mock(spec=BaseOutputTransport), Mock(spec=FrameProcessor)


@pytest.fixture
def watch():
    """Push frames past an observer: ``watch(frame, ...)``; ``watch.events`` holds what it told."""
    clock = SystemClock()
    clock.start()
    told = []
    observer = SessionObserver(lambda type_, at, fields: told.append((type_, at, fields)), clock)

    async def push(frame, source=OTHER, destination=OTHER, direction=DOWN, first=True):
        await observer.on_push_frame(FramePushed(source, destination, frame, direction, clock.get_time(), first))

    push.told = told  # type: ignore[attr-defined]
    push.types = lambda: [type_ for type_, *_ in told]  # type: ignore[attr-defined]
    return push


def speech():
    return TTSAudioRawFrame(audio=b"\0\0", sample_rate=24_000, num_channels=1)


async def reply(watch, text="Hi."):
    await watch(LLMFullResponseStartFrame(), destination=VOICE)
    await watch(LLMTextFrame(text), destination=VOICE)
    await watch(LLMFullResponseEndFrame(), destination=VOICE)


async def test_events_carry_the_time_at_which_the_frame_was_pushed(watch):
    before = time.monotonic()
    await watch(TurnSentFrame(text="Hello.", turn=1))
    ((type_, at, fields),) = watch.told
    assert (type_, fields) == ("turn_sent", {"text": "Hello.", "turn": 1, "attempt": 1})
    assert before <= at <= time.monotonic()


async def test_transcriptions_are_told_once_however_often_they_are_passed_on(watch):
    for first in (True, False, False):
        await watch(InterimTranscriptionFrame(" he", "u", "t"), first=first)
        await watch(TranscriptionFrame(" hello ", "u", "t"), first=first)
    assert [(type_, fields["text"]) for type_, _, fields in watch.told] == [("interim", "he"), ("final", "hello")]


async def test_of_a_broadcast_frame_only_the_downstream_one_counts(watch):
    for direction in (DOWN, UP):
        frame = BotStartedSpeakingFrame()
        frame.broadcast_sibling_id = 7
        await watch(frame, direction=direction)
    assert watch.types() == ["speaking_started"]


async def test_the_end_of_speech_is_when_the_sound_ended(watch):
    await watch(VADUserStoppedSpeakingFrame(stop_secs=0.5))
    ((type_, at, fields),) = watch.told
    assert type_ == "user_stopped"
    assert fields["speech_at"] == pytest.approx(at - 0.5, abs=0.05)


async def test_the_reply_is_what_reaches_the_voice(watch):
    await watch(LLMTextFrame("secret word"))  # towards a processor that rewrites it
    await reply(watch, "rewritten")
    assert [fields.get("text") for _, _, fields in watch.told] == [None, "rewritten", None]


async def test_something_to_say_without_the_brain_is_a_reply_too(watch):
    await watch(TTSSpeakFrame("Welcome."), destination=VOICE)
    assert watch.types() == ["reply_started", "reply_text", "reply_ended"]


async def test_words_are_heard_when_they_leave_the_loudspeaker(watch):
    await watch(BotStartedSpeakingFrame())
    for word in ("Hi", "there."):
        frame = TTSTextFrame(word, "word")
        await watch(frame, source=VOICE)  # queued
        await watch(frame, source=LOUDSPEAKER, first=False)  # played
    assert [fields["text"] for type_, _, fields in watch.told if type_ == "heard"] == ["Hi", " there."]


async def test_only_the_first_sound_of_each_reply_is_told(watch):
    for _ in range(2):
        await reply(watch)
        await watch(speech())
        await watch(speech())
    assert watch.types().count("first_audio") == 2


@pytest.mark.parametrize("speaking", [True, False])
async def test_an_interruption_counts_only_if_there_was_something_to_interrupt(watch, speaking):
    await reply(watch)
    await watch(BotStartedSpeakingFrame())
    if not speaking:
        await watch(BotStoppedSpeakingFrame())
    await watch(InterruptionFrame())
    await watch(InterruptionFrame())
    await watch(BotStoppedSpeakingFrame())
    await watch(InterruptionFrame())
    assert ("interrupted" in watch.types()) is speaking


async def test_a_reply_that_is_not_heard_yet_can_be_interrupted(watch):
    await reply(watch)
    await watch(InterruptionFrame())
    await watch(InterruptionFrame())
    assert watch.types().count("interrupted") == 1


async def test_tools_are_told_with_arguments_and_results(watch):
    await watch(FunctionCallInProgressFrame("time", "1", {"zone": "UTC"}))
    await watch(FunctionCallResultFrame("time", "1", {"zone": "UTC"}, {"time": "5"}))
    assert [(type_, fields) for type_, _, fields in watch.told] == [
        ("tool_call", {"name": "time", "id": "1", "arguments": {"zone": "UTC"}}),
        ("tool_result", {"name": "time", "id": "1", "result": {"time": "5"}}),
    ]


async def test_errors_say_who_failed_and_whether_for_good(watch):
    ears = Mock(spec=FrameProcessor, is_usable=False)
    ears.name = "Ears"
    await watch(ErrorFrame("The key\n was refused.", processor=ears), direction=UP)
    ((_, _, fields),) = watch.told
    assert fields == {"message": "The key was refused.", "source": "Ears", "category": "unknown", "permanent": True}


async def test_usage_is_told_by_kind(watch):
    usage = LLMTokenUsage(prompt_tokens=5, completion_tokens=2, total_tokens=7)
    await watch(
        MetricsFrame(
            data=[
                LLMUsageMetricsData(processor="b", value=usage),
                STTUsageMetricsData(processor="e", value=STTUsage(audio_seconds=1.5)),
                TTSUsageMetricsData(processor="v", value=12),
                TTFBMetricsData(processor="v", value=0.25),
                TTFBMetricsData(processor="v", value=0.0),
            ]
        )
    )
    assert [(type_, fields["kind"]) for type_, _, fields in watch.told] == [
        ("usage", "llm"),
        ("usage", "stt"),
        ("usage", "tts"),
        ("service_latency", "ttfb"),
    ]


async def test_microphone_audio_is_no_event(watch):
    await watch(InputAudioRawFrame(audio=b"\0\0", sample_rate=16_000, num_channels=1))
    assert watch.told == []


async def test_taking_a_turn_back_is_no_interruption(watch):
    await watch(LLMFullResponseStartFrame(), OTHER, VOICE)
    await watch(LLMTextFrame("Nice to meet you."), OTHER, VOICE)
    await watch(TurnReopenedFrame(text="My name is Daniel."))
    await watch(InterruptionFrame())
    assert watch.types()[-1] == "turn_reopened"
    assert watch.told[-1][2] == {"text": "My name is Daniel."}


async def test_asking_early_and_taking_it_back_are_events(watch):
    context = LLMContext([{"role": "user", "content": "Is it cold"}])
    await watch(EagerEndOfTurnCancelFrame())
    await watch(LLMContextFrame(context))
    assert watch.told == []
    await watch(LLMContextFrame(context, speculation=True))
    await watch(EagerEndOfTurnCancelFrame())
    await watch(EagerEndOfTurnCancelFrame())
    assert [(kind, fields) for kind, _, fields in watch.told] == [
        ("asked_early", {"text": "Is it cold"}),
        ("asked_too_early", {}),
    ]
