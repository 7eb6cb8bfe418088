"""Whether a sound is speech at all: a voice that speaks, or laughter, a sneeze, a cough, a throat being cleared."""

from dataclasses import dataclass

import numpy as np

from halfcascade.processors.turns.barge_in_sound import RATE
from halfcascade.processors.turns.networks import Silero, interruption_sound

_WINDOW = 512
_RECENT_SECS, _STEADY_SECS = 0.2, 1.0
# A window that Silero is as sure of as this is speech; coughs and sneezes seldom reach it.
_SURE = 0.9
_FRAME, _HOP = 960, 160
# Periods of voices, 50 to 400 Hz, and how alike two of them have to be.
_SHORTEST, _LONGEST = RATE // 400, RATE // 50
_VOICED = 0.6
# What goes on before a sound, up to shortly before it, for it may begin softly; -50 dBFS and less is silence.
_BEFORE_SECS, _ONSET_SECS = 1.0, 0.05
_AUDIBLE_POWER = 10 ** (-50 / 10) * 32768**2


@dataclass(frozen=True)
class Excerpt:
    """What is to be judged.

    Parameters:
        samples: Mono audio at ``RATE``, as loud as 16-bit integers, up to now.
        start: Index of the first sound of speech.
        beginning: How many samples from there on the first look is about.
    """

    samples: np.ndarray
    start: int
    beginning: int


@dataclass(frozen=True)
class Heard:
    """What an excerpt sounds like, 0.0 to 1.0 each.

    Parameters:
        interruption: Probability that somebody takes the floor, if it is speech.
        speech: How sure it is that the newest moment is speech.
        steady: Share of the last second that surely is.
        voiced: Share of everything since the first sound that is voiced, as most of what people say is, and little of
            a laugh.
        spoken: Probability that the beginning is speech, and not laughter, a cough, a throat being cleared.
    """

    interruption: float
    speech: float = 1.0
    steady: float = 1.0
    voiced: float = 1.0
    spoken: float = 1.0


class Hearing:
    """Judges excerpts. One thread at a time."""

    def __init__(self) -> None:
        """Load the networks."""
        self._interruption = interruption_sound()
        self._silero = Silero()

    def judge(self, excerpt: Excerpt) -> Heard:
        """Listen.

        Args:
            excerpt: The sound.

        Returns:
            What it is like.
        """
        spoken = excerpt.samples[excerpt.start :]
        confidence = self.confidence(excerpt.samples)
        steady = confidence[-round(_STEADY_SECS * RATE / _WINDOW) :] >= _SURE
        beginning = self._interruption.judge(spoken[: excerpt.beginning])
        return Heard(
            interruption=beginning.interruption,
            speech=float(confidence[-round(_RECENT_SECS * RATE / _WINDOW) :].mean()) if len(confidence) else 0.0,
            steady=float(steady.mean()) if len(steady) else 0.0,
            voiced=voiced_share(spoken),
            spoken=beginning.spoken,
        )

    def confidence(self, samples: np.ndarray) -> np.ndarray:
        """How sure Silero is of each 32 ms, counted back from the end.

        Args:
            samples: Mono audio at ``RATE``, as loud as 16-bit integers.
        """
        self._silero.reset_states()
        windows = samples[len(samples) % _WINDOW :].reshape(-1, _WINDOW).astype(np.float32) / 32768
        return np.array([float(self._silero(window, RATE)[0, 0]) for window in windows])


def voiced_share(samples: np.ndarray) -> float:
    """Share of a sound that is voiced, by how much it repeats itself within the periods of voices.

    Args:
        samples: Mono audio at ``RATE``, at any loudness.

    Returns:
        0.0 to 1.0; 0.0 for less than 60 ms.
    """
    if len(samples) < _FRAME:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), _FRAME)[::_HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(frames, 2 * _FRAME, axis=1)) ** 2
    likeness = np.fft.irfft(power, axis=1)[:, : _LONGEST + 1]
    best = likeness[:, _SHORTEST:].max(axis=1) / (likeness[:, 0] + 1e-9)
    return float((best > _VOICED).mean())


def above_background(samples: np.ndarray, start: int) -> float:
    """How much louder a sound is than what went on before it.

    Args:
        samples: Mono audio at ``RATE``, as loud as 16-bit integers, up to now.
        start: Index of the sound's beginning.

    Returns:
        In dB, from the median of the second before, so that a word and a pause in it are no background; infinite where
        that is silence, or too short to tell.
    """
    last = start - round(_ONSET_SECS * RATE)
    before = samples[max(0, start - round(_BEFORE_SECS * RATE)) : max(0, last)].astype(np.float64)
    now = samples[start:].astype(np.float64)
    count = len(before) // _HOP
    if count < _BEFORE_SECS * RATE / _HOP / 2 or not len(now):
        return float("inf")
    background = np.median(np.square(before[: count * _HOP]).reshape(count, _HOP).mean(axis=1))
    if background < _AUDIBLE_POWER:
        return float("inf")
    return float(10 * np.log10((np.square(now).mean() + 1e-9) / background))
