"""Reads a recording's files as one, and writes them so that they can be read at any moment."""

import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from halfcascade.bot.session.recording import RecordingFormat

# A FLAC whose writer was killed does not know its length and says so by the largest number there is. It is read block
# by block: where it breaks off, libsndfile loses the place that it would go back to, and the block with it.
_LONGEST_SECS = 30 * 86_400
_FLAC_BLOCK = 4_096


def duration(path: Path) -> float | None:
    """Tell how long one file of a recording is.

    Args:
        path: The file.

    Returns:
        Seconds, or None if it does not know, because its writer was killed.

    Raises:
        OSError: If it cannot be read.
    """
    with _reading(path) as file:
        secs = file.frames / file.samplerate
        return secs if secs < _LONGEST_SECS else None


def read_blocks(paths: list[Path], block_secs: float) -> Iterator[tuple[NDArray[np.int16], int]]:
    """Read a recording's files one after the other.

    Args:
        paths: The files.
        block_secs: Seconds of a block at most.

    Yields:
        Samples, one column a channel, and samples per second.

    Raises:
        OSError: If one cannot be read.
    """
    for path in paths:
        with _reading(path) as file:
            complete = file.frames / file.samplerate < _LONGEST_SECS
            size = int(block_secs * file.samplerate) if complete else _FLAC_BLOCK
            while len(block := _read(file, size, complete)):
                yield block, file.samplerate


def _read(file: soundfile.SoundFile, size: int, complete: bool) -> NDArray[np.int16]:
    try:
        return np.asarray(file.read(size, dtype="int16", always_2d=True))
    except soundfile.SoundFileError:
        if complete:
            raise
        return np.zeros((0, 2), dtype=np.int16)


@contextmanager
def _reading(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise OSError(str(error)) from error


class SoundFileWriter(Protocol):
    """Takes stereo samples for one file."""

    def write(self, pcm: bytes) -> None:
        """Append 16-bit stereo samples; the file can be read afterwards, whatever happens to this process."""

    def close(self) -> None:
        """Complete the file."""


class _WavWriter:
    def __init__(self, path: Path, rate: int):
        # Unbuffered: a block that was written is in the file, whatever happens to this process next.
        self._file = path.open("wb", buffering=0)
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115 closed by the owner
        self._wave.setnchannels(2)
        self._wave.setsampwidth(2)
        self._wave.setframerate(rate)
        self._wave.writeframes(b"")

    def write(self, pcm: bytes) -> None:
        self._wave.writeframes(pcm)

    def close(self) -> None:
        try:
            self._wave.close()
        finally:
            self._file.close()


class _CompressedWriter:
    def __init__(self, path: Path, rate: int, kind: RecordingFormat):
        form, subtype = ("FLAC", "PCM_16") if kind is RecordingFormat.FLAC else ("OGG", "OPUS")
        self._file = soundfile.SoundFile(path, "w", samplerate=rate, channels=2, format=form, subtype=subtype)

    def write(self, pcm: bytes) -> None:
        try:
            self._file.write(np.frombuffer(pcm, "<i2").reshape(-1, 2))
            self._file.flush()
        except soundfile.SoundFileError as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        with suppress(soundfile.SoundFileError):
            self._file.close()


def open_writer(path: Path, rate: int, kind: RecordingFormat) -> SoundFileWriter:
    """Make a file for 16-bit stereo.

    Args:
        path: The file.
        rate: Samples per second; Opus takes 8, 12, 16, 24 and 48 kHz.
        kind: Its format.

    Returns:
        What writes it.

    Raises:
        OSError: If it cannot be made.
    """
    if kind is RecordingFormat.WAV:
        return _WavWriter(path, rate)
    try:
        return _CompressedWriter(path, rate, kind)
    except soundfile.SoundFileError as error:
        raise OSError(str(error)) from error
