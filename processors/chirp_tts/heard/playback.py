"""When audio that was handed on is heard."""

from dataclasses import dataclass


@dataclass
class _Run:
    """Audio played without a gap: from this second of the speech, at this time of the clock."""

    offset: float
    at: float


class PlaybackClock:
    """Models a loudspeaker that plays what it is given, in order, as soon as it can.

    Shared by all speech of a voice, because there is one loudspeaker: what is handed on while older audio still plays
    is heard after it, what comes too late is heard with a gap before it.
    """

    def __init__(self, latency: float = 0.0):
        """Initialize silent.

        Args:
            latency: Seconds from handing audio on to an idle loudspeaker until it is heard.
        """
        self.latency = latency
        self._busy_until = 0.0

    @property
    def busy_until(self) -> float:
        """Clock time, in seconds, at which everything handed on so far has been heard."""
        return self._busy_until

    def play(self, now: float, secs: float) -> float:
        """Hand audio on.

        Args:
            now: Clock time in seconds.
            secs: Length of the audio.

        Returns:
            Clock time at which its first sample is heard.
        """
        start = max(self._busy_until, now + self.latency)
        self._busy_until = start + secs
        return start

    def stop(self, now: float) -> None:
        """The loudspeaker dropped what it had not played.

        Args:
            now: Clock time in seconds.
        """
        self._busy_until = min(self._busy_until, now)


class PlaybackRecord:
    """Maps seconds of one speech's audio to the clock."""

    def __init__(self) -> None:
        """Initialize with no audio."""
        self._runs: list[_Run] = []
        self.length = 0.0

    @property
    def began_at(self) -> float | None:
        """Clock time at which the first audio is heard, or None."""
        return self._runs[0].at if self._runs else None

    def add(self, at: float, secs: float) -> None:
        """Note audio that follows what is there.

        Args:
            at: Clock time at which it begins to be heard.
            secs: Its length.
        """
        last = self._runs[-1] if self._runs else None
        if last is None or at - (last.at + self.length - last.offset) > 1e-6:
            self._runs.append(_Run(self.length, at))
        self.length += secs

    def time_of(self, offset: float) -> float | None:
        """Clock time at which a point of the audio is heard.

        Args:
            offset: Seconds from the beginning of the speech's audio.

        Returns:
            The time, or None if the audio does not reach that far yet.
        """
        if offset > self.length or not self._runs:
            return None
        run = next(run for run in reversed(self._runs) if run.offset <= offset or run is self._runs[0])
        return run.at + offset - run.offset
