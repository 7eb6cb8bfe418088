"""From stamped blocks of two devices to one sample-aligned stereo stream. No I/O."""

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.int16]

# A stamp that is off by more than this is a real gap or overlap; below, it is the jitter of a device thread.
GAP_SECS = 0.03
# Jitter averages out, drift between a device's clock and the monotonic clock does not: corrected from here on.
DRIFT_SECS = 0.005
_SMOOTHING = 0.05
# How far one channel may lead the other before the other is taken to be silent: a network may hold up a client's sound
# for seconds, and then it has a place still.
LAG_SECS = 3.0


class Track:
    """One channel: places blocks by their stamps, fills gaps with silence, resamples.

    Args:
        sample_rate: Samples per second of the result.
    """

    def __init__(self, sample_rate: int):
        self._out_rate = sample_rate
        self._rate = sample_rate
        self._resampler: soxr.ResampleStream | None = None
        self._fed = 0
        self._drift = 0.0
        self._ready: list[Samples] = []
        self._started = False
        self.produced = 0

    def feed(self, samples: Samples, sample_rate: int, at: float) -> None:
        """Take one block.

        Args:
            samples: Mono samples.
            sample_rate: Their rate.
            at: Time of the first one, in seconds since the track's origin.
        """
        if sample_rate != self._rate:
            self._change_rate(sample_rate)
        off = round(at * self._rate) - self._fed
        if not self._started or abs(off) > GAP_SECS * self._rate:
            self._started = True
            self._drift = 0.0
        else:
            self._drift += _SMOOTHING * (off - self._drift)
            off = 0
            if abs(self._drift) > DRIFT_SECS * self._rate:
                off, self._drift = round(self._drift), 0.0
        if off > 0:
            self._append(np.zeros(off, dtype=np.int16))
        self._append(samples[-off:] if off < 0 else samples)

    def fill_to(self, produced: int) -> None:
        """Append silence.

        Args:
            produced: How many resulting samples there shall be, at least, but for what the resampler holds back.
        """
        missing = round(produced * self._rate / self._out_rate) - self._fed
        if missing > 0:
            self._append(np.zeros(missing, dtype=np.int16))

    def finish(self) -> None:
        """Get the last samples out of the resampler."""
        if self._resampler:
            self._push(_resample(self._resampler, np.zeros(0, dtype=np.int16), last=True))
            self._resampler = None

    def pad(self, count: int) -> None:
        """Append silence after ``finish``.

        Args:
            count: How many resulting samples.
        """
        self._push(np.zeros(count, dtype=np.int16))

    def take(self, count: int) -> Samples:
        """Remove samples from the front.

        Args:
            count: How many; no more than ``available``.

        Returns:
            The samples.
        """
        joined = np.concatenate(self._ready) if self._ready else np.zeros(0, dtype=np.int16)
        self._ready = [joined[count:]]
        return joined[:count]

    @property
    def available(self) -> int:
        """How many samples can be taken."""
        return sum(len(part) for part in self._ready)

    def _change_rate(self, sample_rate: int) -> None:
        self.finish()
        self._rate = sample_rate
        self._fed = round(self.produced * sample_rate / self._out_rate)
        self._started = False
        if sample_rate != self._out_rate:
            self._resampler = soxr.ResampleStream(sample_rate, self._out_rate, 1, dtype="float32")

    def _append(self, samples: Samples) -> None:
        self._fed += len(samples)
        self._push(_resample(self._resampler, samples) if self._resampler else samples)

    def _push(self, samples: Samples) -> None:
        self.produced += len(samples)
        self._ready.append(samples)


def _resample(resampler: soxr.ResampleStream, samples: Samples, *, last: bool = False) -> Samples:
    # Through floats: with integers soxr adds dither, and silence would no longer be silence.
    resampled = resampler.resample_chunk(samples.astype(np.float32), last=last)
    return np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)


class StereoMixer:
    """Two tracks side by side.

    Args:
        sample_rate: Samples per second of the result.
    """

    def __init__(self, sample_rate: int):
        self._rate = sample_rate
        self.left = Track(sample_rate)
        self.right = Track(sample_rate)

    def take(self) -> bytes:
        """Remove what is known of both channels.

        Returns:
            Interleaved 16-bit little-endian stereo PCM.
        """
        # A channel that says nothing for long is silent, not late: a device may leave out silence.
        lead = max(self.left.produced, self.right.produced) - int(LAG_SECS * self._rate)
        for track in (self.left, self.right):
            if track.produced < lead:
                track.fill_to(lead)
        return self._interleave(min(self.left.available, self.right.available))

    def finish(self) -> bytes:
        """End both channels at the same sample.

        Returns:
            The rest: interleaved 16-bit little-endian stereo PCM.
        """
        self.left.finish()
        self.right.finish()
        length = max(self.left.available, self.right.available)
        for track in (self.left, self.right):
            track.pad(length - track.available)
        return self._interleave(length)

    def _interleave(self, count: int) -> bytes:
        return np.stack([self.left.take(count), self.right.take(count)], axis=1).astype("<i2").tobytes()
