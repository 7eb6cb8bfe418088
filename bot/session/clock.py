"""The clock that recording and events share."""

import threading
import time


class SessionClock:
    """Seconds since the recording's first sample.

    Until a device delivers its first block there is no recording; what happens before then happens at 0.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._origin: float | None = None

    @property
    def origin(self) -> float | None:
        """``time.monotonic()`` seconds of the recording's first sample, or None before it."""
        return self._origin

    def start(self, at: float) -> float:
        """Fix the origin, unless it is fixed already. Thread-safe.

        Args:
            at: ``time.monotonic()`` seconds.

        Returns:
            The origin.
        """
        with self._lock:
            if self._origin is None:
                self._origin = at
            return self._origin

    def seconds(self, at: float | None = None) -> float:
        """Convert a time.

        Args:
            at: ``time.monotonic()`` seconds, or None for now.

        Returns:
            Seconds into the recording, to the tenth of a millisecond, never negative.
        """
        if self._origin is None:
            return 0.0
        return round(max(0.0, (time.monotonic() if at is None else at) - self._origin), 4)
