"""Declaring functions to the model, and wording their results."""

from collections.abc import Callable
from typing import Any

from pipecat.adapters.llm.services.gemini_live_adapter import GeminiLiveLLMAdapter

from halfcascade.processors.gemini_live.protocol.models import LiveModel


def declare(tools: list[Any], model: LiveModel, is_async: Callable[[str], bool]) -> list[Any]:
    """Say of each declared function whether the model waits for its result, as far as its family lets us.

    A function that is cancelled by interruptions (Pipecat's default) blocks: the answer waits for the result, without
    a filler of the model's own. One that outlives interruptions does not block.

    Args:
        tools: Declarations in Gemini's form, as Pipecat's adapter makes them. Not changed.
        model: Row of the model.
        is_async: Tells whether the named function outlives interruptions.

    Returns:
        Declarations with ``behavior`` where the model needs it said.
    """
    declared: list[Any] = []
    for tool in tools:
        functions = tool.get("function_declarations") if isinstance(tool, dict) else None
        if not functions:
            declared.append(tool)
            continue
        declared.append(
            {**tool, "function_declarations": [{**f, **_behavior(model, is_async(f["name"]))} for f in functions]}
        )
    return declared


def _behavior(model: LiveModel, is_async: bool) -> dict[str, str]:
    if is_async:
        return {"behavior": "NON_BLOCKING"} if model.non_blocking_tools else {}
    if model.tools_default_non_blocking:
        # Extended thinking refuses BLOCKING; leaving it out behaved as blocking there (facts/live#models).
        return {"behavior": "BLOCKING"} if model.blocking_tools else {}
    return {}


def response_of(result: Any) -> dict[str, Any]:
    """Word a function's result as the API takes it.

    Args:
        result: What the function reported; None if it reported nothing.

    Returns:
        A JSON object.
    """
    return GeminiLiveLLMAdapter.to_function_response_dict("COMPLETED" if result is None else result)
