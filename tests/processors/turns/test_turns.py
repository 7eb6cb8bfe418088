"""When turns end: frames in, context frames out, with a Smart Turn whose verdict the test decides."""

import asyncio
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from halfcascade.bot.replay import virtual_time
from halfcascade.processors.frames import SpeechCoveredFrame, SpeechOnsetFrame, SpeechPausedFrame, SpeechResumedFrame
from halfcascade.processors.turns import text_end as text_end_module
from halfcascade.processors.turns.bot_speech import BotSpeech
from halfcascade.processors.turns.early_smart_turn import EarlySmartTurnAnalyzer
from halfcascade.processors.turns.end_of_turn import EndOfTurnParams
from halfcascade.processors.turns.networks import Silero, listening_threads
from halfcascade.processors.turns.smart_turn import SmartTurnStopStrategy
from halfcascade.processors.turns.speculation import Speculations
from halfcascade.processors.turns.speech_sound import Hearing
from halfcascade.processors.turns.text_end import (
    LATE_SECS,
    LlamaTextEnd,
    TextEnd,
    TextEndAsker,
    english_text_end,
    lacks_text_end,
)
from halfcascade.processors.turns.words import normalize, turn_words
from tests.in_virtual_time import in_virtual_time

RATE = 16_000
WAIT_SECS = 0.4
WAIT = SleepFrame(0.1)
PAST_THE_WAIT = SleepFrame(WAIT_SECS + 0.3)
# Where a turn has to stay open, however slow the machine is.
FAR_OFF_SECS = 60.0
STARTED = VADUserStartedSpeakingFrame(start_secs=0.2)
AUDIO = [InputAudioRawFrame(bytes(640), RATE, 1)] * 3


class Verdicts(BaseSmartTurn):
    """Smart Turn that says what it is told, one probability after the other; the last one stays."""

    def __init__(self, *probabilities: float):
        super().__init__(params=SmartTurnParams(stop_secs=10.0))
        self._probabilities = list(probabilities)

    def _predict_endpoint(self, audio_array):
        probability = self._probabilities.pop(0) if len(self._probabilities) > 1 else self._probabilities[0]
        return {"prediction": int(probability > 0.5), "probability": probability}


def stopped() -> VADUserStoppedSpeakingFrame:
    return VADUserStoppedSpeakingFrame(stop_secs=0.2)


def final(text: str, finalized: bool = True) -> TranscriptionFrame:
    return TranscriptionFrame(text, "", "", finalized=finalized)


def say(text: str, finalized: bool = True) -> list:
    return [*AUDIO, STARTED, *AUDIO, WAIT, stopped(), final(text, finalized)]


async def turns(
    frames,
    *verdicts: float,
    speculate: bool = False,
    text_end: TextEnd | None = None,
    longest_wait: float = WAIT_SECS,
    question: str = "",
):
    """What leaves the aggregator, and the user's messages."""
    context = LLMContext()
    speech = BotSpeech()
    speech.wrote(question)
    speech.heard(question)
    stop = SmartTurnStopStrategy(
        turn_analyzer=Verdicts(*verdicts),
        words=turn_words("en-US"),
        bot_speech=speech,
        params=EndOfTurnParams(longest_wait_secs=longest_wait),
        text_end=text_end,
        speculations=Speculations() if speculate else None,
    )
    strategies = UserTurnStrategies(start=[VADUserTurnStartStrategy()], stop=[stop])
    user = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies), realtime_service_mode=False
    ).user()
    down, _ = await run_test(
        user,
        frames_to_send=[STTMetadataFrame(service_name="ears", ttfs_p99_latency=10.0), *frames],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE),
        start_timeout=20.0,
    )
    # The end of the session flushes what no turn has taken: only what was handed to the brain counts.
    asked = [frame for frame in down if isinstance(frame, LLMContextFrame)]
    said = [[m["content"] for m in frame.context.messages if m["role"] == "user"] for frame in asked]
    return down, said[-1] if said else [], stop


def count(frames, kind) -> int:
    return sum(isinstance(frame, kind) for frame in frames)


@in_virtual_time
async def test_a_complete_turn_ends_with_its_final():
    _, said, _ = await turns([*say("Is it cold outside?"), WAIT], 0.95)
    assert said == ["Is it cold outside?"]


@in_virtual_time
async def test_a_turn_that_sounds_unfinished_ends_after_the_wait():
    down, said, _ = await turns([*say("Is it cold outside?"), WAIT], 0.2, longest_wait=FAR_OFF_SECS)
    assert count(down, UserStoppedSpeakingFrame) == 0
    _, said, _ = await turns([*say("Is it cold outside?"), PAST_THE_WAIT], 0.2)
    assert said == ["Is it cold outside?"]


@in_virtual_time
async def test_a_probability_below_the_threshold_waits_although_smart_turn_calls_it_complete():
    down, _, _ = await turns([*say("I lost my keys"), WAIT], 0.6, longest_wait=FAR_OFF_SECS)
    assert count(down, UserStoppedSpeakingFrame) == 0


@in_virtual_time
async def test_a_short_answer_ends_at_once_whatever_it_sounds_like():
    _, said, _ = await turns([*say("Yes."), WAIT], 0.05)
    assert said == ["Yes."]


@in_virtual_time
async def test_words_that_cannot_end_a_sentence_keep_the_turn_open():
    frames = [*say("Tell me a"), WAIT, *say("story about a cat"), WAIT]
    down, said, _ = await turns(frames, 0.95)
    assert said == ["Tell me a story about a cat"]
    assert count(down, UserStoppedSpeakingFrame) == 1


@in_virtual_time
async def test_a_segment_final_does_not_end_the_turn():
    frames = [*AUDIO, STARTED, *AUDIO, WAIT, stopped(), final("Tell me", finalized=False), WAIT]
    down, _, _ = await turns(frames, 0.95)
    assert count(down, UserStoppedSpeakingFrame) == 0


@in_virtual_time
async def test_what_was_final_at_a_pause_does_not_end_what_is_said_after_it():
    pause = [SpeechPausedFrame(0.06), final("I would like a table."), WAIT, SpeechResumedFrame(0.01), WAIT]
    ended = [*AUDIO, STARTED, *AUDIO, WAIT, *pause, stopped(), WAIT, WAIT]
    down, _, _ = await turns(ended, 0.95)
    assert count(down, UserStoppedSpeakingFrame) == 0
    down, said, _ = await turns([*ended, final("Please."), WAIT], 0.95)
    assert said == ["I would like a table. Please."]
    assert count(down, UserStoppedSpeakingFrame) == 1
    _, said, _ = await turns([*ended, SpeechCoveredFrame(), WAIT], 0.95)
    assert said == ["I would like a table."]


@in_virtual_time
async def test_words_of_which_more_are_to_come_are_not_the_last_because_others_were():
    words = [final("A table."), final("For two", finalized=False), WAIT]
    frames = [*AUDIO, STARTED, *AUDIO, WAIT, *words, stopped(), WAIT]
    down, _, _ = await turns(frames, 0.95)
    assert count(down, UserStoppedSpeakingFrame) == 0


@pytest.mark.parametrize(("question", "ends"), [("Which city?", True), ("Cities are big.", False), ("", False)])
@in_virtual_time
async def test_few_words_end_the_turn_sooner_if_the_bot_asked_for_them(question, ends):
    frames = [*say("Seoul"), SleepFrame(0.6)]
    down, _, _ = await turns(frames, 0.6, longest_wait=1.6, question=question)
    assert count(down, UserStoppedSpeakingFrame) == ends


@in_virtual_time
async def test_noise_after_the_last_words_ends_the_turn_when_it_is_known_to_be_noise():
    frames = [*say("How are you"), WAIT, *AUDIO, STARTED, *AUDIO, WAIT, stopped(), SpeechCoveredFrame(), WAIT]
    _, said, _ = await turns(frames, 0.2, 0.95)
    assert said == ["How are you"]


@in_virtual_time
async def test_a_turn_that_noise_began_ends_when_it_is_known_to_be_noise():
    down, said, _ = await turns([*AUDIO, STARTED, *AUDIO, WAIT, stopped(), SpeechCoveredFrame(), WAIT], 0.95)
    assert (count(down, UserStoppedSpeakingFrame), said) == (1, [])


@in_virtual_time
async def test_a_sound_of_speech_holds_the_end_until_it_is_clear_what_it_is():
    frames = [*say("Is it cold outside?"), SpeechOnsetFrame(0.06), PAST_THE_WAIT]
    down, _, _ = await turns(frames, 0.2)
    assert count(down, UserStoppedSpeakingFrame) == 0
    _, said, _ = await turns([*frames, SpeechPausedFrame(0.03), WAIT], 0.2)
    assert said == ["Is it cold outside?"]


@in_virtual_time
async def test_a_waiting_turn_is_answered_early_and_the_answer_kept():
    down, _, stop = await turns([*say("Is it cold outside?"), PAST_THE_WAIT], 0.2, speculate=True)
    contexts = [frame for frame in down if isinstance(frame, LLMContextFrame)]
    assert [frame.speculation for frame in contexts] == [True]
    assert (stop.speculations.total, stop.speculations.right) == (1, 1)


@in_virtual_time
async def test_eager_words_are_answered_early_and_withdrawn_when_the_final_differs():
    eager = EagerTranscriptionFrame("How old", "", "")
    frames = [*AUDIO, STARTED, *AUDIO, WAIT, eager, WAIT, stopped(), final("How cold is it?"), WAIT]
    down, said, stop = await turns(frames, 0.95, speculate=True)
    # "how old" cannot end a sentence, so it is not worth an answer.
    assert (stop.speculations.total, said) == (0, ["How cold is it?"])
    frames[frames.index(eager)] = EagerTranscriptionFrame("Is it old", "", "")
    down, said, stop = await turns(frames, 0.95, speculate=True)
    assert (stop.speculations.total, stop.speculations.right) == (1, 0)
    assert count(down, EagerEndOfTurnCancelFrame) == 1
    assert said == ["How cold is it?"]


@in_virtual_time
async def test_an_early_answer_is_withdrawn_when_the_user_goes_on():
    frames = [*say("Is it cold outside?"), WAIT, *AUDIO, STARTED, WAIT]
    down, _, stop = await turns(frames, 0.2, speculate=True)
    assert count(down, EagerEndOfTurnCancelFrame) == 1
    assert stop.speculations.right == 0


@in_virtual_time
async def test_smart_turn_judges_at_the_pause_what_it_says_at_the_end_of_speech():
    calls = []

    class Analyzer(EarlySmartTurnAnalyzer):
        def _predict_endpoint(self, audio_array):
            calls.append(len(audio_array))
            return {"prediction": 1, "probability": 0.9}

    analyzer = Analyzer(params=SmartTurnParams(stop_secs=5.0))
    analyzer.set_sample_rate(RATE)
    speech = (np.random.default_rng(0).standard_normal(RATE) * 1000).astype("<i2").tobytes()
    analyzer.append_audio(speech, True)
    analyzer.foresee(0.06)
    state, _ = await analyzer.analyze_end_of_turn()
    assert (state, calls) == (EndOfTurnState.COMPLETE, [RATE + round(0.2 * RATE)])
    analyzer.append_audio(speech, True)
    analyzer.foresee(0.06)
    analyzer.dismiss()
    await analyzer.analyze_end_of_turn()
    assert calls[-1] == RATE
    await asyncio.sleep(0)
    await analyzer.cleanup()


@pytest.mark.parametrize(
    "text",
    ["tell me a", "I would like to book a table for", "Can you", "so,", "and then I said um", "my name is", "how far"],
)
def test_open_ended_english(text):
    assert turn_words("en-US").is_open_ended(text)


@pytest.mark.parametrize(
    "text",
    [
        "what time is it",
        "how are you",
        "Where are you from?",
        "what is it for",
        "I lost my keys",
        "yes I am",
        "stop",
        "",
    ],
)
def test_complete_english(text):
    assert not turn_words("en-US").is_open_ended(text)


@pytest.mark.parametrize(
    ("text", "open_ended"), [("내일 서울에서", True), ("그리고", True), ("날씨가 어때요", False), ("네", False)]
)
def test_korean(text, open_ended):
    assert turn_words("ko-KR").is_open_ended(text) is open_ended


@pytest.mark.parametrize("text", ["Mm-hm.", "yeah yeah", "Oh, okay", "uh huh", "Right."])
def test_backchannels(text):
    assert turn_words("en-US").is_backchannel(text)


@pytest.mark.parametrize("text", ["yes but why", "stop", "okay stop", "what", ""])
def test_no_backchannels(text):
    assert not turn_words("en-US").is_backchannel(text)


def test_languages_add_up_and_auto_stands_for_all():
    assert turn_words("ko-KR").is_backchannel("응")
    assert not turn_words("en-US").is_backchannel("응")
    for words in (turn_words("auto"), turn_words(), turn_words("en-US", "ko-KR")):
        assert words.is_backchannel("응") and words.is_backchannel("yeah")
    assert normalize("It's  OKAY!") == "its okay"


@in_virtual_time
async def test_going_on_within_a_pause_withdraws_what_was_foreseen():
    frames = [*AUDIO, STARTED, *AUDIO, SpeechPausedFrame(0.06), SpeechResumedFrame(0.01), WAIT, stopped()]
    _, said, _ = await turns([*frames, final("How are you"), WAIT], 0.95)
    assert said == ["How are you"]


class SlowModel:
    """A language model that takes its time, and says that everything ends here."""

    def __init__(self, secs: float = 0.0, error: Exception | None = None):
        self._secs = secs
        self._error = error
        self.asked: list[str] = []

    def load(self) -> None:
        pass

    def knows(self, text: str) -> bool:
        return text.isascii()

    def probability(self, text: str, before: str = "") -> float:
        self.asked.append(text)
        time.sleep(self._secs)
        if self._error:
            raise self._error
        return 0.6

    def close(self) -> None:
        pass


@in_virtual_time
async def test_words_that_end_by_the_language_model_do_not_wait_although_they_sound_unfinished():
    model = SlowModel()
    _, said, _ = await turns([*say("Which one is cheaper?"), WAIT], 0.2, text_end=model)
    assert said == ["Which one is cheaper?"]
    assert model.asked[-1] == "Which one is cheaper"


@in_virtual_time
async def test_a_language_model_is_not_asked_about_what_it_does_not_speak():
    model = SlowModel()
    await turns([*say("오늘 날씨 어때?"), PAST_THE_WAIT], 0.95, text_end=model)
    assert model.asked == []
    english = LlamaTextEnd(Path("any.gguf"))
    assert english.knows("It's 10 o’clock, isn't it")
    assert not english.knows("그건 okay")
    assert not english.knows("où est la gare à Zürich")


def test_what_is_urgent_goes_before_what_has_waited_for_longer():
    begun, let_go = threading.Event(), threading.Event()
    order: list[str] = []
    urgent, other = text_end_module._lanes.__wrapped__()

    def hold():
        begun.set()
        let_go.wait(10)

    first = other.submit(hold)
    assert begun.wait(10)
    waiting = [lane.submit(order.append, name) for lane, name in ((other, "b"), (other, "c"), (urgent, "a"))]
    failing, dropped = urgent.submit(int, "x"), urgent.submit(order.append, "dropped")
    assert dropped.cancel()
    let_go.set()
    for job in (first, *waiting):
        job.result(10)
    assert order == ["a", "b", "c"]
    with pytest.raises(ValueError):
        failing.result(10)


async def test_a_question_that_becomes_urgent_does_not_wait_behind_those_that_are_not(monkeypatch):
    asker = TextEndAsker(SlowModel(), lambda *_: None)
    asked: list[bool] = []
    asker.start()
    await asyncio.sleep(0.05)
    monkeypatch.setattr(asker, "_run", lambda work, *, urgent=True: asked.append(urgent))
    for urgent in (False, False, True):
        assert asker.ask("which one", "", urgent=urgent)
    asker.stop()
    assert asked == [False, True]


@pytest.mark.slow
def test_the_language_model_does_not_keep_every_text_it_was_asked_about():
    model = english_text_end(["en-US"])
    memory = Path("/proc/self/statm")
    if model is None or not memory.exists():
        pytest.skip("no language model is installed, or nothing tells how much memory is taken")
    words = "the my your time weather train doctor dog house minutes morning call lawyer photo long leave"
    rng = random.Random(1)

    def ask(times):
        for _ in range(times):
            said = " ".join(rng.choices(words.split(), k=12))
            model.probability(said, " ".join(rng.choices(words.split(), k=20)))
        return int(memory.read_text().split()[1]) * 4_096 / 1e6

    model.load()
    try:
        before = ask(40)
        assert ask(40) - before < 10, "40 texts leave 20 MB if all are kept"
    finally:
        model.close()


async def test_a_turn_ends_whenever_the_language_model_answers():
    # Its answer to an interim ends the wait before the final is there, and the final asks anew.
    interim = InterimTranscriptionFrame("Which one is", "", "")
    for secs in (0.0, 0.06, 0.5):
        frames = [*AUDIO, STARTED, *AUDIO, interim, WAIT, stopped(), interim, WAIT, final("Which one is cheaper?")]
        down, said, _ = await turns([*frames, PAST_THE_WAIT], 0.95, text_end=SlowModel(secs))
        assert said == ["Which one is cheaper?"]
        assert count(down, UserStoppedSpeakingFrame) == 1


async def test_a_question_that_waits_for_others_until_it_is_late_is_dropped():
    busy, answers = SlowModel(LATE_SECS + 0.05), asyncio.Queue()
    talks = [TextEndAsker(busy, lambda text, _: answers.put_nowait(text)) for _ in range(3)]
    for number, talk in enumerate(talks):
        talk.start()
        assert talk.ask(f"question {number}", "")
    assert await answers.get() == "question 0"
    # The model is free again: what is asked now is answered.
    assert talks[1].ask("question 3", "")
    assert await answers.get() == "question 3"
    for talk in talks:
        talk.stop()
    assert busy.asked == ["question 0", "question 3"]


@pytest.mark.parametrize(
    ("between", "ends"),
    [
        ([], True),
        ([SpeechResumedFrame(0.06)], False),
        ([SpeechResumedFrame(0.06), SpeechCoveredFrame()], True),
        ([STARTED], False),
        ([InterimTranscriptionFrame("Is it", "", "")], False),
    ],
)
def test_a_turn_without_words_ends_with_voice_activity_if_the_ears_were_done_before(between, ends):
    heard = [*AUDIO, STARTED, *AUDIO, SpeechPausedFrame(0.06), WAIT, SpeechCoveredFrame(), WAIT, *between, WAIT]
    down, _, _ = virtual_time.run(turns([*heard, stopped(), WAIT], 0.95))
    assert count(down, UserStoppedSpeakingFrame) == int(ends)


class CountingAnalyzer(EarlySmartTurnAnalyzer):
    """Smart Turn without its network."""

    def __init__(self) -> None:
        super().__init__(sample_rate=16_000)
        self.judged = 0
        self.set_sample_rate(16_000)
        self.append_audio(bytes(6_400), True)

    def _predict_endpoint(self, audio_array):
        self.judged += 1
        return {"prediction": 0, "probability": 0.3}


@in_virtual_time
async def test_a_consonant_does_not_cost_a_verdict_and_a_pause_costs_one():
    analyzer = CountingAnalyzer()
    for _ in range(5):
        analyzer.foresee(0.06)
        await asyncio.sleep(0)
        analyzer.dismiss()
    await asyncio.sleep(0.1)
    assert analyzer.judged == 0
    analyzer.foresee(0.06)
    await asyncio.sleep(0.2)
    assert analyzer.judged == 1
    await analyzer.analyze_end_of_turn()
    assert analyzer.judged == 1
    # Asked before the pause has lasted, it does not wait.
    analyzer.foresee(0.06)
    assert (await analyzer.analyze_end_of_turn())[1].probability == 0.3
    assert analyzer.judged == 2


async def test_talks_share_networks_and_the_threads_they_compute_on():
    one, other = EarlySmartTurnAnalyzer(), EarlySmartTurnAnalyzer()
    assert one._session is other._session
    assert one._model_executor is other._model_executor is listening_threads()
    await one.cleanup()
    assert other._model_executor.submit(int).result() == 0
    assert Silero()._networks is Silero()._networks
    assert Hearing()._interruption is Hearing()._interruption


@in_virtual_time
async def test_a_language_model_that_fails_is_told_once_and_the_turn_ends_without():
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING")
    model = SlowModel(error=RuntimeError("broken"))
    frames = [*say("Is it cold outside?"), WAIT, *say("Is it cold inside?"), WAIT]
    _, said, _ = await turns(frames, 0.95, text_end=model)
    logger.remove(sink)
    assert said[-1].endswith("Is it cold inside?")
    assert sum("language model cannot be used (broken)" in line for line in lines) == 1


@in_virtual_time
async def test_a_model_file_that_is_none_ends_no_conversation(tmp_path, monkeypatch):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"this is no model")
    for path in (broken, tmp_path / "missing.gguf"):
        monkeypatch.setenv("HALFCASCADE_TURN_LLM_PATH", str(path))
        _, said, _ = await turns([*say("Is it cold outside?"), WAIT], 0.95, text_end=english_text_end(["en-US"]))
        assert said == ["Is it cold outside?"]


def test_without_a_model_or_for_a_language_it_does_not_speak_there_is_none(monkeypatch):
    assert english_text_end(["ko-KR"]) is None
    monkeypatch.delenv("HALFCASCADE_TURN_LLM_PATH", raising=False)
    monkeypatch.setattr(text_end_module, "small_model", lambda: None)
    assert english_text_end(["en-US"]) is None
    assert lacks_text_end(["en-US"]) and lacks_text_end(["ko-KR", "en-GB"]) and not lacks_text_end(["ko-KR"])


@given(st.lists(st.sampled_from(["right", "wrong", "turn"]), max_size=200))
def test_wrong_guesses_are_bounded_and_never_rule_out_others_for_ever(steps):
    speculations, turns = Speculations(), 0
    for step in steps:
        if step == "turn":
            turns += 1
            speculations.turn_ended()
        elif speculations.allowed:
            speculations.asked()
            speculations.confirmed() if step == "right" else speculations.withdrawn()
        assert speculations.wrong <= 3 + 0.2 * turns + 0.5 * speculations.right
    for _ in range(10):
        speculations.turn_ended()
    assert speculations.allowed


@pytest.mark.skipif(text_end_module.model_file() is None, reason="no language model is installed")
def test_conversations_share_one_model_and_the_last_one_frees_it():
    one, other = english_text_end(["en-US"]), english_text_end(["en-GB"])
    assert one is other
    one.load()
    one.load()
    one.close()
    over = one.probability("Which one is cheaper")
    assert over > 5 * one.probability("If it rains tomorrow")
    one.close()
    with pytest.raises(RuntimeError):
        one.probability("Hello")


@in_virtual_time
async def test_the_model_reads_a_turn_of_several_parts_as_one_sentence_and_each_text_once():
    model = SlowModel()
    interim = InterimTranscriptionFrame("I would have", "", "")
    first = [*AUDIO, STARTED, *AUDIO, WAIT, stopped(), final("If I had known that.")]
    second = [STARTED, *AUDIO, interim, interim, WAIT, SpeechPausedFrame(0.09), WAIT, stopped()]
    await turns(
        [*first, *second, final("You would have stayed?"), final("I know."), PAST_THE_WAIT], 0.5, text_end=model
    )
    assert model.asked[:2] == ["If I had known that", "If I had known that I would have"]
    assert "If I had known that you would have stayed I know" in model.asked
    assert len(model.asked) == len(set(model.asked))


def test_turns_without_guesses_earn_no_more_than_the_allowance():
    speculations = Speculations()
    for _ in range(100):
        speculations.turn_ended()
    for _ in range(int(speculations.most)):
        assert speculations.allowed
        speculations.asked()
        speculations.withdrawn()
    assert not speculations.allowed
