"""How a turn that was sent too early is undone: by going back, or by a note if the real one comes at once. No I/O."""

from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.exchange import Exchange
from halfcascade.processors.gemini_live.protocol.link import Link
from halfcascade.processors.gemini_live.protocol.options import SessionOptions


class Withdrawal:
    """Waits for a moment whether the real turn comes.

    Parameters:
        deadline: Clock reading at which the session goes back to before the withdrawn turn, or None.
    """

    def __init__(self, link: Link, exchange: Exchange, options: SessionOptions) -> None:
        """Start with nothing to undo.

        Args:
            link: The connection.
            exchange: What was sent on it.
            options: Timeouts.
        """
        self._link = link
        self._exchange = exchange
        self._options = options
        self.deadline: float | None = None

    def withdraw(self, now: float) -> None:
        """The user's newest turn was sent too early, they go on speaking.

        Args:
            now: Clock reading.
        """
        if self._exchange.withdraw():
            self.deadline = now + self._options.withdrawal_secs

    def turn_came(self, now: float) -> None:
        """The real turn came right behind: a note costs the user nothing, a new connection would.

        The note also stops the answer, unless the model insists on finishing it.

        Args:
            now: Clock reading.
        """
        if self.deadline is None:
            return
        self.deadline = None
        if self._exchange.turns.generating and not self._link.model.empty_turn_cancels:
            self._exchange.undo(now)
        else:
            self._exchange.note(wording.WITHDRAWAL_NOTE)

    def connecting(self) -> None:
        """The connection broke before the withdrawn turn was undone: going back does it."""
        if self.deadline is not None:
            self.deadline = None
            self._exchange.rewind()

    def tick(self, now: float) -> None:
        """Let time pass.

        Args:
            now: Clock reading.
        """
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self._exchange.undo(now)
