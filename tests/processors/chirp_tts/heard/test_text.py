"""Estimated word times against known ones."""

import importlib.util
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.voice_heard import RATE, Recording, cut_deviations, follow, load_recordings
from halfcascade.emulator.minds.base import SynthesisRequest
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.profiles import SpeakerProfile
from halfcascade.processors.chirp_tts.heard.text import SpeechRate, WordTimeEstimator
from halfcascade.processors.language import spoken_words
from tests.processors.chirp_tts.fake import speech

SENTENCES = {
    "en-US-Chirp3-HD-Charon": [
        "The store opens at nine, and it closes at six.",
        "You can park behind the building, which is free of charge.",
        "If it rains, take the bus, because the path along the river gets muddy.",
        "There are two ways to get there.",
        "I have told everybody, and the large room is still free.",
    ],
    "ko-KR-Chirp3-HD-Kore": [
        "오늘 서울 날씨는 맑고, 기온은 십오 도 정도입니다.",
        "다음 기차는 여덟 시 십 분에 출발하니까 십오 분 정도 남았어요.",
        "그중 한 곳은 지금 문을 열었고, 평가도 좋습니다.",
        "저녁에는 조금 쌀쌀하니 겉옷을 챙기세요.",
    ],
}


TOKEN_LIST = "I absolutely can, do so. 42 — 네, 그래요 now! yes"
TOKENS = TOKEN_LIST.split()


def scripted(voice: str) -> list[Recording]:
    speaker = ScriptedSpeaker(SpeakerProfile(), lead_silence=0.15)
    found = []
    for text in SENTENCES[voice]:
        audio = b"".join(speaker.render(text, SynthesisRequest(voice, voice[:5])))
        onsets = [word.start for word in speaker.plan(text)]
        found.append(Recording(np.frombuffer(audio, dtype=np.int16), onsets, text, voice[:5], "scripted"))
    return found


def estimator(text: str, rate: SpeechRate | None = None) -> WordTimeEstimator:
    return WordTimeEstimator(spoken_words(text), rate or SpeechRate(), RATE)


@pytest.mark.parametrize("voice", SENTENCES)
def test_a_hundred_cuts_of_scripted_speech(voice):
    errors = sorted(abs(deviation) for deviation in cut_deviations(scripted(voice), 100))
    assert errors[50] == 0
    assert errors[95] <= 1


@pytest.mark.skipif(importlib.util.find_spec("piper") is None, reason="the local mind's voice is not installed")
def test_a_hundred_cuts_of_real_speech(tmp_path):
    subprocess.run([sys.executable, "-m", "bench.voice_truth", str(tmp_path), "6"], check=True, timeout=180)
    recordings = load_recordings(tmp_path)
    assert any(recording.source == "piper" for recording in recordings)
    for source in {recording.source for recording in recordings}:
        own = [recording for recording in recordings if recording.source == source]
        errors = sorted(abs(deviation) for deviation in cut_deviations(own, 100))
        assert errors[50] == 0, source
        assert errors[95] <= 1, source


@pytest.mark.parametrize("speed", [1.2, 4.0, 50.0])
def test_words_follow_the_voice_however_fast_audio_comes(speed):
    rate = SpeechRate()
    first, *others = scripted("en-US-Chirp3-HD-Charon")
    # How fast the voice is becomes known with its first sentence.
    follow(first, rate, speed=speed)
    for recording in others:
        followed = follow(recording, rate, speed=speed)
        late = np.array(followed.reported) - np.array(followed.true)
        assert np.abs(late).mean() < 0.2


def test_a_pause_in_the_audio_pins_the_word_after_it():
    samples, onsets = speech("Yes, absolutely everything.", secs_per_unit=0.1)
    slow = estimator("Yes, absolutely everything.", SpeechRate(0.3))
    slow.feed(samples[: int((onsets[1] + 0.5) * RATE)].tobytes())
    assert slow.onsets()[1] == pytest.approx(onsets[1], abs=0.03)


def test_the_speed_of_the_voice_is_learned():
    rate = SpeechRate(0.2)
    for _ in range(4):
        one = estimator("Nothing in here pauses at all", rate)
        one.feed(speech("Nothing in here pauses at all", secs_per_unit=0.3)[0].tobytes())
        one.finish()
    assert rate.secs_per_unit == pytest.approx(0.3, rel=0.1)


def test_words_beyond_the_audio_are_expected_at_the_known_speed():
    one = estimator("One two three four five six")
    before = one.onsets()
    assert before[0] == 0.0 and len(before) == 6
    assert one.expected_duration() > before[-1]
    one.feed(speech("One")[0].tobytes())
    assert one.onsets()[5] > one.duration


def test_a_segment_that_broke_off_keeps_the_words_that_were_spoken():
    one = estimator("One two three four five six")
    one.feed(speech("One two three")[0].tobytes())
    times = one.onsets()[:3]
    one.keep(3)
    assert one.complete and one.onsets() == times


def test_no_words_no_times():
    one = estimator("")
    one.feed(speech("Hm")[0].tobytes())
    one.finish()
    assert one.onsets() == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(TOKENS),
        min_size=1,
        max_size=14,
    ),
    st.lists(st.tuples(st.floats(0.02, 0.8), st.floats(0.0, 0.6)), max_size=8),
    st.booleans(),
)
def test_times_rise_and_stay_within_complete_audio(parts, bursts, complete):
    text = " ".join(parts)
    one = estimator(text)
    for loud, silent in bursts:
        tone = 8000 * np.sin(2 * np.pi * 200 * np.arange(int(loud * RATE)) / RATE)
        one.feed(np.concatenate([tone, np.zeros(int(silent * RATE))]).astype(np.int16).tobytes())
        one.onsets()
    if complete:
        one.finish()
    onsets = one.onsets()
    assert len(onsets) == len(spoken_words(text))
    assert onsets[0] == 0.0
    assert all(a <= b for a, b in pairwise(onsets))
    if complete and bursts:
        assert onsets[-1] <= one.duration
