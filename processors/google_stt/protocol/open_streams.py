"""Request streams under way: which audio has gone out on each, and when it has to be half-closed."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from halfcascade.processors.audio_history import AudioHistory
from halfcascade.processors.google_stt.protocol.events import AbortStream, Event, OpenStream
from halfcascade.processors.google_stt.protocol.words import Segment


@dataclass(eq=False)
class Stream:
    """A request stream.

    Positions are samples since the first audio.

    Parameters:
        segment: What it recognizes.
        base: Its first sample.
        cursor: Up to where its audio was taken.
        opened_at: Clock reading at which it was opened.
        flushed_at: Clock reading at which all its audio had been taken, or None.
        answered: Whether any results came.
    """

    segment: Segment
    base: int
    cursor: int
    opened_at: float
    flushed_at: float | None = None
    answered: bool = False


class OpenStreams:
    """The streams that are open, by number."""

    def __init__(self, sample_rate: int, history: AudioHistory, events: deque[Event]):
        """Begin without a stream.

        Args:
            sample_rate: Samples per second.
            history: Where their audio comes from.
            events: Where what is to be done is queued.
        """
        self._rate = sample_rate
        self._history = history
        self._events = events
        self._streams: dict[int, Stream] = {}
        self._next = 0

    def __iter__(self) -> Iterator[tuple[int, Stream]]:
        """Go through what is open, with its numbers; streams may be aborted and opened meanwhile."""
        return iter(list(self._streams.items()))

    def get(self, number: int) -> Stream | None:
        """Find a stream.

        Args:
            number: Its number.

        Returns:
            The stream, or None if it is not open.
        """
        return self._streams.get(number)

    def of(self, segment: Segment) -> list[tuple[int, Stream]]:
        """Find the streams at work on a segment.

        Args:
            segment: The segment.

        Returns:
            The streams with their numbers, the newest last.
        """
        return [(number, stream) for number, stream in self._streams.items() if stream.segment is segment]

    def open(self, segment: Segment, now: float) -> None:
        """Open a stream for a segment, from where finals reach.

        Args:
            segment: The segment.
            now: Clock.
        """
        segment.retry_at = None
        number, self._next = self._next, self._next + 1
        segment.interim, segment.interim_end = "", 0
        self._streams[number] = Stream(segment, base=segment.confirmed, cursor=segment.confirmed, opened_at=now)
        self._events.append(OpenStream(number))

    def abort(self, number: int) -> None:
        """Give a stream up.

        Args:
            number: Its number.
        """
        self.forget(number)
        self._events.append(AbortStream(number))

    def abort_all(self, segment: Segment, *, but: int | None = None) -> None:
        """Give the streams of a segment up.

        Args:
            segment: The segment.
            but: Number of the stream that goes on.
        """
        for number, _ in self.of(segment):
            if number != but:
                self.abort(number)

    def forget(self, number: int) -> Stream | None:
        """Take note that a stream is over.

        Args:
            number: Its number.

        Returns:
            The stream, or None if it was not open.
        """
        return self._streams.pop(number, None)

    def has_to_send(self, number: int, least_secs: float = 0.0) -> bool:
        """Whether there is something to do for who sends on a stream: audio to take, or to half-close it.

        Args:
            number: Which one.
            least_secs: How much audio makes a message worth it. What is left at an endpoint is sent at once.
        """
        stream = self._streams.get(number)
        if stream is None or stream.segment.end is not None:
            return True
        return self._history.end - stream.cursor >= max(1.0, least_secs * self._rate)

    def take(self, number: int, max_bytes: int, least_secs: float = 0.0) -> bytes:
        """Take audio to send on a stream.

        Args:
            number: Which one.
            max_bytes: Upper limit; an even number.
            least_secs: How much audio makes a message worth it. What is left at an endpoint is given at once.

        Returns:
            Audio, or b"" if there is none to send now.
        """
        stream = self._streams.get(number)
        if stream is None or not self.has_to_send(number, least_secs):
            return b""
        end = self._history.end if stream.segment.end is None else stream.segment.end
        stop = min(end, stream.cursor + max_bytes // 2)
        audio = self._history.read(stream.cursor, stop)
        stream.cursor = max(stream.cursor, stop)
        return audio

    def exhausted(self, number: int, now: float) -> bool:
        """Whether all audio of a stream has been taken, so that it must be half-closed.

        Args:
            number: Which one.
            now: Clock.
        """
        stream = self._streams.get(number)
        if stream is None:
            return True
        if stream.segment.end is None or stream.cursor < stream.segment.end:
            return False
        if stream.flushed_at is None:
            stream.flushed_at = now
        return True
