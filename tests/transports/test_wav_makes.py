"""Recordings of any make: whatever libsndfile reads in a WAV file is heard, or refused in one line."""

import struct

import numpy as np
import pytest
import soundfile

from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports.wav_file import check_wav, read_wav

RATE = 16_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
FORMATS = ("WAV", "WAVEX", "RF64")
MAKES = [(kind, subtype) for kind in FORMATS for subtype in soundfile.available_subtypes(kind)]


def level(path) -> float:
    """Root mean square of what is heard, the edges left out."""
    samples = read_wav(path, RATE)[2_000:14_000].astype(float) / 32_768
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize(("kind", "subtype"), MAKES)
def test_every_encoding_is_heard(tmp_path, kind, subtype):
    path = tmp_path / "user.wav"
    try:
        soundfile.write(path, TONE, RATE, format=kind, subtype=subtype)
    except soundfile.LibsndfileError:
        pytest.skip("libsndfile does not write it")
    check_wav(path)
    assert 0.3 < level(path) < 0.4


def test_two_channels_of_opposite_phase_do_not_cancel(tmp_path):
    path = tmp_path / "user.wav"
    soundfile.write(path, np.stack([TONE, -TONE], axis=1), RATE)
    assert level(path) > 0.3


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 36])
def test_a_header_that_was_left_open_costs_no_sound(tmp_path, size):
    path = tmp_path / "user.wav"
    soundfile.write(path, TONE, RATE, subtype="PCM_16")
    raw = bytearray(path.read_bytes())
    place = raw.index(b"data") + 4
    raw[4:8] = struct.pack("<I", size)
    raw[place : place + 4] = struct.pack("<I", 0 if size == 36 else size)
    path.write_bytes(raw)
    try:
        check_wav(path)
    except ConfigurationError as error:
        assert "\n" not in str(error)
    else:
        assert level(path) > 0.3
