"""Checks a recognition config against what the API accepts, and says what to recognize."""

from typing import Any, Literal

from google.cloud.speech_v2.types import cloud_speech

from halfcascade.emulator.actions import invalid
from halfcascade.emulator.minds.base import RecognitionRequest
from halfcascade.emulator.speech.catalogue import check_model, recognizer_location
from halfcascade.emulator.speech.decoding import AutoDecoder, Decoder, RawDecoder
from halfcascade.emulator.speech.dialect import StreamSettings

_RATES = range(8_000, 48_001)  # speech_v2 proto, ExplicitDecodingConfig
_CHANNELS = range(1, 9)
_MOST_PHRASES = 1_000  # facts/stt#models
_VOICE_TIMEOUTS = (0.5, 60.0)  # facts/stt#endpointing, seconds
_ENCODINGS = cloud_speech.ExplicitDecodingConfig.AudioEncoding
_SEPARATE = cloud_speech.RecognitionFeatures.MultiChannelMode.SEPARATE_RECOGNITION_PER_CHANNEL
_SENSITIVITY = cloud_speech.StreamingRecognitionFeatures.EndpointingSensitivity
_ENDPOINTING: dict[int, Literal["short", "supershort"]] = {
    _SENSITIVITY.ENDPOINTING_SENSITIVITY_SHORT: "short",
    _SENSITIVITY.ENDPOINTING_SENSITIVITY_SUPERSHORT: "supershort",
}
# chirp_3 has no usable confidence, and none of the rewriting of older models (facts/stt#limits, #models). The first
# name is Google's own; the others follow its pattern.
_CHIRP_3_REFUSES = {
    "enable_word_confidence": "word_level_confidence",
    "enable_spoken_punctuation": "spoken_punctuation",
    "enable_spoken_emojis": "spoken_emojis",
    "profanity_filter": "profanity_filter",
}


def parse_recognition(recognizer: str, config: Any, features: Any = None) -> StreamSettings:
    """Check a request's config.

    Args:
        recognizer: Resource name.
        config: ``RecognitionConfig`` protobuf.
        features: ``StreamingRecognitionFeatures`` protobuf of a stream, or None.

    Returns:
        What was asked for.

    Raises:
        RequestError: If the API refuses it.
    """
    location = recognizer_location(recognizer)
    languages = list(config.language_codes)
    check_model(config.model, location, languages)
    if config.model == "chirp_3":
        for feature, name in _CHIRP_3_REFUSES.items():
            if getattr(config.features, feature):
                raise invalid(f"Config contains unsupported fields: Recognizer does not support feature: {name}")
    if features is not None and config.features.HasField("diarization_config"):
        raise invalid("Config contains unsupported fields: Recognizer does not support feature: speaker_diarization")
    phrases = _phrases(config.adaptation)
    diarization = config.features.HasField("diarization_config")
    request = RecognitionRequest(
        language_codes=languages,
        model=config.model,
        interim_results=features is not None and features.interim_results,
        phrases=phrases,
        endpointing=_ENDPOINTING.get(features.endpointing_sensitivity, "standard") if features else "standard",
    )
    asked = {
        "word_times": config.features.enable_word_time_offsets,
        "word_confidence": config.features.enable_word_confidence,
        "alternatives": max(1, config.features.max_alternatives),
        "diarization": diarization,
    }
    if features is None:
        return StreamSettings(request, location, **asked)
    return StreamSettings(
        request,
        location,
        **asked,
        activity_events=features.enable_voice_activity_events,
        start_timeout=_voice_timeout(features, "speech_start_timeout"),
        end_timeout=_voice_timeout(features, "speech_end_timeout"),
        single_utterance=config.model == "latest_short",
    )


def make_decoders(config: Any) -> list[Decoder]:
    """Make the decoders that a config asks for.

    Args:
        config: ``RecognitionConfig`` protobuf.

    Returns:
        One for each channel that is recognized apart, else one.

    Raises:
        RequestError: If the config names no decoding, or one that is not emulated.
    """
    separate = config.features.multi_channel_mode == _SEPARATE
    if config.WhichOneof("decoding_config") == "auto_decoding_config":
        # How many channels a file has shows when it comes: two are asked for where they shall be told apart.
        return [AutoDecoder(channel) for channel in range(2 if separate else 1)]
    if config.WhichOneof("decoding_config") is None:
        raise invalid("Config must contain either auto_decoding_config or explicit_decoding_config.")
    explicit = config.explicit_decoding_config
    encoding = _ENCODINGS(explicit.encoding).name
    if encoding in ("FLAC", "MP3", "OGG_OPUS"):
        return [AutoDecoder(channel) for channel in range(2 if separate else 1)]
    if encoding not in ("LINEAR16", "MULAW", "ALAW"):
        raise invalid(f"Audio encoding {encoding} is not emulated: send LINEAR16, MULAW, ALAW, FLAC, MP3 or OGG_OPUS.")
    if explicit.sample_rate_hertz not in _RATES:
        raise invalid(f"Sample rate must be from 8000 to 48000 Hz, not {explicit.sample_rate_hertz}.")
    channels = explicit.audio_channel_count or 1
    if channels not in _CHANNELS:
        raise invalid(f"Audio channel count must be from 1 to 8, not {channels}.")
    wanted = range(channels if separate else 1)
    return [RawDecoder(encoding, explicit.sample_rate_hertz, channels, channel) for channel in wanted]


def _phrases(adaptation: Any) -> tuple[str, ...]:
    phrases = tuple(
        phrase.value for phrase_set in adaptation.phrase_sets for phrase in phrase_set.inline_phrase_set.phrases
    )
    if len(phrases) > _MOST_PHRASES:
        raise invalid(f"Adaptation holds {len(phrases)} phrases; at most {_MOST_PHRASES} are allowed.")
    return phrases


def _voice_timeout(features: Any, name: str) -> float | None:
    timeouts = features.voice_activity_timeout
    if not timeouts.HasField(name):
        return None
    if not features.enable_voice_activity_events:
        raise invalid("voice_activity_timeout requires enable_voice_activity_events.")
    seconds = getattr(timeouts, name).ToTimedelta().total_seconds()
    least, most = _VOICE_TIMEOUTS
    if not least <= seconds <= most:
        raise invalid(f"{name} must be between 500 milliseconds and 60 seconds.")
    return seconds
