"""Speech-to-Text v2: its streams' words."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.cloud.speech_v2.types import cloud_speech

from halfcascade.emulator.actions import invalid
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.minds.base import Hypothesis, SpeechActivity
from halfcascade.emulator.speech.config import make_decoders, parse_recognition
from halfcascade.emulator.speech.dialect import EndText, Opening, StreamSettings, fill_alternatives

_Response = cloud_speech.StreamingRecognizeResponse.pb()
_Result = cloud_speech.StreamingRecognitionResult.pb()
_EventType = cloud_speech.StreamingRecognizeResponse.SpeechEventType

# facts/stt#limits, verbatim.
MAX_DURATION_TEXT = "Max duration of 5 minutes reached for stream."
IDLE_TEXT = "Stream timed out after receiving no more client requests."

Resolve = Callable[[str, Any, Any], Any]
"""Gives the config that holds: that of a stored recognizer, with the request's over it."""


class V2:
    """The words of ``google.cloud.speech.v2``.

    Parameters:
        request_id: Goes into every response's metadata.
        resolve: Finds what a stored recognizer was configured to; None = there are none.
    """

    def __init__(self, request_id: str, resolve: Resolve | None = None) -> None:
        self._request_id = request_id
        self._resolve = resolve

    def open(self, request: Any) -> Opening:
        """See ``Dialect``."""
        stored = self._resolve is not None and not request.recognizer.endswith("/_")
        kind = request.WhichOneof("streaming_request")
        # A stored recognizer may hold all that is needed, and audio come at once (facts/stt#requests).
        if not request.recognizer or (kind != "streaming_config" and not (stored and kind == "audio")):
            raise invalid("The first message must contain a recognizer and a streaming_config, and no audio.")
        streaming = request.streaming_config
        config = streaming.config
        if self._resolve is not None:
            config = self._resolve(request.recognizer, config, streaming.config_mask)
        settings = parse_recognition(request.recognizer, config, streaming.streaming_features)
        return Opening(settings, make_decoders(config), request.audio)

    def audio(self, request: Any, limits: SpeechLimits) -> bytes:
        """See ``Dialect``."""
        if request.WhichOneof("streaming_request") != "audio":
            raise invalid("After the first message, every message must contain audio only.")
        if len(request.audio) > limits.audio_bytes:
            # facts/stt#requests, verbatim.
            raise invalid(
                f"Audio chunk can be of a maximum of {limits.audio_bytes} bytes. "
                f"Received audio of {len(request.audio)} bytes instead."
            )
        return bytes(request.audio)

    def longest(self, limits: SpeechLimits) -> tuple[float, EndText]:
        """See ``Dialect``."""
        return limits.max_duration, EndText(grpc.StatusCode.ABORTED, MAX_DURATION_TEXT)

    def idle(self, limits: SpeechLimits) -> tuple[float, EndText]:
        """See ``Dialect``."""
        return limits.idle, EndText(grpc.StatusCode.ABORTED, IDLE_TEXT)

    def results(self, results: Sequence[Any], *, billed: int | None) -> Any:
        """See ``Dialect``."""
        response = self._response()
        response.results.extend(results)
        if billed is not None:
            response.metadata.total_billed_duration.seconds = billed
        return response

    def activity(self, activity: SpeechActivity) -> Any:
        """See ``Dialect``."""
        begins = activity.kind == "begin"
        kind = _EventType.SPEECH_ACTIVITY_BEGIN if begins else _EventType.SPEECH_ACTIVITY_END
        return self._event(kind, activity.offset)

    def end_of_utterance(self, offset: float) -> Any:
        """See ``Dialect``."""
        return self._event(_EventType.END_OF_SINGLE_UTTERANCE, offset)

    def result(self, text: str, found: Hypothesis, settings: StreamSettings, *, stability: float | None = None) -> Any:
        """See ``Dialect``."""
        result = _Result()
        if stability is None:
            result.is_final = True
            fill_alternatives(result, text, found, settings)
        else:
            result.alternatives.add().transcript = text
            result.stability = stability
            result.language_code = found.language_code
            result.channel_tag = found.channel
        result.result_end_offset.FromNanoseconds(round(found.end * 1e9))
        return result

    def describe_request(self, request: Any) -> tuple[str, dict[str, Any]]:
        """See ``Dialect``."""
        if request.WhichOneof("streaming_request") != "streaming_config":
            return "audio", {"bytes": len(request.audio)}
        streaming = request.streaming_config
        return "config", {
            "recognizer": request.recognizer,
            "model": streaming.config.model,
            "languages": list(streaming.config.language_codes),
            "interim_results": streaming.streaming_features.interim_results,
        }

    def describe_response(self, response: Any) -> tuple[str, dict[str, Any]]:
        """See ``Dialect``."""
        if response.speech_event_type:
            kind = _EventType(response.speech_event_type).name
            return "activity", {"kind": kind, "offset": response.speech_event_offset.ToTimedelta().total_seconds()}
        texts = [result.alternatives[0].transcript for result in response.results]
        return "result", {"texts": texts, "is_final": response.results[0].is_final}

    def _event(self, kind: int, offset: float) -> Any:
        response = self._response()
        response.speech_event_type = kind
        response.speech_event_offset.FromNanoseconds(round(offset * 1e9))
        return response

    def _response(self) -> Any:
        response = _Response()
        response.metadata.request_id = self._request_id
        return response
