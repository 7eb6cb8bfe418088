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
    Done,
    Failure,
    Fetch,
    Heard,
    KeepAlive,
    OutageBegan,
    OutageOver,
    RenewChannel,
    Skipped,
)
from halfcascade.processors.chirp_tts.protocol.health import VoiceHealth
from halfcascade.processors.chirp_tts.protocol.segment import Segment
from halfcascade.processors.language import expected_pause, spoken_words

_NO_AUDIO = Failure("Text-to-Speech gave no audio for a sentence.", about_text=True)
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
        self._segments.append(self._segment(text, frame, sent=markup or text, phrase=phrase))
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
            segment.estimator.expected_duration() - segment.estimator.duration
            for segment in self._segments
            if not segment.estimator.complete
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
        if self._next_to_launch() is not None and self._free_slot():
            due.append(self._playback.busy_until - self._params.horizon_secs)
        if (tell_at := self._tell_at()) is not None:
            due.append(tell_at)
        if (word_at := self._word_at(self._followed())) is not None:
            due.append(word_at)
        return min(due, default=None)

    # Calls.

    def _segment(self, text: str, frame: Any, *, sent: str, phrase: bool = False, attempt: int = 1) -> Segment:
        words = spoken_words(text, self._language)
        return Segment(
            text=text,
            sent=sent,
            frame=frame,
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
        while self._free_slot() and (segment := self._next_to_launch()) is not None:
            if self._playback.busy_until - now > self._params.horizon_secs:
                return
            segment.begun_at = now
            self._call(segment, now)

    def _call(self, segment: Segment, now: float) -> None:
        self._calls += 1
        again = bool(segment.calls or segment.failures or segment.attempt > 1)
        segment.calls[self._calls] = now
        segment.retry_at = None
        self._by_call[self._calls] = segment
        self._actions.append(Fetch(self._calls, segment.sent, segment.phrase, again))

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
        if segment.source is not None:
            return [segment.audio_at + self._params.stall_secs]
        due = [segment.retry_at, self._beside_at(segment), self._give_up_at(segment)]
        return [at for at in due if at is not None]

    def _supervise(self, segment: Segment, now: float) -> None:
        if segment.source is not None:
            if now >= segment.audio_at + self._params.stall_secs:
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
        text = segment.text[rest[0].start :]
        again = self._segment(text, segment.frame, sent=text, attempt=segment.attempt + 1)
        self._segments.insert(self._segments.index(segment) + 1, again)
        if not failure.retry or again.attempt > self._params.attempts:
            again.error = failure

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
                text, segment.released = segment.unheard or segment.text, len(segment.words)
                self._actions.append(Skipped(segment, text, segment.error))
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
