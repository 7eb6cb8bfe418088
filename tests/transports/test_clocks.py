import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.transports.clocks import BlockClock, HeardClock

RATE = 24_000


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
