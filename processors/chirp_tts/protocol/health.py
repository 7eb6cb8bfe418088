"""How the voice does, across utterances. No I/O."""

from halfcascade.processors.chirp_tts.protocol.events import SpeechParams


class VoiceHealth:
    """What calls have shown of the service; one for all utterances, because there is one service.

    Parameters:
        slow: Whether whole answers are asked for, of which nothing comes until all is there.
    """

    def __init__(self, params: SpeechParams | None = None) -> None:
        """Start without knowing anything.

        Args:
            params: Times of the voice.
        """
        self.params = params or SpeechParams()
        self.slow = False
        self._has_worked = False
        self._refusals = 0
        self._down_since: float | None = None
        self._told = False

    @property
    def first_audio_secs(self) -> float:
        """How long a call may give no audio before another one is made beside it."""
        return self.params.budget_secs if self.slow else self.params.first_audio_secs

    def progress(self) -> bool:
        """Audio came.

        Returns:
            Whether that ends an outage that was told.
        """
        over, self._told = self._told, False
        self._has_worked = True
        self._refusals = 0
        self._down_since = None
        return over

    def failed(self, now: float, *, refused: bool = False) -> None:
        """A call gave nothing.

        Args:
            now: Clock reading.
            refused: Whether asking again is said to be of no use.
        """
        self._refusals = self._refusals + 1 if refused else 0
        if self._down_since is None:
            self._down_since = now

    def outage(self) -> None:
        """The user was told that the voice gives no sound."""
        self._told = True

    @property
    def believed(self) -> bool:
        """Whether a refusal is final: nothing has ever worked, or it was repeated often enough."""
        return not self._has_worked or self._refusals >= self.params.refusals_believed

    def budget(self, now: float) -> float:
        """How long a segment that is begun now may be tried.

        Args:
            now: Clock reading.
        """
        if self._down_since is None:
            return self.params.budget_secs
        return max(self.params.down_budget_secs, self._down_since + self.params.budget_secs - now)
