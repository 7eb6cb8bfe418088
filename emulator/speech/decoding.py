"""Decodes what clients send into 16-bit mono PCM at the listener's rate."""

import io
import struct
from typing import Protocol

import numpy as np
import soundfile
import soxr

from halfcascade.emulator.actions import invalid
from halfcascade.emulator.minds.base import LISTENER_RATE

# G.711 expansion, as ITU-T G.711 defines it.
_SIGN_BIT = 0x80
_WAV_PCM, _WAV_ALAW, _WAV_MULAW, _WAV_EXTENSIBLE = 1, 6, 7, 0xFFFE
_WAV_HEAD = 44
_UNKNOWN_ENCODING = (
    "Audio data does not appear to be in a supported encoding. If you believe this to be incorrect, "
    "try explicitly specifying the decoding parameters."
)


def _mulaw_table() -> np.ndarray:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code >> 4) & 0x07)) - 0x84
    return np.where(code & _SIGN_BIT, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> np.ndarray:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent = (code >> 4) & 0x07
    mantissa = (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & _SIGN_BIT, magnitude, -magnitude).astype(np.int16)


MULAW_TABLE = _mulaw_table()
ALAW_TABLE = _alaw_table()


class Decoder(Protocol):
    """Turns a client's bytes into PCM, piece by piece."""

    def decode(self, data: bytes) -> bytes:
        """Decode a piece.

        Args:
            data: Bytes as the client sent them; samples may be cut anywhere.

        Returns:
            16-bit mono PCM at ``LISTENER_RATE``; may be empty.

        Raises:
            RequestError: If the bytes are not what they should be.
        """

    def flush(self) -> bytes:
        """Decode what is left at the end."""


class RawDecoder:
    """Decodes headerless samples.

    Parameters:
        encoding: ``LINEAR16``, ``MULAW`` or ``ALAW``.
        sample_rate: Samples per second.
        channels: Interleaved channels.
        channel: Which of them is heard; the first one unless asked otherwise (speech_v2 proto, MultiChannelMode).
        skip_header: Whether a WAV header before the samples is passed over, as v1 does.
    """

    def __init__(
        self, encoding: str, sample_rate: int, channels: int, channel: int = 0, *, skip_header: bool = False
    ) -> None:
        self._channel = min(channel, channels - 1)
        self._head: bytes | None = b"" if skip_header else None
        self._table = {"MULAW": MULAW_TABLE, "ALAW": ALAW_TABLE}.get(encoding)
        self._frame_bytes = channels * (2 if self._table is None else 1)
        self._channels = channels
        self._rest = b""
        self._resampler = (
            soxr.ResampleStream(sample_rate, LISTENER_RATE, 1, dtype="int16", quality="HQ")
            if sample_rate != LISTENER_RATE
            else None
        )

    def decode(self, data: bytes) -> bytes:
        """Decode a piece; see ``Decoder``."""
        if self._head is not None:
            self._head += data
            if len(self._head) < _WAV_HEAD and b"RIFF".startswith(self._head[:4]):
                return b""
            data, self._head = _after_wav_head(self._head), None
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        raw = np.frombuffer(data[:whole], dtype="<i2" if self._table is None else np.uint8)
        samples = raw.reshape(-1, self._channels)[:, self._channel]
        if self._table is not None:
            samples = self._table[samples]
        return self._resample(samples, last=False)

    def flush(self) -> bytes:
        """Decode what the resampler still holds."""
        if self._head:
            head, self._head = self._head, None
            return self.decode(head) + self.flush()
        return self._resample(np.empty(0, np.int16), last=True)

    def _resample(self, samples: np.ndarray, *, last: bool) -> bytes:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples, np.int16), last=last)
        return np.ascontiguousarray(samples, dtype="<i2").tobytes()


class AutoDecoder:
    """Finds out the encoding from the first bytes, as ``auto_decoding_config`` asks for.

    WAV is decoded as it comes; other containers that libsndfile reads (FLAC, Ogg Opus, MP3) at the end of the stream.

    Parameters:
        channel: Which channel is heard, from 0.
    """

    def __init__(self, channel: int = 0) -> None:
        self._channel = channel
        self._head = b""
        self._raw: RawDecoder | None = None
        self._container = False

    def decode(self, data: bytes) -> bytes:
        """Decode a piece; see ``Decoder``."""
        if self._raw is not None:
            return self._raw.decode(data)
        self._head += data
        if self._container or len(self._head) < 12:
            return b""
        if self._head.startswith(b"RIFF"):
            return self._decode_wav_head()
        if not self._head.startswith((b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")):
            raise invalid(_UNKNOWN_ENCODING)
        self._container = True
        return b""

    def flush(self) -> bytes:
        """Decode what was held back until the end."""
        if self._raw is not None:
            return self._raw.flush()
        if not self._head:
            return b""
        try:
            samples, rate = soundfile.read(io.BytesIO(self._head), dtype="int16", always_2d=True)
        except soundfile.SoundFileError as error:
            raise invalid(_UNKNOWN_ENCODING) from error
        decoder = RawDecoder("LINEAR16", rate, samples.shape[1], self._channel)
        return decoder.decode(samples.astype("<i2").tobytes()) + decoder.flush()

    def _decode_wav_head(self) -> bytes:
        position, decoder = 12, None
        while len(self._head) >= position + 8:
            name, size = struct.unpack_from("<4sI", self._head, position)
            body = position + 8
            if name == b"data":
                if decoder is None:
                    raise invalid(_UNKNOWN_ENCODING)
                self._raw, samples, self._head = decoder, self._head[body:], b""
                return decoder.decode(samples)
            if name == b"fmt ":
                if len(self._head) < body + 16:
                    return b""
                decoder = self._wav_decoder(*struct.unpack_from("<HHIIHH", self._head, body))
            position = body + size + size % 2
        return b""

    def _wav_decoder(self, kind: int, channels: int, rate: int, _speed: int, _align: int, bits: int) -> RawDecoder:
        encodings = {(_WAV_PCM, 16): "LINEAR16", (_WAV_EXTENSIBLE, 16): "LINEAR16"}
        encodings |= {(_WAV_ALAW, 8): "ALAW", (_WAV_MULAW, 8): "MULAW"}
        if (kind, bits) not in encodings or not channels or not rate:
            raise invalid(_UNKNOWN_ENCODING)
        return RawDecoder(encodings[kind, bits], rate, channels, self._channel)


def _after_wav_head(data: bytes) -> bytes:
    """Cut the header off samples that have one."""
    if not data.startswith(b"RIFF"):
        return data
    position = data.find(b"data", 12)
    return data[position + 8 :] if 0 < position <= 4096 else data[_WAV_HEAD:]
