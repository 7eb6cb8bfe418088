"""Speech-to-Text v1 and v1p1beta1: configs, and their streams' words."""

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from halfcascade.emulator.actions import invalid
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.minds.base import Hypothesis, RecognitionRequest, SpeechActivity
from halfcascade.emulator.speech.decoding import AutoDecoder, Decoder, RawDecoder
from halfcascade.emulator.speech.dialect import EndText, Opening, StreamSettings, fill_alternatives

# facts/stt#limits: the older wording of a stream's end, and of one without audio.
MAX_DURATION_TEXT = "Exceeded maximum allowed stream duration of {seconds:.0f} seconds."
IDLE_TEXT = "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time."

_MODELS = [
    *("default", "command_and_search", "latest_long", "latest_short", "phone_call", "video", "telephony"),
    *("telephony_short", "long", "short", "medical_conversation", "medical_dictation"),
]
_RAW = ("LINEAR16", "MULAW", "ALAW")
_FILES = ("FLAC", "OGG_OPUS", "MP3", "ENCODING_UNSPECIFIED")
_RATES = range(8_000, 48_001)
_CHANNELS = range(1, 9)
_MOST_ALTERNATIVES = 30
_MOST_PHRASES = 5_000
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?")
_VOICE_TIMEOUTS = (0.5, 60.0)


class Protos:
    """The messages of one of the two versions.

    Parameters:
        version: ``v1`` or ``v1p1beta1``.
    """

    def __init__(self, version: str) -> None:
        self.types: Any = importlib.import_module(f"google.cloud.speech_{version}.types.cloud_speech")
        self.resources: Any = importlib.import_module(f"google.cloud.speech_{version}.types.resource")
        self.Response = self.types.StreamingRecognizeResponse.pb()
        self.Result = self.types.StreamingRecognitionResult.pb()
        self.EventType = self.types.StreamingRecognizeResponse.SpeechEventType
        self.encoding = self.types.RecognitionConfig.AudioEncoding


def parse_config(config: Any, streaming: Any = None) -> StreamSettings:
    """Check a config.

    Args:
        config: ``RecognitionConfig`` protobuf.
        streaming: ``StreamingRecognitionConfig`` around it, or None.

    Returns:
        What was asked for.

    Raises:
        RequestError: If the API refuses it.
    """
    languages = [config.language_code, *config.alternative_language_codes]
    for language in languages:
        if not _TAG.fullmatch(language):
            raise invalid(f"Invalid recognition 'config': bad language code '{language}'.")
    if config.model and config.model not in _MODELS:
        raise invalid(f"Invalid recognition 'config': Incorrect model specified: '{config.model}'.")
    if not 0 <= config.max_alternatives <= _MOST_ALTERNATIVES:
        raise invalid(f"Invalid recognition 'config': max_alternatives must be from 0 to {_MOST_ALTERNATIVES}.")
    phrases = tuple(phrase for context in config.speech_contexts for phrase in context.phrases)
    phrases += tuple(phrase.value for item in config.adaptation.phrase_sets for phrase in item.phrases)
    if len(phrases) > _MOST_PHRASES:
        raise invalid(f"Invalid recognition 'config': at most {_MOST_PHRASES} phrases are allowed.")
    interims = streaming is not None and streaming.interim_results
    request = RecognitionRequest(languages, config.model or "default", interim_results=interims, phrases=phrases)
    settings = StreamSettings(
        request,
        word_times=config.enable_word_time_offsets,
        word_confidence=config.enable_word_confidence.value
        if hasattr(config.enable_word_confidence, "value")
        else config.enable_word_confidence,
        alternatives=max(1, config.max_alternatives),
        diarization=config.diarization_config.enable_speaker_diarization
        or bool(getattr(config, "enable_speaker_diarization", False)),
    )
    if streaming is None:
        return settings
    return StreamSettings(
        request,
        activity_events=streaming.enable_voice_activity_events,
        start_timeout=_timeout(streaming, "speech_start_timeout"),
        end_timeout=_timeout(streaming, "speech_end_timeout"),
        single_utterance=streaming.single_utterance,
        word_times=settings.word_times,
        word_confidence=settings.word_confidence,
        alternatives=settings.alternatives,
        diarization=settings.diarization,
    )


def make_decoders(config: Any, protos: Protos) -> list[Decoder]:
    """Make the decoders that a config asks for.

    Args:
        config: ``RecognitionConfig`` protobuf.
        protos: Messages of its version.

    Returns:
        One for each channel that is recognized apart, else one.

    Raises:
        RequestError: If it asks for an encoding that is not emulated, or misses what that needs.
    """
    name = protos.encoding(config.encoding).name
    channels = config.audio_channel_count or 1
    if channels not in _CHANNELS:
        raise invalid(f"Invalid recognition 'config': bad audio channel count {channels}.")
    wanted = range(channels) if config.enable_separate_recognition_per_channel else range(1)
    if name in _FILES:
        return [AutoDecoder(channel) for channel in wanted]
    if name not in _RAW:
        raise invalid(f"Audio encoding {name} is not emulated: send LINEAR16, MULAW, ALAW, FLAC, OGG_OPUS or MP3.")
    rate = config.sample_rate_hertz
    if rate not in _RATES:
        raise invalid("Invalid recognition 'config': bad sample rate hertz.")
    return [RawDecoder(name, rate, channels, channel, skip_header=True) for channel in wanted]


class V1:
    """The words of ``google.cloud.speech.v1`` and ``v1p1beta1``.

    Parameters:
        protos: Messages of the version.
        request_id: Goes into every response.
        effective: Gives the config that holds for a request's.
    """

    def __init__(self, protos: Protos, request_id: int, effective: Callable[[Any], Any]) -> None:
        self._protos = protos
        self._effective = effective
        self._request_id = request_id

    def open(self, request: Any) -> Opening:
        """See ``Dialect``."""
        if request.WhichOneof("streaming_request") != "streaming_config":
            raise invalid(
                "Malordered Data Received. Expected audio_content none was set. Send exactly one config, followed by "
                "audio data."
            )
        streaming = request.streaming_config
        config = self._effective(streaming.config)
        return Opening(parse_config(config, streaming), make_decoders(config, self._protos))

    def audio(self, request: Any, limits: SpeechLimits) -> bytes:
        """See ``Dialect``."""
        if request.WhichOneof("streaming_request") != "audio_content":
            raise invalid(
                "Malordered Data Received. Expected audio_content. Send exactly one config, followed by audio data."
            )
        if len(request.audio_content) > limits.audio_bytes_v1:
            raise invalid(f"Request payload size exceeds the limit: {limits.audio_bytes_v1} bytes.")
        return bytes(request.audio_content)

    def longest(self, limits: SpeechLimits) -> tuple[float, EndText]:
        """See ``Dialect``."""
        text = MAX_DURATION_TEXT.format(seconds=SpeechLimits.max_duration_v1)
        return limits.max_duration_v1, EndText(grpc.StatusCode.OUT_OF_RANGE, text)

    def idle(self, limits: SpeechLimits) -> tuple[float, EndText]:
        """See ``Dialect``."""
        return limits.idle, EndText(grpc.StatusCode.OUT_OF_RANGE, IDLE_TEXT)

    def results(self, results: Sequence[Any], *, billed: int | None) -> Any:
        """See ``Dialect``."""
        response = self._response()
        response.results.extend(results)
        if billed is not None:
            response.total_billed_time.seconds = billed
        return response

    def activity(self, activity: SpeechActivity) -> Any:
        """See ``Dialect``."""
        name = "SPEECH_ACTIVITY_BEGIN" if activity.kind == "begin" else "SPEECH_ACTIVITY_END"
        return self._event(name, activity.offset)

    def end_of_utterance(self, offset: float) -> Any:
        """See ``Dialect``."""
        return self._event("END_OF_SINGLE_UTTERANCE", offset)

    def result(self, text: str, found: Hypothesis, settings: StreamSettings, *, stability: float | None = None) -> Any:
        """See ``Dialect``."""
        result = self._protos.Result()
        if stability is None:
            result.is_final = True
            fill_alternatives(result, text, found, settings)
        else:
            result.alternatives.add().transcript = text
            result.stability = stability
            result.language_code = found.language_code
            result.channel_tag = found.channel
        # v1 writes tags in lower case.
        result.language_code = result.language_code.lower()
        result.result_end_time.FromNanoseconds(round(found.end * 1e9))
        return result

    def describe_request(self, request: Any) -> tuple[str, dict[str, Any]]:
        """See ``Dialect``."""
        if request.WhichOneof("streaming_request") != "streaming_config":
            return "audio", {"bytes": len(request.audio_content)}
        config = request.streaming_config.config
        return "config", {
            "model": config.model,
            "languages": [config.language_code, *config.alternative_language_codes],
            "interim_results": request.streaming_config.interim_results,
        }

    def describe_response(self, response: Any) -> tuple[str, dict[str, Any]]:
        """See ``Dialect``."""
        if response.speech_event_type:
            kind = self._protos.EventType(response.speech_event_type).name
            return "activity", {"kind": kind, "offset": response.speech_event_time.ToTimedelta().total_seconds()}
        texts = [result.alternatives[0].transcript for result in response.results]
        return "result", {"texts": texts, "is_final": response.results[0].is_final}

    def _event(self, name: str, offset: float) -> Any:
        response = self._response()
        response.speech_event_type = self._protos.EventType[name]
        response.speech_event_time.FromNanoseconds(round(offset * 1e9))
        return response

    def _response(self) -> Any:
        response = self._protos.Response()
        response.request_id = self._request_id
        return response


def _timeout(streaming: Any, name: str) -> float | None:
    timeouts = streaming.voice_activity_timeout
    if not timeouts.HasField(name):
        return None
    if not streaming.enable_voice_activity_events:
        raise invalid("Invalid recognition 'config': voice_activity_timeout requires enable_voice_activity_events.")
    seconds: float = getattr(timeouts, name).ToTimedelta().total_seconds()
    least, most = _VOICE_TIMEOUTS
    if not least <= seconds <= most:
        raise invalid(f"Invalid recognition 'config': {name} must be between 500 milliseconds and 60 seconds.")
    return seconds
