"""Estimates when each word of a piece of speech is heard, from the audio and the text alone.

Chirp 3 HD gives no word times. What there is: the words and their expected lengths (`heard_units.py`), the audio as it
streams in, and how fast this voice has spoken so far.
"""

from collections.abc import Sequence

import numpy as np

from processors.heard_units import SpokenWord


class SpeechRate:
    """Seconds that one voice takes per unit, learned while it speaks."""

    def __init__(self, prior: float = 0.2):
        """Initialize.

        Args:
            prior: Seconds per unit to begin with.
        """
        self._secs = prior * 10.0
        self._units = 10.0

    @property
    def secs_per_unit(self) -> float:
        """Best estimate so far."""
        return self._secs / self._units

    def observe(self, units: float, secs: float) -> None:
        """Take a completed piece into account; older ones fade.

        Args:
            units: Length of its words.
            secs: Speech in its audio, without pauses.
        """
        if units <= 0 or secs <= 0:
            return
        self._secs = 0.7 * self._secs + secs
        self._units = 0.7 * self._units + units


class WordTimeEstimator:
    """Word times of one piece, refined with every chunk of its audio."""

    def __init__(self, words: Sequence[SpokenWord], rate: SpeechRate, sample_rate: int):
        """Initialize before any audio.

        Args:
            words: The piece's words.
            rate: How fast the voice is; learns from the piece when it is complete.
            sample_rate: Of the audio to come.
        """
        self._words = words
        self._rate = rate
        self._sample_rate = sample_rate
        self._samples = 0
        self._complete = False

    @property
    def duration(self) -> float:
        """Seconds of audio so far."""
        return self._samples / self._sample_rate

    @property
    def complete(self) -> bool:
        """Whether all audio has come."""
        return self._complete

    def feed(self, pcm: bytes) -> None:
        """Take audio.

        Args:
            pcm: 16-bit mono PCM that follows what came before.
        """
        self._samples += len(pcm) // 2

    def finish(self) -> None:
        """All audio has come."""
        self._complete = True
        self._rate.observe(sum(word.units for word in self._words), self.duration)

    def keep(self, count: int) -> None:
        """The audio broke off: only the first words were spoken, and no more audio will come.

        Args:
            count: How many words.
        """
        self._words = self._words[:count]
        self._complete = True

    def onsets(self) -> list[float]:
        """Times at which the words begin.

        Returns:
            Seconds from the beginning of the piece's audio, one per word, rising; beyond the audio for words that
            are not expected in what has come.
        """
        if not self._words:
            return []
        units = np.array([word.units for word in self._words])
        starts = np.concatenate([[0.0], np.cumsum(units)[:-1]])
        secs = self.duration / units.sum() if self._complete else self._rate.secs_per_unit
        return [float(start * secs) for start in starts]
