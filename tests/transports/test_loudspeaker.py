import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.transports.loudspeaker import Loudspeaker

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
    speaker = Loudspeaker(RATE)
    audio = np.arange(1, sum(written) + 1).astype(np.int16)
    for part in np.split(audio, np.cumsum(written)[:-1]):
        speaker.write(part.tobytes())
    out = np.concatenate([speaker.read(count) for count in read])
    common = min(len(audio), len(out))
    assert np.array_equal(out[:common], audio[:common])
    assert not out[common:].any()
    assert speaker.taken == common
    assert speaker.queued == len(audio) - common


def test_it_takes_no_more_than_its_capacity():
    speaker = Loudspeaker(RATE, 0.1)
    assert speaker.free == 2400
    speaker.write(samples(1000).tobytes())
    assert speaker.free == 1400
    speaker.read(400)
    assert speaker.free == 1800


def test_a_flush_fades_out_in_five_milliseconds():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(RATE // 10).tobytes())
    speaker.read(240)
    assert speaker.flush() == RATE // 10 - 240
    out = speaker.read(480).astype(int)
    assert out[0] == 1000
    assert not out[FADE:].any()
    assert (np.diff(out[:FADE]) <= 0).all()
    assert np.abs(np.diff(out)).max() < 20  # no step that clicks
    assert speaker.queued == 0
    assert speaker.taken == speaker.written


def test_a_flush_in_a_fade_does_not_grow_louder():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(RATE // 10).tobytes())
    speaker.flush()
    first = speaker.read(60)
    speaker.flush()
    second = speaker.read(120)
    assert second.max() <= first.min()


def test_a_flush_spares_what_must_not_be_interrupted():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(500).tobytes())
    speaker.write(samples(300, 2000).tobytes(), interruptible=False)
    assert speaker.flush() == 500
    out = speaker.read(FADE + 300)
    assert (out[FADE:] == 2000).all()
    assert speaker.taken == speaker.written == 800


def test_flushing_silence_is_silent():
    speaker = Loudspeaker(RATE)
    assert speaker.flush() == 0
    assert not speaker.read(240).any()


def test_gain_is_approached_in_its_time_and_kept():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(2000).tobytes())
    speaker.set_gain(0.25, 0.02)
    out = speaker.read(1000).astype(int)
    assert out[0] > 990
    assert (np.diff(out[:480]) <= 0).all()
    assert (out[480:] == 250).all()
    speaker.set_gain(1.0, 0.02)
    back = speaker.read(1000)
    assert (back[480:] == 1000).all()


def test_gain_holds_for_audio_written_later():
    speaker = Loudspeaker(RATE)
    speaker.set_gain(0.5, 0.0)
    speaker.read(10)
    speaker.write(samples(10).tobytes())
    assert (speaker.read(10) == 500).all()


def test_loud_audio_does_not_wrap_around():
    speaker = Loudspeaker(RATE)
    speaker.set_gain(2.0, 0.0)
    speaker.read(10)
    speaker.write(samples(10, 30_000).tobytes())
    assert (speaker.read(10) == 32_767).all()


def test_speech_after_a_short_emptiness_was_late():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(100).tobytes())
    speaker.read(340)
    speaker.write(samples(100).tobytes())
    assert speaker.late_writes == 1
    speaker.read(RATE)  # a pause between replies
    speaker.write(samples(100).tobytes())
    assert speaker.late_writes == 1


def test_an_interruption_is_no_lateness():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(2000).tobytes())
    speaker.flush()
    speaker.read(480)
    speaker.write(samples(100).tobytes())
    assert speaker.late_writes == 0


def test_speech_that_comes_too_late_is_an_underrun_of_known_length():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(480))
    speaker.read(480)
    speaker.read(480)
    speaker.read(480)
    assert speaker.late_writes == 0  # perhaps it was just the end
    speaker.write(samples(480))
    assert speaker.late_writes == 1
    assert abs(speaker.late_secs - 0.04) < 1e-9


def test_a_pause_after_the_end_of_speech_is_no_underrun():
    speaker = Loudspeaker(RATE)
    speaker.write(samples(480))
    speaker.end_speech()
    speaker.read(480 * 5)
    speaker.write(samples(480))
    assert speaker.late_writes == 0
