"""Lets a person hear a conversation that runs without devices, if there is a loudspeaker."""

import threading
from collections import deque

import numpy as np

from halfcascade.transports.local.device import DuplexDevice
from halfcascade.transports.resample import StreamResampler

_RATE = 24_000
_BUFFER_SECS = 0.1
# A loudspeaker slower than the conversation's clock skips rather than falls behind.
_BEHIND_SECS = 0.5
# Blocks come with the jitter of an event loop; without this much in hand each late one would be heard as a crackle.
_AHEAD_SECS = 0.08


class _Side:
    """What one of the two has said and nobody has heard yet."""

    def __init__(self) -> None:
        self._blocks: deque[np.ndarray] = deque()
        self._waiting = 0
        self._flowing = False
        self._resampler: tuple[int, StreamResampler] | None = None

    def put(self, audio: bytes, sample_rate: int) -> None:
        if not self._resampler or self._resampler[0] != sample_rate:
            self._resampler = sample_rate, StreamResampler(sample_rate, _RATE)
        block = self._resampler[1].process(np.frombuffer(audio, dtype="<i2"))
        self._blocks.append(block)
        self._waiting += len(block)
        while self._waiting > _BEHIND_SECS * _RATE:
            self._waiting -= len(self._blocks.popleft())

    def take(self, count: int) -> np.ndarray:
        sound = np.zeros(count, dtype=np.int32)
        self._flowing = self._flowing or self._waiting >= _AHEAD_SECS * _RATE
        if not self._flowing:
            return sound
        filled = 0
        while filled < count and self._blocks:
            block = self._blocks.popleft()
            piece, rest = block[: count - filled], block[count - filled :]
            sound[filled : filled + len(piece)] = piece
            filled += len(piece)
            if len(rest):
                self._blocks.appendleft(rest)
        self._waiting -= filled
        self._flowing = filled == count
        return sound


class Mirror:
    """An ``AudioTap`` that plays both directions on the default loudspeaker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captured, self._played = _Side(), _Side()
        self._device = DuplexDevice(
            input_rate=None,
            output_rate=_RATE,
            buffer_secs=_BUFFER_SECS,
            on_captured=lambda samples, at: None,
            source=self.mix,
            on_rendered=lambda samples, at: None,
        )

    def open(self) -> None:
        """Open the loudspeaker. Blocks: call it off the event loop.

        Raises:
            ConfigurationError: If there is none.
        """
        self._device.open(None, None)

    def close(self) -> None:
        """Close the loudspeaker. Blocks: call it off the event loop."""
        self._device.close()

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds of the first sample; both directions come in step, so it is not needed.
        """
        with self._lock:
            self._captured.put(audio, sample_rate)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds at which the first sample is heard; not needed either.
        """
        with self._lock:
            self._played.put(audio, sample_rate)

    def mix(self, count: int) -> np.ndarray:
        """Give what is heard next.

        Args:
            count: How many samples.

        Returns:
            Both directions added, silence where there is nothing: int16 mono at 24 kHz.
        """
        with self._lock:
            both = self._captured.take(count) + self._played.take(count)
        return np.clip(both, -32768, 32767).astype(np.int16)
