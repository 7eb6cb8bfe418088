"""What the first third of a second of speech sounds like: somebody taking the floor, or a listener's "mm-hm".

A neural network judges it: the two lowest layers of the encoder behind Pipecat's Smart Turn, trained further on the
beginnings of utterances (``bench/barge_in``). It also says whether it is speech at all: laughter and coughs begin much
like words. It takes a few milliseconds, so ask it off the event loop.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
import soxr

RATE = 16_000
"""Sample rate the network hears, in Hz."""

_HOP = 160
# Of the network, in the order of ``Beginning``.
_OUTPUTS = ("probability", "spoken")
# Speech begins where it is this much louder than the quietest recent moment, and not more than this far below its peak.
_RISE_DB, _BELOW_PEAK_DB = 12.0, 30.0
_LOOK_BACK_SECS = 0.3
MODEL = Path(__file__).parent / "data/barge_in_sound.onnx"
"""The network."""


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


class Beginning(NamedTuple):
    """What the beginning of a sound is like, 0.0 to 1.0 each.

    Parameters:
        interruption: Probability that somebody takes the floor, if it is speech.
        spoken: Probability that it is speech, and not laughter, a cough, a throat being cleared.
    """

    interruption: float
    spoken: float


class InterruptionSound:
    """The trained judge. May be asked from any thread."""

    def __init__(self, model: Path = MODEL) -> None:
        """Load the network.

        Args:
            model: Where it is, in ONNX.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])

    def judge(self, samples: np.ndarray) -> Beginning:
        """What the beginning of a sound is like.

        Args:
            samples: 0.2 to 0.7 s of mono audio at ``RATE`` from the first sound on, at any loudness.
        """
        answers = self._session.run(_OUTPUTS, {"samples": scaled(samples)[None]})
        return Beginning(*(float(answer[0]) for answer in answers))


def scaled(samples: np.ndarray) -> np.ndarray:
    """Bring samples to the loudness that the network expects: a peak of 1."""
    loudest = max(1e-6, float(np.abs(samples).max(initial=0.0)))
    return (samples / loudest).astype(np.float32)


def to_rate(pcm: bytes, sample_rate: int) -> np.ndarray:
    """Decode 16-bit mono PCM and bring it to ``RATE``."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    return samples if sample_rate == RATE else soxr.resample(samples, sample_rate, RATE)
