"""Estimates when each word of a segment of speech is heard, from the audio and the text alone.

Chirp 3 HD gives no word times. What there is: the words and their expected lengths (`language/spoken.py`), the audio as
it streams in, and how fast this voice has spoken so far. Silences in the audio are matched with the places in the text
where a reader pauses; between two matched places the words share the time by their lengths. While audio is still to
come its total length is unknown, and the words after the last match are placed by the voice's measured speed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from halfcascade.processors.chirp_tts.audio import FRAME_SECS, SpeechLevels
from halfcascade.processors.language import SpokenWord

# A silence shorter than this is the closure of a consonant, not a pause.
_MIN_PAUSE_SECS = 0.07
# How many pauses in a row may belong to no place between words.
_MAX_UNMATCHED = 3


class SpeechRate:
    """Seconds that one voice takes per unit, learned while it speaks."""

    def __init__(self, prior: float = 0.2):
        """Initialize.

        Args:
            prior: Seconds per unit to begin with.
        """
        self._secs = prior * 8.0
        self._units = 8.0

    @property
    def secs_per_unit(self) -> float:
        """Best estimate so far."""
        return self._secs / self._units

    def observe(self, units: float, secs: float) -> None:
        """Take a completed segment into account; older ones fade.

        Args:
            units: Length of its words.
            secs: Speech in its audio, without pauses.
        """
        if units > 0 and secs > 0:
            self._secs = 0.8 * self._secs + secs
            self._units = 0.8 * self._units + units


@dataclass(frozen=True)
class _Anchor:
    """A place where text and audio certainly meet.

    Parameters:
        word: Index of the word that begins after the silence.
        end: Where the speech before it ends, in seconds.
        start: Where the word begins.
    """

    word: int
    end: float
    start: float


class WordTimeEstimator:
    """Word times of one segment, refined with every chunk of its audio."""

    def __init__(self, words: Sequence[SpokenWord], rate: SpeechRate, sample_rate: int):
        """Initialize before any audio.

        Args:
            words: The segment's words.
            rate: How fast the voice is; learns from the segment when it is complete.
            sample_rate: Of the audio to come.
        """
        self._words = list(words)
        self._rate = rate
        self._levels = SpeechLevels(sample_rate)
        self._complete = False
        self._onsets: list[float] | None = None
        self._arrange()

    @property
    def duration(self) -> float:
        """Seconds of audio so far."""
        return self._levels.duration

    @property
    def complete(self) -> bool:
        """Whether all audio has come."""
        return self._complete

    def feed(self, pcm: bytes) -> None:
        """Take audio.

        Args:
            pcm: 16-bit mono PCM that follows what came before; the segment begins and ends with speech.
        """
        self._levels.feed(pcm)
        self._onsets = None

    def go_on(self, words: Sequence[SpokenWord]) -> None:
        """More words follow in the same audio.

        Args:
            words: All words, those that were there first.
        """
        self._words = list(words)
        self._onsets = None
        self._arrange()

    def finish(self) -> None:
        """All audio has come."""
        self._complete = True
        self._onsets = None
        pauses = self._pauses()
        silence = sum(end - start for start, end in pauses if end - start >= 2 * _MIN_PAUSE_SECS)
        self._rate.observe(float(self._units.sum()), self.duration - silence)

    def keep(self, count: int) -> None:
        """The audio broke off: only the first words were spoken, and no more audio will come.

        Args:
            count: How many words.
        """
        times = self.onsets()[:count]
        self._words = self._words[:count]
        self._complete = True
        self._onsets = times

    def onsets(self) -> list[float]:
        """Times at which the words begin.

        Returns:
            Seconds from the beginning of the segment's audio, one per word, rising; beyond the audio for words that
            are not expected in what has come.
        """
        if self._onsets is None:
            self._onsets = self._estimate() if self._words else []
        return self._onsets

    def expected_duration(self) -> float:
        """Seconds that the whole segment takes, by what is known so far."""
        if self._complete or not self._words:
            return self.duration
        return max(self.duration, self.onsets()[-1] + float(self._units[-1]) * self._rate.secs_per_unit)

    def _arrange(self) -> None:
        self._units = np.array([word.units for word in self._words])
        self._before = np.concatenate([[0.0], np.cumsum(self._units)])
        pauses = np.array([word.pause for word in self._words])
        # Cost of passing the boundary after word i without a pause: marks are usually heard, full stops nearly always.
        self._missed = np.concatenate([[0.0], np.cumsum(np.where(pauses > 0.3, 2.0, np.where(pauses > 0, 0.8, 0.0)))])
        self._marked = pauses

    def _pauses(self) -> list[tuple[float, float]]:
        return self._levels.pauses(_MIN_PAUSE_SECS)

    def _estimate(self) -> list[float]:
        pauses = self._pauses()
        rate = self._rate.secs_per_unit
        if self._complete:
            spoken = self.duration - sum(end - start for start, end in pauses if end - start >= 2 * _MIN_PAUSE_SECS)
            rate = max(spoken, FRAME_SECS) / float(self._units.sum())
        anchors = self._align(pauses, rate)
        rate = self._adapted(anchors, rate)
        return self._place(anchors, rate)

    def _adapted(self, anchors: list[_Anchor], rate: float) -> float:
        """The segment's own speed, as far as matched places tell it, weighed with the voice's."""
        units, secs = 10.0, 10.0 * rate
        for before, after in pairwise(anchors):
            units += self._before[after.word] - self._before[before.word]
            secs += after.end - before.start
        return float(secs / units)

    def _align(self, pauses: list[tuple[float, float]], rate: float) -> list[_Anchor]:
        """Match pauses with boundaries between words, at the least cost.

        Args:
            pauses: Start and end of each, in seconds.
            rate: Seconds per unit.

        Returns:
            Matched places in order, the beginning first; once all audio has come also its end.
        """
        count = len(self._words)
        boundaries = np.arange(1, count)
        # best[k][j]: least cost of all up to pause k when it is matched with the boundary before word j.
        best: list[np.ndarray] = []
        came_from: list[list[tuple[int, int]]] = []
        for k, (start, end) in enumerate(pauses):
            own = self._pause_cost(end - start)
            cost = np.full(count, np.inf)
            origin = [(-1, 0)] * count
            for p in range(max(-1, k - _MAX_UNMATCHED - 1), k):
                skipped = sum(_unmatched_cost(e - s) for s, e in pauses[p + 1 : k])
                if p < 0:
                    since, head = 0.0, np.where(np.arange(count) == 0, 0.0, np.inf)
                else:
                    since, head = pauses[p][1], best[p]
                totals = head[:, None] + self._between(start - since, rate) + skipped
                rows = totals.argmin(axis=0)
                values = totals[rows, np.arange(count)]
                for j in boundaries[values[1:] < cost[1:]]:
                    cost[j], origin[j] = values[j], (p, int(rows[j]))
            best.append(cost + own)
            came_from.append(origin)
        return self._trace(pauses, best, came_from, rate)

    def _between(self, secs: float, rate: float) -> np.ndarray:
        """Cost of words i to j-1 taking so many seconds, for all pairs i < j; shape (words, words)."""
        units = self._before[None, :-1] - self._before[:-1, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            deviation = (secs - rate * units) / (0.12 * rate * units + 0.07)
        missed = np.maximum(0.0, self._missed[None, :-1] - self._missed[:-1, None])
        # The boundary before word j is where the pause is: its mark is not missed.
        last = np.concatenate([[0.0], np.diff(self._missed)])[:-1]
        cost = 0.5 * deviation**2 + missed - last[None, :]
        return np.where(units > 0, cost, np.inf)

    def _pause_cost(self, secs: float) -> np.ndarray:
        """Cost of a pause of this length before each word."""
        marks = np.concatenate([[0.0], self._marked[:-1]])
        plain = 0.8 + 7.0 * max(0.0, secs - 0.1)
        expected = np.maximum(marks, 0.05)
        marked = 0.4 * np.abs(np.log(secs / expected))
        return np.where(marks > 0, marked, plain)

    def _trace(
        self,
        pauses: list[tuple[float, float]],
        best: list[np.ndarray],
        came_from: list[list[tuple[int, int]]],
        rate: float,
    ) -> list[_Anchor]:
        """Choose the last match, by what is left after it, and follow the matches back."""
        count = len(self._words)
        choices = [(self._rest_cost(0, self.duration, rate, pauses), -1, 0)]
        for k in range(max(0, len(pauses) - _MAX_UNMATCHED - 1), len(pauses)):
            for j in range(1, count):
                if np.isfinite(best[k][j]):
                    rest = self._rest_cost(j, self.duration - pauses[k][1], rate, pauses[k + 1 :])
                    choices.append((float(best[k][j]) + rest, k, j))
        _, k, j = min(choices)
        anchors = []
        while k >= 0:
            anchors.append(_Anchor(j, *pauses[k]))
            k, j = came_from[k][j]
        anchors.append(_Anchor(0, 0.0, 0.0))
        anchors.reverse()
        if self._complete:
            anchors.append(_Anchor(count, self.duration, self.duration))
        return anchors

    def _rest_cost(self, word: int, secs: float, rate: float, pauses: list[tuple[float, float]]) -> float:
        """Cost of the audio after the last match belonging to the words from ``word`` on."""
        units = float(self._before[-1] - self._before[word])
        cost = sum(_unmatched_cost(end - start) for start, end in pauses)
        deviation = (secs - rate * units) / (0.12 * rate * units + 0.07)
        if self._complete:
            return cost + 0.5 * deviation**2 + float(self._missed[-2] - self._missed[word])
        # More may come: only more speech than there are words for is unlikely. Marks that must have been passed
        # already count as missed.
        passed = int(np.searchsorted(self._before, self._before[word] + 0.9 * secs / rate, side="right")) - 1
        missed = max(0.0, float(self._missed[min(passed, len(self._words) - 1)] - self._missed[word]))
        return cost + 0.5 * max(0.0, deviation) ** 2 + missed

    def _place(self, anchors: list[_Anchor], rate: float) -> list[float]:
        """Share the time between matched places among their words."""
        onsets: list[float] = []
        for i, anchor in enumerate(anchors):
            if anchor.word >= len(self._words):
                break
            after = anchors[i + 1] if i + 1 < len(anchors) else None
            last = after.word if after else len(self._words)
            base = self._before[anchor.word]
            rate_here = (after.end - anchor.start) / float(self._before[last] - base) if after else rate
            onsets += [anchor.start + float(self._before[n] - base) * rate_here for n in range(anchor.word, last)]
        return onsets


def _unmatched_cost(secs: float) -> float:
    """Cost of a silence inside a word: short ones are consonants."""
    return 0.1 + 18.0 * max(0.0, secs - 0.09)
