"""What hears for all talks hears what Pipecat's own parts hear."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer

from halfcascade.processors.turns import networks, silero
from halfcascade.processors.turns.early_smart_turn import EarlySmartTurnAnalyzer
from halfcascade.processors.turns.networks import Silero
from halfcascade.processors.turns.silero import load_silero
from halfcascade.processors.turns.whisper_features import RATE, SECS, log_mel
from tests.bot.serve.support import samples

THEIR_SILERO = SileroVADAnalyzer()._model
SPEECH = samples("weather", RATE).astype(np.float32) / 32768


def padded(audio: np.ndarray) -> np.ndarray:
    audio = audio[-SECS * RATE :]
    return np.pad(audio, (SECS * RATE - len(audio), 0))


@pytest.mark.parametrize("length", [1, 199, 200, 201, 559, 560, 561, 16_000, 127_800, 127_801, 128_000, 200_000])
def test_features_are_pipecats(length):
    audio = np.resize(SPEECH, length)
    np.testing.assert_allclose(log_mel(audio), compute_whisper_log_mel_features(padded(audio)), rtol=0, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 140_000), loudness=st.sampled_from([0.0, 1e-6, 0.01, 1.0]), seed=st.integers(0, 99))
def test_features_of_any_noise_are_pipecats(length, loudness, seed):
    audio = (loudness * np.random.default_rng(seed).uniform(-1, 1, length)).astype(np.float32)
    np.testing.assert_allclose(log_mel(audio), compute_whisper_log_mel_features(padded(audio)), rtol=0, atol=1e-5)


def test_verdicts_are_pipecats():
    ours, theirs = EarlySmartTurnAnalyzer(), LocalSmartTurnAnalyzerV3()
    for end in (len(SPEECH) // 3, len(SPEECH) // 2, len(SPEECH)):
        one, other = ours._predict_endpoint(SPEECH[:end]), theirs._predict_endpoint(SPEECH[:end])
        assert one["prediction"] == other["prediction"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-3)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_silero_hears_what_pipecats_hears(rate):
    ours, theirs = Silero(), THEIR_SILERO
    theirs.reset_states()
    size = rate * 32 // 1_000
    windows = np.resize(SPEECH[:: RATE // rate], 120 * size).reshape(-1, size)
    for index, window in enumerate(windows):
        if index == 70:
            ours.reset_states()
            theirs.reset_states()
        np.testing.assert_allclose(ours(window, rate), theirs(window, rate), rtol=0, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(loudness=st.sampled_from([0.0, 1e-6, 0.1, 1.0]), seed=st.integers(0, 99), rate=st.sampled_from([8_000, 16_000]))
def test_silero_hears_in_any_noise_what_pipecats_hears(loudness, seed, rate):
    ours, theirs = Silero(), THEIR_SILERO
    theirs.reset_states()
    noise = (loudness * np.random.default_rng(seed).uniform(-1, 1, (20, rate * 32 // 1_000))).astype(np.float32)
    for window in noise:
        np.testing.assert_allclose(ours(window, rate), theirs(window, rate), rtol=0, atol=1e-4)


def test_a_file_of_pipecats_that_is_not_known_is_left_to_onnx_runtime(monkeypatch):
    monkeypatch.setattr(silero, "_KNOWN", "another")
    monkeypatch.setattr(networks, "_silero", networks._silero.__wrapped__)
    monkeypatch.setattr(networks, "load_silero", load_silero.__wrapped__)
    THEIR_SILERO.reset_states()
    ours = Silero()
    for window in SPEECH[: 20 * 512].reshape(-1, 512):
        np.testing.assert_array_equal(ours(window, 16_000), THEIR_SILERO(window, 16_000))


def test_silero_at_another_rate_begins_anew():
    used = Silero()
    used(SPEECH[:512], 16_000)
    np.testing.assert_array_equal(used(SPEECH[:256], 8_000), Silero()(SPEECH[:256], 8_000))
