"""Acoustic echo cancelling: WebRTC's AEC3 with the pairing, measuring and fallback that make it usable in a transport.

No device is touched here: one thread hands over what it gives the loudspeaker (`EchoCanceller.reference`), another what
the microphone gave (`EchoCanceller.process`).
"""

import threading
from dataclasses import dataclass

import numpy as np

from halfcascade.processors.extras import missing_extra
from halfcascade.transports.local.echo_monitor import FULL_SCALE, CancellingMonitor, power_of
from halfcascade.transports.local.linear import LinearCanceller, LinearJudge

try:
    from pywebrtc_audio import AudioProcessor
except ImportError as error:
    raise missing_extra("talk", error) from error

FRAME_SECS = 0.01
"""AEC3 works on frames of 10 ms."""

_LONGEST_WAIT_SECS = 0.08
"""How long the microphone waits for a reference that is late: without it, all of the echo would pass."""


@dataclass(frozen=True)
class EchoStats:
    """Health of the echo canceller.

    Parameters:
        erle_db: Echo return loss enhancement over the last seconds in which the bot was heard in the microphone: how
            much quieter its voice is after cancelling, in dB. None before that, and as long as there is no echo.
        linear_db: The linear filter's part of that; None before it is known.
        reference_missing_secs: Captured audio for which the loudspeaker's thread delivered no reference in time.
        reference_gaps: Times the loudspeaker stood still, as its clock tells.
        half_duplex: Whether the microphone is closed while the bot speaks, because cancelling does not work.
    """

    erle_db: float | None = None
    linear_db: float | None = None
    reference_missing_secs: float = 0.0
    reference_gaps: int = 0
    half_duplex: bool = False


class ReferenceTimeline:
    """What is played, by the time at which it is heard. Thread-safe.

    The reference must reach AEC3 before its echo: any lead from 0 to 500 ms is found by itself, 20 ms of delay cost
    25 dB (facts/audio#echo). And the lead must not change: threads wake late and devices run dry, so reference and
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

    def known(self, at: float, count: int) -> int:
        """How many of the samples from a time on are known; all of them before anything was played.

        Args:
            at: Seconds of the first.
            count: How many are wanted.
        """
        with self._lock:
            if self._end is None:
                return count
            start = round(at * self._rate)
            if self._cursor is not None and abs(start - self._cursor) <= self._jitter:
                start = self._cursor
            return min(count, max(0, self._end - start))

    def clear(self) -> None:
        """Forget everything: the devices were reopened."""
        with self._lock:
            self._samples[:] = 0
            self._end = self._cursor = None

    def _places(self, start: int, count: int) -> np.ndarray:
        return np.arange(start, start + count) % len(self._samples)


class EchoCanceller:
    """Removes what the loudspeaker plays from what the microphone hears.

    Two cancellers run side by side: AEC3 alone, which is good within a word or two and suppresses most thoroughly, and
    AEC3 behind a linear filter, which takes a few seconds to learn the room and then leaves a user who talks over the
    bot almost unharmed. The second is heard when there is more in it than the filter's usual rest, else the quieter.

    `reference` and `process` may be called from different threads, each from one at a time.
    """

    def __init__(self, sample_rate: int, *, noise_suppression: bool = False, lead_secs: float = 0.03):
        """Set both up. Gain control stays off: it lifts the residual echo with the user's voice (facts/audio#echo).

        Args:
            sample_rate: Samples per second of microphone and reference.
            noise_suppression: Whether steady noise is suppressed as well.
            lead_secs: How far the reference runs ahead of its echo, by the devices' clocks: more than these err, less
                than the loudspeaker's output latency.
        """
        self._frame = round(sample_rate * FRAME_SECS)
        self._rate = sample_rate
        self._lead_secs = lead_secs
        self._longest_wait = round(sample_rate * _LONGEST_WAIT_SECS)
        self._alone, self._behind = (
            AudioProcessor(
                sample_rate, 1, echo_cancellation=True, noise_suppression=noise_suppression, high_pass_filter=True
            )
            for _ in range(2)
        )
        self._linear = LinearCanceller(self._frame, sample_rate)
        self._judge = LinearJudge()
        self._share = 0.0
        self._ramp = np.arange(1, self._frame + 1) / self._frame
        self._timeline = ReferenceTimeline(sample_rate)
        self._pending = np.empty(0, np.int16)
        self._monitor = CancellingMonitor()
        self._elsewhere = False

    @property
    def stats(self) -> EchoStats:
        """Counters and judgement so far."""
        return EchoStats(
            erle_db=self._monitor.erle_db,
            linear_db=self._judge.erle_db,
            reference_missing_secs=self._timeline.missing / self._rate,
            reference_gaps=self._timeline.gaps,
            half_duplex=self._monitor.poor,
        )

    @property
    def pending_secs(self) -> float:
        """Audio given to `process` that waits for the rest of its frame or for its reference."""
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
            int16 samples, whole frames of 10 ms; what is left over comes with the next block, and so does what has no
            reference yet because the loudspeaker's thread is late. They begin ``pending_secs``, read before the call,
            earlier than the block.
        """
        captured_at -= self.pending_secs
        if self._elsewhere:
            self._start_anew()
        near = np.concatenate([self._pending, near]) if len(self._pending) else near
        ready = self._timeline.known(captured_at + self._lead_secs, len(near))
        whole = max(ready, len(near) - self._longest_wait) // self._frame * self._frame
        self._pending = near[whole:]
        if not whole:
            return np.empty(0, np.int16)
        near, far = np.ascontiguousarray(near[:whole]), self._timeline.pull(captured_at + self._lead_secs, whole)
        out = np.concatenate(
            [
                self._cancel(near[start : start + self._frame], far[start : start + self._frame])
                for start in range(0, whole, self._frame)
            ]
        )
        if self._monitor.poor and self._monitor.far_active:
            return np.zeros_like(out)
        return out

    def _cancel(self, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Cancel in one frame, all ways at once, and choose."""
        alone = self._alone.process(near, far)
        plain = near.astype(np.float32) / FULL_SCALE
        rest = self._linear.process(plain, far.astype(np.float32) / FULL_SCALE)
        behind = self._behind.process(np.clip(rest * FULL_SCALE, -32768, 32767).astype(np.int16), far)
        near_power, rest_power = _mean_square(plain), _mean_square(rest)
        somebody = self._judge.somebody(near_power, rest_power, _mean_square(plain - rest), self._monitor.noise)
        alone_power = power_of(alone)
        # The two ways let something of the bot pass while they learn its first words, but never both at once.
        out = self._mix(alone, behind, float(somebody or power_of(behind) < alone_power))
        self._monitor.observe(near, far, out)
        if self._monitor.echo_audible:
            self._judge.learn(near_power, rest_power, alone_power)
        if self._judge.lost:
            self._linear.reset()
            self._judge = LinearJudge()
        return near if self._monitor.presence.absent else out

    def _mix(self, alone: np.ndarray, behind: np.ndarray, share: float) -> np.ndarray:
        """Go over from one to the other within the frame."""
        if share == self._share:
            return behind if share else alone
        shares = self._share + (share - self._share) * self._ramp
        self._share = share
        return np.rint(alone + shares * (behind.astype(np.float64) - alone)).astype(np.int16)

    def restart(self) -> None:
        """Note that the devices are being reopened; not while `process` runs.

        What was learned of the room is kept: pairing goes by the devices' clocks, so a device that came back mostly has
        the echo path it had, and a path that changed is noticed.
        """
        self._timeline.clear()
        self._pending = np.empty(0, np.int16)
        self._monitor = CancellingMonitor(self._monitor.presence)

    def move(self) -> None:
        """Note that these are other devices than before: nothing that was learned holds. From any thread."""
        self._elsewhere = True

    def _start_anew(self) -> None:
        self._elsewhere = False
        self._linear.reset()
        self._judge = LinearJudge()
        self._monitor = CancellingMonitor()


def _mean_square(samples: np.ndarray) -> float:
    return float(np.dot(samples, samples)) / len(samples)
