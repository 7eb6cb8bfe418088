"""Which voices Chirp 3 HD has, and whether a voice and a locale fit together."""

import difflib
import re

from halfcascade.processors.errors import ConfigurationError

# facts/tts#voices: the same 30 speakers in every locale.
_FEMALE = (
    "Achernar Aoede Autonoe Callirrhoe Despina Erinome Gacrux Kore Laomedeia Leda Pulcherrima Sulafat Vindemiatrix "
    "Zephyr"
)
_MALE = (
    "Achird Algenib Algieba Alnilam Charon Enceladus Fenrir Iapetus Orus Puck Rasalgethi Sadachbia Sadaltager Schedar "
    "Umbriel Zubenelgenubi"
)
_LOCALES = (
    "ar-XA bg-BG bn-IN cmn-CN cs-CZ da-DK de-DE el-GR en-AU en-GB en-IN en-US es-ES es-US et-EE fi-FI fr-CA fr-FR "
    "gu-IN he-IL hi-IN hr-HR hu-HU id-ID it-IT ja-JP kn-IN ko-KR lt-LT lv-LV ml-IN mr-IN nb-NO nl-BE nl-NL pa-IN pl-PL "
    "pt-BR ro-RO ru-RU sk-SK sl-SI sr-RS sv-SE sw-KE ta-IN te-IN th-TH tr-TR uk-UA ur-IN vi-VN yue-HK"
)
GENDERS = dict.fromkeys(_FEMALE.split(), "female") | dict.fromkeys(_MALE.split(), "male")
"""Gender of each speaker."""
VOICE_NAMES = frozenset(GENDERS)
LOCALES = tuple(_LOCALES.split())
"""Locales that are known to be spoken; Google adds some now and then."""
# facts/tts#voices: `speaking_rate` outside of this is refused.
MIN_SPEAKING_RATE = 0.25
MAX_SPEAKING_RATE = 2.0

_VOICE = re.compile(r"(?P<locale>[a-z]{2,3}-(?:[A-Z]{2}|\d{3}))-Chirp3-HD-(?P<name>[A-Za-z]+)")
_LOCALE = re.compile(r"[a-z]{2,3}-(?:[A-Z]{2}|\d{3})")


def check_voice(voice: str | None, language: str | None, *, cloned: bool = False) -> None:
    """Check voice and locale together, before anything is sent.

    Args:
        voice: Full voice name, such as ``ko-KR-Chirp3-HD-Kore``.
        language: Locale, such as ``ko-KR``.
        cloned: Whether an instant custom voice speaks instead; then only the locale counts.

    Raises:
        ConfigurationError: If the name is no Chirp 3 HD voice, or belongs to another locale. Google would refuse
            either, but only once the first sentence is to be spoken (facts/tts#voices).
    """
    if not language or not _LOCALE.fullmatch(language):
        raise ConfigurationError(
            f"'{language}' is no locale the voice can speak: give language and region, such as en-US or ko-KR."
        )
    if cloned:
        return
    match = _VOICE.fullmatch(voice or "")
    if not match:
        raise ConfigurationError(
            f"'{voice}' is no Chirp 3 HD voice, and only those can stream: "
            f"use a name such as {language}-Chirp3-HD-Charon."
        )
    if match["name"] not in VOICE_NAMES:
        near = difflib.get_close_matches(match["name"].capitalize(), VOICE_NAMES, n=1)
        if near:
            raise ConfigurationError(f"Chirp 3 HD has no voice called '{match['name']}': did you mean {near[0]}?")
        raise ConfigurationError(
            f"Chirp 3 HD has no voice called '{match['name']}': choose one of {', '.join(sorted(VOICE_NAMES))}."
        )
    if match["locale"] != language:
        raise ConfigurationError(
            f"The voice {voice} speaks {match['locale']}, but the language is {language}: "
            f"use {language}-Chirp3-HD-{match['name']}, or set the language to {match['locale']}."
        )


def check_speaking_rate(rate: float | None) -> None:
    """Check a speaking rate.

    Args:
        rate: Multiple of the voice's own speed, or None for 1.0.

    Raises:
        ConfigurationError: If Google would refuse it (facts/tts#voices).
    """
    if rate is not None and not MIN_SPEAKING_RATE <= rate <= MAX_SPEAKING_RATE:
        raise ConfigurationError(
            f"A speaking rate of {rate:g} is out of range: "
            f"choose one from {MIN_SPEAKING_RATE:g} to {MAX_SPEAKING_RATE:g}, 1 being normal."
        )
