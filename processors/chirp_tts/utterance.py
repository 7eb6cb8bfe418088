"""One utterance of the voice: its segments synthesized ahead, played in order, its words reported as they are heard."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipecat.frames.frames import AggregatedTextFrame
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.errors import SynthesisError
from halfcascade.processors.chirp_tts.heard.playback import PlaybackClock, PlaybackRecord
from halfcascade.processors.chirp_tts.heard.text import SpeechRate, WordTimeEstimator
from halfcascade.processors.language import SpokenWord, expected_pause, spoken_words

# Segments are synthesized at most this far ahead of what is heard: enough that no gap opens, little enough that not
# much is thrown away when the user interrupts.
HORIZON_SECS = 6.0
# Two calls at a time hide the first-byte latency of a segment behind the segment before it.
CONCURRENT_CALLS = 2


class UtteranceHost(Protocol):
    """What an utterance needs from the service."""

    def now(self) -> float:
        """Pipeline clock, in seconds."""

    def synthesize(self, text: str, *, phrase: bool) -> AsyncIterator[bytes]:
        """Yield audio of a text; raises SynthesisError, after retries if nothing came."""

    async def append_audio(self, utterance: "Utterance", pcm: bytes) -> None:
        """Queue audio."""

    async def word_heard(self, utterance: "Utterance", segment: "Segment", word: SpokenWord, at: float) -> None:
        """A word is being heard."""

    async def segment_skipped(
        self, utterance: "Utterance", segment: "Segment", text: str, error: SynthesisError
    ) -> None:
        """The rest of a segment will not be heard."""

    async def utterance_done(self, utterance: "Utterance") -> None:
        """All words were heard; the last one may still sound."""

    def keep_alive(self, utterance: "Utterance") -> None:
        """The utterance waits, but is not over."""


@dataclass
class Segment:
    """A segment of an utterance.

    Parameters:
        text: As spoken.
        sent: As synthesized: the same, or with markup.
        frame: The frame that announced it.
        words: Its words.
        estimator: Their times.
        trimmer: Cuts the silence around it.
        phrase: Whether it is a phrase that may be spoken often.
        start: Where its audio begins in the utterance, in seconds, once it does.
        released: How many of its words were reported as heard.
        attempt: 2 if it stands for the rest of a segment that broke off.
        error: Why it broke off, if it did.
        chunks: Audio as it comes; None at the end.
    """

    text: str
    sent: str
    frame: AggregatedTextFrame | None
    words: list[SpokenWord]
    estimator: WordTimeEstimator
    trimmer: SpeechTrimmer
    phrase: bool = False
    start: float | None = None
    released: int = 0
    attempt: int = 1
    error: SynthesisError | None = None
    chunks: asyncio.Queue[bytes | SynthesisError | None] = field(default_factory=asyncio.Queue)


class Utterance:
    """Speaks the segments of one audio context, in order."""

    def __init__(
        self,
        context_id: str,
        host: UtteranceHost,
        playback: PlaybackClock,
        rate: SpeechRate,
        *,
        language: str,
        sample_rate: int,
        keepalive_secs: float,
        create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task],
    ):
        """Start its tasks; they wait for segments.

        Args:
            context_id: Audio context it fills.
            host: The service.
            playback: The loudspeaker.
            rate: How fast the voice is.
            language: Locale of the voice.
            sample_rate: Of its audio.
            keepalive_secs: How often the host is told that the utterance only waits, for text or audio.
            create_task: The processor's task manager.
        """
        self.context_id = context_id
        self.record = PlaybackRecord()
        self._host = host
        self._playback = playback
        self._rate = rate
        self._language = language
        self._sample_rate = sample_rate
        self._keepalive_secs = keepalive_secs
        self._create_task = create_task
        self._segments: list[Segment] = []
        self._queue: asyncio.Queue[Segment | None] = asyncio.Queue()
        self._to_fetch: asyncio.Queue[Segment] = asyncio.Queue()
        self._slots = asyncio.Semaphore(CONCURRENT_CALLS)
        self._changed = asyncio.Event()
        self._appended = 0.0
        self._pending_pause = b""
        self._ended = False
        self._fed = False
        self._skipping: AggregatedTextFrame | None = None
        self._tasks: set[asyncio.Task] = set()
        for job in (self._launch(), self._feed(), self._follow()):
            self._start(job)

    def say(self, text: str, frame: AggregatedTextFrame | None, *, markup: str = "", phrase: bool = False) -> None:
        """Add a segment.

        Args:
            text: What to say.
            frame: The frame that announced it.
            markup: The same with markup, if it has any.
            phrase: Whether it may be spoken often.
        """
        segment = self._segment(text, frame, sent=markup or text, phrase=phrase)
        self._segments.append(segment)
        self._queue.put_nowait(segment)
        self._to_fetch.put_nowait(segment)

    def end(self) -> None:
        """No more segments will come."""
        if not self._ended:
            self._ended = True
            self._queue.put_nowait(None)

    def runs_dry_at(self) -> float:
        """Clock time, in seconds, until which there is something to hear, by what is known of its length."""
        left = sum(
            segment.estimator.expected_duration() - segment.estimator.duration
            for segment in self._segments
            if not segment.estimator.complete
        )
        return max(self._playback.busy_until, self._host.now()) + left

    def played(self, at: float, secs: float) -> None:
        """Audio of the utterance was handed to the loudspeaker.

        Args:
            at: Clock time at which it begins to be heard.
            secs: Its length.
        """
        self.record.add(at, secs)
        self._changed.set()

    def stop(self) -> list[str]:
        """End at once: calls are cancelled on the wire.

        Returns:
            What was not heard, segment by segment.
        """
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        return [
            segment.text[segment.words[segment.released].start :]
            for segment in self._segments
            if segment.released < len(segment.words)
        ]

    def _segment(
        self, text: str, frame: AggregatedTextFrame | None, *, sent: str, phrase: bool = False, attempt: int = 1
    ) -> Segment:
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

    def _start(self, job: Coroutine[Any, Any, None]) -> None:
        task = self._create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _launch(self) -> None:
        """Start the synthesis of each segment, not too early."""
        while True:
            segment = await self._to_fetch.get()
            await self._slots.acquire()
            await asyncio.sleep(max(0.0, self._playback.busy_until - self._host.now() - HORIZON_SECS))
            self._start(self._fetch(segment))

    async def _fetch(self, segment: Segment) -> None:
        try:
            async for chunk in self._host.synthesize(segment.sent, phrase=segment.phrase):
                segment.chunks.put_nowait(chunk)
            segment.chunks.put_nowait(None)
        except SynthesisError as error:
            segment.chunks.put_nowait(error)
        except Exception as error:
            # Whatever it is, the turn must go on.
            segment.chunks.put_nowait(SynthesisError(f"The voice failed ({error}).", ErrorCategory.UNKNOWN))
        finally:
            self._slots.release()

    async def _feed(self) -> None:
        """Queue the audio of one segment after the other."""
        while (segment := await self._queue.get()) is not None:
            rest: Segment | None = segment
            while rest is not None:
                rest = await self._feed_segment(rest)
        self._fed = True
        self._changed.set()

    async def _feed_segment(self, segment: Segment) -> Segment | None:
        """Queue a segment's audio; returns what must be tried again, if it broke off."""
        while isinstance(chunk := await segment.chunks.get(), bytes):
            if pcm := segment.trimmer.feed(chunk):
                await self._append(segment, pcm)
        if segment.start is not None:
            release, self._pending_pause = segment.trimmer.finish(expected_pause(segment.text))
            await self._append(segment, release)
        if chunk is None and segment.start is None:
            chunk = SynthesisError("Text-to-Speech gave no audio.", ErrorCategory.APPLICATION)
        segment.error = chunk
        if chunk is None:
            segment.estimator.finish()
            self._changed.set()
            return None
        return self._broke_off(segment, chunk)

    def _broke_off(self, segment: Segment, error: SynthesisError) -> Segment | None:
        """Say the rest of a segment once more, if there is a rest and it was not tried before."""
        spoken = [onset for onset in segment.estimator.onsets() if onset < segment.estimator.duration]
        rest = segment.words[len(spoken) :] if segment.start is not None else segment.words
        segment.words = segment.words[: len(segment.words) - len(rest)]
        segment.estimator.keep(len(segment.words))
        if not rest:
            segment.error = None
            self._changed.set()
            return None
        rest_text = segment.text[rest[0].start :]
        again = self._segment(rest_text, segment.frame, sent=rest_text, attempt=segment.attempt + 1)
        self._segments.insert(self._segments.index(segment) + 1, again)
        segment.error = None
        # Nothing was heard of a segment without audio: the service has tried that one twice already.
        if segment.start is None or segment.attempt > 1 or not error.retry:
            again.error = error
            self._changed.set()
            return None
        self._start(self._fetch_again(again))
        return again

    async def _fetch_again(self, segment: Segment) -> None:
        await self._slots.acquire()
        await self._fetch(segment)

    async def _append(self, segment: Segment, pcm: bytes) -> None:
        if segment.start is None:
            await self._append_pause()
            segment.start = self._appended
        segment.estimator.feed(pcm)
        self._appended += len(pcm) / 2 / self._sample_rate
        await self._host.append_audio(self, pcm)

    async def _append_pause(self) -> None:
        """Leave a natural pause after the segment before, less what has passed in silence already."""
        silent = max(0.0, self._host.now() - self._playback.busy_until)
        pause = self._pending_pause[: max(0, len(self._pending_pause) - 2 * int(silent * self._sample_rate))]
        self._pending_pause = b""
        if pause:
            self._appended += len(pause) / 2 / self._sample_rate
            await self._host.append_audio(self, pause)

    async def _follow(self) -> None:
        """Report words as they are heard."""
        index = 0
        while True:
            segment = self._segments[index] if index < len(self._segments) else None
            if segment is None and self._fed:
                break
            if segment is not None and segment.error is not None:
                await self._skip(segment, segment.error)
                index += 1
                continue
            if segment is not None and segment.estimator.complete and segment.released == len(segment.words):
                index += 1
                continue
            due = self._next_due(segment)
            wait = self._keepalive_secs if due is None else due - self._host.now()
            if segment is not None and due is not None and wait <= 0:
                word = segment.words[segment.released]
                segment.released += 1
                await self._host.word_heard(self, segment, word, due)
                continue
            await self._wait(min(wait, self._keepalive_secs))
        await self._host.utterance_done(self)

    def _next_due(self, segment: Segment | None) -> float | None:
        """Clock time at which the segment's next word is heard, as far as can be told."""
        if segment is None or segment.start is None or segment.released >= len(segment.words):
            return None
        return self.record.time_of(segment.start + segment.estimator.onsets()[segment.released])

    async def _skip(self, segment: Segment, error: SynthesisError) -> None:
        text, segment.released = segment.text, len(segment.words)
        await self._host.segment_skipped(self, segment, text, error)

    async def _wait(self, secs: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(secs):
                await self._changed.wait()
        except TimeoutError:
            self._host.keep_alive(self)
