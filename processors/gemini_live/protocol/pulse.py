"""Whether a connection is alive, by its pongs, as long as this server's are worth believing. No I/O.

Some servers answered pings after 8 to 30 s (facts/live#keepalive), so a pong that does not come tells something only
where pongs have been prompt so far. A connection that was given up for one and then closed as a living one does shows
that this server's pongs cannot be relied upon: from then on they tell nothing.
"""

_PROMPT_SECS = 0.5


class Pulse:
    """Pings of one connection after the other, one ping at a time."""

    def __init__(self, mute_secs: float) -> None:
        """Start without a ping.

        Args:
            mute_secs: How long a prompt server may leave a ping without any sign of life.
        """
        self._mute_secs = mute_secs
        self._asked_at: float | None = None
        self._prompt = False
        self._misled = False

    @property
    def mute_at(self) -> float | None:
        """Clock reading at which the connection counts as mute if nothing comes from it; None if nothing is asked."""
        if self._asked_at is None or not self._prompt or self._misled:
            return None
        return self._asked_at + self._mute_secs

    def mute(self, now: float) -> bool:
        """Whether the connection has left a ping without any sign of life for too long.

        Args:
            now: Clock reading.
        """
        return self.mute_at is not None and now >= self.mute_at

    def ask(self, now: float) -> bool:
        """Somebody needs the connection.

        Args:
            now: Clock reading.

        Returns:
            Whether to ping it now.
        """
        if self._asked_at is not None:
            return False
        self._asked_at = now
        return True

    def ponged(self, now: float) -> None:
        """The ping was answered.

        Args:
            now: Clock reading.
        """
        if self._asked_at is not None:
            self._prompt = now - self._asked_at <= _PROMPT_SECS
        self._asked_at = None

    def heard(self) -> None:
        """The server said something; the pong may still come, and is no measure then."""
        self._asked_at = None

    def gone(self, *, let_go: bool, now: float) -> None:
        """The connection is over.

        Args:
            let_go: Whether the server answered the closing handshake: it was alive.
            now: Clock reading.
        """
        self._misled = self._misled or (let_go and self.mute(now))
        self._asked_at = None
