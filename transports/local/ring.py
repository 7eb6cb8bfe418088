"""The loudspeaker's ring buffer and clocks: pure, between the event loop and a device thread."""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

_FADE_SECS = 0.005
_LATE_WITHIN_SECS = 0.35
"""Speech that comes this soon after the ring ran empty was late: the same pause that ends a bot's turn in Pipecat."""


@dataclass
class _Block:
    samples: np.ndarray
    interruptible: bool


class OutputRing:
    """Audio accepted for the loudspeaker and not yet handed to the device.

    Positions count samples since the beginning: `written` of the last one accepted, `taken` of the last one handed to
    the device (or dropped by `flush`). Silence between replies has no position. Thread-safe.
    """

    def __init__(self, sample_rate: int, capacity_secs: float = 0.3):
        """Make an empty ring.

        Args:
            sample_rate: Samples per second, 16-bit mono.
            capacity_secs: How much audio it accepts: what a stalled event loop may take without a gap.
        """
        self.sample_rate = sample_rate
        self.late_writes = 0
        self.written = 0
        self.taken = 0
        self._capacity = int(sample_rate * capacity_secs)
        self._fade = int(sample_rate * _FADE_SECS)
        self._blocks: deque[_Block] = deque()
        self._tail = np.empty(0, np.float32)
        self._gain = self._gain_target = 1.0
        self._gain_step = 0.0
        self._silent_for: int | None = None
        self._lock = threading.Lock()

    @property
    def queued(self) -> int:
        """Samples waiting for the device."""
        return self.written - self.taken

    @property
    def free(self) -> int:
        """Samples that may be written now."""
        return max(0, self._capacity - self.queued)

    def write(self, audio: bytes, *, interruptible: bool = True) -> int:
        """Accept audio; the caller keeps to `free`.

        Args:
            audio: 16-bit little-endian mono PCM.
            interruptible: Whether `flush` may drop it.

        Returns:
            The position of its last sample.
        """
        samples = np.frombuffer(audio, np.int16)
        with self._lock:
            if self._silent_for is not None and self._silent_for < _LATE_WITHIN_SECS * self.sample_rate:
                self.late_writes += 1
            self._silent_for = None
            self._blocks.append(_Block(samples, interruptible))
            self.written += len(samples)
            return self.written

    def read(self, count: int) -> np.ndarray:
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
            if filled < count and (len(queued) or self._silent_for is not None):
                self._silent_for = (self._silent_for or 0) + count - filled
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
            self._silent_for = None
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

    def _take(self, count: int) -> np.ndarray:
        taken: list[np.ndarray] = []
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

    def _apply_gain(self, block: np.ndarray) -> np.ndarray:
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


class BlockClock:
    """Turns jittering estimates of when blocks begin into times that run on evenly.

    A device reports how much it holds in steps of a period, and threads wake late but never early, so the earliest
    estimate of the last half second is the best one. Corrections smaller than a threshold are not made, so that
    consecutive blocks meet.
    """

    _WINDOW_SECS = 0.5
    _CORRECTION_SECS = 0.01

    def __init__(self, sample_rate: int, *, catches_up: bool = False):
        """Start a clock.

        Args:
            sample_rate: Samples per second of the blocks.
            catches_up: Whether audio that was held up still comes, all at once, as from a microphone after a stall: the
                half second is then one of audio.
        """
        self._rate = sample_rate
        self._catches_up = catches_up
        self._position = 0
        self._offset: float | None = None
        self._recent: deque[tuple[float, float]] = deque()

    def resync(self) -> None:
        """Forget earlier estimates: the device is known to have stood still."""
        self._recent.clear()
        self._offset = None

    def stamp(self, estimate: float, samples: int) -> float:
        """Give the time of a block's first sample.

        Args:
            estimate: When it may begin at the latest, in seconds.
            samples: Length of the block.

        Returns:
            Seconds on the clock of the estimate.
        """
        offset = estimate - self._position / self._rate
        now = self._position / self._rate if self._catches_up else estimate
        self._recent.append((now, offset))
        while self._recent[0][0] < now - self._WINDOW_SECS:
            self._recent.popleft()
        best = min(value for _, value in self._recent)
        if self._offset is None or abs(best - self._offset) > self._CORRECTION_SECS:
            self._offset = best
        at = self._offset + self._position / self._rate
        self._position += samples
        return at


class HeardClock:
    """Knows which position of an `OutputRing` the user has heard, output latency included. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, float]] = deque()
        self._heard = 0

    def handed_over(self, position: int, heard_at: float) -> None:
        """Note that the device has everything up to a position.

        Args:
            position: Samples, counted like `OutputRing.taken`.
            heard_at: When the last of them leaves the loudspeaker, in seconds.
        """
        with self._lock:
            if not self._pending or position > self._pending[-1][0]:
                self._pending.append((position, heard_at))

    def heard(self, now: float) -> int:
        """Give the position that has been heard by now."""
        with self._lock:
            while self._pending and self._pending[0][1] <= now:
                self._heard = self._pending.popleft()[0]
            return self._heard
