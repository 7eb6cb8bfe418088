"""Encodes synthesized speech the way clients ask for it."""

import io
from typing import Protocol

import numpy as np
import soundfile
import soxr

from halfcascade.emulator.minds.base import SPEAKER_RATE

# ITU-T G.711, on its 14-bit scale.
_MULAW_CLIP = 8_158
_MULAW_BIAS = 33


class Encoder(Protocol):
    """Turns PCM into a client's encoding, piece by piece."""

    def encode(self, pcm: bytes) -> bytes:
        """Encode a piece.

        Args:
            pcm: 16-bit mono PCM at ``SPEAKER_RATE``.

        Returns:
            Encoded bytes; may be empty when the codec waits for more.
        """

    def flush(self) -> bytes:
        """Encode what is left at the end."""


class RawEncoder:
    """Encodes headerless samples.

    Parameters:
        encoding: ``PCM``, ``MULAW`` or ``ALAW``.
        sample_rate: Samples per second.
    """

    def __init__(self, encoding: str, sample_rate: int) -> None:
        self._encoding = encoding
        self._resampler = (
            soxr.ResampleStream(SPEAKER_RATE, sample_rate, 1, dtype="int16", quality="HQ")
            if sample_rate != SPEAKER_RATE
            else None
        )

    def encode(self, pcm: bytes) -> bytes:
        """Encode a piece; see ``Encoder``."""
        return self._encode(np.frombuffer(pcm, dtype="<i2"), last=False)

    def flush(self) -> bytes:
        """Encode what the resampler still holds."""
        return self._encode(np.empty(0, np.int16), last=True)

    def _encode(self, samples: np.ndarray, *, last: bool) -> bytes:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples, np.int16), last=last)
        if self._encoding == "MULAW":
            return encode_mulaw(samples)
        if self._encoding == "ALAW":
            return encode_alaw(samples)
        return np.ascontiguousarray(samples, dtype="<i2").tobytes()


class FileEncoder:
    """Encodes into a container that libsndfile can write as a stream.

    Parameters:
        container: libsndfile's name of the container, such as ``OGG``.
        codec: libsndfile's name of the codec, such as ``OPUS``.
        sample_rate: Samples per second.
    """

    def __init__(self, container: str, codec: str, sample_rate: int) -> None:
        self._raw = RawEncoder("PCM", sample_rate)
        self._buffer = io.BytesIO()
        self._file = soundfile.SoundFile(
            self._buffer, "w", samplerate=sample_rate, channels=1, format=container, subtype=codec
        )
        self._taken = 0

    def encode(self, pcm: bytes) -> bytes:
        """Encode a piece; see ``Encoder``."""
        self._write(self._raw.encode(pcm))
        self._file.flush()
        return self._take()

    def flush(self) -> bytes:
        """Close the container."""
        self._write(self._raw.flush())
        self._file.close()
        return self._take()

    def whole(self, pcm: bytes) -> bytes:
        """Encode everything at once, headers complete.

        Args:
            pcm: 16-bit mono PCM at ``SPEAKER_RATE``.

        Returns:
            The file.
        """
        self._write(self._raw.encode(pcm) + self._raw.flush())
        self._file.close()
        return self._buffer.getvalue()

    def _write(self, pcm: bytes) -> None:
        if pcm:
            self._file.write(np.frombuffer(pcm, dtype="<i2"))

    def _take(self) -> bytes:
        data = self._buffer.getvalue()[self._taken :]
        self._taken += len(data)
        return data


def encode_mulaw(samples: np.ndarray) -> bytes:
    """Compress samples after ITU-T G.711 mu-law.

    Args:
        samples: 16-bit samples.

    Returns:
        One byte a sample.
    """
    magnitude = np.minimum(np.abs(samples.astype(np.int32)) >> 2, _MULAW_CLIP) + _MULAW_BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    mantissa = (magnitude >> (exponent + 1)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()


def encode_alaw(samples: np.ndarray) -> bytes:
    """Compress samples after ITU-T G.711 A-law.

    Args:
        samples: 16-bit samples.

    Returns:
        One byte a sample.
    """
    value = samples.astype(np.int32)
    magnitude = np.minimum(np.where(value < 0, -value - 1, value), 32_767)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 7, 0)
    mantissa = np.where(exponent == 0, magnitude >> 4, magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(value < 0, 0, 0x80)
    return ((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8).tobytes()
