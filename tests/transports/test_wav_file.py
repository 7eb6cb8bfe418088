import numpy as np
import pytest
import soundfile

from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports.wav_file import check_wav, read_wav, to_samples

IN_RATE = 16_000


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 6)])
def test_any_wav_becomes_mono_at_the_wanted_rate(tmp_path, rate, channels, subtype):
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 0.5
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.stack([tone] * channels, axis=1), rate, subtype=subtype)
    samples = read_wav(path, IN_RATE)
    assert abs(len(samples) - IN_RATE) <= 1
    expected = np.sin(2 * np.pi * 440 * np.arange(len(samples)) / IN_RATE) * 0.5 * 32768
    middle = slice(2_000, 14_000)
    assert np.abs(samples[middle] - expected[middle]).max() < (400 if subtype == "PCM_U8" else 40)


def test_long_files_are_read_block_by_block_without_seams(tmp_path):
    rate = 44_100
    tone = np.sin(2 * np.pi * 100 * np.arange(rate * 21) / rate) * 0.5
    path = tmp_path / "long.wav"
    soundfile.write(path, tone, rate)
    samples = read_wav(path, IN_RATE).astype(int)
    assert abs(len(samples) - 21 * IN_RATE) <= 1
    assert np.abs(np.diff(samples)).max() < 700


def test_a_header_without_sound_and_other_formats_are_refused(tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(0), IN_RATE)
    with pytest.raises(ConfigurationError, match="holds no sound"):
        check_wav(silent)
    flac = tmp_path / "user.wav"
    soundfile.write(flac, np.zeros(100), IN_RATE, format="FLAC")
    with pytest.raises(ConfigurationError, match="FLAC"):
        check_wav(flac)
    with pytest.raises(ConfigurationError, match="not a file"):
        check_wav(tmp_path)


def test_arrays_of_any_kind_become_mono_samples():
    loud = np.array([0.5, -0.5, 2.0, np.nan])
    assert list(to_samples(loud, IN_RATE, IN_RATE)) == [16_384, -16_384, 32_767, 0]
    stereo = np.stack([np.full(800, 1_000), np.full(800, 3_000)], axis=1).astype(np.int16)
    mixed = to_samples(stereo, 8_000, IN_RATE)
    assert len(mixed) == 1_600
    assert abs(int(mixed[800]) - 2_000) <= 1
