import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.transports.wav_card import PERIOD_SECS, SoundCard

RATE = 16_000
BLOCK = int(RATE * PERIOD_SECS)


def ramp(count: int) -> np.ndarray:
    return (np.arange(count) % 20_000 + 1).astype(np.int16)


def captured(periods) -> np.ndarray:
    return np.frombuffer(b"".join(period.captured for period in periods), dtype=np.int16)


def played(periods) -> np.ndarray:
    return np.frombuffer(b"".join(period.played for period in periods), dtype=np.int16)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.0, 0.5), min_size=1, max_size=20),
    st.sampled_from([8_000, 11_025, 16_000, 44_100]),
    st.integers(0, 40_000),
)
def test_no_captured_sample_is_lost_or_late_however_the_loop_stalls(steps, rate, length):
    user = ramp(length)
    card = SoundCard(user, rate, rate)
    card.start(100.0)
    now, periods = 100.0, []
    for step in steps:
        now += step
        periods += card.advance(now)
    elapsed = now - 100.0
    heard = captured(periods)
    # Everything up to the last full period has been heard, in order, then silence.
    assert len(heard) >= (elapsed - PERIOD_SECS) * rate - 2
    assert len(heard) <= elapsed * rate + 2
    expected = np.zeros(len(heard), dtype=np.int16)
    expected[: min(length, len(heard))] = user[: len(heard)]
    assert np.array_equal(heard, expected)
    # Stamps say where each block lies on the clock, without drift.
    position = 0
    for period in periods:
        assert abs((period.at - 100.0) * rate - position) <= 1
        position += len(period.captured) // 2


def test_heard_all_is_reported_when_the_last_sample_has_been_captured():
    card = SoundCard(ramp(BLOCK * 2 + 1), RATE, RATE)
    card.start(0.0)
    card.advance(PERIOD_SECS * 2)
    assert not card.heard_all
    card.advance(PERIOD_SECS * 3)
    assert card.heard_all


def test_speech_is_played_in_order_and_silence_follows():
    card = SoundCard(np.zeros(0, dtype=np.int16), RATE, RATE)
    card.start(0.0)
    speech = ramp(BLOCK + 100)
    card.loudspeaker.write(speech)
    card.loudspeaker.end_speech()
    sound = played(card.advance(PERIOD_SECS * 4))
    # The first period had begun before the write.
    assert np.array_equal(sound[BLOCK : BLOCK + len(speech)], speech)
    assert not sound[:BLOCK].any()
    assert not sound[BLOCK + len(speech) :].any()
    assert card.loudspeaker.late_writes == 0
