"""Token counts of a turn as Pipecat metrics."""

from collections.abc import Sequence
from typing import Any

from google.genai import types
from pipecat.metrics.metrics import LLMTokenUsage


def token_usage(metadata: types.UsageMetadata) -> LLMTokenUsage:
    """Convert ``usageMetadata``, which counts one turn, not the session (facts/live#server-messages).

    Args:
        metadata: As parsed by google-genai.

    Returns:
        Counts. ``output_audio_tokens`` is what was generated as audio, billed as such and thrown away. Thoughts are
        outside the response count on the wire and inside the completion count here.
    """
    prompt = (metadata.prompt_token_count or 0) + (metadata.tool_use_prompt_token_count or 0)
    completion = (metadata.response_token_count or 0) + (metadata.thoughts_token_count or 0)
    return LLMTokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cache_read_input_tokens=metadata.cached_content_token_count,
        reasoning_tokens=metadata.thoughts_token_count,
        input_audio_tokens=_audio(metadata.prompt_tokens_details),
        output_audio_tokens=_audio(metadata.response_tokens_details),
        cache_read_input_audio_tokens=_audio(metadata.cache_tokens_details),
    )


def _audio(details: Sequence[Any] | None) -> int | None:
    counts = [detail.token_count or 0 for detail in details or () if detail.modality == types.MediaModality.AUDIO]
    return sum(counts) if counts else None
