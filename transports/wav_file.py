"""Reads sound for a microphone that is a recording."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports.wav_card import Samples

_WAV_FORMATS = {"WAV", "WAVEX", "RF64"}
_READ_SECS = 10
# Of its loudest channel a mean keeps a quarter of the power even where the other one is silent.
_CANCELLED = 0.1


def check_wav(path: Path) -> None:
    """Make sure that a file can play the user's part.

    Args:
        path: The file.

    Raises:
        ConfigurationError: If it is missing, unreadable, empty or no WAV file.
    """
    remedy = "give a WAV file that holds speech"
    if not path.exists():
        raise ConfigurationError(f"The user audio {path} does not exist: {remedy}.")
    if not path.is_file():
        raise ConfigurationError(f"The user audio {path} is not a file: {remedy}.")
    try:
        if path.stat().st_size == 0:
            raise ConfigurationError(f"The user audio {path} is empty: {remedy}.")
        with soundfile.SoundFile(path) as wav:
            if wav.format not in _WAV_FORMATS:
                raise ConfigurationError(
                    f"The user audio {path} is a {wav.format} file, not WAV: "
                    "convert it, for example with `ffmpeg -i FILE FILE.wav`."
                )
            if wav.frames == 0:
                raise ConfigurationError(f"The user audio {path} holds no sound: {remedy}.")
    except soundfile.LibsndfileError as error:
        raise ConfigurationError(f"The user audio {path} is not a WAV file: {remedy}.") from error
    except OSError as error:
        raise ConfigurationError(f"The user audio {path} cannot be read ({error.strerror}): {remedy}.") from error


def read_wav(path: Path, sample_rate: int) -> Samples:
    """Read a WAV file as mono samples of one rate, block by block, so that long files need little memory.

    Args:
        path: The file.
        sample_rate: Samples per second wanted.

    Returns:
        All samples; channels are averaged, unless they cancel each other out.

    Raises:
        ConfigurationError: If the file is not readable as WAV.
    """
    check_wav(path)
    parts = []
    with soundfile.SoundFile(path) as wav:
        rate = wav.samplerate
    channel = _instead_of_the_mean(path)
    resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
    for block in _blocks(path):
        mono = _mono(block if channel is None else block[:, channel])
        parts.append(_to_int16(resampler.resample_chunk(mono)))
    parts.append(_to_int16(resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)))
    return np.concatenate(parts)


def _blocks(path: Path) -> Iterator[NDArray[np.float32]]:
    """Read a file from its beginning to its end, without looking for either: GSM and others cannot be sought in."""
    with soundfile.SoundFile(path) as wav:
        while len(block := wav.read(wav.samplerate * _READ_SECS, dtype="float32", always_2d=True)):
            yield block


def _instead_of_the_mean(path: Path) -> int | None:
    """Find the loudest channel of a file whose channels cancel each other out (of opposite phase); None for others."""
    powers: NDArray[np.float64] | None = None
    mean = 0.0
    for block in _blocks(path):
        if block.shape[1] == 1:
            return None
        samples = np.nan_to_num(block, posinf=1.0, neginf=-1.0).astype(np.float64)
        power = (samples**2).sum(axis=0)
        powers = power if powers is None else powers + power
        mean += float((samples.mean(axis=1) ** 2).sum())
    if powers is None or mean >= _CANCELLED * powers.max():
        return None
    return int(powers.argmax())


def _mono(samples: NDArray[Any]) -> NDArray[np.float32]:
    scaled = samples.astype(np.float32)
    if samples.dtype == np.int16:
        scaled /= 32768
    scaled = np.nan_to_num(scaled, posinf=1.0, neginf=-1.0)
    return scaled if scaled.ndim == 1 else scaled.mean(axis=1)


def _to_int16(samples: NDArray[np.float32]) -> Samples:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def to_samples(sound: NDArray[Any], sound_rate: int, sample_rate: int) -> Samples:
    """Bring an array to mono samples of one rate.

    Args:
        sound: ``int16``, or floats within ±1; a second axis holds channels.
        sound_rate: Its samples per second.
        sample_rate: Samples per second wanted.

    Returns:
        The samples; channels are averaged.
    """
    if sound_rate == sample_rate and sound.dtype == np.int16 and sound.ndim == 1:
        return sound
    return _to_int16(soxr.resample(_mono(sound), sound_rate, sample_rate))
