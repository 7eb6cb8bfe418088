"""One utterance of the voice as a machine: segments synthesized ahead, played in order, reported as they are heard.

It is fed what is to be said, audio and failures of calls, what was handed to the loudspeaker, and clock readings in
seconds; it queues actions for a shell that makes the calls and owns the loudspeaker. ``deadline`` says when ``tick`` is
due.
"""

from collections import deque
from typing import Any

from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock, PlaybackRecord
from halfcascade.processors.chirp_tts.heard.text import SpeechRate, WordTimeEstimator
from halfcascade.processors.chirp_tts.protocol.events import (
    Action,
    Append,
    Cancel,
    Close,
    Done,
    Failure,
    Feed,
    Fetch,
    Heard,
    KeepAlive,
    OutageBegan,
    OutageOver,
    RenewChannel,
    Skipped,
)
from halfcascade.processors.chirp_tts.protocol.health import VoiceHealth
from halfcascade.processors.chirp_tts.protocol.segment import Piece, Segment
from halfcascade.processors.language import expected_pause, has_unspaced, spoken_words

_NO_AUDIO = Failure("Text-to-Speech gave no audio for a sentence.", about_text=True)
# Of a call that is open for more text, so much audio may seem to be missing by the error of the estimate.
_SURELY_MISSING_SECS = 1.0
_STOPPED = Failure("Text-to-Speech stopped answering: check the network connection.", retry=True)


class SpeechMachine:
    """Says the segments of one utterance.

    Parameters:
        record: When what of its audio is heard.
    """

    def __init__(
        self,
        playback: PlaybackClock,
        rate: SpeechRate,
        health: VoiceHealth,
        *,
        language: str,
        sample_rate: int,
        keepalive_secs: float,
    ):
        """Begin with nothing to say.

        Args:
            playback: The loudspeaker.
            rate: How fast the voice is.
            health: How the voice does.
            language: Locale of the voice.
            sample_rate: Of its audio.
            keepalive_secs: How often it is told that the utterance only waits, for text or audio.
        """
        self.record = PlaybackRecord()
        self._playback = playback
        self._rate = rate
        self._health = health
        self._params = health.params
        self._language = language
        self._sample_rate = sample_rate
        self._keepalive_secs = keepalive_secs
        self._segments: list[Segment] = []
        self._by_call: dict[int, Segment] = {}
        self._actions: deque[Action] = deque()
        self._calls = 0
        self._feeding = 0
        self._following = 0
        self._appended = 0.0
        self._pending_pause = b""
        self._ended = False
        self._done = False
        self._alive_at: float | None = None

    def next_action(self) -> Action | None:
        """Take the next action, in order."""
        return self._actions.popleft() if self._actions else None

    @property
    def done(self) -> bool:
        """Whether all was heard or given up."""
        return self._done

    # What is to be said.

    def say(self, text: str, frame: Any, now: float, *, markup: str = "", phrase: bool = False) -> None:
        """Add a segment.

        Args:
            text: What to say.
            frame: What announced it.
            now: Clock reading.
            markup: The same with markup, if it has any.
            phrase: Whether it may be spoken often.
        """
        self._segments.append(self._segment(text, [Piece(markup or text, frame, len(text))], phrase=phrase))
        self.tick(now)

    def end(self, now: float) -> None:
        """No more segments will come.

        Args:
            now: Clock reading.
        """
        self._ended = True
        self.tick(now)

    def stop(self) -> list[str]:
        """End at once.

        Returns:
            What was not heard, segment by segment.
        """
        self._done = True
        self._by_call.clear()
        self._actions.clear()
        return [segment.unheard for segment in self._segments if segment.unheard]

    def runs_dry_at(self, now: float) -> float:
        """Clock reading until which there is something to hear, or a pause after it, by what is known of its length.

        Args:
            now: Clock reading.
        """
        left = sum(
            segment.missing
            for segment in self._segments
            if not segment.estimator.complete and not self._lulls(segment, now)
        )
        pause = expected_pause(self._segments[-1].text) if self._segments else 0.0
        return max(self._playback.busy_until, now) + left + pause

    # What calls bring, and what the loudspeaker takes.

    def audio(self, call: int, pcm: bytes, now: float) -> None:
        """Take audio.

        Args:
            call: Number of the call it came on; what comes on calls that are over is ignored.
            pcm: 16-bit mono.
            now: Clock reading.
        """
        segment = self._by_call.get(call)
        if segment is None:
            return
        if segment.source is None:
            segment.source = call
            self._health.first_audio(now - segment.calls[call])
            for other in list(segment.calls):
                if other != call:
                    self._cancel(other)
            if self._health.progress():
                self._actions.append(OutageOver())
        segment.audio_at = now
        segment.chunks.append(pcm)
        self.tick(now)

    def finished(self, call: int, now: float) -> None:
        """A call has given all it has.

        Args:
            call: Its number.
            now: Clock reading.
        """
        segment = self._forget(call)
        if segment is None:
            return
        if segment.source == call:
            segment.over = True
        elif not segment.calls:
            segment.error = _NO_AUDIO
        self.tick(now)

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
        self.tick(now)

    def played(self, at: float, secs: float, now: float) -> None:
        """Audio of the utterance was handed to the loudspeaker.

        Args:
            at: Clock reading at which it begins to be heard.
            secs: Its length.
            now: Clock reading.
        """
        self.record.add(at, secs)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Do what can be done now.

        Args:
            now: Clock reading.
        """
        if self._done:
            return
        for segment in list(self._segments):
            if segment.fetching:
                self._supervise(segment, now)
        self._feed(now)
        self._launch(now)
        self._tell(now)
        self._follow(now)
        if self._alive_at is None:
            self._alive_at = now
        elif now >= self._alive_at + self._keepalive_secs and not self._done:
            self._alive_at = now
            self._actions.append(KeepAlive())

    def deadline(self) -> float | None:
        """Clock reading at which ``tick`` is due, or None."""
        if self._done:
            return None
        due = [at for segment in self._segments if segment.fetching for at in self._due(segment)]
        if self._alive_at is not None:
            due.append(self._alive_at + self._keepalive_secs)
        if (waiting := self._next_to_launch()) is not None and (self._free_slot() or self._open_for(waiting)):
            due.append(self._playback.busy_until - self._params.horizon_secs)
        if (tell_at := self._tell_at()) is not None:
            due.append(tell_at)
        if (word_at := self._word_at(self._followed())) is not None:
            due.append(word_at)
        return min(due, default=None)

    # Calls.

    def _segment(self, text: str, pieces: list[Piece], *, phrase: bool = False, attempt: int = 1) -> Segment:
        words = spoken_words(text, self._language)
        return Segment(
            text=text,
            pieces=pieces,
            words=words,
            estimator=WordTimeEstimator(words, self._rate, self._sample_rate),
            trimmer=SpeechTrimmer(self._sample_rate),
            phrase=phrase,
            attempt=attempt,
        )

    def _free_slot(self) -> bool:
        return sum(segment.fetching for segment in self._segments) < self._params.concurrent

    def _next_to_launch(self) -> Segment | None:
        return next((s for s in self._segments if s.begun_at is None and s.error is None and not s.over), None)

    def _launch(self, now: float) -> None:
        """Begin the synthesis of segments, not too early."""
        while (segment := self._next_to_launch()) is not None:
            if self._playback.busy_until - now > self._params.horizon_secs:
                return
            if (speaking := self._open_for(segment)) is not None:
                self._join(speaking, segment, now)
                continue
            self._close_all(now)
            if not self._free_slot():
                return
            segment.begun_at = now
            segment.open = self._params.one_stream and not segment.phrase and not self._health.slow
            self._call(segment, now)
        if self._ended:
            self._close_all(now)

    def _call(self, segment: Segment, now: float) -> None:
        self._calls += 1
        again = bool(segment.calls or segment.failures or segment.attempt > 1)
        segment.calls[self._calls] = segment.asked_at = now
        segment.retry_at = None
        self._by_call[self._calls] = segment
        first, *others = segment.pieces
        more = segment.open or bool(others)
        self._actions.append(Fetch(self._calls, first.sent, segment.phrase, again, more))
        self._actions.extend(Feed(self._calls, piece.sent) for piece in others)
        if more and not segment.open:
            self._actions.append(Close(self._calls))

    # One call for several pieces.

    def _open_for(self, segment: Segment) -> Segment | None:
        """The segment whose call can go on with this one."""
        index = self._segments.index(segment)
        speaking = self._segments[index - 1] if index else None
        if speaking is None or not speaking.open or not speaking.fetching or segment.phrase:
            return None
        # Words are told to be heard with or without the spaces after them, one way in a segment.
        if has_unspaced(speaking.text) != has_unspaced(segment.text):
            return None
        size = len(speaking.text.encode()) + len(segment.text.encode())
        return speaking if size <= self._params.call_bytes else None

    def _join(self, speaking: Segment, segment: Segment, now: float) -> None:
        self._segments.remove(segment)
        speaking.join(segment)
        speaking.asked_at = now
        self._actions.extend(Feed(call, piece.sent) for call in speaking.calls for piece in segment.pieces)

    def _close_all(self, now: float) -> None:
        """What follows, if anything does, is said by other calls."""
        for segment in self._segments:
            self._close(segment, now)

    def _close(self, segment: Segment, now: float) -> None:
        if segment.open:
            segment.open, segment.asked_at = False, now
            self._actions.extend(Close(call) for call in segment.calls)

    def _lull_at(self, segment: Segment) -> float:
        return max(segment.audio_at, segment.asked_at) + self._params.lull_secs

    def _lulls(self, segment: Segment, now: float) -> bool:
        """Whether an open call may have spoken all it was given."""
        return segment.open and segment.source is not None and now >= self._lull_at(segment)

    def _close_at(self, segment: Segment) -> float:
        """When an open call is closed although more text may come."""
        dry = self._playback.busy_until - self._params.reserve_secs
        return min(segment.asked_at + self._params.idle_secs, max(self._lull_at(segment), dry))

    def _forget(self, call: int) -> Segment | None:
        segment = self._by_call.pop(call, None)
        if segment is not None:
            segment.calls.pop(call, None)
        return segment

    def _cancel(self, call: int) -> None:
        self._forget(call)
        self._actions.append(Cancel(call))

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

    def _give_up_at(self, segment: Segment) -> float:
        begun_at = segment.begun_at or 0.0
        return begun_at + self._health.budget(begun_at)

    def _beside_at(self, segment: Segment) -> float | None:
        """When another call is made beside those that give nothing."""
        if segment.source is not None or not 0 < len(segment.calls) < self._params.beside:
            return None
        return max(segment.calls.values()) + self._health.first_audio_secs * len(segment.calls)

    def _due(self, segment: Segment) -> list[float]:
        due = [self._close_at(segment) if segment.open else None]
        if segment.source is not None:
            due.append(self._stalls_at(segment))
        else:
            due += [segment.retry_at, self._beside_at(segment), self._give_up_at(segment)]
        return [at for at in due if at is not None]

    def _stalls_at(self, segment: Segment) -> float | None:
        """When audio that must come is given up; an open call may be waiting for text."""
        if segment.open and segment.missing <= max(_SURELY_MISSING_SECS, 0.25 * segment.estimator.duration):
            return None
        return max(segment.audio_at, segment.asked_at) + self._params.stall_secs

    def _supervise(self, segment: Segment, now: float) -> None:
        if segment.open and now >= self._close_at(segment):
            self._close(segment, now)
        if segment.source is not None:
            stalls_at = self._stalls_at(segment)
            if stalls_at is not None and now >= stalls_at:
                call = segment.source
                self._cancel(call)
                segment.over, segment.broke = True, _STOPPED
            return
        if now >= self._give_up_at(segment):
            for call in list(segment.calls):
                self._cancel(call)
            self._health.gave_nothing(now)
            segment.error = segment.last or _STOPPED
            return
        beside_at = self._beside_at(segment)
        if beside_at is not None and now >= beside_at:
            # Late or never: another connection may be better, and whichever is first is heard.
            self._health.gave_nothing(now)
            self._actions.append(RenewChannel())
            self._call(segment, now)
        elif segment.retry_at is not None and now >= segment.retry_at:
            self._call(segment, now)

    # The user who waits.

    def _tell_at(self) -> float | None:
        """When the wait for the segment that is to be heard next is an outage."""
        segment = self._segments[self._feeding] if self._feeding < len(self._segments) else None
        if segment is None or not segment.fetching or segment.source is not None or segment.told:
            return None
        return max(segment.begun_at or 0.0, self._playback.busy_until) + self._params.tell_secs

    def _tell(self, now: float) -> None:
        tell_at = self._tell_at()
        if tell_at is not None and now >= tell_at:
            segment = self._segments[self._feeding]
            segment.told = True
            self._health.told()
            self._actions.append(OutageBegan((segment.last or _STOPPED).reason))

    # Audio.

    def _feed(self, now: float) -> None:
        """Hand over the audio of one segment after the other."""
        while self._feeding < len(self._segments):
            segment = self._segments[self._feeding]
            while segment.chunks:
                if pcm := segment.trimmer.feed(segment.chunks.popleft()):
                    self._append(segment, pcm, now)
            if segment.over:
                self._finish(segment, now)
            elif segment.error is None:
                return
            self._feeding += 1

    def _finish(self, segment: Segment, now: float) -> None:
        if segment.start is not None:
            release, self._pending_pause = segment.trimmer.finish(expected_pause(segment.text))
            self._append(segment, release, now)
        failure = segment.broke or (_NO_AUDIO if segment.start is None else None)
        if failure is None:
            segment.estimator.finish()
        else:
            self._broke_off(segment, failure)

    def _broke_off(self, segment: Segment, failure: Failure) -> None:
        """Say the rest of a segment once more, if there is a rest and that makes sense."""
        spoken = [onset for onset in segment.estimator.onsets() if onset < segment.estimator.duration]
        rest = segment.words[len(spoken) :] if segment.start is not None else segment.words
        segment.words = segment.words[: len(segment.words) - len(rest)]
        segment.estimator.keep(len(segment.words))
        if not rest:
            return
        again = self._rest_of(segment, rest[0].start)
        self._segments.insert(self._segments.index(segment) + 1, again)
        if not failure.retry or again.attempt > self._params.attempts:
            again.error = failure

    def _rest_of(self, segment: Segment, start: int) -> Segment:
        """A segment for the text from a place on, to be asked for without markup."""
        pieces, begin = [], start
        for piece in segment.pieces:
            if piece.end > start:
                pieces.append(Piece(segment.text[begin : piece.end].strip(), piece.frame, piece.end - start))
                begin = piece.end
        return self._segment(segment.text[start:], pieces, attempt=segment.attempt + 1)

    def _append(self, segment: Segment, pcm: bytes, now: float) -> None:
        if segment.start is None:
            self._append_pause(now)
            segment.start = self._appended
        segment.estimator.feed(pcm)
        self._hand_over(pcm)

    def _append_pause(self, now: float) -> None:
        """Leave a natural pause after the segment before, less what has passed in silence already."""
        silent = max(0.0, now - self._playback.busy_until)
        pause = self._pending_pause[: max(0, len(self._pending_pause) - 2 * int(silent * self._sample_rate))]
        self._pending_pause = b""
        self._hand_over(pause)

    def _hand_over(self, pcm: bytes) -> None:
        if pcm:
            self._appended += len(pcm) / 2 / self._sample_rate
            self._actions.append(Append(pcm))

    # Words.

    def _followed(self) -> Segment | None:
        return self._segments[self._following] if self._following < len(self._segments) else None

    def _word_at(self, segment: Segment | None) -> float | None:
        """Clock reading at which the segment's next word is heard, as far as can be told."""
        if segment is None or segment.start is None or segment.released >= len(segment.words):
            return None
        return self.record.time_of(segment.start + segment.estimator.onsets()[segment.released])

    def _follow(self, now: float) -> None:
        """Report words as they are heard."""
        while (segment := self._followed()) is not None:
            if segment.error is not None:
                text = segment.unheard or segment.text
                segment.released = len(segment.words)
                self._actions.append(Skipped(text, segment.frames(len(segment.text) - len(text)), segment.error))
            elif not (segment.estimator.complete and segment.released == len(segment.words)):
                at = self._word_at(segment)
                if at is None or now < at:
                    return
                self._actions.append(Heard(segment, segment.words[segment.released], at))
                segment.released += 1
                continue
            self._following += 1
        if self._ended and self._feeding == len(self._segments):
            self._done = True
            self._actions.append(Done())
