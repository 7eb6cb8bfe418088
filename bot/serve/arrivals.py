"""When a client's sound was made, told from when it arrives over a network. No I/O."""

from halfcascade.transports.clocks import BlockClock

# Silence on the line for so long means that what follows was held up, or that the client has sent nothing.
_GAP_SECS = 0.25
# What was held up comes as fast as it is read; sound that is being made comes once its time has passed.
_HELD_UP_SHARE = 0.8

Block = tuple[bytes, float]


class Arrivals:
    """Gives blocks of 16-bit mono sound the times of their first samples.

    After a gap nobody can tell from the first block whether the client had been silent or the network had. So blocks
    are held until they do not come at once any more: the last of them has just been made, and those before it one
    after the other before that.
    """

    def __init__(self, sample_rate: int):
        """Begin with the first block.

        Args:
            sample_rate: Samples per second.
        """
        self._rate = sample_rate
        self._clock = BlockClock(sample_rate)
        self._held: list[bytes] = []
        self._held_secs = 0.0
        self._gap_secs = 0.0
        self._arrived_at: float | None = None
        self._end = float("-inf")

    def take(self, audio: bytes, now: float) -> list[Block]:
        """Take a block.

        Args:
            audio: Its samples.
            now: Clock reading at its arrival, in seconds.

        Returns:
            Blocks whose time is known now, in order, each with the time of its first sample.
        """
        length = len(audio) / (2 * self._rate)
        since = 0.0 if self._arrived_at is None else now - self._arrived_at
        found: list[Block] = []
        if self._held and (since >= _HELD_UP_SHARE * length or self._held_secs >= self._gap_secs):
            found = self.finish()
        if since > _GAP_SECS:
            self._gap_secs = since
            self._clock.resync()
        if self._held or since > _GAP_SECS:
            self._held.append(audio)
            self._held_secs += length
        else:
            found.append(self._placed(audio, now - length))
        self._arrived_at = now
        return found

    def finish(self) -> list[Block]:
        """Give what is held.

        Returns:
            Blocks, in order, each with the time of its first sample.
        """
        # Nothing was made before what was made before it, and what fills the gap has been made in it.
        at = self._end
        if self._held_secs < self._gap_secs:
            at = max(at, (self._arrived_at or 0.0) - self._held_secs)
        held, self._held, self._held_secs = self._held, [], 0.0
        found = []
        for audio in held:
            found.append(self._placed(audio, at))
            at += len(audio) / (2 * self._rate)
        return found

    def _placed(self, audio: bytes, estimate: float) -> Block:
        at = self._clock.stamp(estimate, len(audio) // 2)
        self._end = at + len(audio) / (2 * self._rate)
        return audio, at
