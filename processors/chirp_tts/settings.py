"""What can be set on the voice, and what that means to the API."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from google.cloud import texttospeech_v1 as tts
from pipecat.services.settings import NOT_GIVEN, NotGiven, TTSSettings

from halfcascade.processors.chirp_tts.phrase_cache import PhraseKey
from halfcascade.processors.chirp_tts.voices import check_speaking_rate, check_voice
from halfcascade.processors.language import language

# facts/tts#voices: the native rate of the voices; others may be refused. Transports resample.
SAMPLE_RATE = 24_000


@dataclass(frozen=True)
class Pronunciation:
    """How to say a phrase (facts/tts#voices: en-US first; other locales may ignore it).

    Parameters:
        phrase: The phrase exactly as it occurs in the text.
        pronunciation: How it sounds, in ``encoding``.
        encoding: Phonetic alphabet.
    """

    phrase: str
    pronunciation: str
    encoding: Literal["ipa", "x-sampa", "yomigana", "pinyin"] = "ipa"


_ENCODINGS = {
    "ipa": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_IPA,
    "x-sampa": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_X_SAMPA,
    "yomigana": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_JAPANESE_YOMIGANA,
    "pinyin": tts.CustomPronunciationParams.PhoneticEncoding.PHONETIC_ENCODING_PINYIN,
}


@dataclass
class ChirpTTSSettings(TTSSettings):
    """Settings of ``ChirpTTSService``, changeable while it runs.

    Parameters:
        speaking_rate: Multiple of the voice's own speed, 0.25 to 2.0; None for the voice's own.
        markup: Whether ``[pause short]``, ``[pause]`` and ``[pause long]`` in the text are pauses. Without it they
            are dropped.
        custom_pronunciations: How to say certain phrases.
        voice_cloning_key: Key of an instant custom voice, which then speaks instead of ``voice``.
    """

    speaking_rate: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    markup: bool | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    custom_pronunciations: Sequence[Pronunciation] | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    voice_cloning_key: str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN, repr=False)

    @property
    def locale(self) -> str:
        """The language as Google's locale."""
        return str(self.language)

    @property
    def rate(self) -> float:
        """The speaking rate, 1.0 unless set."""
        return float(self.speaking_rate or 1.0)


def default_settings() -> ChirpTTSSettings:
    """Complete settings: an English voice at its own speed."""
    return ChirpTTSSettings(
        model=None,
        voice="en-US-Chirp3-HD-Charon",
        language="en-US",
        speaking_rate=None,
        markup=False,
        custom_pronunciations=(),
        voice_cloning_key=None,
    )


def check_settings(settings: ChirpTTSSettings) -> None:
    """Check complete settings before anything is sent.

    Args:
        settings: All of them.

    Raises:
        ConfigurationError: If voice, locale and rate do not fit together.
    """
    voice = str(settings.voice) if settings.voice else None
    check_voice(voice, settings.locale, cloned=bool(settings.voice_cloning_key))
    check_speaking_rate(settings.rate)


def prior_rate(settings: ChirpTTSSettings) -> float:
    """Seconds per unit at which a voice is expected to speak.

    Args:
        settings: Locale and speaking rate.

    Returns:
        Seconds.
    """
    return language(settings.locale).secs_per_unit / settings.rate


def streaming_config(settings: ChirpTTSSettings) -> tts.StreamingSynthesizeConfig:
    """Make the first message of a StreamingSynthesize call.

    Args:
        settings: Complete settings.

    Returns:
        The config.
    """
    voice = tts.VoiceSelectionParams(language_code=settings.locale)
    if settings.voice_cloning_key:
        voice.voice_clone = tts.VoiceCloneParams(voice_cloning_key=settings.voice_cloning_key)
    else:
        voice.name = str(settings.voice)
    config = tts.StreamingSynthesizeConfig(
        voice=voice,
        streaming_audio_config=tts.StreamingAudioConfig(
            audio_encoding=tts.AudioEncoding.PCM,
            sample_rate_hertz=SAMPLE_RATE,
            speaking_rate=settings.speaking_rate or None,
        ),
    )
    if settings.custom_pronunciations:
        config.custom_pronunciations = tts.CustomPronunciations(
            pronunciations=[
                tts.CustomPronunciationParams(
                    phrase=item.phrase, phonetic_encoding=_ENCODINGS[item.encoding], pronunciation=item.pronunciation
                )
                for item in settings.custom_pronunciations
            ]
        )
    return config


def synthesis_input(settings: ChirpTTSSettings, text: str) -> tts.StreamingSynthesisInput:
    """Make the input of a call.

    Args:
        settings: Whether the text holds markup.
        text: What to say.

    Returns:
        The input. Pause tags work in the ``markup`` field only (facts/tts#voices).
    """
    return tts.StreamingSynthesisInput(markup=text) if settings.markup else tts.StreamingSynthesisInput(text=text)


def phrase_key(settings: ChirpTTSSettings, text: str) -> PhraseKey:
    """Tell what makes the recording of a text its own.

    Args:
        settings: Complete settings.
        text: What is said.

    Returns:
        Key for the phrase cache.
    """
    voice = str(settings.voice)
    if settings.voice_cloning_key:
        # The key of a custom voice is a secret: only a hash of it may leave memory.
        voice = hashlib.sha256(str(settings.voice_cloning_key).encode()).hexdigest()
    return PhraseKey(
        voice=voice,
        language=settings.locale,
        text=text,
        speaking_rate=settings.rate,
        markup=bool(settings.markup),
        pronunciations=repr(tuple(settings.custom_pronunciations or ())),
        sample_rate=SAMPLE_RATE,
    )
