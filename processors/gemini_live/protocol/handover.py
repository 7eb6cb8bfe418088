"""When one connection may follow another so that nobody waits for it and nothing gets lost. No I/O."""

from halfcascade.processors.gemini_live.protocol.exchange import Exchange
from halfcascade.processors.gemini_live.protocol.link import Link
from halfcascade.processors.gemini_live.protocol.options import SessionOptions


class HandOver:
    """Knows who speaks, and so which moments are good.

    Parameters:
        user_speaking: Whether the user is speaking.
        bot_speaking: Whether the bot's voice is heard.
    """

    def __init__(self, link: Link, exchange: Exchange, options: SessionOptions) -> None:
        """Start in silence.

        Args:
            link: Which connections are due to be replaced.
            exchange: What is under way on them.
            options: Timeouts.
        """
        self._link = link
        self._exchange = exchange
        self._options = options
        self._listening_until = 0.0
        self.user_speaking = False
        self.bot_speaking = False

    def user_speaks(self, speaks: bool, now: float) -> None:
        """The user began or stopped speaking.

        Args:
            speaks: Whether they speak.
            now: Clock reading.
        """
        self.user_speaking = speaks
        # What they said is about to come as a turn: no moment to begin a hand-over.
        self._listening_until = now if speaks else now + self._options.turn_grace_secs

    def turn_came(self) -> None:
        """What the user said has come as a turn."""
        self._listening_until = 0.0

    def deadlines(self, now: float) -> list[float]:
        """List the clock readings to come at which the answer may change.

        Args:
            now: Clock reading.
        """
        return [at for at in (*self._link.deadlines(), self._listening_until) if at > now]

    def is_due(self, now: float) -> bool:
        """Whether the connection is to be replaced at this moment.

        Args:
            now: Clock reading.
        """
        link, exchange = self._link, self._exchange
        if not link.renewal_due(now):
            return False
        if exchange.turns.busy or exchange.turns.generating or exchange.calls:
            return link.expired(now)  # until then the answer may still get through
        if link.renewal_wanted:
            return True
        if exchange.waiting is not None:
            return link.last_call(now)  # else the turn goes first, and the hand-over into its listening time
        quiet = not self.user_speaking and now >= self._listening_until
        return link.last_call(now) or (exchange.turns.closed and quiet)
