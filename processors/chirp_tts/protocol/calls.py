"""The calls that fetch segments: made, made again, made beside those that give nothing, and given up."""

from collections import deque

from halfcascade.processors.chirp_tts.protocol.events import (
    Action,
    Cancel,
    Close,
    Failure,
    Feed,
    Fetch,
    OutageOver,
    RenewChannel,
)
from halfcascade.processors.chirp_tts.protocol.health import VoiceHealth
from halfcascade.processors.chirp_tts.protocol.segment import Segment

NO_AUDIO = Failure("Text-to-Speech gave no audio for a sentence.", about_text=True)
STOPPED = Failure("Text-to-Speech stopped answering: check the network connection.", retry=True)
# Of a call that is open for more text, so much audio may seem to be missing by the error of the estimate.
_SURELY_MISSING_SECS = 1.0


class Calls:
    """Knows which call fetches which segment, and what to do about calls that are late or fail."""

    def __init__(self, health: VoiceHealth, actions: deque[Action]):
        """Begin without a call.

        Args:
            health: How the voice does.
            actions: Where what is to be done is queued.
        """
        self._health = health
        self._params = health.params
        self._actions = actions
        self._by_call: dict[int, Segment] = {}
        self._made = 0

    def clear(self) -> None:
        """Nothing of what calls still bring is wanted."""
        self._by_call.clear()

    def make(self, segment: Segment, now: float) -> None:
        """Ask for a segment by one more call.

        Args:
            segment: The segment.
            now: Clock reading.
        """
        self._made += 1
        again = bool(segment.calls or segment.failures or segment.attempt > 1)
        segment.calls[self._made] = segment.asked_at = now
        segment.retry_at = None
        self._by_call[self._made] = segment
        first, *others = segment.pieces
        more = segment.open or bool(others)
        self._actions.append(Fetch(self._made, first.sent, segment.phrase, again, more))
        self._actions.extend(Feed(self._made, piece.sent) for piece in others)
        if more and not segment.open:
            self._actions.append(Close(self._made))

    # What calls bring.

    def audio(self, call: int, now: float) -> Segment | None:
        """A call gives audio: the first to do so is the one that is heard.

        Args:
            call: Its number.
            now: Clock reading.

        Returns:
            Its segment, or None if the call is over.
        """
        segment = self._by_call.get(call)
        if segment is None or segment.source is not None:
            return segment
        segment.source = call
        self._health.first_audio(now - segment.calls[call])
        for other in list(segment.calls):
            if other != call:
                self._cancel(other)
        if self._health.progress():
            self._actions.append(OutageOver())
        return segment

    def finished(self, call: int) -> None:
        """A call has given all it has.

        Args:
            call: Its number.
        """
        segment = self._forget(call)
        if segment is None:
            return
        if segment.source == call:
            segment.over = True
        elif not segment.calls:
            segment.error = NO_AUDIO

    def failed(self, call: int, failure: Failure, now: float) -> None:
        """A call gave nothing, or no more.

        Args:
            call: Its number.
            failure: Why.
            now: Clock reading.
        """
        segment = self._forget(call)
        if segment is None:
            return
        segment.last = failure
        if segment.source == call:
            segment.over, segment.broke = True, failure
        elif not segment.calls:
            self._ask_again(segment, failure, now)

    def _ask_again(self, segment: Segment, failure: Failure, now: float) -> None:
        """A segment could not be had: try again as long as that makes sense and the budget lasts."""
        refused = not failure.retry and not failure.about_text
        if not failure.about_text:
            self._health.gave_nothing(now, refused=refused)
        if failure.about_text or (refused and self._health.refuses):
            segment.error = failure
            return
        segment.failures += 1
        # The first failure is often that of a connection that had been idle: speed counts.
        doubled = self._params.first_backoff_secs * 2 ** min(segment.failures - 1, 10)
        pause = 0.0 if segment.failures == 1 else min(doubled, self._params.longest_backoff_secs)
        segment.retry_at = now + max(pause, failure.wait_secs)
        if segment.failures > 1:
            self._actions.append(RenewChannel())

    # What calls fail to bring.

    def due(self, segment: Segment) -> list[float]:
        """Tell when there is something to do about the calls of a segment that is fetched.

        Args:
            segment: The segment.

        Returns:
            Clock readings.
        """
        if segment.source is not None:
            times = [self._stalls_at(segment)]
        else:
            times = [segment.retry_at, self._beside_at(segment), self._give_up_at(segment)]
        return [at for at in times if at is not None]

    def supervise(self, segment: Segment, now: float) -> None:
        """Do what is due about the calls of a segment that is fetched.

        Args:
            segment: The segment.
            now: Clock reading.
        """
        if segment.source is not None:
            stalls_at = self._stalls_at(segment)
            if stalls_at is not None and now >= stalls_at:
                self._cancel(segment.source)
                segment.over, segment.broke = True, STOPPED
        elif now >= self._give_up_at(segment):
            for call in list(segment.calls):
                self._cancel(call)
            self._health.gave_nothing(now)
            segment.error = segment.last or STOPPED
        else:
            self._try_again(segment, now)

    def _try_again(self, segment: Segment, now: float) -> None:
        beside_at = self._beside_at(segment)
        if beside_at is not None and now >= beside_at:
            # Late or never: another connection may be better, and whichever is first is heard.
            self._health.gave_nothing(now)
            self._actions.append(RenewChannel())
            self.make(segment, now)
        elif segment.retry_at is not None and now >= segment.retry_at:
            self.make(segment, now)

    def _stalls_at(self, segment: Segment) -> float | None:
        """When audio that must come is given up; an open call may be waiting for text."""
        if segment.open and segment.missing <= max(_SURELY_MISSING_SECS, 0.25 * segment.estimator.duration):
            return None
        return max(segment.audio_at, segment.asked_at) + self._params.stall_secs

    def _give_up_at(self, segment: Segment) -> float:
        begun_at = segment.begun_at or 0.0
        return begun_at + self._health.budget(begun_at)

    def _beside_at(self, segment: Segment) -> float | None:
        """When another call is made beside those that give nothing."""
        if not 0 < len(segment.calls) < self._params.beside:
            return None
        return max(segment.calls.values()) + self._health.first_audio_secs * len(segment.calls)

    def _forget(self, call: int) -> Segment | None:
        segment = self._by_call.pop(call, None)
        if segment is not None:
            segment.calls.pop(call, None)
        return segment

    def _cancel(self, call: int) -> None:
        self._forget(call)
        self._actions.append(Cancel(call))
