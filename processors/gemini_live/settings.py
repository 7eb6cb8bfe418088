"""Settings of the brain and the setup message they make."""

from dataclasses import dataclass, field
from typing import Any

from google.genai import types
from pipecat.services.settings import NOT_GIVEN, LLMSettings, NotGiven, is_given
from pipecat.transcriptions.language import Language

from halfcascade.processors.gemini_live.protocol.models import DEFAULT_MODEL, LiveModel, Modality, Thinking


@dataclass
class GeminiLiveTextSettings(LLMSettings):
    """Settings that can change while the bot talks; a change takes effect at the next turn by a hand-over.

    Parameters:
        language: Locale the model speaks, such as ``ko-KR``; decides the language of the transcript.
        modality: ``auto`` leaves it to the model's row; ``text`` or ``audio`` insist, as far as the server agrees.
        thinking: Level (``low``) or budget (``0``), as the model takes it; None takes the row's default.
        filler_after: Seconds a function may take before a filler is spoken; None speaks none.
        fillers: What is spoken then, one after the other.
        apology: What is spoken when no answer can be had.
    """

    language: Language | str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    modality: str | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    thinking: str | int | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    filler_after: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    fillers: tuple[str, ...] | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    apology: str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)


LOCAL_FIELDS = frozenset({"filler_after", "fillers", "apology"})
"""Settings that the server knows nothing of: a change needs no hand-over."""

KEPT_BY_RESUMPTION = frozenset({"temperature", "max_tokens", "top_p", "top_k", "seed"})
"""Settings that a resumed session takes; it keeps its model and was seen to keep its instruction.

See facts/live#client-messages, #lifetime.
"""


def default_settings() -> GeminiLiveTextSettings:
    """Make complete settings.

    Returns:
        Every field given.
    """
    return GeminiLiveTextSettings(
        model=DEFAULT_MODEL,
        system_instruction=None,
        temperature=None,
        max_tokens=None,
        top_p=None,
        top_k=None,
        frequency_penalty=None,
        presence_penalty=None,
        seed=None,
        filter_incomplete_user_turns=False,
        user_turn_completion_config=None,
        use_provider_thinking_default=False,
        language="en-US",
        modality="auto",
        thinking=None,
        filler_after=1.5,
        fillers=None,
        apology=None,
    )


def language_code(language: Any) -> str:
    """Write a language as the API takes it.

    Args:
        language: ``Language`` or a BCP 47 tag.

    Returns:
        The tag, "" for none.
    """
    if language is None or not is_given(language):
        return ""
    return str(language.value if isinstance(language, Language) else language)


def live_config(
    settings: GeminiLiveTextSettings,
    model: LiveModel,
    modality: Modality,
    *,
    instruction: str | None,
    tools: list[Any] | None,
    handle: str | None,
    history: bool,
) -> types.LiveConnectConfig:
    """Make the setup of a connection.

    Args:
        settings: Complete settings.
        model: Row of the model.
        modality: What to ask for.
        instruction: System instruction.
        tools: Declarations.
        handle: Resumption handle, or None for a fresh session.
        history: Whether history follows the setup.

    Returns:
        The setup as google-genai takes it.
    """
    s: Any = settings
    config = types.LiveConnectConfig(
        response_modalities=[types.Modality(modality.value)],
        temperature=s.temperature,
        max_output_tokens=s.max_tokens,
        top_p=s.top_p,
        top_k=s.top_k,
        seed=s.seed,
        system_instruction=instruction or None,
        session_resumption=types.SessionResumptionConfig(handle=handle),
        # Without it a session ends after 15 minutes of audio tokens, or with 1007 when its context is full
        # (facts/live#lifetime).
        context_window_compression=types.ContextWindowCompressionConfig(sliding_window=types.SlidingWindow()),
        thinking_config=_thinking(s.thinking, model),
    )
    if modality is Modality.AUDIO:
        config.output_audio_transcription = types.AudioTranscriptionConfig()
    if code := language_code(s.language):
        config.speech_config = types.SpeechConfig(language_code=code)
    if tools:
        config.tools = tools
    if history and model.history_config:
        config.history_config = types.HistoryConfig(initial_history_in_client_content=True)
    return config


def _thinking(wanted: Any, model: LiveModel) -> types.ThinkingConfig | None:
    """The thinking block by the model's rule (facts/live#models)."""
    value = model.thinking_default if wanted is None else wanted
    if model.thinking is Thinking.OMIT or value is None:
        return None
    if model.thinking is Thinking.BUDGET:
        return types.ThinkingConfig(thinking_budget=int(value)) if str(value).isdigit() else None
    level = str(value).lower()
    if level not in model.thinking_levels:
        level = str(model.thinking_default)
    return types.ThinkingConfig(thinking_level=types.ThinkingLevel(level.upper()))
