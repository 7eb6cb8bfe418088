"""Whether what the bot says is broken up by gaps, so that somebody is told. No I/O."""

from collections import deque
from collections.abc import Mapping
from typing import Any

GAPS = 3
"""So many within ``WITHIN_SECS`` are no accident: one or two belong to the first sound of some devices."""

WITHIN_SECS = 20.0
REPEAT_SECS = 120.0
"""Whoever hears them is not told more often than this."""

_COUNTERS = ("underruns", "late_writes")


class GapNews:
    """Follows a transport's counters of gaps in speech."""

    def __init__(self) -> None:
        """Begin with sound that is whole."""
        self._known = 0
        self._gaps: deque[float] = deque()
        self._told_at = float("-inf")

    def look(self, stats: Mapping[str, Any], now: float) -> int:
        """Look at the counters again.

        Args:
            stats: A transport's statistics; counters that it lacks count nothing.
            now: Clock reading in seconds.

        Returns:
            How many gaps there were lately, if that is to be told now, else 0.
        """
        # Each counts other causes of the same gaps: the device ran empty, or speech was handed over too late.
        count = max(int(stats.get(name, 0)) for name in _COUNTERS)
        self._gaps.extend([now] * max(0, count - self._known))
        self._known = max(self._known, count)
        while self._gaps and self._gaps[0] < now - WITHIN_SECS:
            self._gaps.popleft()
        if len(self._gaps) < GAPS or now < self._told_at + REPEAT_SECS:
            return 0
        self._told_at = now
        return len(self._gaps)
