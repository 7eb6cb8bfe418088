"""The sound of an utterance: one segment's audio behind the other's, with pauses between, and what breaks off."""

from collections import deque

from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock
from halfcascade.processors.chirp_tts.protocol.calls import NO_AUDIO
from halfcascade.processors.chirp_tts.protocol.events import Action, Append, Failure
from halfcascade.processors.chirp_tts.protocol.segment import Segment, SegmentMaker
from halfcascade.processors.language import expected_pause


class Sound:
    """Hands the audio of segments over in order, without the silence around it and with natural pauses.

    The rest of a segment that breaks off becomes a segment of its own behind it, to be asked for once more.
    """

    def __init__(
        self,
        segments: list[Segment],
        make: SegmentMaker,
        playback: PlaybackClock,
        actions: deque[Action],
        *,
        attempts: int,
    ):
        """Begin in silence.

        Args:
            segments: Those of the utterance; the rest of one that breaks off is put in.
            make: Makes segments.
            playback: The loudspeaker.
            actions: Where audio is queued.
            attempts: How often the rest of a segment that breaks off is tried.
        """
        self._segments = segments
        self._make = make
        self._playback = playback
        self._actions = actions
        self._attempts = attempts
        self._over = 0
        self._appended = 0.0
        self._pending_pause = b""

    @property
    def awaited(self) -> Segment | None:
        """The segment that is to be heard next and has not all come, or None."""
        return self._segments[self._over] if self._over < len(self._segments) else None

    def hand_over(self, now: float) -> None:
        """Hand over what can be.

        Args:
            now: Clock reading.
        """
        while (segment := self.awaited) is not None:
            while segment.chunks:
                if pcm := segment.trimmer.feed(segment.chunks.popleft()):
                    self._append(segment, pcm, now)
            if segment.over:
                self._finish(segment, now)
            elif segment.error is None:
                return
            self._over += 1

    def _finish(self, segment: Segment, now: float) -> None:
        if segment.start is not None:
            release, self._pending_pause = segment.trimmer.finish(expected_pause(segment.text))
            self._append(segment, release, now)
        failure = segment.broke or (NO_AUDIO if segment.start is None else None)
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
        again = self._make.rest_of(segment, rest[0].start)
        self._segments.insert(self._segments.index(segment) + 1, again)
        if not failure.retry or again.attempt > self._attempts:
            again.error = failure

    def _append(self, segment: Segment, pcm: bytes, now: float) -> None:
        if segment.start is None:
            self._append_pause(now)
            segment.start = self._appended
        segment.estimator.feed(pcm)
        self._put_out(pcm)

    def _append_pause(self, now: float) -> None:
        """Leave a natural pause after the segment before, less what has passed in silence already."""
        silent = max(0.0, now - self._playback.busy_until)
        pause = self._pending_pause[: max(0, len(self._pending_pause) - 2 * int(silent * self._make.sample_rate))]
        self._pending_pause = b""
        self._put_out(pause)

    def _put_out(self, pcm: bytes) -> None:
        if pcm:
            self._appended += len(pcm) / 2 / self._make.sample_rate
            self._actions.append(Append(pcm))
