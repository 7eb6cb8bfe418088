"""The voices of Text-to-Speech (facts/tts#voices)."""

import re
from dataclasses import dataclass
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
    r"([a-z]{2,3}-[A-Z]{2})-(Standard|Wavenet|Neural2|News|Studio|Polyglot|Casual|Journey|Chirp-HD)-[A-Z]"
)


@dataclass(frozen=True)
class ChosenVoice:
    """A voice that a request chose.

    Parameters:
        name: Full name, or that of the default voice of the language.
        language_code: Its locale.
        chirp_3_hd: Whether it is a Chirp 3 HD voice.
    """

    name: str
    language_code: str
    chirp_3_hd: bool


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


def list_voices(language_code: str) -> Any:
    """Answer ``ListVoices``.

    Args:
        language_code: A language such as ``en``, a locale such as ``en-US``, or "" for all.

    Returns:
        ``ListVoicesResponse`` protobuf.
    """
    response = cloud_tts.ListVoicesResponse.pb()()
    wanted = language_code.lower()
    for locale in LOCALES:
        if wanted and locale.lower() != wanted and locale.lower().split("-")[0] != wanted:
            continue
        for name in NAMES:
            voice = response.voices.add()
            voice.name = f"{locale}-Chirp3-HD-{name}"
            voice.language_codes.append(locale)
            voice.ssml_gender = getattr(cloud_tts.SsmlVoiceGender, _GENDERS[name])
            voice.natural_sample_rate_hertz = NATURAL_RATE
    return response


def _check_locale(language_code: str) -> None:
    if language_code not in LOCALES:
        raise invalid(f"Language code '{language_code}' is not supported.")
