"""The clocks of a loudspeaker device: pure, between the event loop and a device thread."""

import threading
from collections import deque


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
        # Of what is older and worse than the newest, nothing can be the best any more.
        while self._recent and self._recent[-1][1] >= offset:
            self._recent.pop()
        self._recent.append((now, offset))
        while self._recent[0][0] < now - self._WINDOW_SECS:
            self._recent.popleft()
        best = self._recent[0][1]
        if self._offset is None or abs(best - self._offset) > self._CORRECTION_SECS:
            self._offset = best
        at = self._offset + self._position / self._rate
        self._position += samples
        return at


class HeardClock:
    """Knows which position of a `Loudspeaker` the user has heard, output latency included. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, float]] = deque()
        self._heard = 0

    def handed_over(self, position: int, heard_at: float) -> None:
        """Note that the device has everything up to a position.

        Args:
            position: Samples, counted like `Loudspeaker.taken`.
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
