"""When the user has waited long enough to be told that it goes on. No I/O."""

from halfcascade.processors.gemini_live.protocol.answer import Answer
from halfcascade.processors.gemini_live.protocol.history import Turn
from halfcascade.processors.gemini_live.protocol.options import SessionOptions

# Seconds in which a quick model begins to answer.
_FIRST_TEXT_SECS = 0.5


class Patience:
    """The user's: it begins with their turn, or when the bot falls silent, and is lost once a turn."""

    def __init__(self, options: SessionOptions) -> None:
        """Begin while nobody waits.

        Args:
            options: Timeouts.
        """
        self._options = options
        self._since = 0.0
        self._told = 0
        self._bot_speaks = False

    def waits(self, now: float) -> None:
        """The user waits from now on.

        Args:
            now: Clock reading.
        """
        self._since = now

    def bot_speaks(self, speaks: bool, now: float) -> None:
        """The bot's voice is heard, or no longer: only in silence has anybody to be told that it goes on.

        Args:
            speaks: Whether it is.
            now: Clock reading.
        """
        if self._bot_speaks and not speaks:
            self._since = max(self._since, now)
        self._bot_speaks = speaks

    def told(self, turn: int) -> None:
        """The user was told that it goes on; nobody says it twice.

        Args:
            turn: Number of the turn that they wait for.
        """
        self._told = turn

    def over_at(self, turn: Turn | None, waiting: Answer | None) -> float | None:
        """Tell when the user has waited long enough for a word from us.

        Args:
            turn: The turn that has brought them nothing yet, if there is one.
            waiting: The pending answer whose next move is the server's, if any.

        Returns:
            Clock reading, or None.
        """
        if turn is None or not turn.by_user or turn.provisional or turn.number == self._told or self._bot_speaks:
            return None
        at = self._since + self._options.filler_secs
        if waiting is None:
            return at
        # An answer that got its chance only now would have to wait until a word of ours is over.
        return max(at, min(at + self._options.filler_grace_secs, waiting.sent_at + _FIRST_TEXT_SECS))
