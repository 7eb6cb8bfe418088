"""How much one client may send, and how many talks there may be. No I/O but the event that tells when all are over."""

import asyncio
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


@dataclass
class Rooms:
    """Keeps count of the talks that are held.

    Parameters:
        most: How many there may be at once.
        draining: Whether no more are let in, because the server is about to end.
    """

    most: int
    draining: bool = False
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
        return not self.draining and self._taken < self.most

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
