import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.minds.base import LISTENER_RATE, SpeechActivity
from halfcascade.emulator.minds.local.voice_activity import PAUSE_SECONDS, Portion, Segmenter, sounds_voiced
from tests.emulator.local.conftest import CHUNK, recording, recordings, silence


def run(pcm: bytes, *, pause: float = 0.8, chunk: int = CHUNK, finish: bool = True) -> list[SpeechActivity | Portion]:
    segmenter = Segmenter(pause)
    events = [event for at in range(0, len(pcm), chunk) for event in segmenter.feed(pcm[at : at + chunk])]
    return events + (segmenter.finish() if finish else [])


def finals(events) -> list[Portion]:
    return [event for event in events if isinstance(event, Portion) and event.kind == "final"]


def activity(events) -> list[SpeechActivity]:
    return [event for event in events if isinstance(event, SpeechActivity)]


@pytest.mark.parametrize("one", recordings("utterance", "interruption", "backchannel"), ids=lambda one: one["name"])
def test_finds_where_speech_begins_and_ends(one):
    events = run(one["pcm"])
    begin, *_, end = activity(events)
    assert (begin.kind, end.kind) == ("begin", "end")
    assert begin.offset == pytest.approx(one["start"], abs=0.1)
    assert end.offset == pytest.approx(one["end"], abs=0.1)


def test_a_long_pause_closes_a_portion_and_a_short_one_does_not():
    one = recording("mid_pause")  # stops for 1.4 s
    assert len(finals(run(one["pcm"], pause=0.8))) == 2
    assert len(finals(run(one["pcm"], pause=1.8))) == 1


def test_a_final_holds_the_speech_and_a_little_quiet():
    [final] = finals(run(recording("greeting")["pcm"]))
    assert final.start == pytest.approx(0.3, abs=0.1)
    assert len(final.samples) / LISTENER_RATE == pytest.approx(final.end - final.start + 0.8, abs=0.1)


def test_interims_come_twice_a_second_and_an_early_portion_comes_when_speech_seems_over():
    portions = [event for event in run(recording("greeting")["pcm"]) if isinstance(event, Portion)]
    assert 4 <= sum(portion.kind == "interim" for portion in portions) <= 7
    early = [portion for portion in portions if portion.kind == "early"][-1]
    assert early.revision == portions[-1].revision
    assert portions[-1].kind == "final"


def test_the_end_of_the_stream_closes_what_is_open_and_reports_no_end_of_speech():
    one = recording("greeting")
    events = run(one["pcm"][: int(2.0 * LISTENER_RATE) * 2])
    assert [event.kind for event in activity(events)] == ["begin"]
    [final] = finals(events)
    assert final.start + len(final.samples) / LISTENER_RATE == pytest.approx(2.0, abs=0.02)


def test_quiet_and_clicks_are_no_speech():
    click = np.zeros(160, dtype="<i2")
    click[:20] = 20_000
    assert run(silence(3.0)) == []
    assert activity(run(silence(1.0) + click.tobytes() + silence(1.0))) == []


def test_speech_from_the_first_sample_on_is_heard():
    one = recording("greeting")
    pcm = one["pcm"][int(one["start"] * LISTENER_RATE) * 2 :]
    begin, *_, end = activity(run(pcm))
    assert begin.offset < 0.1
    assert end.offset == pytest.approx(one["end"] - one["start"], abs=0.1)


def test_adapts_to_a_loud_room():
    """Noise 25 dB under the speech: loud at first, then it is the room."""
    pcm = np.frombuffer(recording("greeting")["pcm"], dtype="<i2").astype(np.float32) / 32768
    pcm = np.concatenate(
        [np.zeros(3 * LISTENER_RATE, dtype=np.float32), pcm, np.zeros(LISTENER_RATE, dtype=np.float32)]
    )
    noisy = pcm + 0.005 * np.random.default_rng(1).standard_normal(len(pcm))
    events = run((noisy * 32767).astype("<i2").tobytes())
    assert len(finals(events)) == 1
    assert activity(events)[-1].offset == pytest.approx(3 + 3.74, abs=0.2)


def test_a_monologue_is_closed_in_its_pauses():
    one = recording("reading")
    portions = finals(run(one["pcm"]))
    assert all(len(portion.samples) / LISTENER_RATE <= 20.1 for portion in portions)
    assert len(portions) >= 3
    spoken = [word for word in one["words"] if word["end"] - word["start"] > 0.1]
    for portion in portions[1:]:
        cut = portion.start
        assert not any(word["start"] + 0.05 < cut < word["end"] - 0.05 for word in spoken)


def test_the_longest_portion_is_bounded_without_any_pause():
    t = np.arange(45 * LISTENER_RATE) / LISTENER_RATE
    hum = np.sin(2 * np.pi * 200 * t) * (0.3 + 0.25 * np.sin(2 * np.pi * 0.2 * t)) * (t > 1)
    portions = finals(run((hum * 32767).astype("<i2").tobytes()))
    assert portions
    assert all(len(portion.samples) / LISTENER_RATE <= 20.1 for portion in portions)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=40))
def test_chunk_sizes_do_not_matter(sizes):
    pcm = recording("two_sentences")["pcm"]
    whole = run(pcm)
    segmenter = Segmenter()
    events, at, turn = [], 0, 0
    while at < len(pcm):
        step = 2 * sizes[turn % len(sizes)]
        events += segmenter.feed(pcm[at : at + step])
        at, turn = at + step, turn + 1
    events += segmenter.finish()
    assert activity(events) == activity(whole)
    assert [portion.revision for portion in finals(events)] == [portion.revision for portion in finals(whole)]
    for one, other in zip(finals(events), finals(whole), strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_pauses_are_ordered():
    assert PAUSE_SECONDS["supershort"] < PAUSE_SECONDS["short"] < PAUSE_SECONDS["standard"]


@pytest.mark.parametrize(
    "one", recordings("utterance", "interruption", "backchannel", "noise"), ids=lambda o: o["name"]
)
def test_tells_voices_from_noises(one):
    samples = np.frombuffer(one["pcm"], dtype="<i2").astype(np.float32) / 32768
    assert sounds_voiced(samples) == (one["kind"] != "noise")


def test_nothing_is_not_voiced():
    assert not sounds_voiced(np.zeros(0, dtype=np.float32))
    assert not sounds_voiced(np.zeros(16_000, dtype=np.float32))
