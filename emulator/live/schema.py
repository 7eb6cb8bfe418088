"""Field names of the client's messages, and the check that the real service makes of them.

The service parses JSON into protocol buffers: it accepts ``snake_case`` and ``camelCase`` for every field
(facts/live#client-messages) and closes with 1007 on names it does not know (facts/live#models). ``normalize`` does
both: it returns the message in camelCase and leaves alone what is free-form (function arguments, results, JSON schemas,
labels).
"""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from halfcascade.emulator.live.errors import Refusal, invalid
from halfcascade.emulator.web.versions import Version


class _Leaf:
    """A field whose value is a JSON scalar of some kinds."""

    def __init__(self, name: str, *kinds: type) -> None:
        self.name = name
        self.kinds = kinds


class _Number:
    """A number, written as one or as a string."""

    def __init__(self, name: str, *, whole: bool = False) -> None:
        self.name = name
        self.whole = whole

    def read(self, value: Any) -> int | float:
        """Read a JSON value.

        Raises:
            ValueError: If it is no number of this kind.
        """
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("not a number")
        number = float(value)
        if not math.isfinite(number):
            raise ValueError("not finite")
        if not self.whole:
            return number
        exact = (
            int(value) if isinstance(value, int) or (isinstance(value, str) and _DIGITS.fullmatch(value)) else number
        )
        if exact != int(exact) or not -(2**63) <= exact < 2**63:
            raise ValueError("not a 64-bit integer")
        return int(exact)


_DIGITS = re.compile(r"-?\d{1,19}")


@dataclass
class _Message:
    """A nested message."""

    fields: Mapping[str, Any]


@dataclass
class _List:
    """A repeated field."""

    item: Any


@dataclass
class _Map:
    """A map whose keys are free."""

    value: Any


_STRING = _Leaf("TYPE_STRING", str)
_BYTES = _Leaf("TYPE_BYTES", str)
_BOOL = _Leaf("TYPE_BOOL", bool)
# Protocol buffers' JSON takes numbers and enums also as strings, and 64-bit integers are usually written so.
_NUMBER = _Number("TYPE_DOUBLE")
_INTEGER = _Number("TYPE_INT64", whole=True)
_ENUM = _Leaf("TYPE_ENUM", str, int)
_STRUCT = _Map(None)

_BLOB = _Message({"mimeType": _STRING, "data": _BYTES, "displayName": _STRING})
_FILE = _Message({"mimeType": _STRING, "fileUri": _STRING, "displayName": _STRING})
_FUNCTION_CALL = _Message({"id": _STRING, "name": _STRING, "args": _STRUCT})
_FUNCTION_RESPONSE = _Message(
    {
        "id": _STRING,
        "name": _STRING,
        "response": _STRUCT,
        "willContinue": _BOOL,
        "scheduling": _ENUM,
        "parts": _List(_STRUCT),
    }
)
_PART = _Message(
    {
        "text": _STRING,
        "inlineData": _BLOB,
        "fileData": _FILE,
        "functionCall": _FUNCTION_CALL,
        "functionResponse": _FUNCTION_RESPONSE,
        "executableCode": _STRUCT,
        "codeExecutionResult": _STRUCT,
        "thought": _BOOL,
        "thoughtSignature": _BYTES,
        "videoMetadata": _STRUCT,
        "mediaResolution": _STRUCT,
        "partMetadata": _STRUCT,
    }
)
_CONTENT = _Message({"role": _STRING, "parts": _List(_PART)})

_SCHEMA_FIELDS: dict[str, Any] = {
    "type": _ENUM,
    "format": _STRING,
    "title": _STRING,
    "description": _STRING,
    "nullable": _BOOL,
    "enum": _List(_STRING),
    "default": None,
    "example": None,
    "pattern": _STRING,
    "required": _List(_STRING),
    "propertyOrdering": _List(_STRING),
    **dict.fromkeys(
        ("maxItems", "minItems", "minProperties", "maxProperties", "minLength", "maxLength", "minimum", "maximum"),
        _NUMBER,
    ),
}
_SCHEMA = _Message(_SCHEMA_FIELDS)
_SCHEMA_FIELDS |= {"items": _SCHEMA, "properties": _Map(_SCHEMA), "anyOf": _List(_SCHEMA)}

_FUNCTION_DECLARATION = _Message(
    {
        "name": _STRING,
        "description": _STRING,
        "parameters": _SCHEMA,
        "parametersJsonSchema": None,
        "response": _SCHEMA,
        "responseJsonSchema": None,
        "behavior": _ENUM,
    }
)
_TOOL = _Message(
    {
        "functionDeclarations": _List(_FUNCTION_DECLARATION),
        **dict.fromkeys(
            (
                "googleSearch",
                "googleSearchRetrieval",
                "codeExecution",
                "urlContext",
                "googleMaps",
                "computerUse",
                "fileSearch",
            ),
            _STRUCT,
        ),
        "mcpServers": _List(_STRUCT),
    }
)
_THINKING = _Message({"includeThoughts": _BOOL, "thinkingBudget": _INTEGER, "thinkingLevel": _ENUM})
_SPEECH = _Message({"languageCode": _STRING, "voiceConfig": _STRUCT, "multiSpeakerVoiceConfig": _STRUCT})
_GENERATION_CONFIG = _Message(
    {
        "responseModalities": _List(_ENUM),
        "speechConfig": _SPEECH,
        "thinkingConfig": _THINKING,
        "stopSequences": _List(_STRING),
        "responseMimeType": _STRING,
        "mediaResolution": _ENUM,
        "enableAffectiveDialog": _BOOL,
        "responseLogprobs": _BOOL,
        **dict.fromkeys(
            (
                "temperature",
                "topP",
                "topK",
                "candidateCount",
                "maxOutputTokens",
                "presencePenalty",
                "frequencyPenalty",
                "seed",
                "logprobs",
            ),
            _NUMBER,
        ),
        **dict.fromkeys(
            ("responseSchema", "responseJsonSchema", "translationConfig", "audioTranscriptionConfig"), _STRUCT
        ),
    }
)
_TRANSCRIPTION = _Message(
    {
        **dict.fromkeys(("languageCodes", "customVocabulary", "adaptationPhrases"), _List(_STRING)),
        **dict.fromkeys(("languageAuto", "languageHints"), _STRUCT),
        **dict.fromkeys(("wordTimestamp", "diarization"), _BOOL),
    }
)
_ACTIVITY_DETECTION = _Message(
    {
        "disabled": _BOOL,
        "startOfSpeechSensitivity": _ENUM,
        "endOfSpeechSensitivity": _ENUM,
        "prefixPaddingMs": _INTEGER,
        "silenceDurationMs": _INTEGER,
    }
)
_SETUP_FIELDS: dict[str, Any] = {
    "model": _STRING,
    "generationConfig": _GENERATION_CONFIG,
    "systemInstruction": _CONTENT,
    "tools": _List(_TOOL),
    "realtimeInputConfig": _Message(
        {
            "automaticActivityDetection": _ACTIVITY_DETECTION,
            "activityHandling": _ENUM,
            "turnCoverage": _ENUM,
            "interimTranscriptTimestampEnabled": _BOOL,
        }
    ),
    "sessionResumption": _Message({"handle": _STRING, "transparent": _BOOL}),
    "contextWindowCompression": _Message(
        {"triggerTokens": _INTEGER, "slidingWindow": _Message({"targetTokens": _INTEGER})}
    ),
    "inputAudioTranscription": _TRANSCRIPTION,
    "outputAudioTranscription": _TRANSCRIPTION,
    "safetySettings": _List(_STRUCT),
    "avatarConfig": _STRUCT,
    "labels": _STRUCT,
}
_CLIENT_CONTENT = _Message({"turns": _List(_CONTENT), "turnComplete": _BOOL})
_REALTIME_INPUT = _Message(
    {
        "mediaChunks": _List(_BLOB),
        "audio": _BLOB,
        "video": _BLOB,
        "text": _STRING,
        "audioStreamEnd": _BOOL,
        "activityStart": _STRUCT,
        "activityEnd": _STRUCT,
    }
)
_TOOL_RESPONSE = _Message({"functionResponses": _List(_FUNCTION_RESPONSE)})
_CONTEXT_UPDATE = _Message({"systemInstruction": _CONTENT, "tools": _Message({"tools": _List(_TOOL)})})


def _client_message(**extra_setup: Any) -> _Message:
    return _Message(
        {
            "setup": _Message(_SETUP_FIELDS | extra_setup),
            "clientContent": _CLIENT_CONTENT,
            "realtimeInput": _REALTIME_INPUT,
            "toolResponse": _TOOL_RESPONSE,
        }
    )


_HISTORY = _Message({"initialHistoryInClientContent": _BOOL})
_PROACTIVITY = _Message({"proactiveAudio": _BOOL})


@functools.cache
def _message_of(version: Version) -> _Message:
    extra: dict[str, Any] = {}
    if version.history_config:
        extra["historyConfig"] = _HISTORY
    if version.proactivity:
        extra["proactivity"] = _PROACTIVITY
    if version.service != "vertex":
        return _client_message(**extra)
    # contextUpdate is Vertex's alone.
    message = _client_message(**extra, explicitVadSignal=_BOOL)
    return _Message({**message.fields, "contextUpdate": _CONTEXT_UPDATE})


def normalize(message: Any, version: Version) -> dict[str, Any]:
    """Check a client message and rewrite its names.

    Args:
        message: Parsed JSON.
        version: API and version of the path.

    Returns:
        The message with camelCase names and without nulls.

    Raises:
        Refusal: 1007, if it holds unknown names or values of the wrong kind.
    """
    checked: dict[str, Any] = _check(message, _message_of(version), "")
    return checked


_GENERATE = _Message(
    {
        "model": _STRING,
        "contents": _List(_CONTENT),
        "systemInstruction": _CONTENT,
        "tools": _List(_TOOL),
        "toolConfig": _STRUCT,
        "safetySettings": _List(_STRUCT),
        "generationConfig": _STRUCT,
        "cachedContent": _STRING,
        "labels": _STRUCT,
        **dict.fromkeys(("serviceTier", "store", "modelArmorConfig"), None),
    }
)


def check_request(body: Any) -> dict[str, Any]:
    """Check a ``generateContent`` request and rewrite its names; ``generationConfig`` is left as it is.

    Args:
        body: Parsed JSON.

    Returns:
        The request with camelCase names and without nulls.

    Raises:
        Refusal: If it holds unknown names or values of the wrong kind.
    """
    checked: dict[str, Any] = _check(body, _GENERATE, "")
    return checked


def text_of(content: dict[str, Any]) -> str:
    """Join the text parts of a content, one paragraph each (genai types: LiveClientSetup.system_instruction)."""
    return "\n".join(part["text"] for part in content.get("parts", []) if part.get("text"))


def _check(value: Any, kind: Any, path: str) -> Any:
    match kind:
        case _Message():
            return _check_message(value, kind, path)
        case _List():
            if not isinstance(value, list):
                raise _wrong(path, value)
            return [_check(item, kind.item, f"{path}[{index}]") for index, item in enumerate(value)]
        case _Map():
            if not isinstance(value, dict):
                raise _wrong(path, value)
            return {key: _check(item, kind.value, f"{path}.{key}") for key, item in value.items()}
        case _Number():
            try:
                return kind.read(value)
            except (ValueError, OverflowError):
                raise invalid(f"Invalid value at '{path}' ({kind.name}), {_shown(value)}") from None
        case _Leaf():
            # bool is an int to Python, not to protocol buffers.
            if not isinstance(value, kind.kinds) or (isinstance(value, bool) and bool not in kind.kinds):
                raise invalid(f"Invalid value at '{path}' ({kind.name}), {_shown(value)}")
            return value
        case _:
            return value


def _check_message(value: Any, kind: _Message, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, value)
    checked = {}
    for key, item in value.items():
        name = camel(key)
        if name not in kind.fields:
            where = f" at '{path}'" if path else ""
            raise invalid(f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.')
        if item is not None:
            checked[name] = _check(item, kind.fields[name], f"{path}.{snake(name)}" if path else snake(name))
    return checked


def _wrong(path: str, value: Any) -> Refusal:
    return invalid(f"Invalid value at '{path}', {_shown(value)}")


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def camel(name: str) -> str:
    """Turn ``snake_case`` into ``camelCase``; other names stay."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda match: match[1].upper(), name)


def snake(name: str) -> str:
    """Turn ``camelCase`` into ``snake_case``, as error texts name fields."""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
