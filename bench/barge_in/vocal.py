"""Sounds that people make and that are no speech: laughter, coughs, sneezes, throats being cleared, sighs, groans.

Made as a vocal tract makes them: a source (pulses of the vocal folds, breath) through resonances. No recording has a
part in them, so that what learns from them is free of anybody's rights.
"""

from collections.abc import Callable

import numpy as np

from halfcascade.processors.turns.barge_in_sound import RATE

_FORMANTS = 4
_LONGEST_SECS = 1.4
# The frequencies that vowels have their first three resonances at, in Hz, of a tract of average length.
_FORMANT_RANGES = ((280, 850), (750, 2300), (2100, 3000), (3200, 3900))
_STEP = RATE // 200


class Tract:
    """A person's vocal tract, and how it is held at the moment.

    Args:
        rng: What is left to chance.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        woman = rng.random() < 0.5
        self._length = rng.uniform(0.95, 1.25) if woman else rng.uniform(0.82, 1.05)
        self.pitch = rng.uniform(170, 280) if woman else rng.uniform(85, 160)
        self._tilt = rng.uniform(0.0, 1.2)

    def vowel(self, openness: float | None = None) -> np.ndarray:
        """Resonances in Hz of a way to hold it; ``openness`` 1.0 is the mouth wide open, by chance if None."""
        shares = self._rng.random(_FORMANTS)
        if openness is not None:
            shares[0] = np.clip(openness + self._rng.normal(0, 0.12), 0, 1)
        low, high = np.array(_FORMANT_RANGES, np.float64).T
        return (low + shares * (high - low)) * self._length

    def voice(self, pitch: np.ndarray, breath: float, rough: float = 0.02) -> np.ndarray:
        """The vocal folds.

        Args:
            pitch: In Hz, one value a sample.
            breath: How much of it is breath, 0.0 to 1.0.
            rough: How irregular the pulses are.
        """
        rng, count = self._rng, len(pitch)
        knots = np.arange(0, count, _STEP)
        wander = np.interp(np.arange(count), knots, rng.normal(0, rough, len(knots)))
        loudness = np.interp(np.arange(count), knots, rng.normal(1, 3 * rough, len(knots)))
        phase = np.cumsum(pitch * (1 + wander)) / RATE
        pulses = np.diff(np.floor(phase), prepend=0.0) * loudness
        hz = np.fft.rfftfreq(count, 1 / RATE)
        corner = rng.uniform(150, 900)
        softened = np.fft.irfft(np.fft.rfft(pulses) / (1 + (hz / corner) ** 2) ** rng.uniform(0.35, 0.7), count)
        # Breath streams when the folds are open.
        streaming = rng.standard_normal(count) * (0.4 + 0.6 * (np.mod(phase, 1.0) < 0.5))
        return (1 - breath) * softened / (softened.std() + 1e-9) + breath * streaming

    def sound(self, source: np.ndarray, first: np.ndarray, last: np.ndarray | None = None) -> np.ndarray:
        """Lead a source through the tract, which may move from one way to hold it to another."""
        one = self._resonate(source, first)
        if last is None:
            return one
        share = np.linspace(0, 1, len(source)) ** self._rng.uniform(0.5, 2)
        return (1 - share) * one + share * self._resonate(source, last)

    def _resonate(self, source: np.ndarray, formants: np.ndarray) -> np.ndarray:
        hz = np.fft.rfftfreq(2 * len(source), 1 / RATE)
        gain = np.zeros(len(hz), np.complex128)
        for number, formant in enumerate(formants):
            width = self._rng.uniform(50, 110) * (1 + 0.5 * number)
            strength = 10 ** (-self._rng.uniform(2, 9) * number / 20)
            gain += (-1) ** number * strength * formant * width / (formant**2 - hz**2 + 1j * hz * width)
        tilt = (hz / 300 + 1) ** -self._tilt
        return np.fft.irfft(np.fft.rfft(source, 2 * len(source)) * gain * tilt)[: len(source)]


def laughter(rng: np.random.Generator) -> np.ndarray:
    """Bursts of voice or breath, four to seven a second, each falling in pitch, with breath in between."""
    tract, rate = Tract(rng), rng.uniform(3.8, 7.0)
    vowel = tract.vowel(rng.uniform(0.2, 1.0))
    voiced = rng.random() < 0.75
    breath = rng.uniform(0.0, 0.35) if voiced else rng.uniform(0.8, 1.0)
    pitch = tract.pitch * rng.uniform(1.0, 2.4)
    fall, open_share = rng.uniform(0.75, 1.0), rng.uniform(0.3, 0.65)
    pieces, loudness = [], 1.0
    if rng.random() < 0.4:  # It often begins with one long burst, or a snort.
        first = _times(rng, 0.12, 0.4)
        contour = pitch * np.linspace(rng.uniform(0.8, 1.3), rng.uniform(0.8, 1.2), len(first))
        pieces.append(tract.sound(tract.voice(contour, breath), vowel) * _swell(rng, len(first)))
    while sum(map(len, pieces)) < rng.uniform(0.4, _LONGEST_SECS) * RATE:
        count = round(rng.uniform(0.85, 1.15) / rate * RATE)
        burst = round(count * open_share)
        contour = pitch * np.linspace(rng.uniform(1.0, 1.25), fall, count) * rng.uniform(0.92, 1.08)
        source = tract.voice(contour, breath, rng.uniform(0.01, 0.06))
        rest = rng.standard_normal(count) * 10 ** (rng.uniform(-45, -10) / 20)
        shape = np.zeros(count)
        shape[:burst] = _swell(rng, burst)
        mixed = shape * source + (1 - shape) * rest
        pieces.append(loudness * tract.sound(mixed, vowel + rng.normal(0, 40, _FORMANTS)))
        loudness *= rng.uniform(0.8, 1.05)
        pitch *= rng.uniform(0.93, 1.05)
    return np.concatenate(pieces)


def cough(rng: np.random.Generator) -> np.ndarray:
    """A burst of air, the rush behind it, and at times a voice at its end; once or several times."""
    tract = Tract(rng)
    pieces = []
    for _ in range(rng.integers(1, 4)):
        t = _times(rng, 0.15, 0.45)
        burst = np.exp(-t / rng.uniform(0.012, 0.05)) * (1 - np.exp(-t / rng.uniform(0.001, 0.006)))
        rush = rng.uniform(0.1, 0.6) * np.exp(-t / rng.uniform(0.06, 0.18))
        source = (burst + rush) * rng.standard_normal(len(t)) * 2
        if rng.random() < 0.5:
            pitch = tract.pitch * rng.uniform(1.0, 2.0) * np.linspace(1.2, rng.uniform(0.5, 1.0), len(t))
            at = rng.uniform(0.0, 0.25)
            voiced = np.clip((t - at) / 0.02, 0, 1) * np.exp(-np.maximum(0, t - at) / rng.uniform(0.03, 0.1))
            source = source + rng.uniform(0.3, 1.5) * voiced * tract.voice(pitch, 0.3, 0.08)
        pieces += [tract.sound(source, tract.vowel(0.7)), np.zeros(round(rng.uniform(0.0, 0.15) * RATE))]
    return np.concatenate(pieces)


def sneeze(rng: np.random.Generator) -> np.ndarray:
    """Air drawn in, at times with a voice, then the burst: "a-tshoo"."""
    tract, t = Tract(rng), _times(rng, 0.1, 0.5)
    pitch = tract.pitch * np.linspace(1.0, rng.uniform(1.0, 1.8), len(t))
    breath = rng.uniform(0.1, 1.0)
    before = tract.sound(tract.voice(pitch, breath), tract.vowel(0.9)) * np.linspace(0.1, 1, len(t))
    u = _times(rng, 0.08, 0.25)
    hiss = _band(rng.standard_normal(len(u)), rng.uniform(1500, 4500), rng.uniform(500, 2000))
    hiss *= np.exp(-u / rng.uniform(0.04, 0.15)) * (1 - np.exp(-u / 0.003))
    w = _times(rng, 0.1, 0.4)
    contour = tract.pitch * rng.uniform(1.0, 2.2) * np.linspace(1.1, rng.uniform(0.6, 1), len(w))
    after = tract.sound(tract.voice(contour, rng.uniform(0.2, 1.0), 0.04), tract.vowel(0.3)) * np.exp(-w / 0.15)
    pieces = [_peak(before) * rng.uniform(0.1, 0.8), np.zeros(round(rng.uniform(0, 0.12) * RATE)), _peak(hiss)]
    return np.concatenate([*pieces, _peak(after) * rng.uniform(0.1, 0.8)][rng.integers(2) * 2 :])


def throat(rng: np.random.Generator) -> np.ndarray:
    """Folds that creak and rattle behind a tract held close: "ahem"."""
    tract = Tract(rng)
    pieces = []
    for _ in range(rng.integers(1, 4)):
        t = _times(rng, 0.12, 0.5)
        pitch = rng.uniform(35, 110) * np.linspace(rng.uniform(0.8, 1.4), rng.uniform(0.7, 1.2), len(t))
        rattle = 1 + rng.uniform(0.2, 0.9) * np.sin(2 * np.pi * rng.uniform(20, 70) * t)
        source = tract.voice(pitch, rng.uniform(0.1, 0.6), rng.uniform(0.05, 0.2)) * rattle
        vowel = tract.vowel(rng.uniform(0.0, 0.6))
        pieces += [tract.sound(source, vowel, tract.vowel()) * _swell(rng, len(t))]
        pieces += [np.zeros(round(rng.uniform(0, 0.12) * RATE))]
    return np.concatenate(pieces)


def sigh(rng: np.random.Generator) -> np.ndarray:
    """Breath let out, or drawn in, with or without a falling voice; a yawn, when it is long."""
    tract, t = Tract(rng), _times(rng, 0.4, _LONGEST_SECS)
    pitch = tract.pitch * rng.uniform(0.9, 1.8) * np.linspace(1.0, rng.uniform(0.5, 1.0), len(t))
    source = tract.voice(pitch, rng.choice((rng.uniform(0.05, 0.6), 1.0)), 0.03)
    moved = tract.sound(source, tract.vowel(rng.uniform(0.3, 1)), tract.vowel(rng.uniform(0.3, 1)))
    return moved * np.sin(np.pi * (t / t[-1]) ** rng.uniform(0.4, 1.2)) ** rng.uniform(0.6, 1.5)


def groan(rng: np.random.Generator) -> np.ndarray:
    """A short cry of pain or effort: "oof", "ngh", "ah"."""
    tract, t = Tract(rng), _times(rng, 0.12, 0.5)
    bend = np.interp(t, [0, t[-1] * rng.uniform(0.1, 0.6), t[-1]], rng.uniform(0.7, 1.4, 3))
    source = tract.voice(tract.pitch * rng.uniform(0.9, 2.2) * bend, rng.uniform(0.0, 0.5), rng.uniform(0.01, 0.15))
    return tract.sound(source, tract.vowel(), tract.vowel()) * _swell(rng, len(t))


def nose(rng: np.random.Generator) -> np.ndarray:
    """Air through the nose, fluttering: a sniff, or a nose that is blown."""
    tract, t = Tract(rng), _times(rng, 0.15, 0.9)
    flutter = 1 + rng.uniform(0, 0.9) * np.sign(np.sin(2 * np.pi * rng.uniform(25, 140) * t))
    breath = _band(rng.standard_normal(len(t)) * flutter, rng.uniform(300, 2500), rng.uniform(600, 3000))
    return tract.sound(breath, tract.vowel(0.0)) * _swell(rng, len(t))


VOCAL_SOUNDS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    laughter, laughter, laughter, cough, sneeze, throat, sigh, groan, nose,
)  # fmt: skip
"""All of them, laughter more often: it is the likeliest over a bot that speaks, and the most like speech."""


def _times(rng: np.random.Generator, shortest: float, longest: float) -> np.ndarray:
    return np.arange(round(rng.uniform(shortest, longest) * RATE)) / RATE


def _swell(rng: np.random.Generator, count: int) -> np.ndarray:
    """Loudness of a sound that begins and ends softly, or with a jerk."""
    share = np.arange(count) / max(1, count)
    rise, fall = rng.uniform(0.02, 0.4), rng.uniform(0.1, 0.7)
    return np.minimum(1, share / rise) * np.minimum(1, (1 - share) / fall) ** rng.uniform(0.6, 2.0)


def _band(samples: np.ndarray, centre: float, width: float) -> np.ndarray:
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return np.fft.irfft(np.fft.rfft(samples) / (1 + ((hz - centre) / width) ** 2), len(samples))


def _peak(samples: np.ndarray) -> np.ndarray:
    return samples / (np.abs(samples).max() + 1e-9)
