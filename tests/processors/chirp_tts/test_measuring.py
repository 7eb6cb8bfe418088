"""What is measured of a voice before a talk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.emulator.faults import Fault
from halfcascade.processors.chirp_tts import ChirpTTSService
from halfcascade.processors.chirp_tts.measuring import edges, longest_pause, samples
from halfcascade.processors.chirp_tts.settings import SAMPLE_RATE
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.language import known


def sound(*parts: float) -> bytes:
    """Loud and silent stretches in turn, in seconds; the first one is silent."""
    pieces = [
        (8000 if number % 2 else 0) * np.ones(round(secs * SAMPLE_RATE), "<i2") for number, secs in enumerate(parts)
    ]
    return np.concatenate(pieces).astype("<i2").tobytes()


@given(*[st.integers(1, 60)] * 4)
def test_silences_are_found_around_and_within_speech(lead, pause, shorter, tail):
    pcm = sound(lead / 100, 0.3, pause / 100, 0.2, min(shorter, pause) / 100, 0.2, tail / 100)
    assert edges(pcm) == pytest.approx((lead / 100, tail / 100), abs=0.021)
    assert longest_pause(pcm) == pytest.approx(pause / 100 if pause > 5 else 0.0, abs=0.051 if pause < 8 else 0.021)


@pytest.mark.parametrize("pcm", [b"", b"\0" * 4800, b"\x01"])
def test_nothing_to_hear_is_no_pause(pcm):
    assert longest_pause(pcm) == 0.0
    assert edges(pcm)[1] == 0.0


@pytest.mark.parametrize("code", known())
def test_every_language_has_texts_to_measure_with(code):
    fragment, clause, sentence, other = samples(code)
    assert sentence.startswith(clause) and clause.startswith(fragment) and fragment and other
    assert len(fragment) <= len(clause) < len(sentence)


async def test_a_voice_is_measured_over_the_wires(google_emulator):
    found = await ChirpTTSService().measure()
    assert all(secs > 0 for secs in (*found.fragment, *found.clause, *found.sentence))
    assert found.speaks_at_once
    # The scripted voice pauses for 0.45 s where a sentence ends, and has no silence of its own before the first word.
    assert found.pause_in_one_input == pytest.approx(0.45, abs=0.03)
    assert found.pause_in_one_stream == pytest.approx(0.45, abs=0.03)
    assert found.silence_apart == pytest.approx(0.45, abs=0.03)


async def test_a_voice_that_refuses_is_one_line(google_emulator_factory):
    await google_emulator_factory(faults=[Fault("tts", "error", code="PERMISSION_DENIED", times=-1)])
    with pytest.raises(ConfigurationError, match=r"texttospeech\.googleapis\.com"):
        await ChirpTTSService().measure()
