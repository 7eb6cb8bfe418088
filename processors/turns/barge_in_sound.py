"""What the first third of a second of speech sounds like: somebody taking the floor, or a listener's "mm-hm".

A neural network judges it: the two lowest layers of the encoder behind Pipecat's Smart Turn, trained further on the
beginnings of utterances (``bench/barge_in``). It takes a few milliseconds, so ask it off the event loop.
"""

from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime as ort
import soxr

RATE = 16_000
"""Sample rate the network hears, in Hz."""

_HOP = 160
# Speech begins where it is this much louder than the quietest recent moment, and not more than this far below its peak.
_RISE_DB, _BELOW_PEAK_DB = 12.0, 30.0
_LOOK_BACK_SECS = 0.3
_MODEL = "data/barge_in_sound.onnx"


def find_start(samples: np.ndarray, at: int) -> int:
    """Find where speech begins that a detector has noticed.

    Args:
        samples: Mono audio at ``RATE`` around it, as loud as 16-bit integers.
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
    """The trained judge. May be asked from any thread."""

    def __init__(self, model: Path | None = None) -> None:
        """Load the network.

        Args:
            model: Another one than that of this package, in ONNX.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        content = (model or resources.files("halfcascade.processors.turns").joinpath(_MODEL)).read_bytes()
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def probability(self, samples: np.ndarray) -> float:
        """How likely it is that somebody takes the floor.

        Args:
            samples: 0.2 to 0.7 s of mono audio at ``RATE`` from the first sound of speech on, at any loudness.
        """
        loudest = max(1e-6, float(np.abs(samples).max(initial=0.0)))
        (probability,) = self._session.run(["probability"], {"samples": (samples / loudest)[None].astype(np.float32)})
        return float(probability[0])


def to_rate(pcm: bytes, sample_rate: int) -> np.ndarray:
    """Decode 16-bit mono PCM and bring it to ``RATE``."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    return samples if sample_rate == RATE else soxr.resample(samples, sample_rate, RATE)
