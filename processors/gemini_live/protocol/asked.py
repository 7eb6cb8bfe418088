"""Whether what the session was asked still stands, whatever overtakes what. No I/O.

Ends of turns, withdrawals and interruptions travel ahead of the questions they concern. Questions therefore have names:
of the turn that they end, and, if they are asked before it is over, a number. An early question stands until the turn
ends with it; whatever else is asked before that takes its place.
"""


class AskedTurns:
    """Follows the newest turn of the user that the session was asked.

    Turns and early questions have numbers from 1 that grow; 0 is something without a number. An early question without
    one is confirmed by the end of the turn, since nobody will name it.
    """

    def __init__(self) -> None:
        """Start with nothing asked."""
        # The newest turn that the session was asked and that was not withdrawn, and the newest that the user went on
        # with.
        self._turn: int | None = None
        self._reopened = 0
        # The early question that stands and is not confirmed; whether the turn has ended that it was asked in; and the
        # newest that was withdrawn.
        self._early: int | None = None
        self._ended = False
        self._withdrawn = 0

    @property
    def is_open(self) -> bool:
        """Whether an early question stands in a turn that has not ended: nothing of its answer may be heard yet."""
        return self._early is not None and not self._ended

    @property
    def is_unconfirmed(self) -> bool:
        """Whether an early question stands of which nobody has said that the turn ended with it."""
        return self._early is not None

    def is_void(self, turn: int, early: int = 0) -> bool:
        """Tell whether a question is not to be asked any more, because something has overtaken it.

        Args:
            turn: Name of the turn.
            early: Its number, if it is an early one.
        """
        return 0 < turn <= self._reopened or 0 < early <= self._withdrawn

    def asked(self, turn: int, early: int | None = None, *, ended: bool = False) -> None:
        """Take note that the session was asked.

        Args:
            turn: Name of the turn, 0 for none.
            early: Number of the question if the turn may not be over, None if it is.
            ended: Whether the turn ended before an early question came.
        """
        self._turn = turn or self._turn
        self._early, self._ended = early, False
        if ended:
            self.turn_ended()

    def turn_ended(self) -> None:
        """The user's turn has ended; an early question that stands was not withdrawn in time."""
        self._ended = True
        if self._early == 0:
            self._early = None

    def confirmed(self, turn: int, early: int) -> bool:
        """The turn was written to the context, with the words of an early question.

        Args:
            turn: Name of the turn.
            early: Number of the question.

        Returns:
            Whether that question stands; else the turn has to be asked.
        """
        if self._early != early:
            return False
        self._turn, self._early = turn, None
        return True

    def withdrawn(self, early: int = 0) -> bool:
        """The user goes on, or the words were others: early questions up to this one are void.

        Args:
            early: Number of the newest, 0 for the one that stands.

        Returns:
            Whether what the session was asked has to be taken back.
        """
        self._withdrawn = max(self._withdrawn, early)
        return self.is_open and (not early or (self._early or 0) <= early)

    def reopened(self, turn: int) -> bool:
        """The user goes on with a turn that had ended.

        Args:
            turn: Its name, 0 for the newest.

        Returns:
            Whether what the session was asked has to be taken back.
        """
        self._reopened = max(self._reopened, turn)
        return turn in (0, self._turn)

    def taken_back(self) -> None:
        """What the session was asked last counts as never asked."""
        self._turn = self._early = None
