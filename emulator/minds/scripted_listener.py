"""A listener that knows what is said, and reports it at a profile's pace."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, RecognitionRequest, SpeechActivity
from halfcascade.emulator.minds.recordings import Library, Recording
from halfcascade.emulator.minds.word_sources import (
    HeardWord,
    RecordingSource,
    Utterance,
    UtteranceScript,
    UtteranceSource,
    WordSource,
)
from halfcascade.emulator.minds.words import WordTiming
from halfcascade.emulator.profiles import ListenerProfile, drawn

_SLICE = 0.1  # seconds of audio between two looks when the profile wants no interims
_STABLE_AFTER = 0.4  # seconds after which a word of an interim belongs to its stable head (facts/stt#results)
_STABLE, _UNSTABLE = 0.9, 0.1
_CONFIDENCE = 0.95
# How much sooner a pause closes a portion (facts/stt#endpointing: about 200, 500 and 800 ms, unverified).
_SENSITIVITY = {"standard": 1.0, "short": 0.6, "supershort": 0.3}

Event = Hypothesis | SpeechActivity


class Report(NamedTuple):
    """Something to tell the client.

    Parameters:
        event: What.
        delay: Seconds from now until it is told.
    """

    event: Event
    delay: float = 0.0


class ScriptedListener:
    """Recognizes recordings it knows, or else hands out utterances in order.

    Parameters:
        profile: Pace of interims and finals.
        recordings: Known recordings; with any, audio is recognized by its content.
        utterances: Without recordings: what the stretches of speech say, in order.
        language_code: What is spoken where nothing else says so; "" = the first language that the client asks for.
    """

    def __init__(
        self,
        profile: ListenerProfile,
        recordings: Sequence[Recording] = (),
        utterances: Sequence[Utterance] = (),
        language_code: str = "",
    ) -> None:
        self._profile = profile
        self._library = Library(recordings) if recordings else None
        self._script = UtteranceScript(utterances)
        self._language_code = language_code

    def recognize(self, request: RecognitionRequest) -> "ScriptedRecognition":
        """Begin a stream."""
        source: WordSource
        source = RecordingSource(self._library, request.phrases) if self._library else UtteranceSource(self._script)
        return ScriptedRecognition(source, self._profile, request, self._language(request))

    def _language(self, request: RecognitionRequest) -> str:
        asked = request.language_codes[0] if request.language_codes else "auto"
        return self._language_code or (asked if asked != "auto" else "en-US")


class ScriptedRecognition:
    """One stream of a ``ScriptedListener``.

    Parameters:
        source: Where the words come from.
        profile: Pace of interims and finals.
        request: How the client wants to be recognized.
        language_code: What is spoken where the words do not say so.
    """

    def __init__(
        self, source: WordSource, profile: ListenerProfile, request: RecognitionRequest, language_code: str
    ) -> None:
        self._progress = Progress(source, profile, request, language_code)
        self._queue: asyncio.Queue[tuple[float, Event] | None] = asyncio.Queue()

    async def audio(self, pcm: bytes) -> None:
        """Take audio: 16-bit mono at ``LISTENER_RATE``."""
        self._report(await asyncio.to_thread(self._progress.audio, pcm))

    async def finish(self) -> None:
        """Flush what is pending."""
        self._report(await asyncio.to_thread(self._progress.finish))
        self._queue.put_nowait(None)

    async def results(self) -> AsyncIterator[Event]:
        """Yield results when they are due."""
        loop = asyncio.get_running_loop()
        while (item := await self._queue.get()) is not None:
            due, event = item
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            yield event

    async def close(self) -> None:
        """Give up."""
        self._queue = asyncio.Queue()

    def _report(self, reports: Sequence[Report]) -> None:
        now = asyncio.get_running_loop().time()
        for report in reports:
            self._queue.put_nowait((now + report.delay, report.event))


@dataclass
class Progress:
    """What is reported as audio comes in: without I/O and without waiting.

    Parameters:
        source: Where the words come from.
        profile: Interim cadence and endpoint, in seconds of audio, and how long finals take.
        request: How the client wants to be recognized.
        language_code: What is spoken where the words do not say so.
    """

    source: WordSource
    profile: ListenerProfile
    request: RecognitionRequest
    language_code: str
    _samples: int = 0
    _next_look: int = 0
    _last_interim: tuple[str, str] = ("", "")
    _speaking: bool = False
    _portion_start: float = 0.0

    def audio(self, pcm: bytes) -> list[Report]:
        """Take audio.

        Args:
            pcm: 16-bit mono at ``LISTENER_RATE``.

        Returns:
            What there is to report.
        """
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32_768
        reports: list[Report] = []
        # However much comes at once, looking at the same points of the audio keeps results the same.
        while len(samples):
            if not self._next_look:
                self._next_look = round((self.profile.interim_interval or _SLICE) * LISTENER_RATE)
            part = samples[: self._next_look]
            samples = samples[len(part) :]
            self._next_look -= len(part)
            self._samples += len(part)
            self.source.feed(part)
            if not self._next_look:
                reports += self._look()
        return reports

    def finish(self) -> list[Report]:
        """The client half-closed.

        Returns:
            The last final, if any words are left.
        """
        self.source.finish()
        return self._close_portion(drawn(self.profile.flush))

    def _look(self) -> list[Report]:
        reports: list[Report] = []
        begin, end = self.source.speech_begin, self.source.speech_end
        if begin is not None and not self._speaking:
            self._speaking = True
            reports.append(Report(SpeechActivity("begin", begin)))
        endpoint = self.profile.endpoint * _SENSITIVITY[self.request.endpointing]
        if end is not None and (late := self.source.settled - end - endpoint) >= 0:
            if self._speaking:
                self._speaking = False
                reports.append(Report(SpeechActivity("end", end)))
            # Looking comes at intervals, the final does not: it is as late after the endpoint as the profile says.
            return reports + self._close_portion(max(drawn(self.profile.final_latency) - late, 0.0))
        if self.request.interim_results:
            reports += self._interim()
        return reports

    def _interim(self) -> list[Report]:
        now = self._samples / LISTENER_RATE
        reported = min(now - self.profile.interim_lag, self.source.settled)
        words = [word for word in self.source.words() if word.end <= reported]
        head = _joined(words, lambda word: word.end <= now - _STABLE_AFTER)
        tail = _joined(words, lambda word: word.end > now - _STABLE_AFTER, spaced=bool(head))
        if not words or (head, tail) == self._last_interim:
            return []
        self._last_interim = (head, tail)
        interim = Hypothesis(
            head or tail,
            is_final=False,
            start=self._portion_start,
            end=words[-1].end,
            stability=_STABLE if head else _UNSTABLE,
            language_code=words[0].language_code or self.language_code,
            tail=tail if head else "",
        )
        return [Report(interim)]

    def _close_portion(self, delay: float) -> list[Report]:
        words = self.source.close_portion()
        self._last_interim = ("", "")
        start, self._portion_start = self._portion_start, self.source.settled
        if not words:
            return []
        final = Hypothesis(
            " ".join(word.word for word in words),
            is_final=True,
            start=start,
            end=words[-1].end,
            confidence=_CONFIDENCE if self.request.model != "chirp_3" else 0.0,
            language_code=words[0].language_code or self.language_code,
            words=[WordTiming(word.word, word.start, word.end, word.speaker) for word in words],
            alternatives=self.source.alternatives,
        )
        return [Report(final, delay)]


def _joined(words: Sequence[HeardWord], wanted: Callable[[HeardWord], bool], *, spaced: bool = False) -> str:
    text = " ".join(word.word for word in words if wanted(word))
    return f" {text}" if text and spaced else text
