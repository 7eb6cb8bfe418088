"""One utterance of the voice as a machine: segments synthesized ahead, played in order, reported as they are heard.

It is fed what is to be said, audio and failures of calls, what was handed to the loudspeaker, and clock readings in
seconds; it queues actions for a shell that makes the calls and owns the loudspeaker. ``deadline`` says when ``tick`` is
due.
"""

from collections import deque
from typing import Any

from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock, PlaybackRecord
from halfcascade.processors.chirp_tts.heard.text import SpeechRate
from halfcascade.processors.chirp_tts.protocol.calls import STOPPED, Calls
from halfcascade.processors.chirp_tts.protocol.events import (
    Action,
    Done,
    Failure,
    Heard,
    KeepAlive,
    OutageBegan,
    Skipped,
)
from halfcascade.processors.chirp_tts.protocol.health import VoiceHealth
from halfcascade.processors.chirp_tts.protocol.one_call import OneCall
from halfcascade.processors.chirp_tts.protocol.segment import Piece, Segment, SegmentMaker
from halfcascade.processors.chirp_tts.protocol.sound import Sound
from halfcascade.processors.language import expected_pause


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
        self._health = health
        self._params = health.params
        self._keepalive_secs = keepalive_secs
        self._make = SegmentMaker(language, rate, sample_rate)
        self._segments: list[Segment] = []
        self._actions: deque[Action] = deque()
        self._calls = Calls(health, self._actions)
        self._one_call = OneCall(self._segments, playback, self._params, self._actions)
        self._sound = Sound(self._segments, self._make, playback, self._actions, attempts=self._params.attempts)
        self._following = 0
        self._heard_at = 0.0
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
        self._segments.append(self._make.segment(text, [Piece(markup or text, frame, len(text))], phrase=phrase))
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
        self._calls.clear()
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
            if not segment.estimator.complete and not self._one_call.lulls(segment, now)
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
        segment = self._calls.audio(call, now)
        if segment is None:
            return
        segment.audio_at = now
        segment.chunks.append(pcm)
        self.tick(now)

    def finished(self, call: int, now: float) -> None:
        """A call has given all it has.

        Args:
            call: Its number.
            now: Clock reading.
        """
        self._calls.finished(call)
        self.tick(now)

    def failed(self, call: int, failure: Failure, now: float) -> None:
        """A call gave nothing, or no more.

        Args:
            call: Its number.
            failure: Why.
            now: Clock reading.
        """
        self._calls.failed(call, failure, now)
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
                self._one_call.supervise(segment, now)
                self._calls.supervise(segment, now)
        self._sound.hand_over(now)
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
        due = [self._alive_at + self._keepalive_secs] if self._alive_at is not None else []
        for segment in self._segments:
            if segment.fetching:
                due += self._calls.due(segment)
        times = [self._launch_at(), self._tell_at(), self._word_at(self._followed())]
        times += [self._one_call.close_at(segment) for segment in self._segments if segment.fetching]
        return min([*due, *(at for at in times if at is not None)], default=None)

    # Which segments are asked for.

    def _free_slot(self) -> bool:
        return sum(segment.fetching for segment in self._segments) < self._params.concurrent

    def _next_to_launch(self) -> Segment | None:
        return next((s for s in self._segments if s.begun_at is None and s.error is None and not s.over), None)

    def _launch_at(self) -> float | None:
        """When the next segment may be asked for, if it may be at all."""
        waiting = self._next_to_launch()
        if waiting is None or not (self._free_slot() or self._one_call.open_for(waiting)):
            return None
        return self._playback.busy_until - self._params.horizon_secs

    def _launch(self, now: float) -> None:
        """Begin the synthesis of segments, not too early."""
        while (segment := self._next_to_launch()) is not None:
            if self._playback.busy_until - now > self._params.horizon_secs:
                return
            if (speaking := self._one_call.open_for(segment)) is not None:
                self._one_call.join(speaking, segment, now)
                continue
            self._one_call.close_all(now)
            if not self._free_slot():
                return
            segment.begun_at = now
            segment.open = self._params.one_stream and not segment.phrase and not self._health.slow
            self._calls.make(segment, now)
        if self._ended:
            self._one_call.close_all(now)

    # The user who waits.

    def _tell_at(self) -> float | None:
        """When the wait for the segment that is to be heard next is an outage."""
        segment = self._sound.awaited
        if segment is None or not segment.fetching or segment.source is not None or segment.told:
            return None
        return max(segment.begun_at or 0.0, self._playback.busy_until) + self._params.tell_secs

    def _tell(self, now: float) -> None:
        segment, tell_at = self._sound.awaited, self._tell_at()
        if segment is not None and tell_at is not None and now >= tell_at:
            segment.told = True
            self._health.told()
            self._actions.append(OutageBegan((segment.last or STOPPED).reason))

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
                # What is told of a word is not taken back when sound that came since moves the next before it.
                self._heard_at = max(self._heard_at, at)
                self._actions.append(Heard(segment, segment.words[segment.released], self._heard_at))
                segment.released += 1
                continue
            self._following += 1
        if self._ended and self._sound.awaited is None:
            self._done = True
            self._actions.append(Done())
