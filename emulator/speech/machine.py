"""The protocol of ``StreamingRecognize``, without I/O.

A shell feeds the machine requests, results of the listener and clock readings, and carries out the actions that come
back.
"""

import math
from collections.abc import Sequence
from typing import Any

import grpc
from google.cloud.speech_v2.types import cloud_speech

from halfcascade.emulator.actions import Abort, Action, Begin, End, Feed, Finish, RequestError, Send, invalid
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, SpeechActivity
from halfcascade.emulator.speech.config import StreamSettings, make_decoder, parse_recognition
from halfcascade.emulator.speech.decoding import Decoder

_Response = cloud_speech.StreamingRecognizeResponse.pb()
_EventType = cloud_speech.StreamingRecognizeResponse.SpeechEventType

# facts/stt#limits, verbatim.
MAX_DURATION_TEXT = "Max duration of 5 minutes reached for stream."
IDLE_TEXT = "Stream timed out after receiving no more client requests."
_HEAD_STABILITY, _TAIL_STABILITY = 0.9, 0.1
# How long after the audio a voice activity may still be reported before a timeout counts as reached.
_LISTENER_GRACE = 0.1


class RecognizeStream:
    """One ``StreamingRecognize`` call.

    Parameters:
        now: Clock reading in seconds; later calls continue the same clock.
        limits: What is enforced.
        request_id: Goes into every response's metadata.
    """

    def __init__(self, now: float, limits: SpeechLimits, request_id: str) -> None:
        self._limits = limits
        self._request_id = request_id
        self._opened = now
        self._last_request = now
        self._settings: StreamSettings | None = None
        self._decoder: Decoder | None = None
        self._samples = 0
        self._finishing = False
        self._ended = False
        self._speaking = False
        self._silent_since = 0.0
        self._heard_speech = False
        self._timeout_at: float | None = None

    @property
    def settings(self) -> StreamSettings | None:
        """What the first message configured."""
        return self._settings

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio received."""
        return self._samples / LISTENER_RATE

    @property
    def deadline(self) -> float | None:
        """When ``tick`` must be called at the latest, or None once the stream has ended."""
        if self._ended:
            return None
        deadlines = [self._opened + self._limits.max_duration]
        if not self._finishing:
            deadlines.append(self._last_request + self._limits.idle)
            if self._timeout_at is not None:
                deadlines.append(self._timeout_at)
        return min(deadlines)

    def receive(self, request: Any, now: float) -> list[Action]:
        """Take a client message.

        Args:
            request: ``StreamingRecognizeRequest`` protobuf.
            now: Clock reading.

        Returns:
            What to do.
        """
        if self._ended or self._finishing:
            return []
        self._last_request = now
        try:
            if self._settings is None:
                return self._configure(request)
            return self._audio(request, now)
        except RequestError as error:
            return self._abort(error.code, error.text)

    def half_close(self, now: float) -> list[Action]:
        """The client sends no more; what is pending is flushed (facts/stt#half-close).

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        del now
        if self._ended or self._finishing:
            return []
        if self._settings is None:
            self._ended = True
            return [End()]
        try:
            return self._finish()
        except RequestError as error:
            return self._abort(error.code, error.text)

    def heard(self, events: Sequence[Hypothesis | SpeechActivity], now: float) -> list[Action]:
        """Take what the listener found.

        Args:
            events: One or more, in order; those that come together may share a response (facts/stt#results).
            now: Clock reading.

        Returns:
            What to do.
        """
        actions: list[Action] = []
        results: list[Any] = []
        for event in events:
            if self._ended:
                break
            if isinstance(event, SpeechActivity):
                actions += self._flush_results(results)
                actions += self._activity(event, now)
            elif event.is_final:
                actions += self._flush_results(results)
                actions += self._final(event, results)
            elif self._settings and self._settings.request.interim_results:
                if results and not results[0].is_final:
                    actions += self._flush_results(results)
                results += _interim_results(event)
        return actions + self._flush_results(results)

    def listener_done(self, now: float) -> list[Action]:
        """The listener has flushed everything.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        del now
        if self._ended:
            return []
        self._ended = True
        return [End()]

    def tick(self, now: float) -> list[Action]:
        """Let time pass.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        if self._ended:
            return []
        if now >= self._opened + self._limits.max_duration:
            return self._abort(grpc.StatusCode.ABORTED, MAX_DURATION_TEXT)
        if self._finishing:
            return []
        if now >= self._last_request + self._limits.idle:
            return self._abort(grpc.StatusCode.ABORTED, IDLE_TEXT)
        if self._timeout_at is not None and now >= self._timeout_at:
            return self._finish()
        return []

    def _configure(self, request: Any) -> list[Action]:
        if request.WhichOneof("streaming_request") != "streaming_config" or not request.recognizer:
            raise invalid("The first message must contain a recognizer and a streaming_config, and no audio.")
        streaming = request.streaming_config
        settings = parse_recognition(request.recognizer, streaming.config, streaming.streaming_features)
        self._decoder = make_decoder(streaming.config)
        self._settings = settings
        return [Begin(settings.request)]

    def _audio(self, request: Any, now: float) -> list[Action]:
        if request.WhichOneof("streaming_request") != "audio" or self._decoder is None:
            raise invalid("After the first message, every message must contain audio only.")
        if len(request.audio) > self._limits.audio_bytes:
            # facts/stt#requests, verbatim.
            raise invalid(
                f"Audio chunk can be of a maximum of {self._limits.audio_bytes} bytes. "
                f"Received audio of {len(request.audio)} bytes instead."
            )
        pcm = self._decoder.decode(request.audio)
        self._samples += len(pcm) // 2
        self._check_voice_timeouts(now)
        return [Feed(pcm)] if pcm else []

    def _check_voice_timeouts(self, now: float) -> None:
        settings = self._settings
        if settings is None or self._timeout_at is not None or self._speaking:
            return
        limit = settings.end_timeout if self._heard_speech else settings.start_timeout
        if limit is not None and self.audio_seconds - self._silent_since >= limit:
            self._timeout_at = now + _LISTENER_GRACE

    def _finish(self) -> list[Action]:
        self._finishing = True
        rest = self._decoder.flush() if self._decoder else b""
        self._samples += len(rest) // 2
        return [Feed(rest), Finish()] if rest else [Finish()]

    def _activity(self, activity: SpeechActivity, now: float) -> list[Action]:
        self._speaking = activity.kind == "begin"
        self._heard_speech = True
        self._timeout_at = None
        self._silent_since = activity.offset
        if not self._speaking:
            self._check_voice_timeouts(now)
        if not (self._settings and self._settings.activity_events):
            return []
        kind = _EventType.SPEECH_ACTIVITY_BEGIN if self._speaking else _EventType.SPEECH_ACTIVITY_END
        return [Send(self._event(kind, activity.offset))]

    def _final(self, final: Hypothesis, results: list[Any]) -> list[Action]:
        result = _result(final.text, final, is_final=True)
        result.alternatives[0].confidence = final.confidence
        results.append(result)
        if not (self._settings and self._settings.single_utterance) or self._finishing:
            return []
        end_of_utterance: Action = Send(self._event(_EventType.END_OF_SINGLE_UTTERANCE, final.end))
        return [end_of_utterance, *self._flush_results(results), *self._finish()]

    def _flush_results(self, results: list[Any]) -> list[Action]:
        if not results:
            return []
        response = self._response()
        response.results.extend(results)
        if results[0].is_final:
            # Billing counts whole seconds of audio received; which messages carry it is not known (facts/stt#results).
            response.metadata.total_billed_duration.seconds = math.ceil(self.audio_seconds)
        results.clear()
        return [Send(response)]

    def _event(self, kind: int, offset: float) -> Any:
        response = self._response()
        response.speech_event_type = kind
        response.speech_event_offset.FromNanoseconds(round(offset * 1e9))
        return response

    def _response(self) -> Any:
        response = _Response()
        response.metadata.request_id = self._request_id
        return response

    def _abort(self, code: grpc.StatusCode, text: str) -> list[Action]:
        self._ended = True
        return [Abort(code, text)]


def _interim_results(interim: Hypothesis) -> list[Any]:
    """Make the one or two results of an interim: a stable head and, if there is one, a less stable tail.

    See facts/stt#results.
    """
    results = []
    if interim.text:
        results.append(_result(interim.text, interim, is_final=False))
        results[-1].stability = interim.stability or _HEAD_STABILITY
    if interim.tail:
        results.append(_result(interim.tail, interim, is_final=False))
        results[-1].stability = _TAIL_STABILITY
    return results


def _result(text: str, hypothesis: Hypothesis, *, is_final: bool) -> Any:
    result = cloud_speech.StreamingRecognitionResult.pb()()
    result.alternatives.add().transcript = text
    result.is_final = is_final
    result.language_code = hypothesis.language_code
    result.result_end_offset.FromNanoseconds(round(hypothesis.end * 1e9))
    return result
