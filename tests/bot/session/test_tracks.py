import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.bot.session.tracks import LAG_SECS, StereoMixer, Track

OUT = 24_000


def stereo(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, dtype="<i2").reshape(-1, 2)


def tone(rate: int, secs: float, hertz: float = 440.0) -> np.ndarray:
    return (np.sin(2 * np.pi * hertz * np.arange(round(rate * secs)) / rate) * 10_000).astype(np.int16)


def feed(track: Track, samples: np.ndarray, rate: int, at: float = 0.0, block: float = 0.02) -> None:
    size = round(rate * block)
    for begin in range(0, len(samples), size):
        track.feed(samples[begin : begin + size], rate, at + begin / rate)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=20), st.floats(0, 0.5))
def test_samples_at_the_files_rate_land_exactly_where_their_stamps_say(gaps, first):
    track = Track(OUT)
    expected = np.zeros(round(first * OUT) + 20 * (480 + 2_000 + 721), dtype=np.int16)
    position = round(first * OUT)
    for number, gap in enumerate(gaps, start=1):
        block = np.full(480, number, dtype=np.int16)
        expected[position : position + 480] = block
        track.feed(block, OUT, position / OUT)
        # A gap shorter than the jitter of a device is none.
        position += 480 + (gap if gap > 720 else 0)
    result = track.take(track.available)
    assert np.array_equal(result, expected[: len(result)])


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_resampled_audio_keeps_its_place_to_the_sample(rate):
    track = Track(OUT)
    feed(track, tone(rate, 1.0), rate, at=0.5)
    track.finish()
    result = track.take(track.available).astype(int)
    assert abs(len(result) - 1.5 * OUT) <= 2
    assert np.abs(result[: OUT // 2 - 100]).max() < 50
    inside = slice(OUT // 2 + 2_400, OUT // 2 + 21_600)
    assert np.abs(result[inside] - np.pad(tone(OUT, 1.0), (OUT // 2, 0))[inside].astype(int)).max() < 60


def test_jitter_of_stamps_does_not_tear_the_sound():
    track = Track(OUT)
    random = np.random.default_rng(1)
    sound = tone(OUT, 2.0)
    for begin in range(0, len(sound), 480):
        track.feed(sound[begin : begin + 480], OUT, begin / OUT + random.uniform(-0.004, 0.004) + 0.004)
    result = track.take(track.available)
    assert np.abs(np.diff(result[200:].astype(int))).max() < 1_500  # a tear would jump by up to 20,000


def test_drift_between_a_device_and_the_clock_is_corrected():
    track = Track(OUT)
    # The device runs 0.2 % slow: after 60 s it has delivered 120 ms too little.
    for number in range(3_000):
        track.feed(np.ones(480, dtype=np.int16), OUT, number * 0.02 * 1.002)
    assert abs(track.available - 3_000 * 0.02 * 1.002 * OUT) < 0.02 * OUT


def test_overlapping_blocks_are_trimmed():
    track = Track(OUT)
    track.feed(np.full(2_400, 1, dtype=np.int16), OUT, 0.0)
    track.feed(np.full(2_400, 2, dtype=np.int16), OUT, 0.05)
    result = track.take(track.available)
    assert len(result) == 3_600
    assert (result == 2).sum() == 1_200


def test_the_channels_of_one_moment_stand_side_by_side():
    mixer = StereoMixer(OUT)
    feed(mixer.left, np.full(16_000, 1_000, dtype=np.int16), 16_000)
    feed(mixer.right, np.full(24_000, 2_000, dtype=np.int16), 24_000, at=0.25)
    sound = np.concatenate([stereo(mixer.take()), stereo(mixer.finish())])
    assert abs(len(sound) - 1.25 * OUT) <= 2
    assert abs(int(np.argmax(sound[:, 1] > 1_000)) - OUT // 4) == 0
    assert (np.abs(sound[1_000:23_000, 0] - 1_000) < 20).all()
    assert not sound[OUT + 50 :, 0].any()


def test_a_channel_that_leaves_out_silence_does_not_hold_up_the_other():
    mixer = StereoMixer(OUT)
    feed(mixer.left, np.ones(OUT * 5, dtype=np.int16), OUT)
    assert len(stereo(mixer.take())) == OUT * (5 - LAG_SECS)
    # Speech that comes now still lands where it belongs.
    mixer.right.feed(np.full(480, 7, dtype=np.int16), OUT, 4.5)
    rest = stereo(mixer.finish())
    assert int(np.argmax(rest[:, 1])) == OUT * (LAG_SECS - 0.5)


def test_a_device_may_change_its_rate():
    track = Track(OUT)
    feed(track, tone(16_000, 1.0), 16_000)
    feed(track, tone(48_000, 1.0), 48_000, at=1.0)
    track.finish()
    result = track.take(track.available).astype(int)
    assert abs(len(result) - 2 * OUT) <= 3
    assert np.abs(np.diff(result)).max() < 2_500
