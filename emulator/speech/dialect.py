"""What differs between the versions of Speech-to-Text: how a stream is configured, and how results are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.minds.base import Hypothesis, RecognitionRequest, SpeechActivity
from halfcascade.emulator.minds.words import WordTiming
from halfcascade.emulator.speech.decoding import Decoder

_WORD_CONFIDENCE = 0.95


@dataclass(frozen=True)
class StreamSettings:
    """What a stream or batch was configured to.

    Parameters:
        request: For the mind.
        location: Google Cloud location; "" = the version has none.
        activity_events: Whether the client wants voice activity events.
        start_timeout: Seconds of audio without speech after which the stream is closed, or None.
        end_timeout: Seconds of audio after the end of speech after which the stream is closed, or None.
        single_utterance: Whether the first final ends the stream (facts/stt#endpointing).
        word_times: Whether words come with their times.
        word_confidence: Whether words come with their confidence.
        alternatives: How many readings are wanted at most.
        diarization: Whether words come with who says them.
    """

    request: RecognitionRequest
    location: str = ""
    activity_events: bool = False
    start_timeout: float | None = None
    end_timeout: float | None = None
    single_utterance: bool = False
    word_times: bool = False
    word_confidence: bool = False
    alternatives: int = 1
    diarization: bool = False


@dataclass(frozen=True)
class Opening:
    """What the first message of a stream asks for.

    Parameters:
        settings: How it shall be recognized.
        decoders: One for each channel that is recognized apart; one in all for everything else.
        audio: What the message holds already.
    """

    settings: StreamSettings
    decoders: Sequence[Decoder]
    audio: bytes = b""


@dataclass(frozen=True)
class EndText:
    """How a stream ends that has come to a limit.

    Parameters:
        code: gRPC status.
        text: Error text.
    """

    code: grpc.StatusCode
    text: str


class Dialect(Protocol):
    """One version's way to say things. Errors are raised as ``RequestError``."""

    def open(self, request: Any) -> Opening:
        """Read the first message of a stream."""

    def audio(self, request: Any, limits: SpeechLimits) -> bytes:
        """Read a later message."""

    def longest(self, limits: SpeechLimits) -> tuple[float, EndText]:
        """Tell after how many seconds a stream ends, and how."""

    def idle(self, limits: SpeechLimits) -> tuple[float, EndText]:
        """Tell after how many seconds without a message a stream ends, and how."""

    def results(self, results: Sequence[Any], *, billed: int | None) -> Any:
        """Make a response of results."""

    def activity(self, activity: SpeechActivity) -> Any:
        """Make a response of a voice activity."""

    def end_of_utterance(self, offset: float) -> Any:
        """Make the response that ends a single utterance."""

    def result(self, text: str, found: Hypothesis, settings: StreamSettings, *, stability: float | None = None) -> Any:
        """Make a streaming result; with a stability it is an interim."""

    def describe_request(self, request: Any) -> tuple[str, dict[str, Any]]:
        """Say what a client message is, for the log."""

    def describe_response(self, response: Any) -> tuple[str, dict[str, Any]]:
        """Say what a response is, for the log."""


def fill_alternatives(result: Any, text: str, found: Hypothesis, settings: StreamSettings) -> None:
    """Write the readings of a final, with words as they were asked for. The versions name words' times differently.

    Args:
        result: Streaming or batch result protobuf.
        text: The first reading.
        found: The final.
        settings: What was asked for.
    """
    for number, reading in enumerate([text, *found.alternatives][: max(1, settings.alternatives)]):
        alternative = result.alternatives.add()
        alternative.transcript = reading
        alternative.confidence = found.confidence if number == 0 else max(0.0, found.confidence - 0.1 * number)
    if settings.word_times or settings.word_confidence or settings.diarization:
        words = found.words or _spread(text, found)
        for word in words:
            _fill_word(result.alternatives[0].words.add(), word, settings)
    result.language_code = _told_language(found.language_code, settings.request)
    result.channel_tag = found.channel


def _told_language(tag: str, request: RecognitionRequest) -> str:
    """Name a language as the model does: chirp names what it detected without a region (Google's sample of it)."""
    return tag.partition("-")[0] if request.model == "chirp" and "auto" in request.language_codes else tag


def _fill_word(info: Any, word: WordTiming, settings: StreamSettings) -> None:
    info.word = word.word
    if settings.word_times:
        start, end = ("start_offset", "end_offset") if hasattr(info, "start_offset") else ("start_time", "end_time")
        getattr(info, start).FromNanoseconds(round(word.start * 1e9))
        getattr(info, end).FromNanoseconds(round(word.end * 1e9))
    if settings.word_confidence:
        info.confidence = _WORD_CONFIDENCE
    if settings.diarization:
        speaker = word.speaker or 1
        if hasattr(info, "speaker_label"):
            info.speaker_label = str(speaker)
        if hasattr(info, "speaker_tag"):
            info.speaker_tag = speaker


def _spread(text: str, found: Hypothesis) -> list[WordTiming]:
    """Spread words over a final whose listener knows no times of words."""
    words = text.split()
    step = (found.end - found.start) / max(len(words), 1)
    return [
        WordTiming(word, found.start + number * step, found.start + (number + 1) * step)
        for number, word in enumerate(words)
    ]
