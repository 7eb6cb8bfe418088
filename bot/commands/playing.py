"""Speech on the loudspeaker as it comes, without a pipeline."""

import asyncio
import threading

import numpy as np

from halfcascade.processors.chirp_tts.settings import SAMPLE_RATE
from halfcascade.transports.local.device import DuplexDevice

_BUFFER_SECS = 0.1
# Speech comes faster than it plays; so much in hand bridges the gap between two sentences' first bytes.
_AHEAD_SECS = 0.2


class Loudspeaker:
    """A loudspeaker that is open while a block lasts.

    Args:
        device: Name or part of it, or None for the system's default.
    """

    def __init__(self, device: str | None = None):
        self._wanted = device
        self._lock = threading.Lock()
        self._queued = np.zeros(0, dtype=np.int16)
        self._flowing = False
        self._device = DuplexDevice(
            input_rate=None,
            output_rate=SAMPLE_RATE,
            buffer_secs=_BUFFER_SECS,
            on_captured=lambda samples, at: None,
            source=self.take,
            on_rendered=lambda samples, at: None,
        )

    async def __aenter__(self) -> "Loudspeaker":
        await asyncio.to_thread(self._device.open, None, self._wanted)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._device.close)

    def put(self, pcm: bytes) -> None:
        """Queue speech.

        Args:
            pcm: 16-bit mono PCM at the voice's rate.
        """
        with self._lock:
            self._queued = np.concatenate([self._queued, np.frombuffer(pcm, dtype="<i2")])

    def take(self, count: int) -> np.ndarray:
        """Give what is heard next.

        Args:
            count: How many samples.

        Returns:
            Speech, then silence.
        """
        with self._lock:
            self._flowing = self._flowing or len(self._queued) >= _AHEAD_SECS * SAMPLE_RATE
            played = self._queued[:count] if self._flowing else self._queued[:0]
            self._queued = self._queued[len(played) :]
        return np.pad(played, (0, count - len(played)))

    async def drain(self) -> None:
        """Wait until all that was queued has been heard."""
        with self._lock:
            self._flowing = True
        while len(self._queued):  # noqa: ASYNC110 the device's thread knows nothing of the event loop
            await asyncio.sleep(0.02)
        await asyncio.sleep(2 * _BUFFER_SECS)
