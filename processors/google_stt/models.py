"""What each Speech-to-Text v2 model can do and where it is served, checked before anything is sent.

See facts/stt#limits, #models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loguru import logger

from halfcascade.processors.errors import ConfigurationError

AUTO_LANGUAGE = "auto"


@dataclass(frozen=True)
class SpeechModel:
    """One family of recognition models.

    Parameters:
        location: Where it is used unless the user says otherwise.
        locations: Where it is known to be served; the first ones are generally available.
        absent: Locations known not to have it.
        detects_language: Whether it takes ``auto`` as language.
        takes_adaptation: Whether it takes phrase hints; Pipecat's users saw ``telephony`` refuse them.
        refused_features: ``RecognitionFeatures`` it refuses with INVALID_ARGUMENT.
    """

    location: str
    locations: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    detects_language: bool = False
    takes_adaptation: bool = True
    refused_features: tuple[str, ...] = ()


MODELS = {
    "chirp_3": SpeechModel(
        location="us",
        locations=("us", "eu"),
        absent=("global", "us-central1", "europe-west4"),
        detects_language=True,
        refused_features=(
            "enable_word_confidence",
            "enable_spoken_punctuation",
            "enable_spoken_emojis",
            "profanity_filter",
        ),
    ),
    "chirp_2": SpeechModel(
        location="us-central1",
        locations=("us-central1", "europe-west4", "asia-southeast1"),
        absent=("global", "us", "eu"),
    ),
    "telephony": SpeechModel(location="global", takes_adaptation=False),
}
# `long`, `short`, `telephony`, their `latest_` names and whatever comes: the server is asked.
OTHER_MODEL = SpeechModel(location="global")


def takes_adaptation(model: str) -> bool:
    """Whether a model takes phrase hints."""
    return MODELS.get(model, OTHER_MODEL).takes_adaptation


def resolve_location(model: str, location: str | None) -> str:
    """Find where a model is served, or check that a location serves it.

    Args:
        model: Model name.
        location: What the user wants, or None for the model's own default.

    Returns:
        The location.

    Raises:
        ConfigurationError: If the location is known not to have the model.
    """
    row = MODELS.get(model, OTHER_MODEL)
    if location is None:
        return row.location
    if location in row.absent:
        raise ConfigurationError(
            f'The recognition model "{model}" is not served in the location "{location}": '
            f"set the Speech-to-Text location to {_either(row.locations)}, or leave it unset."
        )
    if row.locations and location not in row.locations:
        logger.warning('The recognition model "{}" may not be served in the location "{}".', model, location)
    return location


def check_languages(model: str, languages: Sequence[str]) -> None:
    """Check that a model can listen for some languages.

    Args:
        model: Model name.
        languages: Language codes, or ``auto`` alone.

    Raises:
        ConfigurationError: If ``auto`` is asked of a model without it, or mixed with other languages.
    """
    if AUTO_LANGUAGE not in languages:
        return
    if not MODELS.get(model, OTHER_MODEL).detects_language:
        able = _either([name for name, row in MODELS.items() if row.detects_language])
        raise ConfigurationError(
            f'The recognition model "{model}" does not detect the language: name the languages, or use {able}.'
        )
    if len(languages) > 1:
        raise ConfigurationError('The language "auto" stands alone: name some languages, or only "auto".')


def check_features(model: str, features: Sequence[str]) -> None:
    """Check that a model does not refuse a feature.

    Args:
        model: Model name.
        features: Names of the features that are switched on.

    Raises:
        ConfigurationError: If it does.
    """
    if refused := [name for name in features if name in MODELS.get(model, OTHER_MODEL).refused_features]:
        raise ConfigurationError(
            f'The recognition model "{model}" refuses {", ".join(refused)}: switch it off, or use "latest_long".'
        )


def _either(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)
