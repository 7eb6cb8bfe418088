"""How much one client may send, and how many talks there may be. No I/O but the event that tells when all are over."""

import asyncio
import statistics
from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Allowance:
    """What one client may send.

    Parameters:
        message_bytes: Longest message.
        messages_per_sec: Messages in the long run; a browser's or a telephone's audio comes as 50 a second.
        bytes_per_sec: Bytes in the long run; 48 kHz stereo as 16-bit samples is 192,000.
        burst_secs: How much of both may come at once, in seconds of the long run: what a network or a busy server held.
    """

    message_bytes: int = 65_536
    messages_per_sec: float = 150.0
    bytes_per_sec: float = 400_000.0
    burst_secs: float = 20.0


class Meter:
    """Counts what one client sends against its allowance.

    Args:
        allowance: What it may send.
        now: Clock reading in seconds.
    """

    def __init__(self, allowance: Allowance, now: float):
        self._allowance = allowance
        self._at = now
        self._messages = allowance.messages_per_sec * allowance.burst_secs
        self._bytes = allowance.bytes_per_sec * allowance.burst_secs

    def take(self, size: int, now: float) -> bool:
        """Count a message.

        Args:
            size: Its bytes.
            now: Clock reading in seconds.

        Returns:
            Whether it is within the allowance.
        """
        limits, passed = self._allowance, max(0.0, now - self._at)
        self._at = max(self._at, now)
        self._messages = min(
            self._messages + passed * limits.messages_per_sec, limits.messages_per_sec * limits.burst_secs
        )
        self._bytes = min(self._bytes + passed * limits.bytes_per_sec, limits.bytes_per_sec * limits.burst_secs)
        self._messages -= 1
        self._bytes -= size
        return size <= limits.message_bytes and self._messages >= 0 and self._bytes >= 0


class Strain:
    """Whether a process keeps up with its talks, by how late it does what is due.

    One talk too many costs every talk of the process: blocks of audio wait for each other, and the wait grows.
    """

    _WINDOW_SECS = 5.0
    _ENOUGH = 10
    # Three blocks of a microphone's audio.
    _LATE_SECS = 0.06

    def __init__(self) -> None:
        self._looks: deque[tuple[float, float]] = deque()

    def late(self, secs: float, now: float) -> None:
        """Take a look.

        Args:
            secs: How late something was done that was due.
            now: Clock reading in seconds.
        """
        self._looks.append((now, secs))
        while self._looks[0][0] < now - self._WINDOW_SECS:
            self._looks.popleft()

    @property
    def late_secs(self) -> float:
        """How late it usually was in the last seconds: the median."""
        return statistics.median(secs for _, secs in self._looks) if self._looks else 0.0

    @property
    def overloaded(self) -> bool:
        """Whether it does not keep up, not for a moment only."""
        return len(self._looks) >= self._ENOUGH and self.late_secs > self._LATE_SECS


@dataclass
class Absence:
    """Whether a client whose network was lost has been away for too long.

    Parameters:
        most_secs: How long it may be away.
        since: When it was first found away; None while it is there.
    """

    most_secs: float
    since: float | None = None

    def look(self, *, there: bool, now: float) -> bool:
        """Take a look.

        Args:
            there: Whether the client is there.
            now: Clock reading in seconds.

        Returns:
            Whether it has just gone away.
        """
        gone = not there and self.since is None
        if there or gone:
            self.since = None if there else now
        return gone

    def too_long(self, now: float) -> bool:
        """Whether it has been away for too long.

        Args:
            now: Clock reading in seconds.
        """
        return self.since is not None and now - self.since >= self.most_secs


@dataclass
class Rooms:
    """Keeps count of the talks that are held.

    Parameters:
        most: How many there may be at once.
        draining: Whether no more are let in, because the server is about to end.
        strain: Whether those that are held are too many already, whatever ``most`` says.
    """

    most: int
    draining: bool = False
    strain: Strain = field(default_factory=Strain)
    _taken: int = 0
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._empty.set()

    @property
    def taken(self) -> int:
        """How many talks are held."""
        return self._taken

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        strained = self._taken > 0 and self.strain.overloaded
        return not self.draining and self._taken < self.most and not strained

    def enter(self) -> bool:
        """Begin a talk.

        Returns:
            Whether there was room.
        """
        if not self.has_room:
            return False
        self._taken += 1
        self._empty.clear()
        return True

    def leave(self) -> None:
        """End a talk."""
        self._taken -= 1
        if not self._taken:
            self._empty.set()

    async def wait_until_empty(self) -> None:
        """Wait until no talk is held."""
        await self._empty.wait()
