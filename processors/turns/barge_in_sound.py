"""What the first third of a second of speech sounds like: somebody taking the floor, or a listener's "mm-hm".

A small neural network on mel bands, trained by ``bench/train_barge_in.py`` on synthetic speech of many voices. It costs
well under a millisecond.
"""

from functools import cache
from importlib import resources

import numpy as np
import soxr

RATE = 16_000
WINDOW_SECS = 0.35
_FFT = 512
_HOP = 160
_BANDS = 24
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 7_600.0
_TIME_COEFFICIENTS = 12
_BAND_COEFFICIENTS = 16
_FLOOR_DB = 50.0
# Speech begins where it is this much louder than the quietest recent moment, and not more than this far below its peak.
_RISE_DB, _BELOW_PEAK_DB = 12.0, 30.0
_LOOK_BACK_SECS = 0.3
_WEIGHTS = "data/barge_in_sound.npz"


def features(samples: np.ndarray) -> np.ndarray:
    """Describe the beginning of speech.

    Args:
        samples: ``WINDOW_SECS`` of mono audio at ``RATE`` from its first sound on, any scale.

    Returns:
        A vector: the smoothed shape of the mel spectrogram over time, relative to its loudest moment.
    """
    size = round(WINDOW_SECS * RATE)
    samples = np.pad(samples[:size].astype(np.float64), (0, max(0, size - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FFT)[::_HOP] * np.hanning(_FFT)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = 10 * np.log10(power @ _mel_filters().T + 1e-9)
    mel = np.maximum(mel, mel.max() - _FLOOR_DB) - mel.max() + _FLOOR_DB
    shape = _dct(mel.shape[0])[:_TIME_COEFFICIENTS] @ mel @ _dct(_BANDS)[:_BAND_COEFFICIENTS].T
    return (shape / _FLOOR_DB).ravel()


def find_start(samples: np.ndarray, at: int) -> int:
    """Find where speech begins that a detector has noticed.

    Args:
        samples: Mono audio at ``RATE`` around it.
        at: Index of a moment at which it had surely begun.

    Returns:
        Index of its first sound, at most 0.3 s earlier.
    """
    first = max(0, at - round(_LOOK_BACK_SECS * RATE))
    region = samples[first : at + 2 * _HOP].astype(np.float64)
    count = len(region) // _HOP
    if count < 2:
        return at
    level = 10 * np.log10(np.square(region[: count * _HOP]).reshape(count, _HOP).mean(axis=1) + 1e-9)
    threshold = max(level.min() + _RISE_DB, level.max() - _BELOW_PEAK_DB)
    loud = level >= threshold
    start = count - 1
    gap = 0
    for i in range(count - 1, -1, -1):
        gap = 0 if loud[i] else gap + 1
        if loud[i]:
            start = i
        elif gap > 6:  # 60 ms of quiet: what was before is another sound.
            break
    return first + start * _HOP


class InterruptionSound:
    """The trained judge."""

    def __init__(self) -> None:
        """Load the weights."""
        with resources.files("processors.turns").joinpath(_WEIGHTS).open("rb") as file:
            weights = np.load(file)
            self._layers = [(weights[f"w{i}"], weights[f"b{i}"]) for i in range(len(weights.files) // 2 - 1)]
            self._mean, self._scale = weights["mean"], weights["scale"]

    def probability(self, samples: np.ndarray) -> float:
        """How likely it is that somebody takes the floor.

        Args:
            samples: As for ``features``.
        """
        x = (features(samples) - self._mean) * self._scale
        for i, (w, b) in enumerate(self._layers):
            x = x @ w + b
            if i < len(self._layers) - 1:
                x = np.maximum(x, 0.0)
        return float(1 / (1 + np.exp(-x[0])))


def to_rate(pcm: bytes, sample_rate: int) -> np.ndarray:
    """Decode 16-bit mono PCM and bring it to ``RATE``."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    return samples if sample_rate == RATE else soxr.resample(samples, sample_rate, RATE)


@cache
def _mel_filters() -> np.ndarray:
    def mel(hz: np.ndarray) -> np.ndarray:
        return 2595 * np.log10(1 + hz / 700)

    edges = np.linspace(mel(np.array(_LOWEST_HZ)), mel(np.array(_HIGHEST_HZ)), _BANDS + 2)
    bins = mel(np.fft.rfftfreq(_FFT, 1 / RATE))
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


@cache
def _dct(size: int) -> np.ndarray:
    k = np.arange(size)
    basis = np.cos(np.pi / size * (k[None, :] + 0.5) * k[:, None]) * np.sqrt(2 / size)
    basis[0] /= np.sqrt(2)
    return basis
