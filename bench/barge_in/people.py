"""Makes other people out of a voice: another vocal tract, pitch, melody, breath and pace, each independently.

Needs ``pyworld-prebuilt`` (MIT), which takes speech apart into those and puts it together again.
"""

import numpy as np

from halfcascade.processors.turns.barge_in_sound import RATE

_FRAME_MS = 5.0
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 520.0


def another_person(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let somebody else say the same.

    Args:
        samples: Mono speech at ``RATE``, at any loudness.
        rng: Who.

    Returns:
        Mono speech at ``RATE``.
    """
    import pyworld

    speech = np.ascontiguousarray(samples, np.float64)
    speech = speech / (np.abs(speech).max() + 1e-9)
    pitch, times = pyworld.dio(speech, RATE, f0_floor=_LOWEST_HZ, f0_ceil=_HIGHEST_HZ, frame_period=_FRAME_MS)
    pitch = pyworld.stonemask(speech, pitch, times, RATE)
    envelope = pyworld.cheaptrick(speech, pitch, times, RATE)
    breath = pyworld.d4c(speech, pitch, times, RATE)
    at = _pace(len(pitch), rng)
    tract = float(np.exp(rng.normal(0, 0.1)).clip(0.8, 1.25))
    nearest = at.round().astype(int)
    return pyworld.synthesize(
        np.ascontiguousarray(_melody(pitch, tract, rng)[nearest]),
        np.ascontiguousarray(_shaped(_stretched(envelope, tract), rng)[nearest]),
        np.ascontiguousarray(np.clip(_stretched(breath, tract) ** np.exp(rng.normal(0, 0.35)), 1e-6, 1.0)[nearest]),
        RATE, _FRAME_MS,
    )  # fmt: skip


def _pace(count: int, rng: np.random.Generator) -> np.ndarray:
    """Frames in the order in which they are spoken, fractional: faster here, slower there."""
    speeds = np.exp(np.interp(np.linspace(0, 3, count), np.arange(4), rng.normal(0, 0.12, 4)))
    position = np.cumsum(speeds)
    return np.interp(np.arange(int(position[-1])), position, np.arange(count))


def _melody(pitch: np.ndarray, tract: float, rng: np.random.Generator) -> np.ndarray:
    """Another height, range and slope; who has a short tract mostly has a high voice."""
    voiced = pitch > 0
    if not voiced.any():
        return pitch
    middle = np.exp(np.log(pitch[voiced]).mean())
    height = middle * tract * np.exp(rng.normal(0, 0.17))
    slope = np.exp(rng.normal(0, 0.12) * np.linspace(-1, 1, len(pitch)))
    moved = height * (np.maximum(pitch, 1.0) / middle) ** rng.uniform(0.4, 1.7) * slope
    return np.where(voiced, moved.clip(_LOWEST_HZ, _HIGHEST_HZ), 0.0)


def _stretched(spectra: np.ndarray, tract: float) -> np.ndarray:
    """Move what a tract of length 1 does to where a shorter (above 1.0) or longer one does it."""
    bins = np.arange(spectra.shape[1])
    source = np.minimum(bins / tract, bins[-1])
    below = np.minimum(source.astype(int), bins[-1] - 1)
    share = source - below
    return spectra[:, below] * (1 - share) + spectra[:, below + 1] * share


def _shaped(envelope: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Duller or brighter, and more or less contrast between the resonances and what lies between them."""
    bins = envelope.shape[1]
    tilt_db = rng.normal(0, 4) * np.linspace(-1, 1, bins)
    level = np.log(envelope + 1e-16)
    contrast = rng.uniform(0.85, 1.1)
    middle = level.mean(axis=1, keepdims=True)
    return np.exp(middle + contrast * (level - middle) + tilt_db * np.log(10) / 10)
