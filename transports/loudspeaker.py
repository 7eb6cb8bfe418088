"""The one loudspeaker under device and WAV card: queue, fades, loudness, and whether speech came too late."""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FADE_SECS = 0.005
"""What is left of interrupted speech is faded out over this long rather than cut, which would click."""

_LATE_WITHIN_SECS = 0.35
"""Speech that comes this soon after the queue ran empty was late: the same pause that ends a bot's turn in Pipecat."""

Samples = NDArray[np.int16]


@dataclass
class _Block:
    samples: Samples
    interruptible: bool


class Loudspeaker:
    """Audio accepted for a loudspeaker and not yet played by it.

    Positions count samples since the beginning: `written` of the last one accepted, `taken` of the last one handed to
    the device (or dropped by `flush`). Silence between replies has no position. Thread-safe.

    Parameters:
        late_writes: Times that speech came too late: the queue had run empty in its middle.
        late_secs: Length of the gaps that were heard then.
    """

    def __init__(self, sample_rate: int, capacity_secs: float | None = None):
        """Start silent.

        Args:
            sample_rate: Samples per second, 16-bit mono.
            capacity_secs: How much audio it accepts, such as what a stalled event loop may take without a gap; None
                for any amount.
        """
        self.sample_rate = sample_rate
        self.late_writes = 0
        self.late_secs = 0.0
        self.written = 0
        self.taken = 0
        self._capacity = None if capacity_secs is None else int(sample_rate * capacity_secs)
        self._fade = int(sample_rate * FADE_SECS)
        self._blocks: deque[_Block] = deque()
        self._tail = np.empty(0, np.float32)
        self._gain = self._gain_target = 1.0
        self._gain_step = 0.0
        self._speech_open = False
        self._silent_for = 0
        self._sounding = False
        self._lock = threading.Lock()

    @property
    def queued(self) -> int:
        """Samples waiting for the device."""
        return self.written - self.taken

    @property
    def queued_secs(self) -> float:
        """How much is waiting for the device, in seconds."""
        return self.queued / self.sample_rate

    @property
    def free(self) -> int | None:
        """Samples that may be written now; None for any number."""
        return None if self._capacity is None else max(0, self._capacity - self.queued)

    @property
    def silent(self) -> bool:
        """Whether nothing is queued and what was read last held nothing of what was."""
        return not self.queued and not self._sounding

    def write(self, audio: bytes | Samples, *, interruptible: bool = True) -> int:
        """Accept audio; the caller keeps to `free`.

        Args:
            audio: 16-bit little-endian mono PCM.
            interruptible: Whether `flush` may drop it.

        Returns:
            The position of its last sample.
        """
        samples = np.frombuffer(audio, np.int16) if isinstance(audio, bytes) else audio
        with self._lock:
            if self._speech_open and 0 < self._silent_for < _LATE_WITHIN_SECS * self.sample_rate:
                # More of the same speech came after the queue had run empty: that silence was a gap somebody heard.
                self.late_writes += 1
                self.late_secs += self._silent_for / self.sample_rate
            self._speech_open, self._silent_for = True, 0
            self._blocks.append(_Block(samples, interruptible))
            self.written += len(samples)
            return self.written

    def end_speech(self) -> None:
        """Say that what is queued ends an utterance: silence after it is no gap."""
        with self._lock:
            self._speech_open = False

    def read(self, count: int) -> Samples:
        """Take the next block for the device: queued audio, then silence, with fades and gain applied.

        Args:
            count: Samples wanted.

        Returns:
            That many int16 samples.
        """
        with self._lock:
            block = np.zeros(count, np.float32)
            filled = min(count, len(self._tail))
            block[:filled] = self._tail[:filled]
            self._tail = self._tail[filled:]
            queued = self._take(count - filled)
            block[filled : filled + len(queued)] = queued
            filled += len(queued)
            self._sounding = filled > 0
            self._silent_for += count - filled
            return self._apply_gain(block)

    def flush(self) -> int:
        """Drop the interruptible audio, all but a few milliseconds that fade out.

        Returns:
            Samples dropped.
        """
        with self._lock:
            dropped, kept = [], deque[_Block]()
            for block in self._blocks:
                if block.interruptible:
                    dropped.append(block.samples)
                else:
                    kept.append(block)
            self._blocks = kept
            count = sum(map(len, dropped))
            self.taken += count
            # Loudness at the cut decides: what is not reached by the fade was never audible.
            fading = np.concatenate([self._tail, *dropped])[: self._fade].astype(np.float32) if dropped else self._tail
            self._tail = fading * np.linspace(1.0, 0.0, len(fading), dtype=np.float32)
            self._speech_open = False
            return count

    def set_gain(self, gain: float, ramp_secs: float = 0.02) -> None:
        """Change the loudness of everything read from now on.

        Args:
            gain: Multiplier on the samples.
            ramp_secs: Time over which it is approached.
        """
        with self._lock:
            self._gain_target = max(0.0, gain)
            ramp = max(1, int(ramp_secs * self.sample_rate))
            self._gain_step = (self._gain_target - self._gain) / ramp

    def _take(self, count: int) -> Samples:
        taken: list[Samples] = []
        missing = count
        while missing and self._blocks:
            samples = self._blocks[0].samples
            taken.append(samples[:missing])
            if len(samples) > missing:
                self._blocks[0].samples = samples[missing:]
            else:
                self._blocks.popleft()
            missing -= len(taken[-1])
        self.taken += count - missing
        return np.concatenate(taken) if taken else np.empty(0, np.int16)

    def _apply_gain(self, block: NDArray[np.float32]) -> Samples:
        if self._gain == self._gain_target == 1.0:
            return block.astype(np.int16)
        ramp = self._gain + self._gain_step * np.arange(1, len(block) + 1, dtype=np.float32)
        low, high = sorted((self._gain, self._gain_target))
        gains = np.clip(ramp, low, high)
        if len(block):
            self._gain = float(gains[-1])
            if abs(self._gain - self._gain_target) <= abs(self._gain_step):
                self._gain = self._gain_target
        return np.clip(np.rint(block * gains), -32768, 32767).astype(np.int16)
