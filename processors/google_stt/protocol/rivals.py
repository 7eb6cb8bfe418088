"""When another stream is to try a segment: because the last one failed, or beside those that are waited for."""

from halfcascade.processors.google_stt.protocol.events import StreamParams
from halfcascade.processors.google_stt.protocol.health import EarsHealth
from halfcascade.processors.google_stt.protocol.open_streams import OpenStreams, Stream
from halfcascade.processors.google_stt.protocol.segments import Segments
from halfcascade.processors.google_stt.protocol.words import Segment


class Rivals:
    """Streams that race for a segment while it is in doubt whether any connection lives.

    A stream that hangs tells nothing until its time is over, and one that begins after the network has come back gets
    through at once. So a new one is opened every now and then, and the older ones keep their time: on a network that is
    only slow they are the nearer to an answer. Only the oldest segment is raced for; what that
    finds out serves the others.
    """

    def __init__(self, params: StreamParams, segments: Segments, streams: OpenStreams, health: EarsHealth):
        """Begin without a race.

        Args:
            params: When and how many.
            segments: What is to be recognized.
            streams: What is open.
            health: Whether the connection is in doubt.
        """
        self._params = params
        self._segments = segments
        self._streams = streams
        self._health = health

    def next_at(self, segment: Segment) -> float | None:
        """When the next stream for a segment is due.

        Args:
            segment: The segment.

        Returns:
            Clock reading, or None if those that are open are waited for.
        """
        if segment.retry_at is not None:
            return segment.retry_at
        racing = self._unanswered(segment)
        if not 0 < len(racing) < self._params.rivals:
            return None
        if segment is not next(older for older in self._segments.all if self._unanswered(older)):
            return None
        newest = racing[-1]
        if self._in_doubt(segment) or len(racing) > 1:
            return max(newest.opened_at, segment.ended_at) + self._params.rival_secs
        return None if newest.flushed_at is None else newest.flushed_at + self._health.doubt_secs

    def asked_before(self, segment: Segment, stream: Stream) -> bool:
        """Whether all streams of a segment in doubt were opened before one that got through.

        Args:
            segment: The segment.
            stream: The stream that got through.
        """
        racing = self._unanswered(segment)
        return bool(racing) and self._in_doubt(segment) and racing[-1].opened_at < stream.opened_at

    def _in_doubt(self, segment: Segment) -> bool:
        """Whether streams of a segment are known to have hung, or those of others."""
        return segment.renewed or self._health.suspect

    def _unanswered(self, segment: Segment) -> list[Stream]:
        """The streams of a segment that has ended, if none of them has said anything."""
        if segment.end is None:
            return []
        streams = [stream for _, stream in self._streams.of(segment)]
        return [] if any(stream.answered for stream in streams) else streams
