"""A sound card that is only arithmetic: what it captures, plays and drops, given the time.

No clock is read and nothing is awaited here, so every pacing rule can be tested with made-up clock readings.
"""

from dataclasses import dataclass

import numpy as np

from halfcascade.transports.loudspeaker import Loudspeaker, Samples

PERIOD_SECS = 0.02


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
            block = self._heard[begin:end]
            captured[: len(block)] = block
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
        return self.loudspeaker.read(end - begin).tobytes()
