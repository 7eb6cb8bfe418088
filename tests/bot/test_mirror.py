import numpy as np

from halfcascade.bot.mirror import Mirror


def pcm(value: int, count: int) -> bytes:
    return np.full(count, value, dtype="<i2").tobytes()


def test_both_directions_are_heard_together():
    mirror = Mirror()
    mirror.captured(pcm(1_000, 4_800), 24_000, 0.0)
    mirror.played(pcm(500, 2_400), 24_000, 0.0)
    assert np.array_equal(mirror.mix(2_400), np.full(2_400, 1_500))
    assert np.array_equal(mirror.mix(3_000), np.concatenate([np.full(2_400, 1_000), np.zeros(600)]))


def test_a_little_is_kept_in_hand_so_that_late_blocks_leave_no_gap():
    mirror = Mirror()
    mirror.played(pcm(7, 480), 24_000, 0.0)
    assert not mirror.mix(240).any()
    for _ in range(3):
        mirror.played(pcm(7, 480), 24_000, 0.0)
    assert (mirror.mix(1_920) == 7).all()
    assert not mirror.mix(240).any()


def test_loud_voices_together_do_not_wrap_around():
    mirror = Mirror()
    mirror.captured(pcm(30_000, 2_400), 24_000, 0.0)
    mirror.played(pcm(30_000, 2_400), 24_000, 0.0)
    assert (mirror.mix(480) == 32_767).all()


def test_a_microphone_of_another_rate_is_heard_at_the_right_speed():
    mirror = Mirror()
    for _ in range(10):
        mirror.captured(pcm(1_000, 320), 16_000, 0.0)
    heard = mirror.mix(4_800)
    assert 4_700 < np.count_nonzero(heard) <= 4_800
    assert abs(int(heard[2_000]) - 1_000) < 20


def test_what_was_not_fetched_for_long_is_skipped():
    mirror = Mirror()
    for number in range(100):
        mirror.played(pcm(number, 480), 24_000, 0.0)
    heard = mirror.mix(24_000)
    assert heard[0] == 75
    assert heard[11_999] == 99
    assert not heard[12_000:].any()
