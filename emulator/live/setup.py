"""The setup message: what it asks for, and what makes the service refuse it (facts/live#client-messages, #models)."""

from dataclasses import dataclass, field
from typing import Any

from halfcascade.emulator.live.activity import ActivitySettings
from halfcascade.emulator.live.errors import invalid, model_not_found
from halfcascade.emulator.live.models import LiveModel, Surface, find_model
from halfcascade.emulator.live.schema import text_of

# Sliding windows cut at 80 % of the window, down to half of that, unless told otherwise (facts/live#lifetime).
_TRIGGER_SHARE = 0.8
_TARGET_SHARE = 0.5


@dataclass(frozen=True)
class Compression:
    """Context window compression.

    Parameters:
        trigger_tokens: Context size at which the window slides.
        target_tokens: Context size after that.
    """

    trigger_tokens: int
    target_tokens: int


@dataclass(frozen=True)
class SessionConfig:
    """What a setup message asks for.

    Parameters:
        model: The model's row.
        model_name: Its name as sent.
        audio: Whether replies are audio; otherwise text.
        transcription: Whether replies carry an output transcription.
        system_instruction: Its text, or "".
        tools: Function declarations as sent.
        language_code: Locale of the speech config, or "".
        seeded: Whether clientContent is taken as history and only realtimeInput is answered
            (facts/live#client-messages).
        resumption: Whether sessionResumptionUpdates are wanted.
        handle: What to resume, or "".
        transparent: Whether updates name the last consumed client message.
        compression: Sliding window, or None.
        affective_dialog: Whether it was asked for.
        include_thoughts: Whether thought parts are wanted.
        input_transcription: Whether what the user says is transcribed to the client.
        input_languages: In which languages it may be, or none.
        voice: Name of the prebuilt voice, or "".
        activity: How the user's speech is found.
    """

    model: LiveModel
    model_name: str
    audio: bool = True
    transcription: bool = False
    system_instruction: str = ""
    tools: tuple[dict[str, Any], ...] = field(default_factory=tuple)
    language_code: str = ""
    seeded: bool = False
    resumption: bool = False
    handle: str = ""
    transparent: bool = False
    compression: Compression | None = None
    affective_dialog: bool = False
    include_thoughts: bool = False
    input_transcription: bool = False
    input_languages: tuple[str, ...] = ()
    voice: str = ""
    activity: ActivitySettings = field(default_factory=ActivitySettings)

    def is_non_blocking(self, function: str) -> bool:
        """Tell whether the conversation goes on while a function runs (facts/live#models, #tools)."""
        declared = next((tool.get("behavior", "") for tool in self.tools if tool.get("name") == function), "")
        if not self.model.switchable_tools or declared in ("", "UNSPECIFIED"):
            return self.model.non_blocking_tools
        return bool(declared == "NON_BLOCKING")


def parse_setup(setup: dict[str, Any], surface: Surface, version: str) -> SessionConfig:
    """Read a setup message.

    Args:
        setup: Its fields, normalized.
        surface: Which API was called.
        version: API version of the path.

    Returns:
        What it asks for.

    Raises:
        Refusal: If the service would refuse it, with the service's code and words.
    """
    name = setup.get("model", "")
    model = find_model(name, surface)
    if model is None:
        raise model_not_found(name, version)
    generation = setup.get("generationConfig", {})
    audio = _check_modalities(generation, model)
    thinking = generation.get("thinkingConfig", {})
    _check_thinking(thinking, model)
    affective = bool(generation.get("enableAffectiveDialog"))
    if affective and model.affective_dialog == "refuse":
        raise invalid()
    resumption = setup.get("sessionResumption")
    return SessionConfig(
        model=model,
        model_name=name,
        audio=audio,
        transcription="outputAudioTranscription" in setup or model.unasked_transcription,
        system_instruction=text_of(setup.get("systemInstruction", {})),
        tools=function_declarations(setup.get("tools", []), model),
        language_code=generation.get("speechConfig", {}).get("languageCode", ""),
        seeded=bool(setup.get("historyConfig", {}).get("initialHistoryInClientContent")),
        resumption=resumption is not None,
        handle=(resumption or {}).get("handle", ""),
        transparent=bool((resumption or {}).get("transparent")),
        compression=_compression(setup.get("contextWindowCompression"), model),
        affective_dialog=affective,
        include_thoughts=bool(thinking.get("includeThoughts")),
        input_transcription="inputAudioTranscription" in setup or model.unasked_transcription,
        input_languages=tuple(setup.get("inputAudioTranscription", {}).get("languageCodes", ())),
        voice=_voice_name(generation.get("speechConfig", {})),
        activity=ActivitySettings.parse(setup.get("realtimeInputConfig", {})),
    )


def function_declarations(tools: list[dict[str, Any]], model: LiveModel) -> tuple[dict[str, Any], ...]:
    """Collect the function declarations of a list of tools.

    Raises:
        Refusal: If one asks for a behaviour that the model refuses (facts/live#models).
    """
    declarations = tuple(function for tool in tools for function in tool.get("functionDeclarations", []))
    for function in declarations:
        if not function.get("name"):
            raise invalid()
        if function.get("behavior") == "BLOCKING" and not model.blocking_tools:
            raise invalid("BLOCKING function calls are not supported for this model")
    return declarations


def _check_modalities(generation: dict[str, Any], model: LiveModel) -> bool:
    modalities = [str(modality) for modality in generation.get("responseModalities") or ["AUDIO"]]
    if len(modalities) != 1 or modalities[0] not in model.modalities:
        raise invalid(
            f"The requested combination of response modalities ({', '.join(modalities)}) is not supported by the model"
        )
    if modalities == ["TEXT"] and generation.get("speechConfig", {}).get("voiceConfig"):
        raise invalid("Cannot extract voices from a non-audio request.")
    return modalities == ["AUDIO"]


def _check_thinking(thinking: dict[str, Any], model: LiveModel) -> None:
    level = str(thinking.get("thinkingLevel") or "").upper()
    if model.thinking == "budget" and level:
        raise invalid("Thinking level is not supported for this model")
    if model.thinking == "level_required":
        if not level:
            raise invalid("Thinking level must be specified for this model")
        if level not in ("LOW", "MEDIUM", "HIGH"):
            raise invalid(f"Thinking level {level} is not supported for this model")


def _voice_name(speech: dict[str, Any]) -> str:
    prebuilt = (speech.get("voiceConfig") or {}).get("prebuiltVoiceConfig") or {}
    return str(prebuilt.get("voiceName") or "")


def _compression(asked: dict[str, Any] | None, model: LiveModel) -> Compression | None:
    if asked is None:
        return None
    trigger = int(asked.get("triggerTokens") or model.input_tokens * _TRIGGER_SHARE)
    target = int(asked.get("slidingWindow", {}).get("targetTokens") or trigger * _TARGET_SHARE)
    if not 0 <= target <= trigger <= model.input_tokens:
        raise invalid()
    return Compression(trigger, target)
