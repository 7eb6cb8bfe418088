import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.transports.local.ring import BlockClock, HeardClock, OutputRing

RATE = 24_000
FADE = RATE // 200


def samples(count, value=1000):
    return np.full(count, value, np.int16)


@settings(max_examples=50, deadline=None)
@given(
    written=st.lists(st.integers(1, 700), min_size=1, max_size=12),
    read=st.lists(st.integers(1, 500), min_size=1, max_size=12),
)
def test_audio_comes_out_as_it_went_in_then_silence(written, read):
    ring = OutputRing(RATE)
    audio = np.arange(1, sum(written) + 1).astype(np.int16)
    for part in np.split(audio, np.cumsum(written)[:-1]):
        ring.write(part.tobytes())
    out = np.concatenate([ring.read(count) for count in read])
    common = min(len(audio), len(out))
    assert np.array_equal(out[:common], audio[:common])
    assert not out[common:].any()
    assert ring.taken == common
    assert ring.queued == len(audio) - common


def test_it_takes_no_more_than_its_capacity():
    ring = OutputRing(RATE, 0.1)
    assert ring.free == 2400
    ring.write(samples(1000).tobytes())
    assert ring.free == 1400
    ring.read(400)
    assert ring.free == 1800


def test_a_flush_fades_out_in_five_milliseconds():
    ring = OutputRing(RATE)
    ring.write(samples(RATE // 10).tobytes())
    ring.read(240)
    assert ring.flush() == RATE // 10 - 240
    out = ring.read(480).astype(int)
    assert out[0] == 1000
    assert not out[FADE:].any()
    assert (np.diff(out[:FADE]) <= 0).all()
    assert np.abs(np.diff(out)).max() < 20  # no step that clicks
    assert ring.queued == 0
    assert ring.taken == ring.written


def test_a_flush_in_a_fade_does_not_grow_louder():
    ring = OutputRing(RATE)
    ring.write(samples(RATE // 10).tobytes())
    ring.flush()
    first = ring.read(60)
    ring.flush()
    second = ring.read(120)
    assert second.max() <= first.min()


def test_a_flush_spares_what_must_not_be_interrupted():
    ring = OutputRing(RATE)
    ring.write(samples(500).tobytes())
    ring.write(samples(300, 2000).tobytes(), interruptible=False)
    assert ring.flush() == 500
    out = ring.read(FADE + 300)
    assert (out[FADE:] == 2000).all()
    assert ring.taken == ring.written == 800


def test_flushing_silence_is_silent():
    ring = OutputRing(RATE)
    assert ring.flush() == 0
    assert not ring.read(240).any()


def test_gain_is_approached_in_its_time_and_kept():
    ring = OutputRing(RATE)
    ring.write(samples(2000).tobytes())
    ring.set_gain(0.25, 0.02)
    out = ring.read(1000).astype(int)
    assert out[0] > 990
    assert (np.diff(out[:480]) <= 0).all()
    assert (out[480:] == 250).all()
    ring.set_gain(1.0, 0.02)
    back = ring.read(1000)
    assert (back[480:] == 1000).all()


def test_gain_holds_for_audio_written_later():
    ring = OutputRing(RATE)
    ring.set_gain(0.5, 0.0)
    ring.read(10)
    ring.write(samples(10).tobytes())
    assert (ring.read(10) == 500).all()


def test_loud_audio_does_not_wrap_around():
    ring = OutputRing(RATE)
    ring.set_gain(2.0, 0.0)
    ring.read(10)
    ring.write(samples(10, 30_000).tobytes())
    assert (ring.read(10) == 32_767).all()


def test_speech_after_a_short_emptiness_was_late():
    ring = OutputRing(RATE)
    ring.write(samples(100).tobytes())
    ring.read(340)
    ring.write(samples(100).tobytes())
    assert ring.late_writes == 1
    ring.read(RATE)  # a pause between replies
    ring.write(samples(100).tobytes())
    assert ring.late_writes == 1


def test_an_interruption_is_no_lateness():
    ring = OutputRing(RATE)
    ring.write(samples(2000).tobytes())
    ring.flush()
    ring.read(480)
    ring.write(samples(100).tobytes())
    assert ring.late_writes == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 0.02), min_size=60, max_size=200))
def test_block_times_run_on_evenly_however_threads_jitter(jitter):
    clock = BlockClock(RATE)
    times = [clock.stamp(1000 + i * 0.01 + late, 240) for i, late in enumerate(jitter)]
    # Once half a second was seen, the earliest estimates are known.
    assert all(abs(at - (1000 + i * 0.01)) <= 0.02 for i, at in enumerate(times))
    steps = np.diff(times)
    assert (steps > -0.011).all()


def test_block_times_follow_a_device_that_stood_still():
    clock = BlockClock(RATE)
    for i in range(100):
        clock.stamp(i * 0.01, 240)
    at = [clock.stamp(5 + i * 0.01, 240) for i in range(100)][-1]
    assert at == pytest.approx(5.99, abs=0.001)


def test_audio_that_comes_at_once_after_a_stall_keeps_its_time():
    clock = BlockClock(RATE, catches_up=True)
    for i in range(100):
        clock.stamp(i * 0.01, 240)
    times = [clock.stamp(max(1.64, 1 + i * 0.01), 240) for i in range(200)]
    late = [at - (1 + i * 0.01) for i, at in enumerate(times)]
    assert sum(abs(error) > 0.011 for error in late) < 20
    assert all(abs(error) <= 0.011 for error in late[64:])


def test_a_device_that_starves_is_followed_in_time():
    """Each block is written 30 ms after the one before was over, and no underrun is told."""
    clock = BlockClock(RATE)
    late = [i * 0.04 - clock.stamp(i * 0.04, 240) for i in range(100)]
    assert max(late) < 0.5


def test_heard_follows_the_device_with_its_latency():
    heard = HeardClock()
    heard.handed_over(240, 1.05)
    heard.handed_over(480, 1.06)
    assert heard.heard(1.0) == 0
    assert heard.heard(1.055) == 240
    assert heard.heard(2.0) == 480
    heard.handed_over(480, 1.07)  # silence: nothing new
    assert heard.heard(3.0) == 480
