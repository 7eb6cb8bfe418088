"""The judge of speech over the bot, alone: properties that hold for whatever it is told, in any order."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.turns.barge_in_judge import BargeInJudge, BargeInParams, Verdict
from halfcascade.processors.turns.speech_sound import Heard, above_background
from halfcascade.processors.turns.words import turn_words

RATE = 16_000
PARAMS = BargeInParams()
TENTH = bytes(2 * RATE // 10)
shares = st.floats(0.0, 1.0)
opinions = st.builds(Heard, shares, shares, shares, shares, shares)
steps = st.lists(
    st.one_of(
        st.just(("audio",)),
        st.just(("silence",)),
        st.just(("words",)),
        st.just(("end",)),
        st.tuples(st.just("begin"), st.floats(0.0, 0.4), st.booleans()),
    ),
    max_size=30,
)
english = cache(turn_words)


class Listener:
    """A judge whose questions about the sound are answered as told."""

    def __init__(self, opinion: Heard, params: BargeInParams = PARAMS):
        self.judge = BargeInJudge(english("en-US"), params)
        self.judge.set_sample_rate(RATE)
        self.opinion = opinion
        self.hear(5)

    def hear(self, tenths: int) -> None:
        for _ in range(tenths):
            self.judge.audio(TENTH)
            while self.judge.listen() is not None:
                self.judge.sounded(self.opinion)


@settings(deadline=None, max_examples=40)
@given(steps, opinions)
def test_whatever_comes_in_any_order_speech_that_has_ended_is_decided(steps, opinion):
    listener, judge = Listener(opinion), None
    judge = listener.judge
    for name, *arguments in steps:
        match name:
            case "audio":
                listener.hear(1)
            case "begin":
                judge.begin(arguments[0], sure=arguments[1])
            case "silence":
                judge.silence()
            case "words":
                judge.backchannel_words()
            case "end":
                judge.end()
        assert judge.active or judge.verdict() is Verdict.UNDECIDED
    judge.begin(0.1)
    judge.silence()
    listener.hear(8)
    assert judge.verdict() is not Verdict.UNDECIDED


@settings(deadline=None, max_examples=40)
@given(opinions, st.booleans())
def test_what_may_be_no_speech_at_all_stops_nobody_however_long(opinion, words):
    listener = Listener(opinion)
    listener.judge.begin(0.1, sure=False)
    for _ in range(40):
        listener.hear(1)
        if words:
            listener.judge.backchannel_words()
        assert listener.judge.verdict() is not Verdict.INTERRUPTION


@settings(deadline=None, max_examples=40)
@given(opinions, st.integers(0, 30))
def test_a_listener_s_words_hold_until_they_last_too_long_whenever_they_come(opinion, at):
    listener = Listener(replace(opinion, interruption=0.0))
    listener.judge.begin(0.1)
    for tenth in range(40):
        if tenth == at:
            listener.judge.backchannel_words()
        listener.hear(1)
    assert listener.judge.verdict() is Verdict.INTERRUPTION


@settings(deadline=None, max_examples=40)
@given(opinions, shares)
def test_a_likelier_interruption_never_stops_the_bot_later(opinion, more):
    def stopped_after(interruption: float) -> int:
        listener = Listener(replace(opinion, interruption=interruption))
        listener.judge.begin(0.1)
        for tenth in range(30):
            listener.hear(1)
            if listener.judge.verdict() is Verdict.INTERRUPTION:
                return tenth
        return 30

    less, more = sorted((opinion.interruption, more))
    assert stopped_after(more) <= stopped_after(less)


@settings(deadline=None, max_examples=40)
@given(st.floats(PARAMS.speech, 1.0), shares)
def test_a_sound_with_little_voice_has_to_be_more_surely_speech(speech, voiced):
    listener = Listener(Heard(1.0, speech=speech, voiced=voiced))
    listener.judge.begin(0.1)
    listener.hear(7)
    coughed = voiced < PARAMS.voiced and speech < PARAMS.speech_unvoiced
    assert (listener.judge.verdict() is Verdict.INTERRUPTION) is not coughed


@settings(deadline=None, max_examples=40)
@given(opinions, st.floats(0.0, PARAMS.spoken, exclude_max=True))
def test_the_beginning_of_what_is_no_speech_stops_nobody_however_it_sounds(opinion, spoken):
    listener = Listener(replace(opinion, spoken=spoken))
    listener.judge.begin(0.1)
    for _ in range(int(PARAMS.longest_backchannel_secs * 10) - 2):
        listener.hear(1)
        assert listener.judge.verdict() is Verdict.UNDECIDED


@settings(deadline=None, max_examples=40)
@given(shares, shares, st.sampled_from((1, 3, 5, 8, 12, 20)))
def test_what_follows_laughter_closely_has_to_be_surer_to_be_words(first, second, tenths):
    listener = Listener(Heard(1.0, spoken=first))
    judge = listener.judge
    judge.begin(0.0)
    listener.hear(6)
    assert (judge.verdict() is Verdict.INTERRUPTION) is (first >= PARAMS.spoken)
    judge.end()
    listener.hear(tenths)
    listener.opinion = Heard(1.0, spoken=second)
    judge.begin(0.0)
    listener.hear(6)
    laughed = first < PARAMS.spoken and tenths / 10 <= PARAMS.burst_secs
    needed = PARAMS.spoken_after_none if laughed else PARAMS.spoken
    assert (judge.verdict() is Verdict.INTERRUPTION) is (second >= needed)


def noise(secs: float, loudness: float) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(round(secs * RATE)) * loudness


@pytest.mark.parametrize(("background", "interrupts"), [(0, True), (30, True), (600, True), (2000, False)])
def test_what_is_hardly_louder_than_what_went_on_before_stops_nobody_by_its_sound(background, interrupts):
    judge = BargeInJudge(english("en-US"))
    for piece in (noise(1.5, background), noise(0.6, 3000)):
        for block in np.array_split(piece.clip(-32768, 32767).astype(np.int16), 20):
            judge.audio(block.tobytes())
            if judge.active and judge.listen() is not None:
                judge.sounded(Heard(1.0))
        if not judge.active:
            judge.begin(0.0)
    assert (judge.verdict() is Verdict.INTERRUPTION) is interrupts


def test_a_word_and_a_pause_before_a_sound_are_no_background():
    said = np.concatenate([noise(0.6, 10), noise(0.3, 3000), noise(0.3, 10), noise(0.3, 3000)])
    assert above_background(said, round(1.2 * RATE)) == np.inf
    assert above_background(noise(0.5, 3000), round(0.2 * RATE)) == np.inf
    assert above_background(noise(2, 3000), RATE) == pytest.approx(0, abs=1)
