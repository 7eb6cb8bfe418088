"""A sound card that is only arithmetic: what it captures, plays and drops, given the time.

No clock is read and nothing is awaited here, so every pacing rule can be tested with made-up clock readings.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERIOD_SECS = 0.02
# What is left of interrupted speech is faded out over this long rather than cut, which would click.
FADE_SECS = 0.005

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Period:
    """What the card did in one period.

    Parameters:
        at: Time of the first sample, in seconds on the card's clock.
        captured: What the microphone gave: 16-bit mono PCM.
        played: What the loudspeaker played, silence where there was nothing: 16-bit mono PCM.
    """

    at: float
    captured: bytes
    played: bytes


@dataclass
class _Chunk:
    samples: Samples
    interruptible: bool


class Loudspeaker:
    """The playing half: a queue of samples, a gain, and what happens when either changes.

    Args:
        sample_rate: Samples per second.
    """

    def __init__(self, sample_rate: int):
        self._rate = sample_rate
        self._queue: deque[_Chunk] = deque()
        self._queued = 0
        self._gain = 1.0
        self._gain_target = 1.0
        self._gain_step = 0.0
        self._speech_open = False
        self._starved_at: int | None = None
        self._played = 0
        self._sounding = False
        self.underruns = 0
        self.underrun_secs = 0.0

    @property
    def queued_secs(self) -> float:
        """How much is waiting to be played, in seconds."""
        return self._queued / self._rate

    @property
    def silent(self) -> bool:
        """Whether nothing is queued and the running period holds nothing of what was."""
        return not self._queued and not self._sounding

    def write(self, samples: Samples, *, interruptible: bool = True) -> None:
        """Queue samples.

        Args:
            samples: Mono samples.
            interruptible: Whether ``flush`` may drop them.
        """
        if self._starved_at is not None:
            # More of the same speech came after the card had run dry: that silence was a gap somebody heard.
            self.underruns += 1
            self.underrun_secs += (self._played - self._starved_at) / self._rate
            self._starved_at = None
        self._speech_open = True
        self._queue.append(_Chunk(samples, interruptible))
        self._queued += len(samples)

    def end_speech(self) -> None:
        """Say that what is queued ends an utterance: silence after it is no underrun."""
        self._speech_open = False
        self._starved_at = None

    def flush(self) -> None:
        """Drop what may be dropped, fading out the first few milliseconds of it."""
        kept: deque[_Chunk] = deque()
        fade = int(FADE_SECS * self._rate)
        for index, chunk in enumerate(self._queue):
            if not chunk.interruptible:
                kept.append(chunk)
            elif index == 0:
                tail = chunk.samples[:fade]
                kept.append(_Chunk((tail * np.linspace(1.0, 0.0, len(tail))).astype(np.int16), True))
        self._queue = kept
        self._queued = sum(len(chunk.samples) for chunk in kept)
        self.end_speech()

    def duck(self, gain: float, ramp_secs: float) -> None:
        """Approach another gain, from the very next sample on.

        Args:
            gain: Multiplier to reach.
            ramp_secs: Time to reach it.
        """
        self._gain_target = gain
        self._gain_step = abs(gain - self._gain) / max(1, int(ramp_secs * self._rate))

    def play(self, count: int) -> Samples:
        """Take the next samples, silence where there are none.

        Args:
            count: How many.

        Returns:
            Exactly that many samples, gain applied.
        """
        out = np.zeros(count, dtype=np.int16)
        filled = 0
        while filled < count and self._queue:
            chunk = self._queue[0]
            taken = chunk.samples[: count - filled]
            out[filled : filled + len(taken)] = taken
            filled += len(taken)
            if len(taken) == len(chunk.samples):
                self._queue.popleft()
            else:
                chunk.samples = chunk.samples[len(taken) :]
        self._queued -= filled
        self._sounding = filled > 0
        if filled < count and self._speech_open and self._starved_at is None:
            self._starved_at = self._played + filled
        self._played += count
        return self._with_gain(out)

    def _with_gain(self, samples: Samples) -> Samples:
        if self._gain == 1.0 and self._gain_target == 1.0:
            return samples
        direction = np.sign(self._gain_target - self._gain)
        ramp = self._gain + direction * self._gain_step * np.arange(1, len(samples) + 1)
        low, high = sorted((self._gain, self._gain_target))
        gains = np.clip(ramp, low, high)
        self._gain = float(gains[-1]) if len(samples) else self._gain
        return np.clip(np.rint(samples * gains), -32768, 32767).astype(np.int16)


class SoundCard:
    """A microphone that hears a recording and a loudspeaker, on one clock.

    Period ``k`` covers ``[start + k P, start + (k + 1) P)``: what is captured in it is available when it ends, what is
    played in it is decided when it begins. Late calls of ``advance`` get all periods that are due, so no captured
    sample is ever lost, while the loudspeaker meanwhile had nothing but its queue, as a real one.

    Args:
        heard: What the microphone hears; silence before and after.
        in_rate: Samples per second of the microphone.
        out_rate: Samples per second of the loudspeaker.
    """

    def __init__(self, heard: Samples, in_rate: int, out_rate: int):
        self._heard = heard
        self._in_rate = in_rate
        self._out_rate = out_rate
        self._start: float | None = None
        self._period = 0
        self._playing: bytes = b""
        self.loudspeaker = Loudspeaker(out_rate)

    @property
    def started(self) -> bool:
        """Whether the clock runs."""
        return self._start is not None

    @property
    def heard_all(self) -> bool:
        """Whether the whole recording has been captured."""
        return self._in_edge(self._period) >= len(self._heard)

    @property
    def next_at(self) -> float:
        """When the current period ends, in seconds on the caller's clock."""
        if self._start is None:
            raise RuntimeError("The sound card has not been started.")
        return self._start + (self._period + 1) * PERIOD_SECS

    def start(self, now: float) -> None:
        """Start the clock; the first period begins.

        Args:
            now: Reading of the caller's clock, in seconds.
        """
        self._start = now
        self._playing = self._play()

    def advance(self, now: float) -> list[Period]:
        """Finish all periods that have ended.

        Args:
            now: Reading of the caller's clock, in seconds.

        Returns:
            The finished periods, oldest first.
        """
        periods = []
        while now >= self.next_at:
            begin, end = self._in_edge(self._period), self._in_edge(self._period + 1)
            captured = np.zeros(end - begin, dtype=np.int16)
            piece = self._heard[begin:end]
            captured[: len(piece)] = piece
            periods.append(Period(self.next_at - PERIOD_SECS, captured.tobytes(), self._playing))
            self._period += 1
            self._playing = self._play()
        return periods

    def _in_edge(self, period: int) -> int:
        # Rounded from the start each time, so that rates which are no multiple of the period do not drift.
        return round(period * PERIOD_SECS * self._in_rate)

    def _play(self) -> bytes:
        begin = round(self._period * PERIOD_SECS * self._out_rate)
        end = round((self._period + 1) * PERIOD_SECS * self._out_rate)
        return self.loudspeaker.play(end - begin).tobytes()
