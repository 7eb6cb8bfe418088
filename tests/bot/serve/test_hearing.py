"""What a door hears goes on whole and in order, at once while somebody speaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import InputAudioRawFrame

from halfcascade.bot.serve.hearing import Gathering
from halfcascade.processors.turns import SpeechDetector
from tests.bot.serve.support import samples

RATE = 16_000
QUIET, LOUD = 10, 3_000


def block(level, count=320, rate=RATE, channels=1):
    return InputAudioRawFrame(np.full(count, level, "<i2").tobytes(), rate, channels)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from([0, QUIET, LOUD]), st.integers(0, 2_000), st.booleans()), max_size=60))
def test_nothing_is_lost_or_moved_or_held_for_long(given_blocks):
    gathering = Gathering()
    came = gone = b""
    for level, count, speech in given_blocks:
        came += block(level, count).audio
        for passed in gathering.take(block(level, count), speech=speech):
            gone += passed.audio
        assert came.startswith(gone)
        held = (len(came) - len(gone)) / 2 / RATE
        assert held < (0.0001 if speech else 0.08)


@pytest.mark.parametrize(
    ("level", "speech", "passed"),
    [(QUIET, False, [80] * 6), (LOUD, False, [40] * 12), (QUIET, True, [20] * 24), (LOUD, True, [20] * 24)],
)
def test_blocks_are_as_long_as_the_moment_allows(level, speech, passed):
    gathering = Gathering()
    out = [one for _ in range(24) for one in gathering.take(block(level), speech=speech)]
    assert [round(1000 * one.num_frames / RATE) for one in out] == passed


@pytest.mark.parametrize("held", [1, 2, 3])
def test_a_sound_does_not_wait_for_what_is_quiet(held):
    gathering = Gathering()
    assert not [one for _ in range(held) for one in gathering.take(block(QUIET), speech=False)]
    assert [one.num_frames for one in gathering.take(block(LOUD), speech=False)] == [320 * (held + 1)]


def test_another_rate_does_not_mix_with_what_is_held():
    gathering = Gathering()
    assert not list(gathering.take(block(QUIET), speech=False))
    passed = list(gathering.take(block(QUIET, 160, rate=8_000), speech=False))
    assert [(one.sample_rate, one.num_frames) for one in passed] == [(RATE, 320)]


def told(blocks):
    """When the detector begins and ends to hear speech, in blocks of 20 ms as they came."""
    analyzer = SpeechDetector()._analyzer
    analyzer.set_sample_rate(RATE)
    gathering, states, speech = Gathering(), [], False
    for one in blocks:
        for passed in gathering.take(one, speech=speech):
            analyzer._run_analyzer(passed.audio)
        speech = speech if analyzer.state.name in ("STARTING", "STOPPING") else analyzer.state.name == "SPEAKING"
        states.append(speech)
    return np.flatnonzero(np.diff([False, *states]))


@pytest.mark.parametrize("name", ["weather", "question", "actually", "stop", "yes", "timer"])
def test_speech_begins_at_most_three_blocks_later_and_ends_as_soon(name, monkeypatch):
    noise = np.random.default_rng(5).normal(0, 10, RATE * 8)
    sound = samples(name, RATE)[: RATE * 6]
    noise[RATE : RATE + len(sound)] += sound
    blocks = [InputAudioRawFrame(one.tobytes(), RATE, 1) for one in noise.round().astype("<i2").reshape(-1, 320)]
    gathered = told(blocks)
    monkeypatch.setattr("halfcascade.bot.serve.hearing._QUIET_SECS", 0.0)
    monkeypatch.setattr("halfcascade.bot.serve.hearing._SOUND_SECS", 0.0)
    at_once = told(blocks)
    assert len(gathered) == len(at_once) > 0
    late = gathered - at_once
    assert (late[::2] >= 0).all() and (late[::2] <= 3).all()
    assert (np.abs(late[1::2]) <= 1).all()
