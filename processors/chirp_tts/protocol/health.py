"""How the voice does, across utterances. No I/O."""

from collections import deque

from halfcascade.processors.chirp_tts.protocol.events import SpeechParams
from halfcascade.processors.health import ServiceHealth

# How many first audios tell what is usual, of so many newest ones, and how much longer than the slowest is suspect.
_KNOWN = 2
_KEPT = 8
_FACTOR = 3.0


class VoiceHealth(ServiceHealth):
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
        super().__init__(self.params.refusals_believed)
        self.slow = False
        self._down_since: float | None = None
        self._first_audio: deque[float] = deque(maxlen=_KEPT)

    @property
    def first_audio_secs(self) -> float:
        """How long a call may give no audio before another one is made beside it."""
        if self.slow:
            return self.params.budget_secs
        if len(self._first_audio) < _KNOWN:
            return self.params.first_audio_secs
        usual = max(self.params.quick_first_audio_secs, _FACTOR * max(self._first_audio))
        return min(self.params.first_audio_secs, usual)

    def first_audio(self, secs: float) -> None:
        """The first audio of a call came.

        Args:
            secs: How long it took.
        """
        self._first_audio.append(secs)

    def progress(self) -> bool:
        """Audio came.

        Returns:
            Whether that ends an outage that was told.
        """
        self._down_since = None
        return super().progress()

    def gave_nothing(self, now: float, *, refused: bool = False) -> None:
        """A call gave no audio.

        Args:
            now: Clock reading.
            refused: Whether asking again is said to be of no use.
        """
        self.failed(refused=refused)
        if self._down_since is None:
            self._down_since = now

    def budget(self, now: float) -> float:
        """How long a segment that is begun now may be tried.

        Args:
            now: Clock reading.
        """
        if self._down_since is None:
            return self.params.budget_secs
        return max(self.params.down_budget_secs, self._down_since + self.params.budget_secs - now)
