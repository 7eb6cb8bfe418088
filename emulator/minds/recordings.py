"""Recordings whose words are known, and how to find a piece of sound in them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from emulator.errors import EmulatorError
from emulator.minds.base import LISTENER_RATE
from emulator.minds.words import WordTiming

# Searching at half the rate halves the work; what tells speech apart lies below 4 kHz.
_COARSE = 2
_COARSE_RATE = LISTENER_RATE // _COARSE
_TINY = 1e-9


@dataclass(frozen=True)
class Place:
    """Where in which recording a piece of sound was found.

    Parameters:
        recording: Index of the recording.
        sample: Its sample at which the piece begins.
        score: Normalized cross-correlation, 1.0 = the same up to loudness.
    """

    recording: int
    sample: int
    score: float


class Recording:
    """A recording at the listener's rate.

    Parameters:
        samples: Mono, full scale 1.0, at ``LISTENER_RATE``.
        words: What is said when, in order.
        language_code: What is spoken, or "".
    """

    def __init__(self, samples: np.ndarray, words: Sequence[WordTiming], language_code: str = "") -> None:
        self.samples = np.ascontiguousarray(samples, np.float32)
        self.words = tuple(sorted(words, key=lambda word: word.start))
        self.language_code = language_code
        self.starts = [round(word.start * LISTENER_RATE) for word in self.words]
        self.ends = [round(word.end * LISTENER_RATE) for word in self.words]
        self._coarse = soxr.resample(self.samples, LISTENER_RATE, _COARSE_RATE).astype(np.float32)
        self._energy = np.concatenate(([0.0], np.cumsum(self._coarse.astype(np.float64) ** 2)))
        self._size = _fft_size(len(self._coarse))
        self._spectrum = np.fft.rfft(self._coarse, self._size)

    def piece(self, start: int, length: int) -> np.ndarray:
        """Cut a piece out; silence where it reaches beyond the recording."""
        if start >= 0 and start + length <= len(self.samples):
            return self.samples[start : start + length]
        piece = np.zeros(length, np.float32)
        first, last = max(start, 0), min(start + length, len(self.samples))
        if first < last:
            piece[first - start : last - start] = self.samples[first:last]
        return piece

    def find(self, sound: np.ndarray, begin: int = 0, end: int | None = None) -> tuple[int, float]:
        """Find where a sound lies.

        Args:
            sound: At ``LISTENER_RATE``.
            begin: First sample at which it may begin.
            end: First sample at which it may no longer begin; None = anywhere.

        Returns:
            The sample at which it fits best, and how well (-1.0 to 1.0).
        """
        coarse = soxr.resample(sound, LISTENER_RATE, _COARSE_RATE)
        length = len(coarse)
        first = min(max(begin // _COARSE, 0), max(len(self._coarse) - length, 0))
        last = len(self._coarse) - length + 1
        if end is not None:
            last = min(last, end // _COARSE)
        if last <= first:
            return 0, 0.0
        if first == 0 and last == len(self._coarse) - length + 1:
            spectrum, size = self._spectrum, self._size
        else:
            size = _fft_size(last - first + length)
            spectrum = np.fft.rfft(self._coarse[first : last - 1 + length], size)
        products = np.fft.irfft(spectrum * np.conj(np.fft.rfft(coarse, size)), size)[: last - first]
        energy = self._energy[first + length : last + length] - self._energy[first:last]
        # Where the recording is silent nothing can be told; a floor keeps rounding from looking like a match.
        floor = 1e-4 * float(energy.max(initial=0.0)) + _TINY
        scores = products / np.sqrt(np.maximum(energy, floor) * max(float(coarse @ coarse), _TINY))
        best = int(np.argmax(scores))
        return self._refine(sound, (first + best) * _COARSE)

    def _refine(self, sound: np.ndarray, about: int) -> tuple[int, float]:
        return max(
            ((about + shift, correlation(sound, self.piece(about + shift, len(sound)))) for shift in range(-4, 5)),
            key=lambda found: found[1],
        )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Tell how alike two sounds are, whatever their loudness.

    Args:
        one: Samples.
        other: As many samples.

    Returns:
        -1.0 to 1.0; 0.0 if either is silent.
    """
    energy = float(one @ one) * float(other @ other)
    return float(one @ other) / energy**0.5 if energy > _TINY**2 else 0.0


def find_anywhere(recordings: Sequence[Recording], sound: np.ndarray) -> Place:
    """Find where in all recordings a sound fits best.

    Args:
        recordings: Where to look.
        sound: At ``LISTENER_RATE``.

    Returns:
        The best place, however bad.
    """
    places = [Place(index, *recording.find(sound)) for index, recording in enumerate(recordings)]
    return max(places, key=lambda place: place.score, default=Place(0, 0, 0.0))


def load_recording(audio: Path, words: Path | Sequence[Any], language_code: str = "") -> Recording:
    """Load a recording.

    Args:
        audio: A file that libsndfile reads, any rate; channels are averaged.
        words: A JSON file, or its content: ``[{"word": "hello", "start": 0.31, "end": 0.62}, ...]`` in seconds; an
            object with such a list under ``words`` will do.
        language_code: What is spoken.

    Returns:
        The recording.

    Raises:
        EmulatorError: If a file cannot be read or the words are malformed.
    """
    try:
        data = json.loads(words.read_text(encoding="utf-8")) if isinstance(words, Path) else words
        entries = data["words"] if isinstance(data, dict) else data
        timings = [WordTiming(str(entry["word"]), float(entry["start"]), float(entry["end"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmulatorError(
            f"The words of the recording {audio.name} cannot be read ({error}): "
            'give JSON such as [{"word": "hello", "start": 0.31, "end": 0.62}].'
        ) from error
    try:
        samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise EmulatorError(f"The recording {audio} cannot be read: {error}.") from error
    mono = samples.mean(axis=1)
    return Recording(soxr.resample(mono, rate, LISTENER_RATE), timings, language_code)


def _fft_size(length: int) -> int:
    return 1 << max(length - 1, 1).bit_length()
