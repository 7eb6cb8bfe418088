"""The scripted mind's voice in Live sessions: every word a burst of its own, exactly as long as it is asked to be.

Cheaper than ``ScriptedSpeaker`` and without its plan: a word's sound is one period of a wave, over and over.
"""

import functools
import re
import zlib

import numpy as np

from halfcascade.emulator.minds.base import SPEAKER_RATE
from halfcascade.emulator.minds.words import count_syllables

_PERIOD = 256
_LOUDNESS = 0.12  # RMS of a word, of full scale
_FADE = 0.005
_WORD = re.compile(r"\s*\S+|\s+")


def split_words(text: str) -> list[str]:
    """Cut a text into words, each with the space before it; joined, they are exactly the text."""
    return _WORD.findall(text)


@functools.lru_cache(maxsize=2048)
def word_sound(word: str, samples: int, voice: str) -> bytes:
    """Make the sound of a word.

    Args:
        word: As written; what holds nothing to say is silent.
        samples: How long it shall be, at ``SPEAKER_RATE``.
        voice: Decides the pitch.

    Returns:
        16-bit mono PCM, with a short gap at its end.
    """
    spoken = word.strip()
    syllables = count_syllables(spoken)
    sounding = samples * 9 // 10
    if not syllables or sounding < round(2 * _FADE * SPEAKER_RATE):
        return bytes(2 * samples)
    seed = zlib.crc32(f"{voice}|{spoken}".encode(errors="replace"))
    rng = np.random.default_rng(seed)
    pitch = (95.0 + zlib.crc32(voice.encode()) % 100) * rng.uniform(0.88, 1.12)
    harmonics = np.arange(1, int(4_000 / pitch) + 1)
    formants = rng.uniform((250, 900, 2_000), (850, 2_200, 3_400))
    distance = (harmonics[:, None] * pitch - formants) / (120, 180, 260)
    spectrum = np.zeros(_PERIOD // 2 + 1, np.complex64)
    strength = np.exp(-0.5 * distance**2) @ (1.0, 0.6, 0.35) + 0.03
    spectrum[1 : len(harmonics) + 1] = strength * np.exp(1j * rng.uniform(0, 6.28, len(harmonics)))
    period = np.fft.irfft(spectrum, _PERIOD).astype(np.float32)
    phase = np.arange(sounding, dtype=np.float32) * np.float32(pitch * _PERIOD / SPEAKER_RATE)
    audio = period[phase.astype(np.int64) % _PERIOD]
    swell = np.sin(np.pi * syllables / sounding * np.arange(sounding, dtype=np.float32))
    audio *= 0.35 + 0.65 * swell * swell
    audio *= _LOUDNESS / max(float(np.sqrt(np.mean(audio**2))), 1e-9)
    fade = round(_FADE * SPEAKER_RATE)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    audio[:fade] *= ramp
    audio[-fade:] *= ramp[::-1]
    return (np.clip(audio, -1, 1) * 32_767).astype("<i2").tobytes() + bytes(2 * (samples - sounding))
