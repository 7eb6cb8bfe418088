"""What a ``generateContent`` request asks for."""

from dataclasses import dataclass, field
from typing import Any

from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.live.schema import check_request, text_of
from halfcascade.emulator.minds.base import Conversation, FunctionCall, FunctionResult, Message
from halfcascade.emulator.web.errors import ApiError, invalid

_ROLES = ("user", "model", "function", "tool")


@dataclass
class GenerateRequest:
    """A checked request.

    Parameters:
        conversation: What shall be continued; audio in it is not understood yet.
        audio: Parts of audio: the message and the place in it that the words belong to, and the blob.
        pictures: How many images and video frames it holds.
        speaks: Whether audio is wanted.
        voice: Name of the prebuilt voice, or "".
        json: Whether JSON is wanted.
        output_tokens: Most tokens of the answer, or None.
    """

    conversation: Conversation
    audio: list[tuple[Message, int, dict[str, Any]]] = field(default_factory=list)
    pictures: int = 0
    speaks: bool = False
    voice: str = ""
    json: bool = False
    output_tokens: int | None = None


def parse_request(body: dict[str, Any], model: str, *, speaks: bool) -> GenerateRequest:
    """Check a request.

    Args:
        body: JSON of a ``GenerateContentRequest``.
        model: Name of the model.
        speaks: Whether the model answers in audio.

    Returns:
        What it asks for.

    Raises:
        ApiError: If the service would refuse it.
    """
    try:
        checked = check_request(body)
    except Refusal as refusal:
        raise invalid(refusal.reason) from refusal
    contents = checked.get("contents") or []
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified")
    request = GenerateRequest(Conversation([], model=model), speaks=speaks)
    for content in contents:
        request.conversation.messages.append(_message(content, request))
    request.conversation.system_instruction = text_of(checked.get("systemInstruction") or {})
    request.conversation.tools = _declarations(checked.get("tools") or [])
    _take_generation(checked.get("generationConfig") or {}, request)
    return request


def _take_generation(generation: dict[str, Any], request: GenerateRequest) -> None:
    """Note how the answer shall be."""
    modalities = [str(modality).upper() for modality in generation.get("responseModalities") or ()]
    if "AUDIO" in modalities and not request.speaks:
        raise invalid("The requested combination of response modalities (AUDIO) is not supported by the model.")
    speech = generation.get("speechConfig") or {}
    request.voice = ((speech.get("voiceConfig") or {}).get("prebuiltVoiceConfig") or {}).get("voiceName") or ""
    request.conversation.language_code = speech.get("languageCode") or ""
    request.json = generation.get("responseMimeType") == "application/json"
    limit = generation.get("maxOutputTokens")
    request.output_tokens = limit if isinstance(limit, int) and limit > 0 else None


def _message(content: dict[str, Any], request: GenerateRequest) -> Message:
    role = content.get("role") or "user"
    if role not in _ROLES:
        raise invalid("Please use a valid role: user, model.")
    message = Message("model" if role == "model" else "user")
    parts = content.get("parts") or []
    if not parts:
        raise invalid("Unable to submit request because it must have a text parameter. Add a text parameter.")
    for part in parts:
        if part.get("fileData"):
            raise ApiError("UNIMPLEMENTED", "The emulator stores no files: send the bytes as inlineData.")
        if blob := part.get("inlineData"):
            if str(blob.get("mimeType", "")).startswith("audio/"):
                request.audio.append((message, len(message.parts), blob))
                message.parts.append("")
            else:
                request.pictures += 1
        elif call := part.get("functionCall"):
            message.parts.append(FunctionCall(call.get("name", ""), call.get("args") or {}, call.get("id") or ""))
        elif result := part.get("functionResponse"):
            response = result.get("response") or {}
            message.parts.append(FunctionResult(result.get("name", ""), response, result.get("id") or ""))
        elif part.get("text") and not part.get("thought"):
            message.parts.append(part["text"])
    return message


def _declarations(tools: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    declarations = tuple(function for tool in tools for function in tool.get("functionDeclarations", []))
    seen = set()
    for function in declarations:
        name = function.get("name")
        if not name:
            raise invalid("* GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name.")
        if name in seen:
            # facts/live#sdk-defaults.
            raise invalid(f"Duplicate function declaration found: {name}")
        seen.add(name)
    return declarations
