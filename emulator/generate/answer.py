"""The JSON of an answer: candidates, usage, and where it was cut."""

import base64
import json
import uuid
from typing import Any

from halfcascade.emulator.generate.request import GenerateRequest
from halfcascade.emulator.live.usage import AUDIO_TOKENS_PER_SECOND, PICTURE_TOKENS, text_tokens
from halfcascade.emulator.minds.base import SPEAKER_RATE, FunctionCall, FunctionResult

_AUDIO_MIME = f"audio/L16;codec=pcm;rate={SPEAKER_RATE}"
# Enough for a text that is wide all through.
_CHARS_PER_TOKEN = 4


class Answer:
    """Writes the chunks of one answer.

    Parameters:
        request: What was asked.
        model: Name of the model.
    """

    def __init__(self, request: GenerateRequest, model: str) -> None:
        self._request = request
        self._model = model
        self._id = uuid.uuid4().hex[:22]
        self._prompt = prompt_tokens(request)
        self._text = ""
        self._audio_bytes = 0
        self._calls = 0

    def text(self, piece: str) -> tuple[str, bool]:
        """Take a piece of text.

        Args:
            piece: What the model says next.

        Returns:
            What of it may be said, and whether the answer is cut there.
        """
        limit = self._request.output_tokens
        if limit is None or text_tokens(self._text + piece) <= limit:
            self._text += piece
            return piece, False
        room = max(0, limit * _CHARS_PER_TOKEN - len(self._text))
        self._text += piece[:room]
        return piece[:room], True

    def chunk(self, *parts: dict[str, Any], finish: str = "") -> dict[str, Any]:
        """Write a chunk of the answer.

        Args:
            parts: Of its content.
            finish: Why the answer ends here, or "".
        """
        candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        return {
            "candidates": [candidate],
            "usageMetadata": self._usage(),
            "modelVersion": self._model,
            "responseId": self._id,
        }

    def audio(self, pcm: bytes) -> dict[str, Any]:
        """Write audio as a part."""
        self._audio_bytes += len(pcm)
        return {"inlineData": {"mimeType": _AUDIO_MIME, "data": base64.b64encode(pcm).decode()}}

    def call(self, call: FunctionCall) -> dict[str, Any]:
        """Write a function call as a part."""
        self._calls += 1
        return {"functionCall": {"name": call.name, "args": call.args, **({"id": call.id} if call.id else {})}}

    def _usage(self) -> dict[str, Any]:
        said = self._calls * 12
        modality = "TEXT"
        if self._request.speaks:
            modality = "AUDIO"
            said += round(self._audio_bytes / (2 * SPEAKER_RATE) * AUDIO_TOKENS_PER_SECOND)
        else:
            said += text_tokens(self._text)
        asked = sum(self._prompt.values())
        details = [{"modality": name, "tokenCount": count} for name, count in self._prompt.items() if count]
        usage = {
            "promptTokenCount": asked,
            "candidatesTokenCount": said,
            "totalTokenCount": asked + said,
            "promptTokensDetails": details,
            "candidatesTokensDetails": [{"modality": modality, "tokenCount": said}] if said else [],
        }
        return {name: value for name, value in usage.items() if value}


def prompt_tokens(request: GenerateRequest) -> dict[str, int]:
    """Count the tokens of a request, by modality."""
    conversation = request.conversation
    counts = {"TEXT": text_tokens(conversation.system_instruction), "AUDIO": 0, "IMAGE": 0}
    for message in conversation.messages:
        for part in message.parts:
            counts["TEXT"] += text_tokens(_written(part))
        counts["AUDIO"] += round(message.seconds * AUDIO_TOKENS_PER_SECOND)
    counts["IMAGE"] = request.pictures * PICTURE_TOKENS
    return counts


def _written(part: str | FunctionCall | FunctionResult) -> str:
    if isinstance(part, str):
        return part
    value = part.args if isinstance(part, FunctionCall) else part.response
    return f"{part.name} {json.dumps(value, ensure_ascii=False, default=str)}"
