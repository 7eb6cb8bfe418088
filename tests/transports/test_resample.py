import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.transports.resample import StreamResampler
from tests.audio_harness import tone

RATES = [(24_000, 48_000), (24_000, 44_100), (24_000, 16_000), (48_000, 16_000), (44_100, 16_000), (16_000, 8_000)]


def convert(resampler, audio, block):
    return np.concatenate([resampler.process(audio[i : i + block]) for i in range(0, len(audio), block)])


@pytest.mark.parametrize(("source", "target"), RATES)
def test_a_tone_stays_the_tone_it_was(source, target):
    out = convert(StreamResampler(source, target), tone(1, source, 1000), source // 100).astype(float)
    expected = tone(1, target, 1000)[: len(out)].astype(float)
    error = (out - expected)[target // 50 :]
    assert np.mean(error**2) < np.mean(expected**2) * 1e-6  # 60 dB


@pytest.mark.parametrize(("source", "target"), [pair for pair in RATES if pair[0] > pair[1]])
def test_what_the_target_cannot_hold_is_removed(source, target):
    out = convert(StreamResampler(source, target), tone(1, source, target * 0.575), source // 100).astype(float)
    assert np.abs(out[target // 50 :]).max() < 8000 * 10 ** (-60 / 20)


@pytest.mark.parametrize(("source", "target"), RATES)
def test_it_keeps_pace_with_every_block(source, target):
    resampler = StreamResampler(source, target)
    given_secs = got_secs = 0.0
    for _ in range(200):
        got_secs += len(resampler.process(np.zeros(source // 100, np.int16))) / target
        given_secs += 0.01
        # soxr's stream resampler lags by up to 38 ms at times.
        assert given_secs - got_secs <= resampler.delay_secs + 1 / source + 1 / target < 0.003


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=15), st.sampled_from(RATES))
def test_how_it_is_cut_into_blocks_does_not_matter(blocks, rates):
    audio = tone(sum(blocks) / rates[0] + 0.001, rates[0], 440)[: sum(blocks)]
    whole = StreamResampler(*rates).process(audio)
    resampler = StreamResampler(*rates)
    parts = np.split(audio, np.cumsum(blocks)[:-1])
    pieces = np.concatenate([resampler.process(part) for part in parts])
    assert np.abs(whole.astype(int) - pieces.astype(int)).max(initial=0) <= 1


def test_equal_rates_pass_through():
    audio = tone(0.1)
    assert StreamResampler(24_000, 24_000).process(audio) is audio
