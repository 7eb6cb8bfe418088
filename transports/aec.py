"""Acoustic echo cancelling: WebRTC's AEC3 with the pairing, measuring and fallback that make it usable in a transport.

No device is touched here: one thread hands over what it gives the loudspeaker (`EchoCanceller.reference`), another what
the microphone gave (`EchoCanceller.process`).
"""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from pywebrtc_audio import AudioProcessor

FRAME_SECS = 0.01
"""AEC3 works on frames of 10 ms."""

_FULL_SCALE = 32768.0
_FLOOR_DB = -100.0
_QUIET_DB = -65.0
"""Levels below this differ without meaning."""


@dataclass(frozen=True)
class EchoStats:
    """Health of the echo canceller.

    Parameters:
        erle_db: Echo return loss enhancement over the last seconds in which the bot was heard in the microphone: how
            much quieter its voice is after cancelling, in dB. None before that.
        reference_missing_secs: Audio for which the loudspeaker thread delivered no reference in time.
        reference_dropped_secs: Reference that came too early to be kept.
        half_duplex: Whether the microphone is closed while the bot speaks, because cancelling does not work.
    """

    erle_db: float | None = None
    reference_missing_secs: float = 0.0
    reference_dropped_secs: float = 0.0
    half_duplex: bool = False


class ReferenceQueue:
    """What was handed to the loudspeaker, waiting to be paired with what the microphone gives. Thread-safe.

    The reference must reach AEC3 before its echo: any lead from 0 to 500 ms is found by itself, 20 ms of delay cost
    25 dB (facts audio 4). So the queue is kept short, always shorter than the device's own output latency.
    """

    def __init__(self, max_samples: int):
        """Make an empty queue.

        Args:
            max_samples: Most that may wait after a block was taken; beyond it the queue is cut back to half.
        """
        self.missing = 0
        self.dropped = 0
        self._max = max_samples
        self._blocks: deque[np.ndarray] = deque()
        self._length = 0
        self._started = False
        self._lock = threading.Lock()

    def push(self, block: np.ndarray) -> None:
        """Add what is being written to the device now."""
        with self._lock:
            self._blocks.append(block)
            self._length += len(block)
            self._started = True
            # A microphone that gives nothing must not let the queue grow.
            if self._length > 8 * self._max:
                self._drop(self._length - self._max)

    def pull(self, count: int) -> np.ndarray:
        """Take as much as the microphone gave; what is missing is silence, and counted."""
        with self._lock:
            result = np.zeros(count, np.int16)
            filled = 0
            while filled < count and self._blocks:
                block = self._blocks[0]
                part = block[: count - filled]
                result[filled : filled + len(part)] = part
                filled += len(part)
                if len(part) < len(block):
                    self._blocks[0] = block[len(part) :]
                else:
                    self._blocks.popleft()
            self._length -= filled
            if self._started:
                self.missing += count - filled
            if self._length > self._max:
                self._drop(self._length - self._max // 2)
            return result

    def clear(self) -> None:
        """Forget everything: the device was reopened."""
        with self._lock:
            self._blocks.clear()
            self._length = 0
            self._started = False

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._length -= count
        while count:
            block = self._blocks[0]
            if len(block) > count:
                self._blocks[0] = block[count:]
                return
            count -= len(block)
            self._blocks.popleft()


class CancellingMonitor:
    """Judges from levels alone whether the bot's voice is being cancelled.

    Half-duplex is a heavy measure, so it takes two signs at once over four seconds of bot speech, twice: little is
    cancelled, and what remains rises and falls with what is played. A user who talks over the bot lowers the first
    number but does not follow the bot's rhythm (correlation below 0.4 measured, against 0.8 and more where AEC3 finds
    no reference, such as on a wireless loudspeaker that plays a second late).
    """

    _WINDOW = 400
    _EVERY = 100
    _MIN_LAG, _MAX_LAG = -15, 100
    _SPAN = 50
    _POOR_ERLE_DB = 6.0
    _GOOD_ERLE_DB = 12.0
    _POOR_CORRELATION = 0.55
    _AUDIBLE_DB = -50.0
    _ACTIVE_HANGOVER = 40

    def __init__(self) -> None:
        self.erle_db: float | None = None
        self.poor = False
        self.far_active = False
        self._near = self._out = 0.0
        self._frames = 0
        self._measured: deque[float] = deque(maxlen=8)
        self._noise = 0.0
        self._since_active = self._ACTIVE_HANGOVER
        self._levels: deque[tuple[float, float]] = deque(maxlen=self._WINDOW + self._MAX_LAG - self._MIN_LAG)
        self._active = 0
        self._suspicions = 0

    def observe(self, near: np.ndarray, reference: np.ndarray, out: np.ndarray) -> None:
        """Take one frame of 10 ms: microphone, reference, and what cancelling left; int16."""
        near_power, reference_power, out_power = (_power(block) for block in (near, reference, out))
        # Follows the quietest the microphone gets: up 1 dB a second, down at once.
        self._noise = min(near_power, self._noise * 1.0023 + 1e-12) if self._noise else near_power
        self._since_active = 0 if reference_power > 1e-5 else self._since_active + 1
        self.far_active = self._since_active < self._ACTIVE_HANGOVER
        if not self.far_active:
            return
        if near_power > 4 * self._noise:
            self._measure(near_power, out_power)
        self._levels.append((_decibels(reference_power), _decibels(out_power)))
        self._active += 1
        if self._active % self._EVERY == 0 and len(self._levels) == self._levels.maxlen:
            self._judge()

    def _measure(self, near_power: float, out_power: float) -> None:
        """Take the median of half seconds, so that a user who talks over the bot does not count as echo at once."""
        self._near += near_power
        self._out += out_power
        self._frames += 1
        if self._frames == self._SPAN:
            self._measured.append(float(10 * np.log10((self._near + 1e-12) / (self._out + 1e-12))))
            self.erle_db = float(np.median(self._measured))
            self._near = self._out = 0.0
            self._frames = 0

    def _judge(self) -> None:
        if self.erle_db is None:
            return
        reference, out = np.array(self._levels).T
        audible = bool(np.percentile(out, 80) > self._AUDIBLE_DB)
        if audible and self.erle_db < self._POOR_ERLE_DB and self._follows(reference, out) > self._POOR_CORRELATION:
            self._suspicions += 1
        elif self.erle_db > self._GOOD_ERLE_DB or not audible:
            self._suspicions = 0
        self.poor = self._suspicions >= (1 if self.poor else 2)

    def _follows(self, reference: np.ndarray, out: np.ndarray) -> float:
        """Best correlation of the two level curves, whichever of them comes first."""
        first = np.maximum(reference[-self._MIN_LAG : -self._MIN_LAG + self._WINDOW], _QUIET_DB)
        best = 0.0
        for start in range(0, self._MAX_LAG - self._MIN_LAG, 2):
            second = np.maximum(out[start : start + self._WINDOW], _QUIET_DB)
            if first.std() > 1 and second.std() > 1:
                best = max(best, float(np.corrcoef(first, second)[0, 1]))
        return best


class EchoCanceller:
    """Removes what the loudspeaker plays from what the microphone hears.

    `reference` and `process` may be called from different threads, each from one at a time.
    """

    def __init__(self, sample_rate: int, *, noise_suppression: bool = False, reference_max_secs: float = 0.04):
        """Set AEC3 up. Gain control stays off: it lifts the residual echo with the user's voice (facts audio 4).

        Args:
            sample_rate: Samples per second of microphone and reference.
            noise_suppression: Whether steady noise is suppressed as well.
            reference_max_secs: Longest wait of a reference for its microphone block; stays below the output latency.
        """
        self._frame = round(sample_rate * FRAME_SECS)
        self._rate = sample_rate
        self._engine = AudioProcessor(
            sample_rate, 1, echo_cancellation=True, noise_suppression=noise_suppression, high_pass_filter=True
        )
        self._queue = ReferenceQueue(max(self._frame, round(sample_rate * reference_max_secs)))
        self._pending = np.empty(0, np.int16)
        self._monitor = CancellingMonitor()

    @property
    def stats(self) -> EchoStats:
        """Counters and judgement so far."""
        return EchoStats(
            erle_db=self._monitor.erle_db,
            reference_missing_secs=self._queue.missing / self._rate,
            reference_dropped_secs=self._queue.dropped / self._rate,
            half_duplex=self._monitor.poor,
        )

    @property
    def pending_secs(self) -> float:
        """Audio given to `process` that waits for the rest of its frame."""
        return len(self._pending) / self._rate

    def reference(self, block: np.ndarray) -> None:
        """Take int16 samples at the moment they are handed to the loudspeaker, silence included."""
        self._queue.push(block)

    def process(self, near: np.ndarray) -> np.ndarray:
        """Cancel the echo in the next microphone block.

        Args:
            near: int16 samples as captured, any number.

        Returns:
            int16 samples, whole frames of 10 ms; what is left over comes with the next block.
        """
        near = np.concatenate([self._pending, near]) if len(self._pending) else near
        whole = len(near) // self._frame * self._frame
        self._pending = near[whole:]
        if not whole:
            return np.empty(0, np.int16)
        near, far = np.ascontiguousarray(near[:whole]), self._queue.pull(whole)
        out = self._engine.process(near, far)
        for start in range(0, whole, self._frame):
            part = slice(start, start + self._frame)
            self._monitor.observe(near[part], far[part], out[part])
        if self._monitor.poor and self._monitor.far_active:
            return np.zeros_like(out)
        return out

    def restart(self) -> None:
        """Start over, because the devices were reopened and with them the delay; not while `process` runs."""
        self._queue.clear()
        self._pending = np.empty(0, np.int16)
        self._engine.reset()
        self._monitor = CancellingMonitor()


def _power(block: np.ndarray) -> float:
    """Mean square against full scale."""
    samples = block.astype(np.float64) / _FULL_SCALE
    return float(np.mean(samples**2)) if len(samples) else 0.0


def _decibels(power: float) -> float:
    return max(_FLOOR_DB, float(10 * np.log10(power + 1e-12)))
