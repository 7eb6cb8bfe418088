"""When audio is heard."""

from hypothesis import given
from hypothesis import strategies as st

from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock, PlaybackRecord


def test_audio_is_heard_after_what_was_handed_on_before():
    clock = PlaybackClock(latency=0.1)
    assert clock.play(10.0, 1.0) == 10.1
    assert clock.play(10.0, 1.0) == 11.1
    assert clock.busy_until == 12.1


def test_late_audio_is_heard_when_it_comes():
    clock = PlaybackClock()
    clock.play(10.0, 1.0)
    assert clock.play(15.0, 1.0) == 15.0


def test_a_stopped_loudspeaker_is_free():
    clock = PlaybackClock()
    clock.play(10.0, 9.0)
    clock.stop(12.0)
    assert clock.play(12.0, 1.0) == 12.0
    clock.stop(99.0)
    assert clock.busy_until == 13.0


def test_a_record_knows_when_each_second_was_heard():
    record = PlaybackRecord()
    assert record.time_of(0.0) is None and record.began_at is None
    record.add(10.0, 1.0)
    record.add(11.0, 1.0)
    record.add(15.0, 1.0)
    assert record.began_at == 10.0
    assert [record.time_of(offset) for offset in (0.0, 0.5, 1.5, 2.0, 2.5, 3.0)] == [10.0, 10.5, 11.5, 15.0, 15.5, 16.0]
    assert record.time_of(3.1) is None


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 2)), min_size=1, max_size=20))
def test_time_never_runs_backwards(parts):
    clock, record, now = PlaybackClock(), PlaybackRecord(), 0.0
    for wait, secs in parts:
        now += wait
        record.add(clock.play(now, secs), secs)
    times = [record.time_of(record.length * share / 50) for share in range(51)]
    known = [time for time in times if time is not None]
    assert len(known) >= 50
    assert known == sorted(known)
