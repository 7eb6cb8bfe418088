"""Requests as a client would make them."""

from typing import Any

from google.cloud.speech_v2.types import cloud_speech as speech


def recognizer(location: str = "us") -> str:
    return f"projects/test/locations/{location}/recognizers/_"


def recognition_config(model: str = "chirp_3", languages: tuple[str, ...] = ("en-US",), **options: Any):
    options.setdefault(
        "explicit_decoding_config",
        speech.ExplicitDecodingConfig(encoding="LINEAR16", sample_rate_hertz=16_000, audio_channel_count=1),
    )
    return speech.RecognitionConfig(model=model, language_codes=list(languages), **options)


def config_request(
    location: str = "us", *, config: speech.RecognitionConfig | None = None, **features: Any
) -> speech.StreamingRecognizeRequest:
    return speech.StreamingRecognizeRequest(
        recognizer=recognizer(location),
        streaming_config=speech.StreamingRecognitionConfig(
            config=config or recognition_config(), streaming_features=speech.StreamingRecognitionFeatures(**features)
        ),
    )


def audio_request(audio: bytes) -> speech.StreamingRecognizeRequest:
    return speech.StreamingRecognizeRequest(audio=audio)
