"""The voices of Text-to-Speech (facts/tts#voices)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.cloud.texttospeech_v1.types import cloud_tts

from halfcascade.emulator.actions import invalid

NATURAL_RATE = 24_000  # Hz, facts/tts#voices
# facts/tts#voices, verbatim
STREAMING_REFUSAL = "Currently, only Chirp 3: HD voices are supported for streaming synthesis."

_FEMALE = (
    "Achernar Aoede Autonoe Callirrhoe Despina Erinome Gacrux Kore Laomedeia Leda Pulcherrima Sulafat Vindemiatrix "
    "Zephyr"
)
_MALE = (
    "Achird Algenib Algieba Alnilam Charon Enceladus Fenrir Iapetus Orus Puck Rasalgethi Sadachbia Sadaltager Schedar "
    "Umbriel Zubenelgenubi"
)
_LOCALE_LIST = (
    "ar-XA bg-BG bn-IN cmn-CN cs-CZ da-DK de-DE el-GR en-AU en-GB en-IN en-US es-ES es-US et-EE fi-FI fr-CA fr-FR "
    "gu-IN he-IL hi-IN hr-HR hu-HU id-ID it-IT ja-JP kn-IN ko-KR lt-LT lv-LV ml-IN mr-IN nb-NO nl-BE nl-NL pa-IN pl-PL "
    "pt-BR ro-RO ru-RU sk-SK sl-SI sr-RS sv-SE sw-KE ta-IN te-IN th-TH tr-TR uk-UA ur-IN vi-VN yue-HK"
)
_GENDERS = dict.fromkeys(_FEMALE.split(), "FEMALE") | dict.fromkeys(_MALE.split(), "MALE")

NAMES = tuple(sorted(_GENDERS))
LOCALES = tuple(_LOCALE_LIST.split())

_CHIRP_3_HD = re.compile(r"([a-z]{2,3}-[A-Z]{2})-Chirp3-HD-([A-Za-z]+)")
# Families of older voices, which only batch synthesis speaks.
_OLDER = re.compile(
    r"([a-z]{2,3}-[A-Z]{2})-"
    r"(?:(?:Standard|Wavenet|Neural2|News|Studio|Polyglot|Casual|Journey|Chirp-HD)-[A-Z]|Studio-MultiSpeaker)"
)
# Which letters a locale really has differs; these are listed for each.
_OLDER_LISTED = [
    (f"{family}-{letter}", gender)
    for family in ("Standard", "Wavenet")
    for letter, gender in zip("ABCD", ("FEMALE", "FEMALE", "MALE", "MALE"), strict=True)
]


@dataclass(frozen=True)
class ChosenVoice:
    """A voice that a request chose.

    Parameters:
        name: Full name, or that of the default voice of the language.
        language_code: Its locale.
        chirp_3_hd: Whether it is a Chirp 3 HD voice.
        gemini: Whether a Gemini TTS model speaks.
        speakers: Its voices of several speakers, by alias.
    """

    name: str
    language_code: str
    chirp_3_hd: bool
    gemini: bool = False
    speakers: Mapping[str, str] = field(default_factory=dict)


def choose_voice(voice: Any, *, streaming: bool) -> ChosenVoice:
    """Find the voice that a request asks for.

    Args:
        voice: ``VoiceSelectionParams`` protobuf.
        streaming: Whether it is for streaming, which speaks Chirp 3 HD only.

    Returns:
        The voice.

    Raises:
        RequestError: If there is no such voice, or its locale is not the one asked for.
    """
    if voice.model_name.startswith("gemini-"):
        return _gemini_voice(voice)
    if voice.HasField("voice_clone"):
        if not voice.voice_clone.voice_cloning_key:
            raise invalid("Voice clone must contain a voice_cloning_key.")
        _check_locale(voice.language_code)
        return ChosenVoice("custom", voice.language_code, chirp_3_hd=True)
    if not voice.name:
        if streaming:
            raise invalid(STREAMING_REFUSAL)
        _check_locale(voice.language_code)
        return ChosenVoice(f"{voice.language_code}-Chirp3-HD-Achernar", voice.language_code, chirp_3_hd=True)
    chirp = _CHIRP_3_HD.fullmatch(voice.name)
    older = _OLDER.fullmatch(voice.name)
    if streaming and chirp is None:
        raise invalid(STREAMING_REFUSAL)
    match = chirp or older
    if match is None or match[1] not in LOCALES or (chirp and chirp[2] not in _GENDERS):
        raise invalid(f"Voice '{voice.name}' does not exist. Is it misspelled?")
    if not voice.language_code:
        raise invalid("Language code must be set.")
    if voice.language_code.lower() != match[1].lower():
        raise invalid(
            f"Requested language code '{voice.language_code}' doesn't match the voice '{voice.name}''s language code "
            f"'{match[1]}'. Either drop the requested language code or choose another voice."
        )
    return ChosenVoice(voice.name, match[1], chirp_3_hd=chirp is not None)


def list_voices(language_code: str, kind: Any = cloud_tts.ListVoicesResponse) -> Any:
    """Answer ``ListVoices``.

    Args:
        language_code: A language such as ``en``, a locale such as ``en-US``, or "" for all.
        kind: Class of the response, of the API's version.

    Returns:
        Its protobuf.
    """
    response = kind.pb()()
    wanted = language_code.lower()
    for locale in LOCALES:
        if wanted and locale.lower() != wanted and locale.lower().split("-")[0] != wanted:
            continue
        voices = [(f"Chirp3-HD-{name}", _GENDERS[name]) for name in NAMES]
        for suffix, gender in voices + _OLDER_LISTED:
            voice = response.voices.add()
            voice.name = f"{locale}-{suffix}"
            voice.language_codes.append(locale)
            voice.ssml_gender = getattr(cloud_tts.SsmlVoiceGender, gender)
            voice.natural_sample_rate_hertz = NATURAL_RATE
    return response


def _gemini_voice(voice: Any) -> ChosenVoice:
    language = voice.language_code or "en-US"
    _check_locale(language)
    speakers = {
        item.speaker_alias: f"{language}-Chirp3-HD-{_known(item.speaker_id)}"
        for item in voice.multi_speaker_voice_config.speaker_voice_configs
    }
    name = _known(voice.name.rpartition("-")[2]) if voice.name or not speakers else ""
    full = f"{language}-Chirp3-HD-{name}" if name else next(iter(speakers.values()))
    return ChosenVoice(full, language, chirp_3_hd=True, gemini=True, speakers=speakers)


def _known(name: str) -> str:
    if name not in _GENDERS:
        raise invalid(f"Voice '{name}' does not exist. Is it misspelled?")
    return name


def _check_locale(language_code: str) -> None:
    if language_code not in LOCALES:
        raise invalid(f"Language code '{language_code}' is not supported.")
