"""Whether the connection lives, found out while there is time to replace it. No I/O."""

from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Ping,
    SendContent,
    SendResults,
    SendText,
    Waiting,
)
from halfcascade.processors.gemini_live.protocol.exchange import Exchange
from halfcascade.processors.gemini_live.protocol.link import Link
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.protocol.pulse import Pulse

# After these somebody waits for the server.
_ASKING = (SendContent, SendText, SendResults, Waiting)


class Lifeline:
    """Pings when the connection is needed or doubted, and tells whether it has fallen mute."""

    def __init__(self, link: Link, exchange: Exchange, options: SessionOptions, todo: list[Action]) -> None:
        """Start without a ping.

        Args:
            link: The connection.
            exchange: What is asked on it.
            options: Timeouts.
            todo: Where to put what is to be done.
        """
        self._link = link
        self._exchange = exchange
        self._todo = todo
        self._pulse = Pulse(options.mute_secs)
        # How often the user has waited in vain for their words to be understood, since the last turn.
        self._waits = 0

    @property
    def deadline(self) -> float | None:
        """Clock reading at which the connection counts as mute if nothing comes from it, or None."""
        return self._pulse.mute_at

    def is_mute(self, now: float) -> bool:
        """Whether the connection is to be replaced because it says nothing.

        Args:
            now: Clock reading.
        """
        return self._exchange.suspect(now) or self._pulse.mute(now)

    def needed(self, now: float) -> None:
        """Somebody needs the connection, or is about to.

        Args:
            now: Clock reading.
        """
        if self._link.is_open and self._pulse.ask(now):
            self._todo.append(Ping(self._link.serial))

    def asked(self, now: float) -> None:
        """Take note of what is being done: if somebody waits for the server now, the connection is needed.

        Args:
            now: Clock reading.
        """
        if any(isinstance(action, _ASKING) for action in self._todo):
            self.needed(now)

    def doubt(self, now: float, *, words: bool) -> None:
        """Another service has trouble.

        Args:
            now: Clock reading.
            words: Whether it is the user's words that do not come.
        """
        self._waits += words
        self.needed(now)

    def understood(self) -> bool:
        """The user's words came.

        Returns:
            Whether they had waited in vain more than once before.
        """
        waits, self._waits = self._waits, 0
        return waits > 1

    def ponged(self, now: float) -> None:
        """The ping was answered.

        Args:
            now: Clock reading.
        """
        self._pulse.ponged(now)

    def heard(self) -> None:
        """The server said something."""
        self._pulse.heard()

    def gone(self, *, let_go: bool, now: float) -> None:
        """The connection is over.

        Args:
            let_go: Whether the server answered the closing handshake.
            now: Clock reading.
        """
        self._pulse.gone(let_go=let_go, now=now)
