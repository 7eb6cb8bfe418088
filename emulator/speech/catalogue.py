"""Which models exist where, and what they understand (facts/stt#models).

Locations and languages change; this is what Google's pages listed and others met in 2026. Where sources disagree, what
was refused in practice is refused here, and what a page lists and nobody was refused is accepted.
"""

import re

import grpc

from halfcascade.emulator.actions import RequestError, invalid

_CHIRP_3_LOCATIONS = "us eu asia-northeast1 asia-south1 europe-west2 europe-west3 northamerica-northeast1"
_CHIRP_2_LOCATIONS = "us-central1 europe-west4 asia-southeast1"
_CLASSIC_LOCATIONS = (
    "global us eu us-central1 us-east1 us-west1 europe-west1 europe-west2 europe-west3 europe-west4 asia-northeast1 "
    "asia-south1 asia-southeast1 australia-southeast1 northamerica-northeast1"
)
_CHIRP_3_LANGUAGES = (
    # Generally available.
    "ca-ES cmn-Hans-CN hr-HR da-DK nl-NL en-AU en-GB en-IN en-US fi-FI fr-CA fr-FR de-DE el-GR hi-IN it-IT ja-JP ko-KR "
    "pl-PL pt-BR pt-PT ro-RO ru-RU es-ES es-US sv-SE tr-TR uk-UA vi-VN "
    # Preview.
    "ar-XA ar-DZ ar-BH ar-EG ar-IL ar-JO ar-KW ar-LB ar-MA ar-OM ar-QA ar-SA ar-SY ar-TN ar-AE ar-YE hy-AM bn-BD bn-IN "
    "bg-BG my-MM cmn-Hant-TW yue-Hant-HK cs-CZ en-PH et-EE fil-PH gu-IN iw-IL hu-HU id-ID kn-IN km-KH lo-LA lv-LV "
    "lt-LT ms-MY ml-IN mr-IN ne-NP no-NO fa-IR pa-Guru-IN sr-RS sk-SK sl-SI es-MX sw ta-IN te-IN th-TH ur-PK uz-UZ "
    # Leaves the choice to the model.
    "auto"
)
_CHIRP_2_LANGUAGES = (
    "cmn-Hans-CN cmn-Hant-TW yue-Hant-HK en-AU en-GB en-IN en-US fr-CA fr-FR de-DE hi-IN it-IT ja-JP ko-KR pt-BR es-ES "
    "es-US"
)
LOCATIONS = tuple(sorted(set(f"{_CHIRP_3_LOCATIONS} {_CHIRP_2_LOCATIONS} {_CLASSIC_LOCATIONS}".split())))
"""All locations that have any model."""

_CLASSIC_MODELS = "long short telephony telephony_short latest_long latest_short"
_TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|\d{3}))?")
_RECOGNIZER = re.compile(r"projects/([^/]+)/locations/([^/]+)/recognizers/([^/]+)")

_LOCATIONS = {
    "chirp_3": frozenset(_CHIRP_3_LOCATIONS.split()),
    "chirp_2": frozenset(_CHIRP_2_LOCATIONS.split()),
    "chirp": frozenset(_CHIRP_2_LOCATIONS.split()),
    **dict.fromkeys(_CLASSIC_MODELS.split(), frozenset(_CLASSIC_LOCATIONS.split())),
}
_LANGUAGES = {
    "chirp_3": frozenset(_CHIRP_3_LANGUAGES.split()),
    "chirp_2": frozenset(_CHIRP_2_LANGUAGES.split()),
}


def recognizer_location(recognizer: str) -> str:
    """Find the location in a recognizer's resource name.

    Args:
        recognizer: ``projects/P/locations/L/recognizers/_``.

    Returns:
        ``L``.

    Raises:
        RequestError: If the name is malformed.
    """
    match = _RECOGNIZER.fullmatch(recognizer)
    if match is None:
        raise invalid(
            "Invalid resource field value in the request: recognizer must be "
            "'projects/{project}/locations/{location}/recognizers/{recognizer}'."
        )
    return match[2]


def check_model(model: str, location: str, languages: list[str]) -> None:
    """Check that a model exists at a location and understands the languages.

    Args:
        model: Model name.
        location: From the recognizer's name.
        languages: BCP-47 tags, or ``auto``.

    Raises:
        RequestError: With Google's text (facts/stt#limits) if not.
    """
    if model == "chirp_3" and location == "asia-southeast1":
        raise RequestError(
            grpc.StatusCode.PERMISSION_DENIED,
            'The model "chirp_3" in the location named "asia-southeast1" is no longer generally available.',
        )
    if location not in _LOCATIONS.get(model, ()):
        raise invalid(f'The model "{model}" does not exist in the location named "{location}"')
    if not languages:
        raise invalid("Config must contain at least one language code.")
    for language in languages:
        known = language in _LANGUAGES[model] if model in _LANGUAGES else _TAG.fullmatch(language)
        # Google's own sample of language detection has chirp detect it.
        known = known or (model == "chirp" and language == "auto")
        if not known:
            raise invalid(
                f"The language {language} is not supported by the model {model} in the location named {location}"
            )
