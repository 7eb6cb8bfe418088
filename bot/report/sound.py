"""The recording for a page: small enough to travel in it, and its outline to draw at once."""

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from halfcascade.bot.session.sound_files import duration, read_blocks

RATE = 16_000
PEAKS_PER_SEC = 50
_BLOCK_SECS = 60
# Kilobits a second for both channels, best first, and how large the audio may be for a page that still opens at once.
_BITRATES = (40, 32, 24, 16)
_EMBEDDED_BYTES = 9_500_000


@dataclass(frozen=True)
class Sound:
    """A recording ready for a page.

    Parameters:
        mp3: Both channels, compressed.
        peaks: Loudest sample of each fiftieth of a second, 0 to 255, microphone and loudspeaker.
        seconds: How long it is.
    """

    mp3: bytes
    peaks: tuple[bytes, bytes]
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether it is small enough to travel within the page."""
        return len(self.mp3) <= _EMBEDDED_BYTES

    def peaks_as_text(self) -> list[str]:
        """The outlines in base64, for JSON."""
        return [base64.b64encode(channel).decode() for channel in self.peaks]


def compress(paths: list[Path]) -> Sound:
    """Read and compress a recording.

    Args:
        paths: Its files, stereo, in the order of time.

    Returns:
        The sound; empty if the recording is.

    Raises:
        OSError: If it cannot be read.
    """
    encoder, resampler, seconds = None, None, 0.0
    mp3, peaks = bytearray(), []
    try:
        bitrate = _bitrate(sum(duration(path) or 0.0 for path in paths))
        for block, rate in read_blocks(paths, _BLOCK_SECS):
            if encoder is None or resampler is None:
                encoder = _encoder(bitrate)
                resampler = soxr.ResampleStream(rate, RATE, 2, dtype="int16")
            stereo = block if block.shape[1] == 2 else np.repeat(block[:, :1], 2, axis=1)
            seconds += len(stereo) / rate
            peaks.append(_outline(stereo, rate))
            mp3 += encoder.encode(resampler.resample_chunk(np.ascontiguousarray(stereo)).tobytes())
        if encoder is not None and resampler is not None:
            mp3 += encoder.encode(resampler.resample_chunk(np.zeros((0, 2), dtype=np.int16), last=True).tobytes())
            mp3 += encoder.flush()
    except RuntimeError as error:
        raise OSError(str(error)) from error
    outline = np.concatenate(peaks) if peaks else np.zeros((0, 2), dtype=np.uint8)
    return Sound(bytes(mp3), (outline[:, 0].tobytes(), outline[:, 1].tobytes()), seconds)


def _bitrate(seconds: float) -> int:
    return next((rate for rate in _BITRATES if seconds * rate * 125 <= _EMBEDDED_BYTES), _BITRATES[-1])


def _encoder(bitrate: int):  # type: ignore[no-untyped-def]
    # Deferred: whoever only lists sessions does without it.
    import lameenc

    encoder = lameenc.Encoder()
    encoder.set_bit_rate(bitrate)
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(2)
    # The quickest but two: speech at these rates sounds the same, and a long talk is done in seconds.
    encoder.set_quality(7)
    encoder.silence()
    return encoder


def _outline(stereo: np.ndarray, rate: int) -> np.ndarray:
    size = rate // PEAKS_PER_SEC
    padded = np.pad(stereo, ((0, -len(stereo) % size), (0, 0))).reshape(-1, size, 2)
    loudest = np.abs(padded.astype(np.int32)).max(axis=1)
    return np.minimum(255, loudest >> 7).astype(np.uint8)
