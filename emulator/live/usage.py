"""Token counts: estimates of the right size, so that clients can account for them.

See facts/live#server-messages, #latency.
"""

import functools
import math
import unicodedata
from typing import Any

AUDIO_TOKENS_PER_SECOND = 25
"""facts/live#latency."""

PICTURE_TOKENS = 258
"""Of one image or video frame (ai.google.dev, token counting)."""

_CHARS_PER_TOKEN = 4.0
_WIDE_CHARS_PER_TOKEN = 1.5
# A syllable of a wide script takes about as long to say as two and a half letters of a narrow one.
_WIDE_WEIGHT = 2.5


def text_tokens(text: str) -> int:
    """Estimate the tokens of a text."""
    wide = _wide(text)
    return math.ceil((len(text) - wide) / _CHARS_PER_TOKEN + wide / _WIDE_CHARS_PER_TOKEN)


def speech_seconds(text: str, chars_per_second: float) -> float:
    """Estimate how long the model's own voice takes to say a text.

    Args:
        text: The words, in any script.
        chars_per_second: Latin characters that one second says.
    """
    wide = _wide(text)
    return (len(text) - wide + wide * _WIDE_WEIGHT) / chars_per_second


def message_tokens(text: str, *, audio: bool = False, chars_per_second: float = 15.0) -> int:
    """Estimate what a message costs in the context; the model's own audio stays there as audio."""
    if audio:
        return math.ceil(speech_seconds(text, chars_per_second) * AUDIO_TOKENS_PER_SECOND)
    return text_tokens(text)


def usage_metadata(prompt: dict[str, int], response: dict[str, int], thoughts: int, *, vertex: bool) -> dict[str, Any]:
    """Write a turn's ``usageMetadata``.

    Args:
        prompt: Tokens of the whole context, by modality: it is counted again each turn (facts/live#server-messages).
        response: Tokens of the reply, by modality.
        thoughts: Tokens thought; outside the response count and, on the wire, outside the total
            (facts/live#server-messages, #recorded).
        vertex: Whether to use Vertex's field names.

    Returns:
        The message's field. Counts of zero are left out, as on the wire.
    """
    prefix, details = ("candidates", "candidatesTokensDetails") if vertex else ("response", "responseTokensDetails")
    asked, said = sum(prompt.values()), sum(response.values())
    counts = {
        "promptTokenCount": asked,
        f"{prefix}TokenCount": said,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": asked + said,
        "promptTokensDetails": _details(prompt),
        details: _details(response),
    }
    return {name: value for name, value in counts.items() if value}


def _details(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items() if count]


@functools.lru_cache(maxsize=1024)
def _wide(text: str) -> int:
    # The whole context is counted again each turn, and most of it is old.
    return 0 if text.isascii() else sum(unicodedata.east_asian_width(character) in "WF" for character in text)
