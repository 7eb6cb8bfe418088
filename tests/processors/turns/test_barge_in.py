"""Speech over the bot: what stops it, what does not, and what becomes of the words."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    TranscriptionFrame,
    UserBackchannelFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.tests.utils import SleepFrame, run_test

from halfcascade.processors.frames import DuckFrame, SpeechCoveredFrame, SpeechOnsetFrame, SpeechPausedFrame
from halfcascade.processors.turns import user_turn_strategies
from halfcascade.processors.turns.barge_in_judge import BargeInJudge, BargeInParams, Look, Verdict
from halfcascade.processors.turns.barge_in_sound import InterruptionSound, find_start
from halfcascade.processors.turns.bot_speech import BotSpeech
from halfcascade.processors.turns.speech_sound import Heard, Hearing
from halfcascade.processors.turns.words import turn_words
from tests.in_virtual_time import in_virtual_time

RATE = 16_000
BLOCK = 320
# Words and durations decide here; the sound has tests of its own.
WORDS_ONLY = BargeInParams(looks=())
RNG = np.random.default_rng(5)


def sound(secs: float, level: int = 3000) -> list[InputAudioRawFrame]:
    samples = (RNG.standard_normal(round(secs * RATE)) * level).clip(-32768, 32767).astype("<i2")
    return [InputAudioRawFrame(samples[i : i + BLOCK].tobytes(), RATE, 1) for i in range(0, len(samples), BLOCK)]


def quiet(secs: float) -> list[InputAudioRawFrame]:
    return sound(secs, 3)


def final(text: str, finalized: bool = True) -> TranscriptionFrame:
    return TranscriptionFrame(text, "", "", finalized=finalized)


def interim(text: str) -> InterimTranscriptionFrame:
    return InterimTranscriptionFrame(text, "", "")


ONSET = SpeechOnsetFrame(0.06)
STARTED = VADUserStartedSpeakingFrame(start_secs=0.2)
PAUSED = SpeechPausedFrame(0.03)
STOPPED = VADUserStoppedSpeakingFrame(stop_secs=0.2)
WAIT = SleepFrame(0.05)
# Smart Turn looks at each end of speech, which takes a busy machine a while.
SETTLED = SleepFrame(0.8)


async def hear(frames, params: BargeInParams = WORDS_ONLY, bot_speaks: bool = True, strategies=None):
    """Frames that leave the user aggregator, and the conversation after it."""
    context = LLMContext()
    strategies = strategies or user_turn_strategies("en-US", barge_in=params)
    user = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies), realtime_service_mode=False
    ).user()
    start = [BotStartedSpeakingFrame(), WAIT] if bot_speaks else []
    down, _ = await run_test(
        user,
        frames_to_send=[*start, *quiet(0.5), *frames, SleepFrame(0.15)],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE),
        start_timeout=30.0,
    )
    kinds = (
        DuckFrame,
        InterruptionFrame,
        LLMContextFrame,
        UserBackchannelFrame,
        UserStartedSpeakingFrame,
    )
    return [frame for frame in down if isinstance(frame, kinds)], context


def kinds(frames) -> list[type]:
    return [type(frame) for frame in frames]


@in_virtual_time
async def test_speech_over_the_bot_ducks_it_at_the_first_sound():
    frames, _ = await hear([*sound(0.1), ONSET, WAIT])
    assert kinds(frames) == [DuckFrame]
    assert frames[0].gain < 0.5


@in_virtual_time
async def test_real_words_stop_the_bot_and_restore_its_loudness():
    frames, _ = await hear([*sound(0.1), ONSET, *sound(0.2), STARTED, *sound(0.1), interim("what about"), WAIT])
    assert kinds(frames) == [DuckFrame, UserStartedSpeakingFrame, InterruptionFrame, DuckFrame]
    assert frames[-1].gain == 1.0


@in_virtual_time
async def test_a_backchannel_lets_the_bot_swell_back_and_stays_out_of_the_conversation():
    said = [*sound(0.1), ONSET, *sound(0.3), PAUSED, *quiet(0.2), STOPPED, WAIT, final("Mm-hm."), WAIT]
    frames, context = await hear(said)
    assert kinds(frames) == [DuckFrame, DuckFrame, UserBackchannelFrame]
    assert frames[1].gain == 1.0
    assert frames[2].text == "Mm-hm."
    assert context.messages == []


@in_virtual_time
async def test_words_after_a_backchannel_do_not_hold_it():
    said = [*sound(0.1), ONSET, *sound(0.3), PAUSED, *quiet(0.2), STOPPED, SETTLED, final("Okay."), SETTLED]
    then = [
        BotStoppedSpeakingFrame(),
        *quiet(0.2),
        STARTED,
        *sound(0.2),
        STOPPED,
        SETTLED,
        final("How old is it?"),
        WAIT,
    ]
    _, context = await hear([*said, *then, SETTLED])
    assert [message["content"] for message in context.messages] == ["How old is it?"]


@in_virtual_time
async def test_a_short_real_word_stops_the_bot_when_it_is_understood():
    said = [*sound(0.1), ONSET, *sound(0.3), PAUSED, *quiet(0.2), STOPPED, WAIT, final("Stop."), WAIT]
    frames, context = await hear(said)
    assert InterruptionFrame in kinds(frames)
    assert [message["content"] for message in context.messages] == ["Stop."]


@in_virtual_time
async def test_a_cough_does_not_stop_the_bot():
    said = [*sound(0.1), ONSET, *sound(0.2), PAUSED, *quiet(0.3), STOPPED, SpeechCoveredFrame(), WAIT]
    frames, context = await hear(said)
    assert [frame.gain for frame in frames] == [pytest.approx(0.25), 1.0]
    assert context.messages == []


@in_virtual_time
async def test_a_sound_of_which_the_detector_is_not_sure_stops_nobody():
    any_sound = BargeInParams(looks=(Look(0.35, 0.0),), speech=0.0, speech_unvoiced=0.0, spoken=0.0)
    frames, _ = await hear([*sound(0.1), ONSET, *sound(1.2), PAUSED, *quiet(0.2), WAIT], params=any_sound)
    assert [frame.gain for frame in frames] == [pytest.approx(0.25), 1.0]
    frames, _ = await hear([*sound(0.1), ONSET, *sound(0.4), STARTED, *sound(0.1), WAIT], params=any_sound)
    assert InterruptionFrame in kinds(frames)


@in_virtual_time
async def test_sounds_are_judged_again_after_strategies_were_applied_anew():
    strategies = user_turn_strategies(
        "en-US", barge_in=BargeInParams(looks=(Look(0.35, 0.0),), speech=0.0, speech_unvoiced=0.0, spoken=0.0)
    )
    await strategies.start[0].cleanup()
    frames, _ = await hear([*sound(0.1), ONSET, *sound(0.4), STARTED, *sound(0.1), WAIT], strategies=strategies)
    assert InterruptionFrame in kinds(frames)


NEVER_BY_LOOKS = BargeInParams(looks=(Look(0.35, 1.1),))


def spoken(secs: float) -> list[InputAudioRawFrame]:
    """Speech without a pause."""
    entry = next(entry for entry in recordings("utterance") if entry["name"] == "weather")
    samples, rate = soundfile.read(entry["path"], dtype="int16")
    assert rate == RATE
    speech = samples[round(entry["start"] * RATE) : round(entry["end"] * RATE)]
    speech = np.resize(speech, round(secs * RATE))
    return [InputAudioRawFrame(speech[i : i + BLOCK].tobytes(), RATE, 1) for i in range(0, len(speech) - BLOCK, BLOCK)]


@in_virtual_time
async def test_speech_beyond_a_backchannels_length_stops_the_bot_without_words():
    speech = spoken(2.4)
    for count, stops in ((1.5, False), (2.4, True)):
        said = speech[: round(count * RATE / BLOCK)]
        frames, _ = await hear([*said[:5], ONSET, *said[5:15], STARTED, *said[15:], WAIT], params=NEVER_BY_LOOKS)
        assert (InterruptionFrame in kinds(frames)) is stops


@in_virtual_time
async def test_a_sound_that_is_no_speech_never_stops_the_bot_however_long():
    frames, _ = await hear([*sound(0.1), ONSET, *sound(0.2), STARTED, *sound(5.0), WAIT], params=BargeInParams())
    assert InterruptionFrame not in kinds(frames)


BOT_ASKS = "It is ready. Shall I book it for Tuesday?"
BOT_TELLS = "It was in the old town. Then the clock struck ten, and it rained."


@pytest.mark.parametrize(
    ("written", "heard", "said", "stops"),
    [
        (BOT_ASKS, "It is ready. Shall I book it for", "Yes.", True),
        (BOT_ASKS, "It is ready. Shall I book it for Tuesday?", "Okay", True),
        (BOT_ASKS, "It is ready. Shall I book it for", "mm-hm", False),
        (BOT_ASKS, "It is", "Yes.", False),
        (BOT_TELLS, "It was in the old town. Then the clock", "Yes.", False),
        (BOT_TELLS, "It was in the old town. Then the clock", "That's great!", False),
        (BOT_TELLS, "It was in the old town. Then the clock", "oh no", False),
        (BOT_TELLS, "It was in the old town. Then the clock", "no", True),
        (BOT_TELLS, "It was in the old town. Then the clock", "wait", True),
    ],
)
@in_virtual_time
async def test_what_the_bot_is_saying_decides_what_yes_means(written, heard, said, stops):
    speech = BotSpeech()
    speech.wrote(written)
    speech.heard(heard)
    strategies = user_turn_strategies("en-US", barge_in=WORDS_ONLY, bot_speech=speech, language_model=False)
    words = [InterimTranscriptionFrame(said, "", "")]
    frames, _ = await hear([*sound(0.1), ONSET, STARTED, *sound(0.2), *words, WAIT], strategies=strategies)
    assert (InterruptionFrame in kinds(frames)) is stops


@pytest.mark.parametrize("said", ["네", "네네네", "아 진짜요", "맞습니다", "으흠", "그렇죠. 네", "대박", "아네맞아요"])
def test_korean_listeners(said):
    assert turn_words("ko-KR").is_backchannel(said)


@pytest.mark.parametrize("said", ["잠깐", "그만", "아니요", "잠깐만요", "네 근데 왜", "하지 마", "뭐라고", "어디"])
def test_korean_interruptions(said):
    assert not turn_words("ko-KR").is_backchannel(said)


@pytest.mark.parametrize("said", ["stop", "wait", "no", "no no no", "hold on", "yes but", "that's wrong", "what about"])
def test_english_interruptions(said):
    assert not turn_words("en-US").is_backchannel(said)


@in_virtual_time
async def test_a_listener_s_words_may_go_on():
    said = [*sound(0.1), ONSET, *sound(0.2), STARTED, *sound(0.2), interim("yeah"), WAIT, *sound(0.7), WAIT]
    frames, _ = await hear(said)
    assert kinds(frames) == [DuckFrame]


@in_virtual_time
async def test_a_listener_s_words_that_become_a_sentence_stop_the_bot():
    said = [*sound(0.1), ONSET, *sound(0.2), STARTED, *sound(0.2), interim("yes"), WAIT, interim("yes but why"), WAIT]
    frames, _ = await hear(said)
    assert InterruptionFrame in kinds(frames)


@in_virtual_time
async def test_yes_is_an_answer_once_the_bot_has_finished():
    said = [*sound(0.1), ONSET, *sound(0.3), PAUSED, *quiet(0.2), STOPPED, WAIT]
    frames, context = await hear([*said, BotStoppedSpeakingFrame(), WAIT, final("Yes."), WAIT])
    assert [message["content"] for message in context.messages] == ["Yes."]
    frames, context = await hear([*said, BotStoppedSpeakingFrame(), WAIT, final("Mm-hm."), WAIT])
    assert context.messages == []
    assert kinds(frames)[-1] is UserBackchannelFrame


@in_virtual_time
async def test_speech_that_outlasts_the_bot_takes_the_turn():
    frames, _ = await hear([*sound(0.1), ONSET, *sound(0.2), STARTED, WAIT, BotStoppedSpeakingFrame(), WAIT])
    assert UserStartedSpeakingFrame in kinds(frames)


@in_virtual_time
async def test_a_silent_bot_is_not_ducked_and_speech_starts_the_turn_at_once():
    frames, _ = await hear([*sound(0.1), ONSET, *sound(0.2), STARTED, WAIT], bot_speaks=False)
    assert kinds(frames) == [UserStartedSpeakingFrame, InterruptionFrame]


@in_virtual_time
async def test_works_with_pipecat_s_voice_activity_alone():
    said = [*sound(0.3), STARTED, WAIT, *sound(0.2), interim("wait a moment"), WAIT]
    frames, _ = await hear(said)
    assert kinds(frames) == [DuckFrame, UserStartedSpeakingFrame, InterruptionFrame, DuckFrame]


@in_virtual_time
async def test_barge_in_can_be_left_to_pipecat():
    strategies = user_turn_strategies("en-US", understand_barge_in=False)
    assert [type(strategy).__name__ for strategy in strategies.start] == [
        "VADUserTurnStartStrategy",
        "TranscriptionUserTurnStartStrategy",
    ]


def recordings(kind: str) -> list[dict]:
    folder = Path(__file__).parents[2] / "data"
    entries = json.loads((folder / "recordings.json").read_text("utf-8"))
    return [{**entry, "path": folder / entry["file"]} for entry in entries if entry["kind"] == kind]


@pytest.mark.parametrize("kind", ["interruption", "backchannel"])
def test_a_verdict_comes_within_its_time(kind):
    hearing = Hearing()
    for entry in recordings(kind):
        samples, rate = soundfile.read(entry["path"], dtype="int16")
        judge = BargeInJudge(turn_words("en-US"))
        judge.set_sample_rate(rate)
        start = round((entry["start"] + 0.15) * rate)
        judge.audio(samples[:start].tobytes())
        judge.begin(0.05)
        for at in range(start, len(samples) - BLOCK, BLOCK):
            judge.audio(samples[at : at + BLOCK].tobytes())
            if (excerpt := judge.listen()) is not None:
                judge.sounded(hearing.judge(excerpt))
            if entry["end"] + 0.1 < at / rate:
                judge.silence()
            if judge.verdict() is not Verdict.UNDECIDED:
                break
        assert at / rate - entry["start"] < 1.6
        assert at / rate - entry["start"] >= BargeInParams().looks[0].secs - 0.02


def test_each_look_hears_the_beginning_of_speech_once():
    looks = (Look(0.3, 0.9), Look(0.5, 0.5))
    judge = BargeInJudge(turn_words("en-US"), BargeInParams(looks=looks, speech=0.0, speech_unvoiced=0.0, spoken=0.0))
    for frame in quiet(0.5):
        judge.audio(frame.audio)
    heard = []
    for number, frame in enumerate(sound(0.8)):
        judge.audio(frame.audio)
        if number == 4:
            judge.begin(0.1)
        if (excerpt := judge.listen()) is not None:
            heard.append((number, (len(excerpt.samples) - excerpt.start) / RATE))
            judge.sounded(Heard(0.7))
            assert judge.verdict() is (Verdict.UNDECIDED if len(heard) == 1 else Verdict.INTERRUPTION)
    assert [length for _, length in heard] == [0.3, 0.5]
    assert [number * BLOCK / RATE for number, _ in heard] == pytest.approx([0.3, 0.5], abs=0.04)


def test_the_beginning_of_speech_is_found_behind_a_late_detector():
    speech = RNG.standard_normal(RATE) * 3000
    samples = np.concatenate([RNG.standard_normal(RATE // 2) * 10, speech])
    for late in (0.05, 0.15, 0.25):
        start = find_start(samples, RATE // 2 + round(late * RATE))
        assert start / RATE == pytest.approx(0.5, abs=0.02)


def test_loudness_does_not_matter_to_the_sound():
    samples = RNG.standard_normal(RATE // 3) * 3000
    judge = InterruptionSound()
    assert judge.judge(samples) == pytest.approx(judge.judge(samples * 0.1), abs=1e-4)
    assert all(0.0 <= share <= 1.0 for share in judge.judge(samples * 0.0))


def test_the_sound_of_most_recordings_is_told_apart():
    sound = InterruptionSound()

    def probability(entry: dict) -> float:
        samples, rate = soundfile.read(entry["path"], dtype="int16")
        start = round(entry["start"] * rate)
        return sound.judge(samples[start : start + round(0.37 * rate)].astype(np.float32)).interruption

    real = np.mean([probability(entry) >= 0.5 for entry in recordings("interruption")])
    harmless = np.mean([probability(entry) >= 0.5 for entry in recordings("backchannel") + recordings("noise")])
    assert real - harmless > 0.5
