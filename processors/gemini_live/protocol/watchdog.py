"""What to do about a turn that gets no answer (about 5 % on 3.1, facts/live#latency). No I/O.

Every turn has one nudge and one resend on a new connection; when both are spent, the user is told. It does not matter
what spends them: a turn that got no sign of an answer, or an answer that ended without a word (facts/live#transcripts).
A connection that broke first spends the resend and leaves the nudge; further broken connections are no fault of the
turn, so it is sent again up to ``max_attempts`` times in all. Words of the answer give both back, so that a long answer
survives several broken connections.
"""

from enum import Enum

from halfcascade.processors.gemini_live.protocol.answer import Answer
from halfcascade.processors.gemini_live.protocol.models import LiveModel
from halfcascade.processors.gemini_live.protocol.options import SessionOptions


class Step(Enum):
    """What is due.

    Parameters:
        NUDGE: Ask for the answer once more on the same connection.
        RESEND: Send the turn again on a new connection.
        GIVE_UP: Say aloud that there is no answer.
        CUT: The answer stopped in its middle: go on without the rest.
    """

    NUDGE = "nudge"
    RESEND = "resend"
    GIVE_UP = "give_up"
    CUT = "cut"


_SHORTENED = 2 / 3


class Watchdog:
    """Counts the seconds without a sign of an answer, and what was tried for the present turn."""

    def __init__(self, options: SessionOptions) -> None:
        """Start calm.

        Args:
            options: Timeouts.
        """
        self._options = options
        self._nudged = False
        self._resent = False

    @property
    def nudged(self) -> bool:
        """Whether the model was asked once more and has not answered yet."""
        return self._nudged

    @property
    def next(self) -> Step:
        """What is left to be tried."""
        if not self._nudged:
            return Step.NUDGE
        return Step.GIVE_UP if self._resent else Step.RESEND

    def sent(self, *, again: bool) -> None:
        """A turn was written.

        Args:
            again: Whether it had been written before.
        """
        self._resent = again
        self._nudged = again and self._nudged

    def answered(self) -> None:
        """Something of the answer came."""
        self._nudged = self._resent = False

    def nudge(self) -> None:
        """The model is asked once more."""
        self._nudged = True

    def due_at(self, waiting: Answer | None, heard_from_at: float, model: LiveModel) -> float | None:
        """Tell when something is to be done if nothing comes.

        Args:
            waiting: The pending answer whose next move is the server's, if any.
            heard_from_at: Clock reading of its last message.
            model: Row of the model.

        Returns:
            Clock reading, or None.
        """
        if waiting is None:
            return None
        timeout = self._options.answer_timeout_secs or model.answer_timeout_secs
        if self._nudged or self._resent:
            timeout *= _SHORTENED  # the user has waited already
        return max(waiting.sent_at, heard_from_at) + (self._options.stall_secs if _stalled(waiting) else timeout)

    def step(self, waiting: Answer) -> Step:
        """Tell what to do now that it is due.

        Args:
            waiting: The answer that does not come.
        """
        return Step.CUT if _stalled(waiting) else self.next


def _stalled(waiting: Answer) -> bool:
    return waiting.started and not waiting.answered_call
