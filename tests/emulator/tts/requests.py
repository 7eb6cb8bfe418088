"""Requests as a client would make them."""

from typing import Any

from google.cloud.texttospeech_v1.types import cloud_tts as tts

VOICE = "en-US-Chirp3-HD-Charon"


def config_request(
    voice: str = VOICE, language_code: str = "en-US", *, custom_pronunciations: Any = None, **audio: Any
) -> tts.StreamingSynthesizeRequest:
    return tts.StreamingSynthesizeRequest(
        streaming_config=tts.StreamingSynthesizeConfig(
            voice=tts.VoiceSelectionParams(name=voice, language_code=language_code),
            streaming_audio_config=tts.StreamingAudioConfig(**audio) if audio else None,
            custom_pronunciations=custom_pronunciations,
        )
    )


def text_request(text: str) -> tts.StreamingSynthesizeRequest:
    return tts.StreamingSynthesizeRequest(input=tts.StreamingSynthesisInput(text=text))


def markup_request(markup: str) -> tts.StreamingSynthesizeRequest:
    return tts.StreamingSynthesizeRequest(input=tts.StreamingSynthesisInput(markup=markup))


def batch_request(text: str = "Hello.", voice: str = VOICE, language_code: str = "en-US", **audio: Any):
    audio.setdefault("audio_encoding", "LINEAR16")
    return tts.SynthesizeSpeechRequest(
        input=tts.SynthesisInput(text=text),
        voice=tts.VoiceSelectionParams(name=voice, language_code=language_code),
        audio_config=tts.AudioConfig(**audio),
    )
