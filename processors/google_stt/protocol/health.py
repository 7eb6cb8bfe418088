"""How the recognizer does, across streams. No I/O."""

from collections import deque

from halfcascade.processors.google_stt.protocol.events import StreamParams
from halfcascade.processors.health import ServiceHealth

_FIRST_BACKOFF_SECS = 0.1
_LONGEST_BACKOFF_SECS = 0.5
# How many flushes tell what is usual, of so many newest ones, and how much longer than the slowest is suspect.
_FLUSHES_KNOWN = 2
_FLUSHES_KEPT = 8
_FLUSH_FACTOR = 3.0
# How much longer is doubtful where not a word came before either.
_DOUBT_FACTOR = 2.0
# Times the shortest such time this is more than the slowest figure known (facts/stt#latency).
_AGAIN_FACTOR = 1.75
# One failure is Google's way to end a stream; from the second in a row on, the connection itself is suspect.
_SUSPECT_FAILURES = 2


class EarsHealth(ServiceHealth):
    """What streams have shown of the service, and since when the user waits for words."""

    def __init__(self, params: StreamParams):
        """Start without knowing anything.

        Args:
            params: Times of the streams.
        """
        super().__init__(params.refusals_believed)
        self._params = params
        self._flushes: deque[float] = deque(maxlen=_FLUSHES_KEPT)
        self._awaits_since: float | None = None
        self._told_for: float | None = None

    def awaits_words(self, now: float) -> None:
        """The user has stopped speaking.

        Args:
            now: Clock reading.
        """
        self._awaits_since = now

    def settled(self) -> None:
        """Nothing is waited for: all words are there, or more are being said."""
        self._awaits_since = None

    @property
    def tell_at(self) -> float | None:
        """Clock reading at which the user is told that their words do not come, or None."""
        if self._awaits_since is None or self._told_for == self._awaits_since:
            return None
        return self._awaits_since + self._params.tell_secs

    def tell(self, now: float) -> bool:
        """Find whether the user is to be told now.

        Args:
            now: Clock reading.

        Returns:
            Whether an outage is to be told; once for what they said last.
        """
        if self.tell_at is None or now < self.tell_at:
            return False
        self._told_for = self._awaits_since
        self.told()
        return True

    def flushed(self, secs: float) -> None:
        """A half-closed stream has ended in order.

        Args:
            secs: How long it took.
        """
        self._flushes.append(secs)

    def flush_secs(self, *, again: bool) -> float:
        """How long a half-closed stream may take to end.

        Args:
            again: Whether another one was given up for it already: now the server may be slow.
        """
        if len(self._flushes) < _FLUSHES_KNOWN:
            return self._params.flush_timeout_secs
        usual = max(self._params.quick_flush_secs, _FLUSH_FACTOR * max(self._flushes))
        return min(self._params.flush_timeout_secs, usual * (_AGAIN_FACTOR if again else 1.0))

    @property
    def doubt_secs(self) -> float:
        """How long a half-closed stream that has said nothing at all may take before it is in doubt."""
        if len(self._flushes) < _FLUSHES_KNOWN:
            return self._params.flush_timeout_secs
        return min(self.flush_secs(again=False), max(self._params.doubt_secs, _DOUBT_FACTOR * max(self._flushes)))

    def mute(self) -> None:
        """A stream took audio and gave nothing, as does then every stream of its connection."""
        self.failed()
        self.failures = max(self.failures, _SUSPECT_FAILURES)

    @property
    def suspect(self) -> bool:
        """Whether the connection is to be exchanged."""
        return self.failures >= _SUSPECT_FAILURES

    @property
    def backoff(self) -> float:
        """Seconds until the next try; the first is immediate: most failures are a stream's end that came too early."""
        if self.failures <= 1:
            return 0.0
        return min(_LONGEST_BACKOFF_SECS, _FIRST_BACKOFF_SECS * 2 ** min(self.failures - 2, 10))
