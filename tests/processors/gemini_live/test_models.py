"""The table of models and what refusals mean."""

import pytest

from halfcascade.processors.gemini_live.protocol.models import (
    LIVE_MODELS,
    Modality,
    Remedy,
    Thinking,
    explain_refusal,
    lookup,
)
from halfcascade.processors.gemini_live.settings import GeminiLiveTextSettings, default_settings, live_config


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gemini-3.8-live", "gemini-3.8-live"),
        ("models/gemini-3.8-live", "gemini-3.8-live"),
        ("google/gemini-3.8-live", "gemini-3.8-live"),
        ("gemini-3.8-live-extended-thinking", "gemini-3.8-live-extended-thinking"),
        ("gemini-3.1-flash-live-preview", "gemini-3.1-flash-live"),
        ("gemini-2.5-flash-native-audio-preview-12-2025", "gemini-2.5-flash-native-audio"),
        ("gemini-live-2.5-flash-native-audio", "gemini-2.5-flash-native-audio"),
        ("projects/p/locations/global/publishers/google/models/gemini-live-2.5-flash", "gemini-live-2.5-flash"),
        ("gemini-9-live", "gemini-3.8-live"),
    ],
)
def test_every_name_has_a_row(name: str, family: str) -> None:
    assert lookup(name).family == family


def test_rows_are_consistent() -> None:
    for row in LIVE_MODELS:
        assert lookup(row.family).family == row.family
        assert (row.thinking is Thinking.REQUIRED) <= (row.thinking_default in row.thinking_levels)
        assert row.blocking_tools or row.non_blocking_tools
        assert row.client_content or row.history_config


def thinking(model: str, **settings: object) -> dict:
    complete = default_settings()
    complete.apply_update(GeminiLiveTextSettings(**settings))
    row = lookup(model)
    config = live_config(
        complete, row, row.modality, instruction=None, tools=None, handle=None, history=False
    ).thinking_config
    return config.model_dump(exclude_none=True, mode="json") if config else {}


def test_thinking_follows_the_rule_of_the_family() -> None:
    assert thinking("gemini-3.8-live") == {}
    assert thinking("gemini-3.8-live", thinking="low") == {}
    assert thinking("gemini-3.8-live-extended-thinking") == {"thinking_level": "LOW"}
    assert thinking("gemini-3.8-live-extended-thinking", thinking="minimal") == {"thinking_level": "LOW"}
    assert thinking("gemini-3.8-live-extended-thinking", thinking="high") == {"thinking_level": "HIGH"}
    assert thinking("gemini-3.1-flash-live-preview") == {"thinking_level": "MINIMAL"}
    assert thinking("gemini-2.5-flash-native-audio-latest") == {"thinking_budget": 0}


@pytest.mark.parametrize(
    ("code", "reason", "modality", "resuming", "remedy", "words"),
    [
        (
            1007,
            "The requested combination of response modalities (TEXT) is not supported by the model",
            Modality.TEXT,
            False,
            Remedy.USE_AUDIO,
            "does not give text: using audio",
        ),
        (1007, "Request contains an invalid argument.", Modality.TEXT, False, Remedy.USE_AUDIO, "using audio"),
        (1011, "Internal error encountered", Modality.TEXT, False, Remedy.USE_AUDIO, "using audio"),
        (
            1008,
            "models/x is not found for API version v1beta, or is not supported for bidiGenerateContent",
            Modality.AUDIO,
            False,
            Remedy.GIVE_UP,
            "does not exist",
        ),
        (1007, "API key not valid. Please pass a valid API key.", Modality.AUDIO, False, Remedy.GIVE_UP, "credentials"),
        (401, "Unauthorized", Modality.AUDIO, False, Remedy.GIVE_UP, "credentials"),
        (
            1007,
            "Thinking level is not supported",
            Modality.AUDIO,
            False,
            Remedy.GIVE_UP,
            "refused the session's settings",
        ),
        (1007, "Invalid session handle", Modality.AUDIO, True, Remedy.FRESH, "starting a fresh one"),
        (1011, "session is still active", Modality.AUDIO, True, Remedy.RETRY, "trying again"),
        (1011, "You exceeded your current quota", Modality.AUDIO, False, Remedy.RETRY, "quota"),
        (0, "Connection refused", Modality.AUDIO, False, Remedy.RETRY, "cannot be reached"),
    ],
)
def test_a_refusal_becomes_one_line(
    code: int, reason: str, modality: Modality, resuming: bool, remedy: Remedy, words: str
) -> None:
    refusal = explain_refusal("models/x", code, reason, modality=modality, resuming=resuming)
    assert refusal.remedy is remedy
    assert words in refusal.line
    assert "\n" not in refusal.line
