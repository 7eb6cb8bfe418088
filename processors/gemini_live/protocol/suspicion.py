"""Whether a connection takes what it is asked and says nothing to it. No I/O.

Suspicion outlives a turn: what was asked on a connection and brought no sign of life counts until one comes.
"""

from halfcascade.processors.gemini_live.protocol.models import LiveModel
from halfcascade.processors.gemini_live.protocol.options import SessionOptions

# A connection that has said nothing for this part of the time an answer may take is not asked anything else.
_PART = 0.5


class Suspicion:
    """Counts from the first question that nothing was said to."""

    def __init__(self, options: SessionOptions) -> None:
        """Begin without one.

        Args:
            options: Timeouts.
        """
        self._options = options
        self._asked_at: float | None = None

    def asked(self, now: float) -> None:
        """Something was written that the server has to answer.

        Args:
            now: Clock reading.
        """
        if self._asked_at is None:
            self._asked_at = now

    def cleared(self) -> None:
        """The server said something to it, or the connection is gone."""
        self._asked_at = None

    def due_at(self, model: LiveModel) -> float | None:
        """Tell when the connection is not to be trusted any more.

        Args:
            model: Row of the model.

        Returns:
            Clock reading, or None.
        """
        if self._asked_at is None:
            return None
        return self._asked_at + _PART * (self._options.answer_timeout_secs or model.answer_timeout_secs)
