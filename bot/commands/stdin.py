"""Audio from standard input, as it comes: a WAV stream of any rate, or bare PCM."""

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import BinaryIO

import numpy as np

from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports.resample import StreamResampler

_RATE = 16_000
_CHUNK_SECS = 0.02
_PCM, _EXTENSIBLE = 1, 0xFFFE


async def read_stdin(stream: BinaryIO) -> AsyncIterator[bytes]:
    """Read audio as it comes.

    Args:
        stream: A 16-bit PCM WAV of any rate and channel count, whose header may leave its length open; or bare 16-bit
            mono PCM at 16 kHz.

    Yields:
        16-bit mono PCM at 16 kHz, no faster than it plays.

    Raises:
        ConfigurationError: If the WAV holds something else.
    """
    head = await asyncio.to_thread(stream.read, 12)
    rate, channels = _RATE, 1
    rest = head
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        rate, channels = await asyncio.to_thread(_wav_header, stream)
        rest = b""
    resampler = StreamResampler(rate, _RATE) if rate != _RATE else None
    size = 2 * channels * round(_CHUNK_SECS * rate)
    loop = asyncio.get_running_loop()
    begun, secs = loop.time(), 0.0
    while chunk := rest + await asyncio.to_thread(stream.read, size - len(rest)):
        rest = b""
        whole = chunk[: len(chunk) // (2 * channels) * 2 * channels]
        samples = np.frombuffer(whole, dtype="<i2").reshape(-1, channels).mean(axis=1).astype(np.int16)
        secs += len(samples) / rate
        mono = resampler.process(samples) if resampler else samples
        yield mono.astype("<i2").tobytes()
        await asyncio.sleep(max(0.0, begun + secs - loop.time()))


def _wav_header(stream: BinaryIO) -> tuple[int, int]:
    rate = channels = 0
    while len(head := stream.read(8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            if rate and channels:
                return rate, channels
            break
        if name == b"fmt ":
            body = stream.read(size + size % 2)
            if len(body) < 16:
                break
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if kind not in (_PCM, _EXTENSIBLE) or bits != 16:
                raise ConfigurationError("Standard input is no 16-bit PCM WAV: convert it, or name the file instead.")
        else:
            stream.read(size + size % 2)
    raise ConfigurationError("Standard input is a WAV without sound: name a file, or pipe 16-bit PCM at 16 kHz.")
