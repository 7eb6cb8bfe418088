"""Several pieces of a reply in one call: which may join it, and when it is closed although more text may come."""

from collections import deque

from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock
from halfcascade.processors.chirp_tts.protocol.events import Action, Close, Feed, SpeechParams
from halfcascade.processors.chirp_tts.protocol.segment import Segment
from halfcascade.processors.language import has_unspaced


class OneCall:
    """Decides what goes into a call that is open for more text."""

    def __init__(self, segments: list[Segment], playback: PlaybackClock, params: SpeechParams, actions: deque[Action]):
        """Begin without an open call.

        Args:
            segments: Those of the utterance; one that joins another is taken out.
            playback: The loudspeaker.
            params: Times of the voice.
            actions: Where what is to be done is queued.
        """
        self._segments = segments
        self._playback = playback
        self._params = params
        self._actions = actions

    def open_for(self, segment: Segment) -> Segment | None:
        """Find the segment whose call can go on with another one.

        Args:
            segment: The other one.

        Returns:
            The one before it, or None if its call cannot.
        """
        index = self._segments.index(segment)
        speaking = self._segments[index - 1] if index else None
        if speaking is None or not speaking.open or not speaking.fetching or segment.phrase:
            return None
        # Words are told to be heard with or without the spaces after them, one way in a segment.
        if has_unspaced(speaking.text) != has_unspaced(segment.text):
            return None
        size = len(speaking.text.encode()) + len(segment.text.encode())
        return speaking if size <= self._params.call_bytes else None

    def join(self, speaking: Segment, segment: Segment, now: float) -> None:
        """Go on with a segment in another's call.

        Args:
            speaking: Whose call it is.
            segment: What goes on there.
            now: Clock reading.
        """
        self._segments.remove(segment)
        speaking.join(segment)
        speaking.asked_at = now
        self._actions.extend(Feed(call, piece.sent) for call in speaking.calls for piece in segment.pieces)

    def close_all(self, now: float) -> None:
        """What follows, if anything does, is said by other calls.

        Args:
            now: Clock reading.
        """
        for segment in self._segments:
            self._close(segment, now)

    def close_at(self, segment: Segment) -> float | None:
        """Tell when the call of a segment is closed although more text may come.

        Args:
            segment: The segment.

        Returns:
            Clock reading, or None if its call is not open.
        """
        if not segment.open:
            return None
        dry = self._playback.busy_until - self._params.reserve_secs
        return min(segment.asked_at + self._params.idle_secs, max(self._lull_at(segment), dry))

    def supervise(self, segment: Segment, now: float) -> None:
        """Close the call of a segment if that is due.

        Args:
            segment: The segment.
            now: Clock reading.
        """
        close_at = self.close_at(segment)
        if close_at is not None and now >= close_at:
            self._close(segment, now)

    def lulls(self, segment: Segment, now: float) -> bool:
        """Tell whether an open call may have spoken all it was given.

        Args:
            segment: Whose call.
            now: Clock reading.
        """
        return segment.open and segment.source is not None and now >= self._lull_at(segment)

    def _lull_at(self, segment: Segment) -> float:
        return max(segment.audio_at, segment.asked_at) + self._params.lull_secs

    def _close(self, segment: Segment, now: float) -> None:
        if segment.open:
            segment.open, segment.asked_at = False, now
            self._actions.extend(Close(call) for call in segment.calls)
