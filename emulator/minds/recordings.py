"""Recordings whose words are known, and how to find a piece of sound in them."""

import bisect
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.minds.base import LISTENER_RATE
from halfcascade.emulator.minds.words import WordTiming, count_syllables

# Searching at half the rate halves the work.
_COARSE = 2
_COARSE_RATE = LISTENER_RATE // _COARSE
LONGEST_SEARCH = 0.6  # seconds of sound that can be searched for
_LONGEST = round(LONGEST_SEARCH * _COARSE_RATE)
_FFT = 16_384  # samples of one transform; blocks of it overlap by the longest sound
_HOP = _FFT - _LONGEST
_TINY = 1e-9
_QUIET = 10 ** (-56 / 20)  # RMS of full scale; no sound can be told in what is quieter


def _low_pass(cutoff: float, taps: int) -> np.ndarray:
    """Design a windowed-sinc filter."""
    time = np.arange(taps) - (taps - 1) / 2
    kernel = np.sinc(2 * cutoff / LISTENER_RATE * time) * np.hamming(taps)
    return (kernel / kernel.sum()).astype(np.float32)


# Sound is compared in the band that a telephone carries too, so that what clients sent at 8 kHz is found as well.
_BAND = _low_pass(3_300.0, 65)


class BandFilter:
    """Filters a stream to the band in which sounds are compared. Recordings and streams are delayed alike."""

    def __init__(self) -> None:
        self._before = np.zeros(len(_BAND) - 1, np.float32)

    def filter(self, samples: np.ndarray) -> np.ndarray:
        """Filter a piece.

        Args:
            samples: At ``LISTENER_RATE``.

        Returns:
            As many samples.
        """
        if not len(samples):
            return samples
        samples = np.concatenate((self._before, samples))
        self._before = samples[1 - len(_BAND) :]
        return np.convolve(samples, _BAND, "valid").astype(np.float32)


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
        self._band = BandFilter().filter(self.samples)
        self.words = tuple(sorted(words, key=lambda word: word.start))
        self.language_code = language_code
        self.starts = [round(word.start * LISTENER_RATE) for word in self.words]
        self.ends = [round(word.end * LISTENER_RATE) for word in self.words]

    def piece(self, start: int, length: int) -> np.ndarray:
        """Cut a piece out, filtered for comparing; silence where it reaches beyond the recording."""
        if start >= 0 and start + length <= len(self._band):
            return self._band[start : start + length]
        piece = np.zeros(length, np.float32)
        first, last = max(start, 0), min(start + length, len(self._band))
        if first < last:
            piece[first - start : last - start] = self._band[first:last]
        return piece


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


class Library:
    """Recordings, prepared for finding a piece of sound in them by overlapping blocks of FFTs.

    Parameters:
        recordings: What it holds.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.recordings = tuple(recordings)
        self._starts: list[int] = []
        parts: list[np.ndarray] = []
        length = 0
        for recording in recordings:
            self._starts.append(length)
            # Silence between recordings: no piece of sound may seem to lie in two.
            filtered = recording.piece(0, len(recording.samples))
            coarse = np.pad(soxr.resample(filtered, LISTENER_RATE, _COARSE_RATE), (0, _LONGEST))
            parts.append(coarse.astype(np.float32))
            length += len(coarse)
        coarse = np.concatenate([*parts, np.zeros(_FFT, np.float32)])
        self._energy = np.concatenate(([0.0], np.cumsum(coarse.astype(np.float64) ** 2)))
        blocks = [np.fft.rfft(coarse[start : start + _FFT]) for start in range(0, max(length, 1), _HOP)]
        self._spectra = np.array(blocks, np.complex64)

    def find(self, sound: np.ndarray) -> Place:
        """Find where a sound fits best in all recordings.

        Args:
            sound: Filtered, at ``LISTENER_RATE``, not longer than ``LONGEST_SEARCH``.

        Returns:
            The best place, however bad.
        """
        return self._find(sound, 0, len(self._spectra))

    def find_near(self, sound: np.ndarray, recording: int, begin: int, end: int) -> Place:
        """Find where a sound fits best in a part of one recording.

        Args:
            sound: Filtered, at ``LISTENER_RATE``, not longer than ``LONGEST_SEARCH``.
            recording: Which one.
            begin: About the first sample at which it may begin.
            end: About the last one.

        Returns:
            The best place, however bad, perhaps a little outside.
        """
        start, limit = self._starts[recording], len(self.recordings[recording].samples)
        first = start + min(max(begin, 0), limit) // _COARSE
        last = start + min(max(end, 0), limit) // _COARSE
        return self._find(sound, first // _HOP, last // _HOP + 1)

    def _find(self, sound: np.ndarray, first_block: int, end_block: int) -> Place:
        if not self.recordings:
            return Place(0, 0, 0.0)
        coarse = soxr.resample(sound, LISTENER_RATE, _COARSE_RATE)[:_LONGEST]
        spectrum = np.conj(np.fft.rfft(coarse, _FFT)).astype(np.complex64)
        products = np.fft.irfft(self._spectra[first_block:end_block] * spectrum, _FFT)[:, :_HOP].ravel()
        first = first_block * _HOP
        products = products[: len(self._energy) - len(coarse) - first]
        ends = self._energy[first + len(coarse) : first + len(coarse) + len(products)]
        energy = np.maximum(ends - self._energy[first : first + len(products)], len(coarse) * _QUIET**2)
        scores = products / np.sqrt(energy * max(float(coarse @ coarse), _TINY))
        best = first + int(np.argmax(scores))
        recording = bisect.bisect_right(self._starts, best) - 1
        return self._refine(sound, recording, (best - self._starts[recording]) * _COARSE)

    def _refine(self, sound: np.ndarray, recording: int, about: int) -> Place:
        samples = self.recordings[recording]
        places = (
            Place(recording, sample, correlation(sound, samples.piece(sample, len(sound))))
            for sample in range(about - 4, about + 5)
        )
        return max(places, key=lambda place: place.score)


def load_recording(audio: Path, words: Path | Sequence[Any], language_code: str = "") -> Recording:
    """Load a recording.

    Args:
        audio: A file that libsndfile reads, any rate; channels are averaged.
        words: A JSON file, or its content: ``[{"word": "hello", "start": 0.31, "end": 0.62}, ...]`` in seconds, where
            ``speaker`` (a number) and ``sounds_like`` (other spellings) may be added. Instead of a word an entry may be
            a sentence that holds such a list under ``words``.
        language_code: What is spoken.

    Returns:
        The recording.

    Raises:
        EmulatorError: If a file cannot be read or the words are malformed.
    """
    entries = _read_json(words) if isinstance(words, Path) else words
    try:
        timings = list(_timings(entries))
    except (KeyError, TypeError, ValueError) as error:
        raise EmulatorError(
            f"The words of the recording {audio.name} are malformed ({error!r}): "
            'give JSON such as [{"word": "hello", "start": 0.31, "end": 0.62}].'
        ) from error
    try:
        samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise EmulatorError(f"The recording {audio} cannot be read: {error}.") from error
    return Recording(soxr.resample(samples.mean(axis=1), rate, LISTENER_RATE), timings, language_code)


def load_index(index: Path) -> list[Recording]:
    """Load all recordings of a folder.

    Args:
        index: A JSON file: a list of objects with ``file`` (beside the index), ``language`` and ``words``; or, where
            the words' times are not known, ``text``, ``start`` and ``end``, over which the words are then spread.

    Returns:
        The recordings.

    Raises:
        EmulatorError: If a file cannot be read or is malformed.
    """
    recordings = []
    for entry in _read_json(index):
        try:
            words = entry.get("words") or list(_spread(entry))
            recordings.append(load_recording(index.parent / entry["file"], words, entry.get("language", "")))
        except (AttributeError, KeyError, TypeError) as error:
            raise EmulatorError(f"The list of recordings {index} is malformed ({error!r}).") from error
    return recordings


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EmulatorError(f"{path} cannot be read as JSON: {error}.") from error


def _timings(entries: Iterable[Any]) -> Iterator[WordTiming]:
    for entry in entries:
        if "words" in entry:
            yield from _timings(entry["words"])
        else:
            yield WordTiming(
                str(entry["word"]),
                float(entry["start"]),
                float(entry["end"]),
                int(entry.get("speaker", 0)),
                tuple(str(reading) for reading in entry.get("sounds_like", ())),
            )


def _spread(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Spread the words of a text over its time, by their syllables."""
    words = str(entry.get("text", "")).split()
    shares = [max(count_syllables(word), 1) for word in words]
    position = float(entry.get("start", 0.0))
    pace = (float(entry.get("end", 0.0)) - position) / max(sum(shares), 1)
    for word, share in zip(words, shares, strict=True):
        yield {"word": word, "start": position, "end": position + share * pace}
        position += share * pace
