"""The models that answer ``generateContent``, and what ``models.list`` tells of all models."""

import re
from dataclasses import dataclass
from typing import Any

from halfcascade.emulator.live.models import MODELS as LIVE_MODELS

# Text models come and go by the month, and nothing here depends on which it is: what is named like one is one.
_FAMILY = re.compile(r"gemini-(?:\d+(?:\.\d+)?-)?(?:pro|flash|flash-lite|ultra)(?:-[a-z0-9.\-]+)?")
_LISTED = ("gemini-3.8-flash", "gemini-3.6-flash", "gemini-3.5-flash-lite", "gemini-2.5-pro", "gemini-2.5-flash")
_LISTED_TTS = ("gemini-3.1-flash-tts-preview", "gemini-2.5-flash-tts", "gemini-2.5-flash-preview-tts")
_INPUT_TOKENS, _OUTPUT_TOKENS = 1_048_576, 65_536


@dataclass(frozen=True)
class TextModel:
    """One model that answers ``generateContent``.

    Parameters:
        name: Bare name.
        speaks: Whether it answers in audio (Gemini TTS).
    """

    name: str
    speaks: bool = False


def find_text_model(name: str) -> TextModel | None:
    """Find the model of a ``generateContent`` request.

    Args:
        name: Bare name, or with ``models/`` or a publisher's path before it.

    Returns:
        The model, or None if there is none of that name, or it is one for Live only.
    """
    bare = name.rpartition("/")[2]
    if bare in LIVE_MODELS or "native-audio" in bare or "-live" in bare or not _FAMILY.fullmatch(bare):
        return None
    return TextModel(bare, speaks="tts" in bare.split("-"))


def model_rows() -> list[dict[str, Any]]:
    """List all models as ``models.list`` of the Developer API does."""
    rows = [
        _row(model.name, model.input_tokens, model.output_tokens, "bidiGenerateContent")
        for model in LIVE_MODELS.values()
        if "developer" in model.surfaces
    ]
    for name in _LISTED + _LISTED_TTS:
        rows.append(_row(name, _INPUT_TOKENS, _OUTPUT_TOKENS, "generateContent", "countTokens"))
    return rows


def _row(name: str, input_tokens: int, output_tokens: int, *methods: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": name,
        "displayName": name,
        "inputTokenLimit": input_tokens,
        "outputTokenLimit": output_tokens,
        "supportedGenerationMethods": list(methods),
    }
