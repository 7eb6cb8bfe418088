"""Silence around speech, and pauses within it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.chirp_tts.audio import SpeechLevels, SpeechTrimmer

RATE = 24_000


def tone(secs: float) -> np.ndarray:
    return (6000 * np.sin(2 * np.pi * 300 * np.arange(round(secs * RATE)) / RATE)).astype(np.int16)


def quiet(secs: float, level: int = 0) -> np.ndarray:
    return np.random.default_rng(1).integers(-level, level + 1, round(secs * RATE)).astype(np.int16)


def trim(audio: np.ndarray, pause: float = 0.0, chunk: int = 5000) -> np.ndarray:
    trimmer = SpeechTrimmer(RATE)
    data = audio.tobytes()
    out = b"".join(trimmer.feed(data[i : i + chunk]) for i in range(0, len(data), chunk))
    return np.frombuffer(out + b"".join(trimmer.finish(pause)), dtype=np.int16)


def test_leading_and_trailing_silence_goes():
    out = trim(np.concatenate([quiet(0.4, 30), tone(0.5), quiet(0.6, 30)]))
    assert len(out) / RATE == pytest.approx(0.5 + 0.02 + 0.04, abs=0.011)


def test_a_pause_within_speech_stays_to_the_sample():
    audio = np.concatenate([tone(0.3), quiet(0.3), tone(0.3)])
    assert np.array_equal(trim(audio), audio)


@pytest.mark.parametrize("tail", [0.0, 0.1, 1.0])
def test_the_pause_after_speech_is_as_long_as_asked(tail):
    out = trim(np.concatenate([tone(0.5), quiet(tail)]), pause=0.3)
    assert len(out) / RATE == pytest.approx(0.5 + 0.3, abs=0.05)


def test_silence_gives_nothing():
    assert len(trim(quiet(1.0, 50), pause=0.3)) == 0


def test_speech_is_handed_on_as_it_comes():
    trimmer = SpeechTrimmer(RATE)
    assert len(trimmer.feed(tone(0.2).tobytes())) / 2 / RATE == pytest.approx(0.2, abs=0.011)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9001))
def test_the_size_of_chunks_does_not_matter(chunk):
    audio = np.concatenate([quiet(0.1), tone(0.2), quiet(0.15), tone(0.1), quiet(0.1)])
    assert np.array_equal(trim(audio, 0.1, chunk), trim(audio, 0.1, 10**6))


def test_pauses_are_found_where_they_are():
    levels = SpeechLevels(RATE)
    audio = np.concatenate([tone(0.3), quiet(0.2, 60), tone(0.3), quiet(0.03), tone(0.2), quiet(0.5)])
    for i in range(0, len(audio), 1111):
        levels.feed(audio[i : i + 1111].tobytes())
    assert levels.pauses(0.07) == [(pytest.approx(0.3, abs=0.011), pytest.approx(0.5, abs=0.011))]
    assert levels.duration == pytest.approx(1.53)
    assert SpeechLevels(RATE).pauses(0.1) == []
