"""Which audio goes to which recognition stream, and in which order the words come back: the ears without I/O.

Audio is cut into *segments*, consecutive stretches of what the microphone gave. Each segment is recognized by one
request stream; if that stream fails, by another one that replays the segment from the last final result on. On a
connection in doubt several race for a segment, and only the first that answers is listened to. Words are delivered in
the order of the segments, whatever the order in which streams answer.

The machine is fed audio, voice activity, responses and clock readings, and queues events for a shell that owns the
sockets. All positions are counted in samples since the first audio; all times are seconds of one monotonic clock.
"""

from collections import deque
from collections.abc import Sequence

from halfcascade.processors.audio_history import AudioHistory
from halfcascade.processors.google_stt.protocol.events import (
    Believed,
    Event,
    OutageBegan,
    OutageOver,
    RenewChannel,
    Result,
    StreamParams,
)
from halfcascade.processors.google_stt.protocol.health import EarsHealth
from halfcascade.processors.google_stt.protocol.losses import LostAudio
from halfcascade.processors.google_stt.protocol.open_streams import OpenStreams, Stream
from halfcascade.processors.google_stt.protocol.rivals import Rivals
from halfcascade.processors.google_stt.protocol.segments import Segments
from halfcascade.processors.google_stt.protocol.words import Segment, WordQueue
from halfcascade.processors.language import join_text

# So much later than the pause voice activity detection may place an end of speech that nothing follows: in recordings
# it is 0.04 s at most for 90 of 100 ends.
_FAINT_SECS = 0.06


class SpeechStreams:
    """The streams of one pair of ears.

    Feed it with ``audio``, the voice activity methods, ``received``, ``ended`` and ``tick``; after each call, handle
    what ``next_event`` returns until it returns None. ``deadline`` says when ``tick`` is due. For every open stream,
    send what ``take`` returns and half-close when ``exhausted`` says so.
    """

    def __init__(self, sample_rate: int, params: StreamParams | None = None):
        """Begin with silence.

        Args:
            sample_rate: Samples per second of the 16-bit mono audio.
            params: When streams begin and end.
        """
        self._rate = sample_rate
        self._params = params or StreamParams()
        # The oldest audio of a stream that grew as old as it may, for as long as a retry is worth it.
        oldest = self._params.max_stream_secs + self._params.rollover_grace_secs
        longest = oldest + self._params.give_up_secs
        self._history = AudioHistory(sample_rate, longest)
        self._events: deque[Event] = deque()
        self._words = WordQueue(sample_rate)
        self._streams = OpenStreams(sample_rate, self._history, self._events)
        self._segments = Segments(sample_rate, self._params, self._history, self._streams, self._words)
        self._lost = LostAudio(sample_rate)
        self._health = EarsHealth(self._params)
        self._rivals = Rivals(self._params, self._segments, self._streams, self._health)
        self._speaking = False
        self._paused = False
        self._onset = False

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due next, or None."""
        times = [at for segment in self._segments.all if (at := self._rivals.next_at(segment)) is not None]
        times += [at for _, stream in self._streams if (at := self._expiry(stream)) is not None]
        if (tell_at := self._health.tell_at) is not None:
            times.append(tell_at)
        return min(times, default=None)

    @property
    def failures(self) -> int:
        """Failures of streams in a row."""
        return self._health.failures

    @property
    def speaking(self) -> bool:
        """Whether voice activity detection holds the user to be speaking; short pauses included."""
        return self._speaking

    def next_event(self) -> Event | None:
        """Take the next event, in order."""
        return self._events.popleft() if self._events else None

    # What the microphone and the voice activity detector say

    def audio(self, pcm: bytes, now: float) -> None:
        """Take audio.

        Args:
            pcm: 16-bit little-endian mono.
            now: Clock.
        """
        self._history.append(pcm)
        if self._segments.open is None and self._params.continuous:
            self._segments.begin_at_endpoint(now)
        self._forget_old_audio()
        self._segments.roll_over_if_old(now, quiet=not self._speaking or self._paused)

    def bot_speaks(self, speaking: bool) -> None:
        """Take note that the bot begins or ceases to speak: the microphone may hear it.

        Args:
            speaking: Whether it speaks from here on.
        """
        self._segments.bot_speaks(speaking)

    def speech_onset(self, noticed_after_secs: float, now: float) -> None:
        """Take note of a sound that may be speech, too short to be sure: a brisk word shall be recognized, too.

        Nothing is expected of it: if no words come, nobody is told.

        Args:
            noticed_after_secs: For how long it has been heard already.
            now: Clock.
        """
        if not self._speaking:
            self._onset = True
            self._segments.ensure(noticed_after_secs, now)

    def speech_started(self, noticed_after_secs: float, now: float) -> None:
        """Take note that the user speaks.

        Args:
            noticed_after_secs: For how long speech has been heard already.
            now: Clock.
        """
        self._speaking, self._paused, self._onset = True, False, False
        self._health.settled()
        self._words.expect()
        self._segments.ensure(noticed_after_secs, now)
        self._deliver()

    def speech_paused(self, silence_secs: float, now: float) -> None:
        """Take note of a silence that may turn out to be the end of speech: have what was said so far recognized.

        Args:
            silence_secs: How long it has been silent.
            now: Clock.
        """
        if not self._speaking:
            if self._onset:
                self._onset = False
                self._segments.endpoint(silence_secs, now)
                self._deliver()
            return
        self._paused = True
        if (segment := self._segments.endpoint(silence_secs, now)) is not None:
            segment.provisional = True
            self._segments.tentative = segment
        self._deliver()

    def speech_resumed(self, noticed_after_secs: float, now: float) -> None:
        """Take note that a silence was only a pause.

        Args:
            noticed_after_secs: For how long speech has been heard again.
            now: Clock.
        """
        if not self._speaking:
            return
        self._paused = False
        if not self._segments.reopen(now):
            # Since the pause nobody has said that speech had stopped: all of it may be words.
            self._segments.ensure(max(noticed_after_secs, self._segments.unsent_secs), now)
        self._deliver()

    def speech_stopped(self, silence_secs: float, now: float) -> None:
        """Take note that the user has stopped speaking.

        Args:
            silence_secs: How long it has been silent.
            now: Clock.
        """
        self._speaking, self._paused = False, False
        self._health.awaits_words(now)
        self._send_faint_words(silence_secs, now)
        self._segments.tentative = None
        self._segments.endpoint(silence_secs, now)
        self._deliver()

    def _send_faint_words(self, silence_secs: float, now: float) -> None:
        """After a pause that was found by the level, words may have followed that are too faint for it."""
        unsent_secs = self._segments.unsent_secs
        said_on_secs = unsent_secs - silence_secs
        if self._segments.tentative is None or said_on_secs <= _FAINT_SECS:
            return
        if not self._segments.reopen(now, said_on_secs):
            self._segments.ensure(unsent_secs, now)

    # What the server says

    def received(self, stream: int, results: Sequence[Result], now: float) -> None:
        """Take the results of one response.

        Args:
            stream: Which stream it came from; answers of streams that were given up are ignored.
            results: In the order of the response.
            now: Clock.
        """
        state = self._streams.get(stream)
        if state is None or not results:
            return
        self._won(stream, state, now)
        self._progress()
        state.answered = True
        self._tell_loss()
        segment = state.segment
        segment.interim, segment.interim_language, segment.interim_end = "", "", 0
        for result in results:
            end = state.base + round(result.end * self._rate) if result.end else state.cursor
            end = min(max(end, segment.confirmed), state.cursor)
            if result.is_final:
                segment.confirmed = end
                if result.text.strip():
                    segment.add(result.text, result.language)
            else:
                segment.interim = join_text(segment.interim, result.text)
                segment.interim_language = result.language or segment.interim_language
                segment.interim_end = end
        self._deliver()

    def ended(self, stream: int, failed: bool, now: float, *, refused: bool = False, wait_secs: float = 0.0) -> None:
        """Take note that a stream is over.

        Args:
            stream: Which one.
            failed: Whether with an error, or too early for a reason unknown.
            now: Clock.
            refused: Whether the error is one that asking again does not mend. A service that has worked is asked
                again all the same: it is known to say such things in passing.
            wait_secs: How long the server asks to be left alone.
        """
        state = self._streams.forget(stream)
        if state is None:
            return
        segment = state.segment
        complete = not failed and state.flushed_at is not None
        if complete:
            self._won(stream, state, now)
        self._judge(None if failed else state.flushed_at, now, refused=refused)
        if complete or (segment.end is not None and segment.confirmed >= segment.end):
            self._finish(segment)
        elif self._is_stale(segment, now):
            self._give_up(segment)
        elif self._health.refuses:
            self._events.append(Believed())
            self.abandon(now)
        else:
            segment.retry_at = now + max(self._health.backoff, wait_secs)
            self.tick(now)
        self._deliver()

    def _judge(self, flushed_at: float | None, now: float, *, refused: bool) -> None:
        """Learn about the service from how a stream ended: in order since it was half-closed, or not."""
        if flushed_at is not None:
            self._progress()
            self._health.flushed(now - flushed_at)
            return
        self._health.failed(refused=refused)
        if self._health.suspect:
            self._events.append(RenewChannel())

    def _won(self, number: int, stream: Stream, now: float) -> None:
        """A stream got through: nothing its rivals say counts, and what others wait for is asked where it went."""
        if stream.answered:
            return
        self._streams.abort_all(stream.segment, but=number)
        for segment in self._segments.all:
            if segment is not stream.segment and self._rivals.asked_before(segment, stream):
                segment.retry_at = now

    def abandon(self, now: float) -> None:
        """Give up everything in flight: retrying is known to be of no use.

        Args:
            now: Clock.
        """
        for segment in self._segments.all:
            if segment.end is None:
                self._segments.end(segment, now)
            self._finish(segment)
        self._deliver()

    def tick(self, now: float) -> None:
        """Do what has become due.

        Args:
            now: Clock.
        """
        for number, stream in self._streams:
            # The segment of an older rival may just have been given up with all its streams.
            expiry = self._expiry(stream) if self._streams.get(number) is stream else None
            if expiry is not None and now >= expiry:
                self._expire(number, stream.segment, now)
        if self._health.tell(now):
            self._events.append(OutageBegan())
        for segment in self._segments.all:
            if (at := self._rivals.next_at(segment)) is not None and now >= at:
                if segment.retry_at is None:  # a rival tries another way than those beside it
                    self._events.append(RenewChannel())
                self._streams.open(segment, now)
        self._deliver()

    def _expire(self, number: int, segment: Segment, now: float) -> None:
        self._streams.abort(number)
        # Whoever takes audio and gives nothing does so on every stream of the connection.
        self._health.mute()
        self._events.append(RenewChannel())
        if self._is_stale(segment, now):
            self._give_up(segment)
        else:
            segment.renewed = True
            if not self._streams.of(segment):
                segment.retry_at = max(now, segment.retry_at or now)

    # What the shell sends

    def has_to_send(self, stream: int, least_secs: float = 0.0) -> bool:
        """Whether there is something to do for who sends on a stream: audio to take, or to half-close it.

        Args:
            stream: Which one.
            least_secs: How much audio makes a message worth it. What is left at an endpoint is sent at once.
        """
        return self._streams.has_to_send(stream, least_secs)

    def take(self, stream: int, max_bytes: int, least_secs: float = 0.0) -> bytes:
        """Take audio to send on a stream.

        Args:
            stream: Which one.
            max_bytes: Upper limit; an even number.
            least_secs: How much audio makes a message worth it. What is left at an endpoint is given at once.

        Returns:
            Audio, or b"" if there is none to send now.
        """
        return self._streams.take(stream, max_bytes, least_secs)

    def exhausted(self, stream: int, now: float) -> bool:
        """Whether all audio of a stream has been taken, so that it must be half-closed.

        Args:
            stream: Which one.
            now: Clock.
        """
        return self._streams.exhausted(stream, now)

    # What becomes of it

    def _progress(self) -> None:
        if self._health.progress():
            self._events.append(OutageOver())

    def _give_up(self, segment: Segment) -> None:
        """Nobody is going to recognize this any more: say how much was lost."""
        if self._lost.given_up(segment):
            self._tell_loss()
        self._finish(segment)

    def _finish(self, segment: Segment) -> None:
        self._streams.abort_all(segment)
        segment.finish()

    def _tell_loss(self) -> None:
        if (loss := self._lost.take()) is not None:
            self._events.append(loss)

    def _forget_old_audio(self) -> None:
        lost = self._history.forget(self._segments.needed_from)
        if not lost:
            return
        start = self._history.start
        for segment in self._segments.all:
            if segment.confirmed < start:
                segment.confirmed = segment.start = start
        # Told in one when the server is back: it grows with every block of audio.
        self._lost.forgotten(start - lost, start)

    def _is_stale(self, segment: Segment, now: float) -> bool:
        return segment.end is not None and now - segment.ended_at > self._params.give_up_secs

    def _expiry(self, stream: Stream) -> float | None:
        """When a stream counts as dropped: it does not flush, or says nothing to speech; None if it may go on."""
        segment = stream.segment
        if segment.end is not None:
            since = stream.flushed_at or max(stream.opened_at, segment.ended_at)
            return since + self._health.flush_secs(again=segment.renewed)
        # A second stream that says nothing either hears no words in what sounds like speech.
        if stream.answered or segment.renewed or not (self._speaking and segment.has_speech):
            return None
        return stream.opened_at + self._params.silent_secs

    def _deliver(self) -> None:
        self._segments.all = self._words.deliver(self._segments.all, speaking=self._speaking, paused=self._paused)
        if self._words.settled:
            self._health.settled()
        while (event := self._words.next_event()) is not None:
            self._events.append(event)
