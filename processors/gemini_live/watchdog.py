"""What to do about a turn that gets no answer (about 5 % on 3.1, facts C10). No I/O."""

from enum import Enum

from processors.gemini_live.answer import Answer
from processors.gemini_live.models import LiveModel
from processors.gemini_live.options import SessionOptions


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


_IMPATIENCE = 2 / 3


class Watchdog:
    """Counts the seconds without a sign of an answer: one nudge, one resend, then the end."""

    def __init__(self, options: SessionOptions) -> None:
        """Start calm.

        Args:
            options: Patience.
        """
        self._options = options
        self._next = Step.NUDGE

    @property
    def calm(self) -> bool:
        """Whether nothing had to be done for the present turn yet."""
        return self._next is Step.NUDGE

    def sent(self, *, again: bool) -> None:
        """A turn was written.

        Args:
            again: Whether it had been written before.
        """
        self._next = Step.GIVE_UP if again else Step.NUDGE

    def answered(self) -> None:
        """Something of the answer came."""
        self._next = Step.NUDGE

    def nudged(self) -> None:
        """The model was asked once more."""
        self._next = Step.RESEND

    def due_at(self, waiting: Answer | None, heard_from_at: float, model: LiveModel) -> float | None:
        """Tell when something is to be done if nothing comes.

        Args:
            waiting: The answer that owes us the next move, if any.
            heard_from_at: Clock reading of its last message.
            model: Row of the model.

        Returns:
            Clock reading, or None.
        """
        if waiting is None:
            return None
        patience = self._options.patience_secs or model.patience_secs
        if not self.calm:
            patience *= _IMPATIENCE  # the user has waited already
        return max(waiting.sent_at, heard_from_at) + (self._options.stall_secs if _stalled(waiting) else patience)

    def step(self, waiting: Answer) -> Step:
        """Tell what to do now that it is due.

        Args:
            waiting: The answer that does not come.
        """
        return Step.CUT if _stalled(waiting) else self._next


def _stalled(waiting: Answer) -> bool:
    return waiting.started and not waiting.answered_call
