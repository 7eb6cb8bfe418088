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
            much quieter its voice is after cancelling, in dB. None before that, and as long as there is no echo.
        reference_missing_secs: Captured audio for which the loudspeaker's thread delivered no reference in time.
        reference_gaps: Times the loudspeaker stood still, as its clock tells.
        half_duplex: Whether the microphone is closed while the bot speaks, because cancelling does not work.
    """

    erle_db: float | None = None
    reference_missing_secs: float = 0.0
    reference_gaps: int = 0
    half_duplex: bool = False


class ReferenceTimeline:
    """What is played, by the time at which it is heard. Thread-safe.

    The reference must reach AEC3 before its echo: any lead from 0 to 500 ms is found by itself, 20 ms of delay cost
    25 dB (facts audio 4). And the lead must not change: threads wake late and devices run dry, so reference and
    microphone are not paired by counting samples but by both devices' clocks.
    """

    _KEPT_SECS = 2.0
    _JITTER_SECS = 0.001

    def __init__(self, sample_rate: int):
        """Make an empty timeline.

        Args:
            sample_rate: Samples per second.
        """
        self.missing = 0
        self.gaps = 0
        self._rate = sample_rate
        self._jitter = round(sample_rate * self._JITTER_SECS)
        self._samples = np.zeros(round(sample_rate * self._KEPT_SECS), np.int16)
        self._end: int | None = None
        self._cursor: int | None = None
        self._lock = threading.Lock()

    def push(self, block: np.ndarray, at: float) -> None:
        """Add what is heard from a time on.

        Args:
            block: int16 samples.
            at: Seconds at which the first is heard.
        """
        with self._lock:
            start = round(at * self._rate)
            if self._end is None:
                self._end = start
            if abs(start - self._end) <= self._jitter:
                start = self._end
            elif start > self._end:
                self.gaps += 1
                silent = min(start - self._end, len(self._samples))
                self._samples[self._places(start - silent, silent)] = 0
            block = block[-len(self._samples) :]
            self._samples[self._places(start, len(block))] = block
            self._end = start + len(block)

    def pull(self, at: float, count: int) -> np.ndarray:
        """Take what is heard from a time on; what is not known (yet) is silence, and counted.

        Args:
            at: Seconds of the first sample wanted.
            count: Samples wanted.

        Returns:
            That many int16 samples.
        """
        with self._lock:
            start = round(at * self._rate)
            if self._cursor is not None and abs(start - self._cursor) <= self._jitter:
                start = self._cursor
            self._cursor = start + count
            result = np.zeros(count, np.int16)
            if self._end is None:
                return result
            first = max(start, self._end - len(self._samples))
            last = min(start + count, self._end)
            if first < last:
                result[first - start : last - start] = self._samples[self._places(first, last - first)]
            self.missing += max(0, start + count - max(start, self._end))
            return result

    def clear(self) -> None:
        """Forget everything: the devices were reopened."""
        with self._lock:
            self._samples[:] = 0
            self._end = self._cursor = None

    def _places(self, start: int, count: int) -> np.ndarray:
        return np.arange(start, start + count) % len(self._samples)


class EchoPresence:
    """Knows when there is no echo at all: a headset, a loudspeaker turned off, a device that cancels by itself.

    AEC3 finds that out too, but only after some eight seconds of bot speech, and until then it takes a user who talks
    over the bot for echo: 20 to 60 dB down, whole sentences lost (simulated, any noise level).

    No echo it is, once the bot was loud for 0.4 s and for 0.7 s, longer than any echo AEC3 could cancel is late, the
    microphone stayed at its noise. A user who talks over the bot does not change that, unless the bot talks on over
    1.5 s of sound: then the path may have changed, and AEC3 decides again.
    """

    _LOUD = 1e-4
    """-40 dBFS: what is played of a word, not of the pause after it."""
    _QUIET_FRAMES, _QUIET_SPAN, _NOISY_FRAMES = 40, 70, 150
    _INAUDIBLE = 10**-6.5
    """-65 dBFS: what is quieter than this is not an echo that anything could take for speech."""

    def __init__(self) -> None:
        self.absent = False
        self._quiet = self._span = self._noisy = 0

    def observe(self, near_power: float, reference_power: float, noise: float) -> None:
        """Take the levels of one frame of 10 ms, and the microphone's noise."""
        loud = reference_power > self._LOUD
        if near_power > max(2 * noise, self._INAUDIBLE):
            self._quiet = self._span = 0
            self._noisy += loud
            if self._noisy >= self._NOISY_FRAMES:
                self.absent = False
            return
        self._quiet += loud
        # A pause of the bot tells nothing, but an echo that is late may still come in it.
        self._span += self._quiet > 0
        if self._quiet >= self._QUIET_FRAMES and self._span >= self._QUIET_SPAN:
            self.absent = True
            self._noisy = 0


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
        self.presence = EchoPresence()
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
        self.presence.observe(near_power, reference_power, self._noise)
        self._since_active = 0 if reference_power > 1e-5 else self._since_active + 1
        self.far_active = self._since_active < self._ACTIVE_HANGOVER
        if not self.far_active:
            return
        if near_power > 4 * self._noise and not self.presence.absent:
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

    def __init__(self, sample_rate: int, *, noise_suppression: bool = False, lead_secs: float = 0.03):
        """Set AEC3 up. Gain control stays off: it lifts the residual echo with the user's voice (facts audio 4).

        Args:
            sample_rate: Samples per second of microphone and reference.
            noise_suppression: Whether steady noise is suppressed as well.
            lead_secs: How far the reference runs ahead of its echo, by the devices' clocks: more than these err, less
                than the loudspeaker's output latency.
        """
        self._frame = round(sample_rate * FRAME_SECS)
        self._rate = sample_rate
        self._lead_secs = lead_secs
        self._engine = AudioProcessor(
            sample_rate, 1, echo_cancellation=True, noise_suppression=noise_suppression, high_pass_filter=True
        )
        self._timeline = ReferenceTimeline(sample_rate)
        self._pending = np.empty(0, np.int16)
        self._monitor = CancellingMonitor()

    @property
    def stats(self) -> EchoStats:
        """Counters and judgement so far."""
        return EchoStats(
            erle_db=self._monitor.erle_db,
            reference_missing_secs=self._timeline.missing / self._rate,
            reference_gaps=self._timeline.gaps,
            half_duplex=self._monitor.poor,
        )

    @property
    def pending_secs(self) -> float:
        """Audio given to `process` that waits for the rest of its frame."""
        return len(self._pending) / self._rate

    def reference(self, block: np.ndarray, heard_at: float) -> None:
        """Take what is handed to the loudspeaker, silence included, as soon as it is.

        Args:
            block: int16 samples.
            heard_at: Seconds at which the first is heard.
        """
        self._timeline.push(block, heard_at)

    def process(self, near: np.ndarray, captured_at: float) -> np.ndarray:
        """Cancel the echo in the next microphone block.

        Args:
            near: int16 samples as captured, any number.
            captured_at: Seconds at which the first was captured.

        Returns:
            int16 samples, whole frames of 10 ms; what is left over comes with the next block. They begin
            ``pending_secs``, read before the call, earlier than the block.
        """
        captured_at -= self.pending_secs
        near = np.concatenate([self._pending, near]) if len(self._pending) else near
        whole = len(near) // self._frame * self._frame
        self._pending = near[whole:]
        if not whole:
            return np.empty(0, np.int16)
        near, far = np.ascontiguousarray(near[:whole]), self._timeline.pull(captured_at + self._lead_secs, whole)
        out = self._engine.process(near, far)
        for start in range(0, whole, self._frame):
            part = slice(start, start + self._frame)
            self._monitor.observe(near[part], far[part], out[part])
            if self._monitor.presence.absent:
                out[part] = near[part]
        if self._monitor.poor and self._monitor.far_active:
            return np.zeros_like(out)
        return out

    def restart(self) -> None:
        """Note that the devices were reopened; not while `process` runs.

        What AEC3 has learned is kept: pairing goes by the devices' clocks, so a device that came back mostly has the
        echo path it had, and AEC3 follows a path that changed.
        """
        self._timeline.clear()
        self._pending = np.empty(0, np.int16)
        self._monitor = CancellingMonitor()


def _power(block: np.ndarray) -> float:
    """Mean square against full scale."""
    samples = block.astype(np.float64) / _FULL_SCALE
    return float(np.mean(samples**2)) if len(samples) else 0.0


def _decibels(power: float) -> float:
    return max(_FLOOR_DB, float(10 * np.log10(power + 1e-12)))
