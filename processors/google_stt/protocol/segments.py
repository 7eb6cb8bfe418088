"""Where audio is cut into segments: each begins a little before speech, and ends in silence or when it is too old."""

from halfcascade.processors.audio_history import AudioHistory
from halfcascade.processors.google_stt.protocol.events import StreamParams
from halfcascade.processors.google_stt.protocol.open_streams import OpenStreams
from halfcascade.processors.google_stt.protocol.words import Segment, WordQueue

# After how much of it speech is noticed at the latest, generously.
_NOTICED_SECS = 1.0


class Segments:
    """The segments that are not over, in order.

    Parameters:
        all: The segments.
        open: The one that grows, or None.
        tentative: The segment that a silence has cut which may turn out to be a mere pause.
    """

    def __init__(
        self, sample_rate: int, params: StreamParams, history: AudioHistory, streams: OpenStreams, words: WordQueue
    ):
        """Begin with silence.

        Args:
            sample_rate: Samples per second.
            params: When streams begin and end.
            history: The audio.
            streams: Where each new segment gets a stream.
            words: What was recognized, some of which may have to be revoked.
        """
        self._rate = sample_rate
        self._params = params
        self._history = history
        self._streams = streams
        self._words = words
        self._last_endpoint = 0
        # Where the bot fell silent, or None while it speaks.
        self._bot_silent_from: int | None = 0
        self.all: list[Segment] = []
        self.open: Segment | None = None
        self.tentative: Segment | None = None

    # Beginnings

    def begin_at_endpoint(self, now: float) -> None:
        """Begin a segment where the last one ended.

        Args:
            now: Clock.
        """
        self._begin(self._last_endpoint, now)

    def ensure(self, noticed_after_secs: float, now: float) -> None:
        """Have a segment that grows, with speech in it.

        Args:
            noticed_after_secs: For how long speech has been heard already.
            now: Clock.
        """
        if self.open is None:
            self._begin(self._beginning(noticed_after_secs), now)
        if self.open is not None:
            self.open.has_speech = True

    def _beginning(self, noticed_after_secs: float) -> int:
        """Where to begin for speech that is noticed now: a pause of a turn is not left out, the bot's voice is."""
        end = self._history.end
        pause = end - round(noticed_after_secs * self._rate) - self._last_endpoint
        if pause <= self._params.bridge_secs * self._rate and self._bot_silent_since(self._last_endpoint):
            return self._last_endpoint
        return max(self._last_endpoint, end - round((noticed_after_secs + self._params.preroll_secs) * self._rate))

    def _bot_silent_since(self, position: int) -> bool:
        return self._bot_silent_from is not None and self._bot_silent_from <= position

    def bot_speaks(self, speaking: bool) -> None:
        """Take note of what else the microphone may hear.

        Args:
            speaking: Whether the bot speaks from here on.
        """
        self._bot_silent_from = None if speaking else self._history.end

    def _begin(self, start: int, now: float, *, overlaps: bool = False) -> None:
        start = max(start, self._history.start)
        segment = Segment(start=start, confirmed=start, overlaps=overlaps)
        self.all.append(segment)
        self.open = segment
        self._streams.open(segment, now)

    def _begin_overlapping(self, earliest: int, end: int, now: float) -> None:
        """Begin a segment before the end of the previous one, where most likely no word is cut."""
        start = max(earliest, end - round(self._params.overlap_secs * self._rate))
        self._begin(self._history.quietest(start, end), now, overlaps=True)
        if self.open is not None:
            self.open.has_speech = True

    # Ends

    def endpoint(self, silence_secs: float, now: float) -> Segment | None:
        """End the open segment here, if anything was said in it.

        Args:
            silence_secs: How long it has been silent.
            now: Clock.

        Returns:
            The segment that ended, or None.
        """
        segment = self.open
        if segment is None or not segment.has_speech:
            return None
        segment.speech_end = max(segment.start, self._history.end - round(silence_secs * self._rate))
        self.end(segment, now)
        if self._params.continuous:
            self.begin_at_endpoint(now)
        return segment

    def end(self, segment: Segment, now: float) -> None:
        """End a segment here.

        Args:
            segment: The segment.
            now: Clock.
        """
        segment.end = self._last_endpoint = self._history.end
        segment.confirmed_at_endpoint = segment.confirmed
        segment.ended_at = now
        self.open = None

    @property
    def unsent_secs(self) -> float:
        """How much audio there is since the last endpoint."""
        return (self._history.end - self._last_endpoint) / self._rate

    def reopen(self, now: float, said_on_secs: float | None = None) -> bool:
        """Revoke an endpoint that may lie inside a word, and all that was heard up to it.

        Args:
            now: Clock.
            said_on_secs: How long after the endpoint speech has gone on, or None if it goes on now.

        Returns:
            Whether the speech that goes on has a segment now.
        """
        segment, self.tentative = self.tentative, None
        unused = self.open if self.open is not None and not self.open.has_speech else None
        if segment is None or segment.end is None or self.open is not unused:
            return False
        if (self.unsent_secs if said_on_secs is None else said_on_secs) > self._params.reopen_secs:
            return False
        if unused is not None:
            self._drop(unused)
            self._words.withdraw(unused)
        again = self._history.end - segment.confirmed_at_endpoint
        if again > self._params.longest_reopened_secs * self._rate:
            self._begin_overlapping(segment.start, segment.end, now)
        else:
            self._let_grow(segment, now)
        return True

    def _let_grow(self, segment: Segment, now: float) -> None:
        self._drop(segment)
        self.all.append(segment)
        self._words.revoke(segment)
        segment.reopen()
        self.open = segment
        self._last_endpoint = segment.start
        self._streams.open(segment, now)

    def _drop(self, segment: Segment) -> None:
        """Forget a segment and abort its streams."""
        self.all = [other for other in self.all if other is not segment]
        self._streams.abort_all(segment)

    def roll_over_if_old(self, now: float, *, quiet: bool) -> None:
        """Let another segment go on where the open one has a stream that is as old as it may grow.

        Args:
            now: Clock.
            quiet: Whether nobody speaks now.
        """
        segment = self.open
        streams = self._streams.of(segment) if segment is not None else []
        if segment is None or not streams:
            return  # A retry replaces the stream anyway.
        _, stream = streams[-1]
        age = max(now - stream.opened_at, (self._history.end - stream.base) / self._rate)
        if age < self._params.max_stream_secs + (0.0 if quiet else self._params.rollover_grace_secs):
            return
        end = self._history.end
        self.end(segment, now)
        if quiet:
            self._begin(end, now)
        else:
            self._begin_overlapping(segment.start, end, now)

    # Audio

    @property
    def needed_from(self) -> int:
        """Position before which no audio is needed any more."""
        if self.open is None and not self.all:
            # Speech is noticed late, so more is kept than what is sent of the time before it.
            before_secs = max(self._params.preroll_secs, self._params.bridge_secs)
            keep = self._history.end - round((before_secs + _NOTICED_SECS) * self._rate)
        else:
            keep = min((segment.confirmed for segment in self.all), default=self._history.end)
        if self.tentative is not None:
            keep = min(keep, self.tentative.confirmed_at_endpoint)
        return min(keep, self._history.end - round(self._params.overlap_secs * self._rate))
