"""What the ears ask Speech-to-Text for, and what it answers, as the stream machine takes it."""

from collections.abc import Sequence
from typing import Any

from google.cloud.speech_v2.types import cloud_speech
from pipecat.services.google.stt import GoogleSTTSettings

from halfcascade.processors.google_stt.protocol.events import Result

FEATURES = (
    "enable_automatic_punctuation",
    "enable_spoken_punctuation",
    "enable_spoken_emojis",
    "profanity_filter",
    "enable_word_time_offsets",
    "enable_word_confidence",
)
"""Settings that are features of a recognition, by the names both Pipecat and Google give them."""


def streaming_config(
    settings: GoogleSTTSettings,
    language_codes: Sequence[str],
    sample_rate: int,
    *,
    denoiser: cloud_speech.DenoiserConfig | None = None,
    adaptation: cloud_speech.SpeechAdaptation | None = None,
) -> cloud_speech.StreamingRecognitionConfig:
    """Word the settings as Google's configuration of a stream.

    Args:
        settings: Complete settings.
        language_codes: Languages to listen for, as Google calls them.
        sample_rate: Samples per second of the audio, 16-bit mono.
        denoiser: How to clean the audio first.
        adaptation: Phrases to expect.

    Returns:
        The configuration.
    """
    config = cloud_speech.RecognitionConfig(
        explicit_decoding_config=cloud_speech.ExplicitDecodingConfig(
            encoding=cloud_speech.ExplicitDecodingConfig.AudioEncoding.LINEAR16,
            sample_rate_hertz=sample_rate,
            audio_channel_count=1,
        ),
        language_codes=language_codes,
        model=settings.model,
        features=cloud_speech.RecognitionFeatures(**{name: getattr(settings, name) for name in FEATURES}),
        denoiser_config=denoiser,
        adaptation=adaptation,
    )
    return cloud_speech.StreamingRecognitionConfig(
        config=config,
        streaming_features=cloud_speech.StreamingRecognitionFeatures(
            enable_voice_activity_events=settings.enable_voice_activity_events,
            interim_results=settings.enable_interim_results,
        ),
    )


def results(response: cloud_speech.StreamingRecognizeResponse) -> list[Result]:
    """Read the results of a response.

    Args:
        response: The response.

    Returns:
        Its results, of each only the likeliest words.
    """
    return [
        Result(
            text=result.alternatives[0].transcript if result.alternatives else "",
            is_final=result.is_final,
            end=duration_secs(result.result_end_offset),
            language=result.language_code,
        )
        for result in response.results
    ]


def duration_secs(duration: Any) -> float:
    """Read a duration.

    Args:
        duration: A protobuf duration, which Google's library gives as a ``timedelta`` or None.

    Returns:
        Seconds.
    """
    return duration.total_seconds() if duration else 0.0
