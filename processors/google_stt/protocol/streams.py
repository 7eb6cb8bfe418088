"""Which audio goes to which recognition stream, and in which order the words come back: the ears without I/O.

Audio is cut into *segments*, consecutive stretches of what the microphone gave. Each segment is recognized by one
request stream; if that stream fails, by another one that replays the segment from the last final result on. Words are
delivered in the order of the segments, whatever the order in which streams answer.

The machine is fed audio, voice activity, responses and clock readings, and queues events for a shell that owns the
sockets. All positions are counted in samples since the first audio; all times are seconds of one monotonic clock.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from halfcascade.processors.audio_history import AudioHistory
from halfcascade.processors.google_stt.protocol.events import (
    AbortStream,
    Believed,
    Event,
    OpenStream,
    OutageBegan,
    OutageOver,
    RenewChannel,
    Result,
    StreamParams,
    WordsLost,
)
from halfcascade.processors.google_stt.protocol.health import EarsHealth
from halfcascade.processors.google_stt.protocol.words import Segment, WordQueue
from halfcascade.processors.language import join_text


@dataclass
class _Stream:
    segment: Segment
    base: int
    cursor: int
    opened_at: float
    flushed_at: float | None = None
    answered: bool = False


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
        self._segments: list[Segment] = []
        self._streams: dict[int, _Stream] = {}
        self._open: Segment | None = None
        self._events: deque[Event] = deque()
        self._next_stream = 0
        self._last_endpoint = 0
        self._samples_lost = 0
        self._lost_until = 0
        self._health = EarsHealth(self._params)
        self._speaking = False
        self._paused = False
        self._onset = False
        self._words = WordQueue(sample_rate)
        # The segment that a silence has cut which may turn out to be a mere pause.
        self._tentative: Segment | None = None

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due next, or None."""
        times = [segment.retry_at for segment in self._segments if segment.retry_at is not None]
        times += [at for state in self._streams.values() if (at := self._expiry(state)) is not None]
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
        if self._open is None and self._params.continuous:
            self._begin_segment(self._last_endpoint, now)
        self._forget_old_audio()
        if self._open is not None:
            self._roll_over_if_old(self._open, now)

    def speech_onset(self, noticed_after_secs: float, now: float) -> None:
        """Take note of a sound that may be speech, too short to be sure: a brisk word shall be recognized, too.

        Nothing is expected of it: if no words come, nobody is told.

        Args:
            noticed_after_secs: For how long it has been heard already.
            now: Clock.
        """
        if not self._speaking:
            self._onset = True
            self._ensure_segment(noticed_after_secs, now)

    def speech_started(self, noticed_after_secs: float, now: float) -> None:
        """Take note that the user speaks.

        Args:
            noticed_after_secs: For how long speech has been heard already.
            now: Clock.
        """
        self._speaking, self._paused, self._onset = True, False, False
        self._health.settled()
        self._words.expect()
        self._ensure_segment(noticed_after_secs, now)
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
                self._endpoint(silence_secs, now)
                self._deliver()
            return
        self._paused = True
        segment = self._open
        self._endpoint(silence_secs, now)
        if segment is not None and segment.end is not None:
            segment.provisional = True
            self._tentative = segment
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
        if not self._reopen_segment(now):
            self._ensure_segment(noticed_after_secs, now)
        self._deliver()

    def speech_stopped(self, silence_secs: float, now: float) -> None:
        """Take note that the user has stopped speaking.

        Args:
            silence_secs: How long it has been silent.
            now: Clock.
        """
        self._speaking, self._paused, self._tentative = False, False, None
        self._health.awaits_words(now)
        self._endpoint(silence_secs, now)
        self._deliver()

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
        state = self._streams.pop(stream, None)
        if state is None:
            return
        segment = state.segment
        segment.stream = None
        complete = not failed and state.flushed_at is not None
        if complete and state.flushed_at is not None:
            self._progress()
            self._health.flushed(now - state.flushed_at)
        else:
            self._health.failed(refused=refused)
            if self._health.suspect:
                self._events.append(RenewChannel())
        if complete or (segment.end is not None and segment.confirmed >= segment.end):
            self._finish(segment)
        elif segment.end is not None and self._is_stale(segment, now):
            self._give_up(segment)
        elif self._health.refuses:
            self._events.append(Believed())
            self.abandon(now)
        else:
            segment.retry_at = now + max(self._health.backoff, wait_secs)
            self.tick(now)
        self._deliver()

    def abandon(self, now: float) -> None:
        """Give up everything in flight: retrying is known to be of no use.

        Args:
            now: Clock.
        """
        for segment in self._segments:
            if segment.end is None:
                self._end_segment(segment, now)
            self._finish(segment)
        for stream in list(self._streams):
            self._abort(stream)
        self._deliver()

    def tick(self, now: float) -> None:
        """Do what has become due.

        Args:
            now: Clock.
        """
        for number, state in list(self._streams.items()):
            expiry = self._expiry(state)
            if expiry is None or now < expiry:
                continue
            self._abort(number)
            # Whoever takes audio and gives nothing does so on every stream of the connection.
            self._health.mute()
            self._events.append(RenewChannel())
            if self._is_stale(state.segment, now):
                self._give_up(state.segment)
            else:
                state.segment.retry_at = now
                state.segment.renewed = True
        if self._health.tell(now):
            self._events.append(OutageBegan())
        for segment in self._segments:
            if segment.retry_at is not None and now >= segment.retry_at:
                self._open_stream(segment, now)
        self._deliver()

    # What the shell sends

    def has_to_send(self, stream: int, least_secs: float = 0.0) -> bool:
        """Whether there is something to do for who sends on a stream: audio to take, or to half-close it.

        Args:
            stream: Which one.
            least_secs: How much audio makes a message worth it. What is left at an endpoint is sent at once.
        """
        state = self._streams.get(stream)
        if state is None or state.segment.end is not None:
            return True
        return self._history.end - state.cursor >= max(1.0, least_secs * self._rate)

    def take(self, stream: int, max_bytes: int, least_secs: float = 0.0) -> bytes:
        """Take audio to send on a stream.

        Args:
            stream: Which one.
            max_bytes: Upper limit; an even number.
            least_secs: How much audio makes a message worth it. What is left at an endpoint is given at once.

        Returns:
            Audio, or b"" if there is none to send now.
        """
        state = self._streams.get(stream)
        if state is None or not self.has_to_send(stream, least_secs):
            return b""
        end = self._history.end if state.segment.end is None else state.segment.end
        stop = min(end, state.cursor + max_bytes // 2)
        audio = self._history.read(state.cursor, stop)
        state.cursor = max(state.cursor, stop)
        return audio

    def exhausted(self, stream: int, now: float) -> bool:
        """Whether all audio of a stream has been taken, so that it must be half-closed.

        Args:
            stream: Which one.
            now: Clock.
        """
        state = self._streams.get(stream)
        if state is None:
            return True
        if state.segment.end is None or state.cursor < state.segment.end:
            return False
        if state.flushed_at is None:
            state.flushed_at = now
        return True

    # Segments

    def _ensure_segment(self, noticed_after_secs: float, now: float) -> None:
        if self._open is None:
            back = round((noticed_after_secs + self._params.preroll_secs) * self._rate)
            self._begin_segment(max(self._last_endpoint, self._history.end - back), now)
        if self._open is not None:
            self._open.has_speech = True

    def _reopen_segment(self, now: float) -> bool:
        """Revoke an endpoint that may lie inside a word, and all that was heard up to it."""
        segment, self._tentative = self._tentative, None
        unused = self._open if self._open is not None and not self._open.has_speech else None
        if segment is None or segment.end is None or self._open is not unused:
            return False
        pause = self._history.end - segment.end
        again = self._history.end - segment.confirmed_at_endpoint
        if pause > self._params.reopen_secs * self._rate:
            return False
        if unused is not None:
            self._drop(unused)
        if again > self._params.longest_reopened_secs * self._rate:
            self._begin_overlapping(segment.start, segment.end, now)
            return True
        self._drop(segment)
        self._segments.append(segment)
        self._words.revoke(segment)
        segment.reopen()
        self._open = segment
        self._last_endpoint = segment.start
        self._open_stream(segment, now)
        return True

    def _drop(self, segment: Segment) -> None:
        """Forget a segment and abort its stream, if it has one."""
        self._segments = [other for other in self._segments if other is not segment]
        if segment.stream is not None:
            self._abort(segment.stream)

    def _begin_segment(self, start: int, now: float, *, overlaps: bool = False) -> None:
        start = max(start, self._history.start)
        segment = Segment(start=start, confirmed=start, overlaps=overlaps)
        self._segments.append(segment)
        self._open = segment
        self._open_stream(segment, now)

    def _endpoint(self, silence_secs: float, now: float) -> None:
        """End the open segment here, if anything was said in it."""
        segment = self._open
        if segment is None or not segment.has_speech:
            return
        segment.speech_end = max(segment.start, self._history.end - round(silence_secs * self._rate))
        self._end_segment(segment, now)
        if self._params.continuous:
            self._begin_segment(self._last_endpoint, now)

    def _end_segment(self, segment: Segment, now: float) -> None:
        segment.end = self._last_endpoint = self._history.end
        segment.confirmed_at_endpoint = segment.confirmed
        segment.ended_at = now
        self._open = None

    def _roll_over_if_old(self, segment: Segment, now: float) -> None:
        if segment.stream is None:
            return  # A retry replaces the stream anyway.
        stream = self._streams[segment.stream]
        age = max(now - stream.opened_at, (self._history.end - stream.base) / self._rate)
        quiet = not self._speaking or self._paused
        if age < self._params.max_stream_secs + (0.0 if quiet else self._params.rollover_grace_secs):
            return
        end = self._history.end
        if quiet:
            self._end_segment(segment, now)
            self._begin_segment(end, now)
            return
        self._end_segment(segment, now)
        self._begin_overlapping(segment.start, end, now)

    def _begin_overlapping(self, earliest: int, end: int, now: float) -> None:
        """Begin a segment before the end of the previous one, where most likely no word is cut."""
        start = max(earliest, end - round(self._params.overlap_secs * self._rate))
        self._begin_segment(self._history.quietest(start, end), now, overlaps=True)
        if self._open is not None:
            self._open.has_speech = True

    # What becomes of it

    def _progress(self) -> None:
        if self._health.progress():
            self._events.append(OutageOver())

    def _give_up(self, segment: Segment) -> None:
        """Nobody is going to recognize this any more: say how much was lost."""
        if segment.has_speech and segment.end is not None and not segment.interim.strip():
            # What overlaps the segment before was counted with it.
            self._samples_lost += max(0, segment.end - max(segment.confirmed, self._lost_until))
            self._lost_until = segment.end
            self._tell_loss()
        self._finish(segment)

    def _tell_loss(self) -> None:
        if self._samples_lost:
            self._events.append(WordsLost(self._samples_lost / self._rate))
            self._samples_lost = 0

    def _finish(self, segment: Segment) -> None:
        """Nothing more comes for this segment. Words that never became final are better than none.

        See facts/stt#half-close.
        """
        if segment.interim.strip():
            segment.add(segment.interim, segment.interim_language)
            segment.interim = ""
        segment.retry_at = None
        segment.done = True

    def _forget_old_audio(self) -> None:
        if self._open is None and not self._segments:
            # Speech is noticed late, so more than the pre-roll is kept.
            keep = self._history.end - round((self._params.preroll_secs + 1.0) * self._rate)
        else:
            keep = min((segment.confirmed for segment in self._segments), default=self._history.end)
        if self._tentative is not None:
            keep = min(keep, self._tentative.confirmed_at_endpoint)
        keep = min(keep, self._history.end - round(self._params.overlap_secs * self._rate))
        lost = self._history.forget(keep)
        if not lost:
            return
        for segment in self._segments:
            if segment.confirmed < self._history.start:
                segment.confirmed = segment.start = self._history.start
        # Told in one when the server is back: it grows with every block of audio.
        begin = max(self._history.start - lost, self._lost_until)
        self._samples_lost += max(0, self._history.start - begin)
        self._lost_until = max(self._lost_until, self._history.start)

    # Streams

    def _open_stream(self, segment: Segment, now: float) -> None:
        segment.retry_at = None
        number, self._next_stream = self._next_stream, self._next_stream + 1
        segment.stream = number
        segment.interim, segment.interim_end = "", 0
        self._streams[number] = _Stream(segment, base=segment.confirmed, cursor=segment.confirmed, opened_at=now)
        self._events.append(OpenStream(number))

    def _abort(self, number: int) -> None:
        state = self._streams.pop(number)
        state.segment.stream = None
        self._events.append(AbortStream(number))

    def _is_stale(self, segment: Segment, now: float) -> bool:
        return now - segment.ended_at > self._params.give_up_secs

    def _expiry(self, state: _Stream) -> float | None:
        """When a stream counts as dropped: it does not flush, or says nothing to speech; None if it may go on."""
        segment = state.segment
        if segment.end is not None:
            since = state.flushed_at or max(state.opened_at, segment.ended_at)
            return since + self._health.flush_secs(again=segment.renewed)
        # A second stream that says nothing either hears no words in what sounds like speech.
        if state.answered or segment.renewed or not (self._speaking and segment.has_speech):
            return None
        return state.opened_at + self._params.silent_secs

    def _deliver(self) -> None:
        self._segments = self._words.deliver(self._segments, speaking=self._speaking, paused=self._paused)
        if self._words.settled:
            self._health.settled()
        while (event := self._words.next_event()) is not None:
            self._events.append(event)
